"""Pure: may the answer to one question stand for another that a similarity calls near?

Similarity of vectors cannot tell `with` from `without`, 15 from 50, or who beat whom. So both texts are read: numbers
with what they count, quoted texts, code, names, negations and words of degree must agree; of the words that carry
meaning none may be without its match; and where they are the same in another order, nobody may have changed places.
What cannot be read as English, or is longer than an embedder takes in, agrees with nothing but itself.

The first thing that differs is named, for the record of what was not served.
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

from prsm_lab.engine import english

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_WORDS: Final = 120
"""An embedder sees 256 tokens: of a longer text it says nothing about the rest."""

MOST_LETTERS: Final = 1_000

_QUOTES: Final = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "´": "'"})
_QUOTED: Final = re.compile(r"```(.+?)```|`([^`]+)`|\"([^\"]+)\"|(?<![\w])'([^']+(?:'\w[^']*)*)'(?!\w)", re.DOTALL)
_CODE: Final = re.compile(
    r"(?<!\S)(?:[^\s]*[_(){}\[\]<>=\\|@#~^*][^\s]*|[A-Za-z]\w*(?:\.[A-Za-z]\w*){1,}(?:\(\))?|[A-Za-z]{1,2}(?:\+\+|#)"
    r"|--?[A-Za-z][\w-]*|[a-z]+[A-Z]\w*|/[\w/.-]+|[-+*/^=](?=\s))"
)
_NUMBER: Final = r"[-+]?\d+(?:[.,:/-]\d+)*"
_TOKEN: Final = re.compile(rf"[$€£]|(?<![\w]){_NUMBER}|(?<=\D){_NUMBER}|%|°[cf]|#?[^\W\d_]+(?:/h)?|\d+")
_SHORT: Final = (
    (r"\bcan't\b|\bcannot\b", "can not"), (r"\bwon't\b", "will not"), (r"n't\b", " not"),
    (r"\b(what|who|where|when|how|why|that|it|there|here|he|she)'s\b", r"\1 is"), (r"'re\b", " are"),
    (r"'d\b", " would"), (r"'ll\b", " will"), (r"'ve\b", " have"), (r"\bi'm\b", "i am"), (r"'s\b|s'(?=\s|$)", ""),
    (r"\bwhats\b", "what is"),
)  # fmt: skip
_SAID: Final = tuple(
    (re.compile(pattern), said)
    for pattern, said in (
        (r"^(in|on|at|for|with|under|from) ([^,?.]{1,40}), ?(.+)$", r"\3 \1 \2"),
        (r"^(?:convert|what is|what are) ([-+$€£]?\d[^?]*?) (?:to|into|in) ([^\W\d]+)$", r"how many \2 are \1"),
        (r"^(?:how do you say|how do i say|what is) (#quoted) in ([^\W\d]+)$", r"translate \1 into \2"),
        (r"^(?:what is|what's) the ([^\W\d]+) (?:word|translation) (?:for|of) (#quoted)$", r"translate \2 into \1"),
        (r"^why (?:do|does|did) (.+?) (?:happen|occur)$", r"why \1"),
        (r"^is (.+) possible$", r"can \1"),
        (r"^translate (#quoted) to ", r"translate \1 into "),
        (r"^how much (?:do|does|did|is|are|will) (.+?) cost$", r"what is the price of \1"),
        (r"^what (?:do|does|did|will) (.+?) cost$", r"what is the price of \1"),
        (r"^how much (?:is|are) (?!\d)(.+)$", r"what is the price of \1"),
        (r"^what (?:do|does) (.+?) weigh$", r"how heavy is \1"),
    )
)
"""Ways of asking the same, brought to one."""
_ROMAN: Final = re.compile(r"(?:X{0,3})(?:IX|IV|V?I{1,3}|V|X)")
_DIRECTED: Final = frozenset({"from", "to", "into", "than", "by", "minus", "before", "after", "against", "over", "for"})
_ENGLISH: Final = english.FUNCTION | english.DIFFERENT | english.COMMANDS
_LIGHT: Final = frozenset(
    {
        "a", "an", "the", "is", "are", "was", "were", "be", "been", "do", "does", "did", "has", "have", "had", "will",
        "would", "can", "could", "that",
    }
)  # fmt: skip
"""Stand elsewhere in a question than in a statement, and nobody changes places by it."""
_KINDS: Final = frozenset({"who", "when", "where", "why", "how"})
_NEGATIONS: Final = frozenset({"not", "no", "never", "none", "neither", "nor", "without", "except", "unless"})


class Reading(NamedTuple):
    """What one text says, in the parts that must agree."""

    quoted: tuple[str, ...]
    code: tuple[str, ...]
    names: tuple[str, ...]
    """Words with a capital inside the sentence, in order."""
    numbers: tuple[tuple[str, str], ...]
    """Each with the unit that follows it, in order."""
    words: tuple[str, ...]
    """All words in their basic form, in order, empty ones too."""
    forms: frozenset[str]
    """All words as they stand."""
    content: tuple[str, ...]
    fillers: frozenset[int]
    """Positions in `content` of words that may be left out."""
    degrees: Counter[str]
    kind: str
    """who, when, where, why, how; or nothing."""
    directed: frozenset[tuple[str, str]]
    long: bool
    english: bool


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
        ("quoted text", a.quoted == b.quoted), ("code", a.code == b.code), ("number", _numbers(a, b)),
        ("name", _named(a, b)), ("negation", _negations(a) == _negations(b)),
        ("degree", not _degrees(a, b)), ("kind", _kinds(a, b)),
    ):  # fmt: skip
        if not same:
            return what
    return _words_differ(a, b)


@functools.lru_cache(maxsize=4096)
def read(text: str) -> Reading:
    """Read one text.

    >>> read("Convert 5 km to miles.").numbers
    (('5', 'kilometre'),)
    """
    plain = text.translate(_QUOTES)
    quoted = tuple(" ".join(next(filter(None, found)).split()) for found in _QUOTED.findall(plain))
    plain = _QUOTED.sub(" #quoted ", plain)
    code = tuple(found.rstrip(".,;:?!") for found in _CODE.findall(plain) if found != "#quoted")
    plain = _CODE.sub(lambda found: found[0] if found[0] == "#quoted" else " #code ", plain)
    raw = plain.split()
    names = _names(raw)
    forms = _folded(plain)
    words = _basics(_phrased(forms))
    numbers = _counted(words, plain)
    content, fillers = _content(words)
    return Reading(
        quoted=quoted, code=code, names=names, numbers=numbers, words=words, forms=frozenset(map(_day, forms)),
        content=content, fillers=fillers, kind=_kind(words),
        degrees=Counter(word for word in words if word in english.DIFFERENT), directed=_directions(words),
        long=len(raw) > MOST_WORDS, english=len(raw) <= 2 or not _ENGLISH.isdisjoint(forms),
    )  # fmt: skip


# ------------------------------------------------------------------------------------------------- reading


def _folded(plain: str) -> list[str]:
    text = " ".join(plain.casefold().split()).rstrip(" .?!")
    for pattern, said in _SAID:
        text = pattern.sub(said, text)
    for shortened, whole in _SHORT:
        text = re.sub(shortened, whole, text)
    return _TOKEN.findall(text)


def _names(raw: Sequence[str]) -> tuple[str, ...]:
    found, begins = [], True
    for word in raw:
        bare = word.strip("\"'.,;:?!()")
        folded = re.sub(r"'s$|'$", "", bare.casefold())
        if not begins and bare[:1].isupper() and folded not in english.EMPTY and bare != "OK" and folded:
            found.append(_day(folded))
        begins = word.endswith((".", "?", "!", ":"))
    return tuple(found)


def _day(name: str) -> str:
    """Sundays are as Sunday is."""
    return name.removesuffix("s") if name.endswith("days") else name


@functools.cache
def _by_length() -> dict[int, dict[tuple[str, ...], tuple[str, ...]]]:
    table: dict[int, dict[tuple[str, ...], tuple[str, ...]]] = {}
    for phrase, said in english.PHRASES.items():
        key = tuple(phrase.split())
        table.setdefault(len(key), {})[key] = tuple(said.split())
    return dict(sorted(table.items(), reverse=True))


def _phrased(forms: Sequence[str]) -> list[str]:
    words = list(forms)
    for opening in sorted(english.OPENINGS, key=len, reverse=True):
        parts = opening.split()
        if words[: len(parts)] == parts and len(words) > len(parts) + 1:
            words = words[len(parts) :]
    made: list[str] = []
    at = 0
    while at < len(words):
        for length, table in _by_length().items():
            said = table.get(tuple(words[at : at + length]))
            if said is not None:
                made += said
                at += length
                break
        else:
            made.append(words[at])
            at += 1
    return made


def _basics(words: Sequence[str]) -> tuple[str, ...]:
    made = [_basic(word) for word in words]
    if made and words[0] in ("list", "name", "give", "display"):  # here they are wishes
        made[0] = "show"
    return tuple(made)


@functools.lru_cache(maxsize=8192)
def _basic(word: str) -> str:
    """The word's basic form, and of words that say the same the first."""
    found = english.IRREGULAR.get(word, word)
    if found in english.SAME:
        return english.SAME[found]
    if found in english.EMPTY or found in english.DIFFERENT or found in english.SMALL or found[:1] == "#":
        return found
    stem = _stem(found)
    return _stems().get(stem, stem)


@functools.cache
def _stems() -> dict[str, str]:
    return {_stem(word): said for word, said in english.SAME.items() if word[:1] != "#"}


def _stem(word: str) -> str:
    for ending, least in (("ies", 5), ("ing", 6), ("ied", 5), ("ed", 5)):
        if word.endswith(ending) and len(word) >= least:
            stem = word[: -len(ending)] + ("y" if ending in ("ies", "ied") else "")
            doubled = len(stem) > 3 and stem[-1] == stem[-2] and stem[-1] not in "ls"
            return stem[:-1] if doubled else stem.removesuffix("e")
    if word.endswith(("ches", "shes", "sses", "xes")):
        return word[:-2]
    if word.endswith("s") and not word.endswith(("ss", "us", "is")) and len(word) > 3:
        word = word[:-1]
    return word.removesuffix("e") if len(word) > 4 else word


def _counted(words: Sequence[str], plain: str) -> tuple[tuple[str, str], ...]:
    found = [("roman", bare) for bare in re.findall(r"\b[A-Z]+\b", plain) if len(bare) > 1 and _ROMAN.fullmatch(bare)]
    for n, word in enumerate(words):
        value = word.replace(",", "") if word[:1].isdigit() or word[:1] in "-+" else english.SMALL.get(word)
        if value is None or (word == "one" and not _is_number(words, n)):
            continue
        after = [one for one in words[n + 1 : n + 3] if one != "degree"][:1]
        before = words[n - 1] if n and words[n - 1] in ("dollar", "euro", "sterling") else ""
        found.append((value, before or (after[0] if after and after[0] in _units() else "")))
    return tuple(found)


def _is_number(words: Sequence[str], n: int) -> bool:
    """Does this `one` count something?"""
    after = words[n + 1] if n + 1 < len(words) else "of"
    return after not in english.EMPTY and (n == 0 or words[n - 1] not in ("should", "can", "do", "must", "may", "the"))


@functools.cache
def _units() -> frozenset[str]:
    return frozenset(map(_basic, english.UNITS))


@functools.cache
def _fillers() -> frozenset[str]:
    return frozenset(map(_basic, english.FILLERS))


@functools.cache
def _implied() -> frozenset[tuple[str, str]]:
    return frozenset((_basic(one), _basic(other)) for one, other in english.IMPLIED)


@functools.cache
def _commands() -> frozenset[str]:
    return frozenset(map(_basic, english.COMMANDS))


def _content(words: Sequence[str]) -> tuple[tuple[str, ...], frozenset[int]]:
    content: list[str] = []
    fillers: set[int] = set()
    for n, word in enumerate(words):
        if word in english.EMPTY or word in english.DIFFERENT or word in english.SMALL or word[:1].isdigit():
            continue
        before = words[n - 1] if n else ""
        asked = before in ("which", "what") and word in _fillers()
        if asked or (before, word) in _implied() or (not n and word in _commands()):
            fillers.add(len(content))
        content.append(word)
    return tuple(content), frozenset(fillers)


def _kind(words: Sequence[str]) -> str:
    asked = [word for word in words if word in _KINDS]
    return asked[0] if asked else ""


def _directions(words: Sequence[str]) -> frozenset[tuple[str, str]]:
    found = set()
    for n, word in enumerate(words):
        if word in _DIRECTED or word in english.SCOPED:
            after = next((one for one in words[n + 1 : n + 5] if one not in english.EMPTY), None)
            if after is not None:
                found.add((word, after))
    return frozenset(found)


# ---------------------------------------------------------------------------------------------- comparing


def _numbers(a: Reading, b: Reading) -> bool:
    if a.numbers == b.numbers:
        return True
    commutes = bool(english.COMMUTE & set(a.words) & set(b.words))
    return sorted(a.numbers) == sorted(b.numbers) and (commutes or (len({n for n, _ in a.numbers}) == len(a.numbers) > 1
                                                       and all(unit for _, unit in a.numbers)))  # fmt: skip


def _named(a: Reading, b: Reading) -> bool:
    """Is each name of one somewhere in the other?"""
    return all(name in b.forms for name in a.names) and all(name in a.forms for name in b.names)


def _negations(a: Reading) -> Counter[str]:
    return Counter({word: n for word, n in a.degrees.items() if word in _NEGATIONS})


def _degrees(a: Reading, b: Reading) -> set[str]:
    words = set(a.degrees) | set(b.degrees)
    return {word for word in words if a.degrees[word] != b.degrees[word] and word not in english.LOOSE}


def _kinds(a: Reading, b: Reading) -> bool:
    return a.kind == b.kind or not (a.kind and b.kind) or "how" in (a.kind, b.kind)


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
    if Counter(one) == Counter(other):
        return "order"
    pairs_a, pairs_b = dict(a.directed), dict(b.directed)
    commutes = bool(english.COMMUTE & set(a.words) & set(b.words) & {"difference", "differ", "#distance"})
    if not commutes and any(pairs_a[word] != pairs_b[word] for word in pairs_a.keys() & pairs_b.keys()):
        return "order"
    shared = set(a.content) & set(b.content)
    line, turned = ([word for word in dict.fromkeys(r.content) if word in shared] for r in (a, b))
    passive = ("by" in a.words) != ("by" in b.words)
    if line == turned:
        return "order" if passive and len(line) > 2 and "who" not in (a.kind, b.kind) else None
    return None if passive or commutes or not (_reversed(line, turned) or _swapped(a, b)) else "order"


def _solid(one: Reading) -> list[str]:
    return [word for word in one.words if word not in _LIGHT]


def _reversed(one: Sequence[str], other: Sequence[str]) -> bool:
    """Do three words stand the other way round?"""
    at = {word: n for n, word in enumerate(other)}
    places = [at[word] for word in one]
    return any(places[n] > places[n + 1] > places[n + 2] for n in range(len(places) - 2))


def _swapped(a: Reading, b: Reading) -> bool:
    names = [name for name in a.names if name in b.names]
    return names != [name for name in b.names if name in a.names]
