"""Org, team, agent: what each layer may say, and where each value came from."""

from __future__ import annotations

from datetime import timedelta

import pytest

from orchestrator.core.errors import PolicyError
from orchestrator.core.money import Money
from orchestrator.policy.load import load_policy
from orchestrator.policy.records import explain
from orchestrator.policy.tree import Source

ORG = """\
org: acme
models:
  small: {model: openai/foo, max_output_tokens: 2k, price: {input: 0.10, output: 0.40}}
  large: {model: openai/bar, price: {input: 1, output: 4}}
budgets:
  task: {limit: 1 USD}
  team: {limit: 400 USD, per: month, timezone: Europe/Berlin}
limits: {timeout: 10m, model_calls: 40}
steps:
  plan: {confidence: 0.9, models: [small, large]}
  "*": {confidence: 0.8, timeout: 60s}
server_errors: bound
"""
TEAM = """\
extends: ../org.yaml
team: research
cost_center: CC-1
models:
  small: {max_output_tokens: 1k}
budgets:
  task: {limit: 0.50 USD, finish_reserve: 0.05 USD}
limits: {model_calls: 30, steps: 100}
steps:
  plan: {models: [large]}
keep_bodies: 30d
agents:
  scout:
    cost_center: CC-2
    budgets:
      task: {limit: 0.10 USD}
    steps:
      look: {models: [small]}
"""


@pytest.fixture
def team(write):
    """A team's policy that extends its organisation's."""
    write(ORG, "org.yaml")
    return write(TEAM, "teams/research.yaml")


def test_a_lower_layer_overrides_key_by_key(team):
    policy = load_policy(team).everyone
    assert (policy.org, policy.team, policy.cost_center) == ("acme", "research", "CC-1")
    assert policy.models["small"].model == "openai/foo"
    assert policy.models["small"].max_output_tokens == 1000
    assert list(policy.models) == ["small", "large"]
    budgets = {rule.scope: rule for rule in policy.budgets}
    assert list(budgets) == ["team", "task"]
    assert budgets["task"].limit == Money.from_usd("0.50")
    assert budgets["task"].finish_reserve == Money.from_usd("0.05")
    assert (budgets["task"].window, budgets["team"].window) == ("task", "month")
    assert budgets["team"].timezone == "Europe/Berlin"
    assert (policy.limits.timeout_s, policy.limits.model_calls, policy.limits.steps) == (
        600,
        30,
        100,
    )
    assert policy.keep_bodies == timedelta(days=30)
    assert (policy.server_errors, policy.unknown_price) == ("bound", "refuse")


def test_a_list_is_replaced_and_a_named_step_takes_the_rest_from_the_star(team):
    steps = load_policy(team).everyone.steps
    assert steps["plan"].models == ("large",)
    assert steps["plan"].confidence == 0.9
    assert steps["plan"].timeout_s == 60
    assert steps["anything"].confidence == 0.8


def test_an_agent_overrides_its_team_and_others_do_not_see_it(team):
    policy = load_policy(team)
    scout, other = policy.agent("scout"), policy.agent("other")
    assert other is policy.everyone
    assert scout.cost_center == "CC-2"
    assert {rule.scope: rule.limit for rule in scout.budgets}["task"] == Money.from_usd("0.10")
    assert scout.steps["look"].models == ("small",)
    assert scout.steps["look"].timeout_s == 60
    assert "look" not in other.steps.steps
    assert scout.digest != other.digest


def test_every_value_knows_the_line_it_was_written_in(team):
    policy = load_policy(team)
    org = str(team.parent.parent / "org.yaml")
    assert policy.sources["models.small.model"] == Source(org, 3)
    assert policy.sources["models.small.max_output_tokens"] == Source(str(team), 5)
    assert policy.sources["budgets.team.limit"] == Source(org, 7)
    assert policy.sources["steps.plan.timeout"] == Source(org, 11)
    assert policy.sources["limits.attempt_timeout"] == Source("default", 0)
    scout = {value.key: (value.value, value.source.line) for value in explain(policy, "scout")}
    assert scout["budgets.task.limit"] == ("0.10 USD", 16)
    assert scout["budgets.task.finish_reserve"] == ("0.05 USD", 7)
    assert scout["steps.look.models"] == ("[small]", 18)
    assert explain(policy, "other") == explain(policy)


@pytest.mark.parametrize(
    ("line", "key", "line_above"),
    [
        ("org: other", "org", 1),
        ("budgets: {task: {limit: 2 USD}}", "budgets.task.limit", 6),
        ("budgets: {team: {limit: 401 USD}}", "budgets.team.limit", 7),
        ("budgets: {team: {limit: 40 USD, per: day}}", "budgets.team.per", 7),
        ("budgets: {team: {timezone: UTC}}", "budgets.team.timezone", 7),
        ("limits: {timeout: 11m}", "limits.timeout", 8),
        ("limits: {model_calls: 41}", "limits.model_calls", 8),
        ("server_errors: free", "server_errors", 12),
    ],
)
def test_a_lower_layer_cannot_loosen_a_higher_one(write, line, key, line_above):
    org = write(ORG, "org.yaml")
    path = write(f"extends: org.yaml\n{line}\n")
    with pytest.raises(PolicyError) as caught:
        load_policy(path)
    (problem,) = caught.value.problems
    assert (problem.file, problem.line, problem.key) == (str(path), 2, key)
    assert f"is looser than {org}:{line_above} allows" in problem.message


@pytest.mark.parametrize(
    "line",
    [
        "org: acme",
        "budgets: {team: {limit: 400 USD, per: month}}",
        "budgets: {user: {limit: 900 USD, per: day}}",
        "limits: {timeout: 600s, attempt_timeout: 1h, tokens: 9M}",
        "server_errors: bound",
        "unknown_price: free",
    ],
)
def test_a_lower_layer_may_say_the_same_or_what_no_higher_one_said(write, line):
    write(ORG, "org.yaml")
    assert load_policy(write(f"extends: org.yaml\n{line}\n"))


def test_an_agent_cannot_loosen_its_team(write):
    write(ORG, "org.yaml")
    path = write("extends: org.yaml\nagents:\n  a:\n    limits: {timeout: 1h}\n")
    with pytest.raises(PolicyError, match=r"policy\.yaml:4: agents\.a\.limits\.timeout: is looser"):
        load_policy(path)


def test_a_window_that_was_never_named_cannot_be_made_shorter(write):
    write(ORG.replace(", per: month, timezone: Europe/Berlin", ""), "org.yaml")
    path = write("extends: org.yaml\nbudgets: {team: {per: day}}\n")
    with pytest.raises(PolicyError, match=r"budgets\.team\.per: is looser than .*org\.yaml:7"):
        load_policy(path)


def test_mistakes_of_all_files_are_told_together(write):
    org = write(ORG.replace("model_calls: 40", "model_calls: many"), "org.yaml")
    team = write("extends: org.yaml\nteam: [a]\nsteps: {x: {models: [huge]}}\n")
    with pytest.raises(PolicyError) as caught:
        load_policy(team)
    assert [(problem.file, problem.line, problem.key) for problem in caught.value.problems] == [
        (str(team), 2, "team"),
        (str(team), 3, "steps.x.models.0"),
        (str(org), 8, "limits.model_calls"),
    ]


def test_a_missing_file_is_named_where_it_is_asked_for(write):
    path = write("team: a\nextends: ../nowhere.yaml\n", "teams/a.yaml")
    with pytest.raises(PolicyError) as caught:
        load_policy(path)
    (problem,) = caught.value.problems
    assert (problem.file, problem.line, problem.key) == (str(path), 2, "extends")
    assert str(path.parent.parent / "nowhere.yaml") in problem.message


@pytest.mark.parametrize("name", ["a.yaml", "./a.yaml", "../{here}/a.yaml"])
def test_a_file_that_extends_itself_is_refused(write, tmp_path, name):
    path = write(f"extends: {name.format(here=tmp_path.name)}\n", "a.yaml")
    with pytest.raises(PolicyError, match="leads back here"):
        load_policy(path)


def test_a_ring_of_files_is_refused_at_the_link_that_closes_it(write):
    first = write("extends: b.yaml\n", "a.yaml")
    second = write("\nextends: a.yaml\n", "b.yaml")
    with pytest.raises(PolicyError) as caught:
        load_policy(first)
    (problem,) = caught.value.problems
    assert (problem.file, problem.line) == (str(second), 2)


def test_eight_layers_are_read_and_a_ninth_is_refused(write):
    write(ORG, "1.yaml")
    for layer in range(2, 10):
        write(f"extends: {layer - 1}.yaml\n", f"{layer}.yaml")
    eighth = write("extends: 7.yaml\n", "8.yaml")
    assert load_policy(eighth).everyone.org == "acme"
    with pytest.raises(PolicyError, match=r"2\.yaml:1: extends: .*layer 8"):
        load_policy(eighth.with_name("9.yaml"))


def test_the_digest_depends_on_what_is_meant_and_not_on_how_it_is_written(write):
    price = "price: {input: %s, output: 0.40}"
    models = f"models:\n  a: {{model: openai/foo, {price}}}\n  b: {{model: openai/bar, {price}}}\n"
    plain = models % ("0.10", "0.10")
    steps = "steps: {x: {confidence: 0.9}, y: {confidence: 0.8}}\n"
    digest = load_policy(write(plain + steps + "limits: {timeout: 2m}\n")).everyone.digest

    other = "# note\nlimits:\n  timeout: 120s\n" + models % ("0.1", "0.100")
    other += "steps: {y: {confidence: 0.80}, x: {confidence: 0.9}}\ndescription: same\n"
    assert load_policy(write(other)).everyone.digest == digest

    changed = models % ("0.10", "0.11") + steps + "limits: {timeout: 2m}\n"
    assert load_policy(write(changed)).everyone.digest != digest
    a, b = plain.splitlines()[1:]
    swapped = f"models:\n{b}\n{a}\n{steps}limits: {{timeout: 2m}}\n"
    assert load_policy(write(swapped)).everyone.digest != digest
