"""Scores of answers; nothing is asked again.

A scorer is a name of the table below, or a function of the row that returns a number, a truth value, or a dict of
them. Rows that failed score NA, and so does a row on which a scorer raises.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import pandas as pd

from prsm_lab.errors import InvalidRequestError, NotFoundError
from prsm_lab.frames import reading
from prsm_lab.frames.data import missing, records

Scorer: TypeAlias = Callable[[dict[str, Any]], Any]
_NUMBER = re.compile(r"[-−+]?(?:(?:\d{1,3}(?:[,  _]\d{3})+|\d+)(?:\.\d+)?|(?<!\w)\.\d+)(?:[eE][-+]?\d+)?")
_MINUS = re.compile(r"(?<![\w.])[-\N{MINUS SIGN}](?=\.?\d)")
_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
TOLERANCE = 1e-6


def normalized(text: str) -> str:
    """Fold what does not matter in a short answer: case, marks, articles, blanks (SQuAD's rule).

    What is nothing but an article or marks stays: `A` is a choice, and `-` is not `+`.

    >>> normalized("The  Answer.")
    'answer'
    """
    folded = _plain(text).casefold()
    return " ".join(_ARTICLES.sub(" ", folded).split()) or folded or " ".join(text.split())


def _plain(text: str) -> str:
    """A text without marks and runs of blanks; the minus of a number is no mark."""
    signs = _MINUS.sub("\N{MINUS SIGN}", unicodedata.normalize("NFKC", text))
    return " ".join("".join(" " if unicodedata.category(sign)[0] in "PZ" else sign for sign in signs).split())


def exact(response: str, reference: str) -> bool:
    """Are they the same once case, marks, articles and blanks are folded?

    >>> exact("Paris.", "paris")
    True
    """
    return normalized(response) == normalized(reference)


def contains(response: str, reference: str) -> bool:
    """Does the answer contain the reference as whole words, folded like `exact`?

    A reference that is an article, as the choice `A`, is looked for in its own case.

    >>> contains("The answer is Paris, as is known.", "Paris"), contains("Parisian", "Paris")
    (True, False)
    """
    wanted = normalized(reference)
    if not _ARTICLES.sub("", wanted).strip():
        return bool(wanted) and f" {_plain(reference)} " in f" {_plain(response)} "
    return f" {wanted} " in f" {normalized(response)} "


def number(text: str) -> float | None:
    """Return the last number in a text, thousands separators understood; None if there is none.

    >>> number("12 apples, so 1,234.5 in all.")
    1234.5
    """
    found = _NUMBER.findall(text)
    return float(re.sub(r"[,  _]", "", found[-1]).replace("−", "-")) if found else None


def numeric(response: str, reference: Any) -> bool:
    """Is the last number of the answer the reference, within a millionth?

    Raises:
        ValueError: If the reference holds no number.
    """
    wanted = number(str(reference))
    if wanted is None:
        raise ValueError(f"the reference {reference!r} holds no number")
    got = number(response)
    return got is not None and math.isclose(got, wanted, rel_tol=TOLERANCE, abs_tol=TOLERANCE)


BUILT_IN: dict[str, Callable[[str, Any], bool]] = {
    "exact": lambda response, reference: exact(response, _written(reference)),
    "contains": lambda response, reference: contains(response, _written(reference)),
    "numeric": numeric,
}


def score(
    results: pd.DataFrame,
    scorers: str | Scorer | Sequence[str | Scorer] | Mapping[str, str | Scorer],
    reference: str = "answer",
) -> pd.DataFrame:
    """Add a column `score_<name>` per scorer; the results themselves are not changed.

    Args:
        results: What `infer`, `batch` or `compare` returned.
        scorers: `exact`, `contains`, `numeric`, a function of the row (a dict with all columns), a list of these, or
            a dict that names them.
        reference: The column with right answers, for the built-in ones.

    Returns:
        A frame with the scores: truth values as 0 and 1. Where a scorer raised, its error stands in
        `score_<name>_error`.

    Raises:
        InvalidRequestError: If a scorer is not known.
        NotFoundError: If the reference column is not there.

    >>> import prsm_lab as lab
    >>> client = lab.Client(mock_mode=True, ledger=":memory:", mock_responses={"*": {"content": "It is 4."}})
    >>> found = lab.batch([{"q": "2 + 2?", "answer": 4}], "{q}", model="gpt-4", client=client, progress=False)
    >>> score(found, "numeric")["score_numeric"].tolist()
    [1.0]
    """
    known = reading.of(results)
    named = _named(scorers)
    if any(isinstance(scorer, str) for scorer in named.values()) and reference not in results.columns:
        raise NotFoundError(
            f"No column {reference!r} with right answers; name it with reference=. Columns: "
            f"{', '.join(map(str, results.columns))}.",
            details={"parameter": "reference"},
        )
    rows = records(results)
    responses = list(known(results, "response"))
    out = results.copy()
    out.attrs = dict(results.attrs)
    for name, scorer in named.items():
        for column, values in _scored(name, scorer, rows, responses, reference).items():
            out[column] = pd.array(values, dtype="string" if column.endswith("_error") else "Float64")
    return out


def _named(scorers: Any) -> dict[str, Any]:
    if isinstance(scorers, Mapping):
        named = dict(scorers)
    else:
        listed = [scorers] if isinstance(scorers, str) or callable(scorers) else list(scorers)
        names = [s if isinstance(s, str) else getattr(s, "__name__", "custom").strip("<>") for s in listed]
        if twice := {name for name in names if names.count(name) > 1}:
            raise InvalidRequestError(
                f"Two scorers are called {min(twice)!r}; give a dict that names them.", details={"parameter": "scorers"}
            )
        named = dict(zip(names, listed, strict=True))
    for scorer in named.values():
        if isinstance(scorer, str) and scorer not in BUILT_IN:
            raise InvalidRequestError(
                f"Unknown scorer {scorer!r}; built in are {', '.join(BUILT_IN)}, and any function of the row serves.",
                details={"parameter": "scorers"},
            )
        if not isinstance(scorer, str) and not callable(scorer):
            raise InvalidRequestError(f"{scorer!r} is no scorer.", details={"parameter": "scorers"})
    return named


def _scored(
    name: str, scorer: Any, rows: Sequence[dict[Any, Any]], responses: Sequence[Any], reference: str
) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {f"score_{name}": [None] * len(rows)}
    for position, (row, response) in enumerate(zip(rows, responses, strict=True)):
        if missing(response):
            continue
        try:
            value = BUILT_IN[scorer](response, _present(row[reference])) if isinstance(scorer, str) else scorer(row)
            parts = value if isinstance(value, Mapping) else {None: value}
            figures = {part: None if missing(figure) else float(figure) for part, figure in parts.items()}
        except Exception as fault:  # noqa: BLE001 -- somebody else's scorer: its fault is a cell, not the end of a run
            columns.setdefault(f"score_{name}_error", [None] * len(rows))[position] = f"{type(fault).__name__}: {fault}"
            continue
        for part, figure in figures.items():
            column = f"score_{name}" if part is None else f"score_{name}_{part}"
            columns.setdefault(column, [None] * len(rows))[position] = figure
    empty = all(value is None for value in columns[f"score_{name}"])
    if empty and len(columns) > 1 + (f"score_{name}_error" in columns):
        del columns[f"score_{name}"]  # a dict's parts are the scores
    return columns


def _written(reference: Any) -> str:
    """A reference as a person writes it: beside an empty cell pandas makes 4 a 4.0."""
    return str(int(reference)) if isinstance(reference, float) and reference.is_integer() else str(reference)


def _present(value: Any) -> Any:
    if missing(value):
        raise ValueError("the reference is empty in this row")
    return value
