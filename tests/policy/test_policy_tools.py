"""Rules of tools and prices of resources in a policy."""

from __future__ import annotations

from decimal import Decimal

import pytest

from orchestrator import Money
from orchestrator.limits.tools import ToolSettings
from orchestrator.pricing.resources import ResourcePrice

MODELS = "models: {small: {model: openai/foo, price: {input: 0.10, output: 0.40}}}\n"


def test_the_entry_that_fits_best_speaks_for_a_tool(load):
    policy = load(
        f"{MODELS}tools:\n  search: 0.005 USD\n  'mcp:git/*': {{price: 0 USD, limit: 3}}\n"
        "  'mcp:*': {timeout: 10s, journal: on}\n"
    )
    tools = policy.everyone.tools
    assert tools["search"] == ToolSettings(price=Money.from_usd("0.005"))
    assert tools["mcp:git/clone"] == ToolSettings(price=Money.ZERO, limit=3)
    assert tools["mcp:web/get"] == ToolSettings(timeout_s=10, journal=True)
    assert tools["other"] == ToolSettings()
    assert policy.everyone.limits.tools == {"mcp:git/*": 3}


def test_resources_are_priced_as_finely_as_they_are_written(load):
    policy = load(
        f"{MODELS}resources:\n  cpu_second: 0.000000000123 USD\n"
        "  gpu_second: {flat: 3000 USD, over: 2M}\n"
    )
    assert policy.everyone.resources == {
        "cpu_second": ResourcePrice(Decimal("0.000000000123")),
        "gpu_second": ResourcePrice(Decimal(3000), 2_000_000),
    }


@pytest.mark.parametrize(
    ("text", "key", "said"),
    [
        ("tools: {search: {price: 5}}", "tools.search.price", "write `5 USD`"),
        ("tools: {search: free}", "tools.search", "no amount of money"),
        ("tools: {search: {journal: maybe}}", "tools.search.journal", "write `on` or `off`"),
        ("tools: {search: {calls: 3}}", "tools.search.calls", "write `limit`"),
        ("resources: {cpu: 0.1 EUR}", "resources.cpu.price", "`currencies: {EUR: {"),
        ("resources: {cpu: much}", "resources.cpu", "0.00001 USD"),
        ("resources: {cpu: {flat: 3 USD}}", "resources.cpu", "`flat` and `over`"),
        ("resources: {cpu: {price: 1 USD, over: 3}}", "resources.cpu", "`flat` and `over`"),
        ("resources: {cpu: {}}", "resources.cpu", "`flat` and `over`"),
    ],
)
def test_a_mistake_names_its_key_and_what_to_write(mistake, text, key, said):
    problem = mistake(f"{MODELS}{text}\n")
    assert problem.key == key
    assert said in problem.message


def test_a_lower_layer_may_only_tighten_a_tools_limits(mistake):
    text = f"{MODELS}tools: {{search: {{limit: 3, timeout: 5s}}}}\nagents:\n  a:\n    tools: "
    assert "looser" in mistake(f"{text}{{search: {{limit: 4}}}}\n").message
    assert "looser" in mistake(f"{text}{{search: {{timeout: 6s}}}}\n").message
