"""Scores of answers; nothing is asked again.

A scorer is a name of `prsm_lab.scorers`, one of its objects, or a function of the row that returns a number, a truth
value, or a dict of them. Rows that failed score NA, and so does a row on which a scorer raises.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import pandas as pd

from prsm_lab import scorers as built_in
from prsm_lab.errors import InvalidRequestError, NotFoundError
from prsm_lab.frames import outcomes, reading
from prsm_lab.frames.data import each
from prsm_lab.scorers.numbers import number, numeric
from prsm_lab.scorers.texts import contains, exact, normalized

if TYPE_CHECKING:
    from prsm_lab.frames.outcomes import Outcome

__all__ = ["contains", "exact", "normalized", "number", "numeric", "score"]

Scorer: TypeAlias = built_in.Scorer | Callable[[dict[str, Any]], Any]


def score(
    results: pd.DataFrame,
    scorers: str | Scorer | Sequence[str | Scorer] | Mapping[str, str | Scorer],
    reference: str = "answer",
) -> pd.DataFrame:
    """Add a column `score_<name>` per scorer; the results themselves are not changed, and nothing is asked again.

    Functions of the row, `rouge_l`, `bleu` and `chrf` run on joblib's workers where `joblib.parallel_config` is in
    force; the others are quicker here. The figures are the same.

    Args:
        results: What `infer`, `batch` or `compare` returned.
        scorers: A name (`exact`, `contains`, `regex`, `numeric`, `choice`, `f1`, `rouge_l`, `bleu`, `chrf`,
            `json_valid`, `json_match`, `schema`, `embedding_similarity`, `length`), an object with options
            (`lab.scorers.Numeric(rel_tol=0.01)`), a function of the row (a dict with all columns), a list of these, or
            a dict that names them.
        reference: The column with right answers, for those that compare with one. A cell may hold several as a list;
            the best counts.

    Returns:
        A frame with the scores: truth values as 0 and 1, a dict's parts as `score_<name>_<part>`. Where a scorer
        raised, or gave no number, the score is NA and the reason stands in `score_<name>_error`. Rows whose request
        failed score NA. `attrs["prsm"]["scores"]` counts both.

    Raises:
        InvalidRequestError: If a scorer is not known, two have one name, or a package that one needs is missing.
        NotFoundError: If the reference column is not there.
        ProviderError: If joblib's workers end before they are done.

    >>> import prsm_lab as lab
    >>> client = lab.Client(mock_mode=True, ledger=":memory:", mock_responses={"*": {"content": "It is 4."}})
    >>> found = lab.batch([{"q": "2 + 2?", "answer": 4}], "{q}", model="gpt-4", client=client, progress=False)
    >>> scored = score(found, ["numeric", lab.scorers.Length("words")])
    >>> scored["score_numeric"].tolist(), scored["score_length"].tolist()
    ([1.0], [3.0])
    """
    known = reading.of(results)
    named = _named(scorers)
    _check_reference(results, named, reference)
    for scorer in named.values():
        if isinstance(scorer, built_in.Scorer):
            scorer.ready()
    answered = _answered(results, known)
    made: dict[str, Any] = {}
    notes: dict[str, Any] = {}
    for name, scorer in named.items():
        found = _outcomes(scorer, results, known, answered, reference)
        columns = _columns(name, found)
        if twice := made.keys() & columns.keys():
            raise InvalidRequestError(
                f"Two scorers make a column {min(twice)!r}; give a dict that names them otherwise.",
                details={"parameter": "scorers", "column": min(twice)},
            )
        made |= columns
        notes[name] = _note(results, found, answered, list(columns))
    return _joined(results, made, notes)


def _named(scorers: Any) -> dict[str, Any]:
    if isinstance(scorers, Mapping):
        named = dict(scorers)
        if nameless := [name for name in named if not isinstance(name, str) or not name]:
            raise InvalidRequestError(
                f"{nameless[0]!r} is no name of a scorer; names are texts.", details={"parameter": "scorers"}
            )
    else:
        listed = [scorers] if isinstance(scorers, str) or callable(scorers) else list(scorers)
        names = [_name(scorer) for scorer in listed]
        if twice := {name for name in names if names.count(name) > 1}:
            raise InvalidRequestError(
                f"Two scorers are called {min(twice)!r}; give a dict that names them.", details={"parameter": "scorers"}
            )
        named = dict(zip(names, listed, strict=True))
    if wrong := [name for name in named if f"_{name}".endswith("_error")]:
        raise InvalidRequestError(
            f"A scorer cannot be called {wrong[0]!r}: such a column holds what went wrong. Rename it with a dict.",
            details={"parameter": "scorers"},
        )
    return {name: _scorer(scorer) for name, scorer in named.items()}


def _name(scorer: Any) -> str:
    if isinstance(scorer, str):
        return scorer
    if isinstance(scorer, built_in.Scorer):
        return scorer.name
    return str(getattr(scorer, "__name__", "custom")).strip("<>")


def _scorer(given: Any) -> Any:
    if isinstance(given, str):
        return built_in.named(given)
    if isinstance(given, type) and issubclass(given, built_in.Scorer):
        raise InvalidRequestError(
            f"{given.__name__} is a class; give an object of it: lab.scorers.{given.__name__}(…).",
            details={"parameter": "scorers"},
        )
    if not callable(given):
        raise InvalidRequestError(
            f"{given!r} is no scorer: give a name, an object of lab.scorers, or a function of the row.",
            details={"parameter": "scorers"},
        )
    return given


def _check_reference(results: pd.DataFrame, named: Mapping[str, Any], reference: str) -> None:
    wanting = [name for name, one in named.items() if isinstance(one, built_in.Scorer) and one.compares]
    if wanting and not (isinstance(reference, Hashable) and reference in results.columns):
        raise NotFoundError(
            f"No column {reference!r} with right answers for {', '.join(wanting)}; name it with reference=. Columns: "
            f"{', '.join(map(str, results.columns))}.",
            details={"parameter": "reference"},
        )


def _answered(results: pd.DataFrame, known: reading.Reading) -> list[bool]:
    """Which rows have an answer to score: one that came and is none (it does not fit its schema) has not."""
    there = known(results, "response").notna()
    if known.prefix + "error_code" in results.columns:
        there &= known(results, "error_code").isna()
    return [bool(one) for one in there]


def _outcomes(
    scorer: Any, results: pd.DataFrame, known: reading.Reading, answered: Sequence[bool], reference: str
) -> list[Outcome]:
    if not isinstance(scorer, built_in.Scorer):
        rows = (row if there else None for row, there in zip(each(results), answered, strict=True))
        return outcomes.of_rows(scorer, rows, len(results))
    rights = results[reference].array if scorer.compares else [None] * len(results)
    return outcomes.of_pairs(scorer, _pairs(known(results, "response").array, rights, answered), len(results))


def _pairs(responses: Any, rights: Any, answered: Sequence[bool]) -> Iterator[tuple[str, Any] | None]:
    for response, right, there in zip(responses, rights, answered, strict=True):
        yield (str(response), right) if there else None


def _columns(name: str, found: Sequence[Outcome]) -> dict[str, Any]:
    """The columns of one scorer: its score, its parts, its errors; no empty score stands before a dict's parts."""
    main, count = f"score_{name}", len(found)
    plain: list[float | None] = [None] * count
    parts: dict[str, list[float | None]] = {}
    errors: list[str | None] = [None] * count
    for n, outcome in enumerate(found):
        if isinstance(outcome, str):
            errors[n] = outcome
        elif isinstance(outcome, dict):
            for part, figure in outcome.items():
                parts.setdefault(f"{main}_{part}", [None] * count)[n] = figure
        else:
            plain[n] = outcome
    scores = {**({main: plain} if not parts or any(one is not None for one in plain) else {}), **parts}
    made = {column: pd.array(values, dtype="Float64") for column, values in scores.items()}
    if any(error is not None for error in errors):
        made[f"{main}_error"] = pd.array(errors, dtype="string")  # type: ignore[assignment]
    return made


def _note(results: pd.DataFrame, found: Sequence[Outcome], answered: Sequence[bool], columns: list[str]) -> Any:
    """What there is to say of a scorer, as plain JSON."""
    raised = [n for n, outcome in enumerate(found) if isinstance(outcome, str)]
    note = {"rows": len(found), "failed": answered.count(False), "errors": len(raised), "columns": columns}
    if raised:
        note["first_error"] = f"row {results.index[raised[0]]!r}: {found[raised[0]]}"
    return note


def _joined(results: pd.DataFrame, made: Mapping[str, Any], notes: Mapping[str, Any]) -> pd.DataFrame:
    """Results with new scores; what an earlier scoring of that name left goes."""
    earlier = dict((results.attrs.get("prsm") or {}).get("scores") or {})
    stale = {*made, *(f"score_{name}_error" for name in notes)}
    stale.update(column for name in notes for column in earlier.get(name, {}).get("columns", ()))
    kept = results.drop(columns=[column for column in results.columns if column in stale])
    out = pd.concat([kept, pd.DataFrame(dict(made), index=results.index)], axis=1)
    out.attrs = dict(results.attrs)
    if "prsm" in out.attrs:
        out.attrs["prsm"] = {**out.attrs["prsm"], "scores": {**earlier, **notes}}
    return out
