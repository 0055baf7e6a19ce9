"""From a paid reply to a judged one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple, cast

from orchestrator.core.money import Money
from orchestrator.ledger.records import Decision
from orchestrator.routing.certificate import State
from orchestrator.routing.checks.execution import check_tests
from orchestrator.routing.checks.function import check_function
from orchestrator.routing.checks.schema import check_schema
from orchestrator.routing.free_checks import free_checks
from orchestrator.routing.verdict import Verdict, combine
from orchestrator.runtime.asking.errand import Errand
from orchestrator.runtime.asking.paid_checks import paid_checks, remembered
from orchestrator.runtime.run.request import AskRequest
from orchestrator.runtime.run.results import Reply
from orchestrator.runtime.storage.journal import JournaledReply


class Judged(NamedTuple):
    """A paid reply with its verdict, as the user will see it."""

    paid: JournaledReply
    verdict: Verdict
    reply: Reply

    @classmethod
    def replay(cls, request: AskRequest, paid: JournaledReply, decision: Decision) -> Judged:
        """What was decided before, without judging again."""
        verdict = Verdict(
            accepted=decision.accepted,
            confidence=decision.confidence,
            confidence_state=cast("State", decision.confidence_state),
            checks=(),
        )
        parsed = None
        if request.schema is not None:
            _, parsed = check_schema(paid.completion, request.schema_type or request.schema)
        return cls.of(paid, verdict, parsed)

    @classmethod
    def of(cls, paid: JournaledReply, verdict: Verdict, parsed: Any) -> Judged:
        """A reply with what was found about it."""
        return cls(paid, verdict, _reply(paid, verdict, parsed))

    def weighed(self, verdict: Verdict) -> Judged:
        """The same reply under another verdict."""
        reply = replace(
            self.reply,
            confidence=verdict.confidence,
            confidence_state=verdict.confidence_state,
        )
        return Judged(self.paid, verdict, reply)

    def reply_for(self, cost: Money) -> Reply:
        """The reply with what its whole ask cost."""
        return self.reply if cost == self.reply.cost else replace(self.reply, cost=cost)


async def judge(errand: Errand, paid: JournaledReply) -> Judged:
    """Run the step's checks and the user's own on a reply, those that cost nothing first.

    Raises:
        Halted: If the task halted while a check asked a model.
    """
    request = errand.request
    step = errand.run.policy.steps[request.step]
    schema = request.schema_type or request.schema
    completion = paid.completion
    results, parsed = free_checks(
        completion, step, schema, messages=request.messages, tools=request.tools
    )
    is_complete = results[0].passed
    if step.tests is not None and is_complete:
        remaining_s = errand.run.deadline.remaining_s
        results = (*results, await check_tests(completion, step.tests, remaining_s=remaining_s))
    if request.check is not None and is_complete:
        seen = _reply(paid, combine(results), parsed)
        own = await check_function(request.check, seen, threshold=step.confidence)
        results = (*results, own)
    verdict = combine(results)
    if verdict.accepted:
        # What a memo remembers was checked when it was paid for, and is not paid for again.
        more = remembered(paid.checks) if paid.from_memo else await paid_checks(errand, paid)
        verdict = combine((*results, *more)) if more else verdict
    return Judged.of(paid, verdict, parsed)


def _reply(paid: JournaledReply, verdict: Verdict, parsed: Any) -> Reply:
    return Reply(
        text=paid.completion.text,
        parsed=parsed,
        tool_calls=paid.completion.tool_calls,
        model=paid.model,
        confidence=verdict.confidence,
        confidence_state=verdict.confidence_state,
        cost=Money.ZERO,
        from_memo=paid.from_memo,
        usage=paid.completion.usage,
    )
