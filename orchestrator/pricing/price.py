"""The price of a model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any

from orchestrator.pricing.currency import Rates

REQUIRED_PARTS = ("input", "output")
OPTIONAL_PARTS = (
    "cached_input",
    "cache_write",
    "cache_write_hour",
    "reasoning",
    "input_audio",
    "input_image",
    "output_audio",
    "output_image",
)
PARTS = (*REQUIRED_PARTS, *OPTIONAL_PARTS)

OWN = "policy"
"""The source of a price that a policy states; a rate may stand behind it."""

# What providers charge for tokens that their cache keeps for an hour, where no list says.
_HOUR_CACHE_TIMES_INPUT = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """USD per million tokens.

    Attributes:
        input: Input tokens that were not cached.
        output: Output tokens, reasoning tokens included unless ``reasoning`` says otherwise.
        cached_input: Input tokens read from the provider's cache; ``None``: as ``input``.
        cache_write: Input tokens written to the provider's cache; ``None``: as ``input``.
        cache_write_hour: Those of them that it keeps for an hour; ``None``: twice the input, or
            ``cache_write`` if that is more.
        reasoning: Reasoning tokens; ``None``: as ``output``.
        input_audio: Audio in the input; ``None``: as ``input``.
        input_image: Images in the input; ``None``: as ``input``.
        output_audio: Audio in the output; ``None``: as ``output``.
        output_image: Images in the output; ``None``: as ``output``.
        source: Where it comes from (``policy``, ``genai-prices 0.2.3``).
        as_of: The day from which it holds, if known.
        checked: The day on which it was last looked at, if known.
        rates: Of the currency that the parts are in, if that is not USD: :meth:`on` makes it USD.
    """

    input: Decimal
    output: Decimal
    cached_input: Decimal | None = None
    cache_write: Decimal | None = None
    cache_write_hour: Decimal | None = None
    reasoning: Decimal | None = None
    input_audio: Decimal | None = None
    input_image: Decimal | None = None
    output_audio: Decimal | None = None
    output_image: Decimal | None = None
    source: str = OWN
    as_of: date | None = None
    checked: date | None = None
    rates: Rates | None = None

    def __post_init__(self) -> None:
        """Refuse what is no price.

        Raises:
            TypeError: If a part is no ``Decimal``: a ``float`` has already lost digits.
            ValueError: If a part is negative or not finite.
        """
        for part in PARTS:
            value = getattr(self, part)
            if value is None and part in OPTIONAL_PARTS:
                continue
            if not isinstance(value, Decimal):
                message = f"price.{part} is {value!r}; write Decimal('{value}')."
                raise TypeError(message)
            if not value.is_finite() or value < 0:
                message = f"price.{part} is {value}; write USD per million tokens, 0 or more."
                raise ValueError(message)

    def on(self, day: date) -> Price:
        """This price in USD, by the rate of a day, which its source then names."""
        if self.rates is None:
            return self
        rate = self.rates.on(day)
        usd: dict[str, Any] = {
            part: rate.of(value) for part in PARTS if (value := getattr(self, part)) is not None
        }
        return replace(self, **usd, rates=None, source=f"{self.source} ({rate})")

    def of(self, part: str) -> Decimal:
        """The price of a part, or of the whole that it lies in if it has none of its own."""
        own: Decimal | None = getattr(self, part)
        if own is not None:
            return own
        if part == "cache_write_hour":
            return max(self.of("cache_write"), self.input * _HOUR_CACHE_TIMES_INPUT)
        is_output = part == "reasoning" or part.startswith("output")
        return self.output if is_output else self.input

    def dearest_input(self, *, hour_cache: bool = False, media: bool = False) -> Decimal:
        """The most one million input tokens can cost.

        Args:
            hour_cache: Whether some may be written to a cache that keeps them for an hour.
            media: Whether some may be audio or images.
        """
        parts = ["input", "cached_input", "cache_write"]
        parts += ["cache_write_hour"] * hour_cache + ["input_audio", "input_image"] * media
        return max(map(self.of, parts))

    @property
    def dearest_output(self) -> Decimal:
        """The most one million output tokens can cost; a model may answer with more than text."""
        return max(map(self.of, ("output", "reasoning", "output_audio", "output_image")))
