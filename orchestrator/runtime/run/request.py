"""What a step asks, in one canonical form, with a digest that does not know the model."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple

import orjson

from orchestrator.models.protocol import Message, ModelRequest
from orchestrator.models.settings import ModelSettings
from orchestrator.runtime.run.results import Reply

PARAMETERS: frozenset[str] = frozenset(
    {
        "frequency_penalty",
        "logit_bias",
        "logprobs",
        "parallel_tool_calls",
        "presence_penalty",
        "response_format",
        "seed",
        "stop",
        "temperature",
        "tool_choice",
        "top_logprobs",
        "top_p",
        "user",
    }
)
"""What an ask may set. Anything else might cost more than what is reserved for an attempt (``n``,
``max_tokens``, a provider's own search), or is the policy's to say."""

_AT_ONCE = 2047
"""Bytes to hash at once. For more, hashlib gives up the interpreter's lock, and with a busy thread
beside it, as the ledger's is, to get it back takes longer than to hash a whole prompt."""

Prompt = str | Sequence[Any]
Check = Callable[[Reply], "bool | float | Awaitable[bool | float]"]


class AskRequest(NamedTuple):
    """One ask, before any model is chosen.

    Attributes:
        step: The step's name.
        messages: The conversation in OpenAI's chat form.
        digest: Digest of messages, tools, schema and parameters: never of model, policy or router
            state.
        finish: Whether it may draw on the ``finish_reserve``.
        tools: Tool definitions in OpenAI's form.
        schema: JSON Schema of the reply, or ``None``.
        schema_type: The pydantic model the schema came from, or ``None``.
        check: The user's own check, or ``None``.
        parameters: Sampling and other parameters in OpenAI's names.
        labels: What the prompt is labelled as: who may be given the reply by a memo.
        prompt_version: Which version of the prompt it is, for a memo and for what is learned; not
            part of the digest.
    """

    step: str
    messages: tuple[Message, ...]
    digest: str
    finish: bool = False
    tools: tuple[Mapping[str, Any], ...] = ()
    schema: Mapping[str, Any] | None = None
    schema_type: type[Any] | None = None
    check: Check | None = None
    parameters: Mapping[str, Any] = MappingProxyType({})
    labels: frozenset[str] = frozenset()
    prompt_version: str = ""

    def version(self, policy_version: str) -> str:
        """Digest of all that makes a reply to it what it is, but for what is asked this time.

        Args:
            policy_version: Digest of what the policy says of its step.
        """
        check = self.check
        if not (self.tools or self.parameters or check or self.prompt_version) and (
            self.schema is None
        ):
            return _plain_version(policy_version)
        parts = [
            policy_version,
            self.tools,
            self.schema,
            self.parameters,
            None if check is None else f"{check.__module__}.{getattr(check, '__qualname__', '')}",
        ]
        if self.prompt_version:
            parts.append(self.prompt_version)
        return digest(parts, default=str)[:16]

    def to(self, settings: ModelSettings, *, logprobs: bool = False) -> ModelRequest:
        """The request as it is sent to one model."""
        return ModelRequest(
            settings=settings,
            messages=self.messages,
            tools=self.tools,
            schema=self.schema,
            parameters=self.parameters,
            logprobs=logprobs,
        )


def ask_request(
    step: str,
    prompt: Prompt,
    *,
    finish: bool = False,
    schema: type[Any] | Mapping[str, Any] | None = None,
    check: Check | None = None,
    tools: Sequence[Any] | None = None,
    parameters: Mapping[str, Any] | None = None,
    labels: Iterable[str] = (),
    prompt_version: str = "",
) -> AskRequest:
    """Bring what the user gave into canonical form.

    Raises:
        TypeError: If the prompt, a message, the schema or a tool has no form that can be sent.
        ValueError: If a parameter is not one an ask may set, a JSON Schema is not valid itself, or
            a text is no Unicode.
    """
    if parameters and not parameters.keys() <= PARAMETERS:
        unknown = sorted(parameters.keys() - PARAMETERS)
        message = (
            f"step {step!r} cannot set {', '.join(unknown)}: an ask may set "
            f"{', '.join(sorted(PARAMETERS))}; how long a reply may be is the policy's "
            "max_output_tokens"
        )
        raise ValueError(message)
    messages = _messages(prompt)
    definitions = tuple(map(_tool, tools)) if tools else ()
    schema_type, schema_json = (None, None) if schema is None else _schema(schema)
    content = [messages, definitions, schema_json, parameters or {}]
    try:
        canonical = digest(content)
    except TypeError:
        _check_is_text(step, content)  # says where
        raise
    return AskRequest(
        step=step,
        finish=finish,
        messages=messages,
        tools=definitions,
        schema=schema_json,
        schema_type=schema_type,
        check=check,
        parameters=parameters or {},
        labels=_labels(labels) if labels else frozenset(),
        prompt_version=prompt_version,
        digest=canonical,
    )


@lru_cache
def _plain_version(policy_version: str) -> str:
    """That of an ask of nothing but a prompt."""
    return digest([policy_version, (), None, {}, None])[:16]


def _labels(labels: Iterable[str]) -> frozenset[str]:
    if isinstance(labels, str):
        message = f"labels= takes several, as in labels=({labels!r},), not one text."
        raise TypeError(message)
    given: frozenset[object] = frozenset(labels)
    if not all(isinstance(label, str) and label.isprintable() for label in given):
        message = f"labels= takes printable text: {sorted(map(repr, given))}"
        raise TypeError(message)
    return frozenset(map(str, given))


def digest(value: object, default: Callable[[Any], Any] | None = None) -> str:
    """SHA-256 of ``value`` as canonical JSON: sorted keys, no white space.

    Args:
        value: Plain data.
        default: Turns what is not plain data into plain data.
    """
    options = orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS
    body = orjson.dumps(value, default=default, option=options)
    hashed = hashlib.sha256(body[:_AT_ONCE])
    for start in range(_AT_ONCE, len(body), _AT_ONCE):
        hashed.update(body[start : start + _AT_ONCE])
    return hashed.hexdigest()


def _check_is_text(step: str, value: object) -> None:
    """Refuse what no provider can be sent, before anything is reserved for it."""
    match value:
        case str():
            try:
                value.encode()
            except UnicodeEncodeError as error:
                around = value[max(error.start - 20, 0) : error.end + 20]
                message = (
                    f"Step {step!r} asks with a lone surrogate, which is no text and cannot be "
                    f"sent: {around!r}. Clean it: text.encode(errors='replace').decode()."
                )
                raise ValueError(message) from error
        case Mapping():
            for key, part in value.items():
                _check_is_text(step, key)
                _check_is_text(step, part)
        case list() | tuple():
            for part in value:
                _check_is_text(step, part)


def _messages(prompt: Prompt) -> tuple[Message, ...]:
    if isinstance(prompt, str):
        return ({"role": "user", "content": prompt},)
    is_one = isinstance(prompt, Mapping) or hasattr(prompt, "content")
    given: list[Any] = [prompt] if is_one else list(prompt)
    if not given:
        message = "An ask needs a prompt: text, or a list with at least one message."
        raise TypeError(message)
    if all(isinstance(one, Mapping) for one in given):
        for one in given:
            if "role" not in one:
                message = f"A message needs a role, as {{'role': 'user', 'content': …}}: {one!r}"
                raise TypeError(message)
        return tuple(given)
    # A plain prompt needs no LangChain.
    from langchain_core.messages import convert_to_openai_messages  # noqa: PLC0415 - slow to load

    return tuple(convert_to_openai_messages(given))


def _tool(tool: Any) -> Mapping[str, Any]:
    if isinstance(tool, dict) and "function" in tool:
        return tool
    from langchain_core.utils.function_calling import (  # noqa: PLC0415 - slow to load
        convert_to_openai_tool,
    )

    return convert_to_openai_tool(tool)


def _schema(
    schema: Any,
) -> tuple[type[Any] | None, Mapping[str, Any]]:
    from pydantic import BaseModel  # noqa: PLC0415 - only an ask with a schema needs it

    from orchestrator.routing.checks.schema import json_schema  # noqa: PLC0415 - the same

    if isinstance(schema, Mapping):
        return None, json_schema(schema)
    if isinstance(schema, type) and issubclass(schema, BaseModel):
        return schema, json_schema(schema)
    message = f"schema= takes a pydantic model or a JSON Schema as a dict, not {schema!r}."
    raise TypeError(message)
