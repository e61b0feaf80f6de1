"""A zip or tar of a model's folder: looked at whole before a byte of it is unpacked.

Paths that lead out, links, devices, names that collide, kinds of files that can hold code, and archives that grow too
much are refused; nothing is ever extracted by the archive's own idea of where it belongs.
"""

from __future__ import annotations

import lzma
import re
import shutil
import tarfile
import zipfile
import zlib
from functools import partial
from pathlib import PurePosixPath
from typing import IO, TYPE_CHECKING, Final, NamedTuple

from prsm_lab.hosting.headers import refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MOST_FILES: Final = 2000
LARGEST_RATIO: Final = 200
"""Of a file's size to what it takes in the archive; weights hardly shrink, vocabularies tenfold."""
_SMALL: Final = 2**20
"""Files below this may shrink as they like."""
PART: Final = 2**20

PLAIN: Final = frozenset(
    {"config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
     "added_tokens.json", "vocab.json", "merges.txt", "vocab.txt", "chat_template.jinja",
     "model.safetensors.index.json", "README.md", "LICENSE", "LICENSE.txt", "LICENSE.md", "NOTICE", "USE_POLICY.md",
     ".gitattributes"}
)  # fmt: skip
_WEIGHTS: Final = re.compile(r"[A-Za-z0-9_.\-]{1,120}\.safetensors")
_BROKEN: Final = (
    tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, RuntimeError, ValueError,
)  # fmt: skip
_PICKLES: Final = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".h5", ".msgpack", ".npz", ".npy", ".joblib")
_CODE: Final = (".py", ".pyc", ".so", ".dll", ".dylib", ".sh", ".exe", ".ipynb", ".js", ".whl", ".egg")


class Member(NamedTuple):
    """One file of an archive."""

    name: str
    size: int
    packed: int
    opened: Callable[[], IO[bytes]]


def unpack(archive: Path, into: Path, *, most_bytes: int) -> list[Path]:
    """Check an archive, then unpack its files into an empty folder, without folders of their own.

    Args:
        archive: A zip, or a tar (plain, gzip, bzip2, xz).
        into: An empty folder.
        most_bytes: Of all files together, unpacked.

    Raises:
        InvalidRequestError: Naming the file and what is wrong with it; nothing is unpacked then, except where a file
            turned out larger than the archive says: what was written is for the caller to throw away.
    """
    written = []
    most = min(most_bytes, archive.stat().st_size * LARGEST_RATIO + _SMALL)
    for member in _checked(_members(archive), most):
        target = into / member.name
        with member.opened() as packed, target.open("xb") as out:
            _copy(packed, out, member)
        written.append(target)
    return written


def _copy(packed: IO[bytes], out: IO[bytes], member: Member) -> None:
    left = member.size
    while part := _read(packed, min(PART, left + 1), member):
        left -= len(part)
        if left < 0:
            raise refused(member.name, "it is larger than the archive says", "archive")
        out.write(part)
    if left:
        raise refused(member.name, "it is shorter than the archive says", "archive")


def _read(packed: IO[bytes], size: int, member: Member) -> bytes:
    try:
        return packed.read(size)
    except _BROKEN as fault:  # a wrong checksum, a broken stream
        raise refused(member.name, f"it cannot be unpacked ({type(fault).__name__})", "archive") from None


def _members(archive: Path) -> list[Member]:
    """All files; what is neither a file nor a folder is refused while they are listed."""
    try:
        if zipfile.is_zipfile(archive):
            return list(_of_zip(zipfile.ZipFile(archive)))
        return list(_of_tar(tarfile.open(archive), archive.stat().st_size))
    except (
        tarfile.TarError,
        zipfile.BadZipFile,
        NotImplementedError,
        EOFError,
        OSError,
        RuntimeError,
        ValueError,
    ) as no:
        raise refused(archive.name, f"it is no whole zip or tar ({type(no).__name__})", "archive") from None


def _of_zip(archive: zipfile.ZipFile) -> Iterator[Member]:
    infos = archive.infolist()
    _check_count(len(infos))
    for info in infos:
        kind = info.external_attr >> 28
        if info.flag_bits & 1:
            raise refused(info.filename[:80], "it is encrypted", "archive")
        if kind not in (0, 4, 8):
            raise refused(info.filename[:80], "it is a link or a device", "archive")
        if not info.is_dir():
            yield Member(info.filename, info.file_size, info.compress_size, partial(archive.open, info))


def _of_tar(archive: tarfile.TarFile, size: int) -> Iterator[Member]:
    """A tar's files have no packed size of their own: all of them together may grow as one may."""
    total = 0
    for count, info in enumerate(archive, 1):
        _check_count(count)
        if not (info.isreg() or info.isdir()) or info.issparse():
            raise refused(info.name[:80], "it is a link or a device", "archive")
        total += info.size
        if total > size * LARGEST_RATIO + _SMALL:
            raise refused(info.name[:80], f"the archive grows more than {LARGEST_RATIO}-fold", "archive")
        if info.isreg():
            yield Member(info.name, info.size, info.size, partial(_extracted, archive, info))


def _extracted(archive: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    found = archive.extractfile(info)
    assert found is not None  # it is a file
    return found


def _check_count(count: int) -> None:
    if count > MOST_FILES:
        raise refused("archive", f"it holds more than {MOST_FILES} files", "archive")


def _checked(members: list[Member], most_bytes: int) -> list[Member]:
    """The same, named without the one folder that all of them may be in."""
    paths = [_path(member.name) for member in members]
    tops = {path.parts[0] if len(path.parts) > 1 else "" for path in paths}
    nested = len(tops) == 1 and "" not in tops
    made, seen, total = [], set(), 0
    for member, path in zip(members, paths, strict=True):
        inner = PurePosixPath(*path.parts[1:]) if nested else path
        name = check_name(str(inner))
        if name.casefold() in seen:
            raise refused(name, "it is in the archive twice", "archive")
        seen.add(name.casefold())
        total += member.size
        if member.size > _SMALL and member.size > LARGEST_RATIO * max(1, member.packed):
            raise refused(name, f"it grows more than {LARGEST_RATIO}-fold", "archive")
        if total > most_bytes:
            raise refused(name, f"the archive unpacks to more than {most_bytes:,} bytes", "archive")
        made.append(member._replace(name=name))
    if not made:
        raise refused("archive", "it is empty", "archive")
    return made


def _path(name: str) -> PurePosixPath:
    """A path within the archive; one that could lead elsewhere, on any system, is refused."""
    path = PurePosixPath(name)
    bad = path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name or not name.isprintable()
    if bad or not path.parts or len(name) > 200:
        raise refused(name[:80], "its path leads out of the archive, or is no path", "archive")
    return PurePosixPath(*(part for part in path.parts if part != "."))


def check_name(name: str) -> str:
    """Return the name of a file that a model's folder may hold.

    Raises:
        InvalidRequestError: If it can hold code, is a pickle, or nobody needs it.

    >>> check_name("model-00001-of-00002.safetensors")
    'model-00001-of-00002.safetensors'
    """
    if name in PLAIN or _WEIGHTS.fullmatch(name):
        return name
    low = name.casefold()
    if low.endswith(_PICKLES):
        why = "it may hold a pickle, which runs code when it is read; save the model with safe_serialization=True"
    elif low.endswith(_CODE):
        why = "it holds code; models that need code of their own are not run"
    else:
        why = "a model's folder does not need it; leave it out"
    raise refused(name[:80], why, "file_type")


def pack(folder: Path, out: Path, names: list[str]) -> None:
    """Write files of a folder into a plain tar; the same files make the same bytes, so that an upload can go on.

    Args:
        folder: Where they are.
        out: The tar.
        names: Which of them.
    """
    with tarfile.open(out, "w") as archive:
        for name in sorted(names):
            info = tarfile.TarInfo(name)
            info.size = (folder / name).stat().st_size
            with (folder / name).open("rb") as file:
                archive.addfile(info, file)


def free_for(folder: Path, size: int) -> bool:
    """Is there room on the disk, with a twentieth to spare?"""
    usage = shutil.disk_usage(folder)
    return usage.free - size > usage.total // 20
