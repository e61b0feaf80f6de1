"""Small bundled datasets, for trying things out; each has a card that says what it is and how it was made.

>>> names()
['arithmetic', 'capitals', 'extraction', 'hops', 'lookalikes', 'lookalikes_others', 'needles', 'sentiment']
>>> load("capitals").columns.tolist()
['id', 'question', 'answer', 'continent']
"""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from prsm_lab.errors import NotFoundError

if TYPE_CHECKING:
    import builtins

    import pandas as pd

    from prsm_lab.types import JSON

__all__ = ["card", "list", "load", "names", "schema"]


def _folder() -> Path:
    """In the wheel they lie inside the package, in a checkout beside it."""
    inside = Path(str(files("prsm_lab"))) / "_datasets"
    return inside if inside.is_dir() else Path(str(files("prsm_lab"))).parent / "datasets"


def names() -> builtins.list[str]:
    """Return the names of the datasets."""
    return sorted(path.stem for path in _folder().glob("*.csv"))


def list() -> pd.DataFrame:  # noqa: A001 -- read with its module's name, `lab.datasets.list()`
    """Return a row per dataset: `name`, `rows`, `columns`, `about`, `licence`, as its card says.

    >>> list().query("name == 'capitals'")["about"].item()
    '60 questions for the capital of a country'
    """
    import pandas as pd

    return pd.DataFrame([_entry(name) for name in names()]).convert_dtypes()


def load(name: str) -> pd.DataFrame:
    """Return a dataset; where it has references, their column is `answer`.

    Args:
        name: One of `names()`.

    Raises:
        NotFoundError: If there is none of this name.
    """
    import pandas as pd

    _check(name)
    return pd.read_csv(_folder() / f"{name}.csv")


def card(name: str) -> str:
    """Return what a dataset is, its columns, how it was made, what it is for, and its limits, as Markdown.

    Raises:
        NotFoundError: If there is none of this name.

    >>> card("capitals").startswith("60 questions")
    True
    """
    _check(name)
    text = (_folder() / "README.md").read_text(encoding="utf-8")
    return text.partition(f"## {name}\n")[2].partition("\n## ")[0].strip()


def schema(name: str) -> JSON:
    """Return the JSON schema of a dataset's answers, for `schema=`.

    Raises:
        NotFoundError: If there is no such dataset, or its answers are plain text.

    >>> schema("extraction")["required"]
    ['name', 'item', 'quantity', 'city', 'date']
    """
    import json

    _check(name)
    path = _folder() / f"{name}.schema.json"
    if not path.exists():
        raise NotFoundError(f"The answers of {name!r} are plain text: it has no schema.", details={"parameter": "name"})
    found: JSON = json.loads(path.read_text(encoding="utf-8"))
    return found


def _entry(name: str) -> JSON:
    data, text = load(name), card(name)
    about, licence = re.split(r"[,:.](?:\s|$)", text)[0], text.partition("**Licence**: ")[2]
    return {
        "name": name, "rows": len(data), "columns": ", ".join(data.columns), "about": about,
        "licence": licence.partition(";")[0],
    }  # fmt: skip


def _check(name: str) -> None:
    if name not in names():
        raise NotFoundError(f"No dataset {name!r}; there are {', '.join(names())}.", details={"parameter": "name"})
