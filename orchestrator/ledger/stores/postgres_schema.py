"""The PostgreSQL schema, as numbered migrations. One that has shipped is never edited."""

from __future__ import annotations

from collections.abc import Sequence
from typing import LiteralString

from psycopg import Connection, sql

from orchestrator.core.errors import LedgerUnavailable
from orchestrator.ledger.stores.postgres_connection import Place
from orchestrator.ledger.stores.versions import check_newest

# Ids and keys compare byte by byte: quicker than any language's order, and the same everywhere.
_FACTS: LiteralString = """
CREATE TABLE tasks (
    seq BIGINT GENERATED ALWAYS AS IDENTITY,
    task_id TEXT COLLATE "C" PRIMARY KEY,
    org TEXT NOT NULL,
    team TEXT NOT NULL,
    agent TEXT NOT NULL,
    "user" TEXT,
    tenant TEXT NOT NULL,
    ancestors TEXT NOT NULL,
    tags TEXT NOT NULL,
    graph TEXT NOT NULL,
    policy TEXT NOT NULL,
    input_type TEXT NOT NULL,
    budget BIGINT,
    timeout_s DOUBLE PRECISION,
    parent_key TEXT,
    at_us BIGINT NOT NULL,
    -- Only what follows may change.
    owner TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('running', 'completed', 'halted', 'failed')),
    epoch BIGINT NOT NULL CHECK (epoch > 0),
    signal TEXT,
    added_budget BIGINT NOT NULL DEFAULT 0 CHECK (added_budget >= 0),
    extensions TEXT NOT NULL DEFAULT '{}',
    running_s DOUBLE PRECISION NOT NULL DEFAULT 0,
    halt TEXT,
    error TEXT,
    updated_at_us BIGINT NOT NULL
);
CREATE INDEX tasks_by_time ON tasks (at_us);
CREATE INDEX tasks_running ON tasks (updated_at_us) WHERE status = 'running';

-- Whose money a task spends: its org, team, agent and user, itself, and the tasks around it.
CREATE TABLE task_holders (
    kind TEXT COLLATE "C" NOT NULL,
    identity TEXT COLLATE "C" NOT NULL,
    task_id TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (kind, identity, task_id)
);
CREATE INDEX task_holders_by_task ON task_holders (task_id);

-- seq also numbers what belongs to an attempt: its end, its hold, its reply.
CREATE TABLE attempts (
    seq BIGINT PRIMARY KEY,
    attempt_id TEXT COLLATE "C" NOT NULL UNIQUE,
    task_id TEXT COLLATE "C" NOT NULL,
    epoch BIGINT NOT NULL,
    key TEXT NOT NULL,
    request_hash TEXT NOT NULL,
    step TEXT NOT NULL,
    kind TEXT NOT NULL,
    model TEXT NOT NULL,
    provider_model TEXT NOT NULL,
    reserve BIGINT NOT NULL CHECK (reserve >= 0),
    -- JSON list of account_id: written once with the intent, and always read with it.
    account_ids TEXT NOT NULL,
    expires_at_us BIGINT NOT NULL,
    at_us BIGINT NOT NULL,
    token_bound BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX attempts_by_task ON attempts (task_id);
CREATE INDEX attempts_by_time ON attempts (at_us);

CREATE TABLE ends (
    seq BIGINT PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('settled', 'released', 'expired')),
    cost BIGINT NOT NULL CHECK (cost >= 0),
    overrun BIGINT NOT NULL CHECK (overrun >= 0),
    certainty TEXT NOT NULL CHECK (certainty IN ('known', 'estimated', 'unknown')),
    seconds DOUBLE PRECISION NOT NULL,
    input_tokens BIGINT,
    output_tokens BIGINT,
    cached_input_tokens BIGINT,
    cache_write_tokens BIGINT,
    reasoning_tokens BIGINT,
    served_model TEXT,
    price_source TEXT,
    error TEXT,
    at_us BIGINT NOT NULL,
    saved BIGINT NOT NULL CHECK (saved >= 0),
    saved_seconds DOUBLE PRECISION NOT NULL
);

CREATE TABLE decisions (
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    task_id TEXT COLLATE "C" NOT NULL,
    key TEXT NOT NULL,
    step TEXT NOT NULL,
    attempt_id TEXT COLLATE "C" NOT NULL,
    accepted BOOLEAN NOT NULL,
    confidence DOUBLE PRECISION,
    confidence_state TEXT NOT NULL,
    checks TEXT NOT NULL,
    at_us BIGINT NOT NULL
);
CREATE INDEX decisions_by_task ON decisions (task_id);

CREATE TABLE marks (
    task_id TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (task_id, kind, key)
);
"""

# Half empty pages let a row that changes all the time stay on its page, and its indexes untouched.
_CACHES: LiteralString = """
-- Balances: at every commit equal to seed + fold of the attempts.
CREATE TABLE accounts (
    account_id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key TEXT COLLATE "C" NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    identity TEXT NOT NULL,
    "window" TEXT NOT NULL,
    starts_at_us BIGINT,
    ends_at_us BIGINT,
    seed BIGINT NOT NULL CHECK (seed >= 0),
    seed_overrun BIGINT NOT NULL CHECK (seed_overrun >= 0),
    settled BIGINT NOT NULL CHECK (settled >= 0),
    reserved BIGINT NOT NULL CHECK (reserved >= 0),
    disputed BIGINT NOT NULL CHECK (disputed >= 0),
    overrun BIGINT NOT NULL CHECK (overrun >= 0)
) WITH (fillfactor = 50);

-- The attempts that have no end, so that few rows tell what is open.
CREATE TABLE holds (
    seq BIGINT PRIMARY KEY,
    expires_at_us BIGINT NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

-- Prompts, replies and outputs: the only rows with content, and the only ones that expire.
CREATE TABLE replies (
    seq BIGINT PRIMARY KEY,
    body BYTEA NOT NULL,
    expires_at_us BIGINT
);
CREATE INDEX replies_by_expiry ON replies (expires_at_us) WHERE expires_at_us IS NOT NULL;

CREATE TABLE bodies (
    task_id TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL CHECK (kind IN ('input', 'output')),
    encoding TEXT NOT NULL,
    body BYTEA NOT NULL,
    expires_at_us BIGINT,
    PRIMARY KEY (task_id, kind)
);
CREATE INDEX bodies_by_expiry ON bodies (expires_at_us) WHERE expires_at_us IS NOT NULL;

-- How many batches were committed, whoever wrote them.
CREATE TABLE commits (number BIGINT NOT NULL) WITH (fillfactor = 10);
INSERT INTO commits VALUES (0);

-- The last batch that each writer committed, so that it can tell after a cut connection.
CREATE TABLE writers (
    writer_id TEXT COLLATE "C" PRIMARY KEY,
    batch BIGINT NOT NULL,
    at TIMESTAMPTZ NOT NULL DEFAULT now()
) WITH (fillfactor = 50);
"""

_VIEWS: LiteralString = """
CREATE VIEW task_records AS
SELECT task_id, org, team, agent, "user", tenant, ancestors, tags, graph, policy, input_type,
    budget, timeout_s, parent_key, at_us, owner, status, epoch, added_budget, extensions, running_s,
    halt, error, updated_at_us
FROM tasks;

-- Every attempt, open or ended.
CREATE VIEW attempt_records AS
SELECT a.seq, a.attempt_id, a.task_id, a.epoch, a.key, a.request_hash, a.step, a.kind, a.model,
    a.provider_model, a.reserve, a.expires_at_us, a.at_us, e.kind AS "end", e.cost, e.overrun,
    e.certainty, e.seconds, e.at_us AS ended_at_us, e.input_tokens, e.output_tokens,
    e.cached_input_tokens, e.cache_write_tokens, e.reasoning_tokens, e.served_model,
    e.price_source, e.error, a.token_bound, e.saved, e.saved_seconds
FROM attempts a LEFT JOIN ends e ON e.seq = a.seq;
"""

_GUARDS: LiteralString = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'restrict_violation'; END $$;

CREATE TRIGGER tasks_no_update BEFORE UPDATE OF seq, task_id, org, team, agent, "user", tenant,
    ancestors, tags, graph, policy, input_type, budget, timeout_s, parent_key, at_us ON tasks
    FOR EACH STATEMENT EXECUTE FUNCTION refuse('how a task started never changes');
CREATE TRIGGER tasks_no_delete BEFORE DELETE OR TRUNCATE ON tasks
    FOR EACH STATEMENT EXECUTE FUNCTION refuse('tasks are never removed');
CREATE TRIGGER attempts_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON attempts
    FOR EACH STATEMENT EXECUTE FUNCTION refuse('attempts is append-only');
CREATE TRIGGER ends_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ends
    FOR EACH STATEMENT EXECUTE FUNCTION refuse('ends is append-only');
CREATE TRIGGER decisions_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON decisions
    FOR EACH STATEMENT EXECUTE FUNCTION refuse('decisions is append-only');
"""

# What routing learns from; numbers and names, never a body.
_LESSONS: LiteralString = """
CREATE TABLE lessons (
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant TEXT COLLATE "C" NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('observation', 'outcome', 'choice')),
    task_id TEXT COLLATE "C" NOT NULL,
    step TEXT NOT NULL,
    subject TEXT NOT NULL,
    body TEXT NOT NULL,
    at_us BIGINT NOT NULL
);
CREATE INDEX lessons_by_tenant ON lessons (tenant, seq) WHERE kind <> 'choice';
CREATE INDEX lessons_by_task ON lessons (task_id, seq);
CREATE TRIGGER lessons_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON lessons
    FOR EACH STATEMENT EXECUTE FUNCTION refuse('lessons is append-only');
"""

# What an attempt in doubt really cost, once somebody knows. The last one stands.
_CORRECTIONS: LiteralString = """
CREATE TABLE corrections (
    number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    seq BIGINT NOT NULL,
    cost BIGINT NOT NULL CHECK (cost >= 0),
    overrun BIGINT NOT NULL CHECK (overrun >= 0),
    certainty TEXT NOT NULL CHECK (certainty IN ('known', 'estimated')),
    source TEXT NOT NULL,
    at_us BIGINT NOT NULL
);
CREATE INDEX corrections_by_attempt ON corrections (seq, number);
CREATE OR REPLACE VIEW attempt_records AS
SELECT a.seq, a.attempt_id, a.task_id, a.epoch, a.key, a.request_hash, a.step, a.kind, a.model,
    a.provider_model, a.reserve, a.expires_at_us, a.at_us, e.kind AS "end",
    coalesce(c.cost, e.cost) AS cost, coalesce(c.overrun, e.overrun) AS overrun,
    coalesce(c.certainty, e.certainty) AS certainty, e.seconds, e.at_us AS ended_at_us,
    e.input_tokens, e.output_tokens, e.cached_input_tokens, e.cache_write_tokens,
    e.reasoning_tokens, e.served_model, coalesce(c.source, e.price_source) AS price_source, e.error,
    a.token_bound, e.saved, e.saved_seconds
FROM attempts a LEFT JOIN ends e ON e.seq = a.seq
LEFT JOIN corrections c ON c.number = (SELECT max(number) FROM corrections WHERE seq = a.seq);
CREATE TRIGGER corrections_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON corrections
    FOR EACH STATEMENT EXECUTE FUNCTION refuse('corrections is append-only');
"""

_THRESHOLDS: LiteralString = """
-- Each threshold of a budget is crossed once in a window, whoever notices first.
CREATE TABLE crossings (
    account TEXT COLLATE "C" NOT NULL,
    share BIGINT NOT NULL,
    amount BIGINT NOT NULL,
    at_us BIGINT NOT NULL,
    PRIMARY KEY (account, share, amount)
);
CREATE TRIGGER crossings_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON crossings
    FOR EACH STATEMENT EXECUTE FUNCTION refuse('crossings is append-only');
ALTER TABLE tasks ADD COLUMN priority TEXT;
CREATE TRIGGER tasks_no_other_priority BEFORE UPDATE OF priority ON tasks
    FOR EACH STATEMENT EXECUTE FUNCTION refuse('how a task started never changes');
CREATE OR REPLACE VIEW task_records AS
SELECT task_id, org, team, agent, "user", tenant, ancestors, tags, graph, policy, input_type,
    budget, timeout_s, parent_key, at_us, owner, status, epoch, added_budget, extensions, running_s,
    halt, error, updated_at_us, priority
FROM tasks;
"""

# In which region and with whose key an attempt was made.
_ORIGINS: LiteralString = """
ALTER TABLE attempts ADD COLUMN origin TEXT;
CREATE OR REPLACE VIEW attempt_records AS
SELECT a.seq, a.attempt_id, a.task_id, a.epoch, a.key, a.request_hash, a.step, a.kind, a.model,
    a.provider_model, a.reserve, a.expires_at_us, a.at_us, e.kind AS "end",
    coalesce(c.cost, e.cost) AS cost, coalesce(c.overrun, e.overrun) AS overrun,
    coalesce(c.certainty, e.certainty) AS certainty, e.seconds, e.at_us AS ended_at_us,
    e.input_tokens, e.output_tokens, e.cached_input_tokens, e.cache_write_tokens,
    e.reasoning_tokens, e.served_model, coalesce(c.source, e.price_source) AS price_source, e.error,
    a.token_bound, e.saved, e.saved_seconds, a.origin
FROM attempts a LEFT JOIN ends e ON e.seq = a.seq
LEFT JOIN corrections c ON c.number = (SELECT max(number) FROM corrections WHERE seq = a.seq);
"""

# What was asked, as hashed words: what lessons are learned from, and can be forgotten.
_WORDS: LiteralString = """
CREATE TABLE lesson_words (
    attempt_id TEXT COLLATE "C" PRIMARY KEY,
    task_id TEXT COLLATE "C" NOT NULL,
    words TEXT NOT NULL
);
CREATE INDEX lesson_words_by_task ON lesson_words (task_id);
"""

MIGRATIONS: Sequence[tuple[LiteralString, LiteralString]] = (
    ("ledger", _FACTS + _CACHES + _VIEWS + _GUARDS),
    ("lessons", _LESSONS),
    ("corrections", _CORRECTIONS),
    ("thresholds", _THRESHOLDS),
    ("origins", _ORIGINS),
    ("words", _WORDS),
)
"""Name and statements of each migration; their numbers count from 1."""


def migrate(connection: Connection, place: Place) -> None:
    """Apply the migrations that have not run, all or none.

    Raises:
        LedgerUnavailable: If the ledger was written by a newer version, or the database cannot
            hold one.
    """
    if connection.info.parameter_status("server_encoding") != "UTF8":
        message = "the database's encoding is not UTF8; name one that is"
        raise LedgerUnavailable(message)
    if _newest(connection) < len(MIGRATIONS):
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (place.lock,))
            connection.execute(
                sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(place.schema))
            )
            connection.execute(
                "CREATE TABLE IF NOT EXISTS migrations (number INTEGER PRIMARY KEY,"
                " name TEXT NOT NULL, applied_at TIMESTAMPTZ NOT NULL DEFAULT now())"
            )
            # Inside the lock: another process may have just done it.
            newest = _newest(connection)
            for number, (name, statements) in enumerate(MIGRATIONS, start=1):
                if number > newest:
                    connection.execute(statements)
                    connection.execute(
                        "INSERT INTO migrations (number, name) VALUES (%s, %s)", (number, name)
                    )
    check_version(connection)


def check_version(connection: Connection) -> None:
    """See that the schema is this version's.

    Raises:
        LedgerUnavailable: If it is older or newer, or not there.
    """
    newest = _newest(connection)
    if newest == 0:
        message = "there is no ledger in this database; run an agent first, or name another store"
        raise LedgerUnavailable(message)
    check_newest(newest, known=len(MIGRATIONS))


def _newest(connection: Connection) -> int:
    row = connection.execute("SELECT to_regclass('migrations') IS NOT NULL").fetchone()
    if row is None or not row[0]:
        return 0
    row = connection.execute("SELECT coalesce(max(number), 0) FROM migrations").fetchone()
    return 0 if row is None else int(row[0])
