"""Faults of other memos, in the form of ``faults.py``: name, file, old, new, test."""

REMEMBERED = "tests/memo/test_memo_museum.py"

MEMO = [
    (
        "Bob gets Alice's answer: the key ignores the caller",
        "memo/key.py",
        "orjson.dumps([FORM, partition.tenant, partition.holders])",
        "orjson.dumps([FORM, partition.tenant])",
        f"{REMEMBERED}::test_bob_does_not_get_alices_answer",
    ),
    (
        "the tenant is no part of the key",
        "memo/key.py",
        "orjson.dumps([FORM, partition.tenant, partition.holders])",
        "orjson.dumps([FORM, partition.holders])",
        f"{REMEMBERED}::test_a_public_answer_stays_in_its_tenant",
    ),
    (
        "two nodes share a key",
        "memo/key.py",
        "    parts = [FORM, kind, step, policy_version,",
        "    parts = [FORM, kind, policy_version,",
        f"{REMEMBERED}::test_two_steps_never_share_a_key",
    ),
    (
        "different questions, one answer: what is nearly the same is the same",
        "memo/key.py",
        "    return hashlib.sha256(body).digest()",
        '    return hashlib.sha256(body.translate(None, b"0123456789")).digest()',
        f"{REMEMBERED}::test_order_123_and_order_124_are_two_questions",
    ),
    (
        "results of tools are no part of the question",
        "memo/key.py",
        "    return [messages, tools, schema,",
        (
            '    messages = [one for one in messages if one.get("role") != "tool"]\n'
            "    return [messages, tools, schema,"
        ),
        f"{REMEMBERED}::test_tool_calls_and_tool_results_survive_a_hit",
    ),
    (
        "calls of tools are lost on a hit",
        "runtime/storage/journal.py",
        '"tool_calls": [[call.id, call.name, call.arguments] for call in completion.tool_calls],',
        '"tool_calls": [],',
        "tests/runtime/test_memo_in_tasks.py::test_tool_calls_are_part_of_the_answer",
    ),
    (
        "a pickle in the cache directory runs code",
        "memo/disk.py",
        "            disk=BytesDisk,",
        "            disk=diskcache.Disk,",
        "tests/memo/test_memo_faults.py::test_a_hostile_row_runs_nothing_and_costs_one_call[value]",
    ),
    (
        "a hundred callers miss together",
        "memo/memo.py",
        "            turn = self._flights.join(key)",
        "            turn = Flight(key)\n            turn.claimed = True",
        f"{REMEMBERED}::test_a_hundred_callers_do_not_miss_together",
    ),
    (
        "the callers of several processes miss together",
        "memo/memo.py",
        "            taken = await self._backing.claim(flight.key)",
        "            taken = True",
        (
            "tests/memo/test_memo_flight.py"
            "::test_a_thousand_askers_in_four_processes_make_one_call[disk]"
        ),
    ),
    (
        "a hit is billed",
        "ledger/remembered.py",
        "            cost=Money.ZERO,",
        "            cost=self.saved,",
        (
            "tests/runtime/test_memo_in_tasks.py"
            "::test_a_hit_costs_nothing_in_a_row_of_its_own_that_says_what_it_saved"
        ),
    ),
    (
        "a paid check is zeroed on a hit: it is not made",
        "runtime/asking/judging.py",
        "    if request.check is not None and is_complete:",
        "    if request.check is not None and is_complete and not paid.from_memo:",
        "tests/runtime/test_memo_in_tasks.py::test_a_check_that_costs_is_paid_for_on_a_hit_too",
    ),
    (
        "what has changed since is served while it is fresh by the clock",
        "memo/freshness.py",
        "        elif source.version != version:",
        "        elif False:",
        "tests/memo/test_memo_freshness.py::test_a_touched_source_makes_exactly_its_dependants_stale",
    ),
]
