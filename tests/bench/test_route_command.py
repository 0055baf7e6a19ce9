from __future__ import annotations

import csv
import json
import subprocess
import sys
from itertools import product

import pytest
from typer.testing import CliRunner

from orchestrator.bench.route.setup import TableError
from orchestrator.cli.main import app

INTERVALS = {
    *("apgr", "cpt50", "cpt80", "aiq", "auc", "ece_debiased", "brier_skill", "quality"),
    "cost_usd",
}
BASELINES = {
    *("all_cheapest", "all_strongest", "best_single", "cheapest_within_1pt", "random_mix"),
    *("fixed_threshold", "oracle"),
}


def rows(questions=80, models=2, **changed):
    """Dearer models are right more often; `changed` replaces columns of every row."""
    for i, m in product(range(questions), range(models)):
        yield {
            "query_id": f"q{i}",
            "group": f"g{i % 2}",
            "model": f"m{m}",
            "prompt": f"How many is {i}?",
            "score": float(i * 7 % (2 + 3 * m) > 0),
            "cost_usd": 0.001 * (m + 1),
            "cost_source": "recorded",
            "response": f"It is {i}",
            **changed,
        }


def written(path, data):
    data = list(data)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(data[0]))
        writer.writeheader()
        writer.writerows(data)
    return path


def bench_route(*arguments):
    return CliRunner().invoke(app, ["bench", "route", *map(str, arguments)])


def reported(tmp_path, data, *options):
    out = tmp_path / "out.json"
    table = written(tmp_path / "t.csv", data)
    found = bench_route(table, "--seeds", "2", *options, "--json", out)
    assert found.exit_code == 0, found.exception
    return json.loads(out.read_text(encoding="utf-8")), found.output


@pytest.mark.parametrize("models", [2, 3])
def test_the_report_has_what_its_readers_look_for(tmp_path, models):
    names = [f"m{i}" for i in range(models)]
    report, printed = reported(
        tmp_path,
        rows(models=models),
        *("--models", ",".join(names), "--labels", "40", "--checks", "agreement,arithmetic,form"),
        *("--post-hoc", "--target", "best_single"),
    )

    for name in INTERVALS:
        assert set(report[name]) == {"mean", "low", "high"}
        assert report[name]["low"] <= report[name]["mean"] <= report[name]["high"]
    assert set(report["calls"]) <= set(names)
    assert all(isinstance(share, float) for share in report["calls"].values())
    assert all(cost >= 0 and 0 <= quality <= 1 for cost, quality in report["curve"])
    certified = report["certified"]
    assert (certified["alpha"], certified["delta"]) == (0.1, 0.1)
    assert 0 <= certified["coverage"] <= 1
    assert 0 <= certified["error"] <= 1
    assert 0 < report["decision_us"]["p50"] <= report["decision_us"]["p99"]
    assert set(report["decision_us"]) == {"p50", "p99"}
    assert set(report["baselines"]) == BASELINES
    for baseline in report["baselines"].values():
        assert set(baseline) == {"quality", "cost_usd"}
    assert report["setup"]["agreement"]
    assert "random_mix" in printed


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(rows(group=""), id="no groups"),
        pytest.param(rows(response=""), id="no replies"),
        pytest.param(rows(prompt="", response="", cost_source=""), id="no texts"),
        pytest.param(
            [{k: r[k] for k in ("query_id", "model", "score", "cost_usd")} for r in rows()],
            id="four columns",
        ),
        pytest.param(
            [{**r, "score": 0.3 + 0.4 * r["score"]} for r in rows()], id="scores in between"
        ),
        pytest.param(rows(models=47, questions=40), id="47 models"),
        pytest.param(rows(cost_usd=0.0), id="free of charge"),
    ],
)
def test_what_is_missing_is_done_without(tmp_path, data):
    data = list(data)
    few, _ = reported(tmp_path, data, "--labels", "5")
    report, _ = reported(tmp_path, data, "--labels", "35", "--checks", "agreement")

    assert few["certified"]["state"] == {"uncalibrated": 2}
    assert report["questions"] in (40, 80)
    assert 0 <= report["quality"]["mean"] <= 1


def test_questions_that_a_model_did_not_answer_are_left_out_and_counted(tmp_path):
    kept = [r for i, r in enumerate(rows()) if i % 5]
    report, printed = reported(tmp_path, kept, "--labels", "20")

    assert report["questions"] + report["questions_left_out"] == 80
    assert report["questions_left_out"] > 0
    assert f"{report['questions_left_out']} questions left out" in printed


def test_a_wide_table_is_read(tmp_path):
    wide = {}
    for row in rows():
        into = wide.setdefault(row["query_id"], {"prompt": row["prompt"]})
        into[row["model"]] = row["score"]
        into[f"{row['model']}|total_cost"] = row["cost_usd"]
    report, _ = reported(tmp_path, wide.values(), "--labels", "20")

    assert report["models"] == ["m0", "m1"]
    assert report["questions"] == 80


def test_models_of_one_quality_have_no_share_of_a_gap_and_all_else(tmp_path):
    for models in (2, 3):
        report, printed = reported(tmp_path, rows(score=1.0, models=models), "--labels", "40")

        for name in ("apgr", "cpt50", "cpt80"):
            assert report[name]["mean"] is report[name]["low"] is report[name]["high"] is None
            assert report[name]["seeds"] == 0
            assert "2 of 2 draws" in report[name]["reason"]
        assert report["quality"]["mean"] == 1.0
        assert "no gap" in printed


def test_a_draw_without_a_gap_leaves_the_others_counted(tmp_path):
    # The models differ on two questions, once each way: seen together or left out, there is no gap.
    data = [dict(row, score=0.5) for row in rows(questions=20)]
    data[0]["score"], data[3]["score"] = 0.9, 0.9
    out = tmp_path / "out.json"
    table = written(tmp_path / "t.csv", data)
    found = bench_route(table, "--seeds", "8", "--labels", "10", "--json", out)

    assert found.exit_code == 0, found.exception
    figure = json.loads(out.read_text(encoding="utf-8"))["apgr"]
    assert 0 < figure["seeds"] < 8
    assert figure["low"] <= figure["mean"] <= figure["high"]
    assert f"in {8 - figure['seeds']} of 8 draws" in figure["reason"]


def test_all_mistakes_are_told_at_once(tmp_path):
    table = written(tmp_path / "t.csv", rows())
    found = bench_route(table, "--models", "m0,x,y", "--checks", "judge,agreement")

    assert isinstance(found.exception, TableError)
    assert [mistake.split(": ")[-1].split(";")[0] for mistake in found.exception.mistakes] == [
        "no check 'judge' can be made of recorded replies",
        "no model 'x'",
        "no model 'y'",
    ]


def test_numbers_that_are_none_are_told_with_their_lines(tmp_path):
    data = list(rows(questions=3))
    data[0]["score"], data[1]["score"], data[2]["cost_usd"] = "yes", 1.5, -1
    found = bench_route(written(tmp_path / "t.csv", data), "--labels", "2")

    assert isinstance(found.exception, TableError)
    assert [mistake.split("t.csv")[1] for mistake in found.exception.mistakes] == [
        ":2: score: write a number from 0 to 1, not 'yes'",
        ":3: score: write a number from 0 to 1, not '1.5'",
        ":4: cost_usd: write a number of 0 or more, not '-1'",
    ]


def test_a_file_that_is_no_table_is_refused(tmp_path):
    for name, content in (("t.csv.gz", b"no gzip"), ("t.csv", b"\xff\xfe"), ("u.csv", b"a,b\n")):
        path = tmp_path / name
        path.write_bytes(content)
        assert isinstance(bench_route(path).exception, TableError)


def test_a_wrong_target_is_refused(tmp_path):
    found = bench_route(written(tmp_path / "t.csv", rows()), "--target", "best")

    assert found.exit_code == 2


def in_a_process(program, *arguments):
    return subprocess.run(
        [sys.executable, "-c", program, "bench", "route", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_numpy_the_extra_is_named(tmp_path):
    program = """
import sys
sys.modules["numpy"] = None
from orchestrator.cli.main import main
main()
"""
    done = in_a_process(program, written(tmp_path / "t.csv", rows()))

    assert done.returncode == 2
    assert "pip install 'cost-aware-orchestrator[bench]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_help_is_read_without_numpy():
    program = """
import atexit, sys
atexit.register(lambda: print({"numpy", "threadpoolctl"} & set(sys.modules)))
from orchestrator.cli.main import main
main()
"""
    done = in_a_process(program, "--help")

    assert done.returncode == 0
    assert done.stdout.endswith("set()\n")
