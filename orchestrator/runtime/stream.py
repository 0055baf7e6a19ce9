"""A reply that arrives piece by piece."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass

from orchestrator.core.errors import OrchestratorError, StreamCut
from orchestrator.models.protocol import ModelCallError
from orchestrator.runtime.call import call
from orchestrator.runtime.run.places import Place
from orchestrator.runtime.run.request import AskRequest
from orchestrator.runtime.run.results import Reply
from orchestrator.runtime.run.task_run import TaskRun


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a streamed reply.

    Attributes:
        text: The text that came.
        reply: The whole reply, with the last piece only.
    """

    text: str
    reply: Reply | None = None


class ReplyStream:
    """Iterate over it for :class:`Piece`; afterwards :attr:`reply` is the whole reply."""

    def __init__(self, run: TaskRun, request: AskRequest, place: Place) -> None:
        """Nothing is asked before the first iteration."""
        self._run = run
        self._request = request
        self._place = place
        self._reply: Reply | None = None
        self._is_read = False

    @property
    def reply(self) -> Reply:
        """The whole reply.

        Raises:
            OrchestratorError: Before the stream has been read to its end.
        """
        if self._reply is None:
            message = "The stream has no reply yet: read it to its end first."
            raise OrchestratorError(message)
        return self._reply

    async def __aiter__(self) -> AsyncIterator[Piece]:
        """The pieces as they come; the last one carries the reply."""
        if self._is_read:
            message = "A stream is read once: keep its pieces, or take its .reply."
            raise OrchestratorError(message)
        self._is_read = True
        loop = asyncio.get_running_loop()
        pieces: asyncio.Queue[str | None] = asyncio.Queue()
        shown = False

        def from_engine(text: str) -> None:
            with suppress(RuntimeError):  # the reader's loop is closed: nobody reads any more
                loop.call_soon_threadsafe(pieces.put_nowait, text)

        asking = asyncio.create_task(
            call(self._run, self._request, self._place, on_text=from_engine)
        )
        asking.add_done_callback(lambda _: pieces.put_nowait(None))
        self._run.in_flight.keep(asking)
        while (text := await pieces.get()) is not None:
            shown = True
            yield Piece(text)
        try:
            self._reply = asking.result()
        except ModelCallError as error:
            message = f"The streamed reply of step {self._request.step!r} broke off: {error}"
            raise StreamCut(message) from error
        yield Piece("" if shown else self._reply.text, self._reply)
