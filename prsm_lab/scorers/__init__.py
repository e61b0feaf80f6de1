"""What is right: an answer and its reference in, a figure out. Pure; `lab.score` applies these to a frame.

Each is a class whose fields are its options, and a name for it with the options it has by default:

>>> import prsm_lab as lab
>>> lab.scorers.names()[:4]
['exact', 'contains', 'regex', 'numeric']
>>> lab.scorers.Numeric(rel_tol=0.01)("about 3.15", 3.14)
True
"""

from __future__ import annotations

import difflib
from typing import Final

from prsm_lab.errors import InvalidRequestError
from prsm_lab.scorers.choices import Choice
from prsm_lab.scorers.fields import JsonMatch, JsonValid, Schema
from prsm_lab.scorers.meaning import EmbeddingSimilarity
from prsm_lab.scorers.numbers import Numeric
from prsm_lab.scorers.overlap import F1, Bleu, Chrf, RougeL
from prsm_lab.scorers.scorer import Score, Scorer
from prsm_lab.scorers.texts import Contains, Exact, Length, Regex

__all__ = [
    "F1",
    "Bleu",
    "Choice",
    "Chrf",
    "Contains",
    "EmbeddingSimilarity",
    "Exact",
    "JsonMatch",
    "JsonValid",
    "Length",
    "Numeric",
    "Regex",
    "RougeL",
    "Schema",
    "Score",
    "Scorer",
    "named",
    "names",
]

_BUILT_IN: Final[dict[str, type[Scorer]]] = {
    kind.name: kind
    for kind in (
        Exact, Contains, Regex, Numeric, Choice, F1, RougeL, Bleu, Chrf, JsonValid, JsonMatch, Schema,
        EmbeddingSimilarity, Length,
    )
}  # fmt: skip


def names() -> list[str]:
    """Return the names of the built-in scorers.

    >>> "rouge_l" in names()
    True
    """
    return list(_BUILT_IN)


def named(name: str) -> Scorer:
    """Return the built-in scorer of that name, with its default options.

    Args:
        name: One of `names()`.

    Raises:
        InvalidRequestError: If there is none, naming the nearest.

    >>> named("choice")
    Choice()
    """
    kind = _BUILT_IN.get(name)
    if kind is None:
        near = difflib.get_close_matches(name, _BUILT_IN, 1)
        raise InvalidRequestError(
            f"Unknown scorer {name!r}{f'; did you mean {near[0]!r}?' if near else ';'} built in are "
            f"{', '.join(_BUILT_IN)}, and any function of the row serves.",
            details={"parameter": "scorers"},
        )
    return kind()
