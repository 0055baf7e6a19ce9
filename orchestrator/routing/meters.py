"""Rates as something that fills and empties: what may leave now, and how long the rest waits.

Three libraries were looked at. aiolimiter counts one thing, on its event loop's own clock; limits
has no waiting; pyrate-limiter takes a clock, but not from two buckets or none. None can give back
what was estimated too high, or learn from a provider's headers. So this is our own, and small.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from orchestrator.models.rates import Allowance, Rate, RateReport, RateSettings


@dataclass(slots=True)
class Bucket:
    """Fills evenly up to its capacity.

    Attributes:
        capacity: The most that can be taken at once.
        per_s: How much comes in a second.
        level: What was there at ``at``. It can be negative: what is more than the capacity is let
            through when the bucket is full, and paid off afterwards.
        at: When, on the monotonic clock.
    """

    capacity: float
    per_s: float
    level: float
    at: float

    @classmethod
    def full(cls, rate: Rate, now: float) -> Bucket:
        """A bucket from which nothing was taken yet."""
        return cls(rate.amount, rate.amount / rate.period_s, rate.amount, now)

    def wait_s(self, need: float, now: float) -> float:
        """Seconds until ``need`` may be taken."""
        self._fill(now)
        short = min(need, self.capacity) - self.level
        # A millionth is what adding up fractions of seconds loses.
        return short / self.per_s if short > 1e-6 else 0.0  # noqa: PLR2004 - said above

    def take(self, amount: float, now: float) -> None:
        """Take, or with a negative amount give back."""
        self._fill(now)
        self.level = min(self.level - amount, self.capacity)

    def _fill(self, now: float) -> None:
        self.level = min(self.capacity, self.level + (now - self.at) * self.per_s)
        self.at = now


@dataclass(slots=True)
class Meter:
    """The limits of one endpoint or one provider, on requests and on tokens.

    Attributes:
        requests: What the policy says of requests.
        tokens: What the policy says of tokens.
        told_requests: What the provider's last answer said of requests.
        told_tokens: What it said of tokens.
        requests_out: Requests on their way: an answer does not know those sent after its own.
        tokens_out: Tokens that those were let through with.
        paused_until: Nothing leaves before; the provider asked for that.
    """

    requests: Bucket | None = None
    tokens: Bucket | None = None
    told_requests: Bucket | None = None
    told_tokens: Bucket | None = None
    requests_out: int = 0
    tokens_out: int = 0
    paused_until: float = field(default=float("-inf"))

    @classmethod
    def of(cls, rate: RateSettings | None, now: float) -> Meter:
        """A meter on which nothing was counted yet."""
        requests, tokens = (rate.requests, rate.tokens) if rate else (None, None)
        return cls(
            None if requests is None else Bucket.full(requests, now),
            None if tokens is None else Bucket.full(tokens, now),
        )

    def wait_s(self, tokens: int, now: float) -> float:
        """Seconds until a request of so many tokens may leave."""
        waits = [self.paused_until - now, 0.0]
        waits += [one.wait_s(1, now) for one in (self.requests, self.told_requests) if one]
        waits += [one.wait_s(tokens, now) for one in (self.tokens, self.told_tokens) if one]
        return max(waits)

    def take(self, tokens: int, now: float) -> None:
        """Let a request through."""
        self._count(1, tokens, now)
        self.requests_out += 1
        self.tokens_out += tokens

    def settle(self, tokens: int, used: int | None, now: float) -> None:
        """A request has come to its end.

        Args:
            tokens: What it was let through with.
            used: What it used; ``None``: it never left.
            now: When.
        """
        self.requests_out -= 1
        self.tokens_out -= tokens
        self._count(-1 if used is None else 0, (used or 0) - tokens, now)

    def told(self, report: RateReport, now: float) -> None:
        """Take in what an answer says is left."""
        if report.requests is not None:
            self.told_requests = _learned(report.requests, self.requests_out, now)
        if report.tokens is not None:
            self.told_tokens = _learned(report.tokens, self.tokens_out, now)

    def _count(self, requests: int, tokens: int, now: float) -> None:
        for bucket in (self.requests, self.told_requests):
            if bucket is not None:
                bucket.take(requests, now)
        for bucket in (self.tokens, self.told_tokens):
            if bucket is not None:
                bucket.take(tokens, now)


def _learned(said: Allowance, out: int, now: float) -> Bucket | None:
    """What is missing comes back evenly until the reset; nothing missing teaches no rate."""
    missing = said.limit - said.remaining
    if missing <= 0 or said.reset_s <= 0:
        return None
    return Bucket(said.limit, missing / said.reset_s, said.remaining - out, now)
