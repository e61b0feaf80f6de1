-- The ledger, version 1. This file is its documentation: read it beside `sqlite3 ledger.db`.
--
-- Times are Unix seconds (REAL), money is USD, latencies are milliseconds. NULL means "not known", never 0.
-- JSON columns hold what msgspec wrote for the value of that name in prsm_lab.types.
--
--   run ──< run_item >── (question, scope) ──> inference ──< attempt
--
-- A run names its questions by fingerprint; answers are found through (question, scope), so that a run that is
-- started again finds what it already paid for, whoever asked first.

CREATE TABLE run (
    id       TEXT PRIMARY KEY,
    name     TEXT,                         -- given by the user with run="…"; NULL: identified by its content
    scope    TEXT NOT NULL,                -- whose answers it may reuse: the name, or '' for all unnamed runs
    kind     TEXT NOT NULL,                -- batch, compare
    created  REAL NOT NULL,
    spec     TEXT NOT NULL,                -- JSON: models, prompts, options, columns
    data     BLOB                          -- the input frame, packed by the frames room
) STRICT;

CREATE INDEX run_by_name ON run (name, created);

CREATE TABLE run_item (
    run_id   TEXT NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,             -- 0, 1, 2 … in the order of the result frame
    question BLOB NOT NULL,                -- fingerprint, 32 bytes
    PRIMARY KEY (run_id, position)
) STRICT, WITHOUT ROWID;

-- One row a question that was asked. Written as 'running' before anything is sent, closed afterwards.
CREATE TABLE inference (
    id              TEXT PRIMARY KEY,      -- inf_, milliseconds since 1970, 80 random bits: new rows are neighbours
    question        BLOB NOT NULL,         -- fingerprint of everything that shapes the answer
    scope           TEXT,                  -- NULL: a single question; '' or a run's name: asked by a run
    run_id          TEXT,
    status          TEXT NOT NULL CHECK (status IN ('running', 'completed', 'failed')),
    owner           TEXT NOT NULL,         -- boot id and process that asked: 'running' of a dead owner is unknown
    requested_model TEXT NOT NULL,
    request         TEXT NOT NULL,         -- JSON: messages and options as they were asked
    created         REAL NOT NULL,
    completed       REAL,
    model           TEXT,                  -- who answered, in the catalogue's name
    provider        TEXT,
    response        TEXT,                  -- the answer's text (of a failed one: what had arrived)
    finish_reason   TEXT,
    prompt_tokens     INTEGER,             -- all input, cached and written included
    completion_tokens INTEGER,             -- all output, reasoning included
    cost            REAL,                  -- really paid; 0 on a cache hit
    price           TEXT,                  -- JSON: the price line that was used
    latency_ms      REAL,
    cached          INTEGER NOT NULL DEFAULT 0,
    source_id       TEXT,                  -- cache hit: the inference whose answer was served again
    answer          BLOB,                  -- JSON: the whole Inference
    digest          BLOB,                  -- blake2b of `answer`: a row that was altered is not served
    error_code      TEXT,
    error           TEXT                   -- JSON: the seed's error body
) STRICT;

-- Look-ups are by fingerprint, which is random: each entry touches a page of its own. So answers enter the index
-- once, when they are complete, and what is open or failed is found through its run.
CREATE INDEX inference_known ON inference (question, created) WHERE status = 'completed';
CREATE INDEX inference_open ON inference (run_id, question) WHERE status <> 'completed' AND run_id IS NOT NULL;
CREATE INDEX inference_by_time ON inference (created);

-- One row a knock at a provider: success rates and latencies of routes come from here.
CREATE TABLE attempt (
    inference_id TEXT NOT NULL REFERENCES inference (id) ON DELETE CASCADE,
    n            INTEGER NOT NULL,         -- 0, 1, 2 … in order
    provider     TEXT NOT NULL,
    model        TEXT NOT NULL,            -- id on the wire
    started      REAL NOT NULL,
    latency_ms   REAL,
    error_code   TEXT,                     -- NULL: it answered
    error        TEXT,
    maybe_billed INTEGER NOT NULL DEFAULT 0,  -- the reply was lost: the provider may charge for it
    PRIMARY KEY (inference_id, n)
) STRICT, WITHOUT ROWID;

CREATE INDEX attempt_by_time ON attempt (started);

-- For people: pandas.read_sql("SELECT * FROM v_inference", sqlite3.connect(path))
CREATE VIEW v_inference AS
SELECT id, datetime(created, 'unixepoch') AS asked, status, requested_model, model, provider, response, finish_reason,
       prompt_tokens, completion_tokens, cost, latency_ms, cached, error_code, run_id
FROM inference;

CREATE VIEW v_usage_by_day AS
SELECT date(created, 'unixepoch') AS day, provider, model, count(*) AS requests,
       sum(status = 'completed') AS answered, sum(prompt_tokens) AS prompt_tokens,
       sum(completion_tokens) AS completion_tokens, sum(cost) AS cost,
       sum(status = 'completed' AND cost IS NULL) AS unpriced
FROM inference
GROUP BY day, provider, model;
