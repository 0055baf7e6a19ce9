"""``orchestrator bench memo``: what the memo costs, keeps, and would have saved."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from orchestrator.core.money import Money


def bench_memo(
    trajectories: Annotated[
        Path | None,
        typer.Option(help="Recorded tau-bench runs (gzipped CSV) to replay.", exists=True),
    ] = None,
    *,
    rounds: Annotated[int, typer.Option(help="Rounds of the latency comparison; 0: none.")] = 25,
    litellm: Annotated[bool, typer.Option(help="Compare with litellm too.")] = True,
    zipf: Annotated[bool, typer.Option(help="Run the stream of recurring tasks.")] = True,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare the memo with other caches, and with the best possible."""
    facts = asyncio.run(_run(trajectories, rounds, litellm=litellm, zipf=zipf))
    if json:
        print(orjson.dumps(facts, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS).decode())
        return
    for part, rows in facts.items():
        print(part)
        for row in rows if isinstance(rows, list) else [rows]:
            print("  " + "  ".join(f"{name} {_text(value)}" for name, value in row.items()))


async def _run(
    trajectories: Path | None, rounds: int, *, litellm: bool, zipf: bool
) -> dict[str, Any]:
    # Loaded here: they bring what no other command needs.
    from orchestrator.bench.memo.latency import run_latency
    from orchestrator.bench.memo.trajectories import replay_trajectories
    from orchestrator.bench.memo.zipf import run_zipf

    facts: dict[str, Any] = {}
    if rounds:
        report = await run_latency(rounds=rounds, with_litellm=litellm)
        facts["latency"] = [dataclasses.asdict(timing) for timing in report.timings]
        facts["miss"] = [
            {
                "size": size,
                "lookup_us": miss_us,
                "completion_us": report.completion_us.get(size),
            }
            for size, miss_us in report.miss_us.items()
        ]
        facts["not measured"] = [{"why": why} for why in report.absent]
    if zipf:
        streams = [(0.7, 0), (1.0, 0), (1.3, 0), (1.0, 3)]
        facts["zipf"] = [
            dataclasses.asdict(await run_zipf(exponent=exponent, shifts=shifts))
            for exponent, shifts in streams
        ]
    if trajectories is not None:
        replayed = await replay_trajectories(trajectories)
        facts["trajectories"] = {
            "runs": replayed.runs,
            "cost_estimated": replayed.cost.to_json(),
            "prefix_cache_saves_estimated": replayed.prefix_cache_saves.to_json(),
        }
        facts["savings"] = [
            {field.name: _plain(getattr(saved, field.name)) for field in dataclasses.fields(saved)}
            for saved in replayed.savings
        ]
    return facts


def _plain(value: object) -> object:
    return value.to_json() if isinstance(value, Money) else value


def _text(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
