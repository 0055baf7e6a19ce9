"""Each check says what it should about one reply."""

import asyncio
from typing import Literal

import pydantic
import pytest

from orchestrator.models.protocol import Completion, ToolCall
from orchestrator.routing.checks.complete import check_complete
from orchestrator.routing.checks.form import check_form
from orchestrator.routing.checks.function import check_function
from orchestrator.routing.checks.schema import check_schema, json_schema
from orchestrator.routing.free_checks import free_checks
from orchestrator.routing.settings import FormCheck, StepSettings


def reply(text="", finish_reason="stop", *, calls=False):
    tool_calls = (ToolCall("1", "search", "{}"),) if calls else ()
    return Completion(text=text, finish_reason=finish_reason, tool_calls=tool_calls)


class Answer(pydantic.BaseModel):
    unit: Literal["km", "m"]
    value: int


ANSWER_SCHEMA = {
    "type": "object",
    "properties": {"unit": {"enum": ["km", "m"]}, "value": {"type": "integer"}},
    "required": ["unit", "value"],
}


@pytest.mark.parametrize(
    ("completion", "passed"),
    [
        (reply("yes"), True),
        (reply("", "tool_calls", calls=True), True),
        (reply("half an ans", "length"), False),
        (reply("no", "content_filter"), False),
        (reply("text", ""), False),
        (reply(" \n"), False),
        (reply(""), False),
    ],
)
def test_complete_means_ended_by_itself_and_not_empty(completion, passed):
    result = check_complete(completion)

    assert result.passed is passed
    assert bool(result.detail) is not passed


def test_form_is_searched_line_by_line():
    form = FormCheck(pattern=r"^ANSWER: \d+$")

    assert check_form(reply("so\nANSWER: 42\nbye"), form).passed is True
    assert check_form(reply("so the ANSWER: 42"), form).passed is False
    assert check_form(reply("", "tool_calls", calls=True), form).passed is None


@pytest.mark.parametrize("schema", [Answer, ANSWER_SCHEMA])
@pytest.mark.parametrize(
    ("text", "passed"),
    [
        ('{"unit": "km", "value": 3}', True),
        ('```json\n{"unit": "km", "value": 3}\n```', True),
        ('{"unit": "mile", "value": 3}', False),
        ('{"unit": "km"}', False),
        ('{"unit": "km", "value": 3', False),
        ("three km", False),
        ("[" * 100_000, False),
        ("", False),
    ],
)
def test_schema_follows_a_model_or_a_json_schema(schema, text, passed):
    result, parsed = check_schema(reply(text), schema)

    assert result.passed is passed
    if passed:
        assert parsed == (
            Answer(unit="km", value=3) if schema is Answer else {"unit": "km", "value": 3}
        )
    else:
        assert parsed is None
        assert result.detail


def test_schema_keeps_integers_of_any_size():
    _, parsed = check_schema(reply("123456789012345678901234567890"), {"type": "integer"})

    assert parsed == 123456789012345678901234567890


def test_schema_does_not_judge_tool_calls():
    result, parsed = check_schema(reply("", "tool_calls", calls=True), Answer)

    assert (result.passed, parsed) == (None, None)


def test_schema_never_fetches_what_it_refers_to():
    with pytest.raises(ValueError, match="outside itself"):
        check_schema(reply("{}"), {"$ref": "http://schemas.example/answer.json"})


def test_schema_for_the_request():
    assert json_schema(Answer) == Answer.model_json_schema()
    assert json_schema(ANSWER_SCHEMA) is ANSWER_SCHEMA
    with pytest.raises(ValueError, match="no valid JSON Schema"):
        json_schema({"type": "nothing"})


def asserts(value):
    assert value == "right", "expected right"


async def is_right(value):
    await asyncio.sleep(0)
    return value == "right"


@pytest.mark.parametrize(
    ("function", "passed", "score"),
    [
        (lambda value: value == "right", True, 1.0),
        (lambda _value: False, False, 0.0),
        (lambda _value: 0.8, True, 0.8),
        (lambda _value: 0.7, False, 0.7),
        (asserts, True, 1.0),
        (is_right, True, 1.0),
    ],
)
async def test_the_users_function_decides(function, passed, score):
    result = await check_function(function, "right", threshold=0.75)

    assert (result.passed, result.score) == (passed, score)


async def test_a_failed_assertion_is_a_no_with_its_message():
    result = await check_function(asserts, "wrong")

    assert result.passed is False
    assert "expected right" in result.detail


async def test_without_a_threshold_a_score_of_one_half_passes():
    assert (await check_function(lambda _: 0.5, None)).passed is True
    assert (await check_function(lambda _: 0.49, None)).passed is False


@pytest.mark.parametrize("answer", [1.5, -1, float("nan"), "yes"])
async def test_a_function_that_returns_something_else_is_told_so(answer):
    with pytest.raises(ValueError, match="bool or a number between 0 and 1"):
        await check_function(lambda _: answer, None)


async def test_an_error_in_the_users_function_is_not_hidden():
    def broken(_value):
        raise KeyError

    with pytest.raises(KeyError):
        await check_function(broken, None)


def test_a_step_runs_the_checks_it_names_cheapest_first():
    step = StepSettings(checks=("arithmetic", "form", "schema"), form=FormCheck(pattern="a"))

    results, parsed = free_checks(reply('"a: 1 + 1 = 3"'), step, {"type": "string"})

    assert [result.name for result in results] == ["complete", "schema", "form", "arithmetic"]
    assert [result.passed for result in results] == [True, True, True, False]
    assert parsed == "a: 1 + 1 = 3"


def test_a_given_schema_is_checked_even_if_the_step_does_not_name_it():
    results, parsed = free_checks(reply("{}"), StepSettings(), Answer)

    assert [result.passed for result in results] == [True, False]
    assert parsed is None


def test_an_incomplete_reply_is_not_looked_at_further():
    step = StepSettings(checks=("arithmetic",))

    results, _ = free_checks(reply("1 + 1 = 2", "length"), step)

    assert [result.name for result in results] == ["complete"]
