"""How lanes and rates are written, and what is said when they are written otherwise."""

from __future__ import annotations

import pytest

from orchestrator.models.rates import Rate, RateSettings
from orchestrator.routing.admission import LaneSettings

MODELS = """\
models:
  small: {model: openai/foo, price: {input: 1, output: 1}}
"""


def test_lanes_and_rates_are_read(load):
    policy = load("""\
        models:
          small:
            model: openai/foo
            price: {input: 1, output: 1}
            rate: {requests: 60/min, tokens: 100k/min}
        rates:
          openai: {requests: 10/s, tokens: 5M/d}
        lanes:
          heavy: {concurrency: 2, queue: 100, shares: {acme: 3}}
          light: {concurrency: 8}
        steps:
          plan: {lane: heavy}
          "*": {lane: light}
        """).everyone

    assert policy.lanes == {
        "heavy": LaneSettings(concurrency=2, queue=100, shares={"acme": 3}),
        "light": LaneSettings(concurrency=8),
    }
    assert policy.models["small"].rate == RateSettings(Rate(60, 60), Rate(100_000, 60))
    assert policy.rates == {"openai": RateSettings(Rate(10, 1), Rate(5_000_000, 86_400))}
    assert (policy.steps["plan"].lane, policy.steps["other"].lane) == ("heavy", "light")


@pytest.mark.parametrize(
    ("text", "key", "message"),
    [
        ("lanes: {a: {}}", "lanes.a", "lacks `concurrency`"),
        ("lanes: {a: {concurrency: 0}}", "lanes.a.concurrency", "whole number from 1"),
        ("lanes: {a: 2}", "lanes.a", "write `{concurrency: 2}`"),
        ("lanes: {a: {concurrency: 2, shares: {}}}", "lanes.a.shares", "no mapping of tenants"),
        ("lanes: {a: {concurrency: 2, shares: {x: 0}}}", "lanes.a.shares", "whole number from 1"),
        ("lanes: {heavy: {concurrency: 2}}\nsteps: {a: {lane: heavi}}", "steps.a.lane", "`heavy`"),
        ("steps: {a: {lane: heavy}}", "steps.a.lane", "`lanes: {heavy: {concurrency: 2}}`"),
        ("rates: {openai: {requests: 60}}", "rates.openai.requests", "as in `60/min`"),
        ("rates: {openai: {requests: 60/m}}", "rates.openai.requests", "as in `60/min`"),
        ("rates: {openai: {tokens: fast}}", "rates.openai.tokens", "is no rate"),
        ("rates: {opnai: {tokens: 1k/min}}", "rates.opnai", "did you mean `openai`?"),
        ("agents: {x: {lanes: {a: {concurrency: 1}}}}", "agents.x.lanes", "the top level"),
        ("agents: {x: {rates: {openai: {requests: 1/s}}}}", "agents.x.rates", "the top level"),
    ],
)
def test_what_is_written_otherwise_is_a_mistake(mistake, text, key, message):
    problem = mistake(f"{MODELS}{text}\n")

    assert problem.key == key
    assert message in problem.message


def test_a_rate_does_not_change_what_a_model_answers(load):
    first = load(MODELS).everyone
    second = load(f"{MODELS.rstrip()[:-1]}, rate: {{requests: 1/s}}}}\n").everyone

    assert second.models["small"].rate is not None
    assert first.version_of("a") == second.version_of("a")
