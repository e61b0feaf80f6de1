"""The taxonomy: what providers answer when they do not answer, row by row of providers.md §4."""

from __future__ import annotations

import datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prsm_lab import errors
from prsm_lab.providers import faults

E = errors


def openai(code: str | None, message: str = "No.", kind: str = "invalid_request_error") -> dict:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def anthropic(kind: str, message: str = "No.") -> dict:
    return {"type": "error", "error": {"type": kind, "message": message}}


ROWS = [
    # status, body, class, verdict, kind
    (401, openai("invalid_api_key"), E.AuthenticationError, "next", None),
    (401, anthropic("authentication_error"), E.AuthenticationError, "next", None),
    (401, {"error": "Invalid username or password."}, E.AuthenticationError, "next", None),
    (403, anthropic("permission_error"), E.AuthenticationError, "next", None),
    (429, openai("insufficient_quota", kind="insufficient_quota"), E.InsufficientCreditsError, "next", None),
    (429, openai("credit_balance_exhausted"), E.InsufficientCreditsError, "next", None),
    (429, openai("organization_spend_limit_exceeded"), E.InsufficientCreditsError, "next", None),
    (429, openai("billing_not_active"), E.InsufficientCreditsError, "next", None),
    (400, anthropic("invalid_request_error", "Your credit balance is too low to access the API."), E.InsufficientCreditsError, "next", None),
    (400, anthropic("invalid_request_error", "You have reached your specified workspace API usage limits."), E.InsufficientCreditsError, "next", None),
    (402, anthropic("billing_error"), E.InsufficientCreditsError, "next", None),
    (429, {**anthropic("rate_limit_error"), "error_code": "enforced_spend_limit_reached"}, E.InsufficientCreditsError, "next", None),
    (402, {"error": "You have exceeded your monthly included credits for Inference Providers."}, E.InsufficientCreditsError, "next", None),
    (429, openai("rate_limit_exceeded", kind="tokens"), E.RateLimitError, "retry", None),
    (429, {**anthropic("rate_limit_error"), "error_code": "ramp_limit_exceeded"}, E.RateLimitError, "retry", None),
    (429, openai("rate_limit_exceeded", "Request too large for gpt-4"), E.RateLimitError, "next", None),
    (503, openai("server_is_overloaded"), E.ProviderError, "retry", "overloaded"),
    (529, anthropic("overloaded_error"), E.ProviderError, "retry", "overloaded"),
    (500, anthropic("overloaded_error"), E.ProviderError, "retry", "overloaded"),
    (503, {"error": "Model x is currently loading", "estimated_time": 20.5}, E.ProviderError, "retry", "overloaded"),
    (500, openai(None), E.ProviderError, "retry", "server"),
    (502, "<html>Bad gateway</html>", E.ProviderError, "retry", "server"),
    (504, anthropic("timeout_error"), E.ProviderError, "retry", "server"),
    (424, {"error": "Request failed", "error_type": "generation"}, E.ProviderError, "retry", "server"),
    (400, openai("context_length_exceeded", "maximum context length is 8192 tokens, you requested 9000"), E.InvalidRequestError, "stop", "context_length"),
    (400, anthropic("invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"), E.InvalidRequestError, "stop", "context_length"),
    (400, {"object": "error", "message": "This model's maximum context length is 4096", "code": 400}, E.InvalidRequestError, "stop", "context_length"),
    (400, openai("content_policy_violation"), E.InvalidRequestError, "stop", "content_filter"),
    (400, openai("invalid_prompt"), E.InvalidRequestError, "stop", "content_filter"),
    (404, openai("model_not_found"), E.NotFoundError, "next", None),
    (404, anthropic("not_found_error"), E.NotFoundError, "next", None),
    (400, {"error": {"message": "The requested model is not supported", "code": "model_not_supported"}}, E.NotFoundError, "next", None),
    (400, openai("unsupported_parameter", "Unsupported parameter: 'max_tokens'"), E.InvalidRequestError, "stop", "unsupported_parameter"),
    (422, {"error": "validation"}, E.InvalidRequestError, "stop", None),
    (413, anthropic("request_too_large"), E.InvalidRequestError, "stop", "too_large"),
    (409, openai(None), E.ProviderError, "retry", "server"),
    (408, openai(None), E.ProviderError, "retry", "server"),
    (307, "", E.ProviderError, "next", "redirect"),
]  # fmt: skip


@pytest.mark.parametrize(("status", "body", "cls", "verdict", "kind"), ROWS)
def test_a_providers_error_becomes_this_class_with_this_verdict(status, body, cls, verdict, kind):
    """Code, type and text are read before the status."""
    error = faults.from_status("p", status, {}, body)

    assert type(error) is cls
    assert (error.verdict, error.details.get("kind")) == (verdict, kind)
    assert error.message.startswith("p answered HTTP")
    assert "<html" not in error.message


def test_credits_and_bad_keys_close_the_route_throttles_do_not():
    """A batch stops asking an empty account."""
    closing = [
        faults.from_status("p", status, {}, body).closes_route
        for status, body, cls, _, _ in ROWS
        if cls is E.InsufficientCreditsError
    ]

    assert all(closing)
    assert not faults.from_status("p", 429, {}, openai("rate_limit_exceeded")).closes_route
    assert faults.from_status("p", 401, {}, openai("invalid_api_key")).closes_route
    assert not faults.from_status("p", 403, {}, openai(None)).closes_route


def test_the_numbers_of_a_context_error_are_kept():
    """Asked for and allowed."""
    error = faults.from_status(
        "p", 400, {}, anthropic("invalid_request_error", "prompt is too long: 210,000 tokens > 200,000 maximum")
    )

    assert error.details["numbers"] == [210000, 200000]


@pytest.mark.parametrize(
    ("error", "cls"),
    [
        ({"type": "overloaded_error", "message": "Overloaded"}, E.ProviderError), ("Rate limit exceeded, try later", E.RateLimitError),
        ({"code": "rate_limit_exceeded"}, E.RateLimitError), ({"type": "invalid_request_error", "message": "x"}, E.InvalidRequestError),
        ({"code": "insufficient_quota"}, E.InsufficientCreditsError), ({"code": "server_error"}, E.ProviderError), ("boom", E.ProviderError), (None, E.ProviderError),
        ({"type": "authentication_error"}, E.AuthenticationError),
    ],
)  # fmt: skip
def test_an_error_inside_a_200_is_read_by_its_words(error, cls):
    """Objects, texts, nothing."""
    assert type(faults.from_object("p", error)) is cls


# ------------------------------------------------------------------------------------------------------- hints

NOW = 1_800_000_000.0


def date(seconds: float) -> str:
    return format_datetime(datetime.datetime.fromtimestamp(NOW + seconds, datetime.UTC), usegmt=True)


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"retry-after": "2"}, 2.0), ({"retry-after": "0.5"}, 0.5), ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5), ({"retry-after": date(30)}, 30.0),
        ({"retry-after": date(3630), "date": date(3600)}, 30.0), ({"retry-after": "1m30s"}, 90.0), ({"retry-after": "6m0s"}, 360.0),
        ({"retry-after": "120ms"}, 0.12), ({"retry-after": "1h2m3.5s"}, 3723.5), ({"retry-after-ms": "x", "retry-after": "3"}, 3.0),
        ({}, None), ({"retry-after": ""}, None), ({"retry-after": "0"}, None), ({"retry-after": "-5"}, None), ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None), ({"retry-after": "99999999"}, None), ({"retry-after": date(-10)}, None), ({"retry-after": "soon"}, None),
    ],
)  # fmt: skip
def test_a_hint_is_read_in_every_form_and_absurd_ones_are_none(headers, wait):
    """Milliseconds, seconds, dates against the server's own clock, durations."""
    assert faults.retry_after(headers, now=NOW) == (wait if wait is None else pytest.approx(wait))


@given(st.text(max_size=30), st.text(max_size=30))
def test_whatever_stands_in_the_headers_a_hint_is_sensible_or_none(seconds, milliseconds):
    """Never negative, never more than a day, never an exception."""
    wait = faults.retry_after({"retry-after": seconds, "retry-after-ms": milliseconds}, now=NOW)

    assert wait is None or 0 < wait <= 86_400


@given(
    st.integers(100, 599),
    st.recursive(
        st.none() | st.text(max_size=50) | st.integers(),
        lambda x: (
            st.lists(x, max_size=3)
            | st.dictionaries(st.sampled_from(["error", "message", "code", "type", "x"]), x, max_size=3)
        ),
    ),
)
def test_whatever_the_body_it_becomes_one_of_our_errors(status, body):
    """With a short message and no control characters."""
    error = faults.from_status("p", status, {}, body)

    assert isinstance(error, E.PRSMError)
    assert len(error.message) < 1200
    assert not set(error.message) & set(map(chr, range(32)))


@given(st.text(max_size=60))
def test_text_is_mended_exactly_where_it_is_broken(text):
    """Clean text comes back as it was."""
    mended, changed = faults.repaired(text)

    mended.encode("utf-8")
    assert changed == (mended != text)
    assert len(mended) == len(text)


@pytest.mark.parametrize("secret", ["sk-proj-abcdefghijklmnop", "hf_abcdefghijklmnop", "Bearer abc.def-ghi", "A" * 48])
def test_what_looks_like_a_key_is_taken_out(secret):
    """Providers echo them."""
    assert secret not in faults.redacted(f"Incorrect API key provided: {secret}. See the docs.")
