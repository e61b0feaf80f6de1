"""Receipts: what each answer of a frame went through, knock by knock, from the ledger, near and far."""

from __future__ import annotations

import time

import pandas as pd
import pytest

import prsm_lab as lab
from prsm_lab import emulator, errors
from prsm_lab.emulator import Rule
from prsm_lab.frames.receipts import TYPES
from prsm_lab.ledger import Ledger
from prsm_lab.types import Attempt, Inference, Request

MODEL = "gpt-4.1-mini"


@pytest.fixture(scope="module")
def emu():
    with emulator.start() as running:
        yield running


@pytest.fixture(params=["embedded", "remote"])
def client(emu, request):
    """The same from this process's ledger and over a share server's HTTP."""
    emu.clear()
    near = lab.Client(providers=emu.providers(), ledger=":memory:", max_retries=2)
    if request.param == "embedded":
        with near:
            yield near
        return
    with near, lab.serve(near) as share, lab.Client(share.new_key("ana", tier="Enterprise"), share.url) as far:
        yield far


def ask(client, data, **options):
    return lab.batch(data, "{text}", **{"model": MODEL, "client": client, "progress": False, **options})


def test_one_row_a_knock_with_these_columns_and_types(client):
    """Names, order and types are the same whatever came, and for no rows at all."""
    found = lab.receipts(ask(client, ["a", "b"]), client=client)
    none = lab.receipts(ask(client, pd.DataFrame({"text": pd.Series([], dtype="string")})), client=client)

    assert {name: str(kind) for name, kind in found.dtypes.items()} == TYPES
    assert {name: str(kind) for name, kind in none.dtypes.items()} == TYPES
    assert found[["row", "n", "provider", "model", "requested_model", "status"]].to_numpy().tolist() == [
        [0, 0, "openai", MODEL, MODEL, "completed"],
        [1, 0, "openai", MODEL, MODEL, "completed"],
    ]
    assert found["served_model"].unique().tolist() == [f"simulated/{MODEL}"]
    assert (found["queued_ms"] >= 0).all()
    assert found["price"].notna().all()
    assert found["price_source"].str.contains("genai-prices").all()
    assert (found["started"] > pd.Timestamp("2020", tz="UTC")).all()


def test_retries_and_fallbacks_are_told_in_order(client, emu):
    """Each knock with its error, how long it took, and the wait that the provider asked for."""
    emu.add(Rule("429", model=MODEL, retry_after="0.01", times=1), Rule("500", model=MODEL))
    steps = {"strategies": [{"model": "claude-haiku-4-5"}], "retry_attempts": 1}
    results = ask(client, ["a"], fallback_config=steps)
    found = lab.receipts(results, client=client)

    assert found["n"].tolist() == list(range(results["attempts"].item()))
    assert found["error_code"].fillna("").tolist() == ["rate_limit", *["provider_unavailable"] * (len(found) - 2), ""]
    assert found["provider"].tolist() == ["openai"] * (len(found) - 1) + ["anthropic"]
    assert found["retry_after"].iloc[0] == 0.01
    assert found["answered_model"].unique().tolist() == ["claude-haiku-4-5"]
    assert (found["latency_ms"] > 0).all()
    assert found.index.tolist() == [0] * len(found)


def test_a_failed_question_has_its_knocks_too(client, emu):
    """And a lost reply may have been billed."""
    emu.add(Rule("cut_json"))
    found = lab.receipts(ask(client, ["a"], fallback_config={"retry_attempts": 1}), client=client)

    assert found["status"].tolist() == ["failed", "failed"]
    assert found["maybe_billed"].tolist() == [True, True]
    assert found["error_code"].tolist() == ["provider_unavailable"] * 2
    assert found[["cost", "served_model", "price"]].isna().all(axis=None)


def test_rows_that_share_an_answer_point_to_it(client, emu):
    """Equal questions of one run, and those of an earlier run: the first answer's id, and its one knock."""
    first = ask(client, ["a", "a"])
    again = ask(client, ["a"])
    found = lab.receipts(pd.concat([first, again]), client=client)

    assert len(emu.log) == 1
    assert found["inference_id"].nunique() == 1
    assert found["row"].tolist() == [0, 1, 2]
    assert found["started"].nunique() == 1


def test_an_answer_from_the_cache_names_the_first_one(client):
    """Nobody was asked: no knock, no cost, and where it comes from."""
    options = {"cache_config": {"ttl": 60}, "run": "one"}
    first = ask(client, ["a"], **options)
    cached = ask(client, ["a"], **{**options, "run": "two"})
    found = lab.receipts(cached, client=client)

    assert cached["cached"].item()
    assert found["source_id"].item() == first["inference_id"].item()
    assert found["n"].isna().item()
    assert found["cost"].item() == 0.0


def test_a_row_that_was_not_sent_says_why(client):
    """It has no inference, and a receipt all the same: none is missing."""
    found = lab.receipts(ask(client, ["a", None]), client=client)

    assert found["row"].tolist() == [0, 1]
    assert "missing prompt" in found["error"].iloc[1]
    assert found[["n", "inference_id", "status"]].iloc[1].isna().all()


def test_what_was_left_out_and_how_it_was_asked_is_told(client):
    """`dropped` and `structured` of the question."""
    schema = {"type": "object", "properties": {"x": {"type": "integer"}}}
    options = {"model": "claude-3-opus", "seed": 1, "on_unsupported": "drop", "schema": schema}
    found = lab.receipts(ask(client, ["a"], **options), client=client)

    assert found["dropped"].tolist() == [["seed"]]
    assert found["structured"].tolist() == ["tool"]


def test_a_part_of_the_results_and_a_prefix_are_no_obstacle(client):
    """Any frame with the ids serves; its index is kept."""
    results = ask(client, pd.DataFrame({"text": ["a", "b", "c"]}, index=[7, 8, 9]), prefix="p_")
    found = lab.receipts(results.iloc[1:], client=client)

    assert found.index.tolist() == [8, 9]
    assert found["row"].tolist() == [0, 1]
    with pytest.raises(errors.InvalidRequestError, match="inference_id"):
        lab.receipts(pd.DataFrame({"a": [1]}), client=client)


def test_nobody_sees_the_receipts_of_another(emu):
    """On a share server, ids of others are as unknown as those that never were; the owner sees all."""
    emu.clear()
    with (
        lab.Client(providers=emu.providers(), ledger=":memory:") as near,
        lab.serve(near) as share,
        lab.Client(share.new_key("ana", tier="Enterprise"), share.url) as ana,
        lab.Client(share.new_key("bob", tier="Enterprise"), share.url) as bob,
    ):
        results = ask(ana, ["a"])
        assert lab.receipts(results, client=bob)["status"].isna().all()
        assert lab.receipts(results, client=near)["status"].tolist() == ["completed"]


def test_a_providers_own_words_stay_at_the_server(emu):
    """They may hold what is nobody's business; the owner finds them in the ledger."""
    emu.clear()
    emu.add(Rule("500", message="internal host db-7.corp"))
    with (
        lab.Client(providers=emu.providers(), ledger=":memory:", max_retries=0) as near,
        lab.serve(near) as share,
        lab.Client(share.new_key("ana", tier="Enterprise"), share.url) as ana,
    ):
        results = ask(ana, ["a"])
        told, known = (lab.receipts(results, client=one)["error"].item() for one in (ana, near))

    assert "db-7" not in told
    assert "db-7" in known


def test_ten_thousand_receipts_are_two_look_ups_for_each_two_thousand():
    """Not one for each question: counted at the ledger, and quick enough to be of use."""
    ledger = Ledger.open(None)
    attempt = Attempt(provider="p", model="m", started=1.0, latency_ms=1.0)
    ids = [f"inf_{n:05d}" for n in range(10_000)]
    request = Request(model="m", messages=({"role": "user", "content": "q"},))
    for n, one in enumerate(ids):
        ledger.start(one, request, n.to_bytes(32), scope=None, created=1.0)
        ledger.finish(Inference(id=one, requested_model="m", model="m", provider="p", attempts=(attempt,)))
    ledger.flush()
    statements: list[str] = []
    ledger.connection.set_trace_callback(statements.append)
    began = time.perf_counter()
    found = ledger.receipts(ids)
    took = time.perf_counter() - began
    ledger.close()

    assert len(found) == 10_000
    assert all(record.attempts == (attempt,) for record in found)
    assert len(statements) == 10
    assert took < 5


def test_a_postgres_ledger_has_the_same_receipts(database, emu):
    """One list is bound there otherwise than in SQLite."""
    emu.clear()
    with lab.Client(providers=emu.providers(), ledger=database) as client:
        results = ask(client, ["a", "b"])
        found = lab.receipts(results, client=client)

    assert found["row"].tolist() == [0, 1]
    assert found["status"].tolist() == ["completed"] * 2
