"""What a test says about the cost of a task."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

from orchestrator.core.money import Money
from orchestrator.runtime.run.results import TaskResult


def assert_cost_below(result: TaskResult, usd: str | Decimal | Money) -> None:
    """Fail unless a task, over all its runs, cost less than ``usd``.

    What is estimated or in doubt counts at its worst case.

    Args:
        result: The task.
        usd: The amount, as text or ``Decimal`` (``"0.01"``).

    Raises:
        AssertionError: If it cost as much or more, with the cost of each step and model.
    """
    limit = usd if isinstance(usd, Money) else Money.from_usd(usd)
    if result.cost.total < limit:
        return
    spent: Counter[tuple[str, str]] = Counter()
    for attempt in result.attempts:
        spent[attempt.step, attempt.model] += attempt.cost.nano
    parts = (f"  {step}, {model}: {Money(nano)}" for (step, model), nano in spent.most_common())
    message = f"{result.task_id} cost {result.cost.total}, not less than {limit}:"
    raise AssertionError("\n".join([message, *parts]))


def assert_calls(result: TaskResult, total: int | None = None, /, **by_step: int) -> None:
    """Fail unless a task made just so many attempts on the wire, over all its runs.

    Args:
        result: The task.
        total: All of them; not looked at unless given.
        by_step: Those of a step, by its name; steps that are not named are not looked at.

    Raises:
        AssertionError: If there were more or fewer, with the numbers of all steps.
    """
    made = Counter(attempt.step for attempt in result.attempts)
    wrong = [f"{step}: {made[step]}, not {n}" for step, n in by_step.items() if made[step] != n]
    if total is not None and made.total() != total:
        wrong.append(f"in all: {made.total()}, not {total}")
    if wrong:
        message = f"{result.task_id} made other calls: {'; '.join(wrong)} (made: {dict(made)})"
        raise AssertionError(message)
