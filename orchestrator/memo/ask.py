"""What the memo is asked, and what it says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from orchestrator.core.scope import Scope
from orchestrator.memo.entry import NO_NEEDS, Entry, Kind, Needs
from orchestrator.memo.flight import Flight
from orchestrator.memo.freshness import Source
from orchestrator.memo.key import entry_key, request_digest
from orchestrator.memo.settings import MemoSettings
from orchestrator.memo.sharing import NotShareable, Partition, partition_for

Renewal = Literal["refresh", "rerun"]
Purpose = Literal["answer"] | Renewal
HitState = Literal["fresh", "stale", "error"]


class Ask(NamedTuple):
    """One ask of a step or a tool. A tuple, like all that every hit builds: they are made fastest.

    Attributes:
        scope: Who asks.
        step: The step, or the tool.
        settings: The memo's rules there.
        content: From :func:`orchestrator.memo.key.model_content` or ``tool_content``.
        kind: A model's reply or a tool's result.
        needs: What the step asks of an answer.
        labels: Labels of all inputs.
        policy_version: Digest of what chooses the model.
        prompt_version: Version of the prompt, or of the tool.
        draw: What tells this ask from all others (the task's id and the journal key), for the draw
            of re-runs.
        refused: The entry this asker was given before and its own check refused.
        content_digest: SHA-256 of the content with all keys sorted, if it is known.
    """

    scope: Scope
    step: str
    settings: MemoSettings
    content: list[Any]
    kind: Kind = "model"
    needs: Needs = NO_NEEDS
    labels: frozenset[str] = frozenset()
    policy_version: str = ""
    prompt_version: str = ""
    draw: str = ""
    refused: Entry | None = None
    content_digest: str = ""

    def refuses(self, entry: Entry) -> bool:
        """Whether ``entry`` is the one this asker refused."""
        before = self.refused
        if before is None:
            return False
        return (entry.created_s, entry.reply) == (before.created_s, before.reply)

    def digest(self) -> bytes:
        """The digest of what is asked.

        Raises:
            Unkeyable: If it has none.
        """
        return request_digest(
            self.kind,
            self.step,
            self.content,
            policy_version=self.policy_version,
            prompt_version=self.prompt_version,
            reads=self.settings.reads,
            known=self.content_digest,
        )

    def partition(self, more_labels: frozenset[str] = frozenset()) -> Partition | NotShareable:
        """Who may share the answer."""
        rules = self.settings
        labels = self.labels | more_labels if more_labels else self.labels
        return partition_for(self.scope, rules.share, labels, rules.labels)


@dataclass(slots=True, kw_only=True)
class Lease:
    """The duty to ask, until it is put or released.

    Attributes:
        ask: What is asked.
        digest: Its digest.
        key: The key under which others wait.
        flight: The flight that is led.
        purpose: Why it is asked: there was no answer, a stale one, or one to be verified.
        sources: The sources of the step, and of what is known, as they were before asking.
        known: The entry there is, if there is one.
        expires_s: Until when that may answer if asking fails.
        open: Whether it still has to be put or released.
    """

    ask: Ask
    digest: bytes
    key: str
    flight: Flight
    sources: Mapping[str, Source]
    purpose: Purpose = "answer"
    known: Entry | None = None
    expires_s: float = 0.0
    open: bool = True

    def reads(self) -> dict[str, str]:
        """The versions the answer is made from, as far as the step's rules name its sources."""
        return {name: self.sources[name].version for name in self.ask.settings.reads}

    def rekeyed(self, partition: Partition) -> str:
        """The key under a narrower partition."""
        return entry_key(partition, self.digest)


class Hit(NamedTuple):
    """An answer that costs nothing.

    Attributes:
        entry: The entry; ``entry.cost``, ``tokens`` and ``seconds`` are what it saves.
        state: ``fresh``, ``stale`` (within ``stale_for``) or ``error`` (within
            ``stale_if_error``).
        age_s: Seconds since it was stored.
        shared: Whether this ask waited for another asker's answer.
        due: Why it is to be asked anew in the background (:meth:`Memo.renew`): it is stale, or it
            was drawn to be verified; ``None`` if it is not.
    """

    entry: Entry
    state: HitState
    age_s: float
    shared: bool = False
    due: Renewal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Miss:
    """The ask has to be paid.

    Attributes:
        reason: In one word: ``absent``, ``expired``, ``unfit``, ``secret-or-no-user``,
            ``no-key``, ``fault`` (of the store) or ``alone`` (another's answer could not be
            shared).
        why: A sentence for people.
        lease: To be put or released; ``None`` where nothing can be shared: ask, and that is all.
    """

    reason: str
    why: str
    lease: Lease | None = None


@dataclass(frozen=True, slots=True)
class Put:
    """What became of an answer that was offered.

    Attributes:
        stored: Whether later asks can find it.
        reason: In one word why not: ``incomplete``, ``failed-check``, ``narrowed``, ``weaker``,
            ``too-large``, ``fault``; empty if it is stored.
    """

    stored: bool
    reason: str = ""
