"""What is refused before any key is looked at: the text itself."""

from __future__ import annotations

import pytest

from orchestrator.core.errors import PolicyError
from orchestrator.policy.load import load_policy
from orchestrator.policy.tree import MAX_BYTES, MAX_DEPTH, read_tree

MODELS = "models: {small: {model: openai/foo, price: {input: 0.10, output: 0.40}}}\n"


def only(reading):
    (problem,) = reading.problems
    return problem


@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        (b"", 0, "is empty"),
        (b"# only a comment\n", 0, "is empty"),
        (b"---\n", 0, "is empty"),
        (b"- a\n- b\n", 0, "no mapping"),
        (b"just text", 0, "no mapping"),
        (b"a: 1\nb: [1, 2\nc: 3\n", 3, "close the list"),
        (b"a: 1\nb: 'open\nc: 3\n", 2, "close the quotes"),
        (b"a:\n\tb: 1\n", 2, "spaces"),
        (b"a: 1\nb: c: d\n", 2, "in quotes"),
        (b"a: 1\n  b: 2\n", 2, "in quotes"),
        (b"a: 1\nb: \x07\n", 2, "control character"),
        (b'a: "\\UFFFFFFFF"\n', 0, "escapes"),
        (b"%YAML 3.0\n---\na: 1\n", 1, "no YAML"),
        (b"a: 1\nb: \xff\n", 2, "UTF-8"),
        ("a: 1\n".encode("utf-16"), 1, "UTF-8"),
    ],
)
def test_text_that_is_no_policy_is_refused_with_its_line(content, line, words):
    reading = read_tree(content, "p.yaml")
    assert reading.root is None
    assert only(reading).line == line
    assert words in only(reading).message


@pytest.mark.parametrize(
    ("content", "line", "key", "words"),
    [
        (b"a: 1\nb: 2\na: 3\n", 3, "a", "already set in line 1"),
        (b"a: {b: 1, b: 2}\n", 1, "a.b", "already set in line 1"),
        (b"a: &x 1\nb: *x\n", 1, "a", "remove `&x`"),
        (b"a: *x\n", 1, "a", "in place of `*x`"),
        (b"a: {b: 1}\nc:\n  <<: {b: 2}\n", 3, "c.<<", "merge keys"),
        (b"a: !!str 5\n", 1, "a", "remove `!!str`"),
        (b"a: !!python/object/apply:os.system [ls]\n", 1, "a", "tags are not read"),
        (b"a: !secret x\n", 1, "a", "remove `!secret`"),
        (b"a: 1\n---\nb: 2\n", 2, "", "second document"),
        (b"[a, b]: 1\n", 1, "", "no plain text"),
        (b'a: "\\ud800"\n', 1, "a", "half a character"),
    ],
)
def test_what_a_policy_does_not_use_of_yaml_is_refused_where_it_stands(content, line, key, words):
    problem = only(read_tree(content, "p.yaml"))
    assert (problem.line, problem.key) == (line, key)
    assert words in problem.message


def test_an_alias_bomb_is_refused_before_anything_grows():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 60)]
    reading = read_tree("\n".join(lines).encode(), "p.yaml")
    assert [problem.line for problem in reading.problems] == list(range(1, 61))
    assert all("anchors are not read" in problem.message for problem in reading.problems)
    assert len(reading.root.data()["a59"]) == 9


def test_a_large_file_is_refused_without_being_read(write):
    path = write(b"a: 1\n" * 2_000_000)
    with pytest.raises(PolicyError, match="over 64 KiB") as caught:
        load_policy(path)
    assert len(caught.value.problems) == 1


def test_64_kib_are_read_and_one_byte_more_is_not(write):
    text = MODELS.encode()
    assert load_policy(write(text + b"#" * (MAX_BYTES - len(text))))
    with pytest.raises(PolicyError, match="over 64 KiB"):
        load_policy(write(text + b"#" * (MAX_BYTES - len(text) + 1)))


@pytest.mark.parametrize("nested", ["a: " + "[" * 60_000, "{a: " * 15_000, "- " * 30_000])
def test_deep_nesting_is_refused_before_it_is_followed(nested):
    problem = only(read_tree(nested.encode(), "p.yaml"))
    assert f"deeper than {MAX_DEPTH} levels" in problem.message


def test_a_file_of_windows_and_one_with_a_mark_of_byte_order_read_the_same(write):
    text = MODELS + "limits:\n  timeout: 10m\n  steps: 100\n"
    unix = load_policy(write(text.encode()))
    windows = load_policy(write(text.replace("\n", "\r\n").encode()))
    marked = load_policy(write(b"\xef\xbb\xbf" + text.encode()))
    assert unix.everyone == windows.everyone == marked.everyone
    assert windows.sources["limits.steps"].line == marked.sources["limits.steps"].line == 4


@pytest.mark.parametrize("version", ["", "%YAML 1.1\n---\n", "%YAML 1.2\n---\n"])
def test_words_and_numbers_mean_the_same_in_yaml_1_1_and_1_2(write, version):
    text = (
        "models:\n"
        "  no: {model: openai/foo, region: no, price: {input: 0.10, output: 10.5}}\n"
        "steps: {on: {memo: off, models: [no]}, y: {memo: No}, '*': {memo: FALSE}}\n"
        "cost_center: 0123\n"
        "memo: off\n"
    )
    policy = load_policy(write(version + text)).everyone
    assert list(policy.models) == ["no"]
    assert policy.models["no"].region == "no"
    assert sorted(policy.steps.steps) == ["*", "on", "y"]
    assert policy.cost_center == "0123"


def test_names_may_be_written_in_any_script(load):
    policy = load(
        "team: größe\n"
        "models: {小: {model: openai/foo, price: {input: 0.10, output: 0.40}}}\n"
        "steps: {прочитать: {models: [小]}}\n"
        "agents: {агент: {steps: {прочитать: {confidence: 0.5}}}}\n"
    )
    assert policy.everyone.team == "größe"
    assert policy.agent("агент").steps["прочитать"].models == ("小",)
    assert policy.agent("агент").steps["прочитать"].confidence == 0.5


def test_yaml_mistakes_are_gathered_with_the_others(mistakes):
    found = mistakes(
        "models: {small: {model: openai/foo, price: &p {input: 0.10, output: 0.40}}}\n"
        "limits: {timeout: 10}\n"
        "limits: {timeout: 10m}\n"
        "stpes: {}\n"
    )
    assert [(p.line, p.key) for p in found] == [
        (1, "models.small.price"),
        (2, "limits.timeout"),
        (3, "limits"),
        (4, "stpes"),
    ]
