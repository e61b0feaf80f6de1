"""How many tokens a text has, before anybody is asked: a count by kind of character, calibrated per tokenizer. Pure.

OpenAI's own tokenizer is used where `tiktoken` is installed and has its encoding on this machine; nothing is ever
downloaded. Otherwise a text's words, letters, digits, marks and signs of each script are counted, and a tokenizer's
weights turn them into tokens. Measured 2026-11-26 on 2,600 texts of 40 to 1,500 characters (English prose, Python and
JavaScript code, JSON, numbers, Django's translations into 31 languages, emoji) against the tokenizers themselves: the
weights on seven tenths of the texts (non-negative least squares of the relative error), the errors on the rest. Texts
of another making are further off: for sixteen that were written afterwards (`tests/golden/tokens.json`) the errors
were made wider, so that at least fourteen of them are within. Four characters a token is off by the same on English,
but finds half the tokens of numbers, Chinese or Japanese.

The weights are not negative and each count grows with the text, so a longer text never has fewer tokens.
"""

from __future__ import annotations

import functools
import hashlib
import os
import tempfile
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from prsm_lab.types import Model

    Counts = NDArray[np.float64]

PER_MESSAGE: Final = 4
"""Tokens around each message (OpenAI's cookbook: three, and one for the role); nobody else publishes theirs."""
PER_QUESTION: Final = 3
"""Tokens with which the answer's turn begins (same source)."""
PART: Final = 2_000_000
"""Characters that are looked at in one go: memory stays under 100 MB however long the data is."""


class Tokenizer(NamedTuple):
    """What is known of a tokenizer without having it."""

    name: str
    weights: tuple[float, ...]
    """Tokens for each count of `counts`, in its order."""
    errors: tuple[float, float, float]
    """Relative error that nine of ten texts keep to: English, code and data; other Latin; other scripts."""
    source: str
    encoding: str | None = None
    """tiktoken's name of the very tokenizer."""


_MEASURED: Final = "characters by kind, calibrated on {} (2026-11-26)"
CL100K: Final = Tokenizer(
    "cl100k_base",
    (0.728, 0.081, 0.059, 0.805, 0.342, 0.114, 0.839, 1.978, 0.933, 0.696, 1.101, 1.083, 0.897, 0.833, 0.693, 2.368,
     0.398, 0.405, 1.016, 2.034),
    (0.18, 0.31, 0.20), _MEASURED.format("OpenAI's cl100k_base"), "cl100k_base",
)  # fmt: skip
O200K: Final = Tokenizer(
    "o200k_base",
    (0.731, 0.08, 0.059, 0.803, 0.347, 0.185, 0.808, 0.959, 0.283, 0.178, 0.285, 0.784, 0.575, 0.467, 0.624, 2.093,
     0.194, 0.418, 0.277, 0.268),
    (0.18, 0.28, 0.25), _MEASURED.format("OpenAI's o200k_base"), "o200k_base",
)  # fmt: skip
CLAUDE: Final = Tokenizer(
    "claude",
    (0.836, 0.07, 0.044, 0.686, 0.467, 0.657, 0.459, 2.989, 1.163, 0.998, 1.644, 0.969, 0.922, 1.181, 1.353, 2.718,
     0.48, 0.0, 0.894, 1.52),
    (0.35, 0.35, 0.50),  # 0.15, 0.29, 0.22 against Claude 2's; how far the later ones are from it is not published
    _MEASURED.format("Claude 2's tokenizer, the last that was published; the wider error is assumed"),
)  # fmt: skip
DEEPSEEK: Final = Tokenizer(
    "deepseek",
    (0.698, 0.087, 0.145, 0.774, 0.412, 0.12, 0.846, 1.757, 0.414, 0.277, 0.425, 0.633, 0.583, 0.596, 0.997, 2.096,
     0.266, 0.434, 0.401, 0.63),
    (0.18, 0.30, 0.28), _MEASURED.format("DeepSeek's tokenizer"),
)  # fmt: skip
QWEN: Final = Tokenizer(
    "qwen3",
    (0.74, 0.077, 0.055, 1.323, 0.338, 0.44, 0.812, 0.806, 0.284, 0.173, 0.599, 0.584, 0.361, 0.387, 0.87, 2.377,
     0.188, 0.717, 0.404, 0.598),
    (0.15, 0.30, 0.30), _MEASURED.format("Qwen 3's tokenizer"),
)  # fmt: skip
LLAMA: Final = Tokenizer(
    "llama3",
    (0.698, 0.088, 0.066, 0.802, 0.345, 0.075, 0.828, 1.141, 0.311, 0.24, 0.565, 0.76, 0.545, 0.501, 0.895, 2.377,
     0.247, 0.434, 1.022, 1.883),
    (0.18, 0.37, 0.25), _MEASURED.format("Llama 3's tokenizer"),
)  # fmt: skip
UNKNOWN: Final = LLAMA._replace(
    name="unknown", errors=(0.50, 0.50, 0.60), source="tokenizer not known: Llama 3's weights, the error is assumed"
)

_CL100K_MODELS: Final = ("gpt-4-", "gpt-3.5")
_OPEN_MODELS: Final = (("qwen", QWEN), ("llama", LLAMA), ("deepseek", DEEPSEEK))


def tokenizer(model: Model) -> Tokenizer:
    """Return what is known of the tokenizer of a model.

    >>> from prsm_lab import catalog
    >>> tokenizer(catalog.find("gpt-4")).name, tokenizer(catalog.find("gpt-4o")).name
    ('cl100k_base', 'o200k_base')
    """
    name = model.id.casefold().rpartition("/")[2].removeprefix("ft:")
    if model.provider == "openai":
        return CL100K if name == "gpt-4" or name.startswith(_CL100K_MODELS) else O200K
    if model.provider == "anthropic":
        return CLAUDE
    return next((known for part, known in _OPEN_MODELS if part in name), UNKNOWN)


# ------------------------------------------------------------------------------------------------------ counting

_WORDS, _LOWER, _UPPER, _DIGITS, _MARKS, _LINES, _GAPS, _LATIN, _GREEK, _ARABIC, _INDIC = range(11)
_HAN, _KANA, _HANGUL, _OTHER, _ASTRAL, _CYRILLIC, _RUNS, _HEBREW, _CAUCASIAN = range(11, 20)
KINDS: Final = 20
_BLANK: Final = _GAPS  # as a kind of character; as a count: blanks not after a word, which are tokens of their own
_EDGE: Final = KINDS

_RANGES: Final = (
    (0x00C0, 0x024F, _LATIN), (0x0370, 0x03FF, _GREEK), (0x0400, 0x052F, _CYRILLIC), (0x0530, 0x058F, _CAUCASIAN),
    (0x0590, 0x05FF, _HEBREW), (0x0600, 0x08FF, _ARABIC), (0x0900, 0x109F, _INDIC), (0x10A0, 0x10FF, _CAUCASIAN),
    (0x1100, 0x11FF, _HANGUL), (0x1780, 0x17FF, _INDIC), (0x1E00, 0x1EFF, _LATIN), (0x3040, 0x30FF, _KANA),
    (0x3400, 0x9FFF, _HAN), (0xAC00, 0xD7AF, _HANGUL), (0xD800, 0xDFFF, _ASTRAL), (0xF900, 0xFAFF, _HAN),
)  # fmt: skip


def _ascii(code: int) -> int:
    sign = chr(code)
    if sign.isalpha():
        return _LOWER if sign.islower() else _UPPER
    if sign.isdigit():
        return _DIGITS
    if sign == "\n":
        return _LINES
    return _MARKS if sign.isprintable() and sign != " " else _BLANK


@functools.cache
def _kinds() -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """The kind of each character of Unicode's first plane; and which kinds are letters of scripts with words."""
    table = np.full(0x10000, _OTHER, np.uint8)
    for low, high, kind in _RANGES:
        table[low : high + 1] = kind
    table[:128] = [_ascii(code) for code in range(128)]
    table[0xA0] = _BLANK
    letters = np.zeros(KINDS + 1, np.bool_)
    letters[[_LOWER, _UPPER, _LATIN, _GREEK, _ARABIC, _CYRILLIC, _HEBREW, _CAUCASIAN]] = True
    return table, letters


def counts(texts: Sequence[str]) -> Counts:
    """Count the words, signs of each kind, and blanks that matter of each text: one row a text, 20 figures each.

    >>> counts(["two words", "42"])[:, [0, 1, 3]].tolist()
    [[2.0, 8.0, 0.0], [0.0, 0.0, 2.0]]
    """
    found = np.zeros((len(texts), KINDS))
    start = size = 0
    for end, text in enumerate(texts, 1):
        size += len(text)
        if size >= PART or end == len(texts):
            found[start:end] = _counted(texts[start:end])
            start, size = end, 0
    return found


def _counted(texts: Sequence[str]) -> Counts:
    table, letters = _kinds()
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    whole = "".join(texts)
    if whole.isascii():
        kinds = table[np.frombuffer(whole.encode("ascii"), np.uint8)]
    else:
        codes = np.frombuffer(whole.encode("utf-32-le", "surrogatepass"), np.uint32)
        kinds = table[np.minimum(codes, 0xFFFF)]
        kinds[codes > 0xFFFF] = _ASTRAL
        kinds[(codes >= 0x20000) & (codes < 0x40000)] = _HAN
    starts = (np.cumsum(lengths) - lengths)[lengths > 0]
    before = np.empty_like(kinds)
    before[1:] = kinds[:-1]
    before[starts] = _EDGE
    blank, letter, lettered = kinds == _BLANK, letters[kinds], letters[before]
    text_of = np.repeat(np.arange(len(texts)), lengths)
    found = np.bincount(text_of * KINDS + kinds, minlength=len(texts) * KINDS).reshape(-1, KINDS).astype(float)

    def per_text(where: NDArray[np.bool_]) -> Counts:
        return np.bincount(text_of[where], minlength=len(texts)).astype(float)

    found[:, _WORDS] = per_text(letter & ~lettered)
    found[:, _GAPS] = per_text(blank & ~lettered & (before != _BLANK))
    second = blank & (before == _BLANK)  # of a run of blanks, which is one token however long
    third = np.zeros_like(second)
    third[1:] = second[1:] & second[:-1]
    found[:, _RUNS] = per_text(second & ~third)
    return found


def tokens(counted: Counts, known: Tokenizer) -> Counts:
    """Return the tokens of each text from its counts; not rounded, so that sums over many texts are right.

    >>> tokens(counts(["What is the capital of France?", ""]), O200K).round(1).tolist()
    [6.6, 0.0]
    """
    figures = counted @ np.array(known.weights)
    return np.asarray(np.maximum(figures, counted.any(axis=1)))


def error(counted: Counts, known: Tokenizer) -> float:
    """Return the relative error of a tokenizer's weights on texts of this mixture: each script's, by its tokens."""
    each = counted.sum(axis=0) * np.array(known.weights)
    latin = [_WORDS, _LOWER, _UPPER, _LATIN]
    plain = [_DIGITS, _MARKS, _LINES, _GAPS, _RUNS]
    total = float(each.sum())
    if not total:
        return known.errors[0]
    signs = counted.sum(axis=0)
    foreign = signs[_LATIN] > 0.005 * (signs[_LOWER] + signs[_UPPER])  # one accent in 200 letters: not English
    words = known.errors[1] if foreign else known.errors[0]
    shares = float(each[latin].sum()) / total, float(each[plain].sum()) / total
    return shares[0] * words + shares[1] * known.errors[0] + (1 - shares[0] - shares[1]) * known.errors[2]


# ---------------------------------------------------------------------------------------------- a tokenizer at hand

_PLACES: Final = "https://openaipublic.blob.core.windows.net/encodings/{}.tiktoken"


def exact(known: Tokenizer) -> Callable[[Sequence[str]], list[int]] | None:
    """Return OpenAI's own count of texts, if `tiktoken` and its file are on this machine; None otherwise.

    tiktoken would download a file that is not there, and wait for it: so its place is looked at first, as it names it
    (`TIKTOKEN_CACHE_DIR`, else a folder of temporary files; the SHA-1 of the address).
    """
    if known.encoding is None or find_spec("tiktoken") is None:
        return None
    own = os.environ.get("TIKTOKEN_CACHE_DIR") or os.environ.get("DATA_GYM_CACHE_DIR")
    folder = Path(own) if own else Path(tempfile.gettempdir()) / "data-gym-cache"
    file = hashlib.sha1(_PLACES.format(known.encoding).encode(), usedforsecurity=False).hexdigest()
    if not (folder / file).is_file():
        return None
    encoding = import_module("tiktoken").get_encoding(known.encoding)

    def count(texts: Sequence[str]) -> list[int]:
        plain = [text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") for text in texts]
        return [len(found) for found in encoding.encode_batch(plain, disallowed_special=())]

    return count
