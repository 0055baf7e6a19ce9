"""``orchestrator memo``: what is remembered, and how to make it forget."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from orchestrator.cli.options import DEFAULT_STORE, JsonOption, StoreOption
from orchestrator.core.clock import SystemClock
from orchestrator.core.errors import LedgerUnavailable
from orchestrator.ledger.factory import directory_of
from orchestrator.memo import upkeep
from orchestrator.memo.address import store_at
from orchestrator.memo.entry import Entry
from orchestrator.memo.store import Store, StoreFault

app = typer.Typer(
    name="memo", help="What is remembered, and how to make it forget.", no_args_is_help=True
)

At = Annotated[
    str | None,
    typer.Option("--memo", help="The memo's directory or Redis URL, if not beside the ledger."),
]
Tenant = Annotated[str | None, typer.Option(help="Only in this tenant.")]
_SHOWN = 20
_KEY_SHOWN = 16


@app.command()
def stats(memo: At = None, *, store: StoreOption = DEFAULT_STORE, json: JsonOption = False) -> None:
    """What the memo saved by step, as the ledger has it, and what is held of each step."""
    saved = _saved(store)
    with _open(memo, store) as entries:
        extent = entries.extent()
        rows: list[dict[str, Any]] = [
            {
                "step": held.step,
                "entries": held.entries,
                "bytes": held.size_bytes,
                "age_seconds": {
                    "youngest": held.youngest_s,
                    "median": held.median_s,
                    "oldest": held.oldest_s,
                },
                "worth": held.worth.to_json(),
            }
            for held in upkeep.holdings(entries, SystemClock())
        ]
        facts = {
            "entries": extent.entries,
            "bytes": extent.size_bytes,
            "steps": rows,
            "saved": saved,
        }
    if json:
        _print_json(facts)
        return
    print(f"{extent.entries} entries, {extent.size_bytes / 2**20:.1f} MiB")
    for row in rows:
        age = row["age_seconds"]
        print(
            f"  {row['step']}: {row['entries']} entries worth ${row['worth']}, "
            f"median age {_span(age['median'])}, oldest {_span(age['oldest'])}"
        )
    for one in saved:
        print(
            f"  {one['step']}: {one['hits']} hits, {one['hit_rate']:.0%} of what was asked, "
            f"saved ${one['saved_usd']} and {_span(one['saved_seconds'])}"
        )
        if one["refreshed"] or one["reruns"]:
            print(f"    {_upkeep(one)}")


@app.command()
def show(
    key: Annotated[str, typer.Argument(help="A key or its beginning; empty: all.")] = "",
    memo: At = None,
    *,
    step: Annotated[str | None, typer.Option(help="Only of this step or tool.")] = None,
    reply: Annotated[bool, typer.Option(help="Print the replies too.")] = False,
    limit: Annotated[int, typer.Option(help="At most so many.")] = _SHOWN,
    store: StoreOption = DEFAULT_STORE,
    json: JsonOption = False,
) -> None:
    """What is known of entries; the replies only when asked for."""
    shown: list[dict[str, Any]] = []
    with _open(memo, store) as entries:
        for entry in upkeep.entries(entries):
            if entry.key.startswith(key) and step in (None, entry.step):
                shown.append(_facts(entry, reply=reply))
            if len(shown) >= limit:
                break
    if json:
        _print_json(shown)
        return
    for facts in shown:
        print(facts.pop("key"))
        for name, value in facts.items():
            print(f"  {name}: {value}")
    if not shown:
        print("Nothing of that kind is remembered.")


@app.command()
def invalidate(
    memo: At = None,
    *,
    reads: Annotated[str | None, typer.Option(help="What was made from this source.")] = None,
    step: Annotated[str | None, typer.Option(help="What this step or tool got.")] = None,
    model: Annotated[str | None, typer.Option(help="What this model said.")] = None,
    key: Annotated[str | None, typer.Option(help="A key or its beginning.")] = None,
    tenant: Tenant = None,
    store: StoreOption = DEFAULT_STORE,
    json: JsonOption = False,
) -> None:
    """Make entries stale (--reads) or delete them (the other options)."""
    deletes = {"step": step, "model": model, "key": key}
    if (reads is None) == (not any(deletes.values())):
        message = "give either --reads, or some of --step, --model and --key"
        raise typer.BadParameter(message)
    with _open(memo, store) as entries:
        if reads is not None:
            stale = upkeep.invalidate_reads(entries, reads, SystemClock(), tenant=tenant)
            facts: dict[str, Any] = {"source": reads, "stale": dict(stale)}
            line = f"{sum(stale.values())} entries made from {reads} are stale."
        else:
            gone = upkeep.delete(entries, tenant=tenant, step=step, model=model, key=key)
            facts = {"deleted": gone.entries, "steps": dict(gone.by_step)}
            line = f"{gone.entries} entries deleted."
    _print_json(facts) if json else print(line)


@app.command()
def forget(
    user: Annotated[str, typer.Option(help="The user to forget.")],
    memo: At = None,
    *,
    tenant: Tenant = None,
    store: StoreOption = DEFAULT_STORE,
    json: JsonOption = False,
) -> None:
    """Erase a user: memo entries, prompts, replies and states of tasks; never what they cost.

    Stop the user's tasks first: one that runs may write more.
    """
    from orchestrator.runtime.storage.forgetting import forget as erase

    erased = asyncio.run(erase(store, user, tenant=tenant))
    with _open(memo, store) as entries:
        gone = upkeep.forget(entries, user, tenant=tenant)
    if json:
        _print_json(
            {
                "user": user,
                "entries": gone.entries,
                "unreadable": gone.damaged,
                "steps": dict(gone.by_step),
                "tasks": len(erased.ledger.tasks),
                "bodies": erased.ledger.bodies,
                "checkpoints": erased.checkpoints,
                "running": list(erased.ledger.running),
            }
        )
        return
    print(f"{gone.entries} entries erased for {user}.")
    for step, count in sorted(gone.by_step.items()):
        print(f"  {step}: {count}")
    if gone.damaged:
        print(f"  unreadable, so perhaps of this user: {gone.damaged}")
    tasks = len(erased.ledger.tasks)
    print(f"{erased.ledger.bodies} prompts, replies and outputs erased, of {tasks} tasks.")
    print(f"Checkpoints of {erased.checkpoints} tasks erased.")
    if erased.ledger.running:
        print(f"Still running, so forget again later: {', '.join(erased.ledger.running)}")


@app.command()
def verify(
    memo: At = None,
    *,
    fix: Annotated[bool, typer.Option("--fix", help="Delete what cannot be read.")] = False,
    store: StoreOption = DEFAULT_STORE,
    json: JsonOption = False,
) -> None:
    """Read every entry; exit with 1 if some cannot be read and are still there."""
    with _open(memo, store) as entries:
        found = upkeep.damaged(entries, delete_them=fix)
        count = entries.extent().entries
    if json:
        _print_json(
            {
                "entries": count,
                "damaged": [{"key": one.key, "why": one.why} for one in found],
                "deleted": fix,
            }
        )
    else:
        print(f"{count} entries, {len(found)} unreadable{' and deleted' if fix else ''}.")
        for one in found:
            print(f"  {one.key[:_KEY_SHOWN]}: {one.why}")
    if found and not fix:
        raise typer.Exit(1)


@contextmanager
def _open(address: str | None, ledger: str) -> Iterator[Store]:
    """The memo's store, open; what is wrong with it ends the command with a sentence and 2."""
    try:
        found = store_at(address or _beside(ledger))
        found.open()
        try:
            yield found
        finally:
            found.close()
    except (StoreFault, ValueError) as error:
        print(error)
        raise typer.Exit(2) from error


def _saved(ledger: str) -> list[dict[str, Any]]:
    """Hits by step, of steps that had any; none without a ledger."""
    from orchestrator.reports.memo import savings_by_step

    try:
        found = savings_by_step(ledger)
    except LedgerUnavailable:
        return []
    return [
        {
            "step": one.step,
            "hits": one.hits,
            "hit_rate": one.hit_rate,
            "saved_usd": one.saved.to_json(),
            "saved_seconds": one.saved_seconds,
            "refreshed": one.refreshed,
            "reruns": one.reruns,
            "stale_rate": one.stale_rate,
            "upkeep_usd": one.upkeep.to_json(),
        }
        for one in found
    ]


def _upkeep(one: dict[str, Any]) -> str:
    """What was asked anew of a step, in a line."""
    rate = one["stale_rate"]
    sampled = "" if rate is None else f"; of {one['reruns']} sampled hits {rate:.0%} had changed"
    return f"{one['refreshed']} stale entries asked anew{sampled}; this cost ${one['upkeep_usd']}"


def _beside(ledger: str) -> Path:
    """Where the memo of a ledger lies."""
    directory = directory_of(ledger)
    if directory is None:
        message = f"the store {ledger!r} has no memo on disk; name the memo with --memo"
        raise ValueError(message)
    return directory / "memo"


def _facts(entry: Entry, *, reply: bool) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "key": entry.key,
        "kind": entry.kind,
        "step": entry.step,
        "tenant": entry.tenant,
        "user": entry.user,
        "created_s": entry.created_s,
        "model": entry.model,
        "confidence": entry.confidence,
        "confidence_state": entry.confidence_state,
        "checks": sorted(entry.checks),
        "reads": dict(entry.reads),
        "labels": sorted(entry.labels),
        "cost": entry.cost.to_json(),
        "tokens": entry.tokens,
        "seconds": entry.seconds,
        "bytes": len(entry.reply),
    }
    if reply:
        from orchestrator.runtime.storage.encryption import seal_from_environment

        facts["reply"] = seal_from_environment().open(entry.reply).decode(errors="replace")
    return facts


def _print_json(facts: object) -> None:
    print(orjson.dumps(facts, option=orjson.OPT_INDENT_2).decode())


def _span(seconds: float) -> str:
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"
