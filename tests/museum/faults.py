"""Faults of other systems, each as a change to this package that would bring it back.

Not all of the known ones are here yet: the tests of those are elsewhere, unproven by this.
``old`` stands exactly once in ``file`` and becomes ``new``; then ``test`` must fail.
"""

from dataclasses import dataclass

LEDGER = "tests/ledger/test_ledger_museum.py"
HOLDS = "tests/holds/test_failure_museum.py"
SIMULATED = "tests/testing/test_simulation.py::test_no_promise_is_broken_in"
ATTRIBUTED = "tests/holds/test_attribution_museum.py"


@dataclass(frozen=True)
class Fault:
    name: str
    file: str
    old: str
    new: str
    test: str


MONEY = [
    Fault(
        "parallel calls all pass a check-then-act budget",
        "ledger/bookkeeping/rules.py",
        "if need <= available - sums.reserved:",
        "if need <= available:",
        f"{LEDGER}::test_parallel_calls_do_not_all_pass_a_check_then_act_budget[sqlite]",
    ),
    Fault(
        "a reservation is trimmed to the headroom instead of refused",
        "ledger/bookkeeping/book.py",
        "            raise BudgetShort(demand, row.balance())",
        "            need = demand.limit.nano - row.settled - row.disputed",
        f"{LEDGER}::test_a_reservation_is_refused_and_not_trimmed_to_the_headroom[sqlite]",
    ),
    Fault(
        "holds leak on cancel",
        "ledger/stored.py",
        "            await self._withdraw(intent.attempt_id)\n            raise",
        "            raise",
        f"{LEDGER}::test_holds_do_not_leak_when_callers_are_cancelled[sqlite]",
    ),
    Fault(
        "double reservations",
        "ledger/bookkeeping/book.py",
        "    if unit.hold(intent.attempt_id) is not None:",
        "    if unit.hold(intent.attempt_id) is None and False:",
        f"{LEDGER}::test_a_retried_request_is_not_reserved_twice[sqlite]",
    ),
    Fault(
        "N processes each allow the whole budget",
        "ledger/bookkeeping/transactor.py",
        "if others_wrote or len(self._unit) > MAX_REMEMBERED:",
        "if len(self._unit) > MAX_REMEMBERED:",
        "tests/ledger/test_ledger_contract.py::TestTheStoreInSqlite"
        "::test_two_handles_share_one_budget",
    ),
    Fault(
        "each process seeds the counters anew",
        "ledger/bookkeeping/unit.py",
        "        for row in loaded.accounts.values():\n            self._cache(row)\n        for",
        "        for row in loaded.accounts.values():\n            row.settled *= 2\n"
        "            self._cache(row)\n        for",
        f"{LEDGER}::test_a_counter_is_not_seeded_once_per_process",
    ),
    Fault(
        "a window is reset at midnight of the wrong zone",
        "budgets/windows.py",
        "    zone = ZoneInfo(rule.timezone)",
        '    zone = ZoneInfo("UTC")',
        "tests/budgets/test_windows.py::test_a_window_has_its_key_and_exact_bounds",
    ),
    Fault(
        "a window never resets",
        "budgets/windows.py",
        "    return today.isoformat(), today, today + timedelta(days=1)",
        "    first = today.replace(day=1)\n    return first.isoformat(), first, _month(today)[2]",
        f"{HOLDS}::test_a_window_is_not_reset_late_or_never_or_in_the_wrong_zone",
    ),
    Fault(
        "what ends late counts in the new window",
        "ledger/bookkeeping/unit.py",
        "        rows = self.accounts_of(hold)\n        self._holds",
        "        rows = list(self._accounts_by_id.values())[-1:]\n        self._holds",
        f"{LEDGER}::test_a_late_settlement_does_not_erase_the_new_windows_spend[sqlite]",
    ),
    Fault(
        "fail closed fails open",
        "ledger/bookkeeping/operation.py",
        "            answer.future.set_exception(operation.error)",
        "            answer.future.set_result(None)",
        f"{LEDGER}::test_fail_closed_fails_closed",
    ),
    Fault(
        "no database is no budget",
        "ledger/factory.py",
        "        return made(SqliteStore(path, steady=steady))",
        "        from orchestrator.ledger.stores.memory import MemoryStore\n\n"
        "        return made(MemoryStore() if path.is_dir() else SqliteStore(path))",
        f"{HOLDS}::test_no_database_is_not_no_budget",
    ),
    Fault(
        "the gate checks the model that was asked for, the fallback bills another",
        "runtime/asking/attempt.py",
        "        reserve=order.action.bound,",
        "        reserve=min(order.action.bound, type(order.action.bound)(200_000)),",
        f"{HOLDS}::test_the_gate_judges_the_model_that_is_asked_and_each_fallback_anew",
    ),
    Fault(
        "a free model with a paid fallback spends without end",
        "runtime/asking/attempt.py",
        "        reserve=order.action.bound,",
        "        reserve=order.action.bound - order.action.bound,",
        f"{HOLDS}::test_a_free_model_with_a_paid_fallback_does_not_spend_without_end",
    ),
    Fault(
        "cut streams cost nothing",
        "budgets/settlement.py",
        '    return Booking(reserve.amount, Money.ZERO, certainty, "settled", usage)',
        '    return Booking(Money.ZERO, Money.ZERO, certainty, "settled", usage)',
        f"{HOLDS}::test_a_cut_stream_and_an_early_break_do_not_cost_nothing",
    ),
    Fault(
        "an early break loses the spend",
        "runtime/stream.py",
        "            yield Piece(text)\n",
        "            try:\n                yield Piece(text)\n            except GeneratorExit:\n"
        "                self._run.cut()\n                raise\n",
        f"{HOLDS}::test_a_cut_stream_and_an_early_break_do_not_cost_nothing",
    ),
    Fault(
        "retries that nobody counts",
        "models/wire.py",
        "        if address in wire.posted:",
        "        if False:",
        "tests/models/test_litellm_client.py::test_not_even_litellms_own_setting_makes_it_retry",
    ),
    Fault(
        "cached tokens are billed twice",
        "pricing/quote.py",
        "            left -= min(of_input[part], left)",
        "            left -= 0",
        f"{HOLDS}::test_cached_tokens_are_not_billed_twice_nor_make_a_cost_negative",
    ),
    Fault(
        "an unknown model runs free",
        "budgets/settlement.py",
        '"unknown" if reserve.quote is None else "estimated"',
        '"known" if reserve.quote is None else "estimated"',
        f"{HOLDS}::test_an_unknown_model_does_not_run_free",
    ),
    Fault(
        "a cost-based router picks the dearest model",
        "routing/candidates.py",
        "    if quoted is None:\n        return None",
        '    if quoted is None or settings.model.count("/") > 1:\n        return Money.ZERO',
        f"{HOLDS}::test_the_cheapest_model_is_asked_first_whatever_its_provider_is_called",
    ),
    Fault(
        "usage that cannot be true is believed",
        "budgets/settlement.py",
        "        case Completion(usage=Usage() as usage) if _is_possible(usage, reserve):",
        "        case Completion(usage=Usage() as usage):",
        f"{HOLDS}::test_usage_that_cannot_be_true_is_not_believed[absurd_usage]",
    ),
    Fault(
        "a budget stops at a few percent of itself",
        "ledger/bookkeeping/rules.py",
        "    available = demand.limit.nano -",
        "    available = demand.limit.nano // 20 -",
        f"{HOLDS}::test_a_budget_stops_where_it_is_used_up_and_not_at_a_few_percent",
    ),
    Fault(
        "resume resets the spend to zero",
        "ledger/bookkeeping/lifecycle.py",
        '    if record.status == "completed":\n        return record',
        '    if record.status == "completed":\n        return record\n'
        "    for row in unit._accounts.values():\n        row.settled = 0",
        f"{LEDGER}::test_resume_does_not_reset_the_spend_to_zero[sqlite]",
    ),
]
HALTS = [
    Fault(
        "sub-agents escape the parent's limits",
        "limits/gauge.py",
        "(own,) if parent is None else (*parent.tallies, own)",
        "(own,)",
        f"{HOLDS}::test_sub_agents_do_not_escape_their_parents_limits",
    ),
    Fault(
        "sub-agents escape the parent's budget",
        "ledger/stores/queries.py",
        '        holders += [("task", ancestor) for ancestor in scope.ancestors]\n',
        "",
        "tests/ledger/test_ledger_contract.py::TestTheStoreInSqlite"
        "::test_any_history_is_that_of_the_model",
    ),
    Fault(
        "an interrupted node pays again",
        "runtime/storage/journal.py",
        "            elif record.end is not None and record.end.reply is not None:",
        "            elif record.end is not None and record.end.reply is None:",
        f"{HOLDS}::test_an_interrupted_node_does_not_pay_again",
    ),
    Fault(
        "the hard stop throws the work away: what was paid is asked again",
        "runtime/storage/journal.py",
        "            elif record.end is not None and record.end.reply is not None:",
        "            elif False:",
        f"{HOLDS}::test_a_hard_stop_does_not_throw_away_the_work_before_the_answer",
    ),
    Fault(
        "one budget error aborts the whole fan-out",
        "runtime/handler.py",
        "        if self._run.was_refused(place) or _carries_refusal(error):",
        "        if False:",
        f"{HOLDS}::test_one_budget_error_does_not_abort_the_whole_fan_out",
    ),
    Fault(
        "a fallback loop restarts its own retries",
        "models/retry.py",
        "MAX_RETRIES = 3",
        "MAX_RETRIES = 6",
        f"{HOLDS}::test_a_fallback_loop_does_not_restart_its_own_retries",
    ),
    Fault(
        "a timeout on a sync node waits until it returns",
        "runtime/drive.py",
        "            timeout=run.deadline.remaining_s,\n",
        "",
        f"{HOLDS}::test_a_timeout_on_a_sync_node_does_not_wait_until_it_returns",
    ),
]
WHOLE_LIVES = [
    Fault(
        "what another process wrote is not seen",
        "ledger/bookkeeping/transactor.py",
        "        others_wrote = self._version != before",
        "        others_wrote = False",
        f"{SIMULATED}_memory",
    ),
    Fault(
        "a reply is paid for and not kept",
        "ledger/bookkeeping/book.py",
        "    if reply is not None:\n        unit.add_reply(reply)",
        "    if reply is not None and len(ended.attempt_id) % 2:\n        unit.add_reply(reply)",
        f"{SIMULATED}_memory",
    ),
    Fault(
        "an owner that slept through its takeover goes on",
        "ledger/bookkeeping/ownership.py",
        "    if state.epoch != epoch:",
        "    if state.epoch < epoch:",
        f"{SIMULATED}_memory",
    ),
    Fault(
        "what the dead held is free again",
        "ledger/bookkeeping/book.py",
        "            row.disputed += hold.reserve",
        "            row.disputed += 0",
        f"{SIMULATED}_memory",
    ),
    Fault(
        "a write whose answer was lost is taken for none",
        "ledger/bookkeeping/transactor.py",
        "                if isinstance(cause, OutcomeUnknown):",
        "                if False:",
        f"{SIMULATED}_memory",
    ),
    Fault(
        "a hold of the living expires because somebody set a clock",
        "ledger/stores/sqlite.py",
        "        if self._steady is None:\n            return hold.seq, hold.expires_at_us, None",
        "        if True:\n            return hold.seq, hold.expires_at_us, None",
        f"{SIMULATED}_sqlite",
    ),
    Fault(
        "the hour that comes twice in autumn is one",
        "budgets/windows.py",
        '    return top.isoformat(timespec="hours"), starts_at, ends_at',
        '    return f"{top:%Y-%m-%dT%H}", starts_at, ends_at',
        f"{SIMULATED}_sqlite",
    ),
]
ATTRIBUTION = [
    Fault(
        "a session of several agents shows nothing of the others' costs",
        "runtime/tasks.py",
        "        histories = [await ledger.history(one) for one in family]\n        attempts",
        "        histories = [await ledger.history(task_id)]\n        attempts",
        f"{ATTRIBUTED}::test_a_sub_agent_run_as_a_task_of_its_own_counts_for_both",
    ),
    Fault(
        "what a sub-agent does is outside of the session",
        "runtime/steps.py",
        "        if run is None:\n            asked",
        '        if run is None or self.name == "expert":\n            asked',
        f"{ATTRIBUTED}::test_a_sub_agent_inside_a_tool_costs_inside_its_task",
    ),
    Fault(
        "a total is set to the newest call",
        "runtime/run/results.py",
        "            sums[attempt.certainty] += attempt.cost",
        "            sums[attempt.certainty] = attempt.cost",
        f"{ATTRIBUTED}::test_a_sub_agent_run_as_a_task_of_its_own_counts_for_both",
    ),
    Fault(
        "every row is of an unknown agent, because nothing sets the agent's key",
        "runtime/run/outermost.py",
        "agent=agent or name)",
        'agent="unknown")',
        f"{ATTRIBUTED}::test_no_row_is_of_an_unknown_agent",
    ),
    Fault(
        "an agent without a name is taken for one",
        "runtime/orchestrator.py",
        'agent=given.take("agent", agent or "", arguments.name) or "",',
        'agent=agent or "unknown",',
        f"{ATTRIBUTED}::test_no_row_is_of_an_unknown_agent",
    ),
    Fault(
        "a model's name with its provider's prefix misses the price list",
        "pricing/names.py",
        '        prefix, slash, rest = model.partition("/")\n        if not slash:',
        '        prefix, slash, rest = model.partition("/")\n        if model.count("/") != 1:',
        f"{ATTRIBUTED}::test_a_name_with_its_providers_prefix_is_the_same_model",
    ),
    Fault(
        "a tool's name without its server's prefix takes another's price",
        "integrations/tools.py",
        'f"mcp:{server}/{given.name}" if server else given.name',
        'f"mcp:here/{given.name}" if server else given.name',
        f"{ATTRIBUTED}::test_tools_of_one_name_on_two_servers_are_two_tools",
    ),
    Fault(
        "cached tokens are counted on top of the input that they lie in",
        "models/wire.py",
        "        input_tokens=inputs,",
        '        input_tokens=inputs + (_count(of_input, "cached_tokens") or 0),',
        f"{ATTRIBUTED}::test_tokens_are_counted_once[False]",
    ),
    Fault(
        "reasoning tokens are counted on top of the output that they lie in",
        "models/wire.py",
        "        output_tokens=outputs,",
        '        output_tokens=outputs + (_count(of_output, "reasoning_tokens") or 0),',
        f"{ATTRIBUTED}::test_tokens_are_counted_once[True]",
    ),
    Fault(
        "the tokens of a stream are counted with each piece",
        "integrations/chat_model.py",
        "            message = AIMessageChunk(content=piece.text)\n",
        "            message = AIMessageChunk(content=piece.text, usage_metadata={\n"
        '                "input_tokens": 100, "output_tokens": 10, "total_tokens": 110})\n',
        f"{ATTRIBUTED}::test_tokens_are_counted_once[True]",
    ),
    Fault(
        "a failed call is billed but logged 0",
        "ledger/stores/reading.py",
        "        cost=Money(row[13]),\n        overrun",
        "        cost=Money(0 if row[22] else row[13]),\n        overrun",
        f"{LEDGER}::test_failed_calls_are_billed_and_logged_alike",
    ),
    Fault(
        "an error in a callback is swallowed",
        "telemetry/fanout.py",
        "                self._report(index, event, error)",
        "                del error",
        "tests/telemetry/test_fanout.py::test_it_is_reported_once_and_counted_always",
    ),
]
EVERY = [*MONEY, *HALTS, *WHOLE_LIVES, *ATTRIBUTION]
