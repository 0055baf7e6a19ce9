"""What routing believes of each step and why it chose, from the ledger and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from orchestrator.core.errors import TaskNotFound
from orchestrator.ledger.factory import reader_from_url
from orchestrator.ledger.lessons import Lesson
from orchestrator.reports.outcomes import CheckStatus, checks_of, sources_of
from orchestrator.routing.certificate import Certificate, State
from orchestrator.routing.learning.knowledge import Knowledge
from orchestrator.routing.learning.observation import Observation, Outcome, StepKey, fact_of
from orchestrator.routing.learning.step import StepKnowledge
from orchestrator.routing.learning.trust import SIGNS

_RIGHT = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """What a rule costs and buys, per ask; `None`: the log does not tell.

    Attributes:
        cost_usd: Mean cost.
        quality: Mean outcome.
        detail: The model, or what it rests on.
    """

    cost_usd: float | None
    quality: float | None
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionStatus:
    """One model of a step.

    Attributes:
        action: Model, most output, effort.
        replies: How many of its replies are remembered.
        accepted: The share of them that would be accepted now.
        labels: How many outcomes are known of it.
        quality: The mean of those; `None`: none.
        cost_usd: What a reply cost, its checks included.
    """

    action: str
    replies: int
    accepted: float
    labels: int
    quality: float | None
    cost_usd: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StepStatus:
    """What is believed of one step.

    Attributes:
        tenant: Whose log teaches it.
        agent: Whose step.
        step: The step.
        version: Of its models, prompt, checks and policy.
        state: What its confidence is worth.
        labels: Outcomes that the confidence is fitted to, since the last drift.
        sources: Who told those, and how many each.
        checks: What its checks turned out to be worth.
        audits: Outcomes drawn at random and kept out of the fit.
        threshold: The confidence that it asks for.
        certificate: The newest, if one was looked for.
        drift: The evidence against the promise; 1 is none, at 20 the alarm is raised.
        drifted: Whether it was raised and too little was learned since.
        unreachable: Whether no model is known to reach the threshold.
        asks: How many asks are remembered.
        actions: Its models, cheapest first.
        policy: What this policy cost and bought.
        baselines: What other rules would have, as far as the log tells.
    """

    tenant: str
    agent: str
    step: str
    version: str
    state: State
    labels: int
    sources: dict[str, int]
    checks: tuple[CheckStatus, ...]
    audits: int
    threshold: float | None
    certificate: Certificate | None
    drift: float
    drifted: bool
    unreachable: bool
    asks: int
    actions: tuple[ActionStatus, ...]
    policy: Point
    baselines: dict[str, Point]


def status(store: str, *, tenant: str | None = None) -> list[StepStatus]:
    """What is believed of each step now, in the version that was asked last.

    Args:
        store: The ledger's URL.
        tenant: Only this tenant; `None`: all.

    Raises:
        LedgerUnavailable: If there is no ledger to read.
    """
    found = []
    with reader_from_url(store) as reader:
        for each in reader.taught():
            if tenant in (None, each):
                found += _of_tenant(each, map(fact_of, reader.lessons(each)))
    return found


def choices(store: str, task_id: str) -> list[tuple[Lesson, list[Observation]]]:
    """Why a task's models were chosen: the record of each ask, with its replies, in order.

    Raises:
        TaskNotFound, LedgerUnavailable: As :func:`explained`.
    """
    return [(choice, replies) for choice, replies, _ in explained(store, task_id)]


def explained(store: str, task_id: str) -> list[tuple[Lesson, list[Observation], list[Outcome]]]:
    """The same with what was said of the replies since.

    Raises:
        TaskNotFound: If the ledger knows no such task.
        LedgerUnavailable: If there is no ledger to read.
    """
    with reader_from_url(store) as reader:
        if reader.task(task_id) is None:
            message = f"The ledger {store} knows no task {task_id!r}."
            raise TaskNotFound(message)
        lessons = reader.lessons_of(task_id)
    facts = [fact_of(one) for one in lessons if one.kind != "choice"]
    # What a resume judged anew was noted once more.
    replies = {fact.attempt_id: fact for fact in facts if isinstance(fact, Observation)}
    outcomes = [fact for fact in facts if isinstance(fact, Outcome)]
    found = []
    for choice in lessons:
        if choice.kind == "choice":
            asked = [one for one in replies.values() if one.ask.endswith(f" {choice.subject}")]
            attempts = {one.attempt_id for one in asked}
            found.append((choice, asked, [one for one in outcomes if one.attempt_id in attempts]))
    return found


# Status


def _of_tenant(tenant: str, facts: Iterable[Observation | Outcome]) -> list[StepStatus]:
    knowledge = Knowledge()
    for fact in facts:
        knowledge.fold(fact)
    knowledge.settle()
    lessons = {attempt: each.lesson for attempt, each in knowledge.told.items()}
    told = {
        attempt: lesson.score
        for attempt, lesson in lessons.items()
        if lesson is not None and lesson.source not in SIGNS
    }
    newest = [knowledge.step(key) for key in knowledge.newest.values()]
    return [_of_step(tenant, knowledge, step, told) for step in newest]


def _asks(knowledge: Knowledge, key: StepKey) -> list[list[Observation]]:
    asks: dict[str, list[Observation]] = {}
    for reply in knowledge.observations.values():
        if StepKey(reply.agent, reply.step, reply.version) == key:
            asks.setdefault(reply.ask, []).append(reply)
    return list(asks.values())


def _of_step(
    tenant: str, knowledge: Knowledge, step: StepKnowledge, told: dict[str, float]
) -> StepStatus:
    step.lapse(datetime.now(UTC))
    asks = _asks(knowledge, step.key)
    scores = _scores(asks, told)
    asks = [replies for replies in asks if not replies[0].is_shadow]  # nobody asked for those
    actions = sorted(
        (_of_action(step, action, scores) for action in step.recent), key=lambda one: one.cost_usd
    )
    taken = [reply for replies in asks for reply in replies if reply.taken]
    policy = Point(
        cost_usd=_mean([sum(reply.cost for reply in replies) for replies in asks]),
        quality=_mean([scores[one.attempt_id] for one in taken if one.attempt_id in scores]),
        detail=f"{sum(one.attempt_id in scores for one in taken)} of {len(taken)} outcomes known",
    )
    return StepStatus(
        tenant=tenant,
        agent=step.key.agent,
        step=step.key.step,
        version=step.key.version,
        state=step.state,
        labels=len(step.labels),
        sources=sources_of(knowledge, step),
        checks=checks_of(knowledge, step.key.step),
        audits=len(step.audits),
        threshold=step.threshold,
        certificate=step.certificate,
        drift=1.0 if step.alarm is None else step.alarm.capital,
        drifted=step.drifted,
        unreachable=step.hopeless(list(step.recent)),
        asks=len(asks),
        actions=tuple(actions),
        policy=policy,
        baselines=_baselines(actions, policy, asks, scores),
    )


def _scores(asks: list[list[Observation]], told: dict[str, float]) -> dict[str, float]:
    """What is known of each reply; one that failed its checks is wrong unless it was told of."""
    return {
        reply.attempt_id: told.get(reply.attempt_id, 0.0)
        for replies in asks
        for reply in replies
        if reply.attempt_id in told or not reply.passed
    }


def _of_action(step: StepKnowledge, action: str, scores: dict[str, float]) -> ActionStatus:
    kept = list(step.recent[action])
    hits, seen = step.accepts(action, step.threshold)
    known = [scores[one.attempt_id] for one in kept if one.attempt_id in scores]
    return ActionStatus(
        action=action,
        replies=len(kept),
        accepted=hits / seen if seen else 0.0,
        labels=len(known),
        quality=_mean(known),
        cost_usd=step.cost(action) or 0.0,
    )


def _baselines(
    actions: Sequence[ActionStatus],
    policy: Point,
    asks: list[list[Observation]],
    scores: dict[str, float],
) -> dict[str, Point]:
    known = [(one.quality, one.cost_usd, one) for one in actions if one.quality is not None]
    if not known:
        return {}
    cheapest = actions[0]
    quality, cost, best = max(known, key=lambda each: (each[0], -each[1]))
    found = {
        "all_cheapest": Point(
            cost_usd=cheapest.cost_usd, quality=cheapest.quality, detail=cheapest.action
        ),
        "best_single": Point(cost_usd=cost, quality=quality, detail=best.action),
        "oracle": _oracle(asks, scores, len(actions)),
    }
    if cheapest.quality is not None and policy.cost_usd is not None:
        # Either of the two at random, as often as the policy's cost allows.
        run = cost - cheapest.cost_usd
        share = min(1.0, max(0.0, (policy.cost_usd - cheapest.cost_usd) / run)) if run > 0 else 1.0
        found["random_mix"] = Point(
            cost_usd=cheapest.cost_usd + share * run,
            quality=cheapest.quality + share * (quality - cheapest.quality),
            detail=f"{share:.0%} {best.action}",
        )
    return found


def _oracle(asks: list[list[Observation]], scores: dict[str, float], actions: int) -> Point:
    """The cheapest right reply of each ask, where every model replied and its outcome is known."""
    costs, bought = [], []
    for replies in asks:
        known = [reply for reply in replies if reply.attempt_id in scores]
        if len({reply.action for reply in known}) < actions:
            continue
        right = [reply for reply in known if scores[reply.attempt_id] >= _RIGHT]
        costs.append(min(reply.cost for reply in right or known))
        bought.append(float(bool(right)))
    detail = f"{len(costs)} of {len(asks)} asks"
    return Point(cost_usd=_mean(costs), quality=_mean(bought), detail=detail)


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
