"""The failed rows of a run once more, from the ledger alone."""

from __future__ import annotations

import pandas as pd
import pytest

import prsm_lab as lab
from prsm_lab import emulator, errors
from prsm_lab.emulator import Rule

MODEL = "gpt-4.1-mini"
ROWS = pd.DataFrame({"q": [f"Number {n}?" for n in range(12)]})


@pytest.fixture(scope="module")
def emu():
    with emulator.start(latency_scale=0.02) as running:
        yield running


@pytest.fixture
def client(emu):
    emu.clear()
    with lab.Client(providers=emu.providers(), ledger=":memory:", max_retries=0) as made:
        yield made


def batch(client, **options):
    return lab.batch(ROWS, "{q}", client=client, model=MODEL, max_tokens=20, progress=False, **options)


def test_only_the_failed_rows_are_asked_and_only_of_the_classes_that_are_named(client, emu):
    """Two were throttled, one was refused."""
    emu.add(Rule("429", contains="Number 1", times=3), Rule("400", contains="Number 5?", times=1))
    first = batch(client, temperature=0.5)
    emu.clear()
    second = lab.retry(first.attrs["prsm"]["run"], errors=["rate_limit"], client=client, progress=False)
    asked = sorted(entry.prompt for entry in emu.log.arrivals())
    third = lab.retry(first.attrs["prsm"]["run"], client=client, progress=False)

    assert sorted(first["error_code"].dropna()) == ["invalid_request", *["rate_limit"] * 3]
    assert asked == ["Number 10?", "Number 11?", "Number 1?"]
    assert list(second["error_code"].dropna()) == ["invalid_request"]
    assert third["response"].notna().all()
    assert len(emu.log.arrivals()) == 4
    assert {entry.body["temperature"] for entry in emu.log.entries} == {0.5}


def test_the_call_that_made_it_finds_what_was_retried(client, emu):
    """The same questions, under the same fingerprints, whoever may answer them."""
    emu.add(Rule("500", contains="Number 3?", times=2))
    options = {"fallback_providers": ["anthropic"], "fallback_config": {"retry_attempts": 0}}
    emu.add(Rule("500", contains="Number 3?", times=2))
    first = batch(client, **options)
    emu.clear()
    again = lab.retry(first.attrs["prsm"]["run"], client=client, progress=False)
    same = batch(client, **options)

    assert again["response"].notna().all()
    assert len(emu.log.arrivals()) == first["response"].isna().sum()
    assert list(same["inference_id"]) == list(again["inference_id"])


def test_rows_without_money_are_asked_under_a_higher_cap(client):
    """And stay below it."""
    first = batch(client, max_cost=0.0002)
    again = lab.retry(first.attrs["prsm"]["run"], ["budget_exceeded"], max_cost=1.0, client=client, progress=False)

    assert (first["error_code"] == "budget_exceeded").sum() > 0
    assert again["response"].notna().all()


def test_rows_whose_provider_has_moved_are_not_asked(client, emu, tmp_path):
    """Their answers would be filed as another place's."""
    path = tmp_path / "ledger.db"
    with lab.Client(providers=emu.providers(), ledger=path, max_retries=0) as before:
        emu.add(Rule("500", contains="Number 3?", times=1))
        run = batch(before).attrs["prsm"]["run"]
    emu.clear()
    elsewhere = {"openai": {"api_key": "emulated", "base_url": f"{emu.url}/v1"}}  # named otherwise: not the emulator's
    with lab.Client(providers=elsewhere, ledger=path, max_retries=0) as after:
        lab.retry(run, client=after, progress=False)

    assert len(emu.log.arrivals()) == 0


def test_a_run_that_is_none_and_a_client_without_a_ledger_say_so(client, emu):
    """With the remedy."""
    with pytest.raises(errors.NotFoundError, match=r"lab\.runs"):
        lab.retry("nothing", client=client)
    with (
        lab.serve(client, port=0) as share,
        lab.Client(base_url=share.url, api_key=share.new_key("ana")) as remote,
        pytest.raises(errors.InvalidRequestError, match="same call again"),
    ):
        lab.retry("nothing", client=remote)
