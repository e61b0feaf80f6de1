"""Input frames in the ledger: columns as JSON with their types, compressed; nothing that could run when it is read."""

from __future__ import annotations

import io
import json
import zlib
from typing import Any

import pandas as pd


def pack(data: pd.DataFrame) -> bytes:
    """Return a frame as bytes; types that JSON cannot hold come back as texts."""
    plain = data.copy(deep=False)
    plain.columns = pd.RangeIndex(len(plain.columns))
    index = data.index
    plain.index = pd.RangeIndex(len(plain))
    for position in plain.columns:
        if plain[position].dtype == object:
            plain[position] = [_safe(value) for value in plain[position]]
    document = {
        "columns": [_label(label) for label in data.columns],
        "types": [str(kind) for kind in data.dtypes],
        "index": {
            "names": [_label(name) for name in index.names],
            "range": isinstance(index, pd.RangeIndex),
            "values": [[_label(part) for part in (label if isinstance(label, tuple) else (label,))] for label in index]
            if not isinstance(index, pd.RangeIndex)
            else [index.start, index.stop, index.step],
            "multi": isinstance(index, pd.MultiIndex),
            "type": str(index.dtype),
        },
        "data": plain.to_json(orient="split", date_format="iso", default_handler=str),
    }
    return zlib.compress(json.dumps(document).encode("utf-8", "backslashreplace"), 1)


def _safe(value: Any) -> Any:
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value


def _label(label: Any) -> Any:
    """A label that JSON can hold; numpy's numbers are numbers."""
    if hasattr(label, "item"):
        label = label.item()
    if isinstance(label, tuple):
        return [_label(part) for part in label]
    return label if label is None or isinstance(label, (str, int, float, bool)) else str(label)


def unpack(packed: bytes) -> pd.DataFrame:
    """Return the frame that was packed."""
    document = json.loads(zlib.decompress(packed))
    data = pd.read_json(
        io.StringIO(document["data"]), orient="split", convert_dates=False, dtype=False, convert_axes=False
    )
    for position, kind in enumerate(document["types"]):
        data[data.columns[position]] = _typed(data[data.columns[position]], kind)
    labels = [tuple(label) if isinstance(label, list) else label for label in document["columns"]]
    data.columns = pd.Index(labels) if labels else pd.RangeIndex(0)
    data.index = _index(document["index"])
    return data


def _typed(values: Any, kind: str) -> Any:
    try:
        return values.astype(kind)
    except (TypeError, ValueError):
        return values


def _index(packed: dict[str, Any]) -> Any:
    if packed["range"]:
        start, stop, step = packed["values"]
        return pd.RangeIndex(start, stop, step, name=packed["names"][0])
    if packed["multi"]:
        return pd.MultiIndex.from_tuples([tuple(label) for label in packed["values"]], names=packed["names"])
    index = pd.Index([label[0] for label in packed["values"]], name=packed["names"][0])
    try:
        return index.astype(packed["type"])
    except (TypeError, ValueError):
        return index
