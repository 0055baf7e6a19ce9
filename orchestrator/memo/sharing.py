"""Who may be given an entry: a hard partition, never a similarity.

The tenant is always part of it: nothing, ``public`` included, leaves its tenant. Inside the tenant
each scope of sharing fixes some holders, and narrowing joins what both fix. So an entry of
``share: agent`` made from ``private`` input is for that user of that agent alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from orchestrator.core.scope import Scope

Share = Literal["user", "agent", "team", "org", "public"]
PRIVATE = "private"
SECRET = "secret"  # noqa: S105 - the name of a label, not a password

_FIXES: Mapping[Share, frozenset[str]] = {
    "user": frozenset({"org", "team", "user"}),
    "agent": frozenset({"org", "team", "agent"}),
    "team": frozenset({"org", "team"}),
    "org": frozenset({"org"}),
    "public": frozenset(),
}


@dataclass(frozen=True, slots=True)
class Partition:
    """The walls around an entry.

    Attributes:
        tenant: The isolation boundary.
        holders: What is fixed inside it, as ``(("org", "acme"), ("team", "research"))``.
    """

    tenant: str
    holders: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        """``acme: org=acme team=research``."""
        held = " ".join(f"{kind}={name}" for kind, name in self.holders)
        return f"{self.tenant}: {held or 'everyone'}"


@dataclass(frozen=True, slots=True)
class NotShareable:
    """Nothing may be kept of this request.

    Attributes:
        why: A sentence for people.
    """

    why: str


def partition_for(
    scope: Scope,
    share: Share,
    labels: Iterable[str] = (),
    custom: Mapping[str, Share] | None = None,
) -> Partition | NotShareable:
    """The narrowest partition of what a step shares and what its inputs' labels allow.

    Args:
        scope: Who asks.
        share: What the step's rules share.
        labels: Labels of all inputs: ``private``, ``secret``, the words of ``share`` (what comes
            from something shared so), or the team's own.
        custom: The widest sharing that each of the team's own labels allows. A label that is not
            named here allows no more than ``private``.

    Returns:
        The partition, or why there is none: a ``secret`` input, or ``share: user`` without a user.
    """
    fixed = _FIXES[share]
    for label in labels:
        if label == SECRET:
            return NotShareable("an input is labelled secret")
        fixed |= _FIXES[_allowed(label, custom or {})]
    holders = []
    if "agent" in fixed:
        holders.append(("agent", scope.agent))
    if "org" in fixed:
        holders.append(("org", scope.org))
    if "team" in fixed:
        holders.append(("team", scope.team))
    if "user" in fixed:
        if scope.user is None:
            return NotShareable("it would be shared with its user only, and the task has no user")
        holders.append(("user", scope.user))
    return Partition(scope.tenant, tuple(holders))


def _allowed(label: str, custom: Mapping[str, Share]) -> Share:
    """The widest sharing that a label allows."""
    match label:
        case "user" | "agent" | "team" | "org" | "public":
            return label
        case _:
            return "user" if label == PRIVATE else custom.get(label, "user")
