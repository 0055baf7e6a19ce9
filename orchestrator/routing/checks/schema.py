"""``schema``: the reply is JSON that follows a pydantic model or a JSON Schema."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pydantic
import pydantic_core
from jsonschema.exceptions import SchemaError  # type: ignore[import-untyped] # ships no types
from jsonschema.validators import (  # type: ignore[import-untyped] # ships no types
    Draft202012Validator,
    validator_for,
)
from referencing import Registry
from referencing.exceptions import Unresolvable

from orchestrator.models.protocol import Completion
from orchestrator.routing.checks.result import CheckResult

NAME = "schema"

Schema = type[pydantic.BaseModel] | Mapping[str, Any]

# Models wrap JSON in a code fence even when told not to; the fence is no part of the answer.
_FENCED = re.compile(r"\A\s*```[A-Za-z]*\n(.*)\n\s*```\s*\Z", re.DOTALL)


def json_schema(schema: Schema) -> Mapping[str, Any]:
    """The JSON Schema to send with the request.

    Raises:
        ValueError: If a JSON Schema is not valid itself.
    """
    if not isinstance(schema, Mapping):
        return schema.model_json_schema()
    try:
        validator_for(schema, default=Draft202012Validator).check_schema(schema)
    except SchemaError as error:
        message = f"schema= is no valid JSON Schema: {error.message} at {error.json_path}."
        raise ValueError(message) from error
    return schema


def check_schema(completion: Completion, schema: Schema) -> tuple[CheckResult, Any]:
    """Whether the reply follows ``schema``, and its parsed value (``None`` if it does not).

    The value is an instance of the pydantic model, or plain data for a JSON Schema. A reply that
    only calls tools is not judged.

    Raises:
        ValueError: If a JSON Schema refers to something outside itself; nothing is fetched.
    """
    if not completion.text and completion.tool_calls:
        return CheckResult.not_applicable(NAME, "the reply only calls tools"), None
    fenced = _FENCED.match(completion.text)
    text = fenced.group(1) if fenced else completion.text
    try:
        parsed = (
            follow(text, schema)
            if isinstance(schema, Mapping)
            else schema.model_validate_json(text)
        )
    except pydantic.ValidationError as error:
        return CheckResult.of(NAME, passed=False, detail=_explain(error)), None
    except NotFollowed as error:
        return CheckResult.of(NAME, passed=False, detail=str(error)), None
    return CheckResult.of(NAME, passed=True), parsed


class NotFollowed(Exception):  # noqa: N818 - control flow between checks, never shown
    """A text does not follow a JSON Schema."""


def follow(text: str, schema: Mapping[str, Any]) -> Any:  # noqa: ANN401 - JSON is any value
    """Read JSON that follows ``schema``.

    Raises:
        NotFollowed: If it does not, with the first mistake.
        ValueError: If the schema refers to something outside itself; nothing is fetched.
    """
    try:
        # Bounded in depth, and exact for integers of any size.
        value = pydantic_core.from_json(text, allow_inf_nan=False)
    except ValueError as error:
        message = f"it is no JSON: {error}"
        raise NotFollowed(message) from error
    validator = validator_for(schema, default=Draft202012Validator)(schema, registry=Registry())
    try:
        mistake = next(iter(validator.iter_errors(value)), None)
    except Unresolvable as error:
        message = f"schema= refers to {error.ref!r} outside itself; put it under $defs."
        raise ValueError(message) from error
    if mistake is not None:
        message = f"{mistake.json_path}: {mistake.message}"
        raise NotFollowed(message)
    return value


def _explain(error: pydantic.ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False)[0]
    place = ".".join(str(part) for part in first["loc"]) or "$"
    return f"{place}: {first['msg']}"
