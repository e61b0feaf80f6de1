"""What a token costs: one price line per model from the kept price library, and the sum over a usage.

The library is [genai-prices](https://github.com/pydantic/genai-prices). Its own calculation costs 50 to 80 µs a
request, so a model's line is read once and the sum is ours (checked against theirs in the tests). Only ids of the
catalogue are looked up: the library matches loosely, and `claude-3-opus-typo` must not get a price.

All prices are USD per million tokens; unknown is None.

    >>> from prsm_lab.types import Usage
    >>> cost(Usage(prompt_tokens=1_000_000, completion_tokens=0), line("gpt-4"))
    30.0
"""

from __future__ import annotations

import datetime
import functools
import math
import tomllib
import warnings
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

import msgspec

from prsm_lab import catalog, presets
from prsm_lab.catalog import hours
from prsm_lab.errors import InvalidRequestError, NotFoundError
from prsm_lab.types import Model, PriceLine, Usage

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["cost", "gpu_hour", "line", "reset", "set", "warn_unpriced", "worst_case"]

_FREE: Final = PriceLine(input=0.0, output=0.0, cache_read=0.0, cache_write=0.0, source="runs on this machine")
_LIBRARY_ID: Final = {"openai": "openai", "anthropic": "anthropic"}
_CLASSES: Final[Mapping[str, str]] = {
    "input": "input_mtok", "output": "output_mtok", "cache_read": "cache_read_mtok",
    "cache_write": "cache_write_mtok", "cache_write_1h": "cache_write_1h_mtok",
}  # fmt: skip
TIERS: Final[Mapping[str, float]] = {"default": 1.0, "standard": 1.0, "auto": 1.0, "batch": 0.5, "flex": 0.5}
"""Service tiers whose price follows from the list price. Others (priority, scale) have price lists of their own."""
BATCH_SHARE: Final = 0.5
"""Of every list price, what a token costs in a batch (OpenAI's and Anthropic's price pages, read 2026-11-26)."""

_own: dict[str, PriceLine] = {}
_warned: dict[str, None] = {}


def line(model: Model | str, provider: str | None = None, *, when: datetime.date | None = None) -> PriceLine | None:
    """Return the list price of a model; None where nobody publishes one.

    Args:
        model: A model or its name in the catalogue.
        provider: Its provider, where the name alone does not say.
        when: The day whose prices are meant; default today.
    """
    name = model if isinstance(model, str) else model.name
    if name in _own:
        return _own[name]
    if (rate := hours.rate(name, provider)) is not None:
        return rate.line
    return _listed(name, provider, when or datetime.datetime.now(datetime.UTC).date())


@functools.lru_cache(4096)
def _listed(name: str, provider: str | None, when: datetime.date) -> PriceLine | None:
    try:
        model = catalog.find(name, provider)
    except NotFoundError:
        return None
    if model.provider == "local":
        return _FREE
    if model.price is not None:  # the server itself told it, with its list of models
        return model.price
    if model.name.startswith("ft:"):
        return _fine_tuned(model.id, when)
    library = _LIBRARY_ID.get(model.provider)
    if library is None and catalog.is_registered(model):
        ways = presets.preset(catalog.ways_of(model.provider))
        library = None if ways is None else ways.library
    return None if library is None else _from_library(model.id, library, when)


def _from_library(id: str, library: str, when: datetime.date) -> PriceLine | None:
    from genai_prices import data_snapshot

    snapshot = data_snapshot.get_snapshot()
    moment = datetime.datetime.combine(when, datetime.time(12), datetime.UTC)
    try:
        _, found = snapshot.find_provider_model(id, None, library, None)
    except LookupError:
        return None
    prices = found.get_prices(moment)
    base: dict[str, Any] = {}
    steps: dict[int, dict[str, float]] = {}
    for ours, theirs in _CLASSES.items():
        price = getattr(prices, theirs, None)
        base[ours] = _float(getattr(price, "base", price))
        for tier in getattr(price, "tiers", ()):
            steps.setdefault(int(tier.start), {})[ours] = float(tier.price)
    if base["input"] is None or base["output"] is None:
        return None
    return PriceLine(
        **base,
        steps=tuple(sorted(steps.items())),
        source=f"genai-prices {_version()} ({library}/{found.id})",
        date=when.isoformat(),
    )


def _fine_tuned(id: str, when: datetime.date) -> PriceLine | None:
    """The line of a base model's fine-tunes: the library's, else that of `fine_tuned.toml`; never the base's own."""
    found = _from_library(id, "openai", when)
    if found is not None and "/ft:" in found.source:
        return found
    data = tomllib.loads(files("prsm_lab.catalog").joinpath("fine_tuned.toml").read_text(encoding="utf-8"))
    listed = data["prices"].get(catalog.find(id.split(":")[1]).name)
    return None if listed is None else PriceLine(**listed, source=data["source"], date=data["date"])


@functools.cache
def _version() -> str:
    from importlib.metadata import version

    return version("genai-prices")


def _float(price: Any) -> float | None:
    return None if price is None else float(price)


def cost(usage: Usage, prices: PriceLine | None) -> float | None:
    """Return what a usage costs in USD; None where a price or a count that matters is unknown.

    (prompt − cached − written) · input + cached · cache read + written · cache write + completion · output, the
    prompt's size choosing the price step that holds for the whole request. A provider's own charge wins over any
    table. A cache price that is not listed is the input price (OpenAI's rule for models without a discount).

    Args:
        usage: Tokens as the provider counted them.
        prices: The model's price line.
    """
    if usage.charged is not None:
        return usage.charged
    if prices is not None and prices.input == prices.output == 0 and not prices.steps:
        return 0.0  # however many tokens
    if prices is None or usage.prompt_tokens is None or usage.completion_tokens is None:
        return None
    factor = 1.0 if usage.tier is None else TIERS.get(usage.tier)
    at = _step(prices, usage.prompt_tokens)
    if factor is None or at.input is None or at.output is None:
        return None
    cached, written = usage.cached_tokens or 0, usage.cache_write_tokens or 0
    hour = usage.cache_write_1h_tokens or 0
    read_price = at.input if at.cache_read is None else at.cache_read
    write_price = at.input if at.cache_write is None else at.cache_write
    hour_price = write_price if at.cache_write_1h is None else at.cache_write_1h
    microdollars = (
        max(usage.prompt_tokens - cached - written, 0) * at.input
        + cached * read_price
        + max(written - hour, 0) * write_price
        + hour * hour_price
        + usage.completion_tokens * at.output
    )
    return factor * microdollars / 1e6


def batch_line(prices: PriceLine | None) -> PriceLine | None:
    """Return what the same model costs in a provider's batch: half of its list price, every class of tokens.

    The price library has no lines for batches, so half of the list it is, and the line's source says so.

    Args:
        prices: The model's list price.

    >>> batch_line(PriceLine(input=2.0, output=8.0, source="a list")).source
    'half of the list price, for a batch: a list'
    """
    if prices is None:
        return None

    def half(figure: float | None) -> float | None:
        return None if figure is None else figure * BATCH_SHARE

    return PriceLine(
        **{name: half(getattr(prices, name)) for name in _CLASSES},
        steps=tuple((start, {k: v * BATCH_SHARE for k, v in figures.items()}) for start, figures in prices.steps),
        source=f"half of the list price, for a batch: {prices.source}", date=prices.date,
    )  # fmt: skip


def batch_cost(usage: Usage, prices: PriceLine | None) -> float | None:
    """Return what a usage costs in USD at a line of `batch_line`, which is halved already: the tier `batch` that an
    answer may name does not halve it again."""
    return cost(msgspec.structs.replace(usage, tier=None) if usage.tier == "batch" else usage, prices)


def discount(usage: Usage, prices: PriceLine | None) -> float | None:
    """Return what the provider's prompt cache took off a bill in USD; negative if writing to it cost more.

    >>> line = PriceLine(input=1.0, output=2.0, cache_read=0.1)
    >>> round(discount(Usage(prompt_tokens=1_000_000, completion_tokens=0, cached_tokens=500_000), line), 6)
    0.45
    """
    plain = msgspec.structs.replace(usage, cached_tokens=None, cache_write_tokens=None, cache_write_1h_tokens=None)
    without, paid = cost(plain, prices), cost(usage, prices)
    return None if without is None or paid is None or usage.charged is not None else without - paid


def _step(prices: PriceLine, prompt_tokens: int) -> PriceLine:
    """The prices that hold for a prompt of this size."""
    if not prices.steps:
        return prices
    reached = [figures for start, figures in prices.steps if prompt_tokens > start]
    return _merged(prices, len(reached)) if reached else prices


def _merged(prices: PriceLine, count: int) -> PriceLine:
    merged: dict[str, Any] = {name: getattr(prices, name) for name in _CLASSES}
    for _, figures in prices.steps[:count]:
        merged.update(figures)
    return PriceLine(**merged)


def worst_case(prompt_tokens: int, max_tokens: int, prices: PriceLine | None) -> float | None:
    """Return the most that a request can cost in USD: its prompt at the dearest input price, its limit used up.

    >>> worst_case(1000, 1000, PriceLine(input=1.0, output=2.0))
    0.003
    """
    if prices is None:
        return None
    at = _step(prices, prompt_tokens)
    dearest = PriceLine(input=_max(at.input, at.cache_read, at.cache_write, at.cache_write_1h), output=at.output)
    return cost(Usage(prompt_tokens=prompt_tokens, completion_tokens=max_tokens), dearest)


def _max(*figures: float | None) -> float | None:
    return max((figure for figure in figures if figure is not None), default=None)


def set(  # noqa: A001 -- lab.prices.set is the public name
    model: str,
    *,
    input: float,
    output: float,
    cache_read: float | None = None,
    cache_write: float | None = None,
    source: str = "set by the user",
) -> PriceLine:
    """Give a model a price, or another one than the list's, for this process.

    Args:
        model: The model's name, as you ask for it.
        input: USD per million prompt tokens.
        output: USD per million completion tokens.
        cache_read: USD per million tokens read from the provider's cache; default the input price.
        cache_write: USD per million tokens written to it; default the input price.
        source: Where the price comes from; it is kept with every answer.

    Raises:
        InvalidRequestError: If a price is negative or no number.
    """
    for name, figure in (
        ("input", input),
        ("output", output),
        ("cache_read", cache_read),
        ("cache_write", cache_write),
    ):
        if figure is not None and not (figure >= 0 and math.isfinite(figure)):
            raise InvalidRequestError(
                f"Price {name}={figure!r} is no amount of USD per million tokens.", details={"parameter": name}
            )
    try:
        name = catalog.find(model).name
    except NotFoundError:
        name = model
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    _own[name] = PriceLine(
        input=input, output=output, cache_read=cache_read, cache_write=cache_write, source=source, date=today
    )
    return _own[name]


def gpu_hour(name: str, usd: float, *, source: str = "set by the user") -> PriceLine:
    """Let answers cost the time of a machine that is paid by the hour, for this process.

    An answer costs latency x rate while it is alone; while n are in flight, each is charged an n-th of the passing
    time, so that together they cost the machine's busy hours, once (`engine.metering`). A price of tokens that is set
    for a model goes before.

    Args:
        name: A provider (`"vllm"`), or one of its models (`"vllm/qwen"`) with a machine of its own.
        usd: What an hour of all its GPUs costs; 0 for a machine that costs nothing.
        source: Where the rate comes from; it is kept with every answer.

    Raises:
        InvalidRequestError: If the rate is negative or no number.

    >>> gpu_hour("my_gpu", 2.5).source
    '$2.5 an hour of my_gpu, shared by what is in flight; set by the user'
    """
    return hours.set_rate(name, usd, source)


def reset() -> None:
    """Forget all prices that were set, and which unpriced models were warned of."""
    _own.clear()
    hours.forget()
    _warned.clear()


def warn_unpriced(model: str, prices: PriceLine | None = None) -> None:
    """Warn once per model that its cost is not known: it has no price, or did not say how many tokens it used."""
    if model in _warned:
        return
    _warned[model] = None
    if prices is None:
        why = (
            f"No price is known for {model!r}: its cost is NA. Set one with "
            f"lab.prices.set({model!r}, input=…, output=…) in USD per million tokens."
        )
    else:
        why = f"{model!r} has a price but does not say how many tokens it used: its cost is NA."
    warnings.warn(why, stacklevel=2)
