-- The ledger, version 5: limits per minute that several processes of one key share. Times are Unix seconds.

-- A sliding log: one row a request of the last minute.
CREATE TABLE pace_hit (
    id     TEXT NOT NULL,
    route  TEXT NOT NULL,                  -- provider, model and a digest of the key: never the key
    at     DOUBLE PRECISION NOT NULL,
    tokens INTEGER NOT NULL                -- reserved when it is sent, corrected when it is known
);
CREATE INDEX pace_hit_by_route ON pace_hit (route, at);
-- Until when a route rests, because its provider said so.
CREATE TABLE pace_rest (
    route  TEXT PRIMARY KEY,
    until  DOUBLE PRECISION NOT NULL
);
