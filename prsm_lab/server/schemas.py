"""JSON schemas of what is sent to the share server: one table a body, the names and ranges that `ask` checks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from prsm_lab import presets
from prsm_lab.engine.strategies import STRATEGIES
from prsm_lab.server.batches import MOST
from prsm_lab.server.keys import SCOPES, TIERS
from prsm_lab.server.openai import MOST_CHOICES, MOST_LOGPROBS
from prsm_lab.server.reading import EXTRAS, LONGEST_SECONDS
from prsm_lab.server.runs import LONGEST_ID, MOST_RECEIPTS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prsm_lab.types import JSON


# ------------------------------------------------------------------------------------------------- shorthand


def ref(name: str) -> JSON:
    """Point to a component's schema."""
    return {"$ref": f"#/components/schemas/{name}"}


def of(kind: str, about: str = "", **more: Any) -> JSON:
    """A value of one JSON type."""
    return {"type": kind, **({"description": about} if about else {}), **more}


def text(about: str = "", **more: Any) -> JSON:
    return of("string", about, **more)


def number(about: str = "", **more: Any) -> JSON:
    return of("number", about, **more)


def whole(about: str = "", **more: Any) -> JSON:
    return of("integer", about, **more)


def flag(about: str = "", **more: Any) -> JSON:
    return of("boolean", about, **more)


def listed(items: JSON, about: str = "", **more: Any) -> JSON:
    return of("array", about, items=items, **more)


def choice(names: Iterable[str], about: str = "") -> JSON:
    return text(about, enum=list(names))


def named(fields: JSON, about: str = "", *, required: Iterable[str] | None = None, closed: bool = False) -> JSON:
    """An object; `closed` where the server refuses other names. All fields are required unless said."""
    must = list(fields) if required is None else list(required)
    made = of("object", about, properties=fields)
    return {**made, **({"required": must} if must else {}), **({"additionalProperties": False} if closed else {})}


def maybe(schema: JSON) -> JSON:
    """The same, or null."""
    if "type" not in schema:
        about = {"description": schema["description"]} if "description" in schema else {}
        return {"anyOf": [{k: v for k, v in schema.items() if k != "description"}, {"type": "null"}], **about}
    enum = {"enum": [*schema["enum"], None]} if "enum" in schema else {}
    return {**schema, "type": [schema["type"], "null"], **enum}


def either(about: str, *schemas: JSON) -> JSON:
    return {"description": about, "anyOf": list(schemas)}


# ------------------------------------------------------------------------------------------------- questions

_NAMES: Final = listed(text(minLength=1))

_COST: Final = named(
    {
        "enabled": flag("Off: the other fields mean nothing."),
        "max_cost": maybe(number("USD; models whose worst case for this question is dearer are left out.", minimum=0)),
        "prefer_cheaper": flag("May a cheaper model of the same class answer?", default=True),
        "quality_threshold": maybe(number("Only models of at least this quality.", minimum=0, maximum=1)),
    },
    required=(), closed=True,
)  # fmt: skip

_CACHE: Final = named(
    {
        "enabled": flag(default=True),
        "ttl": maybe(number("Seconds for which an answer is fresh; null: for ever.", minimum=0)),
        "key_strategy": choice(("exact", "normalized", "semantic_similarity"), "When are two questions the same?"),
        "similarity_threshold": maybe(
            number("Least cosine for `semantic_similarity`; null: what was measured.", minimum=0, maximum=1)
        ),
        "embedder": text("Whose vectors; one that the server's owner has named."),
        "namespace": maybe(text("Only answers of the same namespace are found by meaning.")),
        "cross_model": flag("May another model's answer serve?"),
        "shadow": flag("Write down what would have been served by meaning, and do not serve it."),
        "verify": maybe(text("A model that checks a hit first; not on a share server.")),
        "force": flag("Also below the measured threshold, and at a temperature above 0."),
    },
    required=(), closed=True,
)  # fmt: skip

_STRATEGY: Final = {
    **named(
        {
            "provider": maybe(text("Who is asked.")),
            "model": maybe(text("With which model; default: the comparable one of that provider.")),
            "timeout": maybe(number("Milliseconds for this step.", exclusiveMinimum=0)),
        },
        "One step, tried after those before it. It names a provider, a model, or both.",
        required=(), closed=True,
    ),
    "minProperties": 1,
}  # fmt: skip

_FALLBACK: Final = named(
    {
        "strategies": maybe(listed(_STRATEGY)),
        "retry_attempts": maybe(whole("Retries at one target after its first attempt.", minimum=0)),
        "backoff_multiplier": maybe(number("Each wait is so many times the last.", minimum=1, default=2.0)),
        "mid_stream": choice(
            ("stop", "restart"), "If a stream breaks after its first piece: end it, or start again elsewhere."
        ),
    },
    required=(), closed=True,
)  # fmt: skip

_TOOL: Final = named(
    {
        "type": choice(("function",)),
        "function": named(
            {
                "name": text(minLength=1),
                "description": maybe(text()),
                "parameters": of("object", "JSON schema of the arguments."),
            },
            required=("name",),
        ),
    },
    "A function that the model may call, in OpenAI's shape.",
)  # fmt: skip

_NEUTRAL: Final[JSON] = {
    "model": text("Name of the model, an alias, or `provider/model`.", minLength=1),
    "messages": listed(ref("Message"), "The conversation; at least one message is not the system's.", minItems=1),
    "temperature": maybe(number("Randomness; 0 is the least.", minimum=0, maximum=2)),
    "top_p": maybe(number("Nucleus sampling.", exclusiveMinimum=0, maximum=1)),
    "stop": either("Texts that end the answer.", text(minLength=1), _NAMES, {"type": "null"}),
    "seed": maybe(whole("For repeatable answers, where the model has it.")),
    "frequency_penalty": maybe(number(minimum=-2, maximum=2)),
    "presence_penalty": maybe(number(minimum=-2, maximum=2)),
    "logit_bias": maybe(of("object", "Token ids and their bias, -100 to 100.", additionalProperties=number())),
    "tools": maybe(listed(_TOOL)),
    "tool_choice": either(
        "Needs `tools`: `auto`, `none`, `required`, or a function by name.",
        choice(("auto", "none", "required")), {"type": "object"}, {"type": "null"},
    ),
    "parallel_tool_calls": maybe(flag("May the model call several tools at once?")),
    "user": maybe(text("Opaque id of the end user, for providers that take one.")),
}  # fmt: skip

_OPTIONS: Final[JSON] = {
    **_NEUTRAL,
    "max_tokens": maybe(whole("Most tokens of the answer, reasoning included.", minimum=1)),
    "schema": maybe(of("object", "JSON schema that the answer must fit.")),
    "extra": maybe(
        of("object", f"Passed to the provider as is: {', '.join(sorted(EXTRAS))}. An admin's key may pass more.")
    ),
    "provider": maybe(text("Ask here, whatever the model's name suggests.")),
    "fallback_providers": either(
        "Who is asked next if the first fails; not together with `fallback_config.strategies`.",
        text(minLength=1), _NAMES, {"type": "null"},
    ),
    "fallback_config": maybe({**_FALLBACK, "description": "Fallbacks and retries in detail."}),
    "cost_optimization": either("May a cheaper model answer?", flag(), _COST, {"type": "null"}),
    "latency_optimization": maybe(flag("May a faster provider answer?")),
    "quality_threshold": maybe(number("Under optimisation: the least quality.", minimum=0, maximum=1)),
    "task": maybe(text("What kind of question it is: qualities measured at it count.", minLength=1, maxLength=100)),
    "cache_config": either("May an earlier answer to the same question serve?", flag(), _CACHE, {"type": "null"}),
    "on_unsupported": choice(("refuse", "drop"), "An option that the model does not take is an error, or left out."),
    "timeout": maybe(
        number(
            f"Seconds for everything: attempts, waits and fallbacks; more than {LONGEST_SECONDS:.0f} means that.",
            exclusiveMinimum=0,
        )
    ),
}  # fmt: skip

_PRSM: Final = {
    **maybe(
        named(
            {
                "sample": whole("Tells repeated asks of one question apart.", minimum=0, maximum=2**31 - 1),
                "run": maybe(text("Id of the run that asks.", maxLength=200)),
                "scope": maybe(text("Whose answers the run may reuse.", maxLength=200)),
                "primary": maybe(text("Provider that is asked first.")),
                "schema_name": maybe(text("Name of `schema`.")),
            },
            "What the Python client's remote engine adds; not for others, and free to change.",
            required=(),
        )
    ),
    "x-internal": True,
}

_ASKED: Final[JSON] = {
    **_OPTIONS,
    "stream": flag("Taken and ignored; the route decides."),
    "background": flag("Answer 202 at once; the answer is found under `GET /v1/inference/{id}`."),
    "prsm": _PRSM,
}

MESSAGE: Final = {
    **named(
        {
            "role": choice(("system", "developer", "user", "assistant", "tool")),
            "content": either(
                "Text, or parts in OpenAI's shape (`text`, `image_url`); null only beside `tool_calls`.",
                text(), listed(of("object", properties={"type": text()}, required=["type"])), {"type": "null"},
            ),
            "tool_calls": listed(ref("ToolCall"), "An assistant's calls; each is answered by a `tool` message."),
            "tool_call_id": text("Of a `tool` message: which call it answers."),
            "name": text(),
        },
        "One chat message in OpenAI's shape.",
        required=("role",),
    ),
}  # fmt: skip

TOOL_CALL: Final = named(
    {
        "id": text(),
        "type": choice(("function",)),
        "function": named({"name": text(), "arguments": text("JSON text of an object.")}),
    },
    "A function that the model calls.",
)


def _question(fields: JSON, about: str) -> JSON:
    return named(fields, about, required=("model", "messages"), closed=True)


# ---------------------------------------------------------------------------------------------------- the rest

_CHAT: Final[JSON] = {
    **_NEUTRAL,
    "max_tokens": maybe(whole("Older name of `max_completion_tokens`.", minimum=1)),
    "max_completion_tokens": maybe(whole("Most tokens of the answer, reasoning included.", minimum=1)),
    "response_format": maybe(
        of(
            "object", "`text`, `json_object`, or `json_schema` with its schema.", required=["type"],
            properties={
                "type": choice(("text", "json_object", "json_schema")),
                "json_schema": named(
                    {"name": maybe(text()), "schema": maybe(of("object")), "strict": maybe(flag())}, required=()
                ),
            },
        )
    ),
    "reasoning_effort": maybe(text("How long the model may reason: `minimal`, `low`, `medium`, `high` …")),
    "verbosity": maybe(text("`low`, `medium`, `high`.")),
    "logprobs": maybe(flag("Give the tokens' log probabilities, where the provider has them.")),
    "top_logprobs": maybe(whole("Of so many alternatives each.", minimum=0, maximum=MOST_LOGPROBS)),
    "n": maybe(whole("How many choices; only one of a stream.", minimum=1, maximum=MOST_CHOICES)),
    "stream": maybe(flag("Answer in server-sent events.")),
    "stream_options": maybe(of("object", properties={"include_usage": flag("A last chunk with the usage.")})),
    "service_tier": maybe(choice(("auto", "default"))),
    **{
        name: {"description": "Taken and left: it changes nothing in the answer."}
        for name in ("metadata", "store", "safety_identifier", "prompt_cache_key")
    },
}  # fmt: skip

PREFERENCES: Final[JSON] = {
    "primary": maybe(text("Provider that is asked first where it offers the very model.")),
    "fallback": either("Who is asked next.", text(minLength=1), _NAMES, {"type": "null"}),
    "cost_optimization": flag("May a cheaper model answer?"),
    "latency_optimization": flag("May a faster provider answer?"),
    "quality_threshold": maybe(number("The least quality under optimisation.", minimum=0, maximum=1)),
}

_LIMIT: Final = maybe(whole(minimum=1))
_LIMITS: Final = dict.fromkeys(("requests_per_minute", "tokens_per_minute", "concurrent"), _LIMIT)

_NEW_KEY: Final[JSON] = {
    "name": text(
        "Whose key it is: 1 to 64 letters, digits, blanks or . @ + -", minLength=1, maxLength=64,
        pattern=r"^[A-Za-z0-9_ .@+\-]+$",
    ),
    "tier": maybe(choice(TIERS)),
    "credits": maybe(number("USD that it may spend; null: not metered.", minimum=0, exclusiveMaximum=1e9)),
    "models": maybe(listed(text(), "Models that may answer; null: all.")),
    "expires": either(
        "A span such as `12h`, `7d`, `2w`, or seconds; null: never.",
        text(pattern=r"^[0-9]{1,4}[mhdw]$"), number(exclusiveMinimum=0), {"type": "null"},
    ),
    "scopes": maybe(listed(choice(SCOPES), minItems=1)),
    "limits": maybe(named(_LIMITS, "Only of tier `Enterprise`; null: no limit.", required=(), closed=True)),
}  # fmt: skip

_PACKED: Final[JSON] = {
    "templates": listed(of("object"), "Questions without their messages."),
    "requests": listed(
        of(
            "array", "Which template, the messages, which sample.", minItems=3,
            prefixItems=[whole(minimum=0), listed(ref("Message")), whole(minimum=0)],
        )
    ),
}  # fmt: skip

BODIES: Final[JSON] = {
    "Message": MESSAGE,
    "ToolCall": TOOL_CALL,
    "InferenceRequest": _question(_ASKED, "One question. Other names than these are refused."),
    "BatchRequest": named(
        {
            "requests": listed(ref("BatchQuestion"), "The questions.", minItems=1, maxItems=MOST),
            "parallel": either("Ask several at once, or so many.", flag(), whole()) | {"default": True},
            "fallback_strategy": choice(STRATEGIES, "What is tried where a question says nothing of its own.")
            | {"default": "none"},
        },
        "Many questions. What is wrong with one is that one's result.",
        required=("requests",), closed=True,
    ),
    "BatchQuestion": _question({"id": text("Comes back with the result.", maxLength=200), **_ASKED}, "One of a batch."),
    "ChatCompletionRequest": _question(_CHAT, "OpenAI's body. Other names than these are refused."),
    "PreferencesRequest": named(PREFERENCES, "What a key's questions leave open.", required=(), closed=True),
    "NewKey": named(_NEW_KEY, "A key to be made.", required=("name",), closed=True),
    "NewModel": named(
        {
            "name": text("Its name; of weights: small letters, digits and . _ - only.", minLength=1, maxLength=64),
            "size": maybe(whole("Bytes of the weights' file.", minimum=1)),
            "sha256": maybe(text("Its checksum, in hexadecimal.", pattern="^[0-9a-f]{64}$")),
            "base_url": maybe(text("Instead of a file: address of a server that speaks Chat Completions.")),
            "api_key": maybe(text("That server's key; it stays in this server's memory.")),
            "preset": maybe(choice(presets.known(), "Whose ways that server has.")),
            "insecure": maybe(flag("May the key travel by plain http beyond this machine?")),
        },
        "Weights or a server.",
        required=("name",), closed=True,
    ),
    "ModelBytes": text("A zip, a tar or a GGUF file, or a part of one.", format="binary"),
    "RunRequest": named({"run": ref("Whole.Run"), **_PACKED}),
    "ReceiptsRequest": named({"ids": listed(text(maxLength=LONGEST_ID), "Ids of inferences.", maxItems=MOST_RECEIPTS)}),
    "RecallRequest": named({"scope": maybe(text(maxLength=200)), **_PACKED}, required=tuple(_PACKED)),
}  # fmt: skip
"""Schemas of request bodies, by name."""
