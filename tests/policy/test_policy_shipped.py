"""What the repository ships: policies that load, a schema and a reference that are up to date."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest
from ruamel.yaml import YAML

from orchestrator.limits.settings import LimitSettings
from orchestrator.models.settings import ModelSettings
from orchestrator.policy.documents.policy import PolicyDocument
from orchestrator.policy.keys import keys_of
from orchestrator.policy.load import load_policy
from orchestrator.policy.reference import with_reference
from orchestrator.policy.schema import policy_schema, policy_schema_text
from orchestrator.routing.settings import StepSettings

ROOT = Path(__file__).parents[2]
SHIPPED = sorted((ROOT / "policies").rglob("*.yaml"))


def documents(document=PolicyDocument):
    yield document
    for key in keys_of(document):
        if isinstance(key.holds, type):
            yield from documents(key.holds)


def by_schema(text: str) -> list[str]:
    data = YAML(typ="safe", pure=True).load(text)
    validator = jsonschema.Draft7Validator(policy_schema())
    return [error.json_path for error in validator.iter_errors(data)]


def test_the_shipped_policies_are_these():
    names = [str(path.relative_to(ROOT)) for path in SHIPPED]
    assert names == [
        "policies/org.yaml",
        "policies/teams/research.yaml",
        "policies/teams/support.yaml",
    ]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_policy_loads_and_its_prices_are_known(path):
    policy = load_policy(path)
    assert policy.everyone.org == "acme"
    assert policy.everyone.budgets
    assert policy.everyone.unknown_price == "refuse"


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_policy_fits_the_schema_it_names(path):
    text = path.read_text(encoding="utf-8")
    assert by_schema(text) == []
    _, _, name = text.splitlines()[0].partition("$schema=")
    assert (path.parent / name).resolve() == ROOT / "policies/schema.json"


def test_the_schema_for_editors_is_up_to_date():
    written = (ROOT / "policies/schema.json").read_text(encoding="utf-8")
    assert written == policy_schema_text(), "run: python -m orchestrator.policy.schema FILE"


def test_the_schema_is_a_schema():
    jsonschema.Draft7Validator.check_schema(policy_schema())


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("modles: {}", "$"),
        ("limits: {timeout: 10}", "$.limits.timeout"),
        ("budgets: {task: {limit: 0.25}}", "$.budgets.task.limit"),
        ("budgets: {task: {per: day}}", "$.budgets.task"),
        ("steps: {a: {confidence: 90}}", "$.steps.a.confidence"),
        ("steps: {a: {checks: [form]}}", "$.steps.a.checks[0]"),
        ("steps: {a: {below_threshold: hope}}", "$.steps.a.below_threshold"),
        ("steps: {a: {memo: {fresh_for: 10}}}", "$.steps.a.memo"),
        ("models: {a: {price: {input: -1}}}", "$.models.a.price.input"),
        ("agents: {a: {team: b}}", "$.agents.a"),
    ],
)
def test_an_editor_shows_the_mistakes_that_the_loader_refuses(text, path):
    assert by_schema(text) == [path]


def test_the_reference_is_up_to_date():
    page = (ROOT / "docs/policy.md").read_text(encoding="utf-8")
    assert page == with_reference(page), "run: python -m orchestrator.policy.reference FILE"


def test_the_reference_names_every_key():
    page = (ROOT / "docs/policy.md").read_text(encoding="utf-8")
    later = " ".join(line for line in page.splitlines() if line.startswith("Not built yet"))
    for document in documents():
        for key in keys_of(document):
            assert f"| `{key.name}` |" in page if key.is_built else f"`{key.name}`" in later
    assert all(key.meaning for document in documents() for key in keys_of(document))


def test_every_example_and_default_of_the_reference_can_be_read():
    for document in documents():
        for key in keys_of(document):
            if isinstance(key.holds, type) or key.many != "one" or key.example.startswith("{"):
                continue
            key.holds.accept(key.example)
            if key.default is not None:
                assert key.holds.accept(key.default) == document.model_fields[key.name].default


def test_defaults_are_those_of_the_rooms_that_use_them(load):
    policy = load("models: {m: {model: openai/foo}}\nsteps: {a: {}}\nlimits: {}\n").everyone
    assert policy.models["m"] == ModelSettings(name="m", model="openai/foo")
    assert policy.limits == LimitSettings()
    assert policy.steps["a"] == StepSettings()
    assert (policy.org, policy.team, policy.durability) == ("default", "default", "async")
    assert policy.keep_bodies is None
