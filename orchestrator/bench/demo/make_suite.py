"""Makes the demo suite: ``python -m orchestrator.bench.demo.make_suite`` writes ``suite.jsonl``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import orjson

from orchestrator.bench.demo import number_questions, word_questions
from orchestrator.bench.demo.draws import Draws
from orchestrator.bench.demo.question import Draft, Question

SEED = 1
LEVELS = 5
SUITE = Path(__file__).with_name("suite.jsonl")

_STEP_PER_LEVEL = 0.35

# Kind, difficulty at the lowest level, template. Difficulty was set by judging the questions,
# before any model was simulated, and not changed since.
_TEMPLATES: tuple[tuple[str, float, Callable[[Draws, int], Draft]], ...] = (
    ("arithmetic", -0.6, number_questions.shopping),
    ("arithmetic", -0.5, number_questions.travel),
    ("arithmetic", 0.0, number_questions.discount),
    ("arithmetic", -0.2, number_questions.sharing),
    ("arithmetic", 0.3, number_questions.machines),
    ("arithmetic", 0.1, number_questions.fence),
    ("units", -0.4, number_questions.rope),
    ("dates", -0.2, word_questions.weekday),
    ("dates", 0.3, word_questions.days_between),
    ("dates", -0.1, word_questions.film),
    ("sorting", -0.7, word_questions.rank),
    ("counting", -0.3, word_questions.letters),
    ("logic", -0.6, word_questions.heights),
    ("extraction", -1.4, word_questions.invoice),
)


def make_questions(seed: int = SEED) -> tuple[Question, ...]:
    """The questions of the suite; another ``seed`` gives others of the same kinds."""
    return tuple(
        Question(
            id=f"{group}-{template.__name__}-{level + 1}",
            group=group,
            difficulty=difficulty + _STEP_PER_LEVEL * level,
            draft=template(Draws(seed, template.__name__, level), level),
        )
        for group, difficulty, template in _TEMPLATES
        for level in range(LEVELS)
    )


def suite_lines(seed: int = SEED) -> bytes:
    """The suite as JSON lines."""
    return b"".join(
        orjson.dumps(
            {"id": q.id, "group": q.group, "question": q.draft.text, "answer": q.answer},
            option=orjson.OPT_APPEND_NEWLINE,
        )
        for q in make_questions(seed)
    )


if __name__ == "__main__":
    SUITE.write_bytes(suite_lines())
