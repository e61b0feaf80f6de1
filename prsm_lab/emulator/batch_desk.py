"""The batch routes of both providers: files, batches, results."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import msgspec

from prsm_lab.emulator import faults, requests
from prsm_lab.emulator.batches import Item

if TYPE_CHECKING:
    from prsm_lab.emulator.batches import Batch, Batches
    from prsm_lab.emulator.http import Asked

_encode = msgspec.json.Encoder().encode
_OPENAI = re.compile(r".*/batches(?:/([\w-]+))?(?:/(cancel))?")
_ANTHROPIC = re.compile(r".*/messages/batches(?:/([\w-]+))?(?:/(cancel|results))?")
_FILE = re.compile(r".*/files(?:/([\w-]+))?(?:/(content))?")
_BOUNDARY = re.compile(r'boundary="?([^";]+)')


def kind(path: str) -> str | None:
    """Return whose batch route a path is: `openai`, `anthropic`, `files`; None: it is none."""
    if _ANTHROPIC.fullmatch(path):
        return "anthropic"
    if _OPENAI.fullmatch(path):
        return "openai"
    return "files" if _FILE.fullmatch(path) else None


def answer(batches: Batches, asked: Asked, path: str) -> tuple[int, bytes, str]:
    """Answer one request of a batch route.

    Returns:
        Status, body and content type.
    """
    route = kind(path)
    if route == "files":
        return _files(batches, asked, path)
    return _openai(batches, asked, path) if route == "openai" else _anthropic(batches, asked, path)


def _json(document: Any, status: int = 200) -> tuple[int, bytes, str]:
    return status, _encode(document), "application/json"


def _wrong(wire: str, status: int, message: str) -> tuple[int, bytes, str]:
    return _json(faults.error_body(wire, status, faults.Rule(str(status), message=message)), status)


def _files(batches: Batches, asked: Asked, path: str) -> tuple[int, bytes, str]:
    match = _FILE.fullmatch(path)
    name = match[1] if match else None
    if asked.method == "POST" and name is None:
        fields = _multipart(asked)
        if fields.get("purpose") != b"batch" or "file" not in fields:
            return _wrong("chat", 400, "A file and purpose=batch are required.")
        made = batches.upload(fields["file"])
        size = len(fields["file"])
        return _json({
            "id": made, "object": "file", "bytes": size, "created_at": 0, "filename": "batch.jsonl",
            "purpose": "batch", "status": "processed",
        })  # fmt: skip
    batch_name, _, part = (name or "").rpartition("-")
    batch = batches.batches.get(batch_name)
    if match and match[2] and batch is not None and batches.advance(batch):
        return 200, batches.openai_lines(batch, wrong=part == "error"), "application/octet-stream"
    if match and match[2] and name in batches.files:
        return 200, batches.files[name], "application/octet-stream"
    return _wrong("chat", 404, f"No such File object: {name}")


def _multipart(asked: Asked) -> dict[str, bytes]:
    """The fields of a form with a file."""
    mark = _BOUNDARY.search(asked.headers.get("content-type", ""))
    if mark is None:
        return {}
    fields = {}
    for part in asked.body.split(b"--" + mark[1].encode())[1:-1]:
        head, _, content = part.partition(b"\r\n\r\n")
        name = re.search(rb'[ ;]name="([^"]*)"', head)
        if name is not None:
            fields[name[1].decode()] = content.removesuffix(b"\r\n")
    return fields


def _openai(batches: Batches, asked: Asked, path: str) -> tuple[int, bytes, str]:
    match = _OPENAI.fullmatch(path)
    name, verb = (match[1], match[2]) if match else (None, None)
    if name is not None:
        batch = batches.batches.get(name)
        if batch is None or batch.kind != "openai":
            return _wrong("chat", 404, f"No batch found with id '{name}'.")
        if verb == "cancel" and not batches.cancel(batch):
            return _wrong("chat", 409, "Cannot cancel a batch that has ended.")
        return _json(batches.openai(batch))
    if asked.method == "GET":
        mine = _page(batches, asked, "openai", "after")
        return _json({"object": "list", "data": [batches.openai(batch) for batch in mine], "has_more": False})
    body = requests.json(asked.body)
    content = batches.files.get(body.get("input_file_id", "")) if isinstance(body, dict) else None
    if content is None or body.get("completion_window") != "24h":
        return _wrong("chat", 400, "input_file_id and completion_window=24h are required.")
    items, wrong = batches.refusals(content, body["endpoint"])
    batch = batches.create(
        "openai", items, endpoint=body["endpoint"], input_file=body["input_file_id"],
        metadata=body.get("metadata") or {}, refused=wrong,
    )  # fmt: skip
    return _json(batches.openai(batch))


def _anthropic(batches: Batches, asked: Asked, path: str) -> tuple[int, bytes, str]:
    match = _ANTHROPIC.fullmatch(path)
    name, verb = (match[1], match[2]) if match else (None, None)
    base = f"http://{asked.headers.get('host', '')}"
    if name is not None:
        batch = batches.batches.get(name)
        if batch is None or batch.kind != "anthropic":
            return _wrong("anthropic", 404, "Message batch not found.")
        if verb == "results":
            if not batches.advance(batch):
                return _wrong("anthropic", 404, "The results are not available yet.")
            return 200, batches.anthropic_lines(batch), "application/x-jsonl"
        if verb == "cancel" and not batches.cancel(batch):
            return _wrong("anthropic", 400, "This batch has already ended.")
        return _json(batches.anthropic(batch, base))
    if asked.method == "GET":
        mine = _page(batches, asked, "anthropic", "after_id")
        shown = [batches.anthropic(batch, base) for batch in mine]
        return _json({"data": shown, "has_more": False, "first_id": None, "last_id": None})
    body = requests.json(asked.body)
    if (problem := batches.unfit(body)) is not None:
        return _wrong("anthropic", 400, problem)
    items = [Item(row["custom_id"], "/v1/messages", row.get("params") or {}) for row in body["requests"]]
    batch = batches.create("anthropic", items, version=asked.headers.get("anthropic-version", ""))
    return _json(batches.anthropic(batch, base))


def _page(batches: Batches, asked: Asked, kind: str, cursor: str) -> list[Batch]:
    """One's batches, newest first, as far as a page goes."""
    query = parse_qs(asked.path.partition("?")[2])
    mine = [batch for batch in reversed(batches.batches.values()) if batch.kind == kind]
    after = query.get(cursor, [None])[0]
    names = [batch.id for batch in mine]
    start = names.index(after) + 1 if after in names else 0
    return mine[start : start + int(query.get("limit", ["20"])[0])]
