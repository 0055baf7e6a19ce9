"""``agreement``: two replies to the same request come to the same result.

Compared are results, without regard to order: tool calls as a set of calls, data as JSON without
the order of keys and of items, prose by the number it ends with or, if it is short, by its words.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.models.protocol import Completion
from orchestrator.routing.checks.result import CheckResult
from orchestrator.routing.signals.working import last_number

NAME = "agreement"

SHORT = 60
"""Characters up to which prose is its own result and is compared as a whole."""

_FENCE = re.compile(r"\A\s*```\w*\n(.*)\n\s*```\s*\Z", re.DOTALL)
_WORD = re.compile(r"\w+|[^\w\s.,;:!?'\"]+")

Part = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Result:
    """What a reply comes to, in a form that is equal for replies that mean the same.

    Attributes:
        whole: The result.
        parts: What it is made of, each with its place, to tell how much two have in common.
    """

    whole: str
    parts: Counter[Part]


def result_of(completion: Completion) -> Result | None:
    """The result of a reply; ``None`` for prose that states none that could be compared."""
    if completion.tool_calls:
        calls = [{one.name: _arguments(one.arguments)} for one in completion.tool_calls]
        return _data({"calls": calls, "text": ""})
    text = completion.text.strip()
    fenced = _FENCE.match(text)
    try:
        value = json.loads(fenced.group(1) if fenced else text)
    except (ValueError, RecursionError):
        return _prose(text)
    return _data(value) if isinstance(value, dict | list) else _prose(text)


def compare(first: Completion, second: Completion) -> CheckResult:
    """Whether two replies to the same request agree; the score is the share they have in common."""
    one, two = result_of(first), result_of(second)
    if one is None or two is None:
        return CheckResult.not_applicable(NAME, "prose without a result cannot be compared")
    if one.whole == two.whole:
        return CheckResult.of(NAME, passed=True)
    common, all_parts = (one.parts & two.parts).total(), (one.parts | two.parts).total()
    score = common / all_parts if all_parts else 0.0
    return CheckResult(NAME, passed=False, score=score, detail="a second reply says otherwise")


def _arguments(text: str) -> Any:  # noqa: ANN401 - any JSON value
    try:
        return json.loads(text or "{}")
    except (ValueError, RecursionError):
        return text


def _data(value: Any) -> Result | None:  # noqa: ANN401 - any JSON value
    try:
        return Result(_canonical(value), Counter(_parts(value, "")))
    except RecursionError:
        return None


def _prose(text: str) -> Result | None:
    number = last_number(text)
    if number is not None:
        return Result(repr(number), Counter([("", repr(number))]))
    if len(text) > SHORT:
        return None
    words = _WORD.findall(text.casefold())
    return Result(" ".join(words), Counter(("", word) for word in words))


def _canonical(value: Any) -> str:  # noqa: ANN401 - any JSON value
    """One spelling for values that mean the same; no two others share it."""
    match value:
        case Mapping():
            pairs = sorted(f"{json.dumps(key)}:{_canonical(below)}" for key, below in value.items())
            return f"{{{','.join(pairs)}}}"
        case list():
            return f"[{','.join(sorted(map(_canonical, value)))}]"
        case str():
            return json.dumps(" ".join(value.split()).casefold())
        case bool() | None:
            return json.dumps(value)
        case _:
            # 5 and 5.0 are one number; a whole one of any size stays exact.
            return repr(int(value)) if value == value // 1 else repr(value)


def _parts(value: Any, place: str) -> Iterator[Part]:  # noqa: ANN401 - any JSON value
    match value:
        case Mapping():
            for key, below in value.items():
                yield from _parts(below, f"{place}.{key}")
        case list():
            for below in value:
                yield from _parts(below, f"{place}[]")
        case _:
            yield place, _canonical(value)
