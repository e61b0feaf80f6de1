"""The terminal's runs: `batch`, `compare`, `estimate`, `retry`, `report`, `runs` and `usage`."""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from prsm_lab import console
from prsm_lab.errors import InvalidRequestError
from prsm_lab.types import shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pandas as pd

    from prsm_lab.client import Client

_NAMED: Final = re.compile(r"([A-Za-z][\w-]*)=(.*)", re.DOTALL)
_ONE_QUESTION: Final = ("max_tokens", "temperature", "top_p", "seed", "stop", "provider", "fallback_providers")
_RUN: Final = ("max_cost", "run", "fresh", "max_concurrency", "rpm", "tpm", "prefix")


# ------------------------------------------------------------------------------------------------- what is typed


def _days(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 99_999:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of days; give 1 or more.")
    return int(text)


def add(commands: Any, command: Any) -> None:
    """Add the commands to a parser's; `command` makes one."""
    batch = command(commands, "batch", _batch, "ask one model about every row")
    _question(batch)
    batch.add_argument(
        "--mode", choices=("realtime", "provider_batch"), help="provider_batch: half price, within a day"
    )
    batch.add_argument("--deadline", help="with provider_batch: 24h, 90m; then stragglers are asked in real time")
    compare = command(commands, "compare", _compare, "ask several models, prompts or settings, and sum up")
    estimate = command(commands, "estimate", _estimate, "what a run will cost; nothing is asked")
    for several in (compare, estimate):
        _question(several)
        several.add_argument("--grid", action="append", default=[], metavar="NAME=V,V", help="temperature=0,0.7")
        several.add_argument("--samples", type=int, default=1, help="ask each so often")
    estimate.add_argument("--pilot", type=int, default=0, help="ask so many rows for real, and learn from them")
    retry = command(commands, "retry", _retry, "ask the failed rows of a run again")
    retry.add_argument("run", help="its id or name")
    retry.add_argument("--errors", help="comma list of codes: rate_limit,timeout")
    retry.add_argument("--max-cost", type=float, metavar="USD")
    _output(retry)
    report = command(commands, "report", _report, "write a run down as one HTML or Markdown file")
    report.add_argument("run", help="its id or name")
    report.add_argument("--out", type=Path, default=Path("report.html"), help=".html or .md")
    report.add_argument("--score", action="append", metavar="SCORER", help="exact, contains, numeric …")
    report.add_argument("--reference", default="answer", help="column with right answers")
    report.add_argument("--baseline", metavar="VARIANT", help="what the others are compared with")
    report.add_argument("--title")
    runs = command(commands, "runs", _runs, "past runs")
    runs.add_argument("--limit", type=_count, default=console.PRINTED)
    runs.add_argument("--json", action="store_true")
    usage = command(commands, "usage", _usage, "what it cost")
    usage.add_argument("--days", type=_days, default=30, help="the last so many (30)")
    usage.add_argument("--by", help="comma list of model, provider, key, day")
    usage.add_argument("--json", action="store_true")


def _question(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", help="csv, tsv, jsonl or parquet file, a dataset's name, or - for standard input")
    parser.add_argument(
        "--prompt", required=True, action="append", help='"Answer: {question}", or @file; several: name="…"'
    )
    parser.add_argument("--system", help="system message, or @file")
    parser.add_argument("--model", required=True, action="append")
    parser.add_argument("--limit", type=_count, help="only the first rows")
    asked = parser.add_argument_group("each question")
    asked.add_argument("--max-tokens", type=int)
    asked.add_argument("--temperature", type=float)
    asked.add_argument("--top-p", type=float)
    asked.add_argument("--seed", type=int)
    asked.add_argument("--stop", action="append")
    asked.add_argument("--schema", type=Path, metavar="FILE", help="JSON schema that answers must fit")
    asked.add_argument("--provider", help="ask here, whatever the model's name suggests")
    asked.add_argument("--fallback", action="append", dest="fallback_providers", metavar="PROVIDER")
    run = parser.add_argument_group("the run")
    run.add_argument("--max-cost", type=float, metavar="USD", help="never spend more")
    run.add_argument("--run", metavar="NAME", help="it reuses its own answers only")
    run.add_argument("--fresh", action="store_true", help="ask anew what is already answered")
    run.add_argument("--max-concurrency", type=int, default=16)
    run.add_argument("--rpm", type=int, help="requests a minute, at most")
    run.add_argument("--tpm", type=int, help="tokens a minute, at most")
    run.add_argument("--prefix", help="put before the result columns, where the data has columns of their names")
    run.add_argument("--emulate", action="store_true", help="simulate the providers: no keys, no cost")
    _output(parser)


def _output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", metavar="FILE", help=".csv, .jsonl or .parquet; - for JSON lines on standard output")


def _options(given: argparse.Namespace) -> dict[str, Any]:
    names = (*_ONE_QUESTION, *_RUN, "mode", "deadline")
    options = {name: value for name in names if (value := getattr(given, name, None)) is not None}
    if given.system is not None:
        options["system"] = _text(given.system)
    if given.schema is not None:
        options["schema"] = _parsed(given.schema.read_text("utf-8"), f"--schema {given.schema}")
    return options


def _text(given: str) -> str:
    """Text as it is, or what a file holds that is named with @."""
    return Path(given[1:]).read_text("utf-8") if given.startswith("@") else given


def _prompts(given: Sequence[str]) -> str | dict[str, str]:
    """One prompt, or several by their names."""
    named = [_NAMED.fullmatch(one) for one in given]
    if len(given) == 1 and named[0] is None:
        return _text(given[0])
    made: dict[str, str] = {}
    for n, (one, found) in enumerate(zip(given, named, strict=True), 1):
        name = found[1] if found else f"prompt {n}"
        if name in made:
            raise InvalidRequestError(f"Two prompts are called {name!r}; give each --prompt NAME=… its own name.")
        made[name] = _text(found[2] if found else one)
    return made


def _grid(given: Sequence[str]) -> dict[str, list[Any]]:
    found = {}
    for one in given:
        name, equals, values = one.partition("=")
        if not equals:
            raise InvalidRequestError(f"--grid {one!r} is none; write --grid temperature=0,0.7.")
        found[name.replace("-", "_")] = [_value(value) for value in values.split(",")]
    return found


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _rows(given: argparse.Namespace) -> pd.DataFrame:
    from prsm_lab.frames import data

    if given.data == "-":
        lines = [(n, line) for n, line in enumerate(sys.stdin.read().split("\n"), 1) if line.strip()]
        is_json = bool(lines) and lines[0][1].lstrip().startswith("{")
        table = data.frame([_record(n, line) if is_json else line.rstrip("\r") for n, line in lines])
    else:
        table = data.frame(given.data)
    return table if given.limit is None else table.head(given.limit)


def _record(number: int, line: str) -> dict[str, Any]:
    found = _parsed(line, f"Line {number} of standard input")
    if not isinstance(found, dict):
        raise InvalidRequestError(f"Line {number} of standard input is no JSON object, as the first line is.")
    return found


def _parsed(text: str, what: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as fault:
        raise InvalidRequestError(f"{what} is no JSON: {fault}") from fault


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no number of rows")
    return int(text)


@contextlib.contextmanager
def _client(given: argparse.Namespace) -> Iterator[Client]:
    """The process's client, or one that asks an emulator."""
    from prsm_lab.client import Client, default_client

    if not getattr(given, "emulate", False):
        yield default_client()
        return
    from prsm_lab import emulator

    with emulator.start(latency_scale=0.3) as running, Client(providers=running.providers()) as client:
        yield client


# ------------------------------------------------------------------------------------------------ what is done


def _batch(given: argparse.Namespace) -> int:
    from prsm_lab import frames

    if len(given.model) > 1:
        raise InvalidRequestError("batch asks one model; use compare for several.")
    if len(given.prompt) > 1:
        raise InvalidRequestError("batch takes one prompt; use compare for several.")
    console.check(given.out)
    with _client(given) as client:
        asked, prompt = _rows(given), _text(given.prompt[0])
        job: Any = frames.batch(
            asked, prompt, model=given.model[0], client=client, background=True, **_options(given)
        )  # fmt: skip
        return console.written(console.watched(job), given.out)


def _compare(given: argparse.Namespace) -> int:
    from prsm_lab import frames

    console.check(given.out)
    with _client(given) as client:
        job: Any = frames.compare(
            _rows(given), _prompts(given.prompt), models=given.model, grid=_grid(given.grid), samples=given.samples,
            client=client, background=True, **_options(given),
        )  # fmt: skip
        results = console.watched(job)
    code = console.written(results, given.out)
    notes = results.attrs["prsm"]
    ways = [notes["prefix"] + name for name in notes["variants"] if name != "sample"]
    console.say(f"\n{console.summary(frames.summarize(results, by=ways), ways)}")
    return code


def _estimate(given: argparse.Namespace) -> int:
    from prsm_lab import frames

    console.check(given.out)
    options = _options(given)
    with _client(given) as client:
        found = frames.estimate(
            _rows(given), _prompts(given.prompt), models=given.model, grid=_grid(given.grid), samples=given.samples,
            pilot=given.pilot, client=client, **options,
        )  # fmt: skip
    if given.out is not None:
        return console.kept(found, given.out)
    for n, line in enumerate(found.to_dict("records")):
        ways = [str(line[name]) for name in found.columns[: list(found.columns).index("rows")]]
        print(("\n" if n else "") + " · ".join(ways))
        for name, words in _estimated({str(name): value for name, value in line.items()}):
            print(f"  {name:<12}{words}")
    return 0


def _estimated(line: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """An estimate in words, a line each."""
    known, error = line["known"], line["prompt_tokens_error"]
    yield "questions", f"{line['questions']:,}" + (f", {known:,} of them answered already" if known else "")
    yield "prompts", f"{line['prompt_tokens']:,} tokens" + ("" if console.lacks(error) else f" ± {error:.0%}")
    lengths = [line[f"completion_{part}"] for part in ("low", "expected", "high")]
    low, expected, high = ("–" if console.lacks(value) else f"{value:,.0f}" for value in lengths)
    yield "answers", f"{expected} tokens each ({low} to {high})"
    costs = [console.usd(line[f"cost_{part}"]) for part in ("expected", "low", "high", "worst")]
    yield "cost", "{} ({} to {}, never above {})".format(*costs)
    if not console.lacks(line["batch_cost_expected"]):
        yield "in batches", console.usd(line["batch_cost_expected"])
    if not console.lacks(line["seconds_expected"]):
        yield "time", f"{line['seconds_expected']:,.1f} s"
    for n, part in enumerate(str(line["basis"]).split("; ")):
        yield "" if n else "from", part


def _retry(given: argparse.Namespace) -> int:
    from prsm_lab import frames

    console.check(given.out)
    with contextlib.redirect_stdout(sys.stderr):
        codes = None if given.errors is None else given.errors.split(",")
        results = frames.retry(given.run, codes, max_cost=given.max_cost, progress=sys.stderr.isatty())
    return console.written(results, given.out)


def _report(given: argparse.Namespace) -> int:
    from prsm_lab import frames, reporting

    results = frames.load(given.run)
    if given.score:
        results = frames.score(results, given.score, given.reference)
    written = reporting.report(results, given.out, title=given.title or f"Run {given.run}", baseline=given.baseline)
    print(written.resolve())
    return 0


def _runs(given: argparse.Namespace) -> int:
    from prsm_lab import frames

    found = frames.runs().head(given.limit)
    if given.json:
        print(found.to_json(orient="records", date_format="iso"))
        return 0
    rows = [
        (row.run, "" if console.lacks(row.name) else row.name, row.kind, f"{row.created:%Y-%m-%d %H:%M}",
         f"{row.answered:,} / {row.questions:,}", f"{row.failed:,}", console.usd(row.cost))
        for row in found.itertuples(index=False)
    ]  # fmt: skip
    print(console.table(("run", "name", "kind", "begun (UTC)", "answered", "failed", "cost"), rows, figures=3))
    return 0


def _usage(given: argparse.Namespace) -> int:
    from prsm_lab.client import default_client

    groups = given.by.split(",") if given.by else ()
    report = default_client().inference.analytics(f"last_{given.days}_days", group_by=groups)
    if given.json:
        print(report.to_frame().to_json(orient="records"))
        return 0
    if groups:
        lines = [
            (*(str(one[name] or "–") for name in groups), f"{one['total_requests']:,}",
             shown.paid(one["total_cost"], one["unpriced_requests"]),
             "–" if one["success_rate"] is None else f"{one['success_rate']:.1%}",
             shown.took(one["p50_latency_ms"]) or "–", shown.took(one["p95_latency_ms"]) or "–")
            for one in report.groups
        ]  # fmt: skip
        print(console.table((*groups, "requests", "cost", "answered", "p50", "p95"), lines, figures=5))
        return 0
    for name in report.__struct_fields__:
        if name != "groups":
            value = getattr(report, name)
            print(f"{name:20} {'–' if value is None else value}")
    return 0
