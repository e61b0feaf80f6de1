"""What a router buys: quality against cost, beside a coin and beside who knows all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prsm_lab.plot import look

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from prsm_lab.frames.router import Router


def routing(router: Router) -> go.Figure:
    """Plot what a router keeps at what cost, on rows held out.

    Its own curve is of every threshold that it might have had, and the mark is the one it has; the straight line is of
    a coin that sends so many questions to the cheap model, the upper one of who knows both answers beforehand. The
    dashed line is the quality that was asked for.

    Args:
        router: What `lab.route` or `lab.load_router` returned.

    >>> import prsm_lab as lab
    >>> client = lab.Client(mock_mode=True, ledger=":memory:", mock_responses={"*": {"content": "4"}})
    >>> data = [{"q": f"{n} - {n - 4}?", "answer": 4} for n in range(300)]
    >>> router = lab.route(data, "{q}", cheap="gpt-4o-mini", strong="gpt-4", score="numeric", client=client,
    ...                    progress=False)
    >>> [trace.name for trace in routing(router).data]
    ['knowing both answers', 'this router', 'a coin', 'its threshold']
    """
    import plotly.graph_objects as go

    made, rule, report = router.curve, router.rule, router.report
    figure = go.Figure()
    simulated = " · simulated answers" if report.simulated else ""
    note = f"{report.held_out:,} questions held out{simulated}"
    look.frame(figure, f"{look.short(rule.cheap)} or {look.short(rule.strong)}", note)
    if made.empty or made["cost"].isna().all():
        return look.empty(figure, "Nothing to draw: a price is not known. Set it with lab.prices.set.")
    lines = (("oracle_", "knowing both answers"), ("", "this router"), ("random_", "a coin"))
    for n, (name, label) in enumerate(lines):
        figure.add_scatter(
            x=made[f"{name}cost"] * 1000, y=made[f"{name}quality"], mode="lines", name=label,
            line={"color": look.COLOURS[n], "width": 3 if not name else 1.5}, customdata=made["share"],
            hovertemplate=f"{label}<br>%{{customdata:.0%}} to the cheap one: %{{y:.1%}} for $%{{x:.4g}}<extra></extra>",
        )  # fmt: skip
    at = made[made["threshold"] >= (float("inf") if rule.threshold is None else rule.threshold)].iloc[-1]
    figure.add_scatter(
        x=[at["cost"] * 1000], y=[at["quality"]], mode="markers", name="its threshold",
        marker={"color": look.COLOURS[1], "size": 12, "symbol": "diamond"},
        hovertemplate=look.safe(router.explained()) + "<extra></extra>",
    )  # fmt: skip
    if report.strong is not None:
        figure.add_hline(
            y=report.asked * report.strong, line={"dash": "dash", "width": 1, "color": look.INK},
            annotation={"text": "asked for", "font": {"size": 12}}, annotation_position="top right",
        )  # fmt: skip
    figure.update_xaxes(title_text="USD per 1,000 questions", tickprefix="$")
    figure.update_yaxes(title_text="mean quality", tickformat=".0%")
    look.legend(figure)
    return figure
