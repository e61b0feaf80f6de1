"""What a token costs: every model and token class against figures worked out by hand and two other tables."""

from __future__ import annotations

import datetime
import json
import warnings
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prsm_lab import catalog
from prsm_lab.catalog import prices
from prsm_lab.errors import InvalidRequestError
from prsm_lab.types import PriceLine, Usage

OTHER = json.loads((Path(__file__).parent / "golden" / "litellm_prices.json").read_text())["rows"]
PRICED = [model for model in catalog.all_models() if model.provider in ("openai", "anthropic") and prices.line(model)]
MILLION = 1_000_000


@pytest.fixture(autouse=True)
def _no_own_prices():
    prices.reset()
    yield
    prices.reset()


@pytest.mark.parametrize("model", PRICED, ids=[model.name for model in PRICED])
def test_each_token_class_costs_what_its_line_says(model):
    """By hand: input, output, cached, written for 5 minutes and for an hour, each alone, below every step."""
    line, n = prices.line(model), 1000
    cost = lambda **counts: prices.cost(Usage(**{"prompt_tokens": 0, "completion_tokens": 0, **counts}), line)  # noqa: E731

    assert cost(prompt_tokens=n) == pytest.approx(n * line.input / 1e6)
    assert cost(completion_tokens=n) == pytest.approx(n * line.output / 1e6)
    assert cost(prompt_tokens=n, cached_tokens=n) == pytest.approx(
        n * (line.cache_read if line.cache_read is not None else line.input) / 1e6
    )
    written = line.cache_write if line.cache_write is not None else line.input
    assert cost(prompt_tokens=n, cache_write_tokens=n) == pytest.approx(n * written / 1e6)
    hour = line.cache_write_1h if line.cache_write_1h is not None else written
    assert cost(prompt_tokens=n, cache_write_tokens=n, cache_write_1h_tokens=n) == pytest.approx(n * hour / 1e6)
    assert cost(completion_tokens=n, reasoning_tokens=n) == cost(completion_tokens=n), "reasoning is part of the output"


@pytest.mark.parametrize("size", [1_000, 150_000, 300_000, MILLION])
@pytest.mark.parametrize("model", PRICED, ids=[model.name for model in PRICED])
def test_the_price_librarys_own_sum_agrees(model, size):
    """genai-prices' calc_price, at four prompt sizes, so that every long-context step is crossed."""
    import genai_prices

    cached, written, out = size * 4 // 10, size // 10 if prices.line(model).cache_write is not None else 0, 10_000
    theirs = genai_prices.calc_price(
        genai_prices.Usage(input_tokens=size, cache_read_tokens=cached, cache_write_tokens=written, output_tokens=out),
        model_ref=model.id, provider_id=model.provider,
    )  # fmt: skip
    ours = prices.cost(
        Usage(prompt_tokens=size, cached_tokens=cached, cache_write_tokens=written, completion_tokens=out),
        prices.line(model),
    )

    assert ours == pytest.approx(float(theirs.total_price), rel=1e-9)


KNOWN_DISAGREEMENTS: dict[tuple[str, str], str] = {}
"""(model, class) -> why the second table differs; empty: it does not."""
ONLY_THERE = {"claude-mythos-5", "claude-mythos-5-1"}
"""Models that genai-prices 0.2.3 does not price: their cost is NA here."""
CLASSES = {
    "input": "input_cost_per_token", "output": "output_cost_per_token", "cache_read": "cache_read_input_token_cost",
    "cache_write": "cache_creation_input_token_cost", "cache_write_1h": "cache_creation_input_token_cost_above_1hr",
}  # fmt: skip


@pytest.mark.parametrize("model", sorted(OTHER))
def test_a_second_table_agrees(model):
    """LiteLLM's cost map, kept by other people from other sources; classes that one of the two lacks are passed over."""
    line = prices.line(model)
    assert (line is None) == (model in ONLY_THERE)
    for ours, theirs in CLASSES.items():
        mine, other = getattr(line, ours, None), OTHER[model].get(theirs)
        if mine is not None and other is not None and (model, ours) not in KNOWN_DISAGREEMENTS:
            assert mine == pytest.approx(other * 1e6), ours


@pytest.mark.parametrize(
    ("model", "usd"),
    [("gpt-5.5", 6.40 + 4.50), ("gpt-6-sol", 2.56 + 1.50), ("gpt-5.4-mini", 0.48 + 0.45), ("claude-sonnet-5-5", 1.24 + 1.00),
     ("claude-opus-5-5", 2.48 + 2.00), ("claude-haiku-4-5", 0.64 + 0.50), ("gpt-4", 30 + 6), ("gpt-4-turbo", 10 + 3),
     ("gpt-3.5-turbo", 0.5 + 0.15), ("gpt-3.5-turbo-16k", 3 + 0.4), ("claude-2.1", 8 + 2.4)],
)  # fmt: skip
def test_a_million_tokens_in_of_which_400_000_cached_and_100_000_out(model, usd):
    """Figures from providers.md §2.8, where two oracles agree, and from the seed models' published prices."""
    cached = 400_000 if prices.line(model).cache_read is not None else 0

    assert prices.cost(
        Usage(prompt_tokens=MILLION, cached_tokens=cached, completion_tokens=100_000), prices.line(model)
    ) == pytest.approx(usd)


def test_prices_of_another_day_are_those_of_that_day():
    """o3 became five times cheaper on 2025-06-10."""
    before, after = (prices.line("o3", when=datetime.date(2025, 6, day)).input for day in (9, 11))

    assert (before, after) == (10.0, 2.0)


@pytest.mark.parametrize(
    "name",
    [
        "mixtral",
        "microsoft/DialoGPT-large",
        "gpt-6.2-sol",
        "ft:gpt-4o-mini-2024-07-18:me::x",
        "claude-3-opus-typo",
        "no-such-model",
    ],
)
def test_what_nobody_publishes_is_unknown_not_nought(name):
    """The library matches loosely (`claude-3-opus-typo` has a price there); we take only ids that we know."""
    assert prices.line(name) is None
    assert prices.cost(Usage(prompt_tokens=1, completion_tokens=1), None) is None


def test_a_model_on_this_machine_is_free():
    """That is known, so it is 0 and not NA."""
    assert prices.cost(Usage(prompt_tokens=10, completion_tokens=10), prices.line("local/smollm2-135m")) == 0.0


@pytest.mark.parametrize(
    "usage",
    [
        Usage(),
        Usage(prompt_tokens=5),
        Usage(completion_tokens=5),
        Usage(prompt_tokens=5, completion_tokens=5, tier="priority"),
    ],
)
def test_missing_counts_and_unknown_tiers_are_unknown(usage):
    """A guess would look like a figure."""
    assert prices.cost(usage, prices.line("gpt-4")) is None


def test_batch_and_flex_are_half_and_a_providers_own_charge_wins():
    """OpenRouter says what it took."""
    usage = {"prompt_tokens": MILLION, "completion_tokens": 0}

    assert prices.cost(Usage(**usage, tier="batch"), prices.line("gpt-4")) == 15.0
    assert prices.cost(Usage(**usage, charged=0.07), prices.line("gpt-4")) == 0.07


def test_an_own_price_replaces_the_lists_and_is_dated():
    """`lab.prices.set`, by name or alias; a wrong figure is refused."""
    prices.set("mixtral", input=0.6, output=0.6, source="my contract")
    line = prices.line("mistralai/Mixtral-8x7B-Instruct-v0.1")

    assert (line.input, line.source, line.date) == (
        0.6,
        "my contract",
        datetime.datetime.now(datetime.UTC).date().isoformat(),
    )
    with pytest.raises(InvalidRequestError):
        prices.set("gpt-4", input=-1, output=1)


def test_an_unpriced_model_is_warned_of_once():
    """With the remedy."""
    with pytest.warns(UserWarning, match=r"lab\.prices\.set\('acme/x'"):
        prices.warn_unpriced("acme/x")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        prices.warn_unpriced("acme/x")


figures = st.none() | st.floats(0, 100)
lines = st.builds(PriceLine, input=st.floats(0, 100), output=st.floats(0, 100), cache_read=figures, cache_write=figures)
counts = st.integers(0, 10**7)


@given(lines, counts, counts, st.floats(0, 1))
def test_a_cost_is_never_negative_grows_with_output_and_stays_below_the_worst_case(line, prompt, completion, share):
    """The worst case bounds it whatever was cached, as long as reading a cache is not dearer than writing it."""
    usage = Usage(prompt_tokens=prompt, completion_tokens=completion, cached_tokens=int(prompt * share))
    cost = prices.cost(usage, line)
    more = prices.cost(
        Usage(prompt_tokens=prompt, completion_tokens=completion + 1, cached_tokens=int(prompt * share)), line
    )

    assert 0 <= cost <= more
    if line.cache_read is None or line.cache_read <= line.input:
        assert cost <= prices.worst_case(prompt, completion, line) * (1 + 1e-12) + 1e-12
