"""What one attempt consumed, in tokens."""

from __future__ import annotations

from dataclasses import dataclass

STANDARD = "standard"
"""The service tier of an attempt of which nothing else is said."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts of one attempt as the provider reported them.

    Providers report parts inside wholes, and so does this record. Take them apart before pricing,
    or they are billed twice.

    Attributes:
        input_tokens: All input.
        output_tokens: All output.
        cached_input_tokens: Inside the input: read from the provider's cache.
        cache_write_tokens: Inside the input: written to the provider's cache.
        reasoning_tokens: Inside the output.
        cache_write_hour_tokens: Inside ``cache_write_tokens``: to be kept for an hour rather than
            for minutes; ``None``: the provider does not tell them apart.
        input_audio_tokens: Inside the input.
        input_image_tokens: Inside the input.
        output_audio_tokens: Inside the output.
        output_image_tokens: Inside the output.
        tier: The service tier that was served: ``standard``, ``flex``, ``priority``, ``batch``, or
            whatever else the provider calls it.
    """

    input_tokens: int
    output_tokens: int
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    cache_write_hour_tokens: int | None = None
    input_audio_tokens: int = 0
    input_image_tokens: int = 0
    output_audio_tokens: int = 0
    output_image_tokens: int = 0
    tier: str = STANDARD

    @property
    def total_tokens(self) -> int:
        """Input and output together."""
        return self.input_tokens + self.output_tokens

    @property
    def is_possible(self) -> bool:
        """Whether the counts can be true: both wholes above zero, each part inside its whole."""
        of_input = (
            self.cached_input_tokens,
            self.cache_write_tokens,
            self.input_audio_tokens,
            self.input_image_tokens,
        )
        of_output = (self.reasoning_tokens, self.output_audio_tokens, self.output_image_tokens)
        hour = self.cache_write_hour_tokens or 0
        return (
            self.input_tokens > 0
            and self.output_tokens > 0
            and min(*of_input, *of_output, hour) >= 0
            and self.cached_input_tokens + self.cache_write_tokens <= self.input_tokens
            and self.input_audio_tokens + self.input_image_tokens <= self.input_tokens
            and hour <= self.cache_write_tokens
            and sum(of_output) <= self.output_tokens
        )
