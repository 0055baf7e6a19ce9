"""The measurements of the memo measure what they say."""

import gzip
import os
from pathlib import Path

import pytest

from orchestrator.bench.memo.latency import run_latency
from orchestrator.bench.memo.trajectories import replay_trajectories
from orchestrator.bench.memo.zipf import (
    WARM_UP,
    Stream,
    known_future_hits,
    known_popularity_hits,
    least_recently_stored_hits,
    memo_hits,
    zipf_stream,
)


def hand_made(*asks):
    """A stream of which the most frequent task has the smallest number."""
    return Stream(asks, [sorted(set(asks))])


def test_the_bounds_on_a_stream_that_can_be_counted_by_hand():
    stream = hand_made(1, 2, 3, 1, 2, 3, 1, 2, 3)
    assert sum(known_future_hits(stream, 3)) == 6
    assert sum(known_future_hits(stream, 2)) == 4  # 1 and 2 are kept, 3 is not taken
    assert sum(known_popularity_hits(stream, 2)) == 4
    assert sum(least_recently_stored_hits(stream, 2)) == 0
    assert sum(known_future_hits(hand_made(1, 1, 1), 1)) == 2


def test_the_bound_knows_what_is_popular_in_each_part_of_the_stream():
    stream = Stream([1, 1, 2, 2, 2, 2], [[1, 2], [2, 1]])
    assert known_popularity_hits(stream, 1) == [False, True, False, True, True, True]


def test_a_shift_moves_a_tenth_of_the_tasks_to_other_places():
    stream = zipf_stream(asks=1_000, tasks=100, exponent=1.0, seed=3, shifts=1)
    before, after = stream.rankings
    assert sorted(before) == sorted(after) == list(range(100))
    assert sum(one != other for one, other in zip(before, after, strict=True)) == 10
    assert len(stream.asks) == 1_000


def test_seeing_the_future_is_never_worse():
    for seed in range(5):
        stream = zipf_stream(asks=2_000, tasks=300, exponent=0.9, seed=seed)
        best = sum(known_future_hits(stream, 40))
        assert best >= sum(known_popularity_hits(stream, 40))
        assert best >= sum(least_recently_stored_hits(stream, 40))


async def test_a_memo_that_is_large_enough_misses_each_task_once():
    stream = zipf_stream(asks=3_000, tasks=200, exponent=1.0, seed=3)
    assert sum(await memo_hits(stream, 10_000)) == 3_000 - len(set(stream.asks))


@pytest.mark.parametrize(
    ("exponent", "tasks", "capacity", "shifts", "seed"),
    [
        (0.6, 1_000, 100, 0, 1),
        (0.8, 500, 20, 0, 2),
        (0.9, 2_000, 200, 0, 3),
        (1.0, 10_000, 100, 0, 4),
        (1.2, 3_000, 300, 0, 5),
        (1.4, 10_000, 50, 0, 6),
        (0.8, 1_000, 50, 3, 7),
        (1.1, 5_000, 100, 3, 8),
    ],
)
async def test_the_hit_rate_is_within_two_points_of_the_best_without_foresight(
    exponent, tasks, capacity, shifts, seed
):
    stream = zipf_stream(
        asks=max(10_000, 150 * capacity) * (shifts + 1),
        tasks=tasks,
        exponent=exponent,
        seed=seed,
        shifts=shifts,
    )
    counted = slice(WARM_UP * capacity, None)
    hits = (await memo_hits(stream, capacity))[counted]
    best = known_popularity_hits(stream, capacity)[counted]
    assert sum(hits) >= sum(best) - 0.02 * len(best)


HEADER = "task_id,trial,role,tool_name,tool_args,content,ctx_hash,cost_usd,cost_cached_usd\r\n"


def recorded(path, *runs):
    lines = [HEADER]
    for number, rows in enumerate(runs):
        for role, tool, arguments, content, context in rows:
            costs = "0.001,0.0005" if role == "assistant" else ","
            quoted = arguments.replace('"', '""')
            lines.append(f'{number},0,{role},{tool},"{quoted}",{content},{context},{costs}\r\n')
    path.write_bytes(gzip.compress("".join(lines).encode()))


WHO = '{"user_id":"mia"}'
ORDER = '{"id":7}'


async def test_replaying_counts_hits_and_checks_them(tmp_path):
    look = [
        ("assistant", "get_user_details", WHO, "", "c1"),
        ("tool", "get_user_details", "", "Mia", ""),
        ("assistant", "get_reservation_details", ORDER, "", "c2"),
        ("tool", "get_reservation_details", "", "open", ""),
    ]
    change = [
        ("assistant", "cancel_reservation", ORDER, "", "c3"),
        ("tool", "cancel_reservation", "", "done", ""),
        ("assistant", "get_reservation_details", ORDER, "", "c4"),
        ("tool", "get_reservation_details", "", "cancelled", ""),
    ]
    path = tmp_path / "runs.csv.gz"
    recorded(path, look + change, look)
    report = await replay_trajectories(path)
    assert (report.runs, str(report.cost)) == (2, "$0.006")
    assert str(report.prefix_cache_saves) == "$0.003"
    with_reads, without = report.savings[:2]
    assert (with_reads.share, with_reads.reads, without.reads) == ("user", True, False)
    # After the change the memo asks again, and the next run starts from the unchanged database.
    assert (with_reads.tool_calls, with_reads.tool_hits, with_reads.wrong_tool_hits) == (5, 1, 0)
    assert (without.tool_hits, without.wrong_tool_hits) == (3, 1)
    assert (with_reads.replies, with_reads.reply_hits) == (6, 2)


async def test_a_file_without_the_columns_is_refused(tmp_path):
    path = tmp_path / "runs.csv.gz"
    path.write_bytes(gzip.compress(b"task_id,trial\r\n1,2\r\n"))
    with pytest.raises(ValueError, match="lacks the columns content"):
        await replay_trajectories(path)


RECORDED = Path(os.environ.get("ORCHESTRATOR_RECORDED", "../shared/data"))
TAU_BENCH = RECORDED / "taubench_airline_gpt4o_steps.csv.gz"


@pytest.mark.recorded
@pytest.mark.skipif(not TAU_BENCH.exists(), reason="the recorded replies are not here")
async def test_on_recorded_runs_tools_recur_and_whole_contexts_do_not():
    report = await replay_trajectories(TAU_BENCH)
    user, _, team, _ = report.savings
    assert report.runs == 100
    assert user.reply_hits < 0.01 * user.replies
    assert 0.2 * user.tool_calls < user.tool_hits <= team.tool_hits
    assert user.wrong_tool_hits == team.wrong_tool_hits == 0
    assert user.saved < report.prefix_cache_saves


async def test_the_latency_comparison_runs():
    report = await run_latency(rounds=1, operations=20, with_litellm=False)
    works = {(timing.rival, timing.work) for timing in report.timings}
    assert {("step", "hit"), ("memo", "hit"), ("diskcache", "hit"), ("memo", "store")} <= works
    assert all(timing.median_us > 0 for timing in report.timings)
    assert set(report.miss_us) == {1_000, 20_000}
