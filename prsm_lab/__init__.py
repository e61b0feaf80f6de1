"""prsm_lab: ask many language models from a DataFrame, and know what it cost and how sure you are.

Names load on first use (PEP 562): importing the package opens nothing, starts nothing, and pulls in neither
pandas nor an SDK.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prsm_lab import cache as cache
    from prsm_lab import datasets as datasets
    from prsm_lab import emulator as emulator
    from prsm_lab import errors as errors
    from prsm_lab import local as local
    from prsm_lab import panels as panels
    from prsm_lab import plot as plot
    from prsm_lab import scorers as scorers
    from prsm_lab.catalog import prices as prices
    from prsm_lab.client import AsyncClient as AsyncClient
    from prsm_lab.client import Client as Client
    from prsm_lab.client import default_client as default_client
    from prsm_lab.client import use as use
    from prsm_lab.client.connecting import connect as connect
    from prsm_lab.client.connecting import disconnect as disconnect
    from prsm_lab.client.connecting import model as model
    from prsm_lab.frames import Router as Router
    from prsm_lab.frames import Rubric as Rubric
    from prsm_lab.frames import abatch as abatch
    from prsm_lab.frames import acompare as acompare
    from prsm_lab.frames import ainfer as ainfer
    from prsm_lab.frames import ajudge as ajudge
    from prsm_lab.frames import ajudge_pairs as ajudge_pairs
    from prsm_lab.frames import batch as batch
    from prsm_lab.frames import col as col
    from prsm_lab.frames import compare as compare
    from prsm_lab.frames import contrast as contrast
    from prsm_lab.frames import diff as diff
    from prsm_lab.frames import document as document
    from prsm_lab.frames import estimate as estimate
    from prsm_lab.frames import frontier as frontier
    from prsm_lab.frames import image as image
    from prsm_lab.frames import infer as infer
    from prsm_lab.frames import job as job
    from prsm_lab.frames import judge as judge
    from prsm_lab.frames import judge_audit as judge_audit
    from prsm_lab.frames import judge_pairs as judge_pairs
    from prsm_lab.frames import leaderboard as leaderboard
    from prsm_lab.frames import load as load
    from prsm_lab.frames import load_router as load_router
    from prsm_lab.frames import models as models
    from prsm_lab.frames import plan as plan
    from prsm_lab.frames import qualities as quality  # noqa: F401 -- lab.quality
    from prsm_lab.frames import retry as retry
    from prsm_lab.frames import route as route
    from prsm_lab.frames import runs as runs
    from prsm_lab.frames import score as score
    from prsm_lab.frames import show as show
    from prsm_lab.frames import side_by_side as side_by_side
    from prsm_lab.frames import summarize as summarize
    from prsm_lab.frames.receipts import receipts as receipts
    from prsm_lab.reporting import report as report
    from prsm_lab.server import serve as serve

__version__ = "0.1.0"

_ROOMS = {
    "prsm_lab.server": ("serve",),
    "prsm_lab.reporting": ("report",),
    "prsm_lab.client": ("AsyncClient", "Client", "default_client", "use"),
    "prsm_lab.client.connecting": ("connect", "disconnect", "model"),
    "prsm_lab.frames": (
        "Router", "Rubric", "abatch", "acompare", "ainfer", "ajudge", "ajudge_pairs", "batch", "col", "compare",
        "contrast", "diff", "document", "estimate", "frontier", "image", "infer", "job", "judge", "judge_audit",
        "judge_pairs", "leaderboard", "load", "load_router", "models", "plan", "receipts", "retry", "route", "runs",
        "score", "show", "side_by_side", "summarize",
    ),
}  # fmt: skip
_MODULES = {
    "cache": "prsm_lab.cache", "datasets": "prsm_lab.datasets", "emulator": "prsm_lab.emulator",
    "errors": "prsm_lab.errors", "local": "prsm_lab.local", "panels": "prsm_lab.panels", "plot": "prsm_lab.plot",
    "prices": "prsm_lab.catalog.prices", "quality": "prsm_lab.frames.qualities",
    "scorers": "prsm_lab.scorers",
}  # fmt: skip
_HOME = {name: room for room, names in _ROOMS.items() for name in names}

__all__ = sorted((*_HOME, *_MODULES))  # noqa: PLE0605 -- a list, computed from the one table of names


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(_MODULES[name])
    room = "prsm_lab.magics" if name == "load_ipython_extension" else _HOME.get(name)
    if room is None:
        raise AttributeError(f"module 'prsm_lab' has no attribute {name!r}")
    value = getattr(import_module(room), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
