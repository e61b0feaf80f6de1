"""Which rows of a long result frame belong together: those that come from the same input row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from prsm_lab.errors import InvalidRequestError, NotFoundError
from prsm_lab.frames import reading
from prsm_lab.frames.data import missing

if TYPE_CHECKING:
    from collections.abc import Sequence


def row_keys(results: pd.DataFrame, row: str | Sequence[str] | None = None) -> pd.Series[Any]:
    """Return for each row a key of the input row that it comes from; samples and variants of one row share it.

    Args:
        results: What `batch` or `compare` returned, or several of these below each other.
        row: Column (or index level) that names the input row, or several; None: the frame's index where it tells rows
            apart within each variant, else the position in a whole `compare` frame.

    Returns:
        The keys, with the frame's own index: values of the column (tuples of several), index values, or positions.

    Raises:
        InvalidRequestError: If rows cannot be told apart, or would be paired with other questions' rows.
        NotFoundError: If a column of `row` is not there.

    >>> import prsm_lab as lab
    >>> client = lab.Client(mock_mode=True, ledger=":memory:")
    >>> found = lab.compare(["a", "b"], "{text}", models=["gpt-4", "gpt-4o"], client=client, progress=False)
    >>> row_keys(found).tolist()
    [0, 0, 1, 1]
    >>> row_keys(found, "text").tolist()
    ['a', 'a', 'b', 'b']
    """
    known = reading.of(results)
    labels = pd.Series(known.labels(results), index=results.index, dtype=object)
    if row is not None:
        keys = _named(results, [row] if isinstance(row, str) else list(row))
        _check_single(keys, labels, row)
        return keys
    keys = pd.Series(results.index.to_flat_index(), index=results.index, dtype=object)
    if _single(keys, labels) and (labels.nunique() <= 1 or keys.duplicated().any()):
        _check_inputs(results, known, keys)
        return keys
    ways = list(dict.fromkeys(labels))
    rows, odd = divmod(len(results), max(1, len(ways)))
    if not odd and list(labels) == ways * rows:
        keys = pd.Series([n // len(ways) for n in range(len(results))], index=results.index, dtype=object)
        _check_inputs(results, known, keys)
        return keys
    raise InvalidRequestError(
        "Which rows belong together cannot be told: the index does not say it, and some rows lack a variant or were "
        "sorted apart. Name the column of the input row, e.g. row='id'.",
        details={"parameter": "row"},
    )


class Grid(NamedTuple):
    """A long frame as input rows × variants; samples of a variant are one answer, their mean."""

    keys: list[Any]
    """Key of each input row, in the frame's order."""
    ways: list[str]
    """Label of each variant, in the frame's order."""
    row: np.ndarray[Any, np.dtype[np.intp]]
    """Of each row of the frame: place in `keys`."""
    way: np.ndarray[Any, np.dtype[np.intp]]
    """Of each row of the frame: place in `ways`."""

    def means(self, figures: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Return the mean of the figures of each cell that are there, NaN where none is; shape (keys, ways)."""
        there = ~np.isnan(figures)
        size = len(self.keys) * len(self.ways)
        cell = (self.row * len(self.ways) + self.way)[there]
        sums, counts = np.bincount(cell, figures[there], size), np.bincount(cell, minlength=size)
        made = np.divide(sums, counts, out=np.full(size, np.nan), where=counts > 0)
        return np.asarray(made.reshape(len(self.keys), len(self.ways)), dtype=np.float64)

    def asked(self) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Return which cells have a row at all; shape (keys, ways)."""
        return np.asarray(~np.isnan(self.means(np.ones(len(self.row)))), dtype=np.bool_)

    def clusters(self, labels: pd.Series[Any], cluster: str) -> np.ndarray[Any, Any]:
        """Return the cluster of each input row; shape (keys,).

        Raises:
            InvalidRequestError: If an input row lies in two clusters.
        """
        codes = pd.factorize(labels.to_numpy())[0]
        made = np.zeros(len(self.keys), dtype=np.intp)
        made[self.row] = codes
        astray = (made[self.row] != codes).nonzero()[0]
        if len(astray):
            raise InvalidRequestError(
                f"Input row {self.keys[self.row[astray[0]]]!r} lies in two clusters of column {cluster!r}.",
                details={"parameter": "cluster", "column": cluster, "row": int(astray[0])},
            )
        return made


def grid(results: pd.DataFrame, row: str | Sequence[str] | None = None, by: str | Sequence[str] | None = None) -> Grid:
    """Read a long frame as input rows × variants.

    Args:
        results: What `compare` returned.
        row: See `row_keys`.
        by: Columns that tell variants apart; default what `compare` varied, but samples.

    Raises:
        InvalidRequestError: See `row_keys`.
        NotFoundError: If a column is not there.
    """
    if by is None:
        labels = reading.of(results).without_samples().labels(results)
    else:
        names = [by] if isinstance(by, str) else list(by)
        for name in names:
            if name not in results.columns:
                raise NotFoundError(f"No column {name!r} to tell variants by.", details={"parameter": "by"})
        labels = [" · ".join(map(str, values)) for values in zip(*(results[name] for name in names), strict=True)]
    row_code, keys = pd.factorize(row_keys(results, row).to_numpy())
    way_code, ways = pd.factorize(np.array(labels, dtype=object))
    return Grid(list(keys), list(ways), row_code, way_code)


def clusters_of(results: pd.DataFrame, cluster: str) -> pd.Series[Any]:
    """Return the column that says which rows depend on each other.

    Raises:
        InvalidRequestError: If it is empty in a row.
        NotFoundError: If it is not there.
    """
    if cluster not in results.columns:
        raise NotFoundError(f"No column {cluster!r} with clusters of rows.", details={"parameter": "cluster"})
    lacking = results[cluster].isna().to_numpy().nonzero()[0]
    if len(lacking):
        raise InvalidRequestError(
            f"Column {cluster!r} is empty in row {int(lacking[0])}: every row belongs to a cluster.",
            details={"parameter": "cluster", "column": cluster, "row": int(lacking[0])},
        )
    return results[cluster]


def _named(results: pd.DataFrame, names: Sequence[str]) -> pd.Series[Any]:
    parts: list[list[Any]] = []
    for name in names:
        if name in results.columns:
            parts.append(list(results[name]))
        elif name in results.index.names:
            parts.append(list(results.index.get_level_values(name)))
        else:
            raise NotFoundError(f"No column {name!r} that names the input row.", details={"parameter": "row"})
        for position, value in enumerate(parts[-1]):
            if missing(value) or value.__hash__ is None:
                what = "is empty" if missing(value) else f"is a {type(value).__name__}, which names nothing"
                raise InvalidRequestError(
                    f"Column {name!r} {what} in row {position}; fill it, or name another with row=.",
                    details={"parameter": "row", "column": name, "row": position},
                )
    if not parts:
        raise InvalidRequestError("row=[] names no column.", details={"parameter": "row"})
    keys = parts[0] if len(parts) == 1 else list(zip(*parts, strict=True))
    return pd.Series(keys, index=results.index, dtype=object)


def _single(keys: pd.Series[Any], labels: pd.Series[Any]) -> bool:
    """Has each variant at most one row of each key?"""
    return not pd.MultiIndex.from_arrays([labels.to_numpy(), keys.to_numpy()]).has_duplicates


def _check_single(keys: pd.Series[Any], labels: pd.Series[Any], row: object) -> None:
    twice = pd.MultiIndex.from_arrays([labels.to_numpy(), keys.to_numpy()]).duplicated(keep=False).nonzero()[0]
    if len(twice):
        label, key = labels.iloc[twice[0]], keys.iloc[twice[0]]
        at = [int(n) for n in twice if keys.iloc[n] == key and labels.iloc[n] == label]
        raise InvalidRequestError(
            f"row={row!r}: {key!r} names {len(at)} rows of {label} (rows {', '.join(map(str, at[:5]))}). Name columns "
            "that tell input rows apart; groups of rows go with cluster=.",
            details={"parameter": "row", "row": at[0]},
        )


def _check_inputs(results: pd.DataFrame, known: reading.Reading, keys: pd.Series[Any]) -> None:
    """Rows that were found to belong together have the same inputs: else an answer meets another question's."""
    columns = list(results.columns)
    groups = pd.Series(pd.factorize(keys.to_numpy())[0], index=results.index)
    if not groups.duplicated().any():
        return
    first = (~groups.duplicated()).to_numpy().nonzero()[0][groups.to_numpy()]
    for name in columns[: columns.index(known.prefix + "model")]:
        codes = same_codes(results[name])
        differs = (codes != codes[first]).nonzero()[0]
        if len(differs):
            raise InvalidRequestError(
                f"Rows of the index value {keys.iloc[differs[0]]!r} differ in column {name!r} (row {int(differs[0])}): "
                "they are not the same input row. Name the column that tells input rows, e.g. row='id'.",
                details={"parameter": "row", "column": str(name), "row": int(differs[0])},
            )


def same_codes(column: pd.Series[Any]) -> Any:
    """Numbers that are equal where values are; lists and dicts by how they are written."""
    try:
        return pd.factorize(column, use_na_sentinel=True)[0]
    except TypeError:
        return pd.factorize(column.map(repr))[0]
