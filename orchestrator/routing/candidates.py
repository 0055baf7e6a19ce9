"""Which models a step may ask, cheapest expected cost for this request first."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from orchestrator.core.money import Money
from orchestrator.core.usage import Usage
from orchestrator.models.settings import ModelSettings

BYTES_PER_TOKEN = 4
DEFAULT_OUTPUT_TOKENS = 256


class Quoted(Protocol):
    """A price that can tell what an attempt would cost."""

    def cost(self, usage: Usage) -> Money:
        """The cost of an attempt that uses ``usage``."""
        ...


Quoting = Callable[[ModelSettings], Quoted | None]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model a step may ask.

    Attributes:
        settings: The model and how it is asked.
        expected_cost: What one attempt is expected to cost; ``None`` if it has no price.
    """

    settings: ModelSettings
    expected_cost: Money | None


def estimate_input_tokens(
    messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]] = ()
) -> int:
    """How many input tokens a request likely has: its bytes as JSON, divided by four.

    An estimate for choosing, never a bound for reserving.
    """
    text = json.dumps([list(messages), list(tools)], ensure_ascii=False, default=str)
    return -(-len(text.encode("utf-8", "surrogatepass")) // BYTES_PER_TOKEN)


def order_candidates(
    models: Sequence[ModelSettings],
    quote: Quoting,
    *,
    input_tokens: int,
    output_tokens: int = DEFAULT_OUTPUT_TOKENS,
    allow_unpriced: bool = False,
) -> tuple[Candidate, ...]:
    """Order ``models`` by what this request is expected to cost with each.

    Args:
        models: The step's models in the policy's order, which decides between equal costs.
        quote: Looks up the price of a model; ``None``: it has none. It is given the whole
            settings, so that a provider's prefix and the policy's own price both count.
        input_tokens: Expected input of one attempt, at least 1.
        output_tokens: Expected output of one attempt, at least 1; a model's own maximum lowers it.
        allow_unpriced: Whether models without a price are kept. An unknown price is not zero, so
            they come last.

    Returns:
        The candidates; empty if nothing is left, which the caller reports as ``no_model``.
    """
    candidates = [
        Candidate(settings, _expected_cost(settings, quote, input_tokens, output_tokens))
        for settings in models
    ]
    return tuple(
        sorted(
            (c for c in candidates if allow_unpriced or c.expected_cost is not None),
            key=lambda c: (c.expected_cost is None, c.expected_cost or Money.ZERO),
        )
    )


def _expected_cost(
    settings: ModelSettings, quote: Quoting, input_tokens: int, output_tokens: int
) -> Money | None:
    quoted = quote(settings)
    if quoted is None:
        return None
    return quoted.cost(Usage(input_tokens, min(output_tokens, settings.max_output_tokens)))
