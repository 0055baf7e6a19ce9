"""Words as numbers, without a vocabulary to keep."""

from __future__ import annotations

import re
from math import sqrt
from zlib import crc32

_WORD = re.compile(r"[a-z]+|\d+|[^\w\s]")
_MOST = 400
"""Characters read from each end of a text."""

WIDTH = 512
"""Buckets that words are hashed into."""


def hashed(text: str) -> dict[int, float]:
    """Words as buckets with weights of length one in all."""
    cut = text if len(text) <= 2 * _MOST else f"{text[:_MOST]} {text[-_MOST:]}"
    found: dict[int, float] = {}
    for word in dict.fromkeys(_WORD.findall(cut.lower())):
        code = crc32(word.encode())
        bucket = code % WIDTH
        # A sign per word keeps the expected weight of a collision at zero.
        found[bucket] = found.get(bucket, 0.0) + (1.0 if code >> 31 else -1.0)
    length = sqrt(sum(value * value for value in found.values())) or 1.0
    return {bucket: value / length for bucket, value in found.items() if value}


_LETTERS = re.compile(r"[a-z]+(?: [a-z]+)*")
_DIGITS = re.compile(r"[\d.,]*\d")


def ending(reply: str) -> str:
    """The form of a reply's last line: digits as ``9``, words as ``a``, at most 16 characters.

    How usual that form is tells replies that were cut, or that never came to a result.
    """
    line = reply.strip().rsplit("\n", 1)[-1].lower()
    return _LETTERS.sub("a", _DIGITS.sub("9", line))[:16]
