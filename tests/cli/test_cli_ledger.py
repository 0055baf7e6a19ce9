"""``orchestrator ledger``: what is in doubt, what it cost after all, whether the sums are right."""

import asyncio
import sqlite3
from datetime import UTC, datetime, timedelta

import pytest

from orchestrator.core.clock import SystemClock
from orchestrator.core.money import Money
from orchestrator.core.scope import Scope
from orchestrator.ledger.factory import ledger_from_url
from orchestrator.ledger.records import Account, AttemptIntent, Demand, TaskOpening

TEAM = Account("team", "acme/research", "total")
SENT_AT = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)


@pytest.fixture(params=["sqlite", "postgres"])
def url(request, folder):
    """Of a ledger in which two attempts are open whose owner is gone for an hour."""
    if request.param == "sqlite":
        url = f"sqlite:///{folder / 'ledger.db'}"
    else:
        pytest.importorskip("psycopg")
        url = request.getfixturevalue("postgres_url")

    async def leave() -> None:
        ledger = ledger_from_url(url, clock=SystemClock())
        await ledger.open()
        scope = Scope(org="acme", team="research", agent="a", task_id="t", tenant="research")
        await ledger.open_task(
            TaskOpening(
                scope=scope,
                owner="gone",
                graph="g",
                policy="p",
                input_type="json",
                input_body=b"1",
                at=SENT_AT,
            )
        )
        for number, name in enumerate(("first", "second")):
            at = SENT_AT + timedelta(minutes=10 * number)
            intent = AttemptIntent(
                attempt_id=name,
                task_id="t",
                epoch=1,
                key=name,
                request_hash="h",
                step="plan",
                kind="ask",
                model="small",
                provider_model="openai/small",
                reserve=Money.from_usd("0.25"),
                expires_at=at + timedelta(milliseconds=1),
                at=at,
            )
            await ledger.reserve(intent, [Demand(TEAM, Money.from_usd("1"))])
        await ledger.aclose()

    asyncio.run(leave())
    return url


def committed(run, url):
    report = run("report", "cost", "--by", "team", "--store", url, "--json").json
    return [(one["known_usd"], one["in_doubt_usd"]) for one in report]


def test_doubts_are_listed_resolved_and_never_vanish(run, url):
    listed = run("ledger", "doubts", "--store", url, "--json").json
    assert [(one["attempt_id"], one["held_usd"], one["cost_usd"]) for one in listed] == [
        ("first", "0.250000000", None),
        ("second", "0.250000000", None),
    ]
    assert "second" in run("ledger", "doubts", "--store", url).out

    done = run("ledger", "doubts", "resolve", "first", "--cost", "0.1", "--store", url)
    assert (done.code, done.out) == (0, "first: $0.10, by hand\n")

    assert [
        one["attempt_id"] for one in run("ledger", "doubts", "--store", url, "--json").json
    ] == ["second"]
    every = run("ledger", "doubts", "--all", "--store", url, "--json").json
    assert [(one["attempt_id"], one["cost_usd"], one["source"]) for one in every] == [
        ("first", "0.100000000", "by hand"),
        ("second", None, None),
    ]
    assert committed(run, url) == [("0.100000000", "0.250000000")]
    assert run("ledger", "verify", "--store", url).code == 0


def test_a_usage_file_resolves_what_is_clear_and_lists_the_rest(run, url, folder):
    run("ledger", "doubts", "--store", url)
    usage = folder / "usage.csv"
    usage.write_text(
        "time,model,cost_usd\n"
        f"{SENT_AT:%Y-%m-%dT%H:%M:%SZ},small,0.2\n"
        f"{SENT_AT - timedelta(hours=3):%Y-%m-%dT%H:%M:%SZ},small,0.7\n"
    )
    tried = run("ledger", "reconcile", str(usage), "--dry-run", "--store", url)
    assert "first would cost $0.20 (usage.csv:2)" in tried.out
    assert committed(run, url) == [("0.000000000", "0.500000000")]

    done = run("ledger", "reconcile", str(usage), "--store", url, "--json")

    assert done.code == 1
    assert done.json == {
        "resolved": [{"attempt_id": "first", "line": 2, "cost_usd": "0.200000000"}],
        "ambiguous": [],
        "missing": ["second"],
        "foreign_lines": 1,
    }
    assert committed(run, url) == [("0.200000000", "0.250000000")]
    usage.write_text("time,model,cost_usd,request_id\n2026-01-01,other,0,second\n")
    assert run("ledger", "reconcile", str(usage), "--store", url).code == 0
    assert committed(run, url) == [("0.200000000", "0.000000000")]


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_whatever_is_wrong_is_found(run, url, folder):
    assert run("ledger", "verify", "--store", url, "--json").json["is_sound"]
    with sqlite3.connect(folder / "ledger.db") as db:
        db.execute("UPDATE accounts SET settled = settled + 1, starts_at_us = 0, ends_at_us = 1")
        db.execute("DELETE FROM holds WHERE seq = 2")
    db.close()

    found = run("ledger", "verify", "--store", url)

    assert found.code == 1
    for text in (
        "team|acme/research|total: stored $0.500000001, its attempts say $0.50",
        "open attempt second has no hold",
        "attempt first lies outside of the window of team|acme/research|total",
        "1 account, 2 attempts: not sound",
    ):
        assert text in found.out


def test_mistakes_are_told(run, folder):
    (folder / "usage.csv").write_text("when\n")
    assert run("ledger", "doubts", "--store", "sqlite:///none.db").code == 2
    assert not (folder / "none.db").exists()
    assert "no column" in run("ledger", "reconcile", "usage.csv").err
    run("run", "agents:graph", "--agent", "solver", "--input", '{"question": "Why?"}')
    assert "no attempt nobody" in run("ledger", "doubts", "resolve", "nobody", "--cost", "1").said
    assert run("ledger", "doubts", "resolve", "nobody", "--cost", "much").code == 2
    assert run("ledger", "doubts").out == "No attempt is in doubt.\n"
