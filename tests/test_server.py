"""The share server's routes, over a real socket: the seed's documents to the letter, and what they promise."""

from __future__ import annotations

import json
import re
import threading
import time
from pathlib import Path

import pytest
from calls import ASK, HELLO, Caller

import prsm_lab as lab
from prsm_lab import emulator, errors
from prsm_lab.emulator import Rule

SEED = (Path(__file__).parent / "golden" / "seed.md").read_text(encoding="utf-8")
DOCUMENTS = [json.loads(text) for text in re.findall(r"```json\n(.*?)```", SEED, re.DOTALL)]
CREATE, CREATED, STATE, BATCH, STREAM, ERROR = DOCUMENTS


@pytest.fixture(scope="module")
def emu():
    with emulator.start() as running:
        yield running


@pytest.fixture
def client(emu):
    emu.clear()
    with lab.Client(ledger=":memory:", providers=emu.providers()) as made:
        yield made


@pytest.fixture
def share(client):
    with lab.serve(client) as serving:
        yield serving


@pytest.fixture
def ana(share):
    return Caller(share.url, share.new_key("ana", tier="Pro"))


@pytest.fixture
def bob(share):
    return Caller(share.url, share.new_key("bob", tier="Pro"))


def shape(document):
    """A document's keys and kinds of values."""
    if isinstance(document, dict):
        return {name: shape(value) for name, value in document.items()}
    if isinstance(document, list):
        return [shape(document[0])] if document else []
    return "number" if isinstance(document, (int, float)) else type(document).__name__


# ------------------------------------------------------------------------------------------------- the seed


def test_the_seeds_question_gets_the_seeds_answer(ana):
    """Every name and kind of the document, no more, no fewer."""
    answer = ana.post("/v1/inference", {**CREATE, "cost_optimization": False})

    assert answer.status == 200
    assert shape(answer.json) == shape(CREATED)
    assert list(answer.json) == list(CREATED)
    assert answer.json["id"].startswith("inf_")


def test_the_seeds_own_request_runs_as_it_stands(ana):
    """With cost optimisation and fallbacks, as it is written."""
    assert ana.post("/v1/inference", CREATE).status == 200


def test_an_inference_is_found_again_by_its_id(ana):
    """As the seed's document."""
    asked = ana.post("/v1/inference", ASK).json["id"]

    assert shape(ana.get(f"/v1/inference/{asked}").json) == shape(STATE)


def test_the_seeds_batch_answers_in_order_with_the_callers_ids(ana):
    """Two providers in one call."""
    answer = ana.post("/v1/inference/batch", BATCH)

    assert [result["id"] for result in answer.json["results"]] == ["req_1", "req_2"]
    assert [shape(result["inference"]) for result in answer.json["results"]] == [shape(CREATED)] * 2


def test_the_seeds_stream_is_spoken_as_it_is_written(ana):
    """Deltas as in the document, a last event with usage and cost, `[DONE]`."""
    answer = ana.post("/v1/inference/stream", STREAM)
    *deltas, last, done = answer.events

    assert answer.headers["content-type"].startswith("text/event-stream")
    assert all(set(delta) == {"id", "object", "choices"} for delta in deltas)
    assert {delta["object"] for delta in deltas} == {"inference.delta"}
    text = "".join(delta["choices"][0]["delta"]["content"] for delta in deltas)
    known = ana.get(f"/v1/inference/{last['id']}").json
    assert known["result"]["content"] == text
    assert (known["result"]["tokens"], known["result"]["cost"]) == (
        last["usage"]["total_tokens"],
        last["cost"]["amount"],
    )
    assert last["latency_ms"] > 0
    assert last["choices"][0]["finish_reason"] == "stop"
    assert done == "[DONE]"


def test_the_seeds_error_is_said_as_it_is_written(ana):
    """Code, message, parameter, expected type."""
    body = {name: value for name, value in CREATE.items() if name != "model"}

    assert ana.post("/v1/inference", body).json == ERROR


@pytest.mark.parametrize(
    ("body", "status", "code", "parameter"),
    [
        ({**ASK, "model": "gpt4"}, 404, "not_found", "model"),
        ({**ASK, "temperature": 9}, 400, "invalid_request", "temperature"),
        ({**ASK, "temprature": 1}, 400, "invalid_request", "temprature"),
        ({**ASK, "messages": []}, 400, "invalid_request", "messages"),
        ({**ASK, "messages": "hi"}, 400, "invalid_request", "messages"),
        ({**ASK, "model": 5}, 400, "invalid_request", "model"),
        ({**ASK, "provider": "acme"}, 400, "invalid_request", "provider"),
        ({**ASK, "stream": "yes"}, 400, "invalid_request", "stream"),
        ({**ASK, "prsm": {"sample": -1}}, 400, "invalid_request", "prsm.sample"),
        ({**ASK, "api_base": "http://evil.example"}, 400, "invalid_request", "api_base"),
        ({**ASK, "base_url": "http://evil.example"}, 400, "invalid_request", "base_url"),
        ({**ASK, "extra": {"model": "gpt-4o"}}, 400, "invalid_request", "extra.model"),
        ({**ASK, "extra": {"service_tier": "priority"}}, 400, "invalid_request", "extra.service_tier"),
    ],
)
def test_a_wrong_question_is_refused_by_name_and_nothing_is_sent(ana, emu, body, status, code, parameter):
    """Neither a URL nor a dearer model can be smuggled in."""
    answer = ana.post("/v1/inference", body)

    assert (answer.status, answer.error["code"], answer.error["details"]["parameter"]) == (status, code, parameter)
    assert len(emu.log) == 0


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [("401", 401, "authentication"), ("402", 402, "insufficient_credits"), ("500", 503, "provider_unavailable"), ("429", 429, "rate_limit")],
)  # fmt: skip
def test_a_providers_fault_has_the_seeds_code(ana, emu, fault, status, code):
    """And says whose it is."""
    emu.add(Rule(fault))
    answer = ana.post("/v1/inference", {**ASK, "fallback_config": {"strategies": [], "retry_attempts": 0}})

    assert (answer.status, answer.error["code"], answer.error["details"]["provider"]) == (status, code, "openai")


# ----------------------------------------------------------------------------------------- paid once, seen by one


def test_an_idempotency_key_is_answered_once(ana, emu):
    """The second time from the ledger; another body under it is a conflict."""
    first = ana.post("/v1/inference", ASK, Idempotency_Key="k-1")
    again = ana.post("/v1/inference", ASK, Idempotency_Key="k-1")
    other = ana.post("/v1/inference", {**ASK, "max_tokens": 21}, Idempotency_Key="k-1")

    assert again.raw == first.raw
    assert again.headers["idempotent-replayed"] == "true"
    assert (other.status, other.error["code"]) == (409, "conflict")
    assert len(emu.log) == 1


def test_an_idempotency_key_belongs_to_one_person(ana, bob, emu):
    """Another's key of the same name is another question."""
    assert ana.post("/v1/inference", ASK, Idempotency_Key="k").json["id"] != bob.post("/v1/inference", ASK, Idempotency_Key="k").json["id"]  # fmt: skip
    assert len(emu.log) == 2


def test_a_question_that_is_still_answered_is_not_asked_twice(ana, emu):
    """409 with a hint when to look again; afterwards its answer."""
    emu.add(Rule("hang", times=1))
    worker = threading.Thread(target=lambda: ana.post("/v1/inference", {**ASK, "timeout": 2}, Idempotency_Key="slow"))
    worker.start()
    emu.log.wait_for(lambda log: len(log) == 1)
    while_open = ana.post("/v1/inference", {**ASK, "timeout": 2}, Idempotency_Key="slow")
    worker.join()
    afterwards = ana.post("/v1/inference", {**ASK, "timeout": 2}, Idempotency_Key="slow")

    assert (while_open.status, while_open.headers["retry-after"]) == (409, "1")
    assert afterwards.status == 200  # the first try failed, so the key asks again


def test_a_background_question_is_answered_at_once_and_asked_meanwhile(ana):
    """202 with the id; the id tells how it stands."""
    told = ana.post("/v1/inference", {**ASK, "background": True})
    assert told.status == 202
    assert told.headers["location"] == f"/v1/inference/{told.json['id']}"

    until = time.monotonic() + 10
    while (known := ana.get(told.headers["location"]).json)["status"] == "running" and time.monotonic() < until:
        pass
    assert known["status"] == "completed"
    assert known["result"]["content"]


def test_a_background_question_that_fails_says_so(ana, emu):
    """Also one that the door refuses."""
    emu.add(Rule("401"))
    told = ana.post("/v1/inference", {**ASK, "background": True}).json
    until = time.monotonic() + 10
    while (known := ana.get(f"/v1/inference/{told['id']}").json)["status"] == "running" and time.monotonic() < until:
        pass

    assert (known["status"], known["error"]["code"]) == ("failed", "authentication")


def test_people_see_their_own_inferences_and_an_admin_all(share, ana, bob):
    """Somebody else's id and no id at all cannot be told apart."""
    asked = ana.post("/v1/inference", ASK).json["id"]
    root = Caller(share.url, share.new_key("root", scopes=["admin"]))

    assert ana.get(f"/v1/inference/{asked}").status == 200
    assert bob.get(f"/v1/inference/{asked}").json == {"error": {**bob.get("/v1/inference/inf_none").error, "message": f"No inference {asked!r} in this ledger."}}  # fmt: skip
    assert bob.get("/v1/inference").json["data"] == []
    assert bob.get("/v1/inference/analytics").json["total_requests"] == 0
    assert root.get(f"/v1/inference/{asked}").status == 200
    assert [one["id"] for one in root.get("/v1/inference").json["data"]] == [asked]


def test_one_persons_answers_are_no_cache_for_another(client, share, ana, bob, emu):
    """Neither a colleague's nor the owner's."""
    cached = {**ASK, "cache_config": True}
    client.inference.create("gpt-4", HELLO, max_tokens=20)
    for person in (ana, bob, ana, bob):
        assert person.post("/v1/inference", cached).status == 200

    assert len(emu.log) == 3


@pytest.mark.parametrize("id", ["..", "%2e%2e%2fledger.db", "a\\b", "%00", "A" * 65, "inf_" + "x" * 80])
def test_an_id_is_never_a_path(ana, id):
    """404, whatever it tries."""
    assert ana.get(f"/v1/inference/{id}").status == 404


# ---------------------------------------------------------------------------------------------------- batches


def test_a_failing_request_of_a_batch_loses_no_other(ana, emu):
    """Wrong, unknown, refused by its provider: each is its own result."""
    emu.add(Rule("400", contains="bad"))
    bad = {**ASK, "messages": [{"role": "user", "content": "bad"}]}
    answer = ana.post("/v1/inference/batch", {"requests": [ASK, {"id": "x", "model": "gpt4"}, bad, "what", {**ASK, "id": "z"}]})  # fmt: skip

    assert [one["status"] for one in answer.json["results"]] == ["completed", "failed", "failed", "failed", "completed"]
    assert [one["id"] for one in answer.json["results"]] == [None, "x", None, None, "z"]
    assert answer.json["failed"] == 3
    assert answer.json["cost"]["amount"] == pytest.approx(
        sum(one["inference"]["cost"]["amount"] for one in answer.json["results"] if "inference" in one)
    )


def test_a_batch_can_be_read_line_by_line(ana):
    """In the order of their ends, with their positions; a last line sums up."""
    answer = ana.post("/v1/inference/batch", {"requests": [{**ASK, "id": str(n)} for n in range(20)]}, Accept="application/x-ndjson")  # fmt: skip
    *lines, last = [json.loads(line) for line in answer.raw.splitlines()]

    assert sorted(line["index"] for line in lines) == list(range(20))
    assert all(line["id"] == str(line["index"]) for line in lines)
    assert (last["object"], last["failed"]) == ("batch.done", 0)


def test_a_batch_says_that_it_is_alive_while_nothing_comes(ana, emu, monkeypatch):
    """With empty lines, which readers of lines pass over: a proxy cuts what is silent for long."""
    from prsm_lab.server import streams

    monkeypatch.setattr(streams, "HEARTBEAT_SECONDS", 0.1)
    emu.add(Rule("hang"))
    answer = ana.post("/v1/inference/batch", {"requests": [{**ASK, "timeout": 1}]}, Accept="application/x-ndjson")
    lines = [json.loads(line) for line in answer.raw.splitlines() if line]

    assert answer.raw.startswith(b"\n")
    assert [line.get("status", line.get("object")) for line in lines] == ["failed", "batch.done"]


def test_a_batch_is_asked_one_by_one_if_it_is_not_parallel(ana, emu):
    """And so many at once as it says."""
    for parallel, most in ((False, 1), (3, 3)):
        emu.clear()
        emu.log.max_open = 0
        ana.post("/v1/inference/batch", {"requests": [ASK] * 12, "parallel": parallel})
        assert emu.log.max_open <= most


@pytest.mark.parametrize(("strategy", "providers"), [("none", {"openai"}), ("best_available", {"openai", "anthropic"})])
def test_a_batchs_fallback_strategy(ana, emu, strategy, providers):
    """`best_available` asks the other providers' comparable models when one is down."""
    emu.add(Rule("500", model="gpt-4"))
    requests = [{**ASK, "fallback_config": {"retry_attempts": 0}}] if strategy == "none" else [ASK]
    result = ana.post("/v1/inference/batch", {"requests": requests, "fallback_strategy": strategy}).json["results"][0]

    assert {"openai" if entry.path.endswith("completions") else "anthropic" for entry in emu.log.entries} == providers
    assert result["status"] == ("failed" if strategy == "none" else "completed")


@pytest.mark.parametrize("body", [{}, {"requests": []}, {"requests": [ASK], "fallback_strategy": "luck"}, {"requests": [ASK], "parallel": "yes"}, {"requests": [ASK] * 10_001}, {"requests": [ASK], "more": 1}])  # fmt: skip
def test_a_batch_that_is_none_is_refused(ana, emu, body):
    """Before anything is asked."""
    assert ana.post("/v1/inference/batch", body).status == 400
    assert len(emu.log) == 0


# ---------------------------------------------------------------------------------------------------- streams


def test_a_client_that_leaves_stops_the_provider(ana, emu):
    """The provider's connection closes while its model would still speak."""
    emu.add(Rule("stall", pieces=4))
    with ana.socket() as line:
        line.sendall(ana.head("POST", "/v1/inference/stream", json.dumps(ASK).encode()))
        received = b""
        while b"inference.delta" not in received:
            received += line.recv(65536)
        left = time.monotonic()
    emu.log.wait_for(lambda log: log.entries[0].peer_closed is not None)

    assert emu.log.entries[0].peer_closed - left < 0.5
    assert emu.log.entries[0].done is None


@pytest.mark.parametrize("path", ["/v1/inference", "/v1/chat/completions"])
def test_a_client_that_leaves_before_its_answer_stops_the_provider_too(ana, emu, path):
    """Whole answers are paid for as well."""
    emu.add(Rule("hang"))
    with ana.socket() as line:
        line.sendall(ana.head("POST", path, json.dumps(ASK).encode()))
        emu.log.wait_for(lambda log: len(log) == 1)
        left = time.monotonic()
    emu.log.wait_for(lambda log: log.entries[0].peer_closed is not None)

    assert emu.log.entries[0].peer_closed - left < 0.5


def test_a_fault_before_the_first_piece_is_an_ordinary_error(ana, emu):
    """With its status."""
    emu.add(Rule("401"))
    answer = ana.post("/v1/inference/stream", ASK)

    assert (answer.status, answer.error["code"]) == (401, "authentication")


def test_a_fault_after_the_first_piece_is_an_event(ana, emu):
    """The stream ends with it, and not with `[DONE]`."""
    emu.add(Rule("mid_reset", pieces=4))
    answer = ana.post("/v1/inference/stream", ASK)

    assert answer.status == 200
    assert answer.raw.count(b"event: error\n") == 1
    assert answer.events[-1]["error"]["code"] == "provider_unavailable"
    assert b"[DONE]" not in answer.raw


def test_a_revoked_key_ends_its_open_stream(share, emu):
    """Within a second; the next request is refused."""
    key = share.new_key("eve", tier="Pro")
    eve = Caller(share.url, key)
    emu.add(Rule("stall", pieces=3))
    answers = []
    worker = threading.Thread(target=lambda: answers.append(eve.post("/v1/inference/stream", ASK)))
    worker.start()
    emu.log.wait_for(lambda log: len(log) == 1 and log.entries[0].pieces >= 3)
    share.revoke(key)
    revoked = time.monotonic()
    worker.join(5)

    assert time.monotonic() - revoked < 1.5
    assert answers[0].events[-1]["error"]["details"]["kind"] == "revoked"
    assert eve.post("/v1/inference", ASK).status == 401
    emu.log.wait_for(lambda log: log.entries[0].peer_closed is not None)


def test_open_streams_end_with_a_word_when_the_server_stops(client, emu):
    """No cut connection: an error event, and the provider is left."""
    share = lab.serve(client)
    ana = Caller(share.url, share.new_key("ana", tier="Pro"))
    emu.add(Rule("stall", pieces=3))
    answers = []
    worker = threading.Thread(target=lambda: answers.append(ana.post("/v1/inference/stream", ASK)))
    worker.start()
    emu.log.wait_for(lambda log: len(log) == 1 and log.entries[0].pieces >= 3)
    share.stop()
    worker.join(5)

    assert answers[0].events[-1]["error"]["details"]["kind"] == "stopping"
    emu.log.wait_for(lambda log: log.entries[0].peer_closed is not None)
    with pytest.raises(OSError, match="refused"):
        ana.get("/healthz")


def test_a_silent_provider_is_bridged_by_comments(share, emu, monkeypatch):
    """So that proxies keep the connection; then the error still has words."""
    from prsm_lab.server import streams

    monkeypatch.setattr(streams, "HEARTBEAT_SECONDS", 0.2)
    ana = Caller(share.url, share.new_key("ana", tier="Pro"))
    emu.add(Rule("hang"))
    answer = ana.post("/v1/inference/stream", {**ASK, "timeout": 2})

    assert answer.raw.startswith(b": still waiting\n\n")
    assert answer.events[-1]["error"]["code"] == "timeout"


def test_a_models_text_cannot_begin_an_event_of_its_own():
    """Line breaks of every kind stay inside their JSON."""
    nasty = 'a\n\ndata: {"error": {"code": "x"}}\n\nevent: error\r\r\u2028[DONE]'
    with lab.Client(mock_mode=True, ledger=":memory:", mock_responses={"*": {"content": nasty}}) as client, lab.serve(client) as share:  # fmt: skip
        events = Caller(share.url, share.new_key("ana")).post("/v1/inference/stream", ASK).events

    assert "".join(e["choices"][0]["delta"].get("content", "") for e in events[:-1]) == nasty
    assert events[-1] == "[DONE]"


# ----------------------------------------------------------------------------------- usage, preferences, models


def test_usage_has_the_seeds_fields_and_groups(share, ana, bob):
    """By model, provider, person and day; each agrees with the whole."""
    for person in (ana, bob, bob):
        person.post("/v1/inference", ASK)
    root = Caller(share.url, share.new_key("root", scopes=["admin"]))
    report = root.get("/v1/inference/analytics?timeframe=last_24_hours&group_by=key").json

    assert {"total_requests", "avg_latency_ms", "total_cost", "success_rate", "p95_latency_ms"} <= set(report)
    assert {group["key"]: group["total_requests"] for group in report["groups"]} == {"ana": 1, "bob": 2}
    assert sum(group["total_cost"] for group in report["groups"]) == pytest.approx(report["total_cost"])
    assert root.get("/v1/inference/analytics?metrics=requests,costs").json == {
        "total_requests": 3, "total_cost": report["total_cost"], "unpriced_requests": 0, "groups": [],
    }  # fmt: skip
    performance = root.get("/v1/inference/performance?model=gpt-4&metrics=success_rate,avg_latency,p95_latency").json
    assert set(performance) == {"success_rate", "avg_latency", "p95_latency", "groups"}
    assert root.get("/v1/inference/performance?model=gpt-4o").json["total_requests"] == 0


@pytest.mark.parametrize(
    "query", ["timeframe=yesterday", "metrics=luck", "group_by=colour", "more=1", "since=x", "until=nan", "since=-inf"]
)
def test_a_report_that_is_none_is_refused(ana, query):
    """By name."""
    assert ana.get(f"/v1/inference/performance?{query}").status == 400


def test_preferences_belong_to_a_key(ana, bob, emu):
    """They answer what its questions leave open."""
    wanted = {"primary": "openai", "fallback": ["anthropic"], "cost_optimization": False, "latency_optimization": False, "quality_threshold": 0.5}  # fmt: skip
    assert ana("PUT", "/v1/inference/providers", wanted).json == wanted
    emu.add(Rule("500", model="gpt-4"))

    assert ana.get("/v1/inference/providers").json == wanted
    assert bob.get("/v1/inference/providers").json["fallback"] == []
    assert ana.post("/v1/inference", ASK).json["provider"] == "anthropic"
    assert bob.post("/v1/inference", {**ASK, "fallback_config": {"retry_attempts": 0}}).status == 503
    assert ana("PUT", "/v1/inference/providers", {"primery": "openai"}).status == 400


def test_models_are_listed_as_openai_lists_them(ana):
    """And whole for who asks."""
    listed = ana.get("/v1/models").json
    assert listed["object"] == "list"
    assert all(set(card) == {"id", "object", "created", "owned_by"} for card in listed["data"])
    assert ana.get("/v1/models/gpt-4").json in listed["data"]
    assert ana.get("/v1/models/microsoft/DialoGPT-large").json["owned_by"] == "huggingface"
    assert ana.get("/v1/models/none").status == 404
    whole = ana.get("/v1/models", Accept="application/vnd.prsm+json").json["models"]
    assert next(model for model in whole if model["name"] == "gpt-4")["price"]["input"] == 30.0


# -------------------------------------------------------------------------------------------------- in a cell


def test_serving_a_client_again_finds_its_server(client, share):
    """A cell that is run again starts no second one."""
    assert lab.serve(client) is share
    with pytest.raises(errors.InvalidRequestError, match="already"):
        lab.serve(client, port=1)


def test_a_port_that_is_taken_is_said_to_be(share):
    """It is never silently another."""
    port = int(share.url.rpartition(":")[2])
    with (
        lab.Client(mock_mode=True, ledger=":memory:") as other,
        pytest.raises(errors.InvalidRequestError, match=f"Port {port}"),
    ):
        lab.serve(other, port=port)


def test_a_server_that_stopped_says_so(client):
    """A second stop does nothing."""
    share = lab.serve(client)
    share.stop()
    share.stop()

    assert not share.running
    assert "stopped" in repr(share)
    with pytest.raises(errors.InvalidRequestError, match="stopped"):
        share.new_key("ana")
    with lab.serve(client) as again:
        assert again is not share
        assert Caller(again.url, None).get("/healthz").status == 200


def test_a_cell_shows_the_address_and_counts_but_no_key(share):
    """Neither repr nor HTML."""
    key = share.new_key("ana")
    Caller(share.url, key).post("/v1/inference", ASK)
    shown = share._repr_html_() + repr(share) + repr(share.keys().to_dict())

    assert share.url in shown
    assert "<b>1</b> requests" in shown
    assert key not in shown
    assert key.split("_", 2)[2] not in shown


def test_the_address_is_not_the_networks_by_default(client):
    """It takes a word to be seen by others."""
    with pytest.raises(errors.InvalidRequestError, match="expose=True"):
        lab.serve(client, host="0.0.0.0")
    with pytest.warns(UserWarning, match="plain HTTP"):
        share = lab.serve(client, host="0.0.0.0", expose=True)
    share.stop()
