from __future__ import annotations

import gzip
import json

import pytest
from typer.testing import CliRunner

from orchestrator.bench.plan.experiment import run
from orchestrator.bench.plan.rules import RULES, Moment
from orchestrator.bench.plan.simulation import MEAN, STEPS, draw_plans, history
from orchestrator.bench.plan.stopping import at_most, judge, learned, within
from orchestrator.bench.plan.traces import Run, TraceError, read_runs
from orchestrator.cli.main import app
from orchestrator.core.money import Money
from orchestrator.routing.prospects import prospects

CENT = Money.from_usd("0.01")
TWICE_ALL_CHEAPEST = 17.0


def runs():
    return [
        Run("a", "m", (CENT, CENT * 2), succeeded=True),
        Run("b", "m", (CENT * 3, CENT * 4, CENT * 6), succeeded=True),
        Run("c", "m", (CENT * 2, CENT * 12), succeeded=False),
    ]


def test_the_chances_shown_are_those_that_come_true():
    steps = [step for plan in draw_plans(1_500, 1) for step in plan]
    for model in range(3):
        for low, high in ((0.0, 0.6), (0.6, 0.9), (0.9, 1.0)):
            told = [s for s in steps if low <= s.choices[model].success < high]
            if len(told) > 500:
                expected = sum(s.choices[model].success for s in told) / len(told)
                happened = sum(s.works[model] for s in told) / len(told)
                assert abs(expected - happened) < 0.03
    costs = [sum(step.costs[0] for step in plan) for plan in draw_plans(1_500, 1)]
    assert abs(sum(costs) / len(costs) - STEPS * MEAN) < 0.15


def test_a_plan_halts_rarely_and_succeeds_at_least_as_often_as_simpler_rules():
    found = run(400, 3, (TWICE_ALL_CHEAPEST, 64.0))
    for budget in (TWICE_ALL_CHEAPEST, 64.0):
        by = {figures.rule: figures for figures in found if figures.budget == budget}
        assert by["plan"].halted <= 0.01
        assert by["plan"].cost <= budget
        assert by["oracle"].success >= by["plan"].success
        for rule in ("even_split", "fixed_threshold_0.8", "random_mix", "all_cheapest"):
            # Equal rules differ by chance; a worse one would show in pairs.
            assert by[rule].less[0] - by[rule].less[1] <= 0


def test_a_rule_sees_the_choices_and_nothing_else():
    ahead = prospects([history(5)] * 3, 64.0)
    for step in draw_plans(20, 5)[0]:
        for name, rule in RULES.items():
            choice = rule(Moment(step.choices, 64.0, 4, ahead, ahead))
            assert choice in step.choices, name


def test_what_a_rule_costs_and_keeps_by_hand():
    kept = judge("budget", "", runs(), within(CENT * 6))
    assert (kept.kept, kept.stopped) == (1.0, pytest.approx(1 / 3))
    assert kept.cost == Money(round((2 + 6 + 2) * CENT.nano / 3))
    assert kept.cost_share == 10 / 20
    assert kept.per_success == CENT * 5
    kept = judge("steps", "", runs(), at_most(1))
    assert (kept.kept, kept.stopped, kept.per_success) == (0.0, 1.0, None)
    assert kept.cost_share == 6 / 20
    assert judge("budget", "", runs(), within(Money.ZERO)).cost == Money.ZERO


def test_a_learned_rule_is_judged_on_other_tasks():
    # What succeeds costs a cent with one half of the tasks, and ten with one task alone.
    many = [Run(str(i), "m", (CENT,), succeeded=True) for i in range(9)]
    budget, steps = learned([*many, Run("x", "m", (CENT * 10,), succeeded=True)], 1.0)
    assert 0.9 < budget.kept < 1.0
    assert steps.kept == 1.0
    nothing, _ = learned([Run(str(i), "m", (CENT,), succeeded=False) for i in range(4)], 1.0)
    assert nothing.per_success is None


STEP_ROWS = """query_id,trial,step,step_cost_usd,run_score
a,1,2,0.02,1.0
a,1,1,0.01,1.0
a,2,1,0.05,0.0
"""
RUN_ROWS = """query_id,model,cost_usd,n_calls,score
a,m,0.03,3,1.0
a,n,0.05,,0.0
"""


def test_both_forms_are_read(tmp_path):
    path = tmp_path / "steps.csv.gz"
    path.write_bytes(gzip.compress(STEP_ROWS.encode()))
    one, two = read_runs(path)
    assert (one.spent, one.succeeded) == ((CENT, CENT * 3), True)
    assert (two.spent, two.succeeded) == ((CENT * 5,), False)
    plain = tmp_path / "runs.csv"
    plain.write_text(RUN_ROWS, encoding="utf-8")
    one, two = read_runs(plain)
    assert one.spent == (CENT, CENT * 2, CENT * 3)
    assert (two.model, two.cost) == ("n", CENT * 5)


def test_mistakes_are_told_with_their_lines(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(STEP_ROWS.replace("0.02", "much"), encoding="utf-8")
    with pytest.raises(TraceError, match=r"t\.csv:2: step_cost_usd: write a number"):
        read_runs(path)
    path.write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(TraceError, match="needs the columns"):
        read_runs(path)


def test_the_command_reports_both_parts(tmp_path):
    path = tmp_path / "runs.csv"
    path.write_text(RUN_ROWS, encoding="utf-8")
    arguments = ["bench", "plan", "--plans", "3", "--traces", str(path)]
    found = CliRunner().invoke(app, [*arguments, "--json"])
    assert found.exit_code == 0, found.exception
    report = json.loads(found.stdout)
    assert report["simulated"]["source"] == "simulated"
    assert {rule["rule"] for rule in report["simulated"]["rules"]} >= {"plan", "oracle"}
    (table,) = report["recorded"]
    assert (table["runs"], table["successes"]) == (2, 1)
    assert set(table["by_model"]) == {"m", "n"}
    assert table["rules"][0] == {
        "rule": "none",
        "at": "",
        "cost_usd": "0.040000000",
        "cost_per_success_usd": "0.080000000",
        "cost_share": 1.0,
        "kept": 1.0,
        "stopped": 0.0,
    }
    printed = CliRunner().invoke(app, arguments).stdout
    assert "SIMULATED: 3 plans" in printed
    paired = printed.partition("less that of plan on the same plans")[2]
    assert "even_split" in paired
    assert paired.split()[5:9] == ["plan", "+0.000", "±0.000", "+0.000"]
    assert "RECORDED: runs.csv" in printed
