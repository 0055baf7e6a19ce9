"""From a request to a digest that two different requests never share.

The canonical form is one JSON array, written by orjson in UTF-8 and hashed with SHA-256::

    [form, kind, step, policy version, prompt version, [reads...], content]

* ``form`` is the number of this layout; another layout never finds today's entries.
* ``reads`` are sorted and free of repeats: a set.
* ``content`` of a model request is ``[messages, tools, schema, [[parameter, value]...]]``, with the
  parameters sorted by name: they never become text that a model reads. Everything else keeps the
  order it was written in. The properties of a schema and the keys of a message reach the model in
  that order and may change its answer, so another order is another request.
* Or, where the digest of that content with all keys sorted is known already, ``[digest, orders]``:
  of each object how many keys it has, and those in its own order; one object after the other.
* ``content`` of a tool call is ``[[argument, value]...]``, sorted by name.
* Text is taken as it is: no case folding, no trimming, no Unicode normalisation.
* What JSON cannot tell apart is refused rather than guessed: NaN and infinities, integers beyond 64
  bits, keys that are no text, lone surrogates, objects, and a tool's arguments that are members of
  an enumeration. Such a request is never memoized.

An array of JSON values is self-delimiting, so no two sequences of parts give the same bytes. Tuples
and lists, and a mapping and a ``dict`` of the same items, are one: they are one on the wire too.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import Any, Literal

import orjson

from orchestrator.memo.sharing import Partition

FORM = 2
STRICT = (
    orjson.OPT_PASSTHROUGH_DATACLASS
    | orjson.OPT_PASSTHROUGH_DATETIME
    | orjson.OPT_PASSTHROUGH_SUBCLASS
)

_ATOMS = frozenset({str, int, bool, type(None)})
_ARRAYS = frozenset({list, tuple})


class Unkeyable(Exception):  # noqa: N818 - control flow inside the memo, never shown as an error
    """The request has no canonical form; it is asked, and not memoized."""


def model_content(
    messages: Sequence[Mapping[str, Any]],
    *,
    tools: Sequence[Mapping[str, Any]] = (),
    schema: Mapping[str, Any] | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> list[Any]:
    """The content of a model request.

    Args:
        messages: The conversation, in OpenAI's form.
        tools: Tool definitions, in the order the model sees them.
        schema: JSON Schema of the reply; ``None`` differs from an empty one.
        parameters: Sampling parameters and whatever else goes with the request.
    """
    return [messages, tools, schema, sorted((parameters or {}).items(), key=_name)]


def _note_orders(value: object, orders: list[str | int]) -> bool:
    """Note the keys of each object in ``value``; whether all in it is plain JSON."""
    parts: Iterable[object]
    if type(value) is dict:
        orders.append(len(value))
        for key in value:
            if type(key) is not str:
                return False
            orders.append(key)
        parts = value.values()
    elif type(value) in _ARRAYS:
        parts = value  # type: ignore[assignment] # a list or a tuple
    else:
        return type(value) is float and math.isfinite(value)
    for part in parts:  # noqa: SIM110 - all() of a generator takes three times as long
        if type(part) not in _ATOMS and not _note_orders(part, orders):
            return False
    return True


def tool_content(arguments: Mapping[str, Any]) -> list[Any]:
    """The content of a tool call."""
    return sorted(arguments.items(), key=_name)


def request_digest(
    kind: Literal["model", "tool"],
    step: str,
    content: list[Any],
    *,
    policy_version: str = "",
    prompt_version: str = "",
    reads: Iterable[str] = (),
    known: str = "",
) -> bytes:
    """The digest of one request, before anyone is said to have asked it.

    Args:
        kind: What is asked; a tool and a step of one name stay apart.
        step: The step, or the tool.
        content: From :func:`model_content` or :func:`tool_content`.
        policy_version: Digest of what chooses the model: candidates, settings, thresholds, checks.
        prompt_version: Version of the prompt, or of the tool.
        reads: Names of the sources that the rules name.
        known: SHA-256 of the content as JSON with the keys of all objects sorted, if that is known:
            then the content is not read again. All it does not tell is the order of those keys. It
            is not used if the content holds anything but plain JSON, of which it may tell less.

    Raises:
        Unkeyable: If the request has no canonical form.
    """
    orders: list[str | int] = []
    is_digested = bool(known) and _note_orders(content, orders)
    if is_digested:
        content = [known, orders]
    parts = [FORM, kind, step, policy_version, prompt_version, sorted(set(reads)), content]
    try:
        body = orjson.dumps(parts, default=_plain, option=STRICT)
    except TypeError as error:
        message = f"a request to {step!r} cannot be memoized: {error}"
        raise Unkeyable(message) from error
    if not (is_digested or is_plain(content, is_sent=kind == "model")):
        message = (
            f"a request to {step!r} cannot be memoized: it holds a number that is not finite, a "
            "UUID, or a member of an enumeration; pass its value"
        )
        raise Unkeyable(message)
    return hashlib.sha256(body).digest()


def entry_key(partition: Partition, digest: bytes) -> str:
    """The key of an entry: who may have it, and what was asked. 64 hexadecimal digits."""
    head = orjson.dumps([FORM, partition.tenant, partition.holders])
    # The digest has a fixed length: nothing can slide from one into the other.
    return hashlib.sha256(head + digest).hexdigest()


def _name(item: tuple[str, Any]) -> str:
    return item[0]


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray, memoryview)):
        return list(value)
    message = f"a {type(value).__name__} has no one form in JSON; pass text, numbers, lists, dicts"
    raise TypeError(message)


def is_plain(value: object, *, is_sent: bool) -> bool:
    """Whether orjson writes ``value`` as what it is, and not NaN as null or a UUID as text.

    Args:
        value: What orjson can write. Text, nearly all there is, is not read.
        is_sent: Whether it goes over a wire, where a member of an enumeration that is text or a
            number is nothing more. A tool can tell it apart.
    """
    if isinstance(value, Enum):
        return is_sent and isinstance(value, (str, int))
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, dict):
        parts: Iterable[object] = value.values()
    elif isinstance(value, (list, tuple)):
        parts = value
    elif isinstance(value, Mapping):
        parts = tuple(value.values())
    elif isinstance(value, Iterable) and not isinstance(value, str):
        parts = tuple(value)
    else:
        return value is None or isinstance(value, (str, int))
    for part in parts:
        if type(part) not in _ATOMS and not is_plain(part, is_sent=is_sent):
            return False
    return True
