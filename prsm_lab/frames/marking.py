"""What differs between two texts, word by word."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from typing import Final

LONGEST: Final = 1500
"""Words that are compared; difflib's time grows with their product."""
_WORDS: Final = re.compile(r"\s*\S+|\s+$")
_MANY: Final = 200
"""Words from which difflib passes over frequent ones. Without that a text of few words said over and over takes it
cubic time: a minute for 1,400 words, which any model can write."""


def marked(text: str, base: str) -> list[tuple[bool, str]]:
    """Cut a text into pieces that the base has too (False) and those that only it has (True).

    >>> marked("the red house", "the blue house")
    [(False, 'the'), (True, ' red'), (False, ' house')]
    """
    ours, theirs = _WORDS.findall(text), _WORDS.findall(base)
    if len(ours) > LONGEST or len(theirs) > LONGEST:
        return [(False, text)] if text else []
    compared = difflib.SequenceMatcher(a=[w.strip() for w in theirs], b=[w.strip() for w in ours], autojunk=True)
    return [(tag != "equal", "".join(ours[low:high])) for tag, _, _, low, high in compared.get_opcodes() if high > low]


def effort(text: str, base: str) -> int:
    """Bound the steps that `marked` takes, some 30 million a second: pairs of equal words, times the shorter text.

    >>> effort("a b", "a c"), effort("a " * 100, "a " * 100)
    (2, 1000000)
    """
    ours, theirs = text.split(), base.split()
    if len(ours) > LONGEST or len(theirs) > LONGEST:
        return 0
    frequent = len(ours) // 100 + 1 if len(ours) >= _MANY else len(ours)
    known = Counter(theirs)
    pairs = sum(n * known[word] for word, n in Counter(ours).items() if n <= frequent)
    return pairs * min(len(ours), len(theirs))
