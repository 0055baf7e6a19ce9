# ruff: noqa: S608 - every part of a statement is a constant of this file
"""The statements that make the tables of a SQLite ledger, as far as each migration goes."""

from __future__ import annotations

FACTS = """
CREATE TABLE tasks (
    task_id TEXT PRIMARY KEY,
    org TEXT NOT NULL,
    team TEXT NOT NULL,
    agent TEXT NOT NULL,
    user TEXT,
    tenant TEXT NOT NULL,
    ancestors TEXT NOT NULL,
    tags TEXT NOT NULL,
    graph TEXT NOT NULL,
    policy TEXT NOT NULL,
    input_type TEXT NOT NULL,
    budget INTEGER,
    timeout_s REAL,
    parent_key TEXT,
    at_us INTEGER NOT NULL,
    -- Only what follows may change.
    owner TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('running', 'completed', 'halted', 'failed')),
    epoch INTEGER NOT NULL CHECK (epoch > 0),
    signal TEXT,
    added_budget INTEGER NOT NULL DEFAULT 0 CHECK (added_budget >= 0),
    extensions TEXT NOT NULL DEFAULT '{}',
    running_s REAL NOT NULL DEFAULT 0,
    halt TEXT,
    error TEXT,
    updated_at_us INTEGER NOT NULL
) STRICT;
CREATE INDEX tasks_by_time ON tasks (at_us);
CREATE INDEX tasks_running ON tasks (updated_at_us) WHERE status = 'running';

-- Whose money a task spends: its org, team, agent and user, itself, and the tasks around it.
CREATE TABLE task_holders (
    kind TEXT NOT NULL,
    identity TEXT NOT NULL,
    task_id TEXT NOT NULL,
    PRIMARY KEY (kind, identity, task_id)
) STRICT, WITHOUT ROWID;

-- seq also numbers what belongs to an attempt: its end, its hold, its reply.
CREATE TABLE attempts (
    seq INTEGER PRIMARY KEY,
    attempt_id TEXT NOT NULL UNIQUE,
    task_id TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    key TEXT NOT NULL,
    request_hash TEXT NOT NULL,
    step TEXT NOT NULL,
    kind TEXT NOT NULL,
    model TEXT NOT NULL,
    provider_model TEXT NOT NULL,
    reserve INTEGER NOT NULL CHECK (reserve >= 0),
    -- JSON list of account_id: written once with the intent, and always read with it.
    account_ids TEXT NOT NULL,
    expires_at_us INTEGER NOT NULL,
    at_us INTEGER NOT NULL,
    token_bound INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX attempts_by_task ON attempts (task_id);
CREATE INDEX attempts_by_time ON attempts (at_us);

CREATE TABLE ends (
    seq INTEGER PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('settled', 'released', 'expired')),
    cost INTEGER NOT NULL CHECK (cost >= 0),
    overrun INTEGER NOT NULL CHECK (overrun >= 0),
    certainty TEXT NOT NULL CHECK (certainty IN ('known', 'estimated', 'unknown')),
    seconds REAL NOT NULL,
    input_tokens INTEGER,
    output_tokens INTEGER,
    cached_input_tokens INTEGER,
    cache_write_tokens INTEGER,
    reasoning_tokens INTEGER,
    served_model TEXT,
    price_source TEXT,
    error TEXT,
    at_us INTEGER NOT NULL
) STRICT;

CREATE TABLE decisions (
    seq INTEGER PRIMARY KEY,
    task_id TEXT NOT NULL,
    key TEXT NOT NULL,
    step TEXT NOT NULL,
    attempt_id TEXT NOT NULL,
    accepted INTEGER NOT NULL,
    confidence REAL,
    confidence_state TEXT NOT NULL,
    checks TEXT NOT NULL,
    at_us INTEGER NOT NULL
) STRICT;
CREATE INDEX decisions_by_task ON decisions (task_id);

CREATE TABLE marks (
    task_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    PRIMARY KEY (task_id, kind, key)
) STRICT, WITHOUT ROWID;
"""

CACHES = """
-- Balances: at every commit equal to seed + fold of the attempts.
CREATE TABLE accounts (
    account_id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    identity TEXT NOT NULL,
    window TEXT NOT NULL,
    starts_at_us INTEGER,
    ends_at_us INTEGER,
    seed INTEGER NOT NULL CHECK (seed >= 0),
    seed_overrun INTEGER NOT NULL CHECK (seed_overrun >= 0),
    settled INTEGER NOT NULL CHECK (settled >= 0),
    reserved INTEGER NOT NULL CHECK (reserved >= 0),
    disputed INTEGER NOT NULL CHECK (disputed >= 0),
    overrun INTEGER NOT NULL CHECK (overrun >= 0)
) STRICT;

-- The attempts that have no end, so that few rows tell what is open.
CREATE TABLE holds (
    seq INTEGER PRIMARY KEY,
    expires_at_us INTEGER NOT NULL
) STRICT;

-- Prompts, replies and outputs: the only rows with content, and the only ones that expire.
CREATE TABLE replies (
    seq INTEGER PRIMARY KEY,
    body BLOB NOT NULL,
    expires_at_us INTEGER
) STRICT;
CREATE INDEX replies_by_expiry ON replies (expires_at_us) WHERE expires_at_us IS NOT NULL;

CREATE TABLE bodies (
    task_id TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('input', 'output')),
    encoding TEXT NOT NULL,
    body BLOB NOT NULL,
    expires_at_us INTEGER,
    UNIQUE (task_id, kind)
) STRICT;
CREATE INDEX bodies_by_expiry ON bodies (expires_at_us) WHERE expires_at_us IS NOT NULL;
"""

VIEWS = """
CREATE VIEW task_records AS
SELECT task_id, org, team, agent, user, tenant, ancestors, tags, graph, policy, input_type, budget,
    timeout_s, parent_key, at_us, owner, status, epoch, added_budget, extensions, running_s, halt,
    error, updated_at_us
FROM tasks;

-- Every attempt, open or ended.
CREATE VIEW attempt_records AS
SELECT a.seq, a.attempt_id, a.task_id, a.epoch, a.key, a.request_hash, a.step, a.kind, a.model,
    a.provider_model, a.reserve, a.expires_at_us, a.at_us, e.kind AS end, e.cost, e.overrun,
    e.certainty, e.seconds, e.at_us AS ended_at_us, e.input_tokens, e.output_tokens,
    e.cached_input_tokens, e.cache_write_tokens, e.reasoning_tokens, e.served_model,
    e.price_source, e.error, a.token_bound
FROM attempts a LEFT JOIN ends e ON e.seq = a.seq;
"""


def append_only(table: str, same: str) -> str:
    """Triggers that refuse to change or remove a row.

    ``INSERT OR REPLACE`` removes rows without asking a delete trigger, hence the third one.
    """
    template = """
CREATE TRIGGER TABLE_no_update BEFORE UPDATE ON TABLE
BEGIN SELECT RAISE(ABORT, 'TABLE is append-only'); END;
CREATE TRIGGER TABLE_no_delete BEFORE DELETE ON TABLE
BEGIN SELECT RAISE(ABORT, 'TABLE is append-only'); END;
CREATE TRIGGER TABLE_no_replace BEFORE INSERT ON TABLE
WHEN EXISTS (SELECT 1 FROM TABLE WHERE SAME)
BEGIN SELECT RAISE(ABORT, 'TABLE is append-only'); END;
"""
    return template.replace("TABLE", table).replace("SAME", same)


GUARDS = """
CREATE TRIGGER tasks_no_update BEFORE UPDATE OF task_id, org, team, agent, user, tenant, ancestors,
    tags, graph, policy, input_type, budget, timeout_s, parent_key, at_us ON tasks
BEGIN SELECT RAISE(ABORT, 'how a task started never changes'); END;
CREATE TRIGGER tasks_no_delete BEFORE DELETE ON tasks
BEGIN SELECT RAISE(ABORT, 'tasks are never removed'); END;
""" + "".join(
    append_only(table, same)
    for table, same in (
        ("attempts", "seq = new.seq OR attempt_id = new.attempt_id"),
        ("ends", "seq = new.seq"),
        ("decisions", "seq = new.seq"),
    )
)

# A hit of the memo is an attempt of kind 'memo': it reserves and costs nothing, and saves this.
SAVINGS = """
ALTER TABLE ends ADD COLUMN saved INTEGER NOT NULL DEFAULT 0 CHECK (saved >= 0);
ALTER TABLE ends ADD COLUMN saved_seconds REAL NOT NULL DEFAULT 0;
DROP VIEW attempt_records;
CREATE VIEW attempt_records AS
SELECT a.seq, a.attempt_id, a.task_id, a.epoch, a.key, a.request_hash, a.step, a.kind, a.model,
    a.provider_model, a.reserve, a.expires_at_us, a.at_us, e.kind AS end, e.cost, e.overrun,
    e.certainty, e.seconds, e.at_us AS ended_at_us, e.input_tokens, e.output_tokens,
    e.cached_input_tokens, e.cache_write_tokens, e.reasoning_tokens, e.served_model,
    e.price_source, e.error, a.token_bound, e.saved, e.saved_seconds
FROM attempts a LEFT JOIN ends e ON e.seq = a.seq;
"""

# What routing learns from; numbers and names, never a body.
LESSONS = """
CREATE TABLE lessons (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('observation', 'outcome', 'choice')),
    task_id TEXT NOT NULL,
    step TEXT NOT NULL,
    subject TEXT NOT NULL,
    body TEXT NOT NULL,
    at_us INTEGER NOT NULL
) STRICT;
CREATE INDEX lessons_by_tenant ON lessons (tenant, seq) WHERE kind <> 'choice';
CREATE INDEX lessons_by_task ON lessons (task_id, seq);
""" + append_only("lessons", "seq = new.seq")

CORRECTED_VIEW = """
CREATE VIEW attempt_records AS
SELECT a.seq, a.attempt_id, a.task_id, a.epoch, a.key, a.request_hash, a.step, a.kind, a.model,
    a.provider_model, a.reserve, a.expires_at_us, a.at_us, e.kind AS end,
    coalesce(c.cost, e.cost) AS cost, coalesce(c.overrun, e.overrun) AS overrun,
    coalesce(c.certainty, e.certainty) AS certainty, e.seconds, e.at_us AS ended_at_us,
    e.input_tokens, e.output_tokens, e.cached_input_tokens, e.cache_write_tokens,
    e.reasoning_tokens, e.served_model, coalesce(c.source, e.price_source) AS price_source, e.error,
    a.token_bound, e.saved, e.saved_seconds
FROM attempts a LEFT JOIN ends e ON e.seq = a.seq
LEFT JOIN corrections c ON c.number = (SELECT max(number) FROM corrections WHERE seq = a.seq);
"""

# What an attempt in doubt really cost, once somebody knows. The last one stands.
CORRECTIONS = (
    """
CREATE TABLE corrections (
    number INTEGER PRIMARY KEY,
    seq INTEGER NOT NULL,
    cost INTEGER NOT NULL CHECK (cost >= 0),
    overrun INTEGER NOT NULL CHECK (overrun >= 0),
    certainty TEXT NOT NULL CHECK (certainty IN ('known', 'estimated')),
    source TEXT NOT NULL,
    at_us INTEGER NOT NULL
) STRICT;
CREATE INDEX corrections_by_attempt ON corrections (seq, number);
DROP VIEW attempt_records;
"""
    + CORRECTED_VIEW
)

THRESHOLDS = """
-- Each threshold of a budget is crossed once in a window, whoever notices first.
CREATE TABLE crossings (
    account TEXT NOT NULL,
    share INTEGER NOT NULL,
    amount INTEGER NOT NULL,
    at_us INTEGER NOT NULL,
    PRIMARY KEY (account, share, amount)
) STRICT, WITHOUT ROWID;
ALTER TABLE tasks ADD COLUMN priority TEXT;
CREATE TRIGGER tasks_no_other_priority BEFORE UPDATE OF priority ON tasks
BEGIN SELECT RAISE(ABORT, 'how a task started never changes'); END;
DROP VIEW task_records;
CREATE VIEW task_records AS
SELECT task_id, org, team, agent, user, tenant, ancestors, tags, graph, policy, input_type,
    budget, timeout_s, parent_key, at_us, owner, status, epoch, added_budget, extensions, running_s,
    halt, error, updated_at_us, priority
FROM tasks;
"""

# What tells when it expires: no clock that somebody can set, if the machine has one.
STEADY_HOLDS = """
ALTER TABLE holds ADD COLUMN boot TEXT;
"""

# SQLite builds a table for each IN of three or more values, each time it checks a row: half of what
# it cost to write one. Only copying lets a table have other checks.
QUICK_ENDS = (
    """
DROP VIEW attempt_records;
CREATE TABLE quick_ends (
    seq INTEGER PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind = 'settled' OR kind = 'released' OR kind = 'expired'),
    cost INTEGER NOT NULL CHECK (cost >= 0),
    overrun INTEGER NOT NULL CHECK (overrun >= 0),
    certainty TEXT NOT NULL
        CHECK (certainty = 'known' OR certainty = 'estimated' OR certainty = 'unknown'),
    seconds REAL NOT NULL,
    input_tokens INTEGER,
    output_tokens INTEGER,
    cached_input_tokens INTEGER,
    cache_write_tokens INTEGER,
    reasoning_tokens INTEGER,
    served_model TEXT,
    price_source TEXT,
    error TEXT,
    at_us INTEGER NOT NULL,
    saved INTEGER NOT NULL DEFAULT 0 CHECK (saved >= 0),
    saved_seconds REAL NOT NULL DEFAULT 0
) STRICT;
INSERT INTO quick_ends SELECT * FROM ends ORDER BY seq;
DROP TABLE ends;
ALTER TABLE quick_ends RENAME TO ends;
"""
    + append_only("ends", "seq = new.seq")
    + CORRECTED_VIEW
)

# In which region and with whose key an attempt was made.
ORIGINS = """
ALTER TABLE attempts ADD COLUMN origin TEXT;
DROP VIEW attempt_records;
CREATE VIEW attempt_records AS
SELECT a.seq, a.attempt_id, a.task_id, a.epoch, a.key, a.request_hash, a.step, a.kind, a.model,
    a.provider_model, a.reserve, a.expires_at_us, a.at_us, e.kind AS end,
    coalesce(c.cost, e.cost) AS cost, coalesce(c.overrun, e.overrun) AS overrun,
    coalesce(c.certainty, e.certainty) AS certainty, e.seconds, e.at_us AS ended_at_us,
    e.input_tokens, e.output_tokens, e.cached_input_tokens, e.cache_write_tokens,
    e.reasoning_tokens, e.served_model, coalesce(c.source, e.price_source) AS price_source, e.error,
    a.token_bound, e.saved, e.saved_seconds, a.origin
FROM attempts a LEFT JOIN ends e ON e.seq = a.seq
LEFT JOIN corrections c ON c.number = (SELECT max(number) FROM corrections WHERE seq = a.seq);
"""

# What was asked, as hashed words: what lessons are learned from, and can be forgotten.
WORDS = """
CREATE TABLE lesson_words (
    attempt_id TEXT PRIMARY KEY,
    task_id TEXT NOT NULL,
    words TEXT NOT NULL
) STRICT;
CREATE INDEX lesson_words_by_task ON lesson_words (task_id);
"""
