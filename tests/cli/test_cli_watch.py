"""A task seen from another window while it runs."""

import json


def lines(done):
    return [json.loads(line) for line in done.out.splitlines()]


def test_what_a_finished_task_did_is_shown_and_its_end(run, start):
    assert start("agents:graph", "--task-id", "t").code == 0

    done = run("task", "watch", "t")

    assert done.code == 0
    assert "small cost $0.000012" in done.out
    assert "40 + 20 tokens" in done.out
    assert "$0.00003 so far" in done.out
    assert done.err.startswith("research/solver, began ")
    assert done.out.splitlines()[-1] == "completed, $0.00003 in 2 attempts"


def test_json_is_one_object_for_each_thing_that_happened(run, start):
    start("agents:graph", "--task-id", "t")

    found = lines(run("task", "watch", "t", "--json"))

    assert [line["event"] for line in found] == ["booked", "booked", "completed"]
    assert [line["total_usd"] for line in found] == ["0.000012000", "0.000030000", "0.000030000"]


def test_it_ends_as_the_task_does(run, start):
    start("agents:asking", "--task-id", "halted")
    start("agents:broken", "--task-id", "failed")

    halted, failed = run("task", "watch", "halted"), run("task", "watch", "failed")

    assert (halted.code, failed.code) == (3, 1)
    assert "halted, $0.000012 in 1 attempt" in halted.out.splitlines()
    assert "the tool broke" in failed.out


def test_a_task_that_nobody_knows_is_a_mistake(run, start):
    start("agents:graph", "--task-id", "t")

    done = run("task", "watch", "nobody")

    assert done.code == 2
    assert "knows no task 'nobody': see `orchestrator task list`" in done.said
