"""The shape of a policy file: every key, how its value is written, and what it means.

One definition serves four readers: the loader, the JSON Schema for editors, the reference in
``docs/policy.md`` and ``policy explain``. Nothing is required here, because any layer may leave
out what another one says; :mod:`orchestrator.policy.crosschecks` judges the merged whole.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator

from orchestrator.core.priority import Priority
from orchestrator.policy.documents.audits import AuditsDocument
from orchestrator.policy.documents.base import Document, key
from orchestrator.policy.documents.budgets import BudgetsDocument
from orchestrator.policy.documents.lanes import LaneDocument, RateDocument
from orchestrator.policy.documents.limits import LimitsDocument
from orchestrator.policy.documents.memo import AgentMemoDocument, MemoHomeDocument
from orchestrator.policy.documents.models import ModelDocument
from orchestrator.policy.documents.steps import StepDocument
from orchestrator.policy.documents.tools import ResourceDocument, ToolDocument
from orchestrator.policy.forms import (
    DAY,
    DURATION,
    FOREIGN,
    HOLDER,
    MEMO_STORE,
    NAME,
    RATES,
    TEXT,
    words,
)
from orchestrator.policy.values import off_is_nothing

DEFAULT_STALE_RATE_S = 400 * 86_400.0
"""A rate for each year, and a month to write the next one."""


class StalePriceDocument(Document):
    """``stale_price:``: what becomes of prices that nobody looked at for long."""

    after: Annotated[float | None, DURATION] = key(
        "The age at which one is stale. Required.", example="90d"
    )
    then: Annotated[Literal["refuse", "estimate", "warn"], words("refuse", "estimate", "warn")] = (
        key(
            "`refuse`: the model is not asked. `estimate`: its costs are booked as estimates."
            " `warn`: `orchestrator doctor` and `prices` say so, and nothing else.",
            default="warn",
            shown="warn",
        )
    )
    checked: Annotated[date | None, DAY] = key(
        "The day on which somebody last compared the price lists with what providers publish;"
        " without it they are as old as their files."
    )

    main: ClassVar[str] = "after"
    text_is_main: ClassVar[bool] = True
    may_be_off: ClassVar[bool] = True


class AgentDocument(Document):
    """One entry of ``agents:``, and the part of a policy that an agent may override."""

    description: Annotated[str | None, TEXT] = key(
        "For people; has no effect.", example="Answers questions about the catalogue"
    )
    cost_center: Annotated[str | None, TEXT] = key("Kept with every cost, for reports.")
    models: dict[Annotated[str, NAME], ModelDocument] = key(
        "The models, each under a name of yours. At least one.", default={}
    )
    budgets: BudgetsDocument = key("Amounts of money.", default=BudgetsDocument())
    limits: LimitsDocument = key("What stops one task.", default=LimitsDocument())
    steps: dict[Annotated[str, NAME], StepDocument] = key(
        'How each step chooses its model; `"*"` speaks for all.', default={}
    )
    tools: dict[Annotated[str, NAME], ToolDocument] = key(
        "What holds for single tools, by their names.", default={}
    )
    resources: dict[Annotated[str, NAME], ResourceDocument] = key(
        "Prices of what is used beside models and tools.", default={}
    )
    unknown_price: Annotated[
        Literal["refuse", "estimate", "free"], words("refuse", "estimate", "free")
    ] = key(
        "A model without a known price: `refuse` it under a budget, `estimate` its cost, or take"
        " it as `free`.",
        default="refuse",
        shown="refuse",
    )
    stale_price: Annotated[StalePriceDocument | None, BeforeValidator(off_is_nothing)] = key(
        "Prices that nobody looked at for long."
    )
    server_errors: Annotated[Literal["free", "bound"], words("free", "bound")] = key(
        "What an error 5xx with the provider's own message is booked at: nothing, or the most the"
        " call could cost (for gateways that bill it).",
        default="free",
        shown="free",
        example="bound",
    )
    keep_bodies: Annotated[float | None, DURATION] = key(
        "How long prompts and replies are kept; without it until the task completes, or 30 days"
        " after a halt.",
        example="30d",
    )
    durability: Annotated[Literal["async", "sync", "exit"], words("async", "sync", "exit")] = key(
        "When checkpoints are written: beside the next step, before it, or at the end only.",
        default="async",
        shown="async",
        example="sync",
    )
    memo: Annotated[AgentMemoDocument | None, BeforeValidator(off_is_nothing)] = key(
        "The memo as a whole. What each step remembers is said under `steps:`."
    )
    priority: Annotated[Priority, words("low", "normal", "high")] = key(
        "How much its tasks matter where money is short; `run(priority=)` says it for one task.",
        default="normal",
        shown="normal",
    )
    audits: Annotated[AuditsDocument | None, BeforeValidator(off_is_nothing)] = key(
        "How often replies are compared with another model's, to learn what they are worth."
    )

    hints: ClassVar[dict[str, str]] = {
        **dict.fromkeys(
            (
                "org",
                "team",
                "extends",
                "agents",
                "memo_store",
                "lanes",
                "rates",
                "currencies",
                "stale_rate",
            ),
            "is not for one agent; move it to the top level",
        ),
        **dict.fromkeys(
            ("timeout", "model_calls", "tool_calls", "tokens", "repeats"),
            "unknown key here; move it under `limits:`",
        ),
        **dict.fromkeys(
            ("confidence", "checks", "below_threshold", "judge"),
            "unknown key here; move it under `steps:`",
        ),
    }


class PolicyDocument(AgentDocument):
    """A policy file."""

    extends: Annotated[str | None, TEXT] = key(
        "The file this one builds on, relative to this file.", example="../org.yaml"
    )
    org: Annotated[str, HOLDER] = key(
        "The organisation.", default="default", shown="default", example="acme"
    )
    team: Annotated[str, HOLDER] = key("The team.", default="default", shown="default")
    memo: Annotated[MemoHomeDocument | None, BeforeValidator(off_is_nothing)] = key(
        "The memo as a whole. What each step remembers is said under `steps:`."
    )
    memo_store: Annotated[str | None, MEMO_STORE] = key(
        "Where several machines share the memo: a Redis, or `env:NAME`, the environment variable"
        " with its address. Without it the memo lies on disk beside the ledger."
    )
    lanes: dict[Annotated[str, NAME], LaneDocument] = key(
        "Queues with a concurrency of their own, by their names. One process has one set.",
        default={},
    )
    rates: dict[Annotated[str, NAME], RateDocument] = key(
        "What each provider lets through, by its name before the `/` of a model.", default={}
    )
    currencies: dict[Annotated[str, FOREIGN], Annotated[dict[date, Decimal], RATES]] = key(
        "Rates of the currencies that amounts are in beside USD: what one unit is worth from a day"
        " on. See the page on budgets.",
        default={},
        example="{EUR: {2026-01-01: 1.08}}",
    )
    stale_rate: Annotated[float, DURATION] = key(
        "How old the last rate of a currency may be when the policy is read.",
        default=DEFAULT_STALE_RATE_S,
        shown="400d",
        example="100d",
    )
    agents: dict[Annotated[str, HOLDER], AgentDocument] = key(
        "Overrides for single agents, by their names.", default={}
    )

    hints: ClassVar[dict[str, str]] = {
        name: hint
        for name, hint in AgentDocument.hints.items()
        if name not in {"org", "team", "extends", "agents", "memo_store"}
    }
