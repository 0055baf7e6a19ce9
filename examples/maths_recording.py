"""Reads the recording that maths_agent.py works on: questions, replies, scores and prices."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

from orchestrator.bench.baselines import Outcome, OutcomeTable
from orchestrator.bench.recorded import RecordedModel
from orchestrator.bench.suite import Sample
from orchestrator.core.money import Money
from orchestrator.testing.upstream.recording import RecordedReply, Recording

COUNTED = ("input_tokens", "output_tokens", "cost_usd")
COLUMNS = ("query_id", "model", "prompt", "score", "cost_source", *COUNTED)
NOTHING = Fraction(0)
PRICE_DIGITS = 6
MILLION = 10**6
Row = Mapping[str, str]
Rates = tuple[Decimal, Decimal]


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One of the two models.

    Attributes:
        recorded: Its name in the recording, and the price at which its tokens are billed.
        price_source: Where that price comes from.
        token_source: Where its token counts come from, in the recording's words.
        longest: Tokens of its longest reply.
    """

    recorded: RecordedModel
    price_source: str
    token_source: str
    longest: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Replies:
    """What two models once replied to the same questions.

    Attributes:
        questions: Those for which both models have a score.
        models: ``weak``, to be asked first, and ``strong``, to escalate to.
        texts: The replies by prompt and model; what the upstream serves.
        scores: How good they were found, by prompt and model. No agent sees this.
    """

    questions: Sequence[Sample]
    models: Mapping[str, Model]
    texts: Mapping[tuple[str, str], RecordedReply]
    scores: Mapping[tuple[str, str], float]

    def score(self, question: Sample, name: str) -> float:
        """The recorded score of the reply of ``weak`` or ``strong``."""
        return self.scores[question.question, self.models[name].recorded.name]

    def cost(self, question: Sample, name: str) -> Money:
        """What that reply costs."""
        recorded = self.models[name].recorded
        return recorded.cost(self.texts[question.question, recorded.name])

    def baselines(self) -> OutcomeTable:
        """What simple rules would have cost and scored, at the same prices."""
        outcomes = {
            (question.id, name): Outcome(self.score(question, name), self.cost(question, name))
            for question in self.questions
            for name in self.models
        }
        return OutcomeTable(outcomes, source="estimated")


def read_replies(path: str, names: Sequence[str], prices: Mapping[str, Rates]) -> Replies:
    """Read the CSV file at ``path``, gzipped or not.

    Args:
        path: The recording.
        names: The weak and the strong model; empty if the recording holds two, the cheaper first.
        prices: USD per million input and output tokens, for models whose price is not to be
            derived from their recorded costs.

    Raises:
        ValueError: If it cannot be used; the text says what to change.
    """
    rows = _rows(path)
    texts: dict[tuple[str, str], RecordedReply] = {}
    scores: dict[tuple[str, str], float] = {}
    # Of several replies to one prompt the upstream serves the first.
    for reply in Recording.read(path).replies:
        texts.setdefault((reply.prompt.strip(), reply.model), reply)
    for row in rows:
        if row["score"]:
            scores.setdefault((row["prompt"].strip(), row["model"]), float(row["score"]))
    weak, strong = names or _both(rows)
    models = {
        "weak": _model(weak, rows, texts, prices),
        "strong": _model(strong, rows, texts, prices),
    }
    prompts = {row["query_id"]: row["prompt"].strip() for row in rows}
    questions = [
        Sample(query, prompt, answer="")
        for query, prompt in prompts.items()
        if all((prompt, name) in scores and (prompt, name) in texts for name in (weak, strong))
    ]
    if not questions:
        message = f"{path}: no question has replies and scores of both {weak} and {strong}"
        raise ValueError(message)
    return Replies(questions=questions, models=models, texts=texts, scores=scores)


def derive_price(rows: Sequence[Row]) -> Rates:
    """The price, in USD per million input and output tokens, that explains recorded costs best.

    The method of least squares, in exact fractions. Where it leads nowhere (all replies have
    their tokens in the same proportion) or below zero, every token is priced alike.

    Raises:
        ValueError: If no row has a cost and token counts.
    """
    known = [row for row in rows if all(row[name] for name in COUNTED)]
    given, written, cost = ([Fraction(row[name]) for row in known] for name in COUNTED)
    if not any(given) and not any(written):
        message = "no costs and tokens are recorded to derive a price from"
        raise ValueError(message)
    determinant = _dot(given, given) * _dot(written, written) - _dot(given, written) ** 2
    if determinant:
        for_given = _dot(given, cost) * _dot(written, written)
        for_given -= _dot(written, cost) * _dot(given, written)
        for_written = _dot(written, cost) * _dot(given, given)
        for_written -= _dot(given, cost) * _dot(given, written)
        if for_given >= 0 and for_written >= 0:
            return _rate(for_given / determinant), _rate(for_written / determinant)
    tokens = [one + other for one, other in zip(given, written, strict=True)]
    alike = _rate(sum(cost, NOTHING) / sum(tokens, NOTHING))
    return alike, alike


def _dot(left: Sequence[Fraction], right: Sequence[Fraction]) -> Fraction:
    return sum((one * other for one, other in zip(left, right, strict=True)), NOTHING)


def _rate(usd_per_token: Fraction) -> Decimal:
    per_million = round(usd_per_token * MILLION, PRICE_DIGITS)
    exact = Decimal(per_million.numerator) / per_million.denominator
    return Decimal(f"{exact.normalize():f}")


def _rows(path: str) -> list[dict[str, str]]:
    before = csv.field_size_limit(2**31 - 1)  # a prompt may be longer than the usual 128 KiB
    try:
        with gzip.open(path) if path.endswith(".gz") else Path(path).open("rb") as file:
            reader = csv.DictReader(io.TextIOWrapper(file, encoding="utf-8", newline=""))
            missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                message = f"{path}: has no column {', '.join(missing)}"
                raise ValueError(message)
            return list(reader)
    finally:
        csv.field_size_limit(before)


def _both(rows: Sequence[Row]) -> Sequence[str]:
    """The two models of a recording, the one that cost less first."""
    spent: dict[str, Decimal] = {}
    for row in rows:
        spent[row["model"]] = spent.get(row["model"], Decimal(0)) + Decimal(row["cost_usd"] or 0)
    if len(spent) != 2:  # noqa: PLR2004 - a pair
        message = f"choose two models with --models WEAK,STRONG: {', '.join(sorted(spent))}"
        raise ValueError(message)
    return sorted(spent, key=lambda name: spent[name])


def _model(
    name: str,
    rows: Sequence[Row],
    texts: Mapping[tuple[str, str], RecordedReply],
    prices: Mapping[str, Rates],
) -> Model:
    own = [row for row in rows if row["model"] == name]
    lengths = [reply.tokens[1] for (_, model), reply in texts.items() if model == name]
    if not lengths:
        message = f"{name} has no replies in this recording; choose others with --models"
        raise ValueError(message)
    try:
        rates = prices[name] if name in prices else derive_price(own)
    except ValueError as error:
        message = f"{name}: {error}; give --price {name}=INPUT,OUTPUT"
        raise ValueError(message) from error
    return Model(
        recorded=RecordedModel(name, *rates),
        price_source="as given" if name in prices else "derived from recorded costs",
        token_source=", ".join(sorted({row["cost_source"] or "unknown" for row in own})),
        longest=max(1, *lengths),
    )
