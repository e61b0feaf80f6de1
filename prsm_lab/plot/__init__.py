"""Figures of result frames: plotly, one look, readable on light and dark pages.

Figures of simulated answers say so. What cannot be drawn is said in the figure, not raised: no rows, no scores, no
prices.
"""

from prsm_lab.plot.comparing import contrast
from prsm_lab.plot.duels import wins
from prsm_lab.plot.flow import timeline
from prsm_lab.plot.intervals import interval
from prsm_lab.plot.quality import cost_quality, scores
from prsm_lab.plot.routes import routing
from prsm_lab.plot.speed import latency
from prsm_lab.plot.spending import usage
from prsm_lab.plot.volume import tokens

__all__ = [
    "contrast",
    "cost_quality",
    "interval",
    "latency",
    "routing",
    "scores",
    "timeline",
    "tokens",
    "usage",
    "wins",
]
