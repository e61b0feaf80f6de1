-- The ledger, version 8: what a run has paid is read from its own rows, not from everybody's.

CREATE INDEX inference_by_run ON inference (run_id) WHERE run_id IS NOT NULL;
