"""The model that users' tests script."""

import pytest

from orchestrator.core.usage import Usage
from orchestrator.models.protocol import Completion, ModelCallError, ModelRequest, ToolCall
from orchestrator.models.settings import ModelSettings
from orchestrator.testing import ScriptedModel, ScriptedReply


def asking(text, name="small"):
    settings = ModelSettings(name=name, model="openai/small-1")
    return ModelRequest(settings=settings, messages=[{"role": "user", "content": text}])


async def test_a_function_answers_and_requests_are_kept():
    model = ScriptedModel(lambda request: request.messages[0]["content"].upper())

    completion = await model.ask(asking("hello"))

    assert completion.text == "HELLO"
    assert [request.messages[0]["content"] for request in model.requests] == ["hello"]


async def test_a_list_answers_in_turn_and_then_says_so():
    model = ScriptedModel(["one", "two"])

    assert [(await model.ask(asking("?"))).text for _ in range(2)] == ["one", "two"]
    with pytest.raises(AssertionError, match="no more answers"):
        await model.ask(asking("?"))


async def test_a_mapping_answers_by_model_or_by_the_longest_part_of_the_question():
    model = ScriptedModel({"large": "from large", "France": "Paris", "France 1940": "Vichy"})

    assert (await model.ask(asking("Capital of France?"))).text == "Paris"
    assert (await model.ask(asking("Capital of France 1940?"))).text == "Vichy"
    assert (await model.ask(asking("Capital of France?", name="large"))).text == "from large"
    with pytest.raises(AssertionError, match="Spain"):
        await model.ask(asking("Capital of Spain?"))


async def test_failures_are_raised():
    model = ScriptedModel([ModelCallError("rate_limited", "busy", retry_after_s=2), "better"])

    with pytest.raises(ModelCallError, match="busy"):
        await model.ask(asking("?"))
    assert (await model.ask(asking("?"))).text == "better"


async def test_usage_is_given_missing_or_estimated():
    usage = Usage(input_tokens=3, output_tokens=2)
    model = ScriptedModel(
        [
            ScriptedReply(text="x", usage=usage),
            ScriptedReply(text="x", usage=None),
            ScriptedReply(text="x" * 40),
        ]
    )

    usages = [(await model.ask(asking("y" * 80))).usage for _ in range(3)]

    assert usages == [usage, None, Usage(input_tokens=20, output_tokens=10)]


async def test_tool_calls_and_whole_completions_come_as_they_are():
    call = ToolCall("c1", "look", "{}")
    whole = Completion(text="all", finish_reason="length", usage=None)
    model = ScriptedModel([ScriptedReply(tool_calls=(call,)), whole])

    first = await model.ask(asking("?"))

    assert (first.tool_calls, first.finish_reason) == ((call,), "tool_calls")
    assert await model.ask(asking("?")) is whole


async def test_a_stream_comes_in_pieces_and_may_be_cut():
    pieces = []
    model = ScriptedModel(
        [ScriptedReply(text="abcdef", piece_length=2), ScriptedReply(text="abcdef", cut_after=1)]
    )

    completion = await model.ask(asking("?"), on_text=pieces.append)

    assert pieces == ["ab", "cd", "ef"]
    assert completion.text == "abcdef"
    with pytest.raises(ModelCallError) as caught:
        await model.ask(asking("?"), on_text=pieces.append)
    assert caught.value.kind == "broken"
    assert pieces[3:] == ["abcdef"]


async def test_delays_pass_on_the_clock_given():
    class Clock:
        waits = ()

        async def sleep(self, seconds):
            self.waits += (seconds,)

    clock = Clock()
    model = ScriptedModel([ScriptedReply(text="late", delay_s=3600)], clock=clock)

    assert (await model.ask(asking("?"))).text == "late"
    assert clock.waits == (3600,)
