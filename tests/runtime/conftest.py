import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, TypedDict

import pytest
from langgraph.graph import StateGraph

from orchestrator import Money, Orchestrator, step
from orchestrator.core.usage import Usage
from orchestrator.ledger.factory import reader_from_url
from orchestrator.ledger.stores.reading import LedgerReader
from orchestrator.models.protocol import Completion, ModelRequest
from orchestrator.models.scripted import ScriptedModel, question

MODELS = """
models:
  small: {model: openai/small, max_output_tokens: 10, price: {input: 1, output: 1}}
  large: {model: openai/large, max_output_tokens: 10, price: {input: 10, output: 10}}
"""


def spends(tokens: int, text: str = "") -> Completion:
    """A reply billed at ``tokens`` tokens: that many micro-dollars with the small model."""
    return Completion(
        text=text or "ok", finish_reason="stop", usage=Usage(tokens - 1, 1), served_model="m"
    )


class Asked(TypedDict, total=False):
    """The state of a graph that asks its question."""

    question: str
    answer: str
    from_memo: bool
    cost: Money


@dataclass
class Stage:
    """A folder with a policy and a ledger, on which orchestrators of several lives play.

    ``price`` is that of one answer, as long as no script gives another.
    """

    price: ClassVar[Money] = Money(20_000)
    folder: Path
    elsewhere: str = ""
    asked: list[str] = field(default_factory=list)
    events: list[Any] = field(default_factory=list)

    @property
    def store(self) -> str:
        return self.elsewhere or f"sqlite:///{self.folder / 'ledger.db'}"

    def policy(self, text: str = "", *, models: str = MODELS) -> Path:
        path = self.folder / "policy.yaml"
        path.write_text(f"org: acme\nteam: research\n{models}\n{text}")
        return path

    def orchestrator(
        self,
        text: str = "",
        *,
        script: Callable[[ModelRequest], Any] | Mapping[str, Any] | Sequence[Any] | None = None,
        client: Any = None,
        models: str = MODELS,
        **more: Any,
    ) -> Orchestrator:
        model = client or ScriptedModel(script or (lambda _: spends(20)))
        asked, ask = self.asked, model.ask

        async def recorded(request: ModelRequest, **rest: Any) -> Completion:
            asked.append(question(request.messages))
            return await ask(request, **rest)

        model.ask = recorded
        return Orchestrator.from_policy(
            self.policy(text, models=models),
            store=self.store,
            client=model,
            listeners=[self.events.append],
            **more,
        )

    @staticmethod
    def graph(node: Callable[..., Any]) -> Any:
        """A graph of one node."""
        return StateGraph(Asked).add_node("ask", node).set_entry_point("ask")

    def asking(self, name: str = "plan", **how: Any) -> Any:
        """A graph that asks its question of one step."""

        async def ask(state: Asked) -> Asked:
            reply = await step(name).ask(state["question"], **how)
            return {"answer": reply.text, "from_memo": reply.from_memo, "cost": reply.cost}

        return self.graph(ask)

    async def ask(
        self, orchestrator: Orchestrator, question: str = "q", *, graph: Any = None, **who: Any
    ) -> Any:
        """Run a task that asks, of an agent `a`."""
        who = {"agent": "a", **who}
        return await orchestrator.run(graph or self.asking(), {"question": question}, **who)

    def reader(self) -> LedgerReader:
        """Reads the ledger."""
        return reader_from_url(self.store)

    def rows(self, path: Path | None = None) -> list[Any]:
        """The attempts in the ledger."""
        with reader_from_url(f"sqlite:///{path}" if path else self.store) as reader:
            return list(reader.attempts())


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


@pytest.fixture(params=["sqlite", "postgres"])
def stage_on_each_store(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Stage:
    """A module whose fixture ``stage`` is this one plays on both stores."""
    monkeypatch.chdir(tmp_path)
    elsewhere = request.getfixturevalue("postgres_url") if request.param == "postgres" else ""
    return Stage(tmp_path, elsewhere)


@pytest.fixture
def invoked() -> Callable[..., Any]:
    """Runs a command of the command line, which starts a loop of its own, beside this one."""
    return asyncio.to_thread
