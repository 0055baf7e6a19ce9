"""Which line of a provider's usage is which attempt in doubt."""

from datetime import UTC, datetime, timedelta

import pytest

from orchestrator.core.money import Money
from orchestrator.core.usage import Usage as Tokens
from orchestrator.ledger.stores.reading import Doubt, Spending
from orchestrator.reports.reconcile import match
from orchestrator.reports.usage import Usage, UsageError, read_usage

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def doubt(name: str, minute: float = 0, model: str = "openai/small") -> Doubt:
    at = NOON + timedelta(minutes=minute)
    return Doubt(
        attempt_id=name,
        task_id="t",
        step="plan",
        model="small",
        provider_model=model,
        reserve=Money(100),
        at=at,
        expires_at=at + timedelta(minutes=2),
        cost=None,
        source=None,
    )


def known(name: str, minute: float = 0, *, tokens: tuple[int, int] | None = (7, 3), **more):
    at = NOON + timedelta(minutes=minute)
    fields = {
        "end": "settled",
        "certainty": "known" if tokens else "estimated",
        "usage": Tokens(*tokens) if tokens else None,
        "ended_at": at + timedelta(seconds=5),
        **more,
    }
    return Spending(
        attempt_id=name,
        task_id="t",
        org="o",
        team="t",
        agent="a",
        user=None,
        tenant="t",
        step="plan",
        model="small",
        provider_model="openai/small",
        served_model=None,
        kind="ask",
        cost=Money(10),
        overrun=Money.ZERO,
        price_source=None,
        error=None,
        at=at,
        seconds=5.0,
        **fields,
    )


def line(number: int, minute: float = 0, *, model: str = "small", **more) -> Usage:
    at = NOON + timedelta(minutes=minute)
    return Usage(line=number, at=at, model=model, cost=Money(number), **more)


def told(matching):
    return (
        {one.attempt_id: usage.line for one, usage in matching.resolved},
        {one.attempt_id: [usage.line for usage in lines] for one, lines in matching.ambiguous},
        [one.attempt_id for one in matching.missing],
        matching.foreign,
    )


@pytest.mark.parametrize("model", ["openai/small", "small", "small-2026-08-07"])
def test_one_line_for_one_doubt_of_its_time_and_model(model):
    lines = [line(2, 1, model=model), line(3, 60, model=model), line(4, 1, model="smaller")]
    assert told(match(lines, [doubt("d")], [])) == ({"d": 2}, {}, [], 2)


def test_an_id_decides_whatever_else_fits():
    lines = [line(2), line(3, 90, model="other", request_id="d")]
    assert told(match(lines, [doubt("d")], [])) == ({"d": 3}, {}, [], 1)


def test_lines_of_attempts_that_ended_well_are_set_aside():
    lines = [line(2, 0.1, tokens=(7, 3)), line(3, 0.1, tokens=(70, 30))]
    assert told(match(lines, [doubt("d")], [known("k")])) == ({"d": 3}, {}, [], 0)


def test_without_tokens_the_cost_tells_them_apart():
    lines = [line(10, 0.1), line(11, 0.1)]
    assert told(match(lines, [doubt("d")], [known("k")])) == ({"d": 11}, {}, [], 0)


@pytest.mark.parametrize(
    ("lines", "doubts", "others"),
    [
        ([line(2), line(3)], [doubt("d")], []),
        ([line(2)], [doubt("d"), doubt("e")], []),
        ([line(2)], [doubt("d")], [known("still open", end=None, ended_at=None)]),
        ([line(2)], [doubt("d")], [known("was cut", tokens=None)]),
    ],
    ids=["two lines", "two doubts", "an open attempt", "an attempt that was cut"],
)
def test_what_is_not_clear_is_refused(lines, doubts, others):
    resolved, ambiguous, missing, _ = told(match(lines, doubts, others))
    assert (resolved, missing) == ({}, [])
    assert set(ambiguous) == {one.attempt_id for one in doubts}


def test_a_doubt_that_no_line_fits_stays():
    assert told(match([line(2, 60)], [doubt("d")], [])) == ({}, {}, ["d"], 1)


def test_as_many_lines_find_their_attempt_as_can():
    """The attempt whose time ends first takes the only line it fits; the other has another."""
    early, late = known("early", 0), known("late", 4)
    lines = [line(2, 2, tokens=(7, 3)), line(3, 5, tokens=(7, 3))]
    assert told(match(lines, [doubt("d", 2)], [late, early])) == ({}, {}, ["d"], 0)


def test_a_file_is_read_whatever_else_it_holds(tmp_path):
    path = tmp_path / "usage.csv"
    path.write_text(
        "\ufeffproject,cost_usd,model,time,request_id,input_tokens,output_tokens\n"
        'p,0.0000000011,gpt,2026-11-20T13:00:00+01:00,"r,1",7,3\n'
        "p,1e-3,gpt,2026-11-20T12:00:00,,,\n"
    )
    first, second = read_usage(path)
    assert (first.at, first.cost, first.request_id, first.tokens) == (NOON, Money(2), "r,1", (7, 3))
    assert (second.at, second.cost, second.tokens, second.line) == (NOON, Money(10**6), None, 3)


def test_all_mistakes_of_a_file_are_told(tmp_path):
    path = tmp_path / "usage.csv"
    path.write_text("time,model,cost_usd\nnow,m,1\n2026-11-20,m,-1\n2026-11-20,m,1\n")
    with pytest.raises(UsageError) as told_all:
        read_usage(path)
    assert [text.split(": ")[0].rpartition(":")[2] for text in str(told_all.value).split("\n")] == [
        "2",
        "3",
    ]
    path.write_text("when,model\n")
    with pytest.raises(UsageError, match="no column time, cost_usd"):
        read_usage(path)
    with pytest.raises(UsageError, match="cannot be read"):
        read_usage(tmp_path / "none.csv")
