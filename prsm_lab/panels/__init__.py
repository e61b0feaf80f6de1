"""Panels of a notebook: what a person sees and clicks in a cell, as `lab.panels.stream(["gpt-4", "claude-haiku-4-5"])`.

Each has a state that works without a notebook, a live page, and a static form that a saved notebook keeps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from prsm_lab.client import AsyncClient, Client
    from prsm_lab.frames.prompts import Prompt
    from prsm_lab.panels.batch_panel import BatchPanel
    from prsm_lab.panels.compare_panel import ComparePanel
    from prsm_lab.panels.providers_panel import ProvidersPanel
    from prsm_lab.panels.stream_panel import StreamPanel
    from prsm_lab.panels.usage_panel import UsagePanel

__all__ = ["batch", "compare", "providers", "stream", "usage"]


def batch(
    data: object, prompt: Prompt | Mapping[str, Prompt], *, model: str | None = None, models: Sequence[str] = (),
    system: str | None = None, start: bool = False, **options: Any,
) -> BatchPanel:  # fmt: skip
    """Start, watch and stop a run over rows; the cell returns at once, the frame is there when the run ends.

    The same call is the same run: a cell that is run again shows the job that runs already, and a run that was
    stopped goes on where it was, in this kernel or the next.

    Args:
        data: DataFrame, list, path, or a dataset's name, as in `lab.batch`.
        prompt: Template over column names; with `models`, also a dict from a name to a prompt.
        model: The one model, as in `lab.batch`.
        models: Several, as in `lab.compare`; `grid` and `samples` are options then.
        system: Template of a system message.
        start: Start at once, without the button.
        **options: As in `lab.batch` and `lab.compare`, `client` among them.

    Returns:
        The panel: `start`, `stop`, `wait`, `result()`; `frame` is None until it has ended.

    Raises:
        InvalidRequestError: Naming the parameter that is wrong.

    >>> import prsm_lab as lab
    >>> client = lab.Client(mock_mode=True, ledger=":memory:")
    >>> panel = lab.panels.batch(["one", "two"], "{text}", model="gpt-4", client=client, start=True)
    >>> len(panel.result())
    2
    """
    from prsm_lab.client import default_client
    from prsm_lab.panels import batch_panel

    options["client"] = options.get("client") or default_client()
    panel = batch_panel.of(data, prompt, model=model, models=models, system=system, options=options)
    if start:
        panel.start()
    return panel


def compare(
    results: pd.DataFrame, *, reference: str | None = None, voter: str = "me", client: Client | None = None
) -> ComparePanel:
    """Walk through the rows of a comparison side by side, and vote on pairs without knowing who wrote what.

    Votes are written to the ledger one by one: the same results find them again, in this kernel or the next. With each
    vote the panel shows `lab.leaderboard`'s strengths and their 95 % intervals, without names while you vote.

    Args:
        results: What `lab.compare`, `lab.batch` or `lab.load` returned, scored or not.
        reference: Column of the right answers; default one that is called so (`reference`, `answer`, `expected` …).
        voter: Who votes, for `verdicts()`.
        client: Whose ledger keeps the votes; default the process-wide client.

    Returns:
        The panel: `verdicts()` is the votes as a frame, `to_frame()` the results with `human_score`.

    Raises:
        InvalidRequestError: If the results are not whole, or there is no such column.

    >>> import prsm_lab as lab
    >>> client = lab.Client(mock_mode=True, ledger=":memory:")
    >>> results = lab.compare(["hi"], "{text}", models=["gpt-4", "gpt-4o"], client=client, progress=False)
    >>> lab.panels.compare(results, client=client)
    <ComparePanel 1 rows × 2 variants, 0 votes>
    """
    from prsm_lab.client import default_client
    from prsm_lab.panels.compare_panel import ComparePanel

    return ComparePanel(results, reference=reference, voter=voter, client=client or default_client())


def providers(client: Client | AsyncClient | None = None) -> ProvidersPanel:
    """See where keys come from, set them, try them out, and choose who is asked first.

    A key that is typed is sent to the kernel beside the message, kept by the client and, on request, the system's
    keyring; the page forgets it at once, and neither the saved notebook nor the panel holds it.

    Args:
        client: Whose providers; default the process-wide client.

    Returns:
        The panel: `reach`, `add`, `forget`, `test`, `prefer`, `wait` work in code as the buttons do. A remote client's
        shows where the keys are, and sets who is asked.

    >>> import prsm_lab as lab
    >>> client = lab.Client(mock_mode=True, ledger=":memory:")
    >>> panel = lab.panels.providers(client)
    >>> panel.prefer("openai", ["anthropic"], quality_threshold=0.85)
    >>> print(panel.code())
    client.inference.configure_providers({"primary": "openai", "fallback": ["anthropic"], "quality_threshold": 0.85})
    """
    from prsm_lab.client import default_client
    from prsm_lab.panels.providers_panel import ProvidersPanel

    return ProvidersPanel(client or default_client())


def stream(
    models: Sequence[str], *, client: Client | None = None, system: str = "", prompt: str | None = None, **options: Any
) -> StreamPanel:
    """Ask several models at once and watch their answers being written, side by side.

    Args:
        models: Names of models, or `provider/model`; more can be chosen in the panel.
        client: Who asks; default the process-wide client.
        system: A system message for all.
        prompt: A first question, asked at once.
        **options: Options of `create`: `temperature`, `max_tokens` …

    Returns:
        The panel: `ask`, `stop`, `wait`, `to_frame` work in code as the buttons do.

    Raises:
        NotFoundError: If a model is unknown; it names the nearest.

    >>> import prsm_lab as lab
    >>> panel = lab.panels.stream(["gpt-4"], client=lab.Client(mock_mode=True, ledger=":memory:"), prompt="Hello")
    >>> panel.wait().to_frame()["model"].tolist()
    ['gpt-4']
    """
    from prsm_lab.client import default_client
    from prsm_lab.panels.stream_panel import StreamPanel

    panel = StreamPanel(client or default_client(), models, system=system, options=options)
    if prompt is not None:
        panel.ask(prompt)
    return panel


def usage(timeframe: str = "last_30_days", *, client: Client | None = None) -> UsagePanel:
    """Look at cost, requests, success and speed: by day, by model, by key.

    Args:
        timeframe: `last_24_hours`, `last_7_days`, `last_30_days`, `all`, or `ISO/ISO` in UTC.
        client: Whose ledger; default the process-wide client. A remote one shows what its key may see.

    Returns:
        The panel: `look`, `refresh`, `to_frame(by)`, `figure(by)`.

    Raises:
        InvalidRequestError: If the timeframe is none.

    >>> import prsm_lab as lab
    >>> lab.panels.usage("last_24_hours", client=lab.Client(mock_mode=True, ledger=":memory:"))
    <UsagePanel last_24_hours: 0 requests>
    """
    from prsm_lab.client import default_client
    from prsm_lab.panels.usage_panel import UsagePanel

    return UsagePanel(client or default_client(), timeframe)
