"""`lab.quality`: how good models are held to be. Published scores are priors; what you measured comes before them.

>>> get("gpt-4")
0.864
"""

from __future__ import annotations

import datetime
import math
import re
import time
from typing import TYPE_CHECKING, Any, Final

from prsm_lab import ask, catalog
from prsm_lab.catalog import quality
from prsm_lab.catalog.quality import get, lookup, reset, set
from prsm_lab.client import default_client
from prsm_lab.engine import portal
from prsm_lab.errors import InvalidRequestError, NotFoundError
from prsm_lab.frames import reading
from prsm_lab.frames.contrasting import chosen_scores
from prsm_lab.frames.data import missing
from prsm_lab.frames.summary import other_model, summarize
from prsm_lab.types import Grade

if TYPE_CHECKING:
    import pandas as pd

    from prsm_lab.client import Client

__all__ = ["forget", "get", "learn", "lookup", "reset", "set", "table"]

TYPES: Final[dict[str, str]] = {
    "model": "string", "task": "string", "value": "Float64", "low": "Float64", "high": "Float64", "n": "Int64",
    "failed": "Int64", "score": "string", "source": "string", "date": "string", "used": "boolean", "why": "string",
}  # fmt: skip
"""Columns of `table`, in their order."""
_DATE: Final = re.compile(r"\d{4}-\d{2}(?:-\d{2})?$")


def learn(
    results: pd.DataFrame, *, task: str, score: str | None = None, source: str | None = None,
    client: Client | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Replace published qualities by what you measured at a task; it is kept in the ledger.

    A question that names the task (`task=`) then has `quality_threshold` mean the lower end of the 95 % interval of
    what was measured: Wilson's for scores of 0 and 1, Student's for others, robust where several answers to one row
    come together, as in `summarize`. Rows without an answer are counted in `failed`, and in no mean; rows that another
    model answered than was asked are left out.

    Args:
        results: Scored results of `batch` or `compare`; scores between 0 and 1.
        task: What kind of question it is, in your words.
        score: The score column; default the first.
        source: What it was measured on; default says how many rows.
        client: Whose ledger; default the process's client.

    Returns:
        `table(task)`.

    Raises:
        InvalidRequestError: If scores are not between 0 and 1, no row has one, or the client asks a share server.
        NotFoundError: If there is no such score.

    >>> import prsm_lab as lab
    >>> client = lab.Client(mock_mode=True, ledger=":memory:", mock_responses={"*": {"content": "4"}})
    >>> data = [{"q": f"{n} + {4 - n}?", "answer": 4} for n in range(5)]
    >>> found = lab.score(lab.batch(data, "{q}", model="gpt-4o", client=client, progress=False), "numeric")
    >>> learned = lab.quality.learn(found, task="sums", client=client)
    >>> learned.loc[learned["used"] & (learned["model"] == "gpt-4o"), ["value", "low", "n"]].round(3).values.tolist()
    [[1.0, 0.566, 5]]
    """
    name, column = ask.task(task), chosen_scores(results, score)[0]
    figures = reading.figures(results[column])
    if figures is not None and ((figures < 0) | (figures > 1)).any():
        raise InvalidRequestError(
            f"A quality lies between 0 and 1; {column} does not. Divide it by what it can be at most.",
            details={"parameter": "score", "column": column},
        )
    known = reading.of(results)
    kept = results[[not other for other in other_model(results, known)]]
    kept.attrs = results.attrs
    label = known.prefix + "model"
    summed = summarize(kept, by=label)
    grades = [
        _grade(line, str(line[label]), name, column, source, simulated=known.simulated)
        for line in summed.to_dict("records")
        if not missing(line[column])
    ]
    if not grades:
        raise InvalidRequestError(
            f"No row has a {column}: nothing was measured.", details={"parameter": "results", "column": column}
        )
    portal.call(_choosing(client).learn(grades))
    return table(name, client=client)


def _grade(line: dict[Any, Any], model: str, task: str, column: str, source: str | None, *, simulated: bool) -> Grade:
    lacking = line.get(f"{column}_na", 0)
    scored = int(line["n"]) - (0 if missing(lacking) else int(lacking))
    ends = (line[f"{column}_low"], line[f"{column}_high"])
    low, high = (None if missing(end) else float(end) for end in ends)
    said = source or f"{scored} rows of your own"
    return Grade(
        task=task, model=_named(model), value=float(line[column]), low=None if low is None else max(0.0, low),
        high=None if high is None else min(1.0, high), n=scored, failed=int(line["failed"]), score=column,
        source=f"{said} (simulated answers)" if simulated else said, simulated=simulated, created=time.time(),
    )  # fmt: skip


def _named(model: str) -> str:
    try:
        return catalog.find(model).name
    except NotFoundError:
        return model


def forget(task: str | None = None, model: str | None = None, *, client: Client | None = None) -> int:
    """Forget what was measured at a task, of a model, or all of it.

    Args:
        task: Only this task's.
        model: Only this model's.
        client: Whose ledger.

    Returns:
        How many measurements.

    >>> import prsm_lab as lab
    >>> forget(client=lab.Client(mock_mode=True, ledger=":memory:"))
    0
    """
    count: int = portal.call(_choosing(client).forget(task, None if model is None else _named(model)))
    return count


def table(task: str | None = None, *, client: Client | None = None) -> pd.DataFrame:
    """Return what is known of each model's quality, and which of it is used; one row per model and source.

    Columns: `model`, `task` (NA: a prior), `value`, `low` and `high` (ends of the interval; priors have none), `n`
    rows, `failed`, `score`, `source`, `date`, `used`, `why`.

    Args:
        task: For questions of this task: its measurements, and the priors. None: everything.
        client: Whose ledger; default the process's client.

    >>> import prsm_lab as lab
    >>> found = table(client=lab.Client(mock_mode=True, ledger=":memory:"))
    >>> found.loc[found["model"] == "gpt-4", ["value", "date", "used"]].values.tolist()
    [[0.864, '2023-03', True]]
    """
    import pandas as pd

    grades: dict[tuple[str, str], Grade] = portal.call(_choosing(client).known())
    wanted = None if task is None else ask.task(task)
    rows = [_measured(grade) for grade in grades.values() if wanted in (None, grade.task)]
    better = {grade.model for grade in grades.values() if grade.task == wanted and grade.low is not None}
    for name, value, source, own in quality.priors():
        stated = any(other and name == known for known, _, _, other in quality.priors())
        rows.append(_prior(name, value, source, wanted, own=own, stated=stated, better=name in better))
    found = pd.DataFrame(rows, columns=list(TYPES))
    return found.sort_values(["model", "used"], ascending=[True, False], kind="stable", ignore_index=True).astype(TYPES)


def _measured(grade: Grade) -> dict[str, Any]:
    used = grade.low is not None
    return {
        "model": grade.model, "task": grade.task, "value": grade.value, "low": grade.low, "high": grade.high,
        "n": grade.n, "failed": grade.failed, "score": grade.score, "source": grade.source,
        "date": datetime.datetime.fromtimestamp(grade.created, datetime.UTC).date().isoformat(), "used": used,
        "why": f"measured: for task={grade.task!r} its lower end counts" if used else "one row has no interval",
    }  # fmt: skip


def _prior(
    name: str, value: float, source: str, task: str | None, *, own: bool, stated: bool, better: bool
) -> dict[str, Any]:
    dated = _DATE.search(source)
    if better:
        why = f"measured at {task!r}: the measurement counts"
    elif stated and not own:
        why = "lab.quality.set states another"
    else:
        kind = "stated with lab.quality.set" if own else "published, a prior only"
        why = kind if task is None else f"{kind}: nothing was measured at {task!r}"
    return {
        "model": name, "task": None, "value": value, "low": math.nan, "high": math.nan, "n": None, "failed": None,
        "score": None, "source": source, "date": dated[0] if dated else None,
        "used": not better and (own or not stated), "why": why,
    }  # fmt: skip


def _choosing(client: Client | None) -> Any:
    choosing = getattr((client or default_client()).engine, "choosing", None)
    if choosing is None:
        raise InvalidRequestError(
            "This client asks a share server: qualities are measured and kept there, by its owner.",
            details={"parameter": "client"},
        )
    return choosing
