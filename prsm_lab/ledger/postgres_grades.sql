-- The ledger, version 9: how good a model was measured to be at a task, and more of each knock. Times are Unix seconds.

CREATE TABLE grade (
    task      TEXT NOT NULL,
    model     TEXT NOT NULL,               -- in the catalogue's name
    value     DOUBLE PRECISION NOT NULL,   -- mean score, 0 to 1
    low       DOUBLE PRECISION,            -- ends of its interval; NULL: one row has none
    high      DOUBLE PRECISION,
    n         BIGINT NOT NULL,             -- rows with a score
    failed    BIGINT NOT NULL,             -- rows without an answer
    score     TEXT NOT NULL,
    source    TEXT NOT NULL,
    simulated BOOLEAN NOT NULL,
    created   DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (task, model)
);

ALTER TABLE attempt ADD COLUMN ttft_ms DOUBLE PRECISION; -- time to the first piece, where it was asked for live
ALTER TABLE attempt ADD COLUMN member BIGINT; -- which of a provider's keys and endpoints was asked, from 0; NULL: it has one
