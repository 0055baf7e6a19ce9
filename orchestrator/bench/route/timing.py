"""What one decision takes of the processor, as the runtime would make it."""

from __future__ import annotations

from collections.abc import Sequence
from time import thread_time_ns

import numpy as np

from orchestrator.routing.cascade import Price
from orchestrator.routing.learning.cases import Cases
from orchestrator.routing.router import Router

_ROWS = 300


def decision_us(
    router: Router, table: Cases, probes: Sequence[int], price: float
) -> dict[str, float]:
    """Processor time of decisions in microseconds: the first of a case, one after each probe.

    Reading a reply is the work of the checks and is not counted.

    Args:
        router: What decides.
        table: Where the cases come from, with the models of the router.
        probes: The models whose replies are looked at.
        price: The price of quality.
    """
    rule, affordable = Price(price), frozenset(table.models)
    taken = []
    for row in range(min(_ROWS, len(table))):
        start = thread_time_ns()
        case = router.consider(table.prompts[row], table.groups[table.classes[row]])
        case.decide(rule, affordable)
        taken.append(thread_time_ns() - start)
        for model in probes:
            case.observe(table.models[model], table.replies[row][model])
            start = thread_time_ns()
            case.decide(rule, affordable)
            taken.append(thread_time_ns() - start)
    p50, p99 = np.quantile(taken, [0.5, 0.99]) / 1_000
    return {"p50": float(p50), "p99": float(p99)}
