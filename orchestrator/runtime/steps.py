"""``step(name)``: where a graph asks a model."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.runtime.call import call
from orchestrator.runtime.run.context import RUNNING, running_task
from orchestrator.runtime.run.outermost import as_task
from orchestrator.runtime.run.request import AskRequest, Check, Prompt, ask_request
from orchestrator.runtime.run.results import Reply
from orchestrator.runtime.stream import ReplyStream


@dataclass(frozen=True, slots=True)
class Step:
    """A named decision point of the running task, where a model is asked.

    Outside of every task, but where an orchestrator is open, an ask is a task of its own.

    Attributes:
        name: The step's name in the policy.
        finish: Whether it may draw on the task budget's ``finish_reserve``.
        agent: Whose task an ask outside of every task is; the step's name unless given.
    """

    name: str
    finish: bool = False
    agent: str | None = None

    async def ask(
        self,
        prompt: Prompt,
        *,
        schema: type[Any] | Mapping[str, Any] | None = None,
        check: Check | None = None,
        tools: Sequence[Any] | None = None,
        parameters: Mapping[str, Any] | None = None,
        labels: Iterable[str] = (),
        prompt_version: str = "",
    ) -> Reply:
        """Ask the cheapest model whose reply this step accepts.

        Asked again at the same place of the same task (after a resume, or when LangGraph runs a
        node again), the reply comes from the journal and costs nothing.

        Args:
            prompt: Text, or messages in OpenAI's form, or LangChain messages.
            schema: A pydantic model or a JSON Schema that the reply must follow; a pydantic model
                comes back as ``reply.parsed``.
            check: Your own judgement of a reply: a function, plain or async, that returns a bool
                or a number between 0 and 1, or raises ``AssertionError``.
            tools: Tools the model may call: OpenAI definitions, functions or LangChain tools.
            parameters: Further parameters in OpenAI's names, as ``{"temperature": 0}``.
            labels: What the prompt is labelled as: a memo gives the reply of a ``private`` one to
                its user only, and keeps nothing of a ``secret`` one.
            prompt_version: To be changed when a reply to the same prompt should be another: a memo
                keeps the replies of each version apart, and what is learned begins anew.

        Raises:
            Halted: If the task's money, time or limits are used up. Let it pass.
            ModelRejected: If every candidate model rejected the request itself.
            NoRunningTask: Outside a running task, where no orchestrator is open.
        """
        request = ask_request(
            self.name,
            prompt,
            finish=self.finish,
            schema=schema,
            check=check,
            tools=tools,
            parameters=parameters,
            labels=labels,
            prompt_version=prompt_version,
        )
        run = RUNNING.get()
        if run is None:
            asked = [request.messages, request.parameters]
            return await as_task(
                lambda: self._answer(request), name=self.name, agent=self.agent, asked=asked
            )
        return await call(run, request, run.places.here())

    async def _answer(self, request: AskRequest) -> Reply:
        run = running_task()
        return await call(run, request, run.places.here())

    def ask_sync(
        self,
        prompt: Prompt,
        *,
        schema: type[Any] | Mapping[str, Any] | None = None,
        check: Check | None = None,
        tools: Sequence[Any] | None = None,
        parameters: Mapping[str, Any] | None = None,
        labels: Iterable[str] = (),
        prompt_version: str = "",
    ) -> Reply:
        """The same as :meth:`ask` for a node that is a plain function.

        Raises:
            RuntimeError: If called on an event loop, which it would block.
        """
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return asyncio.run(
                self.ask(
                    prompt,
                    schema=schema,
                    check=check,
                    tools=tools,
                    parameters=parameters,
                    labels=labels,
                    prompt_version=prompt_version,
                )
            )
        message = "ask_sync() would block this event loop: use `await step(...).ask(...)` here."
        raise RuntimeError(message)

    def stream(
        self,
        prompt: Prompt,
        *,
        schema: type[Any] | Mapping[str, Any] | None = None,
        check: Check | None = None,
        tools: Sequence[Any] | None = None,
        parameters: Mapping[str, Any] | None = None,
        labels: Iterable[str] = (),
        prompt_version: str = "",
    ) -> ReplyStream:
        """Ask, and get the text piece by piece.

        Checks are made when the reply is complete and told in ``reply.confidence``; what was shown
        cannot be taken back, so a stream does not escalate. Leaving the loop early leaves the rest
        to the runtime, which reads, books and journals it.

        Raises:
            Halted, ModelRejected, NoRunningTask: As :meth:`ask`.
            StreamCut: While iterating, if the reply breaks off after its first piece.
        """
        request = ask_request(
            self.name,
            prompt,
            finish=self.finish,
            schema=schema,
            check=check,
            tools=tools,
            parameters=parameters,
            labels=labels,
            prompt_version=prompt_version,
        )
        run = running_task()
        return ReplyStream(run, request, run.places.here())


def step(name: str, finish: bool = False) -> Step:  # noqa: FBT001, FBT002 - the public shape
    """The step ``name`` of the running task; ``finish=True`` may draw on ``finish_reserve``."""
    return Step(name, finish)
