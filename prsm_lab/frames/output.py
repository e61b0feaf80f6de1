"""Results that go to a directory of parquet parts instead of a frame: memory does not grow with the rows.

Rows are asked part by part, in the input's order; each part is a run of its own, so that requests and outcomes of one
part only are in memory. A part is written beside its place and renamed into it: what is there is whole. The price of
this is that a part's last answers are waited for before the next part begins.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from prsm_lab.errors import InvalidRequestError
from prsm_lab.frames import convert, packing
from prsm_lab.frames import data as rows_of
from prsm_lab.types import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prsm_lab.frames.work import Work

PART_ROWS: Final = 5_000
"""Input rows of a part."""


class Output(os.PathLike[str]):
    """Results in a directory of parquet parts; `lab.batch(…, output="dir.parquet")` returns one.

    Args:
        path: The directory; anything that reads parquet reads it too.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def __fspath__(self) -> str:
        return str(self.path)

    @property
    def parts(self) -> list[Path]:
        """The parts that are whole, in the input's order."""
        return sorted(self.path.glob("part-*.parquet"))

    def __len__(self) -> int:
        """Rows, from the parts' footers: no row is read."""
        return sum(_file(part).metadata.num_rows for part in self.parts)

    def frame(self) -> pd.DataFrame:
        """Read all parts as one pandas frame, with the index it would have had in memory."""
        convert.pyarrow()
        frames = [_file(part).read().to_pandas() for part in self.parts]
        made = pd.concat(frames) if frames else pd.DataFrame()
        made.attrs = {"prsm": {"runs": [_told(part).get("run") for part in self.parts]}} if frames else {}
        return made

    def scan(self) -> Any:
        """Return a pyarrow dataset of the parts: filtered and aggregated without reading all of it."""
        pa = convert.pyarrow()
        import pyarrow.dataset

        parts = self.parts
        schema = pa.unify_schemas([_file(part).schema_arrow for part in parts], promote_options="permissive")
        return pyarrow.dataset.dataset([str(part) for part in parts], schema=schema)

    def __repr__(self) -> str:
        return f"Output({str(self.path)!r}: {len(self):,} rows in {len(self.parts):,} parts)"

    def _repr_html_(self) -> str:
        return shown.table(
            ("output", "rows", "parts"), [(str(self.path), f"{len(self):,}", len(self.parts))], figures=2
        )


class Writing:
    """A call on its way into parts.

    Args:
        data: As in `lab.batch`; a parquet path is read part by part and may be larger than memory.
        options: Options of the run, `output` among them.
        make: Makes the work of some rows under options.

    Raises:
        InvalidRequestError: If an option does not go with `output=`, or the directory holds other results.
    """

    def __init__(self, data: object, options: Any, make: Callable[[pd.DataFrame, Any], Work]) -> None:
        convert.pyarrow()
        _check(options)
        self._options = {name: value for name, value in options.items() if name != "output"}
        self._make = make
        self.output = Output(options["output"])
        self._rows, self._pieces = _pieces(data)
        most = max(1, -(-self._rows // PART_ROWS))
        if self.output.path.exists() and not self.output.path.is_dir():
            raise _refused(f"output={str(self.output.path)!r} is a file; name a directory.")
        if any(_number(part) >= most for part in self.output.parts):
            raise self._other()
        self._spec: dict[str, Any] = {}

    def works(self) -> Iterator[Work]:
        """Each part that is missing or has failed rows, to be run and then handed to `keep`."""
        self.output.path.mkdir(parents=True, exist_ok=True)
        purse = ""
        for n, rows in enumerate(self._pieces):
            options = dict(self._options)
            if options.get("run"):
                options["run"] = f"{options['run']}-{n:05d}"
            work = self._make(rows, options)
            purse = purse or self._purse(work)
            work.share(purse, goes_on=n > 0)
            key = hashlib.sha256(f"{work.id} {work.shape}".encode("utf-8", "replace") + packing.pack(rows)).hexdigest()[
                :16
            ]
            place = self.output.path / f"part-{n:05d}.parquet"
            if place.exists():
                told = _told(place)
                if told.get("key") != key:
                    raise self._other()
                if not told.get("failed") and not options.get("fresh"):
                    continue
            self._spec = {"place": place, "key": key}
            yield work

    def keep(self, work: Work) -> None:
        """Write the part that has been run; whole or not at all."""
        import pyarrow.parquet as pq

        made = work.result()
        made.attrs["prsm"] = {**made.attrs["prsm"], "key": self._spec["key"], "failed": work.tally.failed}
        place: Path = self._spec["place"]
        beside = place.with_suffix(f".{os.getpid()}.tmp")
        try:
            pq.write_table(convert.to_arrow(made), beside)
            with beside.open("rb") as written:
                os.fsync(written.fileno())
            beside.replace(place)
        finally:
            beside.unlink(missing_ok=True)

    def _purse(self, first: Work) -> str:
        """What the parts call the cap that they share: the same call again shares it too, wherever it writes to."""
        named = self._options.get("run")
        told = f"run {named}" if named else f"{self._rows} {first.id}"
        return "out_" + hashlib.sha256(told.encode("utf-8", "replace")).hexdigest()[:16]

    def _other(self) -> InvalidRequestError:
        return _refused(
            f"{str(self.output.path)!r} holds results of another call (other data, prompt, model or options); "
            "name another directory, or delete this one."
        )


def _check(options: Any) -> None:
    """What would mean something else part by part is refused."""
    refused = {
        "background": "parts are written by the call itself",
    }
    for name, why in refused.items():
        if options.get(name) not in (None, False):
            raise _refused(f"{name}= does not go with output=: {why}.")
    if options.get("mode") == "provider_batch":
        raise _refused("mode='provider_batch' does not go with output=: each part would wait up to a day for the last.")
    if options.get("returns", "pandas") != "pandas":
        raise _refused("returns= does not go with output=: .frame() reads pandas, .scan() Arrow.")


def _pieces(data: object) -> tuple[int, Iterator[pd.DataFrame]]:
    """How many rows there are, and the rows by parts; at least one part, so that an empty result has its columns."""
    if isinstance(data, (str, Path)) and Path(data).suffix.lower() == ".parquet" and Path(data).is_file():
        try:
            rows = int(_file(Path(data)).metadata.num_rows)
        except ValueError as fault:  # pyarrow's ArrowInvalid is one
            raise _refused(f"{str(data)!r} cannot be read as parquet: {str(fault)[:200]}", "data") from fault
        return rows, _read(Path(data)) if rows else iter([rows_of.frame(data)])
    frame = rows_of.frame(data)
    starts = range(0, max(1, len(frame)), PART_ROWS)
    return len(frame), (frame.iloc[start : start + PART_ROWS] for start in starts)


def _read(path: Path) -> Iterator[pd.DataFrame]:
    """A parquet file by parts of `PART_ROWS` rows, whatever its row groups are."""
    pa = convert.pyarrow()
    held: list[Any] = []
    start = 0

    def piece(table: Any) -> pd.DataFrame:
        made: pd.DataFrame = table.to_pandas()
        if isinstance(made.index, pd.RangeIndex) and made.index.name is None:
            made.index = pd.RangeIndex(start, start + len(made))
        return made

    for batch in _file(path).iter_batches(PART_ROWS):
        held.append(batch)
        table = pa.Table.from_batches(held)
        while len(table) >= PART_ROWS:
            yield piece(table.slice(0, PART_ROWS))
            start, table = start + PART_ROWS, table.slice(PART_ROWS)
        held = table.to_batches()
    if held and sum(map(len, held)):
        yield piece(pa.Table.from_batches(held))


def _file(path: Path) -> Any:
    convert.pyarrow()
    import pyarrow.parquet as pq

    return pq.ParquetFile(path)


def _told(part: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((_file(part).schema_arrow.metadata or {}).get(convert.KEY, b"{}"))
    return found


def _number(part: Path) -> int:
    digits = part.stem.removeprefix("part-")
    return int(digits) if digits.isdigit() else 0


def _refused(message: str, parameter: str = "output") -> InvalidRequestError:
    return InvalidRequestError(message, details={"parameter": parameter})
