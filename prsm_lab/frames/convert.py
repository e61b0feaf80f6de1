"""Frames of other kinds: Arrow and Polars in through Arrow's own interface, and out again. Both are optional."""

from __future__ import annotations

import importlib
import json
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from prsm_lab.errors import InvalidRequestError

if TYPE_CHECKING:
    from types import ModuleType

RETURNS: Final = ("pandas", "polars", "arrow")
KEY: Final = b"prsm"
"""Where a table's schema metadata holds what a frame holds in `attrs["prsm"]`, as JSON."""


def pyarrow() -> ModuleType:
    """Return pyarrow, which is optional.

    Raises:
        InvalidRequestError: If it is not installed.
    """
    try:
        import pyarrow as pa
    except ImportError as lack:
        raise InvalidRequestError(
            'Arrow and Polars frames and output= need the extra "parquet": pip install "prsm-lab[parquet]".'
        ) from lack
    return pa  # type: ignore[no-any-return]


def speaks_arrow(data: object) -> bool:
    """Tell whether an object hands its rows over by Arrow's interface, as Polars' and pyarrow's do."""
    return hasattr(data, "__arrow_c_stream__") or hasattr(data, "__arrow_c_array__")


def from_arrow(data: Any) -> pd.DataFrame:
    """Return an Arrow or Polars table, batch or column as a pandas frame.

    Whole numbers and truth values with gaps keep their type (1 does not become 1.0); a column alone is named as it is,
    or `text`.

    Raises:
        InvalidRequestError: If its rows have no columns, or pyarrow is missing.
    """
    pa = pyarrow()
    try:
        if hasattr(data, "columns") or hasattr(data, "schema"):
            table = pa.table(data)
        else:
            column = pa.chunked_array([data]) if isinstance(data, pa.Array) else pa.chunked_array(data)
            table = pa.table({getattr(data, "name", None) or "text": column})
        return tidy(table)
    except (TypeError, ValueError, NotImplementedError) as fault:
        raise InvalidRequestError(
            f"data ({type(data).__name__}) cannot be read through Arrow: {str(fault)[:200]}",
            details={"parameter": "data"},
        ) from fault


def tidy(table: Any) -> pd.DataFrame:
    """Return a pyarrow table as a frame; numbers and truth values with gaps keep their type."""
    pa = pyarrow()
    kinds: dict[Any, Any] = {pa.bool_(): pd.BooleanDtype()}
    for name in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"):
        kinds[getattr(pa, name)()] = pd.api.types.pandas_dtype(name.replace("i", "I", 1).replace("uI", "UI"))
    gaps = {field.type for field, column in zip(table.schema, table.columns, strict=True) if column.null_count}
    return table.to_pandas(  # type: ignore[no-any-return]
        types_mapper=lambda kind: kinds.get(kind) if kind in gaps else None
    )


def to_arrow(frame: pd.DataFrame) -> Any:
    """Return a frame as a pyarrow table; its index is kept, and its run in the schema's metadata under `b"prsm"`.

    Columns that no Arrow type holds (objects of several types, lone surrogates) become text, surrogates escaped.
    """
    pa = pyarrow()
    told = frame.attrs.get("prsm", {})
    plain = frame.copy(deep=False)
    plain.attrs = {}
    try:
        table = pa.Table.from_pandas(plain)
    except (pa.ArrowException, UnicodeEncodeError, TypeError, ValueError):
        for n, name in enumerate(plain.columns):
            try:
                pa.array(plain.iloc[:, n], from_pandas=True)
            except (pa.ArrowException, UnicodeEncodeError, TypeError, ValueError):
                plain[name] = pd.array([_text(value) for value in plain.iloc[:, n]], dtype="string")
        table = pa.Table.from_pandas(plain)
    return table.replace_schema_metadata({**(table.schema.metadata or {}), KEY: json.dumps(told, default=str).encode()})


def check(returns: str) -> None:
    """Refuse a kind of frame that cannot be returned, before anything is paid.

    Raises:
        InvalidRequestError: If it is none of `RETURNS`, or its package is missing.
    """
    if returns not in RETURNS:
        raise InvalidRequestError(
            f"returns={returns!r} is none of {', '.join(map(repr, RETURNS))}.", details={"parameter": "returns"}
        )
    if returns != "pandas":
        pyarrow()
    if returns == "polars":
        _polars()


def returned(frame: pd.DataFrame, returns: str) -> Any:
    """Return a frame as the kind that is wanted. Polars frames have no index and no attrs; Arrow's keep both."""
    if returns == "pandas":
        return frame
    table = to_arrow(frame)
    return table if returns == "arrow" else _polars().from_arrow(table)


def _polars() -> ModuleType:
    try:
        polars = importlib.import_module("polars")  # by name: it is in no extra, and checkers run without it
    except ImportError as lack:
        raise InvalidRequestError(
            "returns='polars' needs Polars: pip install polars.", details={"parameter": "returns"}
        ) from lack
    return polars


def _text(value: object) -> str | None:
    lacks = value is None or (pd.api.types.is_scalar(value) and bool(pd.isna(value)))  # type: ignore[call-overload]
    return None if lacks else str(value).encode("utf-8", "backslashreplace").decode()
