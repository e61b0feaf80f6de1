"""`retry`: the failed rows of a run once more, without the call that made it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from prsm_lab import checks
from prsm_lab.client import default_client
from prsm_lab.engine import many, portal
from prsm_lab.errors import InvalidRequestError
from prsm_lab.frames.past import load
from prsm_lab.frames.progress import Tally, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from prsm_lab.client import Client
    from prsm_lab.errors import PRSMError
    from prsm_lab.types import Inference, Record, Request

UNKNOWN: Final = "unknown"
"""Stands for the questions that were in flight when a kernel died, among the codes of errors."""


def retry(
    run: str, errors: Sequence[str] | None = None, *, max_concurrency: int = 16, max_cost: float | None = None,
    progress: bool = True, client: Client | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Ask the failed rows of a run again, as they were asked, and return its frame.

    The rows that the run never came to are asked by the call that made it, not here: the ledger has no questions of
    theirs.

    Args:
        run: Its id or name.
        errors: Only rows with these codes (column `error_code`: `rate_limit`, `timeout`, …); `unknown` are those whose
            kernel died. None: all that failed and were sent, or had no money.
        max_concurrency: Most questions in flight.
        max_cost: USD that the run may spend, what it has paid already included.
        progress: Show a bar and a line at the end.
        client: Who asks, and whose ledger; default the process's client.

    Raises:
        NotFoundError: If there is no such run.
        InvalidRequestError: If a code is none, or the client's ledger is at a share server.

    >>> import prsm_lab as lab
    >>> replies = {"*": {"error": 500, "fail_times": 1, "content": "yes"}}
    >>> client = lab.Client(mock_mode=True, mock_responses=replies, ledger=":memory:", max_retries=0)
    >>> first = lab.batch(["a"], "{text}", model="gpt-4", run="mine", client=client, progress=False)
    >>> again = lab.retry("mine", client=client, progress=False)
    >>> first["error_code"].item(), again["response"].item()
    ('provider_unavailable', 'yes')
    """
    client = client or default_client()
    wanted = None if errors is None else frozenset([errors] if isinstance(errors, str) else errors)
    checks.number(max_cost, "max_cost", low=0)
    again = getattr(client.engine, "again", None)
    if again is None:
        raise InvalidRequestError(
            "The ledger of this client is at a share server: make the same call again, it asks what is missing.",
            details={"parameter": "client"},
        )
    found, records = portal.call(client.engine.replay(run))
    failed = [record.id for record in records if record is not None and _is_wanted(record, wanted)]
    requests = portal.call(again(msgspec.structs.replace(found, max_cost=max_cost), failed))
    tally = Tally(len(requests))
    with shown(tally, wanted=progress) as bar:
        tally.begin()
        portal.call(_ask(client, requests, max_concurrency, tally), tick=bar)
        tally.end()
    return load(found.id, client=client)


async def _ask(client: Client, requests: Sequence[Request], concurrency: int, tally: Tally) -> None:
    def deliver(_: int, outcome: Inference | PRSMError) -> None:
        tally.answer(outcome, 1)

    await many.run(client.engine, requests, concurrency=concurrency, deliver=deliver)


def _is_wanted(record: Record, wanted: frozenset[str] | None) -> bool:
    if record.status in ("completed", "running"):
        return False
    code = UNKNOWN if record.status == "unknown" else str((record.error or {}).get("code", UNKNOWN))
    return wanted is None or code in wanted
