"""Replies of three simulated models to the demo suite.

``python -m orchestrator.bench.demo.simulate`` writes ``replies_simulated.jsonl``. No model was
asked: every reply is drawn from a few numbers stated here. The file is a recording as the replay
server reads it, one reply per question, step and model.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from orchestrator.bench.demo.draws import Draws
from orchestrator.bench.demo.make_suite import SEED, make_questions
from orchestrator.bench.demo.question import Question, Working

REPLIES = Path(__file__).with_name("replies_simulated.jsonl")
STEPS = ("plan", "solve", "review")

_STEEPNESS = 1.6
_LUCK = 0.8
_CHARACTERS_PER_TOKEN = 4


@dataclass(frozen=True, slots=True)
class SimulatedModel:
    """A model that does not exist.

    Attributes:
        name: What it is asked by.
        ability: On the scale of the questions' difficulty: equal means right half of the time.
        sloppiness: How often a right solution lacks the form that was asked for.
        judgement: How often its review tells its own right solution from its own wrong one.
        is_wordy: Whether it says more than needed.
        start_s: Seconds to the first token.
        token_s: Seconds per token.
    """

    name: str
    ability: float
    sloppiness: float
    judgement: float
    is_wordy: bool
    start_s: float
    token_s: float


MODELS = (
    SimulatedModel("simulated-small", 0.7, 0.08, 0.6, is_wordy=False, start_s=0.15, token_s=0.004),
    SimulatedModel("simulated-medium", 1.7, 0.03, 0.75, is_wordy=False, start_s=0.3, token_s=0.008),
    SimulatedModel("simulated-large", 2.9, 0.01, 0.9, is_wordy=True, start_s=0.6, token_s=0.016),
)

# How a wrong solution is wrong: shares among questions with sums, and without.
_KINDS_WITH_SUMS = (("slip", 0.35), ("misread", 0.45), ("no_form", 0.12), ("cut", 0.08))
_KINDS_WITHOUT = (("misread", 0.75), ("no_form", 0.15), ("cut", 0.10))


@dataclass(frozen=True, slots=True)
class _Solution:
    text: str
    is_right: bool
    finish_reason: str = "stop"


def replies(seed: int = SEED) -> Iterator[Mapping[str, Any]]:
    """Every reply of every model, as the fields of a recording."""
    for question in make_questions(seed):
        for model in MODELS:
            solution = _solve(question, model, seed)
            texts = {
                "plan": _plan(question, model),
                "solve": solution.text,
                "review": _review(question, model, seed, is_right=solution.is_right),
            }
            for step in STEPS:
                finish_reason = solution.finish_reason if step == "solve" else "stop"
                yield _record(question, model, seed, step, texts[step]) | {
                    "finish_reason": finish_reason
                }


def reply_lines(seed: int = SEED) -> bytes:
    """The recording as JSON lines."""
    return b"".join(
        orjson.dumps(reply, option=orjson.OPT_APPEND_NEWLINE) for reply in replies(seed)
    )


def _record(
    question: Question, model: SimulatedModel, seed: int, step: str, response: str
) -> dict[str, Any]:
    prompt = f"{step.capitalize()}: {question.draft.text}"
    output_tokens = _tokens(response)
    noise = 0.8 + 0.4 * Draws(seed, question.id, model.name, step, "latency").uniform()
    return {
        "id": f"{question.id}/{step}",
        "model": model.name,
        "prompt": prompt,
        "response": response,
        "input_tokens": _tokens(prompt),
        "output_tokens": output_tokens,
        "latency_s": round((model.start_s + model.token_s * output_tokens) * noise, 3),
    }


def _tokens(text: str) -> int:
    return math.ceil(len(text) / _CHARACTERS_PER_TOKEN)


def _plan(question: Question, model: SimulatedModel) -> str:
    steps = [f"{number}. {step}" for number, step in enumerate(question.draft.plan, start=1)]
    if model.is_wordy:
        steps.append(f"{len(steps) + 1}. Check the result against the question.")
    return "\n".join(steps)


def _solve(question: Question, model: SimulatedModel, seed: int) -> _Solution:
    # All models share a question's luck: what is hard for one tends to be hard for the others.
    luck = _LUCK * _normal(Draws(seed, question.id, "luck"))
    margin = model.ability - question.difficulty + luck
    draws = Draws(seed, question.id, model.name, "solve")
    if draws.uniform() < 1 / (1 + math.exp(-_STEEPNESS * margin)):
        working = Working()
        answer = question.draft.right(working)
        if draws.uniform() < model.sloppiness:
            return _Solution(_in_a_sentence(working, answer), is_right=True)
        return _Solution(_formed(question, model, working, answer), is_right=True)
    return _wrong(question, model, draws)


def _wrong(question: Question, model: SimulatedModel, draws: Draws) -> _Solution:
    correct = Working()
    question.draft.right(correct)
    kind = _kind(draws.uniform(), _KINDS_WITH_SUMS if correct.sums else _KINDS_WITHOUT)
    if kind == "slip":
        slipped = Working(
            slip_at=draws.integer(0, correct.sums - 1),
            slip=draws.pick((-10, -2, -1, 1, 2, 10, 100)),
        )
        answer = question.draft.right(slipped)
        return _Solution(_formed(question, model, slipped, answer), is_right=False)
    working = Working()
    answer = question.draft.wrong(working)
    if kind == "no_form":
        return _Solution(_in_a_sentence(working, answer), is_right=False)
    text = _formed(question, model, working, answer)
    if kind == "cut":
        return _Solution(text[: len(text) * 2 // 3], is_right=False, finish_reason="length")
    return _Solution(text, is_right=False)


def _kind(draw: float, kinds: tuple[tuple[str, float], ...]) -> str:
    for kind, share in kinds:
        draw -= share
        if draw < 0:
            return kind
    return kinds[-1][0]


def _formed(question: Question, model: SimulatedModel, working: Working, answer: str) -> str:
    lines = [*working.lines, f"ANSWER: {answer}"]
    if model.is_wordy:
        lines = [f"The plan has {len(question.draft.plan)} steps; here is each of them.", *lines]
    return "\n".join(lines)


def _in_a_sentence(working: Working, answer: str) -> str:
    return "\n".join([*working.lines, f"So it should come to {answer}, I think."])


def _review(question: Question, model: SimulatedModel, seed: int, *, is_right: bool) -> str:
    draws = Draws(seed, question.id, model.name, "review")
    says_yes = is_right if draws.uniform() < model.judgement else draws.uniform() < 1 / 2
    if says_yes:
        return "yes: every part of the question is used."
    return "no: one of the steps does not follow from the question."


def _normal(draws: Draws) -> float:
    """A draw from the standard normal distribution, by Box and Muller."""
    radius = math.sqrt(-2 * math.log(1 - draws.uniform()))
    return radius * math.cos(2 * math.pi * draws.uniform())


if __name__ == "__main__":
    REPLIES.write_bytes(reply_lines())
