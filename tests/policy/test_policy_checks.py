"""How the checks of a step are written, and what is said when they are written otherwise."""

from __future__ import annotations

from textwrap import dedent

import jsonschema
import pytest
from ruamel.yaml import YAML

from orchestrator.core.money import Money
from orchestrator.policy.check_values import CHECKS
from orchestrator.policy.load import load_policy
from orchestrator.policy.schema import policy_schema
from orchestrator.routing.settings import (
    AgreementCheck,
    ExecutionCheck,
    JudgeCheck,
    LogprobsCheck,
)

MODELS = """\
models:
  small: {model: openai/foo, max_output_tokens: 10, price: {input: 1, output: 1}}
  large: {model: openai/bar, max_output_tokens: 1000, price: {input: 10, output: 10}}
"""


def with_checks(checks: str) -> str:
    return f"{MODELS}steps: {{a: {{checks: {checks}}}}}\n"


def test_every_check_has_a_setting_of_its_own(write):
    write("assert True\n", "checks/solve.py")
    text = MODELS + dedent("""
        steps:
          a:
            checks:
              - schema
              - tools
              - arithmetic
              - tests: {file: checks/solve.py, timeout: 2s, memory: 200M}
              - logprobs: {at_least: 0.3, quantile: 0.2}
              - agreement: large
              - judge: {model: large, budget: 0.05 USD, criteria: It is polite.}
        """)

    step = load_policy(write(text)).everyone.steps["a"]

    assert step.checks == (
        "schema",
        "tools",
        "arithmetic",
        "tests",
        "logprobs",
        "agreement",
        "judge",
    )
    assert step.tests == ExecutionCheck(
        file="checks/solve.py", timeout_s=2, memory_bytes=200_000_000, code="assert True\n"
    )
    assert step.logprobs == LogprobsCheck(at_least=0.3, quantile=0.2)
    assert step.agreement == AgreementCheck(model="large")
    budget = Money.from_usd("0.05")
    assert step.judge == JudgeCheck(model="large", budget=budget, criteria="It is polite.")
    validator = jsonschema.Draft7Validator(policy_schema())
    assert not list(validator.iter_errors(YAML(typ="safe", pure=True).load(text)))


@pytest.mark.parametrize(
    ("checks", "message"),
    [
        ("[scheme]", "did you mean `schema`?"),
        ("[schema: 3]", "`schema` takes no setting; write only `schema`"),
        ("[tools: {}]", "`tools` takes no setting"),
        ("[form]", "`form` lacks `pattern`; write `form: '^ANSWER: '`"),
        ("[form: [a]]", "`form` needs its settings"),
        ("[form: '']", "empty pattern"),
        ("[tests]", "`tests` lacks `file`; write `tests: checks/solve.py`"),
        ("[tests: {file: no.py}]", "`no.py` cannot be read (no such file or directory)"),
        ("[tests: {file: ./}]", "cannot be read (is a directory)"),
        ("[tests: bad.py]", "`bad.py` is no Python code"),
        ("[tests: long.py]", "more than 64 KiB"),
        ("[tests: {file: ok.py, timeout: 3}]", "`timeout` of `tests`: `3` is no duration"),
        ("[tests: {file: ok.py, memory: 1G}]", "`memory` of `tests`: `1G` is no count"),
        ("[tests: {file: ok.py, tiemout: 3s}]", "`tests` has no key `tiemout`; did you mean"),
        ("[tests: {file: [ok.py]}]", "`file` of `tests` is no single value"),
        ("[logprobs]", "`logprobs` lacks `at_least`; write `logprobs: {at_least: 0.3}`"),
        ("[logprobs: 0.3]", "`logprobs` needs its settings"),
        ("[logprobs: {at_least: 30%}]", "`at_least` of `logprobs`: `30%` is no confidence"),
        ("[agreement: {model: medium}]", "there is no model `medium`"),
        ("[agreement: {of: small}]", "`agreement` has no key `of`"),
        ("[judge]", "`judge` lacks `model`, `budget`"),
        ("[judge: large]", "`judge` needs its settings"),
        ("[judge: {model: large}]", "`judge` lacks `budget`"),
        ("[judge: {model: lage, budget: 1 USD}]", "there is no model `lage`; did you mean `large`"),
        ("[judge: {model: large, budget: 1}]", "`budget` of `judge`: `1` is no amount of money"),
        ("[judge: {model: large, budget: 0.001 USD}]", "does not pay one judgement"),
        ("[agreement, agreement: small]", "names `agreement` twice"),
        ("[{form: a, schema: b}]", "is no check"),
        ("[[schema]]", "is no check"),
    ],
)
def test_a_check_that_is_written_otherwise_is_a_mistake(write, mistake, checks, message):
    write("def x(:\n", "bad.py")
    write("ok = 1\n", "ok.py")
    write("#" * 70_000, "long.py")

    problem = mistake(with_checks(checks))

    assert problem.line == 4
    assert problem.key.startswith("steps.a.checks")
    assert message in problem.message


def test_tests_lie_beside_the_file_that_names_them(write):
    write("of_org = 1\n", "checks/a.py")
    write(with_checks("[tests: checks/a.py]"), "org.yaml")
    path = write("extends: ../org.yaml\nagents: {x: {steps: {b: {timeout: 9s}}}}\n", "t/team.yaml")

    policy = load_policy(path)

    assert policy.everyone.steps["a"].tests.code == "of_org = 1\n"
    assert policy.agent("x").steps["a"].tests.code == "of_org = 1\n"


def test_other_tests_are_another_version_of_the_step(write):
    path = write(with_checks("[tests: a.py]"))
    versions = []
    for code in ("a = 1\n", "a = 1\n", "a = 2\n"):
        write(code, "a.py")
        versions.append(load_policy(path).everyone.version_of("a"))

    assert versions[0] == versions[1] != versions[2]


def test_the_judge_is_part_of_the_version_and_its_budget_is_not(load):
    judges = [
        "{model: large, budget: 1 USD}",
        "{model: large, budget: 2 USD}",
        "{model: small, budget: 1 USD}",
        "{model: large, budget: 1 USD, criteria: Short.}",
    ]
    versions = [load(with_checks(f"[judge: {judge}]")).everyone.version_of("a") for judge in judges]

    assert versions[0] == versions[1]
    assert len(set(versions)) == 3


@pytest.mark.parametrize("name", list(CHECKS))
def test_a_check_written_as_a_key_is_told_where_it_goes(mistake, name):
    problem = mistake(f"{MODELS}steps: {{a: {{{name}: x}}}}\n")
    assert "write it in the list: `checks: [" in problem.message
