"""Model clients that record answers once and give them again for nothing, without a network."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable

from orchestrator.core.usage import Usage
from orchestrator.models.protocol import (
    Completion,
    ModelCallError,
    ModelClient,
    ModelRequest,
    ToolCall,
)
from orchestrator.models.scripted import question
from orchestrator.testing.upstream.answers import within_limit
from orchestrator.testing.upstream.index import ReplyIndex, UnknownQuestion
from orchestrator.testing.upstream.recording import RecordedReply, Recording
from orchestrator.testing.upstream.writing import RecordingWriter

_PIECE_LENGTH = 24
_UNKNOWN = 400  # as a provider says that it cannot answer this


class RecordedModel:
    """A :class:`~orchestrator.models.protocol.ModelClient` that answers from a recording.

    A reply is found as :class:`~orchestrator.testing.upstream.server.Upstream` finds it. It is
    priced as the policy's model would be, so a task costs what it cost when it was recorded, at
    today's prices.

    Attributes:
        requests: Every request, in order.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Read the recording.

        Raises:
            RecordingError: If it cannot be used.
        """
        self._path = path
        self._index = ReplyIndex(Recording.read(path).replies)
        self.requests: list[ModelRequest] = []

    async def open(self) -> None:
        """Nothing to load."""

    async def aclose(self) -> None:
        """Nothing to close."""

    async def ask(
        self, request: ModelRequest, *, on_text: Callable[[str], None] | None = None
    ) -> Completion:
        """Give the recorded answer.

        Raises:
            ModelCallError: If nothing is recorded for what is asked, as a provider rejects what it
                cannot answer: it costs nothing.
        """
        self.requests.append(request)
        try:
            found = self._index.find(request.settings.model, question(request.messages))
        except UnknownQuestion as unknown:
            message = f"{self._path}: {unknown}. Record it: pytest --record-models"
            raise ModelCallError(kind="rejected", message=message, status=_UNKNOWN) from unknown
        reply = within_limit(found, request.settings.max_output_tokens)
        if on_text is not None:
            for start in range(0, len(reply.response), _PIECE_LENGTH):
                on_text(reply.response[start : start + _PIECE_LENGTH])
                await asyncio.sleep(0)
        return _completion(reply)


class RecordingModel:
    """A client that passes requests on to another one and records what comes back.

    Calls cost what they cost. Only complete answers are recorded.
    """

    def __init__(self, inner: ModelClient, path: str | os.PathLike[str]) -> None:
        """Record what ``inner`` answers.

        Args:
            inner: Who is asked.
            path: A ``.jsonl`` file; answers are appended.

        Raises:
            ValueError: If the file's name has another ending.
        """
        self._inner = inner
        self._writer = RecordingWriter(path)

    async def open(self) -> None:
        """Open the other client."""
        await self._inner.open()

    async def aclose(self) -> None:
        """Close the other client."""
        await self._inner.aclose()

    async def ask(
        self, request: ModelRequest, *, on_text: Callable[[str], None] | None = None
    ) -> Completion:
        """Ask, and record.

        Raises:
            ModelCallError: As the other client does.
            OSError: If the answer cannot be written.
        """
        begun = time.monotonic()
        completion = await self._inner.ask(request, on_text=on_text)
        usage = completion.usage or Usage(0, 0)
        reply = RecordedReply(
            model=request.settings.model,
            prompt=question(request.messages),
            response=completion.text,
            input_tokens=usage.input_tokens or None,
            output_tokens=usage.output_tokens or None,
            cached_input_tokens=usage.cached_input_tokens,
            reasoning_tokens=usage.reasoning_tokens,
            latency_s=time.monotonic() - begun,
            finish_reason=completion.finish_reason,
            tool_calls=tuple(_call(call) for call in completion.tool_calls),
        )
        await asyncio.to_thread(self._writer.write, reply)
        return completion


def _completion(reply: RecordedReply) -> Completion:
    inputs, outputs = reply.tokens
    calls = tuple(
        ToolCall(str(call["id"]), call["function"]["name"], call["function"]["arguments"])
        for call in reply.tool_calls
    )
    return Completion(
        text=reply.response,
        finish_reason=reply.finish_reason or ("tool_calls" if calls else "stop"),
        tool_calls=calls,
        usage=Usage(
            inputs,
            outputs,
            cached_input_tokens=reply.cached_input_tokens,
            reasoning_tokens=reply.reasoning_tokens,
        ),
        served_model=reply.model.rpartition("/")[2],
    )


def _call(call: ToolCall) -> dict[str, object]:
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.id, "type": "function", "function": function}
