"""What the text of a prompt or a reply shows at a glance."""

from __future__ import annotations

import re
from math import log1p

_HEDGE = re.compile(
    r"\b(?:however|assum\w+|but|wait|unclear|not clear|cannot|can't|unable|sorry|since|if|may|"
    r"might|perhaps|probably|approximately|about|unfortunately)\b",
    re.IGNORECASE,
)
_NUMERAL = re.compile(r"\d+")
_WORD = re.compile(r"\w+")
_OPTION = re.compile(r"^\s*\(?[A-J][).:]", re.MULTILINE)
_CODE = re.compile(r"```|\bdef |\breturn\b|[{};]\s*$", re.MULTILINE)
_FINISHED = (".", "!", "?", ")", "]", "}", "`", '"')

PROMPT = (
    "length",
    "words_long",
    "numerals",
    "lines",
    "options",
    "code",
    "question",
    "quotes",
    "percent",
)
"""Names of the numbers that `prompt_signals` returns, in their order."""

REPLY = (
    "empty",
    "length",
    "length_to_prompt",
    "lines",
    "numerals",
    "hedges",
    "finished",
    "result_size",
)
"""Names of the numbers that `reply_signals` returns, in their order."""


def prompt_signals(prompt: str) -> tuple[float, ...]:
    """Twelve cheap numbers about a prompt, known before any model is asked."""
    words = _WORD.findall(prompt)
    return (
        log1p(len(prompt)),
        sum(len(word) > 8 for word in words) / max(1, len(words)),  # noqa: PLR2004 - a long word
        log1p(len(_NUMERAL.findall(prompt))),
        log1p(prompt.count("\n")),
        float(min(len(_OPTION.findall(prompt)), 6)),
        float(bool(_CODE.search(prompt))),
        float(prompt.rstrip().endswith("?")),
        float(min(prompt.count('"'), 6)),
        float("%" in prompt),
    )


def reply_signals(prompt: str, reply: str) -> tuple[float, ...]:
    """What the form of a reply shows, whatever it is about."""
    text = reply.strip()
    numerals = _NUMERAL.findall(text)
    return (
        float(not text),
        log1p(len(text)),
        log1p(len(text)) - log1p(len(prompt)),
        log1p(text.count("\n")),
        log1p(len(numerals)),
        float(min(len(_HEDGE.findall(text)), 6)),
        float(text.endswith(_FINISHED)),
        float(min(len(numerals[-1]), 8)) if numerals else 0.0,
    )
