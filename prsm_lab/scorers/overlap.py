"""Scorers that count what an answer and its reference have in common: tokens, sequences, n-grams."""

from __future__ import annotations

import functools
import re
import string
from collections import Counter
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from prsm_lab import checks
from prsm_lab.errors import InvalidRequestError
from prsm_lab.scorers.scorer import Compared, Scorer, several, written

if TYPE_CHECKING:
    from collections.abc import Sequence

_ARTICLES: Final = re.compile(r"\b(a|an|the)\b")
_NO_MARKS: Final = str.maketrans("", "", string.punctuation)
_NO_TOKEN: Final = re.compile(r"[^a-z0-9]+")


def squad_tokens(text: str) -> list[str]:
    """Return the tokens that SQuAD counts: lower case, ASCII marks taken out, articles too, divided at blanks.

    >>> squad_tokens("The U.S. Army")
    ['us', 'army']
    """
    return _ARTICLES.sub(" ", text.lower().translate(_NO_MARKS)).split()


def token_f1(response: str, reference: str) -> float:
    """Return the harmonic mean of precision and recall of tokens, as SQuAD's own evaluation computes it.

    Where either side has no token, it is 1 if neither has, and 0 otherwise.

    Source: Rajpurkar et al. 2018, the evaluation script of SQuAD 2.0.

    >>> round(token_f1("the cat sat", "a cat"), 4)
    0.6667
    """
    said, right = squad_tokens(response), squad_tokens(reference)
    if not said or not right:
        return float(said == right)
    return _f(sum((Counter(said) & Counter(right)).values()), len(said), len(right))


def rouge_tokens(text: str) -> list[str]:
    """Return the tokens that Google's `rouge_score` counts: lower case, runs of a–z and 0–9.

    >>> rouge_tokens("It's 3.5 €")
    ['it', 's', '3', '5']
    """
    return _NO_TOKEN.sub(" ", text.lower()).split()


def common_subsequence(one: Sequence[str], other: Sequence[str]) -> int:
    """Return the length of the longest common subsequence, by one bit a token.

    Source: Hyyrö 2004, Bit-parallel LCS-length computation revisited (AWOCA): time in the product of the lengths over
    the bits of a machine word.

    >>> common_subsequence("the cat sat".split(), "the old cat".split())
    2
    """
    places: dict[str, int] = {}
    for n, token in enumerate(one):
        places[token] = places.get(token, 0) | 1 << n
    every = (1 << len(one)) - 1
    row = every
    for token in other:
        meets = row & places.get(token, 0)
        row = ((row + meets) | (row - meets)) & every
    return len(one) - row.bit_count()


def rouge_l(response: str, reference: str) -> float:
    """Return ROUGE-L: the F-measure (precision and recall alike) of the longest common subsequence of tokens.

    Source: Lin 2004, ROUGE: a package for automatic evaluation of summaries; tokens as Google's `rouge_score` has
    them, no stemming, one sentence.

    Raises:
        ValueError: If the reference has no token: those are a–z and 0–9 only, which no Chinese text has.

    >>> round(rouge_l("the cat sat on the mat", "a cat was on the mat"), 4)
    0.6667
    """
    said, right = rouge_tokens(response), rouge_tokens(reference)
    if not right:
        raise ValueError(f"the reference {reference[:60]!r} has no token that ROUGE counts (a to z, 0 to 9)")
    return _f(common_subsequence(said, right), len(said), len(right))


def _f(common: int, said: int, right: int) -> float:
    """Twice what is common over all there is: the harmonic mean of precision and recall."""
    return 2 * common / (said + right)


class F1(Compared, frozen=True):
    """Tokens that answer and reference have in common, from 0 to 1; see `token_f1`.

    >>> F1()("the cat sat", ["a dog", "a cat sat"])
    1.0
    """

    name: ClassVar[str] = "f1"

    def one(self, response: str, reference: Any) -> float:
        """Compare with one reference."""
        return token_f1(response, written(reference))


class RougeL(Compared, frozen=True):
    """The longest sequence of words in common, from 0 to 1; see `rouge_l`.

    >>> RougeL()("Paris, France", "Paris")
    0.6666666666666666
    """

    name: ClassVar[str] = "rouge_l"
    heavy: ClassVar[bool] = True

    def one(self, response: str, reference: Any) -> float:
        """Compare with one reference."""
        return rouge_l(response, written(reference))


class _Sacre(Scorer, frozen=True):
    """A metric of the package sacrebleu, sentence by sentence; a reference that is a list has them all count."""

    heavy: ClassVar[bool] = True

    def ready(self) -> None:
        """Load sacrebleu.

        Raises:
            InvalidRequestError: If it is not installed.
        """
        try:
            import sacrebleu  # noqa: F401
        except ImportError as missing:
            raise InvalidRequestError(
                f'The scorer {self.name!r} needs the extra "text": pip install "prsm-lab[text]".',
                details={"parameter": "scorers", "kind": "extra"},
            ) from missing

    def __call__(self, response: str, reference: Any = None) -> float:
        """Score one answer."""
        references = [written(right) for right in several(reference)]
        return float(self._metric().sentence_score(response, references).score)

    def _metric(self) -> Any:
        raise NotImplementedError("a metric of sacrebleu is made by its scorer")  # pragma: no cover


class Bleu(_Sacre, frozen=True):
    """BLEU of one answer, from 0 to 100, as `sacrebleu.sentence_bleu` gives it: exponential smoothing, effective order.

    BLEU is made for whole corpora: of single sentences, compare means, and prefer `Chrf`.

    Args:
        lowercase: Whether case does not count.
        tokenize: sacrebleu's name of a tokenizer: `13a`, `intl`, `zh`, `char`, `none`.

    Source: Papineni et al. 2002; Post 2018, A call for clarity in reporting BLEU scores.

    >>> round(Bleu()("the cat is on the mat", "the cat sat on the mat"), 2)
    37.99
    """

    name: ClassVar[str] = "bleu"
    lowercase: bool = False
    tokenize: Literal["13a", "intl", "zh", "char", "none"] = "13a"

    def __post_init__(self) -> None:
        """Check the options."""
        checks.flag(self.lowercase, "lowercase")
        if self.tokenize not in (known := ("13a", "intl", "zh", "char", "none")):
            raise checks.wrong("tokenize", "one of " + ", ".join(known), self.tokenize)

    def _metric(self) -> Any:
        return _bleu(self.lowercase, self.tokenize)


class Chrf(_Sacre, frozen=True):
    """chrF of one answer, from 0 to 100, as `sacrebleu.sentence_chrf` gives it: character n-grams, recall counts twice.

    Args:
        word_order: Word n-grams that count as well: 2 for chrF++.

    Source: Popović 2015, chrF: character n-gram F-score for automatic MT evaluation.

    >>> round(Chrf()("the cat is on the mat", "the cat sat on the mat"), 2)
    61.93
    """

    name: ClassVar[str] = "chrf"
    word_order: int = 0

    def __post_init__(self) -> None:
        """Check the option."""
        if checks.whole(self.word_order, "word_order", low=0) is None:
            raise checks.wrong("word_order", "integer", self.word_order, "it is None")

    def _metric(self) -> Any:
        return _chrf(self.word_order)


@functools.cache
def _bleu(lowercase: bool, tokenize: str) -> Any:
    from sacrebleu.metrics.bleu import BLEU

    return BLEU(lowercase=lowercase, tokenize=tokenize, effective_order=True)


@functools.cache
def _chrf(word_order: int) -> Any:
    from sacrebleu.metrics.chrf import CHRF

    return CHRF(word_order=word_order)
