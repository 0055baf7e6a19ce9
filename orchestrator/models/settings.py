"""Which model is asked, and how."""

from __future__ import annotations

from dataclasses import dataclass, replace

from orchestrator.models.rates import RateSettings
from orchestrator.pricing.price import Price

DEFAULT_MAX_OUTPUT_TOKENS = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """One way to reach a model that has several: a region, and a key that works there.

    Attributes:
        name: What the ledger calls it (``eu/OPENAI_KEY_B``): never a key.
        api_base: As of the model.
        api_key_env: As of the model.
        region: As of the model.
        price: As of the model.
    """

    name: str
    api_base: str | None = None
    api_key_env: str | None = None
    region: str | None = None
    price: Price | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSettings:
    """One entry under ``models:`` of a policy.

    Attributes:
        name: The name steps use (``small``).
        model: The provider's name with its prefix, as LiteLLM takes it (``openai/gpt-5-nano``).
        api_base: Address of an OpenAI-compatible server, if not the provider's own.
        api_key_env: The environment variable that holds the key, if not the provider's usual one.
        region: Region to ask in, where the provider has regions.
        max_output_tokens: Sent with every request, so that its worst case is bounded.
        effort: Reasoning effort, where the model has one (``low``, ``medium``, ``high``).
        service_tier: ``standard``, ``flex`` or ``priority``, where the provider has tiers;
            ``None``: the provider's or the project's default.
        context_window: Tokens it can take in, where the policy says so.
        price: The policy's own price, which wins over every price list.
        rate: How much its provider lets through, as the policy says.
        origin: What the ledger calls the region and the key; ``None``: the policy names none.
        origins: Where there are several; address, key, region and price are those of the first.
    """

    name: str
    model: str
    api_base: str | None = None
    api_key_env: str | None = None
    region: str | None = None
    max_output_tokens: int = DEFAULT_MAX_OUTPUT_TOKENS
    effort: str | None = None
    service_tier: str | None = None
    context_window: int | None = None
    price: Price | None = None
    rate: RateSettings | None = None
    origin: str | None = None
    origins: tuple[Origin, ...] = ()

    @property
    def endpoints(self) -> tuple[ModelSettings, ...]:
        """This model at each of its origins; itself alone if it has one."""
        if not self.origins:
            return (self,)
        return tuple(
            replace(
                self,
                api_base=one.api_base,
                api_key_env=one.api_key_env,
                region=one.region,
                price=one.price,
                origin=one.name,
                origins=(),
            )
            for one in self.origins
        )

    @property
    def endpoint(self) -> str:
        """Who answers: models that share it are up or down together, whatever policies call them.

        Agents may give the same name to different models, addresses or keys.
        """
        return repr((self.model, self.api_base, self.api_key_env, self.region))
