"""What a policy says of single tools, by name or by ``*``."""

from datetime import date
from decimal import Decimal

import pytest

from orchestrator.core.clock import SystemClock
from orchestrator.core.halt import Count
from orchestrator.core.money import Money
from orchestrator.limits.deadline import Deadline
from orchestrator.limits.gauge import Gauge
from orchestrator.limits.settings import LimitSettings
from orchestrator.limits.tools import ToolSettings, ToolTable
from orchestrator.pricing.currency import Foreign, Rates


def test_the_upper_layer_speaks_and_the_lower_fills_in():
    upper = ToolSettings(price=Money(5), journal=False)
    lower = ToolSettings(price=Money(9), timeout_s=2.0, limit=3, journal=True)

    assert upper.over(lower) == ToolSettings(price=Money(5), timeout_s=2.0, limit=3, journal=False)


@pytest.mark.parametrize(
    ("settings", "needs"),
    [
        (ToolSettings(limit=3), False),
        (ToolSettings(price=Money(1)), True),
        (ToolSettings(timeout_s=1.0), True),
        (ToolSettings(journal=True), True),
    ],
)
def test_counting_alone_needs_no_hand_on_the_call(settings: ToolSettings, needs):
    assert settings.needs_governing is needs


def test_the_name_itself_speaks_else_the_longest_pattern():
    named, web, rest = (ToolSettings(limit=limit) for limit in (1, 2, 3))
    table = ToolTable({"*": rest, "web_*": web, "web_search": named})

    assert table["web_search"] is named
    assert table["web_fetch"] is web
    assert table["math"] is rest
    assert ToolTable()["math"] == ToolSettings()


def test_an_entry_limits_all_that_it_names_together_and_no_others():
    settings = LimitSettings(tools={"web_*": 2})
    gauge = Gauge("t1", settings, Deadline(SystemClock(), None))
    asked = ["web_search|1", "math|1", "web_fetch|1", "math|2", "web_search|1"]

    assert [gauge.before_tool_call(key) for key in asked] == [None] * 5, "the last ran before"
    halt = gauge.before_tool_call("web_search|2")

    assert halt is not None
    assert (halt.reason, halt.step) == ("tool_calls", "tool:web_search")
    assert halt.limit == halt.spent == Count(2, "calls of web_*")


def test_a_price_in_another_currency_is_worth_what_it_is_on_the_day():
    rates = Rates.of("EUR", {date(2026, 1, 1): Decimal("1.08"), date(2026, 7, 1): Decimal("1.12")})
    tool = ToolSettings(price=Foreign(Decimal("0.000000001"), rates))

    assert tool.needs_governing
    assert tool.cost(date(2026, 6, 30)) == Money(2), "rounded upward"
    assert tool.source(date(2026, 7, 1)) == "policy (1 EUR = 1.12 USD of 2026-07-01)"
    assert ToolSettings(price=Money(5)).cost(date(2026, 7, 1)) == Money(5)
    assert ToolSettings().cost(date(2026, 7, 1)) == Money.ZERO
    assert ToolSettings().source(date(2026, 7, 1)) == "policy"
