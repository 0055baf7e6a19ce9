"""``orchestrator task watch``: a task's attempts as they are booked, until it stops."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli.options import DEFAULT_STORE, JsonOption, StoreOption
from orchestrator.cli.output import FAILED, HALTED, INTERRUPTED, counted, in_lines, print_line
from orchestrator.core.money import Money

if TYPE_CHECKING:
    from orchestrator.ledger.records import TaskRecord
    from orchestrator.ledger.stores.reading import LedgerReader, Spending

DEFAULT_EVERY_S = 0.5
STEP_WIDTH = 12


def watch(
    task_id: Annotated[str, typer.Argument(metavar="TASK_ID", help="As `task list` shows it.")],
    *,
    every: Annotated[
        float, typer.Option(min=0.05, metavar="SECONDS", help="How often to look.")
    ] = DEFAULT_EVERY_S,
    store: StoreOption = DEFAULT_STORE,
    as_json: JsonOption = False,
) -> None:
    """Show a task's attempts as they are booked, until it stops.

    Begins with those it made before. Exit code as of the task: 0 completed, 1 failed, 3 halted.
    Ctrl-C ends the watching, not the task. With --json one object per line.
    """
    from orchestrator.ledger.factory import reader_from_url
    from orchestrator.reports.tasks import find_task

    seen = _Seen()
    try:
        with reader_from_url(store) as reader:
            while True:
                # The task first: what it did before it stopped is then among its attempts.
                record = find_task(reader, task_id)
                if not as_json and not seen.is_headed:
                    typer.echo(_head(record), err=True)
                    seen.is_headed = True
                for line in seen.news(reader, task_id):
                    print_line(line.data, line.text, as_json=as_json)
                if record.status != "running":
                    break
                time.sleep(every)
    except KeyboardInterrupt as error:
        raise typer.Exit(INTERRUPTED) from error
    _print_end(record, seen, as_json=as_json)
    match record.status:
        case "failed":
            raise typer.Exit(FAILED)
        case "halted":
            raise typer.Exit(HALTED)


@dataclass(frozen=True, slots=True)
class _Line:
    data: dict[str, Any]
    text: str


@dataclass(slots=True)
class _Seen:
    """What was shown: each attempt once when it begins and once when it is booked."""

    begun: set[str] = field(default_factory=set)
    booked: dict[str, Money] = field(default_factory=dict)
    is_headed: bool = False

    @property
    def cost(self) -> Money:
        return sum(self.booked.values(), Money.ZERO)

    def news(self, reader: LedgerReader, task_id: str) -> Iterator[_Line]:
        for one in reader.attempts_of(task_id):
            if one.end is None and one.attempt_id not in self.begun:
                self.begun.add(one.attempt_id)
                yield self._line("begun", one, one.at, _begun(one))
            elif one.end is not None and one.attempt_id not in self.booked:
                self.begun.add(one.attempt_id)
                self.booked[one.attempt_id] = one.cost
                text = f"{_booked(one)}; {self.cost} so far"
                yield self._line("booked", one, one.ended_at or one.at, text)

    def _line(self, event: str, one: Spending, at: datetime, text: str) -> _Line:
        data = {"event": event, "attempt": one, "total_usd": self.cost}
        return _Line(data, f"{at:%H:%M:%S}  {one.step:{STEP_WIDTH}}  {text}")


def _head(record: TaskRecord) -> str:
    scope, at = record.opening.scope, record.opening.at
    ends = ", Ctrl-C ends the watching only" if record.status == "running" else ""
    return f"{scope.team}/{scope.agent}, began {at:%Y-%m-%d %H:%M:%S} UTC{ends}"


def _begun(one: Spending) -> str:
    why = "" if one.kind == "ask" else f" ({one.kind})"
    return f"asks {one.model}{why}, holds {one.cost}"


def _booked(one: Spending) -> str:
    if one.kind == "memo":
        return f"memo hit, saved {one.saved}"
    tokens = "" if one.usage is None else f", {one.usage.input_tokens:,}"
    tokens += "" if one.usage is None else f" + {one.usage.output_tokens:,} tokens"
    seconds = "" if one.seconds is None else f" in {one.seconds:.2f} s"
    return f"{one.model} cost {one.cost} ({one.certainty}){tokens}{seconds}" + (
        f": {one.error}" if one.error else ""
    )


def _print_end(record: TaskRecord, seen: _Seen, *, as_json: bool) -> None:
    because = record.halt.detail if record.halt else record.error
    data = {"event": record.status, "because": because, "total_usd": seen.cost}
    attempts = counted(len(seen.booked), "attempt")
    text = f"{record.status}, {seen.cost} in {attempts}"
    print_line(data, f"{text}\n{in_lines(because)}" if because else text, as_json=as_json)
