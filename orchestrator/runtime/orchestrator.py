"""The runtime's front door: opens the store, runs tasks, resumes them."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Self, TypeVar

from orchestrator.core.clock import Clock, SystemClock
from orchestrator.core.errors import OrchestratorError
from orchestrator.core.events import Listener
from orchestrator.core.money import Money
from orchestrator.core.priority import Priority
from orchestrator.core.scope import Scope
from orchestrator.ledger.records import TaskOpening
from orchestrator.limits.settings import parse_extensions
from orchestrator.models.litellm_client import LiteLLMClient
from orchestrator.models.protocol import ModelClient
from orchestrator.policy.load import load_policy
from orchestrator.policy.records import Policy
from orchestrator.runtime.feedback import score_of, teach
from orchestrator.runtime.graphs import Graph, label
from orchestrator.runtime.run import arguments
from orchestrator.runtime.run.context import RUNNING, scope_here
from orchestrator.runtime.run.nesting import parent_of, place_in, task_id_in
from orchestrator.runtime.run.outermost import Block
from orchestrator.runtime.run.results import TaskResult
from orchestrator.runtime.shared.engine import Engine
from orchestrator.runtime.shared.services import Services, open_services
from orchestrator.runtime.spending.granting import is_about_money
from orchestrator.runtime.storage.bodies import pack
from orchestrator.runtime.tasks import Tasks
from orchestrator.telemetry.fanout import Fanout

DEFAULT_STORE = "sqlite:///.orchestrator/ledger.db"
STORE_VARIABLE = "ORCHESTRATOR_STORE"
T = TypeVar("T")


class Orchestrator:
    """Runs agents under a policy.

    An async context manager; ``with`` works too and gives :meth:`run_sync` and
    :meth:`resume_sync` a loop to run on.
    """

    def __init__(
        self,
        policy: Policy,
        *,
        store: str | None = None,
        client: ModelClient | None = None,
        clock: Clock | None = None,
        listeners: Sequence[Listener] = (),
    ) -> None:
        """Prepare; nothing is opened before the context is entered.

        Args:
            policy: The rules.
            store: URL of the ledger; the environment's ``ORCHESTRATOR_STORE`` unless given, else
                ``sqlite:///.orchestrator/ledger.db``.
            client: What asks models; LiteLLM unless given (a ``ScriptedModel`` in tests).
            clock: Time; the machine's unless given.
            listeners: Told of every event.
        """
        self.policy = policy
        self.store = store or os.environ.get(STORE_VARIABLE) or DEFAULT_STORE
        self._client = client or LiteLLMClient()
        self._clock = clock or SystemClock()
        self._emit = Fanout(listeners)
        self._is_heard = bool(listeners)
        self._owner = f"{socket.gethostname()}:{os.getpid()}"
        self._stack = AsyncExitStack()
        self._tasks: Tasks | None = None
        self._services: Services | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._home: Engine | None = None
        self._block = Block(self)

    @classmethod
    def from_policy(
        cls,
        path: str | os.PathLike[str],
        *,
        store: str | None = None,
        client: ModelClient | None = None,
        clock: Clock | None = None,
        listeners: Sequence[Listener] = (),
    ) -> Self:
        """Read the policy at ``path``; the other arguments are the constructor's.

        Raises:
            PolicyError: If anything in it is wrong, with every mistake.
        """
        policy = load_policy(path, at=None if clock is None else clock.now())
        return cls(policy, store=store, client=client, clock=clock, listeners=listeners)

    async def __aenter__(self) -> Self:
        """Open the ledger and the checkpoints, and load what is slow to load.

        Raises:
            LedgerUnavailable: If the store cannot be opened.
        """
        async with AsyncExitStack() as stack:
            services = await stack.enter_async_context(
                open_services(
                    self.store,
                    client=self._client,
                    clock=self._clock,
                    emit=self._emit,
                    is_heard=self._is_heard,
                    keep_bodies=self.policy.everyone.keep_bodies,
                    home=self.policy.everyone,
                    scope_here=scope_here,
                )
            )
            self._services = services
            self._tasks = Tasks(self.policy, services, self._owner)
            stack.push_async_callback(self._tasks.close)
            self._stack = stack.pop_all()
        self._loop = asyncio.get_running_loop()
        self._block.enter()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Halt what still runs, wait for attempts in flight, then close."""
        self._block.leave()
        self._loop = None
        await self._stack.aclose()
        self._tasks = None

    def __enter__(self) -> Self:
        """Open on a thread of its own, for code without an event loop."""
        home = Engine()
        home.start()
        try:
            home.submit(self.__aenter__()).result()
        except BaseException:
            home.stop()
            raise
        self._home = home
        # The block is here, not on the thread that opened.
        self._block.enter()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close what ``with`` opened."""
        assert self._home is not None
        self._block.leave()
        try:
            self._home.submit(self.__aexit__(kind, error, trace)).result()
        finally:
            self._home.stop()
            self._home = None

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop it was opened on."""
        self._opened()
        assert self._loop is not None
        return self._loop

    async def run(
        self,
        graph: Graph,
        input: Any,  # noqa: A002 - LangGraph's word, and whatever the graph takes
        *,
        agent: str,
        user: str | None = None,
        tenant: str | None = None,
        tags: Mapping[str, str] | None = None,
        task_id: str | None = None,
        budget: arguments.Amount | None = None,
        timeout: arguments.Duration | None = None,  # noqa: ASYNC109 - the task's, not this call's
        priority: Priority | None = None,
    ) -> TaskResult:
        """Run ``graph`` as one task of ``agent`` until it completes, halts or fails.

        Inside a node of a running task this is a task inside that task: it counts on the budgets
        and limits of both, and is found again. What it asks a person, the outer one halts to ask.

        Args:
            graph: A ``StateGraph``, a compiled one (a copy of which is run) or ``"mod:name"``.
            input: The graph's input.
            agent: The agent's name, as costs are attributed and policies are looked up.
            user: The end user, for budgets per user.
            tenant: The isolation boundary; the team unless given.
            tags: Labels for reports.
            task_id: An id of your own; it must be new.
            budget: Lowers the policy's task budget; more than its ``finish_reserve``.
            timeout: Lowers the policy's timeout.
            priority: ``low``, ``normal`` or ``high``; in another task that one's counts.

        Raises:
            TaskExists: If ``task_id`` is taken.
            ValueError: If an argument is no such thing, with every mistake.
            LedgerUnavailable: If nothing can be recorded, so nothing may be spent.
            Fenced: If another process took the task over meanwhile.
        """
        tasks = self._opened()
        policy = self.policy.agent(agent)
        parent = tasks.around(RUNNING.get())
        given = arguments.Arguments()
        body = given.take("input", (input,), lambda boxed: pack(boxed[0])) or ("", b"")
        parent_key = place_in(parent, agent, input) if parent else None
        opening = TaskOpening(
            scope=Scope(
                org=policy.org,
                team=policy.team,
                agent=given.take("agent", agent or "", arguments.name) or "",
                task_id=given.take("task_id", task_id, arguments.task_id)
                or task_id_in(parent, parent_key),
                tenant=given.take("tenant", tenant, arguments.name)
                or (parent.scope.tenant if parent else policy.team),
                user=given.take("user", user, arguments.name)
                or (parent.scope.user if parent else None),
                ancestors=(*parent.scope.ancestors, parent.scope.task_id) if parent else (),
                tags=given.take("tags", tags, arguments.tags) or {},
            ),
            owner=self._owner,
            graph=label(graph),
            policy=self.policy.path,
            input_type=body[0],
            input_body=body[1],
            budget=given.take("budget", budget, arguments.amount_above(policy, self._clock.now())),
            timeout_s=given.take("timeout", timeout, arguments.seconds),
            parent_key=parent_key,
            priority=given.take("priority", priority, arguments.priority),
            at=self._clock.now(),
        )
        given.done()
        return await tasks.start(opening, graph, input, parent)

    async def resume(
        self,
        task_id: str,
        *,
        graph: Graph | None = None,
        add_budget: arguments.Amount | None = None,
        extend: Mapping[str, Any] | None = None,
        answer: Any = None,
    ) -> TaskResult:
        """Go on with a task where it stopped; what was paid is not paid again.

        A task that the ledger still calls running is taken over at once. A completed task gives
        its result again.

        Args:
            task_id: The task.
            graph: The graph, in a process that did not start the task, unless it was started as
                ``"module:name"``.
            add_budget: Raises the task's own budget.
            extend: Raises its limits: ``{"timeout": "5m", "model_calls": 20}``.
            answer: What the graph's own ``interrupt()`` returns, or that of a task inside it; where
                the task asks for more money (``100%: ask``), how much, in USD.

        Raises:
            TaskNotFound: If the ledger knows no such task.
            ResumeError: If it cannot be resumed in this way.
            ValueError: If an argument is no such thing, with every mistake.
        """
        tasks = self._opened()
        given = arguments.Arguments()
        more = given.take("add_budget", add_budget, arguments.amount)
        given.done()
        longer = None if extend is None else parse_extensions(extend)
        record = await tasks.find(task_id)
        if answer is not None and is_about_money(record.halt):
            more, answer = arguments.granted(more, answer), None
        if record.status == "completed":
            return await tasks.result(record)
        parent = parent_of(record, RUNNING.get())
        if more is not None:
            arguments.check_budget_is_its_own(record, self.policy.agent(record.opening.scope.agent))
        return await tasks.go_on(
            record,
            graph,
            add_budget=more or Money.ZERO,
            extend=longer,
            answer=answer,
            parent=parent,
        )

    async def pause(self, task_id: str) -> None:
        """Halt a running task: attempts in flight end and are journaled, no other starts.

        In another process it takes effect when the task next asks a model.

        Raises:
            TaskNotFound: If the ledger knows no such task.
        """
        await self._opened().stop(task_id, "paused")

    async def cancel(self, task_id: str) -> None:
        """Halt a running task at once, and cancel what it has on the wire in this process.

        What is cancelled on the wire is booked at its worst case. The task can be resumed.

        Raises:
            TaskNotFound: If the ledger knows no such task.
        """
        await self._opened().stop(task_id, "cancelled")

    async def feedback(
        self,
        task_id: str,
        *,
        success: bool | None = None,
        score: float | None = None,
        step: str | None = None,
    ) -> None:
        """Say what came of a task, now or days later; whom to trust is learned from it.

        Args:
            task_id: The task.
            success: Whether it was right; or ``score``: how right, between 0 and 1.
            score: See ``success``.
            step: The step that is meant; without it the replies of all its steps share the verdict.

        Raises:
            TaskNotFound: If the ledger knows no such task.
            ValueError: If not exactly one was said, or the task has no reply of that step.
        """
        tasks, said = self._opened(), score_of(success, score)
        assert self._services is not None
        await teach(self._services, await tasks.find(task_id), said, step)

    async def touch(
        self, source: str, version: str | None = None, *, tenant: str | None = None
    ) -> str | None:
        """Say that a source changed: whatever a memo holds that was made from it is stale.

        Args:
            source: Its name, as ``reads:`` has it.
            version: Its version now; what was made from this very version stays fresh. A new one
                is made up unless given.
            tenant: Whose source; the team's unless given.

        Returns:
            The version it has now; ``None`` if the memo could not record it.
        """
        self._opened()
        assert self._services is not None
        memo = self._services.memos.get()
        return await memo.touch(tenant or self.policy.everyone.team, source, version)

    def run_sync(
        self,
        graph: Graph,
        input: Any,  # noqa: A002 - as above
        **arguments: Any,
    ) -> TaskResult:
        """The same as :meth:`run`, for code without an event loop."""
        return self._wait(self.run(graph, input, **arguments))

    def resume_sync(self, task_id: str, **arguments: Any) -> TaskResult:
        """The same as :meth:`resume`, for code without an event loop."""
        return self._wait(self.resume(task_id, **arguments))

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Run ``work`` on the loop this was opened on, from another thread."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            if self._loop is not None:
                return asyncio.run_coroutine_threadsafe(work, self._loop).result()
            work.close()
            self._opened()
        work.close()
        message = "This would block the event loop: use `await orchestrator.run(...)` here."
        raise RuntimeError(message)

    def _opened(self) -> Tasks:
        if self._tasks is None:
            message = "The orchestrator is not open: use `async with` or `with`."
            raise OrchestratorError(message)
        return self._tasks
