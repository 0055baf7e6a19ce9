"""``orchestrator bench from-ledger``: a suite from what a team has already run."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.options import DEFAULT_STORE, JsonOption, StoreOption
from orchestrator.cli.output import print_json


def from_ledger(
    out: Annotated[Path, typer.Argument(dir_okay=False, help="The .jsonl file to write.")],
    *,
    team: Annotated[str, typer.Option(help="Only this team's tasks.")],
    question_field: Annotated[str, typer.Option(help="Where in the input.")] = "question",
    answer_field: Annotated[str, typer.Option(help="Where in the output.")] = "answer",
    limit: Annotated[int, typer.Option(min=1, help="Look at so many of the newest tasks.")] = 1000,
    store: StoreOption = DEFAULT_STORE,
    as_json: JsonOption = False,
) -> None:
    """Write a suite of the tasks that a user's feedback called right.

    Their prompts and replies must have been kept (keep_bodies). What holds a secret is left out.
    The file holds what users asked: keep it as you keep the ledger.
    """
    from orchestrator.bench.from_ledger import suite_from_ledger

    made = asyncio.run(
        suite_from_ledger(
            store,
            team=team,
            question_field=question_field,
            answer_field=answer_field,
            limit=limit,
        )
    )
    lines = [
        json.dumps(
            {"id": s.id, "question": s.question, "answer": s.answer, "group": s.group},
            ensure_ascii=False,
        )
        for s in made.samples
    ]
    if lines:
        out.touch(mode=0o600)
        out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    if as_json:
        print_json({"samples": len(lines), "left_out": dict(made.left_out)})
        return
    written = f"in {out}" if lines else "nothing was written"
    typer.echo(f"{len(lines)} samples, {written}")
    for why, count in made.left_out.items():
        typer.echo(f"  {count} left out: {why}")
