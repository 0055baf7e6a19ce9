"""The names users rely on, their parameters and their fields. A change here is a breaking one."""

import dataclasses
import inspect

import pytest

import orchestrator
from orchestrator.core.events import Certainty, TaskStatus
from orchestrator.core.halt import HaltReason

EXPORTED = {
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
}

PARAMETERS = {
    "Orchestrator.from_policy": "(path, *, store=None, client=None, clock=None, listeners=())",
    "Orchestrator.run": (
        "(self, graph, input, *, agent, user=None, tenant=None, tags=None, task_id=None, "
        "budget=None, timeout=None, priority=None)"
    ),
    "Orchestrator.resume": (
        "(self, task_id, *, graph=None, add_budget=None, extend=None, answer=None)"
    ),
    "Orchestrator.cancel": "(self, task_id)",
    "Orchestrator.pause": "(self, task_id)",
    "step": "(name, finish=False)",
    "current_task": "()",
    "tool_cost": "(price=None, *, name=None, timeout=None, journal=None)",
}

FIELDS = {
    "TaskResult": "task_id status output partial halt error cost attempts",
    "Halt": "reason scope limit spent step",
    "Reply": "text parsed tool_calls model confidence confidence_state cost from_memo",
}


def parameters(path: str) -> str:
    found = orchestrator
    for name in path.split("."):
        found = getattr(found, name)
    signature = inspect.signature(found)
    bare = [
        one.replace(annotation=inspect.Parameter.empty) for one in signature.parameters.values()
    ]
    return str(inspect.Signature(bare))


def test_the_root_exports_what_users_rely_on_and_little_more():
    assert set(orchestrator.__all__) == EXPORTED
    assert list(orchestrator.__all__) == sorted(orchestrator.__all__)


@pytest.mark.parametrize("name", sorted(EXPORTED))
def test_what_is_exported_exists_and_says_what_it_is(name: str):
    exported = getattr(orchestrator, name)

    assert name in dir(orchestrator)
    assert exported.__doc__


def test_a_misspelt_name_is_an_ordinary_error():
    with pytest.raises(AttributeError, match="Orchestartor"):
        orchestrator.Orchestartor  # noqa: B018 - reading it is the point


@pytest.mark.parametrize("path", PARAMETERS)
def test_parameters_are_the_documented_ones(path: str):
    assert parameters(path) == PARAMETERS[path]


@pytest.mark.parametrize("name", ["run", "resume"])
def test_the_sync_form_takes_what_the_async_form_takes(name: str):
    asynchronous = inspect.signature(getattr(orchestrator.Orchestrator, name))
    kinds = {parameter.kind for parameter in asynchronous.parameters.values()}
    positional = [
        one for one in asynchronous.parameters.values() if one.kind is not one.KEYWORD_ONLY
    ]
    named = {one.name: None for one in asynchronous.parameters.values() if one not in positional}

    assert kinds == {inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY}
    synchronous = inspect.signature(getattr(orchestrator.Orchestrator, f"{name}_sync"))
    synchronous.bind(*positional, **named)
    with pytest.raises(TypeError):
        synchronous.bind()


@pytest.mark.parametrize("name", FIELDS)
def test_results_have_the_documented_fields(name: str):
    fields = {field.name for field in dataclasses.fields(getattr(orchestrator, name))}

    assert set(FIELDS[name].split()) <= fields


def test_states_and_reasons_are_the_documented_ones():
    assert set(TaskStatus.__args__) == {"running", "completed", "halted", "failed"}
    assert set(Certainty.__args__) == {"known", "estimated", "unknown"}
    assert HaltReason.__args__ == (
        "budget",
        "timeout",
        "model_calls",
        "tool_calls",
        "tokens",
        "steps",
        "repeats",
        "confidence",
        "question",
        "no_model",
        "paused",
        "cancelled",
    )
