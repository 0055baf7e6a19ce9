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

    def __post_init__(self) -> None:
        """Refuse what is no price.

        Raises:
            TypeError: If a part is no ``Decimal``: a ``float`` has already lost digits.
            ValueError: If a part is negative or not finite.
        """
        for part in ("input", "output", "cached_input", "cache_write", "reasoning"):
            value = getattr(self, part)
            if value is None and part not in {"input", "output"}:
                continue
            if not isinstance(value, Decimal):
                message = f"price.{part} is {value!r}; write Decimal('{value}')."
                raise TypeError(message)
            if not value.is_finite() or value < 0:
                message = f"price.{part} is {value}; write USD per million tokens, 0 or more."
                raise ValueError(message)

    @property
    def dearest_input(self) -> Decimal:
        """The most one million input tokens can cost."""
        return max(self.input, self.cached_input or self.input, self.cache_write or self.input)

    @property
    def dearest_output(self) -> Decimal:
        """The most one million output tokens can cost."""
        return max(self.output, self.reasoning or self.output)
