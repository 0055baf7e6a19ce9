"""The event loop on which attempts run, out of reach of what an agent does to its own loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class Engine:
    """A thread with an event loop of its own.

    An attempt holds money from its reservation to its settlement, so nothing an agent does may
    stop it half-way: not a cancelled node, not a blocked loop, not a full thread pool. On a loop
    that only the runtime uses, it always comes to its end.
    """

    def __init__(self) -> None:
        """Prepare; nothing runs before :meth:`start`."""
        self._loop = asyncio.new_event_loop()
        self._stopped = asyncio.Event()
        self._work: set[Future[Any]] = set()
        self._thread = threading.Thread(target=self._run, name="orchestrator-engine", daemon=True)

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The engine's loop."""
        return self._loop

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def submit(self, work: Coroutine[object, object, T]) -> Future[T]:
        """Run ``work`` on the engine's loop; the future may be awaited from any loop or thread."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        self._work.add(future)
        future.add_done_callback(self._work.discard)
        return future

    async def idle(self) -> None:
        """Wait until no work is left, whoever submitted it and may have gone."""
        while self._work:
            await asyncio.wait([asyncio.wrap_future(mirror(one)) for one in tuple(self._work)])

    def stop(self) -> None:
        """Stop the loop and wait for the thread."""
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join()

    def _run(self) -> None:
        # A runner also ends what libraries left running on the loop (LiteLLM has a logger there).
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._stopped.wait())


def mirror(future: Future[T]) -> Future[None]:
    """A future that ends when ``future`` does, and whose cancellation leaves ``future`` alone."""
    image: Future[None] = Future()

    def follow(_: Future[T]) -> None:
        if image.set_running_or_notify_cancel():
            image.set_result(None)

    future.add_done_callback(follow)
    return image
