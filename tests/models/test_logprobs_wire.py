"""Log-probabilities over real HTTP, where they are wanted. Their values are simulated."""

import dataclasses

import pytest

SIMULATED = (-0.01, -0.5, -2.25)


@pytest.fixture
def replies(replies):
    tokens = [{"token": "a", "logprob": one, "top_logprobs": []} for one in SIMULATED]
    return [dataclasses.replace(replies[0], logprobs={"content": tokens})]


async def test_they_come_with_the_answer_if_they_are_wanted(client, ask_for, on_text):
    request = dataclasses.replace(ask_for(), logprobs=True)

    assert (await client.ask(request, on_text=on_text)).logprobs == SIMULATED
    assert (await client.ask(ask_for(), on_text=on_text)).logprobs == ()


@pytest.mark.parametrize(("model", "asked"), [("small-1", True), ("gpt-5-nano", None)])
async def test_a_model_that_has_none_is_not_asked_for_them(client, ask_for, wire_log, model, asked):
    """Asked all the same, LiteLLM would refuse the whole request."""
    request = ask_for(api_base=wire_log.url, model=f"openai/{model}")

    await client.ask(dataclasses.replace(request, logprobs=True))

    assert [body.get("logprobs") for body in wire_log.bodies] == [asked]
