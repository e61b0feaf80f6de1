"""How results were made, as far as their frame says: enough to make them again."""

from __future__ import annotations

import datetime
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Final

from prsm_lab.catalog import prices
from prsm_lab.errors import PRSMError
from prsm_lab.frames import reading
from prsm_lab.types import shown

if TYPE_CHECKING:
    import pandas as pd

PACKAGES: Final = ("prsm-lab", "openai", "anthropic", "huggingface-hub", "pandas", "scipy", "statsmodels")
LONGEST_PROMPT: Final = 2_000


def lines(results: pd.DataFrame) -> list[tuple[str, str]]:
    """Return what is known of a frame's making, as names and texts.

    Args:
        results: What `infer`, `batch`, `compare` or `load` returned.

    >>> import prsm_lab as lab
    >>> client = lab.Client(mock_mode=True, ledger=":memory:")
    >>> found = lab.batch(["hi"], "{text}", model="gpt-4", temperature=0, client=client, progress=False)
    >>> [text for name, text in lines(found) if name == "options"]
    ['temperature=0']
    """
    notes: dict[str, Any] = results.attrs.get("prsm") or {}
    known = reading.of(results)
    runs = notes.get("runs") or ([notes["run"]] if notes.get("run") else [])
    options = {name: value for name, value in (notes.get("options") or {}).items() if value is not None}
    totals = notes.get("totals") or {}
    made = [
        ("run", ", ".join(runs[:3]) + (f" and {len(runs) - 3:,} more" if len(runs) > 3 else "")),
        ("rows", f"{len(results):,}"),
        *((f"prompt {name}", str(text)[:LONGEST_PROMPT]) for name, text in (notes.get("prompts") or {}).items()),
        ("system", str(notes["system"])[:LONGEST_PROMPT] if notes.get("system") else ""),
        ("options", ", ".join(f"{name}={value}" for name, value in sorted(options.items()))),
        ("models asked", _listed(known(results, "model"))),
        ("models that answered", _listed(known(results, "served_model"))),
        ("prices", _prices(known(results, "model"))),
        ("spent", "" if "spent_usd" not in totals else _spent(totals)),
        ("decided", _decided(notes.get("decided"))),
        ("made with", _versions()),
        ("written", datetime.datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z")),
    ]
    return [(name, text) for name, text in made if text]


def _listed(column: pd.Series[Any]) -> str:
    return ", ".join(str(name) for name in dict.fromkeys(column.dropna()))


def _prices(models: pd.Series[Any]) -> str:
    """Today's list prices: those that were used stand with each answer in the ledger."""
    told = []
    for model in dict.fromkeys(models.dropna()):
        try:
            line = prices.line(model)
        except PRSMError:
            continue
        if line is None or line.input is None or line.output is None:
            told.append(f"{model}: unknown")
            continue
        where = f"{line.source} {line.date}".strip()
        told.append(f"{model}: ${line.input:g} in, ${line.output:g} out per million ({where})")
    return "; ".join(told)


def _spent(totals: dict[str, Any]) -> str:
    unpriced = f", {totals['unpriced']:,} unpriced" if totals.get("unpriced") else ""
    return (
        f"{shown.money(totals['spent_usd'])}{unpriced}; {totals['asked']:,} asked, {totals['reused']:,} reused, "
        f"{totals['failed']:,} failed, {totals['not_sent']:,} not sent"
    )


def _decided(notes: dict[str, Any] | None) -> str:
    if notes is None:
        return ""
    return (
        f"{notes['reason']} after {notes['rows_asked']:,} rows, {notes['rows_left']:,} left; rows drawn with "
        f"order_seed={notes['order_seed']}, alpha={notes['alpha']:g}"
    )


def _versions() -> str:
    found = [f"Python {platform.python_version()}"]
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)
