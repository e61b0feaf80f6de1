"""`receipts`: what each answer of a result frame went through, one row a knock at a provider."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from prsm_lab.client import default_client
from prsm_lab.engine import portal
from prsm_lab.errors import InvalidRequestError
from prsm_lab.frames.data import missing

if TYPE_CHECKING:
    from prsm_lab.client import Client
    from prsm_lab.types import Attempt, Record

TYPES: Final[dict[str, str]] = {
    "row": "Int64", "inference_id": "string", "source_id": "string", "n": "Int64", "provider": "string",
    "model": "string", "started": "datetime64[ns, UTC]", "latency_ms": "Float64", "error_code": "string",
    "error": "string", "maybe_billed": "boolean", "retry_after": "Float64", "ttft_ms": "Float64",
    "member": "Int64", "requested_model": "string", "answered_model": "string",
    "served_model": "string", "status": "string", "queued_ms": "Float64",
    "cost": "float64", "price": "string", "price_source": "string", "structured": "string", "dropped": "object",
    "similarity": "Float64", "matched_prompt": "string", "embedder": "string",
}  # fmt: skip
"""Name to pandas type, in the order of the frame."""


def receipts(results: pd.DataFrame, *, client: Client | None = None) -> pd.DataFrame:
    """Return what each answer went through: one row a knock, in the order of the results.

    Args:
        results: A frame of `infer`, `batch`, `compare` or `load`, whole or a part of it.
        client: Whose ledger; default the process's client.

    Returns:
        `row` is the position in `results`, from 0, and the index is the results' own. `n` counts knocks from 0; it is
        NA where nobody was asked: a row that was not sent, or an answer from the cache, whose first is `source_id`.
        Rows that share an answer (equal questions, an earlier run) have the same `inference_id`. `queued_ms`, `cost`
        (USD), `price` (USD per million tokens, its source and date beside it), `structured` (how a fitting answer was
        asked for) and `dropped` (options that were left out) are of the whole question and the same in all its rows.
        Where a cache served by meaning, `similarity`, `matched_prompt` and `embedder` say what it matched.
        `retry_after` (seconds) is known of questions that were answered, `ttft_ms` of those that were asked live;
        `member` says which of a provider's keys and endpoints was asked, where it has several. What the ledger does not
        know is NA.

    Raises:
        InvalidRequestError: If the frame has no column `inference_id`.

    >>> import prsm_lab as lab
    >>> client = lab.Client(mock_mode=True, ledger=":memory:")
    >>> found = lab.infer("hi", model="gpt-4", client=client, progress=False)
    >>> lab.receipts(found, client=client)[["n", "provider", "requested_model"]].values.tolist()
    [[0, 'openai', 'gpt-4']]
    """
    prefix = (results.attrs.get("prsm") or {}).get("prefix", "")
    label = f"{prefix}inference_id"
    if label not in results.columns:
        raise InvalidRequestError(
            f"These are no results: they have no column {label!r}. Give what infer, batch, compare or load returned.",
            details={"parameter": "results"},
        )
    ids = [None if missing(value) else str(value) for value in results[label]]
    wanted = list(dict.fromkeys(one for one in ids if one is not None))
    engine = (client or default_client()).engine
    known = {record.id: record for record in portal.call(engine.receipts(wanted))} if wanted else {}
    return _laid_out(results, prefix, ids, known)


def _laid_out(results: pd.DataFrame, prefix: str, ids: list[str | None], known: dict[str, Record]) -> pd.DataFrame:
    lines: list[dict[str, Any]] = []
    for row, id in enumerate(ids):  # noqa: A001 -- an inference's
        record = None if id is None else known.get(id)
        lines += [{"row": row, "inference_id": id, **line} for line in _lines(record, results, prefix, row)]
    out = {name: _column([line.get(name) for line in lines], kind) for name, kind in TYPES.items()}
    return pd.DataFrame(out, index=results.index.take([line["row"] for line in lines]))


def _lines(record: Record | None, results: pd.DataFrame, prefix: str, row: int) -> list[dict[str, Any]]:
    """The rows of one question; one without a knock where nobody was asked."""
    if record is None:
        said = {name: results[prefix + name].iloc[row] for name in ("error_code", "error") if prefix + name in results}
        asked = results[f"{prefix}model"].iloc[row] if f"{prefix}model" in results else None
        return [{**said, "requested_model": asked}]
    whole = _whole(record)
    if not record.attempts:
        fault = record.error or {}
        return [{**whole, "error_code": fault.get("code"), "error": fault.get("message")}]
    return [{**whole, "n": n, **_knock(attempt)} for n, attempt in enumerate(record.attempts)]


def _knock(attempt: Attempt) -> dict[str, Any]:
    return {
        "provider": attempt.provider, "model": attempt.model, "started": attempt.started,
        "latency_ms": attempt.latency_ms, "error_code": attempt.error_code, "error": attempt.error,
        "maybe_billed": attempt.maybe_billed, "retry_after": attempt.retry_after,
        "ttft_ms": attempt.ttft_ms, "member": attempt.member,
    }  # fmt: skip


def _whole(record: Record) -> dict[str, Any]:
    """What holds of the whole question."""
    answer, line = record.inference, record.price
    made: dict[str, Any] = {
        "source_id": record.source, "requested_model": record.requested_model, "status": record.status,
        "price": None if line is None or line.input is None else f"{line.input:g} in, {line.output or 0:g} out",
        "price_source": None if line is None else f"{line.source} {line.date}".strip() or None,
    }  # fmt: skip
    if answer is None:
        return made
    if answer.similar is not None:
        near = answer.similar
        made |= {"similarity": near.similarity, "matched_prompt": near.prompt, "embedder": near.embedder}
    return {
        **made, "answered_model": answer.model, "served_model": answer.served_model, "queued_ms": answer.queued_ms,
        "cost": answer.cost.amount, "structured": answer.structured, "dropped": list(answer.dropped),
    }  # fmt: skip


def _column(values: list[Any], kind: str) -> Any:
    if kind.startswith("datetime"):
        return pd.to_datetime(pd.Series(values, dtype="float64"), unit="s", utc=True).dt.as_unit("ns").array
    if kind == "object":
        return pd.Series([pd.NA if value is None else value for value in values], dtype="object").array
    if kind == "float64":
        return pd.array([float("nan") if value is None else value for value in values], dtype="float64")
    return pd.array([pd.NA if missing(value) else value for value in values], dtype=kind)  # type: ignore[call-overload]
