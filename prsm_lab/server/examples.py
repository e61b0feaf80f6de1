"""Examples of the API's documents: the seed's, to the letter, and a few of routes that it leaves open."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from prsm_lab.types import JSON

_HELLO: Final = [{"role": "user", "content": "Explain quantum computing"}]
_SAID: Final = "Quantum computing is a revolutionary..."
_USED: Final = {"prompt_tokens": 15, "completion_tokens": 135, "total_tokens": 150}
_PAID: Final = {"amount": 0.0023, "currency": "USD", "provider_cost": 0.0025, "savings": 0.0002}

QUESTION: Final[JSON] = {
    "model": "gpt-3.5-turbo", "messages": _HELLO, "max_tokens": 150, "temperature": 0.7, "provider": "openai",
    "fallback_providers": ["anthropic", "huggingface"], "cost_optimization": True,
}  # fmt: skip
INFERENCE: Final[JSON] = {
    "id": "inf_abc123", "object": "inference", "created": 1703521234, "model": "gpt-3.5-turbo", "provider": "openai",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": _SAID}, "finish_reason": "stop"}],
    "usage": _USED, "cost": _PAID,
}  # fmt: skip
RECORD: Final[JSON] = {
    "id": "inf_abc123", "status": "completed", "model": "gpt-3.5-turbo", "provider": "openai", "created": 1703521234,
    "completed": 1703521236, "latency_ms": 2150, "result": {"content": _SAID, "tokens": 150, "cost": 0.0023},
}  # fmt: skip
BATCH: Final[JSON] = {
    "requests": [
        {"id": "req_1", "model": "gpt-3.5-turbo", "messages": [{"role": "user", "content": "Question 1"}]},
        {"id": "req_2", "model": "claude-3-sonnet", "messages": [{"role": "user", "content": "Question 2"}]},
    ],
    "parallel": True,
    "fallback_strategy": "best_available",
}
STREAM: Final[JSON] = {
    "model": "gpt-3.5-turbo", "messages": [{"role": "user", "content": "Write a story about AI"}], "stream": True,
    "max_tokens": 500,
}  # fmt: skip
ERROR: Final[JSON] = {
    "error": {
        "code": "invalid_request",
        "message": "Missing required parameter: model",
        "details": {"parameter": "model", "expected_type": "string"},
    }
}
EVENTS: Final = (
    'data: {"id":"inf_stream_123","object":"inference.delta","choices":[{"delta":{"content":"Once"}}]}\n\n'
    'data: {"id":"inf_stream_123","object":"inference.delta","choices":[{"delta":{"content":" upon"}}]}\n\n'
    'data: {"id":"inf_stream_123","object":"inference.delta","choices":[{"delta":{"content":" a"}}]}\n\n'
    'data: {"id":"inf_stream_123","object":"inference.completed","model":"gpt-3.5-turbo","provider":"openai",'
    '"choices":[{"delta":{},"finish_reason":"stop"}],'
    '"usage":{"prompt_tokens":12,"completion_tokens":3,"total_tokens":15},'
    '"cost":{"amount":1.05e-05,"currency":"USD","provider_cost":1.05e-05,"savings":0.0},'
    '"latency_ms":812.0,"ttft_ms":40.1,"cached":false,"served_model":"gpt-3.5-turbo-0125"}\n\n'
    "data: [DONE]\n\n"
)
PREFERENCES: Final[JSON] = {
    "primary": "openai", "fallback": ["anthropic", "huggingface"], "cost_optimization": True,
    "latency_optimization": False, "quality_threshold": 0.85,
}  # fmt: skip

_STORY: Final[JSON] = {"model": "gpt-3.5-turbo", "messages": _HELLO}
QUESTIONS: Final[JSON] = {
    "seed": ("A question with fallbacks", QUESTION),
    "cost": ("No dearer than ten cents", {
        **_STORY,
        "cost_optimization": {"enabled": True, "max_cost": 0.10, "prefer_cheaper": True, "quality_threshold": 0.8},
    }),
    "fallback": ("Who is asked, in which order", {
        "model": "gpt-4", "messages": _HELLO,
        "fallback_config": {
            "strategies": [
                {"provider": "openai", "timeout": 5000}, {"provider": "anthropic", "timeout": 10000},
                {"provider": "huggingface", "model": "mixtral"},
            ],
            "retry_attempts": 3, "backoff_multiplier": 2.0,
        },
    }),
    "cache": ("An earlier answer may serve", {
        **_STORY,
        "cache_config": {
            "enabled": True, "ttl": 3600, "key_strategy": "semantic_similarity", "similarity_threshold": 0.95,
        },
    }),
}  # fmt: skip
"""Of `POST /v1/inference`: name, what it shows, and the body."""

BATCHED: Final[JSON] = {
    "object": "batch",
    "results": [
        {"id": "req_1", "status": "completed", "inference": INFERENCE},
        {"id": "req_2", "status": "failed", "error": {
            "code": "provider_unavailable", "message": "anthropic did not answer.",
            "details": {"provider": "anthropic", "kind": "connection"},
        }},
    ],
    "failed": 1, "usage": _USED, "cost": {"amount": 0.0023, "currency": "USD"},
}  # fmt: skip
LINES: Final = "".join(
    json.dumps(line, separators=(",", ":")) + "\n"
    for line in (
        {"index": 1, **BATCHED["results"][1]},
        {"index": 0, **BATCHED["results"][0]},
        {"object": "batch.done", **{name: BATCHED[name] for name in ("failed", "usage", "cost")}},
    )
)
ACCEPTED: Final[JSON] = {"id": "inf_abc123", "status": "running", "model": "gpt-3.5-turbo", "created": 1703521234}
CHAT: Final[JSON] = {"model": "gpt-4.1-mini", "messages": _HELLO, "max_completion_tokens": 150}
COMPLETION: Final[JSON] = {
    "id": "inf_abc123", "object": "chat.completion", "created": 1703521234, "model": "gpt-4.1-mini",
    "choices": [{
        "index": 0, "message": {"role": "assistant", "content": _SAID, "refusal": None}, "logprobs": None,
        "finish_reason": "stop",
    }],
    "usage": _USED,
}  # fmt: skip
CHUNKS: Final = (
    'data: {"id":"inf_abc123","object":"chat.completion.chunk","created":1703521234,"model":"gpt-4.1-mini",'
    '"choices":[{"index":0,"delta":{"role":"assistant","content":"Once"},"logprobs":null,"finish_reason":null}]}\n\n'
    "data: [DONE]\n\n"
)
CHAT_ERROR: Final[JSON] = {
    "error": {
        "message": "Missing required parameter: model", "type": "invalid_request_error", "param": "model",
        "code": "invalid_request",
    }
}  # fmt: skip
CARD: Final[JSON] = {"id": "gpt-4.1-mini", "object": "model", "created": 1700000000, "owned_by": "openai"}
_SHA: Final = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
HOSTED: Final[JSON] = {
    "id": "local/tiny", "object": "model", "created": 1703521234, "owned_by": "local",
    "hosted": {
        "status": "ready", "size": 446536, "sha256": _SHA, "kind": "transformers", "architecture": "gpt2",
        "context": 128, "loaded": False,
    },
}  # fmt: skip
UPLOADING: Final[JSON] = {
    "id": "local/tiny",
    "object": "model",
    "created": 1703521234,
    "owned_by": "local",
    "hosted": {"status": "uploading", "size": 452608, "sha256": _SHA, "received": 0},
}
NEW_MODELS: Final = {
    "upload": ("Announce weights", {"name": "tiny", "size": 452608, "sha256": _SHA}),
    "register": ("Register a server", {"name": "gpu", "base_url": "http://localhost:8000/v1", "preset": "vllm"}),
}
NEW_KEY: Final[JSON] = {"name": "ana", "tier": "Basic", "credits": 5.0, "expires": "7d", "scopes": ["infer", "read"]}
KEY: Final[JSON] = {
    "id": "0a1b2c3d4e5f", "name": "ana", "hint": "pk_0a1b2c3d4e5f_…", "tier": "Basic", "scopes": ["infer", "read"],
    "models": None, "credits": 5.0, "created": 1703521234, "expires": 1704126034, "revoked": False, "last_used": None,
    "limits": {"requests_per_minute": 100, "tokens_per_minute": 200000, "concurrent": 5},
}  # fmt: skip
REPORT: Final[JSON] = {
    "total_requests": 120, "total_tokens": 18000, "total_cost": 0.27, "unpriced_requests": 0, "avg_latency_ms": 910.5,
    "p50_latency_ms": 870.0, "p95_latency_ms": 1900.0, "p99_latency_ms": 2600.0, "success_rate": 0.99,
    "cached_requests": 14, "avg_latency": 910.5, "p95_latency": 1900.0,
    "groups": [{"model": "gpt-4.1-mini", "total_requests": 120, "total_tokens": 18000, "total_cost": 0.27}],
}  # fmt: skip
KEY_SHOWN: Final[JSON] = {**KEY, "key": "pk_0a1b2c3d4e5f_…"}
RUN: Final[JSON] = {
    "run": {"id": "run_1", "name": None, "scope": "", "kind": "batch", "created": 1703521234.0, "spec": {}},
    "templates": [{"model": "gpt-4.1-mini"}], "requests": [[0, _HELLO, 0]],
}  # fmt: skip
RECALL: Final[JSON] = {"scope": "", "templates": RUN["templates"], "requests": RUN["requests"]}
