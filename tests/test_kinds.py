"""Rows come and go as pandas, Arrow or Polars, and what a cell means survives the way."""

from __future__ import annotations

import json

import pandas as pd
import pyarrow as pa
import pytest

import prsm_lab as lab
from prsm_lab.errors import InvalidRequestError


@pytest.fixture
def client():
    with lab.Client(mock_mode=True, ledger=":memory:") as made:
        yield made


def test_an_arrow_table_is_data_and_whole_numbers_with_gaps_stay_whole(client):
    """1 is asked about as "1", not as "1.0"; the row without a number is a failed row, not a question about "nan"."""
    table = pa.table({"n": pa.array([1, None, 3], pa.int64())})

    found = lab.batch(table, "{n}", model="gpt-4", client=client, progress=False)

    assert found["n"].tolist() == [1, pd.NA, 3]
    assert str(found["n"].dtype) == "Int64"
    assert found["error"].notna().tolist() == [False, True, False]


@pytest.mark.parametrize("data", [pa.array(["a", "b"]), pa.chunked_array([["a"], ["b"]])])
def test_an_arrow_column_is_data(client, data):
    """A column alone is named text, as a list of texts is."""
    found = lab.batch(data, "{text}", model="gpt-4", client=client, progress=False)

    assert found["text"].tolist() == ["a", "b"]


def test_a_record_batch_is_data(client):
    """So is anything else that speaks Arrow's interface."""
    found = lab.batch(pa.record_batch({"q": ["a"]}), "{q}", model="gpt-4", client=client, progress=False)

    assert found["q"].tolist() == ["a"]


def test_an_arrow_table_comes_back_with_its_run(client):
    """Arrow has no attrs: the run's id and totals are in the schema's metadata."""
    found = lab.batch(["a"], "{text}", model="gpt-4", client=client, progress=False, returns="arrow")

    assert isinstance(found, pa.Table)
    assert found["response"].to_pylist()[0]
    assert json.loads(found.schema.metadata[b"prsm"])["run"].startswith("run_")


def test_mixed_objects_and_lone_surrogates_become_text_in_arrow(client):
    """No Arrow type holds them; half a character is escaped, never lost."""
    data = pd.DataFrame({"q": ["a", "b"], "x": pd.Series([1, "half \ud800"], dtype="object")})

    found = lab.batch(data, "{q}", model="gpt-4", client=client, progress=False, returns="arrow")

    assert found["x"].to_pylist() == ["1", "half \\ud800"]


def test_another_kind_of_frame_is_refused_before_anything_is_asked(client):
    """A typing error must not cost a run."""
    with pytest.raises(InvalidRequestError, match="returns='dask' is none of"):
        lab.batch(["a"], "{text}", model="gpt-4", client=client, progress=False, returns="dask")

    assert len(lab.runs(client=client)) == 0


@pytest.mark.parametrize(
    "index",
    [
        pd.Index([7, 7, 8]), pd.MultiIndex.from_tuples([("a", 1), ("a", 2), ("b", 1)], names=["x", "y"]),
        pd.DatetimeIndex(["2026-01-01", "2026-01-02", "2026-01-02"], name="day"),
    ],
)  # fmt: skip
def test_any_index_is_kept(client, index):
    """Duplicates and levels included."""
    data = pd.DataFrame({"q": ["a", "b", "c"]}, index=index)

    found = lab.batch(data, "{q}", model="gpt-4", client=client, progress=False)

    pd.testing.assert_index_equal(found.index, index)


@pytest.mark.parametrize("kind", ["category", "string[pyarrow]", "object"])
def test_a_column_keeps_its_type_and_its_gap_is_a_failed_row(client, kind):
    """Categorical, Arrow-backed and object columns alike."""
    data = pd.DataFrame({"q": pd.Series(["a", None], dtype=kind)})

    found = lab.batch(data, "{q}", model="gpt-4", client=client, progress=False)

    assert found["q"].dtype == data["q"].dtype
    assert found["error"].notna().tolist() == [False, True]


def test_polars_frames_come_in_and_go_out(client):
    """Where Polars is installed."""
    polars = pytest.importorskip("polars")
    data = polars.DataFrame({"n": [1, None, 3]})

    found = lab.batch(data, "{n}", model="gpt-4", client=client, progress=False, returns="polars")

    assert isinstance(found, polars.DataFrame)
    assert found["n"].to_list() == [1, None, 3]
    assert found["error"].is_null().to_list() == [True, False, True]
    assert lab.batch(data["n"], "{n}", model="gpt-4", client=client, progress=False)["n"].tolist() == [1, pd.NA, 3]
