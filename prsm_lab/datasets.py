"""Small bundled datasets, for trying things out.

>>> names()
['arithmetic', 'capitals', 'sentiment']
>>> load("capitals").columns.tolist()
['id', 'question', 'answer', 'continent']
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from prsm_lab.errors import NotFoundError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["load", "names"]


def _folder() -> Path:
    """In the wheel they lie inside the package, in a checkout beside it."""
    inside = Path(str(files("prsm_lab"))) / "_datasets"
    return inside if inside.is_dir() else Path(str(files("prsm_lab"))).parent / "datasets"


def names() -> list[str]:
    """Return the names of the datasets."""
    return sorted(path.stem for path in _folder().glob("*.csv"))


def load(name: str) -> pd.DataFrame:
    """Return a dataset; `answer` is its reference column.

    Args:
        name: One of `names()`.

    Raises:
        NotFoundError: If there is none of this name.
    """
    import pandas as pd

    if name not in names():
        raise NotFoundError(f"No dataset {name!r}; there are {', '.join(names())}.", details={"parameter": "name"})
    return pd.read_csv(_folder() / f"{name}.csv")
