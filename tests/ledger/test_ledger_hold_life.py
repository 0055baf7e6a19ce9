"""How long a hold lives whose owner died."""

from datetime import timedelta

import pytest

postgres = pytest.importorskip("orchestrator.ledger.stores.postgres")


async def test_a_hold_that_was_waited_for_lives_no_longer_than_another(
    postgres_url, open_bank, demand, clock
):
    """By the server's clock its life begins when it is granted, however long ago it was wanted."""
    bank = await open_bank(postgres.PostgresStore(postgres_url))
    await bank.open_task()
    wanted_at = clock.now() - timedelta(hours=1)
    intent = bank.intent(10, at=wanted_at, expires_at=wanted_at + timedelta(microseconds=1))
    await bank.ledger.reserve(intent, [demand(100)])

    other = await open_bank(postgres.PostgresStore(postgres_url))

    assert await other.ledger.expire_overdue() == 1
