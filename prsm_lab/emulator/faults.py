"""Faults on purpose: which request they hit, and what a provider's error looks like on its own wire."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prsm_lab.emulator.log import Entry
    from prsm_lab.emulator.models import Mind

STATUSES = (307, 400, 401, 402, 403, 404, 408, 409, 413, 422, 424, 429, 500, 502, 503, 504, 529)

BEFORE = ("slow", "hang", "reset", "close", "html", "empty", "cut_json", "error_object", "no_choices", "null_content",
          "filtered", "no_usage", "surrogate", "huge", "gzip_bomb", "wrong_type", "short_length", "null_finish",
          "echo_key", "html_502", "length", "not_utf8")  # fmt: skip
"""Faults of the whole answer, beside the statuses."""

STREAM = ("stall", "drip", "mid_reset", "mid_close", "no_end", "cut_line", "no_done", "bad_json", "error_event",
          "json_instead", "split", "crlf", "comments", "twice", "bad_utf8", "unknown_events",
          "empty_stream")  # fmt: skip
"""Faults of a stream."""

BATCH = ("batch_error", "batch_expire", "batch_lost", "batch_slow")
"""Faults of items of batches, which leave live requests alone: the provider fails at it (`code`: with which status), it
is not reached before the batch expires, it is in no file of results, it is answered only after `seconds`. The batch
routes themselves go by the model `batches`; `lost_reply` there does what was asked and loses the reply."""


@dataclass
class Rule:
    """Which requests go wrong, and how.

    Example: `Rule("429", retry_after="1", times=2)`, `Rule("no_end", share=0.1)`, `Rule("slow", seconds=0.2)`.
    """

    fault: str
    """A status as text, or a name of `BEFORE`, `STREAM` or `BATCH`."""
    model: str = "*"
    contains: str = ""
    """Only prompts that contain this."""
    share: float = 1.0
    """Of the requests that match; drawn by prompt, so that a retry meets the same fate."""
    times: int | None = None
    """Only so many; None: no end."""
    after: int = 0
    """Let so many pass first."""
    code: str | None = None
    """The provider's own error code or type in place of the usual one."""
    message: str | None = None
    retry_after: str | None = None
    """Value of the header `retry-after`; `"date+2"` becomes a date two seconds ahead."""
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    """With `slow`, `stall`, `drip` and `batch_slow`."""
    pieces: int = 2
    """Pieces that a broken stream sends before it breaks."""
    megabytes: int = 200
    seen: int = 0
    hit: int = 0

    def matches(self, entry: Entry, mind: Mind) -> bool:
        """Take this request, or let it pass."""
        if not fnmatch.fnmatch(entry.model, self.model) or self.contains not in entry.prompt:
            return False
        if self.share < 1 and mind.dice("rule", self.fault, entry.model, entry.prompt).random() >= self.share:
            return False
        self.seen += 1
        if self.seen <= self.after or (self.times is not None and self.hit >= self.times):
            return False
        self.hit += 1
        return True


def hint_headers(rule: Rule) -> dict[str, str]:
    """Headers of an error: the wait that it asks for, and what the rule adds."""
    hint = rule.retry_after
    if hint is not None and hint.startswith("date+"):
        import time

        hint = formatdate(time.time() + float(hint[5:]), usegmt=True)
    return {**({} if hint is None else {"retry-after": hint}), **rule.headers}


_OPENAI = {
    400: ("invalid_request_error", None, "Invalid value for 'messages'."),
    401: ("invalid_request_error", "invalid_api_key", "Incorrect API key provided."),
    402: ("billing_error", "insufficient_credits", "Your account has insufficient credits."),
    403: (
        "invalid_request_error",
        "unsupported_country_region_territory",
        "Country, region, or territory not supported",
    ),
    404: ("invalid_request_error", "model_not_found", "The model does not exist or you do not have access to it."),
    429: ("requests", "rate_limit_exceeded", "Rate limit reached for requests."),
    503: ("server_error", "server_is_overloaded", "The engine is currently overloaded, please try again later."),
}
_ANTHROPIC = {
    400: ("invalid_request_error", "messages: at least one message is required"),
    401: ("authentication_error", "invalid x-api-key"),
    402: ("billing_error", "There is a problem with your billing."),
    403: ("permission_error", "Your API key does not have permission to use the specified resource."),
    404: ("not_found_error", "model not found"),
    413: ("request_too_large", "Request exceeds the maximum size"),
    429: ("rate_limit_error", "This request would exceed your rate limit."),
    504: ("timeout_error", "The request timed out."),
    529: ("overloaded_error", "Overloaded"),
}


_TEXTGEN: dict[int, tuple[str | None, str]] = {
    422: ("validation", "`inputs` must be less than 1024 tokens"),
    424: ("generation", "Request failed during generation"),
    429: ("overloaded", "Model is overloaded"),
    503: (None, "Model is currently loading"),
}


def error_body(wire: str, status: int, rule: Rule | None = None) -> dict[str, Any]:
    """Return an error's body as the provider of this wire writes it."""
    code = rule.code if rule else None
    message = rule.message if rule else None
    if wire == "anthropic":
        kind, text = _ANTHROPIC.get(status, ("api_error", "Internal server error"))
        return {
            "type": "error",
            "error": {"type": code or kind, "message": message or text},
            "request_id": "req_emulated",
        }
    if wire == "textgen":
        said_kind, said = _TEXTGEN.get(status, (None, f"Something went wrong ({status})"))
        named = code or said_kind
        return {"error": message or said, **({"error_type": named} if named else {})}
    kind, usual, text = _OPENAI.get(status, ("server_error", None, "The server had an error processing your request."))
    if code == "insufficient_quota":
        kind, text = (
            "insufficient_quota",
            "You exceeded your current quota, please check your plan and billing details.",
        )
    return {"error": {"message": message or text, "type": kind, "param": None, "code": code or usual}}
