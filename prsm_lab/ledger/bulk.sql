-- The ledger, version 6: questions that wait in a provider's own batch. Times are Unix seconds.

CREATE TABLE bulk (
    id        TEXT PRIMARY KEY,            -- ours
    run_id    TEXT NOT NULL,
    provider  TEXT NOT NULL,
    origin    TEXT NOT NULL,               -- where that provider is: a batch is only asked after there
    model     TEXT NOT NULL,               -- the catalogue's name
    wire      TEXT NOT NULL,               -- what the provider calls it
    owner     TEXT NOT NULL,               -- who submits it: 'submitting' of a dead owner is looked for at the provider
    remote_id TEXT,                        -- the provider's; NULL: it is being submitted, or that was never answered
    state     TEXT NOT NULL CHECK (state IN ('submitting', 'waiting', 'cancelling', 'ended', 'lost')),
    created   REAL NOT NULL,
    deadline  REAL,
    checked   REAL,
    detail    TEXT                         -- JSON: what the provider said last
) STRICT;
CREATE INDEX bulk_by_run ON bulk (run_id);
CREATE TABLE bulk_item (
    bulk_id      TEXT NOT NULL REFERENCES bulk (id) ON DELETE CASCADE,
    inference_id TEXT NOT NULL,            -- also its custom_id at the provider
    question     BLOB NOT NULL,             -- fingerprint
    PRIMARY KEY (bulk_id, inference_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX bulk_item_by_question ON bulk_item (question);
