"""What one attempt consumed, in tokens."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts of one attempt as the provider reported them.

    Providers report parts inside wholes, and so does this record: ``cached_input_tokens`` and
    ``cache_write_tokens`` lie inside ``input_tokens``, ``reasoning_tokens`` inside
    ``output_tokens``. Take them apart before pricing, or they are billed twice.
    """

    input_tokens: int
    output_tokens: int
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        """Input and output together."""
        return self.input_tokens + self.output_tokens

    @property
    def is_possible(self) -> bool:
        """Whether the counts can be true: both wholes above zero, each part inside its whole."""
        parts = (self.cached_input_tokens, self.cache_write_tokens, self.reasoning_tokens)
        return (
            self.input_tokens > 0
            and self.output_tokens > 0
            and min(parts) >= 0
            and self.cached_input_tokens + self.cache_write_tokens <= self.input_tokens
            and self.reasoning_tokens <= self.output_tokens
        )
