"""`bench plan` as plain data and as text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from orchestrator.bench.plan.experiment import BUDGETS, Figures, run
from orchestrator.bench.plan.simulation import MEAN, NAMES, PRICES, STEPS
from orchestrator.bench.plan.stopping import Kept, rules
from orchestrator.bench.plan.traces import Run, read_runs


def simulated(plans: int, seed: int, progress: Callable[[], None]) -> dict[str, Any]:
    """The simulated part; costs in units of the cheapest model's price."""
    found = run(plans, seed, BUDGETS, progress)
    return {
        "source": "simulated",
        "plans": plans,
        "seed": seed,
        "steps": STEPS,
        "models": dict(zip(NAMES, PRICES, strict=True)),
        "all_cheapest_cost": STEPS * MEAN,
        "budgets": list(BUDGETS),
        "rules": [_plain(figures) for figures in found],
    }


def recorded(path: Path) -> dict[str, Any]:
    """The recorded part for one table: all runs together, and by model where there are several.

    Raises:
        TraceError: It is no table of runs.
    """
    runs = read_runs(path)
    by_model: dict[str, list[Run]] = {}
    for each in runs:
        by_model.setdefault(each.model, []).append(each)
    return {
        "source": "recorded",
        "table": path.name,
        "runs": len(runs),
        "successes": sum(each.succeeded for each in runs),
        "rules": _judged(runs),
        "by_model": {
            model: {
                "runs": len(each),
                "successes": sum(one.succeeded for one in each),
                "rules": _judged(each),
            }
            for model, each in by_model.items()
            if len(by_model) > 1
        },
    }


def _plain(figures: Figures) -> dict[str, Any]:
    less, half = figures.less
    return asdict(figures) | {"less": {"mean": less, "low": less - half, "high": less + half}}


def _judged(runs: Sequence[Run]) -> list[dict[str, Any]]:
    return [_kept(kept) for kept in rules(runs)]


def _kept(kept: Kept) -> dict[str, Any]:
    shown = {name: getattr(kept, name) for name in ("rule", "at", "cost_share", "kept", "stopped")}
    per_success = kept.per_success and kept.per_success.to_json()
    return shown | {"cost_usd": kept.cost.to_json(), "cost_per_success_usd": per_success}


def as_text(report: Mapping[str, Any]) -> str:
    """Both parts in lines."""
    lines = _simulated_lines(report["simulated"])
    for table in report["recorded"]:
        lines += ["", *_recorded_lines(table)]
    return "\n".join(lines)


def _simulated_lines(found: Mapping[str, Any]) -> list[str]:
    prices = " : ".join(f"{price:g}" for price in found["models"].values())
    lines = [
        f"SIMULATED: {found['plans']} plans of {found['steps']} steps, seed {found['seed']}",
        f"models at price {prices}; all-cheapest costs {found['all_cheapest_cost']:g}",
        "success (halted) at each budget",
        f"{'':30}" + "".join(f"{budget:>15g}" for budget in found["budgets"]),
    ]
    lines += _by_budget(found, lambda one: f"{one['success']:.3f} ({one['halted']:.1%})")
    lines += ["success less that of plan on the same plans, with 95 % intervals"]
    return lines + _by_budget(found, lambda one: _paired(one["less"]))


def _by_budget(found: Mapping[str, Any], cell: Callable[[Mapping[str, Any]], str]) -> list[str]:
    rows: dict[str, list[str]] = {}
    for one in found["rules"]:
        rows.setdefault(one["rule"], []).append(f"{cell(one):>15}")
    return [f"{name:30}" + "".join(cells) for name, cells in rows.items()]


def _paired(less: Mapping[str, float]) -> str:
    return f"{less['mean']:+.3f} ±{less['high'] - less['mean']:.3f}"


def _recorded_lines(found: Mapping[str, Any]) -> list[str]:
    headings = ("at", "USD/run", "of cost", "kept", "stopped", "USD/success")
    lines = [
        f"RECORDED: {found['table']}, {found['runs']} runs, {found['successes']} successful",
        f"{'rule':42} {'{:>14} {:>10} {:>8} {:>7} {:>8} {:>12}'.format(*headings)}",
    ]
    for one in found["rules"]:
        success = one["cost_per_success_usd"]
        lines.append(
            f"{one['rule']:42} {one['at']:>14} {float(one['cost_usd']):10.4f} "
            f"{one['cost_share']:8.1%} {one['kept']:7.1%} {one['stopped']:8.1%} "
            f"{'-' if success is None else format(float(success), '.4f'):>12}"
        )
    return lines
