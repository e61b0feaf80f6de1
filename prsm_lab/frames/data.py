"""Anything that holds rows becomes a DataFrame."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from prsm_lab import datasets
from prsm_lab.errors import InvalidRequestError, NotFoundError
from prsm_lab.frames import convert

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def _of(rows: Any) -> pd.DataFrame:
    """Rows as a frame; texts with lone surrogates, which fit no text type, as objects."""
    try:
        return pd.DataFrame(rows)
    except UnicodeEncodeError:
        return pd.DataFrame(rows, dtype="object")


def _lines(path: Path) -> pd.DataFrame:
    """JSON says what is a text and what a number: "007" stays "007", and a date stays as it was written."""
    return _of([json.loads(line) for line in path.read_text("utf-8-sig").split("\n") if line.strip()])


_READERS: dict[str, Callable[[Path], pd.DataFrame]] = {
    ".csv": pd.read_csv,
    ".tsv": lambda path: pd.read_csv(path, sep="\t"),
    ".jsonl": _lines,
    ".ndjson": _lines,
    ".json": lambda path: pd.read_json(path, dtype=False),
    ".parquet": pd.read_parquet,
}


def frame(data: object) -> pd.DataFrame:
    """Return rows as a DataFrame; a frame is returned as it is and never changed.

    Args:
        data: DataFrame or Series (pandas, Polars, Arrow), list of str, list of dicts, a path (csv, tsv, jsonl,
            parquet), or the name of a bundled dataset.

    Raises:
        InvalidRequestError: If it is none of these, or a file cannot be read as what its name says.
        NotFoundError: If there is no such file or dataset.

    >>> list(frame(["a", "b"]).columns)
    ['text']
    """
    if isinstance(data, pd.DataFrame):
        return data
    if isinstance(data, pd.Series):
        return data.to_frame("text" if data.name is None else data.name)
    if isinstance(data, (str, Path)):
        return _read(data)
    if convert.speaks_arrow(data):
        return convert.from_arrow(data)
    if isinstance(data, Sequence) and not isinstance(data, bytes):
        if all(isinstance(row, str) or row is None for row in data):
            return _of({"text": list(data)})
        if all(isinstance(row, Mapping) for row in data):
            return _of(list(data))
    raise InvalidRequestError(
        f"data is {type(data).__name__}; give a DataFrame, a Series, a list of texts or of dicts, a path, or a "
        f"dataset's name ({', '.join(datasets.names())}).",
        details={"parameter": "data"},
    )


def _read(source: str | Path) -> pd.DataFrame:
    path = Path(source)
    if path.suffix.lower() not in _READERS:
        if str(source) in datasets.names():
            return datasets.load(str(source))
        raise NotFoundError(
            f"{str(source)!r} is neither a dataset ({', '.join(datasets.names())}) nor a file of a kind that can be "
            f"read ({', '.join(sorted(_READERS))}).",
            details={"parameter": "data"},
        )
    if not path.is_file():
        raise NotFoundError(f"No file at {str(path)!r}.", details={"parameter": "data"})
    try:
        return _READERS[path.suffix.lower()](path)
    except ImportError as missing:
        raise InvalidRequestError(
            f'Reading {path.name} needs the extra "parquet": pip install "prsm-lab[parquet]".',
            details={"parameter": "data"},
        ) from missing
    except (ValueError, OSError, UnicodeError, KeyError) as fault:
        raise InvalidRequestError(
            f"{path.name} cannot be read as {path.suffix[1:]}: {str(fault)[:200]}", details={"parameter": "data"}
        ) from fault


def records(data: pd.DataFrame) -> list[dict[Any, Any]]:
    """Return each row as a dict from column label to value."""
    return list(each(data))


def each(data: pd.DataFrame) -> Iterator[dict[Any, Any]]:
    """Iterate over the rows as dicts from column label to value, one at a time."""
    columns = list(data.columns)
    if not columns:
        yield from ({} for _ in range(len(data)))
        return
    for row in zip(*(data[label].array for label in columns), strict=True):
        yield dict(zip(columns, row, strict=True))


def missing(value: object) -> bool:
    """Tell whether a cell holds nothing: None, NaN, NA or NaT; lists and dicts hold something."""
    if isinstance(value, str):  # most are
        return False
    return value is None or (pd.api.types.is_scalar(value) and bool(pd.isna(value)))  # type: ignore[call-overload]
