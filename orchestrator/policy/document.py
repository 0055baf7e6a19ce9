"""The shape of a policy file: every key, how its value is written, and what it means.

One definition serves four readers: the loader, the JSON Schema for editors, the reference in
``docs/policy.md`` and ``policy explain``. Nothing is required here, because any layer may leave
out what another one says; :mod:`orchestrator.policy.crosschecks` judges the merged whole.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue

from orchestrator.budgets.rules import WindowKind
from orchestrator.core.money import Money
from orchestrator.limits.settings import DEFAULT_ATTEMPT_TIMEOUT_S
from orchestrator.memo.sharing import Share
from orchestrator.models.settings import DEFAULT_MAX_OUTPUT_TOKENS
from orchestrator.policy.forms import (
    ADDRESS,
    CHECK,
    COUNT,
    DURATION,
    HOLDER,
    LABELS,
    MODEL,
    MONEY,
    NAME,
    NOT_BUILT,
    PRICE,
    PROBABILITY,
    RESERVE,
    TEXT,
    THRESHOLDS,
    VARIABLE,
    ZONE,
    words,
)
from orchestrator.policy.values import off_is_nothing
from orchestrator.routing.settings import BelowThreshold, FormCheck


def key(
    meaning: str,
    *,
    default: Any = None,  # noqa: ANN401 - as in pydantic's Field
    shown: str | None = None,
    example: str = "",
) -> Any:  # noqa: ANN401 - as pydantic's Field: it stands for a value of the annotated type
    """A key of a document.

    Args:
        meaning: What it does, for the reference and for editors.
        default: The value where no layer has the key.
        shown: How that default is written in a policy; ``None`` if it is none.
        example: A value, if the one of its form is not telling.
    """
    extra: dict[str, JsonValue] = {}
    if shown is not None:
        extra["default"] = shown
    if example:
        extra["example"] = example
    return Field(default=default, description=meaning, json_schema_extra=extra)


class Document(BaseModel):
    """A mapping in a policy file: unknown keys are mistakes.

    Attributes:
        hints: What to say about a key that is often tried here, in place of ``unknown key``.
        main: The key that is meant when text stands in place of the mapping.
        may_be_off: Whether ``off`` may stand in place of the mapping.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    hints: ClassVar[dict[str, str]] = {}
    main: ClassVar[str] = ""
    may_be_off: ClassVar[bool] = False


class PriceDocument(Document):
    """``price:`` of a model; wins over every price list."""

    input: Annotated[Decimal | None, PRICE] = key("Input tokens. Required.", example="0.10")
    output: Annotated[Decimal | None, PRICE] = key("Output tokens. Required.", example="0.40")
    cached_input: Annotated[Decimal | None, PRICE] = key(
        "Input tokens read from the provider's cache; as `input` unless given.", example="0.01"
    )
    cache_write: Annotated[Decimal | None, PRICE] = key(
        "Input tokens written to the provider's cache; as `input` unless given.", example="0.125"
    )
    reasoning: Annotated[Decimal | None, PRICE] = key(
        "Reasoning tokens; as `output` unless given.", example="0.40"
    )


class ModelDocument(Document):
    """One entry of ``models:``, under the name that steps use."""

    model: Annotated[str | None, MODEL] = key(
        "The provider's name for the model, with the provider before it. Required."
    )
    api_base: Annotated[str | None, ADDRESS] = key(
        "Address of an OpenAI-compatible server, if not the provider's own."
    )
    api_key_env: Annotated[str | None, VARIABLE] = key(
        "The environment variable that holds the key, if not the provider's usual one."
    )
    region: Annotated[str | None, TEXT] = key(
        "Region to ask in, where the provider has regions.", example="eu-central-1"
    )
    max_output_tokens: Annotated[int, COUNT] = key(
        "Sent with every request: it bounds what one call can cost.",
        default=DEFAULT_MAX_OUTPUT_TOKENS,
        shown="4096",
        example="4k",
    )
    effort: Annotated[
        str | None, words("low", "none", "minimal", "medium", "high", "xhigh", "max")
    ] = key("Reasoning effort, where the model has one.")
    price: PriceDocument | None = key("A price of your own, in USD per million tokens.")

    main: ClassVar[str] = "model"
    hints: ClassVar[dict[str, str]] = {
        "api_key": "keys do not belong in a policy; write `api_key_env: OPENAI_API_KEY`",
        "max_tokens": "unknown key; write `max_output_tokens`",
        "base_url": "unknown key; write `api_base`",
        "name": "unknown key; the name stands before the colon, write `model` for the provider's",
    }


class TaskBudgetDocument(Document):
    """``budgets.task``: what one task may spend over all its resumes."""

    limit: Annotated[Money | None, MONEY] = key("The amount. Required.")
    finish_reserve: Annotated[Money, RESERVE] = key(
        "The part that only a step asked with `finish=True` may draw on; below `limit`.",
        default=Money.ZERO,
        shown="0 USD",
        example="0.02 USD",
    )
    at: Annotated[None, THRESHOLDS] = key(
        "What happens at a share of it. Halting at the end is all that is built."
    )

    main: ClassVar[str] = "limit"
    hints: ClassVar[dict[str, str]] = dict.fromkeys(
        ("per", "timezone"), "a task's budget has no window; remove the key"
    )


class BudgetDocument(Document):
    """``budgets.org``, ``team``, ``agent`` and ``user``: each holder has the amount for itself."""

    limit: Annotated[Money | None, MONEY] = key("The amount. Required.", example="20 USD")
    per: Annotated[WindowKind, words("hour", "day", "week", "month", "total")] = key(
        "The window, by the calendar: weeks begin on Monday. `total` never ends.",
        default="total",
        shown="total",
        example="day",
    )
    timezone: Annotated[str, ZONE] = key(
        "The time zone in which windows begin.", default="UTC", shown="UTC"
    )
    at: Annotated[None, THRESHOLDS] = key(
        "What happens at a share of it. Halting at the end is all that is built."
    )

    main: ClassVar[str] = "limit"
    hints: ClassVar[dict[str, str]] = {
        "finish_reserve": "only `budgets.task` has one; move it there"
    }


class BudgetsDocument(Document):
    """``budgets:``; a scope that is not named has none."""

    org: BudgetDocument | None = key("All teams of the organisation together.")
    team: BudgetDocument | None = key("All agents of the team together.")
    agent: BudgetDocument | None = key("All tasks of one agent together.")
    user: BudgetDocument | None = key("All tasks for one user of the team together.")
    task: TaskBudgetDocument | None = key("One task, over all its resumes.")

    hints: ClassVar[dict[str, str]] = {
        "limit": "an amount belongs to a scope; write `task: {limit: 0.25 USD}`"
    }


class LimitsDocument(Document):
    """``limits:`` of one task; what is not named has no limit."""

    timeout: Annotated[float | None, DURATION] = key(
        "How long the task may run, added up over its resumes."
    )
    attempt_timeout: Annotated[float, DURATION] = key(
        "How long one attempt may take.",
        default=DEFAULT_ATTEMPT_TIMEOUT_S,
        shown="2m",
        example="90s",
    )
    model_calls: Annotated[int | None, COUNT] = key("Attempts on the wire.")
    tool_calls: Annotated[int | None, COUNT] = key("Tool calls.", example="60")
    tokens: Annotated[int | None, COUNT] = key("Input and output together.", example="500k")
    steps: Annotated[int | None, COUNT] = key("Node executions.", example="100")
    repeats: Annotated[int | None, COUNT] = key(
        "How often the same step may ask the same request; replays do not count.", example="3"
    )


def _distinct(items: tuple[Any, ...]) -> tuple[Any, ...]:
    names = ["form" if isinstance(item, FormCheck) else item for item in items]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        message = f"names `{twice}` twice; keep one"
        raise ValueError(message)
    if not items:
        message = "is an empty list; name at least one, or remove the key"
        raise ValueError(message)
    return items


class MemoDocument(Document):
    """``memo:`` of a step: when an accepted reply answers again instead of a model."""

    fresh_for: Annotated[float | None, DURATION] = key(
        "How long a reply answers without question. Required.", example="1h"
    )
    stale_for: Annotated[float, DURATION] = key(
        "How long it still answers after that. Never one whose source has changed.", default=0.0
    )
    stale_if_error: Annotated[float, DURATION] = key(
        "How long after it became stale it answers if every model failed.",
        default=0.0,
        example="1d",
    )
    share: Annotated[Share, words("user", "agent", "team", "org", "public")] = key(
        "Who else may be given it, always within the tenant; `user` keeps nothing of a task without"
        " a user.",
        default="user",
        shown="user",
        example="team",
    )
    reads: Annotated[tuple[Annotated[str, NAME], ...], AfterValidator(_distinct)] = key(
        "The sources it is made from: when one is touched, it is stale.",
        default=(),
        example="[catalog]",
    )
    labels: Annotated[dict[str, Share], LABELS] = key(
        "The widest sharing that labels of your own allow; others count as `private`.", default={}
    )

    main: ClassVar[str] = "fresh_for"
    may_be_off: ClassVar[bool] = True
    hints: ClassVar[dict[str, str]] = {
        "ttl": "unknown key; write `fresh_for`",
        "scope": "unknown key; write `share`",
    }


class StepDocument(Document):
    """One entry of ``steps:``; ``"*"`` gives every step the keys it does not set itself."""

    confidence: Annotated[float | None, PROBABILITY] = key(
        "The threshold a reply must meet; without it every complete reply is accepted."
    )
    models: Annotated[tuple[Annotated[str, NAME], ...], AfterValidator(_distinct)] = key(
        "The candidates, by their names under `models:`; without it all of them.",
        default=(),
        example="[small, large]",
    )
    checks: Annotated[tuple[Annotated[str | FormCheck, CHECK], ...], AfterValidator(_distinct)] = (
        key(
            "What turns a reply into evidence: `schema`, `arithmetic`, `form: PATTERN`.",
            default=(),
            example="[schema, form: '^ANSWER: ']",
        )
    )
    below_threshold: Annotated[BelowThreshold, words("best", "halt", later=("ask",))] = key(
        "When no candidate is accepted: take the `best` reply, or `halt` the task.",
        default="best",
        shown="best",
        example="halt",
    )
    timeout: Annotated[float | None, DURATION] = key(
        "How long one attempt may take; without it `limits.attempt_timeout`.", example="90s"
    )
    memo: Annotated[MemoDocument | None, BeforeValidator(off_is_nothing)] = key(
        "When an accepted reply answers again; `off`, the default, asks each time."
    )
    lane: Annotated[None, NOT_BUILT] = key("Not built yet.")
    priority: Annotated[None, NOT_BUILT] = key("Not built yet.")
    audits: Annotated[None, NOT_BUILT] = key("Not built yet.")
    judge: Annotated[None, NOT_BUILT] = key("Not built yet.")


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
    unknown_price: Annotated[
        Literal["refuse", "estimate", "free"], words("refuse", "estimate", "free")
    ] = key(
        "A model without a known price: `refuse` it under a budget, `estimate` its cost, or take"
        " it as `free`.",
        default="refuse",
        shown="refuse",
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
    memo: Annotated[None, NOT_BUILT] = key("Not built yet.")
    lanes: Annotated[None, NOT_BUILT] = key("Not built yet.")
    priority: Annotated[None, NOT_BUILT] = key("Not built yet.")
    audits: Annotated[None, NOT_BUILT] = key("Not built yet.")
    judge: Annotated[None, NOT_BUILT] = key("Not built yet.")
    tools: Annotated[None, NOT_BUILT] = key("Not built yet.")

    hints: ClassVar[dict[str, str]] = {
        **dict.fromkeys(
            ("org", "team", "extends", "agents"), "is not for one agent; move it to the top level"
        ),
        **dict.fromkeys(
            ("timeout", "model_calls", "tool_calls", "tokens", "repeats"),
            "unknown key here; move it under `limits:`",
        ),
        **dict.fromkeys(
            ("confidence", "checks", "below_threshold"), "unknown key here; move it under `steps:`"
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
    agents: dict[Annotated[str, HOLDER], AgentDocument] = key(
        "Overrides for single agents, by their names.", default={}
    )

    hints: ClassVar[dict[str, str]] = {
        name: hint
        for name, hint in AgentDocument.hints.items()
        if name not in {"org", "team", "extends", "agents"}
    }
