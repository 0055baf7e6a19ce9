"""Policies made from a policy: for the baselines it stands beside, and for a benchmark's money."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from orchestrator.budgets.rules import BudgetRule
from orchestrator.core.money import Money
from orchestrator.policy.records import AgentPolicy, Policy
from orchestrator.routing.settings import StepSettings, StepTable

FIXED = 0.8
"""The confidence of the baseline with a fixed threshold."""


def single(policy: Policy, model: str) -> Policy:
    """The policy in which every step asks this model alone, and checks nothing."""
    alone = StepSettings(models=(model,))

    def changed(agent: AgentPolicy) -> AgentPolicy:
        steps = {
            name: replace(alone, timeout_s=step.timeout_s)
            for name, step in agent.steps.steps.items()
        }
        return replace(agent, steps=StepTable({"*": alone, **steps}))

    return _each(policy, changed)


def fixed_threshold(policy: Policy, cheapest: str, best: str) -> Policy:
    """The policy that asks the cheapest model, then the best if confidence is below .8.

    The checks stay as they are; a step without checks keeps the cheapest model's reply.
    """

    def changed(agent: AgentPolicy) -> AgentPolicy:
        models = tuple(dict.fromkeys((cheapest, best)))
        steps = {"*": agent.steps["*"], **agent.steps.steps}
        return replace(
            agent,
            steps=StepTable(
                {
                    name: replace(step, confidence=FIXED, models=models, below_threshold="best")
                    for name, step in steps.items()
                }
            ),
        )

    return _each(policy, changed)


def within(policy: Policy, limit: Money) -> Policy:
    """The policy with a budget for all of its tasks together, on top of its own."""
    rule = BudgetRule(scope="org", limit=limit)
    return _each(policy, lambda agent: replace(agent, budgets=(rule, *agent.budgets)))


def _each(policy: Policy, changed: Callable[[AgentPolicy], AgentPolicy]) -> Policy:
    return replace(
        policy,
        everyone=changed(policy.everyone),
        agents={name: changed(agent) for name, agent in policy.agents.items()},
    )
