"""``models:`` of a policy file."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated, ClassVar

from orchestrator.models.settings import DEFAULT_MAX_OUTPUT_TOKENS
from orchestrator.policy.documents.base import Document, key
from orchestrator.policy.documents.lanes import RateDocument
from orchestrator.policy.forms import (
    ADDRESS,
    COUNT,
    CURRENCY,
    DAY,
    MODEL,
    NAME,
    PRICE,
    TEXT,
    TEXTS,
    VARIABLES,
    words,
)
from orchestrator.pricing.currency import USD


class PriceDocument(Document):
    """``price:`` of a model; wins over every price list."""

    input: Annotated[Decimal | None, PRICE] = key("Input tokens. Required.", example="0.10")
    output: Annotated[Decimal | None, PRICE] = key("Output tokens. Required.", example="0.40")
    cached_input: Annotated[Decimal | None, PRICE] = key(
        "Input tokens read from the provider's cache; as `input` unless given.", example="0.01"
    )
    cache_write: Annotated[Decimal | None, PRICE] = key(
        "Input tokens written to the provider's cache; as `input` unless given.", example="0.125"
    )
    cache_write_hour: Annotated[Decimal | None, PRICE] = key(
        "Those of them that the cache keeps for an hour; twice `input` unless given.",
        example="0.20",
    )
    reasoning: Annotated[Decimal | None, PRICE] = key(
        "Reasoning tokens; as `output` unless given.", example="0.40"
    )
    input_audio: Annotated[Decimal | None, PRICE] = key(
        "Audio in the input; as `input` unless given.", example="0.70"
    )
    input_image: Annotated[Decimal | None, PRICE] = key(
        "Images in the input; as `input` unless given.", example="0.10"
    )
    output_audio: Annotated[Decimal | None, PRICE] = key(
        "Audio in the output; as `output` unless given.", example="20"
    )
    output_image: Annotated[Decimal | None, PRICE] = key(
        "Images in the output; as `output` unless given.", example="30"
    )
    checked: Annotated[date | None, DAY] = key(
        "The day on which you looked these prices up, for `stale_price`."
    )
    currency: Annotated[str, CURRENCY] = key(
        "The currency of these prices; another than USD needs a rate under `currencies:`.",
        default=USD,
        shown="USD",
    )


class RegionDocument(Document):
    """One entry of ``regions:``; what it leaves out is as the model says."""

    api_base: Annotated[str | None, ADDRESS] = key("Its address.")
    region: Annotated[str | None, TEXT] = key(
        "The provider's name for it, if neither the entry's own nor an address says where it is.",
        example="eu-central-1",
    )
    api_key_env: Annotated[tuple[str, ...], VARIABLES] = key(
        "The environment variable that holds the key; several are a pool.", default=()
    )
    price: PriceDocument | None = key("The price there, per million tokens.")

    main: ClassVar[str] = "api_base"
    text_is_main: ClassVar[bool] = True


class ModelDocument(Document):
    """One entry of ``models:``, under the name that steps use."""

    model: Annotated[str | None, MODEL] = key(
        "The provider's name for the model, with the provider before it. Required."
    )
    api_base: Annotated[str | None, ADDRESS] = key(
        "Address of an OpenAI-compatible server, if not the provider's own."
    )
    api_key_env: Annotated[tuple[str, ...], VARIABLES] = key(
        "The environment variable that holds the key, if not the provider's usual one. Several, as"
        " in `[KEY_A, KEY_B]`, are a pool: one that is rate-limited rests, another is asked.",
        default=(),
    )
    region: Annotated[tuple[str, ...], TEXTS] = key(
        "Region to ask in, where the provider has regions. Several: a task stays in one, and goes"
        " to another while that fails.",
        default=(),
        example="eu-central-1",
    )
    regions: dict[Annotated[str, NAME], RegionDocument] = key(
        "The same with addresses, keys or prices of their own; in place of `region`.", default={}
    )
    max_output_tokens: Annotated[int, COUNT] = key(
        "Sent with every request: it bounds what one call can cost.",
        default=DEFAULT_MAX_OUTPUT_TOKENS,
        shown="4096",
        example="4k",
    )
    effort: Annotated[
        str | None, words("low", "none", "minimal", "medium", "high", "xhigh", "max")
    ] = key("Reasoning effort, where the model has one.")
    service_tier: Annotated[str | None, words("standard", "flex", "priority")] = key(
        "The service tier to ask for, where the provider has tiers. What is served decides the"
        " price; `priority` reserves at its own."
    )
    rate: RateDocument | None = key("What the provider lets through for this model.")
    context_window: Annotated[int | None, COUNT] = key(
        "Tokens it can take in, where no price list says so: what cannot be counted (a picture)"
        " reserves all of it.",
        example="128k",
    )
    price: PriceDocument | None = key("A price of your own, per million tokens.")

    main: ClassVar[str] = "model"
    hints: ClassVar[dict[str, str]] = {
        "api_key": "keys do not belong in a policy; write `api_key_env: OPENAI_API_KEY`",
        "max_tokens": "unknown key; write `max_output_tokens`",
        "base_url": "unknown key; write `api_base`",
        "name": "unknown key; the name stands before the colon, write `model` for the provider's",
    }
