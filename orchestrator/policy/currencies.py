"""Whether amounts in other currencies have rates, and what they are worth when a policy is read."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from orchestrator.core.money import Money
from orchestrator.core.scope import SCOPE_KINDS
from orchestrator.policy.amounts import MAX_USD, Amount
from orchestrator.policy.documents.budgets import BudgetDocument, TaskBudgetDocument
from orchestrator.policy.documents.policy import PolicyDocument
from orchestrator.policy.origins import prices_in
from orchestrator.policy.tree import Path
from orchestrator.pricing.currency import USD, Rates

SECONDS_PER_DAY = 86_400


class Mistake(NamedTuple):
    """What is wrong, and where."""

    path: Path
    message: str


def rates_of(document: PolicyDocument) -> dict[str, Rates]:
    """The rates of a policy, by currency."""
    return {name: Rates.of(name, dated) for name, dated in sorted(document.currencies.items())}


def worth(amount: Amount, rates: Mapping[str, Rates], day: date) -> Money | None:
    """What an amount is worth on a day, rounded down; ``None`` if its currency has no rate."""
    if amount.currency == USD:
        return Money.from_usd(amount.number)
    known = rates.get(amount.currency)
    return None if known is None else Money.from_usd_rounded_down(known.on(day).of(amount.number))


def budgets_of(
    document: PolicyDocument,
) -> Iterator[tuple[Path, BudgetDocument | TaskBudgetDocument]]:
    """Every budget there is, with its path."""
    for scope in SCOPE_KINDS:
        budget = getattr(document.budgets, scope)
        if budget is not None:
            yield ("budgets", scope), budget
    if document.memo is not None and document.memo.upkeep is not None:
        yield ("memo", "upkeep"), document.memo.upkeep
    if document.audits is not None and document.audits.budget is not None:
        yield ("audits", "budget"), document.audits.budget


def mistakes(document: PolicyDocument, today: date, doubted: Collection[str]) -> Iterator[Mistake]:
    """Find what has no rate, an old rate, or a rate of no certain day.

    Args:
        document: The policy.
        today: The day on which it is read, in UTC.
        doubted: Currencies about whose rates something was said already.
    """
    rates = rates_of(document)
    used: set[str] = set()
    for path, amount in _amounts(document):
        if amount.currency == USD:
            continue
        known = rates.get(amount.currency)
        used.add(amount.currency)
        if known is None and amount.currency not in doubted:
            missing = f"{{{amount.currency}: {{{today}: 1.08}}}}"
            message = (
                f"no rate of {amount.currency} is known; write what one is worth in USD and since"
                f" when, `currencies: {missing}`, or the amount in USD"
            )
            yield Mistake(path, message)
        elif known is not None and amount.number * max(rate.usd for rate in known.dated) > MAX_USD:
            yield Mistake(path, f"{amount} is too much; write what is worth {MAX_USD} USD at most")
    for currency in sorted(used & set(rates)):
        yield from _dated(currency, rates[currency], document.stale_rate, today)
    yield from _budgets(document)


def _amounts(document: PolicyDocument) -> Iterator[tuple[Path, Amount]]:
    """Every amount, with its path; of the prices of a model their currency is what matters."""
    for path, budget in budgets_of(document):
        for name in ("limit", "finish_reserve"):
            if (amount := getattr(budget, name, None)) is not None:
                yield (*path, name), amount
    for tool, ruled in document.tools.items():
        if ruled.price is not None:
            yield ("tools", tool, "price"), ruled.price
    for name, resource in document.resources.items():
        for part in ("price", "flat"):
            if (amount := getattr(resource, part)) is not None:
                yield ("resources", name, part), amount
    for name, model in document.models.items():
        for path, price in prices_in(name, model):
            yield (*path, "currency"), Amount(Decimal(1), price.currency)


def _dated(currency: str, rates: Rates, stale_s: float, today: date) -> Iterator[Mistake]:
    """A rate has to hold today, and not to be too old."""
    first, held = rates.dated[0], rates.on(today)
    add = f"add today's, `{today}: {held.usd.normalize():f}` or what it is now"
    if first.since > today:
        message = f"its first rate begins on {first.since}, and none holds today; {add}"
        yield Mistake(("currencies", currency), message)
    elif (age := (today - held.since).days) * SECONDS_PER_DAY > stale_s:
        allowed = f"{stale_s / SECONDS_PER_DAY:g}"
        message = (
            f"its last rate is {age} days old, and `stale_rate` allows {allowed}d; {add}, or raise"
            " `stale_rate`"
        )
        yield Mistake(("currencies", currency), message)


def _budgets(document: PolicyDocument) -> Iterator[Mistake]:
    for path, budget in budgets_of(document):
        limit = budget.limit
        if limit is None:
            continue
        if isinstance(budget, TaskBudgetDocument):
            kept = budget.finish_reserve
            if kept.number and kept.currency != limit.currency:
                message = f"is in another currency than the limit; write it in {limit.currency}"
                yield Mistake((*path, "finish_reserve"), message)
        elif limit.currency == USD and budget.rate_of is not None:
            yield Mistake((*path, "rate_of"), "is for limits in other currencies; remove it")
        elif limit.currency != USD and budget.per == "total" and budget.rate_of is None:
            message = (
                f"never begins anew, so no day says what {limit} are worth; write that day, as in"
                " `rate_of: 2026-01-01`, a window, as in `per: month`, or the amount in USD"
            )
            yield Mistake(path, message)
