"""Bad input gets a clear error, and nothing is lost: class, message, ledger row, and what was sent."""

from __future__ import annotations

import datetime
import sqlite3

import pytest

import prsm_lab as lab
from prsm_lab import emulator, errors

pytestmark = pytest.mark.filterwarnings("ignore:No price is known")


@pytest.fixture(scope="module")
def emu():
    with emulator.start(keys=["emulated"]) as running:
        yield running


@pytest.fixture
def client(emu, monkeypatch):
    monkeypatch.setattr("prsm_lab.engine.attempts.random.random", lambda: 0.0)
    emu.clear()
    with lab.Client(providers=emu.providers(), ledger=":memory:", max_retries=1) as made:
        yield made


def refused(client, cls, *arguments, **options):
    with pytest.raises(cls) as caught:
        client.inference.create(*arguments, **options)
    return caught.value


def test_an_unknown_model_is_written_down_too(client, emu):
    """Nearest names, how to connect one's own, a failed row, no request."""
    error = refused(client, errors.NotFoundError, "gpt-4.1-minni", "hi")
    record = client.inference.get(error.inference_id)

    assert "Did you mean gpt-4.1-mini" in error.message
    assert "Client(providers=" in error.message
    assert (record.status, record.error["code"], len(emu.log)) == ("failed", "not_found", 0)


def test_a_retired_model_is_asked_and_its_404_names_the_successor(client, emu):
    """A gateway may still serve it, so the provider decides."""
    emu.add(emulator.Rule("404", model="claude-2.1"))
    error = refused(client, errors.NotFoundError, "claude-2.1", "hi")

    assert "retired on 2025-07-21; its successor is 'claude-sonnet-5-5'" in error.message
    assert len(emu.log.arrivals()) == 1


@pytest.mark.parametrize(
    ("model", "variable"),
    [("gpt-4.1-mini", "OPENAI_API_KEY"), ("claude-haiku-4-5", "ANTHROPIC_API_KEY"), ("mixtral", "HF_TOKEN")],
)
def test_a_missing_key_names_its_variable_and_sends_nothing(model, variable):
    """The argument is named too."""
    with lab.Client(ledger=":memory:") as client:
        error = refused(client, errors.AuthenticationError, model, "hi")

    assert variable in error.message
    assert "api_key" in error.message
    assert "Nothing was sent" in error.message


def test_a_wrong_key_is_not_retried_and_goes_on_only_if_a_fallback_was_named(emu, client):
    """A paid question is not sent to somebody else unasked."""
    wrong = {**emu.providers(), "openai": {**emu.providers()["openai"], "api_key": "wrong"}}
    with lab.Client(providers=wrong, ledger=":memory:") as stranger:
        refused(stranger, errors.AuthenticationError, "gpt-4.1-mini", "hi")
        assert len(emu.log.arrivals()) == 1
        answer = stranger.inference.create("gpt-4.1-mini", "hi", fallback_providers=["anthropic"])

    assert answer.provider == "anthropic"


@pytest.mark.parametrize(
    "rule", [emulator.Rule("401"), emulator.Rule("429", code="insufficient_quota"), emulator.Rule("402")]
)
def test_a_batch_stops_asking_a_provider_that_refused_the_key_or_the_account(client, emu, rule):
    """At most what was in flight follows; every row says why."""
    rule.seen = rule.hit = 0
    emu.add(rule)
    found = lab.batch(
        [f"row {n}" for n in range(100)],
        "{text}",
        model="gpt-4.1-mini",
        client=client,
        progress=False,
        max_concurrency=8,
    )

    assert len(emu.log.arrivals()) <= 8
    assert found["error_code"].isin(["authentication", "insufficient_credits"]).all()
    assert found["error"].str.startswith("Not sent").sum() >= 92


TOO_LONG = emulator.Rule(
    "400",
    model="gpt-4",
    code="context_length_exceeded",
    message="This model's maximum context length is 8192 tokens, however you requested 9000 tokens.",
)


def test_a_prompt_that_is_too_long_says_so_with_the_numbers(client, emu):
    """And is not retried."""
    emu.add(TOO_LONG)
    error = refused(client, errors.InvalidRequestError, "gpt-4", "hi")

    assert error.details["kind"] == "context_length"
    assert {8192, 9000} <= set(error.details["numbers"])
    assert len(emu.log.arrivals()) == 1


def test_a_prompt_that_is_too_long_here_may_go_to_a_larger_window_that_was_named(client, emu):
    """The one wrong request that a fallback helps."""
    emu.add(TOO_LONG)
    answer = client.inference.create("gpt-4", "hi", fallback_config={"strategies": [{"model": "gpt-4.1"}]})

    assert answer.model == "gpt-4.1"


def test_a_filtered_prompt_is_an_error_and_never_shopped_around(client, emu):
    """The 400 form; no laxer model is asked."""
    emu.add(emulator.Rule("400", code="content_policy_violation", message="Your prompt was flagged."))
    error = refused(client, errors.InvalidRequestError, "gpt-4.1-mini", "hi", fallback_providers=["anthropic"])

    assert (error.details["kind"], len(emu.log.arrivals())) == ("content_filter", 1)


@pytest.mark.parametrize(
    ("model", "options", "parameter"),
    [
        ("gpt-6-sol", {"temperature": 0.7}, "temperature"), ("gpt-6-sol", {"stop": "END"}, "stop"), ("claude-haiku-4-5", {"seed": 7}, "seed"),
        ("claude-haiku-4-5", {"temperature": 1.5}, "temperature"), ("claude-sonnet-5-5", {"top_p": 0.5}, "top_p"),
    ],
)  # fmt: skip
def test_an_option_that_the_model_does_not_take_is_refused_or_dropped_on_request_and_listed(
    client, emu, model, options, parameter
):
    """Never silently left out."""
    error = refused(client, errors.InvalidRequestError, model, "hi", **options)
    assert (error.details["parameter"], len(emu.log.arrivals())) == (parameter, 0)
    assert model in error.message

    answer = client.inference.create(model, "hi", on_unsupported="drop", **options)
    assert answer.dropped == (parameter,)
    assert parameter not in emu.log.entries[-1].body


@pytest.mark.parametrize(
    ("messages", "options", "says"),
    [
        ([{"role": "assistant", "content": "x"}], {"model": "claude-haiku-4-5"}, "begins with assistant"),
        ([{"role": "user", "content": "x"}, {"role": "assistant", "content": "{"}], {"model": "claude-sonnet-5-5"}, "ends with assistant"),
        ("hi", {"extra": {"temperature": 1}, "temperature": 0.5}, "contradicts"),
        ("hi", {"fallback_providers": ["acme"]}, "Unknown provider 'acme'"),
        ("hi", {"provider": "acme"}, "Unknown provider 'acme'"),
        ("", {}, "empty"),
    ],
)  # fmt: skip
def test_what_cannot_be_sent_is_said_before_it_is(client, emu, messages, options, says):
    """Order of roles, contradictions, unknown providers."""
    model = options.pop("model", "gpt-4.1-mini")
    with pytest.raises(errors.InvalidRequestError, match=says):
        client.inference.create(model, messages, **options)

    assert len(emu.log.arrivals()) == 0


@pytest.mark.parametrize("url", ["ftp://x", "not a url", "http://user:secret@host/v1", "http://127.0.0.1:999999/v1"])
def test_an_address_that_is_none_is_refused(url):
    """And credentials do not belong into one."""
    with pytest.raises(errors.InvalidRequestError) as caught:
        lab.Client(providers={"mine": {"base_url": url}}, ledger=":memory:").inference.create("mine/x", "hi")

    assert "secret" not in caught.value.message


def test_nobody_at_the_address_is_said_with_the_address():
    """Not a time-out, although the transport calls it one."""
    with lab.Client(
        providers={"mine": {"base_url": "http://127.0.0.1:9/v1"}}, ledger=":memory:", max_retries=0
    ) as client:
        error = refused(client, errors.ProviderError, "mine/x", "hi")

    assert "127.0.0.1:9" in error.message
    assert error.details["kind"] == "connection"


def test_a_ledger_of_a_newer_version_stops_the_client_with_the_remedy(tmp_path):
    """And is not touched."""
    path = tmp_path / "ledger.db"
    lab.Client(ledger=path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 42")
    with pytest.raises(errors.InternalError, match="pip install -U prsm-lab"):
        lab.Client(ledger=path)


def test_a_ledger_that_cannot_be_written_warns_and_answers_all_the_same(client, emu, tmp_path):
    """In memory."""
    (tmp_path / "file").write_text("")
    with pytest.warns(UserWarning, match="memory only"):
        stranger = lab.Client(providers=emu.providers(), ledger=tmp_path / "file" / "ledger.db")

    assert stranger.inference.create("gpt-4.1-mini", "hi").content
    stranger.close()


def test_two_clients_share_one_ledger(emu, client, tmp_path):
    """What one asked the other finds."""
    path = tmp_path / "ledger.db"
    with (
        lab.Client(providers=emu.providers(), ledger=path) as one,
        lab.Client(providers=emu.providers(), ledger=path) as other,
    ):
        answer = one.inference.create("gpt-4.1-mini", "hi", cache_config=True)
        again = other.inference.create("gpt-4.1-mini", "hi", cache_config=True)

        assert (again.cached, other.inference.get(answer.id).status) == (True, "completed")


def test_a_share_server_without_a_key_is_refused_by_the_name_of_what_is_missing(monkeypatch):
    """Before anything is sent, with the way to get one."""
    monkeypatch.setenv("PRSM_API_URL", "https://api-test.example")
    with pytest.raises(errors.AuthenticationError, match=r"set PRSM_API_KEY or pass api_key=.*Nothing was sent"):
        lab.Client()


def test_a_timeframe_is_checked(client):
    """ISO/ISO with open ends."""
    client.inference.create("gpt-4.1-mini", "hi")
    today = datetime.datetime.now(datetime.UTC).date().isoformat()

    assert client.inference.analytics(f"{today}/").total_requests == 1
    assert client.inference.analytics(f"/{today}").total_requests == 0
