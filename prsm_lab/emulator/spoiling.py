"""Answers that are damaged on purpose: whole documents and streams."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from prsm_lab.emulator import faults, wires

if TYPE_CHECKING:
    from prsm_lab.emulator.faults import Rule


def spoiled(document: Any, fault: str) -> Any:
    """Damage a whole document without damaging its JSON."""
    first = document[0] if isinstance(document, list) else document
    choices = first.get("choices")
    match fault:
        case "no_usage":
            first.pop("usage", None)
        case "no_choices":
            for name in ("choices", "content", "output"):
                if name in first:
                    first[name] = []
        case "null_content" | "filtered" | "null_finish" if choices:
            if fault != "null_finish":
                choices[0]["message"]["content"] = None
            choices[0]["finish_reason"] = {"filtered": "content_filter", "null_finish": None}.get(fault, "stop")
        case "null_content" | "filtered" if "content" in first:
            first["content"] = []
            first["stop_reason"] = "refusal" if fault == "filtered" else "end_turn"
        case "length" if choices:
            choices[0]["finish_reason"] = "length"
        case "surrogate" | "not_utf8":
            return json.loads(
                json.dumps(document).replace("The answer", "POISON The answer").replace("In short", "POISON")
            )
    return document


def broken(events: list[bytes], fault: str, wire: str, rule: Rule | None) -> list[bytes]:
    """Damage a stream's events."""
    keep = rule.pieces if rule else 2
    match fault:
        case "no_end":
            return events[: keep + 1]
        case "empty_stream":
            return []
        case "cut_line":
            return [*events[:keep], events[keep][: len(events[keep]) // 2]]
        case "no_done" if wire in ("chat", "anthropic"):
            return events[:-1]
        case "bad_json":
            return [*events[:keep], b'data: {"broken": \n\n', *events[keep:]]
        case "bad_utf8":
            return [event.replace(b"POISON", b"\xff\xfe") for event in events]
        case "surrogate":
            return [event.replace(b"POISON", b"\\ud83d") for event in events]
        case "error_event":
            body = faults.error_body(wire, 529 if wire == "anthropic" else 503)
            if wire == "responses":
                body = {"type": "error", "code": "server_error", "message": "boom"}
            return [*events[:keep], wires.sse(body, "error" if wire in ("anthropic", "responses") else None)]
        case "split":
            return [bytes([byte]) for byte in b"".join(events)]
        case "crlf":
            return [event.replace(b"\n", b"\r\n") for event in events]
        case "comments":
            return [part for event in events for part in (b": keep-alive\n\n", event)]
        case "twice":
            return [part for event in events for part in (event, event)]
        case "unknown_events":
            return [b'event: brand_new\ndata: {"type": "brand_new", "object": "new", "choices": []}\n\n', *events]
    return events
