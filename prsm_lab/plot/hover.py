"""What a mark tells of its row when one points at it: what was asked, what was answered. Plotly obeys none of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from prsm_lab import render
from prsm_lab.frames import reading
from prsm_lab.frames.data import missing
from prsm_lab.plot.look import safe

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

LONGEST_INPUT: Final = 140
LONGEST_ANSWER: Final = 240
INPUTS: Final = 3
"""Columns of the input that are told."""
WIDTH: Final = 64
_LINES: Final = re.compile(rf"\S.{{0,{WIDTH - 1}}}(?=\s|$)|\S{{{WIDTH}}}|\S+")


def rows(part: pd.DataFrame) -> list[str]:
    """Return for each row its input columns and its answer or error, shortened, in lines, safe for plotly.

    Args:
        part: Result rows.
    """
    known = reading.of(part)
    columns = list(part.columns)
    inputs = columns[: columns.index(known.prefix + "model")][:INPUTS]
    asked = [[_told(str(name), value, LONGEST_INPUT) for value in part.iloc[:, n]] for n, name in enumerate(inputs)]
    error = part.get(known.prefix + "error")
    said = [
        _told("error", fault, LONGEST_ANSWER) if missing(text) else _told("response", text, LONGEST_ANSWER)
        for text, fault in zip(known(part, "response"), [None] * len(part) if error is None else error, strict=True)
    ]
    return ["<br>".join(filter(None, line)) for line in zip(*asked, said, strict=True)]


def headed(figures: Sequence[str], label: str, part: pd.DataFrame) -> list[str]:
    """Return what `rows` tells, below each row's figure and its variant's label.

    Args:
        figures: One text a row, safe.
        label: The variant's, safe.
        part: Result rows.
    """
    return [f"<b>{figure}</b> {label}<br>{told}" for figure, told in zip(figures, rows(part), strict=True)]


def _told(name: str, value: Any, longest: int) -> str:
    return "" if missing(value) else f"<b>{safe(render.line(name, longest=30))}</b> {folded(value, longest)}"


def folded(value: object, longest: int) -> str:
    """Return a shortened text in lines of bearable width, safe for plotly.

    >>> folded("<b>" + " word" * 30, 40)
    '&lt;b&gt; word word word word word word word …'
    """
    whole = str(value)
    line = render.line(whole[: 4 * longest], longest=longest)  # a text of megabytes is not read to its end for a hint
    more = "…" if len(whole) > 4 * longest and not line.endswith("…") else ""
    return "<br>".join(map(safe, _LINES.findall(line + more)))
