"""The demo: an agent over a suite, under a policy, beside what simple rules would have done."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from importlib.resources import files
from pathlib import Path

from orchestrator.bench.baselines import OutcomeTable
from orchestrator.bench.demo.agent import make_graph
from orchestrator.bench.recorded import RecordedModel, outcome_table, price_table
from orchestrator.bench.records import Baseline, PolicyRun
from orchestrator.bench.run import SuiteJob, run_suite
from orchestrator.bench.scorers.table import score_auto
from orchestrator.bench.suite import Sample, read_suite
from orchestrator.core.money import Money
from orchestrator.runtime.orchestrator import Orchestrator
from orchestrator.runtime.results import TaskResult
from orchestrator.testing.upstream.recording import RecordedReply, Recording
from orchestrator.testing.upstream.server import Upstream

AGENT = "demo-agent"
STEPS = ("plan", "solve", "review")
SMALL, MEDIUM, LARGE = (
    RecordedModel("simulated-small", Decimal("0.10"), Decimal("0.40")),
    RecordedModel("simulated-medium", Decimal(1), Decimal(4)),
    RecordedModel("simulated-large", Decimal(5), Decimal(20)),
)
SIMULATED = {"small": SMALL, "medium": MEDIUM, "large": LARGE}
HALTED_TASK_BUDGET = "0.006"


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """What a demo showed.

    Attributes:
        run: The policy's figures.
        baselines: What simple rules would have done; empty with real models.
        halted: One task, halted by its budget.
        resumed: The same task, gone on with.
        ledger: What the ledger says all of it cost.
        billed: What the upstream says it billed; ``None`` with real models.
    """

    run: PolicyRun
    baselines: tuple[Baseline, ...]
    halted: TaskResult
    resumed: TaskResult
    ledger: Money
    billed: Money | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """What a demo runs on.

    Attributes:
        real: Names of a cheap and a strong real model, as LiteLLM takes them; ``None``: simulated.
        limit: Only so many questions.
        store: URL of the ledger.
        latency_scale: How much of the recorded waiting is replayed.
    """

    store: str
    real: tuple[str, str] | None = None
    limit: int | None = None
    latency_scale: float = 0.0


async def run_demo(
    options: DemoOptions,
    folder: Path,
    *,
    on_start: Callable[[int], None],
    on_result: Callable[[Sample, TaskResult], None],
) -> Demo:
    """Run the demo, its policy in ``folder``; tell how many tasks there are, and of each one."""
    suite = read_suite(_data("suite.jsonl"))[: options.limit]
    on_start(len(suite))
    if options.real is not None:
        policy = _write_policy(folder, _real_models(*options.real))
        return await _show(policy, options.store, suite, None, on_result)
    recording = Recording.read(_data("replies_simulated.jsonl"))
    async with Upstream(
        recording, prices=price_table(SIMULATED.values()), latency_scale=options.latency_scale
    ) as upstream:
        policy = _write_policy(folder, _simulated_models(upstream.url))
        return await _show(policy, options.store, suite, upstream, on_result)


def _simulated_models(url: str) -> Mapping[str, str]:
    return {
        name: f"{{model: openai/{model.name}, api_base: '{url}', max_output_tokens: 400, "
        f"price: {{input: {model.input}, output: {model.output}}}}}"
        for name, model in SIMULATED.items()
    }


def _real_models(small: str, strong: str) -> Mapping[str, str]:
    return {
        "small": f"{{model: {small}, max_output_tokens: 800}}",
        "strong": f"{{model: {strong}, max_output_tokens: 2000}}",
    }


def _write_policy(folder: Path, models: Mapping[str, str]) -> Path:
    """Write the demo's policy with ``models`` filled in."""
    lines = "\n".join(f"  {name}: {settings}" for name, settings in models.items())
    text = _data("policy.yaml").read_text(encoding="utf-8")
    text = text.replace("\nMODELS\n", f"\n{lines}\n").replace("[NAMES]", f"[{', '.join(models)}]")
    path = folder / "policy.yaml"
    path.write_text(text, encoding="utf-8")
    return path


async def _show(
    policy: Path,
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
    async with Orchestrator.from_policy(policy, store=store) as orchestrator:
        run, results = await run_suite(orchestrator, "demo policy", suite, job, on_result=on_result)
        hardest = max(suite, key=lambda sample: len(results[sample.id].attempts))
        halted = await orchestrator.run(
            job.graph, {"question": hardest.question}, agent=AGENT, budget=HALTED_TASK_BUDGET
        )
        resumed = await orchestrator.resume(halted.task_id, add_budget="0.05")
    everything = [*results.values(), resumed]
    return Demo(
        run=run,
        baselines=() if upstream is None else _table(suite).all(run.cost),
        halted=halted,
        resumed=resumed,
        ledger=sum((result.cost.total for result in everything), Money.ZERO),
        billed=None if upstream is None else upstream.billed,
    )


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
