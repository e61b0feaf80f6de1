"""What is paid never passes a budget: checked from the provider's side, at any concurrency, in several processes."""

from __future__ import annotations

import contextlib
import math
import os
import subprocess
import sys
import threading
import time

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import prsm_lab as lab
from prsm_lab import emulator, errors
from prsm_lab.catalog import prices
from prsm_lab.emulator import Rule
from prsm_lab.engine import budget, portal
from prsm_lab.engine.budget import period
from prsm_lab.ledger import Ledger
from prsm_lab.ledger.purse import Budget, Share

MODEL = "gpt-4.1-mini"
ROWS = pd.DataFrame({"q": [f"Tell me about number {n}." for n in range(200)]})


@pytest.fixture(scope="module")
def emu():
    with emulator.start(latency_scale=0.02) as running:
        yield running


@pytest.fixture
def client(emu):
    emu.clear()
    with lab.Client(providers=emu.providers(), ledger=":memory:", max_retries=0) as made:
        yield made


def batch(client, rows=ROWS, **options):
    options = {"model": MODEL, "max_tokens": 40, "progress": False, "max_concurrency": 64, **options}
    return lab.batch(rows, "{q}", client=client, **options)


def one_costs(client) -> float:
    """What a row really costs, on the average."""
    return batch(client, ROWS[-5:], run="price")["cost"].mean()


def test_a_run_stays_below_its_cap_at_any_concurrency_and_uses_most_of_it(client, emu):
    """The rows that there was no money for say so; what the provider bills is what we say was spent."""
    cap = 60 * one_costs(client)
    emu.clear()
    found = batch(client, max_cost=cap)
    spent, unsent = found["cost"].sum(), found[found["response"].isna()]

    assert 0.85 * cap < spent <= cap
    assert set(unsent["error_code"]) == {"budget_exceeded"}
    assert unsent["error"].str.contains("of the run's max_cost of").all()
    assert len(emu.log.arrivals()) == found["response"].notna().sum() < 200
    totals = found.attrs["prsm"]["totals"]
    assert (totals["not_sent"], totals["failed"]) == (len(unsent), 0)


def test_a_higher_cap_asks_the_rest_and_counts_what_was_paid_before(client, emu):
    """The same call again spends nothing more: a cap is of the run, not of a call."""
    one = one_costs(client)
    first = batch(client, max_cost=30 * one)
    emu.clear()
    same = batch(client, max_cost=30 * one)
    more = batch(client, max_cost=60 * one)
    whole = batch(client, max_cost=1.0)

    assert same["response"].notna().sum() - first["response"].notna().sum() <= 2  # what the worst case left over
    assert first["response"].notna().sum() < more["response"].notna().sum() < 200
    assert more["cost"].sum() <= 60 * one
    assert whole["response"].notna().all()
    assert len({entry.prompt for entry in emu.log.arrivals()}) == len(emu.log.arrivals())


def test_what_was_paid_without_a_cap_counts_when_there_is_one_again(client, emu):
    """Capped, uncapped, capped: a run named once, over other rows at each sitting."""
    one = one_costs(client)
    some, most = [f"question {n}" for n in range(20)], [f"question {n}" for n in range(120)]
    options = {"model": MODEL, "client": client, "progress": False, "max_tokens": 20, "run": "mine"}
    lab.batch(some, "{text}", max_cost=60 * one, **options)
    lab.batch(most, "{text}", **options)
    emu.clear()

    third = lab.batch([*most, "one more"], "{text}", max_cost=60 * one, **options)

    assert third["error_code"].tolist()[-1] == "budget_exceeded"
    assert third["response"].notna().sum() == 120
    assert emu.log.arrivals() == []
    assert portal.call(_spent(client, "mine")) == pytest.approx(third["cost"].sum(), rel=1e-9)

    lab.batch([*most, "one more", "and another"], "{text}", **options)
    fifth = lab.batch([*most, "one more", "and another"], "{text}", max_cost=1.0, **options)
    assert portal.call(_spent(client, "mine")) == pytest.approx(fifth["cost"].sum(), rel=1e-9)


async def _spent(client, run: str) -> float:
    return client.engine.budgets.spent(run)


def test_asking_anew_counts_anew(client):
    """`fresh=True` is a new purchase."""
    one = one_costs(client)
    first = batch(client, max_cost=30 * one)
    again = batch(client, max_cost=30 * one, fresh=True)

    assert abs(first["response"].notna().sum() - again["response"].notna().sum()) <= 3
    assert not (set(first["inference_id"].dropna()) & set(again.loc[again["response"].notna(), "inference_id"]))


def test_a_cap_below_one_question_sends_nothing_and_names_the_figures(client, emu):
    """Before the first arrival."""
    found = batch(client, ROWS[:3], max_cost=1e-9)

    assert set(found["error_code"]) == {"budget_exceeded"}
    assert "could cost $0.000096" in found["error"].iloc[0]
    assert len(emu.log.arrivals()) == 0


@pytest.mark.parametrize(
    ("model", "options", "says"),
    [("huggingface/acme/unknown", {"max_tokens": 5}, "lab.prices.set"), ("gpt-4", {"max_tokens": None}, None)],
)
def test_what_cannot_be_priced_is_refused_with_the_remedy(client, emu, model, options, says):
    """A model without a price is not asked under a budget; one whose answers are bounded by itself is."""
    if says is None:
        assert batch(client, ROWS[:1], model=model, max_cost=5.0, **options)["response"].notna().all()
        return
    with pytest.raises(errors.BudgetExceededError, match=says):
        batch(client, ROWS[:3], model=model, max_cost=1.0, **options)
    assert len(emu.log.arrivals()) == 0


@pytest.mark.parametrize(
    ("fault", "charged"),
    [("500", False), ("429", False), ("mid_close", True), ("bad_json", True), ("connect_reset", False)],
)
def test_what_was_not_billed_is_released_and_what_may_be_is_kept(client, emu, fault, charged):
    """A reply that was lost on its way may be on the bill: its worst case stays spent."""
    if fault == "connect_reset":
        fault = "reset"
    emu.add(Rule(fault, times=1))
    client.budget(1.0)
    with contextlib.suppress(errors.PRSMError):
        client.inference.create(MODEL, "hi", max_tokens=40)
    standing = client.budget()

    assert standing.reserved == 0
    assert (standing.spent > 0) == charged, standing


def test_a_clients_budget_holds_for_single_questions_streams_and_runs_alike(client, emu):
    """The same money, whichever door is used."""
    client.budget(20 * one_costs(client), per="day")
    client.inference.create(MODEL, "one", max_tokens=40)
    with client.inference.stream(MODEL, "two", max_tokens=40) as stream:
        stream.result()
    found = batch(client)
    standing = client.budget()

    assert standing.spent == pytest.approx(client.inference.analytics().total_cost)
    assert standing.spent <= standing.usd
    assert found["error"].str.contains("client's budget of this 20").any()
    with pytest.raises(errors.BudgetExceededError, match=r"client\.budget"):
        client.inference.create(MODEL, "tell me more " * 400, max_tokens=4000)
    client.budget(math.inf)
    assert client.budget() is None
    assert client.inference.create(MODEL, "tell me more", max_tokens=40).content


def test_a_budget_set_later_counts_what_the_ledger_knows_was_paid(client):
    """A day's budget begins with the day, not with the call that set it."""
    paid = client.inference.create(MODEL, "before", max_tokens=40).cost.amount

    assert client.budget(1.0, per="day").spent == pytest.approx(paid)
    assert client.budget(1.0, per="session").spent == 0


def test_a_stream_that_is_left_counts_at_its_worst_case(client, emu):
    """Nobody says what it cost: a provider bills what it has written."""
    client.budget(1.0)
    emu.add(Rule("stall", pieces=3))
    with client.inference.stream(MODEL, "hi", max_tokens=40) as stream:
        next(stream)
    emu.log.wait_for(lambda log: log.open_requests == 0)
    until = time.monotonic() + 5
    while client.budget().reserved and time.monotonic() < until:
        threading.Event().wait(0.01)

    assert (client.budget().reserved, client.budget().spent > 0) == (0, True)


def test_a_cheaper_fallback_answers_where_the_first_is_too_dear(client):
    """There is no room for one; there is for the other."""
    dear, cheap = (prices.worst_case(3, 50, prices.line(model)) for model in ("gpt-4", MODEL))
    client.budget((dear + cheap) / 2)
    answer = client.inference.create("gpt-4", "hi", max_tokens=40, fallback_config={"strategies": [{"model": MODEL}]})

    assert answer.model == MODEL


CHILD = """
import sys, prsm_lab as lab
client = lab.Client(ledger=sys.argv[1], max_retries=0)
client.models.list(), client.budget()
print("ready", flush=True)
input()
found = lab.batch([f"Tell me about {sys.argv[2]} {n}." for n in range(60)], "{text}", model="gpt-4.1-mini", client=client,
                  max_tokens=40, progress=False, max_concurrency=4)
print(found["cost"].sum(), found["response"].notna().sum())
"""


def test_processes_that_share_a_ledger_share_its_budget(client, emu, tmp_path):
    """Two at once: together they stay below."""
    emu.add(Rule("slow", seconds=0.3))  # one alone could not spend it all before the other has begun
    path, one = tmp_path / "shared.db", one_costs(client)
    with lab.Client(ledger=path, providers=emu.providers()) as owner:
        owner.budget(40 * one)
    environ = {**os.environ, **emu.environ()}
    children = [
        subprocess.Popen(
            [sys.executable, "-c", CHILD, str(path), name], env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True,
        )
        for name in ("apples", "pears")
    ]  # fmt: skip
    for child in children:
        assert child.stdout.readline() == "ready\n"
    for child in children:
        child.stdin.write("\n")
        child.stdin.flush()
    told = [child.communicate(timeout=50)[0].split() for child in children]
    spent = sum(float(words[0]) for words in told)

    assert 0.8 * 40 * one < spent <= 40 * one
    assert all(int(words[1]) > 0 for words in told)


def test_what_a_killed_process_held_counts_as_spent_unless_its_answer_came(tmp_path):
    """Its bill is unknown, or in the ledger."""
    ledger = Ledger.open(tmp_path / "ledger.db")
    purse, share = ledger.purse(), Share("client", "2026-11-26", 10.0, math.inf)
    purse._owner = f"{purse._owner.rpartition(':')[0]}:{2**22 + 1}"  # no process has this id
    assert purse.reserve("inf_a#1", [share], 6.0) is None
    purse._owner = ledger.purse()._owner

    assert purse.reserve("inf_b#1", [share], 5.0).standing == (6.0, 0)
    assert purse.reserve("inf_b#2", [share], 4.0) is None
    ledger.close()


@given(st.lists(st.tuples(st.floats(0, 3), st.none() | st.floats(0, 1)), max_size=30), st.floats(0, 8))
def test_no_order_of_holds_and_bills_passes_the_cap(knocks, cap):
    """Bills below the worst case, as providers send them."""
    ledger = Ledger.open(None)
    purse, share, open_, billed = ledger.purse(), Share("client", "", cap, math.inf), [], 0.0
    for n, (worst, part) in enumerate(knocks):
        if purse.reserve(str(n), [share], worst) is None:
            open_.append((str(n), worst, part))
        if len(open_) > 3:
            knock, most, share_of_it = open_.pop(0)
            bill = most if share_of_it is None else most * share_of_it
            purse.settle(knock, None if share_of_it is None else bill)
            billed += bill
        spent, reserved = purse.standing(share)
        assert spent == pytest.approx(billed)
        assert reserved == pytest.approx(sum(worst for _, worst, _ in open_), abs=1e-9)
        assert spent + reserved <= cap + 1e-9
    ledger.close()


@given(st.floats(0, 4e9), st.sampled_from(["hour", "day", "week", "month"]))
def test_a_period_contains_its_moment_and_the_next_begins_where_it_ends(now, per):
    """And has another name."""
    name, begin, end = period(per, now)

    assert begin <= now < end
    assert period(per, begin)[0] == name == period(per, end - 0.5)[0]
    assert period(per, end)[:2] != (name, begin)
    assert period(per, end)[1] == end


@pytest.mark.parametrize(
    ("usd", "per"), [(-1, "day"), (math.nan, "day"), (True, "day"), ("5", "day"), (5, "fortnight")]
)
def test_a_budget_that_is_none_is_refused(client, usd, per):
    """It names the parameter."""
    with pytest.raises(errors.InvalidRequestError):
        client.budget(usd, per=per)


def test_budgets_are_kept_by_postgresql_too(database):
    """The same figures, the same refusal."""
    from prsm_lab.settings import Secret

    ledger = Ledger.open(Secret(database))
    purse, share = ledger.purse(), Share("client", "2026-11", 1.0, 0.0)
    purse.allow("client", Budget(1.0, "month"))

    assert purse.allowed("client") == Budget(1.0, "month")
    assert purse.reserve("a#1", [share], 0.75) is None
    assert purse.reserve("b#1", [share], 0.5).standing == (0.0, 0.75)
    purse.settle("a#1", 0.25)
    assert purse.standing(share) == (0.25, 0.0)
    purse.close()
    ledger.close()


def test_without_a_budget_nothing_is_written_and_nothing_is_asked_of_the_purse(client, monkeypatch):
    """The usual path pays nothing for it."""
    monkeypatch.setattr(budget.Budgets, "hold", None)

    assert client.inference.create(MODEL, "hi").content
    assert portal.call(client.engine.budgets.allowance()) is None
