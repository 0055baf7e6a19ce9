"""``lanes:`` and ``rates:`` of a policy file: who may leave when."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

from orchestrator.models.rates import Rate
from orchestrator.policy.documents.base import Document, key
from orchestrator.policy.forms import COUNT, RATE, SHARES
from orchestrator.routing.admission import DEFAULT_QUEUE


class RateDocument(Document):
    """``rate:`` of a model, or one entry of ``rates:``."""

    requests: Annotated[Rate | None, RATE] = key("How many requests.")
    tokens: Annotated[Rate | None, RATE] = key(
        "How many tokens, input and output together.", example="100k/min"
    )


class LaneDocument(Document):
    """One entry of ``lanes:``."""

    concurrency: Annotated[int | None, COUNT] = key(
        "How many of its attempts may be under way at once. Required.", example="2"
    )
    queue: Annotated[int, COUNT] = key(
        "How many more may wait; the next one is refused at once.",
        default=DEFAULT_QUEUE,
        shown=str(DEFAULT_QUEUE),
        example="100",
    )
    shares: Annotated[Mapping[str, int], SHARES] = key(
        "How much of the lane a tenant gets while others wait; 1 where it is not named.", default={}
    )

    main: ClassVar[str] = "concurrency"
