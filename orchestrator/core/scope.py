"""Where money is counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

ScopeKind = Literal["org", "team", "agent", "user", "task", "upkeep"]
SCOPE_KINDS: tuple[ScopeKind, ...] = ("org", "team", "agent", "user", "task")
HOLDER_KINDS: tuple[ScopeKind, ...] = (*SCOPE_KINDS, "upkeep")
"""With what the runtime spends on its own account: :data:`UPKEEP`."""

UPKEEP = "upkeep"
"""The tag of what no one asked for: what a memo asks anew, and audits. All of either by one agent
is one holder."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Who a task belongs to: the path from the organisation down to the task.

    Attributes:
        org: The organisation.
        team: The team inside it.
        agent: The agent (the graph's name for people who pay).
        user: The end user the task serves, if known.
        task_id: The task.
        tenant: The isolation boundary for memo, learning and views of the ledger.
        ancestors: Task ids of the tasks this one runs inside, outermost first. Their budgets and
            limits count what this task does.
        tags: Free labels for reports.
    """

    org: str
    team: str
    agent: str
    task_id: str
    tenant: str
    user: str | None = None
    ancestors: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def identity(self, kind: ScopeKind) -> str | None:
        """The unique name of the holder of ``kind``; ``None`` if there is none."""
        match kind:
            case "org":
                return self.org
            case "team":
                return f"{self.org}/{self.team}"
            case "agent":
                return f"{self.org}/{self.team}/{self.agent}"
            case "user":
                return None if self.user is None else f"{self.org}/{self.team}/{self.user}"
            case "task":
                return self.task_id
            case "upkeep":
                purpose = self.tags.get(UPKEEP)
                # Audits have a budget of their own: what a memo asks anew does not use it up.
                apart = "/audits" if purpose == "audit" else ""
                return None if purpose is None else f"{self.identity('agent')}{apart}"
