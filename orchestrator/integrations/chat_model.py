"""A LangChain chat model whose calls are steps of the running task."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from langchain_core.callbacks import (
    AsyncCallbackManagerForLLMRun,
    CallbackManagerForLLMRun,
)
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    InvalidToolCall,
    UsageMetadata,
)
from langchain_core.messages.tool import ToolCall as LangChainToolCall
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult, LLMResult
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool

from orchestrator.core.halt import Halted
from orchestrator.core.usage import Usage
from orchestrator.models.protocol import ToolCall
from orchestrator.runtime.run.context import RUNNING
from orchestrator.runtime.run.results import Reply
from orchestrator.runtime.steps import Step


class _HaltedInside(Exception):  # noqa: N818 - a halt on its way, never shown
    """LangChain gathers asks and takes what is no ``Exception`` for an answer."""

    def __init__(self, halted: Halted) -> None:
        super().__init__(str(halted))
        self.halted = halted


class RoutedChatModel(BaseChatModel):
    """Asks whatever model the policy of ``step`` chooses, and pays for it from the task's budgets.

    Use it where an agent takes a chat model: in ``create_agent``, in a prebuilt or a hand-written
    graph. It has no key and no address; those are the policy's. In a graph started by
    ``Orchestrator.run`` its calls belong to that task; elsewhere, where an orchestrator is open,
    each call is a task of its own.

    Attributes:
        step: The step's name in the policy.
        finish: Whether it may draw on the task budget's ``finish_reserve``.
        agent: Whose task a call outside of every task is; the step's name unless given.
    """

    step: str
    finish: bool = False
    agent: str | None = None

    @property
    def _llm_type(self) -> str:
        return "orchestrator"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"step": self.step, "finish": self.finish}

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: str | dict[str, Any] | bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Offer ``tools`` with every call.

        Args:
            tools: Tools in any form LangChain knows.
            tool_choice: ``auto``, ``none``, ``any`` or ``required`` (one must be called; also
                ``True``), or the name of the one that must.
            kwargs: Further parameters of the call.
        """
        definitions = [convert_to_openai_tool(tool) for tool in tools]
        names = {definition["function"]["name"] for definition in definitions}
        choice = _tool_choice(tool_choice, names)
        if choice is not None:
            kwargs["tool_choice"] = choice
        return self.bind(tools=definitions, **kwargs)

    async def agenerate(self, *args: Any, **kwargs: Any) -> LLMResult:
        """As in every chat model; a halt comes through as what it is."""
        try:
            return await super().agenerate(*args, **kwargs)
        except _HaltedInside as error:
            raise error.halted from None

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        try:
            reply = await self._step().ask(messages, **_asked(stop, kwargs))
        except Halted as halted:
            raise _HaltedInside(halted) from None
        return _result(reply)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return _result(self._step().ask_sync(messages, **_asked(stop, kwargs)))

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        if RUNNING.get() is None:
            reply = await self._step().ask(messages, **_asked(stop, kwargs))
            yield ChatGenerationChunk(message=_last_chunk(reply.text, reply))
            return
        async for piece in self._step().stream(messages, **_asked(stop, kwargs)):
            message = AIMessageChunk(content=piece.text)
            if piece.reply is not None:
                message = _last_chunk(piece.text, piece.reply)
            chunk = ChatGenerationChunk(message=message)
            if run_manager is not None and piece.text:
                await run_manager.on_llm_new_token(piece.text, chunk=chunk)
            yield chunk

    def _step(self) -> Step:
        return Step(self.step, self.finish, self.agent)


def _asked(stop: list[str] | None, given: dict[str, Any]) -> dict[str, Any]:
    """What LangChain hands over, as an ask takes it; what is unknown here goes to the provider."""
    rest = {name: value for name, value in given.items() if value is not None}
    tools = rest.pop("tools", None)
    # LangChain's own remarks about a call, not parameters of it.
    for name in ("ls_structured_output_format", "stream"):
        rest.pop(name, None)
    if stop:
        rest["stop"] = stop
    return {"tools": tools, "parameters": rest}


def _tool_choice(
    choice: str | dict[str, Any] | bool | None,  # noqa: FBT001 - LangChain's
    names: set[str],
) -> str | dict[str, Any] | None:
    match choice:
        case None | False | "":
            return None
        case True | "any" | "required":
            return "required"
        case str() if choice in names:
            return {"type": "function", "function": {"name": choice}}
        case _:
            return choice


def _result(reply: Reply) -> ChatResult:
    calls, broken = _tool_calls(reply.tool_calls)
    message = AIMessage(
        content=reply.text,
        tool_calls=calls,
        invalid_tool_calls=broken,
        usage_metadata=_usage(reply.usage),
        response_metadata=_metadata(reply),
    )
    return ChatResult(generations=[ChatGeneration(message=message)])


def _last_chunk(text: str, reply: Reply) -> AIMessageChunk:
    return AIMessageChunk(
        content=text,
        tool_call_chunks=[
            {
                "name": call.name,
                "args": call.arguments,
                "id": call.id,
                "index": index,
                "type": "tool_call_chunk",
            }
            for index, call in enumerate(reply.tool_calls)
        ],
        usage_metadata=_usage(reply.usage),
        response_metadata=_metadata(reply),
        chunk_position="last",
    )


def _tool_calls(
    calls: Sequence[ToolCall],
) -> tuple[list[LangChainToolCall], list[InvalidToolCall]]:
    """Calls whose arguments are a JSON object, and those that LangChain calls invalid."""
    good: list[LangChainToolCall] = []
    bad: list[InvalidToolCall] = []
    for call in calls:
        try:
            arguments = json.loads(call.arguments or "{}")
        except json.JSONDecodeError as error:
            arguments, why = None, str(error)
        else:
            why = "its arguments are no JSON object"
        if isinstance(arguments, dict):
            good.append(
                LangChainToolCall(name=call.name, args=arguments, id=call.id, type="tool_call")
            )
        else:
            bad.append(
                InvalidToolCall(
                    name=call.name,
                    args=call.arguments,
                    id=call.id,
                    error=why,
                    type="invalid_tool_call",
                )
            )
    return good, bad


def _usage(usage: Usage | None) -> UsageMetadata | None:
    if usage is None:
        return None
    return UsageMetadata(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        total_tokens=usage.total_tokens,
        input_token_details={
            "cache_read": usage.cached_input_tokens,
            "cache_creation": usage.cache_write_tokens,
        },
        output_token_details={"reasoning": usage.reasoning_tokens},
    )


def _metadata(reply: Reply) -> dict[str, Any]:
    return {
        "model_name": reply.model,
        "cost_usd": reply.cost.to_json(),
        "confidence": reply.confidence,
        "confidence_state": reply.confidence_state,
    }
