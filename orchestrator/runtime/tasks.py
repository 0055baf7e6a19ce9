"""The life of a task: started, carried out, closed, gone on with."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from langgraph.types import Command

from orchestrator.core.errors import (
    Fenced,
    LedgerUnavailable,
    OrchestratorError,
    ResumeError,
    TaskNotFound,
)
from orchestrator.core.events import TaskEnded, TaskStarted
from orchestrator.core.halt import Halt, HaltReason
from orchestrator.core.money import Money
from orchestrator.ledger.records import TaskClosing, TaskOpening, TaskRecord
from orchestrator.memo.readings import note_replay
from orchestrator.policy.records import Policy
from orchestrator.runtime.asking.passing_on import ask_for, has_answers, passed_on
from orchestrator.runtime.asking.questions import taken_apart
from orchestrator.runtime.drive import Ending, drive
from orchestrator.runtime.graphs import Bound, Graph, bind, can_be_found, compiled
from orchestrator.runtime.run.masking import sentence
from orchestrator.runtime.run.opening import open_run
from orchestrator.runtime.run.patience import close_patiently, patiently
from orchestrator.runtime.run.results import Cost, TaskResult, attempt_of, weakest
from orchestrator.runtime.run.task_run import TaskRun
from orchestrator.runtime.shared.engine import mirror
from orchestrator.runtime.shared.services import Services
from orchestrator.runtime.storage.bodies import pack, unpack
from orchestrator.runtime.storage.checkpoints import FencedSaver


class Tasks:
    """The tasks of one orchestrator."""

    def __init__(self, policy: Policy, services: Services, owner: str) -> None:
        """Run tasks under ``policy``, in the ledger under the name ``owner``."""
        self._policy = policy
        self._services = services
        self._owner = owner
        self._runs: dict[str, TaskRun] = {}
        self._graphs: dict[str, Graph] = {}

    def around(self, run: TaskRun | None) -> TaskRun | None:
        """The run in which a new task would start, checked to count in the same ledger.

        Raises:
            OrchestratorError: If it is another orchestrator's: its budgets would not count it.
        """
        if run is not None and run.ledger is not self._services.ledger:
            message = (
                f"{run.scope.task_id} runs under another orchestrator, whose budgets could not "
                "count this task: use that one here."
            )
            raise OrchestratorError(message)
        return run

    async def start(
        self, opening: TaskOpening, graph: Graph, given: Any, parent: TaskRun | None
    ) -> TaskResult:
        """Record a new task and carry it out; one in its parent that exists already goes on."""
        bound = compiled(graph)  # what is no graph is refused before anything is recorded
        if parent is not None:
            await self._returned(opening.scope.task_id, parent)
            known = await self._services.ledger.task(opening.scope.task_id)
            if known is not None and known.opening.parent_key == opening.parent_key:
                return await self._again(known, bound, parent)
        epoch = await self._services.ledger.open_task(opening)
        record = TaskRecord(opening=opening, status="running", epoch=epoch, updated_at=opening.at)
        run = open_run(record, {}, self._policy.agent(opening.scope.agent), self._services, parent)
        self._services.learner.expect(run.scope.tenant, run)
        return await self._carry_out(run, bound, given, resumed=False)

    async def find(self, task_id: str) -> TaskRecord:
        """The task.

        Raises:
            TaskNotFound: If the ledger knows none.
        """
        record = await self._services.ledger.task(task_id)
        if record is None:
            message = f"The ledger knows no task {task_id!r}."
            raise TaskNotFound(message)
        return record

    async def go_on(
        self,
        record: TaskRecord,
        graph: Graph | None,
        *,
        add_budget: Money = Money.ZERO,
        extend: Mapping[str, float] | None = None,
        answer: Any = None,
        parent: TaskRun | None = None,
    ) -> TaskResult:
        """Take a task over under a new epoch and carry it on from its checkpoint."""
        task_id = record.opening.scope.task_id
        bound = compiled(self._graph_of(record) if graph is None else graph)
        given, answers = await self._input_to_go_on(record, bound, answer)
        if older := self._runs.get(task_id):
            older.break_off(Fenced(f"{task_id} was resumed elsewhere in this process."))
        ledger = self._services.ledger
        record = await ledger.take_over(
            task_id, owner=self._owner, add_budget=add_budget, extend=extend
        )
        family = await ledger.family(task_id)
        histories = {one: await ledger.history(one) for one in family}
        policy = self._policy.agent(record.opening.scope.agent)
        run = open_run(record, histories, policy, self._services, parent)
        self._services.learner.expect(run.scope.tenant, run)
        run.answers.update(answers)
        return await self._carry_out(run, bound, given, resumed=True)

    async def stop(self, task_id: str, reason: HaltReason) -> None:
        """Halt a running task, in this process or, at its next attempt, in another."""
        run = self._runs.get(task_id)
        if run is None:
            await self._services.ledger.signal(task_id, reason)
            return
        run.latch(Halt(reason=reason, scope="task", holder=task_id, detail=f"{reason} on request"))
        if reason == "cancelled":
            run.cancel()

    async def close(self) -> None:
        """Halt every task that runs: what is on the wire ends and is journaled first."""
        detail = "The orchestrator was closed while the task ran; resume to go on."
        while runs := tuple(self._runs.values()):
            for run in runs:
                run.latch(Halt(reason="paused", scope="task", detail=detail))
            for run in runs:
                await run.land()
                run.cancel()
            for run in runs:
                await asyncio.wrap_future(mirror(run.returned))

    async def result(self, record: TaskRecord, ending: Ending | None = None) -> TaskResult:
        """How a task stands: its end, and all attempts of it and of the tasks inside it."""
        ledger = self._services.ledger
        task_id = record.opening.scope.task_id
        family = await ledger.family(task_id)
        histories = [await ledger.history(one) for one in family]
        attempts = tuple(
            attempt_of(one)
            for one in sorted(
                (one for history in histories for one in history.attempts if not one.is_hit),
                key=lambda one: one.intent.at,
            )
        )
        if ending is None:
            output = None if record.output is None else unpack(record.output)
            ending = Ending(status=record.status, output=output, halt=record.halt)
        return TaskResult(
            task_id=task_id,
            status=ending.status,
            output=ending.output,
            partial=ending.partial,
            halt=ending.halt,
            error=sentence(ending.error, self._policy.agent(record.opening.scope.agent)),
            cost=Cost.of(attempts),
            attempts=attempts,
            questions=ending.questions,
            confidence_state=weakest(
                decision.confidence_state
                for history in histories
                for decision in history.decisions.values()
            ),
        )

    # One run

    async def _carry_out(
        self, run: TaskRun, graph: Bound, given: Any, *, resumed: bool
    ) -> TaskResult:
        task_id = run.scope.task_id
        self._runs[task_id] = run
        self._graphs[task_id] = graph
        run.emit(TaskStarted(at=run.clock.now(), scope=run.scope, epoch=run.epoch, resumed=resumed))
        if run.parent is not None:
            run.parent.adopt(run)
        try:
            saver = FencedSaver(self._services.saver, run.owns_task, partial(patiently, run))
            bound = bind(graph, saver)
            ending = await drive(run, bound, given)
            result = await self._close(run, ending)
        except BaseException as error:
            await self._close_broken(run, error)
            raise
        finally:
            run.close()
            if run.parent is not None:
                run.parent.release(run)
            if self._runs.get(task_id) is run:
                del self._runs[task_id]
            run.returned.set_result(None)
        if result.status == "halted" and run.parent is not None:
            if run.parent.halt is not None:
                raise run.parent.refuse(run.parent.halt, run.parent.places.here())
            if result.questions:
                raise ask_for(result, run.parent)
        return result

    async def _returned(self, task_id: str, parent: TaskRun) -> None:
        """Wait for a task that an earlier execution of its node left running."""
        running = self._runs.get(task_id)
        if running is not None and running.parent is parent:
            await asyncio.wrap_future(mirror(running.returned))

    async def _again(self, known: TaskRecord, graph: Bound, parent: TaskRun) -> TaskResult:
        if known.status == "completed":
            note_replay()
            return await self.result(known)
        answer, more = None, Money.ZERO
        if has_answers(parent, known.opening.scope.task_id):
            state = await self._state(graph, known.opening.scope.task_id)
            answer, more = passed_on(parent, known, state.interrupts)
        return await self.go_on(known, graph, answer=answer, add_budget=more, parent=parent)

    async def _input_to_go_on(
        self, record: TaskRecord, graph: Bound, answer: Any
    ) -> tuple[Any, Mapping[str, Any]]:
        """Answers to the graph, nothing (go on), or the input if no checkpoint was left.

        And beside that those to questions about replies, which the asks take themselves, and to
        questions of tasks inside, which they are passed on to.
        """
        task_id = record.opening.scope.task_id
        state = await self._state(graph, task_id)
        if answer is not None:
            _check_answer(task_id, answer, [one.id for one in state.interrupts])
            ours, others = taken_apart(task_id, state.interrupts, answer)
            if not ours:
                return Command(resume=answer), ours
            return Command(resume=others) if others else None, ours
        if state.created_at is not None:
            return None, {}
        if not record.opening.input_body:
            message = f"{task_id} has neither a checkpoint nor its input any more."
            raise ResumeError(message)
        return unpack((record.opening.input_type, record.opening.input_body)), {}

    async def _state(self, graph: Bound, task_id: str) -> Any:
        """Where the graph of a task stands."""
        bound = bind(graph, self._services.saver)
        return await bound.aget_state({"configurable": {"thread_id": task_id}})

    async def _close(self, run: TaskRun, ending: Ending) -> TaskResult:
        """Record how the run ended; a completed task needs no checkpoint and no graph any more."""
        task_id = run.scope.task_id
        completed = ending.status == "completed"
        output = pack(ending.output) if completed else None
        if output is not None and run.parent is not None:
            # As it will be when the node around it is run again: a tuple is a list by then.
            ending = replace(ending, output=unpack(output))
        closing = TaskClosing(
            task_id=task_id,
            epoch=run.epoch,
            status=ending.status,
            running_s=run.deadline.this_run_s,
            at=run.clock.now(),
            halt=ending.halt,
            error=sentence(ending.error, run.policy),
            output=output,
        )
        await close_patiently(run, closing)
        if completed:
            self._graphs.pop(task_id, None)
            if run.policy.keep_bodies is None:
                await self._services.saver.adelete_thread(task_id)
        result = await self.result(await self.find(task_id), ending)
        run.emit(
            TaskEnded(
                at=run.clock.now(),
                scope=run.scope,
                status=result.status,
                cost=result.cost.total,
                seconds=run.deadline.running_s,
                error=result.error,
            )
        )
        return result

    async def _close_broken(self, run: TaskRun, error: BaseException) -> None:
        """The run cannot return a result; leave the task resumable if the ledger still can."""
        if isinstance(run.broken, Fenced):
            return
        halt = run.halt if run.broken is None else None
        closing = TaskClosing(
            task_id=run.scope.task_id,
            epoch=run.epoch,
            status="failed" if halt is None else "halted",
            running_s=run.deadline.this_run_s,
            at=run.clock.now(),
            halt=halt,
            error=sentence(error, run.policy) if halt is None else None,
        )
        with suppress(LedgerUnavailable, Fenced):  # the first error is the one to tell
            await asyncio.shield(self._services.ledger.close_task(closing))

    def _graph_of(self, record: TaskRecord) -> Graph:
        """The graph a task was started with, if it can still be found."""
        opening = record.opening
        graph = self._graphs.get(opening.scope.task_id)
        if graph is None and can_be_found(opening.graph):
            return opening.graph
        if graph is None:
            message = (
                f"{opening.scope.task_id} was started in another process with the graph "
                f"{opening.graph!r}: pass resume(..., graph=...)."
            )
            raise ResumeError(message)
        return graph


def _check_answer(task_id: str, answer: Any, asked: list[str]) -> None:
    """Refuse an answer that LangGraph could not take, before the task is taken over."""
    if not asked:
        message = f"{task_id} asks nothing; resume it without answer=."
        raise ResumeError(message)
    by_id = isinstance(answer, Mapping) and bool(answer) and set(answer) <= set(asked)
    if len(asked) > 1 and not by_id:
        message = f"{task_id} asks {len(asked)} questions: pass answer={{id: answer}}, ids {asked}."
        raise ResumeError(message)
