"""The maths agent on recordings with made-up replies, and on real ones where they are."""

import csv
import gzip
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator import Money

EXAMPLES = Path(__file__).parents[2] / "examples"
BESIDE = Path(__file__).parents[3] / "shared" / "data"
RECORDED = Path(os.environ.get("ORCHESTRATOR_RECORDED", BESIDE)) / "routellm_gsm8k.csv.gz"
COLUMNS = [
    *("dataset", "query_id", "group", "model", "prompt", "score", "input_tokens"),
    *("output_tokens", "cost_usd", "cost_source", "response"),
]
PRICES = {"lab/tiny": ("0.5", "1.5"), "lab/huge": ("10", "30")}


class Reply(NamedTuple):
    text: str
    score: float
    tokens: tuple[int, int] = (40, 20)


RIGHT = Reply("2 * 3 = 6\n#### 6", 1.0)
UNNOTICED = Reply("2 + 3 = 5\n#### 5", 0.0, (30, 10))
WRONG_SUM = Reply("2 * 3 = 7\n#### 7", 0.0, (50, 20))
NO_FORM = Reply("It is 6, I think.", 0.0, (40, 30))
STRONG_RIGHT = Reply("2 * 3 = 6, so\n#### 6", 1.0, (40, 50))
STRONG_WRONG = Reply("2 * 3 = 6, so\n#### 8", 0.0, (40, 70))
QUESTIONS = [
    (RIGHT, STRONG_RIGHT),  # the weak one is accepted and right
    (UNNOTICED, STRONG_RIGHT),  # accepted though wrong: its sums are right
    (WRONG_SUM, STRONG_RIGHT),  # escalated, to the better
    (NO_FORM, STRONG_RIGHT),  # the same
    (WRONG_SUM, STRONG_WRONG),  # escalated in vain
]


def cost(model: str, *replies: Reply) -> Money:
    """In nano-dollars a price in USD per million tokens is a thousand times as much a token."""
    per_input, per_output = (Decimal(rate) * 1000 for rate in PRICES[model])
    exact = sum(reply.tokens[0] * per_input + reply.tokens[1] * per_output for reply in replies)
    return Money(int(exact))


def rows_of(pairs: list[tuple[Reply, Reply]]) -> list[dict[str, Any]]:
    return [
        {
            "dataset": "made-up",
            "query_id": f"q{number}",
            "group": "",
            "model": model,
            "prompt": f"Question {number}: how many is it?",
            "score": reply.score,
            "input_tokens": reply.tokens[0],
            "output_tokens": reply.tokens[1],
            "cost_usd": cost(model, reply).usd,
            "cost_source": "made_up",
            "response": reply.text,
        }
        for number, pair in enumerate(pairs)
        for model, reply in zip(PRICES, pair, strict=True)
    ]


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    with path.open("w", newline="") if path.suffix == ".csv" else gzip.open(path, "wt") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    return path


def run_script(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(EXAMPLES / "maths_agent.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def agent() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(EXAMPLES))
        yield importlib.import_module("maths_agent")


@pytest.fixture(scope="module")
def recording(agent: ModuleType) -> ModuleType:
    return sys.modules[agent.read_replies.__module__]


@pytest.fixture
def recordings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory with recordings of two models, of three, and of too few columns."""
    rows = rows_of(QUESTIONS)
    third = [row | {"model": "a", "cost_usd": ""} for row in rows[::2]]
    write(tmp_path / "two.csv", rows)
    write(tmp_path / "three.csv", rows + third)
    (tmp_path / "columns.csv").write_text("model,prompt,response\nm,p,r\n")
    monkeypatch.chdir(tmp_path)


def test_what_it_prints_is_what_the_recording_says(tmp_path: Path):
    file = write(tmp_path / "replies.csv.gz", rows_of(QUESTIONS))

    done = run_script(file, "--json", tmp_path / "out.json")

    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "out.json").read_text())
    weak, strong = zip(*QUESTIONS, strict=True)
    spent = cost("lab/tiny", *weak) + cost("lab/huge", *strong[2:])
    (run,) = found["policies"]
    assert run["quality"] == 3 / 5
    assert run["attempts"] == {"weak": 5, "strong": 3}
    assert run["source"] == "estimated"
    assert run["cost_usd"] == found["ledger_usd"] == found["billed_usd"] == spent.to_json()
    assert found["halts"] == {}
    assert {name: one["price"] for name, one in found["models"].items()} == {
        "weak": {"input": "0.5", "output": "1.5"},
        "strong": {"input": "10", "output": "30"},
    }
    baselines = {one["name"]: (one["quality"], one["cost_usd"]) for one in found["baselines"]}
    assert baselines["all_cheapest"] == (1 / 5, cost("lab/tiny", *weak).to_json())
    assert baselines["all_strongest"] == (4 / 5, cost("lab/huge", *strong).to_json())
    assert baselines["random_mix"][0] < run["quality"] <= baselines["oracle"][0]
    for line in (
        "confidence: uncalibrated",
        "cost: estimated, recorded token counts (made_up)",
        "lab/tiny, 0.5 USD in and 1.5 USD out per million tokens, derived from recorded costs",
        f"Ledger total = upstream's own bill, to the nano-dollar: {spent.to_json()}",
    ):
        assert line in done.stdout


async def test_a_small_team_budget_halts_the_rest_and_is_never_exceeded(
    agent: ModuleType, recording: ModuleType, tmp_path: Path
):
    file = write(tmp_path / "replies.csv", rows_of([(RIGHT, STRONG_RIGHT)] * 30))
    replies = recording.read_replies(str(file), (), {})
    each = cost("lab/tiny", RIGHT)

    found = await agent.run_all(replies, each * 12)

    assert set(found.halts) == {"budget/team"}
    served = 30 - found.halts["budget/team"]
    assert 0 < served < 12
    assert found.run.quality == served / 30
    assert found.ledger == found.billed == each * served
    assert found.as_promised


async def test_scores_and_costs_of_the_recording_change_nothing_that_the_agent_does(
    agent: ModuleType, recording: ModuleType, tmp_path: Path
):
    rows = rows_of(QUESTIONS)
    flipped = [row | {"score": 1 - row["score"]} for row in rows]
    found = [
        await agent.run_all(
            recording.read_replies(str(write(tmp_path / name, given)), (), {}), Money.from_usd(1)
        )
        for name, given in (("a.csv", rows), ("b.csv", flipped))
    ]

    assert [one.run.quality for one in found] == [3 / 5, 2 / 5]
    assert found[0].run.attempts == found[1].run.attempts
    assert found[0].ledger == found[1].ledger


@pytest.mark.parametrize(
    "wrong",
    [
        {"ledger": Money(7)},
        {"billed": Money(9)},
        {"budget": Money(5)},
        {"error": "ValueError: no"},
    ],
)
def test_its_exit_code_tells_wrong_money_and_failed_tasks(agent: ModuleType, wrong: dict[str, Any]):
    found = agent.Found(
        run=None,
        halts={},
        budget=Money(8),
        ledger=Money(8),
        billed=Money(8),
        confidence_state="uncalibrated",
        error=None,
    )

    assert found.as_promised
    assert not replace(found, **wrong).as_promised


@pytest.mark.usefixtures("recordings")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.csv"], "missing.csv"),
        (["three.csv"], "choose two models with --models WEAK,STRONG: a, lab/huge, lab/tiny"),
        (["two.csv", "--models", "lab/tiny,b"], "b has no replies in this recording"),
        (["three.csv", "--models", "lab/tiny,a"], "a: no costs and tokens are recorded"),
        (["columns.csv"], "has no column query_id, score"),
        (["two.csv", "--budget", "0.000000001"], "does not pay one call"),
        (["two.csv", "--budget", "much"], "'much' is no amount in USD"),
        (["two.csv", "--price", "lab/tiny=1"], "write MODEL=INPUT,OUTPUT"),
        (["two.csv", "--limit", "0"], "0 is less than 1"),
    ],
)
def test_what_cannot_be_run_is_told(
    arguments: list[str], message: str, agent: ModuleType, monkeypatch, capsys
):
    monkeypatch.setattr(sys, "argv", ["maths_agent.py", *arguments])

    with pytest.raises(SystemExit) as stop:
        agent.main()

    assert stop.value.code != 0
    assert message in f"{stop.value.code} {capsys.readouterr().err}"


@pytest.mark.usefixtures("recordings")
def test_a_given_price_and_pair_of_models_win(recording: ModuleType):
    rates = {"a": (Decimal("0.1"), Decimal("0.2"))}
    replies = recording.read_replies("three.csv", ("a", "lab/huge"), rates)

    weak, strong = replies.models["weak"], replies.models["strong"]
    assert (weak.recorded.name, strong.recorded.name) == ("a", "lab/huge")
    assert (weak.recorded.input, weak.recorded.output) == rates["a"]
    assert (weak.price_source, strong.price_source) == ("as given", "derived from recorded costs")


def test_only_questions_that_both_models_have_a_score_for_are_asked(
    recording: ModuleType, tmp_path: Path
):
    rows = rows_of(QUESTIONS)
    rows[0]["score"] = ""
    rows[3]["prompt"] = ""
    del rows[5]
    file = write(tmp_path / "replies.csv", rows)

    replies = recording.read_replies(str(file), (), {})

    assert [question.id for question in replies.questions] == ["q3", "q4"]


def test_of_several_replies_to_one_prompt_the_one_that_is_served_is_scored(
    recording: ModuleType, tmp_path: Path
):
    rows = rows_of([(RIGHT, STRONG_RIGHT), (WRONG_SUM, STRONG_WRONG)])
    file = write(tmp_path / "replies.csv", [row | {"prompt": "the same"} for row in rows])

    replies = recording.read_replies(str(file), (), {})

    first, second = replies.questions
    assert replies.score(first, "weak") == replies.score(second, "weak") == 1.0
    assert replies.cost(second, "strong") == cost("lab/huge", STRONG_RIGHT)


rate = st.decimals(min_value=0, max_value=100, places=4)


@given(
    st.tuples(rate, rate),
    st.lists(st.tuples(st.integers(1, 10**6), st.integers(1, 10**6)), min_size=1, max_size=8),
)
def test_a_derived_price_is_the_one_by_which_the_costs_were_made(
    recording: ModuleType, rates: tuple[Decimal, Decimal], counts: list[tuple[int, int]]
):
    proportions = {Fraction(*count) for count in counts}
    rows = [
        {
            "input_tokens": str(inputs),
            "output_tokens": str(outputs),
            "cost_usd": str((inputs * rates[0] + outputs * rates[1]).scaleb(-6)),
        }
        for inputs, outputs in counts
    ]

    derived = recording.derive_price(rows)

    if len(proportions) > 1:
        assert derived == rates
    else:  # only the sum can be known
        total = sum(inputs + outputs for inputs, outputs in counts)
        spent = sum(Decimal(row["cost_usd"]) for row in rows)
        assert derived[0] == derived[1]
        assert abs(derived[0] * total - spent.scaleb(6)) <= total * Decimal("0.0000005")


def test_costs_that_only_a_price_below_zero_explains_are_priced_alike(recording: ModuleType):
    rows = [
        {"input_tokens": "100", "output_tokens": "10", "cost_usd": "0.00001"},
        {"input_tokens": "10", "output_tokens": "100", "cost_usd": "0.001"},
    ]

    assert recording.derive_price(rows) == (Decimal("4.590909"), Decimal("4.590909"))


@pytest.mark.recorded
def test_real_replies_cost_and_score_between_the_baselines_and_the_bill_is_the_ledgers(
    tmp_path: Path,
):
    if not RECORDED.exists():
        pytest.skip("the recorded replies are not here")

    done = run_script(RECORDED, "--json", tmp_path / "out.json")

    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "out.json").read_text())
    (run,) = found["policies"]
    baseline = {one["name"]: one for one in found["baselines"]}
    assert run["tasks"] == 770
    assert run["failures"] == 0
    assert found["halts"] == {}
    assert found["ledger_usd"] == found["billed_usd"] == run["cost_usd"]
    assert found["models"]["weak"]["cost_source"] == "estimated_chars4"
    low, high, mix, oracle = (
        baseline[name] for name in ("all_cheapest", "all_strongest", "random_mix", "oracle")
    )
    assert low["quality"] < mix["quality"] < run["quality"] < high["quality"] < oracle["quality"]
    # Measured: 74.2 % beside 68.0 % of the mix.
    assert run["quality"] - mix["quality"] > 0.05
    assert Decimal(low["cost_usd"]) < Decimal(run["cost_usd"]) < Decimal(high["cost_usd"])


@pytest.mark.recorded
def test_real_replies_under_a_small_team_budget_halt_and_never_exceed_it(tmp_path: Path):
    if not RECORDED.exists():
        pytest.skip("the recorded replies are not here")

    done = run_script(RECORDED, "--budget", "0.002", "--limit", 120, "--json", tmp_path / "o.json")

    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "o.json").read_text())
    assert found["halts"].keys() == {"budget/team"}
    assert found["ledger_usd"] == found["billed_usd"]
    assert Decimal(found["ledger_usd"]) <= Decimal("0.002")
