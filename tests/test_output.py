"""`output=` writes results as parquet parts: the same rows as in memory, written whole, asked once."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pandas as pd
import pytest

import prsm_lab as lab
from prsm_lab.errors import InvalidRequestError
from prsm_lab.frames import output

FAILING = {"*": {"error": 400, "content": ""}}
"""Every question is refused by the provider."""


@pytest.fixture
def client():
    with lab.Client(mock_mode=True, ledger=":memory:") as made:
        yield made


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch):
    monkeypatch.setattr(output, "PART_ROWS", 4)


def ask(client, data, place, **options):
    """Batch with what all calls here share."""
    return lab.batch(data, "{text}", model="gpt-4", client=client, progress=False, output=place, **options)


def texts(n):
    """So many different rows."""
    return pd.DataFrame({"text": [f"row {i}" for i in range(n)]})


def test_the_parts_hold_what_the_frame_would(client, tmp_path):
    """Same rows, order, index and types; only the run differs, because each part is one."""
    data = texts(10)

    made = ask(client, data, tmp_path / "out.parquet")

    whole = lab.batch(data, "{text}", model="gpt-4", client=client, progress=False)
    assert (len(made), len(made.parts)) == (10, 3)
    same = ["text", "model", "response", "prompt_tokens", "cost", "error", "inference_id"]
    pd.testing.assert_frame_equal(made.frame()[same], whole[same])
    assert made.frame().dtypes.astype(str).to_dict() == whole.dtypes.astype(str).to_dict()


def test_the_same_call_again_asks_nothing(client, tmp_path):
    """Parts that are whole are left as they are."""
    made = ask(client, texts(10), tmp_path / "out")
    before = [part.stat().st_mtime_ns for part in made.parts]
    runs = len(lab.runs(client=client))

    again = ask(client, texts(10), tmp_path / "out")

    assert [part.stat().st_mtime_ns for part in again.parts] == before
    assert len(lab.runs(client=client)) == runs


def test_a_lost_part_is_written_again_from_the_ledger(client, tmp_path):
    """The answers were paid for: their ids are the same."""
    made = ask(client, texts(10), tmp_path / "out")
    ids = made.frame()["inference_id"].tolist()
    made.parts[1].unlink()

    again = ask(client, texts(10), tmp_path / "out")

    assert again.frame()["inference_id"].tolist() == ids


def test_results_of_another_call_are_not_mixed_in(client, tmp_path):
    """Neither other rows nor fewer of them."""
    ask(client, texts(10), tmp_path / "out")

    for other in (texts(10).assign(text="x"), texts(3), texts(10).assign(more=1)):
        with pytest.raises(InvalidRequestError, match="holds results of another call"):
            ask(client, other, tmp_path / "out")


def test_other_names_of_the_result_columns_are_another_call(client, tmp_path):
    """The questions are the same, but parts of two layouts are no table."""
    ask(client, texts(10), tmp_path / "out")

    with pytest.raises(InvalidRequestError, match="holds results of another call"):
        ask(client, texts(10), tmp_path / "out", prefix="p_")


def test_a_part_that_cannot_be_written_leaves_no_piece_and_the_call_goes_on_from_there(tmp_path, monkeypatch):
    """As after a full disk or a killed kernel: what is there is whole, and what was answered is not asked again."""
    import pyarrow.parquet as pq

    written, write, asked = [], pq.write_table, []

    def full(table, place):
        written.append(place)
        if len(written) == 2:
            place.write_bytes(b"half")
            raise OSError("No space left on device")
        write(table, place)

    def answer(messages):
        asked.append(messages)
        return "yes"

    monkeypatch.setattr(pq, "write_table", full)
    with lab.Client(mock_mode=True, ledger=":memory:", mock_responses={"*": {"content": answer}}) as client:
        with pytest.raises(OSError, match="No space"):
            ask(client, texts(10), tmp_path / "out")
        left = sorted(place.name for place in (tmp_path / "out").iterdir())

        made = ask(client, texts(10), tmp_path / "out")

    assert left == ["part-00000.parquet"]
    assert len(made) == 10
    assert len(asked) == 10


def test_a_part_with_failed_rows_is_asked_again(tmp_path):
    """Only its failed rows: the others are known."""
    with lab.Client(mock_mode=True, ledger=str(tmp_path / "l.db"), mock_responses=FAILING) as client:
        first = ask(client, texts(6), tmp_path / "out").frame()
    with lab.Client(mock_mode=True, ledger=str(tmp_path / "l.db")) as client:
        second = ask(client, texts(6), tmp_path / "out").frame()

    assert first["error"].notna().all()
    assert second["error"].isna().all()


def test_a_parquet_file_is_read_part_by_part(client, tmp_path):
    """Its row groups need not fit the parts."""
    texts(10).to_parquet(tmp_path / "in.parquet", row_group_size=3)

    made = ask(client, str(tmp_path / "in.parquet"), tmp_path / "out")

    assert len(made.parts) == 3
    assert made.frame()["text"].tolist() == texts(10)["text"].tolist()
    assert made.frame().index.tolist() == list(range(10))


def test_no_rows_make_one_part_with_all_columns(client, tmp_path):
    """What reads the result need not know that it is empty."""
    made = ask(client, texts(0), tmp_path / "out")

    assert len(made) == 0
    assert "response" in made.frame().columns


def test_a_scan_reads_parts_of_one_schema(client, tmp_path):
    """A part in which a column is empty is of the others' type."""
    data = pd.DataFrame({"text": [f"r{i}" for i in range(8)], "note": pd.Series([None] * 4 + ["n"] * 4, dtype=object)})

    made = ask(client, data, tmp_path / "out")

    assert made.scan().to_table(columns=["note"])["note"].to_pylist() == [None] * 4 + ["n"] * 4


def test_compare_repeats_the_index(client, tmp_path):
    """Rows × models, part by part."""
    made = lab.compare(
        texts(5), "{text}", models=["gpt-4", "claude-3-opus"], client=client, progress=False, output=tmp_path / "out"
    )

    assert made.frame().index.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert "10" in made._repr_html_()


@pytest.mark.parametrize("option", [{"background": True}, {"mode": "provider_batch"}, {"returns": "arrow"}])
def test_what_means_something_else_part_by_part_is_refused(client, tmp_path, option):
    """Before anything is asked."""
    with pytest.raises(InvalidRequestError, match="does not go with output="):
        ask(client, texts(3), tmp_path / "out", **option)

    assert len(lab.runs(client=client)) == 0


LONG = {"max_tokens": 75, "max_concurrency": 1}
WORDS = "word " * 60
"""An answer as long as `LONG` allows, so that a row's worst case is about what it costs."""


@pytest.fixture
def dear():
    with lab.Client(mock_mode=True, ledger=":memory:", mock_responses={"*": {"content": WORDS}}) as made:
        yield made


@pytest.fixture
def one(dear, tmp_path):
    """What a row costs, in USD."""
    return ask(dear, texts(1), tmp_path / "price", run="price", **LONG).frame()["cost"].item()


def answered(frame):
    """The ids of the rows that have an answer."""
    return frame["inference_id"][frame["response"].notna()].tolist()


def test_one_cap_holds_over_all_parts_and_all_sittings(dear, one, tmp_path):
    """The same call again spends nothing more; a higher cap asks the rest, and counts what was paid."""
    first = ask(dear, texts(12), tmp_path / "out", max_cost=7.5 * one, **LONG).frame()
    same = ask(dear, texts(12), tmp_path / "out", max_cost=7.5 * one, **LONG).frame()
    elsewhere = ask(dear, texts(12), tmp_path / "other", max_cost=7.5 * one, **LONG).frame()
    more = ask(dear, texts(12), tmp_path / "out", max_cost=9.5 * one, **LONG).frame()

    assert len(answered(first)) == 7
    assert set(first["error_code"].dropna()) == {"budget_exceeded"}
    assert answered(same) == answered(elsewhere) == answered(first)
    assert len(answered(more)) == 9
    assert more["cost"].sum() <= 9.5 * one


def test_what_was_paid_without_a_cap_counts_under_one(dear, one, tmp_path):
    """A cap is of all that the parts ever cost, not of what comes after it was set."""
    healthy = []

    def answer(messages):
        if healthy or messages[-1]["content"] < "row 6":
            return WORDS
        raise RuntimeError("not today")

    with lab.Client(
        mock_mode=True, ledger=":memory:", mock_responses={"*": {"content": answer}}, max_retries=0
    ) as client:
        first = ask(client, texts(10), tmp_path / "out", **LONG).frame()
        healthy.append(True)

        capped = ask(client, texts(10), tmp_path / "out", max_cost=7.9 * one, **LONG).frame()

    assert len(answered(first)) == 6
    assert len(answered(capped)) == 7


def test_asking_anew_begins_a_new_cap_once_and_not_with_every_part(dear, one, tmp_path):
    """`fresh=True` is a new purchase of the whole."""
    first = ask(dear, texts(12), tmp_path / "out", max_cost=6.5 * one, **LONG).frame()

    anew = ask(dear, texts(12), tmp_path / "out", max_cost=6.5 * one, fresh=True, **LONG).frame()

    assert len(answered(anew)) == len(answered(first)) == 6
    assert not set(answered(anew)) & set(answered(first))


MEMORY = """
import gc, sys, weakref
import prsm_lab as lab
from prsm_lab.frames import output

output.PART_ROWS = 4
keep, works, alive = output.Writing.keep, weakref.WeakSet(), []

def counted(writing, work):
    works.add(work)
    keep(writing, work)
    gc.collect()
    alive.append(len(works))

output.Writing.keep = counted
client = lab.Client(mock_mode=True, ledger=":memory:")
lab.batch([f"row {n}" for n in range(40)], "{text}", model="gpt-4", client=client, output=sys.argv[1], progress=False)
print(len(alive), max(alive))
"""


def test_what_is_written_is_no_longer_in_memory(tmp_path):
    """At no time are there more than two parts' questions and answers: the one at work and the one before it.

    In a process of its own: in this one, what other tests have left may keep the collector busy.
    """
    command = [sys.executable, "-c", MEMORY, str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)

    parts, most = map(int, done.stdout.split())
    assert (parts, most <= 2, done.stderr) == (10, True, "")


GROWTH = """
import resource, sys
import prsm_lab as lab
from prsm_lab.frames import output

output.PART_ROWS = 50
keep, peaks = output.Writing.keep, []

def measured(writing, work):
    keep(writing, work)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    peaks.append(peak / (2**20 if sys.platform == "darwin" else 2**10))  # bytes there, KiB elsewhere

output.Writing.keep = measured
client = lab.Client(mock_mode=True, ledger=sys.argv[1] + "/ledger.db", mock_responses={"*": {"content": "a" * 10_000}})
data = [f"{n} " + "q" * 10_000 for n in range(2_000)]
lab.batch(data, "{text}", model="gpt-4", client=client, output=sys.argv[1] + "/out", progress=False)
print(len(peaks), round(peaks[-1] - peaks[3]))
"""


def test_ten_times_the_parts_need_no_more_memory(tmp_path):
    """Forty parts peak where four did, though what was asked and answered since is 36 MB as bare text."""
    command = [sys.executable, "-c", GROWTH, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)

    parts, megabytes = map(int, done.stdout.split())
    assert (parts, megabytes < 15, done.stderr) == (40, True, ""), f"{megabytes} MB"


def test_the_async_twin_writes_the_same(client, tmp_path):
    """From a notebook cell that awaits."""
    made = asyncio.run(
        lab.abatch(texts(10), "{text}", model="gpt-4", client=client, progress=False, output=tmp_path / "out")
    )

    assert (len(made), len(made.parts)) == (10, 3)
