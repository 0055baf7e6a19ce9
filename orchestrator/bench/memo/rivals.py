"""What the memo is measured against. Each is imported only if it is measured."""

from __future__ import annotations

import asyncio
import importlib
import multiprocessing
import os
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol, Self, TypedDict

import diskcache
from langgraph.graph import StateGraph

from orchestrator import Orchestrator, step
from orchestrator.core.scope import Scope
from orchestrator.memo.ask import Ask, Hit, Lease, Miss
from orchestrator.memo.disk import DiskStore
from orchestrator.memo.entry import Answer
from orchestrator.memo.key import model_content
from orchestrator.memo.memo import Memo
from orchestrator.memo.settings import MemoSettings
from orchestrator.models.protocol import Completion, ModelRequest
from orchestrator.models.scripted import ScriptedModel

_SCOPE = Scope(org="bench", team="bench", agent="bench", task_id="bench", tenant="bench")
_RULES = MemoSettings(fresh_for_s=86_400.0, share="team")


_POLICY = """
org: bench
team: bench
models: {scripted: {model: openai/scripted, price: {input: 1, output: 1}, max_output_tokens: 9}}
steps: {bench: {memo: {fresh_for: 1d, share: team}}}
"""


class Rival(Protocol):
    """Something that stores replies and gives them back."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    async def prepare(self, number: int, size: int) -> None:
        """Do what comes before storing, and is not part of it."""
        ...

    async def store(self, number: int, size: int) -> None:
        """Store a reply of ``size`` bytes to a prompt of ``size`` bytes."""
        ...

    async def hit(self, number: int, size: int) -> None:
        """Get that reply back.

        Raises:
            AssertionError: If it is not there.
        """
        ...


class MemoRival:
    """The memo alone: canonical key, lookup, freshness, the reply's bytes."""

    name = "memo"

    def __init__(self, directory: Path) -> None:
        """Keep entries under ``directory``."""
        self.memo = Memo(DiskStore(directory / "memo"))
        self._leases: dict[tuple[int, int], Lease] = {}

    async def prepare(self, number: int, size: int) -> None:
        """Look up, and miss."""
        found = await self.memo.lookup(_ask(number, size))
        assert isinstance(found, Miss)
        assert found.lease is not None
        self._leases[number, size] = found.lease

    async def store(self, number: int, size: int) -> None:
        """Put."""
        put = await self.memo.put(self._leases.pop((number, size)), _answer(size))
        assert put.stored

    async def hit(self, number: int, size: int) -> None:
        """Look up and hit."""
        found = await self.memo.lookup(_ask(number, size))
        assert isinstance(found, Hit)

    async def miss(self, number: int, size: int) -> None:
        """What a miss adds to asking: look up, and have nothing to put."""
        found = await self.memo.lookup(_ask(-number - 1, size))
        assert isinstance(found, Miss)
        self.memo.release(found.lease)


class _State(TypedDict):
    pass


class StepRival:
    """A hit as a graph sees it: a step of a running task asks, and is given its reply.

    With the journal's key, checks, events, the row in a ledger on disk and the reply object.
    """

    name = "step"

    async def prepare(self, number: int, size: int) -> None:
        """Ask and pay a scripted model."""
        await step("bench").ask(_prompt(number, size))

    async def store(self, number: int, size: int) -> None:
        """Nothing: it is stored when it is paid."""

    async def hit(self, number: int, size: int) -> None:
        """Ask again."""
        assert (await step("bench").ask(_prompt(number, size))).from_memo


async def in_a_task(directory: Path, work: Callable[[], Awaitable[None]]) -> None:
    """Run ``work`` inside a task whose steps have a memo, with a ledger and a memo on disk.

    Raises:
        RuntimeError: If the task does not complete.
    """
    policy = directory / "policy.yaml"
    policy.write_text(_POLICY)

    async def node(state: _State) -> _State:
        await work()
        return state

    graph = StateGraph(_State).add_node("bench", node).set_entry_point("bench")
    client = ScriptedModel(_echo)
    store = f"sqlite:///{directory / 'ledger.db'}"
    async with Orchestrator.from_policy(policy, store=store, client=client) as orchestrator:
        result = await orchestrator.run(graph, {}, agent="bench")
    if result.status != "completed":
        message = f"the measuring task {result.status}: {result.error or result.halt}"
        raise RuntimeError(message)


def _echo(request: ModelRequest) -> Completion:
    return Completion(text="y" * len(request.messages[0]["content"]), finish_reason="stop")


class DiskcacheRival:
    """diskcache as it comes: bytes under a key that someone else has made."""

    name = "diskcache"

    def __init__(self, directory: Path) -> None:
        """Keep values under ``directory``."""
        self._cache: Any = diskcache.Cache(str(directory / "diskcache"))

    async def prepare(self, number: int, size: int) -> None:
        """Nothing comes before."""

    async def store(self, number: int, size: int) -> None:
        """Set."""
        self._cache.set(f"{size}/{number}", bytes(size))

    async def hit(self, number: int, size: int) -> None:
        """Get."""
        assert self._cache.get(f"{size}/{number}") is not None


class LitellmRival(AbstractAsyncContextManager["LitellmRival"]):
    """litellm's disk cache through ``acompletion``, and ``acompletion`` without a cache.

    The library itself is the yardstick here, so it is not reached through our own client.
    """

    name = "litellm"

    def __init__(self, directory: Path) -> None:
        """Keep values under ``directory``; asks a server on this machine that answers at once."""
        self._directory = directory
        self._server = StubServer()
        self._library: Any = None

    async def __aenter__(self) -> Self:
        """Load the library and start the server."""
        os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
        self._server.__enter__()
        self._library, caching = await asyncio.to_thread(_import_litellm)
        self._library.cache = caching.Cache(
            type="disk", disk_cache_dir=str(self._directory / "litellm")
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop the server."""
        self._library.cache = None
        self._server.__exit__(None, None, None)

    async def prepare(self, number: int, size: int) -> None:
        """Nothing comes before."""

    async def store(self, number: int, size: int) -> None:
        """Ask; litellm stores the reply in a task of its own."""
        await self.ask(number, size, caching=True)

    async def hit(self, number: int, size: int) -> None:
        """Ask again."""
        try:
            reply = await self.ask(number, size, caching=True)
        except ImportError as error:
            message = (
                f"litellm: a hit of its disk cache loads its proxy, and {error}; pip install "
                "fastapi soundfile opentelemetry-api"
            )
            raise ImportError(message) from error
        assert reply._hidden_params.get("cache_hit"), "litellm did not hit its cache"  # noqa: SLF001 - the only place it says so

    async def ask(self, number: int, size: int, *, caching: bool = False) -> Any:  # noqa: ANN401 - litellm's own type
        """One completion."""
        return await self._library.acompletion(
            model="openai/stub",
            messages=[{"role": "user", "content": _prompt(number, size)}],
            api_base=self._server.address,
            api_key="none",
            max_retries=0,
            caching=caching,
        )


class LangchainRival:
    """langchain-community's ``SQLiteCache``, if it is installed."""

    name = "langchain"

    def __init__(self, directory: Path) -> None:
        """Keep replies under ``directory``.

        Raises:
            ImportError: If it is not installed.
        """
        try:
            caches = importlib.import_module("langchain_community.cache")
        except ImportError as error:
            message = f"langchain: {error}; pip install langchain-community"
            raise ImportError(message) from error
        outputs = importlib.import_module("langchain_core.outputs")
        self._generation = outputs.Generation
        self._cache = caches.SQLiteCache(database_path=str(directory / "langchain.db"))

    async def prepare(self, number: int, size: int) -> None:
        """Nothing comes before."""

    async def store(self, number: int, size: int) -> None:
        """Update."""
        reply = self._generation(text="y" * size)
        self._cache.update(_prompt(number, size), "model", [reply])

    async def hit(self, number: int, size: int) -> None:
        """Look up."""
        assert self._cache.lookup(_prompt(number, size), "model") is not None


class StubServer(AbstractContextManager["StubServer"]):
    """An OpenAI-compatible server in a process of its own, that answers at once.

    Its replies are as long as the prompt, as are those that the other rivals store.
    """

    def __init__(self) -> None:
        """Start nothing yet."""
        self.address = ""
        self._process: Any = None

    def __enter__(self) -> Self:
        """Start."""
        context = multiprocessing.get_context("spawn")
        here, there = context.Pipe()
        self._process = context.Process(target=_serve, args=(there,), daemon=True)
        self._process.start()
        self.address = here.recv()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self._process.terminate()
        self._process.join()


def _serve(pipe: Connection) -> None:
    from aiohttp import web  # noqa: PLC0415 - in the server's process only

    async def answer(request: web.Request) -> web.Response:
        asked = await request.json()
        reply = {"role": "assistant", "content": "y" * len(asked["messages"][0]["content"])}
        return web.json_response(
            {
                "id": "stub",
                "object": "chat.completion",
                "created": 1,
                "model": "stub",
                "choices": [{"index": 0, "finish_reason": "stop", "message": reply}],
                "usage": {"prompt_tokens": 10, "completion_tokens": 10, "total_tokens": 20},
            }
        )

    async def main() -> None:
        app = web.Application(client_max_size=2**24)
        app.router.add_post("/chat/completions", answer)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        pipe.send(f"http://{host}:{port}")
        await asyncio.Event().wait()

    asyncio.run(main())


def _prompt(number: int, size: int) -> str:
    return f"{number} ".ljust(size, "x")


def _ask(number: int, size: int) -> Ask:
    content = model_content([{"role": "user", "content": _prompt(number, size)}])
    return Ask(scope=_SCOPE, step="bench", settings=_RULES, content=content)


def _answer(size: int) -> Answer:
    return Answer(reply=bytes(size), model="bench", complete=True)


def _import_litellm() -> tuple[Any, Any]:
    import litellm  # noqa: PLC0415 - takes seconds; only where it is measured
    from litellm.caching import caching  # noqa: PLC0415 - the same

    return litellm, caching
