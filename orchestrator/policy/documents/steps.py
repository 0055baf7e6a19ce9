"""``steps:`` of a policy file."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BeforeValidator

from orchestrator.memo.sharing import Share
from orchestrator.policy.check_values import CHECKS
from orchestrator.policy.documents.base import Document, key
from orchestrator.policy.forms import (
    CHECK,
    DURATION,
    LABELS,
    NAME,
    NOT_BUILT,
    PROBABILITY,
    USD_UNIT_PRICE,
    words,
)
from orchestrator.policy.values import off_is_nothing
from orchestrator.routing.settings import BelowThreshold, Check


def _distinct(items: tuple[Any, ...]) -> tuple[Any, ...]:
    names = [getattr(item, "name", item) for item in items]
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
        "How long it still answers after that, while it is asked anew in the background where"
        " `memo.upkeep` pays. Never one whose source has changed.",
        default=0.0,
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
    checks: Annotated[tuple[Annotated[str | Check, CHECK], ...], AfterValidator(_distinct)] = key(
        "What turns a reply into evidence: `schema`, `form`, `arithmetic`, `tools`, `tests`,"
        " `logprobs`, `agreement`, `judge`; see [checks](checks.md).",
        default=(),
        example="[schema, form: '^ANSWER: ']",
    )
    below_threshold: Annotated[BelowThreshold, words("best", "halt", "ask")] = key(
        "When no candidate is accepted: take the `best` reply, `halt` the task, or `ask` a person.",
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
    latency_price: Annotated[Decimal, USD_UNIT_PRICE] = key(
        "What each second until a reply counts for where models are compared: a slower one must be"
        " so much cheaper. It is no cost, and nothing is booked for it.",
        default=Decimal(0),
        example="0.001 USD",
    )
    lane: Annotated[str | None, NAME] = key(
        "The lane its attempts go by, by its name under `lanes:`.", example="heavy"
    )
    priority: Annotated[None, NOT_BUILT] = key("Not built yet.")
    audits: Annotated[None, NOT_BUILT] = key("Not built yet.")

    hints: ClassVar[dict[str, str]] = {
        name: f"unknown key here; write it in the list: `checks: [{CHECKS[name].example or name}]`"
        for name in CHECKS
    }
