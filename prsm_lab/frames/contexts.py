"""What a judge sees of a row beside the answer: what was asked, and the reference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from prsm_lab.errors import InvalidRequestError, NotFoundError
from prsm_lab.frames.data import missing, records
from prsm_lab.frames.prompts import MissingValue, Template
from prsm_lab.scorers.scorer import written

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from prsm_lab.frames.reading import Reading


class Asked(NamedTuple):
    """What each row of a result frame was asked."""

    texts: list[str | None]
    """In the words of its own prompt; None: nothing is shown."""
    facts: list[str | None]
    """Only what the prompts put in, for answers to different prompts."""

    def both(self, one: int, other: int) -> str | None:
        """Return what two rows were asked alike: what stands in both prompts, where their words differ."""
        return self.texts[one] if self.texts[one] == self.texts[other] else self.facts[one]


def asked(results: pd.DataFrame, known: Reading, question: str | Sequence[str] | None, reference: str | None) -> Asked:
    """Return what each row was asked.

    Args:
        results: What `infer`, `batch` or `compare` returned.
        known: How to read it.
        question: Columns to show, none of them if empty; None: the prompt, filled in as it was sent. A frame that lost
            its notes shows its one input column.
        reference: The column with right answers, which is no question.

    Raises:
        NotFoundError: If a column is not there.
        InvalidRequestError: If what was asked cannot be told.
    """
    given = inputs(results, known)
    if question is not None:
        shown = _facts(results, [question] if isinstance(question, str) else list(question))
        return Asked(shown, shown)
    templates = _templates(results, given)
    if templates is None:
        others = [name for name in given if name != reference]
        if len(others) != 1:
            raise InvalidRequestError(
                "What was asked cannot be told from this frame: its prompt was no template, or its notes are lost. "
                "Name the columns that the judge is to see with question= (question=[] shows none); there are "
                f"{', '.join(map(str, given)) or 'none'}.",
                details={"parameter": "question"},
            )
        shown = _facts(results, others)
        return Asked(shown, shown)
    names = list(dict.fromkeys(name for template in templates.values() for name in template.names))
    column = known.prefix + "prompt"
    chosen = results[column] if "prompt" in known.variant_columns else ["prompt"] * len(results)
    rows = records(results[given])
    texts = [_filled(templates[str(which)], row) for which, row in zip(chosen, rows, strict=True)]
    return Asked(texts, _facts(results, names) if names else texts)


def inputs(results: pd.DataFrame, known: Reading) -> list[Any]:
    """Return the columns that stand before the results': those that came with the data."""
    columns = list(results.columns)
    return columns[: columns.index(known.prefix + "model")]


def references(results: pd.DataFrame, reference: str | None) -> list[str | None]:
    """Return the right answer of each row; None where there is none, or none is shown.

    Raises:
        NotFoundError: If the column is not there.
    """
    if reference is None:
        return [None] * len(results)
    if reference not in results.columns:
        raise _lacking(results, reference, "reference")
    return [None if missing(value) else written(value) for value in results[reference]]


def _templates(results: pd.DataFrame, given: Sequence[Any]) -> dict[str, Template] | None:
    """The prompts by name, if the frame's notes have all of them as templates over its columns."""
    notes = results.attrs.get("prsm") or {}
    prompts = notes.get("prompts") or {}
    if not prompts or set(prompts) - set(notes.get("templates") or ()):
        return None
    try:
        return {name: Template(text, given) for name, text in prompts.items()}
    except InvalidRequestError:  # a column was dropped or renamed since
        return None


def _filled(template: Template, row: dict[Any, Any]) -> str | None:
    try:
        return template.fill(row)
    except MissingValue:
        return None


def _facts(results: pd.DataFrame, names: Sequence[Any]) -> list[str | None]:
    """The cells of some columns as one text a row; of several columns each with its name."""
    for name in names:
        if name not in results.columns:
            raise _lacking(results, name, "question")
    rows = records(results[list(names)])
    if len(names) == 1:
        return [None if missing(row[names[0]]) else written(row[names[0]]) for row in rows]
    lines = (
        "\n".join(f"{name}: {written(value)}" for name, value in row.items() if not missing(value)) for row in rows
    )
    return [line or None for line in lines]


def _lacking(results: pd.DataFrame, name: object, parameter: str) -> NotFoundError:
    return NotFoundError(
        f"No column {name!r} for {parameter}=. Columns: {', '.join(map(str, results.columns))}.",
        details={"parameter": parameter},
    )
