from __future__ import annotations

import csv
import gzip
import os
import random
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from orchestrator.bench.route import metrics
from orchestrator.bench.route.baselines import BASELINES, baselines, mixed
from orchestrator.bench.route.certified import certified
from orchestrator.bench.route.experiment import run_seed
from orchestrator.bench.route.policy import follow, prices
from orchestrator.bench.route.report import bench
from orchestrator.bench.route.setup import Setup, TableError
from orchestrator.bench.route.table import load
from orchestrator.routing.cascade import Price
from orchestrator.routing.learning.estimates import Estimates, gains
from orchestrator.routing.learning.evidence import Evidence
from orchestrator.routing.learning.export import export

BESIDE = Path(__file__).parents[3] / "shared" / "data"
RECORDED = Path(os.environ.get("ORCHESTRATOR_RECORDED", BESIDE))


def rows(questions=400, *, signal=True, models=3, seed=0):
    """Questions of four classes; small models are good at some, and their replies show it."""
    source = random.Random(seed)
    for i in range(questions):
        group = source.randrange(4)
        a, b = source.randint(2, 99), source.randint(2, 99)
        for m in range(models):
            chance = 0.9 if m == models - 1 else (0.85, 0.7, 0.5, 0.3)[(group + m) % 4]
            right = source.random() < (chance if signal else 0.5 + 0.2 * m)
            slip = 0 if right or not signal or source.random() < 0.3 else 3
            yield {
                "query_id": f"q{i}",
                "group": f"class {group}" if signal else "",
                "model": f"m{m}",
                "prompt": f"What are {a} and {b} together?",
                "score": float(right),
                "cost_usd": (0.001, 0.002, 0.02)[m] if models == 3 else (0.001, 0.02)[m],
                "cost_source": "recorded",
                "response": f"{a} + {b} = {a + b + slip}\nThe sum is {a + b + slip}",
            }


def written(path, data):
    data = list(data)
    with gzip.open(path, "wt", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(data[0]))
        writer.writeheader()
        writer.writerows(data)
    return path


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return load(written(tmp_path_factory.mktemp("t") / "long.csv.gz", rows()))


def test_long_and_wide_tables_read_alike(tmp_path, table):
    wide = {}
    for row in rows():
        into = wide.setdefault(
            row["query_id"],
            {"sample_id": row["query_id"], "eval_name": row["group"], "prompt": row["prompt"]},
        )
        into[row["model"]] = row["score"]
        into[f"{row['model']}|total_cost"] = row["cost_usd"]
        into[f"{row['model']}|model_response"] = row["response"]
    found = load(written(tmp_path / "wide.csv.gz", wide.values()))
    assert found.models == table.models
    assert np.array_equal(found.score, table.score)
    assert np.array_equal(found.cost, table.cost)
    assert found.replies == table.replies


def test_mistakes_in_a_table_are_named(tmp_path):
    path = written(tmp_path / "t.csv.gz", rows(5))
    with pytest.raises(TableError, match="no model 'm9'"):
        load(path, ["m0", "m9"])
    with pytest.raises(TableError, match="needs two models"):
        load(path, ["m0"])
    with pytest.raises(TableError, match="cost_usd is empty for"):
        load(written(tmp_path / "u.csv.gz", [{**r, "cost_usd": ""} for r in rows(5)]))
    with pytest.raises(TableError, match="needs the columns"):
        load(written(tmp_path / "v.csv.gz", [{"a": 1}]))
    again = [*rows(5), *rows(2), *({**r, "cost_usd": 1.0} for r in rows(1))]  # the same is no harm
    with pytest.raises(TableError) as caught:
        load(written(tmp_path / "w.csv.gz", again))
    assert str(caught.value).count("two replies of") == 3
    with pytest.raises(TableError, match="ask for"):
        bench(load(path), Setup(labels=5, seeds=1))


def test_baselines_by_hand(table):
    small = replace(
        table,
        score=np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0], [0.0, 0.0, 0.0], [0.0, 0.0, 1.0]]),
        cost=np.array([[1.0, 2.0, 10.0]] * 4),
    )
    every = np.arange(4)
    found = baselines(small, every, every, 5.5)
    assert found["all_cheapest"] == (1.0, 0.25)
    assert found["best_single"] == found["all_strongest"] == (10.0, 0.75)
    assert found["oracle"] == ((1 + 2 + 1 + 10) / 4, 0.75)
    assert found["random_mix"] == (5.5, 0.5)
    assert mixed((1.0, 0.25), (10.0, 0.75), 99.0) == (10.0, 0.75)


def test_labels_of_other_questions_change_nothing(table):
    setup = Setup(labels=120, seeds=1, post_hoc=True, agree=True)
    unseen = np.random.default_rng(0).permutation(len(table))[setup.labels :]
    score = table.score.copy()
    score[unseen] = 1 - score[unseen]
    one = run_seed(Evidence.of(table), setup, 0)
    two = run_seed(Evidence.of(replace(table, score=score)), setup, 0)
    assert one.calls == two.calls
    assert one.certified.certificate == two.certified.certificate
    assert [cost for cost, _ in one.curve] == [cost for cost, _ in two.curve]
    assert one.figures["quality"] != two.figures["quality"]


def test_same_seed_gives_the_same_report(table):
    setup = Setup(labels=60, seeds=2, post_hoc=True, agree=True)
    one, two = bench(table, setup), bench(table, setup)
    del one["decision_us"], two["decision_us"]
    assert one == two


@pytest.mark.parametrize("labels", [10, 60, 250])
@pytest.mark.parametrize("post_hoc", [False, True])
def test_plain_numbers_decide_as_the_benchmark_does(table, labels, post_hoc):
    labelled = np.arange(labels)
    estimates = Estimates(Evidence.of(table), labelled, agree=True)
    probes = (0, 1) if post_hoc else ()
    new = np.arange(labels, len(table))
    router = export(estimates, probes)
    for price in prices(estimates, 6):
        outcome = follow(estimates, probes, new, price)
        for i, row in enumerate(new[:40]):
            case = router.consider(table.prompts[row], table.groups[table.classes[row]])
            cost = 0.0
            while (d := case.decide(Price(price), table.models)).verdict == "run":
                model = table.models.index(d.action)
                cost += table.cost[row, model]
                case.observe(d.action, table.replies[row][model])
                if model not in probes:
                    break
            assert table.models[outcome.returned[i]] == d.action
            assert cost == pytest.approx(outcome.cost[i])


def test_a_class_never_seen_is_decided_by_the_means_of_all(table):
    estimates = Estimates(Evidence.of(table), np.arange(60), agree=True)
    case = export(estimates, (0,)).consider("What is this?", "no such class")
    assert case.decide(Price(0.0), table.models).verdict == "run"


def test_routing_beats_the_random_mix_where_there_is_a_signal(tmp_path):
    path = written(tmp_path / "two.csv.gz", rows(600, models=2))
    report = bench(load(path), Setup(labels=200, seeds=3, post_hoc=True))
    assert report["apgr"]["low"] > 0.55
    assert report["quality_less_random_mix"]["low"] > 0
    assert report["brier_skill"]["mean"] > 0.1


def test_without_a_signal_routing_is_the_random_mix(tmp_path):
    path = written(tmp_path / "two.csv.gz", rows(600, models=2, signal=False))
    evidence, setup = Evidence.of(load(path)), Setup(labels=200, seeds=6)
    found = [run_seed(evidence, setup, seed).figures["apgr"] for seed in range(setup.seeds)]
    # Labels that show no order give none.
    assert found == pytest.approx([0.5] * 6)


@pytest.mark.parametrize(("classes", "signal"), [(5, 0.0), (60, 0.0), (5, 0.1)])
def test_few_labels_never_fall_below_the_mix(table, classes, signal):
    # Simulated: a weak and a strong model, and classes of no or of little consequence.
    found = []
    for seed in range(40):
        random = np.random.default_rng(seed)
        group = random.integers(classes, size=400)
        help_of = signal * np.linspace(-1, 1, classes)[group]
        chances = np.stack([0.5 - help_of, 0.7 + help_of], axis=1)
        drawn = replace(
            table,
            models=("weak", "strong"),
            score=(random.random((400, 2)) < chances).astype(float),
            cost=np.ones((400, 2)),
            classes=group,
            groups=tuple(map(str, range(classes))),
            replies=(("", ""),) * 400,
        )
        estimates = Estimates(Evidence.of(drawn), np.arange(150), agree=False)
        gain, score = gains(estimates.quality(())[150:])[:, 1], drawn.score[150:]
        found.append(metrics.apgr(*metrics.recovered(gain, score[:, 0], score[:, 1])))
    assert np.quantile(found, 0.025) >= 0.5 - 1e-9
    assert max(found) > 0.52 or not signal


def test_what_audits_say_chooses_no_model(table):
    drawn, setup = np.arange(200), Setup(labels=200, seeds=1, post_hoc=True)
    found = []
    for audits_say in range(5):
        # All but the audits say that the third model is right, and the last and dearest one.
        score = np.tile([0.0, 0.0, 0.9, 0.0, 1.0], (400, 1))
        score[drawn[1::2]] = np.eye(5)[audits_say]
        told = replace(
            table,
            models=tuple("abcde"),
            score=score,
            cost=np.tile([1.0, 1.0, 1.0, 1.0, 10.0], (400, 1)),
            replies=((" ",) * 5,) * 400,
        )
        found.append(certified(Evidence.of(told), drawn, np.arange(200, 400), setup).certificate)
    assert [one.scope for one in found] == ["c"] * 5
    assert [one.state for one in found] == [
        "certified" if audits_say == 2 else "calibrated" for audits_say in range(5)
    ]


def test_best_single_is_reached_for_less(table):
    report = bench(table, Setup(labels=200, seeds=3, target="best_single", post_hoc=True))
    assert report["quality_less_best_single"]["high"] > 0
    assert report["cost_over_best_single"]["mean"] < 0.9
    assert set(report["baselines"]) == set(BASELINES)


def test_more_money_never_buys_less_on_the_hull(table):
    report = bench(table, Setup(labels=100, seeds=2, post_hoc=True))
    costs = [cost for cost, _ in report["curve"]]
    assert all(one >= two - 1e-12 for one, two in pairwise(costs[1:]))


def test_deciding_needs_neither_numpy_nor_scikit_learn():
    code = (
        "import sys, orchestrator.routing.router, orchestrator.routing.certificate, "
        "orchestrator.routing.drift, orchestrator.routing.estimate.counts; "
        "print({'numpy', 'scipy', 'sklearn'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.recorded
def test_recorded_maths_problems():
    path = RECORDED / "routellm_gsm8k.csv.gz"
    if not path.exists():
        pytest.skip("no recorded replies")
    models = ["mistralai/Mixtral-8x7B-Instruct-v0.1", "gpt-4-1106-preview"]
    report = bench(load(path, models), Setup(labels=385, seeds=8, post_hoc=True))
    assert report["apgr"]["mean"] >= 0.74
    assert report["cpt50"]["mean"] <= 0.19


@pytest.mark.recorded
def test_recorded_task_classes():
    path = RECORDED / "llmrouter_uiuc.csv.gz"
    if not path.exists():
        pytest.skip("no recorded replies")
    models = ["llama-3.1-8b-instruct", "llama-3.1-nemotron-51b-instruct"]
    loaded = load(path, models)
    few = bench(loaded, Setup(labels=200, seeds=8))["apgr"]
    # A draw that shows no order is the random mix.
    assert few["low"] >= 0.5 - 1e-9
    assert few["mean"] > 0.51
    assert bench(loaded, Setup(labels=1_500, seeds=4))["apgr"]["mean"] >= 0.65
