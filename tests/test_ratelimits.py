"""Rate-limit headers: what providers say of their limits, in each one's own words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prsm_lab.errors import RateLimitError
from prsm_lab.providers import faults, ratelimits
from prsm_lab.types import Quota

NOW = 1_795_000_000.0
"""2026-11-18T11:06:40Z."""


def test_openai_says_requests_and_tokens_with_resets_as_durations():
    """`6m0s` is six minutes, `20ms` a fiftieth of a second."""
    headers = {
        "x-ratelimit-limit-requests": "10000", "x-ratelimit-remaining-requests": "9999",
        "x-ratelimit-reset-requests": "20ms", "x-ratelimit-limit-tokens": "150000",
        "x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "6m0s",
    }  # fmt: skip

    assert ratelimits.read(headers, now=NOW) == (
        Quota(kind="requests", limit=10000, remaining=9999, reset=0.02),
        Quota(kind="tokens", limit=150000, remaining=0, reset=360.0),
    )


def test_anthropic_says_four_limits_with_resets_as_moments():
    """RFC 3339, read against the clock."""
    headers = {
        f"anthropic-ratelimit-{kind}-{what}": value
        for kind in ("requests", "tokens", "input-tokens", "output-tokens")
        for what, value in (("limit", "50"), ("remaining", "7"), ("reset", "2026-11-18T11:06:55Z"))
    }

    found = ratelimits.read(headers, now=NOW)

    assert [quota.kind for quota in found] == ["requests", "tokens", "input_tokens", "output_tokens"]
    assert {(quota.limit, quota.remaining, quota.reset) for quota in found} == {(50, 7, 15.0)}


@pytest.mark.parametrize(
    "headers",
    [
        {"ratelimit": '"api";r=0;t=55', "ratelimit-policy": '"fixed window";"api";q=500;w=300'},
        {"ratelimit": "limit=100, remaining=0, reset=55"},
        {"ratelimit": '"other";r=9;t=1, "api";r=0;t=55'},
        {"ratelimit-limit": "100", "ratelimit-remaining": "0", "ratelimit-reset": "55"},
        {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(NOW + 55))},
        {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(NOW + 55) * 1000)},
    ],
)
def test_the_drafts_and_their_cousins_are_understood(headers):
    """IETF's `ratelimit` of now and of earlier, Hugging Face's, and bare epochs in seconds or milliseconds."""
    assert ratelimits.pause(headers, now=NOW) == 55.0


def test_a_limit_without_a_word_of_what_remains_says_nothing():
    """Unknown is unknown: no remaining, no quota."""
    assert ratelimits.read({"x-ratelimit-limit-requests": "100"}, now=NOW) == ()


def test_a_reset_in_the_past_is_now():
    """Clocks differ."""
    assert ratelimits.seconds("2026-11-18T11:00:00Z", now=NOW) == 0.0


@pytest.mark.parametrize(
    "text", ["", "soon", "-5", "nan", "inf", "9" * 400, "1e300", "m", "99999999-01-01", "٣s", "3 days"]
)
def test_nonsense_is_unknown(text):
    """Neither an error nor a pause of a century."""
    assert ratelimits.seconds(text, now=NOW) in (None, 0.0)


@given(
    st.dictionaries(
        st.sampled_from(
            ["ratelimit", *(p.format(w) for p, _ in ratelimits._NAMED for w in ("limit", "remaining", "reset"))]
        ),
        st.text(),
    )
)
def test_no_header_breaks_the_reading(headers):
    """Whatever comes: finite figures that are not negative, or none."""
    for quota in ratelimits.read(headers, now=NOW):
        assert quota.remaining is not None
        assert quota.remaining >= 0
        assert quota.reset is None or 0 <= quota.reset <= ratelimits.LONGEST


@given(st.integers(0, 23), st.integers(0, 59), st.integers(0, 59))
def test_a_written_duration_is_read_back(hours, minutes, seconds):
    """As Go writes them, which OpenAI does."""
    written = f"{hours}h{minutes}m{seconds}s"

    assert ratelimits.seconds(written, now=NOW) == hours * 3600 + minutes * 60 + seconds


@given(st.floats(0.001, 86000.0))
def test_a_number_is_seconds(value):
    """To the digit."""
    assert ratelimits.seconds(repr(value), now=NOW) == pytest.approx(value)


def test_a_refusal_without_retry_after_waits_for_the_reset_of_what_is_exhausted():
    """The limit that is not exhausted has no say."""
    headers = {
        "x-ratelimit-remaining-requests": "5", "x-ratelimit-reset-requests": "50s",
        "x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "7s",
    }  # fmt: skip

    fault = faults.from_status("openai", 429, headers, {"error": {"message": "Rate limit reached"}})

    assert isinstance(fault, RateLimitError)
    assert fault.retry_after == 7.0


def test_retry_after_is_the_providers_last_word():
    """It wins over the resets."""
    headers = {"retry-after": "3", "x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "7s"}

    assert faults.from_status("openai", 429, headers, None).retry_after == 3.0
