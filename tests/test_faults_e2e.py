"""Every fault that a provider can make, through the real SDKs over real sockets, on every wire.

For each: the class that is raised, how often the provider was asked, what the ledger keeps; and above all that no
cut or damaged answer is ever returned as a whole one.
"""

from __future__ import annotations

import time

import pytest

import prsm_lab as lab
from prsm_lab import emulator, errors
from prsm_lab.engine import portal

QUESTION = "What is the capital of France?"
MODELS = {
    "chat": "gpt-4.1-mini",
    "responses": "gpt-6-sol",
    "messages": "claude-haiku-4-5",
    "router": "mixtral",
    "text": "microsoft/DialoGPT-large",
}
SPEAKING = [wire for wire in MODELS if wire != "text"]
DOWN, BAD = errors.ProviderError, errors.InvalidRequestError


@pytest.fixture(scope="module")
def emu():
    with emulator.start(references={QUESTION: "Paris", "x": "London"}) as running:
        yield running


@pytest.fixture(scope="module")
def shared(emu):
    with lab.Client(providers=emu.providers(), ledger=":memory:", max_retries=1, timeout=20.0) as client:
        yield client


@pytest.fixture
def client(emu, shared, monkeypatch):
    """The shared client, with no memory of earlier faults and no random waits."""
    monkeypatch.setattr("prsm_lab.engine.attempts.random.random", lambda: 0.0)
    emu.clear()
    shared.engine._health._routes.clear()
    shared.engine._health._closed.clear()
    shared.engine._attempts._pace._closed_until.clear()
    return shared


pytestmark = pytest.mark.filterwarnings("ignore:No price is known")


def ask(client, wire: str, live: bool, **options):
    """The answer's text, asked whole or piece by piece."""
    if not live:
        return client.inference.create(MODELS[wire], QUESTION, **options)
    with client.inference.stream(MODELS[wire], QUESTION, **options) as stream:
        shown = "".join(piece.content for piece in stream)
        whole = stream.result()
    assert shown == whole.content
    return whole


def undamaged(client, emu, wire: str) -> str:
    emu._desk.rules.clear()
    return client.inference.create(MODELS[wire], QUESTION).content


STATUSES = [
    (400, BAD, 1), (401, errors.AuthenticationError, 1), (402, errors.InsufficientCreditsError, 1),
    (403, errors.AuthenticationError, 1), (404, errors.NotFoundError, 1), (408, DOWN, 2), (409, DOWN, 2), (413, BAD, 1),
    (422, BAD, 1), (424, DOWN, 2), (429, errors.RateLimitError, 2), (500, DOWN, 2), (502, DOWN, 2), (503, DOWN, 2),
    (504, DOWN, 2), (529, DOWN, 2), (307, DOWN, 1),
]  # fmt: skip


@pytest.mark.parametrize("live", [False, True], ids=["create", "stream"])
@pytest.mark.parametrize("wire", SPEAKING)
@pytest.mark.parametrize(("status", "cls", "asked"), STATUSES, ids=[str(s) for s, _, _ in STATUSES])
def test_a_status_becomes_its_class_and_is_retried_exactly_if_that_can_help(
    client, emu, wire, live, status, cls, asked
):
    """And the ledger keeps the failure with every attempt."""
    emu.add(emulator.Rule(str(status)))
    with pytest.raises(cls) as caught:
        ask(client, wire, live)

    assert len(emu.log.arrivals()) == asked == len(caught.value.attempts)
    record = client.inference.get(caught.value.inference_id)
    assert (record.status, record.error["code"]) == ("failed", cls.code)


@pytest.mark.parametrize("live", [False, True], ids=["create", "stream"])
@pytest.mark.parametrize("status", [401, 404, 422, 429, 500, 503])
def test_text_generation_maps_its_statuses_too(client, emu, live, status):
    """The one wire that goes through huggingface_hub."""
    expected = {
        401: errors.AuthenticationError,
        404: errors.NotFoundError,
        422: errors.PRSMError,
        429: errors.PRSMError,
    }
    emu.add(emulator.Rule(str(status)))
    with pytest.raises(expected.get(status, DOWN)):
        ask(client, "text", live)


@pytest.mark.parametrize("wire", SPEAKING)
@pytest.mark.parametrize(
    ("hint", "headers", "wait"),
    [("0.3", {}, 0.3), (None, {"retry-after-ms": "200"}, 0.2), ("date+1.5", {}, 0.4), ("1s", {}, 1.0)],
    ids=["seconds", "milliseconds", "date", "duration"],
)
def test_a_hint_in_any_form_is_waited_for(client, emu, wire, hint, headers, wait):
    """No request arrives inside the pause."""
    emu.add(emulator.Rule("429", retry_after=hint, headers=headers, times=1))
    ask(client, wire, live=False)

    first, second = emu.log.arrivals()
    assert second.arrived - first.arrived >= wait


@pytest.mark.parametrize("hint", ["-5", "nan", "0", "soon", "99999999"])
def test_an_absurd_hint_is_no_hint(client, emu, hint):
    """It is retried after our own back-off, at once in this test."""
    emu.add(emulator.Rule("429", retry_after=hint, times=1))
    began = time.monotonic()
    ask(client, "chat", live=False)

    assert time.monotonic() - began < 2


def test_a_hint_beyond_the_deadline_ends_it_at_once(client, emu):
    """Five minutes are not slept; the error says how long it would have been."""
    emu.add(emulator.Rule("429", retry_after="300"))
    began = time.monotonic()
    with pytest.raises(errors.RateLimitError) as caught:
        ask(client, "chat", live=False, timeout=5)

    assert (caught.value.retry_after, time.monotonic() - began < 2) == (300, True)


QUOTAS = [
    ("chat", "429", {"code": "insufficient_quota"}),
    ("messages", "400", {"message": "Your credit balance is too low to access the Anthropic API."}),
    ("messages", "400", {"message": "You have reached your specified API usage limits."}),
    ("router", "402", {}),
]


@pytest.mark.parametrize(("wire", "status", "fields"), QUOTAS)
def test_an_empty_account_is_told_from_a_throttle_whatever_its_status(client, emu, wire, status, fields):
    """Waiting does not help, so it is asked once."""
    emu.add(emulator.Rule(status, **fields))
    with pytest.raises(errors.InsufficientCreditsError, match="Add credits"):
        ask(client, wire, live=False)

    assert len(emu.log.arrivals()) == 1


def test_x_should_retry_false_is_obeyed(client, emu):
    """A 500 that says so is not asked again."""
    emu.add(emulator.Rule("500", headers={"x-should-retry": "false"}))
    with pytest.raises(DOWN):
        ask(client, "chat", live=False)

    assert len(emu.log.arrivals()) == 1


BODIES = [
    ("html", DOWN, "malformed"), ("empty", DOWN, "malformed"), ("cut_json", DOWN, "malformed"),
    ("short_length", DOWN, "connection"), ("close", DOWN, "connection"), ("reset", DOWN, "connection"),
    ("html_502", DOWN, "server"), ("huge", DOWN, "malformed"), ("gzip_bomb", DOWN, "malformed"),
]  # fmt: skip


@pytest.mark.parametrize("wire", MODELS)
@pytest.mark.parametrize(("fault", "cls", "kind"), BODIES, ids=[fault for fault, _, _ in BODIES])
def test_a_body_that_is_no_answer_is_never_one(client, emu, wire, fault, cls, kind):
    """HTML, nothing, half a document, a bomb: an error, and retried at most once."""
    if fault in ("huge", "gzip_bomb") and wire in ("responses", "router"):
        pytest.skip("the same window reads these bodies as chat's")
    emu.add(emulator.Rule(fault, megabytes=70))
    with pytest.raises(cls) as caught:
        ask(client, wire, live=False)

    assert caught.value.details["kind"] == kind
    assert len(emu.log.arrivals()) <= 2
    assert "<html" not in caught.value.message


@pytest.mark.parametrize("wire", SPEAKING)
@pytest.mark.parametrize("fault", ["no_choices", "error_object"])
def test_a_200_without_an_answer_inside_is_an_error(client, emu, wire, fault):
    """The SDKs hand these on as objects full of None."""
    emu.add(emulator.Rule(fault))
    with pytest.raises(DOWN):
        ask(client, wire, live=False)


@pytest.mark.parametrize("wire", ["chat", "messages", "router"])
def test_a_filtered_answer_is_an_answer_without_text_not_an_error(client, emu, wire):
    """Never shop for a laxer model unasked."""
    emu.add(emulator.Rule("filtered"))
    answer = ask(client, wire, live=False)

    assert (answer.finish_reason, answer.content or None, len(emu.log.arrivals())) == ("content_filter", None, 1)


@pytest.mark.parametrize("wire", ["chat", "router"])
def test_missing_usage_is_unknown_not_nought(client, emu, wire):
    """Tokens and cost are None, which is said."""
    emu.add(emulator.Rule("no_usage"))
    with pytest.warns(UserWarning, match="its cost is NA"):
        answer = ask(client, wire, live=False)

    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.cost.amount) == (None, None, None)


def test_a_warning_that_is_an_error_loses_no_answer(client, emu):
    """It is paid for: the ledger has it before anything is said of it."""
    emu.add(emulator.Rule("no_usage"))
    with pytest.raises(UserWarning, match="its cost is NA"):  # pytest.ini makes errors of warnings
        ask(client, "chat", live=False)

    [kept] = portal.call(client.engine.history(1))
    assert kept.status == "completed"
    assert kept.inference.content


@pytest.mark.parametrize("wire", SPEAKING)
@pytest.mark.parametrize("live", [False, True], ids=["create", "stream"])
def test_lone_surrogates_and_nul_are_mended_and_said(client, emu, wire, live):
    """They would break every frame, file and database behind."""
    emu.add(emulator.Rule("surrogate"))
    answer = ask(client, wire, live)

    answer.content.encode("utf-8")
    assert "�" in answer.content


BROKEN = [
    ("no_end", "truncated"), ("cut_line", "malformed"), ("bad_json", "malformed"), ("mid_reset", "stream"),
    ("mid_close", "stream"), ("empty_stream", "truncated"), ("json_instead", "malformed"),
]  # fmt: skip


@pytest.mark.parametrize("wire", MODELS)
@pytest.mark.parametrize(("fault", "kind"), BROKEN, ids=[fault for fault, _ in BROKEN])
def test_a_broken_stream_is_an_error_and_what_arrived_is_kept(client, emu, wire, fault, kind):
    """The SDKs alone report most of these as finished (reliability.md §1.2)."""
    emu.add(emulator.Rule(fault, pieces=6))
    shown = []
    with pytest.raises(DOWN) as caught, client.inference.stream(MODELS[wire], QUESTION) as stream:
        shown.extend(piece.content for piece in stream)  # keeps what came before the error

    assert caught.value.details["kind"] in (kind, "truncated")
    record = client.inference.get(caught.value.inference_id)
    assert record.status == "failed"
    if "".join(shown):
        assert record.partial == "".join(shown)
        assert len(emu.log.arrivals()) == 1, "after the first piece nothing is asked again"


@pytest.mark.parametrize("wire", SPEAKING)
def test_an_error_inside_a_stream_is_typed(client, emu, wire):
    """An overload is an overload, whatever the status line said."""
    emu.add(emulator.Rule("error_event", pieces=6))
    with pytest.raises(DOWN):
        ask(client, wire, live=True)


@pytest.mark.parametrize("wire", MODELS)
@pytest.mark.parametrize("fault", ["split", "crlf", "comments", "unknown_events", "no_done", "drip"])
def test_an_odd_but_whole_stream_is_read_whole(client, emu, wire, fault):
    """Cut at every byte, padded, commented, without its closing line: the text is the same."""
    whole = undamaged(client, emu, wire)
    emu.add(emulator.Rule(fault, seconds=0.001))

    assert ask(client, wire, live=True).content == whole


@pytest.mark.parametrize("wire", ["responses", "text"])
def test_events_that_come_twice_are_read_once_where_they_are_numbered(client, emu, wire):
    """Chat and Messages streams carry no numbers, so there a repeat cannot be told from a stutter."""
    whole = undamaged(client, emu, wire)
    emu.add(emulator.Rule("twice"))

    assert ask(client, wire, live=True).content == whole


@pytest.mark.parametrize("wire", MODELS)
@pytest.mark.parametrize(("fault", "live"), [("hang", False), ("hang", True), ("stall", True)])
def test_silence_ends_at_the_callers_deadline_and_the_connection_is_closed(client, emu, wire, fault, live):
    """The provider sees us leave."""
    ask(client, wire, live)  # a first question also loads an SDK, which may take all of 0.3 s
    emu.add(emulator.Rule(fault, pieces=4))
    began = time.monotonic()
    with pytest.raises(errors.TimeoutError):
        ask(client, wire, live, timeout=0.3)

    assert time.monotonic() - began < 0.3 + 0.25 + 0.3
    emu.log.wait_for(lambda log: log.entries[-1].peer_closed is not None, 2)


def test_a_redirect_never_takes_the_prompt_elsewhere(client, emu):
    """A second host gets no byte."""
    with emulator.start() as elsewhere:
        emu.add(emulator.Rule("307", headers={"location": f"{elsewhere.url}/v1/chat/completions"}))
        with pytest.raises(DOWN, match="redirects elsewhere"):
            ask(client, "chat", live=False)

        assert len(elsewhere.log) == 0


def test_a_batch_gives_every_row_its_state_under_a_storm_of_faults(client, emu):
    """Nothing lost, nothing invented: ok rows are byte-equal, the others have an error."""
    rows = [f"{QUESTION} ({n})" for n in range(60)]
    emu.add(
        emulator.Rule("500", share=0.2), emulator.Rule("cut_json", share=0.2), emulator.Rule("html", share=0.1),
        emulator.Rule("reset", share=0.1),
    )  # fmt: skip
    found = lab.batch(rows, "{text}", model="gpt-4.1-mini", client=client, progress=False)

    assert len(found) == 60
    ok = found["error_code"].isna()
    assert 0 < ok.sum() < 60
    assert found.loc[ok, "response"].str.contains("answer is|simulated", regex=True).all()
    assert found.loc[~ok, "response"].isna().all()
