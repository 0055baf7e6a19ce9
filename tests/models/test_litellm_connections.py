"""Who cancels or leaves closes the connection, and closing leaves none open."""

import asyncio
import gc

import pytest

from orchestrator.models.litellm_client import LiteLLMClient
from orchestrator.testing.upstream.faults import Fault


async def until(condition) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


def connections(upstream) -> int:
    return len(upstream._runner.server.connections)


async def test_cancelling_closes_the_connection(client, ask_for, upstream, on_text):
    upstream.add_faults(Fault(kind="hang"))
    asking = asyncio.create_task(client.ask(ask_for(), on_text=on_text))
    await until(lambda: upstream.log)

    asking.cancel()

    with pytest.raises(asyncio.CancelledError):
        await asking
    await until(lambda: upstream.abandoned == 1)


async def test_an_ask_cancelled_before_it_is_sent_is_not_sent(client, ask_for, upstream, on_text):
    await client.ask(ask_for())
    asking = asyncio.create_task(client.ask(ask_for(), on_text=on_text))
    await asyncio.sleep(0)  # LiteLLM prepares in a thread now

    asking.cancel()

    with pytest.raises(asyncio.CancelledError):
        await asking
    await client.ask(ask_for())
    assert len(upstream.log) == 2


async def test_cancelling_at_any_moment_leaves_nothing_behind(client, ask_for, upstream, on_text):
    for moment in range(80):
        asking = asyncio.create_task(client.ask(ask_for(), on_text=on_text))
        await asyncio.sleep(moment * 0.00015)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)

    gc.collect()  # a coroutine that nobody awaited would warn here, and warnings are errors
    await until(lambda: connections(upstream) <= 1)
    sent = len(upstream.log)
    await client.ask(ask_for(), on_text=on_text)
    assert len(upstream.log) == sent + 1


async def test_cancelling_in_the_middle_of_a_stream_closes_the_connection(
    client, ask_for, upstream
):
    upstream.add_faults(Fault(kind="slow", delay_s=0.2))
    pieces = []
    asking = asyncio.create_task(client.ask(ask_for(), on_text=pieces.append))
    await until(lambda: pieces)

    asking.cancel()

    with pytest.raises(asyncio.CancelledError):
        await asking
    await until(lambda: upstream.abandoned == 1)


async def test_an_attempts_deadline_is_the_callers(client, ask_for, upstream, on_text):
    upstream.add_faults(Fault(kind="hang"))

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await client.ask(ask_for(), on_text=on_text)

    await until(lambda: upstream.abandoned == 1)


async def test_an_error_of_the_listener_stays_its_own_and_closes_the_stream(
    client, ask_for, upstream
):
    upstream.add_faults(Fault(kind="slow", delay_s=0.1))

    def listener(_):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await client.ask(ask_for(), on_text=listener)
    await until(lambda: upstream.abandoned == 1)


async def test_closing_leaves_no_open_connection_and_opening_again_works(ask_for, upstream):
    for _ in range(2):
        client = LiteLLMClient()
        await client.ask(ask_for())
        assert connections(upstream) == 1

        await client.aclose()

        await until(lambda: connections(upstream) == 0)
        gc.collect()  # an unclosed session would warn here, and warnings are errors


async def test_the_retries_of_libraries_are_off(client, ask_for, monkeypatch):
    """The transport refuses a hidden retry too; this one is not even tried."""
    sent = []
    ask = client._litellm.acompletion

    async def noted(**parameters):
        sent.append(parameters)
        return await ask(**parameters)

    monkeypatch.setattr(client._litellm, "acompletion", noted)
    await client.ask(ask_for())

    assert [one["max_retries"] for one in sent] == [0]
    assert "num_retries" not in sent[0]
