"""Models that were uploaded: received in parts, checked, unpacked, kept by name until they are deleted.

    hosted/<name>/model.json, then files/ or model.gguf         what is ready
    hosted/.uploads/<name>.json, <name>.part                    what is on its way

A name appears with everything behind it; what is refused is thrown away; what broke off goes on where it ended.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import shutil
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, Self, TypeVar

import msgspec

from prsm_lab.errors import ConflictError, InvalidRequestError, NotFoundError
from prsm_lab.hosting import archives, configs, headers, staging

if TYPE_CHECKING:
    from collections.abc import Iterator

T = TypeVar("T")

MOST_BYTES: Final = 16 * 2**30
KEPT_SECONDS: Final = 7 * 24 * 3600.0
"""For an upload that nobody goes on with."""
LEFT_SECONDS: Final = 24 * 3600.0
"""After which a folder that is being checked belongs to nobody any more."""
NAME: Final = r"[a-z0-9][a-z0-9._\-]{0,63}"
_SHA: Final = re.compile(r"[0-9a-f]{64}")
_REMEDY: Final = "Send a zip or tar of a folder with config.json, tokenizer.json and safetensors, or a GGUF file"


class Hosted(msgspec.Struct, frozen=True, kw_only=True):
    """A model that is ready."""

    name: str
    kind: Literal["transformers", "gguf"]
    architecture: str
    size: int
    """Bytes on disk."""
    sha256: str
    """Of what was uploaded."""
    created: float
    context: int | None = None
    by: str | None = None
    """Whose key uploaded it."""


class Upload(msgspec.Struct, frozen=True, kw_only=True):
    """A model on its way."""

    name: str
    size: int
    sha256: str
    created: float
    by: str | None = None
    received: int = 0


class Store:
    """The folder of hosted models; several processes may share it.

    Args:
        folder: Where it is; made when something comes.
        most_bytes: Of one upload, and of what it unpacks to.
    """

    def __init__(self, folder: Path, *, most_bytes: int = MOST_BYTES) -> None:
        self._folder = folder
        self._uploads = folder / ".uploads"
        self.most_bytes = most_bytes
        self._writing: set[str] = set()
        self._lock = threading.Lock()

    # ------------------------------------------------------------------------------------------- what is ready

    def all(self) -> list[Hosted]:
        """Return what is ready, by name."""
        found = (_read(path, Hosted) for path in sorted(self._folder.glob("*/model.json")))
        return [one for one in found if one is not None]

    def find(self, name: str) -> Hosted | None:
        """Return a model that is ready; None if there is none."""
        return _read(self._folder / name / "model.json", Hosted) if re.fullmatch(NAME, name) else None

    def path(self, hosted: Hosted) -> Path:
        """Return its folder, or its GGUF file."""
        return self._folder / hosted.name / ("files" if hosted.kind == "transformers" else "model.gguf")

    def delete(self, name: str) -> None:
        """Take a model away, or an upload that is on its way.

        Raises:
            NotFoundError: If there is neither.
        """
        check_name(name)
        with self._held(name):
            there = self._folder / name
            if there.is_dir():
                gone = Path(tempfile.mkdtemp(dir=self._folder, prefix=".gone-"))
                there.replace(gone / name)  # the name is free at once
                shutil.rmtree(gone, ignore_errors=True)
            elif self.upload(name) is None:
                raise NotFoundError(f"No hosted model {name!r}.", details={"parameter": "model"})
            self._drop(name)

    # ---------------------------------------------------------------------------------------- what is on its way

    def upload(self, name: str) -> Upload | None:
        """Return an upload with what has come so far; None if there is none."""
        known = _read(self._uploads / f"{name}.json", Upload) if re.fullmatch(NAME, name) else None
        if known is None:
            return None
        part = self._uploads / f"{name}.part"
        return msgspec.structs.replace(known, received=part.stat().st_size if part.exists() else 0)

    def begin(
        self, name: str, size: int, sha256: str, *, by: str | None = None, most_bytes: int | None = None
    ) -> Hosted | Upload:
        """Announce an upload, or find the one that broke off.

        Args:
            name: What the model is to be called.
            size: Bytes of all of it.
            sha256: Of all of it, in hexadecimal.
            by: Whose key uploads it.
            most_bytes: Another cap than the store's own.

        Returns:
            The upload; or the model, if the same bytes are there already.

        Raises:
            InvalidRequestError: If name, size or checksum are none, it is too large, or the disk is full.
            ConflictError: If other bytes have the name.
        """
        check_name(name)
        most = most_bytes or self.most_bytes
        if type(size) is not int or not 0 < size <= most:
            raise InvalidRequestError(
                f"size must be 1 to {most:,} bytes, which is all that this server takes.",
                details={"parameter": "size", "kind": "too_large"},
            )
        if not isinstance(sha256, str) or not _SHA.fullmatch(sha256):
            raise InvalidRequestError("sha256 must be 64 hexadecimal digits.", details={"parameter": "sha256"})
        self._sweep()
        ready, coming = self.find(name), self.upload(name)
        if ready is not None and ready.sha256 == sha256:
            return ready
        if ready is not None or (coming is not None and (coming.sha256, coming.size) != (sha256, size)):
            raise ConflictError(
                f"There is another model {name!r}, or one on its way; delete it first, or choose another name.",
                details={"parameter": "name"},
            )
        if coming is not None:
            return coming
        self._uploads.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not archives.free_for(self._uploads, 2 * size):
            raise InvalidRequestError("The server's disk has no room for it.", details={"kind": "disk"})
        made = Upload(name=name, size=size, sha256=sha256, created=time.time(), by=by)
        _write(self._uploads / f"{name}.json", made)
        return made

    @contextlib.contextmanager
    def writing(self, name: str, offset: int) -> Iterator[Part]:
        """Take the next part of an upload.

        Raises:
            NotFoundError: If there is no such upload.
            ConflictError: If another part is being written, or it does not begin where the last one ended; `details`
                say where.
        """
        with self._held(name):
            upload = self.upload(name)
            if upload is None:
                raise NotFoundError(f"No upload {name!r}: announce it first.", details={"parameter": "name"})
            if offset != upload.received:
                raise ConflictError(
                    f"{upload.received:,} bytes of {name!r} are here: go on there, not at {offset:,}.",
                    details={"parameter": "offset", "received": upload.received},
                )
            with Part(self._uploads / f"{name}.part", upload) as part:
                yield part

    def finish(self, name: str, *, most_bytes: int | None = None) -> Hosted | Upload:
        """Check an upload that is whole, and make it a model; one that is not whole yet is returned.

        Args:
            name: What the model is called.
            most_bytes: Of what it unpacks to; default the store's own cap.

        Raises:
            InvalidRequestError: If its bytes are not those that were announced, or not to be trusted; they are thrown
                away.
        """
        upload = self.upload(name)
        if upload is None or upload.received < upload.size:
            if upload is None:
                raise NotFoundError(f"No upload {name!r}.", details={"parameter": "name"})
            return upload
        with self._held(name):
            room = Path(tempfile.mkdtemp(dir=self._folder, prefix=".checking-"))
            try:
                made = self._made(upload, self._uploads / f"{name}.part", room, most_bytes or self.most_bytes)
                _write(room / "model.json", made)
                room.replace(self._folder / name)
            finally:
                shutil.rmtree(room, ignore_errors=True)
                self._drop(name)
        return made

    def _made(self, upload: Upload, part: Path, room: Path, most_bytes: int) -> Hosted:
        with part.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
            file.seek(0)
            magic = file.read(8)
        if found != upload.sha256:
            raise InvalidRequestError(
                f"What came of {upload.name!r} has the checksum {found[:12]}…, not {upload.sha256[:12]}…; it was "
                "thrown away. Upload it again.",
                details={"kind": "checksum"},
            )
        if magic[:4] == b"GGUF":
            said = headers.check_gguf(part)
            configs.template(said.template, f"{upload.name}.gguf")
            part.replace(room / "model.gguf")
            return self._described(upload, "gguf", said.architecture, said.context, room)
        if magic[:2] == b"\x80\x02" or magic[:1] == b"\x80":
            raise headers.refused(upload.name, "it is a pickle, which runs code when it is read", "file_type")
        files = room / "files"
        files.mkdir(mode=0o700)
        archives.unpack(part, files, most_bytes=most_bytes)
        staged = staging.check(files)
        kind = str(configs.read(files / "config.json").get("model_type"))
        return self._described(upload, "transformers", kind, staged.context, room)

    def _described(
        self, upload: Upload, kind: Literal["transformers", "gguf"], architecture: str, context: int | None, room: Path
    ) -> Hosted:
        size = sum(path.stat().st_size for path in room.rglob("*") if path.is_file())
        return Hosted(
            name=upload.name, kind=kind, architecture=architecture[:64], size=size, sha256=upload.sha256,
            created=time.time(), context=context, by=upload.by,
        )  # fmt: skip

    @contextlib.contextmanager
    def _held(self, name: str) -> Iterator[None]:
        with self._lock:
            if name in self._writing:
                raise ConflictError(f"{name!r} is being written just now.", retry_after=1.0)
            self._writing.add(name)
        try:
            yield
        finally:
            with self._lock:
                self._writing.discard(name)

    def _drop(self, name: str) -> None:
        for end in ("json", "part"):
            (self._uploads / f"{name}.{end}").unlink(missing_ok=True)

    def _sweep(self) -> None:
        """Throw away what nobody goes on with, and what a process left that ended in the middle of a check."""
        for kind in (".checking-*", ".gone-*"):
            for left in self._folder.glob(kind):
                with contextlib.suppress(OSError):
                    if time.time() - left.stat().st_mtime > LEFT_SECONDS:
                        shutil.rmtree(left, ignore_errors=True)
        for path in self._uploads.glob("*.json"):
            upload = _read(path, Upload)
            part = path.with_suffix(".part")
            last = max((one.stat().st_mtime for one in (path, part) if one.exists()), default=0.0)
            if upload is None or time.time() - last > KEPT_SECONDS:
                self._drop(path.stem)


class Part:
    """A part of an upload, being written."""

    def __init__(self, path: Path, upload: Upload) -> None:
        self._path = path
        self._left = upload.size - upload.received

    def __enter__(self) -> Self:
        self._file = self._path.open("ab")
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, content: bytes) -> None:
        """Write some of it; not more than was announced."""
        if len(content) > self._left:
            raise InvalidRequestError(
                "More bytes came than were announced.", details={"kind": "too_large", "parameter": "size"}
            )
        self._file.write(content)
        self._left -= len(content)


def check_name(name: object) -> str:
    """Return the name of a model that may be hosted.

    Raises:
        InvalidRequestError: If it is none.

    >>> check_name("tiny-gpt2")
    'tiny-gpt2'
    """
    if not isinstance(name, str) or not re.fullmatch(NAME, name) or ".." in name:
        raise InvalidRequestError(
            f"{str(name)[:80]!r} is no name for a model: small letters, digits and . _ - (64 at most).",
            details={"parameter": "name", "expected_type": "string"},
        )
    return name


def _read(path: Path, kind: type[T]) -> T | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def _write(path: Path, value: msgspec.Struct) -> None:
    new = path.with_name(f".{path.name}.new")
    new.write_bytes(msgspec.json.encode(value))
    new.replace(path)
