"""What every engine owes its doors: one suite, embedded and remote. `remote → HTTP → embedded` cannot be told from it.

The remote one speaks over a real socket to a share server whose client is asked directly in the embedded case.
"""

from __future__ import annotations

import threading
import time

import numpy as np
import pandas as pd
import pytest
from calls import HELLO, Between
from hypothesis import given
from hypothesis import strategies as st

import prsm_lab as lab
from prsm_lab import documents, emulator, errors
from prsm_lab.ask import conversation, question
from prsm_lab.emulator import Rule

NO_RETRY = {"fallback_config": {"strategies": [], "retry_attempts": 0}}
ROWS = pd.DataFrame({"q": [f"question {n}" for n in range(12)]})


@pytest.fixture(scope="module")
def emu():
    with emulator.start() as running:
        yield running


@pytest.fixture(params=["embedded", "remote"])
def client(request, emu):
    emu.clear()
    with lab.Client(ledger=":memory:", providers=emu.providers()) as near:
        if request.param == "embedded":
            yield near
            return
        with lab.serve(near) as share, lab.Client(share.new_key("ana", tier="Enterprise"), share.url) as far:
            yield far


@pytest.fixture
def pair(emu):
    """The same house, asked directly and over HTTP."""
    emu.clear()
    with (
        lab.Client(ledger=":memory:", providers=emu.providers()) as near,
        lab.serve(near) as share,
        lab.Client(share.new_key("ana", tier="Enterprise"), share.url) as far,
    ):
        yield near, far


def test_an_answer_is_whole(client, emu):
    """Id, model, provider, usage, cost, times, attempts."""
    answer = client.inference.create("gpt-4", HELLO, max_tokens=20)

    assert answer.id.startswith("inf_")
    assert (answer.model, answer.provider, answer.finish_reason, answer.cached) == ("gpt-4", "openai", "stop", False)
    assert answer.usage.total_tokens > 0
    assert answer.cost.amount > 0
    assert answer.latency_ms > 0
    assert len(answer.attempts) == 1
    assert client.inference.get(answer.id).inference == answer


def test_both_give_the_same_answer(pair):
    """All that the model decides, and the document's shape."""
    near, far = (client.inference.create("gpt-4", HELLO, max_tokens=20, seed=1) for client in pair)

    for name in ("content", "model", "provider", "finish_reason", "usage", "cost", "served_model", "requested_model"):
        assert getattr(near, name) == getattr(far, name), name
    assert list(near.to_dict()) == list(far.to_dict())


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("fault", ["400", "401", "402", "404", "413", "429", "500", "529", "html", "cut_json", "no_choices", "reset"])  # fmt: skip
def test_both_raise_the_same_error(pair, emu, fault, live):
    """Class, code, status, details, provider, attempts, and the inference's state; the provider's words stay here."""
    if live and fault in ("cut_json", "no_choices"):
        pytest.skip("faults of whole answers")
    emu.add(Rule(fault))
    caught = []
    for client in pair:
        with pytest.raises(errors.PRSMError) as raised:
            if live:
                client.inference.stream("gpt-4", HELLO, **NO_RETRY).result()
            else:
                client.inference.create("gpt-4", HELLO, **NO_RETRY)
        caught.append(raised.value)
    near, far = caught

    assert type(near) is type(far)
    for name in ("code", "status", "provider", "retry_after"):
        assert getattr(near, name) == getattr(far, name), name
    assert {**far.details, "provider": near.provider} == {**near.details, "provider": near.provider}
    assert [a.error_code for a in near.attempts] == [a.error_code for a in far.attempts]
    assert pair[1].inference.get(far.inference_id).status == "failed"


@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("gpt4", {}), ("gpt-4", {"provider": "acme"}), ("gpt-4", {"fallback_providers": ["acme"]}),
        ("gpt-4", {"cost_optimization": {"enabled": True, "max_cost": 0.0}}),
        ("claude-opus-5", {"temperature": 0.5}),
    ],
)  # fmt: skip
def test_both_refuse_the_same_questions(pair, emu, model, options):
    """In the same words, and nothing is sent."""
    said = []
    for client in pair:
        with pytest.raises(errors.PRSMError) as raised:
            client.inference.create(model, HELLO, **options)
        said.append((type(raised.value), raised.value.message, raised.value.details))

    assert said[0] == said[1] or (
        said[0][:2] == said[1][:2] and said[1][2].pop("provider") and said[0][2] == said[1][2]
    )
    assert len(emu.log) == 0


def test_a_stream_is_pieces_then_the_whole(client):
    """Which is the ledger's."""
    with client.inference.stream("gpt-4", HELLO) as stream:
        text = "".join(piece.content for piece in stream)
        whole = stream.result()

    assert whole.content == text
    assert whole.ttft_ms is not None
    assert client.inference.get(whole.id).inference == whole


def test_a_closed_stream_stops_the_provider(client, emu):
    """Within half a second, however far away."""
    emu.add(Rule("stall", pieces=4))
    stream = client.inference.stream("gpt-4", HELLO)
    next(iter(stream))
    closed = time.monotonic()
    stream.close()
    emu.log.wait_for(lambda log: log.entries[0].peer_closed is not None)

    assert emu.log.entries[0].peer_closed - closed < 0.5


def test_a_broken_stream_keeps_what_it_had_said(client, emu):
    """In the error and in the ledger."""
    emu.add(Rule("mid_reset", pieces=5))
    stream, said = client.inference.stream("gpt-4", HELLO), []
    with pytest.raises(errors.ProviderError) as raised:
        said += [piece.content for piece in stream]

    assert raised.value.partial.text
    assert client.inference.get(raised.value.inference_id).partial == raised.value.partial.text


def test_fallbacks_are_taken_and_told(client, emu):
    """Who answered, and who was asked before."""
    emu.add(Rule("500", model="gpt-4"))
    answer = client.inference.create(
        "gpt-4",
        HELLO,
        fallback_config={"strategies": [{"provider": "anthropic", "timeout": 10000}], "retry_attempts": 0},
    )

    assert answer.provider == "anthropic"
    assert [attempt.error_code for attempt in answer.attempts] == ["provider_unavailable", None]
    assert answer.cost.provider_cost != answer.cost.amount


def test_a_cached_answer_is_free(client, emu):
    """And says so."""
    first, again = (client.inference.create("gpt-4", HELLO, cache_config={"ttl": 60}) for _ in range(2))

    assert (again.cached, again.cost.amount, again.content) == (True, 0.0, first.content)
    assert again.cost.savings == first.cost.amount
    assert len(emu.log) == 1


def test_preferences_of_the_client_hold(client, emu):
    """`configure_providers` where the question says nothing."""
    client.inference.configure_providers({"primary": "openai", "fallback": ["anthropic"]})
    emu.add(Rule("400", model="gpt-4"), Rule("500", model="gpt-4o"))

    with pytest.raises(errors.InvalidRequestError):
        client.inference.create("gpt-4", HELLO)
    assert client.inference.create("gpt-4o", HELLO).provider == "anthropic"


def test_tools_and_schemas_pass(client):
    """Calls come back as calls."""
    tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}
    answer = client.inference.create("gpt-4o", HELLO, tools=[tool], tool_choice="required")

    assert (answer.finish_reason, answer.tool_calls[0].name) == ("tool_calls", "look")


def test_a_comparison_is_resumed_and_loaded(client, emu):
    """Two models, twelve rows: asked once, found again, laid out again."""
    ask = {"models": ["gpt-4", "gpt-4o"], "client": client, "progress": False}
    first = lab.compare(ROWS, "Say {q}", **ask)
    again = lab.compare(ROWS, "Say {q}", **ask)
    run = lab.runs(client=client).iloc[0]

    assert len(emu.log) == 24
    assert first["response"].notna().all()
    assert again.attrs["prsm"]["totals"]["reused"] == 24
    assert (run["questions"], run["answered"]) == (24, 24)
    pd.testing.assert_frame_equal(lab.load(run["run"], client=client), first)


def test_a_metered_key_pays_once_as_any_other(emu):
    """Its answers are bounded where the question names no limit; the question stays the same when it comes again."""
    emu.clear()
    ask = {"model": "gpt-4", "progress": False}
    with (
        lab.Client(ledger=":memory:", providers=emu.providers()) as near,
        lab.serve(near) as share,
        lab.Client(share.new_key("ana", tier="Enterprise", credits=50.0), share.url) as far,
    ):
        first = lab.batch(ROWS, "Say {q}", client=far, **ask)
        left = far.keys.me().credits
        again = lab.batch(ROWS, "Say {q}", client=far, **ask)

        assert far.keys.me().credits == left < 50.0
    assert len(emu.log) == 12
    assert again["response"].tolist() == first["response"].tolist()


def test_a_run_goes_on_where_it_failed(client, emu):
    """Only what has no answer is asked again."""
    emu.add(Rule("400", contains="question 3", times=1))
    first = lab.batch(ROWS, "Say {q}", model="gpt-4", client=client, progress=False, run="mine")
    again = lab.batch(ROWS, "Say {q}", model="gpt-4", client=client, progress=False, run="mine")

    assert first["error_code"].notna().sum() == 1
    assert again["response"].notna().all()
    assert len(emu.log) == 13


def test_usage_and_models_are_told(client):
    """The seed's figures."""
    for _ in range(3):
        client.inference.create("gpt-4", HELLO)
    report = client.inference.analytics("last_24_hours")

    assert (report.total_requests, report.success_rate) == (3, 1.0)
    assert report.total_cost > 0
    assert client.inference.performance(model="gpt-4o").total_requests == 0
    assert any(model.name == "gpt-4" and model.price.input == 30.0 for model in client.models.list())


def test_an_unknown_inference_is_not_found(client):
    """Whatever its id looks like."""
    for wrong in ("inf_none", "../keys", "inf none"):
        with pytest.raises(errors.NotFoundError):
            client.inference.get(wrong)


def test_an_interrupt_stops_what_is_in_flight(client, emu):
    """Cancelled work closes its connections, through the server too."""
    from prsm_lab.engine import portal

    emu.add(Rule("hang"))
    request = conversation(client.question("gpt-4"), HELLO)
    job = portal.begin(client.engine.create(request))
    emu.log.wait_for(lambda log: len(log) == 1)
    job.cancel()
    cancelled = time.monotonic()
    emu.log.wait_for(lambda log: log.entries[0].peer_closed is not None)

    assert emu.log.entries[0].peer_closed - cancelled < 0.5


# ------------------------------------------------------------------------------------------ the remote one alone


def test_two_environment_variables_make_a_client_remote(pair, monkeypatch):
    """A colleague's notebook, unchanged."""
    far = pair[1]
    monkeypatch.setenv("PRSM_API_URL", far.engine.url + "/v1/inference")
    monkeypatch.setenv("PRSM_API_KEY", far.engine._key.reveal())
    with lab.Client() as client:
        assert "remote" in repr(client)
        assert client.inference.create("gpt-4", HELLO).content


def test_a_remote_client_needs_a_key_and_no_providers():
    """Said before anything is sent."""
    with pytest.raises(errors.AuthenticationError, match="PRSM_API_KEY"):
        lab.Client(base_url="http://127.0.0.1:1")
    with pytest.raises(errors.InvalidRequestError, match="contradict"):
        lab.Client("pk_x", "http://127.0.0.1:1", providers={"mine": {"base_url": "http://localhost:1/v1"}})


def test_a_server_that_is_not_there_is_named(monkeypatch):
    """After its retries, with the remedy."""
    from prsm_lab.engine import remote

    monkeypatch.setattr(remote, "backoff", lambda *_: 0.0)
    with lab.Client("pk_x", "http://127.0.0.1:1") as client, pytest.raises(errors.ProviderError, match="PRSM_API_URL"):
        client.inference.create("gpt-4", HELLO)


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_what_may_pass_is_asked_again_and_paid_once(monkeypatch, status):
    """A proxy's fault or the server's own, under the same idempotency key."""
    from prsm_lab.engine import remote

    monkeypatch.setattr(remote, "backoff", lambda *_: 0.0)
    fault = b'{"error": {"code": "internal", "message": "no"}}' if status == 500 else b"<h1>Bad gateway</h1>"
    if status == 503:
        fault = b'{"error": {"code": "provider_unavailable", "message": "no", "details": {"kind": "stopping"}}}'
    with lab.Client(mock_mode=True, ledger=":memory:") as near, lab.serve(near) as share:
        with Between(share.url, [(status, fault)] * 2) as proxy, lab.Client(share.new_key("ana"), proxy.url) as far:
            answer = far.inference.create("gpt-4", HELLO)
        asked = near.inference.analytics("last_24_hours").total_requests

    assert answer.content
    assert asked == 1
    assert len(proxy.keys) == 3
    assert len(set(proxy.keys)) == 1


def test_a_full_house_is_waited_for(emu):
    """Free: two at once. Twelve rows all come through, none fails."""
    emu.clear()
    with (
        lab.Client(ledger=":memory:", providers=emu.providers()) as near,
        lab.serve(near) as share,
        lab.Client(share.new_key("ana"), share.url) as far,
    ):
        emu.add(Rule("slow", seconds=0.02))
        rows = lab.batch(ROWS, "Say {q}", model="gpt-4", client=far, progress=False)

    assert rows["response"].notna().all()
    assert emu.log.max_open <= 2


def test_a_remote_run_is_its_persons_own(emu):
    """The same name for two people is two runs; the owner's is a third."""
    emu.clear()
    with lab.Client(ledger=":memory:", providers=emu.providers()) as near, lab.serve(near) as share:
        people = [lab.Client(share.new_key(name, tier="Enterprise"), share.url) for name in ("ana", "bob")]
        for client in (*people, near):
            lab.batch(ROWS[:2], "Say {q}", model="gpt-4", client=client, progress=False, run="same")
        listed = [len(lab.runs(client=client)) for client in (*people, near)]
        for client in people:
            client.close()

    assert len(emu.log) == 6
    assert listed == [1, 1, 3]


def test_sharing_a_remote_client_is_refused(pair):
    """Its server can be shared as it is."""
    with pytest.raises(errors.InvalidRequestError, match="remote"):
        lab.serve(pair[1])


def test_the_key_of_a_remote_client_shows_nowhere(pair):
    """Neither in the client nor in its errors."""
    far = pair[1]
    key = far.engine._key.reveal()
    with pytest.raises(errors.PRSMError) as raised:
        far.inference.create("gpt4", HELLO)

    assert key not in repr(far) + repr(far.engine) + str(vars(far)) + str(vars(far.engine)) + repr(raised.value)


OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "max_tokens": st.integers(1, 9999), "temperature": st.floats(0, 2), "top_p": st.floats(0.01, 1), "seed": st.integers(-5, 5),
        "stop": st.lists(st.text("ab", min_size=1), max_size=3), "user": st.text(max_size=5), "timeout": st.integers(1, 500),
        "provider": st.sampled_from(["openai", "anthropic"]), "fallback_providers": st.lists(st.sampled_from(["openai", "huggingface"]), max_size=2),
        "latency_optimization": st.booleans(), "quality_threshold": st.floats(0, 1), "task": st.sampled_from(["sums", "a b"]), "on_unsupported": st.sampled_from(["refuse", "drop"]),
        "cost_optimization": st.one_of(st.booleans(), st.fixed_dictionaries({}, optional={"enabled": st.booleans(), "max_cost": st.floats(0, 5), "prefer_cheaper": st.booleans()})),
        "cache_config": st.one_of(st.booleans(), st.fixed_dictionaries({}, optional={"ttl": st.integers(0, 99), "key_strategy": st.sampled_from(["exact", "normalized"])})),
        "extra": st.dictionaries(st.sampled_from(["effort", "top_k"]), st.integers(0, 3), max_size=2),
    },
)  # fmt: skip


@given(OPTIONS)
def test_a_question_survives_the_way(options):
    """Written as a body, read back: the same question, whatever its options."""
    import msgspec

    asked = conversation(question("gpt-4", **options), "hi")
    body = msgspec.json.decode(msgspec.json.encode(documents.asked(asked)))
    del body["prsm"]
    messages, model = body.pop("messages"), body.pop("model")

    assert conversation(question(model, **body), messages) == asked


@given(st.sampled_from(errors.__all__), st.text(max_size=20), st.dictionaries(st.text("ab", max_size=3), st.integers()), st.floats(0, 100))  # fmt: skip
def test_an_error_survives_the_way(name, message, details, wait):
    """Written as an envelope, read back: the same class with the same facts."""
    import msgspec

    error = getattr(errors, name)(message or "x", details=details, provider="openai", retry_after=wait)
    body = msgspec.json.decode(msgspec.json.encode(documents.fault(error, whole=True)))
    again = documents.read_fault(body, error.status, {})

    assert (type(again), again.message, again.retry_after, again.provider) == (
        type(error),
        error.message,
        wait,
        "openai",
    )
    assert {**again.details, "provider": 1} == {**details, "provider": 1}


def test_many_notebooks_ask_one_server(pair):
    """Eight threads, one client each way: nobody gets another's answer."""
    far = pair[1]
    wrong = []

    def ask(n: int) -> None:
        answer = far.inference.create("gpt-4", [{"role": "user", "content": f"q{n}"}])
        if answer.content != far.inference.get(answer.id).inference.content:
            wrong.append(n)

    workers = [threading.Thread(target=ask, args=(n,)) for n in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    assert wrong == []
    assert np.isfinite(far.inference.analytics().total_cost)
