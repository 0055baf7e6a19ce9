"""What the tasks of a simulation do, drawn from its seed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """One place where a provider is asked, and what that may cost at most, in nano-dollars."""

    key: str
    bound: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What a task does, in order; and what it may spend.

    Attributes:
        task_id: Its id.
        budget: Its own budget, in nano-dollars; a resume adds as much again, if that was short.
        steps: What it asks, and the tasks it runs.
        ancestors: The tasks around it.
    """

    task_id: str
    budget: int
    steps: tuple[Step | Plan, ...]
    ancestors: tuple[str, ...] = ()

    def places(self) -> Iterator[tuple[str, str]]:
        """All that has to be paid, once each, until it is complete."""
        for step in self.steps:
            if isinstance(step, Plan):
                yield from step.places()
            else:
                yield self.task_id, step.key


def draw_plans(dice: random.Random, count: int) -> list[Plan]:
    """So many tasks, each with steps, some with a task inside."""

    def steps(number: int) -> list[Step | Plan]:
        return [Step(f"step-{one}", dice.randrange(10, 100)) for one in range(number)]

    plans = []
    for number in range(count):
        own = steps(dice.randrange(2, 6))
        task_id = f"task-{number}"
        if dice.random() < 0.5:  # noqa: PLR2004 - every other
            inside = Plan(f"{task_id}-inside", 150, tuple(steps(2)), ancestors=(task_id,))
            own.insert(dice.randrange(len(own)), inside)
        plans.append(Plan(task_id, dice.choice([150, 300, 600]), tuple(own)))
    return plans
