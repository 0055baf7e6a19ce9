"""The record of a choice in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from orchestrator.ledger.lessons import Lesson
from orchestrator.reports.outcomes import came_of
from orchestrator.routing.learning.observation import Observation, Outcome

_BELOW = MappingProxyType(
    {
        "best": "Where no reply reaches that, the best one is taken.",
        "halt": "Where no reply reaches that, the task halts.",
        "ask": "Where no reply reaches that, a person is asked.",
    }
)


def in_words(
    choice: Lesson, replies: Sequence[Observation], outcomes: Sequence[Outcome] = ()
) -> list[str]:
    """The record of one ask, a sentence a line."""
    body = choice.body
    said = [_beginning(choice.step, body)]
    for number, stage in enumerate(body["stages"], start=1):
        said.append(f"{number}. {_stage(stage)}")
        said += [f"   - {_candidate(each)}" for each in stage["candidates"]]
    names = {
        each.get("action"): each["model"]
        for stage in body["stages"]
        for each in stage["candidates"]
    }
    for reply in replies:
        checks = ", ".join(_check(*each) for each in sorted(reply.checks.items()))
        confidence = "" if reply.confidence is None else f", confidence {reply.confidence:.3f}"
        name = names.get(reply.action) or reply.action.split("|", 1)[0]
        if not reply.replied:
            said.append(f"No reply of {name}, but it was billed: {_usd(reply.cost)}.")
            continue
        said.append(
            f"Reply of {name}: {checks or 'no checks'}{confidence} ({reply.state});"
            f" {'taken' if reply.taken else 'not taken'}; {_usd(reply.cost)}."
        )
        said += [f"   {words}" for words in [came_of(reply, outcomes)] if words]
    likely = body.get("likelihoods", {})
    if len(likely) > 1 and body["state"] == "uncalibrated":
        each = ", ".join(f"{name} {value:.2f}" for name, value in likely.items())
        said.append(f"How likely each is right, by its checks (uncalibrated): {each}.")
    elif likely and body["state"] != "uncalibrated":
        each = ", ".join(f"{name} {value:.2f}" for name, value in likely.items())
        said.append(f"How often replies that failed their checks were right all the same: {each}.")
    said.append(f"Answered by {body['taken']}." if body["taken"] else "No reply was taken.")
    return said


def _check(name: str, score: float) -> str:
    return f"{name} {score:.2f}" if 0 < score < 1 else f"{name} {'passed' if score else 'failed'}"


def _usd(amount: float) -> str:
    whole, _, decimals = f"{amount:.9f}".partition(".")
    return f"${whole}.{decimals.rstrip('0').ljust(2, '0')}"


def _beginning(step: str, body: Mapping[str, Any]) -> str:
    threshold = body["threshold"]
    asks = (
        "asks for no confidence" if threshold is None else f"asks for a confidence of {threshold}"
    )
    state = body["state"]
    knows = {
        "uncalibrated": f"its confidence is uncalibrated ({body['labels']} outcomes are known)",
        "calibrated": f"its confidence is calibrated on {body['labels']} outcomes",
        "certified": f"its confidence is certified, calibrated on {body['labels']} outcomes",
    }[state]
    drift = "; an alarm of drift was raised, so only the best model is asked" * body["drifted"]
    return f"Step {step} {asks}; {knows}{drift}. {_BELOW[body['below']]}"


def _stage(stage: Mapping[str, Any]) -> str:
    left = stage["money_left"]
    money = (
        "no budget of the task"
        if left is None
        else f"{_usd(float(left))} left of the task's budget"
    )
    dear = f"; too dear for it: {', '.join(stage['too_dear'])}" if stage["too_dear"] else ""
    if slow := stage.get("too_slow"):
        dear += f"; too slow for the {stage['seconds_left']:.1f} s left: {', '.join(slow)}"
    chosen = f"Asked {stage['chosen']}" if stage["chosen"] else "Asked nobody more"
    plan = stage.get("plan")
    ahead = "" if plan is None else f" {_plan(plan)}"
    return f"{chosen}, with {money}{dear}.{ahead} It was between:"


def _plan(plan: Mapping[str, Any]) -> str:
    price = plan["price"]
    worth = f"; a dollar must buy {price:.4g} of log-success" if price else ""
    time = "" if not plan["seconds"] else f" and {plan['seconds']:.0f} s"
    stops = plan["stops"]
    calls = {0: "no call is", 1: "1 call is"}.get(stops, f"{stops} calls are")
    needs = f", needing {_usd(plan['finish'])}{time} at the least" if stops else ""
    said = f"By how such tasks went, {calls} to come after this one{needs}{worth}."
    if plan["leave_too_little"]:
        said += f" Too little for that would be left after {', '.join(plan['leave_too_little'])}."
    if plan["instead_of"] and plan.get("in_hand") is not None:
        said += f" The reply in hand, right with {plan['in_hand']:.2f}, would do."
    if plan["instead_of"]:
        said += f" Else {plan['instead_of']} would have been asked."
    return said


def _candidate(each: Mapping[str, Any]) -> str:
    cost = "unknown cost" if each["cost"] is None else f"expected {_usd(each['cost'])}"
    said = f"{each['model']}: {cost}, at most {_usd(float(each['bound']))}"
    if (cache := each.get("cache", 0.0)) > 0:
        why = "still holds this task's last prompt" if each.get("warm") else "caches prompts"
        said += f"; its provider {why}, which takes {cache:.0%} off"
    elif cache < 0:
        said += f"; {-cache:.0%} of it for keeping the prompt"
    if each.get("seconds") is not None:
        said += f"; {each['seconds']:.1f} s"
        said += f", which count as {_usd(each['waiting'])}" if each["waiting"] else ""
        said += f", in time with {each['in_time']:.2f}" if each["in_time"] < 1 else ""
    return (
        f"{said}; accepted with probability {each['accepted']:.2f}, right with"
        f" {each['quality']:.2f} (at least {each['lower']:.2f}), from {each['seen']} replies"
    )
