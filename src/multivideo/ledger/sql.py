"""Every statement of the books, in SQL that SQLite and PostgreSQL both understand.

Parameters are named. What a statement did is told by RETURNING, never by a count of rows. Only the triggers differ
between the two: they stand apart.
"""

from __future__ import annotations

__all__ = ["MIGRATIONS", "TRIGGERS"]

_FIRST = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);

CREATE TABLE jobs (
    id TEXT PRIMARY KEY,
    created_ms BIGINT NOT NULL,
    request_print TEXT NOT NULL,
    prompt_print TEXT NOT NULL,
    brief TEXT,
    save_to TEXT,
    tags TEXT NOT NULL,
    files TEXT NOT NULL DEFAULT '[]',
    ended_ms BIGINT,
    owner TEXT,
    lease_ms BIGINT NOT NULL DEFAULT 0,
    epoch BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX jobs_open ON jobs (created_ms) WHERE ended_ms IS NULL;

CREATE TABLE job_tags (
    job_id TEXT NOT NULL REFERENCES jobs (id),
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (job_id, name)
);

CREATE TABLE attempts (
    id TEXT PRIMARY KEY,
    job_id TEXT NOT NULL REFERENCES jobs (id),
    state TEXT NOT NULL,
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    call TEXT NOT NULL,
    remote_id TEXT,
    held_micro BIGINT NOT NULL CHECK (held_micro >= 0),
    charge_micro BIGINT,
    certainty TEXT,
    said TEXT,
    prepared_ms BIGINT NOT NULL,
    sent_ms BIGINT,
    accepted_ms BIGINT,
    ended_ms BIGINT
);
CREATE INDEX attempts_of_job ON attempts (job_id);
CREATE INDEX attempts_open ON attempts (state) WHERE ended_ms IS NULL;

CREATE TABLE entries (
    number BIGINT PRIMARY KEY,
    kind TEXT NOT NULL,
    debit TEXT NOT NULL,
    credit TEXT NOT NULL,
    amount_micro BIGINT NOT NULL CHECK (amount_micro >= 0),
    attempt_id TEXT REFERENCES attempts (id),
    at_ms BIGINT NOT NULL,
    live BIGINT NOT NULL,
    certainty TEXT,
    note TEXT,
    by_whom TEXT,
    chain TEXT NOT NULL
);
CREATE INDEX entries_of_attempt ON entries (attempt_id);
CREATE INDEX entries_by_time ON entries (at_ms);
CREATE UNIQUE INDEX one_hold ON entries (attempt_id) WHERE kind = 'hold';
CREATE UNIQUE INDEX one_close ON entries (attempt_id) WHERE kind IN ('settle', 'void');

CREATE TABLE balances (account TEXT PRIMARY KEY, micro BIGINT NOT NULL);

CREATE TABLE budgets (
    id TEXT PRIMARY KEY,
    amount_micro BIGINT NOT NULL CHECK (amount_micro >= 0),
    period TEXT NOT NULL,
    model TEXT,
    provider TEXT,
    tags TEXT NOT NULL,
    created_ms BIGINT NOT NULL
);

CREATE TABLE budget_use (
    budget_id TEXT NOT NULL REFERENCES budgets (id),
    period TEXT NOT NULL,
    micro BIGINT NOT NULL CHECK (micro >= 0),
    PRIMARY KEY (budget_id, period)
);

CREATE TABLE budget_holds (
    attempt_id TEXT NOT NULL REFERENCES attempts (id),
    budget_id TEXT NOT NULL REFERENCES budgets (id),
    period TEXT NOT NULL,
    PRIMARY KEY (attempt_id, budget_id)
)
"""

_SEGMENTS = """
ALTER TABLE attempts ADD COLUMN segment BIGINT NOT NULL DEFAULT 1 CHECK (segment >= 1);
DROP INDEX jobs_open;
CREATE INDEX jobs_open ON jobs (created_ms, id) WHERE ended_ms IS NULL;
CREATE INDEX jobs_by_time ON jobs (created_ms, id);
"""

MIGRATIONS: tuple[str, ...] = (_FIRST, _SEGMENTS)
"""The schema, step by step: a ledger of version n has had the first n of them."""

TRIGGERS = """
CREATE TRIGGER entries_stay BEFORE UPDATE ON entries
BEGIN SELECT RAISE(ABORT, 'an entry is never changed'); END;
CREATE TRIGGER entries_last BEFORE DELETE ON entries
BEGIN SELECT RAISE(ABORT, 'an entry is never deleted'); END;
CREATE TRIGGER entries_follow BEFORE INSERT ON entries
WHEN NEW.number <> (SELECT COALESCE(MAX(number), 0) + 1 FROM entries)
BEGIN SELECT RAISE(ABORT, 'an entry follows the last one'); END
"""
"""What SQLite itself refuses. PostgreSQL takes the rights to change and to delete away instead."""

META = "SELECT value FROM meta WHERE name = :name"
KEEP_META = "INSERT INTO meta (name, value) VALUES (:name, :value) ON CONFLICT (name) DO NOTHING"

ADD_JOB = """
INSERT INTO jobs (id, created_ms, request_print, prompt_print, brief, save_to, tags, owner, lease_ms, epoch)
VALUES (:id, :now, :request_print, :prompt_print, :brief, :save_to, :tags, :owner, :lease_ms, 1)
ON CONFLICT (id) DO NOTHING RETURNING id
"""
ADD_TAG = "INSERT INTO job_tags (job_id, name, value) VALUES (:job_id, :name, :value)"
TAGS_OF = "SELECT name, value FROM job_tags WHERE job_id = :job_id ORDER BY name"
JOB = """
SELECT id, created_ms, request_print, prompt_print, brief, save_to, tags, files, ended_ms, owner, lease_ms, epoch
FROM jobs WHERE id = :id
"""
JOBS = """
SELECT id, created_ms, request_print, prompt_print, brief, save_to, tags, files, ended_ms, owner, lease_ms, epoch
FROM jobs ORDER BY created_ms, id
"""
NEWEST_JOBS = JOBS.replace(
    "ORDER BY created_ms, id",
    """
WHERE (created_ms, id) < (:created_ms, :id) AND created_ms >= :since AND ({which})
ORDER BY created_ms DESC, id DESC LIMIT :most
""",
)
WHICH_JOBS = {
    "open": "ended_ms IS NULL AND EXISTS (SELECT 1 FROM attempts a WHERE a.job_id = jobs.id AND a.state = 'accepted')",
    "finished": "ended_ms IS NOT NULL AND files <> '[]'",
    "failed": "ended_ms IS NOT NULL AND files = '[]'",
}
"""Of the jobs that are told to users: what nobody knows to have become a job is told as unresolved."""
JOBS_AFTER = JOBS.replace("ORDER BY created_ms, id", "WHERE id > :after ORDER BY id LIMIT :most")
OPEN_JOBS = JOBS.replace("ORDER BY", "WHERE ended_ms IS NULL ORDER BY")
END_JOB = """
UPDATE jobs SET ended_ms = :now, files = COALESCE(:files, files), owner = NULL, lease_ms = 0
WHERE id = :id AND NOT EXISTS (
    SELECT 1 FROM attempts WHERE job_id = :id AND state IN ('prepared', 'sending', 'unknown', 'accepted')
) RETURNING id
"""
KEEP_FILES = "UPDATE jobs SET files = :files WHERE id = :id"
REOPEN_JOB = "UPDATE jobs SET ended_ms = NULL WHERE id = :id AND ended_ms IS NOT NULL RETURNING id"
LEASE_JOB = "UPDATE jobs SET owner = :owner, lease_ms = :until, epoch = epoch + 1 WHERE id = :id RETURNING epoch"

CLAIM = """
UPDATE jobs SET owner = :owner, lease_ms = :until, epoch = epoch + 1
WHERE id = :id AND (owner IS NULL OR owner = :owner OR lease_ms <= :now OR owner = :dead) RETURNING epoch
"""
RENEW = "UPDATE jobs SET lease_ms = :until WHERE id = :id AND owner = :owner RETURNING epoch"
RELEASE = "UPDATE jobs SET owner = NULL, lease_ms = 0 WHERE id = :id AND owner = :owner RETURNING id"

ADD_ATTEMPT = """
INSERT INTO attempts (id, job_id, segment, state, provider, model, call, held_micro, prepared_ms)
VALUES (:id, :job_id, :segment, 'prepared', :provider, :model, :call, :held, :now)
ON CONFLICT (id) DO NOTHING RETURNING id
"""
ATTEMPT_COLUMNS = (
    "id, job_id, state, provider, model, call, remote_id, held_micro, charge_micro, certainty, said, "
    "prepared_ms, sent_ms, accepted_ms, ended_ms, segment"
)
ATTEMPT = f"SELECT {ATTEMPT_COLUMNS} FROM attempts WHERE id = :id"
# No index makes a vendor's id unique: a gateway or an emulator that starts anew may count from the beginning, and what
# a vendor answers to a submit of ours is that submit's. Only an id that was looked up must be no other attempt's.
PERHAPS_OF_ANOTHER = """
SELECT a.id FROM attempts a JOIN jobs j ON j.id = a.job_id
WHERE a.provider = :provider AND a.id <> :id
AND (a.remote_id = :remote_id OR (a.state = 'sending' AND j.prompt_print = :prompt_print))
"""
ATTEMPTS_AFTER = f"SELECT {ATTEMPT_COLUMNS} FROM attempts WHERE id > :after ORDER BY id LIMIT :most"
ATTEMPTS_OF = f"SELECT {ATTEMPT_COLUMNS} FROM attempts WHERE job_id = :job_id ORDER BY prepared_ms, id"
SENDING = "UPDATE attempts SET state = 'sending', sent_ms = :now WHERE id = :id AND state = 'prepared' RETURNING id"
SENDING_AGAIN = "UPDATE attempts SET sent_ms = :now WHERE id = :id AND state = 'sending' RETURNING id"
ACCEPTED = """
UPDATE attempts SET state = 'accepted', remote_id = :remote_id, accepted_ms = :now
WHERE id = :id AND state IN ('sending', 'unknown') RETURNING job_id
"""
UNKNOWN = "UPDATE attempts SET state = 'unknown', said = :said WHERE id = :id AND state = 'sending' RETURNING id"
END_ATTEMPT = """
UPDATE attempts SET state = :state, charge_micro = :charge, certainty = :certainty, said = :said, ended_ms = :now
WHERE id = :id AND ended_ms IS NULL RETURNING id
"""

SET_CHARGE = "UPDATE attempts SET charge_micro = :charge, certainty = :certainty WHERE id = :id RETURNING id"

LAST_ENTRY = "SELECT number, chain FROM entries ORDER BY number DESC LIMIT 1"
ENTRY_COLUMNS = "number, kind, debit, credit, amount_micro, attempt_id, at_ms, live, certainty, note, by_whom, chain"
ADD_ENTRY = f"""
INSERT INTO entries ({ENTRY_COLUMNS})
VALUES (:number, :kind, :debit, :credit, :amount, :attempt_id, :now, :live, :certainty, :note, :by_whom, :chain)
"""
ENTRIES_AFTER = f"SELECT {ENTRY_COLUMNS} FROM entries WHERE number > :after ORDER BY number LIMIT :most"
ENTRIES_OF = f"SELECT {ENTRY_COLUMNS} FROM entries WHERE attempt_id = :attempt_id ORDER BY number"
ADD_BALANCE = """
INSERT INTO balances (account, micro) VALUES (:account, :micro)
ON CONFLICT (account) DO UPDATE SET micro = balances.micro + excluded.micro RETURNING micro
"""
BALANCE = "SELECT micro FROM balances WHERE account = :account"
BALANCES = "SELECT account, micro FROM balances ORDER BY account"

ADD_BUDGET = """
INSERT INTO budgets (id, amount_micro, period, model, provider, tags, created_ms)
VALUES (:id, :amount, :period, :model, :provider, :tags, :now)
ON CONFLICT (id) DO UPDATE SET amount_micro = excluded.amount_micro
"""
REMOVE_BUDGET = (
    "DELETE FROM budget_holds WHERE budget_id = :id",
    "DELETE FROM budget_use WHERE budget_id = :id",
    "DELETE FROM budgets WHERE id = :id",
)
BUDGETS = "SELECT id, amount_micro, period, model, provider, tags FROM budgets ORDER BY created_ms, id"
BUDGET_USE = "SELECT micro FROM budget_use WHERE budget_id = :id AND period = :period"
ADD_BUDGET_USE = """
INSERT INTO budget_use (budget_id, period, micro) VALUES (:id, :period, :micro)
ON CONFLICT (budget_id, period) DO UPDATE SET micro = budget_use.micro + excluded.micro
"""
CHANGE_BUDGET_USE = """
UPDATE budget_use SET micro = micro + :micro
WHERE budget_id = :id AND period = :period RETURNING micro
"""
BUDGET_USES = "SELECT budget_id, period, micro FROM budget_use ORDER BY budget_id, period"
HOLD_BUDGET = "INSERT INTO budget_holds (attempt_id, budget_id, period) VALUES (:attempt_id, :id, :period)"
BUDGETS_HELD = "SELECT budget_id, period FROM budget_holds WHERE attempt_id = :attempt_id"
BUDGET_COSTS = """
SELECT h.budget_id, h.period, SUM(COALESCE(a.charge_micro, a.held_micro))
FROM budget_holds h JOIN attempts a ON a.id = h.attempt_id
GROUP BY h.budget_id, h.period ORDER BY h.budget_id, h.period
"""
