"""``orchestrator report cost``: whatever it is grouped by, the sums are the ledger's."""

import pytest

from orchestrator.core.money import Money
from orchestrator.testing.upstream.faults import Fault

GROUPINGS = ("team", "agent,user", "team,agent,step,model,user", "tenant,task", "step", "org,model")
PARTS = ("known", "estimated", "in_doubt")


@pytest.fixture
def spent(start, run, upstream):
    """Tasks of several agents and users, with retries, a cut reply and one halt."""
    upstream.add_faults(
        Fault(kind="server_error", every=4), Fault(kind="no_usage", every=3, times=2)
    )
    for number in range(4):
        user = ("--user", f"u{number}") if number % 2 else ()
        tenant = ("--tenant", "blue") if number == 3 else ()
        start("agents:graph", "--agent", f"a{number % 3}", *user, *tenant)
    upstream.clear_faults()
    start("agents:graph", "--budget", "0.00107", "--user", "u1")


@pytest.mark.usefixtures("spent")
def test_every_grouping_adds_up_to_the_same_to_the_nano_dollar(run):
    tasks = run("task", "list", "--json", "--limit", "100").json
    whole = sum((Money.from_usd(task["cost_usd"]) for task in tasks), Money.ZERO)
    assert whole > Money.ZERO

    for by in GROUPINGS:
        rows = run("report", "cost", "--by", by, "--json").json
        costs = [Money.from_usd(row["cost_usd"]) for row in rows]
        parts = [
            sum((Money.from_usd(row[f"{part}_usd"]) for part in PARTS), Money.ZERO) for row in rows
        ]
        assert sum(costs, Money.ZERO) == whole, by
        assert parts == costs, by
        assert len({tuple(row[name] for name in by.split(",")) for row in rows}) == len(rows), by
        assert sum(row["attempts"] for row in rows) == 11, by


@pytest.mark.usefixtures("spent")
def test_what_is_estimated_stands_apart_and_the_sum_below(run):
    rows = run("report", "cost", "--by", "step", "--json").json
    assert any(row["estimated_usd"] != "0.000000000" for row in rows)

    shown = run("report", "cost", "--by", "step").out

    headings = shown.split("───")[0].split()
    assert {"known", "estimated", "doubt", "cost"} <= set(headings)
    (below,) = [line for line in shown.splitlines() if line.startswith("all")]
    whole = sum((Money.from_usd(row["cost_usd"]) for row in rows), Money.ZERO)
    assert below.split()[-1] == str(whole)


def test_what_all_rows_share_is_said_once(start, run):
    start()

    shown = run("report", "cost", "--by", "team,agent,step").out

    assert shown.splitlines()[0].strip() == "team research, agent solver"
    assert shown.count("research") == 1


def test_a_user_that_is_unknown_is_a_group_of_its_own(start, run):
    start()
    start("agents:graph", "--user", "u1")

    rows = run("report", "cost", "--by", "user", "--json").json

    assert {row["user"]: row["cost_usd"] for row in rows} == {
        None: "0.000030000",
        "u1": "0.000030000",
    }


def test_a_period_leaves_out_what_lies_outside(start, run):
    start()

    assert run("report", "cost", "--since", "2100-01-01", "--json").json == []
    assert run("report", "cost", "--until", "2000-01-01T08:00+01:00", "--json").json == []
    assert "Nothing was asked" in run("report", "cost", "--until", "2000-01-01").out
    assert len(run("report", "cost", "--since", "2000-01-01", "--by", "step", "--json").json) == 2


def test_another_currency_is_a_view_that_names_its_rate(start, run, folder):
    start()
    (row,) = run("report", "cost", "--by", "team", "--json").json
    assert row["cost_usd"] == "0.000030000"
    with (folder / "policy.yaml").open("a") as policy:
        policy.write("currencies: {EUR: {2020-01-01: 1.5, 2021-01-01: 1.25}}\n")

    shown = run("report", "cost", "--by", "team", "--currency", "EUR").out
    assert "0.000024 EUR" in shown
    assert "at 1 EUR = 1.25 USD of 2021-01-01" in shown
    for options, advice in [
        (["--currency", "GBP"], "it has EUR"),
        (["--currency", "EUR", "--json"], "JSON is in USD"),
    ]:
        refused = run("report", "cost", *options)
        assert refused.code == 2
        assert advice in refused.said
