"""The two files that ``orchestrator init`` writes: a policy and an agent under it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

POLICY_FILE = "policy.yaml"
AGENT_FILE = "my_agent.py"

AGENT = '''"""A first agent: it plans how to answer a question, then answers it."""

from typing import TypedDict

from langgraph.graph import StateGraph

from orchestrator import step


class State(TypedDict, total=False):
    """What the graph's nodes hand to each other."""

    question: str
    plan: str
    answer: str


async def plan(state: State) -> State:
    """Ask the models of the step `plan`."""
    reply = await step("plan").ask(f"Plan how to answer: {state['question']}")
    return {"plan": reply.text}


async def answer(state: State) -> State:
    """Ask the models of the step `answer`, which may use the money kept for finishing."""
    prompt = f"{state['plan']}\\nAnswer: {state['question']}"
    reply = await step("answer", finish=True).ask(prompt)
    return {"answer": reply.text}


graph = StateGraph(State).add_sequence([plan, answer]).set_entry_point("plan")
'''

_POLICY = """\
# What the agents of this team may spend. Every key: `orchestrator policy schema`, docs/policy.md.
# After a change: `orchestrator policy check policy.yaml`.
team: {team}

models: # the cheapest that a step accepts answers it
{models}

budgets:
  task: {{limit: {limit} USD, finish_reserve: {reserve} USD}} # the last part is for `finish=True`
  team: {{limit: {daily} USD, per: day}}

limits: {{timeout: 5m, model_calls: 40, repeats: 3}}

steps:
  plan: {{below_threshold: best}}
  answer: {{below_threshold: best}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstModel:
    """One entry of ``models:`` in the first policy.

    Attributes:
        name: The name that steps use.
        model: The provider's name with its prefix.
        api_base: Address of an OpenAI-compatible server, if not the provider's own.
        price: USD per million input and output tokens, if the price lists do not know the model.
    """

    name: str
    model: str
    api_base: str | None = None
    price: tuple[str, str] | None = None

    def __str__(self) -> str:
        """The entry as a line of YAML."""
        entry = f"  {self.name}: {{model: {_quoted(self.model)}"
        if self.api_base is not None:
            entry += f", api_base: {_quoted(self.api_base)}"
        if self.price is not None:
            entry += f", price: {{input: {self.price[0]}, output: {self.price[1]}}}"
        return entry + "}"


def policy_text(team: str, models: Sequence[FirstModel], budget: str) -> str:
    """The first policy.

    Args:
        team: The team's name.
        models: The candidates of both steps.
        budget: USD that one task may spend, as a decimal number; a tenth of it is kept for
            finishing, and a hundred times as much is the team's day.
    """
    from decimal import Decimal

    limit = Decimal(budget)
    return _POLICY.format(
        team=_quoted(team),
        models="\n".join(map(str, models)),
        limit=f"{limit:f}",
        reserve=f"{limit / 10:f}",
        daily=f"{limit * 100:f}",
    )


def _quoted(text: str) -> str:
    """``text`` as YAML takes it inside of braces, whatever characters it has."""
    escaped = text.replace("'", "''")
    return f"'{escaped}'"
