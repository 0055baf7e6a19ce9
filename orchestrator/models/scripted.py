"""A model client that says what a test tells it to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from orchestrator.core.clock import Clock, SystemClock
from orchestrator.core.usage import Usage
from orchestrator.models.protocol import Completion, Message, ModelCallError, ModelRequest, ToolCall


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptedReply:
    """One answer of a :class:`ScriptedModel`.

    Attributes:
        text: What the model says.
        usage: What it reports; ``None``: nothing, as some providers do. Default: one token per four
            characters of question and answer.
        tool_calls: Tools it wants called.
        finish_reason: Why it ended; default ``stop``, with tool calls ``tool_calls``.
        delay_s: Seconds before it answers.
        piece_length: Characters per piece when streamed.
        cut_after: The answer breaks off, a stream after so many pieces; ``None``: it does not.
    """

    text: str = ""
    usage: Usage | Literal["estimated"] | None = "estimated"
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: str | None = None
    delay_s: float = 0.0
    piece_length: int = 8
    cut_after: int | None = None


Answer = str | ScriptedReply | Completion | BaseException
Script = Callable[[ModelRequest], Answer] | Mapping[str, Answer] | Iterable[Answer]


class ScriptedModel:
    """A :class:`~orchestrator.models.protocol.ModelClient` that answers from a script.

    The script is one of:

    - a function of the request;
    - a mapping from the model's name in the policy (``small``) or from a part of the question to an
      answer; the name wins, then the longest part;
    - a list of answers, given in turn; asking once more is an ``AssertionError``.

    An answer is a text, a :class:`ScriptedReply`, a whole ``Completion``, or an error to raise
    (``ModelCallError("rate_limited", "busy")``).

    Attributes:
        requests: Every request, in order.
    """

    def __init__(self, script: Script, *, clock: Clock | None = None) -> None:
        """Answer from ``script``; delays pass on ``clock`` (default: the machine's)."""
        self._answer = _as_function(script)
        self._clock = clock or SystemClock()
        self.requests: list[ModelRequest] = []

    async def open(self) -> None:
        """Nothing to load."""

    async def aclose(self) -> None:
        """Nothing to close."""

    async def ask(
        self, request: ModelRequest, *, on_text: Callable[[str], None] | None = None
    ) -> Completion:
        """Answer from the script.

        Raises:
            ModelCallError: If the script says so, or a stream is cut.
            AssertionError: If the script has no answer to this request.
        """
        self.requests.append(request)
        answer = self._answer(request)
        if isinstance(answer, BaseException):
            raise answer
        if isinstance(answer, Completion):
            reply = ScriptedReply(text=answer.text)
            completion = answer
        else:
            reply = answer if isinstance(answer, ScriptedReply) else ScriptedReply(text=answer)
            completion = _completion(reply, request)
        await self._clock.sleep(reply.delay_s)
        if on_text is not None:
            for number, piece in enumerate(_pieces(reply)):
                if number == reply.cut_after:
                    break
                on_text(piece)
                await asyncio.sleep(0)
        if reply.cut_after is not None:
            raise ModelCallError(kind="broken", message="the script cuts this answer")
        return completion


def question(messages: Iterable[Message]) -> str:
    """All text of ``messages``, in order, in one piece."""
    texts: list[str] = []
    for message in messages:
        content = message.get("content")
        if isinstance(content, str):
            texts.append(content)
        elif content is not None:
            texts += [part["text"] for part in content if isinstance(part.get("text"), str)]
    return "\n".join(texts)


def _as_function(script: Script) -> Callable[[ModelRequest], Answer]:
    if callable(script):
        return script
    if isinstance(script, Mapping):
        return lambda request: _look_up(script, request)
    answers: Iterator[Answer] = iter(script)

    def answer(request: ModelRequest) -> Answer:
        found = next(answers, None)
        assert found is not None, f"the script has no more answers for {_describe(request)}"
        return found

    return answer


def _look_up(script: Mapping[str, Answer], request: ModelRequest) -> Answer:
    if request.settings.name in script:
        return script[request.settings.name]
    asked = question(request.messages)
    parts = [part for part in script if part in asked]
    assert parts, f"the script has no answer to {_describe(request)}"
    return script[max(parts, key=len)]


def _describe(request: ModelRequest) -> str:
    return f"{request.settings.name}: {question(request.messages)[:200]!r}"


def _completion(reply: ScriptedReply, request: ModelRequest) -> Completion:
    usage = reply.usage
    if usage == "estimated":
        usage = Usage(
            input_tokens=max(1, len(question(request.messages)) // 4),
            output_tokens=max(1, len(reply.text) // 4),
        )
    return Completion(
        text=reply.text,
        finish_reason=reply.finish_reason or ("tool_calls" if reply.tool_calls else "stop"),
        tool_calls=reply.tool_calls,
        usage=usage,
        served_model=request.settings.model.rpartition("/")[2],
    )


def _pieces(reply: ScriptedReply) -> Iterator[str]:
    for start in range(0, len(reply.text), reply.piece_length):
        yield reply.text[start : start + reply.piece_length]
