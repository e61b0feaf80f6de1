"""`lab.estimate` of routers, put together from their models' estimates; and of machines that are paid by the hour."""

from __future__ import annotations

import pandas as pd
import pytest
from statsmodels.stats.proportion import proportion_confint

import prsm_lab as lab
from prsm_lab import emulator
from prsm_lab.catalog import hours
from prsm_lab.emulator import Rule
from prsm_lab.engine import routers, signals
from prsm_lab.frames.router import Report

CHEAP, STRONG = "gpt-4o-mini", "gpt-4.1"
ROWS = pd.DataFrame({"q": [f"{'easy' if n % 4 else 'knotty'} question {n}" for n in range(40)]})
SUMS = ["prompt_tokens", "cost_low", "cost_expected", "cost_high", "cost_worst"]


@pytest.fixture(scope="module")
def emu():
    with emulator.start() as running:
        yield running


@pytest.fixture
def client(emu):
    with lab.Client(providers=emu.providers(), ledger=":memory:", max_retries=0) as made:
        yield made


@pytest.fixture
def estimate(client):
    """`lab.estimate` with this test's client, one row."""
    return lambda model, data=ROWS, **options: lab.estimate(
        data, "{q}", models=[model], client=client, **{"max_tokens": 50, "progress": False, **options}
    ).iloc[0]


def report(share: float, held_out: int) -> Report:
    return Report(
        asked=0.95, confidence=0.9, rows=200, left_out=0, calibrated=100, held_out=held_out, needed=50, share=share,
        cheap=0.8, strong=0.9, kept=(1, 1, 1), saved=(0.4, 0.3, 0.5), curve={},
    )  # fmt: skip


@pytest.fixture
def predictive():
    """Trusts the cheap model with what is easy."""
    rule = routers.Rule(kind="predictive", cheap=CHEAP, strong=STRONG, signal="prompt", threshold=0.6)
    weights = {place: 9.0 for place in signals.features("easy") if place < signals.BUCKETS}
    return lab.Router(routers.with_weights(rule, weights, 0.0), report(0.75, 60))


def cascade(threshold: float | None = -4.0, share: float = 0.8, held_out: int = 60, **fields) -> lab.Router:
    fields = {"signal": "length", **fields}
    rule = routers.Rule(kind="cascade", cheap=CHEAP, strong=STRONG, threshold=threshold, **fields)
    return lab.Router(rule, report(share, held_out))


def test_a_predictive_router_is_asked_about_each_row(estimate, predictive):
    """So its figures are its models' own, each of the rows that it gets."""
    easy = ROWS["q"].str.startswith("easy")
    found = estimate(predictive)
    parts = [estimate(CHEAP, ROWS[easy]), estimate(STRONG, ROWS[~easy])]

    for name in [*SUMS, "batch_cost_expected"]:
        assert found[name] == pytest.approx(sum(part[name] for part in parts)), name
    assert (found["questions"], found["known"]) == (40, 0)
    assert found["basis"].startswith(f"30 to {CHEAP}, 10 to {STRONG} | {CHEAP}: prompt:")


def test_what_a_predictive_router_has_answered_costs_nothing_more(client, estimate, predictive):
    """And of the rest the estimate is what it then costs, within its own range."""
    lab.batch(ROWS[:25], "{q}", model=predictive, client=client, max_tokens=50, progress=False)
    found = estimate(predictive)
    rest = lab.batch(ROWS, "{q}", model=predictive, client=client, max_tokens=50, progress=False)[25:]

    assert (found["questions"], found["known"]) == (40, 25)
    assert found["cost_low"] <= rest["cost"].sum() <= found["cost_high"] <= found["cost_worst"]
    assert found["prompt_tokens"] == pytest.approx(rest["prompt_tokens"].sum(), rel=found["prompt_tokens_error"])


def test_a_cascade_pays_the_cheap_model_always_and_the_strong_one_as_often_as_on_rows_held_out(estimate):
    """With Wilson's interval of that share, by statsmodels."""
    cheap, strong, found = estimate(CHEAP), estimate(STRONG), estimate(cascade(share=0.8))
    low, high = proportion_confint(12, 60, method="wilson")

    assert found["cost_expected"] == pytest.approx(cheap["cost_expected"] + 0.2 * strong["cost_expected"])
    assert found["cost_low"] == pytest.approx(cheap["cost_low"] + low * strong["cost_low"])
    assert found["cost_high"] == pytest.approx(cheap["cost_high"] + high * strong["cost_high"])
    assert found["cost_worst"] == pytest.approx(cheap["cost_worst"] + strong["cost_worst"])
    assert pd.isna(found["batch_cost_expected"]), "a batch cannot look at the cheap answer first"
    assert "20% (12% to 32% on rows held out) to gpt-4.1" in found["basis"]


def test_a_cascade_by_agreement_asks_the_cheap_model_several_times(estimate):
    """Each sample of the row is one answer of it, with all its tokens."""
    cheap, strong = estimate(CHEAP), estimate(STRONG)
    found = estimate(cascade(signal="agreement", samples=3, threshold=0.6), temperature=1.0)

    assert found["cost_expected"] == pytest.approx(3 * cheap["cost_expected"] + 0.2 * strong["cost_expected"], rel=1e-3)
    assert found["completion_high"] == 4 * 50
    assert found["questions"] == 40


def test_a_router_that_trusts_nobody_asks_both_models_everything(estimate):
    """That is what a cascade without a threshold does."""
    both = estimate(CHEAP)["cost_expected"] + estimate(STRONG)["cost_expected"]

    assert estimate(cascade(threshold=None))["cost_expected"] == pytest.approx(both)


def test_of_a_rule_that_nobody_has_tried_only_the_ends_are_known(estimate):
    """Nothing escalates, or everything: the mean is NA."""
    rule = routers.Rule(kind="cascade", cheap=CHEAP, strong=STRONG, signal="length", threshold=-7.0)
    cheap, strong, found = estimate(CHEAP), estimate(STRONG), estimate(routers.register(rule))

    assert pd.isna(found["cost_expected"])
    assert found["cost_low"] == pytest.approx(cheap["cost_low"])
    assert found["cost_high"] == pytest.approx(cheap["cost_high"] + strong["cost_high"])
    assert f"an unknown share to {STRONG}" in found["basis"]


def test_what_is_paid_by_the_hour_costs_the_time_that_it_takes():
    """At the rate, shared by what is in flight; without a known latency nothing is known."""
    with emulator.start(rules=[Rule("slow", seconds=0.2)]) as slow:
        lab.prices.gpu_hour("openai", 3.6)
        try:
            with lab.Client(providers=slow.providers(), ledger=":memory:") as client:
                plan = {"models": [CHEAP], "client": client, "max_tokens": 50, "max_concurrency": 4, "progress": False}
                unknown = lab.estimate(ROWS, "{q}", **plan).iloc[0]
                found = lab.estimate(ROWS, "{q}", pilot=6, timeout=30, **plan).iloc[0]
        finally:
            hours.forget()

    assert unknown[["cost_low", "cost_expected", "cost_high"]].isna().all()
    assert unknown["cost_worst"] == pytest.approx(40 * 3.6 * 60 / 3600), "each alone until its deadline of a minute"
    assert found["cost_expected"] == pytest.approx(3.6 * found["seconds_expected"] / 3600)
    assert found["seconds_expected"] >= 0.2 * 34 / 4
    assert found["cost_worst"] == pytest.approx(34 * 3.6 * 30 / 3600)


def test_a_machine_of_ones_own_costs_nothing(estimate):
    """Whatever its time."""
    lab.prices.gpu_hour("openai", 0)
    try:
        found = estimate(CHEAP)
    finally:
        hours.forget()
    assert found[["cost_low", "cost_expected", "cost_high", "cost_worst"]].tolist() == [0.0] * 4
