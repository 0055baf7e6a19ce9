"""What is kept of prompts to learn from: hashed, per tenant, and gone with their user."""

import pytest
from langgraph.graph import START, StateGraph
from typing_extensions import TypedDict

from orchestrator import step
from orchestrator.core.sealing import ENCRYPTION_VARIABLE
from orchestrator.runtime.storage.forgetting import forget


class State(TypedDict, total=False):
    question: str
    labels: list[str]


async def ask(state: State) -> State:
    await step("s").ask(state["question"], labels=state["labels"])
    return {}


GRAPH = StateGraph(State).add_node("node", ask).add_edge(START, "node")


async def words(orchestrator, tenant="research"):
    found = await orchestrator._services.ledger.lessons(tenant)
    return [one.words for one in found if one.kind == "observation"]


async def run(orchestrator, question, *labels, **who):
    given = {"question": question, "labels": list(labels)}
    assert (await orchestrator.run(GRAPH, given, agent="a", **who)).status == "completed"


async def test_words_are_kept_as_numbers_and_none_of_what_is_secret(stage):
    async with stage.orchestrator("") as orchestrator:
        await run(orchestrator, "who wrote Faust", "private")
        await run(orchestrator, "what is the password", "secret")
        plain, secret = await words(orchestrator)
        lessons = await orchestrator._services.ledger.lessons("research")
    assert len(plain) == 3
    assert secret == {}
    assert "faust" not in str(lessons).lower()


async def test_forgetting_a_user_erases_what_was_asked_and_leaves_what_was_learned(stage):
    async with stage.orchestrator("") as orchestrator:
        await run(orchestrator, "who wrote Faust", user="u1")
        await run(orchestrator, "who wrote Hamlet", user="u2")
        await run(orchestrator, "who wrote Macbeth", user="u1", tenant="other")
    await forget(stage.store, "u1", tenant="research")
    async with stage.orchestrator("") as orchestrator:
        first, second = await words(orchestrator)
        (elsewhere,) = await words(orchestrator, "other")
    assert first == {}
    assert len(second) == len(elsewhere) == 3


async def test_where_bodies_are_encrypted_no_words_are_kept(stage, monkeypatch):
    fernet = pytest.importorskip("cryptography.fernet")
    monkeypatch.setenv(ENCRYPTION_VARIABLE, fernet.Fernet.generate_key().decode())
    async with stage.orchestrator("") as orchestrator:
        await run(orchestrator, "who wrote Faust")
        assert await words(orchestrator) == [{}]
