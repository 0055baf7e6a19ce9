from __future__ import annotations

import json
import tempfile
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

from orchestrator.core.errors import PolicyError
from orchestrator.policy.documents.models import PriceDocument
from orchestrator.policy.documents.policy import PolicyDocument
from orchestrator.policy.keys import keys_of
from orchestrator.policy.load import load_policy
from orchestrator.policy.records import Policy

VALID = """\
team: research
models:
  small: {model: openai/foo, price: {input: 0.10, output: 0.40, cached_input: 0.01}}
  large:
    model: openai/bar
    max_output_tokens: 4k
    price: {input: 1, output: 4}
budgets:
  task: {limit: 0.25 USD, finish_reserve: 0.02 USD, at: {100%: halt}}
  team: {limit: 400 USD, per: month, timezone: Europe/Berlin}
limits: {timeout: 10m, tokens: 500k}
steps:
  plan: {confidence: 0.9, models: [small, large], checks: [schema, form: '^A'], timeout: 90s}
  "*": {memo: off, below_threshold: halt}
keep_bodies: 30d
agents:
  scout: {budgets: {task: {limit: 0.10 USD}}, steps: {plan: {models: [small]}}}
"""

WORDS = [
    *(key.name for key in keys_of(PolicyDocument)),
    *(
        key.name
        for top in keys_of(PolicyDocument)
        if isinstance(top.holds, type)
        for key in keys_of(top.holds)
    ),
    *(key.name for key in keys_of(PriceDocument)),
    *("small", "*", "form", "schema", "<<", "Größe", "a/b"),
]
ODD = """off|0.25 USD|10m|1e999|500k|0.9|Europe|../x|(?P<a|openai/foo|http://[::1|http://a:99999|halt
best|small|100%|policy.yaml|.|\ud800|a\x00b|[[a]|\uff19""".replace("\n", "|").split("|")
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(ODD),
    st.sampled_from([" USD", "d", "k", ""]).map(lambda unit: "9" * 400 + unit),
)
TREES = st.recursive(
    LEAVES,
    lambda below: st.one_of(
        st.lists(below, max_size=3),
        st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=4), below, max_size=5),
    ),
    max_leaves=25,
)


def outcome(content: bytes) -> Policy | PolicyError:
    """What loading comes to; anything but these two is a failure of the test."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "policy.yaml")
        path.write_bytes(content)
        try:
            return load_policy(path)
        except PolicyError as error:
            return error


def assert_readable(error: Policy | PolicyError) -> None:
    problems = error.problems if isinstance(error, PolicyError) else ()
    assert all(problem.message and str(problem).isprintable() for problem in problems)


def test_the_text_that_is_changed_below_is_valid():
    assert isinstance(outcome(VALID.encode()), Policy)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda t: t.encode("utf-8", "replace")))
@example(b'a: "\\UFFFFFFFF"')
@example(b'a: "\\ud800"')
@example(b"%YAML 3.0\n---\na: 1")
@example(b"\xff\xfea\x00:\x00")
@example(b"? [a]\n: b")
@example(b"--- !<x> a\n...\n--- b")
def test_any_bytes_give_a_policy_or_a_policy_error(content):
    assert_readable(outcome(content))


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from(WORDS), TREES, max_size=6))
def test_any_tree_of_known_keys_gives_a_policy_or_a_policy_error(tree):
    assert_readable(outcome(json.dumps(tree).encode()))


@settings(max_examples=150, deadline=None)
@given(
    st.integers(0, len(VALID)),
    st.integers(0, 12),
    st.text("abk09.:{}[]&*!|>'\"%@`#-,?~ \n\t", max_size=6)
    | st.sampled_from([" USD", "off", "*x", "&x ", "!!t ", "\n---\n", "\r\n", "null"]),
)
def test_any_edit_of_a_valid_policy_gives_a_policy_or_a_policy_error(start, length, inserted):
    text = VALID[:start] + inserted + VALID[start + length :]
    assert_readable(outcome(text.encode()))
