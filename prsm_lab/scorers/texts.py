"""Scorers of text as it stands: the same, contained, matched by a pattern, how long."""

from __future__ import annotations

import re
import unicodedata
from typing import Any, ClassVar, Final, Literal

from prsm_lab import checks
from prsm_lab.scorers.scorer import Compared, Scorer, several, written

_MINUS: Final = re.compile(r"(?<![\w.])[-\N{MINUS SIGN}](?=\.?\d)")
_ARTICLES: Final = re.compile(r"\b(?:a|an|the)\b")
SECONDS: Final = 1.0
"""The longest that a pattern may search one answer."""


class _Blanks(dict[int, int | str]):
    """What each sign becomes: marks and blanks a blank, all else itself; learnt as signs come."""

    def __missing__(self, code: int) -> int | str:
        made = self[code] = " " if unicodedata.category(chr(code))[0] in "PZ" else code
        return made


_BLANKS: Final = _Blanks()


def normalized(text: str) -> str:
    """Fold what does not matter in a short answer: case, marks, articles, blanks (SQuAD's rule).

    What is nothing but an article or marks stays: `A` is a choice, and `-` is not `+`.

    >>> normalized("The  Answer.")
    'answer'
    """
    folded = _plain(text).casefold()
    return " ".join(_ARTICLES.sub(" ", folded).split()) or folded or " ".join(text.split())


def _plain(text: str) -> str:
    """A text without marks and runs of blanks; the minus of a number is no mark."""
    signs = _MINUS.sub("\N{MINUS SIGN}", unicodedata.normalize("NFKC", text))
    return " ".join(signs.translate(_BLANKS).split())


def exact(response: str, reference: str) -> bool:
    """Are they the same once case, marks, articles and blanks are folded?

    >>> exact("Paris.", "paris")
    True
    """
    return response == reference or normalized(response) == normalized(reference)


def contains(response: str, reference: str) -> bool:
    """Does the answer contain the reference as whole words, folded like `exact`?

    A reference that is an article, as the choice `A`, is looked for in its own case.

    >>> contains("The answer is Paris, as is known.", "Paris"), contains("Parisian", "Paris")
    (True, False)
    """
    wanted = normalized(reference)
    if not _ARTICLES.sub("", wanted).strip():
        return bool(wanted) and f" {_plain(reference)} " in f" {_plain(response)} "
    return f" {wanted} " in f" {normalized(response)} "


class Exact(Compared, frozen=True):
    """1 where the answer is the reference, once case, marks, articles and blanks are folded; see `exact`.

    >>> Exact()("Paris.", ["Paname", "paris"])
    True
    """

    name: ClassVar[str] = "exact"

    def one(self, response: str, reference: Any) -> bool:
        """Compare with one reference."""
        return exact(response, written(reference))


class Contains(Compared, frozen=True):
    """1 where the answer contains the reference as whole words, folded like `Exact`; see `contains`.

    >>> Contains()("It is Paris, France.", "Paris")
    True
    """

    name: ClassVar[str] = "contains"

    def one(self, response: str, reference: Any) -> bool:
        """Look for one reference."""
        return contains(response, written(reference))


class Regex(Scorer, frozen=True):
    r"""1 where a pattern is found in the answer.

    The patterns are those of the package `regex`, which takes all of `re`'s and can stop: a search that takes longer
    than `seconds` is the error of its row, and does not hold up the others.

    Args:
        pattern: What is looked for; None: each row's reference is its pattern (several: any of them).
        full: Whether the whole answer must fit, blanks at its ends apart.
        seconds: The longest that one answer is searched.

    Raises:
        InvalidRequestError: If the pattern is none.

    >>> Regex(r"\b\d{4}\b")("In 1989."), Regex()("abc", "^B")
    (True, False)
    """

    name: ClassVar[str] = "regex"
    pattern: str | None = None
    full: bool = False
    seconds: float = SECONDS

    def __post_init__(self) -> None:
        """Check the options."""
        checks.flag(self.full, "full")
        checks.number(self.seconds, "seconds", low=0, open_low=True)
        if checks.text(self.pattern, "pattern") is not None:
            import regex

            try:
                regex.compile(self.pattern)
            except regex.error as fault:
                raise checks.wrong("pattern", "regular expression", self.pattern, f"{fault}: {self.pattern}") from None

    @property
    def compares(self) -> bool:
        """Whether the reference is the pattern."""
        return self.pattern is None

    def __call__(self, response: str, reference: Any = None) -> bool:
        """Search one answer."""
        if self.pattern is not None:
            return self._found(self.pattern, response)
        return any(self._found(written(pattern), response) for pattern in several(reference))

    def _found(self, pattern: str, response: str) -> bool:
        import regex

        if pattern.isalnum() and not self.full:
            return pattern in response  # each row's own pattern is not worth compiling for this
        try:
            fits = regex.compile(pattern)
            found = (
                fits.fullmatch(response.strip(), timeout=self.seconds)
                if self.full
                else fits.search(response, timeout=self.seconds)
            )
        except regex.error as fault:
            raise ValueError(f"the pattern {pattern[:100]!r} is no regular expression: {fault}") from None
        except TimeoutError:
            raise ValueError(
                f"the pattern {pattern[:100]!r} did not come to an end within {self.seconds:g} s on this answer"
            ) from None
        return found is not None


class Length(Scorer, frozen=True):
    """How long the answer is.

    Args:
        unit: What is counted, `characters` or `words` (what blanks divide).

    Raises:
        InvalidRequestError: If the unit is neither.

    >>> Length()("two words"), Length("words")("two words")
    (9, 2)
    """

    name: ClassVar[str] = "length"
    unit: Literal["characters", "words"] = "characters"

    def __post_init__(self) -> None:
        """Check the unit."""
        if self.unit not in ("characters", "words"):
            raise checks.wrong("unit", "'characters' or 'words'", self.unit)

    @property
    def compares(self) -> bool:
        """It counts, whatever is right."""
        return False

    def __call__(self, response: str, reference: Any = None) -> int:  # noqa: ARG002 -- every scorer is called alike
        """Count one answer."""
        return len(response) if self.unit == "characters" else len(response.split())
