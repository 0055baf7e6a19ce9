"""Policies and their baselines on one suite, under one budget."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from orchestrator.bench.baselines import Outcome, OutcomeTable
from orchestrator.bench.compare import Difference, Outcomes, cost_per_success, differences
from orchestrator.bench.derived import fixed_threshold, single, within
from orchestrator.bench.records import Baseline, PolicyRun
from orchestrator.bench.run import SuiteJob, run_suite
from orchestrator.bench.suite import Sample
from orchestrator.core.money import Money
from orchestrator.policy.records import Policy
from orchestrator.runtime.orchestrator import Orchestrator
from orchestrator.runtime.run.results import TaskResult

OnResult = Callable[[Sample, TaskResult], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is measured.

    Attributes:
        suite: The questions.
        job: What runs for each.
        folder: Where the ledgers lie, one for each policy and its contents.
        budget: The most that everything may cost together; ``None``: the policies' budgets only.
        baselines: Whether the models are also asked alone, which costs what they cost.
        on_start: Told the name of each policy before it runs.
        on_result: Told of each task as it ends.
    """

    suite: Sequence[Sample]
    job: SuiteJob
    folder: Path
    budget: Money | None = None
    baselines: bool = True
    on_start: Callable[[str], None] = lambda _: None
    on_result: OnResult = lambda _sample, _result: None


@dataclass(slots=True)
class Measured:
    """What was found so far.

    Attributes:
        runs: The policies' figures.
        outcomes: What each policy did, by question.
        baselines: What simple rules did on the same questions.
        differences: Every policy and measured baseline against the first policy.
        spent: What all of it cost.
        cut: How many tasks the budget of the benchmark stopped: figures with any are of no use
            until it is raised and the run is gone on with.
    """

    runs: list[PolicyRun] = field(default_factory=list)
    outcomes: dict[str, Outcomes] = field(default_factory=dict)
    baselines: list[Baseline] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    spent: Money = Money.ZERO
    cut: int = 0


async def measure(policies: Mapping[str, Policy], plan: Plan) -> Measured:
    """Run every policy, then every model alone and the fixed threshold between two of them.

    Raises:
        OrchestratorError: If a task could not be run at all.
    """
    found = Measured()
    for name, policy in policies.items():
        found.runs.append(await _run(found, name, policy, plan))
    if plan.baselines:
        await _baselines(found, policies, plan)
    if len(found.outcomes) > 1:
        found.differences = differences(found.outcomes)
    return found


async def _run(found: Measured, name: str, policy: Policy, plan: Plan) -> PolicyRun:
    plan.on_start(name)
    # The ledger of the same policy on another day is another one only if the policy changed.
    agents = [policy.everyone, *policy.agents.values()]
    digest = hashlib.sha256("".join(each.digest for each in agents).encode()).hexdigest()[:12]
    if plan.budget is not None:
        policy = within(policy, max(plan.budget - found.spent, Money.ZERO))
    folder = plan.folder / f"{name.replace('/', '_')}-{digest}"
    folder.mkdir(parents=True, exist_ok=True)
    async with Orchestrator(policy, store=f"sqlite:///{folder / 'ledger.db'}") as orchestrator:
        figures, results = await run_suite(
            orchestrator, name, plan.suite, plan.job, on_result=plan.on_result
        )
    found.outcomes[name] = {
        sample.id: Outcome(
            plan.job.score(sample, results[sample.id]), results[sample.id].cost.total
        )
        for sample in plan.suite
    }
    found.spent += figures.cost
    found.cut += plan.budget is not None and sum(map(_cut, results.values()))
    return figures


def _cut(result: TaskResult) -> bool:
    return result.halt is not None and result.halt.scope == "org"


async def _baselines(found: Measured, policies: Mapping[str, Policy], plan: Plan) -> None:
    owners = {
        model: policy
        for policy in reversed(list(policies.values()))
        for model in policy.agent(plan.job.agent).models
    }
    alone = {}
    for model, policy in owners.items():
        await _run(found, f"only {model}", single(policy, model), plan)
        alone[model] = found.outcomes[f"only {model}"]
    table = OutcomeTable(
        {(query, model): one for model, each in alone.items() for query, one in each.items()},
        plan.job.source,
    )
    found.baselines = list(table.all(found.runs[0].cost))
    cheapest, best = table.all_cheapest().detail, table.best_single().detail
    first = next(iter(policies.values()))
    if {cheapest, best} <= set(first.agent(plan.job.agent).models):
        run = await _run(found, "fixed_threshold", fixed_threshold(first, cheapest, best), plan)
        found.baselines.append(_as_baseline(run, f"{cheapest}, {best} below 0.8"))


def _as_baseline(run: PolicyRun, detail: str) -> Baseline:
    return Baseline(
        name=run.name,
        detail=detail,
        tasks=run.tasks,
        quality=run.quality,
        cost=run.cost,
        source=run.source,
    )


def as_plain(found: Measured) -> dict[str, Any]:
    """Differences, cost per success and what was spent, as plain data beside the table's."""
    return {
        "spent_usd": found.spent.to_json(),
        "stopped_by_budget": found.cut,
        "cost_per_success_usd": {
            name: None if (cost := cost_per_success(each)) is None else cost.to_json()
            for name, each in found.outcomes.items()
        },
        "differences": [
            {
                "name": one.name,
                "less": one.less,
                "quality": _interval(one.quality),
                "cost_usd_per_task": _interval(one.cost),
            }
            for one in found.differences
        ],
    }


def _interval(interval: object) -> dict[str, float]:
    return {name: getattr(interval, name) for name in ("mean", "low", "high")}


def keeping(plan: Plan) -> Plan:
    """The same, to be gone on with after an interruption."""
    return replace(plan, job=replace(plan.job, resumable=True))
