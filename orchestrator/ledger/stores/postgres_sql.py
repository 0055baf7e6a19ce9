# ruff: noqa: S608 - every part of a statement is a constant of this file
"""The statements of the hot path on PostgreSQL: each loads or writes all rows of its kind at once.

Rows arrive as a JSON array of arrays, which costs the client one string whatever their number.
"""

from __future__ import annotations

from functools import lru_cache
from typing import LiteralString

_ROWS: LiteralString = "jsonb_array_elements(%s::jsonb) WITH ORDINALITY AS rows (r, n)"
_SERVER_US: LiteralString = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"

_METHODS: LiteralString = (
    "(VALUES ('enable_seqscan'), ('enable_hashjoin'), ('enable_mergejoin')) AS methods (name)"
)
BY_KEY: LiteralString = f"SELECT set_config(name, 'off', false) FROM {_METHODS}"
"""Every statement here finds a few rows by key. The planner cannot know that of tables that have
grown since it last looked, and would read them whole while the lock is held."""
BY_TABLE: LiteralString = f"SELECT set_config(name, 'on', true) FROM {_METHODS}"
"""Until the transaction ends: for what does read tables whole, and by key would take hours."""
LOCK: LiteralString = "SELECT pg_advisory_xact_lock(%s)"
NOW: LiteralString = f"SELECT {_SERVER_US}"

TASKS: LiteralString = "SELECT task_id, epoch, status, signal FROM tasks WHERE task_id = ANY(%s)"
HOLDS: LiteralString = """
SELECT a.seq, a.attempt_id, a.task_id, a.epoch, a.reserve, a.account_ids, a.at_us, a.expires_at_us,
    h.seq IS NOT NULL
FROM attempts a LEFT JOIN holds h ON h.seq = a.seq WHERE a.attempt_id = ANY(%s)
"""
ACCOUNTS: LiteralString = """
SELECT account_id, key, settled, reserved, disputed, overrun FROM accounts WHERE key = ANY(%s)
UNION
SELECT account_id, key, settled, reserved, disputed, overrun FROM accounts WHERE account_id IN (
    SELECT held.value::bigint FROM attempts a JOIN holds h ON h.seq = a.seq,
        jsonb_array_elements_text(a.account_ids::jsonb) AS held (value)
    WHERE a.attempt_id = ANY(%s)
)
"""

_INSERT_INTENTS: LiteralString = f"""
WITH given AS (SELECT r FROM {_ROWS}), made AS (
    INSERT INTO attempts (seq, attempt_id, task_id, epoch, key, request_hash, step, kind, model,
        provider_model, reserve, account_ids, expires_at_us, at_us, token_bound, origin)
    SELECT (r->>0)::bigint, r->>1, r->>2, (r->>3)::bigint, r->>4, r->>5, r->>6, r->>7, r->>8, r->>9,
        (r->>10)::bigint, r->>11, (r->>12)::bigint, (r->>13)::bigint, (r->>14)::bigint,
        r->>15
    FROM given
)
INSERT INTO holds (seq, expires_at_us) SELECT (r->>0)::bigint,
"""
GIVEN_EXPIRY: LiteralString = f"{_INSERT_INTENTS} (r->>12)::bigint FROM given"
"""Insert intents whose holds expire when the intent says."""
SERVER_EXPIRY: LiteralString = f"{_INSERT_INTENTS} {_SERVER_US} + (r->>16)::bigint FROM given"
"""Insert intents whose holds expire by the server's clock, when the life that the intent gives them
is over: the clock of the machine that asks may be wrong."""

INSERT_ENDS: LiteralString = f"""
WITH made AS (
    INSERT INTO ends (seq, kind, cost, overrun, certainty, seconds, input_tokens,
        output_tokens, cached_input_tokens, cache_write_tokens, reasoning_tokens, served_model,
        price_source, error, at_us, saved, saved_seconds)
    SELECT (r->>0)::bigint, r->>1, (r->>2)::bigint, (r->>3)::bigint, r->>4, (r->>5)::float8,
        (r->>6)::bigint, (r->>7)::bigint, (r->>8)::bigint, (r->>9)::bigint, (r->>10)::bigint,
        r->>11, r->>12, r->>13, (r->>14)::bigint, (r->>15)::bigint, (r->>16)::float8
    FROM {_ROWS} RETURNING seq
)
DELETE FROM holds USING made WHERE holds.seq = made.seq
"""
INSERT_REPLIES: LiteralString = """
INSERT INTO replies (seq, body, expires_at_us)
SELECT * FROM unnest(%s::bigint[], %b::bytea[], %s::bigint[])
"""
UPDATE_ACCOUNTS: LiteralString = f"""
UPDATE accounts SET settled = (r->>1)::bigint, reserved = (r->>2)::bigint,
    disputed = (r->>3)::bigint, overrun = (r->>4)::bigint
FROM {_ROWS} WHERE account_id = (r->>0)::bigint
"""
INSERT_MARKS: LiteralString = f"""
INSERT INTO marks (task_id, kind, key) SELECT r->>0, r->>1, r->>2 FROM {_ROWS}
ON CONFLICT DO NOTHING
"""
INSERT_DECISIONS: LiteralString = f"""
INSERT INTO decisions (task_id, key, step, attempt_id, accepted, confidence, confidence_state,
    checks, at_us)
SELECT r->>0, r->>1, r->>2, r->>3, (r->>4)::boolean, (r->>5)::float8, r->>6, r->>7,
    (r->>8)::bigint
FROM {_ROWS} ORDER BY n
"""
INSERT_LESSONS: LiteralString = f"""
INSERT INTO lessons (tenant, kind, task_id, step, subject, body, at_us)
SELECT r->>0, r->>1, r->>2, r->>3, r->>4, r->>5, (r->>6)::bigint FROM {_ROWS} ORDER BY n
"""

COMMITS: LiteralString = """
SELECT number, (SELECT coalesce(max(seq), 0) + 1 FROM attempts) FROM commits
"""
"""How many batches were committed, and the number of the next attempt."""
NOTE_BATCH: LiteralString = """
WITH counted AS (UPDATE commits SET number = number + 1), noted AS (
    INSERT INTO writers (writer_id, batch) VALUES (%s, %s)
    ON CONFLICT (writer_id) DO UPDATE SET batch = excluded.batch, at = excluded.at
)
SELECT pg_notify(%s, %s) WHERE %s
"""
"""Count a batch, and tell the others of it if it freed something."""
LAST_BATCH: LiteralString = "SELECT batch FROM writers WHERE writer_id = %s"
FORGET_WRITERS: LiteralString = "DELETE FROM writers WHERE at < now() - interval '1 day'"
"""A writer that lives notes itself anew with its next batch."""

SPENT: LiteralString = """
SELECT coalesce(sum(coalesce(c.cost, e.cost, a.reserve)), 0),
    coalesce(sum(coalesce(c.overrun, e.overrun)), 0)
FROM task_holders h JOIN attempts a ON a.task_id = h.task_id
LEFT JOIN ends e ON e.seq = a.seq
LEFT JOIN corrections c ON c.number = (SELECT max(number) FROM corrections WHERE seq = a.seq)
WHERE h.kind = ? AND h.identity = ? AND a.at_us >= ? AND a.at_us < ?
"""
ACCOUNTS_OF_ATTEMPT: LiteralString = (
    "LATERAL (SELECT value::bigint AS value FROM jsonb_array_elements_text(account_ids::jsonb)"
    " AS ids (value)) account"
)


@lru_cache
def translated(statement: str) -> bytes:
    """A statement that has ``?`` for each value, with PostgreSQL's placeholders."""
    return statement.replace("?", "%s").encode()
