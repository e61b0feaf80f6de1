"""A terminal: progress, tables, files. Standard output holds data and nothing else.

What is said meanwhile goes to standard error: a bar where that is a terminal, a plain line now and then where it is a
file or a pipe.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from prsm_lab import render
from prsm_lab.errors import InvalidRequestError
from prsm_lab.types import shown as form

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from prsm_lab.frames.background import Job, Progress

SAY_SECONDS: Final = 10.0
"""Between two lines of progress, where nobody watches."""
STOP_SECONDS: Final = 10.0
LINE: Final = 200
WIDEST: Final = 36
"""Characters of a cell of a printed table."""
ENDINGS: Final = (".csv", ".jsonl", ".ndjson", ".parquet")
PRINTED: Final = 20
"""Rows that a terminal is shown; a file or a pipe gets all."""
_ANSWER: Final = ("model", "response", "error")


def watched(job: Job) -> pd.DataFrame:
    """Wait for a run and say how far it is; an interrupt stops it and keeps what it has."""
    try:
        if sys.stderr.isatty():
            _paint(job)
        else:
            _report(job)
    except KeyboardInterrupt:
        job.cancel()
        with contextlib.suppress(TimeoutError):
            job.result(STOP_SECONDS)
        say(_line(job.progress))
        raise
    results = job.result()
    say(_line(job.progress) + (" · simulated" if results.attrs["prsm"]["simulated"] else ""))
    for line in _why(results):
        say(line)
    return results


def _why(results: pd.DataFrame) -> list[str]:
    """What failed, by code, with the first message of each: a file is not opened to learn that a key is wrong."""
    prefix = results.attrs["prsm"]["prefix"]
    failed = results[results[f"{prefix}error_code"].notna()]
    return [
        render.line(f"  {len(rows):,} x {code}: {rows[f'{prefix}error'].iloc[0]}", longest=LINE)
        for code, rows in failed.groupby(f"{prefix}error_code", sort=False)
    ]


def _ended(job: Job, seconds: float) -> bool:
    job.wait(seconds)
    return job.state not in ("running", "paused")


def _paint(job: Job) -> None:
    from tqdm import tqdm

    with tqdm(total=job.progress.rows, unit="row", dynamic_ncols=True, file=sys.stderr, leave=False) as bar:
        while not _ended(job, 0.1):
            now = job.progress
            bar.set_postfix_str(f"{now.failed} failed, {form.money(now.spent_usd)}", refresh=False)
            bar.update(now.done - bar.n)


def _report(job: Job) -> None:
    said = time.monotonic()
    while not _ended(job, 0.2):
        if time.monotonic() - said >= SAY_SECONDS:
            said = time.monotonic()
            say(_line(job.progress))


def _line(now: Progress) -> str:
    parts = [f"{now.done:,} of {now.rows:,} rows", f"{now.reused:,} reused", f"{now.failed:,} failed"]
    parts += [f"{now.not_sent:,} not sent"] if now.not_sent else []
    left = f", {now.eta_seconds:,.0f} s left" if now.eta_seconds else ""
    return f"{', '.join(parts)} · {form.paid(now.spent_usd, now.unpriced)} spent · {now.seconds:,.1f} s{left}"


def say(text: str) -> None:
    """Say something to whoever watches."""
    print(text, file=sys.stderr, flush=True)


def written(results: pd.DataFrame, out: str | None) -> int:
    """Put results where they belong; 1 if a row failed."""
    prefix = results.attrs["prsm"]["prefix"]
    if out is None and sys.stdout.isatty():
        print(_shown(results))
    elif out is None:
        results.to_csv(sys.stdout, index=False)
    else:
        kept(results, out)
    return 1 if results[f"{prefix}error_code"].notna().any() else 0


def check(out: str | None) -> None:
    """Refuse a place for results before they are paid for, where it can be seen then that they do not go there."""
    if out is None or out == "-":
        return
    path = Path(out)
    if path.suffix.lower() not in ENDINGS:
        raise InvalidRequestError(f"{out} ends in none of .csv, .jsonl, .parquet.")
    if not path.parent.is_dir():
        raise InvalidRequestError(f"There is no folder {str(path.parent)!r} for --out; make it first.")
    if path.is_dir():
        raise InvalidRequestError(f"--out {out} is a folder; name a file in it.")
    if path.suffix.lower() == ".parquet":
        from prsm_lab.frames import convert

        convert.pyarrow()


def kept(frame: pd.DataFrame, out: str) -> int:
    """Write a file beside its place and rename it: what is there is whole."""
    if out == "-":
        frame.to_json(sys.stdout, orient="records", lines=True, force_ascii=False)
        return 0
    check(out)
    path = Path(out)
    ending = path.suffix.lower()
    part = path.with_name(f".{path.name}.part")
    if ending == ".parquet":
        frame.to_parquet(part)
    elif ending in (".jsonl", ".ndjson"):
        frame.to_json(part, orient="records", lines=True, force_ascii=False)
    else:
        frame.to_csv(part, index=False)
    part.replace(path)
    say(f"{len(frame):,} rows in {path}")
    return 0


def _shown(results: pd.DataFrame) -> str:
    """The first rows: what was asked about (the first column of text), who answered, and what."""
    asked = results.columns[: results.columns.get_loc(f"{results.attrs['prsm']['prefix']}model")]
    prefix = results.attrs["prsm"]["prefix"]
    first = next((name for name in asked if results[name].dtype == "string" or results[name].dtype == object), asked[0])
    wanted = results.head(PRINTED)[[first, *(f"{prefix}{name}" for name in _ANSWER)]]
    rows = [(row[0], row[1], row[3] if lacks(row[2]) else row[2]) for row in wanted.itertuples(index=False)]
    more = f"\n… and {len(results) - PRINTED:,} more; --out keeps them all" if len(results) > PRINTED else ""
    return table((str(first), "model", "answer"), rows) + more


def summary(found: pd.DataFrame, ways: Sequence[str]) -> str:
    """Return what `summarize` found as a table of text."""
    rows = [
        (*(str(line[name]) for name in ways), f"{line['n']:,}", f"{line['failed']:,}", usd(line["cost_per_1k"]),
         form.took(_number(line["latency_p50_ms"])) or "–", form.took(_number(line["latency_p95_ms"])) or "–")
        for line in found.to_dict("records")
    ]  # fmt: skip
    return table((*ways, "rows", "failed", "per 1,000", "p50", "p95"), rows, figures=5)


def _number(value: Any) -> float | None:
    return None if lacks(value) else float(value)


def table(headings: Sequence[str], rows: Sequence[Sequence[object]], *, figures: int = 0) -> str:
    """Columns in line, the last `figures` to the right; a model's text stays on its line and obeys no terminal."""
    first = [[render.line(cell, longest=WIDEST) for cell in row[:-1]] for row in (headings, *rows)]
    taken = sum(max(len(row[n]) for row in first) + 2 for n in range(len(headings) - 1))
    room = max(WIDEST, shutil.get_terminal_size((100, 20)).columns - taken)  # the last column has what is left
    last = [render.line(row[-1], longest=room) for row in (headings, *rows)]
    cells = [[*row, end] for row, end in zip(first, last, strict=True)]
    widths = [max(len(row[n]) for row in cells) for n in range(len(headings))]
    left = len(headings) - figures

    def line(row: Sequence[str]) -> str:
        padded = (c.ljust(w) if n < left else c.rjust(w) for n, (c, w) in enumerate(zip(row, widths, strict=True)))
        return "  ".join(padded).rstrip()

    rule = "  ".join("─" * width for width in widths)
    return "\n".join([line(cells[0]), rule, *map(line, cells[1:])])


def lacks(value: Any) -> bool:
    """Is it not known?"""
    import pandas as pd

    return bool(pd.isna(value))


def usd(value: Any) -> str:
    """Write a sum; what is not known is said."""
    return "unknown" if lacks(value) else form.money(float(value))
