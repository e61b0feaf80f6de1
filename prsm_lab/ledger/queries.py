"""The ledger's statements, as SQLite and PostgreSQL both understand them; values are always bound.

`CAST(:since AS DOUBLE PRECISION) IS NULL`: PostgreSQL must be told the type of what may be NULL.
"""

from typing import Final

START: Final = """
INSERT INTO inference (id, question, scope, run_id, status, owner, requested_model, request, created, person)
VALUES (?, ?, ?, ?, 'running', ?, ?, ?, ?, ?)
ON CONFLICT (id) DO NOTHING
"""
"""The whole group is written again when it is not known whether a commit arrived; ids are random."""

FINISH: Final = """
UPDATE inference
SET status = 'completed', completed = ?, model = ?, provider = ?, response = ?, finish_reason = ?, prompt_tokens = ?,
    completion_tokens = ?, cost = ?, price = ?, latency_ms = ?, cached = ?, source_id = ?, answer = ?, digest = ?
WHERE id = ?
"""

FAIL: Final = """
UPDATE inference SET status = 'failed', completed = ?, provider = ?, response = ?, error_code = ?, error = ?
WHERE id = ?
"""

ATTEMPT: Final = """
INSERT INTO attempt
  (inference_id, n, provider, model, started, latency_ms, error_code, error, maybe_billed, ttft_ms, member)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (inference_id, n) DO UPDATE
SET provider = excluded.provider, model = excluded.model, started = excluded.started,
    latency_ms = excluded.latency_ms, error_code = excluded.error_code, error = excluded.error,
    maybe_billed = excluded.maybe_billed
"""

RUN: Final = """
INSERT INTO run (id, name, scope, kind, created, spec, data) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET created = excluded.created, spec = excluded.spec, data = excluded.data
"""

ITEMS: Final = "SELECT question FROM run_item WHERE run_id = :run ORDER BY position"

FORGET_ITEMS: Final = "DELETE FROM run_item WHERE run_id = ?"

ITEM: Final = """
INSERT INTO run_item (run_id, position, question) VALUES (?, ?, ?)
ON CONFLICT (run_id, position) DO UPDATE SET question = excluded.question
"""

LOOKALIKE: Final = """
INSERT INTO lookalike (inference_id, embedder, namespace, scope, wide, asked, vector) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (inference_id) DO NOTHING
"""

LOOKALIKE_HIT: Final = """
INSERT INTO lookalike_hit (inference_id, matched_id, asked, matched, similarity, threshold, embedder, namespace,
                           outcome, reason, embed_ms, search_ms, person, created, reported)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (inference_id) DO NOTHING
"""

ORDER: Final = (START, FINISH, FAIL, ATTEMPT, RUN, FORGET_ITEMS, ITEM, LOOKALIKE, LOOKALIKE_HIT)
"""In which the statements of one commit run."""

# Answers served again from the cache stand for their source, which is found by the same fingerprint.
FIND: Final = """
SELECT question, answer, digest FROM inference
WHERE question IN ({listed}) AND status = 'completed' AND source_id IS NULL
  AND (CAST(:scope AS TEXT) IS NULL OR scope = :scope)
  AND (CAST(:since AS DOUBLE PRECISION) IS NULL OR created >= :since)
  AND (person = :person OR (person IS NULL AND CAST(:person AS TEXT) IS NULL) OR (:person = '*' AND person IS NOT NULL))
  AND (CAST(:scope AS TEXT) IS NOT NULL
       OR NOT EXISTS (SELECT 1 FROM cache_refused WHERE cache_refused.inference_id = inference.id))
ORDER BY created
"""

GET: Final = "SELECT * FROM inference WHERE id = :id AND (CAST(:person AS TEXT) IS NULL OR person = :person)"

HISTORY: Final = """
SELECT * FROM inference WHERE CAST(:person AS TEXT) IS NULL OR person = :person ORDER BY created DESC LIMIT :limit
"""

RUN_BY_NAME: Final = "SELECT * FROM run WHERE id = :run OR name = :run ORDER BY created DESC LIMIT 1"

# The state of a question: the latest answer of its scope, else its latest failure in this run, else what still runs.
_STATE: Final = """coalesce(
    (SELECT i.id FROM inference i
     WHERE i.question = item.question AND i.status = 'completed' AND i.scope = {scope}
     ORDER BY i.created DESC LIMIT 1),
    (SELECT i.id FROM inference i
     WHERE i.run_id = item.run_id AND i.question = item.question AND i.status <> 'completed'
     ORDER BY i.created DESC LIMIT 1)
)"""

REPLAY: Final = (
    "SELECT state.*, (SELECT count(*) FROM attempt WHERE attempt.inference_id = state.id) AS knocks "
    "FROM run_item item LEFT JOIN inference state ON state.id = "
    + _STATE.format(scope=":scope")
    + " WHERE item.run_id = :run ORDER BY item.position"
)

RUNS: Final = (
    """
SELECT run.id, run.name, run.scope, run.kind, run.created, run.spec, count(item.position) AS questions,
       count(*) FILTER (WHERE state.status = 'completed') AS answered,
       count(*) FILTER (WHERE state.status = 'failed') AS failed,
       (SELECT sum(cost) FROM inference WHERE inference.run_id = run.id) AS cost
FROM run LEFT JOIN run_item item ON item.run_id = run.id
LEFT JOIN inference state ON state.id = """
    + _STATE.format(scope="run.scope")
    + " GROUP BY run.id ORDER BY run.created DESC"
)
