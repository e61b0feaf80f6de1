-- The ledger in PostgreSQL, version 1: the tables of schema.sql and share.sql, which are their documentation.
--
-- What differs: REAL there is DOUBLE PRECISION here, BLOB is BYTEA, a flag is a BOOLEAN. Text cannot hold the character
-- NUL: it is kept as U+2400, and the whole answer stays exact in `answer`.

CREATE TABLE run (
    id       TEXT PRIMARY KEY,
    name     TEXT,
    scope    TEXT NOT NULL,
    kind     TEXT NOT NULL,
    created  DOUBLE PRECISION NOT NULL,
    spec     TEXT NOT NULL,
    data     BYTEA
);
CREATE INDEX run_by_name ON run (name, created);

CREATE TABLE run_item (
    run_id   TEXT NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    question BYTEA NOT NULL,
    PRIMARY KEY (run_id, position)
);

CREATE TABLE inference (
    id              TEXT PRIMARY KEY,
    question        BYTEA NOT NULL,
    scope           TEXT,
    run_id          TEXT,
    status          TEXT NOT NULL CHECK (status IN ('running', 'completed', 'failed')),
    owner           TEXT NOT NULL,
    requested_model TEXT NOT NULL,
    request         TEXT NOT NULL,
    created         DOUBLE PRECISION NOT NULL,
    completed       DOUBLE PRECISION,
    model           TEXT,
    provider        TEXT,
    response        TEXT,
    finish_reason   TEXT,
    prompt_tokens     BIGINT,
    completion_tokens BIGINT,
    cost            DOUBLE PRECISION,
    price           TEXT,
    latency_ms      DOUBLE PRECISION,
    cached          BOOLEAN NOT NULL DEFAULT FALSE,
    source_id       TEXT,
    answer          BYTEA,
    digest          BYTEA,
    error_code      TEXT,
    error           TEXT,
    person          TEXT
);
CREATE INDEX inference_known ON inference (question, created) WHERE status = 'completed';
CREATE INDEX inference_open ON inference (run_id, question) WHERE status <> 'completed' AND run_id IS NOT NULL;
CREATE INDEX inference_by_time ON inference (created);
CREATE INDEX inference_by_person ON inference (person, created) WHERE person IS NOT NULL;

CREATE TABLE attempt (
    inference_id TEXT NOT NULL REFERENCES inference (id) ON DELETE CASCADE,
    n            INTEGER NOT NULL,
    provider     TEXT NOT NULL,
    model        TEXT NOT NULL,
    started      DOUBLE PRECISION NOT NULL,
    latency_ms   DOUBLE PRECISION,
    error_code   TEXT,
    error        TEXT,
    maybe_billed BOOLEAN NOT NULL DEFAULT FALSE,
    PRIMARY KEY (inference_id, n)
);
CREATE INDEX attempt_by_time ON attempt (started);

CREATE TABLE api_key (
    id          TEXT PRIMARY KEY,
    digest      BYTEA NOT NULL,
    person      TEXT NOT NULL,
    tier        TEXT NOT NULL,
    limits      TEXT NOT NULL,
    scopes      TEXT NOT NULL,
    models      TEXT,
    credits     DOUBLE PRECISION,
    preferences TEXT,
    created     DOUBLE PRECISION NOT NULL,
    expires     DOUBLE PRECISION,
    revoked     DOUBLE PRECISION,
    last_used   DOUBLE PRECISION
);

CREATE TABLE seat (
    id       TEXT PRIMARY KEY,
    person   TEXT NOT NULL,
    key_id   TEXT NOT NULL,
    amount   DOUBLE PRECISION NOT NULL,
    owner    TEXT NOT NULL,
    created  DOUBLE PRECISION NOT NULL
);
CREATE INDEX seat_by_person ON seat (person);

CREATE TABLE rate_hit (
    key  TEXT NOT NULL,
    at   DOUBLE PRECISION NOT NULL
);
CREATE INDEX rate_hit_by_key ON rate_hit (key, at);
CREATE TABLE rate_count (
    key      TEXT NOT NULL,
    "window" BIGINT NOT NULL,
    count    BIGINT NOT NULL,
    PRIMARY KEY (key, "window")
);

CREATE TABLE idempotency (
    person       TEXT NOT NULL,
    key          TEXT NOT NULL,
    asked        BYTEA NOT NULL,
    inference_id TEXT NOT NULL,
    created      DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (person, key)
);
CREATE INDEX idempotency_by_time ON idempotency (created);

CREATE VIEW v_inference AS
SELECT id, to_timestamp(created) AS asked, status, requested_model, model, provider, response, finish_reason,
       prompt_tokens, completion_tokens, cost, latency_ms, cached, error_code, run_id
FROM inference;

CREATE VIEW v_usage_by_day AS
SELECT CAST(to_timestamp(created) AT TIME ZONE 'UTC' AS DATE) AS day, provider, model, count(*) AS requests,
       count(*) FILTER (WHERE status = 'completed') AS answered, sum(prompt_tokens) AS prompt_tokens,
       sum(completion_tokens) AS completion_tokens, sum(cost) AS cost,
       count(*) FILTER (WHERE status = 'completed' AND cost IS NULL) AS unpriced
FROM inference
GROUP BY day, provider, model;
