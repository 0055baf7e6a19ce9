"""A runtime for agents that spend money.

Budgets that hold to the nano-dollar, halts that resume without paying twice, every cent attributed.

The names below are loaded when they are first used, so that importing this package costs next to
nothing and loads neither LangGraph nor LiteLLM nor a database driver.
"""

from __future__ import annotations

from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING

from orchestrator.version import __version__

if TYPE_CHECKING:
    from orchestrator.core.errors import (
        Fenced,
        LedgerUnavailable,
        ModelRejected,
        OrchestratorError,
        PolicyError,
        ResumeError,
        StreamCut,
        TaskExists,
        TaskNotFound,
    )
    from orchestrator.core.halt import Halt, Halted
    from orchestrator.core.money import Money
    from orchestrator.runtime.orchestrator import Orchestrator
    from orchestrator.runtime.run.results import Attempt, Cost, Reply, TaskResult
    from orchestrator.runtime.steps import step
    from orchestrator.runtime.tool_cost import tool_cost
    from orchestrator.runtime.view import current_task

__all__ = [
    "Attempt",
    "Cost",
    "Fenced",
    "Halt",
    "Halted",
    "LedgerUnavailable",
    "ModelRejected",
    "Money",
    "Orchestrator",
    "OrchestratorError",
    "PolicyError",
    "Reply",
    "ResumeError",
    "StreamCut",
    "TaskExists",
    "TaskNotFound",
    "TaskResult",
    "__version__",
    "current_task",
    "step",
    "tool_cost",
]

_HOME_OF = MappingProxyType(
    {
        "Attempt": "runtime.run.results",
        "Cost": "runtime.run.results",
        "Fenced": "core.errors",
        "Halt": "core.halt",
        "Halted": "core.halt",
        "LedgerUnavailable": "core.errors",
        "ModelRejected": "core.errors",
        "Money": "core.money",
        "Orchestrator": "runtime.orchestrator",
        "OrchestratorError": "core.errors",
        "PolicyError": "core.errors",
        "Reply": "runtime.run.results",
        "ResumeError": "core.errors",
        "StreamCut": "core.errors",
        "TaskExists": "core.errors",
        "TaskNotFound": "core.errors",
        "TaskResult": "runtime.run.results",
        "current_task": "runtime.view",
        "step": "runtime.steps",
        "tool_cost": "runtime.tool_cost",
    }
)


def __getattr__(name: str) -> object:
    """Load a public name when it is first used (PEP 562)."""
    home = _HOME_OF.get(name)
    if home is None:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
