"""``orchestrator bench ledger``: what the ledger costs, beside the least that could do its work."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Annotated

import typer

from orchestrator.cli.options import JsonOption
from orchestrator.cli.output import print_json


def bench_ledger(
    postgres: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="A PostgreSQL database to measure on, too, as a superuser."
        ),
    ] = None,
    *,
    rounds: Annotated[int, typer.Option(help="Rounds, in which all take turns.")] = 25,
    calls: Annotated[int, typer.Option(help="Calls in each turn.")] = 320,
    litellm: Annotated[bool, typer.Option(help="Compare with a completion of litellm.")] = True,
    json: JsonOption = False,
) -> None:
    """Compare the ledger with bare SQL, and with a completion of litellm; ratios of one run."""
    from orchestrator.bench.ledger import compare

    async def run() -> list[compare.Ratio]:
        ratios: list[compare.Ratio] = []
        for slow in (False, True):
            ratios += await compare.compare_sqlite(rounds=rounds, calls=calls, slow=slow)
        ratios.append(compare.compare_processes(calls=calls))
        if postgres is not None:
            for slow in (False, True):
                ratios.append(
                    await compare.compare_postgres(
                        postgres, rounds=rounds, calls=10 * calls, slow=slow
                    )
                )
        if litellm:
            ratios += await compare.compare_litellm(rounds=rounds, calls=max(16, calls // 10))
        return ratios

    ratios = asyncio.run(run())
    if json:
        print_json([dataclasses.asdict(ratio) for ratio in ratios])
        return
    for one in ratios:
        verdict = "met" if one.is_met else "MISSED"
        print(
            f"{one.what}: {one.ratio:.3g} ({one.ledger:,.0f} / {one.yardstick:,.0f} {one.unit};"
            f" target {one.target}: {verdict})"
        )
