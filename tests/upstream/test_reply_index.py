"""The longest recorded question contained in what is asked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.testing.upstream.index import ReplyIndex, UnknownQuestion
from orchestrator.testing.upstream.recording import RecordedReply


def recorded(*prompts, model="m"):
    return [
        RecordedReply(model=model, prompt=prompt, response=f"to {prompt}") for prompt in prompts
    ]


def test_a_question_is_found_inside_what_is_asked():
    index = ReplyIndex(recorded("What is 2 + 2?", "What is 2 + 3?"))

    assert index.find("m", "Plan: What is 2 + 3?\nAnswer briefly.").response == "to What is 2 + 3?"


def test_the_longest_wins():
    index = ReplyIndex(recorded("order 12", "order 123", "der 123 and der 124", "order"))

    assert index.find("m", "where is order 123?").prompt == "order 123"
    assert index.find("m", "where is order 123 and der 124?").prompt == "der 123 and der 124"
    assert index.find("m", "where is order 9?").prompt == "order"


def test_spaces_around_a_recorded_question_do_not_matter():
    index = ReplyIndex(recorded("  What is it?\n"))

    assert index.find("m", "Say: What is it?")


def test_of_two_replies_the_first_recorded_is_served():
    index = ReplyIndex(
        [RecordedReply(model="m", prompt="q", response=text) for text in ("first", "second")]
    )

    assert index.find("m", "q").response == "first"


@pytest.mark.parametrize(
    ("known", "asked", "found"),
    [
        (["gpt-4"], "gpt-4", "gpt-4"),
        (["gpt-4"], "openai/gpt-4", "gpt-4"),
        (["mistralai/Mixtral"], "Mixtral", "mistralai/Mixtral"),
        (["mistralai/Mixtral"], "openai/mistralai/Mixtral", "mistralai/Mixtral"),
        (["a/x", "x"], "x", "x"),
        (["a/x", "b/x"], "b/x", "b/x"),
    ],
)
def test_a_model_is_found_with_or_without_its_providers_prefix(known, asked, found):
    index = ReplyIndex([reply for model in known for reply in recorded("q", model=model)])

    assert index.find(asked, "q").model == found


@pytest.mark.parametrize(
    ("asked", "words"),
    [(("gpt-5", "q"), "not recorded"), (("x", "q"), "ambiguous"), (("a/x", "w"), "'w'")],
)
def test_what_is_unknown_is_said(asked, words):
    index = ReplyIndex(recorded("q", model="a/x") + recorded("q", model="b/x"))

    with pytest.raises(UnknownQuestion, match=words):
        index.find(*asked)


words = st.text(alphabet="ab ", min_size=1, max_size=8)


@given(
    st.lists(words.filter(str.strip), min_size=1, max_size=12), st.text(alphabet="ab ", max_size=30)
)
def test_the_index_agrees_with_trying_every_question(prompts, asked):
    contained = [prompt.strip() for prompt in prompts if prompt.strip() in asked]
    index = ReplyIndex(recorded(*prompts))

    if contained:
        assert len(index.find("m", asked).prompt.strip()) == max(map(len, contained))
        assert index.find("m", asked).prompt.strip() in contained
    else:
        with pytest.raises(UnknownQuestion):
            index.find("m", asked)


def test_fifty_thousand_alike_questions_are_told_apart():
    prompts = [f"Question: what is {number} and {number}? One word." for number in range(50_000)]
    index = ReplyIndex(recorded(*prompts))

    for prompt in prompts[::5_000]:
        assert index.find("m", "Question: what is " * 20 + prompt + " Be brief.").prompt == prompt
