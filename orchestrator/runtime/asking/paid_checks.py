"""Checks that ask a model: what they ask, and what it may cost.

They are asked for one reply after the free checks passed it, the cheapest first, and only while
none fails. What cannot be asked (no money, no answer) is not checked: a task that has a usable
reply does not halt for evidence about it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.core.money import Money
from orchestrator.ledger.records import AttemptKind
from orchestrator.models.protocol import Completion, ModelCallError
from orchestrator.routing.checks import agreement, judge
from orchestrator.routing.checks.result import CheckResult
from orchestrator.runtime.asking.actions import Action, actions
from orchestrator.runtime.asking.errand import Errand, join_earlier, obtain
from orchestrator.runtime.run.request import AskRequest, ask_request, digest
from orchestrator.runtime.run.task_run import HARD_STOPS
from orchestrator.runtime.spending.booking import AttemptRefused
from orchestrator.runtime.storage.journal import JournaledReply

PAID = (agreement.NAME, judge.NAME)


@dataclass(frozen=True, slots=True)
class PaidCheck:
    """A check that is to ask a model about a reply.

    Attributes:
        kind: The kind of its attempts, which is the check's name.
        request: What is asked.
        action: Who is asked, and what that can cost.
        limit: The most the step's checks of this kind may cost in this task.
    """

    kind: AttemptKind
    request: AskRequest
    action: Action
    limit: Money | None = None

    def read(self, reply: Completion, answer: Completion) -> CheckResult:
        """What ``answer`` says about ``reply``."""
        if self.kind == judge.NAME:
            return judge.read_judgement(answer)
        return agreement.compare(reply, answer)


async def paid_checks(errand: Errand, paid: JournaledReply) -> tuple[CheckResult, ...]:
    """What models say about a reply that the free checks passed.

    Raises:
        Halted: If the task halted meanwhile.
    """
    step = errand.run.policy.steps[errand.request.step]
    asked = [] if errand.economizes else [_agreement(errand, paid), _judge(errand, paid)]
    checks = sorted((one for one in asked if one), key=lambda one: one.action.bound)
    results: list[CheckResult] = []
    for check in checks:
        results.append(await _result(errand, check, paid.completion))
        if results[-1].passed is False:
            break
    told = {one.name for one in results}
    silent = [name for name in PAID if name in step.checks and name not in told]
    return (*results, *(CheckResult.not_applicable(name, "it was not asked") for name in silent))


def remembered(checks: Mapping[str, bool]) -> tuple[CheckResult, ...]:
    """What models said about a reply when it was paid for."""
    return tuple([CheckResult.of(name, passed=checks[name]) for name in PAID if name in checks])


def _agreement(errand: Errand, paid: JournaledReply) -> PaidCheck | None:
    """Ask once more, unless nothing can come of it.

    Prose without a result cannot be compared, and a reply of the dearest of several candidates is
    not measured by what a cheaper one says.
    """
    run, request = errand.run, errand.request
    asked = run.policy.steps[request.step].agreement
    if asked is None or agreement.result_of(paid.completion) is None:
        return None
    candidates = actions(run, request)
    if len(candidates) > 1 and candidates[-1].settings.name == paid.model:
        return None
    again = request._replace(
        finish=False, digest=digest([request.digest, agreement.NAME]), check=None
    )
    who = actions(run, again, (asked.model or paid.model,))
    return PaidCheck("agreement", again, who[0]) if who else None


def _judge(errand: Errand, paid: JournaledReply) -> PaidCheck | None:
    run, request = errand.run, errand.request
    asked = run.policy.steps[request.step].judge
    if asked is None:
        return None
    messages = judge.judge_messages(request.messages, paid.completion, asked.criteria)
    judging = ask_request(request.step, messages)
    who = actions(run, judging, (asked.model,))
    return PaidCheck("judge", judging, who[0], asked.budget) if who else None


async def _result(errand: Errand, check: PaidCheck, reply: Completion) -> CheckResult:
    """Ask, or find in the journal what was answered before."""
    run, step = errand.run, errand.request.step
    # Another model answers the same question as well: a policy that changed pays for nothing twice.
    key = digest([errand.key, check.kind, check.request.digest])
    await join_earlier(run, key)
    if answered := run.journal.replies.get(key):
        return check.read(reply, answered[-1].completion)
    bound = check.action.bound
    if check.limit is not None and not run.purse.take(step, bound, check.limit):
        return CheckResult.not_applicable(check.kind, "its budget is used up")
    beside = Errand(run, check.request, errand.place, key)
    try:
        answer = await obtain(beside, check.action, kind=check.kind)
    except AttemptRefused as refused:
        if run.halt is not None or refused.halt.reason in HARD_STOPS:
            raise run.refuse(refused.halt, errand.place) from None
        return CheckResult.not_applicable(check.kind, f"it was refused: {refused.halt.reason}")
    except ModelCallError as error:
        return CheckResult.not_applicable(check.kind, f"nobody answered: {error}")
    except asyncio.CancelledError:
        beside.cost = bound  # it goes on to its end, and this is the most that can come of it
        raise
    finally:
        errand.cost += beside.cost
        errand.seconds += beside.seconds
        if check.limit is not None:
            run.purse.settle(step, bound, beside.cost)
    return check.read(reply, answer.completion)
