"""What differs between two texts, word by word."""

from __future__ import annotations

import difflib
import re
from typing import Final

LONGEST: Final = 1500
"""Words that are compared; difflib's time grows with their product."""
_WORDS: Final = re.compile(r"\s*\S+|\s+$")


def marked(text: str, base: str) -> list[tuple[bool, str]]:
    """Cut a text into pieces that the base has too (False) and those that only it has (True).

    >>> marked("the red house", "the blue house")
    [(False, 'the'), (True, ' red'), (False, ' house')]
    """
    ours, theirs = _WORDS.findall(text), _WORDS.findall(base)
    if len(ours) > LONGEST or len(theirs) > LONGEST:
        return [(False, text)] if text else []
    compared = difflib.SequenceMatcher(a=[w.strip() for w in theirs], b=[w.strip() for w in ours], autojunk=False)
    return [(tag != "equal", "".join(ours[low:high])) for tag, _, _, low, high in compared.get_opcodes() if high > low]
