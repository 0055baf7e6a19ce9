"""A streamed answer, put together from the pieces that LiteLLM makes of the provider's."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from orchestrator.models.protocol import Completion, ToolCall
from orchestrator.models.wire import StreamTap, Wire


class StreamedAnswer:
    """Puts the pieces of a streamed answer together."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._texts: list[str] = []
        self._calls: list[dict[str, str]] = []
        self._open: dict[int, dict[str, str]] = {}
        self._finish_reason = "stop"
        self._logprobs: list[float] = []

    def take(self, chunk: Any) -> str:  # noqa: ANN401 - LiteLLM's own record
        """Add a chunk; its text, if any, comes back."""
        if not chunk.choices:
            return ""
        choice = chunk.choices[0]
        self._finish_reason = choice.finish_reason or self._finish_reason
        for part in choice.delta.tool_calls or ():
            call = self._call(part)
            call["id"] = call["id"] or part.id or ""
            call["name"] = call["name"] or part.function.name or ""
            call["arguments"] += part.function.arguments or ""
        text = text_of(choice.delta.content)
        self._texts.append(text)
        self._logprobs += logprobs_of(choice)
        return text

    def _call(self, part: Any) -> dict[str, str]:  # noqa: ANN401 - LiteLLM's own record
        """The call that a part belongs to: of one index, unless it names itself anew.

        All calls of a streamed answer of Ollama have the index 0.
        """
        call = self._open.get(part.index)
        if call is None or (part.id and part.function.name and part.id != call["id"]):
            call = self._open[part.index] = {"id": "", "name": "", "arguments": ""}
            self._calls.append(call)
        return call

    def completion(self, tap: StreamTap, wire: Wire) -> Completion:
        """The whole, with what the wire says of it."""
        return Completion(
            text="".join(self._texts),
            finish_reason=wire.unfinished or self._finish_reason,
            # Of a call without arguments there is nothing to stream.
            tool_calls=tuple(
                ToolCall(call["id"], call["name"], call["arguments"] or "{}")
                for call in self._calls
            ),
            usage=tap.usage and replace(tap.usage, tier=tap.tier or tap.usage.tier),
            served_model=tap.served_model,
            logprobs=tuple(self._logprobs),
        )


def logprobs_of(choice: Any) -> tuple[float, ...]:  # noqa: ANN401 - LiteLLM's own record
    """The log-probability of each token of the text; empty if the provider told none."""
    told = getattr(choice, "logprobs", None)
    tokens = getattr(told, "content", None) or ()
    return tuple(float(one.logprob) for one in tokens)


def text_of(content: object) -> str:
    """The text of a reply, which may have none.

    Raises:
        TypeError: If it is something else.
    """
    if content is None:
        return ""
    if not isinstance(content, str):
        message = f"the answer's content is {type(content).__name__}, not text"
        raise TypeError(message)
    return content
