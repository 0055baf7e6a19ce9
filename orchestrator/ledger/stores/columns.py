"""Records as rows of columns, and back: money in nano-dollars, times in microseconds of 1970."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from orchestrator.core.money import Money
from orchestrator.core.scope import Scope
from orchestrator.core.usage import Usage
from orchestrator.ledger.codec import decode_halt, encode_halt, from_json, to_json
from orchestrator.ledger.records import (
    AttemptEnd,
    AttemptIntent,
    AttemptRecord,
    Decision,
    TaskOpening,
    TaskRecord,
)
from orchestrator.ledger.stores.rows import Hold, TaskState, from_us, to_us

Row = Sequence[Any]


def opening_values(opening: TaskOpening, state: TaskState) -> Row:
    """A row of ``tasks`` for a task that starts."""
    scope = opening.scope
    return (
        scope.task_id,
        scope.org,
        scope.team,
        scope.agent,
        scope.user,
        scope.tenant,
        to_json(scope.ancestors),
        to_json(dict(scope.tags)),
        opening.graph,
        opening.policy,
        opening.input_type,
        None if opening.budget is None else opening.budget.nano,
        opening.timeout_s,
        opening.parent_key,
        to_us(opening.at),
        opening.owner,
        state.status,
        state.epoch,
        state.signal,
        to_us(opening.at),
        opening.priority,
    )


def update_values(record: TaskRecord, signal: str | None) -> Row:
    """The columns of ``tasks`` that may change, and the id."""
    return (
        record.opening.owner,
        record.status,
        record.epoch,
        signal,
        record.added_budget.nano,
        to_json(dict(record.extensions)),
        record.running_s,
        encode_halt(record.halt),
        record.error,
        to_us(record.updated_at),
        record.opening.scope.task_id,
    )


def intent_values(hold: Hold, intent: AttemptIntent) -> Row:
    """A row of ``attempts``."""
    return (
        hold.seq,
        intent.attempt_id,
        intent.task_id,
        intent.epoch,
        intent.key,
        intent.request_hash,
        intent.step,
        intent.kind,
        intent.model,
        intent.provider_model,
        intent.reserve.nano,
        to_json(hold.account_ids),
        hold.expires_at_us,
        hold.at_us,
        intent.token_bound,
        intent.origin,
    )


def end_values(hold: Hold, end: AttemptEnd) -> Row:
    """A row of ``ends``."""
    usage = end.usage
    tokens: Row = (None, None, None, None, None)
    if usage is not None:
        tokens = (
            usage.input_tokens,
            usage.output_tokens,
            usage.cached_input_tokens,
            usage.cache_write_tokens,
            usage.reasoning_tokens,
        )
    return (
        hold.seq,
        end.end,
        end.cost.nano,
        end.overrun.nano,
        end.certainty,
        end.seconds,
        *tokens,
        end.served_model,
        end.price_source,
        end.error,
        to_us(end.at),
        end.saved.nano,
        end.saved_seconds,
    )


def decision_values(decision: Decision) -> Row:
    """A row of ``decisions``, without its number."""
    return (
        decision.task_id,
        decision.key,
        decision.step,
        decision.attempt_id,
        decision.accepted,
        decision.confidence,
        decision.confidence_state,
        to_json(dict(decision.checks)),
        to_us(decision.at),
    )


def read_task(row: Row) -> TaskRecord:
    """A task from ``task_records``, with input body, output encoding and output body behind."""
    scope = Scope(
        org=row[1],
        team=row[2],
        agent=row[3],
        task_id=row[0],
        tenant=row[5],
        user=row[4],
        ancestors=tuple(from_json(row[6])),
        tags=from_json(row[7]),
    )
    input_body, output_encoding, output_body = row[25:28]
    opening = TaskOpening(
        scope=scope,
        owner=row[15],
        graph=row[8],
        policy=row[9],
        input_type=row[10],
        input_body=input_body or b"",
        at=from_us(row[14]),
        budget=None if row[11] is None else Money(row[11]),
        timeout_s=row[12],
        parent_key=row[13],
        priority=row[24],
    )
    return TaskRecord(
        opening=opening,
        status=row[16],
        epoch=row[17],
        updated_at=from_us(row[23]),
        added_budget=Money(row[18]),
        extensions=from_json(row[19]),
        running_s=row[20],
        halt=decode_halt(row[21]),
        error=row[22],
        output=None if output_body is None else (output_encoding, output_body),
    )


def read_attempt(row: Row, reply: bytes | None = None) -> AttemptRecord:
    """An attempt from ``attempt_records``."""
    intent = AttemptIntent(
        attempt_id=row[1],
        task_id=row[2],
        epoch=row[3],
        key=row[4],
        request_hash=row[5],
        step=row[6],
        kind=row[7],
        model=row[8],
        provider_model=row[9],
        reserve=Money(row[10]),
        expires_at=from_us(row[11]),
        at=from_us(row[12]),
        token_bound=row[27],
        origin=row[30],
    )
    if row[13] is None:
        return AttemptRecord(intent, None)
    ended = AttemptEnd(
        attempt_id=row[1],
        end=row[13],
        cost=Money(row[14]),
        overrun=Money(row[15]),
        certainty=row[16],
        seconds=row[17],
        at=from_us(row[18]),
        usage=None if row[19] is None else Usage(*row[19:24]),
        served_model=row[24],
        price_source=row[25],
        error=row[26],
        reply=reply,
        saved=Money(row[28]),
        saved_seconds=row[29],
    )
    return AttemptRecord(intent, ended)


def read_hold(row: Row) -> Hold:
    """A hold from its columns, in their order."""
    return Hold(
        seq=row[0],
        attempt_id=row[1],
        task_id=row[2],
        epoch=row[3],
        reserve=row[4],
        account_ids=tuple(from_json(row[5])),
        at_us=row[6],
        expires_at_us=row[7],
        is_open=bool(row[8]),
    )


def read_decision(row: Row) -> Decision:
    """A decision from its columns in the order of :func:`decision_values`."""
    return Decision(
        task_id=row[0],
        key=row[1],
        step=row[2],
        attempt_id=row[3],
        accepted=bool(row[4]),
        confidence=row[5],
        confidence_state=row[6],
        checks=from_json(row[7]),
        at=from_us(row[8]),
    )
