"""A ledger's answers as one file: who has it asks the same questions at no cost and without a key.

The file is JSON lines, gzipped. It holds questions and answers in full, vectors, and prices; no keys, no people, no
trace of the machine. What is read back was bought by somebody else: it costs nothing and counts in no usage.
"""

from __future__ import annotations

import base64
import gzip
import zlib
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from prsm_lab.errors import InvalidRequestError
from prsm_lab.ledger import queries, rows
from prsm_lab.ledger.lookalikes import Entry
from prsm_lab.types import Inference  # noqa: TC001 -- msgspec reads it

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from prsm_lab.ledger.store import Ledger

FORMAT: Final = "prsm-lab cache 1"
IMPORTED: Final = "imported"
"""Owner of rows that came by file."""
MOST_BYTES: Final = 100_000_000
"""Of one line, unpacked."""
_OUT: Final = """
SELECT inference.id, question, inference.scope AS run_scope, requested_model, request, created, answer, digest,
       lookalike.embedder, lookalike.namespace, lookalike.scope, lookalike.wide, lookalike.asked, lookalike.vector
FROM inference LEFT JOIN lookalike ON lookalike.inference_id = inference.id
WHERE status = 'completed' AND source_id IS NULL AND person IS NULL
  AND NOT EXISTS (SELECT 1 FROM cache_refused WHERE cache_refused.inference_id = inference.id)
ORDER BY created, inference.id
"""
_IN: Final = """
INSERT INTO inference (id, question, scope, status, owner, requested_model, request, created, completed, model,
                       provider, response, finish_reason, prompt_tokens, completion_tokens, cost, latency_ms, cached,
                       answer, digest)
VALUES (?, ?, ?, 'completed', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?, ?)
ON CONFLICT (id) DO NOTHING
"""
_ALLOW: Final = "DELETE FROM cache_refused WHERE inference_id = ?"


class _Near(msgspec.Struct):
    embedder: str
    namespace: str
    scope: str
    wide: str
    asked: str
    vector: str


class _Line(msgspec.Struct):
    """One answer."""

    id: str
    question: str
    scope: str | None
    model: str
    request: msgspec.Raw
    created: float
    answer: Inference
    near: _Near | None = None


class Carried(NamedTuple):
    """How much a file held."""

    answers: int
    vectors: int


_line = msgspec.json.Decoder(_Line).decode


def export(ledger: Ledger, path: Path) -> Carried:
    """Write the owner's good answers, and the vectors by which they are found, to a file.

    Args:
        ledger: Whose.
        path: The file; it is replaced when the new one is whole.
    """
    answers = vectors = 0
    part = path.with_name(path.name + ".part")
    with gzip.open(part, "wb") as out:
        out.write(msgspec.json.encode({"format": FORMAT}) + b"\n")
        for row in ledger.connection.walk(_OUT):
            if row["answer"] is None or rows.digest(row["answer"]) != row["digest"]:
                continue
            near = None if row["embedder"] is None else {
                "embedder": row["embedder"], "namespace": row["namespace"], "scope": bytes(row["scope"]).hex(),
                "wide": bytes(row["wide"]).hex(), "asked": row["asked"],
                "vector": base64.b64encode(bytes(row["vector"])).decode(),
            }  # fmt: skip
            out.write(rows.text({
                "id": row["id"], "question": bytes(row["question"]).hex(), "scope": row["run_scope"],
                "model": row["requested_model"], "request": msgspec.Raw(row["request"].encode()),
                "created": row["created"], "answer": msgspec.Raw(bytes(row["answer"])), "near": near,
            }).encode() + b"\n")  # fmt: skip
            answers, vectors = answers + 1, vectors + (near is not None)
    part.replace(path)
    return Carried(answers, vectors)


def restore(ledger: Ledger, path: Path) -> Carried:
    """Read such a file into a ledger; what it has already stays as it is. All of it is read, or nothing.

    Args:
        ledger: Into which.
        path: The file.

    Raises:
        InvalidRequestError: If it is no such file, or damaged.
    """
    answers = vectors = 0
    file = ledger.connection
    with file.transaction("cache"):
        for line in _read(path):
            row, entry = _rows(line, path)
            answers += file.execute(_IN, row).rowcount > 0
            file.execute(_ALLOW, (line.id,))
            vectors += entry is not None and file.execute(queries.LOOKALIKE, entry).rowcount > 0
    return Carried(answers, vectors)


def _read(path: Path) -> Iterator[_Line]:
    """Lines of a file that anybody may have written."""
    n = 0
    try:
        with gzip.open(path, "rb") as source:
            while line := source.readline(MOST_BYTES + 1):
                if len(line) > MOST_BYTES:
                    raise _damaged(path, n, f"its line is longer than {MOST_BYTES:,} bytes")
                if n == 0:
                    _check(path, line)
                else:
                    yield _line(line)
                n += 1
    except (OSError, EOFError, zlib.error, ValueError, msgspec.MsgspecError) as fault:
        raise _damaged(path, n, str(fault)) from None
    if not n:
        raise _damaged(path, n, "it is empty")


def _check(path: Path, line: bytes) -> None:
    head: Any = msgspec.json.decode(line)
    if not isinstance(head, dict) or head.get("format") != FORMAT:
        raise _damaged(path, 0, f"it does not begin with {FORMAT!r}")


def _rows(line: _Line, path: Path) -> tuple[tuple[Any, ...], Entry | None]:
    """A line as rows, whatever it says of itself: only an answer that is whole may be served."""
    answer, near = line.answer, line.near
    text = rows.text(answer).encode()
    try:
        question, entry = bytes.fromhex(line.question), None
        if near is not None:
            entry = Entry(
                line.id, near.embedder, near.namespace, bytes.fromhex(near.scope), bytes.fromhex(near.wide), near.asked,
                base64.b64decode(near.vector, validate=True),
            )  # fmt: skip
    except ValueError as fault:
        raise _damaged(path, None, f"{line.id!r:.60}: {fault}") from None
    if answer.id != line.id or len(question) != 32:
        raise _damaged(path, None, f"the answer of {line.id!r:.60} is another's")
    return (
        line.id, question, line.scope, IMPORTED, line.model, bytes(line.request).decode(), line.created,
        answer.completed, answer.model, answer.provider, answer.content, answer.finish_reason,
        answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.latency_ms, False, text, rows.digest(text),
    ), entry  # fmt: skip


def _damaged(path: Path, line: int | None, why: str) -> InvalidRequestError:
    where = "" if line is None else f" at line {line + 1}"
    return InvalidRequestError(
        f"{path} is no cache file, or damaged{where}: {why}. Nothing was taken over; lab.cache.export writes one.",
        details={"parameter": "path"},
    )
