"""How many tokens answers take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from prsm_lab.frames import reading
from prsm_lab.plot import look

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go


class Side(NamedTuple):
    """What goes in or out of a model, and the part of it that is told apart."""

    name: str
    column: str
    part: str
    part_column: str


SIDES: Final = (
    Side("prompt", "prompt_tokens", "from the provider's cache", "cached_tokens"),
    Side("completion", "completion_tokens", "reasoning", "reasoning_tokens"),
)


class Mean(NamedTuple):
    """Tokens per answer; None where nobody counted."""

    whole: float | None
    part: float | None
    counted: int
    total: float


def tokens(results: pd.DataFrame) -> go.Figure:
    """Plot the mean tokens per answer, per variant: of prompts (what the provider's cache held is hatched) and of
    completions (reasoning is hatched).

    An answer that fills many rows counts once, one from the ledger's cache not at all, one without a count not at all.
    Where variants differ by two decades or more the axis is logarithmic and means are points: a bar has no length
    there.

    Args:
        results: What `infer`, `batch` or `compare` returned.

    >>> import prsm_lab as lab
    >>> client = lab.Client(mock_mode=True, ledger=":memory:")
    >>> found = lab.batch(["a", "b"], "{text}", model="gpt-4", client=client, progress=False)
    >>> tokens(found).layout.xaxis.title.text
    'prompt tokens per answer'
    """
    from plotly.subplots import make_subplots

    counted = [(variant, [_mean(variant.part, side) for side in SIDES]) for variant in look.variants(results)]
    known = [one for one in counted if any(mean.whole is not None for mean in one[1])]
    known.sort(key=lambda one: -sum(mean.whole or 0.0 for mean in one[1]))  # the fewest on top
    figure = make_subplots(rows=1, cols=2, shared_yaxes=True, horizontal_spacing=0.1)
    look.dress(figure, results, "Tokens", "mean per answer; hatched: from the cache, reasoning")
    if not known:
        return look.empty(figure, "Nothing to draw: of no answer the tokens are known.")
    for col, side in enumerate(SIDES, 1):
        wholes = [means[col - 1].whole for _, means in known]
        spread = look.decades(whole for whole in wholes if whole is not None)
        for line, (variant, means) in enumerate(known):
            draw = _points if spread else _bars
            draw(figure, variant, side, means[col - 1], col)
            _figure(figure, means[col - 1], line, col, variant.colour, spread=spread)
        figure.update_xaxes(title={"text": f"{side.name} tokens per answer", "font": {"size": 12}}, col=col)
        if spread:
            figure.update_xaxes(type="log", dtick=1, col=col)
        else:
            most = max((whole for whole in wholes if whole is not None), default=1.0) or 1.0
            figure.update_xaxes(range=[0, 1.25 * most], col=col)
    look.lines(figure, [variant.label for variant, _ in known])
    figure.update_layout(barmode="stack")
    return figure


def _mean(part: pd.DataFrame, side: Side) -> Mean:
    known = reading.of(part)
    once = part.drop_duplicates(known.prefix + "inference_id")
    fresh = once[~known(once, "cached").fillna(False).astype(bool)]
    whole = known(fresh, side.column)
    there = whole.notna()
    some = known(fresh, side.part_column)[there]
    n = int(there.sum())
    total = float(whole.sum()) if n else 0.0
    return Mean(total / n if n else None, float(some.sum()) / n if n and some.notna().any() else None, n, total)


def _told(variant: look.Variant, side: Side, mean: Mean) -> str:
    part = "unknown" if mean.part is None else f"{mean.part:,.1f}"
    return (
        f"{variant.label}<br>{mean.whole:,.1f} {side.name} tokens per answer<br>{side.part}: {part}<br>"
        f"{mean.total:,.0f} in {mean.counted:,} answers<extra></extra>"
    )


def _bars(figure: go.Figure, variant: look.Variant, side: Side, mean: Mean, col: int) -> None:
    if mean.whole is None:
        return
    plain: dict[str, Any] = {"color": variant.colour, "opacity": 0.55}
    hatched = plain | {"pattern": {"shape": "/", "fgcolor": "white", "fillmode": "overlay", "size": 6, "solidity": 0.4}}
    pieces = ((mean.whole - (mean.part or 0.0), plain), (mean.part or 0.0, hatched))
    for value, marker in pieces if mean.part else pieces[:1]:
        figure.add_bar(
            y=[look.wrapped(variant.label)], x=[value], orientation="h", width=0.6, marker=marker, row=1, col=col,
            name=variant.label, hovertemplate=_told(variant, side, mean),
        )  # fmt: skip


def _points(figure: go.Figure, variant: look.Variant, side: Side, mean: Mean, col: int) -> None:
    for value, symbol in ((mean.whole, "circle"), (mean.part, "circle-open")):
        if value:
            figure.add_scatter(
                y=[look.wrapped(variant.label)], x=[value], mode="markers", row=1, col=col, name=variant.label,
                marker={"color": variant.colour, "symbol": symbol, "size": 13, "line": {"width": 2}},
                hovertemplate=_told(variant, side, mean),
            )  # fmt: skip


def _figure(figure: go.Figure, mean: Mean, line: int, col: int, colour: str, *, spread: bool) -> None:
    """The mean as a number behind its bar or point; a dash where nobody counted."""
    import math

    at = (math.log10(mean.whole) if spread else mean.whole) if mean.whole else 0
    text = "–" if mean.whole is None else f"{mean.whole:,.1f}" if mean.whole < 10 else f"{mean.whole:,.0f}"
    figure.add_annotation(
        x=at, y=line, text=text, showarrow=False, xanchor="left", xshift=10 if spread else 6, row=1, col=col,
        font={"color": colour, "size": 13},
    )  # fmt: skip
