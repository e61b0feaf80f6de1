"""A ledger's own questions in pairs: each with the nearest asked in the same way, labelled by their answers."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

from prsm_lab.ledger import fingerprints

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from prsm_lab.embeddings import Embedder
    from prsm_lab.types import Request

_MARKS = re.compile(r"[^\w]+")


def neighbours(
    asked: Sequence[tuple[Request, str]], embedder: Embedder, same: Callable[[str, str], bool] | None
) -> list[tuple[str, str, bool]]:
    """Pair questions with their nearest.

    Args:
        asked: Questions with the answers' texts.
        embedder: What gives vectors.
        same: Do two answers say the same?
    """
    import numpy as np

    groups: defaultdict[bytes, dict[str, str]] = defaultdict(dict)
    for request, answer in asked:
        scopes = fingerprints.scopes(request, (), "")
        if scopes is not None:
            groups[scopes.scope].setdefault(scopes.text, answer)
    alike = same or _alike
    pairs: dict[frozenset[str], tuple[str, str, bool]] = {}
    for answers in groups.values():
        texts = list(answers)
        if len(texts) < 2:
            continue
        vectors = embedder(texts)
        for n, text in enumerate(texts):
            near = vectors @ vectors[n]
            near[n] = -np.inf
            other = texts[int(near.argmax())]
            pairs.setdefault(frozenset((text, other)), (text, other, bool(alike(answers[text], answers[other]))))
    return list(pairs.values())


def _alike(one: str, other: str) -> bool:
    return _MARKS.sub(" ", one.casefold()).strip() == _MARKS.sub(" ", other.casefold()).strip()
