-- The ledger, version 7: who is asking a run, so that nobody else pays for it at the same time. Times are Unix seconds.

CREATE TABLE turn (
    run_id TEXT PRIMARY KEY,
    owner  TEXT NOT NULL,                  -- the process; the turn of a dead one is free
    holder TEXT NOT NULL,                  -- which call of it
    seen   DOUBLE PRECISION NOT NULL       -- when it last said that it is at work
);
