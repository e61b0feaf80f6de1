"""`infer`, `batch` and `compare`: rows times ways to ask, asked once each, laid out as a frame.

The async functions are the implementation; the sync ones wait for them and paint the bar meanwhile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Unpack, cast

import pandas as pd

from prsm_lab import ask, checks
from prsm_lab.client import default_client
from prsm_lab.engine import portal
from prsm_lab.errors import InvalidRequestError
from prsm_lab.frames import (
    background,
    convert,
    deciding,
    distribute,
    output,
    partitions,
    plans,
    progress,
    prompts,
    work,
)
from prsm_lab.frames import data as rows_of
from prsm_lab.frames.variants import Variant, variants

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping, Sequence

    from prsm_lab.client import Client
    from prsm_lab.frames.prompts import Prompt


class Shared(ask.Ask, total=False):
    """Options of any run, beside those of each question (`prsm_lab.ask.Ask`)."""

    client: Client | None
    """Who asks; default the process's client (`lab.use`)."""
    max_concurrency: int
    """Most questions in flight; default 16."""
    max_cost: float | None
    """USD that the run may spend, all its sittings together: the worst case of each question is held before it is sent.
    Rows that there is no money for have `error_code="budget_exceeded"`; a higher cap asks them."""
    rpm: int | None
    """Most requests a minute at each model, in every sliding minute; processes that use the same key and ledger count
    together. Default: as many as the provider takes."""
    tpm: int | None
    """Most tokens a minute at each model: prompt and `max_tokens` are reserved, and corrected by the answer's usage."""
    mode: Literal["realtime", "provider_batch"]
    """`provider_batch` asks through the provider's own batches, at half price and within a day. The same call, after a
    killed kernel too, goes on with what waits there. Interrupting it leaves the batches at the provider."""
    deadline: str | float | None
    """With `provider_batch`, from a batch's submission: `"24h"` (default), `"90m"` or seconds. What it has not answered
    by then is cancelled, and asked in real time at list price once the cancel has settled; None: wait for as long as it
    takes, and never pay list price."""
    engine: str | None
    """Where the questions are sent from: `"dask"` or `"ray"` (extras), or another backend of joblib: its workers send
    them, with the keys of their own environment, and every answer is in this process's ledger before the next is asked.
    Default: what `joblib.parallel_config` has set, else this process (`"local"`)."""
    run: str | None
    """Name of the run: it reuses its own answers only. Unnamed runs reuse each other's."""
    fresh: bool
    """Ask anew what is already answered."""
    dedup: bool
    """Ask equal questions once and fill the answer in everywhere (default)."""
    returns: Literal["pandas", "polars", "arrow"]
    """Kind of the frame; default pandas. Polars frames have no index and no attrs; Arrow's metadata has `b"prsm"`."""
    on_error: Literal["record", "raise"]
    """Failed rows have `error` and `error_code` set, or the first one is raised when the run has ended."""
    progress: bool
    """Show a bar and a line at the end (default)."""


class Running(Shared, total=False):
    """Options of `infer`, `batch` and `compare`."""

    background: bool
    """Return a `Job` at once instead of the frame at the end."""
    output: str | os.PathLike[str]
    """A directory for parquet parts, whose `Output` is returned instead of a frame: memory stays flat. The same call
    again asks only what is missing. Each part of 5,000 rows is a run of its own; `max_cost` is for all together."""
    until: Literal["decided"]
    """With `compare`: ask rows in random order, and stop when `score` tells every variant from the first (or the budget
    ends). The intervals hold however often one looks: `attrs["prsm"]["decided"]`."""
    score: str | Callable[[dict[str, Any]], Any]
    """With `until`: a scorer's name, or a function of the row; values between 0 and 1."""
    reference: str
    """With `until`: the column with right answers; default `answer`."""
    alpha: float
    """With `until`: chance that any variant is told from the first that is not; default 0.05."""
    order_seed: int
    """With `until`: draws the order of the rows; default 0."""
    prefix: str
    """Put before the result columns' names, where the data has columns of these names."""


_RUN_OPTIONS = frozenset(Running.__annotations__) - frozenset(ask.Ask.__annotations__)


def infer(
    prompt: str | Sequence[Mapping[str, Any]],
    *,
    model: str | Sequence[str],
    system: str | None = None,
    **options: Unpack[Running],
) -> pd.DataFrame:
    """Ask one question of one or more models; one row per model.

    Args:
        prompt: Text (braces are text here, not holes), or chat messages.
        model: Name, or names.
        system: System message.
        **options: See `Running` and `prsm_lab.ask.Ask`.

    >>> import prsm_lab as lab
    >>> client = lab.Client(mock_mode=True, ledger=":memory:", mock_responses={"gpt-4": {"content": "Hello"}})
    >>> lab.infer("hi", model="gpt-4", client=client, progress=False)["response"].item()
    'Hello'
    """
    return waited(_single(prompt, model, system, options), options)


async def ainfer(
    prompt: str | Sequence[Mapping[str, Any]],
    *,
    model: str | Sequence[str],
    system: str | None = None,
    **options: Unpack[Running],
) -> pd.DataFrame:
    """Ask one question of one or more models; see `infer`."""
    return await _await(_single(prompt, model, system, options), options)


def batch(
    data: object, prompt: Prompt, *, model: str, system: str | None = None, **options: Unpack[Running]
) -> pd.DataFrame:
    """Ask one model about every row; the frame comes back with the answers as columns.

    Args:
        data: DataFrame or Series (pandas, Polars, Arrow), list of texts or dicts, a path, or a dataset's name. A Dask
            DataFrame is asked partition by partition, and comes back as one.
        prompt: Template over column names, chat messages of templates, `lab.col(name)`, or a function of the row; with
            images or PDFs a list, `["What is on {name}?", lab.image("{path}")]`.
        model: Name of the model.
        system: Template of a system message.
        **options: See `Running` and `prsm_lab.ask.Ask`.

    Returns:
        One row per input row, same index and order, input columns kept. `attrs["prsm"]` has run id and totals. After
        the fixed columns, `schema=` adds one for each field, with its type; `tools=` adds `tool_calls`, and
        `on_unsupported="drop"` adds `dropped`: lists, NA where there is nothing.

    Raises:
        ValueError: If the data has a column of a result column's name (remedy: `prefix=`).
        InvalidRequestError: If the prompt names a column that is not there, or an option is wrong.

    >>> import prsm_lab as lab
    >>> client = lab.Client(mock_mode=True, ledger=":memory:", mock_responses={"*": {"content": "4"}})
    >>> lab.batch([{"q": "2 + 2?"}], "{q}", model="gpt-4", client=client, progress=False)["response"].tolist()
    ['4']
    """
    if partitions.of_dask(data):
        return cast(
            "pd.DataFrame",
            partitions.through(data, options, lambda rows, o: batch(rows, prompt, model=model, system=system, **o)),
        )
    if "output" in options:
        return _write(output.Writing(data, options, lambda rows, o: one_model(rows, prompt, model, system, o)))
    return waited(one_model(data, prompt, model, system, options), options)


async def abatch(
    data: object, prompt: Prompt, *, model: str, system: str | None = None, **options: Unpack[Running]
) -> pd.DataFrame:
    """Ask one model about every row; see `batch`."""
    if partitions.of_dask(data):
        return cast(
            "pd.DataFrame",
            await partitions.athrough(
                data, options, lambda rows, o: abatch(rows, prompt, model=model, system=system, **o)
            ),
        )
    if "output" in options:
        return await _awrite(output.Writing(data, options, lambda rows, o: one_model(rows, prompt, model, system, o)))
    return await _await(one_model(data, prompt, model, system, options), options)


def compare(
    data: object, prompt: Prompt | Mapping[str, Prompt], *, models: Sequence[str] | str, system: str | None = None,
    grid: Mapping[str, Sequence[Any]] | None = None, samples: int = 1, **options: Unpack[Running],
) -> pd.DataFrame:  # fmt: skip
    """Ask several models, prompts or settings about every row; one row per input row and variant.

    Args:
        data: As in `batch`.
        prompt: As in `batch`, or a dict from a name to a prompt.
        models: Names of the models.
        system: Template of a system message.
        grid: Option values to vary, e.g. `{"temperature": [0, 0.7]}`; each becomes a column.
        samples: Ask each so many times (column `sample`).
        **options: See `Running` and `prsm_lab.ask.Ask`.

    Returns:
        A long frame, input row by input row, the input's index repeated.

    >>> import prsm_lab as lab
    >>> client = lab.Client(mock_mode=True, ledger=":memory:")
    >>> found = lab.compare(["hi"], "{text}", models=["gpt-4", "claude-3-opus"], client=client, progress=False)
    >>> found["model"].tolist()
    ['gpt-4', 'claude-3-opus']
    """
    if partitions.of_dask(data):
        return cast(
            "pd.DataFrame",
            partitions.through(
                data, options,
                lambda r, o: compare(r, prompt, models=models, system=system, grid=grid, samples=samples, **o),
            ),
        )  # fmt: skip
    if options.get("until") is not None:
        return _decide(
            deciding.Deciding(
                data, options, lambda r, o: many_models(r, prompt, models, system, grid or {}, samples, o)
            ),
            wanted=options.get("progress", True),
        )
    if "output" in options:
        return _write(
            output.Writing(data, options, lambda r, o: many_models(r, prompt, models, system, grid or {}, samples, o))
        )
    return waited(many_models(data, prompt, models, system, grid or {}, samples, options), options)


async def acompare(
    data: object, prompt: Prompt | Mapping[str, Prompt], *, models: Sequence[str] | str, system: str | None = None,
    grid: Mapping[str, Sequence[Any]] | None = None, samples: int = 1, **options: Unpack[Running],
) -> pd.DataFrame:  # fmt: skip
    """Ask several models, prompts or settings about every row; see `compare`."""
    if partitions.of_dask(data):
        return cast(
            "pd.DataFrame",
            await partitions.athrough(
                data, options,
                lambda r, o: acompare(r, prompt, models=models, system=system, grid=grid, samples=samples, **o),
            ),
        )  # fmt: skip
    if options.get("until") is not None:
        return await _adecide(
            deciding.Deciding(
                data, options, lambda r, o: many_models(r, prompt, models, system, grid or {}, samples, o)
            ),
            wanted=options.get("progress", True),
        )
    if "output" in options:
        return await _awrite(
            output.Writing(data, options, lambda r, o: many_models(r, prompt, models, system, grid or {}, samples, o))
        )
    return await _await(many_models(data, prompt, models, system, grid or {}, samples, options), options)


# ------------------------------------------------------------------------------------------- from call to work


def _single(prompt: Any, model: str | Sequence[str], system: str | None, options: Running) -> work.Work:
    given = _literal(prompt) if isinstance(prompt, str) else prompts.plain(prompt)
    empty = pd.DataFrame(index=pd.RangeIndex(1))
    ways = variants(model, given if isinstance(given, str) else lambda _: given, grid={}, samples=1)
    literal = None if system is None else _literal(system)
    return _work(empty, ways, literal, options, kind="infer", index=pd.RangeIndex(len(ways)))


def _literal(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def one_model(data: object, prompt: Prompt, model: str, system: str | None, options: Running) -> work.Work:
    """Make the work of `batch`, which is not begun yet."""
    if not isinstance(model, str):
        raise InvalidRequestError("batch asks one model; use compare for several.", details={"parameter": "model"})
    if isinstance(prompt, dict):
        raise InvalidRequestError("batch takes one prompt; use compare for several.", details={"parameter": "prompt"})
    return _work(rows_of.frame(data), variants(model, prompt, grid={}, samples=1), system, options, kind="batch")


def many_models(
    data: object,
    prompt: Any,
    models: Any,
    system: str | None,
    grid: Mapping[str, Sequence[Any]],
    samples: int,
    options: Running,
    *,
    kind: str = "compare",
) -> work.Work:
    """Make the work of `compare`, which is not begun yet."""
    for key in grid:
        if key not in ask.Ask.__annotations__:
            raise checks.unknown_option(key, ask.Ask.__annotations__)
        if key in options:
            raise InvalidRequestError(f"{key} is both an option and in the grid.", details={"parameter": key})
    ways = variants(models, prompt, grid=grid, samples=samples)
    return _work(rows_of.frame(data), ways, system, options, kind=kind)


def _work(
    data: pd.DataFrame, ways: list[Variant], system: str | None, options: Running, *, kind: str, index: Any = None
) -> work.Work:
    known = frozenset(ask.Ask.__annotations__) | _RUN_OPTIONS
    for name in options:
        if name not in known:
            raise checks.unknown_option(name, known)
    settings: dict[str, Any] = {name: value for name, value in options.items() if name in _RUN_OPTIONS}
    client = settings.pop("client", None) or default_client()
    for name in deciding.OWN:
        if settings.pop(name, None) is not None:
            raise InvalidRequestError(f"{name}= goes with compare(…, until='decided').", details={"parameter": name})
    settings.pop("background", None)  # who waits is no matter of the run
    convert.check(settings.pop("returns", "pandas"))
    if settings.pop("output", None) is not None:
        raise InvalidRequestError("output= goes with batch and compare.", details={"parameter": "output"})
    engine = distribute.chosen(settings.pop("engine", None))
    plan = plans.Plan(kind=kind, **settings)
    if plan.mode == "provider_batch":
        engine = None  # the provider works, not we
    question = {name: value for name, value in options.items() if name not in _RUN_OPTIONS}
    return work.Work(client, data, ways, system=system, question=question, plan=plan, index=index, engine=engine)


def waited(asked: work.Work, options: Running) -> pd.DataFrame:
    """Run a work to its frame, and paint the bar meanwhile."""
    if options.get("background"):
        return cast("pd.DataFrame", background.begin(asked))  # who passes background=True knows that it is a Job
    with progress.shown(asked.tally, wanted=asked.plan.progress) as bar:
        portal.call(asked.run(), tick=bar)
    return cast("pd.DataFrame", convert.returned(asked.result(), options.get("returns", "pandas")))


async def _await(asked: work.Work, options: Running) -> pd.DataFrame:
    if options.get("background"):
        return cast("pd.DataFrame", background.begin(asked))
    with progress.shown(asked.tally, wanted=asked.plan.progress) as bar:
        await portal.arun(asked.run(), tick=bar)
    return cast("pd.DataFrame", convert.returned(asked.result(), options.get("returns", "pandas")))


def _write(writing: output.Writing) -> pd.DataFrame:
    for asked in writing.works():
        with progress.shown(asked.tally, wanted=asked.plan.progress) as bar:
            portal.call(asked.run(), tick=bar)
        writing.keep(asked)
    return cast("pd.DataFrame", writing.output)  # who passes output= knows that it is an Output


async def _awrite(writing: output.Writing) -> pd.DataFrame:
    for asked in writing.works():
        with progress.shown(asked.tally, wanted=asked.plan.progress) as bar:
            await portal.arun(asked.run(), tick=bar)
        writing.keep(asked)
    return cast("pd.DataFrame", writing.output)


def _decide(asked: deciding.Deciding, *, wanted: bool) -> pd.DataFrame:
    with progress.rows(asked.rows, wanted=wanted) as bar:
        for step in asked.works():
            portal.call(step.run())
            asked.keep(step)
            bar(asked.asked, asked.short())
    if wanted:
        print(asked.line())
    return asked.result()


async def _adecide(asked: deciding.Deciding, *, wanted: bool) -> pd.DataFrame:
    with progress.rows(asked.rows, wanted=wanted) as bar:
        for step in asked.works():
            await portal.arun(step.run())
            asked.keep(step)
            bar(asked.asked, asked.short())
    if wanted:
        print(asked.line())
    return asked.result()
