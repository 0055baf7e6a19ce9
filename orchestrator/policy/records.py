"""A checked policy: what the runtime works with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, is_dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Literal, NamedTuple

from orchestrator.budgets.rules import BudgetRule
from orchestrator.core.priority import Priority
from orchestrator.limits.settings import LimitSettings
from orchestrator.limits.tools import ToolTable
from orchestrator.memo.settings import MemoTable, StoreSettings
from orchestrator.models.rates import RateSettings
from orchestrator.models.settings import ModelSettings
from orchestrator.policy.tree import Source
from orchestrator.pricing.currency import Rates
from orchestrator.pricing.resources import ResourcePrice
from orchestrator.pricing.staleness import StalePrice
from orchestrator.routing.admission import LaneSettings
from orchestrator.routing.checks.judge import PROMPT_VERSION
from orchestrator.routing.settings import StepTable

UnknownPrice = Literal["refuse", "estimate", "free"]
ServerErrors = Literal["free", "bound"]
Durability = Literal["async", "sync", "exit"]


@dataclass(frozen=True, kw_only=True)
class AuditSettings:
    """How often another model is asked the same, and what that may cost.

    Attributes:
        rate: The share of replies that are drawn, 0 to 1.
        budget: What the audits of one agent may spend.
    """

    rate: float
    budget: BudgetRule


@dataclass(frozen=True, kw_only=True)
class AgentPolicy:
    """What applies to the tasks of one agent, all layers merged.

    Attributes:
        org: The organisation.
        team: The team.
        cost_center: Kept with every cost, for reports.
        models: The models by the names that steps use, in the policy's order.
        budgets: The budgets of every scope that has one, from ``org`` down to ``task``.
        limits: What stops one task.
        steps: How each step chooses its model.
        memos: What each step remembers.
        tools: What holds for single tools.
        resources: Prices of what is used beside models and tools.
        upkeep: What the memo may spend on asking anew in the background; ``None``: nothing.
        audits: How often replies are compared with those of another model; ``None``: never.
        memo_store: The address of a Redis that holds the memo, or ``env:`` and the variable that
            has it; ``None``: on disk.
        memo_limits: What the memo may hold.
        unknown_price: What a model without a known price means.
        stale_price: How old a price may be; ``None``: as old as it likes.
        server_errors: What a provider's own error 5xx is booked at.
        keep_bodies: How long prompts and replies are kept; ``None``: until the task completes, or
            30 days after a halt.
        durability: When checkpoints are written.
        priority: How much its tasks matter where money is short.
        lanes: The lanes of a process, by name.
        rates: How much each provider lets through, by its name.
    """

    org: str
    team: str
    cost_center: str | None
    models: dict[str, ModelSettings]
    budgets: tuple[BudgetRule, ...]
    limits: LimitSettings
    steps: StepTable
    memos: MemoTable
    tools: ToolTable
    resources: Mapping[str, ResourcePrice]
    upkeep: BudgetRule | None
    audits: AuditSettings | None
    memo_store: str | None
    memo_limits: StoreSettings
    unknown_price: UnknownPrice
    stale_price: StalePrice | None
    server_errors: ServerErrors
    keep_bodies: timedelta | None
    durability: Durability
    priority: Priority = "normal"
    lanes: Mapping[str, LaneSettings] = field(default_factory=dict)
    rates: Mapping[str, RateSettings] = field(default_factory=dict)

    def version_of(self, step: str) -> str:
        """Digest of what decides who answers ``step`` and which reply passes its checks.

        Not of its threshold: a reply keeps its own confidence, which is compared with that.
        """
        return self._versions.get(step) or self._versions["*"]

    @cached_property
    def _versions(self) -> Mapping[str, str]:
        versions = {}
        for name in {*self.steps.steps, "*"}:
            step = self.steps[name]
            models = [self._asked(model) for model in step.models or self.models]
            parts = [
                models,
                step.checks,
                [step.form, step.tests, step.logprobs],
                step.agreement and step.agreement.model and self._asked(step.agreement.model),
                step.judge and [step.judge.criteria, self._asked(step.judge.model), PROMPT_VERSION],
            ]
            text = json.dumps(parts, default=_canonical, ensure_ascii=True)
            versions[name] = hashlib.sha256(text.encode()).hexdigest()
        return versions

    def _asked(self, name: str) -> dict[str, object]:
        """A model as far as it decides what it answers: not when it may be asked, nor its price."""
        settings = self.models[name]
        asked = asdict(replace(settings, rate=None, price=None))
        # One model is the same with every key and in every region of its pool.
        where = ("api_base", "api_key_env", "region") if settings.origins else ()
        return {
            part: value
            for part, value in asked.items()
            if part not in {"origin", "origins", *where}
        }

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the values: the same for policies that mean the same.

        The order of ``models`` counts, because it is the order in which candidates are tried;
        comments, layers and the way a number is written do not.
        """
        text = json.dumps(asdict(self), default=_canonical, ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()


class Value(NamedTuple):
    """One value of a policy, for ``policy explain``.

    Attributes:
        key: The dotted path (``budgets.task.limit``).
        value: The value as it was written (``0.25 USD``).
        source: Where; its file is ``default`` if no layer wrote it.
    """

    key: str
    value: str
    source: Source


@dataclass(frozen=True, kw_only=True)
class Policy:
    """One checked policy, with the settings of every agent.

    Attributes:
        path: The file, as it was named.
        everyone: What applies to an agent without overrides.
        agents: What applies to each agent under ``agents:``.
        values: Every value with its source, by agent; ``None`` for ``everyone``.
        rates: The rates of other currencies than USD.
    """

    path: str
    everyone: AgentPolicy
    agents: Mapping[str, AgentPolicy]
    values: Mapping[str | None, tuple[Value, ...]]
    rates: Mapping[str, Rates] = field(default_factory=dict)

    @property
    def sources(self) -> dict[str, Source]:
        """Where each value of ``everyone`` was written, by its dotted path."""
        return {value.key: value.source for value in self.values[None]}

    def agent(self, name: str) -> AgentPolicy:
        """What applies to the agent ``name``; the policy without overrides if it has none."""
        return self.agents.get(name, self.everyone)


def explain(policy: Policy, agent: str | None = None) -> tuple[Value, ...]:
    """Every value that applies to ``agent`` (``None``: to all), and where it was written."""
    return policy.values.get(agent, policy.values[None])


def _canonical(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    match value:
        case Decimal():
            return f"{value.normalize():f}"
        case date():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case _:
            message = f"a policy holds no {type(value).__name__}"
            raise TypeError(message)
