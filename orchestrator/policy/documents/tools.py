"""``tools:`` and ``resources:`` of a policy file."""

from __future__ import annotations

from typing import Annotated, ClassVar

from orchestrator.policy.amounts import Amount
from orchestrator.policy.documents.base import Document, key
from orchestrator.policy.forms import COUNT, DURATION, MONEY, RESERVE, SWITCH, UNIT_PRICE


class ToolDocument(Document):
    """One entry of ``tools:``, under the tool's name, in which ``*`` stands for any text."""

    price: Annotated[Amount | None, RESERVE] = key("What one call costs.", example="0.005 USD")
    timeout: Annotated[float | None, DURATION] = key("How long one call may take.", example="10s")
    limit: Annotated[int | None, COUNT] = key("Calls in one task.", example="20")
    journal: Annotated[bool | None, SWITCH] = key(
        "Whether results, text or plain data, are kept until the task completes, so that a resume"
        " does not call again.",
        default=None,
        example="on",
    )

    main: ClassVar[str] = "price"
    text_is_main: ClassVar[bool] = True
    hints: ClassVar[dict[str, str]] = {
        "cost": "unknown key; write `price`",
        "calls": "unknown key; write `limit`",
        "memo": "a tool is memoized by `@memoized_tool`; remove the key",
    }


class ResourceDocument(Document):
    """One entry of ``resources:``: what one unit of it costs, or a flat cost and its share."""

    price: Annotated[Amount | None, UNIT_PRICE] = key("What one unit costs.")
    flat: Annotated[Amount | None, MONEY] = key(
        "What reserved capacity costs, however much of it is used; with `over`.",
        example="3000 USD",
    )
    over: Annotated[int | None, COUNT] = key(
        "Over how many units `flat` is spread: those you expect to use while you pay it once.",
        example="2M",
    )

    main: ClassVar[str] = "price"
    text_is_main: ClassVar[bool] = True
