r"""The letter that an answer chooses, out of free text.

In this order, and what is said last in its kind counts:

1. what is boxed (`\boxed{B}`), or an answer that is a letter and marks (`b)`, `**C**`);
2. what decides: `the answer is B`, `Answer: (b)`, `I choose option B`, `B is correct`, `so B`;
3. a letter that opens the answer as a label: `B) Paris, because A lies in Spain`;
4. the only letter that is named at all; `A` before a small word is an article.

A letter that is refused (`not B`, `A is wrong`, `C rather than D`) is not chosen. Two that are left (`A or B`) are no
choice.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from typing import Any, ClassVar, Final

from prsm_lab import checks
from prsm_lab.scorers.scorer import Compared

LETTERS: Final = "ABCDE"
_MARKS: Final = re.compile(r"[*_`~$#\ue000-\ue002]|\\(?:text|math)(?:bf|rm|it)?|[{}]")
_BOXED: Final = re.compile(r"\\f?boxed\s*\{((?:[^{}]|\{[^{}]*\})*)\}")
_NO_NOUNS: Final = (
    "is|was|and|or|because|since|as|would|must|should|could|can|seems|looks|if|but|with|not|in|has|cannot|does|says|"
    "states|which|that|due|given|for|by|according|then|than|rather|instead|over|although|however|while|where|when|so|"
    "nor|from|on|at|it|its|this|also|better|best|correctly|here|above|fits|matches|describes"
)
"""Words before which `A` is a letter, and no article."""

# A letter that is named is set between two signs that no text has; one that is refused, between two others.
_NAMED: Final = "\ue000{}\ue001"
_ONE: Final = "[(\\[\"'“‘]?\ue000(?:.)\ue001[)\\]\"'”’]?"
_LIST: Final = rf"{_ONE}(?:\s?(?:,|/|&|\band\b|\bor\b|\bnor\b)+\s?(?:and |or |option |choice |answer )*{_ONE}){{0,25}}"
_NOUN: Final = r"(?:(?:the\s+)?(?:option|choice|answer|letter|statement)s?\s*(?:is\s*)?:?\s*)?"
_SURE: Final = (
    r"(?:\s+(?:clearly|definitely|probably|most likely|likely|obviously|indeed|also|both|all|certainly|therefore|thus|"
    r"hence|simply|just|now))*"
)
_BE: Final = r"(?:is|are|was|were|seems?(?: to be)?|looks?|must be|would be|should be|will be|can be|could be)"
_WRONG: Final = (
    r"(?:wrong|incorrect|false|out|ruled out|eliminated|impossible|excluded|unlikely|implausible|irrelevant|"
    r"inaccurate)\b"
)
_REFUSED: Final = (
    rf"(?:\b(?:not|never|neither|rather than|instead of|over|unlike|except|exclud(?:e|es|ing)|eliminat(?:e|es|ing)|"
    rf"rul(?:e|es|ing) out|reject|discard)|n['’]t)(?:\s+(?:think|believe|choose|pick|say|be))?(?:\s+that)?"
    rf"(?:\s+(?:it|the answer)(?:['’]s|\s+is))?\s+(?:either\s+)?{_NOUN}{_LIST}"
    rf"|{_LIST}(?:\s+{_BE}{_SURE}\s+(?:not\b(?!\s+(?:{_WRONG}))|{_WRONG})|\s*[:–—-]\s*(?:{_WRONG}|no\b)"
    rf"|\s+(?:is|are|was|were|does|do|did|ca|wo|could|would|should)(?:n['’]t\b|\s+not\b(?!\s+(?:{_WRONG})))"
    rf"|\s+(?:cannot|can not)\b)"
)
_DECIDES: Final = (
    rf"(?:\b(?:answer|option|choice|letter|solution|response|final|one)s?"
    rf"(?:\s+(?:to|for|of|here|in|among)\b(?:\s+[\w'’]++){{0,4}}?)?"
    rf"(?:\s*(?:\b{_BE}|=>?|:|→|[-–—]++>?){_SURE},?)+\s*"
    rf"|\b(?:choos(?:e|ing)|chose|pick(?:ed|ing)?|select(?:ed|ing)?|go(?:ing)? with|opt(?:ed|ing)? for|"
    rf"leav(?:es|ing))\s+"
    rf"|\b(?:so|therefore|thus|hence|finally)\b,?\s*(?:it(?:['’]s| is| must be)\s+)?|\bit(?:['’]s| is)\s+|\bmust be\s+"
    rf"){_NOUN}(?P<x>{_LIST})"
    rf"|(?P<y>{_LIST})(?:\s+{_BE}{_SURE}\s+(?:the\s+)?(?:(?:only|most|single|likely|one)\s+)*|\s*[:–—-]\s*)"
    r"(?:correct|right|best|better|true|answer|accurate|appropriate|yes)\b"
)
_LABEL: Final = re.compile(
    "^[\\s(\\[\"'“]*[\ue000\ue002](.)[\ue001\ue002](?:[)\\].:,]|\\s+(?:[-–—]|because|since)\\s|\\s*$)", re.MULTILINE
)


@functools.cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """Compiled at the first use: these take 20 ms, and few who import this score choices."""
    return re.compile(pattern, re.IGNORECASE)


@functools.cache
def _letter(letters: str) -> re.Pattern[str]:
    """One of these letters where it is named, and no part of a word."""
    either = f"[{letters}{letters.lower()}]"
    ended = r"(?=\s*(?:[.,;!\n]|\Z))"
    return re.compile(
        rf"(?<=[(\[\"'“‘]){either}(?=[)\]\"'”’])|(?<![\w'’]){either}(?=\))|\A\s*{either}(?=[.:]\s)"
        rf"|(?i:(?<=\bis )|(?<=: )|(?<=option )|(?<=choice )|(?<=answer )){either}{ended}"
        rf"|(?<![\w'’&.-])(?![AI]\s+(?!(?:{_NO_NOUNS})\b)[a-z]|I['’])[{letters}](?![\w'’&]|[.-]\w)"
    )


def chosen(text: str, letters: str = LETTERS) -> str | None:
    """Return the letter that an answer chooses, see the module; None where it chooses none, or more than one.

    Args:
        text: What was said.
        letters: Those there are to choose from.

    >>> chosen("I think A is wrong, so B"), chosen("A or B"), chosen("A good question. The answer: (d)")
    ('B', None, 'D')
    """
    shown = unicodedata.normalize("NFKC", text)
    if boxed := _BOXED.findall(shown):
        return chosen(boxed[-1], letters)
    shown = "\n".join(" ".join(line.split()) for line in _MARKS.sub("", shown).splitlines() if line.strip())
    if alone := re.fullmatch(rf"[\W_]*(?:(?:option|choice|answer)\W+)?([{letters}])[\W_]*", shown, re.IGNORECASE):
        return alone[1].upper()
    named = _letter(letters).sub(lambda found: _NAMED.format(found[0].strip().upper()), shown)
    left = _compiled(_REFUSED).sub(lambda found: re.sub("[\ue000\ue001]", "\ue002", found[0]), named)
    if decided := list(_compiled(_DECIDES).finditer(left)):
        return _only(decided[-1]["x"] or decided[-1]["y"])
    labels = list(_LABEL.finditer(left))
    if len(labels) == 1 and labels[0].start() == 0 and "\ue002" not in labels[0][0]:
        return labels[0][1]
    return _only(left)


def _only(text: str) -> str | None:
    """The one letter that is named in a text."""
    letters = set(re.findall("\ue000(.)\ue001", text))
    return letters.pop() if len(letters) == 1 else None


class Choice(Compared, frozen=True):
    """1 where the answer chooses the reference's letter; the module says how free text is read.

    An answer that chooses none, or more than one, is not right.

    Args:
        letters: Those there are to choose from.

    Raises:
        InvalidRequestError: If `letters` is not at least two different capital letters.

    >>> Choice()("I think A is wrong, so it must be (b).", "B"), Choice(letters="AB")("A or B", "A")
    (True, False)
    """

    name: ClassVar[str] = "choice"
    letters: str = LETTERS

    def __post_init__(self) -> None:
        """Check the letters."""
        given = checks.text(self.letters, "letters") or ""
        capital = given.isascii() and given.isalpha() and given.isupper()
        if not capital or len(given) < 2 or len(set(given)) < len(given):
            raise checks.wrong("letters", "different capital letters, as 'ABCD'", given, f"it is {given!r}")

    def one(self, response: str, reference: Any) -> bool:
        """Compare with one letter."""
        right = re.match(rf"[\W_]*([{self.letters}])(?!\w)", str(reference), re.IGNORECASE)
        if right is None:
            raise ValueError(f"the reference {str(reference)[:100]!r} is none of the letters {', '.join(self.letters)}")
        return chosen(response, self.letters) == right[1].upper()
