"""What changed between two runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from prsm_lab.errors import InvalidRequestError
from prsm_lab.frames import pairing, past, reading
from prsm_lab.frames.contrasting import chosen_scores, figures_of
from prsm_lab.statistics.paired import ROUNDING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from prsm_lab.client import Client

OWN: Final = ("variant", "response", "error_code")
"""Shown of both runs."""


def diff(
    run_a: str | pd.DataFrame,
    run_b: str | pd.DataFrame,
    score: str | None = None,
    *,
    row: str | Sequence[str] | None = None,
    client: Client | None = None,
) -> pd.DataFrame:
    """Return the rows whose answer, or score, is another one in the second run than in the first.

    Runs of one variant each are laid against each other whichever variants these are; of runs with several, variants
    of equal label. Samples of one variant are laid against each other by their number.

    Columns: the inputs, `variant_a`, `variant_b`, `response_a`, `response_b`, with a score `<score>_a`, `<score>_b`
    and `change` (b less a); `error_code_a`, `error_code_b` where an answer failed, which is a change too. The index is
    the first run's. `attrs["prsm"]` counts rows: `compared`, `changed`, `only_a` and `only_b` (in one run alone).

    Args:
        run_a: Id or name of a run, or its frame.
        run_b: Id or name of another, or its frame.
        score: Score column, with or without `score_`; only rows with another score are returned. Both frames must have
            it: `diff(lab.score(lab.load("monday"), "exact"), …, score="exact")`.
        row: Column that names the input row, where neither index nor order say it.
        client: Whose ledger; default the process's client.

    Raises:
        InvalidRequestError: If rows cannot be told, or the runs share none.
        NotFoundError: If there is no such run, score or column.

    >>> import prsm_lab as lab
    >>> answers = {"gpt-4": {"content": "yes"}, "gpt-4o": {"content": lambda messages: messages[-1]["content"]}}
    >>> client = lab.Client(mock_mode=True, ledger=":memory:", mock_responses=answers)
    >>> old, new = (lab.batch(["yes", "no"], "{text}", model=model, client=client, progress=False)
    ...             for model in ("gpt-4", "gpt-4o"))
    >>> diff(old, new)[["text", "response_a", "response_b"]].to_numpy().tolist()
    [['no', 'yes', 'no']]
    """
    a, b = (run if isinstance(run, pd.DataFrame) else past.load(run, client=client) for run in (run_a, run_b))
    one, other = reading.of(a), reading.of(b)
    ways_a, ways_b = one.labels(a), other.labels(b)
    single = len(set(ways_a)) <= 1 and len(set(ways_b)) <= 1
    keys_a = _keys(pairing.row_keys(a, row), ways_a, single=single)
    keys_b = _keys(pairing.row_keys(b, row), ways_b, single=single)
    place = {key: n for n, key in enumerate(keys_b)}
    pairs = [(n, place[key]) for n, key in enumerate(keys_a) if key in place]
    if not pairs:
        raise InvalidRequestError(
            "The runs share no row of the same variant: there is nothing to compare. Name with row= the column that "
            "tells input rows.",
            details={"parameter": "row"},
        )
    left, right = a.iloc[[n for n, _ in pairs]], b.iloc[[n for _, n in pairs]]
    inputs = [name for name in one.inputs(a) if name in other.inputs(b)]
    if row is None:
        _check_inputs(left, right, inputs)
    made = left[one.inputs(a)].copy()
    made.attrs = {}
    for known, part, end in ((one, left, "a"), (other, right, "b")):
        made[f"variant_{end}"] = pd.array(known.labels(part), dtype="string")
    for name in ("response", "error_code"):
        for known, part, end in ((one, left, "a"), (other, right, "b")):
            made[f"{name}_{end}"] = known(part, name).astype("string").array
    if taken := set(one.inputs(a)) & {"change", *(f"{name}_{end}" for name in OWN for end in "ab")}:
        raise InvalidRequestError(
            f"The input column {min(taken)!r} has the name of a column of the difference; rename it.",
            details={"parameter": "run_a", "column": min(taken)},
        )
    changed = _differ(made["response_a"], made["response_b"])
    if score is not None:
        before, after = (figures_of(part, chosen_scores(part, score)[0]) for part in (left, right))
        name = chosen_scores(left, score)[0]
        for end, figures in (("_a", before), ("_b", after)):
            made[name + end] = pd.array(figures, dtype="Float64")
        made["change"] = pd.array(after - before, dtype="Float64")
        apart = np.abs(after - before) > ROUNDING * np.maximum(np.abs(after), np.abs(before))
        changed = apart | (np.isnan(before) != np.isnan(after))
    found = made[changed]
    found = found[[name for name in found.columns if not name.startswith("error_code_") or found[name].notna().any()]]
    found.attrs["prsm"] = {
        "simulated": one.simulated or other.simulated, "compared": len(pairs), "changed": len(found),
        "only_a": len(a) - len(pairs), "only_b": len(b) - len(pairs),
    }  # fmt: skip
    return found


def _keys(keys: pd.Series[Any], labels: Sequence[str], *, single: bool) -> list[Any]:
    return list(keys) if single else list(zip(keys, labels, strict=True))


def _differ(one: pd.Series[Any], other: pd.Series[Any]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Two answers that are both missing are the same."""
    same = one.eq(other).fillna(False) | (one.isna() & other.isna())
    return ~same.to_numpy(dtype=bool)


def _check_inputs(left: pd.DataFrame, right: pd.DataFrame, inputs: Sequence[Any]) -> None:
    """Rows that were laid against each other by index or order have the same inputs."""
    for name in inputs:
        codes = pairing.same_codes(pd.concat([left[name], right[name]]))
        apart = (codes[: len(left)] != codes[len(left) :]).nonzero()[0]
        if len(apart):
            raise InvalidRequestError(
                f"Column {name!r} differs between the runs in row {left.index[apart[0]]!r}: they are not the same "
                "input row. Name the column that tells input rows, e.g. row='id'.",
                details={"parameter": "row", "column": str(name), "row": int(apart[0])},
            )
