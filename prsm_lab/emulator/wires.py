"""One answer, written as each provider writes it: whole documents and streams of events."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

from prsm_lab.emulator.models import tokens

_encode = msgspec.json.Encoder().encode


class Served(NamedTuple):
    """Tokens of a prompt that the prompt cache served, and those that were written to it."""

    read: int = 0
    written: int = 0


@dataclass
class Answer:
    """What a simulated model says to one request."""

    id: str
    model: str
    text: str
    prompt_tokens: int
    finish: str = "stop"
    """stop, length or tool_calls."""
    calls: list[tuple[str, str, str]] = field(default_factory=list)
    """Tool calls: id, name, arguments as JSON text."""
    created: int = 1_790_000_000
    alternatives: int | None = None
    """Log probabilities are wanted, with so many alternatives each; None: no."""
    served: Served = field(default_factory=Served)
    """What the prompt cache did."""

    @property
    def completion_tokens(self) -> int:
        """Tokens of text and calls."""
        return max(1, tokens(self.text + "".join(arguments for _, _, arguments in self.calls)))


def sse(document: Any, name: str | None = None) -> bytes:
    """Write one event."""
    prefix = b"" if name is None else b"event: " + name.encode() + b"\n"
    return prefix + b"data: " + _encode(document) + b"\n\n"


def pieces(text: str) -> list[str]:
    """Cut a text where a model would, roughly: a word at a time."""
    out: list[str] = []
    for word in text.split(" "):
        out.append(word if not out else " " + word)
    return out


def logprobs(answer: Answer, piece: str) -> list[dict[str, Any]]:
    """Log probabilities of one piece, made up but stable: the shorter a word, the surer it is."""
    if answer.alternatives is None:
        return []

    def token(text: str, place: int) -> dict[str, Any]:
        return {"token": text, "bytes": list(text.encode()), "logprob": -0.05 * len(text) - place}

    others = [token(piece.swapcase() * (n + 1), n) for n in range(answer.alternatives)]
    return [{**token(piece, 0), "top_logprobs": others}]


def _all_logprobs(answer: Answer) -> list[dict[str, Any]]:
    return [one for piece in pieces(answer.text) for one in logprobs(answer, piece)] if answer.text else []


# ------------------------------------------------------------------------------------------ chat completions


def chat_usage(answer: Answer) -> dict[str, Any]:
    """Usage as OpenAI counts it: cached tokens are part of the prompt's."""
    done = answer.completion_tokens
    return {
        "prompt_tokens": answer.prompt_tokens,
        "completion_tokens": done,
        "total_tokens": answer.prompt_tokens + done,
        "prompt_tokens_details": {"cached_tokens": answer.served.read},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }


def chat_document(answer: Answer) -> dict[str, Any]:
    """A whole chat completion."""
    message: dict[str, Any] = {"role": "assistant", "content": answer.text or None, "refusal": None}
    if answer.calls:
        message["tool_calls"] = [_tool_call(call) for call in answer.calls]
    return {
        "id": f"chatcmpl-{answer.id}", "object": "chat.completion", "created": answer.created, "model": answer.model,
        "choices": [{
            "index": 0, "message": message, "logprobs": _chat_logprobs(_all_logprobs(answer)),
            "finish_reason": answer.finish,
        }],
        "usage": chat_usage(answer),
    }  # fmt: skip


def _chat_logprobs(found: list[dict[str, Any]]) -> dict[str, Any] | None:
    return {"content": found, "refusal": None} if found else None


def _tool_call(call: tuple[str, str, str]) -> dict[str, Any]:
    return {"id": call[0], "type": "function", "function": {"name": call[1], "arguments": call[2]}}


def chat_events(answer: Answer, *, usage: bool) -> list[bytes]:
    """The events of a chat stream; the last two are the end."""
    base = {
        "id": f"chatcmpl-{answer.id}",
        "object": "chat.completion.chunk",
        "created": answer.created,
        "model": answer.model,
    }

    def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
        sure = _chat_logprobs(logprobs(answer, delta["content"]) if delta.get("content") else [])
        return sse({**base, "choices": [{"index": 0, "delta": delta, "logprobs": sure, "finish_reason": finish}]})

    events = [chunk({"role": "assistant", "content": ""})]
    events += [chunk({"content": piece}) for piece in (pieces(answer.text) if answer.text else ())]
    for n, call in enumerate(answer.calls):
        events.append(chunk({"tool_calls": [{"index": n, **_tool_call((call[0], call[1], ""))}]}))
        events.append(chunk({"tool_calls": [{"index": n, "function": {"arguments": call[2]}}]}))
    events.append(chunk({}, answer.finish))
    if usage:
        events.append(sse({**base, "choices": [], "usage": chat_usage(answer)}))
    return [*events, b"data: [DONE]\n\n"]


# ------------------------------------------------------------------------------------------------- responses


def response_document(answer: Answer, status: str = "completed") -> dict[str, Any]:
    """A whole Response."""
    cut = answer.finish == "length"
    output: list[dict[str, Any]] = []
    if answer.text:
        content = [{"type": "output_text", "text": answer.text, "annotations": [], "logprobs": _all_logprobs(answer)}]
        output.append(
            {
                "type": "message",
                "id": f"msg_{answer.id}",
                "status": "completed",
                "role": "assistant",
                "content": content,
            }
        )
    output += [
        {
            "type": "function_call",
            "id": f"fc_{call[0]}",
            "call_id": call[0],
            "name": call[1],
            "arguments": call[2],
            "status": "completed",
        }
        for call in answer.calls
    ]
    return {
        "id": f"resp_{answer.id}", "object": "response", "created_at": answer.created, "model": answer.model,
        "status": "incomplete" if cut and status == "completed" else status,
        "incomplete_details": {"reason": "max_output_tokens"} if cut and status == "completed" else None,
        "error": None, "output": output if status == "completed" else [], "parallel_tool_calls": True,
        "tool_choice": "auto", "tools": [], "instructions": None, "metadata": {}, "temperature": None, "top_p": None,
        "usage": None if status != "completed" else {
            "input_tokens": answer.prompt_tokens, "output_tokens": answer.completion_tokens,
            "total_tokens": answer.prompt_tokens + answer.completion_tokens,
            "input_tokens_details": {"cached_tokens": answer.served.read, "cache_write_tokens": 0},
            "output_tokens_details": {"reasoning_tokens": 0},
        },
    }  # fmt: skip


def response_events(answer: Answer) -> list[bytes]:
    """The events of a Responses stream; the last one is the end."""
    numbered: list[bytes] = []

    def event(kind: str, **fields: Any) -> None:
        numbered.append(sse({"type": kind, "sequence_number": len(numbered), **fields}, kind))

    event("response.created", response=response_document(answer, "in_progress"))
    for piece in pieces(answer.text) if answer.text else ():
        where = {"item_id": f"msg_{answer.id}", "output_index": 0, "content_index": 0}
        sure = [{k: v for k, v in one.items() if k != "bytes"} for one in logprobs(answer, piece)]
        event("response.output_text.delta", **where, delta=piece, logprobs=sure)
    for n, call in enumerate(answer.calls):
        item = {
            "type": "function_call",
            "id": f"fc_{call[0]}",
            "call_id": call[0],
            "name": call[1],
            "arguments": "",
            "status": "in_progress",
        }
        event("response.output_item.added", output_index=n, item=item)
        event("response.function_call_arguments.delta", item_id=item["id"], output_index=n, delta=call[2])
    whole = response_document(answer)
    event(f"response.{whole['status']}", response=whole)
    return numbered


# -------------------------------------------------------------------------------------------------- messages

_STOP = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}


def message_document(answer: Answer) -> dict[str, Any]:
    """A whole Anthropic message."""
    content: list[dict[str, Any]] = [{"type": "text", "text": answer.text}] if answer.text else []
    content += [{"type": "tool_use", "id": c[0], "name": c[1], "input": json.loads(c[2])} for c in answer.calls]
    return {
        "id": f"msg_{answer.id}", "type": "message", "role": "assistant", "model": answer.model, "content": content,
        "stop_reason": _STOP[answer.finish], "stop_sequence": None,
        "usage": {
            "input_tokens": max(answer.prompt_tokens - sum(answer.served), 0),
            "output_tokens": answer.completion_tokens, "cache_creation_input_tokens": answer.served.written,
            "cache_read_input_tokens": answer.served.read,
        },
    }  # fmt: skip


def message_events(answer: Answer) -> list[bytes]:
    """The events of a Messages stream; the last two are the end."""
    start = message_document(answer)
    start.update(content=[], stop_reason=None)
    start["usage"]["output_tokens"] = 1
    events = [sse({"type": "message_start", "message": start}, "message_start")]
    block = {"type": "text", "text": ""}
    events.append(sse({"type": "content_block_start", "index": 0, "content_block": block}, "content_block_start"))
    events.append(sse({"type": "ping"}, "ping"))
    for piece in pieces(answer.text) if answer.text else ():
        delta = {"type": "text_delta", "text": piece}
        events.append(sse({"type": "content_block_delta", "index": 0, "delta": delta}, "content_block_delta"))
    events.append(sse({"type": "content_block_stop", "index": 0}, "content_block_stop"))
    for n, call in enumerate(answer.calls, 1):
        tool = {"type": "tool_use", "id": call[0], "name": call[1], "input": {}}
        events.append(sse({"type": "content_block_start", "index": n, "content_block": tool}, "content_block_start"))
        delta = {"type": "input_json_delta", "partial_json": call[2]}
        events.append(sse({"type": "content_block_delta", "index": n, "delta": delta}, "content_block_delta"))
        events.append(sse({"type": "content_block_stop", "index": n}, "content_block_stop"))
    end = {"stop_reason": _STOP[answer.finish], "stop_sequence": None}
    usage = {"output_tokens": answer.completion_tokens}
    events.append(sse({"type": "message_delta", "delta": end, "usage": usage}, "message_delta"))
    return [*events, sse({"type": "message_stop"}, "message_stop")]


# ------------------------------------------------------------------------------------------- text generation

_REASON = {"stop": "eos_token", "length": "length", "tool_calls": "eos_token"}


def text_document(answer: Answer) -> list[dict[str, Any]]:
    """What a text-generation endpoint answers, with details."""
    details = {
        "finish_reason": _REASON[answer.finish], "generated_tokens": answer.completion_tokens, "seed": None,
        "prefill": [{"id": n, "text": "", "logprob": 0.0} for n in range(answer.prompt_tokens)], "tokens": [],
    }  # fmt: skip
    return [{"generated_text": answer.text, "details": details}]


def text_events(answer: Answer) -> list[bytes]:
    """The events of a text-generation stream; the last one is the end."""
    parts = pieces(answer.text)
    events = []
    for n, piece in enumerate(parts):
        last = n == len(parts) - 1
        token = {"id": n, "text": piece, "logprob": 0.0, "special": False}
        details = {
            "finish_reason": _REASON[answer.finish],
            "generated_tokens": answer.completion_tokens,
            "input_length": answer.prompt_tokens,
            "seed": None,
        }
        document = {
            "index": n,
            "token": token,
            "generated_text": answer.text if last else None,
            "details": details if last else None,
        }
        events.append(b"data:" + _encode(document) + b"\n\n")
    return events
