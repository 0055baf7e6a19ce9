"""Recorded agent runs with tools, replayed: what each step and tool cost, and halts anywhere."""

import asyncio
import csv
import gzip
import json
import os
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, TypedDict

import pytest
from langgraph.graph import END, START, StateGraph

from orchestrator import Money, Orchestrator, step, tool_cost
from orchestrator.core.usage import Usage
from orchestrator.ledger.stores.sqlite_reading import SqliteReader
from orchestrator.models.protocol import Completion, ToolCall
from orchestrator.models.scripted import ScriptedModel

RECORDED = Path(os.environ.get("ORCHESTRATOR_RECORDED", "../shared/data"))
RUNS = RECORDED / "taubench_airline_gpt4o_steps.csv.gz"

POLICY = """
models:
  gpt-4o: {model: openai/gpt-4o, max_output_tokens: 600, price: {input: 2.5, output: 10}}
tools:
  "*": {price: 0.0001 USD, journal: on}
  search_*: {price: 0.005 USD, journal: on}
budgets: {task: {limit: 50 USD}}
durability: exit
agents:
  airline0: {description: halts when its money is used up}
  airline1: {limits: {tool_calls: 1}}
  airline2: {limits: {tool_calls: 4}}
"""
DEAR, CHEAP = Money.from_usd("0.005"), Money.from_usd("0.0001")


class State(TypedDict, total=False):
    messages: list[dict[str, Any]]


@dataclass
class Recorded:
    """One run: its messages in order, as they were recorded."""

    name: str
    rows: list[dict[str, str]]

    @property
    def cost(self) -> Decimal:
        return sum((Decimal(row["cost_usd"] or 0) for row in self.rows), Decimal(0))

    def message(self, number: int) -> dict[str, Any]:
        row = self.rows[number]
        if row["role"] == "tool":
            return {"role": "tool", "tool_call_id": f"c{number - 1}", "content": row["content"]}
        content = f"[{self.name}]\n{row['content']}" if number == 0 else row["content"]
        return {"role": row["role"], "content": content}


def recorded_runs() -> dict[str, Recorded]:
    runs: dict[str, Recorded] = {}
    with gzip.open(RUNS, "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            name = f"{row['task_id']}.{row['trial']}"
            runs.setdefault(name, Recorded(name, [])).rows.append(row)
    return runs


class Replay:
    """The model and the tools of recorded runs; counts how often each was really called."""

    def __init__(self, runs: dict[str, Recorded]) -> None:
        self.runs = runs
        self.asked: Counter[tuple[str, int]] = Counter()
        self.called: Counter[tuple[str, int]] = Counter()
        self.model = ScriptedModel(self.answer)

    def run_of(self, messages: Any) -> Recorded:
        return self.runs[messages[0]["content"].partition("]")[0][1:]]

    def answer(self, request: Any) -> Completion:
        run, number = self.run_of(request.messages), len(request.messages)
        self.asked[run.name, number] += 1
        row = run.rows[number]
        name = row["tool_name"]
        calls = (ToolCall(f"c{number}", name, row["tool_args"]),) if name else ()
        return Completion(
            text=row["content"],
            tool_calls=calls,
            finish_reason="tool_calls" if calls else "stop",
            usage=Usage(int(row["input_tokens"]), int(row["output_tokens"])),
            served_model="gpt-4o",
        )

    def graph(self) -> StateGraph[Any]:
        async def agent(state: State) -> State:
            reply = await step("agent").ask(state["messages"])
            message = {"role": "assistant", "content": reply.text}
            if reply.tool_calls:
                message["tool_calls"] = [
                    {
                        "id": call.id,
                        "type": "function",
                        "function": {"name": call.name, "arguments": call.arguments},
                    }
                    for call in reply.tool_calls
                ]
            return {"messages": [*state["messages"], message]}

        async def tools(state: State) -> State:
            function = state["messages"][-1]["tool_calls"][0]["function"]
            run, number = self.run_of(state["messages"]), len(state["messages"])

            @tool_cost(name=function["name"])
            async def call(**arguments: Any) -> str:
                self.called[run.name, number] += 1
                return run.rows[number]["content"]

            await call(**json.loads(function["arguments"]))
            return {"messages": [*state["messages"], run.message(number)]}

        async def user(state: State) -> State:
            run, number = self.run_of(state["messages"]), len(state["messages"])
            return {"messages": [*state["messages"], run.message(number)]}

        def following(state: State) -> str:
            run, number = self.run_of(state["messages"]), len(state["messages"])
            roles = {"assistant": "agent", "tool": "tools", "user": "user"}
            return END if number == len(run.rows) else roles[run.rows[number]["role"]]

        graph = StateGraph(State)
        for node in (agent, tools, user):
            graph.add_node(node)
            graph.add_conditional_edges(node.__name__, following)
        return graph.add_conditional_edges(START, following)


def expected(run: Recorded) -> dict[str, Money]:
    """What each step and each tool of a run costs, from the recording alone."""
    costs: Counter[str] = Counter()
    for row in run.rows:
        if row["role"] == "assistant":
            costs["agent"] += Money.from_usd(Decimal(row["cost_usd"])).nano
        elif row["role"] == "tool":
            price = DEAR if row["tool_name"].startswith("search_") else CHEAP
            costs[f"tool:{row['tool_name']}"] += price.nano
    return {name: Money(nano) for name, nano in costs.items()}


def by_step(result: Any) -> dict[str, Money]:
    costs: Counter[str] = Counter()
    for one in result.attempts:
        costs[one.step] += one.cost.nano
    return {name: Money(nano) for name, nano in costs.items() if nano}


@pytest.mark.recorded
@pytest.mark.skipif(not RUNS.exists(), reason="the recorded agent runs are not here")
async def test_recorded_agents_cost_what_they_did_and_resume_from_any_halt(tmp_path):
    runs = recorded_runs()
    replay = Replay(runs)
    path, store = tmp_path / "policy.yaml", tmp_path / "ledger.db"
    path.write_text(POLICY)
    ten = asyncio.Semaphore(10)

    def opened() -> Orchestrator:
        return Orchestrator.from_policy(path, store=f"sqlite:///{store}", client=replay.model)

    async def begin(orchestrator: Orchestrator, number: int, run: Recorded) -> Any:
        # From almost nothing to almost all of what it will cost, so halts come anywhere; where the
        # calls of tools are limited, the money is not.
        share = sum(one.usd for one in expected(run).values()) * (number % 10) / 10
        least = Decimal(10 if number % 3 else "0.005")
        budget = Money.from_usd_rounded_up(share + least)
        async with ten:
            return await orchestrator.run(
                replay.graph(),
                {"messages": [run.message(0)]},
                agent=f"airline{number % 3}",
                task_id=run.name,
                budget=budget,
            )

    async def go_on(orchestrator: Orchestrator, name: str) -> Any:
        async with ten:
            more = {"tool_calls": 100}
            return await orchestrator.resume(
                name, graph=replay.graph(), add_budget="10", extend=more
            )

    async with opened() as orchestrator:
        halted = await asyncio.gather(
            *(begin(orchestrator, number, run) for number, run in enumerate(runs.values()))
        )
    async with opened() as orchestrator:
        done = await asyncio.gather(*(go_on(orchestrator, name) for name in runs))

    reasons = Counter(one.halt.reason for one in halted if one.halt)
    assert reasons["budget"] > 20, "halts came before asks"
    assert reasons["tool_calls"] > 20, "and before tools"
    for run, result in zip(runs.values(), done, strict=True):
        assert result.status == "completed", result
        assert by_step(result) == expected(run), run.name
        assert len(result.output["messages"]) == len(run.rows)
    assert set(replay.asked.values()) == {1}, "no ask was paid twice"
    assert set(replay.called.values()) == {1}, "no journaled tool was called twice"
    with SqliteReader(store) as reader:
        whole = sum(one.cost.nano for one in reader.attempts())
    assert whole == sum(cost.nano for run in runs.values() for cost in expected(run).values())
