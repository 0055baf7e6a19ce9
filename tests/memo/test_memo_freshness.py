"""Every rule of freshness, on a clock that stands still until told."""

import asyncio

import pytest

from orchestrator.memo.ask import Hit, Miss, Put
from orchestrator.memo.entry import Needs
from orchestrator.memo.freshness import drawn
from orchestrator.memo.memo import Memo
from orchestrator.memo.memory_store import MemoryStore
from orchestrator.memo.settings import MemoSettings


@pytest.fixture
async def memo(clock):
    async with Memo(MemoryStore(), clock=clock) as memo:
        yield memo


async def remember(memo, ask, answer):
    found = await memo.lookup(ask)
    assert isinstance(found, Miss), found
    assert (await memo.put(found.lease, answer)).stored


async def why_missed(memo, ask):
    found = await memo.lookup(ask)
    assert isinstance(found, Miss), found
    memo.release(found.lease)
    return found.why


async def test_is_fresh_to_the_last_instant_and_no_longer(memo, clock, ask, answer):
    await remember(memo, ask(), answer())
    clock.pass_s(60.0)
    found = await memo.lookup(ask())
    assert (found.state, found.age_s, found.entry.reply) == ("fresh", 60.0, b"soon")
    clock.pass_s(0.001)
    assert "60 s old" in await why_missed(memo, ask())


async def test_grown_old_it_answers_within_stale_for(memo, clock, ask, answer):
    rules = MemoSettings(fresh_for_s=60.0, stale_for_s=10.0)
    await remember(memo, ask(settings=rules), answer())
    clock.pass_s(70.0)
    found = await memo.lookup(ask(settings=rules))
    assert found.state == "stale"
    clock.pass_s(0.001)
    await why_missed(memo, ask(settings=rules))


async def test_the_rules_of_the_asking_step_count_not_those_of_the_entry(memo, clock, ask, answer):
    await remember(memo, ask(), answer())
    clock.pass_s(5.0)
    assert isinstance(await memo.lookup(ask()), Hit)
    await why_missed(memo, ask(settings=MemoSettings(fresh_for_s=4.0)))


async def test_a_stale_answer_is_renewed_by_one_at_a_time(memo, clock, ask, answer):
    rules = MemoSettings(fresh_for_s=60.0, stale_for_s=100.0)
    await remember(memo, ask(settings=rules), answer())
    clock.pass_s(61.0)
    stale = await memo.lookup(ask(settings=rules))
    assert (stale.state, stale.due) == ("stale", "refresh")
    lease = await memo.renew(ask(settings=rules), stale)
    assert lease.purpose == "refresh"
    assert await memo.renew(ask(settings=rules), stale) is None
    assert (await memo.lookup(ask(settings=rules))).state == "stale"  # no one waits for it
    assert (await memo.put(lease, answer(b"newer"))).stored
    third = await memo.lookup(ask(settings=rules))
    assert (third.state, third.entry.reply, third.due) == ("fresh", b"newer", None)
    assert await memo.renew(ask(settings=rules), stale) is None  # it has been renewed meanwhile


async def test_a_renewal_that_is_given_up_leaves_the_stale_answer_and_its_turn(
    memo, clock, ask, answer
):
    rules = MemoSettings(fresh_for_s=60.0, stale_for_s=100.0)
    await remember(memo, ask(settings=rules), answer())
    clock.pass_s(61.0)
    stale = await memo.lookup(ask(settings=rules))
    memo.release(await memo.renew(ask(settings=rules), stale))
    assert (await memo.lookup(ask(settings=rules))).state == "stale"
    lease = await memo.renew(ask(settings=rules), stale)
    clock.pass_s(100.0)
    waiting = asyncio.create_task(memo.lookup(ask(settings=rules)))
    await asyncio.sleep(0)
    memo.release(lease)
    assert (await waiting).reason == "expired"


async def test_an_expired_answer_serves_only_when_asking_failed(memo, clock, ask, answer):
    rules = MemoSettings(fresh_for_s=60.0, stale_if_error_s=30.0)
    await remember(memo, ask(settings=rules), answer())
    clock.pass_s(61.0)
    found = await memo.lookup(ask(settings=rules))
    assert isinstance(found, Miss)
    assert memo.if_error(found.lease).state == "error"
    clock.pass_s(29.0)
    assert memo.if_error(found.lease).entry.reply == b"soon"
    clock.pass_s(0.001)
    assert memo.if_error(found.lease) is None
    memo.release(found.lease)


async def test_without_the_rule_or_an_entry_an_error_stays_an_error(memo, clock, ask, answer):
    absent = await memo.lookup(ask("something else"))
    assert memo.if_error(absent.lease) is None
    memo.release(absent.lease)
    await remember(memo, ask(), answer())
    clock.pass_s(61.0)
    expired = await memo.lookup(ask())
    assert memo.if_error(expired.lease) is None
    memo.release(expired.lease)
    assert memo.if_error(None) is None


async def test_an_unfit_answer_does_not_serve_on_an_error_either(memo, ask, answer):
    rules = MemoSettings(fresh_for_s=60.0, stale_if_error_s=1e6)
    await remember(memo, ask(settings=rules), answer(confidence=0.5))
    found = await memo.lookup(ask(settings=rules, needs=Needs(confidence=0.9)))
    assert found.reason == "unfit"
    assert memo.if_error(found.lease) is None


async def test_an_answer_from_the_future_is_not_believed(memo, clock, ask, answer):
    await remember(memo, ask(), answer())
    clock.pass_s(-200.0)
    assert isinstance(await memo.lookup(ask()), Hit)  # clocks of machines differ a little
    clock.pass_s(-200.0)
    assert "clocks" in await why_missed(memo, ask())


CATALOG = MemoSettings(fresh_for_s=3600.0, reads=("catalog",))
BOTH = MemoSettings(fresh_for_s=3600.0, reads=("catalog", "prices"))
PRICES = MemoSettings(fresh_for_s=3600.0, reads=("prices",))


async def test_a_touched_source_makes_exactly_its_dependants_stale(memo, ask, answer, scope):
    asks = {
        "none": ask("1"),
        "catalog": ask("2", settings=CATALOG),
        "both": ask("3", settings=BOTH),
        "prices": ask("4", settings=PRICES),
    }
    for one in asks.values():
        await remember(memo, one, answer())
    await memo.touch(scope.tenant, "catalog")
    hits = {name for name, one in asks.items() if isinstance(await _look(memo, one), Hit)}
    assert hits == {"none", "prices"}
    await memo.touch(scope.tenant, "prices", version="2026-11")
    hits = {name for name, one in asks.items() if isinstance(await _look(memo, one), Hit)}
    assert hits == {"none"}


async def _look(memo, one):
    found = await memo.lookup(one)
    if isinstance(found, Miss):
        memo.release(found.lease)
    return found


async def test_touching_with_the_same_version_changes_nothing(memo, ask, answer, scope):
    await memo.touch(scope.tenant, "catalog", version="v1")
    await remember(memo, ask(settings=CATALOG), answer())
    assert await memo.touch(scope.tenant, "catalog", version="v1") == "v1"
    assert isinstance(await memo.lookup(ask(settings=CATALOG)), Hit)
    assert await memo.touch(scope.tenant, "catalog", version="v2") == "v2"
    assert "catalog has changed" in await why_missed(memo, ask(settings=CATALOG))


async def test_a_source_of_another_tenant_is_another_source(memo, ask, answer):
    await remember(memo, ask(settings=CATALOG), answer())
    await memo.touch("other", "catalog")
    assert isinstance(await memo.lookup(ask(settings=CATALOG)), Hit)


async def test_a_source_that_changes_while_it_is_asked_leaves_a_stale_answer(
    memo, ask, answer, scope
):
    found = await memo.lookup(ask(settings=CATALOG))
    await memo.touch(scope.tenant, "catalog")
    await memo.put(found.lease, answer())
    assert "catalog has changed" in await why_missed(memo, ask(settings=CATALOG))


async def test_a_known_change_is_never_served_as_stale_but_may_be_on_an_error(
    memo, clock, ask, answer, scope
):
    rules = MemoSettings(
        fresh_for_s=3600.0, stale_for_s=3600.0, stale_if_error_s=30.0, reads=("catalog",)
    )
    await remember(memo, ask(settings=rules), answer())
    clock.pass_s(100.0)
    await memo.touch(scope.tenant, "catalog")
    clock.pass_s(30.0)
    found = await memo.lookup(ask(settings=rules))
    assert isinstance(found, Miss)
    assert memo.if_error(found.lease).state == "error"
    clock.pass_s(0.001)
    assert memo.if_error(found.lease) is None


async def test_what_was_read_on_the_way_counts_too(memo, ask, answer, scope):
    versions = await memo.versions(scope.tenant, "document 7")
    await remember(memo, ask(), answer(reads=versions))
    assert isinstance(await memo.lookup(ask()), Hit)
    await memo.touch(scope.tenant, "document 7")
    assert "document 7 has changed" in await why_missed(memo, ask())


async def test_a_lost_record_of_a_source_counts_as_a_change(clock, ask, answer):
    store = MemoryStore()
    async with Memo(store, clock=clock) as memo:
        await remember(memo, ask(settings=CATALOG), answer())
        store._sources.clear()
        assert "catalog has changed" in await why_missed(memo, ask(settings=CATALOG))
        await why_missed(memo, ask(settings=CATALOG))  # its new first version is not the old one


@pytest.mark.parametrize(
    "change",
    [{"policy_version": "2"}, {"prompt_version": "2"}, {"step": "other"}, {"kind": "tool"}],
)
async def test_a_change_of_policy_prompt_or_step_leaves_others_alone(memo, ask, answer, change):
    await remember(memo, ask(), answer())
    await why_missed(memo, ask(**change))
    assert isinstance(await memo.lookup(ask()), Hit)


async def test_the_draw_of_reruns_is_seeded_and_in_proportion():
    asks = [f"task-{number}" for number in range(20_000)]
    sample = [one for one in asks if drawn(0.05, seed=7, ask=one)]
    assert sample == [one for one in asks if drawn(0.05, seed=7, ask=one)]
    assert sample != [one for one in asks if drawn(0.05, seed=8, ask=one)]
    assert 850 < len(sample) < 1150
    assert not any(drawn(0.0, seed=7, ask=one) for one in asks)
    assert all(drawn(1.0, seed=7, ask=one) for one in asks)


async def test_reruns_measure_the_stale_rate(memo, ask, answer):
    rules = MemoSettings(fresh_for_s=3600.0, rerun_rate=1.0)
    await remember(memo, ask(settings=rules), answer())
    for number, differs in enumerate([False, True]):
        drawn_one = ask(settings=rules, draw=f"task-{number}")
        found = await memo.lookup(drawn_one)
        assert (found.state, found.due) == ("fresh", "rerun")
        lease = await memo.renew(drawn_one, found)
        put = await memo.put(lease, answer(b"other"), differs=differs)
        assert put.stored == differs  # the same answer needs no new entry
    assert (await memo.lookup(ask(settings=rules))).entry.reply == b"other"
    assert memo.stats.steps["plan"].stale_rate == 0.5


async def test_a_refused_answer_gives_way_to_the_one_that_passes(memo, ask, answer):
    await remember(memo, ask(), answer(b"bad", confidence=0.9))
    bad = (await memo.lookup(ask())).entry
    refusing = ask(refused=bad)
    found = await memo.lookup(refusing)
    assert (found.reason, found.why) == ("unfit", "this asker's own check refused it")
    waiting = asyncio.create_task(memo.lookup(ask(refused=bad)))
    await asyncio.sleep(0)
    assert (await memo.put(found.lease, answer(b"good", confidence=0.8))).stored
    assert (await waiting).entry.reply == b"good"
    assert (await memo.lookup(ask())).entry.reply == b"good"


async def test_low_confidence_and_unchecked_answers_serve_only_who_asks_no_more(memo, ask, answer):
    await remember(memo, ask(), answer(confidence=0.8, checks={"schema": True}))
    schema, tests = frozenset({"schema"}), frozenset({"schema", "tests"})
    assert isinstance(await memo.lookup(ask(needs=Needs(confidence=0.8, checks=schema))), Hit)
    assert "below 0.81" in await why_missed(memo, ask(needs=Needs(confidence=0.81)))
    assert "unchecked: tests" in await why_missed(memo, ask(needs=Needs(checks=tests)))


async def test_a_stronger_answer_replaces_a_weaker_and_not_the_other_way_round(
    memo, clock, ask, answer
):
    weak, strong = Needs(confidence=0.5), Needs(confidence=0.9)
    await remember(memo, ask(needs=weak), answer(b"weak", confidence=0.6))
    await remember(memo, ask(needs=strong), answer(b"strong", confidence=0.95))
    assert (await memo.lookup(ask(needs=weak))).entry.reply == b"strong"
    found = await memo.lookup(ask(needs=Needs(confidence=0.99)))
    assert await memo.put(found.lease, answer(b"weaker", confidence=0.7)) == _put("weaker")
    assert (await memo.lookup(ask(needs=strong))).entry.reply == b"strong"
    clock.pass_s(61.0)
    await remember(memo, ask(needs=weak), answer(b"weak again", confidence=0.6))


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"complete": False}, "incomplete"),
        ({"checks": {"schema": True, "tests": False}}, "failed-check"),
        ({"labels": frozenset({"secret"})}, "narrowed"),
    ],
)
async def test_what_is_never_stored(memo, ask, answer, facts, reason):
    found = await memo.lookup(ask())
    assert await memo.put(found.lease, answer(**facts)) == _put(reason)
    await why_missed(memo, ask())
    assert memo.stats.steps["plan"].not_stored[reason] == 1


def _put(reason):
    return Put(stored=not reason, reason=reason)


@pytest.mark.parametrize("bad", [-1.0, float("inf"), float("nan")])
def test_settings_refuse_durations_that_mean_nothing(bad):
    with pytest.raises(ValueError, match="seconds"):
        MemoSettings(fresh_for_s=bad)


def test_settings_refuse_a_rate_that_is_no_probability():
    with pytest.raises(ValueError, match="between 0 and 1"):
        MemoSettings(fresh_for_s=1.0, rerun_rate=1.5)
