"""Eight processes spend from a tree of eight budgets and are killed; somebody reads all the time.

At no committed state is more settled, reserved and disputed than a budget's limit: promise 1.
"""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from orchestrator.ledger.factory import ledger_from_url, reader_from_url
from orchestrator.testing import FakeClock

CUSTOMER = Path(__file__).with_name("customer.py")
LONG = bool(os.environ.get("TORTURE"))
PROCESSES = 8 if LONG else 3
READS = 100_000 if LONG else 2_000
WRITES = 50_000 if LONG else 500
KILLS = 40 if LONG else 2
STATE = """
SELECT count(*), coalesce(max(committed * 100 / most), 0),
    sum(CASE WHEN committed > most AND committed > seed THEN 1 ELSE 0 END)
FROM (SELECT account_id, seed, settled + reserved + disputed AS committed,
    CASE kind WHEN 'org' THEN 1000 WHEN 'team' THEN 700 ELSE 250 END AS most FROM accounts) a
"""
"""How many accounts, how full the fullest is in percent, how many are over: in one snapshot."""
LATEST = f"{STATE} WHERE account_id > (SELECT max(account_id) FROM accounts) - 50"
"""Those of windows long gone do not change any more; all are read again in the end."""


@pytest.fixture
def customers():
    running = []
    yield running
    for process in running:
        process.kill()
        process.communicate()


def start(url, number, seed):
    """Its standard input ends when this process does, however that is; then it ends too."""
    order = [sys.executable, CUSTOMER, url, str(number), str(seed)]
    return subprocess.Popen(order, stdin=subprocess.PIPE)


def test_a_customer_does_not_outlive_who_started_it(ledger_path):
    with start(f"sqlite:///{ledger_path}", 0, 0) as customer:
        customer.stdin.close()
        assert customer.wait(60) == 0


@pytest.mark.torture
@pytest.mark.parametrize("backend", ["sqlite", "postgres"])
async def test_no_budget_is_overspent_at_any_state(
    request, backend, ledger_path, customers, record_property
):
    if backend == "sqlite":
        url = f"sqlite:///{ledger_path}"
    else:
        pytest.importorskip("psycopg")
        url = request.getfixturevalue("postgres_url")
    ledger = ledger_from_url(url, clock=FakeClock())
    await ledger.open()
    await ledger.aclose()
    seed = int(os.environ.get("BANK_SEED", random.randrange(10**6)))
    rng = random.Random(seed)
    customers += [start(url, number, number) for number in range(PROCESSES)]
    reads = kills = 0
    with reader_from_url(url) as reader:
        until = time.monotonic() + (3000 if LONG else 300)
        while time.monotonic() < until:
            ((_, _, over),) = reader._query(LATEST, ())
            assert not over, f"over its limit, BANK_SEED={seed}"
            reads += 1
            if reads % 100 == 0:
                ((attempts,),) = reader._query("SELECT coalesce(max(seq), 0) FROM attempts", ())
                if reads >= READS and attempts >= WRITES and kills == KILLS:
                    break
                if kills < KILLS and attempts > WRITES * (kills + 1) / (KILLS + 1):
                    number = rng.randrange(PROCESSES)
                    customers[number].send_signal(signal.SIGKILL)
                    customers[number].communicate()
                    customers[number] = start(url, number, 1000 + kills)
                    kills += 1
        for process in customers:
            assert process.poll() is None, "no customer may fail"
            process.kill()
            process.communicate()
        ((_, fullest, over),) = reader._query(STATE, ())
        ends = dict(reader._query('SELECT "end", count(*) FROM attempt_records GROUP BY 1', ()))
    await ledger.open()
    sound = await ledger.verify()
    await ledger.aclose()

    assert not over
    assert sound.is_sound, sound
    assert fullest > 90, "a limit was nearly reached"
    assert (reads >= READS, kills) == (True, KILLS)
    assert {"settled", "released", "expired"} <= ends.keys()
    record_property(
        f"bank on {backend}",
        f"{PROCESSES} processes, {reads} reads, {kills} kills, {sound.attempts} attempts,"
        f" {sound.accounts} accounts, none over its limit",
    )
