"""What is not built is refused, never ignored; a value that asks for nothing is accepted."""

from __future__ import annotations

import pytest

from orchestrator.policy.documents.policy import AgentDocument
from orchestrator.policy.documents.steps import StepDocument
from orchestrator.policy.keys import keys_of

MODELS = "models: {small: {model: openai/foo, price: {input: 0.10, output: 0.40}}}\n"
OF_A_STEP = [key.name for key in keys_of(StepDocument) if not key.is_built]
OF_A_POLICY = [key.name for key in keys_of(AgentDocument) if not key.is_built]
ASKING = ["on", "5m", "{fresh_for: 1h, stale_for: 10m, reads: [catalog]}", "[a]", ""]
SILENT = ["off", "OFF", "no", "false", "'off'"]


def test_the_keys_of_what_is_to_come_are_known():
    assert OF_A_STEP == ["priority", "audits"]
    assert OF_A_POLICY == []


@pytest.mark.parametrize("name", OF_A_STEP)
def test_a_step_cannot_ask_for_what_is_not_built(mistake, load, name):
    for value in ASKING:
        problem = mistake(f"{MODELS}steps:\n  plan:\n    {name}: {value}\n")
        assert (problem.line, problem.key) == (4, f"steps.plan.{name}")
        assert problem.message == "is not built yet; remove the key or write `off`"
    for value in SILENT:
        assert load(f"{MODELS}steps: {{plan: {{{name}: {value}}}}}\n")
