"""Solve maths problems: ask a cheap model, check its reply, ask a strong one where a check fails.

    python examples/maths_agent.py RECORDING [--budget 5] [--limit 100] [--labels 300] [--json OUT]

RECORDING holds questions with the replies that real models once gave, and the scores these got: a
CSV (or CSV.GZ) with the columns query_id, model, prompt, response, score, input_tokens,
output_tokens, cost_usd and cost_source. This process serves the replies over HTTP and bills them,
as a provider does; the agent asks for them through LiteLLM, as it would ask the models themselves.

With --labels N the agent is told which of its replies to the first N questions were right, as its
users would tell it. What it learns from that is measured on the others.

The exit code is 1 unless every task completed or halted, the team budget held, and the ledger
equals the provider's bill to the nano-dollar.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from pathlib import Path
from string import Template
from typing import Any, TypedDict

from langgraph.graph import StateGraph
from maths_recording import Rates, Replies, read_replies
from rich.console import Console
from rich.progress import Progress

from orchestrator import Money, Orchestrator, OrchestratorError, TaskResult, step
from orchestrator.bench.recorded import price_table
from orchestrator.bench.records import PolicyRun
from orchestrator.bench.run import SuiteJob, run_suite
from orchestrator.bench.suite import Sample
from orchestrator.bench.table import to_json, to_rich
from orchestrator.reports.cost import cost_by
from orchestrator.testing.upstream.server import Upstream

POLICY = Path(__file__).with_name("maths_policy.yaml")
PROMPT = """Solve this step by step. Write each calculation as a * b = c.
End with a line '#### <number>'.

{question}"""
WIDTH_OF_FILES = 100
NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")


class State(TypedDict, total=False):
    """What the nodes hand on."""

    question: str
    solution: str
    model: str
    answer: str


async def solve(state: State) -> State:
    """Ask. The policy says which models, what is checked, and when a stronger one is asked."""
    reply = await step("solve").ask(PROMPT.format(question=state["question"]))
    return {"solution": reply.text, "model": reply.model}


async def conclude(state: State) -> State:
    """Take the last number of the solution. No model is needed for that."""
    numbers = NUMBER.findall(state["solution"])
    return {"answer": numbers[-1].replace(",", "") if numbers else ""}


def make_graph() -> StateGraph[State]:
    """The agent: an ordinary LangGraph graph."""
    return StateGraph(State).add_sequence([solve, conclude]).set_entry_point("solve")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What the run of all questions showed.

    Attributes:
        run: Its figures.
        halts: Halted tasks by reason and scope.
        budget: The team's.
        ledger: What the ledger says all tasks cost.
        billed: What the upstream says it billed.
        confidence_state: What the confidences of the replies are worth.
        error: What one of the failed tasks failed with.
    """

    run: PolicyRun
    halts: Mapping[str, int]
    budget: Money
    ledger: Money
    billed: Money
    confidence_state: str
    error: str | None

    @property
    def as_promised(self) -> bool:
        """Whether the money is right and no task failed."""
        return self.ledger == self.billed and self.ledger <= self.budget and not self.error


async def run_all(replies: Replies, budget: Money, labels: int = 0) -> Found:
    """Run a task for each question, all under one team budget.

    Args:
        replies: The questions with what the models replied.
        budget: The team's.
        labels: Of how many questions, the first, it is told afterwards what its replies scored.
            They are not part of what is measured.
    """

    def score(question: Sample, result: TaskResult) -> float:
        # The recorded score of the reply that was taken. The agent itself never looks at it.
        return replies.score(question, result.output["model"]) if result.output else 0.0

    agent = make_graph().compile()  # once, not again for each task
    job = SuiteJob(graph=agent, agent="maths", score=score, source="estimated")
    prices = price_table(model.recorded for model in replies.models.values())
    with (
        tempfile.TemporaryDirectory(prefix="maths-agent-") as folder,
        Progress(console=Console(stderr=True)) as progress,
    ):
        store = f"sqlite:///{folder}/ledger.db"
        bar = progress.add_task("tasks", total=len(replies.questions))

        def advance(*_: object) -> None:
            progress.advance(bar)

        told, asked = replies.questions[:labels], replies.questions[labels:]
        async with Upstream(replies.texts.values(), prices=prices) as upstream:
            policy = write_policy(Path(folder), replies, upstream.url, budget)
            async with Orchestrator.from_policy(policy, store=store) as orchestrator:
                _, first = await run_suite(orchestrator, "told", told, job, on_result=advance)
                for question in told:
                    result = first[question.id]
                    await orchestrator.feedback(result.task_id, score=score(question, result))
                run, results = await run_suite(
                    orchestrator, "maths agent", asked, job, on_result=advance
                )
        ledger = sum((total.cost for total in cost_by(store, ["team"])), Money.ZERO)
    halts = [result.halt for result in results.values() if result.halt is not None]
    return Found(
        run=run,
        halts=Counter(f"{halt.reason}/{halt.scope}" for halt in halts),
        budget=budget,
        ledger=ledger,
        billed=upstream.billed,
        confidence_state=", ".join(sorted({one.confidence_state for one in results.values()})),
        error=next((result.error for result in results.values() if result.error), None),
    )


def write_policy(folder: Path, replies: Replies, url: str, budget: Money) -> Path:
    """Fill in the policy: where the models are, what they cost, and the team's budget."""
    values = {"url": url, "budget": budget.to_json()}
    for name, model in replies.models.items():
        values[f"{name}_model"] = f"openai/{model.recorded.name}"
        values[f"{name}_input"] = f"{model.recorded.input:f}"
        values[f"{name}_output"] = f"{model.recorded.output:f}"
        values[f"{name}_tokens"] = str(model.longest)  # less would cut the longest reply
    policy = folder / "policy.yaml"
    template = Template(POLICY.read_text(encoding="utf-8"))
    policy.write_text(template.substitute(values), encoding="utf-8")
    return policy


def show(found: Found, replies: Replies) -> None:
    """Print the table, where its numbers come from, and whether the money is right."""
    console = Console(width=None if sys.stdout.isatty() else WIDTH_OF_FILES)
    console.print(to_rich([found.run], replies.baselines().all(found.run.cost)))
    for name, model in replies.models.items():
        print(
            f"{name}: {model.recorded.name}, {model.recorded.input} USD in and "
            f"{model.recorded.output} USD out per million tokens, {model.price_source}"
        )
    print("quality: recorded, the scores of the replies that were taken; a halted task scores 0")
    counts = " and ".join(sorted({model.token_source for model in replies.models.values()}))
    print(f"cost: estimated, recorded token counts ({counts}) times prices; nothing measured live")
    worth = {
        "uncalibrated": "the share of checks passed; no probability",
        "calibrated": "the probability that a reply is right; nothing is promised about it",
    }.get(found.confidence_state, "see docs/routing.md")
    print(f"confidence: {found.confidence_state}, {worth}")
    for halt, tasks in found.halts.items():
        print(f"halted: {tasks} tasks, {halt}")
    if found.error:
        print(f"FAILED: {found.run.failures} tasks, one of them with {found.error}")
    held = "held" if found.ledger <= found.budget else "EXCEEDED"
    print(f"team budget: {found.budget}, {held}; spent {found.ledger}")
    equal = "=" if found.ledger == found.billed else "IS NOT"
    print(
        f"Ledger total {equal} upstream's own bill, to the nano-dollar: "
        f"{found.ledger.to_json()} {equal} {found.billed.to_json()} USD"
    )


def as_json(found: Found, replies: Replies) -> dict[str, Any]:
    """The same as plain data; money as text in USD with all digits."""
    return to_json([found.run], replies.baselines().all(found.run.cost)) | {
        "models": {
            name: {
                "model": model.recorded.name,
                "price": {"input": str(model.recorded.input), "output": str(model.recorded.output)},
                "price_source": model.price_source,
                "cost_source": model.token_source,
            }
            for name, model in replies.models.items()
        },
        "halts": dict(found.halts),
        "error": found.error,
        "confidence_state": found.confidence_state,
        "budget_usd": found.budget.to_json(),
        "ledger_usd": found.ledger.to_json(),
        "billed_usd": found.billed.to_json(),
        "ledger_equals_bill": found.ledger == found.billed,
    }


def price(text: str) -> tuple[str, Rates]:
    """Read ``MODEL=INPUT,OUTPUT``."""
    name, _, rates = text.rpartition("=")
    try:
        given, written = (Decimal(rate) for rate in rates.split(","))
    except (ValueError, InvalidOperation):
        message = f"{text!r} is no price; write MODEL=INPUT,OUTPUT in USD per million tokens"
        raise argparse.ArgumentTypeError(message) from None
    return name, (given, written)


def usd(text: str) -> Money:
    """Read an amount in USD."""
    try:
        return Money.from_usd(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def count(text: str) -> int:
    """Read a number of at least one."""
    if (number := int(text)) < 1:
        message = f"{text} is less than 1"
        raise argparse.ArgumentTypeError(message)
    return number


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("recording", help="questions, replies and scores: .csv or .csv.gz")
    parser.add_argument(
        "--models",
        metavar="WEAK,STRONG",
        type=lambda text: text.split(",", 1),
        default=(),
        help="the two models; unless given the two of the recording, the cheaper one first",
    )
    parser.add_argument(
        "--price",
        metavar="MODEL=INPUT,OUTPUT",
        type=price,
        action="append",
        default=[],
        help="USD per million tokens; unless given derived from the recorded costs of the model",
    )
    parser.add_argument("--budget", metavar="USD", type=usd, default="5")
    parser.add_argument("--limit", metavar="N", type=count, help="only the first N questions")
    parser.add_argument(
        "--labels",
        metavar="N",
        type=int,
        default=0,
        help="tell it afterwards which of its replies to the first N questions were right",
    )
    parser.add_argument("--json", metavar="OUT", type=Path, help="also write what was found here")
    return parser.parse_args()


def main() -> None:
    """Read, run, show."""
    options = arguments()
    try:
        replies = read_replies(options.recording, options.models, dict(options.price))
        replies = replace(replies, questions=replies.questions[: options.limit])
        if not 0 <= options.labels < len(replies.questions):
            message = f"--labels {options.labels}: write 0 to {len(replies.questions) - 1}"
            raise ValueError(message)  # noqa: TRY301 - told like any other mistake
        found = asyncio.run(run_all(replies, options.budget, options.labels))
        replies = replace(replies, questions=replies.questions[options.labels :])
    except (OSError, ValueError, OrchestratorError) as error:
        sys.exit(str(error))
    show(found, replies)
    if options.json is not None:
        options.json.write_text(json.dumps(as_json(found, replies), indent=2), encoding="utf-8")
    sys.exit(not found.as_promised)


if __name__ == "__main__":
    main()
