"""The price of a model."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """USD per million tokens.

    Attributes:
        input: Input tokens that were not cached.
        output: Output tokens, reasoning tokens included unless ``reasoning`` says otherwise.
        cached_input: Input tokens read from the provider's cache; ``None``: as ``input``.
        cache_write: Input tokens written to the provider's cache; ``None``: as ``input``.
        reasoning: Reasoning tokens; ``None``: as ``output``.
        source: Where it comes from (``policy``, ``genai-prices 0.2.3``).
        as_of: The day from which it holds, if known.
    """

    input: Decimal
    output: Decimal
    cached_input: Decimal | None = None
    cache_write: Decimal | None = None
    reasoning: Decimal | None = None
    source: str = "policy"
    as_of: date | None = None
