"""A comparison that stops when it is decided: rows in random order, looked at after each, until chance is excluded.

Looking at an ordinary test after every row finds a difference sooner or later where there is none. The sequence of
`statistics.sequences` holds at all rows at once, so one may stop when one likes.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pandas as pd

from prsm_lab.errors import InvalidRequestError
from prsm_lab.frames import data as rows_of
from prsm_lab.frames import reading, wording
from prsm_lab.frames.scoring import score as scored
from prsm_lab.statistics.sequences import Bets
from prsm_lab.types import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from prsm_lab.frames.work import Work

OWN: Final = ("until", "score", "reference", "alpha", "order_seed")
LEAST: Final = 8
"""Rows of a step: whoever waits for single rows asks one after the other."""
_REFUSED: Final = {
    "background": "it waits for scores between its steps",
    "output": "it ends early where there is a difference",
    "returns": "convert what it returns",
}


class Standing(NamedTuple):
    """How one variant stands against the baseline."""

    variant: str
    baseline: str
    n: int
    """Paired rows."""
    difference: float
    low: float
    high: float
    decided: bool


class Deciding:
    """A comparison on its way to a decision.

    Args:
        data: As in `lab.compare`.
        options: Options of the run, and those of `OWN`.
        make: Makes the work of some rows under options.

    Raises:
        InvalidRequestError: If an option is wrong or does not go with `until=`.
    """

    def __init__(self, data: object, options: Mapping[str, Any], make: Callable[[pd.DataFrame, Any], Work]) -> None:
        _check(options)
        self._scorer, self._reference = options["score"], options.get("reference", "answer")
        self._alpha, self._seed = options.get("alpha", 0.05), options.get("order_seed", 0)
        self._options = {name: value for name, value in options.items() if name not in OWN}
        self._make, self._rows = make, rows_of.frame(data)
        if self._rows.empty:
            raise InvalidRequestError("until='decided' needs rows; the data has none.", details={"parameter": "data"})
        self._order = np.random.default_rng(self._seed).permutation(len(self._rows))
        self._bets: Bets | None = None
        self._ways: list[str] = []
        self._found: list[pd.DataFrame] = []
        self._totals: list[dict[str, Any]] = []
        self._taken = self._seen = 0
        self._reason = "rows"
        self.asked = 0
        """Input rows that were asked of every variant, as far as the budget went."""

    @property
    def rows(self) -> int:
        """Input rows there are."""
        return len(self._rows)

    def works(self) -> Iterator[Work]:
        """Each step, to be run and then handed to `keep`, until the comparison is decided or the budget ends."""
        purse, n = "", 0
        while self._taken < len(self._rows) and self._reason == "rows":
            size = max(LEAST, 2 * int(self._options.get("max_concurrency", 16)) // max(2, len(self._ways)))
            part = self._order[self._taken : self._taken + size]
            options = {**self._options, "progress": False}
            if options.get("run"):
                options["run"] = f"{options['run']}-{n:05d}"
            work = self._make(self._rows.iloc[part], options)
            purse = purse or self._purse(work)
            work.share(purse, goes_on=n > 0)
            self._taken, n = self._taken + len(part), n + 1
            yield work

    def keep(self, work: Work) -> None:
        """Score a step that has been run, and see what it decides."""
        made = scored(work.result(), self._scorer, self._reference)
        known, name = reading.of(made), _score_of(made)
        self._found.append(made)
        self._totals.append(made.attrs["prsm"]["totals"])
        if self._bets is None:
            self._begin(list(dict.fromkeys(known.without_samples().labels(made))))
        figures, size = reading.figures(made[name]), self._taken - self._seen
        assert figures is not None
        self._seen = self._taken
        broke = (made[known.prefix + "error_code"] == "budget_exceeded").fillna(False).to_numpy().reshape(size, -1)
        self.asked += int((~broke.any(axis=1)).sum())
        self._look(made, figures.reshape(size, -1), name)
        if broke.any():
            self._reason = "budget"
        if self._bets is not None and self._bets.decided.all():
            self._reason = "decided"

    def _begin(self, ways: list[str]) -> None:
        if len(ways) < 2:
            raise InvalidRequestError(
                f"until='decided' compares variants, and there is only {ways[0]!r}.",
                details={"parameter": "until"},
            )
        self._ways = ways
        self._bets = Bets(alpha=self._alpha, streams=len(ways) - 1)

    def _look(self, made: pd.DataFrame, table: np.ndarray[Any, Any], name: str) -> None:
        assert self._bets is not None
        present = table[~np.isnan(table)]
        if ((present < 0) | (present > 1)).any():
            raise InvalidRequestError(
                f"until='decided' needs scores between 0 and 1; {name} is {present.max():g} somewhere. Divide it by "
                "what it can be at most.",
                details={"parameter": "score"},
            )
        labels = reading.of(made).without_samples().labels(made)[: table.shape[1]]
        home = np.array([label == self._ways[0] for label in labels])
        for row in table:
            base = _mean(row[home])
            self._bets.update([_mean(row[[label == way for label in labels]]) - base for way in self._ways[1:]])

    def _purse(self, first: Work) -> str:
        """What the steps call the cap that they share: the same call again shares it too."""
        told = f"decide {self._options.get('run') or first.id} {len(self._rows)} {self._seed}"
        return "dec_" + hashlib.sha256(told.encode("utf-8", "replace")).hexdigest()[:16]

    # --------------------------------------------------------------------------------------------------- result

    def standings(self) -> list[Standing]:
        """Return how each variant stands against the first."""
        bets = self._bets
        if bets is None:
            return []
        return [
            Standing(way, self._ways[0], int(bets.n[k]), float(bets.mean[k]), float(bets.low[k]), float(bets.high[k]),
                     bool(bets.decided[k]))
            for k, way in enumerate(self._ways[1:])
        ]  # fmt: skip

    def result(self) -> pd.DataFrame:
        """Return the rows that were asked, scored, in the input's order; `attrs["prsm"]["decided"]` has the rest."""
        made = pd.concat(self._found)
        taken = np.repeat(self._order[: self._taken], len(made) // self._taken)
        made = made.iloc[np.argsort(taken, kind="stable")]
        notes = {name: value for name, value in self._found[0].attrs["prsm"].items() if name != "scores"}
        spent = sum(totals["spent_usd"] for totals in self._totals)
        unpriced = sum(totals["unpriced"] for totals in self._totals)
        left = self.rows - self.asked
        notes |= {
            "totals": {name: _sum(name, self._totals) for name in self._totals[0]},
            "runs": [part.attrs["prsm"]["run"] for part in self._found],
            "decided": {
                "reason": self._reason, "rows_asked": self.asked, "rows_left": left, "alpha": self._alpha,
                "usd_not_spent": None if unpriced or not self.asked else self._whole_cost() / self.asked * left,
                "usd_spent": spent, "order_seed": self._seed, "score": _score_of(made),
                "standings": [one._asdict() for one in self.standings()],
            },
        }  # fmt: skip
        made.attrs = {"prsm": notes}
        return made

    def _whole_cost(self) -> float:
        """What all rows cost that were asked, in this sitting or earlier."""
        return float(sum(totals["spent_usd"] + totals["saved_usd"] for totals in self._totals))

    def short(self) -> str:
        """Say how it stands, for a progress bar."""
        spent = shown.money(sum(totals["spent_usd"] for totals in self._totals))
        ends = (f"{wording.figure(one.low, True)} to {wording.figure(one.high, True)}" for one in self.standings())
        return f"difference {', '.join(ends)} points, {spent}"

    def line(self) -> str:
        """Say how it ended."""
        notes = self.result().attrs["prsm"]["decided"]
        money = "" if notes["usd_not_spent"] is None else f" and about {shown.money(notes['usd_not_spent'])}"
        left = f"{notes['rows_left']:,} rows{money} not spent" if notes["rows_left"] else "all rows asked"
        ends = {"decided": "decided", "budget": "the budget ended, undecided", "rows": "not decided"}
        said = "; ".join(_said(one, self._alpha) for one in self.standings())
        return f"{ends[self._reason]} after {self.asked:,} of {self.rows:,} rows ({left}): {said}"


def _said(one: Standing, alpha: float) -> str:
    ends = f"{100 * (1 - alpha):g} % at all rows: {wording.figure(one.low, True)} to {wording.figure(one.high, True)}"
    if one.decided:
        word = "better" if one.low >= 0 else "worse"
        return (
            f"{one.variant} is {wording.figure(abs(one.difference), True)} points {word} than {one.baseline} ({ends})"
        )
    return f"{one.variant} minus {one.baseline} is {wording.figure(one.difference, True)} points ({ends})"


def _check(options: Mapping[str, Any]) -> None:
    if options["until"] != "decided":
        raise InvalidRequestError(f"until={options['until']!r} is not 'decided'.", details={"parameter": "until"})
    if options.get("score") is None:
        raise InvalidRequestError(
            "until='decided' needs score=: a scorer's name, or a function of the row, with values between 0 and 1.",
            details={"parameter": "score"},
        )
    alpha = options.get("alpha", 0.05)
    if isinstance(alpha, bool) or not isinstance(alpha, (int, float)) or not 0 < alpha < 1:
        raise InvalidRequestError(f"alpha={alpha!r} does not lie between 0 and 1.", details={"parameter": "alpha"})
    for name, why in _REFUSED.items():
        if options.get(name) not in (None, False, "pandas"):
            raise InvalidRequestError(f"{name}= does not go with until=: {why}.", details={"parameter": name})
    if options.get("mode", "realtime") != "realtime":
        raise InvalidRequestError(
            "mode='provider_batch' does not go with until=: it asks a few rows at a time.",
            details={"parameter": "mode"},
        )


def _score_of(made: pd.DataFrame) -> str:
    found = reading.score_columns(made)
    if len(found) != 1:
        raise InvalidRequestError(
            f"until='decided' needs one score; this scorer gives {', '.join(found) or 'none'}.",
            details={"parameter": "score"},
        )
    return found[0]


def _mean(values: np.ndarray[Any, Any]) -> float:
    """Of those samples that have a score."""
    present = values[~np.isnan(values)]
    return float(present.mean()) if len(present) else float("nan")


def _sum(name: str, totals: list[dict[str, Any]]) -> Any:
    return None if name == "cached_share" else sum(one[name] for one in totals)  # a share of what, only steps know
