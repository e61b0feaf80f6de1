-- The ledger, version 2: what a share server adds. Money is USD, times are Unix seconds, NULL is "no limit".
--
-- A key is stored as its digest only. A person is a name: somebody's keys share limits, history and credits' past.

ALTER TABLE inference ADD COLUMN person TEXT;   -- whose key asked; NULL: the owner of this file
CREATE INDEX inference_by_person ON inference (person, created) WHERE person IS NOT NULL;

CREATE TABLE api_key (
    id          TEXT PRIMARY KEY,          -- the public half: pk_<id>_…
    digest      BLOB NOT NULL,             -- blake2b of the whole key: 256 random bits need no slow hash
    person      TEXT NOT NULL,
    tier        TEXT NOT NULL,
    limits      TEXT NOT NULL,             -- JSON: requests and tokens a minute, concurrent
    scopes      TEXT NOT NULL,             -- JSON list of infer, read, admin
    models      TEXT,                      -- JSON list of names that may answer; NULL: all
    credits     REAL,                      -- what is left; NULL: not metered
    preferences TEXT,                      -- JSON of configure_providers; NULL: the server's
    created     REAL NOT NULL,
    expires     REAL,
    revoked     REAL,
    last_used   REAL
) STRICT;

-- One row a request in flight: concurrency is their number, reserved credits are their sum.
CREATE TABLE seat (
    id       TEXT PRIMARY KEY,             -- of the inference
    person   TEXT NOT NULL,
    key_id   TEXT NOT NULL,
    amount   REAL NOT NULL,                -- worst case in USD; 0 where the key is not metered
    owner    TEXT NOT NULL,                -- boot id and process: seats of a dead owner are free again
    created  REAL NOT NULL
) STRICT;
CREATE INDEX seat_by_person ON seat (person);

-- The sliding windows of the limits: one row a request of the last minute, two counters a person for tokens.
CREATE TABLE rate_hit (
    key  TEXT NOT NULL,
    at   REAL NOT NULL
) STRICT;
CREATE INDEX rate_hit_by_key ON rate_hit (key, at);
CREATE TABLE rate_count (
    key     TEXT NOT NULL,
    window  INTEGER NOT NULL,              -- number of the window since 1970
    count   INTEGER NOT NULL,
    PRIMARY KEY (key, window)
) STRICT, WITHOUT ROWID;

-- Idempotency-Key: which inference answered it, and what was asked.
CREATE TABLE idempotency (
    person       TEXT NOT NULL,
    key          TEXT NOT NULL,
    asked        BLOB NOT NULL,            -- digest of the body: the same key with another body is a conflict
    inference_id TEXT NOT NULL,
    created      REAL NOT NULL,
    PRIMARY KEY (person, key)
) STRICT, WITHOUT ROWID;
