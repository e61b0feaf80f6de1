"""DataFrame in, DataFrame out: columns, types, index rules, errors as rows, reuse; counted at the emulator."""

from __future__ import annotations

import contextlib

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import prsm_lab as lab
from prsm_lab import columns, emulator, errors

MODEL = "gpt-4.1-mini"
COLUMNS = [
    "model", "provider", "served_model", "response", "finish_reason", "prompt_tokens", "completion_tokens",
    "cached_tokens", "reasoning_tokens", "cost", "latency_ms", "ttft_ms", "cached", "attempts", "error", "error_code",
    "inference_id",
]  # fmt: skip


@pytest.fixture(scope="module")
def emu():
    with emulator.start(references={"2+2?": "4", "capital of France?": "Paris"}) as running:
        yield running


@pytest.fixture
def client(emu):
    emu.clear()
    with lab.Client(providers=emu.providers(), ledger=":memory:", max_retries=0) as made:
        yield made


@pytest.fixture
def batch(client):
    """`lab.batch` with this test's client, silent."""
    return lambda data, prompt="{q}", **options: lab.batch(
        data, prompt, **{"model": MODEL, "client": client, "progress": False, **options}
    )


@pytest.fixture
def compare(client):
    return lambda data, prompt="{q}", **options: lab.compare(
        data, prompt, **{"models": [MODEL, "claude-haiku-4-5"], "client": client, "progress": False, **options}
    )


@pytest.fixture(scope="module")
def mocked():
    with lab.Client(
        mock_mode=True, ledger=":memory:", mock_responses={"*": {"content": lambda messages: messages[-1]["content"]}}
    ) as made:
        yield made


# ------------------------------------------------------------------------------------------------------- schema


def test_the_result_columns_follow_the_inputs_in_this_order_with_these_types(batch):
    """api.md §2, to the letter."""
    found = batch(pd.DataFrame({"q": ["2+2?"], "other": [1.5]}))

    assert list(found.columns) == ["q", "other", *COLUMNS]
    assert {name: str(found[name].dtype) for name in COLUMNS} == columns.TYPES


@pytest.mark.parametrize("rows", [[], ["2+2?"], [None], [None, "2+2?"]])
def test_empty_failed_and_full_runs_have_one_schema(batch, rows):
    """So that results can be concatenated and stored."""
    found = batch(pd.DataFrame({"q": pd.Series(rows, dtype="object")}))

    assert {name: str(found[name].dtype) for name in COLUMNS} == columns.TYPES
    assert len(found) == len(rows)


def test_infer_gives_one_row_a_model_and_leaves_braces_alone(client):
    """A single question is no template."""
    found = lab.infer("What is {this}?", model=[MODEL, "gpt-4"], system="Be {brief}.", client=client, progress=False)

    assert found["model"].tolist() == [MODEL, "gpt-4"]
    assert found.index.tolist() == [0, 1]


def test_compare_is_long_row_by_row_with_a_column_for_whatever_varies(compare):
    """Row 0 in all variants, then row 1; the input's index repeated."""
    data = pd.DataFrame({"q": ["2+2?", "capital of France?"]}, index=["a", "b"])
    found = compare(data, {"plain": "{q}", "loud": "{q}!"}, models=[MODEL], grid={"temperature": [0, 1]}, samples=2)

    assert found.index.tolist() == ["a"] * 8 + ["b"] * 8
    assert list(found.columns[:6]) == ["q", "model", "prompt", "temperature", "sample", "provider"]
    assert found["prompt"].tolist()[:8] == ["plain"] * 4 + ["loud"] * 4
    assert found["sample"].tolist()[:4] == [0, 1, 0, 1]


def test_samples_are_asked_apart(compare, client, emu):
    """The same question twice is two questions, here and in a resumed run."""
    for _ in range(2):
        compare(["2+2?"], "{text}", models=[MODEL], samples=3, temperature=1)

    assert len(emu.log.arrivals()) == 3


# -------------------------------------------------------------------------------------------------------- index

INDEXES = st.sampled_from(
    [
        pd.RangeIndex(3), pd.Index([5, 5, 5]), pd.Index(["b", "a", "b"], name="key"), pd.Index([1.5, None, 2.5]),
        pd.MultiIndex.from_tuples([("x", 1), ("x", 1), ("y", 2)], names=["k", None]),
        pd.date_range("2026-01-01", periods=3, tz="UTC"), pd.CategoricalIndex(["u", "v", "u"]),
    ]
)  # fmt: skip
CELLS = st.sampled_from(
    [
        pd.Series(["a", "b", "a"], dtype="object"), pd.Series(["a", "b", "c"], dtype="string"), pd.Series([1, 2, 3]),
        pd.Series(["x", "y", "x"], dtype="category"), pd.Series([1.5, 2.5, 3.5], dtype="Float64"),
        pd.Series([True, False, True]), pd.Series(["p", "q", "r"], dtype="string[pyarrow]"),
    ]
)  # fmt: skip


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(index=INDEXES, cells=CELLS, name=st.sampled_from(["q", 0, "a column", "{odd}"]))
def test_whatever_the_index_it_comes_back_exactly_and_the_input_is_not_touched(mocked, index, cells, name):
    """Duplicates, names, levels, kinds; answers stand in their own rows."""
    data = pd.DataFrame({name: cells.array}, index=index)
    before = data.copy(deep=True)
    found = lab.batch(data, lambda row: f"say {row[name]}", model="gpt-4", client=mocked, progress=False)

    pd.testing.assert_index_equal(found.index, index, exact=True)
    assert found["response"].tolist() == [f"say {value}" for value in cells]
    pd.testing.assert_frame_equal(data, before)
    pd.testing.assert_series_equal(found[name], before[name])


# ----------------------------------------------------------------------------------------------- bad rows and input


@pytest.mark.parametrize("empty", [None, float("nan"), pd.NA, pd.NaT, "", "  \n"])
def test_a_row_without_a_prompt_is_an_error_row_and_no_request(batch, emu, empty):
    """`str(nan)` would be asked, and paid."""
    found = batch(pd.DataFrame({"q": pd.Series([empty, "2+2?"], dtype="object")}))

    assert found["error_code"].fillna("ok").tolist() == ["invalid_request", "ok"]
    assert "missing prompt" in found["error"].iloc[0]
    assert found["response"].isna().tolist() == [True, False]
    assert len(emu.log.arrivals()) == 1


def test_a_column_of_a_results_name_is_refused_with_the_remedy(batch, emu):
    """Before anything is asked."""
    data = pd.DataFrame({"q": ["2+2?"], "response": ["old"]})
    with pytest.raises(ValueError, match=r"'response'.*prefix="):
        batch(data)
    assert len(emu.log.arrivals()) == 0

    found = batch(data, prefix="new_")
    assert (found["response"].item(), found["new_model"].item()) == ("old", MODEL)
    assert lab.summarize(found)["n"].item() == 1


@pytest.mark.parametrize(
    ("call", "cls", "says"),
    [
        (lambda b: b(["x"], "{question}"), errors.InvalidRequestError, "Its columns: text"),
        (lambda b: b(pd.DataFrame({"question": ["x"]}), "{qestion}"), errors.InvalidRequestError, "Did you mean {question}"),
        (lambda b: b(["x"], "{text", ), errors.InvalidRequestError, "single '{'"),
        (lambda b: b(["x"], "{text}", temprature=1), errors.InvalidRequestError, "Did you mean 'temperature'"),
        (lambda b: b(["x"], "{text}", max_concurrency=0), errors.InvalidRequestError, "max_concurrency"),
        (lambda b: b(["x"], "{text}", on_error="ignore"), errors.InvalidRequestError, "'record' nor 'raise'"),
        (lambda b: b(["x"], "{text}", model="gtp-4"), errors.NotFoundError, "Did you mean gpt-4"),
        (lambda b: b(3, "{text}"), errors.InvalidRequestError, "data is int"),
        (lambda b: b("no-such-set", "{text}"), errors.NotFoundError, "capitals"),
        (lambda b: b("missing.csv", "{text}"), errors.NotFoundError, "No file"),
        (lambda b: b([1, 2], "{text}"), errors.InvalidRequestError, "data is list"),
        (lambda b: b(pd.DataFrame({"q": [7]}), lab.col("q")), errors.InvalidRequestError, "holds int"),
    ],
)  # fmt: skip
def test_a_wrong_call_says_what_and_how_and_asks_nothing(batch, emu, call, cls, says):
    """Did-you-mean where something is near."""
    with pytest.raises(cls) as caught:
        call(batch)

    assert says in str(caught.value)
    assert len(emu.log.arrivals()) == 0


def test_a_file_that_is_not_what_its_name_says_is_named(batch, tmp_path):
    """With the reason of the reader."""
    (tmp_path / "x.jsonl").write_text("{broken")
    with pytest.raises(errors.InvalidRequestError, match=r"x\.jsonl cannot be read as jsonl"):
        batch(str(tmp_path / "x.jsonl"))


def test_every_kind_of_data_is_taken(mocked, tmp_path):
    """Series, lists, files of four kinds, a dataset's name."""
    frame = pd.DataFrame({"text": ["a", "b"]})
    frame.to_csv(tmp_path / "d.csv", index=False)
    frame.to_csv(tmp_path / "d.tsv", index=False, sep="\t")
    frame.to_json(tmp_path / "d.jsonl", orient="records", lines=True)
    frame.to_parquet(tmp_path / "d.parquet")
    kinds = [frame, frame["text"], ["a", "b"], [{"text": "a"}, {"text": "b"}], *sorted(tmp_path.iterdir())]

    for kind in kinds:
        assert lab.batch(kind, "{text}", model="gpt-4", client=mocked, progress=False)["response"].tolist() == [
            "a",
            "b",
        ]
    assert len(lab.batch("capitals", "{question}", model="gpt-4", client=mocked, progress=False)) == 60


def test_a_failed_row_keeps_its_error_and_loses_no_other(batch, emu):
    """on_error="record"."""
    emu.add(emulator.Rule("400", contains="bad"))
    found = batch(pd.DataFrame({"q": ["2+2?", "bad", "capital of France?"]}))

    assert found["error_code"].fillna("ok").tolist() == ["ok", "invalid_request", "ok"]
    assert found["response"].isna().tolist() == [False, True, False]
    assert np.isnan(found["cost"].iloc[1])


def test_raising_on_error_keeps_the_other_rows_in_the_ledger(batch, client, emu):
    """The error names the row and where the others are."""
    emu.add(emulator.Rule("400", contains="bad"))
    with pytest.raises(errors.InvalidRequestError, match=r"Row 1 .*lab\.load\('mine'\)"):
        batch(pd.DataFrame({"q": ["2+2?", "bad"]}), on_error="raise", run="mine")

    assert lab.load("mine", client=client)["response"].notna().tolist() == [True, False]


def test_poisoned_text_comes_through_in_prompts_and_answers(batch, emu):
    """Lone surrogates and NUL break frames and files if nobody mends them."""
    emu.add(emulator.Rule("surrogate"))
    found = batch(pd.DataFrame({"q": ["2+2? \x00 null", "2+2? bidi \u202e"]}))

    assert found["error_code"].isna().all()
    found["response"].str.encode("utf-8")


def test_a_model_without_a_price_costs_nan_and_warns_once(batch):
    """Never 0."""
    lab.prices.reset()
    with pytest.warns(UserWarning, match="No price is known for 'mistralai") as warned:
        found = batch(["a", "b"], "{text}", model="mixtral")

    assert found["cost"].isna().all()
    assert len(warned) == 1
    assert found.attrs["prsm"]["totals"]["unpriced"] == 2


def test_an_answer_of_another_model_does_not_pass_for_this_ones(batch, emu):
    """After a fallback `model` is who was asked, `served_model` who answered; the summary counts it."""
    emu.add(emulator.Rule("404", model=MODEL))
    found = batch(["a"], "{text}", fallback_providers=["anthropic"])

    assert (found["model"].item(), found["provider"].item()) == (MODEL, "anthropic")
    assert found["served_model"].item() == "simulated/claude-haiku-4-5"
    assert lab.summarize(found)["other_model"].item() == 1


# --------------------------------------------------------------------------------------------------------- reuse


def test_equal_questions_are_asked_once_and_filled_in_everywhere(batch, emu):
    """The cost is counted once."""
    found = batch(["same", "same", "other", "same"], "{text}")

    assert len(emu.log.arrivals()) == 2
    assert found["inference_id"].nunique() == 2
    assert found.attrs["prsm"]["totals"]["asked"] == 2
    assert lab.summarize(found)["cost"].item() == pytest.approx(found.drop_duplicates("inference_id")["cost"].sum())


def test_without_dedup_each_is_asked(batch, emu):
    """On request."""
    batch(["same", "same"], "{text}", dedup=False)

    assert len(emu.log.arrivals()) == 2


def test_the_same_call_again_asks_nothing_and_gives_the_same_frame(compare, emu):
    """Down to ids and latencies."""
    data = pd.DataFrame({"q": ["2+2?", "capital of France?"]})
    first, again = compare(data), compare(data)

    pd.testing.assert_frame_equal(first, again)
    assert len(emu.log.arrivals()) == 4
    assert again.attrs["prsm"]["totals"] | {"seconds": 0} == {
        "rows": 4, "asked": 0, "reused": 4, "failed": 0, "not_sent": 0, "spent_usd": 0.0, "unpriced": 0, "seconds": 0,
        "saved_usd": pytest.approx(first["cost"].sum()),
    }  # fmt: skip


def test_rows_that_were_shuffled_or_added_are_found_by_content(batch, emu):
    """Only what is new is asked."""
    batch(["a", "b", "c"], "{text}")
    batch(["c", "d", "a"], "{text}")

    assert [entry.prompt for entry in emu.log.arrivals()][3:] == ["d"]


def test_failed_rows_are_asked_again_and_answered_ones_are_not(batch, emu):
    """That is what a second run is for."""
    emu.add(emulator.Rule("500", contains="b", times=1))
    batch(["a", "b"], "{text}")
    found = batch(["a", "b"], "{text}")

    assert found["error_code"].isna().all()
    assert sorted(entry.prompt for entry in emu.log.arrivals()) == ["a", "b", "b"]


def test_fresh_asks_anew_and_a_name_keeps_to_itself(batch, emu):
    """`fresh=True`, `run="name"`."""
    for options in ({}, {"fresh": True}, {"run": "mine"}, {"run": "mine"}, {"run": "other"}):
        batch(["a"], "{text}", **options)

    assert len(emu.log.arrivals()) == 4


def test_another_setting_is_another_question(batch, emu):
    """Options are part of what is asked."""
    for options in ({}, {"max_tokens": 5}, {"temperature": 0}, {"system": "x"}):
        batch(["a"], "{text}", **options)

    assert len(emu.log.arrivals()) == 4


@pytest.mark.parametrize(
    "data",
    [
        pd.DataFrame({"q": ["2+2?", "bad", None]}, index=["x", "y", "y"]),
        pd.DataFrame({"q": ["2+2?"], "n": pd.array([1], dtype="Int64")}, index=pd.MultiIndex.from_tuples([("a", 1)], names=["k", None])),
        pd.DataFrame({"q": ["2+2?", "a"], "f": [1.5, None]}),
    ],
)  # fmt: skip
def test_a_past_run_loads_as_it_was(compare, client, emu, data):
    """From the ledger alone: inputs, index, answers, failures."""
    emu.add(emulator.Rule("400", contains="bad"))
    found = compare(data, {"plain": "{q}"}, run="mine")
    asked = len(emu.log)
    loaded = lab.load("mine", client=client)

    assert len(emu.log) == asked
    pd.testing.assert_frame_equal(
        loaded.drop(columns=["attempts", "error"]), found.drop(columns=["attempts", "error"]), check_index_type=False
    )
    assert loaded["error"].notna().tolist() == found["error"].notna().tolist()
    with pytest.raises(errors.NotFoundError):
        lab.load("nobody", client=client)


def test_runs_are_listed_with_how_far_they_came(batch, client, emu):
    """Newest first."""
    emu.add(emulator.Rule("400", contains="bad"))
    batch(["a", "bad"], "{text}", run="mine")
    batch(["b"], "{text}")
    found = lab.runs(client=client)

    assert found["name"].fillna("-").tolist() == ["-", "mine"]
    assert found.loc[1, ["questions", "answered", "failed"]].tolist() == [2, 1, 1]
    assert found.loc[1, "cost"] > 0


def test_the_bar_says_one_line_at_the_end_and_silence_is_silent(batch, capsys):
    """Rows, reused, failed, spent."""
    batch(["a"], "{text}", progress=True)
    said = capsys.readouterr()
    batch(["a"], "{text}", progress=False)

    assert said.out.startswith("1 rows: 1 asked, 0 reused, 0 failed · $")
    assert "simulated" in said.out
    assert capsys.readouterr() == ("", "")


async def test_the_async_twins_give_the_same(client):
    """`abatch`, `acompare`, `ainfer` on the caller's loop."""
    options = {"client": client, "progress": False}
    one = await lab.abatch(["2+2?"], "{text}", model=MODEL, **options)
    two = await lab.acompare(["2+2?"], "{text}", models=[MODEL], **options)
    three = await lab.ainfer("2+2?", model=MODEL, **options)

    assert one["response"].item() == two["response"].item() == three["response"].item()


def test_side_by_side_puts_variants_in_columns(compare):
    """One row an input row, in order."""
    data = pd.DataFrame({"q": ["2+2?", "capital of France?"]}, index=[7, 7])
    found = compare(data, {"a": "{q}", "b": "{q}!"})
    wide = lab.side_by_side(found)

    assert list(wide.columns) == ["q", *(f"{m} · {p}" for m in (MODEL, "claude-haiku-4-5") for p in "ab")]
    assert wide.index.tolist() == [7, 7]
    assert wide.iloc[1, 1] == found["response"].iloc[4]
    with pytest.raises(errors.InvalidRequestError, match="not whole"):
        lab.side_by_side(found.iloc[1:])
    with contextlib.suppress(KeyError):
        assert lab.side_by_side(found, values="cost").iloc[0, 1] == found["cost"].iloc[0]
