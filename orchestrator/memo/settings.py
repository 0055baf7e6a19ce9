"""The memo's rules as the policy states them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from orchestrator.memo.sharing import Share

DEFAULT_SIZE_LIMIT_BYTES = 2**30
DEFAULT_MAX_AGE_S = 30 * 86_400.0
MAX_VALUE_BYTES = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoSettings:
    """``memo:`` of one step or tool; a step without it has no memo.

    Attributes:
        fresh_for_s: Seconds for which an entry answers without question.
        stale_for_s: Seconds after that for which it still answers while it is asked anew in the
            background, where that has a budget. Only for entries that grew old: one whose source
            has changed is never served this way.
        stale_if_error_s: Seconds after it became stale for which it answers if asking failed.
        share: Who else may be given an entry.
        reads: Names of the sources that answers are made from.
        labels: The widest sharing that each label of the team's own allows.
        rerun_rate: Share of hits (0 to 1) that are asked anew to measure the real stale rate.
    """

    fresh_for_s: float
    stale_for_s: float = 0.0
    stale_if_error_s: float = 0.0
    share: Share = "user"
    reads: tuple[str, ...] = ()
    labels: Mapping[str, Share] = field(default_factory=dict)
    rerun_rate: float = 0.0

    def __post_init__(self) -> None:
        """Refuse durations and rates that mean nothing.

        Raises:
            ValueError: If a duration is negative or not finite, or the rate is no probability.
        """
        for name in ("fresh_for_s", "stale_for_s", "stale_if_error_s"):
            seconds = getattr(self, name)
            if not 0 <= seconds < float("inf"):
                message = f"{name} is {seconds!r}; give seconds, 0 or more"
                raise ValueError(message)
        if not 0 <= self.rerun_rate <= 1:
            message = f"rerun_rate is {self.rerun_rate!r}; give a share between 0 and 1"
            raise ValueError(message)

    @property
    def keep_for_s(self) -> float:
        """Seconds after which an entry can answer no one any more."""
        return self.fresh_for_s + max(self.stale_for_s, self.stale_if_error_s)


@dataclass(frozen=True, slots=True)
class MemoTable:
    """The memo's rules by step; ``*`` answers for a step that is not named.

    A named step without a memo has ``None``: it does not fall back on ``*``.
    """

    steps: Mapping[str, MemoSettings | None] = field(default_factory=dict)

    def __getitem__(self, step: str) -> MemoSettings | None:
        """The rules of ``step``; ``None`` if it has no memo."""
        return self.steps[step] if step in self.steps else self.steps.get("*")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSettings:
    """How much a store may hold, and for how long.

    Attributes:
        size_limit_bytes: Bytes on disk above which the entries asked for least often go.
        max_entries: Entries above which they go; ``None``: only the bytes count.
        max_age_s: Seconds after which an entry goes, whatever its own rules say.
        max_value_bytes: Replies larger than this are not stored.
    """

    size_limit_bytes: int = DEFAULT_SIZE_LIMIT_BYTES
    max_entries: int | None = None
    max_age_s: float = DEFAULT_MAX_AGE_S
    max_value_bytes: int = MAX_VALUE_BYTES
