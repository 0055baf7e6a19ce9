from __future__ import annotations

import json

import typer
from typer.testing import CliRunner

from orchestrator.cli.bench_route import route

FIGURES = ("apgr", "cpt50", "cpt80", "aiq", "auc", "ece_debiased", "brier_skill", "quality")
HEADER = "query_id,group,model,prompt,score,cost_usd,response\n"


def _app():
    app = typer.Typer()
    app.command()(route)
    return app


def _table(path, weak=3, strong=7):
    lines = [
        f"q{i},g{i % 2},{model},How many?,{i % every > 0:d},{cost},It is {i}\n"
        for i in range(80)
        for model, cost, every in (("weak", 0.001, weak), ("strong", 0.01, strong))
    ]
    path.write_text(HEADER + "".join(lines), encoding="utf-8")
    return path


def test_report_has_the_names_that_others_read(tmp_path):
    path, out = _table(tmp_path / "t.csv"), tmp_path / "out.json"
    found = CliRunner().invoke(
        _app(),
        f"{path} --models weak,strong --labels 40 --seeds 2 --checks agreement --post-hoc "
        f"--target best_single --json {out}",
    )
    assert found.exit_code == 0, found.output
    report = json.loads(out.read_text(encoding="utf-8"))
    for name in FIGURES:
        assert set(report[name]) == {"mean", "low", "high"}
        assert report[name]["low"] <= report[name]["mean"] <= report[name]["high"]
    assert set(report["cost_usd"]) == {"mean", "low", "high"}
    assert set(report["calls"]) <= {"weak", "strong"}
    assert all(len(point) == 2 for point in report["curve"])
    assert {"alpha", "delta", "coverage", "error"} <= set(report["certified"])
    assert set(report["decision_us"]) == {"p50", "p99"}
    for baseline in report["baselines"].values():
        assert set(baseline) == {"quality", "cost_usd"}
    assert "random_mix" in found.output


def test_two_models_of_one_quality_are_refused(tmp_path):
    table = _table(tmp_path / "t.csv", weak=3, strong=3)
    found = CliRunner().invoke(_app(), [str(table), "--labels", "40", "--seeds", "1"])
    assert found.exit_code == 2
    assert "no gap" in found.output


def test_wrong_options_say_what_to_change(tmp_path):
    table = str(_table(tmp_path / "t.csv"))
    run = CliRunner().invoke
    assert "no such check: judge" in run(_app(), [table, "--checks", "judge"]).output
    assert "neither balanced nor" in run(_app(), [table, "--target", "best"]).output
    assert "no model ['x']" in run(_app(), [table, "--models", "weak,x"]).output
