"""Images and documents on Anthropic's wire. Pure."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from prsm_lab.types import JSON, Message

_DATA_URL = re.compile(r"data:([^;,]*)?(?:;[^,]*)?;base64,(.*)", re.DOTALL)
_MAGIC: Final = ((b"\x89PNG", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF8", "image/gif"))


def has_document(message: Message) -> bool:
    """Does a message hold a document?"""
    content = message.get("content")
    return isinstance(content, (list, tuple)) and any(part.get("type") == "file" for part in content)


def _document(file: JSON) -> JSON:
    named = {"title": file["filename"]} if file.get("filename") else {}
    data = _DATA_URL.fullmatch(file.get("file_data") or "")
    if data is None:
        return {"type": "document", "source": {"type": "url", "url": file.get("file_url")}, **named}
    return {"type": "document", "source": {"type": "base64", "media_type": data[1], "data": data[2]}, **named}


def part_of(part: JSON) -> JSON:
    """Return a part of a message as a block; what is no part of ours passes as it is."""
    if part.get("type") == "file":
        return _document(part["file"])
    if part.get("type") != "image_url":
        return {"type": "text", "text": part["text"]} if part.get("type") == "text" else part
    url = part["image_url"]["url"]
    data = _DATA_URL.fullmatch(url)
    if data is None:
        return {"type": "image", "source": {"type": "url", "url": url}}
    source = {"type": "base64", "media_type": _media_type(data[2]) or data[1], "data": data[2]}
    return {"type": "image", "source": source}


def _media_type(encoded: str) -> str | None:
    """By the bytes: what the URL says is often the file's ending, and the API compares."""
    try:
        head = base64.b64decode(encoded[:64], validate=False)
    except ValueError:
        return None
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for magic, kind in _MAGIC if head.startswith(magic)), None)
