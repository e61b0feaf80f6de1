"""The providers' own batches: half the price, the same frame, and nothing is ever paid twice.

Judged from the emulator's log: `log.answered()` is what a provider would bill, live at 1.0 and in a batch at 0.5 of the
list price.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
import subprocess
import sys

import anthropic
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

import prsm_lab as lab
from prsm_lab import emulator
from prsm_lab.catalog import prices
from prsm_lab.emulator import Pace, Rule
from prsm_lab.engine import bulk_plan, routers, signals
from prsm_lab.engine.remote import Remote
from prsm_lab.errors import InvalidRequestError
from prsm_lab.ledger import Ledger
from prsm_lab.ledger import bulk as kept
from prsm_lab.providers import anthropic_batches, openai_batches
from prsm_lab.providers.batches import Limits
from prsm_lab.settings import sealed
from prsm_lab.types import PriceLine, Usage

CHAT, RESPONSES, MESSAGES = "gpt-4.1-mini", "gpt-5.4-mini", "claude-haiku-4-5"
WIRES = pytest.mark.parametrize("model", [CHAT, RESPONSES, MESSAGES])
QUICK = bulk_plan.Pacing(first=0.02, growth=1.2, longest=0.1, settle=0.05, give_up=3.0)
LONG = 3600.0
ROWS = [f"row {n} of the batch" for n in range(5)]


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(bulk_plan, "PACING", QUICK)


@pytest.fixture
def emulate():
    """`emulate(seconds=…, settle=…)`: an emulator whose batches take so long."""
    running = []

    def start(*rules: Rule, **pace: float) -> emulator.Emulator:
        running.append(emulator.start(batches=Pace(**pace), rules=rules))
        return running[-1]

    yield start
    for emu in running:
        emu.stop()


@pytest.fixture
def ask(tmp_path):
    """`ask(emulator, model)`: ROWS in a batch, on one ledger for the whole test."""
    clients = []

    def batch(emu: emulator.Emulator, model: str = CHAT, rows: list[str] = ROWS, **options: object):
        clients.append(lab.Client(providers=emu.providers(), ledger=tmp_path / "bulk.db"))
        options = {"mode": "provider_batch", "progress": False, **options}
        return lab.batch(rows, "{text}", model=model, client=clients[-1], **options)

    yield batch
    for client in clients:
        client.close()


def billed(emu: emulator.Emulator) -> dict[str, list[float]]:
    """What each question cost, in shares of the list price, one entry an answer."""
    found: dict[str, list[float]] = {}
    for entry in emu.log.answered():
        found.setdefault(entry.prompt, []).append(entry.price)
    return found


def submissions(emu: emulator.Emulator) -> int:
    return sum(entry.method == "POST" and entry.path.endswith("/batches") for entry in emu.log)


# ------------------------------------------------------------------------------------------- the frame and its price


@WIRES
def test_a_batch_gives_the_frame_of_real_time_at_half_price(emulate, ask, model):
    """Same columns, answers and tokens; each row costs half, and one submission serves them all."""
    emu = emulate(seconds=0.1)

    found = ask(emu, model)
    live = ask(emu, model, mode="realtime", fresh=True)

    assert list(found.columns) == list(live.columns)
    for column in (
        "model",
        "provider",
        "served_model",
        "response",
        "finish_reason",
        "prompt_tokens",
        "completion_tokens",
    ):
        assert found[column].tolist() == live[column].tolist(), column
    assert (found["cost"] * 2).tolist() == pytest.approx(live["cost"].tolist())
    assert found["latency_ms"].isna().all(), "hours in a batch are no latency of a model"
    assert found.attrs["prsm"]["totals"]["spent_usd"] == pytest.approx(live["cost"].sum() / 2)
    assert (submissions(emu), set(billed(emu))) == (1, set(ROWS))


def test_a_predictive_router_chooses_for_each_row_whose_batch_it_goes_to(emulate, ask):
    """Two providers, one batch each; every row at half of its own model's price, and known to the router afterwards."""
    weights = signals.features("easy")
    rule = routers.Rule(kind="predictive", cheap=CHAT, strong=MESSAGES, signal="prompt", threshold=0.6)
    router = routers.register(
        routers.with_weights(rule, {place: 9.0 for place in weights if place < signals.BUCKETS}, 0.0)
    )
    rows = ["easy", "hard to say", "easy easy", "knotty"]
    emu = emulate(seconds=0.1)

    found = ask(emu, router, rows)
    again = ask(emu, router, rows, mode="realtime")

    assert found["served_model"].str.removeprefix("simulated/").tolist() == [CHAT, MESSAGES, CHAT, MESSAGES]
    assert (submissions(emu), set(billed(emu))) == (2, set(rows))
    live = ask(emu, router, rows, mode="realtime", fresh=True)
    assert (found["cost"] * 2).tolist() == pytest.approx(live["cost"].tolist())
    assert again["inference_id"].tolist() == found["inference_id"].tolist(), "paid once"


def test_the_price_line_of_a_row_says_that_it_is_a_batchs(emulate, ask, tmp_path):
    """A bill can be checked years later: half of which list, and what it saved."""
    found = ask(emulate())

    with sqlite3.connect(tmp_path / "bulk.db") as file:
        stored = [json.loads(row[0]) for row in file.execute("SELECT price FROM inference")]
    assert {line["input"] for line in stored} == {prices.line(CHAT).input / 2}
    assert all(line["source"].startswith("half of the list price, for a batch: genai-prices") for line in stored)
    client = lab.Client(ledger=tmp_path / "bulk.db")
    saved = client.inference.get(found["inference_id"][0]).inference.cost
    client.close()
    assert (saved.amount, saved.savings) == pytest.approx((saved.provider_cost / 2, saved.provider_cost / 2))


def test_an_answer_that_names_its_tier_is_not_halved_twice():
    """Anthropic writes `service_tier: batch` into the usage."""
    line = PriceLine(input=2.0, output=8.0, steps=((1000, {"input": 4.0}),), source="a list")
    usage = Usage(prompt_tokens=2000, completion_tokens=0, tier="batch")

    half = prices.batch_line(line)

    assert prices.batch_cost(usage, half) == pytest.approx(2000 * 4.0 / 2 / 1e6)
    assert (prices.batch_line(None), prices.batch_line(PriceLine(input=1.0, output=1.0)).cache_read) == (None, None)


def test_the_same_call_again_pays_nothing(emulate, ask):
    """Answers of a batch are answers like any other."""
    emu = emulate()
    ask(emu)

    again = ask(emu)

    assert (again.attrs["prsm"]["totals"]["reused"], submissions(emu)) == (len(ROWS), 1)


def test_equal_questions_are_asked_once_or_each(emulate, ask):
    """`dedup` means in a batch what it means in real time."""
    emu = emulate()

    once = ask(emu, rows=["the same"] * 3)
    each = ask(emu, rows=["alike"] * 3, dedup=False)

    assert (once["response"].nunique(), each["response"].notna().sum()) == (1, 3)
    assert {prompt: len(bills) for prompt, bills in billed(emu).items()} == {"the same": 1, "alike": 3}


# ------------------------------------------------------------------------------------------------------- limits


@pytest.mark.parametrize("limits", [Limits(2, 10**6), Limits(100, 500)])
def test_rows_are_split_by_number_and_by_bytes(emulate, ask, monkeypatch, limits):
    """No batch is larger than the provider takes it, and every row is in one."""
    monkeypatch.setattr(openai_batches.OpenAIBatches, "limits", limits)
    emu = emulate()

    found = ask(emu)

    assert found["response"].notna().all()
    assert (submissions(emu), billed(emu)) == (3, {row: [0.5] for row in ROWS})


@given(st.lists(st.integers(1, 50), max_size=60), st.integers(1, 9), st.integers(1, 80))
def test_split_keeps_order_and_limits(sizes, requests, size):
    """Every line is in one part; only a line that is larger than a whole batch exceeds the bytes, alone."""
    parts = bulk_plan.split(sizes, Limits(requests, size))

    assert [n for part in parts for n in part] == list(range(len(sizes)))
    assert all(1 <= len(part) <= requests for part in parts)
    assert all(sum(sizes[n] for n in part) <= size or len(part) == 1 for part in parts)


@given(st.integers(0, 200), st.floats(-10, 10**6))
def test_the_next_look_is_never_far_nor_past_the_deadline(polls, left):
    """Seldom in the end, but the deadline is met to the second."""
    pause = bulk_plan.wait(polls, left, bulk_plan.Pacing())

    assert 0 < pause <= 300
    assert left <= 0 or pause <= left


def test_a_file_that_is_refused_costs_nothing_and_every_row_says_why(emulate, ask):
    """`failed` is a state of the whole batch."""
    found = ask(emulate(most=3))

    assert (
        found["error"]
        .str.contains("did not take the batch.*at most 3 requests.*Nothing of it was paid", case=False)
        .all()
    )


# ------------------------------------------------------------------------------------------------- what goes wrong


@WIRES
def test_a_row_that_fails_does_not_lose_the_others_and_is_asked_again(emulate, ask, model):
    """The second call asks the one row that failed."""
    emu = emulate(Rule("batch_error", contains="row 1", times=1))

    found, again = ask(emu, model), ask(emu, model)

    assert found["error_code"].dropna().to_dict() == {1: "provider_unavailable"}
    assert (again["error"].isna().all(), again.attrs["prsm"]["totals"]["asked"]) == (True, 1)
    assert billed(emu) == {row: [0.5] for row in ROWS}


@WIRES
def test_a_row_that_nothing_came_back_for_is_an_error_not_a_gap(emulate, ask, model):
    """Some rows are in neither file."""
    found = ask(emulate(Rule("batch_lost", contains="row 2")), model)

    assert found["error"].notna().tolist() == [False, False, True, False, False]
    assert "nothing came back" in found["error"][2]


@WIRES
def test_what_expires_is_asked_in_real_time(emulate, ask, model):
    """A day has passed at the provider: the run is whole all the same, and only those rows cost list price."""
    emu = emulate(Rule("batch_expire", contains="row 3"))

    found = ask(emu, model)

    assert found["response"].notna().all()
    assert billed(emu) == {row: [1.0 if "row 3" in row else 0.5] for row in ROWS}


def test_without_a_deadline_list_price_is_never_paid(emulate, ask):
    """What expires is then a row that failed, unpaid."""
    emu = emulate(Rule("batch_expire", contains="row 3"))

    found = ask(emu, deadline=None)

    assert "nothing was paid" in found["error"].dropna()[3]
    assert billed(emu) == {row: [0.5] for row in ROWS if "row 3" not in row}


@WIRES
def test_stragglers_are_cancelled_at_the_deadline_and_never_paid_twice(emulate, ask, model):
    """Two rows would take an hour: the others stay at half price, these two are asked in real time, once."""
    slow = [Rule("batch_slow", contains=f"row {n}", seconds=LONG) for n in (1, 4)]
    emu = emulate(*slow, seconds=0.05, settle=0.1)

    found = ask(emu, model, deadline=0.3)

    assert found["response"].notna().all()
    assert billed(emu) == {row: [1.0 if n in (1, 4) else 0.5] for n, row in enumerate(ROWS)}
    assert found["cost"][1] == pytest.approx(prices.cost(_usage(found, 1), prices.line(model)))


@WIRES
def test_what_is_answered_while_a_cancel_settles_is_not_asked_again(emulate, ask, model):
    """Between the cancel and its end row 2 is answered and billed: asking it at once would pay it twice."""
    emu = emulate(Rule("batch_slow", contains="row 2", seconds=0.8), settle=1.5)

    found = ask(emu, model, deadline=0.3)

    assert found["response"].notna().all()
    assert billed(emu) == {row: [0.5] for row in ROWS}


def test_a_provider_that_stumbles_is_asked_again(emulate, ask):
    """Overload at the upload, at a look, at the results: the batch is one, and whole."""
    emu = emulate(Rule("503", model="batches", times=1), Rule("503", model="batches", after=3, times=2), seconds=0.1)

    found = ask(emu)

    assert found["response"].notna().all()
    assert billed(emu) == {row: [0.5] for row in ROWS}


@pytest.mark.parametrize(("model", "before"), [(CHAT, 1), (MESSAGES, 0)])
def test_a_submission_whose_reply_was_lost_is_found_not_repeated(emulate, ask, model, before):
    """It arrived, we never heard: the provider's list knows it, by our mark or by our ids."""
    emu = emulate(Rule("lost_reply", model="batches", after=before, times=1), seconds=0.1)

    found = ask(emu, model)

    assert found["response"].notna().all()
    assert (submissions(emu), billed(emu)) == (1, {row: [0.5] for row in ROWS})


def test_a_strangers_batch_of_the_same_size_is_not_taken_for_ours(emulate, ask):
    """Anthropic keeps no marks: a batch is ours only if its results bear our ids."""
    emu = emulate(Rule("lost_reply", model="batches", after=1, times=1), seconds=0.3)
    plain = {"model": MESSAGES, "max_tokens": 50, "messages": [{"role": "user", "content": "a stranger's"}]}
    with anthropic.Anthropic(base_url=emu.url, api_key="emulated") as sdk:
        sdk.messages.batches.create(requests=[{"custom_id": f"s{n}", "params": plain} for n in range(len(ROWS))])

    found = ask(emu, MESSAGES)

    assert found["response"].notna().all()
    assert submissions(emu) == 2
    assert billed(emu) == {"a stranger's": [0.5] * len(ROWS), **{row: [0.5] for row in ROWS}}


def test_a_wrong_key_fails_every_row_and_waits_for_nothing(ask):
    """Refused at the door."""
    with emulator.start(keys=["another"]) as emu:
        found = ask(emu)

    assert set(found["error_code"]) == {"authentication"}


# ------------------------------------------------------------------------------------------------ what is refused


@pytest.mark.parametrize("model", ["hf/some-model", "mine/echo"])
def test_a_provider_without_batches_is_refused_before_anything_is_sent(emulate, model):
    """With the remedy, and naming the parameter."""
    emu = emulate()
    providers = {**emu.providers(), "mine": lambda prompt: prompt}
    client = lab.Client(providers=providers, ledger=":memory:")
    model = {"hf/some-model": "huggingface/org/model"}.get(model, model)

    with client, pytest.raises(InvalidRequestError, match=r"no batches; .*Leave mode.*Nothing was sent") as refusal:
        lab.batch(ROWS, "{text}", model=model, client=client, mode="provider_batch", progress=False)

    assert (refusal.value.details, len(emu.log)) == ({"parameter": "mode"}, 0)


def test_a_share_server_does_not_pass_batches_on():
    """It is said at once, and where to ask instead."""
    remote = Remote("http://127.0.0.1:9", sealed("prsm_key"))

    with pytest.raises(InvalidRequestError, match="on the server's own machine"):
        asyncio.run(remote.bulk([], print, deadline=None))


@pytest.mark.parametrize(
    "option",
    [
        {"mode": "batch"},
        {"deadline": "soon"},
        {"deadline": 0},
        {"deadline": "24"},
        {"deadline": True},
        {"deadline": "2h", "mode": "realtime"},
    ],
)
def test_what_is_no_mode_or_deadline_is_named(emulate, ask, option):
    """Before a row is sent."""
    with pytest.raises(InvalidRequestError) as refusal:
        ask(emulate(), **option)

    assert refusal.value.details["parameter"] == next(iter(option))


@given(st.integers(0, 9), st.integers(0, 59), st.integers(1, 59))
def test_a_deadline_is_read_as_it_is_said(hours, minutes, seconds):
    """Parts add up; a bare number is seconds."""
    assert bulk_plan.seconds(f"{hours}h{minutes}m{seconds}s") == hours * 3600 + minutes * 60 + seconds
    assert bulk_plan.seconds(seconds) == seconds
    assert (bulk_plan.seconds(None), bulk_plan.seconds(float("inf"))) == (None, None)


def test_options_are_refused_as_in_real_time(emulate, ask):
    """What the model does not take fails its row; what means nothing in a batch too; nothing is submitted."""
    emu = emulate()

    sampled = ask(emu, RESPONSES, temperature=0.5, extra={"effort": "low"})
    tiered = ask(emu, extra={"service_tier": "flex"})

    assert set(sampled["error_code"]) == set(tiered["error_code"]) == {"invalid_request"}
    assert (
        sampled["error"].str.contains("temperature").all(),
        tiered["error"].str.contains("mode='realtime'").all(),
    ) == (
        True,
        True,
    )
    assert submissions(emu) == 0


def test_options_that_are_dropped_are_listed(emulate, ask, tmp_path):
    """In the answer, as in real time."""
    found = ask(emulate(), MESSAGES, seed=7, on_unsupported="drop")

    client = lab.Client(ledger=tmp_path / "bulk.db")
    assert client.inference.get(found["inference_id"][0]).inference.dropped == ("seed",)
    client.close()


PERSON = {
    "type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"], "additionalProperties": False,
}  # fmt: skip


@pytest.mark.parametrize("model", [CHAT, RESPONSES, MESSAGES, "gpt-4"])
def test_answers_fit_the_schema_that_was_asked_for(emulate, ask, model):
    """In the provider's structured mode, or by a tool where the model has none, as in real time."""
    found = ask(emulate(), model, schema=PERSON)

    assert found["error"].isna().all()
    assert all(isinstance(json.loads(text)["name"], str) for text in found["response"])


def test_an_answer_that_does_not_fit_is_paid_and_is_none(emulate, ask):
    """It was cut: the row fails, and its price is counted."""
    found = ask(emulate(), schema=PERSON, max_tokens=2)

    assert set(found["error_code"]) == {"schema"}
    assert found.attrs["prsm"]["totals"]["spent_usd"] > 0


def test_no_key_is_in_the_ledger_or_in_a_row(tmp_path):
    """The upload carries it, and nothing that is kept does."""
    key = "sk-canary-0123456789abcdef"
    with emulator.start(rules=[Rule("batch_error", contains="row 1"), Rule("503", model="batches", times=1)]) as emu:
        providers = {name: {**given, "api_key": key} for name, given in emu.providers().items()}
        with lab.Client(providers=providers, ledger=tmp_path / "bulk.db") as client:
            found = lab.batch(ROWS, "{text}", model=CHAT, client=client, mode="provider_batch", progress=False)

    assert found["error"].notna().sum() == 1
    assert key not in found.to_json()
    assert all(key.encode() not in file.read_bytes() for file in tmp_path.glob("bulk.db*"))


def test_a_cap_is_kept_at_the_price_of_a_batch(emulate, ask):
    """Each row may cost so much; three fit into the cap, and the rest is not sent while it might not."""
    emu = emulate()
    client = lab.Client(providers=emu.providers(), ledger=":memory:")
    line = prices.line(CHAT)
    worst = 200 * line.output / 1e6 / 2  # the prompt comes on top
    with client:
        found = lab.batch(
            ROWS, "{text}", model=CHAT, client=client, mode="provider_batch", progress=False, max_tokens=200,
            max_cost=worst * 1.5,
        )  # fmt: skip

    assert found["cost"].sum() <= worst * 1.5
    assert set(found["error_code"].dropna()) <= {"budget_exceeded"}
    assert found["response"].notna().sum() >= 3, "what was settled makes room for the next wave"
    assert submissions(emu) >= 3


def test_a_cache_serves_before_a_batch_does(emulate, ask):
    """An earlier answer to the same question costs nothing, and is not put into a batch."""
    emu = emulate()
    ask(emu, mode="realtime", rows=ROWS[:2], run="earlier")

    found = ask(emu, run="later", cache_config=True)

    assert found["cached"].tolist() == [True, True, False, False, False]
    assert billed(emu) == {row: [1.0 if n < 2 else 0.5] for n, row in enumerate(ROWS)}


# ---------------------------------------------------------------------------------------------------- and again


def test_an_interrupted_call_is_taken_up_where_it_was(emulate, tmp_path):
    """Interrupting leaves the batch at the provider; the same call fetches it."""
    emu = emulate(seconds=0.6)
    client = lab.Client(providers=emu.providers(), ledger=tmp_path / "bulk.db")

    asyncio.run(_left(emu, client))
    found = asyncio.run(_call(client))
    client.close()

    assert (found["response"].notna().all(), submissions(emu), billed(emu)) == (True, 1, {row: [0.5] for row in ROWS})


def test_what_waits_in_a_batch_is_not_asked_in_real_time_as_well(emulate, tmp_path):
    """Both would be paid; the error names the batch and both ways on, and `fresh=True` is a wish of its own."""
    emu = emulate(seconds=0.6)
    client = lab.Client(providers=emu.providers(), ledger=tmp_path / "bulk.db")
    asyncio.run(_left(emu, client))
    asked = {"model": CHAT, "client": client, "progress": False}

    with pytest.raises(InvalidRequestError, match=r"wait in batches at openai \(batch_.*paid twice"):
        lab.batch(ROWS, "{text}", **asked)
    assert asyncio.run(_call(client))["response"].notna().all()
    assert lab.batch(ROWS, "{text}", **asked)["response"].notna().all()
    client.close()

    assert billed(emu) == {row: [0.5] for row in ROWS}


async def _left(emu: emulator.Emulator, client: lab.Client) -> None:
    """Begin a batch, and leave it as soon as it was asked after."""
    job = asyncio.create_task(_call(client))
    await asyncio.to_thread(emu.log.wait_for, lambda log: any("/batches/" in entry.path for entry in log))
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        await job


def _call(client: lab.Client):
    return lab.abatch(ROWS, "{text}", model=CHAT, client=client, mode="provider_batch", progress=False)


def test_what_somebody_else_cancelled_is_not_bought_at_list_price(emulate, tmp_path):
    """Whoever cancels at the provider's own page wants to stop paying: these rows fail, and say what became of them."""
    emu = emulate(seconds=LONG)
    client = lab.Client(providers=emu.providers(), ledger=tmp_path / "bulk.db")
    asyncio.run(_left(emu, client))

    emu._desk.batches.cancel(emu._desk.batches.batches["batch_000000"])
    found = asyncio.run(_call(client))
    client.close()

    assert found["error"].str.contains("cancelled by somebody.*nothing was paid").all()
    assert (billed(emu), submissions(emu)) == ({}, 1)


def test_a_batch_that_is_gone_fails_its_rows_once(emulate, tmp_path):
    """Then it is not known whether it was paid, and the rows say so; the call after that asks them anew."""
    emu = emulate(seconds=LONG)
    client = lab.Client(providers=emu.providers(), ledger=tmp_path / "bulk.db")
    asyncio.run(_left(emu, client))

    emu._desk.batches.batches.clear()
    emu._desk.batches.pace = Pace()
    gone, anew = asyncio.run(_call(client)), asyncio.run(_call(client))
    client.close()

    assert gone["error"].str.contains("not there any more; it may have been paid").all()
    assert (anew["response"].notna().all(), submissions(emu)) == (True, 2)


def test_one_run_called_twice_at_once_submits_once(emulate, tmp_path):
    """The ledger says who submits; the other waits for the same batch."""
    emu = emulate(seconds=0.2)
    client = lab.Client(providers=emu.providers(), ledger=tmp_path / "bulk.db")

    async def both():
        return await asyncio.gather(_call(client), _call(client))

    first, second = asyncio.run(both())
    client.close()

    assert first["response"].tolist() == second["response"].tolist()
    assert (submissions(emu), billed(emu)) == (1, {row: [0.5] for row in ROWS})


def test_nobody_submits_what_another_call_is_submitting(emulate, tmp_path, monkeypatch):
    """The upload takes its time; whoever comes meanwhile watches the ledger instead of looking at the provider."""
    emu = emulate()
    client = lab.Client(providers=emu.providers(), ledger=tmp_path / "bulk.db")
    submit, get, watched = openai_batches.OpenAIBatches.submit, kept.Bulks.get, asyncio.Event()

    async def slow(*given: object) -> str:
        await asyncio.wait_for(watched.wait(), 5)
        return await submit(*given)

    def watching(*given: object) -> object:
        watched.set()
        return get(*given)

    async def both():
        return await asyncio.gather(_call(client), _call(client))

    monkeypatch.setattr(openai_batches.OpenAIBatches, "submit", slow)
    monkeypatch.setattr(kept.Bulks, "get", watching)
    frames = asyncio.run(both())
    client.close()

    assert [frame["response"].notna().all() for frame in frames] == [True, True]
    assert (submissions(emu), billed(emu)) == (1, {row: [0.5] for row in ROWS})


SCRIPT = """
import os, sys
import prsm_lab as lab
from prsm_lab.engine import bulk_plan, routers, signals
from prsm_lab.ledger import bulk
from prsm_lab.providers import anthropic_batches, openai_batches
bulk_plan.PACING = bulk_plan.Pacing(first=0.02, growth=1.2, longest=0.1, settle=0.05, give_up=3.0)
ledger, model, when = sys.argv[1:]
def killed(*_, **__):
    os.kill(os.getpid(), 9)
if when == "before it is sent":
    openai_batches.OpenAIBatches.submit = anthropic_batches.AnthropicBatches.submit = killed
if when == "before its id is written":
    bulk.Bulks.submitted = killed
client = lab.Client(ledger=ledger)
found = lab.batch([f"row {n} of the batch" for n in range(5)], "{text}", model=model, client=client, progress=False,
                  mode="provider_batch")
print(found["response"].notna().sum(), found["error"].dropna().tolist())
client.close()
"""


@pytest.mark.parametrize(
    ("model", "when"),
    [
        (CHAT, "before it is sent"),
        (CHAT, "before its id is written"),
        (MESSAGES, "before its id is written"),
        (RESPONSES, "while it waits"),
        (MESSAGES, "while it waits"),
    ],
)
def test_after_kill_9_the_same_call_takes_the_batch_up(emulate, tmp_path, monkeypatch, model, when):
    """In whatever moment the kernel dies, there is one submission, and every row is billed once at half price."""
    emu = emulate(seconds=0.8)
    for name, value in emu.environ().items():
        monkeypatch.setenv(name, value)

    def start(dies: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", SCRIPT, str(tmp_path / "bulk.db"), model, dies]
        return subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    first = start(when)
    if when == "while it waits":
        emu.log.wait_for(lambda log: any(e.method == "GET" and "/batches/" in e.path for e in log), 30)
        first.kill()
    ended, (_, why) = first.wait(30), first.communicate()
    assert ended == -signal.SIGKILL, why
    sent = submissions(emu)
    said, complained = start("left to finish").communicate(timeout=60)

    assert (said, complained) == ("5 []\n", "")
    assert (sent, submissions(emu)) == (0 if when == "before it is sent" else 1, 1)
    assert billed(emu) == {row: [0.5] for row in ROWS}


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_the_ledger_lets_one_process_claim_what_is_asked(kind, request):
    """Whoever does not know of a waiting batch may not write another one down."""
    ledger = Ledger.open(None if kind == "sqlite" else sealed(request.getfixturevalue("database")))
    bulks = kept.Bulks(ledger)
    first, second = (kept.new(f"bulk_{n}", "run_1", "openai", "there", CHAT, CHAT) for n in "ab")

    claimed = bulks.claim("run_1", {first: [("inf_1", b"q")]}, set(), None)
    late = bulks.claim("run_1", {second: [("inf_2", b"q")]}, set(), None)
    bulks.submitted(first.id, "batch_9")
    bulks.say(first.id, "ended", {"status": "completed"})

    assert (claimed, late, bulks.adopt(second)) == (True, False, False)
    assert (bulks.waiting("run_1"), bulks.remotes("openai")) == ([], {"batch_9"})
    assert bulks.items(first.id) == [kept.Item("inf_1", b"q")]
    ledger.close()


# --------------------------------------------------------------------------------------------------- the windows


def test_lines_and_rows_are_the_providers_own(emulate):
    """Golden: what goes up, and what comes back of each kind."""
    lines = [
        b'{"custom_id": "a", "response": {"status_code": 400, "body": {"error": {"message": "no", "code": null}}}}',
        b'{"custom_id": "a", "response": null, "error": {"code": "batch_cancelled", "message": "x"}}',
        b'{"custom_id": "a", "response": null, "error": {"code": "boom", "message": "it broke"}}',
    ]
    refused, cancelled, broken = (openai_batches.from_line(line, provider="openai") for line in lines)
    errored = anthropic_batches.from_line(
        b'{"custom_id": "a", "result": {"type": "errored", "error": {"type": "error", "error": '
        b'{"type": "overloaded_error", "message": "Overloaded"}}}}',
        provider="anthropic",
    )

    assert (refused.fault.code, cancelled.missed, broken.fault.code) == (
        "invalid_request",
        "canceled",
        "provider_unavailable",
    )
    assert errored.fault.details["kind"] == "overloaded"
    assert openai_batches.from_line(b'{"custom', provider="openai") is None
    assert anthropic_batches.from_line(b"[]", provider="anthropic") is None


def test_openais_own_sdk_runs_a_batch_on_the_emulator(emulate):
    """Its calls and its models, from the upload to the error file: what stands in for the provider is like it."""
    emu = emulate(Rule("batch_expire", contains="late"))
    rows = [
        {"custom_id": text, "method": "POST", "url": "/v1/chat/completions",
         "body": {"model": CHAT, "messages": [{"role": "user", "content": text}]}}
        for text in ("early", "late")
    ]  # fmt: skip
    lines = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    with openai.OpenAI(base_url=f"{emu.url}/v1", api_key="emulated") as sdk:
        file = sdk.files.create(file=("rows.jsonl", lines), purpose="batch")
        batch = sdk.batches.create(
            input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h", metadata={"a": "b"}
        )
        batch = sdk.batches.retrieve(batch.id)
        output, errors = (
            json.loads(sdk.files.content(name).content) for name in (batch.output_file_id, batch.error_file_id)
        )
        with pytest.raises(openai.ConflictError):
            sdk.batches.cancel(batch.id)

        assert (batch.status, batch.request_counts.completed, batch.metadata) == ("expired", 1, {"a": "b"})
        assert (output["custom_id"], output["response"]["body"]["object"]) == ("early", "chat.completion")
        assert (errors["custom_id"], errors["error"]["code"]) == ("late", "batch_expired")
        assert [one.id for one in sdk.batches.list()] == [batch.id]


def test_anthropics_own_sdk_runs_a_batch_on_the_emulator(emulate):
    """Its calls and its models; `temperature` passes at the door and fails as a row, as at the real one."""
    emu = emulate()
    plain = {"model": MESSAGES, "max_tokens": 50, "messages": [{"role": "user", "content": "hi"}]}
    with anthropic.Anthropic(base_url=emu.url, api_key="emulated") as sdk:
        batch = sdk.messages.batches.create(
            requests=[{"custom_id": "a", "params": plain}, {"custom_id": "b", "params": {"model": MESSAGES}}]
        )
        batch = sdk.messages.batches.retrieve(batch.id)
        results = {row.custom_id: row.result for row in sdk.messages.batches.results(batch.id)}
        with pytest.raises(anthropic.BadRequestError):
            sdk.messages.batches.create(requests=[{"custom_id": "no good", "params": plain}])

    assert (batch.processing_status, batch.request_counts.succeeded, batch.request_counts.errored) == ("ended", 1, 1)
    assert (results["a"].message.usage.service_tier, results["b"].error.error.type) == (
        "batch",
        "invalid_request_error",
    )


def test_an_emulated_batch_goes_through_its_states(emulate):
    """Validating, in progress, finalizing, completed: each can be seen by whoever looks often enough."""
    emu = emulate(seconds=0.4)
    seen = []
    with openai.OpenAI(base_url=f"{emu.url}/v1", api_key="emulated") as sdk:
        body = {"model": CHAT, "messages": [{"role": "user", "content": "hi"}]}
        lines = [{"custom_id": str(n), "method": "POST", "url": "/v1/chat/completions", "body": body} for n in range(4)]
        file = sdk.files.create(file=("rows.jsonl", "\n".join(map(json.dumps, lines)).encode()), purpose="batch")
        batch = sdk.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
        while batch.status != "completed":
            seen.append(batch.status)
            batch = sdk.batches.retrieve(batch.id)

    assert list(dict.fromkeys(seen))[:2] == ["validating", "in_progress"]


def _usage(found, row: int) -> Usage:
    return Usage(
        prompt_tokens=int(found["prompt_tokens"][row]), completion_tokens=int(found["completion_tokens"][row]),
        cached_tokens=0,
    )  # fmt: skip
