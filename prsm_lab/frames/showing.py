"""`show`: a frame as a table that is read, in a notebook, on a code host, in a file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from prsm_lab import render
from prsm_lab.errors import InvalidRequestError, NotFoundError
from prsm_lab.frames import cells, marking, reading, side, tables
from prsm_lab.frames.cells import Cell
from prsm_lab.frames.data import missing
from prsm_lab.types.shown import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from prsm_lab.frames.tables import Table

ROWS: Final = 20
ALPHA: Final = 0.05
"""A difference whose p-value after Holm's correction is below has a colour."""
STEPS: Final = 200_000_000
"""Bound of all comparisons of one table (`marking.effort`): seconds at the very worst, of texts that are made for it.
Answers beyond are shown unmarked."""


@dataclass(frozen=True, slots=True, repr=False)
class Shown:
    """A frame ready to be shown; notebooks do so where it is the last of a cell."""

    table: Table
    of: tuple[int, int]
    """Rows and columns of the frame."""

    def html(self) -> str:
        """Return the table as HTML that stands alone: no script, no stylesheet, nothing is fetched."""
        return tables.html(self.table)

    def markdown(self) -> str:
        """Return the table as Markdown."""
        return tables.markdown(self.table)

    def __repr__(self) -> str:
        return f"<Shown {len(self.table.rows):,} of {self.of[0]:,} rows × {self.of[1]:,} columns>"

    def _repr_html_(self) -> str:
        return self.html()

    def _repr_markdown_(self) -> str:
        return self.markdown()

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return {"text/html": self.html(), "text/markdown": self.markdown(), "text/plain": repr(self)}


def show(
    frame: pd.DataFrame, columns: Sequence[str] | None = None, *, rows: int = ROWS, against: str | None = None
) -> Shown:
    """Show a frame as a table: texts wrapped, long ones foldable, differences marked, scores coloured, figures written.

    Works with results, `side_by_side`, `summarize`, `contrast` and any other frame. Answers are compared word by word
    with the first variant's answer to the same row: what that one does not have is marked. Whatever a model wrote is
    text.

    Args:
        frame: What to show; it is not changed.
        columns: Columns to show, in this order; default all. Of results: the input, the variant, answer, scores, cost
            and latency.
        rows: Rows to show, from the top; a line says how many are left out.
        against: A column of text with which the columns of text behind it are compared; default the first variant of
            what `side_by_side` returned.

    Raises:
        NotFoundError: If a column is not there.
        InvalidRequestError: If `rows` is negative.

    >>> import prsm_lab as lab
    >>> client = lab.Client(mock_mode=True, ledger=":memory:")
    >>> found = lab.compare(["hi"], "{text}", models=["gpt-4", "gpt-4o"], client=client, progress=False)
    >>> show(lab.side_by_side(found))
    <Shown 1 of 1 rows × 3 columns>
    """
    if not isinstance(frame, pd.DataFrame):
        raise InvalidRequestError(
            f"show takes a DataFrame, not {type(frame).__name__}.", details={"parameter": "frame"}
        )
    if rows < 0:
        raise InvalidRequestError(f"rows={rows} is negative.", details={"parameter": "rows"})
    laid = side.ways_of(frame)
    known = None if laid else _reading(frame)
    names = _columns(frame, columns, known)
    if against is not None and against not in names:
        raise NotFoundError(f"No column {against!r} to compare with.", details={"parameter": "against"})
    seen = frame.iloc[:rows]
    meant = {column: value for group in laid.values() for value, column in group.items()}
    made = {name: _cells(seen, frame, name, meant.get(name, name), summed=known is None) for name in names}
    unmarked = _sides(made, laid, against) if known is None else _answers(seen, made, known)
    notes = _notes(frame, len(seen), known, unmarked)
    _under(made, laid)
    played = side.simulated(frame)
    headings = {name: f"{name} (simulated)" if name in played else name for name in made}
    return Shown(
        _table(seen, made, headings, notes, indexed=known is not None or bool(laid)), (len(frame), frame.shape[1])
    )


def _reading(frame: pd.DataFrame) -> reading.Reading | None:
    """How to read results; None for a frame that holds none."""
    try:
        return reading.of(frame)
    except InvalidRequestError:
        return None


def _columns(frame: pd.DataFrame, columns: Sequence[str] | None, known: reading.Reading | None) -> list[Any]:
    if columns is not None:
        for name in columns:
            if name not in frame.columns:
                raise NotFoundError(
                    f"No column {name!r} to show; there are {', '.join(map(str, frame.columns))}.",
                    details={"parameter": "columns"},
                )
        return list(dict.fromkeys(columns))
    names = list(dict.fromkeys(frame.columns))
    if known is None:
        return names
    scores = [name for name in names if str(name).startswith("score_") and not str(name).endswith("_error")]
    own = [*known.variant_columns, "response"]
    wanted = [*(known.prefix + name for name in own), *scores, known.prefix + "cost", known.prefix + "latency_ms"]
    return [*names[: names.index(known.prefix + "model")], *(name for name in wanted if name in names)]


def _cells(seen: pd.DataFrame, frame: pd.DataFrame, name: Any, meant: Any, *, summed: bool) -> list[Cell]:
    """The cells of one column, before answers are compared.

    Args:
        seen: The rows that are shown.
        frame: All rows: colours are of the whole.
        name: The column.
        meant: What it holds, where its name does not say so: `response`, `score_exact`.
        summed: Whether a row stands for many answers.
    """
    values = _only(seen, name)
    form = cells.column(str(meant), values, summed=summed, plain="value" in seen.columns)
    share = cells.shares(seen, str(meant))
    colours: list[float | None] = [None] * len(seen)
    if form.number and cells.scored(str(meant)):
        colours = cells.tones(_only(frame, name))[: len(seen)]
    elif form.number and meant == "difference":
        colours = _decided(seen)
    return [
        Cell(cells.UNKNOWN, soft=True) if missing(value) else Cell(form.write(value, fits), tone=tone)
        for value, fits, tone in zip(values, share, colours, strict=True)
    ]


def _only(frame: pd.DataFrame, name: Any) -> pd.Series[Any]:
    """A column; the first of several of one name."""
    found = frame[name]
    return found.iloc[:, 0] if isinstance(found, pd.DataFrame) else found


def _decided(seen: pd.DataFrame) -> list[float | None]:
    """Differences that are shown to be there have a colour."""
    if "p_holm" not in seen:
        return [None] * len(seen)
    return [
        None if missing(p) or missing(value) or float(p) >= ALPHA else (1.0 if float(value) > 0 else -1.0)
        for p, value in zip(seen["p_holm"], seen["difference"], strict=True)
    ]


# -------------------------------------------------------------------------------------------------- differences


def _answers(seen: pd.DataFrame, made: dict[Any, list[Cell]], known: reading.Reading) -> int:
    """Say why an answer is missing, and mark differences to the first variant; return how many were too long."""
    name = known.prefix + "response"
    if name not in made:
        return 0
    answers = made[name]
    if known.prefix + "error" in seen:
        for n, fault in enumerate(known(seen, "error")):
            if answers[n].soft and not missing(fault):
                answers[n] = Cell(f"[{render.plain(fault)}]", soft=True)
    labels = known.labels(seen)
    ways = list(dict.fromkeys(labels))
    whole = all(label == ways[n % len(ways)] for n, label in enumerate(labels))
    one = (seen.attrs.get("prsm") or {}).get("kind") == "infer"
    firsts = [n // len(ways) * len(ways) for n in range(len(labels))]
    if len(ways) < 2 or not whole or not (one or all(seen.index[n] == seen.index[at] for n, at in enumerate(firsts))):
        return 0
    return _compared([(answers, n, answers[at]) for n, at in enumerate(firsts) if n != at])


def _sides(made: dict[Any, list[Cell]], laid: dict[str, dict[str, str]], against: str | None) -> int:
    """Mark differences between columns; return how many texts were too long."""
    shown = [column for column in (next(iter(group.values())) for group in laid.values()) if column in made]
    if against is not None and against not in shown:
        shown = list(made)[list(made).index(against) :]
    if not shown:
        return 0
    base = shown[0] if against is None else against
    return _compared([(made[name], n, first) for name in shown if name != base for n, first in enumerate(made[base])])


def _compared(pairs: Sequence[tuple[list[Cell], int, Cell]]) -> int:
    """Put cells with marks in the place of those without, as long as the budget lasts; return how many are left."""
    budget, left = STEPS, 0
    for column, n, first in pairs:
        cell = column[n]
        if cell.soft or first.soft or cell.text == first.text:
            continue
        text, base = render.plain(cell.text), render.plain(first.text)
        work = marking.effort(text, base)
        pieces = marking.marked(text, base) if work <= budget else []
        budget -= work if pieces else 0
        if not pieces or pieces == [(False, text)]:
            left += bool(text)
        else:
            column[n] = cell._replace(text=text, pieces=tuple(pieces))
    return left


def _under(made: dict[Any, list[Cell]], laid: dict[str, dict[str, str]]) -> None:
    """Move what else was laid out below its answer."""
    for group in laid.values():
        (_, answer), *others = group.items()
        for value, name in others if answer in made else ():
            for n, cell in enumerate(made.pop(name, ())):
                told = (f"{value.removeprefix('score_')} {cell.text}", cell.tone)
                made[answer][n] = made[answer][n]._replace(badges=(*made[answer][n].badges, told))


# ---------------------------------------------------------------------------------------------------- the whole


def _notes(frame: pd.DataFrame, shown: int, known: reading.Reading | None, unmarked: int) -> list[str]:
    notes = []
    if shown < len(frame):
        notes.append(f"{shown:,} of {len(frame):,} rows; the other {len(frame) - shown:,} with rows={len(frame)}.")
    if unmarked:
        notes.append(f"Differences are not marked in {counted(unmarked, 'answer')}: too long to compare.")
    if known is not None and known.simulated:
        served = known(frame, "served_model").astype("string").str.startswith("simulated/").fillna(False)
        played = dict.fromkeys(str(model) for model in known(frame, "model")[served.to_numpy(bool)])
        notes.append(f"Simulated answers: {', '.join(played)}.")
    elif known is None and (frame.attrs.get("prsm") or {}).get("simulated") is True:
        notes.append("Simulated answers are among these.")
    return notes


def _table(
    seen: pd.DataFrame, made: dict[Any, list[Cell]], headings: dict[Any, Any], notes: list[str], *, indexed: bool
) -> Table:
    columns = list(made.values())
    names = [" · ".join(map(str, name)) if isinstance(name, tuple) else str(name) for name in headings.values()]
    numbers = [
        pd.api.types.is_numeric_dtype(kind) and not pd.api.types.is_bool_dtype(kind)
        for kind in (_only(seen, name).dtype for name in made)
    ]
    if indexed or not isinstance(seen.index, pd.RangeIndex):
        columns.insert(0, [Cell(str(value), soft=True) for value in seen.index])
        names.insert(0, str(seen.index.name or ("index" if "row" in seen else "row")))
        numbers.insert(0, False)
    return tables.Table(
        tuple(names), tuple(numbers), tuple(zip(*columns, strict=True)) if columns else (), tuple(notes)
    )
