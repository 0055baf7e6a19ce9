"""Structured replies and tool calls, in one form that ignores order, spelling and quoting."""

from __future__ import annotations

import ast
import json
import re
from dataclasses import dataclass
from typing import Any

_FENCE = re.compile(r"^```\w*\s*|\s*```$")
_NOT_WORD = re.compile(r"\W+")


@dataclass(frozen=True, slots=True)
class Call:
    """One tool call: its name, and its arguments as ``(name, value)`` in canonical form."""

    name: str
    arguments: frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Structure:
    """A reply that is made of calls or of plain data; two are equal if they mean the same."""

    calls: tuple[Call, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the calls, sorted."""
        return tuple(call.name for call in self.calls)

    @property
    def values(self) -> frozenset[tuple[str, str, str]]:
        """Every argument with the call it belongs to."""
        return frozenset((c.name, key, value) for c in self.calls for key, value in c.arguments)


class _NotCallsError(ValueError):
    """The text is well-formed, but does not say which tools to call."""


def parse(reply: str) -> Structure | None:
    """Read calls from JSON (``[{"f": {…}}]``) or call syntax (``[f(x=1)]``); ``None``: prose."""
    text = _FENCE.sub("", reply.strip()).strip()
    if not text or (text[0] not in "[{" and "(" not in text):
        return None
    try:
        return _structure(_from_json(json.loads(text)))
    except (ValueError, RecursionError):
        pass
    try:
        return _structure(_from_syntax(text))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _structure(calls: list[Call]) -> Structure:
    return Structure(tuple(sorted(calls, key=lambda c: (c.name, sorted(c.arguments)))))


def _from_json(data: Any) -> list[Call]:  # noqa: ANN401 - any JSON value
    calls = []
    for item in data if isinstance(data, list) else [data]:
        if not isinstance(item, dict):
            raise _NotCallsError
        name, arguments = item.get("name"), item.get("arguments", item.get("parameters"))
        pairs = [(name, arguments)] if isinstance(name, str) and arguments else item.items()
        calls += [_call(str(key), value) for key, value in pairs]
    return calls


def _from_syntax(text: str) -> list[Call]:
    tree = ast.parse(text if text.startswith("[") else f"[{text}]", mode="eval").body
    calls = []
    for node in getattr(tree, "elts", ()):
        if not isinstance(node, ast.Call):
            raise _NotCallsError
        arguments = {str(i): _literal(each) for i, each in enumerate(node.args)}
        arguments |= {str(each.arg): _literal(each.value) for each in node.keywords}
        calls.append(_call(ast.unparse(node.func), arguments))
    return calls


def _literal(node: ast.expr) -> Any:  # noqa: ANN401 - any literal
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError):
        return ast.unparse(node)


def _call(name: str, arguments: Any) -> Call:  # noqa: ANN401 - any JSON value
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except ValueError:
            arguments = {"": arguments}
    if not isinstance(arguments, dict):
        arguments = {"": arguments}
    kept = {key: value for key, value in arguments.items() if value not in ("", None)}
    return Call(
        name.replace(".", "_"),
        frozenset((str(key), canonical(value)) for key, value in kept.items()),
    )


def canonical(value: Any) -> str:  # noqa: ANN401 - any JSON value
    """One spelling for values that mean the same: ``5``, ``5.0`` and ``"5"``; of text, letters."""
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(float(value))
    if isinstance(value, dict):
        parts = sorted(f"{key}:{canonical(each)}" for key, each in value.items())
        return "{" + ",".join(parts) + "}"
    if isinstance(value, list | tuple | set):
        return "[" + ",".join(canonical(each) for each in value) + "]"
    text = str(value).strip()
    try:
        return repr(float(text))
    except ValueError:
        return _NOT_WORD.sub("", text).lower() or text


STRUCTURE = ("structured", "calls", "arguments", "arguments_ungrounded", "names_unknown")
"""Names of the numbers that `structure_signals` returns, in their order."""


def structure_signals(prompt: str, structure: Structure | None) -> tuple[float, ...]:
    """Whether a reply calls tools, and which share of its arguments the prompt does not contain."""
    if structure is None:
        return (0.0,) * len(STRUCTURE)
    text = _NOT_WORD.sub("", prompt).lower()
    values = [value.removesuffix(".0") for _, _, value in structure.values]
    loose = sum(_NOT_WORD.sub("", value).lower() not in text for value in values)
    unknown = sum(
        _NOT_WORD.sub("", n).replace("_", "").lower() not in text.replace("_", "")
        for n in structure.names
    )
    return (
        1.0,
        float(min(len(structure.calls), 6)),
        float(min(len(values), 12)) / 3,
        loose / max(1, len(values)),
        unknown / max(1, len(structure.calls)),
    )
