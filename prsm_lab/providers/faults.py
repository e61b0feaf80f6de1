"""What providers answer when they do not answer, read into our tree: one taxonomy for all of them.

Statuses alone mislead: an empty account hides under four of them, an overload under any. So code, type and text
are read before the status. Texts of providers are shown redacted and cut; HTML pages never.
"""

from __future__ import annotations

import datetime
import email.utils
import math
import re
import ssl
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from prsm_lab.errors import (
    AuthenticationError,
    InsufficientCreditsError,
    InvalidRequestError,
    NotFoundError,
    ProviderError,
    PRSMError,
    RateLimitError,
    TimeoutError,
)
from prsm_lab.providers import ratelimits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from prsm_lab.types import Reply

LONGEST_HINT: Final = 86_400.0
"""A hint of more than a day is a mistake (or an attack), not a hint."""
LONGEST_TEXT: Final = 500

_CREDITS = re.compile(
    r"insufficient_quota|credit_balance|spend_limit|usage_limit_exceeded|billing_not_active|billing_error"
    r"|credit balance is too low|reached your specified (?:workspace )?api usage limits"
    r"|exceeded your (?:monthly included credits|current quota)|insufficient (?:credits|balance|funds)",
    re.IGNORECASE,
)
_CONTEXT = re.compile(
    r"context_length_exceeded|exceed_context_size|prompt is too long|maximum context length|context (?:window|size)"
    r"|inputs? tokens? \+ `?max_new_tokens|too many tokens|input is too long",
    re.IGNORECASE,
)
_FILTER = re.compile(r"content_filter|content_policy_violation|invalid_prompt|content management policy", re.IGNORECASE)
_OVERLOAD = re.compile(r"overloaded|server_is_overloaded|currently loading|loading model|slow_down", re.IGNORECASE)
_TOO_BIG_FOR_LIMIT = re.compile(r"request too large", re.IGNORECASE)
_UNSUPPORTED = re.compile(
    r"unsupported_parameter|unsupported_value|unsupported parameter|is not supported", re.IGNORECASE
)
_UNKNOWN_MODEL = re.compile(
    r"model_not_found|model_not_supported|does not exist|model.{0,40}not (?:found|supported)", re.I
)
_KEYLIKE = re.compile(r"\b(?:sk|pk|hf|key|gsk|xai)[-_][A-Za-z0-9_\-.*]{6,}|(?i:bearer)\s+\S+|\b[A-Za-z0-9_\-]{40,}\b")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_NUMBER = re.compile(r"(\d[\d,_]{2,})")
_SURROGATE = re.compile("[\ud800-\udfff]")


def redacted(text: str) -> str:
    """Make a provider's text fit to be shown: no keys, no control characters, no page of HTML, not too long.

    >>> redacted("Incorrect API key provided: sk-abcdefgh1234.")
    'Incorrect API key provided: [redacted]'
    """
    stripped = text.strip()
    if stripped[:1] == "<" or "<html" in stripped[:500].lower():
        return "(an HTML page)"
    line = " ".join(repaired(stripped)[0].split())
    shown = _CONTROL.sub("�", _KEYLIKE.sub("[redacted]", line))
    return shown if len(shown) <= LONGEST_TEXT else shown[: LONGEST_TEXT - 1] + "…"


def repaired(text: str) -> tuple[str, bool]:
    """Replace lone surrogates, which no file, frame or database takes; tell whether there were any.

    >>> repaired("a")
    ('a', False)
    """
    if not text or text.isascii() or not _SURROGATE.search(text):
        return text, False
    return _SURROGATE.sub("�", text), True


# -------------------------------------------------------------------------------------------------- statuses


def from_status(
    provider: str, status: int, headers: Mapping[str, str], body: object, *, partial: Reply | None = None
) -> PRSMError:
    """Read an HTTP error into our tree.

    Args:
        provider: Who answered, for the message.
        status: The HTTP status.
        headers: The reply's headers, lower-case names.
        body: The decoded body: a JSON object, or text.
        partial: What had been received before.
    """
    words = _words(body)
    said = _said(provider, f"HTTP {status}", body)
    facts: dict[str, Any] = {"provider": provider, "partial": partial, "request_id": _request_id(headers)}
    now = datetime.datetime.now(datetime.UTC).timestamp()
    hint = retry_after(headers, now=now)
    if hint is None and status == 429:
        hint = ratelimits.pause(headers, now=now)
    never = headers.get("x-should-retry", "").strip().lower() == "false"
    fault = _by_words(words, said, status, hint, facts) or _by_status(status, said, hint, body, facts)
    if never and fault.verdict == "retry":
        fault.verdict, fault.max_retries = "next", 0
    return fault


def from_object(provider: str, error: object, *, partial: Reply | None = None) -> PRSMError:
    """Read an error object that came inside a 200: in a body, or as an event of a stream."""
    words, said = _words(error), _said(provider, "an error instead of an answer", error)
    facts: dict[str, Any] = {"provider": provider, "partial": partial}
    found = _by_words(words, said, 0, None, facts)
    if found is not None:
        return found
    if re.search(r"rate.?limit|too many requests", words, re.IGNORECASE):
        return RateLimitError(said, **facts)
    if re.search(r"invalid_request|bad_request|validation", words, re.IGNORECASE):
        return InvalidRequestError(said, **facts)
    if re.search(r"authentication_error|invalid_api_key|permission_error", words, re.IGNORECASE):
        return AuthenticationError(f"{said} {_KEY_REMEDY}", closes_route=True, **facts)
    return ProviderError(said, details={"kind": "server"}, **facts)


_KEY_REMEDY = "Check the key: it is looked for in the argument, then the environment, then the keyring."


def _by_words(words: str, said: str, status: int, hint: float | None, facts: dict[str, Any]) -> PRSMError | None:
    """The cases that the status does not tell; None: go by the status."""
    if _CREDITS.search(words) or status == 402:
        return InsufficientCreditsError(
            f"{said} Add credits, or name a fallback; waiting does not help.", closes_route=True, **facts
        )
    if status in (0, 400, 413, 422, 500) and _CONTEXT.search(words):
        numbers = [int(re.sub(r"[,_]", "", n)) for n in _NUMBER.findall(words)]
        return InvalidRequestError(
            f"{said} Shorten the prompt, lower max_tokens, or name a fallback with a larger window.",
            details={"kind": "context_length", "numbers": numbers}, **facts,
        )  # fmt: skip
    if status in (0, 400) and _FILTER.search(words):
        return InvalidRequestError(said, details={"kind": "content_filter"}, **facts)
    if status == 429 and _TOO_BIG_FOR_LIMIT.search(words):
        return RateLimitError(
            f"{said} This one request is larger than the limit per minute: it will never fit.", verdict="next", **facts
        )
    if status != 429 and _OVERLOAD.search(words):
        return ProviderError(said, details={"kind": "overloaded"}, retry_after=_estimated(words) or hint, **facts)
    if status in (0, 400, 404) and _UNKNOWN_MODEL.search(words):
        return NotFoundError(said, details={"parameter": "model"}, **facts)
    return None


def _by_status(status: int, said: str, hint: float | None, body: object, facts: dict[str, Any]) -> PRSMError:
    if status == 401:
        return AuthenticationError(f"{said} {_KEY_REMEDY}", closes_route=True, **facts)
    if status == 403:
        return AuthenticationError(f"{said} The key has no right to this model or region.", **facts)
    if status == 404:
        return NotFoundError(said, details={"parameter": "model"}, **facts)
    if status == 429:
        return RateLimitError(said, retry_after=hint, **facts)
    if status in (300, 301, 302, 303, 307, 308):
        return ProviderError(
            f"{said} It redirects elsewhere; prompts are not sent on to another host. Check base_url.",
            details={"kind": "redirect"}, verdict="next", **facts,
        )  # fmt: skip
    if status in (408, 409, 424, 425) or status >= 500:
        once = 1 if status in (409, 504) else None
        return ProviderError(said, details={"kind": "server"}, retry_after=hint, max_retries=once, **facts)
    kind = "too_large" if status == 413 else "unsupported_parameter" if _UNSUPPORTED.search(_words(body)) else None
    details = {"kind": kind} if kind else {}
    return InvalidRequestError(said, details={**details, **_parameter(body)}, **facts)


def _parameter(body: object) -> dict[str, Any]:
    error = body.get("error", body) if isinstance(body, Mapping) else None
    parameter = error.get("param") if isinstance(error, Mapping) else None
    return {"parameter": parameter} if isinstance(parameter, str) else {}


def _words(body: object) -> str:
    """All codes, types and texts of an error body, to search in."""
    if isinstance(body, Mapping):
        return " ".join(_words(value) for value in body.values())
    if isinstance(body, (list, tuple)):
        return " ".join(_words(value) for value in body)
    return str(body)[:4000] if isinstance(body, (str, int, float)) else ""


def _said(provider: str, what: str, body: object) -> str:
    """`openai answered HTTP 429: Rate limit reached.`"""
    error = body.get("error", body) if isinstance(body, Mapping) else body
    text = error.get("message") or error.get("detail") if isinstance(error, Mapping) else error
    shown = redacted(text) if isinstance(text, str) and text.strip() else ""
    sentence = f"{provider} answered {what}{': ' + shown if shown else ''}"
    return sentence if sentence.endswith((".", "!", "?")) else sentence + "."


def _request_id(headers: Mapping[str, str]) -> str | None:
    return headers.get("x-request-id") or headers.get("request-id")


def _estimated(words: str) -> float | None:
    match = re.search(r"\b(\d+\.\d+)\b", words)
    return float(match[1]) if match and "loading" in words.lower() else None


# ---------------------------------------------------------------------------------------------------- hints

_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?")


def retry_after(headers: Mapping[str, str], *, now: float) -> float | None:
    """Return the wait in seconds that a reply asks for; None if it asks for none that makes sense.

    Milliseconds win over seconds, seconds over a date (read against the reply's own `Date`, because clocks
    differ), then durations like `1m30s`. Zero, negative, NaN and more than a day are no hints.

    >>> retry_after({"retry-after-ms": "250", "retry-after": "9"}, now=0.0)
    0.25
    >>> retry_after({"retry-after": "1m30s"}, now=0.0)
    90.0
    """
    milliseconds = _sensible(headers.get("retry-after-ms"), 0.001)
    if milliseconds is not None:
        return milliseconds
    value = headers.get("retry-after", "").strip()
    if not value:
        return None
    seconds = _sensible(value, 1.0)
    if seconds is not None:
        return seconds
    if value[:1].isdigit() and (match := _DURATION.fullmatch(value)):
        hours, minutes, whole, small = (float(part or 0) for part in match.groups())
        return _within(hours * 3600 + minutes * 60 + whole + small / 1000)
    date, here = _date(value), _date(headers.get("date", ""))
    return None if date is None else _within(date - (now if here is None else here))


def _sensible(value: str | None, unit: float) -> float | None:
    try:
        return None if value is None else _within(float(value) * unit)
    except ValueError:
        return None


def _within(seconds: float) -> float | None:
    return seconds if math.isfinite(seconds) and 0 < seconds <= LONGEST_HINT else None


def _date(value: str) -> float | None:
    try:
        return email.utils.parsedate_to_datetime(value).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None


# ---------------------------------------------------------------------------------------- no proper answer at all


def connection(provider: str, cause: BaseException, *, origin: str, partial: Reply | None = None) -> ProviderError:
    """No connection, or one that broke; the cause is named by its class only, its text may hold the key."""
    seen: list[BaseException] = []
    chain: BaseException | None = cause
    while chain is not None and len(seen) < 6:
        seen.append(chain)
        chain = chain.__cause__ or chain.__context__
    certificate = any(isinstance(link, ssl.SSLError) for link in seen)
    what = type(seen[-1]).__name__
    if certificate:
        return ProviderError(
            f"{provider} at {origin} could not be reached safely: its TLS certificate was not accepted ({what}).",
            provider=provider, details={"kind": "certificate"}, verdict="next", partial=partial,
        )  # fmt: skip
    broke = partial is not None
    return ProviderError(
        f"{provider} at {origin} {'broke the connection off' if broke else 'could not be reached'} ({what}). "
        "Check the network, a proxy, and base_url.",
        provider=provider, details={"kind": "stream" if broke else "connection"}, partial=partial,
    )  # fmt: skip


def timed_out(provider: str, what: str, *, partial: Reply | None = None) -> TimeoutError:
    """A socket's own time limit passed: `what` is `connect`, `first token` or `between tokens`."""
    return TimeoutError(
        f"{provider} did not answer in time ({what}).",
        provider=provider, details={"kind": what}, max_retries=None if what == "connect" else 1, partial=partial,
    )  # fmt: skip


def malformed(provider: str, what: str, *, hint: str = "", partial: Reply | None = None) -> ProviderError:
    """A 200 that holds no answer: HTML, cut JSON, nothing, or no choices."""
    return ProviderError(
        f"{provider} answered 200, but {what}.{' ' + hint if hint else ''}",
        provider=provider, details={"kind": "malformed"}, max_retries=1, partial=partial,
    )  # fmt: skip


def truncated(provider: str, *, partial: Reply | None) -> ProviderError:
    """A stream that ended without saying that the answer had ended."""
    return ProviderError(
        f"{provider} ended its stream in the middle of the answer: no finish reason came. What arrived is kept as "
        "partial text.",
        provider=provider, details={"kind": "truncated"}, max_retries=1, partial=partial,
    )  # fmt: skip


def unsupported(provider: str, model: str, parameters: Sequence[str], reason: str = "") -> InvalidRequestError:
    """Options that a model does not take; nothing is silently left out."""
    names = ", ".join(parameters)
    return InvalidRequestError(
        f"{model} ({provider}) does not take {names}{': ' + reason if reason else ''}. Leave it out, or pass "
        "on_unsupported='drop' to have it left out and listed.",
        provider=provider,
        details={"kind": "unsupported_parameter", "parameter": parameters[0], "parameters": list(parameters)},
    )


def unreadable(provider: str, model: str, what: str) -> InvalidRequestError:
    """A part of a message that a model cannot read; it is part of the question, so it is never left out."""
    return InvalidRequestError(
        f"{model} ({provider}) reads no {what}: ask a model that does, or put their text into the prompt. Nothing was "
        "sent.",
        provider=provider,
        details={"kind": "unsupported_parameter", "parameter": what, "parameters": [what], "not_sent": True},
    )
