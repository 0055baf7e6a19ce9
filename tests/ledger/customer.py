"""A process that moves money at random in a tree of eight budgets, until it is killed.

Usage: customer.py URL NUMBER SEED. Attempts are held, settled, released, withdrawn, or left to
expire; a budget's window is half a second, so that new accounts are opened all the time.
"""

import os
import random
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from orchestrator.core.ids import new_attempt_id
from orchestrator.core.money import Money
from orchestrator.core.scope import Scope
from orchestrator.ledger.records import (
    Account,
    AttemptEnd,
    AttemptIntent,
    Demand,
    TaskOpening,
)
from orchestrator.ledger.stores.rows import from_us, to_us
from orchestrator.ledger.stores.sqlite import SqliteStore
from orchestrator.testing.teller import Teller

WINDOW_US = 500_000
LIMITS = {"org": 1000, "team": 700, "agent": 250}
"""In nano-dollars: of one org, two teams and five agents."""


def now():
    return datetime.now(UTC)


class Customer:
    def __init__(self, url, number, seed):
        self.rng = random.Random(seed)
        if url.startswith("sqlite"):
            store = SqliteStore(Path(url.removeprefix("sqlite:///")))
        else:
            from orchestrator.ledger.stores.postgres import PostgresStore  # noqa: PLC0415 - an extra

            store = PostgresStore(url)
        self.teller = Teller(store, now)
        self.scope = Scope(
            "acme", f"team-{number % 2}", f"agent-{number % 5}", f"{number}-{seed}", "t"
        )
        self.asks, self.held = {}, {}

    def open(self):
        self.teller.open()
        opening = TaskOpening(
            scope=self.scope,
            owner="p",
            graph="g",
            policy="p",
            input_type="json",
            input_body=b"{}",
            at=now(),
        )
        self.teller.carry_out([self.teller.open_task(opening)])

    def ask(self):
        at = now()
        window = to_us(at) // WINDOW_US
        starts, ends = from_us(window * WINDOW_US), from_us((window + 1) * WINDOW_US)
        demands = [
            Demand(
                Account(kind, self.scope.identity(kind), str(window), starts, ends), Money(limit)
            )
            for kind, limit in LIMITS.items()
        ]
        intent = AttemptIntent(
            attempt_id=new_attempt_id(),
            task_id=self.scope.task_id,
            epoch=1,
            key="k",
            request_hash="h",
            step="s",
            kind="ask",
            model="m",
            provider_model="m",
            reserve=Money(self.rng.randrange(120)),
            expires_at=at + timedelta(seconds=self.rng.choice([0.01, 1, 1])),
            at=at,
        )
        asking = self.asks[intent.attempt_id] = self.teller.reserve(intent, demands)
        return asking

    def end(self):
        attempt_id = self.rng.choice(list(self.held))
        reserve = self.held.pop(attempt_id)
        if self.rng.random() < 0.2:
            return self.teller.withdraw(attempt_id)
        is_settled = self.rng.random() < 0.7
        ended = AttemptEnd(
            attempt_id=attempt_id,
            end="settled" if is_settled else "released",
            cost=Money(self.rng.randint(0, reserve) if is_settled else 0),
            overrun=Money(self.rng.choice([0, 0, 5]) if is_settled else 0),
            certainty="known",
            seconds=0.1,
            at=now(),
        )
        return self.teller.end(ended)

    def act(self):
        batch = [self.ask() for _ in range(self.rng.randrange(4))]
        batch += [self.end() for _ in range(self.rng.randrange(4)) if self.held]
        if self.rng.random() < 0.05:
            batch.append(self.teller.expire_overdue())
        if self.rng.random() < 0.01:
            self.teller.disown()
            self.held.clear()
        if not self.teller.carry_out(batch):
            self.asks.clear()
        elif self.teller.waiting:
            self.teller.look()
        for attempt_id, asking in list(self.asks.items()):
            if asking.wait_at is None:
                del self.asks[attempt_id]
                if asking.error is None:
                    self.held[attempt_id] = asking.intent.reserve.nano
            elif self.rng.random() < 0.1:
                self.teller.carry_out([self.teller.withdraw(attempt_id)])
                del self.asks[attempt_id]


def end_with_who_started_this():
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    threading.Thread(target=end_with_who_started_this, daemon=True).start()
    customer = Customer(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
    customer.open()
    while True:
        customer.act()
        time.sleep(0)
