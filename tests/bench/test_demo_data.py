"""The demo data is what its generators make, and it is fit for replay."""

import itertools
import json
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from orchestrator.bench.demo.draws import Draws
from orchestrator.bench.demo.make_suite import SUITE, make_questions, suite_lines
from orchestrator.bench.demo.question import Working
from orchestrator.bench.demo.simulate import MODELS, REPLIES, STEPS, reply_lines
from orchestrator.bench.scorers.table import score_auto
from orchestrator.bench.suite import read_suite
from orchestrator.routing.checks.sums import find_sums
from orchestrator.testing.upstream.index import ReplyIndex
from orchestrator.testing.upstream.recording import Recording

EXPECTED_DRAWS = [323, 782, 490, 622, 174]
SMALL, MEDIUM, LARGE = (model.name for model in MODELS)


@pytest.fixture(scope="module")
def samples():
    return read_suite(SUITE)


@pytest.fixture(scope="module")
def records():
    return [json.loads(line) for line in REPLIES.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def solved(samples, records):
    """Score of every solution by (question, model)."""
    answers = {sample.id: sample.answer for sample in samples}
    return {
        (name, record["model"]): score_auto(record["response"], answers[name])
        for record in records
        for name, _, step in [record["id"].partition("/")]
        if step == "solve"
    }


def test_the_shipped_files_are_what_the_scripts_make():
    assert SUITE.read_bytes() == suite_lines()
    assert REPLIES.read_bytes() == reply_lines()


def test_another_seed_makes_other_questions_of_the_same_kinds(samples):
    others = make_questions(seed=2)

    assert [question.id for question in others] == [sample.id for sample in samples]
    assert sum(q.draft.text == s.question for q, s in zip(others, samples, strict=True)) <= 3


def test_the_suite_is_large_and_varied(samples):
    groups = Counter(sample.group for sample in samples)

    assert len(samples) >= 60
    assert len(groups) >= 6
    assert len({sample.question for sample in samples}) == len(samples)
    assert all("\n" not in sample.question for sample in samples)


@pytest.mark.parametrize("seed", range(1, 21))
def test_the_wrong_way_never_leads_to_the_right_answer(seed):
    for question in make_questions(seed):
        assert score_auto(f"ANSWER: {question.draft.wrong(Working())}", question.answer) == 0
        assert score_auto(f"ANSWER: {question.answer}", question.answer) == 1


def test_the_right_way_never_states_a_wrong_sum():
    for question in make_questions():
        working = Working()
        question.draft.right(working)

        found = list(find_sums("\n".join(working.lines)))
        assert len(found) == working.sums
        assert all(stated.agrees for stated in found)


def test_every_model_answers_every_step_of_every_question_once(samples, records):
    asked = Counter((record["prompt"], record["model"]) for record in records)
    expected = {
        (f"{step.capitalize()}: {sample.question}", model.name)
        for sample, step, model in itertools.product(samples, STEPS, MODELS)
    }

    assert set(asked) == expected
    assert set(asked.values()) == {1}


def test_no_prompt_is_contained_in_another(records):
    prompts = {record["prompt"] for record in records}

    assert not [(one, other) for one, other in itertools.permutations(prompts, 2) if one in other]


def test_the_replay_server_finds_each_reply_inside_what_an_agent_asks(records):
    index = ReplyIndex(Recording.read(REPLIES).replies)

    for record in records:
        asked = f"Be brief.\n{record['prompt']}\n\nThe plan so far:\n1. Count.\nEnd with ANSWER:"
        assert index.find(record["model"], asked).response == record["response"]


def test_records_have_the_fields_of_a_recording(records):
    for record in records:
        assert set(record) == {
            *("id", "model", "prompt", "response", "input_tokens", "output_tokens"),
            *("latency_s", "finish_reason"),
        }
        assert record["response"]
        assert min(record["input_tokens"], record["output_tokens"]) > 0
        assert record["latency_s"] > 0
        assert record["finish_reason"] in {"stop", "length"}


def test_every_model_is_named_as_simulated(records):
    assert {record["model"] for record in records} == {SMALL, MEDIUM, LARGE}
    assert all(name.startswith("simulated-") for name in (SMALL, MEDIUM, LARGE))
    assert "simulated" in REPLIES.name


def test_dearer_models_are_abler_and_none_is_perfect(solved):
    quality = defaultdict(list)
    for (_, model), score in solved.items():
        quality[model].append(score)
    mean = {model: sum(scores) / len(scores) for model, scores in quality.items()}

    assert mean[SMALL] + 0.1 < mean[MEDIUM] < mean[LARGE] - 0.05 < 0.95
    assert mean[SMALL] > 0.4


def test_the_page_about_the_data_tells_how_often_each_model_is_right(solved):
    page = (Path(__file__).parents[2] / "docs" / "demo-data.md").read_text(encoding="utf-8")

    for model in (SMALL, MEDIUM, LARGE):
        scores = [score for (_, name), score in solved.items() if name == model]
        assert f"`{model}` | {sum(scores):.0f} of {len(scores)} |" in page


def test_the_strongest_model_is_not_the_ground_truth(solved):
    names = {name for name, _ in solved}

    assert any(solved[name, SMALL] > solved[name, LARGE] for name in names)


def test_wrong_replies_look_wrong_in_several_ways(samples, records, solved):
    kinds = Counter()
    for record in records:
        name, _, step = record["id"].partition("/")
        if step != "solve" or solved[name, record["model"]]:
            continue
        stated = list(find_sums(record["response"]))
        if record["finish_reason"] == "length":
            kinds["cut"] += 1
        elif "ANSWER:" not in record["response"]:
            kinds["no form"] += 1
        elif any(not sum_.agrees for sum_ in stated):
            kinds["slip"] += 1
        else:
            kinds["confident"] += 1

    assert set(kinds) == {"cut", "no form", "slip", "confident"}
    # What no check of the reply alone can find is common, as with real models.
    assert kinds["confident"] >= 0.25 * sum(kinds.values())


def test_draws_are_fixed_for_ever():
    draws = Draws(1, "x")

    assert [draws.integer(0, 999) for _ in range(5)] == EXPECTED_DRAWS
    assert 0 <= draws.uniform() < 1
    assert sorted(draws.sample(range(5), 5)) == [0, 1, 2, 3, 4]
