"""Images and documents in prompts: `lab.image("{path}")` is a part of a message, filled in row by row.

What a cell may hold: a path, an http(s) address, a data URL, or the bytes themselves. What is read is told by its first
bytes, never by its name: a file that is neither an image nor a PDF is not sent anywhere.
"""

from __future__ import annotations

import base64
import binascii
import functools
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

if TYPE_CHECKING:
    from prsm_lab.types import JSON

Kind = Literal["image", "document"]

MOST_BYTES: Final = 20 * 2**20
"""Of one file. In base64 it has 28 MB then, which fits the smallest limit of a request, Anthropic's 32 MB
(docs.anthropic.com/en/docs/vision). A provider may take less for one image, and then says how much."""

_MAGIC: Final = (
    (b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"), (b"%PDF-", "application/pdf"),
)  # fmt: skip
_DATA: Final = re.compile(r"data:([^,]*?)(;base64)?,(.*)", re.DOTALL)
_WEB: Final = re.compile(r"https?://\S+", re.IGNORECASE)
_SHARED: Final = 8
"""Files that are kept encoded: the ways of one row ask about the same."""


class Media(NamedTuple):
    """An image or a document in a prompt, not read yet."""

    kind: Kind
    source: Any
    """Template of a path, an address or a data URL; `"{column}"` alone may also hold bytes."""
    name: str | None = None
    """What a document is called."""


class Unreadable(Exception):
    """A row's image or document cannot be had; the text says which and why."""


def image(source: str | bytes | Path) -> Media:
    """Put an image into a prompt.

    Args:
        source: Template over column names of a path, an http(s) address or a data URL; `"{column}"` alone takes a
            column of bytes as well. PNG, JPEG, GIF and WebP, of at most 20 MiB.

    Returns:
        A part of a message's content, or of a prompt that is a list: `["What is this?", lab.image("{path}")]`.

    >>> import prsm_lab as lab
    >>> lab.image("{path}")
    Media(kind='image', source='{path}', name=None)
    """
    return Media("image", source)


def document(source: str | bytes | Path, *, name: str | None = None) -> Media:
    """Put a PDF into a prompt, for the models that read them (OpenAI's, Anthropic's).

    Args:
        source: As in `image`.
        name: What it is called to the model; default the file's name.

    >>> import prsm_lab as lab
    >>> lab.document("reports/{year}.pdf").kind
    'document'
    """
    return Media("document", source, name)


def part(media: Media, value: Any) -> JSON:
    """Return the part of a message, in OpenAI's shape.

    Args:
        media: What was asked for.
        value: What its source came to in this row.

    Raises:
        Unreadable: If it cannot be read, is too large, or is nothing that a model takes as such.
    """
    name = media.name
    if isinstance(value, (bytes, bytearray, memoryview)):
        url = _encoded(bytes(value), media.kind, f"the bytes of this {media.kind}")
    elif isinstance(text := str(value).strip(), str) and _WEB.fullmatch(text):
        return _linked(media.kind, text, name)
    elif text[:5].lower() == "data:":
        url = _encoded(_from_data_url(text), media.kind, "the data URL")
    else:
        url = _from_file(text, media.kind)
        name = name or Path(text).name
    if media.kind == "image":
        return {"type": "image_url", "image_url": {"url": url}}
    return {"type": "file", "file": {"filename": name or "document.pdf", "file_data": url}}


def _linked(kind: Kind, url: str, name: str | None) -> JSON:
    """The provider fetches it itself."""
    if kind == "image":
        return {"type": "image_url", "image_url": {"url": url}}
    return {"type": "file", "file": {**({"filename": name} if name else {}), "file_url": url}}


def _from_file(text: str, kind: Kind) -> str:
    try:
        path = Path(text).expanduser()
        facts = path.stat()
        if not path.is_file():
            raise Unreadable(f"{text!r} is no file")
        _check_size(facts.st_size, repr(text))
        return _of_file(str(path.resolve()), facts.st_mtime_ns, facts.st_size, kind)
    except FileNotFoundError:
        raise Unreadable(f"there is no file {text!r} (looked for from {str(Path.cwd())!r})") from None
    except (OSError, ValueError, RuntimeError) as fault:  # not permitted; a NUL in its name; no such user's home
        raise Unreadable(f"{text[:200]!r} cannot be read ({type(fault).__name__})") from None


@functools.lru_cache(_SHARED)
def _of_file(path: str, changed: int, size: int, kind: Kind) -> str:  # noqa: ARG001 -- they tell versions apart
    return _encoded(Path(path).read_bytes(), kind, repr(path))


def _from_data_url(text: str) -> bytes:
    found = _DATA.fullmatch(text)
    if found is None or not found[2]:
        raise Unreadable("its data URL is not of the form data:<type>;base64,<data>")
    try:
        return base64.b64decode("".join(found[3].split()), validate=True)
    except (binascii.Error, ValueError):
        raise Unreadable("the data of its data URL are no base64") from None


def _encoded(raw: bytes, kind: Kind, what: str) -> str:
    _check_size(len(raw), what)
    found = media_type(raw)
    wanted = "application/pdf" if kind == "document" else "a PNG, JPEG, GIF or WebP image"
    if found is None or (found == "application/pdf") != (kind == "document"):
        raise Unreadable(f"{what} is not {wanted}: it begins with {raw[:8]!r}")
    return f"data:{found};base64,{base64.b64encode(raw).decode()}"


def _check_size(size: int, what: str) -> None:
    if size > MOST_BYTES:
        raise Unreadable(
            f"{what} has {size / 2**20:,.1f} MiB, and {MOST_BYTES // 2**20} MiB may be sent; make it smaller"
        )


def media_type(raw: bytes) -> str | None:
    """Return the media type that the first bytes tell.

    >>> media_type(b"%PDF-1.7")
    'application/pdf'
    """
    if raw[:4] == b"RIFF" and raw[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for magic, kind in _MAGIC if raw.startswith(magic)), None)
