"""Looking after a store: what is in it, what goes, what is sound. For people, not for asks.

These functions read every entry. They take an open store, block, and raise
:class:`~orchestrator.memo.store.StoreFault`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from statistics import median

from orchestrator.core.clock import Clock
from orchestrator.core.money import Money
from orchestrator.memo.entry import Entry, EntryDamaged, decode
from orchestrator.memo.sources import touch_source
from orchestrator.memo.store import Store, ValueRefused


@dataclass(frozen=True, slots=True)
class Damaged:
    """An entry that cannot be read.

    Attributes:
        key: Its key.
        why: A sentence for people.
    """

    key: str
    why: str


@dataclass(frozen=True, slots=True)
class Gone:
    """What was deleted.

    Attributes:
        by_step: Entries by step or tool.
        damaged: Unreadable entries that went too, because no one can say whose they were.
    """

    by_step: Mapping[str, int]
    damaged: int = 0

    @property
    def entries(self) -> int:
        """All of them."""
        return sum(self.by_step.values()) + self.damaged


@dataclass(frozen=True, slots=True)
class StepHoldings:
    """What a store holds of one step or tool.

    Attributes:
        step: The step or tool.
        entries: Entries.
        size_bytes: Bytes of their replies.
        youngest_s: Age of the youngest, in seconds.
        median_s: The median age.
        oldest_s: Age of the oldest.
        worth: What they cost: what one hit on each would save.
    """

    step: str
    entries: int
    size_bytes: int
    youngest_s: float
    median_s: float
    oldest_s: float
    worth: Money


def read_all(store: Store) -> Iterator[Entry | Damaged]:
    """Every entry."""
    for key in store.scan():
        try:
            body = store.get(key, counts=False)
            if body is not None:
                yield decode(body, key)
        except (ValueRefused, EntryDamaged) as error:
            yield Damaged(key, str(error))


def entries(store: Store) -> Iterator[Entry]:
    """Every readable entry."""
    return (found for found in read_all(store) if isinstance(found, Entry))


def holdings(store: Store, clock: Clock) -> list[StepHoldings]:
    """What the store holds, by step."""
    by_step: defaultdict[str, list[Entry]] = defaultdict(list)
    for entry in entries(store):
        by_step[entry.step].append(entry._replace(reply=entry.reply[:0], tokens=len(entry.reply)))
    now_s = clock.now().timestamp()
    rows = []
    for step, held in sorted(by_step.items()):
        ages_s = [now_s - entry.created_s for entry in held]
        rows.append(
            StepHoldings(
                step=step,
                entries=len(held),
                size_bytes=sum(entry.tokens for entry in held),
                youngest_s=min(ages_s),
                median_s=median(ages_s),
                oldest_s=max(ages_s),
                worth=sum((entry.cost for entry in held), Money.ZERO),
            )
        )
    return rows


def forget(store: Store, user: str, *, tenant: str | None = None) -> Gone:
    """Erase every entry that was asked for ``user``, however widely it was shared.

    Stop the user's tasks first: what they put afterwards is stored anew.

    Args:
        store: Where.
        user: The user.
        tenant: Only in this tenant; ``None``: in all.
    """
    # What is past its time can no longer be read, but is still there.
    store.trim()
    gone = _delete(
        store,
        lambda entry: entry.user == user and tenant in (None, entry.tenant),
        damaged_too=True,
    )
    store.scrub()
    return gone


def delete(
    store: Store,
    *,
    tenant: str | None = None,
    step: str | None = None,
    model: str | None = None,
    key: str | None = None,
) -> Gone:
    """Delete the entries that match everything given; ``key`` may be the beginning of one.

    Raises:
        ValueError: If nothing is given.
    """
    if tenant is None and step is None and model is None and key is None:
        message = "say what to delete: a tenant, a step, a model or a key"
        raise ValueError(message)
    return _delete(
        store,
        lambda entry: (
            tenant in (None, entry.tenant)
            and step in (None, entry.step)
            and model in (None, entry.model)
            and entry.key.startswith(key or "")
        ),
    )


def invalidate_reads(
    store: Store, source: str, clock: Clock, *, tenant: str | None = None
) -> Mapping[str, int]:
    """Say that ``source`` changed, in one tenant or in all that made entries from it.

    Nothing is deleted: what was made from the source is stale from now on.

    Returns:
        The dependent entries by tenant.
    """
    dependants = Counter(entry.tenant for entry in entries(store) if source in entry.reads)
    tenants = sorted(dependants) if tenant is None else [tenant]
    for name in tenants:
        touch_source(store, name, source, version=None, clock=clock)
    return {name: dependants[name] for name in tenants}


def damaged(store: Store, *, delete_them: bool = False) -> list[Damaged]:
    """The entries that cannot be read; with ``delete_them`` they are deleted."""
    found = [entry for entry in read_all(store) if isinstance(entry, Damaged)]
    if delete_them:
        store.delete(entry.key for entry in found)
    return found


def _delete(store: Store, doomed: Callable[[Entry], bool], *, damaged_too: bool = False) -> Gone:
    keys: list[str] = []
    by_step: Counter[str] = Counter()
    unreadable = 0
    for found in read_all(store):
        if isinstance(found, Damaged):
            if damaged_too:
                keys.append(found.key)
                unreadable += 1
        elif doomed(found):
            keys.append(found.key)
            by_step[found.step] += 1
    store.delete(keys)
    return Gone(by_step=dict(by_step), damaged=unreadable)
