"""``tools:`` and ``resources:`` of a policy file."""

from __future__ import annotations

from typing import Annotated, ClassVar

from orchestrator.core.money import Money
from orchestrator.policy.documents.base import Document, key
from orchestrator.policy.forms import COUNT, DURATION, RESERVE, SWITCH


class ToolDocument(Document):
    """One entry of ``tools:``, under the tool's name, in which ``*`` stands for any text."""

    price: Annotated[Money | None, RESERVE] = key("What one call costs.", example="0.005 USD")
    timeout: Annotated[float | None, DURATION] = key("How long one call may take.", example="10s")
    limit: Annotated[int | None, COUNT] = key("Calls in one task.", example="20")
    journal: Annotated[bool | None, SWITCH] = key(
        "Whether results, text or plain data, are kept until the task completes, so that a resume"
        " does not call again.",
        default=None,
        example="on",
    )

    main: ClassVar[str] = "price"
    hints: ClassVar[dict[str, str]] = {
        "cost": "unknown key; write `price`",
        "calls": "unknown key; write `limit`",
        "memo": "a tool is memoized by `@memoized_tool`; remove the key",
    }
