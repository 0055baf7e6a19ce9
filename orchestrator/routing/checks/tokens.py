# ruff: noqa: RUF001 - the signs that look alike are what this file tells apart
"""Words, numbers and signs of a text that may hold sums: plain, Markdown or LaTeX.

One regular expression whose alternatives each match a bounded or unambiguous run, so that reading
takes time proportional to the text, whatever a model writes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, cast

TokenKind = Literal[
    "number",  # 1,200.50
    "operator",  # + - * / ^ and the superscripts
    "open",
    "close",
    "fraction",  # LaTeX's \frac, followed by two groups
    "percent",
    "currency",
    "word",
    "relation",  # = and its approximate form
    "break",  # the end of a phrase
    "newline",
    "opaque",  # something numeric that is not understood: whatever touches it is not judged
]

_MAX_NUMBER_LENGTH = 24


@dataclass(frozen=True, slots=True)
class Token:
    """One piece of the text.

    Attributes:
        kind: What it is.
        text: As read, in one spelling per operator and relation.
        is_spaced: Whether white space (or the beginning) comes before it.
        value: A number's exact value.
        decimals: How many decimals a number shows.
    """

    kind: TokenKind
    text: str
    is_spaced: bool = True
    value: Fraction = Fraction(0)
    decimals: int = 0


_TOKEN = re.compile(
    r"""
    (?P<space>[ \t\r\f\v_`'"]+)
  | (?P<newline>\n|\\\\)
  | (?P<number>[0-9]+(?:[.,:][0-9]+)*)
  | (?P<point>\.[0-9]+)
  | (?P<word>[^\W\d_²³]+(?:['’-][^\W\d_²³]+)*)
  | \\(?P<command>[A-Za-z]+)
  | \\(?P<escaped>[^A-Za-z])
  | (?P<power>\*\*)
  | (?P<break>=+>|->|[-<>!:+*/]=|[<>≠≤≥→⇒⟹.,;:?!|…])
  | (?P<approximate>[≈≃≅∼~]=?)
  | (?P<relation>=+)
  | (?P<operator>//|[-+*/^²³])
  | (?P<open>[(\[{])
  | (?P<close>[)\]}])
  | (?P<percent>%)
  | (?P<currency>[$€£¥₹¢])
  | (?P<ignored>&)
  | (?P<opaque>.)
    """,
    re.VERBOSE,
)

_SPELLINGS = str.maketrans(
    {
        **dict.fromkeys("−–—", "-"),
        **dict.fromkeys("×∗⋅·✕✖", "*"),
        **dict.fromkeys("÷∕⁄", "/"),
        "＝": "=",
        **dict.fromkeys("\u00a0\u2009\u202f“”‘", " "),
    }
)

# In Markdown a sign followed by a space begins a list item; it is no sign of a number.
_BULLET = re.compile(r"^[ \t]*[-*+•][ \t]+", re.MULTILINE)

_COMMANDS: Mapping[str, tuple[TokenKind, str]] = {
    **dict.fromkeys(("times", "cdot", "ast"), ("operator", "*")),
    "div": ("operator", "/"),
    **dict.fromkeys(("frac", "dfrac", "tfrac", "cfrac"), ("fraction", "frac")),
    **dict.fromkeys(("approx", "simeq", "cong"), ("relation", "≈")),
    **dict.fromkeys(("implies", "Rightarrow", "rightarrow", "to"), ("break", "")),
    "newline": ("newline", ""),
}
_TYPESETTING = frozenset(
    {
        *("text", "mathrm", "mathbf", "textbf", "mathit", "boxed", "displaystyle"),
        *("left", "right", "big", "Big", "quad", "qquad"),
    }
)
_ESCAPED: Mapping[str, tuple[TokenKind, str]] = {
    **{sign: ("operator", sign) for sign in "*+-/^"},
    "%": ("percent", "%"),
    "$": ("currency", "$"),
    "=": ("relation", "="),
    "{": ("open", "{"),
    "}": ("close", "}"),
}
_RESPELLED: Mapping[str, tuple[TokenKind, str]] = {
    "approximate": ("relation", "≈"),
    "relation": ("relation", "="),
}
_OPERATORS: Mapping[str, str] = {"//": "/", "**": "^"}
_GROUPED = re.compile(r"[0-9]{1,3}(?:,[0-9]{2,3})*,[0-9]{3}(?:\.[0-9]+)?")
_PLAIN = re.compile(r"[0-9]+(?:\.[0-9]+)?")


def tokenize(text: str) -> Iterator[Token]:
    """Read ``text`` from left to right; what carries no meaning here is left out."""
    text = _BULLET.sub("", text.replace("{,}", ",")).translate(_SPELLINGS)
    is_spaced = True
    for match in _TOKEN.finditer(text):
        kind, found = str(match.lastgroup), match.group()
        if kind == "power":
            kind = "operator" if _is_power(text, match.start(), match.end()) else "ignored"
        if kind == "space":
            is_spaced = True
        token = _token(kind, found, match, is_spaced=is_spaced)
        if token is not None:
            yield token
            is_spaced = kind == "newline"


def _token(kind: str, found: str, match: re.Match[str], *, is_spaced: bool) -> Token | None:
    read: tuple[TokenKind, str] | None
    if kind in {"number", "point"}:
        return _number(found, is_spaced=is_spaced)
    if kind in {"space", "ignored"}:
        return None
    if kind == "command":
        name = match.group("command")
        read = None if name in _TYPESETTING else _COMMANDS.get(name, ("opaque", name))
    elif kind == "escaped":
        read = _ESCAPED.get(match.group("escaped"))
    else:
        read = _RESPELLED.get(kind) or (cast("TokenKind", kind), _OPERATORS.get(found, found))
    return None if read is None else Token(*read, is_spaced)


def _number(found: str, *, is_spaced: bool) -> Token:
    """A number, or ``opaque``: a time, a date, a version, a comma that is no thousands mark."""
    plain = found.replace(",", "") if _GROUPED.fullmatch(found) else found
    if plain.startswith("."):
        plain = f"0{plain}"
    if len(plain) > _MAX_NUMBER_LENGTH or not _PLAIN.fullmatch(plain):
        return Token("opaque", found, is_spaced)
    return Token("number", found, is_spaced, Fraction(plain), len(plain.partition(".")[2]))


def _is_power(text: str, start: int, end: int) -> bool:
    """Whether ``**`` is a power: Markdown's bold clings to one side only."""
    before = text[start - 1] if start else " "
    after = text[end] if end < len(text) else " "
    return (before.isspace() and after.isspace()) or (
        (before.isdigit() or before == ")") and (after.isdigit() or after in "(-")
    )
