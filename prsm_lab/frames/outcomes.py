"""What scorers say of single rows, here or on joblib's workers: figures, or why there are none."""

from __future__ import annotations

import itertools
import math
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

from prsm_lab.errors import ProviderError
from prsm_lab.frames.data import missing
from prsm_lab.scorers import EmbeddingSimilarity, Scorer

Outcome: TypeAlias = float | str | dict[str, float | None] | None
"""A figure, None where there is none, parts by name, or a fault's text."""
TOGETHER: Final = 64
"""Answers that are embedded at once."""
PARTS: Final = 4
"""Parts that each of joblib's workers is given: the slowest then holds up little."""
MOST_ROWS: Final = 1000


def of_rows(
    scorer: Callable[[dict[Any, Any]], Any], rows: Iterable[dict[Any, Any] | None], count: int
) -> list[Outcome]:
    """Score rows by a function of the row, on joblib's workers where `joblib.parallel_config` asks for them.

    Args:
        scorer: The function.
        rows: Each row, or None where there is nothing to score.
        count: How many.

    Raises:
        ProviderError: If the workers end before they are done.
    """
    return _spread(_by_rows, scorer, rows, count)


def of_pairs(scorer: Scorer, pairs: Iterable[tuple[Any, Any] | None], count: int) -> list[Outcome]:
    """Score answers by a scorer with options; only those that take long go to joblib's workers.

    Args:
        scorer: The scorer.
        pairs: Each answer with its reference (None where there is none), or None where there is nothing to score.
        count: How many.

    Raises:
        ProviderError: If the workers end before they are done.
    """
    if isinstance(scorer, EmbeddingSimilarity):
        return _together(scorer, pairs)
    if scorer.heavy:
        return _spread(_by_pairs, scorer, pairs, count)
    return _by_pairs(scorer, pairs)


def _by_rows(scorer: Callable[[dict[Any, Any]], Any], rows: Iterable[dict[Any, Any] | None]) -> list[Outcome]:
    return [None if row is None else _outcome(scorer, row) for row in rows]


def _by_pairs(scorer: Scorer, pairs: Iterable[tuple[Any, Any] | None]) -> list[Outcome]:
    compares = scorer.compares
    return [
        None
        if pair is None
        else _EMPTY
        if compares and missing(pair[1])
        else _outcome(scorer, pair[0], pair[1] if compares else None)
        for pair in pairs
    ]


def _outcome(score: Callable[..., Any], *given: Any) -> Outcome:
    try:
        return figures(score(*given))
    except Exception as fault:  # noqa: BLE001 -- somebody else's scorer: its fault is a cell, not the end of a run
        return said(fault)


def said(fault: Exception) -> str:
    """Say what went wrong, for a cell."""
    return f"{type(fault).__name__}: {fault}"


_EMPTY: Final = said(ValueError("the reference is empty in this row"))


def figures(value: Any) -> float | dict[str, float | None] | None:
    """Return what a scorer gave as figures: numbers and truth values, by name where there are several.

    Raises:
        ValueError: If it is neither, or infinite.

    >>> figures(True), figures({"a": 1, "b": None}), figures(float("nan"))
    (1.0, {'a': 1.0, 'b': None}, None)
    """
    if not isinstance(value, Mapping):
        return _figure(value)
    parts = {str(name): _figure(part) for name, part in value.items()}
    if wrong := [name for name in parts if f"_{name}".endswith("_error")]:
        raise ValueError(f"a part cannot be called {wrong[0]!r}: such a column holds what went wrong")
    return parts


def _figure(value: Any) -> float | None:
    if not isinstance(value, (float, int)):
        if missing(value):
            return None
        if not hasattr(value, "__float__") or getattr(value, "ndim", 0) > 0:
            shown = f"{type(value).__name__} {str(value)[:60]!r}"
            raise ValueError(f"could not convert {shown} to a score: give a number, a truth value or a dict of them")
    found = float(value)
    if math.isinf(found):
        raise ValueError(f"{found} is no score: give a finite number, or None where it cannot be told")
    return None if math.isnan(found) else found


# ------------------------------------------------------------------------------------------------- embeddings


def _together(scorer: EmbeddingSimilarity, pairs: Iterable[tuple[Any, Any] | None]) -> list[Outcome]:
    """Score in groups; where the embedder fails on a group, one by one, and no more once that fails throughout."""
    found: list[Outcome] = []
    down: str | None = None
    for group in _groups(pairs, TOGETHER):
        outcomes: list[Outcome] = [None if pair is None else _EMPTY if missing(pair[1]) else "" for pair in group]
        there = [n for n, outcome in enumerate(outcomes) if outcome == ""]
        scored, down = _embedded(scorer, [group[n] for n in there], down)
        for n, outcome in zip(there, scored, strict=True):
            outcomes[n] = outcome
        found += outcomes
    return found


def _embedded(
    scorer: EmbeddingSimilarity, pairs: Sequence[tuple[str, Any]], down: str | None
) -> tuple[list[Outcome], str | None]:
    """Outcomes of a group, and why the embedder is not asked again."""
    if down is not None:
        return [f"{down} (in all of {TOGETHER} rows before, so it was not asked again)"] * len(pairs), down
    try:
        scored = scorer.many(pairs)
    except Exception as fault:  # noqa: BLE001 -- somebody else's embedder, as above
        if len(pairs) == 1:
            return [said(fault)], None
        singles = [_embedded(scorer, [pair], None)[0][0] for pair in pairs]
        failed = len(pairs) == TOGETHER and all(single == said(fault) for single in singles)
        return singles, said(fault) if failed else None
    return [said(one) if isinstance(one, ValueError) else figures(one) for one in scored], None


# ------------------------------------------------------------------------------------------------ joblib


def _spread(
    work: Callable[[Any, Iterable[Any]], list[Outcome]], scorer: Any, items: Iterable[Any], count: int
) -> list[Outcome]:
    """Do it on joblib's workers where `joblib.parallel_config` is in force, and here where it is not."""
    backend, jobs = _workers()
    if jobs < 2 or count < 2:
        return work(scorer, items)
    from joblib import Parallel, delayed

    size = min(MOST_ROWS, math.ceil(count / (PARTS * jobs)))
    groups = _groups(items, size)
    first = next(groups)
    groups = itertools.chain([first], groups)
    why = None if getattr(backend, "supports_sharedmem", False) else _stays((scorer, first))
    if why is not None:
        warnings.warn(
            f"The scorer cannot travel to joblib's workers ({why}); it scores here, row after row.", stacklevel=4
        )
        return work(scorer, itertools.chain.from_iterable(groups))
    try:
        made = Parallel(n_jobs=jobs)(delayed(work)(scorer, group) for group in groups)
    except Exception as fault:
        raise ProviderError(
            f"joblib's workers ended before all rows were scored ({said(fault).splitlines()[0][:200]}): the scorer "
            "crashes them, or they run out of memory. Score without joblib.parallel_config to see which row it is.",
            details={"parameter": "scorers", "kind": "workers"}, verdict="stop",
        ) from fault  # fmt: skip
    return list(itertools.chain.from_iterable(made))


def _workers() -> tuple[Any, int]:
    """joblib's backend, and how many workers are asked for: one where nobody has set any, as joblib has it."""
    if "joblib" not in sys.modules:
        return None, 1
    from joblib.parallel import get_active_backend

    backend, jobs = get_active_backend()
    asked = getattr(backend, "default_n_jobs", 1) if jobs is None else jobs
    return backend, int(backend.effective_n_jobs(asked))


def _stays(what: Any) -> str | None:
    """Say why something cannot be sent to another process; None if it can."""
    from joblib.externals.loky.backend.reduction import dumps

    try:
        dumps(what)
    except Exception as fault:  # noqa: BLE001 -- whatever it holds has faults of its own
        return said(fault)[:200]
    return None


def _groups(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Lists of so many items, made as they are taken."""
    left = iter(items)
    while group := list(itertools.islice(left, size)):
        yield group
