-- The ledger, version 9: how good a model was measured to be at a task, and more of each knock. Times are Unix seconds.

CREATE TABLE grade (
    task      TEXT NOT NULL,
    model     TEXT NOT NULL,               -- in the catalogue's name
    value     REAL NOT NULL,               -- mean score, 0 to 1
    low       REAL,                        -- ends of its interval; NULL: one row has none
    high      REAL,
    n         INTEGER NOT NULL,            -- rows with a score
    failed    INTEGER NOT NULL,            -- rows without an answer
    score     TEXT NOT NULL,
    source    TEXT NOT NULL,
    simulated INTEGER NOT NULL,
    created   REAL NOT NULL,
    PRIMARY KEY (task, model)
) STRICT;

ALTER TABLE attempt ADD COLUMN ttft_ms REAL;   -- time to the first piece, where it was asked for live
ALTER TABLE attempt ADD COLUMN member INTEGER; -- which of a provider's keys and endpoints was asked, from 0; NULL: it has one
