"""The demo: an agent over a suite, under a policy, beside what simple rules would have done."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any

from orchestrator.bench.baselines import OutcomeTable
from orchestrator.bench.demo.agent import make_graph, plan_prompt
from orchestrator.bench.recorded import RecordedModel, outcome_table, price_table
from orchestrator.bench.records import Baseline, PolicyRun
from orchestrator.bench.run import SuiteJob, run_suite
from orchestrator.bench.scorers.table import score_auto
from orchestrator.bench.suite import Sample, read_suite
from orchestrator.core.money import Money
from orchestrator.policy.records import AgentPolicy
from orchestrator.pricing.book import PriceBook
from orchestrator.pricing.tokens import input_token_bound
from orchestrator.runtime.orchestrator import Orchestrator
from orchestrator.runtime.run.results import TaskResult
from orchestrator.testing.upstream.recording import RecordedReply, Recording
from orchestrator.testing.upstream.server import Upstream

AGENT = "demo-agent"
STEPS = ("plan", "solve", "review")
SIMULATED: Mapping[str, RecordedModel] = MappingProxyType(
    {
        "small": RecordedModel("simulated-small", Decimal("0.10"), Decimal("0.40")),
        "medium": RecordedModel("simulated-medium", Decimal(1), Decimal(4)),
        "large": RecordedModel("simulated-large", Decimal(5), Decimal(20)),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """What a demo showed.

    Attributes:
        run: The policy's figures.
        baselines: What simple rules would have done; empty with real models.
        halted: One task, halted by its budget.
        added: What it was given then.
        resumed: The same task, gone on with.
        ledger: What the ledger says all of it cost.
        billed: What the upstream says it billed; ``None`` with real models.
    """

    run: PolicyRun
    baselines: tuple[Baseline, ...]
    halted: TaskResult
    added: Money
    resumed: TaskResult
    ledger: Money
    billed: Money | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RealModels:
    """Models to ask instead of simulated ones.

    Attributes:
        small: Name of a cheap one, as LiteLLM takes it.
        strong: Name of a strong one.
        api_base: Address of an OpenAI-compatible server, if not the provider's own.
        api_key_env: Environment variable with the key, if not the provider's usual one.
        prices: USD per million tokens by name, where no price list knows them.
    """

    small: str
    strong: str
    api_base: str | None = None
    api_key_env: str | None = None
    prices: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """What a demo runs on.

    Attributes:
        store: URL of the ledger.
        real: The models to ask; ``None``: simulated ones.
        limit: Only so many questions.
        latency_scale: How much of the recorded waiting is replayed.
    """

    store: str
    real: RealModels | None = None
    limit: int | None = None
    latency_scale: float = 0.0


async def run_demo(
    options: DemoOptions,
    folder: Path,
    *,
    on_start: Callable[[int], None],
    on_result: Callable[[Sample, TaskResult], None],
) -> Demo:
    """Run the demo, its policy in ``folder``; tell how many tasks there are, and of each one.

    Raises:
        PolicyError: If a real model cannot be used, as one without a known price.
    """
    suite = read_suite(_data("suite.jsonl"))[: options.limit]
    on_start(len(suite))
    if options.real is not None:
        policy = _write_policy(folder, _real_models(options.real))
        return await _show(policy, options.store, suite, None, on_result)
    recording = Recording.read(_data("replies_simulated.jsonl"))
    async with Upstream(
        recording, prices=price_table(SIMULATED.values()), latency_scale=options.latency_scale
    ) as upstream:
        policy = _write_policy(folder, _simulated_models(upstream.url))
        return await _show(policy, options.store, suite, upstream, on_result)


def _simulated_models(url: str) -> Mapping[str, Mapping[str, Any]]:
    prices = price_table(SIMULATED.values())
    return {
        name: {
            "model": f"openai/{model.name}",
            "api_base": url,
            "max_output_tokens": 400,
            "price": prices[model.name],
        }
        for name, model in SIMULATED.items()
    }


def _real_models(real: RealModels) -> Mapping[str, Mapping[str, Any]]:
    def settings(name: str, max_output_tokens: int) -> Mapping[str, Any]:
        given = {
            "model": name,
            "max_output_tokens": max_output_tokens,
            "api_base": real.api_base,
            "api_key_env": real.api_key_env,
            "price": real.prices.get(name),
        }
        return {key: value for key, value in given.items() if value is not None}

    return {"small": settings(real.small, 2000), "strong": settings(real.strong, 4000)}


def _write_policy(folder: Path, models: Mapping[str, Mapping[str, Any]]) -> Path:
    """Write the demo's policy with ``models`` filled in."""
    # JSON is YAML, and quotes whatever a name may hold.
    lines = "\n".join(f"  {name}: {json.dumps(settings)}" for name, settings in models.items())
    text = _data("policy.yaml").read_text(encoding="utf-8")
    text = text.replace("\nMODELS\n", f"\n{lines}\n").replace("[NAMES]", f"[{', '.join(models)}]")
    path = folder / "policy.yaml"
    path.write_text(text, encoding="utf-8")
    return path


async def _show(
    path: Path,
    store: str,
    suite: Sequence[Sample],
    upstream: Upstream | None,
    on_result: Callable[[Sample, TaskResult], None],
) -> Demo:
    """Run the suite, then halt one task by its budget and resume it."""
    job = SuiteJob(
        graph=make_graph(),
        agent=AGENT,
        score=_score,
        source="measured" if upstream is None else "simulated",
    )
    async with Orchestrator.from_policy(path, store=store) as orchestrator:
        run, results = await run_suite(orchestrator, "demo policy", suite, job, on_result=on_result)
        hardest = max(suite, key=lambda sample: len(results[sample.id].attempts))
        policy = orchestrator.policy.agent(AGENT)
        (rule,) = (rule for rule in policy.budgets if rule.scope == "task")
        halted = await orchestrator.run(
            job.graph,
            {"question": hardest.question},
            agent=AGENT,
            budget=rule.finish_reserve + _bound_of_plan(policy, hardest.question),
        )
        resumed = await orchestrator.resume(halted.task_id, add_budget=rule.limit)
    return Demo(
        run=run,
        baselines=() if upstream is None else _table(suite).all(run.cost),
        halted=halted,
        added=rule.limit,
        resumed=resumed,
        ledger=sum((one.cost.total for one in (*results.values(), resumed)), Money.ZERO),
        billed=None if upstream is None else upstream.billed,
    )


def _bound_of_plan(policy: AgentPolicy, question: str) -> Money:
    """What the first step can cost at most: so the next one, which asks more, cannot start."""
    small = policy.models["small"]
    quote = PriceBook().quote(
        small.model, override=small.price, at=datetime.now(UTC), api_base=small.api_base
    )
    tokens = input_token_bound([{"role": "user", "content": plan_prompt(question)}])
    assert quote is not None, "the policy refuses models without a price"
    assert tokens is not None, "the prompt is text"
    return quote.bound(tokens, small.max_output_tokens)


def _score(sample: Sample, result: TaskResult) -> float:
    solution = (result.output or {}).get("solution", "")
    return score_auto(solution, sample.answer)


def _table(suite: Sequence[Sample]) -> OutcomeTable:
    recording = Recording.read(_data("replies_simulated.jsonl"))
    by_place: Mapping[tuple[str, str], RecordedReply] = {
        (reply.query_id, reply.model): reply for reply in recording.replies
    }
    return outcome_table(
        suite,
        SIMULATED.values(),
        lambda sample, model: [by_place[f"{sample.id}/{step}", model] for step in STEPS],
        lambda sample, replies: score_auto(replies[STEPS.index("solve")].response, sample.answer),
        "simulated",
    )


def _data(name: str) -> Path:
    return Path(str(files("orchestrator.bench.demo").joinpath(name)))
