"""``orchestrator memo`` on what tasks left behind."""

import json
import sqlite3
from typing import TypedDict

import pytest
from langgraph.graph import StateGraph
from typer.testing import CliRunner

from orchestrator import step
from orchestrator.cli.main import app
from orchestrator.ledger.factory import reader_from_url
from orchestrator.ledger.stores.sqlite_reading import SqliteReader

POLICY = """
steps: {plan: {memo: {fresh_for: 1h, share: team}}}
keep_bodies: 30d
"""


class State(TypedDict, total=False):
    question: str
    answer: str


async def node(state: State) -> State:
    return {"answer": (await step("plan").ask(state["question"])).text}


GRAPH = StateGraph(State).add_node("ask", node).set_entry_point("ask")


def run(stage, *words):
    done = CliRunner().invoke(app, ["memo", *words, "--store", stage.store, "--json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.output)


def everything(stage) -> bytes:
    return b"".join(path.read_bytes() for path in stage.folder.rglob("*") if path.is_file())


async def played(stage):
    async with stage.orchestrator(POLICY) as orchestrator:
        for user, question in (("u42", "alpha"), ("u42", "alpha"), ("u7", "beta")):
            await orchestrator.run(GRAPH, {"question": question}, agent="a", user=user)


async def test_forgetting_a_user_leaves_the_money_and_nothing_they_said(stage, invoked):
    await played(stage)
    assert b"alpha" in everything(stage)
    gone = await invoked(run, stage, "forget", "--user", "u42", "--tenant", "research")
    assert (gone["entries"], gone["tasks"], gone["checkpoints"], gone["running"]) == (1, 2, 2, [])
    assert gone["bodies"] == 6
    assert b"alpha" not in everything(stage)
    assert b"beta" in everything(stage)
    with SqliteReader(stage.folder / "ledger.db") as reader:
        assert [row.cost.nano for row in reader.attempts()] == [20_000, 0, 20_000]
    again = await invoked(run, stage, "forget", "--user", "u42")
    assert (again["entries"], again["bodies"], again["checkpoints"]) == (0, 0, 0)


def on_server(url) -> bytes:
    """Every row of every table."""
    postgres = pytest.importorskip("orchestrator.ledger.stores.postgres_connection")
    place = postgres.place_from_url(url)
    with postgres.connect(place) as db:
        tables = db.execute(
            "SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = %s", (place.schema,)
        ).fetchall()
        rows = [db.execute(f"SELECT * FROM {table}").fetchall() for (table,) in tables]
    return repr(rows).encode()


async def test_on_postgresql_a_user_is_forgotten_and_the_memo_lies_on_this_machine(
    stage, invoked, postgres_url, monkeypatch
):
    stage.elsewhere = postgres_url
    monkeypatch.chdir(stage.folder)
    await played(stage)
    assert len(list(stage.folder.glob(".orchestrator/postgresql-*/memo"))) == 1
    assert b"alpha" in on_server(postgres_url)
    stats = await invoked(run, stage, "stats")
    assert (stats["entries"], stats["saved"][0]["hits"]) == (2, 1)
    gone = await invoked(run, stage, "forget", "--user", "u42")
    assert (gone["entries"], gone["tasks"], gone["checkpoints"], gone["bodies"]) == (1, 2, 2, 6)
    assert b"alpha" not in on_server(postgres_url)
    assert b"beta" in on_server(postgres_url)
    with reader_from_url(postgres_url) as reader:
        assert [row.cost.nano for row in reader.attempts()] == [20_000, 0, 20_000]
    again = await invoked(run, stage, "forget", "--user", "u42")
    assert (again["entries"], again["bodies"], again["checkpoints"]) == (0, 0, 0)


async def test_another_tenant_of_the_same_name_is_left_alone(stage, invoked):
    await played(stage)
    gone = await invoked(run, stage, "forget", "--user", "u42", "--tenant", "other")
    assert (gone["entries"], gone["tasks"], gone["bodies"]) == (0, 0, 0)
    assert b"alpha" in everything(stage)


async def test_stats_say_what_was_saved_by_step(stage, invoked):
    await played(stage)
    stats = await invoked(run, stage, "stats")
    (saved,) = stats["saved"]
    assert (saved["step"], saved["hits"], saved["saved_usd"]) == ("plan", 1, "0.000020000")
    assert saved["hit_rate"] == 1 / 3
    assert stats["entries"] == 2


async def test_the_ledger_stays_sound_with_hits_in_it(stage):
    await played(stage)
    async with stage.orchestrator(POLICY) as orchestrator:
        found = await orchestrator._services.ledger.verify()
    assert found.is_sound
    with sqlite3.connect(stage.folder / "ledger.db") as db:
        ((holds,),) = db.execute("SELECT count(*) FROM holds").fetchall()
    db.close()
    assert holds == 0
