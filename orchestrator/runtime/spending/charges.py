"""What a task used beside models and tools, booked on the same budgets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import replace
from decimal import Decimal
from math import inf
from typing import Any

from orchestrator.budgets.halts import budget_halt
from orchestrator.core.errors import Fenced, LedgerUnavailable
from orchestrator.core.halt import Halt, Halted
from orchestrator.core.ids import new_attempt_id
from orchestrator.core.money import Money
from orchestrator.ledger.records import AttemptEnd, AttemptIntent, Demand
from orchestrator.ledger.refusals import BudgetShort
from orchestrator.ledger.validation import MAX_NANO
from orchestrator.pricing.currency import day_of
from orchestrator.pricing.resources import ResourcePrice, read_quantity
from orchestrator.runtime.run.request import digest
from orchestrator.runtime.run.slot import Slot
from orchestrator.runtime.run.task_run import TaskRun
from orchestrator.runtime.spending.booking import announce, book
from orchestrator.runtime.spending.granting import asked
from orchestrator.runtime.spending.held import give_way
from orchestrator.runtime.spending.priced import Use, intend

Quantity = Decimal | float | str

WAIT_ON_LOOP_S = 0.5
"""How long a charge may block an event loop to wait for money that others still hold. What they do
may need that very loop, so it does not wait for them to the end."""

KEPT_S = 60.0
"""How long the hold of a charge may outlive its owner: it is booked in the next instant."""


def charge(run: TaskRun, resource: str, quantity: Quantity, *, once: bool = True) -> Money:
    """Book that ``quantity`` units were used; what that costs.

    It is a fact, so it is booked whatever is left: what a budget cannot serve is booked above it,
    as an overrun, and halts the task.

    Args:
        run: The task.
        resource: The resource, as the policy names it.
        quantity: How much, in the resource's own unit.
        once: Whether the same charge at the same place is booked only once, however often its node
            runs.

    Raises:
        ValueError: If the policy has no price for it, or the quantity is no number from 0.
        Halted: If a budget cannot serve it.
    """
    price = _price_of(run, resource).on(day_of(run.clock.now()))
    amount = read_quantity(quantity)
    place = run.places.here()
    step = f"resource:{resource}"
    asked = digest([resource, str(amount)])
    key = place.key(step, asked) if once else new_attempt_id()
    if key in run.journal.charged:
        return run.journal.charged[key]
    use = Use(
        key=key,
        digest=asked,
        step=step,
        kind="resource",
        name=resource,
        price=price.cost(amount),
        source=f"{price.source}: {amount} units",
    )
    wait_s = WAIT_ON_LOOP_S if _on_loop() else inf
    slot = Slot()
    work = _book(run, use, slot, wait_s, is_known=price.over is None)
    booking: Future[Any] = run.in_flight.launch(slot, work, key)
    halt: Halt | None = booking.result()
    if halt is not None:
        raise run.refuse(halt, place)
    return use.price


@contextmanager
def measured(run: TaskRun, *, cpu: str | None, elapsed: Mapping[str, Quantity]) -> Iterator[None]:
    """Charge for what the code inside used, also if it fails.

    Args:
        run: The task.
        cpu: The resource that one CPU second of this thread is.
        elapsed: Resources that are used while time passes, with the units used each second.

    Raises:
        ValueError: Before anything runs, if the policy has no price for one of them.
        Halted: After it ran, if a budget cannot serve it.
    """
    per_second = {name: read_quantity(units) for name, units in elapsed.items()}
    for resource in (*per_second, *([cpu] if cpu else [])):
        _price_of(run, resource)
    since, cpu_since = time.monotonic_ns(), time.thread_time_ns()
    try:
        yield
    finally:
        passed = _seconds(time.monotonic_ns() - since)
        used = {name: units * passed for name, units in per_second.items()}
        if cpu is not None:
            used[cpu] = _seconds(time.thread_time_ns() - cpu_since)
        _charge_all(run, used)


def _charge_all(run: TaskRun, used: Mapping[str, Decimal]) -> None:
    """Book all of it, also what comes after a charge that halted."""
    halted: Halted | None = None
    for resource, quantity in used.items():
        try:
            charge(run, resource, quantity, once=False)
        except Halted as error:
            halted = error
    if halted is not None:
        raise halted


def _seconds(nanoseconds: int) -> Decimal:
    return Decimal(nanoseconds).scaleb(-9)


def _on_loop() -> bool:
    with suppress(RuntimeError):
        asyncio.get_running_loop()
        return True
    return False


def _price_of(run: TaskRun, resource: str) -> ResourcePrice:
    price = run.policy.resources.get(resource)
    if price is None:
        known = ", ".join(run.policy.resources) or "none"
        message = (
            f"the policy has no price for {resource!r}; write for example "
            f"`resources: {{{resource}: 0.00001 USD}}` (it has: {known})"
        )
        raise ValueError(message)
    return price


class _HeldByOthers(Exception):  # noqa: N818 - names the fact
    """What a charge needs is there, but others hold it."""


async def _hold(
    run: TaskRun, intent: AttemptIntent, demands: Sequence[Demand], slot: Slot, wait_s: float
) -> AttemptIntent:
    """Hold what was used, waiting no longer than ``wait_s`` for money that others hold.

    Raises:
        BudgetShort: If a budget cannot serve it.
        _HeldByOthers: If that was waited for in vain.
    """
    try:
        async with slot.during("waiting", min(wait_s, run.deadline.remaining_s)):
            await run.ledger.reserve(intent, demands)
    except TimeoutError:
        # Others hold the money, or the store is slow: without waiting, the ledger says which.
        intent = replace(intent, attempt_id=new_attempt_id())
        try:
            at_once = [replace(one, may_wait=False) for one in demands]
            await run.ledger.reserve(intent, at_once)
        except BudgetShort as short:
            if intent.reserve.nano > short.left_nano:
                raise
            raise _HeldByOthers from short
    return intent


async def _book(
    run: TaskRun, use: Use, slot: Slot, wait_s: float, *, is_known: bool
) -> Halt | None:
    """Book a use, whatever is left; the halt of the budget that could not serve it, if any."""
    intent, halt, over = intend(run, use, KEPT_S), None, Money.ZERO
    demands = run.demands(intent.at, finish=False)
    await give_way()
    try:
        try:
            intent = await _hold(run, intent, demands, slot, wait_s)
        except (BudgetShort, _HeldByOthers) as error:
            if isinstance(error, BudgetShort):
                halt = budget_halt(error, need=use.price, step=use.step)
                halt = asked(run, halt, use.price, is_used=True)
            over = use.price
            intent = replace(intent, attempt_id=new_attempt_id(), reserve=Money.ZERO)
            # Nothing is held on them, so nothing can be refused.
            boundless = [
                replace(one, limit=Money(MAX_NANO), withheld=Money.ZERO) for one in demands
            ]
            await run.ledger.reserve(intent, boundless)
    except (Fenced, LedgerUnavailable) as error:
        run.break_off(error)
        raise
    run.booked(intent.reserve)
    announce(run, intent)
    end = AttemptEnd(
        attempt_id=intent.attempt_id,
        end="settled",
        cost=intent.reserve,
        overrun=over,
        certainty="known" if is_known else "estimated",
        seconds=slot.seconds(),
        at=run.clock.now(),
        price_source=use.source,
    )
    await book(run, intent, end)
    run.journal.charged[use.key] = use.price
    return halt
