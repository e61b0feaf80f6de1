"""A Dask DataFrame in and out, partition by partition: one is read, asked and kept before the next is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prsm_lab.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping

    import pandas as pd

_REFUSED = {
    "background": "a Dask frame is asked by the call itself",
    "returns": "a Dask frame comes back as one",
    "output": "write what comes back with .to_parquet()",
    "max_cost": "each partition is a run of its own; client.budget(usd) caps them together",
}


def of_dask(data: object) -> bool:
    """Is it a Dask DataFrame? Tells without importing Dask."""
    return type(data).__name__ == "DataFrame" and type(data).__module__.partition(".")[0] in ("dask", "dask_expr")


def through(data: Any, options: Mapping[str, Any], ask: Callable[[pd.DataFrame, dict[str, Any]], pd.DataFrame]) -> Any:
    """Ask each partition; return a Dask DataFrame with the same partitions.

    Args:
        data: A Dask DataFrame.
        options: Options of the run; a name becomes one for each partition (`name-00000`).
        ask: Asks one partition's rows.

    Raises:
        InvalidRequestError: If an option would mean something else partition by partition.
    """
    return _joined(data, [ask(rows(), own) for rows, own in _parts(data, options)])


async def athrough(
    data: Any, options: Mapping[str, Any], ask: Callable[[pd.DataFrame, dict[str, Any]], Awaitable[pd.DataFrame]]
) -> Any:
    """The same for callers on a loop."""
    return _joined(data, [await ask(rows(), own) for rows, own in _parts(data, options)])


def _parts(data: Any, options: Mapping[str, Any]) -> Iterator[tuple[Callable[[], pd.DataFrame], dict[str, Any]]]:
    for name, why in _REFUSED.items():
        if options.get(name) not in (None, False, "pandas"):
            raise InvalidRequestError(f"{name}= does not go with a Dask frame: {why}.", details={"parameter": name})
    for n in range(data.npartitions):
        named = {"run": f"{options['run']}-{n:05d}"} if options.get("run") else {}
        yield data.partitions[n].compute, {**options, **named}


def _joined(data: Any, frames: list[pd.DataFrame]) -> Any:
    """The answers are in memory already: they are the graph, so that no worker that dies takes them along."""
    import dask.dataframe as dd

    return dd.from_map(_kept, frames, meta=frames[0].iloc[:0], divisions=data.divisions, enforce_metadata=False)


def _kept(frame: pd.DataFrame) -> pd.DataFrame:
    return frame
