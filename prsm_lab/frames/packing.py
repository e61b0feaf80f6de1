"""Input frames in the ledger: columns as JSON with their types, compressed; nothing that could run when it is read."""

from __future__ import annotations

import json
import zlib
from typing import Any

import pandas as pd

from prsm_lab.frames.data import missing


def pack(data: pd.DataFrame) -> bytes:
    """Return a frame as bytes.

    Texts, numbers, truth values and missing cells come back as they were; times come back through their ISO text;
    of any other object its text is kept.
    """
    document = {
        "rows": len(data),
        "columns": [_label(label) for label in data.columns],
        "types": [_kind(kind) for kind in data.dtypes],
        "data": [[_cell(value) for value in data.iloc[:, n].array] for n in range(data.shape[1])],
        "index": _packed_index(data.index),
    }
    return zlib.compress(json.dumps(document).encode("utf-8", "backslashreplace"), 1)


def _packed_index(index: pd.Index[Any]) -> dict[str, Any]:
    if isinstance(index, pd.RangeIndex):
        return {"kind": "range", "names": list(index.names), "values": [index.start, index.stop, index.step]}
    if isinstance(index, pd.MultiIndex):
        types = [_kind(level.dtype) for level in index.levels]
        values = [[_cell(part) for part in label] for label in index]
        return {"kind": "multi", "names": [_label(n) for n in index.names], "values": values, "types": types}
    values = [_cell(label) for label in index]
    return {"kind": "flat", "names": [_label(index.name)], "values": values, "types": [_kind(index.dtype)]}


def _cell(value: Any) -> Any:
    """A value as JSON holds it; numpy's numbers are numbers, lone surrogates are escaped."""
    if missing(value):
        return None
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    return value if isinstance(value, (int, float, bool, list, dict)) else str(value)


def _kind(kind: Any) -> Any:
    """A column's type as JSON; a categorical one with its categories in order."""
    if isinstance(kind, pd.CategoricalDtype):
        return {"of": [_cell(value) for value in kind.categories], "type": str(kind.categories.dtype),
                "ordered": bool(kind.ordered)}  # fmt: skip
    return str(kind)


def _label(label: Any) -> Any:
    """A label of a column or a level; tuples are lists in JSON."""
    return [_label(part) for part in label] if isinstance(label, tuple) else _cell(label)


def unpack(packed: bytes) -> pd.DataFrame:
    """Return the frame that was packed."""
    document = json.loads(zlib.decompress(packed))
    columns = [_typed(values, kind) for values, kind in zip(document["data"], document["types"], strict=True)]
    made = pd.DataFrame(dict(enumerate(columns)), index=pd.RangeIndex(document["rows"]))
    labels = [tuple(label) if isinstance(label, list) else label for label in document["columns"]]
    made.columns = pd.Index(labels) if labels else pd.RangeIndex(0)
    made.index = _index(document["index"])
    return made


def _typed(values: list[Any], kind: Any) -> Any:
    plain: Any = pd.Series(values, dtype="object")
    try:
        if isinstance(kind, dict):
            return pd.Categorical(
                _typed(values, kind["type"]), categories=_typed(kind["of"], kind["type"]), ordered=kind["ordered"]
            )
        return plain.astype(kind)
    except (TypeError, ValueError):
        return plain


def _index(packed: dict[str, Any]) -> Any:
    names, values = packed["names"], packed["values"]
    if packed["kind"] == "range":
        start, stop, step = values
        return pd.RangeIndex(start, stop, step, name=names[0])
    if packed["kind"] == "multi":
        levels = [_typed([label[n] for label in values], kind) for n, kind in enumerate(packed["types"])]
        return pd.MultiIndex.from_arrays(levels, names=names)
    return pd.Index(_typed(values, packed["types"][0]), name=names[0])
