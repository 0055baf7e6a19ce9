"""The forms in which values are written: how each is read, described and shown to editors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import core_schema

from orchestrator.policy import amounts, check_values, values


@dataclass(frozen=True, slots=True)
class Written:
    """A pydantic annotation: how a value is read from text.

    Attributes:
        read: Turns text into the value; its :class:`ValueError` says what to write instead.
        unit: How the value is written, for the reference.
        example: One value, for messages about a missing one.
        schema: The JSON Schema of the value as an editor sees it.
        text_only: Whether lists, mappings and missing values are refused before ``read``.
    """

    read: Callable[[Any], object]
    unit: str
    example: str
    schema: Mapping[str, Any]
    text_only: bool = True

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        """Read with :attr:`read` alone, whatever the annotated type is."""
        return core_schema.no_info_plain_validator_function(self.accept)

    def accept(self, value: object) -> object:
        """Read one value of a file.

        Raises:
            ValueError: If it is no text, or not of this form.
        """
        if self.text_only and not isinstance(value, str):
            kind = "has no value" if value is None else "is no single value"
            message = f"{kind}; write for example `{self.example}`"
            raise ValueError(message)
        return self.read(value)


# What an editor makes of plain text.
TEXT_OR_NUMBER = MappingProxyType({"type": ["string", "number", "boolean"]})


def _or_list(item: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of one such value, or of a list of them."""
    several = {"type": "array", "items": dict(item), "minItems": 1, "uniqueItems": True}
    return {"anyOf": [dict(item), several]}


MONEY = Written(
    amounts.read_positive_money,
    "amount of money",
    "0.25 USD",
    {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)? ?[A-Z]{3}$"},
)
RESERVE = Written(amounts.read_money, "amount of money", "0.02 USD", MONEY.schema)
DURATION = Written(
    values.read_duration,
    "duration",
    "10m",
    {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)? *(ms|s|m|h|d)$"},
)
SIZE = Written(
    values.read_size,
    "size",
    "1 GiB",
    {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)? ?[kMG]i?B$"},
)
MEMO_STORE = Written(
    values.read_memo_store,
    "address of a Redis",
    "redis://127.0.0.1:6379/0",
    {"type": "string", "pattern": "^(rediss?://|unix://|env:[A-Za-z_])"},
)
COUNT = Written(
    values.read_count,
    "count",
    "40",
    {
        "anyOf": [
            {"type": "integer", "minimum": 1},
            {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?[kM]?$"},
        ]
    },
)
PRICE = Written(
    amounts.read_price,
    "USD per million tokens",
    "0.10",
    {"type": "number", "minimum": 0},
)
PROBABILITY = Written(
    values.read_probability,
    "number from 0 to 1",
    "0.9",
    {"type": "number", "minimum": 0, "maximum": 1},
)
TEXT = Written(values.read_text, "text", "CC-4711", TEXT_OR_NUMBER)
NAME = Written(values.read_name, "name", "small", TEXT_OR_NUMBER)
HOLDER = Written(values.read_holder, "name without `/`", "research", TEXT_OR_NUMBER)
MODEL = Written(
    values.read_model,
    "`provider/model`",
    "openai/gpt-5-nano",
    {"type": "string", "pattern": "^[A-Za-z0-9_-]+/\\S+$"},
)
ADDRESS = Written(
    values.read_address,
    "HTTP address",
    "http://127.0.0.1:8000/v1",
    {"type": "string", "pattern": "^https?://"},
)
VARIABLE = Written(
    values.read_variable,
    "name of an environment variable",
    "OPENAI_API_KEY",
    {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$"},
)
VARIABLES = Written(
    values.one_or_more(values.read_variable),
    "name of an environment variable, or a list of them",
    "OPENAI_API_KEY",
    _or_list(VARIABLE.schema),
    text_only=False,
)
TEXTS = Written(
    values.one_or_more(values.read_text),
    "text, or a list of texts",
    "CC-4711",
    _or_list(TEXT_OR_NUMBER),
    text_only=False,
)
UNIT_PRICE = Written(
    amounts.read_unit_price,
    "amount of money",
    "0.00001 USD",
    {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)? ?[A-Z]{3}$"},
)
USD_UNIT_PRICE = Written(
    amounts.read_usd_unit_price,
    "amount of money",
    "0.01 USD",
    {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)? ?USD$"},
)
CURRENCY = Written(
    amounts.read_currency, "currency", "EUR", {"type": "string", "pattern": "^[A-Z]{3}$"}
)
FOREIGN = Written(amounts.read_foreign, "currency", "EUR", CURRENCY.schema)
DAY = Written(
    amounts.read_day,
    "day",
    "2026-07-01",
    {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"},
)
RATES = Written(
    amounts.read_rates,
    "day and USD for one unit",
    "{2026-01-01: 1.08}",
    {
        "type": "object",
        "minProperties": 1,
        "propertyNames": {"pattern": DAY.schema["pattern"]},
        "additionalProperties": {"type": "number", "exclusiveMinimum": 0},
    },
    text_only=False,
)
SWITCH = Written(values.read_switch, "`on` or `off`", "on", {"enum": ["on", "off", True, False]})
ZONE = Written(values.read_zone, "IANA time zone", "Europe/Berlin", {"type": "string"})
NOT_BUILT = Written(
    values.read_off,
    "`off`",
    "off",
    {},
    text_only=False,
)
THRESHOLDS = Written(
    values.read_shared_thresholds,
    "share and action",
    "{80%: notify, 100%: halt}",
    {
        "type": "object",
        "minProperties": 1,
        "propertyNames": {"pattern": "^[0-9]+(\\.[0-9]+)? ?%$"},
        "additionalProperties": {"enum": [one for one in values.ACTIONS if one != "ask"]},
    },
    text_only=False,
)
TASK_THRESHOLDS = Written(
    values.read_thresholds,
    "share and action",
    "{80%: economize, 100%: ask}",
    {**THRESHOLDS.schema, "additionalProperties": {"enum": list(values.ACTIONS)}},
    text_only=False,
)
LABELS = Written(
    values.read_labels,
    "label and sharing",
    "{partner: org}",
    {"type": "object", "additionalProperties": {"enum": list(values.SHARES)}},
    text_only=False,
)
CHECK = Written(
    check_values.read_check, "check", "schema", check_values.checks_schema(), text_only=False
)


RATE = Written(
    values.read_rate,
    "count per time",
    "60/min",
    {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?[kM]?/(s|min|h|d)$"},
)
SHARES = Written(
    values.read_shares,
    "tenant and weight",
    "{acme: 2}",
    {"type": "object", "additionalProperties": {"type": "integer", "minimum": 1}},
    text_only=False,
)


def words(*known: str, later: tuple[str, ...] = ()) -> Written:
    """One of ``known``; those ``later`` are refused as not built yet."""
    read = values.one_of(*known, later=later)
    unit = " or ".join(f"`{word}`" for word in known)
    return Written(read, unit, known[0], {"enum": list(known)})
