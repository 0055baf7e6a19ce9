"""What the memo asks anew in the background: stale replies, and a sample of the fresh ones.

A renewal is a task of its own in the ledger, beside the one that was given the entry. Its attempts
are of kind ``refresh`` or ``rerun`` and on the upkeep budget.
"""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from orchestrator.budgets.rules import BudgetRule
from orchestrator.core.errors import Fenced, LedgerUnavailable, ModelRejected
from orchestrator.core.halt import Halt, Halted
from orchestrator.core.money import Money
from orchestrator.ledger.records import UNCHANGED, Decision
from orchestrator.memo.ask import Ask, Hit, Lease
from orchestrator.models.protocol import Completion
from orchestrator.runtime.asking.judging import Judged
from orchestrator.runtime.asking.memory import Memory, answer_of
from orchestrator.runtime.run.beside import close_beside, open_beside
from orchestrator.runtime.run.request import AskRequest
from orchestrator.runtime.run.task_run import TaskRun
from orchestrator.runtime.storage.journal import decode

AskAnew = Callable[[TaskRun, AskRequest], Awaitable[tuple[Judged, Money]]]


def begin(memory: Memory, ask_anew: AskAnew) -> None:
    """Renew what an ask was just given, if that is due and paid for. Does not wait.

    An ask with a ``check=`` of its own renews nothing: the function may need the node it belongs
    to, which does not wait for it.

    Args:
        memory: What the ask has of the memo.
        ask_anew: Asks the models; the reply and what it cost.
    """
    run, request, hit, ask = memory.run, memory.request, memory.hit, memory.ask
    budget = run.policy.upkeep
    if hit is None or ask is None or hit.due is None or budget is None or request.check is not None:
        return
    run.services.background.begin(_Renewal(run, request, ask, hit, budget, ask_anew))


@dataclass(eq=False, slots=True)
class _Renewal:
    """One entry to be asked anew."""

    asker: TaskRun
    request: AskRequest
    ask: Ask
    hit: Hit
    budget: BudgetRule
    ask_anew: AskAnew
    _run: TaskRun | None = None
    _stopped: bool = False
    _since: float = field(default_factory=time.monotonic)

    @property
    def name(self) -> str:
        """The agent, whose budget it is, and the step, whose models may not answer."""
        return f"{self.asker.scope.identity('agent')} {self.request.step}"

    async def carry_out(self) -> bool:
        """Ask anew, unless someone else does; whether the models and the budgets allowed it."""
        memo = self.asker.services.memos.get()
        lease = await memo.renew(self.ask, self.hit)
        if lease is None:
            return True
        try:
            return await self._as_task(lease)
        except (LedgerUnavailable, Fenced):
            return False
        finally:
            memo.release(lease)

    def stop(self) -> None:
        """End it, on the wire too."""
        self._stopped = True
        if self._run is not None:
            detail = "The orchestrator was closed; nothing waits for what a memo asks anew."
            self._run.latch(Halt(reason="cancelled", scope="task", detail=detail))
            self._run.cut()

    async def _as_task(self, lease: Lease) -> bool:
        kind = self.hit.due
        assert kind is not None
        run = self._run = await open_beside(self.asker, kind, self.budget, owner="memo")
        if self._stopped:
            self.stop()
        error: Halted | ModelRejected | None = None
        try:
            judged, cost = await self.ask_anew(run, self.request)
            await self._keep(run, lease, judged, cost)
        except (Halted, ModelRejected) as refused:
            error = refused
        await close_beside(run, error)
        return error is None

    async def _keep(self, run: TaskRun, lease: Lease, judged: Judged, cost: Money) -> None:
        """Note whether the entry still held, and store the reply."""
        paid, verdict = judged.paid, judged.verdict
        unchanged = _same(decode(self.hit.entry.reply), paid.completion)
        run.ledger.decide(
            Decision(
                task_id=run.scope.task_id,
                key=paid.attempt_id,
                step=self.request.step,
                attempt_id=paid.attempt_id,
                accepted=verdict.accepted,
                confidence=verdict.confidence,
                confidence_state=verdict.confidence_state,
                checks={**verdict.passed, UNCHANGED: unchanged},
                at=run.clock.now(),
            )
        )
        answer = answer_of(judged, cost, seconds=time.monotonic() - self._since)
        await run.services.memos.get().put(lease, answer, differs=not unchanged)


def _same(known: Completion, new: Completion) -> bool:
    """Whether two replies say the same: equal JSON, else equal words; and equal tool calls."""
    return _meaning(known.text) == _meaning(new.text) and [
        (call.name, _meaning(call.arguments)) for call in known.tool_calls
    ] == [(call.name, _meaning(call.arguments)) for call in new.tool_calls]


def _meaning(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return text.split()
