"""``orchestrator bench run``: what policies cost on a suite, and what quality they buy."""

import pytest

from orchestrator.core.money import Money

SUITE = "question,answer\nWhy?,42\nWhy? Once more,42\nWhy? And again,43\n"
ASK = ("bench", "run", "suite.csv", "--graph", "agents:graph")
BENCH = (*ASK, "--no-baselines")


@pytest.fixture
def two_policies(folder, upstream):
    """One that pays for everything, and one under which no answer can be afforded."""
    (folder / "suite.csv").write_text(SUITE)
    policy = (folder / "policy.yaml").read_text()
    (folder / "poor.yaml").write_text(policy.replace("limit: 0.01 USD", "limit: 0.00107 USD"))
    return ("--policy", "policy.yaml", "--policy", "poor.yaml")


def test_two_policies_are_compared(run, two_policies, upstream):
    done = run(*BENCH, *two_policies, "--json", "--source", "simulated")

    rich, poor = done.json["policies"]
    assert done.code == 0
    assert (rich["name"], poor["name"]) == ("policy", "poor")
    assert rich["quality"] == pytest.approx(2 / 3)
    assert (rich["cost_usd"], rich["halts"], rich["tasks"]) == ("0.000090000", {}, 3)
    assert poor["quality"] == 0
    assert (poor["cost_usd"], poor["halts"]) == ("0.000036000", {"budget": 3})
    assert {one["source"] for one in (rich, poor)} == {"simulated"}
    assert upstream.billed.to_json() == "0.000126000"


def test_the_table_says_where_its_numbers_come_from(run, two_policies):
    shown = run(*BENCH, *two_policies, "--source", "simulated").out

    assert "3 tasks, simulated numbers" in shown
    table = shown.partition(" per success")[0]
    rows = {line.split()[0]: line.split()[1:] for line in table.splitlines() if line.split()}
    assert rows["policy"][:5] == ["66.7%", "$0.00009", "$0.00003", "0", "0"]
    assert rows["poor"][:5] == ["0.0%", "$0.000036", "$0.000012", "3", "0"]


def test_only_so_many_questions_are_asked(run, two_policies, upstream):
    done = run(*BENCH, *two_policies[:2], "--limit", "1", "--json")

    assert done.json["policies"][0]["tasks"] == 1
    assert len(upstream.log) == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--policy", "policy.yaml", "--scorer", "taste"), "write one of"),
        (("--policy", "policy.yaml", "--policy", "none.yaml"), "none.yaml: cannot be read"),
        (("--policy", "policy.yaml", "--graph", "agents:nothing"), "no attribute 'nothing'"),
        (("--policy", "policy.yaml", "--source", "guessed"), "'guessed' is not one of 'measured'"),
        ((), "Missing option '--policy'"),
    ],
)
def test_a_mistake_is_told_before_anything_is_asked(run, two_policies, upstream, arguments, words):
    done = run(*BENCH, *arguments)

    assert done.code == 2
    assert words in done.said
    assert upstream.log == []


@pytest.mark.usefixtures("two_policies")
def test_a_suite_with_mistakes_is_told_with_their_lines(run, folder):
    (folder / "suite.csv").write_text("question,answer\nWhy?,\n,42\n")

    done = run(*BENCH, "--policy", "policy.yaml")

    assert done.code == 2
    assert "suite.csv:2: answer: is missing" in done.err
    assert "suite.csv:3: question: is missing" in done.err


def test_a_field_that_no_output_has_is_no_wrong_answer_but_a_mistake(run, two_policies):
    done = run(*BENCH, *two_policies, "--answer-field", "solution")

    assert done.code == 2
    assert "has no 'solution' but question, plan, answer" in done.said


def test_every_saving_stands_beside_the_models_alone(run, two_policies):
    found = run(*ASK, *two_policies, "--json").json

    names = [one["name"] for one in found["baselines"]]
    assert names == [
        *("all_cheapest", "all_strongest", "best_single", "cheapest_within_1pt", "random_mix"),
        *("oracle", "fixed_threshold"),
    ]
    assert found["cost_per_success_usd"]["policy"] == "0.000045000"
    assert found["cost_per_success_usd"]["poor"] is None
    assert found["spent_usd"] == "0.000306000"
    poor, alone, _ = found["differences"]
    assert (poor["name"], poor["less"]) == ("poor", "policy")
    assert poor["quality"]["mean"] == pytest.approx(-2 / 3)
    assert poor["quality"]["low"] <= poor["quality"]["mean"] <= poor["quality"]["high"] <= 0
    assert alone["quality"] == {"mean": 0, "low": 0, "high": 0}


def test_what_was_paid_is_not_paid_again_when_the_same_command_goes_on(run, two_policies, upstream):
    first = run(*BENCH, *two_policies, "--keep", "kept", "--limit", "1", "--json")
    asked = len(upstream.log)
    again = run(*BENCH, *two_policies, "--keep", "kept", "--limit", "1", "--json")

    assert first.json == again.json | {"policies": first.json["policies"]}
    assert [p["cost_usd"] for p in first.json["policies"]] == [
        p["cost_usd"] for p in again.json["policies"]
    ]
    assert len(upstream.log) == asked

    run(*BENCH, *two_policies[:2], "--keep", "kept", "--json")
    assert len(upstream.log) == asked + 4


def test_its_own_budget_holds_for_everything_and_can_be_raised(run, two_policies, upstream):
    poor = run(*ASK, *two_policies[:2], "--keep", "kept", "--budget", "0.00011", "--json")

    assert poor.json["stopped_by_budget"] > 0
    assert upstream.billed <= Money.from_usd("0.00011")

    rich = run(*ASK, *two_policies[:2], "--keep", "kept", "--budget", "1", "--json")
    assert rich.json["stopped_by_budget"] == 0
    assert rich.json["policies"][0]["quality"] == pytest.approx(2 / 3)
    assert upstream.billed == Money.from_usd(rich.json["spent_usd"])


def test_a_budget_that_is_no_amount_is_told(run, two_policies):
    done = run(*BENCH, *two_policies, "--budget", "much")

    assert done.code == 2
    assert "'much' is no amount" in done.said


@pytest.mark.parametrize(
    ("options", "words"),
    [(("--keep", "kept"), "The same command goes on"), ((), "with --keep it could")],
)
def test_an_interrupted_run_says_how_it_goes_on(run, two_policies, monkeypatch, options, words):
    async def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("orchestrator.bench.measure.measure", interrupted)
    done = run(*BENCH, *two_policies, *options)

    assert done.code == 130
    assert words in done.err
