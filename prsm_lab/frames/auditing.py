"""`judge_audit`: how far a judge can be trusted, from its own verdicts and from people's labels."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from prsm_lab import checks
from prsm_lab.errors import InvalidRequestError, NotFoundError
from prsm_lab.frames import labelling, pairing, reading
from prsm_lab.frames.data import missing
from prsm_lab.frames.gauges import FEWEST, Gauge, Line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from prsm_lab.frames.labelling import Figures, Labels

TYPES: Final[dict[str, str]] = {
    "metric": "string", "value": "Float64", "low": "Float64", "high": "Float64", "n": "Int64", "note": "string",
}  # fmt: skip
"""Columns of `judge_audit`, in their order."""
SIDES: Final = ("a", "b")
_GPT: Final = re.compile(r"(?:chatgpt|gpt|o)(?=[-\d]|$)")
_LETTERS: Final = re.compile(r"[a-z]+")


def judge_audit(
    verdicts: pd.DataFrame, human: Labels | None = None, *, name: str | None = None, alpha: float = 0.05,
    draws: int = 2_000, seed: int = 0,
) -> pd.DataFrame:  # fmt: skip
    """Tell how far a judge can be trusted; one row per metric: `metric, value, low, high, n, note`.

    Of pairs: `flip_rate` (share of pairs whose verdict changed with the order), `first_position_share` (of verdicts for
    one side; 0.5 without a position bias). Of both: `length_correlation` (Spearman's, of the preference with the
    lengths' ratio, or of the score with the length), `self_preference` (of pairs with one answer of the judge's own
    family: points won, 0.5 is even; of scores: own minus others on the same rows), `retest_agreement` (share of equal
    verdicts on the same thing, where it was judged more than once), and of several votes `retest_alpha`.

    With human labels: `human_agreement` (share of equal labels), `cohen_kappa` (of scores weighted by squares),
    `krippendorff_alpha_…`, of scores `human_correlation` (Spearman's); and `self_preference_excess`: how much more the
    judge favours its own family than people do, which alone tells favour from merit.

    Verdicts on one input row depend on each other; intervals allow for it. What cannot be told is NA, and `note` says
    why.

    Args:
        verdicts: What `judge_pairs` or `judge` returned; also several of one kind below each other.
        human: Labels of people: a column's name, a Series or a list; of pairs also the compare panel's `verdicts()`.
        name: Which judge's scores, where there are several (`judge(…, name=)`).
        alpha: Level of the intervals.
        draws: Bootstrap samples of the intervals of κ and α.
        seed: Of the draws; equal seeds give equal figures.

    Raises:
        InvalidRequestError: If the frame holds no verdicts, or labels do not fit it.
        NotFoundError: If there is no such judge or column.

    >>> import pandas as pd
    >>> verdicts = pd.DataFrame({"row": range(4), "a": "x", "b": "y", "winner": ["a", "a", "b", "tie"],
    ...     "flipped": [False, False, False, True]})
    >>> found = judge_audit(verdicts, human=["a", "a", "b", "b"]).set_index("metric")
    >>> found["value"].round(2)[["flip_rate", "human_agreement", "cohen_kappa"]].tolist()
    [0.25, 0.75, 0.6]
    """
    if not 0 < alpha < 1:
        raise InvalidRequestError(f"alpha={alpha!r} does not lie between 0 and 1.", details={"parameter": "alpha"})
    checks.whole(draws, "draws", low=1)
    how = Gauge(1 - alpha, draws, seed)
    if {"a", "b", "winner"} <= set(verdicts.columns):
        lines, simulated = _of_pairs(verdicts, human, how), bool((verdicts.attrs.get("prsm") or {}).get("simulated"))
    else:
        lines, simulated = _of_scores(verdicts, human, name, how), reading.of(verdicts).simulated
    made = pd.DataFrame(lines, columns=list(TYPES))
    made = made.map(lambda value: None if isinstance(value, float) and np.isnan(value) else value).astype(TYPES)
    made.attrs["prsm"] = {"kind": "judge_audit", "simulated": simulated}
    return made


# ------------------------------------------------------------------------------------------------------ pairs


def _of_pairs(verdicts: pd.DataFrame, human: Labels | None, how: Gauge) -> list[Line]:
    rows = _codes(verdicts["row"]) if "row" in verdicts.columns and verdicts["row"].notna().all() else None
    judged = labelling.points(verdicts, verdicts["winner"])
    lines = [
        how.mean("flip_rate", _flags(verdicts), rows, "pairs whose verdict changed with the order",
                 "the frame has no column 'flipped' with values"),
        _position(verdicts, rows, how),
        how.correlation("length_correlation", 2 * judged - 1, _length_gaps(verdicts), rows,
                        "preference and length; 0 if length is no matter (or longer answers are better)"),
    ]  # fmt: skip
    said = None if human is None else labelling.winners(verdicts, human)
    lines += _own_pairs(verdicts, judged, said, rows, how)
    lines.append(_retest_pairs(verdicts, judged, how))
    if said is not None:
        lines += _with_people(np.column_stack([judged, said]), rows, how)
    return lines


def _codes(cells: pd.Series[Any]) -> np.ndarray[Any, np.dtype[np.intp]]:
    return pd.factorize(cells.astype(object).to_numpy(), use_na_sentinel=False)[0]


def _flags(verdicts: pd.DataFrame) -> Figures:
    if "flipped" not in verdicts.columns:
        return np.full(len(verdicts), np.nan)
    found = verdicts["flipped"].astype("boolean").astype("Float64")
    return np.asarray(found.to_numpy(dtype=np.float64, na_value=np.nan), dtype=np.float64)


def _position(verdicts: pd.DataFrame, rows: Any, how: Gauge) -> Line:
    """Of all verdicts for a side, those for the one that stood first; a pair's two depend on each other."""
    metric, note = "first_position_share", "verdicts for the answer shown first; 0.5 without a position bias"
    if not {"winner_ab", "winner_ba"} <= set(verdicts.columns):
        return Line(metric, None, None, None, 0, "the frame has no columns 'winner_ab' and 'winner_ba'")
    groups = np.arange(len(verdicts)) if rows is None else rows
    whole = (verdicts["winner_ab"].notna() & verdicts["winner_ba"].notna()).to_numpy(dtype=bool)
    first, clusters = [], []
    for column, side in (("winner_ab", "a"), ("winner_ba", "b")):
        for group, winner, both in zip(groups, verdicts[column], whole, strict=True):
            if both and winner in SIDES:
                first.append(float(winner == side))
                clusters.append(group)
    return how.mean(metric, first, clusters or None, note, "no verdict for a side in both orders")


def _length_gaps(verdicts: pd.DataFrame) -> Figures:
    """How much longer a is than b, as the logarithm of the ratio."""
    if not {"length_a", "length_b"} <= set(verdicts.columns):
        return np.full(len(verdicts), np.nan)
    a, b = (verdicts[f"length_{side}"].astype("Float64").to_numpy(float, na_value=np.nan) for side in SIDES)
    return np.asarray(np.log1p(a) - np.log1p(b), dtype=np.float64)


def _own_pairs(verdicts: pd.DataFrame, judged: Figures, said: Figures | None, rows: Any, how: Gauge) -> list[Line]:
    """Points of the judge's own family against others; and what people give it less."""
    if not {"judge", "model_a", "model_b"} <= set(verdicts.columns):
        return [Line("self_preference", None, None, None, 0, "the frame does not say who judged and who answered")]
    own_a, own_b = (
        np.array([_same_family(*pair) for pair in zip(verdicts["judge"], verdicts[f"model_{side}"], strict=True)], bool)
        for side in SIDES
    )
    known = own_a != own_b
    favour = np.where(known, np.where(own_a, judged, 1 - judged), np.nan)
    lines = [
        _preference(
            how,
            "self_preference",
            favour,
            rows,
            "points of answers of the judge's own family; 0.5 is even, unless they are better",
        )
    ]
    if said is not None:
        excess = favour - np.where(own_a, said, 1 - said)
        lines.append(_preference(how, "self_preference_excess", excess, rows, "more points than people give them"))
    return lines


def _preference(how: Gauge, metric: str, values: Figures, rows: Any, note: str) -> Line:
    """A mean of preferences, unless there are too few to speak of one."""
    n = int((~np.isnan(values)).sum())
    if n < FEWEST:
        return Line(
            metric, None, None, None, n, f"fewer than {FEWEST} comparisons of the judge's own family with others"
        )
    return how.mean(metric, values, rows, note)


def family(model: str) -> str:
    """Return what a model's relatives are called alike.

    >>> family("openai/gpt-4.1-mini"), family("o3"), family("claude-haiku-4-5"), family("meta-llama/Llama-3.1-8B")
    ('gpt', 'gpt', 'claude', 'llama')
    """
    bare = model.rpartition("/")[2].lower()
    if _GPT.match(bare):
        return "gpt"
    found = _LETTERS.search(bare)
    return found[0] if found else bare


def _same_family(one: object, other: object) -> bool:
    return isinstance(one, str) and isinstance(other, str) and family(one) == family(other)


def _retest_pairs(verdicts: pd.DataFrame, judged: Figures, how: Gauge) -> Line:
    """The same pair of the same row, judged by the same judge more than once."""
    keys = ["judge", "row", "sample"]
    cells = [verdicts[key] if key in verdicts.columns else [None] * len(verdicts) for key in keys]
    groups: dict[Any, list[float]] = {}
    for a, b, share, *key in zip(verdicts["a"], verdicts["b"], judged, *cells, strict=True):
        if not np.isnan(share):
            left, right = sorted((str(a), str(b)))
            place = tuple(None if missing(part) else part for part in key)
            groups.setdefault((place, left, right), []).append(share if left == str(a) else 1 - share)
    again = {key: shares for key, shares in groups.items() if len(shares) > 1} if "row" in verdicts.columns else {}
    rows = _codes(pd.Series([key[0][1] for key in again], dtype=object)) if again else None
    return how.mean("retest_agreement", [_alike(shares) for shares in again.values()], rows,
                    "equal verdicts, of two on the same pair", "no pair was judged twice")  # fmt: skip


def _alike(labels: Sequence[float]) -> float:
    """The share of pairs of labels that are equal."""
    counts = np.unique(np.round(labels, 9), return_counts=True)[1]
    return float((counts * (counts - 1)).sum() / (len(labels) * (len(labels) - 1)))


def _with_people(ratings: Figures, rows: Any, how: Gauge) -> list[Line]:
    """Winners, judge's and people's."""
    both = ~np.isnan(ratings).any(axis=1)
    same = np.where(both, np.isclose(ratings[:, 0], ratings[:, 1]), np.nan)
    return [
        how.mean("human_agreement", same, rows, "equal winners, of a, b and tie", "no pair has both labels"),
        how.chance("cohen_kappa", ratings, rows, "beyond chance; 1 is full agreement", weights=None),
        how.chance("krippendorff_alpha_nominal", ratings, rows, "beyond chance; 1 is full agreement", level="nominal"),
    ]


# ----------------------------------------------------------------------------------------------------- scores


def _of_scores(results: pd.DataFrame, human: Labels | None, name: str | None, how: Gauge) -> list[Line]:
    known = reading.of(results)
    judge = _judge(results, name)
    score = reading.figures(results[f"score_{judge}"])
    if score is None:
        raise InvalidRequestError(f"Column 'score_{judge}' holds no numbers.", details={"parameter": "name"})
    try:
        rows: Any = _codes(pairing.row_keys(results))
    except InvalidRequestError:  # rows cannot be told: then each is its own
        rows = None
    lengths = np.array([np.nan if missing(text) else np.log1p(len(text)) for text in known(results, "response")])
    said = None if human is None else labelling.scores(results, human)
    lines = [
        how.correlation("length_correlation", score, lengths, rows,
                        "score and length; 0 if length is no matter (or longer answers are better)"),
        *_own_scores(results, known, judge, score, said, rows, how),
        *_retest_votes(results, judge, rows, how),
    ]  # fmt: skip
    if said is not None:
        notes = ((results.attrs.get("prsm") or {}).get("judges") or {}).get(judge) or {}
        lines += _beside_people(score, said, _levels(notes), rows, how)
    return lines


def _judge(results: pd.DataFrame, name: str | None) -> str:
    reading.of(results)
    known = list((results.attrs.get("prsm") or {}).get("judges") or {})
    chosen = name if name is not None else known[0] if known else "judge"
    if f"score_{chosen}" not in results.columns:
        raise NotFoundError(
            f"No column 'score_{chosen}': give what judge or judge_pairs returned"
            + (f", or name one of the judges {', '.join(known)}." if known else "."),
            details={"parameter": "name"},
        )
    return chosen


def _own_scores(
    results: pd.DataFrame,
    known: reading.Reading,
    judge: str,
    score: Figures,
    said: Figures | None,
    rows: Any,
    how: Gauge,
) -> list[Line]:
    """What the judge gives its own family more than others, on the same rows."""
    metric = "self_preference"
    if f"{judge}_model" not in results.columns or rows is None:
        return [Line(metric, None, None, None, 0, "who judged, or which rows belong together, cannot be told")]
    models = zip(results[f"{judge}_model"], known(results, "model"), strict=True)
    own = np.array([_same_family(one, other) for one, other in models], dtype=bool)
    favour = _by_row(score, own, rows)
    lines = [
        _preference(
            how, metric, favour, None, "score of the judge's own family above others; 0 is even, unless they are better"
        )
    ]
    if said is not None:
        excess = _by_row(np.where(np.isnan(said), np.nan, score - said), own, rows)
        lines.append(
            _preference(how, "self_preference_excess", excess, None, "more than people score them above others")
        )
    return lines


def _by_row(score: Figures, own: np.ndarray[Any, Any], rows: np.ndarray[Any, Any]) -> Figures:
    """Mean of own minus mean of others, of each input row that has both."""
    size, means = int(rows.max()) + 1 if len(rows) else 0, []
    for side in (own, ~own):
        there = side & ~np.isnan(score)
        counts = np.bincount(rows[there], minlength=size)
        sums = np.bincount(rows[there], score[there], size)
        means.append(np.divide(sums, counts, out=np.full(size, np.nan), where=counts > 0))
    return np.asarray(means[0] - means[1], dtype=np.float64)


def _retest_votes(results: pd.DataFrame, judge: str, rows: Any, how: Gauge) -> list[Line]:
    why = "each answer was judged once (samples=3 asks for more votes)"
    if f"{judge}_votes" not in results.columns:
        return [Line("retest_agreement", None, None, None, 0, why)]
    given = [[] if missing(cell) else list(cell) for cell in results[f"{judge}_votes"]]
    most = max((len(votes) for votes in given), default=0)
    padded = [[*votes, *[None] * (most - len(votes))] for votes in given]
    votes = np.array(padded, dtype=np.float64).reshape(len(results), most)
    there = ~np.isnan(votes)
    alike = [_alike(one[here]) if here.sum() > 1 else np.nan for one, here in zip(votes, there, strict=True)]
    return [
        how.mean("retest_agreement", alike, rows, "equal scores, of two votes on the same answer", why),
        how.chance("retest_alpha", votes, rows, "Krippendorff's, by size, between votes", level="interval"),
    ]


def _levels(notes: dict[str, Any]) -> Figures | None:
    """The scores that the judge's rubric has, if the frame's notes tell."""
    if "low" not in notes:
        return None
    levels = np.arange(notes["low"], notes["high"] + 1, dtype=np.float64)
    return np.asarray((levels - levels[0]) / (levels[-1] - levels[0]) if notes["normalised"] else levels)


def _beside_people(score: Figures, said: Figures, levels: Figures | None, rows: Any, how: Gauge) -> list[Line]:
    """Scores, judge's and people's; on different scales only their order compares."""
    line = how.correlation("human_correlation", score, said, rows, "order of the judge's and people's scores")
    labels = said[~np.isnan(said)]
    metrics = ("human_agreement", "cohen_kappa", "krippendorff_alpha_ordinal", "krippendorff_alpha_interval")
    if levels is None:  # nothing is brought anywhere
        levels = np.unique(np.concatenate([labels, score[~np.isnan(score)]]))
    if len(labels) and (labels.min() < levels.min() or labels.max() > levels.max()):
        why = f"human labels leave the judge's scale of {levels.min():g} to {levels.max():g}: only the order compares"
        return [line, *(Line(metric, None, None, None, 0, why) for metric in metrics)]
    both = np.column_stack([score, said])
    nearest = np.where(np.isnan(both), np.nan, _nearest(both, levels))
    same = np.where(np.isnan(nearest).any(axis=1), np.nan, nearest[:, 0] == nearest[:, 1])
    note = "beyond chance; 1 is full agreement"
    return [
        line,
        how.mean(metrics[0], same, rows, "equal scores, each at the nearest grade", "no row has both scores"),
        how.chance(metrics[1], nearest, rows, f"{note}; weighted by squares", weights="quadratic"),
        how.chance(metrics[2], both, rows, note, level="ordinal"),
        how.chance(metrics[3], both, rows, note, level="interval"),
    ]


def _nearest(values: Figures, levels: Figures) -> Figures:
    """Scores brought to the nearest of the levels."""
    if not len(levels):
        return values
    between = (levels[1:] + levels[:-1]) / 2
    return np.asarray(levels[np.searchsorted(between, np.nan_to_num(values), side="right")], dtype=np.float64)
