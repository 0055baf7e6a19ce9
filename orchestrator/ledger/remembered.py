"""A hit of the memo, until the ledger's own thread makes rows of it."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from orchestrator.core.money import Money
from orchestrator.ledger.records import AttemptEnd, AttemptIntent, Decision


class Remembered(NamedTuple):
    """An attempt that asked nobody, because a memo knew the answer; it reserves and costs nothing.

    Attributes:
        attempt_id: Its own unique id.
        task_id: The task.
        epoch: The owner's epoch of the task; for an older one nothing is written.
        key: The journal key.
        request_hash: Digest of what was asked.
        step: The step, or the tool.
        model: Who had answered when it was paid for: the model's name in the policy, or the tool's.
        at: When.
        saved: What it would have cost.
        saved_seconds: How long it would have taken.
        served_model: The model that the provider had said it served.
        reply: The reply, to be replayed on resume; ``None`` for a tool, which is called again.
        decision: Why it answers; ``None`` for a tool.
    """

    attempt_id: str
    task_id: str
    epoch: int
    key: str
    request_hash: str
    step: str
    model: str
    at: datetime
    saved: Money
    saved_seconds: float
    served_model: str | None = None
    reply: bytes | None = None
    decision: Decision | None = None

    def intent(self) -> AttemptIntent:
        """Its intent, which holds nothing."""
        return AttemptIntent(
            attempt_id=self.attempt_id,
            task_id=self.task_id,
            epoch=self.epoch,
            key=self.key,
            request_hash=self.request_hash,
            step=self.step,
            kind="memo",
            model=self.model,
            provider_model=self.served_model or self.model,
            reserve=Money.ZERO,
            expires_at=self.at,
            at=self.at,
        )

    def end(self) -> AttemptEnd:
        """Its end."""
        return AttemptEnd(
            attempt_id=self.attempt_id,
            end="settled",
            cost=Money.ZERO,
            certainty="known",
            seconds=0.0,
            at=self.at,
            served_model=self.served_model,
            reply=self.reply,
            saved=self.saved,
            saved_seconds=self.saved_seconds,
        )
