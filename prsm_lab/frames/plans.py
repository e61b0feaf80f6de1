"""How a run goes, and what is checked before it does."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Literal

import msgspec

from prsm_lab import checks
from prsm_lab.engine import bulk_plan
from prsm_lab.engine.windows import most_connections
from prsm_lab.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How a run goes."""

    kind: str
    max_concurrency: int = 16
    rpm: int | None = None
    tpm: int | None = None
    mode: Literal["realtime", "provider_batch"] = "realtime"
    deadline: str | float | None = "24h"
    max_cost: float | None = None
    purse: str | None = None
    """What runs that spend from one cap share; see `Run.purse`."""
    goes_on: bool = False
    """See `Run.goes_on`."""
    run: str | None = None
    fresh: bool = False
    dedup: bool = True
    on_error: Literal["record", "raise"] = "record"
    progress: bool = True
    prefix: str = ""


def check(plan: Plan) -> None:
    """Check a plan before anything is made of it.

    Raises:
        InvalidRequestError: Naming the option that is wrong.
    """
    for name in ("max_concurrency", "rpm", "tpm"):
        value = getattr(plan, name)
        if value is None and name != "max_concurrency":
            continue
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise InvalidRequestError(f"{name}={value!r} is no number of at least 1.", details={"parameter": name})
    if most_connections(plan.max_concurrency) < plan.max_concurrency:
        warnings.warn(
            f"This process may not open so many connections: {most_connections(plan.max_concurrency)} questions are in "
            f"flight at most, not {plan.max_concurrency}. `ulimit -n` raises the limit.",
            stacklevel=2,
        )
    if plan.mode not in ("realtime", "provider_batch"):
        raise InvalidRequestError(
            f"mode={plan.mode!r} is neither 'realtime' nor 'provider_batch'.", details={"parameter": "mode"}
        )
    bulk_plan.seconds(plan.deadline)
    if plan.mode == "realtime" and plan.deadline != "24h":
        raise InvalidRequestError(
            "deadline= is a batch's: pass mode='provider_batch' with it, or timeout= for the deadline of a question.",
            details={"parameter": "deadline"},
        )
    checks.number(plan.max_cost, "max_cost", low=0)
    if plan.on_error not in ("record", "raise"):
        raise InvalidRequestError(
            f"on_error={plan.on_error!r} is neither 'record' nor 'raise'.", details={"parameter": "on_error"}
        )


def check_names(data: pd.DataFrame, names: Sequence[str], prefix: str) -> None:
    """Check that the data leaves the result's columns their names.

    Raises:
        ValueError: Naming the column that does not.
    """
    if not data.columns.is_unique:
        twice = data.columns[data.columns.duplicated()][0]
        raise ValueError(f"The data has more than one column {twice!r}; rename them, so that each can be named.")
    taken = [name for name in (prefix + name for name in names) if name in data.columns]
    if taken:
        raise ValueError(
            f"The data already has a column {taken[0]!r}, which the result needs. Rename it, or pass "
            "prefix='prsm_' to name the result's columns otherwise."
        )
