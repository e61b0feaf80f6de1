"""Runs of the past, from the ledger: nothing is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from prsm_lab.client import default_client
from prsm_lab.engine import portal
from prsm_lab.errors import CancelledError, InvalidRequestError, ProviderError, PRSMError
from prsm_lab.frames import packing, work
from prsm_lab.types import Attempt

if TYPE_CHECKING:
    from prsm_lab.client import Client
    from prsm_lab.types import Inference, Record


def runs(*, client: Client | None = None) -> pd.DataFrame:
    """Return past runs, newest first: id, name, kind, when, how far it came, what it cost.

    >>> import prsm_lab as lab
    >>> lab.runs(client=lab.Client(mock_mode=True, ledger=":memory:")).columns.tolist()[:3]
    ['run', 'name', 'kind']
    """
    found = portal.call((client or default_client()).engine.runs())
    made = pd.DataFrame(
        {
            "run": [run.id for run in found],
            "name": [run.name for run in found],
            "kind": [run.kind for run in found],
            "created": pd.to_datetime([run.created for run in found], unit="s", utc=True),
            "models": [", ".join(run.spec.get("models", ())) for run in found],
            "questions": [run.questions for run in found],
            "answered": [run.answered for run in found],
            "failed": [run.failed for run in found],
            "cost": [run.cost for run in found],
        }
    )
    texts = dict.fromkeys(("run", "name", "kind", "models"), "string")
    return made.astype({**texts, **dict.fromkeys(("questions", "answered", "failed"), "Int64"), "cost": "float64"})


def load(run: str, *, client: Client | None = None) -> pd.DataFrame:
    """Return a past run's results as its call returned them, as far as it came.

    Args:
        run: Its id or name (see `runs`).
        client: Whose ledger; default the process's client.

    Raises:
        NotFoundError: If there is no such run.
    """
    found, states = portal.call((client or default_client()).engine.replay(run))
    if found.data is None:
        raise InvalidRequestError(f"Run {run!r} kept no data.", details={"parameter": "run"})
    data, spec = packing.unpack(found.data), found.spec
    flags = spec.get("asked_rows") or [True] * len(states)
    given = iter(states)
    outcomes = [_outcome(next(given)) if asked is True else _missing(asked) for asked in flags]
    index = pd.RangeIndex(len(outcomes)) if found.kind == "infer" else None
    made = work.layout(data, outcomes, spec, index=index)
    served = made[spec["prefix"] + "served_model"]
    answered = sum(outcome is not None and not isinstance(outcome, PRSMError) for outcome in outcomes)
    made.attrs["prsm"] = {
        "run": found.id, "kind": found.kind, "options": spec["options"], "prefix": spec["prefix"],
        "simulated": bool(served.str.startswith("simulated/").any()), "variants": ["model", *spec["columns"]],
        "totals": {"rows": len(made), "answered": answered}, "prompts": spec.get("prompts") or {},
        "system": spec.get("system"), "templates": spec.get("templates") or [],
    }  # fmt: skip
    return made


def _missing(why: object) -> PRSMError:
    return InvalidRequestError(why if isinstance(why, str) else "missing prompt", details={"kind": "missing_prompt"})


class _Earlier(PRSMError):
    """A failure as the ledger tells it."""

    code = "error"


def _outcome(record: Record | None) -> Inference | PRSMError | None:
    if record is None:
        return None
    if record.inference is not None and record.error is None:
        return record.inference
    if record.error is None:
        error: PRSMError = (
            CancelledError("not finished") if record.status == "running" else ProviderError("unknown outcome")
        )
    else:
        error = _Earlier(record.error.get("message", ""), provider=record.provider)
        error.__class__ = type("_Earlier", (_Earlier,), {"code": record.error.get("code", "error")})
    error.inference_id = record.id
    knock = Attempt(provider=record.provider or "", model=record.model, started=record.created)
    error.attempts = (knock,) * (record.knocks or 0)
    error.answer = record.inference
    return error
