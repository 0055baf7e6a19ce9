"""Ids: unique over threads, processes and forks, and in the order of time."""

import multiprocessing
import random
import threading
import time

import pytest

from orchestrator.core.ids import TASK_ID_PATTERN, new_attempt_id, new_task_id

MANY = 20_000


def made(count: int) -> list[str]:
    return [new_attempt_id() for _ in range(count)]


def test_ids_are_unique_over_threads():
    ids: list[str] = []
    threads = [threading.Thread(target=lambda: ids.extend(made(MANY))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(ids)) == 4 * MANY


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # that this process has threads
def test_a_fork_goes_on_with_other_ids():
    context = multiprocessing.get_context("fork")
    with context.Pool(4) as pool:
        parts = pool.map(made, [MANY // 4] * 8)
    random_parts = {one[-16:] for part in [*parts, made(MANY)] for one in part}
    assert len(random_parts) == 8 * (MANY // 4) + MANY


def test_a_seed_that_user_code_sets_does_not_repeat_ids():
    random.seed(1)
    first = made(10)
    random.seed(1)
    assert {one[-16:] for one in first}.isdisjoint(one[-16:] for one in made(10))


def test_ids_sort_by_the_time_they_were_made():
    ids = []
    for _ in range(20):
        ids.append(new_task_id())
        time.sleep(0.002)
    assert ids == sorted(ids)
    assert all(TASK_ID_PATTERN.fullmatch(one) for one in ids)
