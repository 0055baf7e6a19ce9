"""What may enter the queue: values every store can write.

Checked in the caller's hands, so that one bad value is its caller's error and never fails the
transaction that others share with it. What identifies something is refused if it cannot be stored;
what only describes something (an error, a label) is made storable.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from operator import attrgetter
from typing import TypeVar

from orchestrator.core.halt import Halt
from orchestrator.core.money import Money
from orchestrator.core.usage import Usage
from orchestrator.ledger.afterwards import Correction
from orchestrator.ledger.codec import encode_halt, to_json
from orchestrator.ledger.lessons import Lesson
from orchestrator.ledger.records import (
    AttemptEnd,
    AttemptIntent,
    Decision,
    Demand,
    TaskClosing,
    TaskOpening,
)
from orchestrator.ledger.remembered import Remembered

T = TypeVar("T")

MAX_NANO = 10**18
"""The largest amount, a billion dollars: a sum of nine still fits 64 bits, and what is booked on an
account stays below its limit."""

MAX_COUNT = 2**53
"""The largest count: above, not every reader of JSON and of SQLite's sums keeps it exact."""


def check_text(**texts: str | None) -> None:
    """Refuse text that is no Unicode.

    Args:
        **texts: The texts by the names of their fields; ``None`` is no text.

    Raises:
        ValueError: If one contains a lone surrogate.
    """
    # Nearly all are plain: one look at all of them together.
    joined = "".join(filter(None, texts.values()))
    if joined.isascii() and "\0" not in joined:
        return
    for name, text in texts.items():
        _check_text(name, text)


def _texts(*names: str) -> Callable[[object], None]:
    """What does the same as :func:`check_text` for these fields of a record, in less time."""
    texts_of = attrgetter(*names)

    def check(record: object) -> None:
        texts: tuple[str, ...] = texts_of(record)
        joined = "".join(texts)
        if not joined.isascii() or "\0" in joined:
            for name, text in zip(names, texts, strict=True):
                _check_text(name, text)

    return check


_check_names = _texts("attempt_id", "task_id", "key", "request_hash", "step", "model")
_check_decision_texts = _texts("task_id", "key", "step", "attempt_id", "confidence_state")


def check_opening(opening: TaskOpening) -> TaskOpening:
    """Refuse a task that cannot be stored; return it with its labels made storable.

    Raises:
        ValueError: If an amount, a time or a name is impossible.
    """
    scope = opening.scope
    check_text(
        org=scope.org,
        team=scope.team,
        agent=scope.agent,
        user=scope.user,
        tenant=scope.tenant,
        task_id=scope.task_id,
        owner=opening.owner,
        input_type=opening.input_type,
        parent_key=opening.parent_key,
    )
    _check_texts("ancestors", scope.ancestors)
    _check_texts("tags", (*scope.tags.keys(), *scope.tags.values()))
    if opening.budget is not None:
        check_amount("budget", opening.budget)
    if opening.timeout_s is not None and math.isnan(opening.timeout_s):
        message = "timeout is not a number of seconds"
        raise ValueError(message)
    _check_time("a task opened", opening.at)
    # The name of a file may be bytes that are no text.
    return replace(opening, graph=_clean(opening.graph), policy=_clean(opening.policy))


def check_growth(add_budget: Money, extend: Mapping[str, float]) -> None:
    """Refuse what a resume cannot add.

    Raises:
        ValueError: If the budget or a limit would shrink, or grow out of measure.
    """
    if add_budget < Money.ZERO or min(extend.values(), default=0) < 0:
        message = "a resume can only add to the budget and the limits of a task"
        raise ValueError(message)
    check_amount("add_budget", add_budget)
    for name, more in extend.items():
        _check_text("extend", name)
        if not more <= MAX_COUNT:
            message = f"extend[{name!r}] is {more}; it must be at most {MAX_COUNT}"
            raise ValueError(message)


def check_intent(intent: AttemptIntent) -> None:
    """Refuse an intent that cannot be stored.

    Raises:
        ValueError: If an amount, a time or a text is impossible.
    """
    check_amount("reserve", intent.reserve)
    _check_count("token_bound", intent.token_bound)
    _check_names(intent)
    check_text(provider_model=intent.provider_model, origin=intent.origin)
    _check_time(f"attempt {intent.attempt_id} began", intent.at)
    _check_time(f"attempt {intent.attempt_id} expires", intent.expires_at)


def check_demands(demands: Sequence[Demand]) -> None:
    """Refuse demands that cannot be judged.

    Raises:
        ValueError: If an amount or the name of an account is impossible.
    """
    for demand in demands:
        _check_text("account", demand.account.key)
        check_amount("limit", demand.limit)
        check_amount("withheld", demand.withheld)


def check_end(end: AttemptEnd) -> AttemptEnd:
    """Refuse an end that cannot be booked; return it with its error text made storable.

    Raises:
        ValueError: If an amount, a count, a time or a text is impossible.
    """
    if end.end == "expired":
        message = f"attempt {end.attempt_id}: only the ledger expires an attempt"
        raise ValueError(message)
    check_amount("cost", end.cost)
    check_amount("overrun", end.overrun)
    check_amount("saved", end.saved)
    if end.end == "released" and (end.cost or end.overrun):
        message = f"attempt {end.attempt_id} was released, so it costs nothing; settle it instead"
        raise ValueError(message)
    if end.usage is not None:
        _check_usage(end.usage)
    _check_seconds("seconds", end.seconds)
    _check_seconds("saved_seconds", end.saved_seconds)
    _check_time(f"attempt {end.attempt_id} ended", end.at)
    check_text(attempt_id=end.attempt_id, price_source=end.price_source)
    # What a provider says may be anything; that it said it is worth more than how.
    error, served_model = _clean_or_none(end.error), _clean_or_none(end.served_model)
    if error == end.error and served_model == end.served_model:
        return end
    return replace(end, error=error, served_model=served_model)


def check_free(intent: AttemptIntent, end: AttemptEnd, decision: Decision | None) -> AttemptEnd:
    """Refuse what is free and cannot be stored; return its end as :func:`check_end` does.

    Raises:
        ValueError: If a part of it cannot be stored, or it is the end of another attempt.
    """
    check_intent(intent)
    if end.attempt_id != intent.attempt_id:
        message = f"attempt {intent.attempt_id} cannot end as {end.attempt_id}; give both one id"
        raise ValueError(message)
    if decision is not None:
        check_decision(decision)
    return check_end(end)


def check_remembered(hit: Remembered) -> Remembered:
    """Refuse a hit that cannot be stored; return it with what a provider said made storable.

    Raises:
        ValueError: If an amount, a time or a text is impossible.
    """
    _check_names(hit)
    check_amount("saved", hit.saved)
    _check_seconds("saved_seconds", hit.saved_seconds)
    _check_time(f"attempt {hit.attempt_id} was remembered", hit.at)
    if hit.decision is not None:
        check_decision(hit.decision)
    served_model = _clean_or_none(hit.served_model)
    return hit if served_model == hit.served_model else hit._replace(served_model=served_model)


def check_correction(correction: Correction) -> None:
    """Refuse a correction that cannot be stored.

    Raises:
        ValueError: If the amount, the time or a text is impossible.
    """
    check_amount("cost", correction.cost)
    check_text(attempt_id=correction.attempt_id, source=correction.source)
    _check_time(f"attempt {correction.attempt_id} was corrected", correction.at)


def check_decision(decision: Decision) -> None:
    """Refuse a decision that cannot be stored.

    Raises:
        ValueError: If a text, the time or the confidence is impossible.
    """
    _check_decision_texts(decision)
    _check_texts("checks", decision.checks)
    _check_time("a decision was made", decision.at)
    if decision.confidence is not None and not 0 <= decision.confidence <= 1:
        message = f"confidence is {decision.confidence}; it must lie between 0 and 1"
        raise ValueError(message)


def check_closing(closing: TaskClosing) -> TaskClosing:
    """Refuse a closing that cannot be stored; return it with what it tells made storable.

    Raises:
        ValueError: If a time, a text or the halt's limit is impossible.
    """
    check_text(task_id=closing.task_id)
    if closing.output is not None:
        _check_text("output", closing.output[0])
    _check_seconds("running_s", closing.running_s)
    _check_time("a task closed", closing.at)
    halt = None if closing.halt is None else _clean_halt(closing.halt)
    return replace(closing, error=_clean_or_none(closing.error), halt=halt)


def check_lessons(lessons: Iterable[Lesson]) -> None:
    """Refuse lessons that cannot be stored.

    Raises:
        ValueError: If a text, a time or a body is impossible.
    """
    for lesson in lessons:
        check_text(
            tenant=lesson.tenant,
            task_id=lesson.task_id,
            step=lesson.step,
            subject=lesson.subject,
        )
        _check_time("a lesson was learned", lesson.at)
        _check_storable("the body of a lesson", to_json, lesson.body)


def check_amount(name: str, amount: Money) -> None:
    """Refuse an amount that is negative, or above a billion dollars.

    Raises:
        ValueError: If it is.
    """
    if not 0 <= amount.nano <= MAX_NANO:
        message = f"{name} is {amount}; it must lie between $0 and {Money(MAX_NANO)}"
        raise ValueError(message)


def _check_usage(usage: Usage) -> None:
    # Negative counts are stored: they are what a provider said.
    parts = (usage.cached_input_tokens, usage.cache_write_tokens, usage.reasoning_tokens)
    if max(map(abs, (usage.input_tokens, usage.output_tokens, *parts))) > MAX_COUNT:
        message = f"usage is {usage}; no count can be above {MAX_COUNT}"
        raise ValueError(message)


def _check_count(name: str, count: int) -> None:
    if not 0 <= count <= MAX_COUNT:
        message = f"{name} is {count}; it must lie between 0 and {MAX_COUNT}"
        raise ValueError(message)


def _check_seconds(name: str, seconds: float) -> None:
    if not math.isfinite(seconds):
        message = f"{name} is {seconds}; it must be a finite number of seconds"
        raise ValueError(message)


def _check_time(what: str, at: datetime) -> None:
    if at.tzinfo is None:
        message = f"{what} at a time without a time zone; give it in UTC"
        raise ValueError(message)


def _check_storable(what: str, encode: Callable[[T], object], value: T) -> None:
    try:
        encode(value)
    except TypeError as error:
        message = f"{what} cannot be stored: {error}"
        raise ValueError(message) from error


def _check_texts(name: str, texts: Iterable[str]) -> None:
    for text in texts:
        _check_text(name, text)


def _check_text(name: str, text: str | None) -> None:
    if text is None or (text.isascii() and "\0" not in text):
        return
    try:
        text.encode()
    except UnicodeEncodeError as error:
        message = f"{name} is {text!r}, which is no Unicode text: it has a lone surrogate"
        raise ValueError(message) from error
    if "\0" in text:
        message = f"{name} is {text!r}; not every store can hold the null character"
        raise ValueError(message)


def _clean(text: str) -> str:
    if text.isascii() and "\0" not in text:
        return text
    return text.encode(errors="replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")


def _clean_or_none(text: str | None) -> str | None:
    return None if text is None else _clean(text)


def _clean_halt(halt: Halt) -> Halt:
    cleaned = replace(
        halt,
        scope=_clean(halt.scope),
        step=_clean_or_none(halt.step),
        detail=_clean(halt.detail),
        holder=_clean(halt.holder),
    )
    _check_storable("the halt", encode_halt, cleaned)
    return cleaned
