-- The ledger, version 3: what people said of two answers, seen without their models' names. Times are Unix seconds.

CREATE TABLE vote (
    id       TEXT PRIMARY KEY,
    a        TEXT NOT NULL,                -- ids of inferences; which of them stood on the left was drawn
    b        TEXT NOT NULL,
    winner   TEXT NOT NULL CHECK (winner IN ('a', 'b', 'tie', 'both_bad')),
    voter    TEXT NOT NULL,
    seconds  REAL NOT NULL,                -- how long it was looked at
    created  REAL NOT NULL
) STRICT;
CREATE INDEX vote_by_answer ON vote (a);
