"""Which provider a model's name speaks of, in LiteLLM's spelling."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

# LiteLLM's prefix -> the provider's id in genai-prices, where the two differ. A table, because
# guessing from words inside a name prices one provider's model at another's price.
GENAI_PROVIDERS: Mapping[str, str] = MappingProxyType(
    {
        "azure_ai": "azure",
        "bedrock": "aws",
        "bedrock_converse": "aws",
        "cohere_chat": "cohere",
        "fireworks_ai": "fireworks",
        "gemini": "google",
        "github_copilot": "github-copilot",
        "moonshot": "moonshotai",
        "text-completion-openai": "openai",
        "together_ai": "together",
        "vertex_ai": "google",
        "vertex_ai_beta": "google",
        "xai": "x-ai",
    }
)

# Parts of a name that choose an endpoint of the provider and say nothing about the price.
_ROUTES = ("converse/", "invoke/", "responses/")


@dataclass(frozen=True, slots=True)
class ModelName:
    """A model's name taken apart.

    Attributes:
        prefix: LiteLLM's name of the provider; ``None`` if the name has none.
        rest: What the provider is asked for.
    """

    prefix: str | None
    rest: str

    @classmethod
    def parse(cls, model: str) -> ModelName:
        """Split ``openai/gpt-5-nano`` into provider and model."""
        prefix, slash, rest = model.partition("/")
        if not slash:
            return cls(None, model)
        for route in _ROUTES:
            rest = rest.removeprefix(route)
        return cls(prefix, rest)

    @property
    def genai_provider(self) -> str | None:
        """The provider's id in genai-prices; ``None`` if the name has no prefix."""
        return None if self.prefix is None else GENAI_PROVIDERS.get(self.prefix, self.prefix)

    def at_provider(self, provider: str) -> tuple[ModelName, ...]:
        """This model under each of LiteLLM's prefixes for a provider of genai-prices."""
        prefixes = [prefix for prefix, known in GENAI_PROVIDERS.items() if known == provider]
        return tuple(ModelName(prefix, self.rest) for prefix in (provider, *prefixes))
