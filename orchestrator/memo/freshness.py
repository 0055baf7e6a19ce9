"""Whether an entry may still answer: pure rules on a given time and given versions."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from orchestrator.memo.entry import Entry, Needs
from orchestrator.memo.settings import MemoSettings

# Clocks of machines that share a store differ a little; more than this is no skew but an error.
SKEW_S = 300.0

State = Literal["fresh", "stale", "expired", "unfit"]


@dataclass(frozen=True, slots=True)
class Source:
    """A source that entries are made from.

    Attributes:
        version: Its present version.
        since_s: When it got that version, in seconds since 1970 UTC.
    """

    version: str
    since_s: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an entry may do.

    Attributes:
        state: ``fresh``: answer. ``stale``: answer, and ask anew in the background. ``expired``:
            answer only if asking fails. ``unfit``: never answer this asker.
        why: A sentence for people; empty if fresh.
        until_s: Until when an expired entry may answer if asking fails.
    """

    state: State
    why: str = ""
    until_s: float = 0.0

    @property
    def answers(self) -> bool:
        """Whether the entry may answer now."""
        return self.state in ("fresh", "stale")


FRESH = Verdict("fresh")


def judge(
    entry: Entry,
    *,
    settings: MemoSettings,
    needs: Needs,
    sources: Mapping[str, Source],
    now_s: float,
) -> Verdict:
    """Judge an entry for one asker.

    Args:
        entry: The entry.
        settings: The rules of the asking step, as they are now; not those it was stored under.
        needs: The threshold and checks of the asking step.
        sources: The present versions of what the entry was made from; one that is missing counts
            as changed.
        now_s: Seconds since 1970 UTC.
    """
    unmet = needs.unmet_by(entry)
    if unmet is not None:
        return Verdict("unfit", unmet)
    age_s = now_s - entry.created_s
    if age_s < -SKEW_S:
        return Verdict("unfit", f"it was made {-age_s:.0f} s in the future; set the clocks right")
    changed = _changed(entry, sources)
    if changed is None and age_s <= settings.fresh_for_s:
        return FRESH
    old_since_s = entry.created_s + settings.fresh_for_s
    if changed is None:
        if now_s <= old_since_s + settings.stale_for_s:
            return Verdict("stale", f"it is {age_s:.0f} s old")
        return Verdict(
            "expired", f"it is {age_s:.0f} s old", old_since_s + settings.stale_if_error_s
        )
    name, since_s = changed
    until_s = min(since_s, old_since_s) + settings.stale_if_error_s
    return Verdict("expired", f"{name} has changed", until_s)


def _changed(entry: Entry, sources: Mapping[str, Source]) -> tuple[str, float] | None:
    """The first source to have changed, and since when; ``None`` if none has."""
    changes: list[tuple[float, str]] = []
    for name, version in entry.reads.items():
        source = sources.get(name)
        if source is None:
            changes.append((entry.created_s, name))
        elif source.version != version:
            # One that changed while the answer was made had changed before it was stored.
            changes.append((max(source.since_s, entry.created_s), name))
    if not changes:
        return None
    since_s, name = min(changes)
    return name, since_s


def drawn(rate: float, *, ask: str, seed: int = 0) -> bool:
    """Whether one ask belongs to the sample that is asked anew.

    The draw depends on nothing but its arguments, so a replay draws the same.

    Args:
        rate: The share of asks to draw.
        ask: What tells this ask from all others (the task and its journal key).
        seed: The seed.
    """
    if rate <= 0:
        return False
    digest = hashlib.sha256(f"{seed}\x00{ask}".encode()).digest()
    return int.from_bytes(digest[:8], "big") < rate * 2**64
