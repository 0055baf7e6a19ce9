"""From a paid reply to a judged one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from orchestrator.core.money import Money
from orchestrator.ledger.records import Decision
from orchestrator.routing.checks.function import check_function
from orchestrator.routing.checks.schema import check_schema
from orchestrator.routing.judge import built_in_checks
from orchestrator.routing.verdict import Verdict, combine
from orchestrator.runtime.errand import Errand
from orchestrator.runtime.journal import JournaledReply
from orchestrator.runtime.request import AskRequest
from orchestrator.runtime.results import Reply


@dataclass(frozen=True, slots=True)
class Judged:
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
            confidence_state="uncalibrated",
            checks=(),
        )
        parsed = None
        if request.schema is not None:
            _, parsed = check_schema(paid.completion, request.schema_type or request.schema)
        return cls(paid, verdict, _reply(paid, verdict, parsed))

    def reply_for(self, cost: Money) -> Reply:
        """The reply with what its whole ask cost."""
        return replace(self.reply, cost=cost)


async def judge(errand: Errand, paid: JournaledReply) -> Judged:
    """Run the step's checks and the user's own on a reply."""
    request = errand.request
    step = errand.run.policy.steps[request.step]
    schema = request.schema_type or request.schema
    results, parsed = built_in_checks(paid.completion, step, schema)
    verdict = combine(results)
    if request.check is not None and results[0].passed:
        seen = _reply(paid, verdict, parsed)
        own = await check_function(request.check, seen, threshold=step.confidence)
        verdict = combine((*results, own))
    return Judged(paid, verdict, _reply(paid, verdict, parsed))


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
