"""Bytes bound tokens, whatever the tokenizer."""

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.pricing.tokens import (
    MESSAGE_OVERHEAD_TOKENS,
    REQUEST_OVERHEAD_TOKENS,
    TOOLS_OVERHEAD_TOKENS,
    input_token_bound,
)

TOOL = {"type": "function", "function": {"name": "search", "parameters": {"type": "object"}}}


@given(st.lists(st.text()))
def test_every_byte_of_text_is_counted(texts: list[str]):
    messages = [{"role": "user", "content": text} for text in texts]
    size = sum(len(text.encode("utf-8", "surrogatepass")) for text in texts)
    bound = input_token_bound(messages)

    assert bound is not None
    assert bound >= size + len(texts) * MESSAGE_OVERHEAD_TOKENS + REQUEST_OVERHEAD_TOKENS


def test_each_message_counts_with_its_markers():
    message = {"role": "user", "content": "hi"}
    one, two = input_token_bound([message]), input_token_bound([message, message])

    assert one is not None
    assert two is not None
    assert two - one == MESSAGE_OVERHEAD_TOKENS + len("hi") + len('{"role": "user"}')


def test_parts_of_text_count_as_their_text():
    whole = input_token_bound([{"role": "user", "content": "Grüße"}])
    parts = [{"type": "text", "text": "Grü"}, "ße"]

    assert input_token_bound([{"role": "user", "content": parts}]) == whole


def test_what_is_not_text_is_unknown():
    """An image is a short address and any number of tokens."""
    image = {"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}}
    for content in ([image], [{"type": "text", "text": "hi"}, image], image, 7, [None]):
        assert input_token_bound([{"role": "user", "content": content}]) is None


@pytest.mark.parametrize(
    "kind", ["web_search_preview", "web_search_20250305", "file_search", "code_interpreter", "mcp"]
)
def test_what_a_tool_of_the_providers_own_reads_is_unknown(kind: str):
    messages = [{"role": "user", "content": "hi"}]

    assert input_token_bound(messages, [TOOL, {"type": kind}]) is None
    assert input_token_bound(messages, [{"type": kind, "function": {"name": "f"}}]) is None
    assert input_token_bound(messages, [{"function": {"name": "f"}}, TOOL]) is not None


@given(
    st.text(alphabet="aé가ﬁ½\u0344\ufb2c\ufdfa\U0001d160\ud800"), st.sampled_from(["NFC", "NFKC"])
)
def test_text_counts_in_the_longest_form_a_tokenizer_may_give_it(text: str, form: str):
    size = len(unicodedata.normalize(form, text).encode("utf-8", "surrogatepass"))
    content = input_token_bound([{"role": "user", "content": text}])
    schema = input_token_bound([], schema={"description": text})

    assert content is not None
    assert schema is not None
    assert content >= size + MESSAGE_OVERHEAD_TOKENS + REQUEST_OVERHEAD_TOKENS
    assert schema >= size + TOOLS_OVERHEAD_TOKENS + REQUEST_OVERHEAD_TOKENS


def test_a_message_that_only_calls_tools_counts_the_calls():
    calls = [{"id": "1", "function": {"name": "search", "arguments": '{"q": "' + "x" * 500 + '"}'}}]
    bound = input_token_bound([{"role": "assistant", "content": None, "tool_calls": calls}])

    assert bound is not None
    assert bound > 500 + REQUEST_OVERHEAD_TOKENS


@pytest.mark.parametrize(
    ("tools", "schema"), [([TOOL], None), ([], {"type": "object"}), ([TOOL], {"type": "object"})]
)
def test_tools_and_schemas_count_with_what_providers_add(
    tools: list[dict[str, object]], schema: dict[str, object] | None
):
    messages = [{"role": "user", "content": "hi"}]
    plain, bound = input_token_bound(messages), input_token_bound(messages, tools, schema)

    assert plain is not None
    assert bound is not None
    assert bound >= plain + TOOLS_OVERHEAD_TOKENS + len(json.dumps([tools, schema])) - 4


def test_escaped_text_in_tools_is_counted_as_escaped():
    schema = {"description": "价格" * 100}
    bound = input_token_bound([], schema=schema)

    assert bound is not None
    assert bound >= len("价格" * 100) * len("\\u4ef7")
