"""What reports read, beside those who write."""

import sqlite3
from dataclasses import replace
from datetime import timedelta

import pytest

from orchestrator.core.errors import LedgerUnavailable
from orchestrator.core.money import Money
from orchestrator.core.usage import Usage
from orchestrator.ledger.afterwards import Correction
from orchestrator.ledger.factory import reader_from_url
from orchestrator.ledger.lessons import Lesson
from orchestrator.ledger.records import AttemptEnd
from orchestrator.ledger.stores.reading import Doubt, Total
from orchestrator.ledger.stores.sqlite import SqliteStore


@pytest.fixture(params=["sqlite", "postgres"])
def ledger_url(request, ledger_path):
    if request.param == "sqlite":
        return f"sqlite:///{ledger_path}"
    return request.getfixturevalue("postgres_url")


on_sqlite = pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)


@pytest.fixture
async def bank(ledger_url, ledger_path, open_bank):
    if ledger_url.startswith("sqlite"):
        return await open_bank(SqliteStore(ledger_path))
    postgres = pytest.importorskip("orchestrator.ledger.stores.postgres")
    return await open_bank(postgres.PostgresStore(ledger_url, server_clock=False))


@pytest.fixture
def reader(bank, ledger_url):
    with reader_from_url(ledger_url) as reader:
        yield reader


def total(group, attempts, **sums):
    made = {"known": 0, "estimated": 0, "unknown": 0, "overrun": 0}
    tokens = {"input_tokens": 0, "output_tokens": 0, "unknown_attempts": 0}
    tokens |= {name: sums.pop(name) for name in list(sums) if name in tokens}
    money = {name: Money(nano) for name, nano in {**made, **sums}.items()}
    return Total(group=group, attempts=attempts, **tokens, **money)


async def test_tasks_are_listed_newest_first_and_filtered(bank, reader, clock):
    for number in range(4):
        await bank.open_task(
            f"task-{number}",
            team="sales" if number == 1 else "research",
            agent="reader" if number == 2 else "writer",
        )
        clock.advance(seconds=1)
    await bank.close_task("task-3", output=("json", b"42"))

    def listed(**options):
        return [task.opening.scope.task_id for task in reader.tasks(**options)]

    assert listed() == ["task-3", "task-2", "task-1", "task-0"]
    assert listed(limit=2) == ["task-3", "task-2"]
    assert listed(status="completed") == ["task-3"]
    assert listed(team="sales") == ["task-1"]
    assert listed(team="research", agent="reader") == ["task-2"]
    assert listed(status="halted") == []
    assert reader.tasks(limit=1)[0].output is None
    assert reader.tasks()[-1].opening.input_body == b""


async def test_attempts_come_with_all_a_report_groups_by(bank, reader, clock):
    await bank.open_task(user=None)
    begun = clock.now()
    settled = await bank.hold(40, kind="retry")
    clock.advance(seconds=2)
    await bank.settle(
        settled,
        40,
        overrun=Money(2),
        usage=Usage(10, 5, 1, 2, 3),
        served_model="small-1",
        price_source="policy",
        error="cut",
    )
    await bank.hold(7)

    ended, still_open = reader.attempts()

    assert (ended.org, ended.team, ended.agent) == ("acme", "research", "writer")
    assert (ended.user, ended.tenant, ended.task_id) == (None, "research", "task-1")
    assert (ended.step, ended.model, ended.kind) == ("plan", "small", "retry")
    assert (ended.provider_model, ended.served_model) == ("openai/small", "small-1")
    assert (ended.end, ended.cost, ended.overrun) == ("settled", Money(42), Money(2))
    assert (ended.certainty, ended.price_source, ended.error) == ("known", "policy", "cut")
    assert ended.usage == Usage(10, 5, 1, 2, 3)
    assert (ended.at, ended.ended_at, ended.seconds) == (begun, clock.now(), 1.5)
    assert (still_open.end, still_open.cost, still_open.certainty) == (None, Money(7), "unknown")
    assert (still_open.ended_at, still_open.usage) == (None, None)


async def test_a_period_counts_an_attempt_when_it_began(bank, reader, clock):
    await bank.open_task()
    attempts = []
    for _ in range(3):
        attempts.append(await bank.hold(1))
        clock.advance(hours=1)
    last = clock.now() - timedelta(hours=1)

    def ids(**period):
        return [attempt.attempt_id for attempt in reader.attempts(**period)]

    assert ids() == attempts
    assert ids(since=last) == attempts[2:]
    assert ids(until=last) == attempts[:2]
    assert ids(since=last - timedelta(hours=1), until=last) == attempts[1:2]


async def test_totals_add_up_by_any_dimensions(bank, reader):
    await bank.open_task("task-1")
    await bank.open_task("task-2", agent="reader", user=None)
    known = await bank.hold(40)
    await bank.settle(known, 40, overrun=Money(2), usage=Usage(10, 5))
    estimated = await bank.hold(30, model="large")
    await bank.settle(estimated, 30, certainty="estimated")
    await bank.hold(5, task="task-2", step="classify")
    await bank.release(await bank.hold(9, task="task-2"))

    first = total((), 4, known=42, estimated=30, unknown=5, overrun=2)
    assert reader.totals([])[0].cost == first.cost == Money(77)
    assert reader.totals([]) == [
        total(
            (),
            4,
            known=42,
            estimated=30,
            unknown=5,
            unknown_attempts=1,
            overrun=2,
            input_tokens=10,
            output_tokens=5,
        )
    ]
    tokens = {"input_tokens": 10, "output_tokens": 5}
    assert reader.totals(["task", "model"]) == [
        total(("task-1", "small"), 1, known=42, overrun=2, **tokens),
        total(("task-1", "large"), 1, estimated=30),
        total(("task-2", "small"), 2, unknown=5, unknown_attempts=1),
    ]
    assert [it.group for it in reader.totals(["user"])] == [("u1",), (None,)]
    assert [it.group for it in reader.totals(["step"])] == [("plan",), ("classify",)]
    groups = reader.totals(["org", "team", "agent", "tenant"])
    assert [it.group for it in groups] == [
        ("acme", "research", "writer", "research"),
        ("acme", "research", "reader", "research"),
    ]


async def test_what_a_memo_answered_is_no_attempt_and_saved_something(bank, reader, clock):
    await bank.open_task()
    await bank.settle(await bank.hold(40, origin="eu/KEY_B"), 30, usage=Usage(10, 5))
    for kind, saved, seconds in (("memo", 7, 1.5), ("memo", 8, 2.0), ("person", 0, 0.0)):
        answered = bank.intent(0, kind=kind)
        made = {"end": "settled", "cost": Money.ZERO, "certainty": "known", "seconds": 0.1}
        made |= {"at": clock.now(), "saved": Money(saved), "saved_seconds": seconds}
        bank.ledger.free(answered, AttemptEnd(attempt_id=answered.attempt_id, **made), None)
    await bank.barrier()

    (everything,) = reader.totals([])
    assert everything == replace(
        total((), 1, known=30, input_tokens=10, output_tokens=5),
        hits=2,
        saved=Money(15),
        saved_seconds=3.5,
    )
    assert [one.saved for one in reader.attempts()] == [Money(n) for n in (0, 7, 8, 0)]
    assert [one.saved_seconds for one in reader.attempts()] == [0, 1.5, 2.0, 0]
    assert [one.group for one in reader.totals(["origin"])] == [("eu/KEY_B",), (None,)]
    assert [one.origin for one in reader.attempts()] == ["eu/KEY_B", None, None, None]


async def test_a_doubt_is_told_with_what_became_of_it(bank, reader, clock):
    await bank.open_task()
    held = [await bank.hold(40, step=step, model=f"m-{step}") for step in ("one", "two")]
    begun = clock.now()
    clock.advance(seconds=1)
    await bank.ledger.take_over("task-1", owner="process-2")
    made = {"cost": Money(45), "certainty": "known", "source": "usage.csv:2", "at": clock.now()}
    await bank.ledger.correct(Correction(attempt_id=held[1], **made))

    doubts = reader.doubts()

    assert [one.attempt_id for one in doubts] == held
    assert doubts[1] == Doubt(
        attempt_id=held[1],
        task_id="task-1",
        step="two",
        model="m-two",
        provider_model="openai/small",
        reserve=Money(40),
        at=begun,
        expires_at=begun + timedelta(seconds=130),
        cost=Money(45),
        source="usage.csv:2",
    )
    assert (doubts[0].cost, doubts[0].source) == (None, None)


async def test_attempts_in_doubt_count_as_unknown(bank, reader):
    await bank.open_task()
    await bank.hold(40)
    await bank.ledger.take_over("task-1", owner="process-2")

    assert reader.totals([]) == [total((), 1, unknown=40, unknown_attempts=1)]


async def test_totals_of_nothing_are_nothing(bank, reader):
    assert bank.is_open
    assert reader.totals([]) == [total((), 0)]
    assert reader.totals(["team"]) == []


@on_sqlite
async def test_reading_goes_on_while_another_writes(bank, reader, ledger_path, demand):
    await bank.open_task()
    other = sqlite3.connect(ledger_path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert reader.totals([])[0].attempts == 0
    other.execute("ROLLBACK")
    other.close()
    attempts = reader.attempts()

    await bank.hold(1, demand(100))

    assert len(list(attempts)) == 1
    assert reader.totals([])[0].attempts == 1


@on_sqlite
async def test_a_reader_cannot_write(bank, reader):
    await bank.open_task()

    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader._db.execute("UPDATE tasks SET status = 'failed'")


@on_sqlite
async def test_a_ledger_nobody_has_open_can_be_read(bank, ledger_path):
    await bank.open_task()
    await bank.aclose()

    with reader_from_url(f"sqlite:///{ledger_path}") as reader:
        assert len(reader.tasks()) == 1


def test_no_ledger_is_made_by_reading_one(tmp_path):
    with pytest.raises(LedgerUnavailable, match="no ledger at"):
        reader_from_url(f"sqlite:///{tmp_path}/ledger.db")

    assert list(tmp_path.iterdir()) == []


def test_what_is_no_ledger_cannot_be_read(tmp_path):
    (tmp_path / "empty.db").touch()

    with pytest.raises(LedgerUnavailable, match="no ledger this version can read"):
        reader_from_url(f"sqlite:///{tmp_path}/empty.db")
    with pytest.raises(LedgerUnavailable, match="cannot be read from here"):
        reader_from_url("memory://")


async def test_one_task_is_told_with_what_ran_inside_and_what_it_taught(bank, reader, demand):
    await bank.open_task()
    await bank.open_task("task-2", ancestors=("task-1",))
    await bank.open_task("task-3")
    held = await bank.hold(40, demand(100))
    await bank.settle(await bank.hold(10, demand(100), task="task-2"), 4)
    await bank.settle(await bank.hold(10, demand(100), task="task-3"), 5)
    await bank.ledger.take_over("task-1", owner="process-2")
    taught = {"tenant": "research", "step": "plan", "subject": "small", "body": {}}
    await bank.ledger.teach(
        [
            Lesson(kind=kind, task_id="task-1", at=bank.clock.now(), **taught)
            for kind in ("choice", "outcome")
        ]
    )

    assert reader.task("task-1").opening.scope.task_id == "task-1"
    assert reader.task("nothing") is None
    assert [one.task_id for one in reader.attempts_of("task-1")] == ["task-1", "task-2"]
    assert [one.kind for one in reader.lessons_of("task-1")] == ["choice", "outcome"]
    assert [one.kind for one in reader.lessons("research")] == ["outcome"]
    assert reader.taught() == ["research"]
    (doubt,) = reader.doubts()
    assert (doubt.attempt_id, doubt.reserve) == (held, Money(40))
    assert list(reader.renewals()) == []


async def test_what_a_memo_asked_anew_says_whether_it_was_still_so(bank, reader):
    await bank.open_task()
    for kind, checks in (
        ("refresh", {"unchanged": True, "schema": False}),
        ("rerun", {"unchanged": False, "schema": True}),
        ("audit", {"unchanged": True}),
        ("refresh", {"schema": True}),
    ):
        asked = await bank.hold(1, kind=kind)
        bank.ledger.decide(bank.decision(asked, step=kind, checks=checks))
    await bank.barrier()

    assert sorted(reader.renewals()) == [
        ("refresh", "refresh", False),
        ("refresh", "refresh", True),
        ("rerun", "rerun", False),
    ]
