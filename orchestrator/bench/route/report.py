"""All seeds of one benchmark, as one report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from orchestrator.bench.route.baselines import BASELINES
from orchestrator.bench.route.experiment import Result, run_seed
from orchestrator.bench.route.setup import Setup, TableError
from orchestrator.bench.route.table import Table, load
from orchestrator.routing.learning.evidence import Evidence

Report = dict[str, Any]
"""JSON; the names are those of the documentation of ``bench route``."""


def bench(table: Table, setup: Setup, progress: Callable[[int], None] = lambda _: None) -> Report:
    """Run all seeds and put them together.

    Args:
        table: Recorded replies.
        setup: What is asked.
        progress: Told the number of each seed that is done.

    Returns:
        The report; intervals are the 2.5 % and 97.5 % quantiles over seeds.

    Raises:
        TableError: There are not more questions than labels.
    """
    check(table, setup)
    evidence = Evidence.of(table)
    results = []
    for seed in range(setup.seeds):
        results.append(run_seed(evidence, setup, seed))
        progress(seed)
    return {
        "models": list(table.models),
        "questions": len(table),
        "questions_left_out": table.left_out,
        "classes": len(table.groups),
        "cost_sources": list(table.cost_sources),
        "setup": {
            "labels": setup.labels,
            "seeds": setup.seeds,
            "target": setup.target,
            "post_hoc": setup.post_hoc,
            "agreement": setup.agree,
        },
        **{name: _interval([r.figures[name] for r in results]) for name in results[0].figures},
        "calls": _calls(results),
        "curve": np.mean([r.curve for r in results], axis=0).tolist(),
        "certified": _certified(results, setup),
        "decision_us": dict(results[0].decision_us),
        "baselines": {
            name: {
                "quality": float(np.mean([r.baselines[name][1] for r in results])),
                "cost_usd": float(np.mean([r.baselines[name][0] for r in results])),
            }
            for name in BASELINES
        },
    }


def bench_file(
    path: Path,
    models: Sequence[str],
    setup: Setup,
    progress: Callable[[int], None],
    mistakes: Sequence[str] = (),
) -> Report:
    """`bench` for a table in a file; see `table.load` for its form.

    Raises:
        TableError: All mistakes found before, and those of the table.
    """
    try:
        table = load(path, models)
        check(table, setup)
    except TableError as error:
        raise TableError(*mistakes, *error.mistakes) from error
    if mistakes:
        raise TableError(*mistakes)
    # The matrices are small: a second BLAS thread only waits for the first.
    with threadpool_limits(limits=1):
        return bench(table, setup, progress)


def check(table: Table, setup: Setup) -> None:
    """Refuse what cannot be measured.

    Raises:
        TableError: There are not more questions than labels.
    """
    if not 2 <= setup.labels < len(table):  # noqa: PLR2004 - a mean and a spread
        message = (
            f"--labels {setup.labels}: the table has {len(table)} questions; "
            "ask for 2 or more, and for fewer than it has"
        )
        raise TableError(message)


def _interval(values: Sequence[float | None]) -> dict[str, Any]:
    """Mean and interval over the seeds that have the figure; the others are counted and told."""
    known = [value for value in values if value is not None]
    found: dict[str, Any] = {"mean": None, "low": None, "high": None}
    if known:
        low, high = np.quantile(known, [0.025, 0.975])
        found = {"mean": float(np.mean(known)), "low": float(low), "high": float(high)}
    if len(known) < len(values):
        without = len(values) - len(known)
        reason = f"no gap between the weak and the strong model in {without} of {len(values)} draws"
        found |= {"seeds": len(known), "reason": reason}
    return found


def _calls(results: Sequence[Result]) -> dict[str, float]:
    total: Counter[str] = Counter()
    for result in results:
        total.update(result.calls)
    return {model: count / len(results) for model, count in total.most_common() if count > 0}


def _certified(results: Sequence[Result], setup: Setup) -> Report:
    found = [result.certified for result in results]
    held = [one for one in found if one.certificate.state == "certified"]
    accepted = sum(one.coverage for one in held)
    return {
        "alpha": setup.alpha,
        "delta": setup.delta,
        "coverage": float(np.mean([one.coverage for one in found])),
        "error": sum(one.error * one.coverage for one in held) / accepted if accepted else 0.0,
        "state": dict(Counter(one.certificate.state for one in found)),
        "violated": sum(one.promised > setup.alpha for one in held) / len(found),
        "above_alpha_on_the_rest": sum(one.error > setup.alpha for one in held) / len(found),
    }
