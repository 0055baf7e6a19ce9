"""The part of a reply that states its answer."""

from __future__ import annotations

import re

# "#### 42" as in GSM8K, "ANSWER: 42" on a line of its own; the last one counts.
_MARKER = re.compile(r"(?im)####|^[ \t*_>#-]*(?:final[ \t]+)?answer[ \t*_]*:")
_DECORATION = "*_`$\"' \t."


def stated_answer(reply: str) -> str | None:
    """The rest of the line after the last marker; ``None`` if the reply marks no answer."""
    end = None
    for match in _MARKER.finditer(reply):
        end = match.end()
    if end is None:
        return None
    rest = reply[end:].lstrip(" \t*_\r\n")
    return rest.partition("\n")[0].strip(_DECORATION)
