import io
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cli.main import main
from orchestrator.testing.upstream.recording import RecordedReply
from orchestrator.testing.upstream.server import Upstream

AGENTS = """
import asyncio
import pathlib
from typing import TypedDict

from langgraph.graph import StateGraph
from langgraph.types import interrupt

from orchestrator import step


class State(TypedDict, total=False):
    question: str
    plan: str
    answer: str


async def plan(state):
    print("a node prints this")
    reply = await step("plan").ask(f"Plan: {state['question']}")
    return {"plan": reply.text}


async def answer(state):
    reply = await step("answer").ask(f"A plan: {state['plan']} Answer: {state['question']}")
    return {"answer": reply.text}


async def ask_the_user(state):
    return {"answer": interrupt("which colour?")}


async def break_down(state):
    raise RuntimeError("the tool broke")


async def wait_for_go(state):
    pathlib.Path("waiting").touch()
    while not pathlib.Path("go").exists():
        await asyncio.sleep(0.01)
    return {}


def of(*nodes):
    graph = StateGraph(State)
    return graph.add_sequence(list(nodes)).set_entry_point(nodes[0].__name__)


graph = of(plan, answer)
asking = of(plan, ask_the_user)
broken = of(plan, break_down)
waiting = of(plan, wait_for_go, answer)
no_graph = {"plan": 1}
no_entry = StateGraph(State).add_node(plan)
"""
MODELS = """
models:
  small: {{model: openai/small, api_base: '{url}', max_output_tokens: 100,
          price: {{input: 0.10, output: 0.40}}}}
"""
RULES = """
budgets:
  task: {limit: 0.01 USD, finish_reserve: 0.001 USD}
  team: {limit: 1 USD, per: day}
limits: {timeout: 1m, model_calls: 50}
"""
REPLIES = (
    RecordedReply(
        model="small", prompt="Plan: Why?", response="Think.", input_tokens=40, output_tokens=20
    ),
    RecordedReply(
        model="small", prompt="Answer: Why?", response="42", input_tokens=60, output_tokens=30
    ),
)
COST_OF_PLAN, COST_OF_ANSWER = "0.000012000", "0.000018000"
INPUT = '{"question": "Why?"}'


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def said(self) -> str:
        """All that was printed, as one line."""
        return " ".join(f"{self.out} {self.err}".split())


Run = Callable[..., Done]


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    prices = {"small": {"input": "0.10", "output": "0.40"}}
    with Upstream(REPLIES, prices=prices).serve_in_thread() as serving:
        yield serving


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, upstream: Upstream) -> Iterator[Path]:
    """Where the user stands: with a graph, a policy and, once a task has run, a ledger."""
    (tmp_path / "agents.py").write_text(AGENTS)
    models = MODELS.format(url=upstream.url)
    (tmp_path / "policy.yaml").write_text(f"org: acme\nteam: research\n{models}{RULES}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ORCHESTRATOR_POLICY", "policy.yaml")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield tmp_path
    for name in ("agents", *(path.stem for path in tmp_path.glob("*.py"))):
        sys.modules.pop(name, None)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path) -> Run:
    """Run a command in this process, through the same door as a shell does."""

    def run(*arguments: str, stdin: str = "") -> Done:
        monkeypatch.setattr(sys, "argv", ["orchestrator", *arguments])
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return Done(int(ended.value.code or 0), out, err)

    return run


@pytest.fixture
def start(run: Run) -> Run:
    """Run a task of the agent ``solver`` on the recorded question."""

    def start(graph: str = "agents:graph", *arguments: str) -> Done:
        return run("run", graph, "--agent", "solver", "--input", INPUT, *arguments)

    return start
