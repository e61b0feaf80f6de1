"""Answers side by side, row by row, and blind votes on them: the state of `panels.compare`. `compare.js` shows it.

While somebody votes, names are hidden and so is who leads: what one knows colours what one sees. How far apart the
variants are is shown without names.
"""

from __future__ import annotations

import asyncio
import math
import secrets
import time
from typing import TYPE_CHECKING, Any, ClassVar, Final, get_args

import pandas as pd

from prsm_lab import render
from prsm_lab.engine import portal
from prsm_lab.errors import InvalidRequestError
from prsm_lab.frames import marking, reading
from prsm_lab.frames.side import side_by_side
from prsm_lab.panels import ballot, ranks, still
from prsm_lab.panels.panel import Panel
from prsm_lab.types import Vote, Winner

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from prsm_lab.client import Client
    from prsm_lab.types import JSON

LONGEST: Final = 20_000
"""Characters of an answer that are shown until more are asked for."""
FILTERS: Final = ("all rows", "disagreements", "errors", "lowest score", "most expensive")


class Answer:
    """One variant's answer to one row."""

    def __init__(self, label: str, values: Mapping[str, Any], scores: Mapping[str, float | None]) -> None:
        self.label = label
        self.id: str | None = values["inference_id"]
        self.text: str | None = values["response"]
        self.error: str | None = values["error"]
        self.cost: float | None = values["cost"]
        self.latency_ms: float | None = values["latency_ms"]
        self.scores = scores


class ComparePanel(Panel):
    """Walk through the rows of a comparison; vote on pairs without knowing who wrote what.

    Args:
        results: What `compare`, `batch` or `load` returned, scored or not.
        reference: Column of the right answers; None: one of that name, if there is.
        voter: Who votes.
        client: Where votes are kept.
    """

    kind: ClassVar[str] = "compare"

    def __init__(self, results: pd.DataFrame, *, reference: str | None, voter: str, client: Client) -> None:
        super().__init__()
        self._results, self._known = results, reading.of(results)
        self.voter = voter
        self._ballots = getattr(client.engine, "ballots", None)
        self.labels, self._inputs, self._rows = _read(results, self._known)
        self._reference = _reference(self._inputs, reference)
        self._ways = {answer.id: answer.label for row in self._rows for answer in row if answer.id}
        self._seats = _seats(results, self._known, self._rows)
        self._votes: list[Vote] = portal.call(self._ballots.on(self._ways)) if self._ballots else []
        if self._ballots is None:
            self.notice = "A share server keeps no votes: they stay in this notebook, in panel.verdicts()."
        self._order = list(range(len(self._rows)))
        self._at = 0
        self._filter = FILTERS[0]
        self._whole = False
        self.blind = False
        self._pair: ballot.Pair | None = None
        self._since = time.monotonic()
        self._last: JSON | None = None
        self._ranks = ranks.ranked(self._votes, self._seats)

    # ------------------------------------------------------------------------------------------------ walking

    def go(self, at: int) -> None:
        """Show the n-th of the rows that the filter leaves, counted from 0; past an end is that end."""
        self._at = max(0, min(at, len(self._order) - 1))
        self._whole = False
        self.changed()

    def step(self, by: int) -> None:
        """Go so many rows on, or back."""
        self.go(self._at + by)

    def show(self, only: str) -> None:
        """Filter and order the rows.

        Args:
            only: One of `FILTERS`.

        Raises:
            InvalidRequestError: If it is none, or there are no scores to order by.
        """
        rows = range(len(self._rows))
        if only == "all rows":
            order = list(rows)
        elif only == "disagreements":
            order = [n for n in rows if len({_plain(answer.text) for answer in self._rows[n]}) > 1]
        elif only == "errors":
            order = [n for n in rows if any(answer.error for answer in self._rows[n])]
        elif only == "lowest score":
            found = {n: _mean([value for answer in self._rows[n] for value in answer.scores.values()]) for n in rows}
            order = sorted((n for n in rows if not math.isnan(found[n])), key=lambda n: found[n])
            if not order:
                raise InvalidRequestError("These results have no scores: lab.score(results, …) first.")
        elif only == "most expensive":
            order = sorted(rows, key=lambda n: -math.fsum(answer.cost or 0.0 for answer in self._rows[n]))
        else:
            raise InvalidRequestError(f"Show one of {', '.join(FILTERS)}, not {only!r:.40}.")
        self._filter, self._order = only, order
        self.go(0)

    def whole(self) -> None:
        """Show long answers whole."""
        self._whole = True
        self.changed()

    # ------------------------------------------------------------------------------------------------- voting

    def vote_blind(self, on: bool) -> None:
        """Begin to vote, or go back to walking."""
        self.blind, self._last = on, None
        if on:  # while somebody reads the first pair, so that the first vote need not wait for it
            portal.begin(asyncio.to_thread(ranks.warm))
        self._draw()

    def vote(self, winner: Winner) -> None:
        """Judge the pair that is shown, write it down, and show the next.

        Args:
            winner: `a` (left), `b` (right), `tie` or `both_bad`.

        Raises:
            InvalidRequestError: If nothing is to be judged, or the word is none of these.
        """
        if winner not in get_args(Winner):
            raise InvalidRequestError(f"Vote a, b, tie or both_bad, not {winner!r:.20}.")
        if self._pair is None:
            raise InvalidRequestError("There is nothing to judge.")
        vote = Vote(
            id=f"vote_{secrets.token_hex(8)}", a=self._pair.a, b=self._pair.b, winner=winner, voter=self.voter,
            seconds=round(time.monotonic() - self._since, 3), created=time.time(),
        )  # fmt: skip
        if self._ballots is not None:
            portal.call(self._ballots.add(vote))
        self._votes.append(vote)
        self._last = {"a": self._ways[vote.a], "b": self._ways[vote.b], "winner": winner, "row": self._pair.row}
        self._draw()

    def undo(self) -> None:
        """Take the last vote back and judge that pair again."""
        if not self._votes:
            return
        last = self._votes.pop()
        if self._ballots is not None:
            portal.call(self._ballots.take_back(last.id))
        self._last = None
        self._draw()

    def _draw(self) -> None:
        self._pair = ballot.next_pair(self._judgeable(), self._votes) if self.blind else None
        self._since = time.monotonic()
        self._ranks = ranks.ranked(self._votes, self._seats)  # on this thread: the portal's loop, which draws, is all's
        self.changed()

    def _judgeable(self) -> list[dict[str, str]]:
        """Answers with a text, one of each text: equal ones say nothing."""
        rows = []
        for row in self._rows:
            texts: dict[str, Answer] = {}
            for answer in row:
                if answer.id and answer.text:
                    texts.setdefault(_plain(answer.text), answer)
            rows.append({answer.label: str(answer.id) for answer in texts.values()})
        return rows

    # ------------------------------------------------------------------------------------------------ knowing

    def verdicts(self) -> pd.DataFrame:
        """Return all votes on these results: row, a, b and winner by variant, voter, seconds, created (UTC)."""
        rows = {answer.id: n for n, row in enumerate(self._rows) for answer in row}
        found = [
            {
                "row": rows[vote.a], "a": self._ways[vote.a], "b": self._ways[vote.b],
                "winner": {"a": self._ways[vote.a], "b": self._ways[vote.b]}.get(vote.winner, vote.winner),
                "voter": vote.voter, "seconds": vote.seconds,
                "created": pd.Timestamp(vote.created, unit="s", tz="UTC"),
            }
            for vote in self._votes
        ]  # fmt: skip
        types = {
            "row": "Int64", "a": "string", "b": "string", "winner": "string", "voter": "string", "seconds": "Float64",
            "created": "datetime64[ns, UTC]",
        }  # fmt: skip
        return pd.DataFrame(found, columns=list(types)).astype(types)

    def to_frame(self) -> pd.DataFrame:
        """Return the results with `human_score`: each answer's share of won comparisons, NA if it was not judged."""
        found = ballot.scores(self._votes)
        ids = self._known(self._results, "inference_id")
        made = self._results.assign(human_score=pd.array([found.get(one) for one in ids], dtype="Float64"))
        made.attrs = dict(self._results.attrs)
        return made

    @property
    def commands(self) -> Mapping[str, Callable[..., None]]:
        """What the page may call."""
        return {
            "go": self.go, "step": self.step, "show": self.show, "whole": self.whole, "blind": self.vote_blind,
            "vote": self.vote, "undo": self.undo,
        }  # fmt: skip

    def snapshot(self) -> JSON:
        """All that is shown: one row, or one pair."""
        return {
            "filter": self._filter, "filters": list(FILTERS), "at": self._at, "n": len(self._order),
            "rows": len(self._rows), "row": self._shown_row(), "blind": self.blind, "pair": self._shown_pair(),
            "last": self._last, "votes": len(self._votes), "notice": self.notice,
            **ranks.page(self._ranks, named=not (self.blind and self._pair)),
        }  # fmt: skip

    def html(self) -> str:
        """The first rows as a table, and how the votes stand."""
        shown = [self._described(n) for n in self._order[: still.ROWS]]
        return still.comparison(shown, len(self._rows)) + still.standings(self._ranks)

    def __repr__(self) -> str:
        return f"<ComparePanel {len(self._rows)} rows × {len(self.labels)} variants, {len(self._votes)} votes>"

    # ------------------------------------------------------------------------------------------------ helpers

    def _question(self, n: int) -> JSON:
        known = self._inputs.iloc[n]
        right = None if self._reference is None else known[self._reference]
        return {
            "row": n, "reference": None if right is None or pd.isna(right) else render.plain(right, longest=LONGEST),
            "inputs": [
                [render.line(name), render.plain(value, longest=LONGEST)]
                for name, value in known.items() if name != self._reference
            ],
        }  # fmt: skip

    def _described(self, n: int) -> JSON:
        asked = self._question(n)
        base = next((answer.text for answer in self._rows[n] if answer.text), None) or ""  # the first one's words
        return {**asked, "answers": [self._shown(answer, base) for answer in self._rows[n]]}

    def _shown_row(self) -> JSON | None:
        return None if self.blind or not self._order else self._described(self._order[self._at])

    def _shown_pair(self) -> JSON | None:
        if self._pair is None:
            return None
        answers = {answer.id: answer for answer in self._rows[self._pair.row]}
        texts = [answers[side].text or "" for side in (self._pair.a, self._pair.b)]
        return {**self._question(self._pair.row), "texts": [self._cut(text) for text in texts]}

    def _shown(self, answer: Answer, base: str) -> JSON:
        text = render.plain(answer.text or "")
        long = len(text) > LONGEST and not self._whole
        return {
            "label": answer.label, "error": answer.error, "cost": answer.cost, "latency_ms": answer.latency_ms,
            "scores": [[name, value] for name, value in answer.scores.items()], "long": long,
            "parts": marking.marked(text[:LONGEST] if long else text, render.plain(base)),
        }  # fmt: skip

    def _cut(self, text: str) -> str:
        return render.plain(text, longest=None if self._whole else LONGEST)


def _read(results: pd.DataFrame, known: reading.Reading) -> tuple[list[str], pd.DataFrame, list[list[Answer]]]:
    """The variants, the inputs of each row, and each row's answers in the order of the variants."""
    scored = [str(name) for name in results.columns if str(name).startswith("score_")]
    labels = list(dict.fromkeys(known.labels(results)))
    names = ("response", "error", "cost", "latency_ms", "inference_id", *scored)
    wide = {name: side_by_side(results, name) for name in names}
    inputs = wide["response"].drop(columns=labels).reset_index(drop=True)
    rows = []
    for n in range(len(inputs)):
        cells = {name: {label: _value(wide[name][label].iloc[n]) for label in labels} for name in names}
        rows.append([
            Answer(
                label, {name: cells[name][label] for name in names},
                {name.removeprefix("score_"): _number(cells[name][label]) for name in scored},
            )
            for label in labels
        ])  # fmt: skip
    return labels, inputs, rows


def _seats(results: pd.DataFrame, known: reading.Reading, rows: list[list[Answer]]) -> dict[str, ranks.Seat]:
    """Each answer's row and variant: samples of one are one."""
    variants = dict(zip(known.labels(results), known.without_samples().labels(results), strict=True))
    made: dict[str, ranks.Seat] = {}
    for n, row in enumerate(rows):
        for answer in row:
            if answer.id:
                made.setdefault(answer.id, ranks.Seat(n, variants[answer.label]))
    return made


def _value(cell: Any) -> Any:
    return None if cell is None or cell is pd.NA or (isinstance(cell, float) and math.isnan(cell)) else cell


def _number(cell: Any) -> float | None:
    try:
        return None if cell is None else float(cell)
    except (TypeError, ValueError):
        return None


def _mean(values: list[float | None]) -> float:
    found = [value for value in values if value is not None]
    return math.fsum(found) / len(found) if found else math.nan


def _plain(text: str | None) -> str:
    return " ".join((text or "").lower().split())


def _reference(inputs: pd.DataFrame, given: str | None) -> str | None:
    if given is not None and given not in inputs.columns:
        raise InvalidRequestError(
            f"No column {given!r} beside the answers; there are {', '.join(map(str, inputs.columns))}.",
            details={"parameter": "reference"},
        )
    usual = ("reference", "answer", "expected", "target", "label")
    return given if given is not None else next((name for name in usual if name in inputs.columns), None)
