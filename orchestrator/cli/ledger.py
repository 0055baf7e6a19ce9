"""``orchestrator ledger``: what is in doubt, what it cost after all, whether the sums are right."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from orchestrator.cli.options import DEFAULT_STORE, JsonOption, StoreOption
from orchestrator.cli.output import FAILED, counted, print_json
from orchestrator.core.money import Money

if TYPE_CHECKING:
    from orchestrator.ledger.afterwards import Correction
    from orchestrator.ledger.bookkeeping.verification import Verification
    from orchestrator.ledger.stored import StoredLedger
    from orchestrator.ledger.stores.reading import Doubt, Spending
    from orchestrator.reports.reconcile import Matching

T = TypeVar("T")
BY_HAND = "by hand"

app = typer.Typer(no_args_is_help=True, help="Attempts in doubt, and whether the sums are right.")
doubts_app = typer.Typer(help="Attempts whose owner died, so that nobody saw what they cost.")
app.add_typer(doubts_app, name="doubts")


@doubts_app.callback(invoke_without_command=True)
def doubts(
    context: typer.Context,
    *,
    every: Annotated[bool, typer.Option("--all", help="Those that were resolved too.")] = False,
    store: StoreOption = DEFAULT_STORE,
    as_json: JsonOption = False,
) -> None:
    """List attempts whose owner died: what they may have cost stays held until you resolve them.

    Holds that are overdue expire first, as they would when the next task waits for money.
    """
    if context.invoked_subcommand is not None:
        return
    _read(store)
    _in_ledger(store, lambda ledger: ledger.expire_overdue())
    found = [doubt for doubt in _read(store)[0] if every or doubt.cost is None]
    if as_json:
        print_json([_plain(doubt) for doubt in found])
    elif not found:
        typer.echo("No attempt is in doubt.")
    else:
        _print_doubts(found)


@doubts_app.command()
def resolve(
    attempt_id: Annotated[str, typer.Argument(help="As `ledger doubts` lists it.")],
    *,
    cost: Annotated[str, typer.Option(metavar="USD", help="What it cost; 0 if it was not billed.")],
    source: Annotated[str, typer.Option(help="Who says so, for the record.")] = BY_HAND,
    store: StoreOption = DEFAULT_STORE,
    as_json: JsonOption = False,
) -> None:
    """Say what an attempt in doubt cost. The doubt stays on record; the last word stands."""
    from orchestrator.ledger.afterwards import Correction

    _read(store)
    try:
        correction = Correction(
            attempt_id=attempt_id,
            cost=Money.from_usd(cost),
            certainty="known",
            source=source,
            at=datetime.now(UTC),
        )
        _correct(store, [correction])
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    (doubt,) = (one for one in _read(store)[0] if one.attempt_id == attempt_id)
    if as_json:
        print_json(_plain(doubt))
    else:
        typer.echo(f"{attempt_id}: {doubt.cost}, {doubt.source}")


@app.command()
def reconcile(
    file: Annotated[Path, typer.Argument(help="CSV with time, model, cost_usd; see the manual.")],
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done.")
    ] = False,
    store: StoreOption = DEFAULT_STORE,
    as_json: JsonOption = False,
) -> None:
    """Resolve attempts in doubt by a provider's usage file; what is not clear is only listed.

    Ends with 1 if a doubt remains.
    """
    from orchestrator.ledger.afterwards import Correction
    from orchestrator.reports.reconcile import match
    from orchestrator.reports.usage import read_usage

    lines = read_usage(file)
    known, others = _read(store)
    matching = match(lines, [one for one in known if one.cost is None], others)
    now = datetime.now(UTC)
    corrections = [
        Correction(
            attempt_id=doubt.attempt_id,
            cost=line.cost,
            certainty="known",
            source=f"{file.name}:{line.line}",
            at=now,
        )
        for doubt, line in matching.resolved
    ]
    if not dry_run:
        _correct(store, corrections)
    if as_json:
        print_json(_matching(matching))
    else:
        typer.echo("\n".join(_lines(matching, file.name, dry_run=dry_run)))
    if matching.ambiguous or matching.missing:
        raise typer.Exit(FAILED)


@app.command()
def verify(*, store: StoreOption = DEFAULT_STORE, as_json: JsonOption = False) -> None:
    """Recompute every balance from the attempts, and look for rows that belong to nothing.

    Ends with 1 if something is wrong.
    """
    _read(store)
    found = _in_ledger(store, lambda ledger: ledger.verify())
    if as_json:
        print_json(
            {
                "is_sound": found.is_sound,
                "accounts": found.accounts,
                "attempts": found.attempts,
                "differences": found.differences,
                "orphans": found.orphans,
            }
        )
    else:
        typer.echo("\n".join(_verdict(found)))
    if not found.is_sound:
        raise typer.Exit(FAILED)


def _in_ledger(store: str, ask: Callable[[StoredLedger], Awaitable[T]]) -> T:
    from orchestrator.core.clock import SystemClock
    from orchestrator.ledger.factory import ledger_from_url

    async def run() -> T:
        ledger = ledger_from_url(store, clock=SystemClock())
        await ledger.open()
        try:
            return await ask(ledger)
        finally:
            await ledger.aclose()

    return asyncio.run(run())


def _correct(store: str, corrections: Sequence[Correction]) -> None:
    async def run(ledger: StoredLedger) -> None:
        for correction in corrections:
            await ledger.correct(correction)

    if corrections:
        _in_ledger(store, run)


def _read(store: str) -> tuple[list[Doubt], list[Spending]]:
    """The doubts and all other attempts; an error if there is no ledger, which is not made here."""
    from orchestrator.ledger.factory import reader_from_url

    with reader_from_url(store) as reader:
        found = reader.doubts()
        in_doubt = {doubt.attempt_id for doubt in found}
        return found, [one for one in reader.attempts() if one.attempt_id not in in_doubt]


def _plain(doubt: Doubt) -> dict[str, object]:
    return {
        "attempt_id": doubt.attempt_id,
        "task_id": doubt.task_id,
        "step": doubt.step,
        "model": doubt.model,
        "provider_model": doubt.provider_model,
        "at": doubt.at,
        "expires_at": doubt.expires_at,
        "held_usd": doubt.reserve,
        "cost_usd": doubt.cost,
        "source": doubt.source,
    }


def _print_doubts(found: Sequence[Doubt]) -> None:
    from orchestrator.cli.tables import new_table, numbers, print_table, whole, words

    table = new_table(
        [
            whole("attempt"),
            words("task"),
            words("step"),
            words("model"),
            words("sent at"),
            numbers("at most"),
            numbers("cost"),
            words("says"),
        ]
    )
    for doubt in found:
        table.add_row(
            doubt.attempt_id,
            doubt.task_id,
            doubt.step,
            doubt.provider_model,
            f"{doubt.at:%Y-%m-%d %H:%M:%S}",
            str(doubt.reserve),
            "?" if doubt.cost is None else str(doubt.cost),
            doubt.source or "",
        )
    print_table(table)


def _matching(matching: Matching) -> dict[str, object]:
    return {
        "resolved": [
            {"attempt_id": doubt.attempt_id, "line": line.line, "cost_usd": line.cost}
            for doubt, line in matching.resolved
        ],
        "ambiguous": [
            {"attempt_id": doubt.attempt_id, "lines": [line.line for line in lines]}
            for doubt, lines in matching.ambiguous
        ],
        "missing": [doubt.attempt_id for doubt in matching.missing],
        "foreign_lines": matching.foreign,
    }


def _lines(matching: Matching, file: str, *, dry_run: bool) -> list[str]:
    verb = "would cost" if dry_run else "cost"
    said = [
        f"{doubt.attempt_id} {verb} {line.cost} ({file}:{line.line})"
        for doubt, line in matching.resolved
    ]
    for doubt, lines in matching.ambiguous:
        places = ", ".join(str(line.line) for line in lines)
        said.append(f"{doubt.attempt_id} is not clear: it may be line {places}, or they another's")
    said += [f"{doubt.attempt_id} is in no line" for doubt in matching.missing]
    if matching.foreign:
        said.append(f"{counted(matching.foreign, 'line')} of no attempt here")
    if matching.ambiguous or matching.missing:
        said.append("Resolve what is left with: orchestrator ledger doubts resolve ID --cost USD")
    return said or ["No attempt is in doubt."]


def _verdict(found: Verification) -> list[str]:
    said = [
        f"{one.account}: stored {one.stored.committed}, its attempts say {one.folded.committed}"
        for one in found.differences
    ]
    said += found.orphans
    extent = f"{counted(found.accounts, 'account')}, {counted(found.attempts, 'attempt')}"
    return [*said, f"{extent}: {'sound' if found.is_sound else 'not sound'}"]
