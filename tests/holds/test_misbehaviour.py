"""Each misbehaviour of a provider, streamed and not: one row per request, booked by the table."""

import asyncio
import time
from typing import TypedDict

import pytest
from langgraph.graph import START, StateGraph

from orchestrator import Money, step
from orchestrator.testing import FakeClock
from orchestrator.testing.upstream.faults import FAULT_KINDS, Fault
from orchestrator.testing.upstream.index import ReplyIndex

NOTHING, PRICE, BOUND = "nothing", "price", "bound"
FREE = ("known", NOTHING)
KNOWN = ("known", PRICE)
PERHAPS_FREE = ("estimated", NOTHING)
HELD = ("estimated", BOUND)
KINDS = ("ask", "stream")


class State(TypedDict, total=False):
    text: str


async def ask(state: State) -> State:
    return {"text": (await step("s").ask("question")).text}


async def stream(state: State) -> State:
    stream = step("s").stream("question")
    pieces = [piece.text async for piece in stream]
    assert "".join(pieces) == stream.reply.text
    return {"text": stream.reply.text}


async def carry_out(ground, way: str, *faults: Fault, policy: str = "", **more):
    node = {"ask": ask, "stream": stream}[way]
    graph = StateGraph(State).add_node("node", node).add_edge(START, "node")
    ground.upstream.add_faults(*faults)
    async with ground.orchestrator(policy, **more) as orchestrator:
        return await asyncio.wait_for(orchestrator.run(graph, {}, agent="a"), 30)


def check(ground, way: str, rows: list[tuple[str, str]], *, wire: int | None = None) -> None:
    """Compare the ledger with what should be booked, and with the upstream's own log."""
    spendings = ground.spendings()
    amounts = {NOTHING: Money.ZERO, PRICE: Money(20_000), BOUND: ground.bound()}
    assert amounts[BOUND] > amounts[PRICE]
    booked = [(one.certainty, one.cost) for one in spendings]
    assert booked == [(certainty, amounts[cost]) for certainty, cost in rows]
    assert len(ground.upstream.log) == (len(rows) if wire is None else wire)
    assert {one.streamed for one in ground.upstream.log} <= {way == "stream"}
    assert ground.in_flight() == set()
    assert all(one.cost >= Money.ZERO for one in spendings)
    (held,) = ground.rows("SELECT coalesce(sum(reserved + disputed), 0) FROM accounts")
    assert held == (0,)


# What happens, what is booked for each request, how the task ends.
TABLE = [
    (Fault(kind="rate_limit", times=1, retry_after="0"), [FREE, KNOWN], "completed"),
    (Fault(kind="rate_limit", times=1, retry_after="7"), [FREE, KNOWN], "completed"),
    (Fault(kind="rate_limit", times=1, retry_after=None), [FREE, KNOWN], "completed"),
    (Fault(kind="rate_limit"), [FREE] * 4, "no_model"),
    (Fault(kind="rate_limit", retry_after="3600"), [FREE], "no_model"),
    (Fault(kind="reject"), [FREE], "failed"),
    (Fault(kind="reject", status=401), [FREE], "no_model"),
    (Fault(kind="server_error", times=1), [PERHAPS_FREE, KNOWN], "completed"),
    (Fault(kind="server_error"), [PERHAPS_FREE] * 4, "no_model"),
    (Fault(kind="gateway_error", times=1), [HELD, KNOWN], "completed"),
    (Fault(kind="gateway_error", times=1, status=504), [HELD, KNOWN], "completed"),
    (Fault(kind="close", times=1), [HELD, KNOWN], "completed"),
    (Fault(kind="close"), [HELD] * 4, "no_model"),
    (Fault(kind="reset", times=1), [HELD, KNOWN], "completed"),
    (Fault(kind="cut", times=1, after=0), [HELD, KNOWN], "completed"),
    (Fault(kind="unreadable", after=0), [HELD], "no_model"),
    (Fault(kind="slow", delay_s=0.01), [KNOWN], "completed"),
    (Fault(kind="no_usage"), [HELD], "completed"),
    (Fault(kind="zero_usage"), [HELD], "completed"),
    (Fault(kind="negative_usage"), [HELD], "completed"),
    (Fault(kind="absurd_usage"), [HELD], "completed"),
]


def test_every_kind_of_fault_is_tried():
    assert {fault.kind for fault, *_ in TABLE} | {"hang", "error_event"} == set(FAULT_KINDS)


@pytest.mark.parametrize("way", KINDS)
@pytest.mark.parametrize(("fault", "rows", "end"), TABLE)
async def test_each_request_is_one_row_that_ends_by_the_table(ground, way, fault, rows, end):
    result = await carry_out(ground, way, fault, clock=FakeClock())
    check(ground, way, rows)
    assert end in (result.status, result.halt and result.halt.reason)
    assert [(one.certainty, one.cost) for one in result.attempts] == [
        (one.certainty, one.cost) for one in ground.spendings()
    ]
    assert ground.ledger_total() >= ground.upstream.billed, "nothing billed is missing"
    assert result.cost.total == ground.ledger_total()


@pytest.mark.parametrize("after", [1, 3, 5])
async def test_a_stream_cut_after_its_first_piece_is_not_asked_again(ground, after):
    result = await carry_out(ground, "stream", Fault(kind="cut", after=after, delay_s=0.5))
    assert result.status == "failed"
    assert result.error.startswith("StreamCut")
    check(ground, "stream", [HELD])


async def test_a_stream_cut_between_its_text_and_its_usage_is_whole_but_held(ground):
    result = await carry_out(ground, "stream", Fault(kind="cut", after=6, delay_s=0.5))
    assert result.status == "completed"
    check(ground, "stream", [HELD])


async def test_a_stream_that_begins_with_an_error_is_asked_again(ground):
    fault = Fault(kind="error_event", times=1, after=0)
    result = await carry_out(ground, "stream", fault, clock=FakeClock())
    assert result.status == "completed"
    check(ground, "stream", [HELD, KNOWN])


async def test_a_stream_that_breaks_off_with_an_error_is_not_asked_again(ground):
    fault = Fault(kind="error_event", after=3)
    result = await carry_out(ground, "stream", fault, clock=FakeClock())
    assert result.error.startswith("StreamCut")
    assert "the stream told an error" in result.error
    check(ground, "stream", [HELD])


async def test_an_error_that_comes_with_a_200_is_no_answer(ground):
    result = await carry_out(ground, "ask", Fault(kind="error_event"), clock=FakeClock())
    assert result.halt.reason == "no_model"
    check(ground, "ask", [HELD])


@pytest.mark.parametrize("after", [1, 3])
async def test_a_stream_that_becomes_unreadable_is_not_asked_again(ground, after):
    fault = Fault(kind="unreadable", after=after)
    result = await carry_out(ground, "stream", fault, clock=FakeClock())
    assert result.status == "failed"
    check(ground, "stream", [HELD])


@pytest.mark.parametrize("way", KINDS)
async def test_a_body_that_is_cut_every_time_is_held_every_time(ground, way):
    result = await carry_out(ground, way, Fault(kind="cut", after=0), clock=FakeClock())
    assert result.halt.reason == "no_model"
    check(ground, way, [HELD] * 4)


@pytest.mark.parametrize("way", KINDS)
async def test_a_gateway_that_bills_its_errors_is_held_at_the_bound(ground, way):
    fault = Fault(kind="server_error", times=1, billed=True)
    result = await carry_out(ground, way, fault, policy="server_errors: bound", clock=FakeClock())
    assert result.status == "completed"
    check(ground, way, [HELD, KNOWN])
    assert ground.ledger_total() >= ground.upstream.billed


@pytest.mark.parametrize("way", KINDS)
@pytest.mark.parametrize(
    "fault",
    [Fault(kind="hang"), Fault(kind="hang", billed=True), Fault(kind="slow", delay_s=30)],
    ids=lambda fault: f"{fault.kind}-{fault.billed}",
)
async def test_what_takes_too_long_ends_at_the_attempts_own_timeout(ground, way, fault):
    policy = "limits: {attempt_timeout: 300ms}"
    began = time.monotonic()
    result = await carry_out(ground, way, fault, policy=policy)
    assert time.monotonic() - began < 15
    assert (result.status, result.halt.reason) == ("halted", "no_model")
    check(ground, way, [HELD])


@pytest.mark.parametrize("way", KINDS)
@pytest.mark.parametrize("kind", ["hang", "slow"])
async def test_what_takes_too_long_ends_at_the_deadline(ground, way, kind):
    async with ground.orchestrator():
        pass
    began = time.monotonic()
    policy = "limits: {timeout: 2s}"  # long enough to be asked on a busy machine too
    result = await carry_out(ground, way, Fault(kind=kind, delay_s=30), policy=policy)
    assert time.monotonic() - began < 15
    assert (result.status, result.halt.reason) == ("halted", "timeout")
    check(ground, way, [HELD])


@pytest.mark.parametrize("way", KINDS)
async def test_no_retry_waits_past_the_deadline(ground, way):
    fault = Fault(kind="rate_limit", retry_after="20")
    began = time.monotonic()
    result = await carry_out(ground, way, fault, policy="limits: {timeout: 10s}")
    assert time.monotonic() - began < 8, "it is known at once that the wait would be in vain"
    assert (result.status, result.halt.reason) == ("halted", "no_model")
    check(ground, way, [FREE])


@pytest.mark.parametrize("way", KINDS)
async def test_a_server_that_is_not_there_costs_nothing_for_sure(ground, way, unused_tcp_port):
    policy = f"""
  gone: {{model: openai/gone, api_base: "http://127.0.0.1:{unused_tcp_port}/v1",
          max_output_tokens: 10, price: {{input: 1, output: 1}}}}
steps: {{s: {{models: [gone]}}}}
"""
    result = await carry_out(ground, way, policy=policy, clock=FakeClock())
    assert (result.status, result.halt.reason) == ("halted", "no_model")
    check(ground, way, [FREE] * 4, wire=0)


@pytest.mark.parametrize("way", KINDS)
async def test_a_bill_above_the_bound_is_booked_whole_and_latches_the_model(ground, way):
    # The upstream's count of input tokens is not the bytes we sent: 200 instead of at most 170.
    ground.upstream._index = ReplyIndex([ground.recorded("question", input_tokens=200)])
    result = await carry_out(ground, way, clock=FakeClock())
    (spending,) = ground.spendings()
    assert spending.cost == ground.upstream.billed == Money(210_000)
    assert spending.overrun == spending.cost - ground.bound() > Money.ZERO
    assert spending.certainty == "known"
    assert result.cost.known == ground.upstream.billed
