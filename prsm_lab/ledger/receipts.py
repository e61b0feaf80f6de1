"""What many questions came to: each with its knocks, its price line, and the answer that it was served from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from prsm_lab.ledger import rows
from prsm_lab.types import Attempt, PriceLine, Record

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from prsm_lab.ledger.database import Database, Row

MANY: Final = """
SELECT * FROM inference WHERE id IN ({listed}) AND (CAST(:person AS TEXT) IS NULL OR person = :person)
"""
KNOCKS: Final = """
SELECT inference_id, n, provider, model, started, latency_ms, error_code, error, maybe_billed, ttft_ms, member
FROM attempt WHERE inference_id IN ({listed}) ORDER BY inference_id, n
"""
MOST_AT_ONCE: Final = 2000
_price = msgspec.json.Decoder(PriceLine).decode


def receipts(
    connection: Database, ids: Sequence[str], *, person: str | None, alive: Callable[[Row], bool]
) -> list[Record]:
    """Return what is known of inferences, with their attempts; two look-ups for each 2,000 of them.

    Args:
        connection: The ledger's.
        ids: Which; those that are not known, or not this person's, are left out.
        person: Whose; None: anybody's.
        alive: Tells whether the process that asks a question still runs.
    """
    found: list[Record] = []
    for start in range(0, len(ids), MOST_AT_ONCE):
        wanted = {"ids": rows.text(list(ids[start : start + MOST_AT_ONCE])), "person": person}
        knocks: dict[str, list[Attempt]] = {}
        for row in connection.execute(KNOCKS.format(listed=connection.LISTED), {"ids": wanted["ids"]}):
            knocks.setdefault(row["inference_id"], []).append(_attempt(row))
        lines = connection.execute(MANY.format(listed=connection.LISTED), wanted)
        found += [_receipt(row, tuple(knocks.get(row["id"], ())), alive=alive(row)) for row in lines]
    return found


def _attempt(row: Row) -> Attempt:
    return Attempt(
        provider=row["provider"], model=row["model"], started=row["started"], latency_ms=row["latency_ms"],
        error_code=row["error_code"], error=row["error"], maybe_billed=bool(row["maybe_billed"]),
        ttft_ms=row["ttft_ms"], member=row["member"],
    )  # fmt: skip


def _receipt(row: Row, knocks: tuple[Attempt, ...], *, alive: bool) -> Record:
    known = rows.record(row, alive=alive)
    whole = known.inference.attempts if known.inference is not None else ()
    return msgspec.structs.replace(
        known,
        requested_model=row["requested_model"],
        attempts=whole if len(whole) == len(knocks) else knocks,  # an answer's have the waits that were asked for
        knocks=len(knocks),
        price=None if row["price"] is None else _price(row["price"]),
        source=row["source_id"],
    )
