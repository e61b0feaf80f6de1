"""The catalogue: names, aliases, capabilities, retirement."""

from __future__ import annotations

import contextlib
import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

import prsm_lab as lab
from prsm_lab import catalog
from prsm_lab.errors import InvalidRequestError, NotFoundError
from prsm_lab.types import Model

SEED = {
    "openai": ["gpt-4-turbo", "gpt-4", "gpt-3.5-turbo", "gpt-3.5-turbo-16k"],
    "anthropic": ["claude-3-opus", "claude-3-sonnet", "claude-3-haiku", "claude-2.1"],
    "huggingface": [
        "microsoft/DialoGPT-large",
        "meta-llama/Llama-2-70b-chat-hf",
        "mistralai/Mixtral-8x7B-Instruct-v0.1",
    ],
}


def test_every_model_of_the_seed_is_known_at_its_provider():
    """With the id that its API takes."""
    for provider, names in SEED.items():
        assert [catalog.find(name).provider for name in names] == [provider] * len(names)
    assert catalog.find("claude-3-haiku").id == "claude-3-haiku-20240307"


@pytest.mark.parametrize(
    ("name", "date", "successor"),
    [
        ("gpt-4", "2026-10-23", "gpt-6-sol"),
        ("gpt-4.1-nano", "2026-10-23", "gpt-6-luna"),
        ("o3-mini", "2026-10-23", "gpt-6-sol"),
        ("gpt-3.5-turbo-16k", "2024-09-13", "gpt-6-luna"),
        ("claude-3-sonnet", "2025-07-21", "claude-sonnet-5-5"),
        ("claude-2.1", "2025-07-21", "claude-sonnet-5-5"),
        ("claude-3-opus", "2026-01-05", "claude-opus-5-5"),
    ],
)
def test_a_retired_model_says_since_when_and_what_came_after(name, date, successor):
    """And the successor is in the catalogue, alive."""
    model = catalog.find(name)

    assert (model.retired, model.successor) == (date, successor)
    assert date in catalog.retirement_note(model)
    assert not catalog.is_retired(catalog.find(successor))
    assert not catalog.is_retired(model, datetime.date(2024, 1, 1))


def test_every_successor_and_stand_in_exists():
    """Data that names nobody helps nobody."""
    for model in catalog.all_models():
        assert model.successor is None or catalog.find(model.successor)
        for provider in ("openai", "anthropic", "huggingface"):
            peer = catalog.equivalent(model, provider)
            assert peer is not None
            assert peer.provider == provider
            assert not catalog.is_retired(peer)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("GPT-4", "gpt-4"), ("gpt-4o-2024-08-06", "gpt-4o"), ("claude-3-opus-20240229", "claude-3-opus"), ("openai/gpt-4", "gpt-4"),
        ("anthropic:claude-2.1", "claude-2.1"), ("Mixtral", "mistralai/Mixtral-8x7B-Instruct-v0.1"), ("openai/gpt-oss-120b", "openai/gpt-oss-120b"),
        ("acme/new-model", "acme/new-model"), ("huggingface/acme/new-model", "acme/new-model"), ("local/other", "local/other"),
    ],
)  # fmt: skip
def test_names_are_read_in_every_form(name, found):
    """Case, dates, prefixes; an `organisation/model` that is not known is the hub's."""
    assert catalog.find(name).name == found


def test_a_fine_tune_takes_what_its_base_takes():
    """Its price is its own."""
    tuned = catalog.find("ft:gpt-4o-mini-2024-07-18:me::abc")

    assert (tuned.provider, tuned.capabilities) == ("openai", catalog.find("gpt-4o-mini").capabilities)


@pytest.mark.parametrize("name", ["gtp-4", "claude-3-opas", "openai/nothing", "ft:nothing:x", "completely-unknown"])
def test_an_unknown_name_is_not_found_and_says_how_to_connect_ones_own(name):
    """With the nearest, where there is one."""
    with pytest.raises(NotFoundError, match="connect its server") as caught:
        catalog.find(name)

    assert name != "gtp-4" or "gpt-4" in caught.value.details["nearest"]


@given(st.text(max_size=40), st.none() | st.sampled_from(["openai", "huggingface", "mine", ""]))
def test_whatever_the_name_only_not_found_comes_out(name, provider):
    """No KeyError from odd names."""
    with contextlib.suppress(NotFoundError):
        assert isinstance(catalog.find(name, provider), Model)


def test_one_can_register_a_model_of_ones_own():
    """With its aliases; the catalogue's frame shows it."""
    catalog.register(Model(name="mine/test-model", provider="mine", id="t", aliases=("testy",)))

    assert catalog.find("testy").id == "t"
    assert "mine/test-model" in set(lab.models()["model"])


def test_the_frame_has_prices_sources_and_nullable_types():
    """`lab.models()`: unknown is NA, free is 0."""
    frame = lab.models().set_index("model")

    assert frame.loc["gpt-4", ["input", "output", "provider", "quality"]].tolist() == [30.0, 60.0, "openai", 0.864]
    assert frame["input"].isna()["mistralai/Mixtral-8x7B-Instruct-v0.1"]
    assert frame.loc["local/smollm2-135m", "input"] == 0.0
    assert "genai-prices" in frame.loc["gpt-4", "price_source"]
    assert {str(kind) for kind in frame.dtypes} == {"string", "Float64", "Int64", "boolean"}
    assert frame["source"].notna().sum() >= 60


def test_quality_can_be_replaced_by_what_one_measured():
    """With its source; nonsense is refused."""
    lab.quality.set("mixtral", 0.5, source="my 300 rows")
    try:
        assert lab.quality.lookup("mistralai/Mixtral-8x7B-Instruct-v0.1") == (0.5, "my 300 rows")
        with pytest.raises(InvalidRequestError):
            lab.quality.set("gpt-4", 86.4)
    finally:
        lab.quality.reset()
