"""Memoized tools in agents of LangChain's own, and what a user sees of a memo that fails."""

import json

from langchain.agents import create_agent
from langchain_core.tools import tool

from orchestrator import Money
from orchestrator.integrations import memoized_tool
from orchestrator.integrations.chat_model import RoutedChatModel
from orchestrator.ledger.stores.sqlite_reading import SqliteReader
from orchestrator.models.protocol import Completion, ToolCall


def script(request):
    """Call the tool, then answer with what it gave."""
    last = request.messages[-1]
    if last["role"] == "tool":
        return Completion(text=f"It is {last['content']}.", finish_reason="stop")
    call = ToolCall("1", "find", json.dumps({"name": "it"}))
    return Completion(text="", finish_reason="tool_calls", tool_calls=(call,))


async def test_an_agent_of_langchain_calls_a_memoized_tool_once_for_all_its_tasks(stage):
    calls = []
    seen = calls.append

    @tool
    @memoized_tool(fresh_for=60, share="team", name="find", price=Money(500))
    async def find(name: str) -> str:
        """Find it."""
        seen(name)
        return f"found {name}"

    agent = create_agent(RoutedChatModel(step="plan"), [find])
    question = {"messages": [{"role": "user", "content": "Where is it?"}]}
    memo = "steps: {plan: {models: [small], memo: {fresh_for: 1h, share: team}}}"
    async with stage.orchestrator(memo, script=script) as orchestrator:
        results = [await orchestrator.run(agent, question, agent="a") for _ in range(3)]
    assert [one.output["messages"][-1].content for one in results] == ["It is found it."] * 3
    assert calls == ["it"]
    assert [one.cost.total for one in results[1:]] == [Money.ZERO] * 2
    with SqliteReader(stage.folder / "ledger.db") as reader:
        hits = [row for row in reader.attempts() if row.kind == "memo"]
    assert [row.step for row in hits] == ["plan", "find", "plan"] * 2
    assert sum(row.saved.nano for row in hits if row.step == "find") == 1_000


async def test_a_memo_that_fails_is_logged_once_without_any_listener(stage, capsys):
    (stage.folder / "memo").write_text("a file where the directory should be")
    agent = create_agent(RoutedChatModel(step="plan"), [])
    memo = "steps: {plan: {models: [small], memo: {fresh_for: 1h, share: team}}}"
    answer = Completion(text="ok", finish_reason="stop")
    async with stage.orchestrator(memo, script=lambda _: answer) as orchestrator:
        for _ in range(3):
            result = await orchestrator.run(agent, {"messages": ["q"]}, agent="a")
            assert result.status == "completed"
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines() if "{" in line]
    (told,) = [line for line in lines if line["event"] == "memo_faulted"]
    assert (told["level"], told["agent"]) == ("warning", "a")
