"""Bodies that are sealed on their way in and opened on their way out."""

from dataclasses import replace

import pytest

from orchestrator.core.halt import Halt
from orchestrator.core.money import Money
from orchestrator.core.sealing import Seal
from orchestrator.ledger.factory import ledger_from_url
from orchestrator.ledger.lessons import Lesson
from orchestrator.ledger.records import AttemptEnd
from orchestrator.ledger.remembered import Remembered
from orchestrator.ledger.sealed import SealedLedger


class Backwards:
    """Writes backwards: enough to tell what was sealed."""

    def encrypt(self, data: bytes) -> bytes:
        return data[::-1]

    def decrypt(self, token: bytes) -> bytes | None:
        return token[::-1]


@pytest.fixture
async def sealed(sqlite_bank, ledger_path, clock):
    """The same ledger, for who has the key."""
    url = f"sqlite:///{ledger_path}"
    ledger = ledger_from_url(url, clock=clock, seal=Seal(Backwards()))
    assert isinstance(ledger, SealedLedger)
    await ledger.open()
    yield replace(sqlite_bank, ledger=ledger)
    await ledger.aclose()


async def test_bodies_are_sealed_in_the_store_and_open_to_who_has_the_key(
    sealed, sqlite_bank, demand
):
    await sealed.open_task()
    paid = await sealed.hold(10, demand(100))
    await sealed.settle(paid, 4, reply=b"a reply")
    free = sealed.intent(0, kind="memo")
    end = AttemptEnd(
        attempt_id=free.attempt_id,
        end="settled",
        cost=Money.ZERO,
        certainty="known",
        seconds=0.0,
        at=sealed.clock.now(),
        reply=b"a hit",
    )
    sealed.ledger.free(free, end, None)
    sealed.ledger.hit(
        Remembered(
            attempt_id="att-hit",
            task_id="task-1",
            epoch=1,
            key="key",
            request_hash="hash",
            step="plan",
            model="small",
            at=sealed.clock.now(),
            saved=Money(1),
            saved_seconds=1.0,
            reply=b"remembered",
        )
    )
    await sealed.hold(10, demand(100))
    await sealed.close_task(status="halted", output=("json", b"so far"))

    opened, kept = await sealed.ledger.task("task-1"), await sqlite_bank.ledger.task("task-1")
    assert opened.opening.input_body == b'{"question": "why"}'
    assert opened.output == ("json", b"so far")
    assert kept.output[1] != b"so far"
    assert b"question" not in kept.opening.input_body

    def replies(history):
        return [one.end and one.end.reply for one in history.attempts]

    assert replies(await sealed.ledger.history("task-1")) == [
        b"a reply",
        b"a hit",
        b"remembered",
        None,
    ]
    kept = set(replies(await sqlite_bank.ledger.history("task-1")))
    assert not {b"a reply", b"a hit", b"remembered"} & kept
    taken = await sealed.ledger.take_over("task-1", owner="process-2")
    assert taken.opening.input_body == b'{"question": "why"}'
    assert await sealed.ledger.task("nothing") is None


async def test_where_nothing_was_said_nothing_is_sealed(sealed, sqlite_bank, demand):
    await sealed.open_task()
    await sealed.settle(await sealed.hold(10, demand(100)), 4)
    fields = {"task_id": "task-1", "epoch": 1, "key": "key", "request_hash": "hash"}
    fields |= {"step": "look_up", "model": "look_up", "saved": Money(1), "saved_seconds": 1.0}
    sealed.ledger.hit(Remembered(attempt_id="att-tool", at=sealed.clock.now(), **fields))

    attempts = (await sealed.ledger.history("task-1")).attempts

    assert [one.end.reply for one in attempts] == [None, None]
    assert (await sqlite_bank.ledger.history("task-1")).attempts == attempts


async def test_what_was_asked_is_no_lesson_where_it_is_sealed(sealed, sqlite_bank):
    fields = {"tenant": "t", "kind": "observation", "task_id": "task-1", "step": "plan"}
    fields |= {"body": {"signals": [1]}, "at": sealed.clock.now(), "words": {7: 0.5}}
    sealed.ledger.note([Lesson(subject="a", **fields)])
    await sealed.ledger.teach([Lesson(subject="b", **fields)])
    await sqlite_bank.ledger.teach([Lesson(subject="c", **fields)])

    lessons = await sealed.ledger.lessons("t")

    assert [one.words for one in lessons] == [{}, {}, {7: 0.5}]
    assert [one.body for one in lessons] == [{"signals": [1]}] * 3


async def test_a_question_is_left_to_the_checkpoint(sealed, sqlite_bank):
    question = Halt(reason="question", scope="task", limit=None, spent=None, detail="Is it Bob?")
    await sealed.open_task()
    await sealed.close_task(status="halted", halt=question)

    assert "Bob" not in (await sqlite_bank.ledger.task("task-1")).halt.detail
    await sealed.ledger.take_over("task-1", owner="process-2")
    timeout = replace(question, reason="timeout")
    await sealed.close_task(status="halted", halt=timeout, epoch=2)
    assert (await sqlite_bank.ledger.task("task-1")).halt == timeout
