"""Results are drawn the same way everywhere, money exact in JSON."""

import json

from rich.console import Console

from orchestrator.bench.records import Baseline, PolicyRun
from orchestrator.bench.table import to_json, to_markdown, to_rich
from orchestrator.core.money import Money

RUN = PolicyRun(
    name="cheap|first",
    tasks=4,
    quality=0.75,
    cost=Money.from_usd("0.000012345"),
    source="simulated",
    halts={"budget": 1},
    attempts={"small": 4, "large": 1},
)
BASELINE = Baseline(
    name="oracle",
    detail="cheapest model that is right",
    tasks=4,
    quality=1.0,
    cost=Money.from_usd("0.5"),
    source="simulated",
)


def test_json_holds_money_as_text_with_all_digits():
    data = json.loads(json.dumps(to_json([RUN], [BASELINE])))

    assert data["policies"][0]["cost_usd"] == "0.000012345"
    assert data["policies"][0]["halts"] == {"budget": 1}
    assert data["policies"][0]["attempts"] == {"small": 4, "large": 1}
    assert data["baselines"][0]["cost_usd"] == "0.500000000"
    assert {row["source"] for rows in data.values() for row in rows} == {"simulated"}


def test_markdown_has_a_row_for_each_record():
    heading, rule, run, baseline = to_markdown([RUN], [BASELINE]).splitlines()

    assert heading.count("|") == rule.count("|") == baseline.count("|")
    assert run.startswith("| cheap\\|first | 4 | 75.0% | $0.000012345 |")
    assert baseline.startswith("| oracle (cheapest model that is right) | 4 | 100.0% | $0.50 |")
    assert run.endswith("| simulated |")


def test_the_terminal_shows_the_same_rows(capsys):
    Console(width=160).print(to_rich([RUN], [BASELINE]))

    shown = capsys.readouterr().out
    assert "cheap" in shown
    assert "oracle" in shown
    assert "$0.000012345" in shown


def test_a_run_without_tasks_can_be_shown():
    empty = PolicyRun(
        name="none", tasks=0, quality=0.0, cost=Money.ZERO, source="measured", halts={}
    )

    assert "| none | 0 | 0.0% | $0.00 | $0.00 |" in to_markdown([empty])
