"""What a user may pass to ``run`` and ``resume``, checked all at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar

from orchestrator.core.durations import parse_duration
from orchestrator.core.errors import ResumeError
from orchestrator.core.ids import TASK_ID_PATTERN
from orchestrator.core.money import Money
from orchestrator.core.priority import PRIORITIES, Priority
from orchestrator.core.scope import UPKEEP
from orchestrator.ledger.records import TaskRecord
from orchestrator.ledger.validation import MAX_NANO, check_text
from orchestrator.policy.records import AgentPolicy
from orchestrator.pricing.currency import day_of

Amount = Money | Decimal | str | int
Duration = timedelta | str | float | int
T = TypeVar("T")


@dataclass(slots=True)
class Arguments:
    """Gathers mistakes, so that a caller sees all of them in one error."""

    _mistakes: list[str] = field(default_factory=list)

    def take(self, name: str, value: Any, read: Callable[[Any], T]) -> T | None:
        """Read ``value``; ``None`` stays ``None``, a mistake is noted."""
        if value is None:
            return None
        try:
            return read(value)
        except (TypeError, ValueError) as error:
            self._mistakes.append(f"{name}: {error}")
            return None

    def done(self) -> None:
        """Raise what was gathered.

        Raises:
            ValueError: With every mistake.
        """
        if self._mistakes:
            raise ValueError("; ".join(self._mistakes))


def amount(value: Amount) -> Money:
    """Read money: ``Money``, ``Decimal``, or text as ``"0.25"`` or ``"0.25 USD"``."""
    if isinstance(value, str):
        value = value.strip().removesuffix("USD").strip()
    money = value if isinstance(value, Money) else Money.from_usd(value)
    if not 0 < money.nano <= MAX_NANO:
        message = f"an amount must be above $0 and at most {Money(MAX_NANO)}, not {money}"
        raise ValueError(message)
    return money


def amount_above(policy: AgentPolicy, now: datetime) -> Callable[[Amount], Money]:
    """A reader of a task's own budget: with all of it kept for the end, nothing could start."""
    kept = (rule.on(day_of(now)).finish_reserve for rule in policy.budgets)
    finish_reserve = max(kept, default=Money.ZERO)

    def read(value: Amount) -> Money:
        money = amount(value)
        if money <= finish_reserve:
            message = (
                f"{money} is all kept for finish=True steps, so no other step could start; give "
                f"more than the policy's finish_reserve of {finish_reserve}"
            )
            raise ValueError(message)
        return money

    return read


def seconds(value: Duration) -> float:
    """Read a duration: ``timedelta``, a number of seconds, or text as ``"5m"``."""
    return parse_duration(value)


def priority(value: object) -> Priority:
    """Read a priority."""
    found = next((one for one in PRIORITIES if one == value), None)
    if found is None:
        message = f"a priority is one of {', '.join(PRIORITIES)}, not {value!r}"
        raise ValueError(message)
    return found


def granted(more: Money | None, answer: Any) -> Money:
    """What a person grants who was asked for more money.

    Raises:
        ValueError: If the answer is no amount, or ``add_budget`` says something too.
    """
    if more is not None:
        message = "add_budget and answer both say how much more may be spent: pass one of them"
        raise ValueError(message)
    try:
        return amount(answer)
    except (TypeError, ValueError) as error:
        message = f"answer: {error}"
        raise ValueError(message) from error


def name(value: object) -> str:
    """Read a name that becomes part of an account: text without ``|`` or ``/``."""
    if not isinstance(value, str) or not value.strip() or set("|/\x00") & set(value):
        message = f"a name is text without '|' or '/', not {value!r}"
        raise ValueError(message)
    check_text(name=value)
    return value


def task_id(value: object) -> str:
    """Read a task id."""
    if not isinstance(value, str) or not TASK_ID_PATTERN.fullmatch(value):
        message = f"a task id is 1 to 128 of A-Z a-z 0-9 . _ : -, not {value!r}"
        raise ValueError(message)
    return value


def tags(value: object) -> Mapping[str, str]:
    """Read labels: a mapping of text to text."""
    if not isinstance(value, Mapping) or not all(
        isinstance(key, str) and isinstance(one, str) for key, one in value.items()
    ):
        message = f"tags are a mapping of text to text, not {value!r}"
        raise TypeError(message)
    if UPKEEP in value:
        message = f"the tag {UPKEEP!r} is the runtime's own; choose another name"
        raise ValueError(message)
    for key, one in value.items():
        check_text(tag=key, value=one)
    return dict(value)


def check_budget_is_its_own(record: TaskRecord, policy: AgentPolicy) -> None:
    """Refuse to raise a budget where that would change nothing."""
    halt, own = record.halt, record.opening.budget
    if own is None and not any(rule.scope == "task" for rule in policy.budgets):
        message = "The task has no budget of its own that add_budget could raise."
        raise ResumeError(message)
    if halt is not None and halt.reason == "budget" and halt.scope != "task":
        message = (
            f"The task halted on the budget of the {halt.scope}, not on its own: add_budget would "
            "not help. Raise that budget in the policy, or wait for its next window."
        )
        raise ResumeError(message)
