"""``orchestrator demo``: simulated by default, on real models over the same path."""

from collections import Counter
from collections.abc import Iterator
from importlib.resources import files

import pytest

from orchestrator.bench.suite import Sample, read_suite
from orchestrator.core.money import Money
from orchestrator.testing.upstream.recording import RecordedReply
from orchestrator.testing.upstream.server import Upstream

SUITE = str(files("orchestrator.bench.demo").joinpath("suite.jsonl"))
PRICES = {"cheap": {"input": "0.1", "output": "0.4"}, "strong": {"input": "5", "output": "20"}}
FEW = ("demo", "--limit", "6", "--latency-scale", "0")


def costs(result: dict) -> list[str]:
    return [attempt["cost"] for attempt in result["attempts"]]


def test_the_demo_halts_one_task_by_its_budget_and_resumes_it_without_paying_twice(run):
    done = run(*FEW, "--json")

    shown = done.json
    halted, resumed = shown["halted"], shown["resumed"]
    assert (done.code, done.err) == (0, "")
    assert (halted["status"], halted["halt"]["reason"]) == ("halted", "budget")
    assert (halted["halt"]["scope"], halted["halt"]["step"]) == ("task", "solve")
    assert len(halted["attempts"]) == 1
    assert resumed["status"] == "completed"
    assert resumed["task_id"] == halted["task_id"]
    assert costs(resumed)[:1] == costs(halted)
    # No request was paid that the ledger does not know, and none twice.
    assert shown["ledger_usd"] == shown["billed_usd"]
    policy = shown["policies"][0]
    whole = Money.from_usd(policy["cost_usd"]) + Money.from_usd(resumed["cost"]["total"])
    assert whole.to_json() == shown["ledger_usd"]
    assert policy["halts"] == {}
    assert policy["failures"] == 0


def test_whatever_shows_numbers_says_that_they_are_simulated(run):
    shown = run(*FEW, "--json").json
    assert shown["source"] == "simulated"
    assert {row["source"] for row in [*shown["policies"], *shown["baselines"]]} == {"simulated"}
    assert [row["name"] for row in shown["baselines"]] == [
        "all_cheapest",
        "all_strongest",
        "best_single",
        "cheapest_within_1pt",
        "random_mix",
        "oracle",
    ]

    done = run(*FEW)

    assert done.code == 0
    assert "SIMULATED" in done.err
    assert "6 tasks, simulated numbers" in done.out
    assert "simulated provider's own bill: the same" in done.said
    assert "none was paid twice" in done.out
    assert "uncalibrated" in done.out
    for baseline in shown["baselines"]:
        assert str(Money.from_usd(baseline["cost_usd"])) in done.out.split()


def test_the_ledger_is_kept_where_it_is_wanted(run):
    shown = run(*FEW, "--store", "sqlite:///kept/ledger.db", "--json").json

    (row,) = run(
        "report", "cost", "--by", "team", "--store", "sqlite:///kept/ledger.db", "--json"
    ).json

    assert (row["team"], row["cost_usd"]) == ("demo", shown["ledger_usd"])


def reply(model: str, step: str, sample: Sample, text: str) -> RecordedReply:
    return RecordedReply(
        model=model,
        prompt=f"{step}: {sample.question}",
        response=text,
        query_id=f"{sample.id}/{step}",
        input_tokens=100,
        output_tokens=50,
    )


@pytest.fixture
def provider() -> Iterator[Upstream]:
    """An OpenAI-compatible server: its cheap model miscalculates, its strong one is right."""
    replies = []
    for sample in read_suite(SUITE):
        replies += [
            reply("cheap", "Plan", sample, "Work it out."),
            reply("cheap", "Solve", sample, "2 * 3 = 7\nANSWER: 7"),
            reply("strong", "Solve", sample, f"2 * 3 = 6\nANSWER: {sample.answer}"),
            reply("cheap", "Review", sample, "yes: right"),
        ]
    with Upstream(replies, prices=PRICES).serve_in_thread() as serving:
        yield serving


def test_real_models_are_asked_over_the_same_path(run, provider):
    done = run(
        "demo",
        "--limit=3",
        "--model=openai/cheap",
        "--strong=openai/strong",
        f"--api-base={provider.url}",
        "--price=openai/cheap=0.1,0.4",
        "--price=openai/strong=5,20",
        "--json",
    )

    shown = done.json
    (policy,) = shown["policies"]
    assert done.code == 0
    assert (policy["quality"], policy["source"], policy["failures"]) == (1.0, "measured", 0)
    assert policy["attempts"] == {"small": 9, "strong": 3}
    assert shown["baselines"] == []
    assert shown["billed_usd"] is None
    assert shown["ledger_usd"] == provider.billed.to_json()
    assert (shown["halted"]["status"], shown["resumed"]["status"]) == ("halted", "completed")
    # One question was asked by two tasks, the others by one; and nothing twice by the same task.
    asked = Counter((entry.question, entry.model) for entry in provider.log)
    assert sorted(Counter(asked.values()).items()) == [(1, 8), (2, 4)]


def test_a_real_model_needs_a_price(run, provider):
    done = run(
        "demo", "--model=openai/cheap", "--strong=openai/strong", f"--api-base={provider.url}"
    )

    assert done.code == 2
    assert "no price is known for `openai/cheap`" in done.said
    assert provider.log == []


def test_a_key_goes_to_the_server_it_is_named_for(run, provider, monkeypatch):
    monkeypatch.delenv("SERVER_KEY", raising=False)

    done = run(
        "demo",
        "--limit=1",
        "--model=openai/cheap",
        "--strong=openai/strong",
        f"--api-base={provider.url}",
        "--api-key-env=SERVER_KEY",
        "--price=openai/cheap=0.1,0.4",
        "--price=openai/strong=5,20",
    )

    assert provider.log == []
    assert "SERVER_KEY" in done.said
