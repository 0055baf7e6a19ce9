"""The table of every model on every question, computed from recorded replies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from orchestrator.bench.baselines import Outcome, OutcomeTable
from orchestrator.bench.records import Source
from orchestrator.bench.suite import Sample
from orchestrator.core.money import Money
from orchestrator.core.usage import Usage
from orchestrator.pricing.price import Price
from orchestrator.pricing.quote import Quote, Tier
from orchestrator.testing.upstream.recording import RecordedReply


@dataclass(frozen=True, slots=True)
class RecordedModel:
    """A recorded model with the price its tokens are counted at, in USD per million."""

    name: str
    input: Decimal
    output: Decimal

    def cost(self, reply: RecordedReply) -> Money:
        """What ``reply`` cost."""
        tokens_in, tokens_out = reply.tokens
        price = Price(input=self.input, output=self.output)
        return Quote(tiers=(Tier(0, price),)).cost(Usage(tokens_in, tokens_out))


def outcome_table(
    suite: Sequence[Sample],
    models: Iterable[RecordedModel],
    replies_to: Callable[[Sample, str], Sequence[RecordedReply]],
    score: Callable[[Sample, Sequence[RecordedReply]], float],
    source: Source,
) -> OutcomeTable:
    """What each model alone would have cost and scored on each question.

    Args:
        suite: The questions.
        models: The models.
        replies_to: The replies one task needs, by question and model name.
        score: How those replies are judged.
        source: Where the numbers come from.
    """
    outcomes: dict[tuple[str, str], Outcome] = {}
    for model in models:
        for sample in suite:
            replies = replies_to(sample, model.name)
            cost = sum((model.cost(reply) for reply in replies), Money.ZERO)
            outcomes[sample.id, model.name] = Outcome(score(sample, replies), cost)
    return OutcomeTable(outcomes, source)


def price_table(models: Iterable[RecordedModel]) -> Mapping[str, Mapping[str, str]]:
    """The models' prices in the form an upstream bills by."""
    return {
        model.name: {"input": str(model.input), "output": str(model.output)} for model in models
    }
