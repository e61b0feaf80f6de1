"""`route`: which questions may go to the cheap model, found on labelled rows of one's own, with a guarantee."""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, Unpack

import numpy as np

from prsm_lab.ask import messages
from prsm_lab.client import default_client
from prsm_lab.engine import portal, routers, signals
from prsm_lab.errors import InvalidRequestError
from prsm_lab.frames import asking, media, prompts, reading
from prsm_lab.frames import data as rows_of
from prsm_lab.frames.router import Report, Router
from prsm_lab.frames.scoring import score as scored
from prsm_lab.providers import function
from prsm_lab.statistics import guarantees, logistic, savings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd

    from prsm_lab.frames.prompts import Prompt
    from prsm_lab.statistics.intervals import Array

SPLIT: Final = {"predictive": (0.35, 0.4), "cascade": (0.15, 0.6)}
"""Shares of rows to fit on (a cascade only takes its candidate thresholds from them) and to calibrate on; the rest is
held out."""
CHANCES: Final = tuple(routers.rounded(1 / (1 + math.exp(-step / 20))) for step in range(-160, 161))
"""Candidate thresholds of a predictive router: what it foretells of the rows that it was fitted on will not do, being
surer than what it foretells of others."""
LEAST: Final = 40
"""Labelled rows without which nothing can be said of any part."""


def route(
    data: object, prompt: Prompt, *, cheap: str, strong: str,
    score: str | Callable[[dict[str, Any]], Any], quality: float = 0.95, confidence: float = 0.9,
    reference: str = "answer", signal: Literal["prompt", "logprob", "agreement", "length"] | routers.Judge = "prompt",
    samples: int = 5, system: str | None = None, split_seed: int = 0, **options: Unpack[asking.Shared],
) -> Router:  # fmt: skip
    """Find which questions may go to the cheap model, so that enough of the strong one's quality is kept.

    Both models are asked about every row (as by `compare`: known answers are reused, `max_cost` holds for both
    together, the same call resumes). A threshold on a signal of each question is then chosen on one part of the rows,
    so that with the stated confidence at least `quality` times the strong model's mean quality is kept on questions of
    this kind, for any number of rows (`statistics.guarantees.keeping` names the sources); another part, held out, tells
    what it keeps and saves. Where the rows are too few to prove anything, every question goes to the strong model.

    The guarantee holds for questions like these rows, drawn at random; not for other ones, nor for models that change.

    Args:
        data: Labelled rows, as in `batch`. Rows that ask the same are one.
        prompt: As in `batch`; the router is for questions that are asked like this.
        cheap: Name of the cheap model.
        strong: Name of the strong model.
        score: A scorer's name, or a function of the row; values between 0 and 1.
        quality: Share of the strong model's mean quality that is to be kept.
        confidence: Chance that it is.
        reference: The column with right answers.
        signal: What tells whether the cheap model may be trusted. By `prompt` the router is a predictive one: it knows
            by the words of the question, and asks one model. By the others it is a cascade: it asks the cheap model
            first, and the strong one too where the answer is not to be trusted; both are counted. They are `logprob`
            (mean probability of the answer's tokens), `agreement` (of `samples` answers), `length` (short answers are
            trusted), or a function of `{"prompt": …, "response": …}` that returns a number.
        samples: Answers that must agree; only for `agreement`, which needs a temperature above 0.
        system: Template of a system message.
        split_seed: Draws the parts.
        **options: See `Shared` and `prsm_lab.ask.Ask`.

    Returns:
        A router, which may be given as `model=` wherever a model's name may.

    Raises:
        InvalidRequestError: If an option is wrong, scores are not between 0 and 1, or too few rows have one.

    >>> import prsm_lab as lab
    >>> client = lab.Client(mock_mode=True, ledger=":memory:", mock_responses={"*": {"content": "4"}})
    >>> data = [{"q": f"{n} - {n - 4}?", "answer": 4} for n in range(300)]
    >>> router = lab.route(data, "{q}", cheap="gpt-4o-mini", strong="gpt-4", score="numeric", client=client,
    ...                    progress=False)
    >>> router.quality.mean, router.saving.mean > 0.5
    (1.0, True)
    >>> lab.infer("7 - 3?", model=router, client=client, progress=False)["served_model"].item()
    'mock/gpt-4o-mini'
    """
    how = _checked(signal, samples)
    if not hasattr((options.get("client") or default_client()).engine, "choosing"):
        raise InvalidRequestError(
            "This client asks a share server, which does not know the routers of this process.",
            details={"parameter": "client"},
        )
    kind: Literal["predictive", "cascade"] = "predictive" if how.signal == "prompt" else "cascade"
    least = guarantees.least_rows(quality, confidence)  # which refuses what is no share, before anything is asked
    asked = _asked(data, prompt, cheap, strong, system, how, options)
    table = _labelled(asked, how, score, reference)
    rows, texts, left_out = table.whole()
    if len(texts) < LEAST:
        raise InvalidRequestError(
            f"Only {len(texts)} rows have a score of both models ({left_out} were left out: failed, without a score, "
            f"or asked twice); a router needs {LEAST} at least, and "
            f"{least or 'many'} to calibrate on.",
            details={"parameter": "data"},
        )
    parts = guarantees.random_order(len(texts), SPLIT[kind], split_seed)
    rule = routers.Rule(
        kind=kind, cheap=cheap, strong=strong, signal=how.signal, threshold=None, samples=how.samples,
        scorer=getattr(how.judge, "__name__", "scorer") if how.judge else "",
    )  # fmt: skip
    if kind == "predictive":
        rule, rows = _fitted(rule, rows, texts, parts[0])
    return _calibrated(rule, how.judge, rows, parts, quality, confidence, left_out=left_out, simulated=asked.simulated)


class _How(NamedTuple):
    """Which signal, of how many answers, by whose judgement."""

    signal: routers.Signal
    samples: int
    judge: routers.Judge | None


class _Asked(NamedTuple):
    """What both models answered, and each row's question."""

    cheap: pd.DataFrame
    strong: pd.DataFrame
    texts: list[str | None]
    logprobs: list[Any]
    simulated: bool


class _Table(NamedTuple):
    """Labelled rows; NaN where there is no quality."""

    rows: savings.Rows
    texts: list[str | None]

    def whole(self) -> tuple[savings.Rows, list[str], int]:
        """The rows that can be used, each question once; and how many are left out."""
        there = ~(np.isnan(self.rows.cheap) | np.isnan(self.rows.strong))
        seen: set[str] = set()
        at: list[int] = []
        for n, text in enumerate(self.texts):
            if there[n] and text is not None and text not in seen:
                seen.add(text)
                at.append(n)
        return self.rows.take(np.array(at, dtype=np.intp)), [str(self.texts[n]) for n in at], len(self.texts) - len(at)


def _checked(signal: Any, samples: int) -> _How:
    if callable(signal):
        return _How("scorer", 1, signal)
    if signal not in ("prompt", "logprob", "agreement", "length"):
        raise InvalidRequestError(
            f"signal={signal!r} is none of prompt, logprob, agreement, length, and no function.",
            details={"parameter": "signal"},
        )
    if signal != "agreement":
        return _How(signal, 1, None)
    if isinstance(samples, bool) or not isinstance(samples, int) or samples < 2:
        raise InvalidRequestError(
            f"samples={samples!r}: at least 2 answers can agree.", details={"parameter": "samples"}
        )
    return _How("agreement", samples, None)


# ----------------------------------------------------------------------------------------------- asking both


def _asked(data: object, prompt: Any, cheap: str, strong: str, system: str | None, how: _How, options: Any) -> _Asked:
    """Ask both models about every row, from one cap."""
    for name in ("returns", "mode", "on_error"):
        if options.get(name) not in (None, "pandas", "realtime", "record"):
            raise InvalidRequestError(f"{name}={options[name]!r} does not go with route.", details={"parameter": name})
    if isinstance(prompt, dict) or not isinstance(cheap, str) or not isinstance(strong, str):
        raise InvalidRequestError(
            "route takes one prompt, and one name each for cheap= and strong=.", details={"parameter": "prompt"}
        )
    given = rows_of.frame(data)
    ways = [(cheap, how.samples, {**options}), (strong, 1, {**options})]
    if how.signal == "logprob":
        ways[0][2]["extra"] = {**(options.get("extra") or {}), "logprobs": True}
    works = []
    for n, (model, samples, own) in enumerate(ways):
        if own.get("run"):
            own["run"] = f"{own['run']}-{'strong' if n else 'cheap'}"
        works.append(asking.many_models(given, prompt, [model], system, {}, samples, own, kind="route"))  # type: ignore[arg-type]
    purse = "route_" + hashlib.sha256(f"{works[0].id} {works[1].id}".encode("utf-8", "replace")).hexdigest()[:16]
    made = []
    for n, work in enumerate(works):
        work.share(purse, goes_on=n > 0)
        made.append(asking.waited(work, {}))
    logprobs = _logprobs(made[0], options.get("client") or default_client()) if how.signal == "logprob" else []
    simulated = any(frame.attrs["prsm"]["simulated"] for frame in made)
    return _Asked(made[0], made[1], _texts(given, prompt), logprobs, simulated)


def _texts(given: pd.DataFrame, prompt: Any) -> list[str | None]:
    make = prompts.maker(prompt, list(given.columns))
    found: list[str | None] = []
    for row in rows_of.each(given):
        try:
            found.append(signals.prompt_text(messages(make(row))))
        except (prompts.MissingValue, media.Unreadable):
            found.append(None)
    return found


def _logprobs(made: pd.DataFrame, client: Any) -> list[Any]:
    """The tokens' log probabilities of each row, which no frame holds."""
    ids = reading.of(made)(made, "inference_id")
    wanted = list(dict.fromkeys(str(one) for one in ids.dropna()))
    kept = {one.id: one for one in portal.call(client.engine.receipts(wanted))}
    answers = [None if rows_of.missing(one) else kept.get(str(one)) for one in ids]
    return [None if one is None or one.inference is None else one.inference.logprobs for one in answers]


# -------------------------------------------------------------------------------------------------- labelling


def _labelled(asked: _Asked, how: _How, score: Any, reference: str) -> _Table:
    """Qualities, signals and costs, row by row."""
    cheap, strong = (scored(frame, score, reference) for frame in (asked.cheap, asked.strong))
    known = reading.of(cheap)
    qualities, costs = _qualities(cheap), known(cheap, "cost").astype("Float64").to_numpy(np.float64, na_value=np.nan)
    responses = [None if rows_of.missing(text) else str(text) for text in known(cheap, "response")]
    signal, taken = [], []
    for n in range(len(asked.texts)):
        part = range(n * how.samples, (n + 1) * how.samples)
        figure, best = _signal(how, asked, [responses[k] for k in part], n)
        signal.append(figure)
        taken.append(part[best])
    quality = np.where([responses[n] is None for n in taken], 0.0, qualities[taken])
    per_row = np.nansum(costs.reshape(-1, how.samples), axis=1)
    per_row[np.isnan(costs.reshape(-1, how.samples)).all(axis=1)] = np.nan
    rows = savings.Rows(
        quality, _qualities(strong), np.array(signal, dtype=np.float64),
        _priced(per_row, quality), reading.of(strong)(strong, "cost").to_numpy(np.float64, na_value=np.nan),
    )  # fmt: skip
    return _Table(rows, asked.texts)


def _priced(costs: Array, quality: Array) -> Array:
    """A cheap model's failed row cost nothing that is known; prices that nobody knows stay unknown."""
    if np.isnan(costs).all():
        return costs
    return np.where(np.isnan(costs) & (quality == 0), 0.0, costs)


def _signal(how: _How, asked: _Asked, said: Sequence[str | None], n: int) -> tuple[float, int]:
    """A row's signal, as `engine.cascade` finds it, and which of its answers would be given."""
    if how.signal == "prompt" or said[0] is None:
        return math.nan, 0
    if how.signal == "agreement":
        share, best = signals.agreement(said)
        return (share, best) if all(text is not None for text in said) else (math.nan, best)
    if how.signal == "logprob":
        return signals.sureness(asked.logprobs[n]), 0
    if how.signal == "length":
        return signals.brevity(said[0]), 0
    assert how.judge is not None
    return function.judged(how.judge, {"prompt": asked.texts[n] or "", "response": said[0]}), 0


def _qualities(made: pd.DataFrame) -> Array:
    names = reading.score_columns(made)
    if len(names) != 1:
        raise InvalidRequestError(
            f"route needs one score; this scorer gives {', '.join(names) or 'none'}.", details={"parameter": "score"}
        )
    found = reading.figures(made[names[0]])
    assert found is not None
    outside = ~np.isnan(found) & ((found < 0) | (found > 1))
    if outside.any():
        raise InvalidRequestError(
            f"route needs scores between 0 and 1; {names[0]} is {found[outside][0]:g} in row "
            f"{int(outside.nonzero()[0][0])}. Divide it by what it can be at most.",
            details={"parameter": "score", "row": int(outside.nonzero()[0][0])},
        )
    return found


# ------------------------------------------------------------------------------------------------ calibrating


def _fitted(rule: routers.Rule, rows: savings.Rows, texts: list[str], part: Any) -> tuple[routers.Rule, savings.Rows]:
    """Learn from one part of the rows where the cheap model is no worse, and foretell it of all."""
    vectors = [signals.features(text) for text in texts]
    wanted = 1 - np.maximum(0.0, rows.strong - rows.cheap)
    found = logistic.fit([vectors[n] for n in part], wanted[part], plain=frozenset({signals.BUCKETS}))
    rule = routers.with_weights(rule, found.weights, found.bias)
    known = routers.Known(rule, None, dict(rule.weights))
    return rule, rows._replace(signal=np.array([routers.foretold(known, text) for text in texts]))


def _calibrated(
    rule: routers.Rule, judge: routers.Judge | None, rows: savings.Rows, parts: list[Any], quality: float,
    confidence: float, *, left_out: int, simulated: bool,
) -> Router:  # fmt: skip
    signal = np.array([-np.inf if math.isnan(one) else routers.rounded(one) for one in rows.signal])
    if not np.isfinite(signal).any():
        why = "the model gives no log probabilities" if rule.signal == "logprob" else "it failed for all"
        raise InvalidRequestError(
            f"No answer of {rule.cheap!r} has the signal {rule.signal!r}: {why}.", details={"parameter": "signal"}
        )
    rows = rows._replace(signal=signal)
    tuning, calibration, held_out = (rows.take(part) for part in parts)
    chosen = guarantees.keeping(
        calibration.cheap, calibration.strong, calibration.signal,
        quality=quality, confidence=confidence, thresholds=CHANCES if rule.signal == "prompt" else tuning.signal,
    )  # fmt: skip
    threshold = None if math.isinf(chosen.threshold) else chosen.threshold
    rule = routers.with_threshold(rule, threshold)
    mode = rule.kind == "cascade"
    at = math.inf if threshold is None else threshold
    report = Report(
        asked=quality, confidence=confidence, rows=len(signal), left_out=left_out, calibrated=len(calibration.cheap),
        held_out=len(held_out.cheap), needed=guarantees.least_rows(quality, confidence, float(rows.strong.mean())),
        share=savings.standing(held_out, at, cascade=mode).share, cheap=float(held_out.cheap.mean()),
        strong=float(held_out.strong.mean()), kept=(*savings.kept(held_out, at),),
        saved=(*savings.saved(held_out, at, cascade=mode),), simulated=simulated,
        curve={name: tuple(map(float, column)) for name, column in savings.curve(held_out, cascade=mode).items()},
    )  # fmt: skip
    return Router(rule, report, judge)
