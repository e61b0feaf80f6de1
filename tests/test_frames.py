"""DataFrame in, DataFrame out: columns, types, index rules, errors as rows, reuse; counted at the emulator."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import prsm_lab as lab
from prsm_lab import columns, emulator, errors
from prsm_lab.frames import packing

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
        "rows": 4, "asked": 0, "reused": 4, "failed": 0, "not_sent": 0, "spent_usd": 0.0, "unpriced": 0, "cached_share": None,
        "cache_saved_usd": 0.0, "seconds": 0,
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
        pd.DataFrame({"q": pd.Categorical(["b", "a"], categories=["b", "z", "a"], ordered=True)}),
        pd.DataFrame({"q": pd.array(["a", "b"], dtype="string[pyarrow]"), "i": pd.array([1, None], dtype="int64[pyarrow]")}),
        pd.DataFrame({"q": ["a", "b"], "t": pd.to_datetime(["2026-01-01", None], utc=True), "l": [[1], {"x": None}], "b": [True, False]}),
        pd.DataFrame({"q": ["a", "b"]}, index=pd.CategoricalIndex(["v", "u"], categories=["v", "u"], name="k")),
        pd.DataFrame({"q": pd.Series([], dtype="object")}),
    ],
)  # fmt: skip
def test_a_past_run_loads_as_it_was(compare, client, emu, data):
    """From the ledger alone: inputs, index, answers, failures."""
    emu.add(emulator.Rule("400", contains="bad"))
    found = compare(data, {"plain": "{q}"}, run="mine")
    asked = len(emu.log)
    loaded = lab.load("mine", client=client)

    assert len(emu.log) == asked
    pd.testing.assert_frame_equal(loaded, found, check_index_type=False)
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


# --------------------------------------------------------------------------------------------- found by their tests


def test_a_past_single_question_loads_as_it_was(client):
    """`infer` numbers its rows."""
    found = lab.infer("hi", model=[MODEL, "gpt-4"], run="one", client=client, progress=False)

    pd.testing.assert_frame_equal(lab.load("one", client=client), found)


def test_a_past_run_tells_how_often_a_failed_row_was_tried(emu, tmp_path):
    """Also in another process's ledger."""
    emu.clear()
    emu.add(emulator.Rule("500", contains="bad"))
    options = {"ledger": str(tmp_path / "l.db"), "providers": emu.providers()}
    with lab.Client(**options, max_retries=1) as client:
        found = lab.batch(["bad"], "{text}", model=MODEL, run="mine", client=client, progress=False)
    with lab.Client(**options) as client:
        loaded = lab.load("mine", client=client)

    assert found["attempts"].tolist() == loaded["attempts"].tolist() == [2]


@pytest.mark.parametrize("cell", ["half a pair: \ud83d", "\udc00 and \x00"])
def test_a_lone_surrogate_in_a_cell_costs_no_other_row(mocked, batch, emu, cell):
    """It can be sent to nobody; an answer that repeats it is mended; the ledger goes on."""
    found = batch([cell, "2+2?"], "{text}")
    echoed = lab.batch([cell, "ok"], "{text}", model="gpt-4", client=mocked, progress=False)

    assert found["error_code"].fillna("ok").tolist() == ["invalid_request", "ok"]
    assert "surrogate" in found["error"].iloc[0]
    assert found["text"].iloc[0] == cell
    assert echoed["response"].tolist() == [cell.replace("\ud83d", "�").replace("\udc00", "�"), "ok"]


def test_a_lone_surrogate_in_a_file_or_a_list_of_dicts_is_read(mocked, tmp_path):
    """Text types refuse it, objects do not."""
    (tmp_path / "x.jsonl").write_text('{"text": "a \\ud83d"}\n\n{"text": "b"}\n')
    for data in (str(tmp_path / "x.jsonl"), [{"text": "a \ud83d"}, {"text": "b"}]):
        found = lab.batch(data, "{text}", model="gpt-4", client=mocked, progress=False)
        assert found["response"].tolist() == ["a �", "b"]


@pytest.mark.parametrize("empty", [None, float("nan"), pd.NA, "", " "])
def test_a_blank_in_a_chat_is_an_error_row_too(batch, emu, empty):
    """In a template of messages, and in messages that a function made; other rows are asked."""
    data = pd.DataFrame({"q": pd.Series([empty, "2+2?"], dtype="object")})
    for prompt in (
        [{"role": "user", "content": "{q}"}],
        lambda row: [{"role": "user", "content": row["q"]}],
        lab.col("q"),
    ):
        found = batch(data, prompt, fresh=True)
        assert found["error_code"].fillna("ok").tolist() == ["invalid_request", "ok"]
        assert "missing prompt" in found["error"].iloc[0]

    assert len(emu.log.arrivals()) == 3


def test_a_missing_value_of_the_system_template_is_an_error_row(batch, emu):
    """It is part of the question."""
    found = batch(pd.DataFrame({"q": ["a", "b"], "who": ["brief", None]}), "{q}", system="You are {who}.")

    assert "'who' is empty" in found["error"].iloc[1]
    assert len(emu.log.arrivals()) == 1


def test_an_array_of_messages_as_parquet_gives_it_is_a_chat(mocked, tmp_path):
    """Lists come out of the file as arrays."""
    chats = pd.DataFrame({"chat": [[{"role": "user", "content": "hi"}], [{"role": "user", "content": "you"}]]})
    chats.to_parquet(tmp_path / "x.parquet")
    found = lab.batch(str(tmp_path / "x.parquet"), lab.col("chat"), model="gpt-4", client=mocked, progress=False)

    assert found["response"].tolist() == ["hi", "you"]


def test_json_keeps_texts_texts(mocked, tmp_path):
    """ "007" was asked as 7.0, and dates became times."""
    (tmp_path / "x.jsonl").write_text(
        '{"text": "007", "date": "2026-01-01", "n": 1}\n{"text": "1e3", "date": "x", "n": 2}'
    )
    found = lab.batch(str(tmp_path / "x.jsonl"), "{text} {date} {n}", model="gpt-4", client=mocked, progress=False)

    assert found["response"].tolist() == ["007 2026-01-01 1", "1e3 x 2"]


@pytest.mark.parametrize(
    ("name", "content"),
    [("x.parquet", b"no parquet"), ("x.csv", b"\xff\xfe\x00bad"), ("x.csv", b""), ("x.jsonl", b"[1,"), ("x.tsv", b'a\tb\n"1')],
)  # fmt: skip
def test_an_unreadable_file_is_named_with_the_reason(batch, emu, tmp_path, name, content):
    """Whatever the reader raises."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(errors.InvalidRequestError, match=rf"{name} cannot be read as {name[2:]}: .+"):
        batch(str(tmp_path / name), "{a}")
    assert len(emu.log.arrivals()) == 0


def test_an_empty_list_is_an_empty_frame_of_texts(mocked):
    """A loop over chunks may end with none."""
    found = lab.batch([], "{text}", model="gpt-4", client=mocked, progress=False)

    assert (len(found), list(found.columns)) == (0, ["text", *COLUMNS])


def test_two_columns_of_one_name_are_refused(batch, emu):
    """A template could not say which it means."""
    with pytest.raises(ValueError, match="more than one column 'q'"):
        batch(pd.DataFrame([["a", "b"]], columns=["q", "q"]))
    assert len(emu.log.arrivals()) == 0


@pytest.mark.parametrize("taken", ["temperature", "prompt", "sample"])
def test_a_column_of_a_variants_name_is_refused_too(compare, emu, taken):
    """With the same remedy."""
    call = {"prompt": {"a": "{q}"}, "grid": {"temperature": [0, 1]}, "samples": 2, "models": [MODEL]}
    data = pd.DataFrame({"q": ["a"], taken: ["mine"]})
    with pytest.raises(ValueError, match=rf"'{taken}'.*prefix="):
        compare(data, **call)
    assert len(emu.log.arrivals()) == 0

    found = compare(data, **call, prefix="new_")
    assert found[taken].tolist() == ["mine"] * 4
    assert lab.summarize(found)["n"].tolist() == [2, 2]


@pytest.mark.parametrize("values", [[["a"], ["b"]], [["a"], None], [None, "stop"]])
def test_a_grid_may_vary_lists_and_nothing(compare, client, values):
    """They are told apart, summed up, laid side by side, and loaded."""
    found = compare(["x", "y"], "{text}", models=[MODEL], grid={"stop": values}, run="grid")

    assert len(lab.summarize(found)) == 2
    assert lab.side_by_side(found).shape == (2, 3)
    assert lab.load("grid", client=client)["stop"].tolist() == found["stop"].tolist()


def test_a_grid_of_providers_keeps_who_answered_apart(compare):
    """`provider` is a result."""
    found = compare(["x"], "{text}", models=[MODEL], grid={"provider": ["openai"]})

    assert found.columns.is_unique
    assert (found["asked_provider"].item(), found["provider"].item()) == ("openai", "openai")


@pytest.mark.parametrize(
    ("call", "says"),
    [
        ({"grid": {"temperature": []}}, "at least one value"),
        ({"grid": {"temperature": 0.5}}, "at least one value"),
        ({"grid": {"stop": "abc"}}, "at least one value"),
        ({"grid": {"temperature": [0, 0]}}, "one value twice"),
        ({"grid": {"temprature": [0]}}, "Did you mean 'temperature'"),
        ({"grid": {"temperature": [0]}, "temperature": 1}, "both an option and in the grid"),
        ({"samples": 0}, "samples=0"),
        ({"samples": True}, "samples=True"),
        ({"models": []}, "models is empty"),
        ({"models": [MODEL, MODEL]}, "twice"),
        ({"prompt": {}}, "empty dict"),
        ({"prompt": {1: "{text}", "1": "{text}!"}}, "alike"),
        ({"prompt": {"half \ud800": "{text}"}}, "half a character"),
    ],
)
def test_a_comparison_that_makes_no_sense_is_refused(compare, emu, call, says):
    """Before anything is asked."""
    with pytest.raises(errors.InvalidRequestError, match=says):
        compare(["x"], **{"prompt": "{text}", **call})
    assert len(emu.log.arrivals()) == 0


def test_what_is_done_to_the_results_is_not_done_to_the_data(mocked):
    """They share no memory that can be written."""
    data = pd.DataFrame({"q": ["a", "b"], "n": [1, 2]})
    found = lab.batch(data, "{q}", model="gpt-4", client=mocked, progress=False)
    found.loc[:, "n"] = 0
    found.loc[found.index[0], "q"] = "changed"

    assert data.to_dict("list") == {"q": ["a", "b"], "n": [1, 2]}


def test_columns_of_several_levels_are_kept(mocked):
    """Their labels are tuples."""
    data = pd.DataFrame([["a", "b"]], columns=pd.MultiIndex.from_tuples([("x", "q"), ("y", "q")]))
    found = lab.batch(data, lambda row: row["y", "q"], model="gpt-4", client=mocked, progress=False)

    assert found["response"].item() == "b"
    assert list(found.columns[:2]) == [("x", "q"), ("y", "q")]


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**60), 2**60), st.floats(allow_nan=False), st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    st.lists(st.integers(), max_size=2),
)  # fmt: skip


@settings(max_examples=60)
@given(
    st.lists(st.tuples(VALUES, VALUES), max_size=5), st.lists(st.sampled_from(["k", None, 1]), min_size=1, max_size=2)
)
def test_a_frame_of_anything_comes_back_out_of_the_ledger(rows, names):
    """Cells of mixed kinds, indexes of one and two levels."""
    data = pd.DataFrame(
        {"a": pd.Series([r[0] for r in rows], dtype="object"), 0: pd.Series([r[1] for r in rows], dtype="object")}
    )
    if rows:
        data.index = pd.MultiIndex.from_tuples([(n // 2, "x")[: len(names)] for n in range(len(rows))], names=names) if len(names) == 2 else pd.Index([n // 2 for n in range(len(rows))], name=names[0])  # fmt: skip
    back = packing.unpack(packing.pack(data))

    pd.testing.assert_frame_equal(back, data, check_column_type=False, check_index_type=False)


@pytest.mark.parametrize("name", ["arithmetic", "capitals", "sentiment"])
def test_a_bundled_dataset_is_whole(name):
    """Unique ids, a reference in every row, a fresh frame each time."""
    data = lab.datasets.load(name)

    assert name in lab.datasets.names()
    assert data["id"].is_unique
    assert data.notna().all(axis=None)
    assert data["answer"].astype(str).str.strip().ne("").all()
    data["answer"] = None
    assert lab.datasets.load(name)["answer"].notna().all()


@pytest.mark.parametrize("name", ["capitols", "", "../README", "capitals.csv", "/etc/passwd"])
def test_only_bundled_datasets_load_by_name(name):
    """A path is no name."""
    with pytest.raises(errors.NotFoundError, match="arithmetic, capitals, extraction"):
        lab.datasets.load(name)
