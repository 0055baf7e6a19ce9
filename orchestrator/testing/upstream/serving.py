"""Listening on an address of this machine, on this event loop or on one in a thread."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from aiohttp import web

LARGEST_REQUEST = 64 * 1024 * 1024
_START_TIMEOUT_S = 30.0
_STOP_TIMEOUT_S = 0.05  # for requests under way; 0 would mean for ever


class Serving(ABC):
    """An HTTP server; a context manager on an event loop."""

    def __init__(self, host: str, port: int) -> None:
        """Listen on ``host`` and ``port`` (0: any free one) once it is entered."""
        self._host = host
        self._port = port
        self._runner: web.AppRunner | None = None
        self._url: str | None = None

    @abstractmethod
    def _application(self) -> web.Application:
        """What answers."""

    @property
    def url(self) -> str:
        """The address for ``api_base``, with ``/v1``."""
        assert self._url is not None, "enter the upstream first"
        return self._url

    async def __aenter__(self) -> Self:
        """Listen.

        Raises:
            OSError: If the address is taken.
        """
        # A handler whose client left is cancelled: that is how the upstream sees it leave.
        self._runner = web.AppRunner(
            self._application(),
            access_log=None,
            handler_cancellation=True,
            shutdown_timeout=_STOP_TIMEOUT_S,
        )
        await self._runner.setup()
        try:
            site = web.TCPSite(self._runner, self._host, self._port)
            await site.start()
        except OSError:
            await self._runner.cleanup()
            raise
        host = f"[{self._host}]" if ":" in self._host else self._host
        self._url = f"http://{host}:{self._runner.addresses[0][1]}/v1"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop; requests that still hang are dropped."""
        assert self._runner is not None, "entered"
        await self._runner.cleanup()

    @contextlib.contextmanager
    def serve_in_thread(self) -> Iterator[Self]:
        """Serve on an event loop in a thread of its own, for tests without one."""
        ready = threading.Event()
        problem: list[BaseException] = []
        stopping: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

        async def serve() -> None:
            async with self:
                stop = asyncio.Event()
                stopping.append((asyncio.get_running_loop(), stop))
                ready.set()
                await stop.wait()

        def run() -> None:
            try:
                asyncio.run(serve())
            except BaseException as error:  # noqa: BLE001 - raised again in the waiting thread
                problem.append(error)
            finally:
                ready.set()

        thread = threading.Thread(target=run, name="upstream", daemon=True)
        thread.start()
        try:
            assert ready.wait(_START_TIMEOUT_S), "the upstream did not start"
            if not problem:
                yield self
        finally:
            for loop, stop in stopping:
                loop.call_soon_threadsafe(stop.set)
            thread.join()
        if problem:
            raise problem[0]
