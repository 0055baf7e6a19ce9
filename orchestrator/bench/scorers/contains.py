"""``contains``: the right answer stands somewhere in the reply."""

from __future__ import annotations

import re


def score_contains(reply: str, answer: str) -> float:
    """1 if ``answer`` stands in the reply as words of its own, whatever the case, else 0."""
    words = r"\s+".join(re.escape(word) for word in answer.split())
    return float(re.search(rf"(?<!\w){words}(?!\w)", reply, re.IGNORECASE) is not None)
