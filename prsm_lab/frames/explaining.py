"""`plan`: who would be asked, in which order and at what price, and why others would not; nothing is called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from prsm_lab import ask
from prsm_lab.client import default_client
from prsm_lab.engine import portal
from prsm_lab.errors import InvalidRequestError

if TYPE_CHECKING:
    import pandas as pd

    from prsm_lab.client import Client
    from prsm_lab.types import Request

TYPES: Final[dict[str, str]] = {
    "place": "Int64", "model": "string", "provider": "string", "role": "string", "expected_cost": "Float64",
    "worst_cost": "Float64", "quality": "Float64", "quality_from": "string", "latency_ms": "Float64",
    "timeout_ms": "Float64", "reason": "string",
}  # fmt: skip
"""Columns of `plan`, in their order."""


def plan(
    model: str | Request, messages: Any = None, *, client: Client | None = None, system: str | None = None,
    **options: Any,
) -> pd.DataFrame:  # fmt: skip
    """Return who would be asked, without asking: one row per model, those that would be asked first, in their order.

    Columns: `place` (1 is asked first; NA is left out), `model`, `provider`, `role` (requested, fallback, peer: joined
    for its price or speed, other), `expected_cost` (USD, for an answer of at most 500 tokens), `worst_cost` (USD: the
    prompt, and `max_tokens` used up), `quality` (what `quality_threshold` is held against) and `quality_from`,
    `latency_ms` (recent 95th percentile, where latency decides), `timeout_ms` (of a strategy), `reason`. Other models
    of the catalogue are listed under cost or latency optimisation. What is not known is NA.

    Args:
        model: Name of a model, a router, or a whole request (`client.question`).
        messages: As in `create`; None: a short question.
        client: Whose providers, prices and measurements; default the process's client.
        system: System message.
        **options: See `prsm_lab.ask.Ask`.

    Raises:
        NotFoundError: If the model is unknown.
        InvalidRequestError: If an option is wrong, or the client asks a share server, which plans itself.

    >>> import prsm_lab as lab
    >>> client = lab.Client(mock_mode=True, ledger=":memory:")
    >>> found = lab.plan("gpt-4", "hi", client=client, max_tokens=20, fallback_providers=["anthropic"])
    >>> found[["place", "model", "reason"]].values.tolist()
    [[1, 'gpt-4', 'requested'], [2, 'claude-sonnet-4-6', 'named as a fallback']]
    """
    import pandas as pd

    client = client or default_client()
    choosing = getattr(client.engine, "choosing", None)
    if choosing is None:
        raise InvalidRequestError(
            "This client asks a share server, which plans itself: use lab.plan with a client of this process.",
            details={"parameter": "client"},
        )
    asked = client.question(model, **options) if isinstance(model, str) else model
    if isinstance(model, str) or messages is not None:
        asked = ask.conversation(asked, "A question." if messages is None else messages, system=system)
    rows = portal.call(choosing.plan(asked))
    found = pd.DataFrame([msgspec.structs.asdict(row) for row in rows], columns=list(TYPES))
    return found.astype(TYPES)
