"""A run in the background: watched, retuned, paused, cancelled, awaited, found again."""

from __future__ import annotations

import gc
import threading
import time

import pandas as pd
import pytest

import prsm_lab as lab
from prsm_lab import emulator, errors
from prsm_lab.emulator import Rule

MODEL = "gpt-4.1-mini"
ROWS = pd.DataFrame({"q": [f"Number {n}?" for n in range(40)]})


@pytest.fixture(scope="module")
def emu():
    with emulator.start(latency_scale=0.02) as running:
        yield running


@pytest.fixture
def client(emu):
    emu.clear()
    with lab.Client(providers=emu.providers(), ledger=":memory:", max_retries=0) as made:
        yield made


def begin(client, rows=ROWS, **options):
    options = {"model": MODEL, "max_tokens": 20, "max_concurrency": 4, "background": True, **options}
    return lab.batch(rows, "{q}", client=client, **options)


def until(true, seconds: float = 10.0) -> None:
    """Wait for something that another thread does."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came"
        threading.Event().wait(0.005)


def test_the_call_returns_at_once_and_the_frame_is_that_of_the_call_that_waits(client):
    """Same rows, same columns, same answers."""
    job = begin(client)
    found = job.result(timeout=30)
    waited = lab.batch(ROWS, "{q}", client=client, model=MODEL, max_tokens=20, progress=False)

    assert (job.state, job.progress.done, job.progress.asked) == ("done", 40, 40)
    pd.testing.assert_frame_equal(found, waited)
    assert job.progress.spent_usd == pytest.approx(found["cost"].sum())
    assert repr(job).startswith(f"<Job {job.id} done: 40 of 40 rows, 0 failed, $0.0")


async def test_it_can_be_awaited_on_any_loop(client):
    """Twice, too."""
    job = begin(client)

    assert len(await job) == 40
    pd.testing.assert_frame_equal(await job, job.result())


def test_results_so_far_are_a_frame_of_all_rows(client, emu):
    """Those that are not answered yet are NA; nothing is asked for it."""
    emu.add(Rule("hang", contains="Number 39?"))
    job = begin(client)
    until(lambda: job.progress.done == 39)
    found = job.results()

    assert (len(found), found["response"].notna().sum(), found["error"].notna().sum()) == (40, 39, 0)
    assert pd.isna(found["response"].iloc[39])
    job.cancel()


def test_cancelling_stops_the_providers_and_the_same_call_asks_the_rest(client, emu):
    """What was answered is kept."""
    emu.add(Rule("hang", contains="Number 3"))
    job = begin(client)
    until(lambda: emu.log.open_requests == 4)
    job.cancel()
    found = job.result(timeout=10)
    emu.log.wait_for(lambda log: log.open_requests == 0)
    answered = found["response"].notna().sum()
    emu.clear()
    whole = begin(client).result(timeout=30)

    assert (job.state, job.progress.done) == ("stopped", answered)
    assert whole["response"].notna().all()
    assert len(emu.log.arrivals()) == 40 - answered


def test_a_pause_sends_nothing_new_and_a_resumed_run_ends(client, emu):
    """What is in flight when it is paused comes in."""
    job = begin(client)
    until(lambda: job.progress.done >= 5)
    job.pause()
    emu.log.wait_for(lambda log: log.open_requests == 0)
    until(lambda: job.progress.done == len(emu.log.arrivals()))
    paused = job.progress.done

    assert (job.state, paused < 40) == ("paused", True)
    job.resume()
    assert job.result(timeout=30)["response"].notna().all()
    assert len(emu.log.arrivals()) == 40


def test_concurrency_can_be_changed_while_it_runs(client, emu):
    """More are in flight at once; the provider sees them."""
    emu.add(Rule("hang"))
    job = begin(client, timeout=60)
    emu.log.wait_for(lambda log: log.open_requests == 4)
    job.max_concurrency = 9
    emu.log.wait_for(lambda log: log.open_requests == 9)

    assert (job.max_concurrency, emu.log.max_open) == (9, 9)
    with pytest.raises(errors.InvalidRequestError, match="max_concurrency"):
        job.max_concurrency = 0
    job.cancel()
    job.result(timeout=10)


def test_the_cap_can_be_lowered_while_it_runs(client, emu):
    """Rows that there is no money for are not sent."""
    job = begin(client, max_cost=1.0)
    until(lambda: job.progress.done >= 3)
    job.max_cost = 0.0
    found = job.result(timeout=30)

    assert (found["error_code"] == "budget_exceeded").sum() == job.progress.not_sent > 10
    assert job.max_cost == 0.0


def test_the_same_call_finds_the_job_that_is_at_it(client, emu):
    """In this process by its id, too; another setting for the same run is refused while it runs."""
    emu.add(Rule("hang"))
    job = begin(client)

    assert begin(client) is job is lab.job(job.id, client=client)
    with pytest.raises(errors.InvalidRequestError, match="at work already"):
        begin(client, max_concurrency=5)
    job.cancel()
    job.result(timeout=10)
    with pytest.raises(errors.NotFoundError, match=r"lab\.load\('run_x'\)"):
        lab.job("run_x", client=client)


def test_who_waits_too_shortly_is_told_and_the_run_goes_on(client, emu):
    """Waiting has an end, the run has not."""
    emu.add(Rule("hang", contains="Number 39?"))
    job = begin(client)
    with pytest.raises(TimeoutError, match="it goes on"):
        job.result(timeout=0.05)

    assert job.state == "running"
    job.cancel()


def test_what_keeps_it_from_beginning_is_raised_where_it_is_waited_for(client):
    """An unknown model."""
    job = begin(client, model="gpt-4.1-mini", provider="nobody")
    with pytest.raises(errors.InvalidRequestError, match="Unknown provider"):
        job.result(timeout=10)

    assert job.state == "failed"


def test_nobody_needs_to_hold_on_to_it(client):
    """The run keeps itself alive, and is found by its id."""
    run = begin(client).id
    gc.collect()

    assert len(lab.job(run, client=client).result(timeout=30)) == 40


def test_it_shows_itself_as_a_line_of_figures(client):
    """Escaped, aligned, without a kernel."""
    job = begin(client)
    job.result(timeout=30)

    assert "40 / 40" in job._repr_html_()
    assert job.progress.eta_seconds == 0
