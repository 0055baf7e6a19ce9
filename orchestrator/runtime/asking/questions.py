"""Asking a person where no reply was accepted: the question, and what the answer does.

A question is an interrupt of LangGraph's, so it waits in the checkpoint, for as long as it takes
and for whichever process resumes the task. Its id is the journal key of the ask: an answer finds
its ask even where several asks of one node wait, in whatever order they come again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from orchestrator.core.errors import ResumeError
from orchestrator.core.halt import Halt, Halted
from orchestrator.core.ids import new_attempt_id
from orchestrator.core.money import Money
from orchestrator.ledger.records import AttemptEnd, AttemptIntent, Decision
from orchestrator.models.protocol import Completion
from orchestrator.routing.checks.schema import check_schema
from orchestrator.routing.halts import confidence_halt
from orchestrator.routing.verdict import best, combine
from orchestrator.runtime.asking.errand import Errand
from orchestrator.runtime.asking.judging import Judged
from orchestrator.runtime.asking.passing_on import Told, asker, mark
from orchestrator.runtime.run import arguments
from orchestrator.runtime.storage.journal import JournaledReply, encode

ACCEPT = "accept"
HALT = "halt"
PERSON = "person"
"""Who answered, in the place of a model's name."""

_ANSWERS = f"{ACCEPT!r} (take this reply), {HALT!r}, or a text that is the reply instead"


def ask_person(errand: Errand, judged: Judged, *, problem: str = "") -> Halted:
    """Ask about the best reply; the caller raises what this returns.

    Nothing is latched: what else the graph can do, it does.

    Args:
        errand: The ask.
        judged: Its best reply.
        problem: What was wrong with the answer that was given.
    """
    step, paid, verdict = errand.request.step, judged.paid, judged.verdict
    question: dict[str, Any] = {
        "key": errand.key,
        "step": step,
        "model": paid.model,
        "reply": paid.completion.text,
        "tool_calls": [
            {"name": one.name, "arguments": one.arguments} for one in paid.completion.tool_calls
        ],
        "confidence": verdict.confidence,
        "why": {one.name: one.detail for one in verdict.checks if one.passed is False},
        "answers": _ANSWERS,
    }
    if problem:
        question["problem"] = problem
    errand.place.ask(errand.key, question)
    return Halted(Halt(reason="question", scope="task", step=step, detail=described(question)))


def answered(errand: Errand, judged: Sequence[Judged], answer: str) -> Judged:
    """What a person's answer makes of the replies of an ask.

    Raises:
        Halted: If the answer is to halt, or is no reply that follows the schema of the ask.
    """
    run, request = errand.run, errand.request
    chosen = judged[best([one.verdict for one in judged])]
    if answer == ACCEPT:
        return chosen._replace(verdict=replace(chosen.verdict, accepted=True))
    if answer == HALT:
        halt = confidence_halt(
            chosen.verdict,
            step=request.step,
            model=chosen.paid.model,
            threshold=run.policy.steps[request.step].confidence,
        )
        raise run.refuse(halt, errand.place)
    completion = Completion(text=answer, finish_reason="stop")
    parsed = None
    if request.schema is not None:
        followed, parsed = check_schema(completion, request.schema_type or request.schema)
        if not followed.passed:
            raise ask_person(errand, chosen, problem=f"the answer is no reply: {followed.detail}")
    paid = JournaledReply(new_attempt_id(), PERSON, completion, Money.ZERO, from_person=True)
    return Judged.of(paid, combine(()), parsed)


def book_answer(errand: Errand, paid: JournaledReply, decision: Decision) -> None:
    """Write a person's reply into the ledger, in a row that costs nothing, and into the journal."""
    run, request = errand.run, errand.request
    run.journal.add(errand.key, paid)
    intent = AttemptIntent(
        attempt_id=paid.attempt_id,
        task_id=run.scope.task_id,
        epoch=run.epoch,
        key=errand.key,
        request_hash=request.digest,
        step=request.step,
        kind="person",
        model=PERSON,
        provider_model=PERSON,
        reserve=Money.ZERO,
        expires_at=decision.at,
        at=decision.at,
    )
    end = AttemptEnd(
        attempt_id=paid.attempt_id,
        end="settled",
        cost=Money.ZERO,
        certainty="known",
        seconds=0.0,
        at=decision.at,
        reply=encode(paid.completion),
    )
    run.ledger.free(intent, end, decision)


def is_ours(asked: Any) -> bool:
    """Whether an interrupt of a graph is a question about a reply, here or of a task inside."""
    key = asked.id.rpartition("/")[2]
    return isinstance(asked.value, Mapping) and asked.value.get("key") == key


def told(asked: Any) -> str:
    """An interrupt in a sentence."""
    if is_ours(asked):
        return described(asked.value)
    who = asker(asked)
    if who is not None and is_for_money(asked):
        return str(asked.value["detail"])
    said = "The graph" if who is None else f"Task {who} inside this one"
    return f"{said} asks: {asked.value!r}; resume with answer=…"


def is_for_money(asked: Any) -> bool:
    """Whether an interrupt asks for more money."""
    return isinstance(asked.value, Mapping) and asked.value.get("asks_for") == "budget"


def described(question: Mapping[str, Any]) -> str:
    """A question in a sentence that quotes no reply: it goes into halts, which are logged."""
    failed = ", ".join(question["why"])
    why = f"failed {failed}" if failed else f"has a confidence of {question['confidence']}"
    return (
        f"No reply of step {question['step']!r} was accepted; the best one, of "
        f"{question['model']}, {why}. It stands in the result's questions; resume with "
        f"answer={ACCEPT!r}, {HALT!r}, or a text that is the reply."
    )


def taken_apart(
    task_id: str, asked: Sequence[Any], answer: Any
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Divide an answer into those that we take and those to the graph's own, by their ids.

    We take those to questions about replies and to questions of tasks inside the task.

    Args:
        task_id: The task.
        asked: The interrupts it waits at; at least one.
        answer: What was given: an answer, or a mapping of ids to answers.

    Raises:
        ResumeError: If a question about a reply is answered with anything but a text.
        ValueError: If one for more money is answered with no amount.
    """
    ids = {one.id for one in asked}
    by_id = isinstance(answer, Mapping) and bool(answer) and set(answer) <= ids
    answers = dict(answer) if by_id else dict.fromkeys(ids, answer)
    ours = {}
    for one in asked:
        if one.id not in answers or not (is_ours(one) or asker(one)):
            continue
        given = answers[one.id]
        ours[one.id] = given if asker(one) is None else Told(given, mark(one.value))
        if is_ours(one) and not (isinstance(given, str) and given.strip()):
            message = f"{task_id} asks about a reply: answer {_ANSWERS}, not {given!r} ({one.id})."
            raise ResumeError(message)
        if is_for_money(one):
            arguments.granted(None, given)
    return ours, {key: given for key, given in answers.items() if key not in ours}
