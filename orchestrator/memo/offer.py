"""What becomes of an answer that is offered: pure rules on a lease, an answer and a given time."""

from __future__ import annotations

from orchestrator.memo.ask import Lease
from orchestrator.memo.entry import NO_NEEDS, Answer, Entry
from orchestrator.memo.freshness import judge
from orchestrator.memo.readings import add_readings
from orchestrator.memo.sharing import NotShareable


def entry_of(lease: Lease, answer: Answer, now_s: float) -> Entry | str:
    """The entry to keep and share, or in one word why there is none.

    Args:
        lease: What was asked, and the sources as they were before.
        answer: What came of it.
        now_s: Seconds since 1970 UTC.
    """
    ask, key = lease.ask, lease.key
    if not answer.complete:
        return "incomplete"
    if not all(answer.checks.values()):
        return "failed-check"
    if answer.labels:
        partition = ask.partition(answer.labels)
        if isinstance(partition, NotShareable):
            return "narrowed"
        key = lease.rekeyed(partition)
    reads = lease.reads()
    add_readings(reads, answer.reads)
    return Entry(
        key=key,
        kind=ask.kind,
        step=ask.step,
        tenant=ask.scope.tenant,
        user=ask.scope.user,
        created_s=now_s,
        reply=answer.reply,
        model=answer.model,
        confidence=answer.confidence,
        confidence_state=answer.confidence_state,
        checks=frozenset(answer.checks),
        reads=reads,
        labels=ask.labels | answer.labels,
        cost=answer.cost,
        tokens=answer.tokens,
        seconds=answer.seconds,
    )


def is_outdone(lease: Lease, entry: Entry, now_s: float, *, differs: bool) -> bool:
    """Whether the entry there is is still fresh, and in every way at least as strong.

    Args:
        lease: What was asked, and the entry that was known before.
        entry: What would take its place.
        now_s: Seconds since 1970 UTC.
        differs: For a re-run: whether it means something else.
    """
    known = lease.known
    if known is None or known.key != entry.key or lease.ask.refuses(known):
        return False
    if lease.purpose == "rerun" and differs:
        return False
    verdict = judge(
        known,
        settings=lease.ask.settings,
        needs=NO_NEEDS,
        sources=lease.sources,
        now_s=now_s,
    )
    return (
        verdict.state == "fresh"
        and known.checks >= entry.checks
        and (known.confidence or 0.0) >= (entry.confidence or 0.0)
    )
