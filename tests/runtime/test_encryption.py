"""With a key, what was said lies in no file that can be read; without it, nothing is lost."""

import json
from typing import TypedDict

import psycopg
import pytest
from cryptography.fernet import Fernet
from langgraph.graph import StateGraph
from langgraph.types import interrupt
from typer.testing import CliRunner

from orchestrator import step
from orchestrator.cli.main import app
from orchestrator.core.errors import OrchestratorError
from orchestrator.core.sealing import EncryptionError
from orchestrator.ledger.stores.postgres_connection import place_from_url
from orchestrator.runtime.tool_cost import tool_cost

VARIABLE = "ORCHESTRATOR_ENCRYPTION_KEY"
PLANTED = (b"marigold", b"foxglove", b"lavender", b"periwinkle")
POLICY = """
steps: {plan: {memo: {fresh_for: 1h, share: team}}}
keep_bodies: 30d
"""
FIRST, SECOND = Fernet.generate_key().decode(), Fernet.generate_key().decode()


class State(TypedDict, total=False):
    question: str
    plan: str
    found: str
    answer: str


@tool_cost(journal=True)
async def search(words: str) -> str:
    return f"lavender, for {words}"


async def plan(state: State) -> State:
    return {"plan": (await step("plan").ask(state["question"])).text}


async def find(state: State) -> State:
    return {"found": await search(state["plan"])}


async def answer(state: State) -> State:
    said = interrupt("is periwinkle right?")
    return {"answer": f"{state['plan']} {state['found']} {said}"}


GRAPH = StateGraph(State).add_sequence([plan, find, answer]).set_entry_point("plan")


def script(_request):
    return "foxglove"


def files(stage) -> bytes:
    return b"".join(path.read_bytes() for path in stage.folder.rglob("*") if path.is_file())


def found(heap: bytes) -> list[bytes]:
    return [secret for secret in PLANTED if secret in heap]


async def halted(stage, looked=files):
    """A task with an input, a reply, a tool's result and a question; what lies there meanwhile."""
    async with stage.orchestrator(POLICY, script=script) as orchestrator:
        result = await orchestrator.run(GRAPH, {"question": "marigold?"}, agent="a", user="u42")
        assert (result.status, "periwinkle" in result.halt.detail) == ("halted", True)
        return result.task_id, looked(stage)


async def resumed(stage, task_id):
    async with stage.orchestrator(POLICY, script=script) as orchestrator:
        return await orchestrator.resume(task_id, graph=GRAPH, answer="yes")


async def test_without_a_key_everything_said_lies_there(stage):
    _, meanwhile = await halted(stage)

    assert found(meanwhile) == list(PLANTED)


async def test_nothing_said_lies_in_any_file_and_a_resume_goes_on(stage, monkeypatch):
    monkeypatch.setenv(VARIABLE, FIRST)
    task_id, meanwhile = await halted(stage)
    result = await resumed(stage, task_id)
    async with stage.orchestrator(POLICY, script=script) as orchestrator:
        again = await orchestrator.resume(task_id)
        other = await orchestrator.run(GRAPH, {"question": "marigold?"}, agent="a")

    assert found(meanwhile + files(stage)) == []
    assert result.output == again.output
    assert result.output["answer"] == "foxglove lavender, for foxglove yes"
    assert other.partial["plan"] == "foxglove"
    assert stage.asked == ["marigold?"]  # journaled, and remembered by the memo


@pytest.mark.parametrize("key", ["", SECOND], ids=["none", "another"])
async def test_without_the_right_key_nothing_is_read_and_nothing_lost(stage, monkeypatch, key):
    monkeypatch.setenv(VARIABLE, FIRST)
    task_id, _ = await halted(stage)
    monkeypatch.setenv(VARIABLE, key)
    with pytest.raises(EncryptionError, match=VARIABLE):
        await resumed(stage, task_id)

    monkeypatch.setenv(VARIABLE, f"{SECOND},{FIRST}")
    result = await resumed(stage, task_id)

    assert result.status == "completed"
    assert stage.asked == ["marigold?"]


async def test_a_memo_under_another_key_is_a_miss_that_says_why(stage, monkeypatch):
    monkeypatch.setenv(VARIABLE, FIRST)
    await halted(stage)
    monkeypatch.setenv(VARIABLE, SECOND)

    await halted(stage)

    assert stage.asked == ["marigold?", "marigold?"]
    assert any(VARIABLE in (getattr(event, "error", None) or "") for event in stage.events)


async def test_what_was_written_before_there_was_a_key_is_read(stage, monkeypatch):
    task_id, _ = await halted(stage)
    monkeypatch.setenv(VARIABLE, FIRST)

    assert (await resumed(stage, task_id)).status == "completed"
    assert stage.asked == ["marigold?"]


async def test_a_user_is_forgotten_without_the_key(stage, monkeypatch, invoked):
    monkeypatch.setenv(VARIABLE, FIRST)
    await halted(stage)
    monkeypatch.delenv(VARIABLE)

    command = ["memo", "forget", "--user", "u42", "--store", stage.store, "--json"]
    done = await invoked(CliRunner().invoke, app, command)

    assert done.exit_code == 0, done.output
    assert '"entries": 1' in done.output
    assert '"checkpoints": 1' in done.output
    assert b"sealed1" not in files(stage)


async def test_on_postgresql_nothing_said_lies_in_any_table(stage, postgres_url, monkeypatch):
    stage.elsewhere = postgres_url
    monkeypatch.chdir(stage.folder)
    task_id, _ = await halted(stage)  # before there was a key
    monkeypatch.setenv(VARIABLE, FIRST)
    assert (await resumed(stage, task_id)).status == "completed"
    async with stage.orchestrator(POLICY, script=script) as orchestrator:
        result = await orchestrator.run(
            GRAPH, {"question": "marigold?"}, agent="a", task_id="sealed"
        )
        assert result.status == "halted"

    assert (await resumed(stage, "sealed")).status == "completed"
    assert found(tables(postgres_url, "sealed")) == []
    assert found(tables(postgres_url, task_id)) != []


def tables(url: str, task_id: str) -> bytes:
    """All that a database holds of a task, as far as its id stands in the row."""
    place = place_from_url(url)
    with psycopg.connect(place.conninfo) as connection:
        connection.execute("SELECT set_config('search_path', %s, false)", (place.search_path,))
        names = connection.execute(
            "SELECT quote_ident(table_name) FROM information_schema.tables"
            " WHERE table_type = 'BASE TABLE' AND table_schema = current_schema()"
        ).fetchall()
        assert len(names) > 10
        tables = [connection.execute(f"SELECT * FROM {name}").fetchall() for (name,) in names]
    rows = [row for table in tables for row in table if task_id in row]
    return b"\n".join(
        one if isinstance(one, bytes) else str(one).encode() for row in rows for one in row
    )


async def test_what_is_no_key_is_refused_without_showing_it(stage, monkeypatch):
    monkeypatch.setenv(VARIABLE, "marigold-marigold")

    with pytest.raises(OrchestratorError, match=r"generate_key") as refused:
        await halted(stage)

    assert "marigold" not in str(refused.value)


@pytest.mark.parametrize(
    ("key", "said"),
    [("", "off"), (FIRST, "on"), ("x", "generate_key")],
    ids=["none", "one", "no key at all"],
)
def test_the_doctor_tells_whether_there_is_a_key(stage, monkeypatch, key, said):
    monkeypatch.setenv(VARIABLE, key)
    done = CliRunner().invoke(app, ["doctor", "--store", stage.store, "--json"])

    found = {one["what"]: one for one in json.loads(done.output)["findings"]}
    assert said in found["encryption"]["detail"]
    assert found["encryption"]["state"] == ("wrong" if key == "x" else "ok")
