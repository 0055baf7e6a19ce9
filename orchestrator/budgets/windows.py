"""Which account a budget counts on at a moment: windows are keys, so nothing is ever reset."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from types import MappingProxyType
from zoneinfo import ZoneInfo

from orchestrator.budgets.rules import BudgetRule
from orchestrator.core.scope import Scope
from orchestrator.ledger.records import Account

_HOUR = timedelta(hours=1)
_SECOND = timedelta(seconds=1)
_LONGEST_MONTH = timedelta(days=31)


def account_for(rule: BudgetRule, scope: Scope, now: datetime) -> Account | None:
    """The account on which ``rule`` counts what ``scope`` spends at ``now``.

    Windows follow the wall clock of the rule's time zone: a day has 23, 24 or 25 hours. Their
    bounds are in UTC.

    Args:
        rule: The budget.
        scope: Who spends.
        now: When, aware, in any time zone.

    Returns:
        ``None`` if the scope has no such holder: a task without a user counts on no user's budget.

    Raises:
        ValueError: If ``now`` has no time zone.
    """
    if now.tzinfo is None:
        message = f"{now!r} has no time zone; pass an aware datetime such as datetime.now(UTC)."
        raise ValueError(message)
    holder = scope.identity(rule.scope)
    if holder is None:
        return None
    if rule.window in {"task", "total"}:
        return Account(rule.scope, holder, rule.window)
    zone = ZoneInfo(rule.timezone)
    local = now.astimezone(zone)
    if rule.window == "hour":
        label, starts_at, ends_at = _hour(local, zone)
    else:
        label, first, after = _CALENDARS[rule.window](local.date())
        starts_at, ends_at = _midnight(first, zone), _midnight(after, zone)
    key = f"{rule.window}@{rule.timezone}:{label}"
    return Account(rule.scope, holder, key, starts_at, ends_at)


def in_force(rule: BudgetRule, scope: Scope, now: datetime) -> tuple[Account, BudgetRule] | None:
    """The account as :func:`account_for` finds it, and the rule in USD as it holds in its window.

    What the policy states in another currency is worth what it was on the first day of the window,
    in the rule's time zone: in every process, and for as long as the window lasts, the same.
    """
    account = account_for(rule, scope, now)
    if account is None:
        return None
    began = account.starts_at or now
    return account, rule.on(began.astimezone(ZoneInfo(rule.timezone)).date())


def _day(today: date) -> tuple[str, date, date]:
    return today.isoformat(), today, today + timedelta(days=1)


def _week(today: date) -> tuple[str, date, date]:
    year, week, weekday = today.isocalendar()
    monday = today - timedelta(days=weekday - 1)
    return f"{year}-W{week:02}", monday, monday + timedelta(weeks=1)


def _month(today: date) -> tuple[str, date, date]:
    first = today.replace(day=1)
    return f"{first:%Y-%m}", first, (first + _LONGEST_MONTH).replace(day=1)


# Label, first day and first day after, of the window that holds a day.
_CALENDARS: Mapping[str, Callable[[date], tuple[str, date, date]]] = MappingProxyType(
    {"day": _day, "week": _week, "month": _month}
)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    """The first instant of a day.

    Where midnight comes twice this is the first; where clocks skip it, ``zoneinfo`` reads it with
    the offset before, which is the instant of the skip.
    """
    return datetime.combine(day, time(), zone).astimezone(UTC)


def _hour(local: datetime, zone: ZoneInfo) -> tuple[str, datetime, datetime]:
    """The hour of the clock that holds ``local``.

    The label carries the offset from UTC, which tells the two apart when clocks go back. Where
    they change in the middle of an hour (Lord Howe, by half an hour), the hour ends there.
    """
    # With a fixed offset, so that arithmetic is on instants and not on the wall clock.
    now = datetime.fromisoformat(local.isoformat())
    top = now.replace(minute=0, second=0, microsecond=0)
    starts_at, ends_at = top.astimezone(UTC), top.astimezone(UTC) + _HOUR
    if starts_at.astimezone(zone).utcoffset() != now.utcoffset():
        starts_at = _change(starts_at, now.astimezone(UTC), zone)
    if (ends_at - _SECOND).astimezone(zone).utcoffset() != now.utcoffset():
        ends_at = _change(now.astimezone(UTC), ends_at - _SECOND, zone)
    return top.isoformat(timespec="hours"), starts_at, ends_at


def _change(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """The first instant with the offset of ``after``; ``before`` has another. To the second."""
    offset = after.astimezone(zone).utcoffset()
    before, after = before.replace(microsecond=0), after.replace(microsecond=0)
    while after - before > _SECOND:
        middle = before + (after - before) // (2 * _SECOND) * _SECOND
        if middle.astimezone(zone).utcoffset() == offset:
            after = middle
        else:
            before = middle
    return after
