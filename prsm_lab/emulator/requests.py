"""What a request says, on any wire: model, prompt, tools, limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from prsm_lab.emulator.models import tokens

if TYPE_CHECKING:
    from prsm_lab.emulator.wires import Answer


def wire(path: str) -> str:
    if path.endswith("/chat/completions"):
        return "chat"
    if path.endswith("/responses"):
        return "responses"
    if path.endswith("/messages"):
        return "anthropic"
    if "/models/" in path or path.endswith("/generate"):
        return "textgen"
    return "unknown"


def json(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body) if body else None
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def model(path: str, body: Any) -> str:
    named = body.get("model") if isinstance(body, dict) else None
    return str(named) if named else path.partition("/models/")[2]


def text(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return " ".join(str(part.get("text") or part.get("content") or "") for part in parts if isinstance(part, dict))


def turns(body: Any) -> list[Any]:
    if not isinstance(body, dict):
        return []
    given = body.get("messages", body.get("input", body.get("inputs", [])))
    return [{"role": "user", "content": given}] if isinstance(given, str) else list(given or [])


def prompt(body: Any) -> str:
    users = [turn for turn in turns(body) if isinstance(turn, dict) and turn.get("role") == "user"]
    return text(users[-1].get("content")) if users else ""


def whole_prompt(body: dict[str, Any]) -> str:
    system = text(body.get("system")) or str(body.get("instructions") or "")
    said = [text(turn.get("content") or turn.get("output")) for turn in turns(body) if isinstance(turn, dict)]
    return "\n".join(part for part in (system, *said) if part)


def forced_tool(body: dict[str, Any]) -> dict[str, Any] | None:
    tools, choice = body.get("tools") or [], body.get("tool_choice")
    forced = choice in ("required", {"type": "any"}) or (
        isinstance(choice, dict) and choice.get("type") not in ("auto", "none")
    )
    if not tools or not forced:
        return None
    functions: list[dict[str, Any]] = [tool.get("function", tool) for tool in tools]
    named = choice.get("name") or (choice.get("function") or {}).get("name") if isinstance(choice, dict) else None
    return next((function for function in functions if function["name"] == named), functions[0])


def schema(body: dict[str, Any]) -> dict[str, Any] | None:
    chat_format = (body.get("response_format") or {}).get("json_schema") or {}
    text_format = (body.get("text") or {}).get("format") or {}
    message_format = (body.get("output_config") or {}).get("format") or {}
    return chat_format.get("schema") or text_format.get("schema") or message_format.get("schema")


def example(schema: dict[str, Any], text: str = "example", root: dict[str, Any] | None = None) -> Any:
    """Some value that fits a schema."""
    root = schema if root is None else root
    if "$ref" in schema:
        named = schema["$ref"].rpartition("/")[2]
        return example((root.get("$defs") or root.get("definitions") or {}).get(named, {}), text, root)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    if "anyOf" in schema:
        return example(schema["anyOf"][0], text, root)
    match schema.get("type"):
        case "object":
            return {name: example(part, text, root) for name, part in schema.get("properties", {}).items()}
        case "array":
            return [example(schema.get("items", {}), text, root)]
        case "integer" | "number":
            return 1
        case "boolean":
            return True
        case "null":
            return None
    return text


def stop(answer: Answer, body: dict[str, Any]) -> None:
    """Cut at stop words, then at the token limit."""
    stops = body.get("stop") or body.get("stop_sequences") or []
    for word in [stops] if isinstance(stops, str) else stops:
        answer.text = answer.text.partition(word)[0]
    parameters = body.get("parameters") or {}
    limits = [body.get(name) for name in ("max_completion_tokens", "max_tokens", "max_output_tokens")]
    limit = next((n for n in (*limits, parameters.get("max_new_tokens")) if n is not None), None)
    if limit is not None and tokens(answer.text) > limit:
        answer.text, answer.finish = answer.text[: limit * 4], "length"


def alternatives(body: dict[str, Any]) -> int | None:
    """How many alternatives of each token are wanted, where log probabilities are."""
    wanted = body.get("logprobs") or "message.output_text.logprobs" in (body.get("include") or ())
    return int(body.get("top_logprobs") or 0) if wanted else None


def ids(wire: str) -> dict[str, str]:
    """Request ids and rate-limit headers in each provider's own words."""
    if wire == "anthropic":
        return {
            "request-id": "req_emulated", "anthropic-ratelimit-requests-limit": "4000",
            "anthropic-ratelimit-requests-remaining": "3999",
            "anthropic-ratelimit-requests-reset": "2026-11-23T05:00:00Z",
        }  # fmt: skip
    return {
        "x-request-id": "req_emulated", "x-ratelimit-limit-requests": "10000",
        "x-ratelimit-remaining-requests": "9999", "x-ratelimit-reset-requests": "6ms",
    }  # fmt: skip
