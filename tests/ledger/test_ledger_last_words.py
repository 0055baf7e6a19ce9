"""What the ledger says of attempts that it ended itself, and of tasks it forgets."""

from orchestrator.ledger.stores.sqlite import SqliteStore


async def test_who_withdrew_sent_nothing_and_who_died_may_have(open_bank, ledger_path, demand):
    bank = await open_bank(SqliteStore(ledger_path))
    await bank.open_task()
    for step in ("withdrawn", "abandoned"):
        attempt = await bank.hold(10, demand(100), step=step)
        if step == "withdrawn":
            await bank.ledger._withdraw(attempt)
    await bank.ledger.take_over("task-1", owner="another")

    attempts = (await bank.ledger.history("task-1")).attempts
    assert [(one.intent.step, one.end.end, one.was_sent) for one in attempts] == [
        ("withdrawn", "released", False),
        ("abandoned", "expired", True),
    ]
    assert attempts[1].end.error == "its owner died"


async def test_of_a_user_who_is_forgotten_only_what_runs_is_called_running(open_bank, ledger_path):
    bank = await open_bank(SqliteStore(ledger_path))
    for status in ("running", "completed", "halted", "failed"):
        await bank.open_task(status)
        if status != "running":
            await bank.close_task(status, status=status)

    forgotten = await bank.ledger.forget("u1")

    assert sorted(forgotten.tasks) == ["completed", "failed", "halted", "running"]
    assert forgotten.running == ("running",)
