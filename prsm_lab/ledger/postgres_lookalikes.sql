-- The ledger, version 10: answers that are found by meaning, and what was found. Times are Unix seconds.

CREATE TABLE lookalike (
    n            BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,  -- later ones are larger: who has read up to one asks for those after
    inference_id TEXT NOT NULL UNIQUE REFERENCES inference (id) ON DELETE CASCADE,
    embedder     TEXT NOT NULL,            -- name and version: vectors of two are not comparable
    namespace    TEXT NOT NULL,
    scope        BYTEA NOT NULL,            -- digest of all that must be equal: everything but the last turn's text
    wide         BYTEA NOT NULL,            -- the same without the model
    asked        TEXT NOT NULL,            -- the last turn's text
    vector       BYTEA NOT NULL             -- float16, little-endian
);
CREATE INDEX lookalike_by_scope ON lookalike (scope, n);
CREATE INDEX lookalike_by_wide ON lookalike (wide, n);

-- One row a question for which something near was found: served, or why not.
CREATE TABLE lookalike_hit (
    inference_id TEXT PRIMARY KEY,         -- of the question
    matched_id   TEXT NOT NULL,            -- whose answer it was
    asked        TEXT NOT NULL,
    matched      TEXT NOT NULL,
    similarity   DOUBLE PRECISION NOT NULL,
    threshold    DOUBLE PRECISION NOT NULL,
    embedder     TEXT NOT NULL,
    namespace    TEXT NOT NULL,
    outcome      TEXT NOT NULL,            -- served, shadow (would have been), gate, verification
    reason       TEXT,                     -- what the gate found different, or the inference that verified
    embed_ms     DOUBLE PRECISION NOT NULL,
    search_ms    DOUBLE PRECISION NOT NULL,
    person       TEXT,
    created      DOUBLE PRECISION NOT NULL,
    reported     DOUBLE PRECISION                      -- when somebody said that it was wrong
);

-- Answers that no cache serves any more: somebody said that they are wrong, or cleared the cache.
CREATE TABLE cache_refused (
    inference_id TEXT PRIMARY KEY,
    created      DOUBLE PRECISION NOT NULL
);

-- JSON by name: `calibration <embedder>`, `namespace <name>`.
CREATE TABLE cache_setting (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
);
