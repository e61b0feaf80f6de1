"""Questions that begin alike are asked together, after one that fills the provider's prompt cache."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import prsm_lab as lab
from prsm_lab import emulator
from prsm_lab.frames.prefixes import waves
from prsm_lab.types import Request

LONG = "These are the rules of the house, and there are many of them. " * 200
ROWS = pd.DataFrame({"q": [f"Question {n}?" for n in range(12)]})


@pytest.fixture(scope="module")
def emu():
    with emulator.start(latency_scale=0.02, prompt_cache=True) as running:
        yield running


@pytest.fixture
def client(emu):
    emu.clear()
    with lab.Client(providers=emu.providers(), ledger=":memory:", max_retries=0) as made:
        yield made


@pytest.mark.parametrize("model", ["gpt-4.1-mini", "claude-haiku-4-5"])
def test_all_but_the_first_are_served_by_the_providers_cache(client, emu, model, capsys):
    """The first is answered before the second is sent; share and saving are said, and the costs are right."""
    system = f"{model}. {LONG}"
    found = lab.batch(ROWS, "{q}", system=system, model=model, client=client, max_tokens=20)
    first, others = found.iloc[0], found.iloc[1:]
    entries = sorted(emu.log.arrivals(), key=lambda entry: entry.arrived)
    totals = found.attrs["prsm"]["totals"]

    assert entries[0].done < entries[1].arrived
    assert (others["cached_tokens"] > 2000).all()
    assert not first["cached_tokens"]
    assert others["cost"].max() < 0.6 * first["cost"]
    assert totals["cached_share"] == pytest.approx(found["cached_tokens"].sum() / found["prompt_tokens"].sum())
    assert totals["cache_saved_usd"] > 0.4 * first["cost"] * 11 * 0.5
    assert "of the prompts cached, $0.0" in capsys.readouterr().out


def test_rows_about_one_document_follow_each_other(client, emu):
    """Four documents, shuffled; each is read once and then from the cache."""
    documents = {name: f"{name}: {LONG}" for name in "abcd"}
    rows = pd.DataFrame([
        {"document": documents[name], "q": f"What of {n}?"} for n in range(6) for name in documents
    ])  # fmt: skip
    found = lab.batch(rows, "{document} {q}", model="gpt-4.1-mini", client=client, max_tokens=20, progress=False)

    assert (found["cached_tokens"].fillna(0) > 2000).sum() == len(rows) - 4
    assert found["q"].tolist() == rows["q"].tolist()


def test_short_prompts_are_asked_at_once(client, emu):
    """Nobody waits for a first one; nothing is marked."""
    lab.batch(ROWS, "{q}", model="claude-haiku-4-5", client=client, max_tokens=20, progress=False)

    assert emu.log.max_open > 1
    assert all("cache_control" not in str(entry.body) for entry in emu.log.arrivals())


BEGINNINGS = st.lists(st.sampled_from(["", *(f"{letter} {LONG}" for letter in "abcde")]), max_size=30)


@given(BEGINNINGS, st.integers(1, 5))
def test_every_question_is_in_one_wave_once(beginnings, most):
    """And where somebody goes first, all that follow begin like one who did."""
    requests = [
        Request(model="m", messages=({"role": "user", "content": f"{begin}{n}"},)) for n, begin in enumerate(beginnings)
    ]
    planned = waves(requests, most=most)

    assert sorted(n for wave in planned for part in wave for n in part) == list(range(len(requests)))
    for wave in planned:
        assert len(wave.first) <= most
        if wave.first:
            assert {beginnings[n] for n in wave.then} == {beginnings[n] for n in wave.first}
