"""`judge`: a model grades each answer by a rubric."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, Unpack

import numpy as np
import pandas as pd

from prsm_lab.errors import InvalidRequestError
from prsm_lab.frames import contexts, hearing, reading, rubrics
from prsm_lab.frames.data import missing
from prsm_lab.types.shown import counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from prsm_lab.frames.asking import Shared
    from prsm_lab.frames.hearing import Hearing
    from prsm_lab.frames.rubrics import Rubric
    from prsm_lab.frames.work import Work

KINDS: Final = {"reason": "string", "cost": "float64", "model": "string", "id": "string", "error": "string"}
"""Columns beside the scores, behind the judge's name, and their types; `reading.SAID` without the votes."""


def judge(
    results: pd.DataFrame, rubric: str | Mapping[str, str] | Rubric, *, model: str, name: str = "judge",
    question: str | Sequence[str] | None = None, reference: str | None = None, samples: int = 1,
    **options: Unpack[Shared],
) -> pd.DataFrame:  # fmt: skip
    """Let a model grade each answer by a rubric; the results themselves are not changed.

    Every grade is a question like any other: it is in the ledger, the same call again asks only what is missing,
    `max_cost` caps it. The answer is shown to the judge as material between fences that it cannot close; what it says
    to the judge is graded, not followed. Still no judge is proof against being talked round: see `judge_audit`.

    Args:
        results: What `infer`, `batch` or `compare` returned.
        rubric: What to grade by, on a scale of 1 to 5; a dict from criterion to text, for a score of each; or a
            `Rubric` with a scale of its own.
        model: Who judges.
        name: Names the columns: two judges need two names.
        question: Columns that the judge sees beside the answer, none if empty; default the prompt as it was asked (its
            system message is not shown).
        reference: Column with right answers, which the judge then sees; default none.
        samples: Votes on each answer; the score is their mean. (At temperature 0 they are all alike.)
        **options: See `Shared` and `prsm_lab.ask.Ask`.

    Returns:
        The results with `score_judge`, on the rubric's scale (of several criteria their mean), `score_judge_<name>` for
        each criterion, `judge_reason` (of several votes the one nearest to their mean), `judge_cost` (USD, all votes),
        `judge_model`, `judge_id` (the verdict's inference), `judge_error` (`schema: …` where the judge gave no verdict
        of the form asked for), and with several votes `judge_votes`. Failed rows and rows without the reference are not
        judged: they score NA. `attrs["prsm"]["judges"]` has what was asked, and how many rows were not.

    Raises:
        InvalidRequestError: If the rubric or an option is wrong, or what was asked cannot be told.
        NotFoundError: If a column is not there.
        ValueError: If the data has a column of one of these names.

    >>> import prsm_lab as lab
    >>> said = {"gpt-4": {"content": "4"}, "gpt-4o": {"content": '{"reason": "It is right.", "score": 5}'}}
    >>> client = lab.Client(mock_mode=True, ledger=":memory:", mock_responses=said)
    >>> found = lab.batch([{"q": "2 + 2?"}], "{q}", model="gpt-4", client=client, progress=False)
    >>> judged = lab.judge(found, "Is it right?", model="gpt-4o", client=client, progress=False)
    >>> judged[["score_judge", "judge_reason"]].values.tolist()
    [[5.0, 'It is right.']]
    """
    return _hearing(
        results, _Case(rubrics.rubric_of(rubric), model, name, question, reference, samples), options
    ).wait()


async def ajudge(
    results: pd.DataFrame, rubric: str | Mapping[str, str] | Rubric, *, model: str, name: str = "judge",
    question: str | Sequence[str] | None = None, reference: str | None = None, samples: int = 1,
    **options: Unpack[Shared],
) -> pd.DataFrame:  # fmt: skip
    """Let a model grade each answer by a rubric; see `judge`."""
    case = _Case(rubrics.rubric_of(rubric), model, name, question, reference, samples)
    return await _hearing(results, case, options).heard()


class _Case(NamedTuple):
    rubric: Rubric
    model: str
    name: str
    question: str | Sequence[str] | None
    reference: str | None
    samples: int

    @property
    def columns(self) -> list[str]:
        scores = [f"score_{self.name}", *(f"score_{self.name}_{part}" for part in self.rubric.criteria)]
        return [*scores, *(f"{self.name}_{kind}" for kind in reading.SAID)]


def _hearing(results: pd.DataFrame, case: _Case, options: Shared) -> Hearing:
    known = reading.of(results)
    _check(results, known, case)
    asked = contexts.asked(results, known, case.question, case.reference)
    right = contexts.references(results, case.reference)
    answers = list(known(results, "response"))
    lacks: dict[int, str | None] = {n: None for n, answer in enumerate(answers) if missing(answer)}
    if case.reference is not None:
        lacks |= {n: f"not judged: column {case.reference!r} is empty in this row"
                  for n, text in enumerate(right) if text is None and n not in lacks}  # fmt: skip
    judged = [n for n in range(len(results)) if n not in lacks]
    material = pd.DataFrame(
        {
            "question": [asked.texts[n] for n in judged], "reference": [right[n] for n in judged],
            "answer": [answers[n] for n in judged],
        },
        dtype=object,
    )  # fmt: skip
    work = hearing.work(
        material, rubrics.grading(case.rubric), rubrics.grade_schema(case.rubric), kind="judge", model=case.model,
        samples=case.samples, options=options,
    )  # fmt: skip
    return hearing.Hearing(
        work, lambda row: judged[row], lambda verdicts, w: _laid_out(results, case, verdicts, w, judged, lacks),
        lambda _: f"{counted(len(lacks), 'row')} not judged: no answer, or no reference." if lacks else None, options,
    )  # fmt: skip


def _check(results: pd.DataFrame, known: reading.Reading, case: _Case) -> None:
    if not isinstance(case.name, str) or not rubrics.CRITERION.fullmatch(case.name) or case.name.endswith("error"):
        raise InvalidRequestError(
            f"name={case.name!r} becomes part of columns' names; write it with letters, digits, _ . or -.",
            details={"parameter": "name"},
        )
    for taken in set(contexts.inputs(results, known)) & set(case.columns):
        raise ValueError(f"The data already has a column {taken!r}, which the verdict needs; pass another name=.")


def _laid_out(
    results: pd.DataFrame, case: _Case, verdicts: pd.DataFrame, work: Work, judged: Sequence[int],
    lacks: Mapping[int, str | None],
) -> pd.DataFrame:  # fmt: skip
    """The results with what the judge said, each row's votes gathered."""
    grades = _grades(verdicts, case).reshape(len(judged), case.samples, max(1, len(case.rubric.criteria)))
    votes = grades.mean(axis=2)
    means = _mean(grades, axis=1)
    score = _mean(votes[:, :, None], axis=1)[:, 0]
    columns: dict[str, Any] = {f"score_{case.name}": score}
    columns |= {f"score_{case.name}_{part}": means[:, n] for n, part in enumerate(case.rubric.criteria)}
    out = _without_earlier(results, case.name)
    for name, values in columns.items():
        out[name] = pd.array(_spread(values, judged, len(out)), dtype="Float64")
    lines = verdicts.to_dict("records")
    told = [_told(lines[n * case.samples : (n + 1) * case.samples], votes[n], score[n]) for n in range(len(judged))]
    for kind, dtype in KINDS.items():
        values = _spread([one[kind] for one in told], judged, len(out))
        if kind == "error":
            values = [lacks.get(n, value) for n, value in enumerate(values)]
        if kind == "model":
            values = [None if n in lacks else case.model for n in range(len(out))]
        out[f"{case.name}_{kind}"] = pd.array(values, dtype=dtype)  # type: ignore[call-overload]
    if case.samples > 1:
        each = [[None if np.isnan(vote) else float(vote) for vote in one] for one in votes]
        out[f"{case.name}_votes"] = pd.Series(_spread(each, judged, len(out)), index=out.index, dtype=object)
    _note(out, results, case, work, lacks)
    return out


def _without_earlier(results: pd.DataFrame, name: str) -> pd.DataFrame:
    """The results without what a judge of this name said before."""
    said = ((results.attrs.get("prsm") or {}).get("judges") or {}).get(name) or {}
    stale = {f"{name}_votes", *(f"score_{name}_{part}" for part in said.get("criteria", ()))}
    return results.drop(columns=[column for column in results.columns if column in stale]).copy()


def _grades(verdicts: pd.DataFrame, case: _Case) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The score of each vote and criterion, NaN where there is none; shape (votes, criteria)."""
    if not case.rubric.criteria:
        rows: list[list[Any]] = [[grade] for grade in verdicts["score"]]
    else:
        found = [{} if missing(cell) else cell for cell in verdicts["scores"]]
        rows = [[cell.get(part) for part in case.rubric.criteria] for cell in found]
    scored = [[np.nan if missing(grade) else case.rubric.score(grade) for grade in row] for row in rows]
    return np.array(scored, dtype=np.float64).reshape(len(verdicts), max(1, len(case.rubric.criteria)))


def _mean(values: np.ndarray[Any, Any], axis: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The mean of what is there, NaN where nothing is."""
    there = ~np.isnan(values)
    count = there.sum(axis=axis)
    sums = np.where(there, values, 0.0).sum(axis=axis)
    return np.asarray(np.divide(sums, count, out=np.full(count.shape, np.nan), where=count > 0), dtype=np.float64)


def _told(lines: Sequence[Mapping[Any, Any]], votes: np.ndarray[Any, Any], score: float) -> dict[str, Any]:
    """One row's votes as its cells; the vote nearest to the mean gives the reason."""
    faults = [text for line in lines if (text := hearing.fault(line)) is not None]
    chosen = None if np.isnan(score) else lines[int(np.nanargmin(np.abs(votes - score)))]
    if len(lines) > 1 and faults:
        faults = [f"{len(faults)} of {len(lines)} votes failed: {'; '.join(dict.fromkeys(faults))}"]
    return {
        "reason": None if chosen is None else chosen["reason"], "cost": hearing.cost(lines), "model": None,
        "id": (chosen or lines[0])["inference_id"], "error": faults[0] if faults else None,
    }  # fmt: skip


def _spread(values: Sequence[Any] | np.ndarray[Any, Any], rows: Sequence[int], size: int) -> list[Any]:
    """Values of some rows among all; None where there is none."""
    made: list[Any] = [None] * size
    for row, value in zip(rows, values, strict=True):
        made[row] = None if isinstance(value, float) and np.isnan(value) else value
    return made


def _note(out: pd.DataFrame, results: pd.DataFrame, case: _Case, work: Work, lacks: Mapping[int, str | None]) -> None:
    notes, rubric = dict(results.attrs.get("prsm") or {}), case.rubric
    said = {
        "model": case.model, "rubric": rubric.words, "low": rubric.low, "high": rubric.high,
        "normalised": rubric.normalised, "samples": case.samples,
        "criteria": rubric.criteria, "run": work.id, "totals": work.tally.totals(),
        "not_judged": len(lacks), "simulated": work.tally.simulated,
    }  # fmt: skip
    notes["judges"] = {**(notes.get("judges") or {}), case.name: said}
    out.attrs = {**results.attrs, "prsm": notes}
