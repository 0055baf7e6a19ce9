"""Windows are keys, and their bounds are exact in every time zone."""

import zoneinfo
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.budgets.rules import BudgetRule, WindowKind
from orchestrator.budgets.windows import account_for
from orchestrator.core.money import Money
from orchestrator.core.scope import Scope
from orchestrator.ledger.records import Account

SCOPE = Scope(org="acme", team="research", agent="planner", task_id="t1", tenant="research")
USD = Money.from_usd(1)
ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Santiago",
    "America/Caracas",
    "Africa/Cairo",
    "Asia/Kolkata",
    "Asia/Pyongyang",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Pacific/Chatham",
]


def window(kind: WindowKind, timezone: str, now: datetime) -> Account:
    rule = BudgetRule(scope="team", limit=USD, window=kind, timezone=timezone)
    account = account_for(rule, SCOPE, now)
    assert account is not None
    return account


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


TABLE = """
# Zone, window, an instant in it, its first instant, the first after it.
# Calendar windows in UTC
UTC month:2026-11 2026-11-22T12:00Z 2026-11-01T00Z 2026-12-01T00Z
UTC month:2026-12 2026-12-31T23:59:59Z 2026-12-01T00Z 2027-01-01T00Z
UTC month:2028-02 2028-02-29T00:00Z 2028-02-01T00Z 2028-03-01T00Z
UTC day:2026-11-22 2026-11-22T23:59:59Z 2026-11-22T00Z 2026-11-23T00Z
UTC hour:2026-11-22T12+00:00 2026-11-22T12:59Z 2026-11-22T12Z 2026-11-22T13Z
# ISO weeks begin on Monday; the first days of a year can belong to the last week of another
UTC week:2026-W47 2026-11-22T23:59Z 2026-11-16T00Z 2026-11-23T00Z
UTC week:2026-W53 2027-01-01T00:00Z 2026-12-28T00Z 2027-01-04T00Z
UTC week:2025-W01 2024-12-30T00:00Z 2024-12-30T00Z 2025-01-06T00Z
# Midnight in Berlin, not in UTC
Europe/Berlin day:2026-07-01 2026-07-01T21:59:59Z 2026-06-30T22Z 2026-07-01T22Z
Europe/Berlin day:2026-07-02 2026-07-01T22:00:00Z 2026-07-01T22Z 2026-07-02T22Z
Europe/Berlin month:2026-11 2026-10-31T23:00Z 2026-10-31T23Z 2026-11-30T23Z
# Berlin in spring: a day of 23 hours, an hour that does not exist, a shorter month and week
Europe/Berlin day:2026-03-29 2026-03-29T12:00Z 2026-03-28T23Z 2026-03-29T22Z
Europe/Berlin hour:2026-03-29T01+01:00 2026-03-29T00:30Z 2026-03-29T00Z 2026-03-29T01Z
Europe/Berlin hour:2026-03-29T03+02:00 2026-03-29T01:00Z 2026-03-29T01Z 2026-03-29T02Z
Europe/Berlin week:2026-W13 2026-03-29T21:59Z 2026-03-22T23Z 2026-03-29T22Z
Europe/Berlin month:2026-03 2026-03-01T00:00Z 2026-02-28T23Z 2026-03-31T22Z
# Berlin in autumn: a day of 25 hours, and the hour from two to three twice
Europe/Berlin day:2026-10-25 2026-10-25T12:00Z 2026-10-24T22Z 2026-10-25T23Z
Europe/Berlin hour:2026-10-25T02+02:00 2026-10-25T00:30Z 2026-10-25T00Z 2026-10-25T01Z
Europe/Berlin hour:2026-10-25T02+01:00 2026-10-25T01:30Z 2026-10-25T01Z 2026-10-25T02Z
# New York, on the other side of UTC
America/New_York day:2026-11-01 2026-11-01T04:00Z 2026-11-01T04Z 2026-11-02T05Z
America/New_York day:2026-10-31 2026-11-01T03:59Z 2026-10-31T04Z 2026-11-01T04Z
America/New_York month:2026-10 2026-11-01T03:59Z 2026-10-01T04Z 2026-11-01T04Z
America/New_York day:2026-03-08 2026-03-08T12:00Z 2026-03-08T05Z 2026-03-09T04Z
# Half an hour away from whole hours
Asia/Kolkata day:2026-11-23 2026-11-22T18:30Z 2026-11-22T18:30Z 2026-11-23T18:30Z
Asia/Kolkata hour:2026-11-22T23+05:30 2026-11-22T18:29Z 2026-11-22T17:30Z 2026-11-22T18:30Z
# Apia crossed the date line and had no 30 December 2011
Pacific/Apia day:2011-12-29 2011-12-30T09:59:59Z 2011-12-29T10Z 2011-12-30T10Z
Pacific/Apia day:2011-12-31 2011-12-30T10:00Z 2011-12-30T10Z 2011-12-31T10Z
Pacific/Apia month:2011-12 2011-12-30T10:00Z 2011-12-01T10Z 2011-12-31T10Z
# Santiago skips midnight, and has the hour before it twice
America/Santiago day:2026-09-06 2026-09-06T12:00Z 2026-09-06T04Z 2026-09-07T03Z
America/Santiago day:2026-04-04 2026-04-05T03:30Z 2026-04-04T03Z 2026-04-05T04Z
# Lord Howe moves its clocks by half an hour, in the middle of an hour
Australia/Lord_Howe hour:2026-04-05T01+11:00 2026-04-04T14:30Z 2026-04-04T14Z 2026-04-04T15Z
Australia/Lord_Howe hour:2026-04-05T01+10:30 2026-04-04T15:15Z 2026-04-04T15Z 2026-04-04T15:30Z
Australia/Lord_Howe hour:2026-10-04T02+11:00 2026-10-03T15:45Z 2026-10-03T15:30Z 2026-10-03T16Z
# Caracas did so once, half an hour past two
America/Caracas hour:2016-05-01T02-04:30 2016-05-01T06:45Z 2016-05-01T06:30Z 2016-05-01T07Z
"""
ROWS = [row.split() for row in TABLE.splitlines() if row and not row.startswith("#")]


@pytest.mark.parametrize(("timezone", "labelled", "now", "starts_at", "ends_at"), ROWS)
def test_a_window_has_its_key_and_exact_bounds(
    timezone: str, labelled: str, now: str, starts_at: str, ends_at: str
):
    kind, _, label = labelled.partition(":")
    account = window(kind, timezone, utc(now))  # type: ignore[arg-type]  # read from the table

    assert account.window == f"{kind}@{timezone}:{label}"
    assert (account.starts_at, account.ends_at) == (utc(starts_at), utc(ends_at))


def test_the_same_instant_counts_in_the_same_window_however_it_is_written():
    """Elsewhere budgets reset at midnight of the wrong zone."""
    instant = datetime(2026, 10, 31, 23, 30, tzinfo=UTC)
    tokyo = instant.astimezone(zoneinfo.ZoneInfo("Asia/Tokyo"))

    assert window("month", "Europe/Berlin", instant) == window("month", "Europe/Berlin", tokyo)
    assert window("month", "Europe/Berlin", instant).window == "month@Europe/Berlin:2026-11"
    assert window("month", "UTC", tokyo).window == "month@UTC:2026-10"


def test_a_new_window_is_a_new_account():
    """Elsewhere a late reset erased the new window's spend: here there is nothing to reset."""
    before = window("day", "Europe/Berlin", utc("2026-11-22T22:59:59Z"))
    after = window("day", "Europe/Berlin", utc("2026-11-22T23:00:00Z"))

    assert before.key == "team|acme/research|day@Europe/Berlin:2026-11-22"
    assert after.key == "team|acme/research|day@Europe/Berlin:2026-11-23"
    assert before.ends_at == after.starts_at


@given(
    st.sampled_from(["hour", "day", "week", "month"]),
    st.sampled_from(ZONES),
    st.datetimes(datetime(2012, 1, 1), datetime(2037, 1, 1)),  # noqa: DTZ001 - given UTC below
)
def test_windows_tile_time(kind: WindowKind, timezone: str, moment: datetime):
    now = moment.replace(tzinfo=UTC)
    account = window(kind, timezone, now)
    assert account.starts_at is not None
    assert account.ends_at is not None
    second = timedelta(seconds=1)

    assert account.starts_at <= now < account.ends_at
    assert window(kind, timezone, account.starts_at) == account
    assert window(kind, timezone, account.ends_at - second) == account
    assert window(kind, timezone, account.starts_at - second).ends_at == account.starts_at
    following = window(kind, timezone, account.ends_at)
    assert following.starts_at == account.ends_at
    assert following.key != account.key


@pytest.mark.parametrize("kind", ["task", "total"])
def test_windows_without_an_end_have_no_bounds(kind: WindowKind):
    rule = BudgetRule(scope="task", limit=USD, window=kind)

    assert account_for(rule, SCOPE, utc("2026-11-22T12:00Z")) == Account("task", "t1", kind)


def test_a_task_without_a_user_counts_on_no_users_budget():
    rule = BudgetRule(scope="user", limit=USD, window="day")

    assert account_for(rule, SCOPE, utc("2026-11-22T12:00Z")) is None


def test_a_naive_now_is_refused():
    rule = BudgetRule(scope="team", limit=USD, window="day")

    with pytest.raises(ValueError, match=r"datetime\.now\(UTC\)"):
        account_for(rule, SCOPE, datetime(2026, 11, 22))  # noqa: DTZ001 - the point


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"limit": Money(-1)}, "negative"),
        ({"finish_reserve": Money(-1)}, "negative"),
        ({"scope": "task", "finish_reserve": USD + Money(1)}, r"write \$1\.00 or less"),
        ({"finish_reserve": Money(1)}, "only the task's budget"),
        ({"window": "task"}, "write hour, day"),
        ({"timezone": "Europe/Berlln"}, "unknown time zone 'Europe/Berlln'"),
        ({"timezone": "../etc"}, "unknown time zone"),
        ({"timezone": "Europe"}, "unknown time zone"),
        ({"timezone": ""}, "unknown time zone"),
    ],
)
def test_a_rule_that_cannot_be_meant_is_refused(wrong: dict[str, object], message: str):
    given_rule: dict[str, object] = {"scope": "team", "limit": USD, **wrong}

    with pytest.raises(ValueError, match=message):
        BudgetRule(**given_rule)  # type: ignore[arg-type]  # wrong on purpose
