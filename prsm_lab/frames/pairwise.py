"""`judge_pairs`: a model chooses between the answers of two variants, each pair in both orders."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Unpack

import pandas as pd

from prsm_lab.errors import InvalidRequestError, NotFoundError
from prsm_lab.frames import contexts, hearing, pairing, reading, rubrics
from prsm_lab.frames.data import missing
from prsm_lab.types.shown import counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from prsm_lab.frames.asking import Shared
    from prsm_lab.frames.hearing import Hearing
    from prsm_lab.frames.rubrics import Rubric
    from prsm_lab.frames.work import Work

TYPES: Final[dict[str, str]] = {
    "row": "object", "sample": "Int64", "a": "string", "b": "string", "winner": "string", "flipped": "boolean",
    "winner_ab": "string", "winner_ba": "string", "reason_ab": "string", "reason_ba": "string", "answer_a": "string",
    "answer_b": "string", "model_a": "string", "model_b": "string", "length_a": "Int64", "length_b": "Int64",
    "judge": "string", "id_ab": "string", "id_ba": "string", "cost": "float64", "error": "string",
}  # fmt: skip
"""Columns of `judge_pairs`, in their order."""
ORDERS: Final = {"ab": {"first": "a", "second": "b", "tie": "tie"}, "ba": {"first": "b", "second": "a", "tie": "tie"}}
"""Which answer is meant, by the order in which they were shown."""


def judge_pairs(
    results: pd.DataFrame, *, model: str, a: str | None = None, b: str | None = None,
    rubric: str | Mapping[str, str] | Rubric | None = None, question: str | Sequence[str] | None = None,
    reference: str | None = None, row: str | Sequence[str] | None = None, **options: Unpack[Shared],
) -> pd.DataFrame:  # fmt: skip
    """Let a model choose between answers to the same question; every pair is asked in both orders.

    A judge that changes its mind with the order has none: such a pair is a tie, and `flipped`. The share of these, the
    flip rate, is in `attrs["prsm"]` and said at the end. See `judge` for how answers are shown.

    Args:
        results: What `compare` returned, or several results below each other.
        model: Who judges.
        a: Label of a variant (`gpt-4`, or `gpt-4 · brief`); with `b` None it meets every other one.
        b: Label of another; with `a` None too, every variant meets every other one.
        rubric: What makes an answer better; default: right before complete, complete before well said.
        question: Columns that the judge sees beside the answers, none if empty; default the prompt as it was asked;
            for answers to different prompts, the columns that these put in.
        reference: Column with right answers, which the judge then sees; default none.
        row: Column that names the input row, where neither index nor order say it.
        **options: See `Shared` and `prsm_lab.ask.Ask`.

    Returns:
        One row per input row (and sample) and pair: `row`, `sample` (NA without samples), `a`, `b`, `winner` (`a`, `b`
        or `tie`), `flipped`, `winner_ab` and `winner_ba` (by order, the first named was shown first), `reason_ab`,
        `reason_ba`, `answer_a`, `answer_b` (inferences), `model_a`, `model_b`, `length_a`, `length_b` (characters),
        `judge`, `id_ab`, `id_ba` (the verdicts' inferences), `cost` (USD, both orders), `error`. A pair with a failed
        answer is not judged, and one that was judged in one order only has no winner: NA, and `error` says why.
        `leaderboard`, `judge_audit` and `plot.wins` take it.

    Raises:
        InvalidRequestError: If there are no two variants on one row, rows cannot be told, or an option is wrong.
        NotFoundError: If a variant or a column is not there.

    >>> import prsm_lab as lab
    >>> said = {"gpt-4": {"content": "4"}, "gpt-4o": {"content": "5"},
    ...     "claude-3-opus": {"content": '{"reason": "It came first.", "winner": "first"}'}}
    >>> client = lab.Client(mock_mode=True, ledger=":memory:", mock_responses=said)
    >>> found = lab.compare([{"q": "2 + 2?"}], "{q}", models=["gpt-4", "gpt-4o"], client=client, progress=False)
    >>> verdicts = lab.judge_pairs(found, model="claude-3-opus", client=client, progress=False)
    >>> verdicts[["winner", "flipped", "winner_ab", "winner_ba"]].values.tolist()
    [['tie', True, 'a', 'b']]
    """
    return _hearing(results, _Case(model, a, b, rubric, question, reference, row), options).wait()


async def ajudge_pairs(
    results: pd.DataFrame, *, model: str, a: str | None = None, b: str | None = None,
    rubric: str | Mapping[str, str] | Rubric | None = None, question: str | Sequence[str] | None = None,
    reference: str | None = None, row: str | Sequence[str] | None = None, **options: Unpack[Shared],
) -> pd.DataFrame:  # fmt: skip
    """Let a model choose between answers to the same question, in both orders; see `judge_pairs`."""
    return await _hearing(results, _Case(model, a, b, rubric, question, reference, row), options).heard()


class _Case(NamedTuple):
    model: str
    a: str | None
    b: str | None
    rubric: str | Mapping[str, str] | Rubric | None
    question: str | Sequence[str] | None
    reference: str | None
    row: str | Sequence[str] | None


class Pair(NamedTuple):
    """Two rows of a result frame that answer one input row."""

    row: Any
    sample: int | None
    a: int
    b: int
    lacks: str | None
    """Why it is not judged, if so."""


def _hearing(results: pd.DataFrame, case: _Case, options: Shared) -> Hearing:
    known = reading.of(results)
    words = rubrics.BETTER if case.rubric is None else rubrics.rubric_of(case.rubric).words
    asked = contexts.asked(results, known, case.question, case.reference)
    right = contexts.references(results, case.reference)
    answers = list(known(results, "response"))
    pairs = _pairs(results, known, case, right)
    judged = [n for n, pair in enumerate(pairs) if pair.lacks is None]
    rows = []
    for n in judged:
        a, b = pairs[n].a, pairs[n].b
        shown = {"question": asked.both(a, b), "reference": right[a]}
        rows += [
            {**shown, "first_answer": answers[one], "second_answer": answers[two]} for one, two in ((a, b), (b, a))
        ]
    material = pd.DataFrame(rows, columns=["question", "reference", "first_answer", "second_answer"], dtype=object)
    work = hearing.work(
        material, rubrics.choosing(words), rubrics.choice_schema(), kind="judge_pairs", model=case.model, samples=1,
        options=options,
    )  # fmt: skip
    return hearing.Hearing(
        work, lambda position: pairs[judged[position // 2]].a,
        lambda verdicts, w: _laid_out(results, known, case, pairs, judged, verdicts, w), line, options,
    )  # fmt: skip


def line(verdicts: pd.DataFrame) -> str:
    """Say how the pairs came out, in one line."""
    notes = verdicts.attrs["prsm"]
    judged, ties = notes["judged"], int((verdicts["winner"] == "tie").sum())
    rate = "" if notes["flip_rate"] is None else f" (flip rate {notes['flip_rate']:.1%})"
    said = f"{counted(len(verdicts), 'pair')}: {judged:,} judged in both orders, {notes['flipped']:,} of them flipped"
    lost = len(verdicts) - judged
    return f"{said}{rate}, {counted(ties, 'tie')}" + (f", {lost:,} without a verdict" if lost else "")


# ------------------------------------------------------------------------------------------------------ pairs


def _pairs(results: pd.DataFrame, known: reading.Reading, case: _Case, right: Sequence[str | None]) -> list[Pair]:
    """Every two rows that answer one input row (and sample), in the frame's order."""
    keys = list(pairing.row_keys(results, case.row))
    labels = known.without_samples().labels(results)
    samples = list(known(results, "sample")) if "sample" in known.variant_columns else [None] * len(results)
    duels = _duels(list(dict.fromkeys(labels)), case.a, case.b)
    answers, lines = list(known(results, "response")), list(results.index)
    groups: dict[tuple[Any, Any], dict[str, int]] = {}
    for n, label in enumerate(labels):
        groups.setdefault((keys[n], samples[n]), {})[label] = n
    made = []
    for (key, sample), places in groups.items():
        for one, other in duels:
            if one in places and other in places:
                a, b = places[one], places[other]
                silent = [labels[n] for n in (a, b) if missing(answers[n])]
                lacks = f"not judged: {' and '.join(silent)} gave no answer in row {lines[a]!r}" if silent else None
                if lacks is None and case.reference is not None and right[a] is None:
                    lacks = f"not judged: column {case.reference!r} is empty in row {lines[a]!r}"
                made.append(Pair(key, None if missing(sample) else int(sample), a, b, lacks))
    if not made:
        raise InvalidRequestError(
            "No input row was asked of two of these variants: there is nothing to judge. Give what compare returned, "
            "or name with row= the column that tells input rows.",
            details={"parameter": "results"},
        )
    return made


def _duels(ways: Sequence[str], a: str | None, b: str | None) -> list[tuple[str, str]]:
    """Who meets whom."""
    for name, label in (("a", a), ("b", b)):
        if label is not None and label not in ways:
            raise NotFoundError(
                f"No variant {label!r}; there are {', '.join(map(repr, ways))}.", details={"parameter": name}
            )
    if len(ways) < 2 or (a is not None and a == b):
        raise InvalidRequestError(
            f"A pair is of two variants; given {'a and b are one' if len(ways) > 1 else 'there are not two'}: "
            f"{', '.join(map(repr, ways))}.",
            details={"parameter": "b" if len(ways) > 1 else "results"},
        )
    if a is None and b is None:
        return list(itertools.combinations(ways, 2))
    if a is None or b is None:
        return [(a or way, b or way) for way in ways if way not in (a, b)]
    return [(a, b)]


# --------------------------------------------------------------------------------------------------- verdicts


def _laid_out(
    results: pd.DataFrame, known: reading.Reading, case: _Case, pairs: Sequence[Pair], judged: Sequence[int],
    verdicts: pd.DataFrame, work: Work,
) -> pd.DataFrame:  # fmt: skip
    labels = known.without_samples().labels(results)
    facts = {name: list(known(results, name)) for name in ("inference_id", "model", "response")}
    said = verdicts.to_dict("records")
    heard = {n: (said[2 * at], said[2 * at + 1]) for at, n in enumerate(judged)}
    rows = []
    for n, pair in enumerate(pairs):
        row: dict[str, Any] = {"row": pair.row, "sample": pair.sample, "judge": case.model, "error": pair.lacks}
        for side, at in (("a", pair.a), ("b", pair.b)):
            response = facts["response"][at]
            row |= {side: labels[at], f"answer_{side}": facts["inference_id"][at], f"model_{side}": facts["model"][at],
                    f"length_{side}": None if missing(response) else len(response)}  # fmt: skip
        rows.append(row | (verdict(*heard[n]) if n in heard else {}))
    made = pd.DataFrame(rows, columns=list(TYPES)).astype(TYPES)
    judged_both = made["flipped"].notna()
    flipped = int(made["flipped"].fillna(False).sum())
    made.attrs["prsm"] = {
        "kind": "judge_pairs", "run": work.id, "model": case.model, "totals": work.tally.totals(),
        "judged": int(judged_both.sum()), "flipped": flipped,
        "flip_rate": flipped / int(judged_both.sum()) if judged_both.any() else None,
        "simulated": work.tally.simulated or known.simulated,
    }  # fmt: skip
    return made


def verdict(one: Mapping[Any, Any], other: Mapping[Any, Any]) -> dict[str, Any]:
    """Return what a pair came to.

    Args:
        one: What the judge said where a stood first.
        other: What it said where b did.
    """
    made: dict[str, Any] = {"cost": hearing.cost((one, other))}
    faults = []
    for order, line in (("ab", one), ("ba", other)):
        choice = line["winner"]
        made |= {f"winner_{order}": None if missing(choice) else ORDERS[order][choice],
                 f"reason_{order}": line["reason"], f"id_{order}": line["inference_id"]}  # fmt: skip
        if (fault := hearing.fault(line)) is not None:
            faults.append(f"{order}: {fault}")
    if faults:
        return {**made, "error": "; ".join(faults)}
    agreed = made["winner_ab"] == made["winner_ba"]
    return {**made, "winner": made["winner_ab"] if agreed else "tie", "flipped": not agreed}
