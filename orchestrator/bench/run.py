"""Run a policy over a suite: one task for each question."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.bench.records import PolicyRun, Source
from orchestrator.bench.suite import Sample
from orchestrator.core.errors import TaskExists
from orchestrator.core.money import Money
from orchestrator.runtime.orchestrator import Orchestrator
from orchestrator.runtime.run.results import TaskResult

DEFAULT_CONCURRENCY = 8

Score = Callable[[Sample, TaskResult], float]
"""From a question and how its task ended to a score between 0 and 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteJob:
    """What is run for every question.

    Attributes:
        graph: The agent.
        agent: Its name in the ledger.
        question_field: The key of the graph's input that takes the question.
        resumable: Whether tasks are named after their questions, so that a run that was interrupted
            goes on in the same ledger: what it has paid for is not paid again.
        score: How a task's result is judged.
        source: Where the numbers come from.
        concurrency: How many tasks run at once.
    """

    graph: Any
    agent: str
    score: Score
    source: Source
    question_field: str = "question"
    resumable: bool = False
    concurrency: int = DEFAULT_CONCURRENCY


async def run_suite(
    orchestrator: Orchestrator,
    name: str,
    suite: Sequence[Sample],
    job: SuiteJob,
    *,
    on_result: Callable[[Sample, TaskResult], None] = lambda _sample, _result: None,
) -> tuple[PolicyRun, Mapping[str, TaskResult]]:
    """Run every question of ``suite`` as a task of its own.

    Args:
        orchestrator: An open one; its policy is what is measured.
        name: What the run is called in tables.
        suite: The questions.
        job: What is run.
        on_result: Told of each task as it ends.

    Returns:
        The run's figures, and each task's result by the question's id.

    Raises:
        OrchestratorError: If a task could not be run at all; the others are halted then.
    """
    results: dict[str, TaskResult] = {}
    scores: dict[str, float] = {}
    gate = asyncio.Semaphore(job.concurrency)
    started = time.perf_counter()

    async def one(sample: Sample) -> None:
        async with gate:
            result = await _task(orchestrator, sample, job)
        results[sample.id] = result
        scores[sample.id] = job.score(sample, result)
        on_result(sample, result)

    try:
        async with asyncio.TaskGroup() as group:
            for sample in suite:
                group.create_task(one(sample))
    except ExceptionGroup as errors:
        # The first one cancelled the other tasks, and says what to change.
        first = errors.exceptions[0]
        raise first from first.__cause__
    seconds = time.perf_counter() - started
    figures = _figures(name, list(scores.values()), list(results.values()), job.source, seconds)
    return figures, results


async def _task(orchestrator: Orchestrator, sample: Sample, job: SuiteJob) -> TaskResult:
    """Run the task of a question, or go on with it where an earlier run left it."""
    digest = hashlib.sha256(f"{sample.id}\0{sample.question}".encode()).hexdigest()[:24]
    task_id = f"suite-{digest}" if job.resumable else None
    try:
        return await orchestrator.run(
            job.graph,
            {job.question_field: sample.question},
            agent=job.agent,
            tags={"suite_question": sample.id},
            task_id=task_id,
        )
    except TaskExists:
        if task_id is None:
            raise
        return await orchestrator.resume(task_id, graph=job.graph)


def _figures(
    name: str,
    scores: Sequence[float],
    results: Sequence[TaskResult],
    source: Source,
    seconds: float,
) -> PolicyRun:
    return PolicyRun(
        name=name,
        tasks=len(results),
        quality=sum(scores) / len(scores) if scores else 0.0,
        cost=sum((result.cost.total for result in results), Money.ZERO),
        source=source,
        halts=Counter(result.halt.reason for result in results if result.halt is not None),
        failures=sum(result.status == "failed" for result in results),
        attempts=Counter(attempt.model for result in results for attempt in result.attempts),
        seconds=seconds,
    )
