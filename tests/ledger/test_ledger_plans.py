"""How PostgreSQL is told to find rows."""

import pytest


async def test_only_what_reads_whole_tables_is_planned_so(postgres_url):
    """By key, as all else is planned, a ledger of 50,000 attempts is not verified within hours."""
    postgres = pytest.importorskip("orchestrator.ledger.stores.postgres")
    store = postgres.PostgresStore(postgres_url)
    store.open()
    store.begin(write=False)
    ((before,),) = store._query("SHOW enable_hashjoin")
    assert store.orphans() == []
    ((meanwhile,),) = store._query("SHOW enable_hashjoin")
    store.rollback()
    ((after,),) = store._query("SHOW enable_hashjoin")
    store.close()

    assert (before, meanwhile, after) == ("off", "on", "off")
