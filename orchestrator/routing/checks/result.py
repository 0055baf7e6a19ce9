"""What one check says about one reply."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Self

_GROUPS = MappingProxyType({"complete": "form", "schema": "form"})


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The evidence of one check.

    Attributes:
        name: The check's name.
        passed: ``None``: it has nothing to say about this reply (no sums to recompute).
        score: How well the reply did, between 0 and 1; ``None`` exactly if ``passed`` is.
        detail: Why, for people. It may quote the reply, so it never goes into logs or events.
    """

    name: str
    passed: bool | None
    score: float | None
    detail: str = ""

    @property
    def group(self) -> str:
        """What the check looks at: of checks that look at the same thing, one voice counts."""
        return _GROUPS.get(self.name, self.name)

    @classmethod
    def of(cls, name: str, *, passed: bool, detail: str = "") -> Self:
        """A yes or a no."""
        return cls(name, passed, float(passed), detail)

    @classmethod
    def not_applicable(cls, name: str, detail: str) -> Self:
        """Nothing to say."""
        return cls(name, None, None, detail)
