"""Pure: how far a cheap model is to be trusted with a question, told by its prompt or by its answer."""

from __future__ import annotations

import itertools
import math
import re
import zlib
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from prsm_lab.types import Message

BUCKETS: Final = 4096
"""Words and pairs of words share so many places."""
_WORD: Final = re.compile(r"\w+")


def prompt_text(messages: Iterable[Message]) -> str:
    """Return what is asked: the texts of all messages but the system's, which is the same for all questions.

    >>> prompt_text([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}])
    'Hi'
    """
    texts = []
    for message in messages:
        content = message.get("content")
        if message.get("role") in ("system", "developer"):
            continue
        if isinstance(content, str):
            texts.append(content)
        elif isinstance(content, (list, tuple)):
            texts += [str(part.get("text", "")) for part in content if isinstance(part, dict)]
    return "\n".join(texts)


def features(text: str) -> dict[int, float]:
    """Return a text as numbers by place: its words and pairs of words, hashed, as frequencies of length 1; and last how
    long it is.

    Hashing needs no vocabulary (Weinberger et al. 2009, arXiv:0902.2206); the rareness of a word (IDF) is in the weight
    that it is multiplied with.

    >>> len(features("one two one")), round(features("")[BUCKETS], 2)
    (5, 0.0)
    """
    words = _WORD.findall(text.casefold())
    counts = Counter(zlib.crc32(word.encode("utf-8", "replace")) % BUCKETS for word in words)
    pairs = (f"{one} {other}" for one, other in itertools.pairwise(words))
    counts.update(zlib.crc32(pair.encode("utf-8", "replace")) % BUCKETS for pair in pairs)
    norm = math.sqrt(sum(count * count for count in counts.values())) or 1.0
    return {**{place: count / norm for place, count in counts.items()}, BUCKETS: math.log1p(len(words)) / 10}


def predicted(text: str, weights: Mapping[int, float], bias: float) -> float:
    """Return the chance that the cheap model serves as well, by logistic regression.

    >>> predicted("easy", {}, 0.0)
    0.5
    """
    score = bias + sum(weights.get(place, 0.0) * value for place, value in features(text).items())
    return 1 / (1 + math.exp(-max(-500.0, min(500.0, score))))


def sureness(logprobs: Any) -> float:
    """Return the geometric mean of the tokens' probabilities; NaN where the provider gave none.

    >>> sureness({"content": [{"logprob": 0.0}, {"logprob": math.log(0.25)}]})
    0.5
    """
    content = logprobs.get("content") if isinstance(logprobs, dict) else None
    found = [
        float(token["logprob"])
        for token in content or ()
        if isinstance(token, dict) and isinstance(token.get("logprob"), (int, float))
    ]
    return math.exp(math.fsum(found) / len(found)) if found else math.nan


def agreement(texts: Sequence[str | None]) -> tuple[float, int]:
    """Return which share of answers says what most say, and the place of the first of these; case, marks and blanks
    apart. An answer without text agrees with none.

    >>> agreement(["Paris.", "Rome", "paris"])
    (0.6666666666666666, 0)
    """
    said = [" ".join(_WORD.findall(text.casefold())) if text else None for text in texts]
    counts = Counter(words for words in said if words)
    if not counts:
        return 0.0, 0
    most = max(counts.values())
    first = next(n for n, words in enumerate(said) if words and counts[words] == most)
    return most / len(texts), first


def brevity(text: str | None) -> float:
    """Return minus the number of words: cheap models talk more where they know less; NaN without text.

    >>> brevity("it is four")
    -3.0
    """
    return -float(len(_WORD.findall(text))) if text and text.strip() else math.nan
