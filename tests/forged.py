"""Files of models that mean nothing, and archives of them; every part can be forged."""

from __future__ import annotations

import io
import json
import math
import struct
import tarfile
import zipfile
from pathlib import Path

from tiny_model import TEMPLATE, config


def weights(tensors=None, *, raw=None, length=None, data=None):
    """The bytes of a safetensors file; each part can be forged."""
    tensors = {"a": ("F32", [2, 3])} if tensors is None else tensors
    sizes, header, at = {"F32": 4, "F16": 2, "U8": 1}, {}, 0
    for name, (kind, shape) in tensors.items():
        size = sizes[kind] * math.prod(shape)
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [at, at + size]}
        at += size
    head = json.dumps(header).encode() if raw is None else raw
    return struct.pack("<Q", len(head) if length is None else length) + head + (bytes(at) if data is None else data)


def model(folder: Path, **changes) -> Path:
    """A folder as `save_pretrained` writes it, its weights without meaning; a change of None leaves a file out."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {
        "config.json": json.dumps(config()), "model.safetensors": weights(), "tokenizer.json": json.dumps({"model": {}}),
        "tokenizer_config.json": json.dumps({"eos_token": "<eos>"}), "chat_template.jinja": TEMPLATE,
        **{name.replace("__", "."): content for name, content in changes.items()},
    }  # fmt: skip
    for name, content in files.items():
        if content is not None:
            (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def string(text: bytes) -> bytes:
    return struct.pack("<Q", len(text)) + text


def gguf(*, version=3, tensors=1, pairs=None, facts=b"", offset=0, data=64, dimensions=1):
    """The bytes of a GGUF file with one tensor."""
    known = string(b"general.architecture") + struct.pack("<I", 8) + string(b"llama")
    known += string(b"llama.context_length") + struct.pack("<II", 4, 512)
    head = b"GGUF" + struct.pack("<IQQ", version, tensors, 2 if pairs is None else pairs)
    tensor = (
        string(b"w")
        + struct.pack("<I", dimensions)
        + struct.pack("<Q", 8) * min(dimensions, 9)
        + struct.pack("<IQ", 0, offset)
    )
    return head + known + facts + tensor + bytes(data)


def template_of(text: str) -> bytes:
    return string(b"tokenizer.chat_template") + struct.pack("<I", 8) + string(text.encode())


def zipped(path: Path, *members) -> Path:
    """A zip of `(name, content)` or of prepared `ZipInfo`s."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def tarred(path: Path, *members, mode="w") -> Path:
    """A tar of `(TarInfo or name, content)`."""
    with tarfile.open(path, mode) as archive:
        for given_, content in members:
            info = given_ if isinstance(given_, tarfile.TarInfo) else tarfile.TarInfo(given_)
            if info.isreg():
                info.size = len(content)
            archive.addfile(info, io.BytesIO(content) if info.isreg() else None)
    return path
