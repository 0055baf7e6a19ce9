"""What one choice of the runtime takes, with much to know and many models to choose from.

    python -m orchestrator.bench.route.choices

The log is simulated: what is measured is time, not quality.
"""

from __future__ import annotations

import json
import random
import sys
from time import perf_counter_ns, thread_time_ns

from orchestrator.routing.learning.knowledge import Knowledge
from orchestrator.routing.learning.observation import (
    Asked,
    Observation,
    Outcome,
    StepKey,
    signals_of,
)
from orchestrator.routing.learning.outlook import Quoted, next_action, outlooks

MODELS = 10
OBSERVATIONS = 10_000
CHOICES = 2_000
THRESHOLD = 0.8
WORDS = tuple(f"{first}{second}" for first in "bdfgklmnprst" for second in ("ab", "et", "on", "ul"))


def simulated(models: int, observations: int) -> Knowledge:
    """A log of one step: the dearer a model, the more often it is right; a third has outcomes."""
    source, knowledge = random.Random(0), Knowledge()  # noqa: S311 - keeps no secret
    signals, ending = signals_of("What is 3 + 4?", "3 + 4 = 7")
    asked = [Asked.of(" ".join(source.choices(WORDS, k=40))) for _ in range(100)]
    for number in range(observations):
        model = source.randrange(models)
        reply = Observation(
            attempt_id=f"attempt-{number}",
            ask=f"ask-{number}",
            agent="a",
            step="s",
            version="v",
            action=f"m{model}",
            passed=source.random() < 0.9,  # noqa: PLR2004 - simulated
            signals=tuple(value + source.random() for value in signals),
            ending=ending,
            threshold=THRESHOLD,
            words=asked[number % len(asked)].words,
            cost=0.001 * 2**model,
        )
        knowledge.fold(reply)
        if number % 3 == 0:
            # A tenth of the prompts are beyond all of them, which their words tell.
            chance = 0.1 if number % len(asked) < len(asked) // 10 else 0.5 + 0.45 * model / models
            right = source.random() < chance
            outcome = Outcome(attempt_id=reply.attempt_id, score=float(right), source="user")
            knowledge.fold(outcome)
    return knowledge


def measure(knowledge: Knowledge, models: int, choices: int) -> dict[str, float]:
    """Processor time of choices in microseconds."""
    quoted = [Quoted(action=f"m{n}", name=f"m{n}", cost=0.001 * 2**n) for n in range(models)]
    key, taken = StepKey("a", "s", "v"), []
    asked = Asked.of(" ".join(WORDS[:40]))
    for _ in range(choices):
        start = thread_time_ns()
        expected = outlooks(knowledge, key, quoted, THRESHOLD, asked=asked)
        next_action(expected, None, THRESHOLD, "best")
        taken.append(thread_time_ns() - start)
    taken.sort()
    return {"p50": taken[choices // 2] / 1_000, "p99": taken[choices * 99 // 100] / 1_000}


def main() -> None:
    """Measure and print."""
    start, start_cpu = perf_counter_ns(), thread_time_ns()
    knowledge = simulated(MODELS, OBSERVATIONS)
    knowledge.settle()
    folded, cpu = (perf_counter_ns() - start) / 1e9, (thread_time_ns() - start_cpu) / 1e9
    step = knowledge.step(StepKey("a", "s", "v"))
    found = {
        "models": MODELS,
        "observations": OBSERVATIONS,
        "choice_us": measure(knowledge, MODELS, CHOICES),
        "fold_s": folded,
        "fold_cpu_s": cpu,
        "words_tell": step.fitted is not None and step.fitted.before is not None,
        "scikit_learn_loaded": "sklearn" in sys.modules,
    }
    sys.stdout.write(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
