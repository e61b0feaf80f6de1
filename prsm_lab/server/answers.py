"""JSON schemas of what the share server answers: the seed's documents, OpenAI's, and their errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prsm_lab.server.reports import GROUPS
from prsm_lab.server.schemas import (
    choice,
    flag,
    listed,
    maybe,
    named,
    number,
    of,
    ref,
    text,
    whole,
)

if TYPE_CHECKING:
    from prsm_lab.types import JSON

_CODES: Final = (
    "invalid_request", "schema", "authentication", "insufficient_credits", "budget_exceeded", "not_found", "conflict",
    "rate_limit", "internal", "provider_unavailable", "timeout", "cancelled",
)  # fmt: skip
_FINISH: Final = maybe(choice(("stop", "length", "tool_calls", "content_filter"), "Why it ended; null: unknown."))
_COUNT: Final = maybe(whole("Null where it is not known.", minimum=0))
_USD: Final = maybe(number("USD; null where it is not known."))
_SERVED: Final = maybe(text("The model's name in the provider's answer."))
_TIME: Final = whole("Unix time, seconds.")
_PROBABLE: Final[JSON] = {"token": text(), "bytes": maybe(listed(whole())), "logprob": number()}
_LOGPROBS: Final = maybe(
    named(
        {
            "content": listed(named({**_PROBABLE, "top_logprobs": listed(named(_PROBABLE))})),
            "refusal": {"type": "null"},
        },
        "Of each token, where they were asked for and the provider gives them.",
    )
)

_USAGE: Final = named(
    {"prompt_tokens": _COUNT, "completion_tokens": _COUNT, "total_tokens": _COUNT}, "Tokens as the provider counted."
)
_COST: Final = named(
    {
        "amount": maybe(number("USD really paid: 0 on a cache hit, null where the price is unknown.")),
        "currency": choice(("USD",)),
        "provider_cost": maybe(number("What the requested model would have cost at list price.")),
        "savings": maybe(number("`provider_cost - amount`.")),
    }
)
_TOTALS: Final[JSON] = {
    "failed": whole("How many questions have no answer.", minimum=0),
    "usage": _USAGE,
    "cost": named({"amount": _USD, "currency": choice(("USD",))}),
}
_ANSWER: Final = named(
    {
        "role": choice(("assistant",)),
        "content": maybe(text()),
        "tool_calls": listed(ref("ToolCall")),
    },
    required=("role", "content"),
)
_ERROR: Final = named(
    {
        "code": choice(_CODES),
        "message": text("What was wrong, where, and the remedy. Never contains a key."),
        "details": of("object", "Facts for programs: `parameter`, `expected_type`, `kind`, `provider` …"),
    },
    required=("code", "message", "details"),
)
_FIGURES: Final[JSON] = {
    "total_requests": whole(minimum=0),
    "total_tokens": _COUNT,
    "total_cost": _USD,
    "unpriced_requests": whole("Answered requests whose cost is unknown; `total_cost` leaves them out.", minimum=0),
    "avg_latency_ms": maybe(number()),
    "p50_latency_ms": maybe(number()),
    "p95_latency_ms": maybe(number()),
    "p99_latency_ms": maybe(number()),
    "success_rate": maybe(number("Answered over all finished requests.", minimum=0, maximum=1)),
    "cached_requests": whole(minimum=0),
}
_HOSTED: Final[JSON] = {
    "status": choice(("ready", "uploading", "connected")),
    "size": whole("Bytes.", minimum=0),
    "sha256": text("Of what was uploaded."),
    "received": whole("Bytes that are here.", minimum=0),
    "kind": choice(("transformers", "gguf")),
    "architecture": text(),
    "context": maybe(whole("Tokens of prompt and answer together.")),
    "loaded": flag("Is it in memory?"),
    "base_url": text("Of a registered server."),
    "models": listed(text(), "What that server offers."),
}
_KEY: Final[JSON] = {
    "id": text(),
    "name": text("Whose it is; a person's keys share limits and history."),
    "hint": text("Enough to tell keys apart, nothing of the secret."),
    "tier": text(),
    "scopes": listed(text()),
    "models": maybe(listed(text(), "Models that may answer; null: all.")),
    "credits": maybe(number("USD that are left; null: not metered.")),
    "created": _TIME,
    "expires": maybe(_TIME),
    "revoked": flag(),
    "last_used": maybe(_TIME),
    "limits": named(
        {name: maybe(whole("Null: no limit.")) for name in ("requests_per_minute", "tokens_per_minute", "concurrent")}
    ),
}

_ASKED: Final[JSON] = {
    "Inference": named(
        {
            "id": text("`inf_…`"), "object": choice(("inference",)), "created": _TIME,
            "model": text("The model that answered."), "provider": text(),
            "choices": listed(
                named({"index": whole(), "message": _ANSWER, "finish_reason": _FINISH}), minItems=1, maxItems=1
            ),
            "usage": _USAGE, "cost": _COST,
        },
        "A finished question with its answer.",
    ),
    "Accepted": named(
        {"id": text(), "status": choice(("running",)), "model": text(), "created": _TIME},
        "A question that is answered in the background.",
    ),
    "Record": named(
        {
            "id": text(),
            "status": choice(
                ("running", "completed", "failed", "unknown"), "`unknown`: it was sent, and the sender is gone."
            ),
            "model": text(), "provider": maybe(text()), "created": _TIME, "completed": maybe(_TIME),
            "latency_ms": maybe(number("The provider's time, milliseconds.")),
            "result": named({"content": maybe(text()), "tokens": _COUNT, "cost": _USD}, "Where it is completed."),
            "error": _ERROR | {"description": "Where it failed."},
        },
        "What is known of one inference.",
        required=("id", "status", "model", "provider", "created", "completed", "latency_ms"),
    ),
    "RecordList": named({
        "object": choice(("list",)),
        "data": listed(
            {"allOf": [ref("Record"), named({"served_model": _SERVED})]},
            "Newest first.",
        ),
    }),
    "Batch": named(
        {"object": choice(("batch",)), "results": listed(ref("BatchResult"), "In the order of `requests`."), **_TOTALS}
    ),
    "BatchResult": {
        "description": "An answer, or what went wrong with this one.",
        "oneOf": [
            named({"id": maybe(text()), "status": choice(("completed",)), "inference": ref("Inference")}),
            named({"id": maybe(text()), "status": choice(("failed",)), "error": _ERROR}),
        ],
    },
    "BatchLine": {
        "description": "A line of `application/x-ndjson`: a result as it comes, at last the totals.",
        "anyOf": [
            {"allOf": [ref("BatchResult"), named({"index": whole("Position in `requests`.", minimum=0)})]},
            named({"object": choice(("batch.done",)), **_TOTALS}),
        ],
    },
    "Checked": named({"status": choice(("ok",))}),
}  # fmt: skip

_STREAMED: Final[JSON] = {
    "DeltaEvent": named(
        {
            "id": text(), "object": choice(("inference.delta",)),
            "choices": listed(named({
                "delta": named(
                    {
                        "content": text(), "reasoning": text(),
                        "tool_calls": listed(ref("ToolCallPiece")),
                        "restart": text("All text so far is void; this target goes on."),
                    },
                    required=(),
                ),
            })),
        },
        "A piece of the answer.",
    ),
    "CompletedEvent": named(
        {
            "id": text(), "object": choice(("inference.completed",)), "model": text(), "provider": text(),
            "choices": listed(named({"delta": of("object"), "finish_reason": _FINISH})),
            "usage": _USAGE, "cost": _COST, "latency_ms": maybe(number()),
            "ttft_ms": maybe(number("Milliseconds to the first token.")), "cached": flag(),
            "served_model": _SERVED,
        },
        "The end of the answer; `[DONE]` follows.",
    ),
    "StreamEvent": {
        "description": "What an event tells.",
        "anyOf": [ref("DeltaEvent"), ref("CompletedEvent"), ref("Error")],
    },
    "ToolCallPiece": named(
        {
            "index": whole("Tells calls apart.", minimum=0), "id": text(), "type": choice(("function",)),
            "function": named({"name": text(), "arguments": text()}, required=("arguments",)),
        },
        "A piece of a call; `id` and the name come with its first.",
        required=("index", "function"),
    ),
}  # fmt: skip

_COUNTS: Final = ("prompt_tokens", "completion_tokens", "total_tokens")
_COUNTED: Final = named(
    {
        **dict.fromkeys(_COUNTS, whole(minimum=0)),
        "prompt_tokens_details": named({"cached_tokens": whole(minimum=0)}),
        "completion_tokens_details": named({"reasoning_tokens": whole(minimum=0)}),
    },
    "Left out where it is not known.",
    required=_COUNTS,
)

_OPENAI: Final[JSON] = {
    "ChatCompletion": named(
        {
            "id": text(), "object": choice(("chat.completion",)), "created": _TIME, "model": text(),
            "choices": listed(
                named({
                    "index": whole(minimum=0),
                    "message": named(
                        {
                            "role": choice(("assistant",)), "content": maybe(text()), "refusal": maybe(text()),
                            "tool_calls": listed(ref("ToolCall")),
                        },
                        required=("role", "content", "refusal"),
                    ),
                    "logprobs": _LOGPROBS,
                    "finish_reason": choice(("stop", "length", "tool_calls", "content_filter")),
                }),
                minItems=1,
            ),
            "usage": _COUNTED,
        },
        "OpenAI's document.",
        required=("id", "object", "created", "model", "choices"),
    ),
    "ChatCompletionChunk": named(
        {
            "id": text(), "object": choice(("chat.completion.chunk",)), "created": _TIME, "model": text(),
            "choices": listed(
                named({
                    "index": whole(minimum=0),
                    "delta": named(
                        {
                            "role": choice(("assistant",)), "content": text(),
                            "tool_calls": listed(ref("ToolCallPiece")),
                        },
                        required=(),
                    ),
                    "logprobs": _LOGPROBS, "finish_reason": _FINISH,
                }),
                "Empty in the last chunk with the usage.",
            ),
            "usage": _COUNTED,
        },
        "OpenAI's document.",
        required=("id", "object", "created", "model", "choices"),
    ),
    "ChatCompletionEvent": {
        "description": "What an event tells.",
        "anyOf": [ref("ChatCompletionChunk"), ref("ChatCompletionError")],
    },
    "ChatCompletionError": named(
        {"error": named({"message": text(), "type": text(), "param": maybe(text()), "code": text()})},
        "OpenAI's envelope of errors.",
    ),
}  # fmt: skip

_REPORTED: Final[JSON] = {
    "Report": named(
        {
            **_FIGURES,
            "avg_latency": maybe(number("The seed's name of `avg_latency_ms`.")),
            "p95_latency": maybe(number("The seed's name of `p95_latency_ms`.")),
            "groups": listed(
                named({**{name: maybe(text()) for name in GROUPS}, **_FIGURES}, required=()),
                "One object per group of `group_by`, with the same figures.",
            ),
        },
        "Usage over a time span; with `metrics`, only what they name.",
        required=("groups",),
    ),
    "Preferences": named(
        {
            "primary": maybe(text()), "fallback": listed(text()), "cost_optimization": flag(),
            "latency_optimization": flag(), "quality_threshold": maybe(number(minimum=0, maximum=1)),
        },
        "What a key's questions leave open.",
    ),
    "ModelCard": named(
        {
            "id": text(), "object": choice(("model",)), "created": _TIME, "owned_by": text("Provider."),
            "hosted": named(_HOSTED, "Of models of one's own.", required=("status",)),
        },
        required=("id", "object", "created", "owned_by"),
    ),
    "ModelDeleted": named({"id": text(), "object": choice(("model",)), "deleted": flag()}),
    "ModelList": named({"object": choice(("list",)), "data": listed(ref("ModelCard"))}),
    "Key": named(_KEY, "A key, without the key itself."),
    "KeyList": named({"object": choice(("list",)), "data": listed(ref("Key"))}),
    "KeyShown": named({**_KEY, "key": text("The key itself, this once: only a digest of it is kept.")}),
    "Health": named({"status": choice(("ok",))}),
    "OpenAPI": of("object", "An OpenAPI document.", required=["openapi", "info", "paths", "components"]),
    "RunBegun": named({"id": text()}),
    "Recalled": named({"inferences": listed(maybe(ref("Whole.Inference")), "One for each question; null: not known.")}),
    "Receipts": named({"records": listed(ref("Whole.Record"), "In no order; what is not known is left out.")}),
    "Runs": named({"runs": listed(ref("Whole.Run"))}),
    "Replay": named({"run": ref("Whole.Run"), "records": listed(maybe(ref("Whole.Record")))}),
}  # fmt: skip

ANSWERS: Final[JSON] = {
    **_ASKED,
    **_STREAMED,
    **_OPENAI,
    **_REPORTED,
    "Error": named({"error": _ERROR}, "The envelope of every error."),
}
"""Schemas of answers, by name."""
