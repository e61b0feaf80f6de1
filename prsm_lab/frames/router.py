"""A router as a value: the name of a rule that may be asked like a model, with what is known of it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Self

import msgspec

from prsm_lab.engine import routers
from prsm_lab.errors import InvalidRequestError
from prsm_lab.statistics.intervals import Interval
from prsm_lab.types import Value, shown

if TYPE_CHECKING:
    import os

    import pandas as pd

FORMAT: Final = "prsm_lab router 1"
Figure = float | None
"""In a file, null where there is none."""


class Report(Value, frozen=True, kw_only=True):
    """How a router came about, and what it did on rows held out; NaN where nothing is known."""

    asked: float
    """Share of the strong model's quality that is to be kept."""
    confidence: float
    rows: int
    """Labelled questions."""
    left_out: int
    """Rows that failed, have no score, or ask what another asks."""
    calibrated: int
    """Questions that the threshold was chosen on."""
    held_out: int
    """Questions that these figures are of."""
    needed: int | None
    """Questions to calibrate on without which nothing can be proved; None: no number suffices."""
    share: Figure
    """Of the questions, those that the cheap model answers."""
    cheap: Figure
    """The cheap model's mean quality."""
    strong: Figure
    kept: tuple[Figure, Figure, Figure]
    """Share of the strong model's quality, with its 95 % interval."""
    saved: tuple[Figure, Figure, Figure]
    """Share of the strong model's bill."""
    simulated: bool = False
    curve: dict[str, tuple[Figure, ...]]
    """Cost in USD and quality at every share; see `statistics.savings.curve`."""


class Router(str):
    """A name that may be given as `model=` wherever a model's may: it routes each question.

    Made by `lab.route`, read by `lab.load_router`. It is known in this process from then on.

    Args:
        rule: When the cheap model's answer serves.
        report: What is known of it.
        judge: The rule's scorer, where it has one.

    >>> from prsm_lab.engine.routers import Rule
    >>> rule = Rule(kind="cascade", cheap="gpt-4o-mini", strong="gpt-4", signal="length", threshold=-5.0)
    >>> len(Router(rule, Report(asked=0.95, confidence=0.9, rows=0, left_out=0, calibrated=0, held_out=0, needed=None,
    ...                         share=0.5, cheap=0.8, strong=0.9, kept=(1, 1, 1), saved=(0.4, 0.3, 0.5), curve={})))
    19
    """

    __slots__ = ("judge", "report", "rule")

    rule: routers.Rule
    report: Report
    judge: routers.Judge | None

    def __new__(cls, rule: routers.Rule, report: Report, judge: routers.Judge | None = None) -> Self:
        made = super().__new__(cls, routers.register(rule, judge, _share(rule, report)))
        made.rule, made.report, made.judge = rule, report, judge
        return made

    def __getnewargs__(self) -> Any:
        return self.rule, self.report, self.judge

    @property
    def saving(self) -> Interval:
        """The share of the strong model's bill that is saved on rows held out, with its 95 % interval; both calls of a
        cascade are counted. NaN where a price is not known."""
        return Interval(*map(_figure, self.report.saved))

    @property
    def quality(self) -> Interval:
        """The share of the strong model's quality that is kept on rows held out, with its 95 % interval."""
        return Interval(*map(_figure, self.report.kept))

    @property
    def curve(self) -> pd.DataFrame:
        """Cost (USD per question) and quality at every share of questions that go to the cheap model, on rows held
        out; beside it those of a coin, and of who knows both answers beforehand."""
        import pandas as pd

        made = pd.DataFrame({name: [_figure(one) for one in column] for name, column in self.report.curve.items()})
        if "threshold" in made:
            made["threshold"] = made["threshold"].fillna(math.inf)  # JSON has no infinity
        return made

    def plot(self) -> Any:
        """Plot quality against cost: this router, a coin, and who knows both answers beforehand.

        Returns:
            A plotly figure; see `lab.plot.routing`.
        """
        import prsm_lab as lab

        return lab.plot.routing(self)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the router as JSON, to be read with `lab.load_router`.

        Args:
            path: The file; it is replaced.

        Returns:
            The path.
        """
        whole = {"format": FORMAT, "name": str(self), "rule": self.rule, "report": self.report}
        target = Path(path)
        target.write_bytes(msgspec.json.format(msgspec.json.encode(whole), indent=1))
        return target

    def explained(self) -> str:
        """Say in a sentence what it does, or why it does nothing."""
        rule, report = self.rule, self.report
        wanted = f"{report.asked:.4g} of {rule.strong}'s quality with {report.confidence:.0%} confidence"
        if rule.threshold is None:
            least = f"at least {report.needed:,}" if report.needed else "more than any number of"
            why = f"{report.calibrated:,} rows to calibrate on (it takes {least}) do not prove that {wanted} is kept"
            return f"everything goes to {rule.strong}: {why}"
        kept = f"kept {_range(self.quality)} of the quality and saved {_range(self.saving)} of the cost"
        share = _figure(report.share)
        return f"{share:.0%} go to {rule.cheap}; on {report.held_out:,} rows held out it {kept}; asked for: {wanted}"

    def __repr__(self) -> str:
        note = " (simulated answers)" if self.report.simulated else ""
        return f"<Router {self!s} {self.rule.kind}: {self.explained()}{note}>"

    def _repr_html_(self) -> str:
        """Show what it does, and on how many rows that was found."""
        rule, report = self.rule, self.report
        rows = [
            ("to the cheap model", f"{_figure(report.share):.0%}"), ("quality kept", _range(self.quality)),
            ("cost saved", _range(self.saving)), ("asked for", f"{report.asked:.4g} at {report.confidence:.0%}"),
            ("rows", f"{report.calibrated:,} to calibrate, {report.held_out:,} held out, {report.left_out:,} left out"),
            ("answers", "simulated" if report.simulated else "real"), ("in words", self.explained()),
        ]  # fmt: skip
        return shown.table((f"{rule.cheap} or {rule.strong}", f"{rule.kind} by {rule.signal}"), rows)


def load_router(path: str | os.PathLike[str], *, scorer: routers.Judge | None = None) -> Router:
    """Read a router that was saved; nothing of the file is ever run.

    Args:
        path: The file.
        scorer: The function that gave the signal, for a router that trusts one.

    Raises:
        InvalidRequestError: If the file holds no router, was altered, or the router lacks its scorer.

    >>> import tempfile, prsm_lab as lab
    >>> from prsm_lab.engine.routers import Rule
    >>> rule = Rule(kind="cascade", cheap="gpt-4o-mini", strong="gpt-4", signal="length", threshold=-5.0)
    >>> made = Router(rule, Report(asked=0.95, confidence=0.9, rows=0, left_out=0, calibrated=0, held_out=0, needed=50,
    ...                            share=0.5, cheap=0.8, strong=0.9, kept=(1, 1, 1), saved=(0.4, 0.3, 0.5), curve={}))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     lab.load_router(made.save(f"{folder}/router.json")) == made
    True
    """
    try:
        whole = msgspec.json.decode(Path(path).read_bytes(), type=_File)
    except (msgspec.DecodeError, UnicodeDecodeError) as fault:
        raise InvalidRequestError(
            f"{str(path)!r} holds no router: {fault}. Router.save writes one.", details={"parameter": "path"}
        ) from None
    if whole.name != whole.rule.name:
        raise InvalidRequestError(
            f"The router in {str(path)!r} was altered: its rule is not that of {whole.name!r:.80}.",
            details={"parameter": "path"},
        )
    return Router(whole.rule, whole.report, scorer)


class _File(msgspec.Struct, forbid_unknown_fields=True):
    format: Literal["prsm_lab router 1"]
    name: str
    rule: routers.Rule
    report: Report


def _share(rule: routers.Rule, report: Report) -> tuple[float, int] | None:
    return None if rule.threshold is not None and report.share is None else (report.share or 0.0, report.held_out)


def _figure(value: Figure) -> float:
    return math.nan if value is None else float(value)


def _range(found: Interval) -> str:
    if math.isnan(found.mean):
        return "an unknown share"
    return f"{found.mean:.1%} ({found.low:.1%} to {found.high:.1%})"
