"""Pure: may the answer to one question stand for another that a similarity calls near?

Similarity of vectors cannot tell `with` from `without`, 15 from 50, or who beat whom. So both texts are read: numbers
with what they count, quoted texts, code, names, negations and words of degree must agree; of the words that carry
meaning none may be without its match; and where they are the same in another order, nobody may have changed places.
What cannot be read as English, or is longer than an embedder takes in, agrees with nothing but itself.

The first thing that differs is named, for the record of what was not served. Some of these are doubts only (a word has
no match that these lists know): there a model that verifies may still find the same meaning.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from prsm_lab.engine import english
from prsm_lab.engine.reading import Reading, read

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_LETTERS: Final = 1_000
"""A longer text is another question than every other, and is not even read."""
DOUBTS: Final = frozenset({"added name", "degree", "kind", "tense", "modal", "word", "language"})
"""What may differ between two ways of asking the same; the rest (numbers, names, negations, code …) may not."""
_NEGATIONS: Final = frozenset({"not", "no", "never", "none", "neither", "nor", "without", "except", "unless"})
_SUPPORT: Final = frozenset({"do", "does", "did"})
_SUMS: Final = frozenset({"plus", "times", "sum", "average", "difference"})


def differ(one: str, other: str) -> str | None:
    """Return what keeps two questions from sharing an answer; None if nothing was found.

    Args:
        one: A question.
        other: Another.

    >>> differ("How many moons does Jupiter have?", "What is the number of moons of Jupiter?")
    >>> differ("Can I travel with a passport?", "Can I travel without a passport?")
    'negation'
    >>> differ("Did Germany beat Brazil?", "Did Brazil beat Germany?")
    'order'
    """
    if one == other:
        return None
    if len(one) > MOST_LETTERS or len(other) > MOST_LETTERS:
        return "length"
    a, b = read(one), read(other)
    if a.long or b.long:
        return "length"
    if not (a.english and b.english):
        return "language"
    for what, same in (
        ("quoted text", a.quoted == b.quoted), ("code", a.code == b.code), ("symbol", a.symbols == b.symbols),
        ("number", _numbers(a, b)), ("name", _named(a, b)), ("negation", _negations(a) == _negations(b)),
        ("degree", not _degrees(a, b)), ("kind", _kinds(a, b)), ("tense", _tenses(a, b)), ("modal", _modals(a, b)),
    ):  # fmt: skip
        if not same:
            return what
    return _words_differ(a, b)


def _numbers(a: Reading, b: Reading) -> bool:
    if a.numbers == b.numbers:
        return True
    sums = bool(_SUMS & set(a.words) & set(b.words))
    return sums and sorted(a.numbers) == sorted(b.numbers)


def _named(a: Reading, b: Reading) -> bool:
    """Is each name of one somewhere in the other?"""
    return all(name in b.forms for name in a.names) and all(name in a.forms for name in b.names)


def _negations(a: Reading) -> Counter[str]:
    return Counter({word: n for word, n in a.degrees.items() if word in _NEGATIONS})


def _degrees(a: Reading, b: Reading) -> set[str]:
    words = set(a.degrees) | set(b.degrees)
    return {word for word in words if a.degrees[word] != b.degrees[word] and word not in english.LOOSE}


def _kinds(a: Reading, b: Reading) -> bool:
    """Do both ask for the same: a person, a time, a way, yes or no?"""
    if a.kind == b.kind:
        return True
    kinds = {a.kind, b.kind}
    if "" in kinds:  # a wish
        return bool(kinds & {"what", "how"})
    named = next((one for one in (a, b) if one.kind == "what" and one.fillers), None)  # which author, what country
    return named is not None and bool(kinds & {"who", "where", "when"})


def _tenses(a: Reading, b: Reading) -> bool:
    tenses = {a.tense, b.tense}
    return a.tense == b.tense or not ("future" in tenses or tenses == {"past", "present"})


def _modals(a: Reading, b: Reading) -> bool:
    """May, or should? Of ways to do something it says nothing, and of some questions only where both have one."""
    if a.modal == b.modal or "how" in (a.kind, b.kind):
        return True
    return a.kind not in ("whether", "who") and not (a.modal and b.modal)


def _words_differ(a: Reading, b: Reading) -> str | None:
    left, right = Counter(a.content), Counter(b.content)
    more, fewer = set(left - right), set(right - left)
    if more and fewer:
        return "word"
    for extra, one in ((more, a), (fewer, b)):
        if extra - {one.content[n] for n in one.fillers}:
            return "word"
    return _order(a, b)


def _order(a: Reading, b: Reading) -> str | None:
    """Has anybody changed places?"""
    one, other = _solid(a), _solid(b)
    if one == other:
        return None
    words = set(a.words) & set(b.words)
    either_way = "#distance" in words or {"difference", "between"} <= words
    if Counter(one) == Counter(other) and not either_way and not (_SUMS & words and a.content == b.content):
        return "order"
    if not either_way and _turned_round(a, b):
        return "order"
    shared = set(a.content) & set(b.content)
    line, turned = ([word for word in dict.fromkeys(r.content) if word in shared] for r in (a, b))
    passive = ("by" in a.words) != ("by" in b.words)
    if line == turned:
        return "order" if passive and len(line) > 1 else None
    if a.kind == b.kind == "who" and bool(_SUPPORT & set(a.words)) != bool(_SUPPORT & set(b.words)) and not passive:
        return "order"
    return None if passive or either_way or not (_reversed(line, turned) or _swapped(a, b)) else "order"


def _turned_round(a: Reading, b: Reading) -> bool:
    """Does a word of direction point at another, or at one word another?"""
    shared = set(a.content) & set(b.content)
    left, right = ({(word, to) for word, to in r.directed if to in shared} for r in (a, b))
    for n in (0, 1):
        for key in {pair[n] for pair in left} & {pair[n] for pair in right}:
            if {pair for pair in left if pair[n] == key} != {pair for pair in right if pair[n] == key}:
                return True
    return False


def _solid(one: Reading) -> list[str]:
    return [word for word in one.words if word not in english.LIGHT]


def _reversed(one: Sequence[str], other: Sequence[str]) -> bool:
    """Do three words stand the other way round?"""
    at = {word: n for n, word in enumerate(other)}
    places = [at[word] for word in one]
    return any(places[n] > places[n + 1] > places[n + 2] for n in range(len(places) - 2))


def _swapped(a: Reading, b: Reading) -> bool:
    names = [name for name in a.names if name in b.names]
    return names != [name for name in b.names if name in a.names]
