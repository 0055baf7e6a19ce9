"""Two requests that could be answered differently never share a key."""

import enum
import math
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.memo.key import (
    Unkeyable,
    entry_key,
    model_content,
    request_digest,
    tool_content,
)
from orchestrator.memo.sharing import Partition
from orchestrator.runtime.run.request import ask_request

HELLO = [{"role": "user", "content": "hello"}]
TOOL = {"type": "function", "function": {"name": "find", "parameters": {"a": 1, "b": 2}}}


def digest(content=None, *, kind="model", step="plan", **more):
    return request_digest(kind, step, model_content(HELLO) if content is None else content, **more)


def test_each_part_alone_makes_another_key():
    base = digest()
    others = [
        digest(kind="tool"),
        digest(step="plan2"),
        digest(policy_version="2"),
        digest(prompt_version="2"),
        digest(reads=["catalog"]),
        digest(reads=["catalog", "prices"]),
        digest(reads=["catalogprices"]),
        digest(model_content([{"role": "system", "content": "hello"}])),
        digest(model_content([{"role": "user", "content": "Hello"}])),
        digest(model_content([{"role": "user", "content": "hello "}])),
        digest(model_content(HELLO * 2)),
        digest(model_content(HELLO, tools=[TOOL])),
        digest(model_content(HELLO, schema={})),
        digest(model_content(HELLO, schema={"type": "object"})),
        digest(model_content(HELLO, parameters={"temperature": 0})),
        digest(model_content(HELLO, parameters={"temperature": 0.0})),
        digest(model_content(HELLO, parameters={"temperature": False})),
        digest(model_content(HELLO, parameters={"temperature": None})),
        digest(model_content(HELLO, parameters={"temperature": "0"})),
        digest(model_content(HELLO, parameters={"top_p": 0})),
    ]
    assert len({base, *others}) == 1 + len(others)


def test_the_order_of_a_schema_is_part_of_the_request():
    forth = digest(model_content(HELLO, schema={"a": {"type": "string"}, "b": {"type": "string"}}))
    back = digest(model_content(HELLO, schema={"b": {"type": "string"}, "a": {"type": "string"}}))
    assert forth != back


def test_the_order_of_parameters_arguments_and_reads_is_not():
    assert digest(model_content(HELLO, parameters={"a": 1, "b": 2})) == digest(
        model_content(HELLO, parameters={"b": 2, "a": 1})
    )
    assert digest(tool_content({"a": 1, "b": 2})) == digest(tool_content({"b": 2, "a": 1}))
    assert digest(reads=["b", "a", "b"]) == digest(reads=["a", "b"])


def test_text_is_not_normalised():
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    assert digest(model_content([{"content": composed}])) != digest(
        model_content([{"content": decomposed}])
    )


def test_what_is_one_on_the_wire_is_one():
    class Role(enum.StrEnum):
        USER = "user"

    plain = digest(model_content([{"role": "user", "content": "x"}]))
    assert plain == digest(model_content(({"role": Role.USER, "content": "x"},)))
    assert plain == digest(model_content([MappingProxyType({"role": "user", "content": "x"})]))


@pytest.mark.parametrize(
    "value",
    [
        math.nan,
        math.inf,
        -math.inf,
        2**64,
        {1: "a"},
        b"bytes",
        object(),
        "\ud800",
        {"deep": [({"deeper": math.nan},)]},
        MappingProxyType({"deep": math.nan}),
        {1, 2},
    ],
)
def test_what_json_cannot_tell_apart_is_never_memoized(value):
    with pytest.raises(Unkeyable, match="plan"):
        digest(tool_content({"value": value}))


json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def shape(value):
    """A value that is equal only for the same JSON text: types and order count."""
    if isinstance(value, dict):
        return ("dict", tuple((key, shape(part)) for key, part in value.items()))
    if isinstance(value, list):
        return ("list", tuple(map(shape, value)))
    return (type(value).__name__, repr(value))


@given(json, json)
def test_different_values_have_different_digests(one, other):
    same = digest([one]) == digest([other])
    assert same == (shape(one) == shape(other))


def turned(value):
    """The same with the keys of every object the other way round."""
    if isinstance(value, dict):
        return {key: turned(part) for key, part in reversed(value.items())}
    return [turned(part) for part in value] if isinstance(value, list) else value


def asked(value):
    """The digest of an ask, as tasks make it: with the digest that its journal key has."""
    request = ask_request("plan", [{"role": "user", "content": value}])
    return digest(model_content(request.messages), known=request.digest)


@given(json, json)
def test_one_reading_of_an_ask_tells_the_same_as_two(one, other):
    for beside in (other, turned(one), turned(other)):
        assert (asked(one) == asked(beside)) == (shape(one) == shape(beside))


@pytest.mark.parametrize("value", [{1: "a"}, math.nan, MappingProxyType({}), [{"deep": (2j,)}]])
def test_what_is_no_plain_json_is_read_in_full(value):
    content = model_content([{"role": "user", "content": value}])
    try:
        in_full = digest(content)
    except Unkeyable:
        with pytest.raises(Unkeyable):
            digest(content, known="digest")
    else:
        assert digest(content, known="digest") == in_full


@given(st.lists(st.text(), min_size=2, max_size=2), st.lists(st.text(), min_size=2, max_size=2))
def test_nothing_slides_between_neighbouring_parts(one, other):
    first = digest(step=one[0], policy_version=one[1])
    second = digest(step=other[0], policy_version=other[1])
    assert (first == second) == (one == other)


holders = st.lists(st.tuples(st.sampled_from(["org", "team", "user"]), st.text()), max_size=3)


@given(st.text(), holders, st.text(), holders)
def test_different_partitions_have_different_keys(tenant, held, other_tenant, other_held):
    one = Partition(tenant, tuple(held))
    other = Partition(other_tenant, tuple(other_held))
    request = digest()
    assert (entry_key(one, request) == entry_key(other, request)) == (one == other)
