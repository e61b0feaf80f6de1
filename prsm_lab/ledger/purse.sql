-- The ledger, version 4: budgets that several processes share. Money is USD, times are Unix seconds.

-- A budget over one period, or over a run. What is reserved is the sum of its holds.
CREATE TABLE purse (
    name     TEXT NOT NULL,                -- 'client', a run's id, or 'runs:' and a name: several share it
    period   TEXT NOT NULL,                -- '2026-11-26' for a day, '' for no end; a run's row names its 'runs:' here;
                                           -- 'uncapped': what a run had paid when it went on without its cap
    spent    REAL NOT NULL DEFAULT 0,
    reserved REAL NOT NULL DEFAULT 0,
    PRIMARY KEY (name, period)
) STRICT, WITHOUT ROWID;
-- One row a knock that was allowed: its worst case, until its bill is known.
CREATE TABLE hold (
    id       TEXT NOT NULL,                -- of the inference, and the number of the knock
    name     TEXT NOT NULL,
    period   TEXT NOT NULL,
    usd      REAL NOT NULL,
    owner    TEXT NOT NULL,                -- boot id and process: what a dead owner had in flight counts as spent
    created  REAL NOT NULL,
    PRIMARY KEY (id, name)
) STRICT, WITHOUT ROWID;
-- What a client may spend, set by client.budget(); every process that uses this ledger keeps to it.
CREATE TABLE budget (
    name     TEXT PRIMARY KEY,
    usd      REAL NOT NULL,
    per      TEXT NOT NULL,                -- hour, day, week, month, or '' for ever
    created  REAL NOT NULL
) STRICT;
