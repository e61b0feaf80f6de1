"""Pure: one question, read into the parts by which `likeness` compares two; see there."""

from __future__ import annotations

import functools
import re
from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

from prsm_lab.engine import english, phrasing, spelling, synonyms

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_WORDS: Final = 120
"""An embedder sees 256 tokens: of a longer text it says nothing about the rest."""

_QUOTES: Final = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "´": "'"})
_QUOTED: Final = re.compile(r"```(.+?)```|`([^`]+)`|\"([^\"]+)\"|(?<![\w])'([^']+(?:'\w[^']*)*)'(?!\w)", re.DOTALL)
_CODE: Final = re.compile(
    r"(?<!\S)(?:[^\s]*[_(){}\[\]<>=\\|@#~^*][^\s]*|[A-Za-z]\w*(?:\.[A-Za-z]\w*){1,}(?:\(\))?|[A-Za-z]{1,2}(?:\+\+|#)"
    r"|--?[A-Za-z][\w-]*|[a-z]+[A-Z]\w*[\d_]\w*|/[\w/.-]+|[-+*/^=](?=\s))"
)
_NUMBER: Final = r"[-+]?\d+(?:[.,:/-]\d+)*"
_TOKEN: Final = re.compile(rf"[$€£]|(?<![\w]){_NUMBER}|(?<=\D){_NUMBER}|%|°[cf]|#?[^\W\d_]+(?:/h)?|\d+")
_SHORTENED: Final = (
    (re.compile(r"\bcan't\b"), "can not"), (re.compile(r"\bwon't\b"), "will not"), (re.compile(r"n't\b"), " not"),
    (re.compile(r"\b(what|who|where|when|how|why|that|it|there|here|he|she)'s\b"), r"\1 is"),
    (re.compile(r"'re\b"), " are"), (re.compile(r"'d\b"), " would"), (re.compile(r"'ll\b"), " will"),
    (re.compile(r"'ve\b"), " have"), (re.compile(r"\bi'm\b"), "i am"), (re.compile(r"'s\b|s'(?=\s|$)"), ""),
)  # fmt: skip
_LANDS: Final = re.compile(
    r"\b(?:U\.S\.(?:A\.)?|USA?|[Uu]nited [Ss]tates(?: of America)?|U\.K\.|UK|United Kingdom)(?!\w)"
)
_ASIDE: Final = re.compile(r"(?<=\s)\(([A-Za-z][A-Za-z ,'-]*)\)(?=[\s.,;:?!]|$)")
_DASH: Final = re.compile(r"(?<=[^\W\d]{2}) [-–—] (?=[^\W\d]{2})|\s*[–—]\s*")
_DASHES: Final = frozenset("-–—")
_CAMEL: Final = re.compile(r"\b[a-z]+[A-Z][A-Za-z]*\b")
_ROMAN: Final = re.compile(r"(?:X{0,3})(?:IX|IV|V?I{1,3}|V|X)")
_ENGLISH: Final = english.FUNCTION | english.DIFFERENT | english.COMMANDS
_SYMBOL: Final = re.compile(r"[^\w\s.,;:?!'\"()$€£%°-]")
_PAST: Final = frozenset({"was", "were", "did", "had"})
_PRESENT: Final = frozenset({"is", "are", "do", "does", "am"})
_WRITTEN: Final = re.compile(r"[\w']+")
_WRAPS: Final = 4
_POSSESSIVE: Final = re.compile(r"'s$|'$|'m$|'ve$|'d$|'ll$")
_NO_NAMES: Final = frozenset({"", "ok", "i", "please", "thanks", "hi", "hello", "hey", "pls"})
_NO_MEASURES: Final = frozenset({"#quoted", "#code", "#th", "#over", "#under", "#atleast", "#atmost", "#instead"})
_LETTERS: Final = re.compile(
    r"\b(?:spel[lt]|typo|mis-?spel|proof-?read|grammar|capitali[sz]|hyphen|syllable)"
    r"|^(?:\w+ ){0,3}(?:fix|correct|rewrite|rephrase|paraphrase|edit|translate|improve|shorten|check)\b[^:]{0,40}:"
)
"""Here the letters themselves are asked about."""
_MODALS: Final = {"can": "can", "could": "can", "may": "can", "might": "can", "should": "should"}


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
    said: tuple[str, ...]
    """All words in the forms in which they stand, turns of phrase brought to one."""
    letters: tuple[str, ...]
    """Where the letters matter, all words as they were written."""
    forms: frozenset[str]
    """All words as they stand."""
    content: tuple[str, ...]
    fillers: frozenset[int]
    """Positions in `content` of words that may be left out."""
    degrees: Counter[str]
    kind: str
    """who, when, where, why, how, what; `whether` of yes and no; nothing where it is no question."""
    tense: str
    """past, present, future; nothing where no auxiliary shows it."""
    modal: str
    directed: frozenset[tuple[str, str]]
    """Words of direction, each with the next word that carries meaning."""
    symbols: tuple[str, ...]
    small: bool
    """Without capitals, so that names cannot be told."""
    long: bool
    english: bool


@functools.lru_cache(maxsize=4096)
def read(text: str) -> Reading:
    """Read one text.

    >>> read("Convert 5 km to miles.").numbers
    (('5', 'kilometre'),)
    """
    plain = text.translate(_QUOTES)
    folded = plain.casefold()
    letters = tuple(_WRITTEN.findall(folded)) if _LETTERS.search(folded) else ()
    quoted = tuple(" ".join(next(filter(None, found)).split()) for found in _QUOTED.findall(plain))
    plain = _QUOTED.sub(" #quoted ", plain)
    plain = _cleaned(plain)
    code = tuple(found.rstrip(".,;:?!") for found in _CODE.findall(plain) if found != "#quoted")
    plain = _CODE.sub(lambda found: found[0] if found[0] == "#quoted" else " #code ", plain)
    symbols = tuple(_SYMBOL.findall(plain.replace("#quoted", "").replace("#code", "")))
    raw = plain.split()
    names = _names(raw)
    forms = _folded(plain)
    said = _phrased(forms)
    words = _basics(said)
    numbers = _counted(words, plain)
    content, fillers = _content(words)
    return Reading(
        quoted=quoted, code=code, names=names, numbers=numbers, words=words, said=tuple(said), letters=letters,
        forms=frozenset(map(_day, forms)) | frozenset(names), content=content, fillers=fillers, kind=_kind(words),
        tense=_tense(said), modal=_modal(said), symbols=symbols, directed=_directions(words),
        degrees=Counter(word for word in words if word in english.DIFFERENT),
        small=text.casefold() == text, long=len(raw) > MOST_WORDS,
        english=len(raw) <= 2 or not _ENGLISH.isdisjoint(forms) or not _ENGLISH.isdisjoint(folded.split()),
    )  # fmt: skip


# ------------------------------------------------------------------------------------------------- reading


def _cleaned(plain: str) -> str:
    """Countries in one spelling; words in brackets, and after a dash, as what they are: words."""
    plain = _LANDS.sub(lambda found: "UK" if "K" in found[0] else "USA", plain)
    if "(" in plain:
        plain = _ASIDE.sub(r"\1", plain)
    return _DASH.sub(", ", plain) if not _DASHES.isdisjoint(plain) else plain


def _folded(plain: str) -> list[str]:
    """The words as they stand, after wrappings are taken away and turns of phrase brought to one."""
    text = plain.casefold()
    if "'" in text:
        for shortened, whole in _SHORTENED:
            text = shortened.sub(whole, text)
    text = " ".join(map(_written_out, text.split())).rstrip(" .?!,;:")
    text = _unwrapped(text)
    aside = phrasing.ASIDE.match(text)
    if aside:
        text = f"{_unwrapped(aside[2])} {_unwrapped(aside[1])}"
    for sign, pattern, said in phrasing.SAID:
        if sign in text:
            text = pattern.sub(said, text)
    return _TOKEN.findall(text)


def _written_out(word: str) -> str:
    bare = word.rstrip(",;:.?!")
    whole = spelling.SHORT.get(bare)
    return word if whole is None else whole + word[len(bare) :]


def _unwrapped(text: str) -> str:
    """Take away `please`, `could you tell me`, and the like; `can you drive` stays, for it asks whether."""
    for _ in range(_WRAPS):
        rest = phrasing.OPENING.sub("", text)
        if rest.rpartition(" ")[2] in phrasing.LAST:
            rest = phrasing.CLOSING.sub("", rest)
        if rest == text or " " not in rest:
            break
        text = rest
    return text


def _names(raw: Sequence[str]) -> tuple[str, ...]:
    found: list[str] = []
    begins, shouted = True, not any(word.islower() for word in raw)
    for word in raw:
        bare = word.strip("\"'.,;:?!()")
        folded = _POSSESSIVE.sub("", bare.casefold())
        loud = len(bare) > 1 and bare.isupper() and bare.isalpha() and not shouted
        capital = (bare[:1].isupper() and not begins) or _CAMEL.fullmatch(bare)
        if (loud or (capital and folded not in english.EMPTY)) and folded not in _NO_NAMES:
            found += spelling.SHORT.get(folded, _day(folded)).split()
        begins = word.endswith((".", "?", "!", ":"))
    return tuple(found)


def _day(name: str) -> str:
    """Sundays are as Sunday is."""
    return name.removesuffix("s") if name.endswith("days") else name


def _phrased(words: Sequence[str]) -> list[str]:
    made: list[str] = []
    at, end = 0, len(words)
    while at < end:
        ways = phrasing.PHRASES.get((words[at], words[at + 1])) if at + 1 < end else None
        for way, said in ways or ():
            if words[at : at + len(way)] == way:
                made += said
                at += len(way)
                break
        else:
            made += phrasing.SINGLE.get(words[at], (words[at],))
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
    if word in synonyms.SAME:
        return synonyms.SAME[word]
    if word in english.EMPTY or word in english.DIFFERENT or word in english.SMALL or word[:1] == "#":
        return word
    stem = spelling.stem(word)
    return _stems().get(stem, stem)


@functools.cache
def _stems() -> dict[str, str]:
    return {spelling.stem(word): said for word, said in synonyms.SAME.items() if word[:1] != "#"}


def _counted(words: Sequence[str], plain: str) -> tuple[tuple[str, str], ...]:
    found = [("roman", bare) for bare in re.findall(r"\b[A-Z]+\b", plain) if len(bare) > 1 and _ROMAN.fullmatch(bare)]
    for n, word in enumerate(words):
        value = word.replace(",", "") if word[:1].isdigit() or word[:1] in "-+" else english.SMALL.get(word)
        if value is None or (word == "one" and not _is_number(words, n)):
            continue
        after = [one for one in words[n + 1 : n + 3] if one != "degree"][:1]
        before = words[n - 1] if n and words[n - 1] in ("dollar", "euro", "sterling") else ""
        if words[n + 1 : n + 2] == ("#th",):
            value += "."
        found.append((value, before or (after[0] if after and after[0] in _units() else "")))
    return tuple(found)


def _is_number(words: Sequence[str], n: int) -> bool:
    """Does this `one` count something?"""
    after = words[n + 1] if n + 1 < len(words) else "of"
    return after not in english.EMPTY and (n == 0 or words[n - 1] not in ("should", "can", "do", "must", "may", "the"))


@functools.cache
def near_words() -> frozenset[tuple[str, str]]:
    """Pairs of basic forms that say the same where all else agrees."""
    return frozenset((_basic(one), _basic(other)) for one, other in synonyms.NEAR)


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
    """What is asked for: the first word tells, or the first question word."""
    if not words:
        return ""
    if words[0] in english.AUXILIARY or words[0] in ("if", "whether"):
        return "whether"
    for word in words:
        if word in ("who", "whom", "whose", "when", "where", "why", "how"):
            return "who" if word.startswith("who") else word
        if word in ("what", "which") or (word[:1] == "#" and word not in _NO_MEASURES):
            return "how" if "how" in words else "what"
    return ""


def _tense(words: Sequence[str]) -> str:
    if any(word in ("will", "shall") for word in words):
        return "future"
    if any(word in _PAST for word in words):
        return "past"
    return "present" if any(word in _PRESENT for word in words) else ""


def _modal(words: Sequence[str]) -> str:
    return next((_MODALS[word] for word in words if word in _MODALS), "")


def _directions(words: Sequence[str]) -> frozenset[tuple[str, str]]:
    found = set()
    for n, word in enumerate(words):
        if word in english.DIRECTED or word in english.SCOPED:
            after = next((one for one in words[n + 1 : n + 5] if one not in english.EMPTY), None)
            if after is not None:
                found.add((word, after))
    return frozenset(found)
