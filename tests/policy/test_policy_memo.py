"""``memo:`` and ``memo_store:``: what they become, and what is said of mistakes."""

from __future__ import annotations

import pytest

from orchestrator import Orchestrator
from orchestrator.core.errors import OrchestratorError
from orchestrator.core.money import Money
from orchestrator.core.scope import Scope
from orchestrator.memo.settings import StoreSettings

MODELS = "models: {small: {model: openai/foo, price: {input: 0.10, output: 0.40}}}\n"
STEPS = "steps: {plan: {memo: {fresh_for: 1h}}}\n"


def test_without_it_nothing_is_asked_anew_and_the_memo_lies_on_disk(load):
    for text in ("", "memo: off\n"):
        policy = load(f"{MODELS}{STEPS}{text}").everyone
        assert (policy.upkeep, policy.memo_store) == (None, None)
        assert policy.memo_limits == StoreSettings()
        assert policy.memos["plan"].rerun_rate == 0


def test_size_age_upkeep_and_sample(load):
    text = "memo: {size: 200 MB, max_age: 7d, sample: 0.01, upkeep: {limit: 2 USD, per: day}}\n"
    policy = load(f"{MODELS}{STEPS}{text}memo_store: rediss://memo:6379/0\n").everyone
    assert policy.memo_limits.size_limit_bytes == 200_000_000
    assert policy.memo_limits.max_age_s == 7 * 86_400
    assert policy.memos["plan"].rerun_rate == 0.01
    rule = policy.upkeep
    assert (rule.scope, rule.limit, rule.window) == ("upkeep", Money.from_usd("2"), "day")
    assert policy.memo_store == "rediss://memo:6379/0"


def test_an_agent_may_have_less_upkeep_or_none_each_agent_by_itself(load):
    policy = load(
        f"{MODELS}{STEPS}memo: {{upkeep: {{limit: 2 USD, per: day}}}}\n"
        "agents: {a: {memo: {upkeep: {limit: 1 USD}}}, b: {memo: off}}\n"
    )
    assert policy.agent("a").upkeep.limit == Money.from_usd("1")
    assert policy.agent("b").upkeep is None
    scopes = [
        Scope(org="o", team="t", agent=name, task_id="x", tenant="t", tags={"upkeep": "rerun"})
        for name in ("a", "b")
    ]
    assert [scope.identity("upkeep") for scope in scopes] == ["o/t/a", "o/t/b"]


@pytest.mark.parametrize(
    ("text", "key", "says"),
    [
        ("memo: {size: lots}", "memo.size", "write for example `500 MB` or `1 GiB`"),
        ("memo: {size: 1 kB}", "memo.size", "from `1 MB`"),
        ("memo: {upkeep: {per: day}}", "memo.upkeep", "lacks `limit`"),
        ("memo: {upkeep: 1 USD}", "memo.upkeep", "must be a mapping; write `{limit: 1 USD}`"),
        ("memo: {upkeep: {limit: 0.0000001 USD}}", "memo.upkeep.limit", "does not pay one call"),
        ("memo: {sample: 0.1}", "memo.sample", "add `upkeep: {limit: 0.50 USD, per: day}`"),
        ("memo: {sample: 10%}", "memo.sample", "as in `0.1`"),
        ("memo: {fresh_for: 1h}", "memo.fresh_for", "belongs to a step"),
        ("memo: {store: redis://x}", "memo.store", "write `memo_store: redis://"),
        ("memo_store: disk", "memo_store", "without it the memo lies on disk"),
        ("memo_store: http://x", "memo_store", "is no address of a Redis"),
        ("memo_store: redis://u:pass@x/0", "memo_store", "write `env:MEMO_STORE`"),
        ("agents: {a: {memo: {size: 1 GB}}}", "agents.a.memo.size", "all share one store"),
        ("agents: {a: {memo_store: redis://x}}", "agents.a.memo_store", "not for one agent"),
    ],
)
def test_mistakes_say_what_to_write(mistake, text, key, says):
    problem = mistake(f"{MODELS}{text}\n")
    assert problem.key == key
    assert says in problem.message
    assert "pass@" not in problem.message


def test_a_lower_layer_cannot_loosen_the_upkeep(mistake):
    text = "memo: {upkeep: {limit: 1 USD}}\nagents: {a: {memo: {upkeep: {limit: 2 USD}}}}\n"
    assert "looser" in mistake(f"{MODELS}{text}").message


async def test_a_variable_without_an_address_is_said_when_opening(tmp_path, monkeypatch):
    path = tmp_path / "policy.yaml"
    path.write_text(f"{MODELS}memo_store: env:MEMO_ADDRESS\n")
    monkeypatch.delenv("MEMO_ADDRESS", raising=False)
    with pytest.raises(OrchestratorError, match="set the environment variable MEMO_ADDRESS to"):
        async with Orchestrator.from_policy(path, store="memory://"):
            raise AssertionError
