"""What was asked: questions as they can be asked again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from prsm_lab.ledger import rows
from prsm_lab.types import JSON, Options, Request, Routing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from prsm_lab.ledger.database import Database

ASKED: Final = """
SELECT id, question, requested_model, request, run_id, scope, person FROM inference WHERE id IN ({listed})
"""
ANSWERED: Final = """
SELECT requested_model, request, response FROM inference
WHERE status = 'completed' AND source_id IS NULL AND person IS NULL AND finish_reason = 'stop' AND response IS NOT NULL
ORDER BY created DESC LIMIT ?
"""
MOST_AT_ONCE: Final = 2000


class _Asked(msgspec.Struct):
    """As `rows.opened` writes it."""

    messages: tuple[JSON, ...]
    options: Options = Options()
    sample: int = 0
    routing: Routing = Routing()


_asked = msgspec.json.Decoder(_Asked).decode


def questions(connection: Database, ids: Sequence[str]) -> dict[str, tuple[bytes, Request]]:
    """Return the fingerprint and the request of each inference that is known, by its id."""
    found = {}
    for start in range(0, len(ids), MOST_AT_ONCE):
        wanted = {"ids": rows.text(list(ids[start : start + MOST_AT_ONCE]))}
        for row in connection.execute(ASKED.format(listed=connection.LISTED), wanted):
            asked = _asked(row["request"])
            request = Request(
                model=row["requested_model"], messages=asked.messages, options=asked.options, sample=asked.sample,
                routing=asked.routing, run=row["run_id"], scope=row["scope"], person=row["person"],
            )  # fmt: skip
            found[row["id"]] = bytes(row["question"]), request
    return found


def answered(connection: Database, limit: int) -> list[tuple[Request, str]]:
    """Return the owner's latest questions that were answered whole by a model, with the answers' texts.

    Args:
        connection: The ledger's.
        limit: So many at most.
    """
    found = []
    for row in connection.execute(ANSWERED, (limit,)):
        asked = _asked(row["request"])
        question = Request(
            model=row["requested_model"], messages=asked.messages, options=asked.options, routing=asked.routing
        )
        found.append((question, str(row["response"])))
    return found
