-- The ledger, version 10: answers that are found by meaning, and what was found. Times are Unix seconds.

CREATE TABLE lookalike (
    n            INTEGER PRIMARY KEY AUTOINCREMENT,   -- later ones are larger: who has read up to one asks for those after
    inference_id TEXT NOT NULL UNIQUE REFERENCES inference (id) ON DELETE CASCADE,
    embedder     TEXT NOT NULL,            -- name and version: vectors of two are not comparable
    namespace    TEXT NOT NULL,
    scope        BLOB NOT NULL,            -- digest of all that must be equal: everything but the last turn's text
    wide         BLOB NOT NULL,            -- the same without the model
    asked        TEXT NOT NULL,            -- the last turn's text
    vector       BLOB NOT NULL             -- float16, little-endian
) STRICT;
CREATE INDEX lookalike_by_scope ON lookalike (scope, n);
CREATE INDEX lookalike_by_wide ON lookalike (wide, n);

-- One row a question for which something near was found: served, or why not.
CREATE TABLE lookalike_hit (
    inference_id TEXT PRIMARY KEY,         -- of the question
    matched_id   TEXT NOT NULL,            -- whose answer it was
    asked        TEXT NOT NULL,
    matched      TEXT NOT NULL,
    similarity   REAL NOT NULL,
    threshold    REAL NOT NULL,
    embedder     TEXT NOT NULL,
    namespace    TEXT NOT NULL,
    outcome      TEXT NOT NULL,            -- served, shadow (would have been), gate, verification
    reason       TEXT,                     -- what the gate found different, or the inference that verified
    embed_ms     REAL NOT NULL,
    search_ms    REAL NOT NULL,
    person       TEXT,
    created      REAL NOT NULL,
    reported     REAL                      -- when somebody said that it was wrong
) STRICT;

-- Answers that no cache serves any more: somebody said that they are wrong, or cleared the cache.
CREATE TABLE cache_refused (
    inference_id TEXT PRIMARY KEY,
    created      REAL NOT NULL
) STRICT;

-- JSON by name: `calibration <embedder>`, `namespace <name>`.
CREATE TABLE cache_setting (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;
