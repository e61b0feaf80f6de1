"""Pure: may the answer to one question stand for another that a similarity calls near?

Similarity of vectors cannot tell `with` from `without`, 15 from 50, or who beat whom. So both texts are read: numbers
with what they count, quoted texts, code, names, negations and words of degree must agree; of the words that carry
meaning none may be without its match; and where they are the same in another order, nobody may have changed places.
What cannot be read as English, or is longer than an embedder takes in, agrees with nothing but itself.

The first thing that differs is named, for the record of what was not served. Some of these are doubts only (a word has
no match that these lists know): there a model that verifies may still find the same meaning.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from typing import TYPE_CHECKING, Final

from prsm_lab.engine import english, synonyms
from prsm_lab.engine.reading import Reading, near_words, read
from prsm_lab.engine.spelling import stem

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_LETTERS: Final = 1_000
"""A longer text is another question than every other, and is not even read."""
DOUBTS: Final = frozenset({"added name", "degree", "kind", "tense", "modal", "word", "language"})
"""What may differ between two ways of asking the same; the rest (numbers, names, negations, code …) may not."""
_NEGATIONS: Final = frozenset({"not", "no", "never", "none", "neither", "nor", "without", "except", "unless"})
_PREPOSITIONS: Final = frozenset({"with", "in", "on", "at", "for", "of", "by", "from"})
_PERSONS: Final = {
    form: forms[0]
    for forms in (("i", "me"), ("we", "us"), ("he", "him", "his"), ("she", "her", "hers"), ("they", "them"))
    for form in forms
}
_SUPPORT: Final = frozenset({"do", "does", "did"})
_WISHES: Final = (("write",), ("show",))
_ANALYSES: Final = (("explain",), ("calculate",), ("mean",))
_MENTIONING: Final = frozenset({"mean", "translate", "synonym", "opposite", "rhyme"})
_FRAME: Final = frozenset(
    map(stem, ("mean", "meaning", "define", "definition", "translate", "translation", "synonym", "antonym", "opposite",
               "word", "term", "say", "explain", "describe", "show", "give"))
)  # fmt: skip
_COPULA: Final = (("is",), ("are",), ("was",), ("were",))
_MOST_NEAR: Final = 3
_NO_MARKS: Final = str.maketrans(dict.fromkeys('"“”„«»`', " "))
_PLAIN: Final = re.compile(r"[^\W\d_]+(?: [^\W\d_]+){0,4}")
_WORD: Final = re.compile(r"[^\W_]+")
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
    a, b = _unquoted(one, other)
    if a.long or b.long:
        return "length"
    if not (a.english or b.english):
        return "language"
    turn = sorted if "versus" in a.words and "versus" in b.words else tuple
    for what, same in (
        ("spelling", a.letters == b.letters), ("quoted text", turn(a.quoted) == turn(b.quoted)),
        ("code", turn(a.code) == turn(b.code)), ("symbol", a.symbols == b.symbols), ("number", _numbers(a, b)),
        ("name", not _renamed(a, b)), ("added name", not (_unnamed(a, b) or _unnamed(b, a))),
        ("negation", _negations(a) == _negations(b)), ("degree", not _degrees(a, b)), ("kind", _kinds(a, b)),
        ("tense", _tenses(a, b)), ("modal", _modals(a, b)), ("degree", not _accompanied(a, b)),
    ):  # fmt: skip
        if not same:
            return what
    return _words_differ(a, b)


def _numbers(a: Reading, b: Reading) -> bool:
    if a.numbers == b.numbers:
        return True
    sums = bool(_SUMS & set(a.words) & set(b.words))
    return sums and sorted(a.numbers) == sorted(b.numbers)


def _unquoted(one: str, other: str) -> tuple[Reading, Reading]:
    """Read both; quotation marks of one alone say nothing where the other has the same words."""
    a, b = read(one), read(other)
    if a.quoted and not b.quoted and _says(other, a.quoted):
        return read(one.translate(_NO_MARKS)), b
    if b.quoted and not a.quoted and _says(one, b.quoted):
        return a, read(other.translate(_NO_MARKS))
    return a, b


def _says(text: str, quoted: Sequence[str]) -> bool:
    words = f" {' '.join(_WORD.findall(text.casefold()))} "
    return all(_PLAIN.fullmatch(part) and f" {part.casefold()} " in words for part in quoted)


def _unnamed(a: Reading, b: Reading) -> set[str]:
    """Names of the one that are nowhere in the other."""
    return {name for name in a.names if name not in b.forms}


def _renamed(a: Reading, b: Reading) -> bool:
    """Has each a name that the other lacks? In a text without capitals any word may be one."""
    more, fewer = _unnamed(a, b), _unnamed(b, a)
    if more and fewer:
        return True
    for added, named, bare in ((more, a, b), (fewer, b, a)):
        if added and bare.small and set(bare.content) - set(named.content):
            return True
    return False


def _negations(a: Reading) -> Counter[str]:
    return Counter({word: n for word, n in a.degrees.items() if word in _NEGATIONS})


def _degrees(a: Reading, b: Reading) -> set[str]:
    words = set(a.degrees) | set(b.degrees)
    return {word for word in words if a.degrees[word] != b.degrees[word] and word not in english.LOOSE}


def _accompanied(a: Reading, b: Reading) -> bool:
    """Is something had here (`with a cold`) that one is in there (`in the cold`)?"""
    if _left_over(a) != _left_over(b) and "with" in (*a.words, *b.words):
        return True
    one, other = _places(a), _places(b)
    shared = one.keys() & other.keys() - english.TOPICS
    return any("with" in (one[word], other[word]) and one[word] != other[word] for word in shared)


def _left_over(one: Reading) -> str:
    """The preposition at the end, whose word stands elsewhere: what is it served in?"""
    return one.words[-1] if one.words and one.words[-1] in _PREPOSITIONS else ""


def _places(one: Reading) -> dict[str, str]:
    """The preposition before each word that has one."""
    found: dict[str, str] = {}
    before = ""
    for word in one.words:
        if word in _PREPOSITIONS:
            before = word
        elif before and word not in english.EMPTY:
            found[word], before = before, ""
    return found


def _kinds(a: Reading, b: Reading) -> bool:
    """Do both ask for the same: a person, a time, a way, yes or no?"""
    if a.kind == b.kind:
        return True
    kinds = {a.kind, b.kind}
    if "" in kinds:  # a wish, or words as one types them into a search
        asked = next(one for one in (a, b) if one.kind)
        return (
            asked.kind in ("what", "how")
            or (asked.kind in ("who", "where") and asked.words[1:2] in _COPULA)
            or (asked.kind == "who" and any(english.AGENTS.intersection(one.said) for one in (a, b) if not one.kind))
        )
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
    if _mentioned(a, b):
        return "word"
    left, right = Counter(_wished(a, b)), Counter(_wished(b, a))
    more, fewer = _unmatched(set(left - right), set(right - left))
    if more and fewer:
        return "word"
    for extra, one in ((more, a), (fewer, b)):
        if extra - {one.content[n] for n in one.fillers}:
            return "word"
    return _order(a, b)


def _wished(one: Reading, other: Reading) -> Sequence[str]:
    """The content without `write` or `show`, where both are wishes and the other begins with no wish to explain."""
    bare = one.kind == other.kind == "" and one.content[:1] in _WISHES and other.content[:1] not in _ANALYSES
    return one.content[1:] if bare else one.content


def _mentioned(a: Reading, b: Reading) -> bool:
    """Where a word itself is asked about, another that says the same is another word."""
    if _MENTIONING.isdisjoint(a.content + b.content):
        return False
    left, right = ({stem(word) for word in one.said if word not in english.EMPTY} - _FRAME for one in (a, b))
    return bool(left - right and right - left)


def _unmatched(more: set[str], fewer: set[str]) -> tuple[set[str], set[str]]:
    """Words of each that no word of the other comes near to; at most so many near ones are believed."""
    near = 0
    for word in sorted(more):
        found = next((one for one in sorted(fewer) if _near(word, one)), None)
        if found is not None and near < _MOST_NEAR:
            more, fewer, near = more - {word}, fewer - {found}, near + 1
    return more, fewer


def _near(one: str, other: str) -> bool:
    pairs = near_words()
    if (one, other) in pairs or (other, one) in pairs:
        return True
    short, long = sorted((one, other), key=len)
    return len(long) > 5 and long == short + "ly" and long not in synonyms.NEAR_NOT


def _order(a: Reading, b: Reading) -> str | None:
    """Has anybody changed places?"""
    one, other = _solid(a), _solid(b)
    if one == other:
        return None
    if _parts(a) != _parts(b):
        return "order"
    words = set(a.words) & set(b.words)
    either_way = "#distance" in words or "versus" in words
    if _backwards(a, b) and not either_way:
        return "order"
    if Counter(one) == Counter(other) and not either_way and not (_SUMS & words and a.content == b.content):
        return "order"
    if not either_way and _turned_round(a, b):
        return "order"
    shared = {word for word in set(a.content) & set(b.content) if word[:1] != "#" or word in ("#quoted", "#code")}
    topics = shared & english.TOPICS
    if len(topics) == 1:
        shared -= topics
    line, turned = ([word for word in dict.fromkeys(r.content) if word in shared] for r in (a, b))
    passive = ("by" in a.words) != ("by" in b.words)
    if line == turned:
        return "order" if passive and len(line) > 1 else None
    if a.kind == b.kind == "who" and bool(_SUPPORT & set(a.words)) != bool(_SUPPORT & set(b.words)) and not passive:
        return "order"
    return None if passive or either_way or not (_reversed(line, turned) or _swapped(a, b)) else "order"


def _parts(one: Reading) -> list[str]:
    """Who acts on whom, as pronouns tell: I, or it is done to me; of several persons, who comes first."""
    if not one.kind:  # a wish: give me, show me
        return []
    persons = [_PERSONS[word] for word in one.said if word in _PERSONS]
    turns = [person for person, _ in itertools.groupby(persons)]
    return turns if len(turns) > 1 else [word for word in ("me", "us") if word in one.said]


def _backwards(a: Reading, b: Reading) -> bool:
    """Do two words stand side by side here, and the other way round there: a boat house, a house boat?"""
    both = (set(a.said) & set(b.said)) - english.EMPTY - english.TOPICS - english.DIFFERENT
    pairs = {pair for pair in itertools.pairwise(a.said) if both.issuperset(pair) and pair[0] != pair[1]}
    return any((after, before) in pairs for before, after in itertools.pairwise(b.said))


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
