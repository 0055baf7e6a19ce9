"""All mistakes at once, each at its line, each with what to write instead."""

from __future__ import annotations

import pytest

PRICE = "price: {input: 0.10, output: 0.40}"
MODELS = f"models: {{small: {{model: openai/foo, {PRICE}}}}}\n"


def places(problems):
    return [(problem.line, problem.key) for problem in problems]


def test_ten_mistakes_are_ten_messages_at_their_lines(mistakes):
    found = mistakes(
        """\
        team: research
        models:
          small:
            model: openai/foo
            price: {input: 0.10 USD, output: 0.40}
          large:
            model: openai/no-such-model-anywhere
            max_tokens: 4000
        budgets:
          task: {limit: 0.25, finish_reserve: 0.02 USD}
          user: {limit: 2 eur, per: dya}
          team: {limit: 400 USD, per: month, timezone: Europe/Berln}
        steps:
          plan:
            confidence: 90
            models: [smal, large]
            checks: [schema, form]
        """
    )
    assert places(found) == [
        (5, "models.small.price.input"),
        (7, "models.large.model"),
        (8, "models.large.max_tokens"),
        (10, "budgets.task.limit"),
        (11, "budgets.user.limit"),
        (11, "budgets.user.per"),
        (12, "budgets.team.timezone"),
        (15, "steps.plan.confidence"),
        (16, "steps.plan.models.0"),
        (17, "steps.plan.checks.1"),
    ]
    advice = [
        "as in `0.10`",
        "add `price:",
        "write `max_output_tokens`",
        "write `0.25 USD`",
        "write `EUR`",
        "did you mean `day`?",
        "did you mean `Europe/Berlin`?",
        "as in `0.9`",
        "did you mean `small`?",
        "write `form: '^ANSWER: '`",
    ]
    assert [words in problem.message for problem, words in zip(found, advice, strict=True)] == [
        True
    ] * 10
    assert {problem.file.rpartition("/")[2] for problem in found} == {"policy.yaml"}


@pytest.mark.parametrize(
    ("text", "line", "key", "advice"),
    [
        ("limits: {tokens: 5}\n", 0, "models", "write for example"),
        ("models: {}\n", 1, "models", "write for example"),
        ("models: {a: {}}\n", 1, "models.a", "write `model: openai/gpt-5-nano`"),
        ("models: {a: openai/foo}\n", 1, "models.a", "write `{model: openai/foo}`"),
        ("models: {a: }\n", 1, "models.a", "has no value"),
        ("models: [a]\n", 1, "models", "must be a mapping"),
        (f"modles: {{}}\n{MODELS}", 1, "modles", "did you mean `models`?"),
        (f"{MODELS}budgets:\n", 2, "budgets", "has no value"),
        (f"{MODELS}budgets: {{limit: 1 USD}}\n", 2, "budgets.limit", "write `task:"),
        (f"{MODELS}budgets: {{task: 1 USD}}\n", 2, "budgets.task", "write `{limit: 1 USD}`"),
        (f"{MODELS}budgets: {{task: {{}}}}\n", 2, "budgets.task", "write `limit: 0.25 USD`"),
        (f"{MODELS}budgets: {{squad: {{}}}}\n", 2, "budgets.squad", "`org`, `team`, `agent`"),
        (
            f"{MODELS}budgets: {{task: {{limit: 1 USD, per: day}}}}\n",
            2,
            "budgets.task.per",
            "no window",
        ),
        (
            f"{MODELS}budgets: {{user: {{limit: 1 USD, finish_reserve: 0.1 USD}}}}\n",
            2,
            "budgets.user.finish_reserve",
            "only `budgets.task`",
        ),
        (
            f"{MODELS}budgets: {{task: {{limit: 1 USD, finish_reserve: 1 USD}}}}\n",
            2,
            "budgets.task.finish_reserve",
            "below the limit ($1.00)",
        ),
        (f"{MODELS}timeout: 10m\n", 2, "timeout", "under `limits:`"),
        (f"{MODELS}limits: {{timeout: }}\n", 2, "limits.timeout", "for example `10m`"),
        (f"{MODELS}limits: {{timeout: [10m]}}\n", 2, "limits.timeout", "for example `10m`"),
        (f"{MODELS}steps: {{a: {{models: small}}}}\n", 2, "steps.a.models", "write `[small]`"),
        (f"{MODELS}steps: {{a: {{models: []}}}}\n", 2, "steps.a.models", "empty list"),
        (
            f"{MODELS}steps: {{a: {{models: [small, small]}}}}\n",
            2,
            "steps.a.models",
            "`small` twice",
        ),
        (
            f"{MODELS}steps:\n  a:\n    checks:\n      - schema\n      - form: '('\n",
            6,
            "steps.a.checks.1",
            "no regular expression",
        ),
        (
            f"{MODELS}steps: {{a: {{checks: [form: a, form: b]}}}}\n",
            2,
            "steps.a.checks",
            "`form` twice",
        ),
        (f"{MODELS}agents: {{a: {{team: x}}}}\n", 2, "agents.a.team", "top level"),
        (f"{MODELS}agents: {{a/b: {{}}}}\n", 2, "agents.a/b", "contains `/`"),
        (
            f"{MODELS}agents: {{a: {{steps: {{x: {{models: [y]}}}}}}}}\n",
            2,
            "agents.a.steps.x.models.0",
            "no model `y`",
        ),
        (f"{MODELS}team: a/b\n", 2, "team", "contains `/`"),
        (
            "models: {a: {model: openai/foo, price: {input: 0.1}}}\n",
            1,
            "models.a.price",
            "`output: 0.10`",
        ),
        (
            f"models: {{a: {{model: openai/foo, api_key: sk-1, {PRICE}}}}}\n",
            1,
            "models.a.api_key",
            "api_key_env",
        ),
    ],
)
def test_one_mistake_is_one_message_that_says_what_to_write(mistake, text, line, key, advice):
    problem = mistake(text)
    assert (problem.line, problem.key) == (line, key)
    assert advice in problem.message


def test_what_is_missing_because_of_a_mistake_is_no_second_mistake(mistakes):
    found = mistakes(
        """\
        models:
          small: {modle: openai/foo}
          large: 5
        budgets:
          task: {limit: 1}
        steps:
          plan: {models: [small, large]}
        """
    )
    assert places(found) == [
        (2, "models.small.modle"),
        (3, "models.large"),
        (5, "budgets.task.limit"),
    ]


def test_a_key_in_a_message_is_printable_whatever_it_holds(mistake):
    problem = mistake(MODELS + '"a\\nb\\x1b[31m": 1\n')
    assert str(problem).isprintable()


def test_the_error_lists_every_mistake_with_file_and_line(mistakes):
    first, second = mistakes(MODELS + "limits: {steps: x}\nserver_errors: maybe\n")
    assert str(first).endswith(
        "policy.yaml:2: limits.steps: `x` is no count; write a whole number,"
        " as in `40`, `500k` or `2M`"
    )
    assert str(second).endswith(
        "policy.yaml:3: server_errors: `maybe` is unknown; write one of `free`, `bound`"
    )
