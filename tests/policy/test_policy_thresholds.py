"""``at:`` of a budget, and ``priority``."""

import pytest

from orchestrator.budgets.rules import Threshold
from orchestrator.core.money import Money

MODELS = "models: {small: {model: openai/foo, price: {input: 0.10, output: 0.40}}}\n"
ALL = "{99.5%: halt, 80%: economize, 90%: notify, 95%: pause-low-priority}"


def budget(scope: str, at: str, **more: str) -> str:
    rest = "".join(f", {name}: {value}" for name, value in more.items())
    return f"{MODELS}budgets:\n  {scope}: {{limit: 1 USD, at: {at}{rest}}}\n"


@pytest.mark.parametrize("scope", ["org", "team", "agent", "user", "task"])
def test_thresholds_are_read_in_their_order_whatever_order_they_stand_in(load, scope):
    (rule,) = load(budget(scope, ALL)).everyone.budgets
    assert rule.at == (
        Threshold(8000, "economize"),
        Threshold(9000, "notify"),
        Threshold(9500, "pause-low-priority"),
        Threshold(9950, "halt"),
    )
    assert rule.serves == Money.from_usd("0.995")
    assert [str(one) for one in rule.watched] == ["80%", "90%", "95%"]


def test_a_task_may_ask_for_more_at_its_end(load):
    (rule,) = load(budget("task", "{100%: ask}")).everyone.budgets
    assert rule.asks
    assert rule.serves == rule.limit


@pytest.mark.parametrize(
    ("scope", "at", "says"),
    [
        ("task", "{80: notify}", "`80` is no share; write a percentage up to `100%`"),
        ("task", "{0%: notify}", "is no share"),
        ("task", "{100.01%: notify}", "is no share"),
        ("task", "{80%: shout}", "`shout` at 80% is unknown; write one of `economize`"),
        ("task", "{80%: [notify]}", "is unknown"),
        ("task", "{80%: notify, 80.0%: halt}", "names the same share twice"),
        ("task", "{80%: ask}", "write `100%: ask`"),
        ("team", "{100%: ask}", "only `budgets.task` can `ask`"),
        ("team", "halt", "is no mapping of shares"),
        ("team", "{}", "is no mapping of shares"),
    ],
)
def test_what_cannot_be_meant_is_refused(mistake, scope, at, says):
    problem = mistake(budget(scope, at))
    assert problem.key == f"budgets.{scope}.at"
    assert says in problem.message


def test_what_is_kept_for_the_end_lies_below_an_earlier_halt(mistake):
    problem = mistake(budget("task", "{50%: halt}", finish_reserve="0.5 USD"))
    assert problem.key == "budgets.task.finish_reserve"


def test_an_agent_may_halt_earlier_and_not_later(load, mistake):
    text = budget("team", "{90%: halt}") + "agents:\n  a: {budgets: {team: {at: {AT}}}}\n"
    policy = load(text.replace("{AT}", "{80%: halt}"))
    assert policy.agent("a").budgets[0].serves == Money.from_usd("0.80")
    problem = mistake(text.replace("{AT}", "{90%: notify}"))
    assert (problem.key, problem.message) == (
        "agents.a.budgets.team.at",
        problem.message,
    )
    assert "is looser than" in problem.message


@pytest.mark.parametrize("priority", ["low", "normal", "high"])
def test_a_policy_says_how_much_its_tasks_matter(load, priority):
    text = f"{MODELS}priority: {priority}\nagents: {{a: {{priority: high}}}}\n"
    policy = load(text)
    assert policy.everyone.priority == priority
    assert policy.agent("a").priority == "high"
