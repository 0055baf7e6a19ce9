"""Which line of a provider's usage is which attempt in doubt. Where that is not clear, none."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from orchestrator.ledger.records import UNASKED
from orchestrator.ledger.stores.reading import Doubt, Spending
from orchestrator.reports.usage import Usage

SKEW = timedelta(minutes=2)
"""How far a provider's clock, or the moment it notes, may lie from ours."""

_DATED = re.compile(r"-\d[\d-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Matching:
    """What a usage file says about attempts in doubt.

    Attributes:
        resolved: Doubts with the one line that must be theirs.
        ambiguous: Doubts that more than one line, or lines that more than one attempt, could be.
        missing: Doubts that no line could be. That a file does not tell of a request does not
            prove that it was not billed.
        foreign: How many lines belong to no attempt of this ledger.
    """

    resolved: tuple[tuple[Doubt, Usage], ...]
    ambiguous: tuple[tuple[Doubt, tuple[Usage, ...]], ...]
    missing: tuple[Doubt, ...]
    foreign: int


def match(lines: Sequence[Usage], doubts: Sequence[Doubt], others: Sequence[Spending]) -> Matching:
    """Match lines of usage with attempts in doubt.

    A line that names an attempt's id is that attempt's. Of the others, those that tell of an
    attempt whose end is known are set aside first: same model, tokens (else cost) and time. A line
    that is left is a doubt's if model and time fit, if it fits nothing else, and if no other line
    fits that doubt. An attempt that is open, or was booked at its bound because its answer was cut,
    may be the other thing that a line fits.

    Args:
        lines: The provider's.
        doubts: The attempts in doubt.
        others: All other attempts of the time that the lines cover.
    """
    by_id = {line.request_id: line for line in lines if line.request_id}
    named = [(doubt, by_id[doubt.attempt_id]) for doubt in doubts if doubt.attempt_id in by_id]
    told = {line.line for _, line in named}
    told |= {by_id[one.attempt_id].line for one in others if one.attempt_id in by_id}
    unnamed = [one for one in others if one.attempt_id not in by_id and one.kind not in UNASKED]
    told |= _told(unnamed, [line for line in lines if line.line not in told])
    left = [line for line in lines if line.line not in told]
    vague = [one for one in unnamed if _is_vague(one)]
    open_doubts = [doubt for doubt in doubts if doubt.attempt_id not in by_id]

    fitting: dict[int, int] = defaultdict(int)
    for line in left:
        fitting[line.line] = sum(_fits_vague(line, one) for one in vague)
        fitting[line.line] += sum(_fits(line, doubt) for doubt in open_doubts)
    resolved, ambiguous, missing = list(named), [], []
    for doubt in open_doubts:
        candidates = tuple(line for line in left if _fits(line, doubt))
        if not candidates:
            missing.append(doubt)
        elif len(candidates) == 1 and fitting[candidates[0].line] == 1:
            resolved.append((doubt, candidates[0]))
        else:
            ambiguous.append((doubt, candidates))
    return Matching(
        resolved=tuple(resolved),
        ambiguous=tuple(ambiguous),
        missing=tuple(missing),
        foreign=sum(not fitting[line.line] for line in left),
    )


def _told(known: Iterable[Spending], lines: Sequence[Usage]) -> set[int]:
    """Lines that tell of attempts whose end is known, each of one.

    Each attempt, in the order in which their times end, takes the first line that fits: so as many
    lines find their attempt as can.
    """
    found: set[int] = set()
    by_time = sorted(lines, key=lambda line: line.at)
    ended = [(one.ended_at, one) for one in known if one.ended_at and not _is_vague(one)]
    for ended_at, one in sorted(ended, key=lambda pair: pair[0]):
        for line in by_time:
            if line.line not in found and _is_of(line, one, ended_at):
                found.add(line.line)
                break
    return found


def _is_of(line: Usage, one: Spending, ended_at: datetime) -> bool:
    if not one.at - SKEW <= line.at <= ended_at + SKEW:
        return False
    if not _is_model(line, one.provider_model) and line.model != one.served_model:
        return False
    if line.tokens is None or one.usage is None:
        return line.cost == one.cost
    return line.tokens == (one.usage.input_tokens, one.usage.output_tokens)


def _is_vague(one: Spending) -> bool:
    """Whether the provider may have billed an attempt in a way that we did not see."""
    return one.end is None or (one.certainty == "estimated" and one.usage is None)


def _fits_vague(line: Usage, one: Spending) -> bool:
    until = line.at if one.ended_at is None else one.ended_at + SKEW
    return one.at - SKEW <= line.at <= until and _is_model(line, one.provider_model)


def _fits(line: Usage, doubt: Doubt) -> bool:
    is_time = doubt.at - SKEW <= line.at <= doubt.expires_at + SKEW
    return is_time and _is_model(line, doubt.provider_model)


def _is_model(line: Usage, provider_model: str) -> bool:
    """Whether a line names this model, with or without its provider, or a dated version of it."""
    name = provider_model.partition("/")[2] or provider_model
    rest = line.model.removeprefix(name)
    return line.model in (provider_model, name) or (
        rest != line.model and _DATED.fullmatch(rest) is not None
    )
