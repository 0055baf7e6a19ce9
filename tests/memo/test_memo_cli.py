"""The commands under ``orchestrator memo``, on a real directory."""

import asyncio
import json

import pytest
from typer.testing import CliRunner

from orchestrator.cli.memo import app
from orchestrator.memo.disk import DiskStore
from orchestrator.memo.memo import Memo
from orchestrator.memo.settings import MemoSettings

CATALOG = MemoSettings(fresh_for_s=3600.0, share="team", reads=("catalog",))


@pytest.fixture
def memo_at(tmp_path, ask, answer):
    async def fill():
        async with Memo(DiskStore(tmp_path / "memo")) as memo:
            for one in (ask("1"), ask("2", settings=CATALOG), ask("3", step="classify")):
                found = await memo.lookup(one)
                await memo.put(found.lease, answer(b"a reply"))

    asyncio.run(fill())
    return str(tmp_path / "memo")


def run(*words, code=0):
    done = CliRunner().invoke(app, list(words))
    assert done.exit_code == code, done.output
    return done.output


def test_stats_say_what_is_held_and_what_it_cost(memo_at):
    facts = json.loads(run("stats", "--memo", memo_at, "--json"))
    assert facts["entries"] == 3
    assert [(row["step"], row["entries"], row["worth"]) for row in facts["steps"]] == [
        ("classify", 1, "0.000001000"),
        ("plan", 2, "0.000002000"),
    ]
    assert "plan: 2 entries worth $0.000002000" in run("stats", "--memo", memo_at)


def test_show_keeps_replies_to_itself_unless_asked(memo_at):
    facts = json.loads(run("show", "--memo", memo_at, "--step", "classify", "--json"))
    assert [one["step"] for one in facts] == ["classify"]
    assert "a reply" not in run("show", "--memo", memo_at)
    assert "a reply" in run("show", facts[0]["key"][:12], "--memo", memo_at, "--reply")
    assert "Nothing" in run("show", "nosuchkey", "--memo", memo_at)


def test_invalidate_by_source_makes_exactly_the_dependants_stale(memo_at):
    facts = json.loads(run("invalidate", "--reads", "catalog", "--memo", memo_at, "--json"))
    assert facts == {"source": "catalog", "stale": {"acme": 1}}


def test_invalidate_by_step_deletes(memo_at):
    assert "2 entries deleted" in run("invalidate", "--step", "plan", "--memo", memo_at)
    assert json.loads(run("stats", "--memo", memo_at, "--json"))["entries"] == 1


def test_invalidate_asks_for_one_kind_of_thing(memo_at):
    for kinds in ([], ["--reads", "catalog", "--step", "plan"]):
        said = run("invalidate", "--memo", memo_at, *kinds, code=2)
        assert "give either --reads, or some of --step, --model and --key" in said
    assert json.loads(run("stats", "--memo", memo_at, "--json"))["entries"] == 3


def test_forget_erases_what_was_asked_for_a_user_shared_or_not(memo_at):
    facts = json.loads(run("forget", "--user", "u1", "--memo", memo_at, "--json"))
    assert facts == {
        "user": "u1",
        "entries": 3,
        "unreadable": 0,
        "steps": {"classify": 1, "plan": 2},
        "tasks": 0,
        "bodies": 0,
        "checkpoints": 0,
        "running": [],
    }
    assert "0 entries erased" in run("forget", "--user", "u1", "--memo", memo_at)


def test_forget_leaves_other_users_and_tenants_alone(memo_at):
    assert "0 entries erased" in run("forget", "--user", "u2", "--memo", memo_at)
    assert "0 entries erased" in run(
        "forget", "--user", "u1", "--tenant", "other", "--memo", memo_at
    )


def test_verify_finds_and_deletes_what_cannot_be_read(memo_at):
    assert "3 entries, 0 unreadable" in run("verify", "--memo", memo_at)
    store = DiskStore(memo_at)
    store.open()
    store.put("ab" * 32, b"no entry", keep_for_s=60.0)
    store.close()
    facts = json.loads(run("verify", "--memo", memo_at, "--json", code=1))
    assert [one["key"] for one in facts["damaged"]] == ["ab" * 32]
    assert "1 unreadable and deleted" in run("verify", "--memo", memo_at, "--fix")
    assert "0 unreadable" in run("verify", "--memo", memo_at)


def test_a_memo_that_cannot_be_opened_is_said_in_a_sentence(tmp_path):
    (tmp_path / "file").write_text("no directory")
    assert "cannot open" in run("stats", "--memo", str(tmp_path / "file"), code=2)
    assert "no address of a memo" in run("stats", "--memo", "ftp://host", code=2)
