"""The ground on which promises are put to the proof: an upstream over HTTP, a ledger in a file."""

import asyncio
import importlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from types import ModuleType
from typing import Any, ClassVar

import pytest

from orchestrator import Money, Orchestrator
from orchestrator.ledger.factory import reader_from_url
from orchestrator.ledger.stores.reading import Spending
from orchestrator.testing.upstream.recording import RecordedReply
from orchestrator.testing.upstream.server import Upstream

PRICES = {"small": {"input": "1", "output": "1"}, "large": {"input": "10", "output": "10"}}
COST = Money(20_000)
"""Of one answer of the small model: 20 tokens at one micro-dollar. The large one takes tenfold."""

TEXT = "An answer that is long enough to come in several pieces when it is streamed."

NAMES = [f"t{number}" for number in range(1000 if os.environ.get("TORTURE") else 150)]
"""Of tasks that ask questions of their own."""


def recorded(question: str, *, model: str = "small", text: str = TEXT, **more) -> RecordedReply:
    return RecordedReply(
        model=model,
        prompt=question,
        query_id=question,
        response=text,
        **({"input_tokens": 10, "output_tokens": 10} | more),
    )


@dataclass
class Ground:
    """A folder with a policy and a ledger, and an upstream that bills."""

    folder: Path
    upstream: Upstream
    events: list[Any] = field(default_factory=list)
    url: str = ""
    recorded: ClassVar[Callable[..., RecordedReply]] = staticmethod(recorded)

    @property
    def path(self) -> Path:
        return self.folder / "ledger.db"

    @property
    def store(self) -> str:
        return self.url or f"sqlite:///{self.path}"

    def policy(
        self,
        text: str = "",
        *,
        models: Sequence[str] = ("small",),
        team: str = "research",
        org: str = "acme",
    ) -> Path:
        lines = [
            f"  {name}: {{model: openai/{name}, api_base: {self.upstream.url}, "
            f"max_output_tokens: 10, price: {{input: {PRICES[name]['input']}, "
            f"output: {PRICES[name]['output']}}}}}"
            for name in models
        ]
        path = self.folder / "policy.yaml"
        path.write_text("\n".join([f"org: {org}", f"team: {team}", "models:", *lines, text]))
        return path

    def orchestrator(
        self,
        text: str = "",
        *,
        models: Sequence[str] = ("small",),
        team: str = "research",
        org: str = "acme",
        **more: Any,
    ) -> Orchestrator:
        return Orchestrator.from_policy(
            self.policy(text, models=models, team=team, org=org),
            store=self.store,
            listeners=[self.events.append],
            **more,
        )

    def order(
        self, tasks: Sequence[dict[str, Any]], policy: str = "", *, graph: str = ""
    ) -> dict[str, Any]:
        """What a worker is told to do."""
        return {
            "policy": str(self.policy(policy)),
            "store": self.store,
            "graph": graph,
            "tasks": list(tasks),
        }

    def spendings(self) -> list[Spending]:
        """Every attempt in the ledger, oldest first."""
        with reader_from_url(self.store) as reader:
            return list(reader.attempts())

    def in_flight(self) -> set[str]:
        """Attempts without an end."""
        return {one.attempt_id for one in self.spendings() if one.end is None}

    def ledger_total(self) -> Money:
        return Money(sum(one.cost.nano for one in self.spendings()))

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with reader_from_url(self.store) as reader:
            return list(reader._query(query, ()))

    def bound(self) -> Money:
        """The reserve of every attempt so far, which must be the same."""
        ((reserve,),) = self.rows("SELECT DISTINCT reserve FROM attempt_records")
        return Money(reserve)

    def requests(self) -> Counter[str | None]:
        """How often the upstream was asked each question."""
        return Counter(entry.question for entry in self.upstream.log)

    def watch(self, account: str, limit: Money) -> None:
        """Let the store itself note each state of an account, and refuse none."""
        with sqlite3.connect(self.path) as db:
            db.executescript(f"""
                CREATE TABLE seen (committed INTEGER, settled INTEGER, reserved INTEGER);
                CREATE TRIGGER watch AFTER UPDATE ON accounts
                WHEN NEW.kind = '{account}' BEGIN
                    INSERT INTO seen VALUES (
                        NEW.settled + NEW.reserved + NEW.disputed, NEW.settled, NEW.reserved);
                END;
            """)
        db.close()


def _serving() -> Upstream:
    questions = ["question", *(f"<{number}>" for number in range(60))]
    replies = [recorded(one, model=model) for model in PRICES for one in questions]
    replies += [recorded(f"<{name}.{number}>") for name in NAMES for number in range(12)]
    return Upstream(replies, prices=PRICES)


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    """Answers whatever contains ``question``, a number in brackets, or a step of ``plans.py``."""
    async with _serving() as serving:
        yield serving


@pytest.fixture
def ground(tmp_path: Path, upstream: Upstream) -> Ground:
    return Ground(tmp_path, upstream)


@pytest.fixture(params=["sqlite", "postgres"])
def any_ground(request: pytest.FixtureRequest, ground: Ground) -> Ground:
    """The same on each database."""
    if request.param == "postgres":
        pytest.importorskip("psycopg")
        ground.url = request.getfixturevalue("postgres_url")
    return ground


@pytest.fixture
def ground_in_thread(tmp_path: Path) -> Iterator[Ground]:
    """The same for a test without an event loop."""
    with _serving().serve_in_thread() as serving:
        yield Ground(tmp_path, serving)


HERE = Path(__file__).parent


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Let ``plans:ten_steps`` be found here, as it is in the other process."""
    monkeypatch.syspath_prepend(HERE)
    return importlib.import_module("plans")


class Lives:
    """Another process, as often as wanted, one at a time: see ``worker.py``."""

    def __init__(self, mother: subprocess.Popen[str], lines: SimpleQueue[str]) -> None:
        self._mother = mother
        self._lines = lines
        self._pid: int | None = None

    async def begin(self, order: dict[str, Any]) -> int:
        """Start one; returns its process id once its orchestrator is open."""
        self._mother.stdin.write(json.dumps(order) + "\n")
        self._mother.stdin.flush()
        self._pid = (await self.heard())["is_open"]
        return self._pid

    async def put_to_sleep(self, *files: Path) -> None:
        """Stop it where it holds no lock: who is stopped in a write to SQLite keeps all others out.

        Args:
            files: The databases that it writes.
        """
        async with asyncio.timeout(30):
            while True:
                os.kill(self._pid, signal.SIGSTOP)
                while not _is_stopped(self._pid):
                    await asyncio.sleep(0.001)
                if all(map(_can_be_written, files)):
                    return
                self.wake()
                await asyncio.sleep(0.003)

    def wake(self) -> None:
        """Let it go on."""
        os.kill(self._pid, signal.SIGCONT)

    async def heard(self) -> dict[str, Any]:
        """The next line it says; its last has the key ``is_over``."""
        line = json.loads(await asyncio.to_thread(self._lines.get, timeout=60))
        if "is_over" in line:
            self._pid = None
        return line

    async def rest(self) -> list[dict[str, Any]]:
        """What it says until it is over."""
        said = []
        while "is_over" not in (line := await self.heard()):
            said.append(line)
        return said

    async def live(self, order: dict[str, Any]) -> list[dict[str, Any]]:
        """Start one and hear it to its end."""
        await self.begin(order)
        return await self.rest()

    def end(self) -> None:
        """Kill it if it still lives, so that the mother can have another."""
        if self._pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)
            while "is_over" not in json.loads(self._lines.get(timeout=60)):
                pass


def _is_stopped(pid: int) -> bool:
    state = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], stdout=subprocess.PIPE, text=True, check=False
    )
    return state.stdout.startswith("T")


def _can_be_written(file: Path) -> bool:
    db = sqlite3.connect(file, timeout=0, isolation_level=None)
    try:
        db.execute("BEGIN IMMEDIATE")
        db.execute("ROLLBACK")
    except sqlite3.OperationalError:
        return False
    else:
        return True
    finally:
        db.close()


@pytest.fixture(scope="session")
def mother() -> Iterator[tuple[subprocess.Popen[str], SimpleQueue[str]]]:
    lines: SimpleQueue[str] = SimpleQueue()
    with subprocess.Popen(
        [sys.executable, HERE / "worker.py"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parents[1])]),
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        },
    ) as process:
        # A test's own thread that waits for a line for ever would keep its loop from closing.
        listener = threading.Thread(target=lambda: deque(map(lines.put, process.stdout), 0))
        listener.start()
        assert json.loads(lines.get()) == {"is_ready": process.pid}
        yield process, lines
        os.killpg(process.pid, signal.SIGKILL)  # its children, if one hangs, are in its group
        listener.join()


@pytest.fixture
def lives(mother: tuple[subprocess.Popen[str], SimpleQueue[str]]) -> Iterator[Lives]:
    several = Lives(*mother)
    yield several
    several.end()
