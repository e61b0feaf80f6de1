"""Pure: one question, read into the parts by which `likeness` compares two; see there."""

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
        (r"^how (?:do|does|did) (.+) differ$", r"what is the difference between \1"),
        (r"^how (?:do|does|did) (.+) differ from (.+)$", r"what is the difference between \1 and \2"),
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
_ENGLISH: Final = english.FUNCTION | english.DIFFERENT | english.COMMANDS
_SYMBOL: Final = re.compile(r"[^\w\s.,;:?!'\"()$€£%°-]")
_PAST: Final = frozenset({"was", "were", "did", "had"})
_PRESENT: Final = frozenset({"is", "are", "do", "does", "am"})
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
    long: bool
    english: bool


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
    symbols = tuple(_SYMBOL.findall(plain.replace("#quoted", "").replace("#code", "")))
    raw = plain.split()
    names = _names(raw)
    forms = _folded(plain)
    said = _phrased(forms)
    words = _basics(said)
    numbers = _counted(words, plain)
    content, fillers = _content(words)
    return Reading(
        quoted=quoted, code=code, names=names, numbers=numbers, words=words,
        forms=frozenset(map(_day, forms)) | frozenset(names),
        content=content, fillers=fillers, kind=_kind(words), tense=_tense(said), modal=_modal(said), symbols=symbols,
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


def _unwrapped(words: list[str]) -> list[str]:
    """Take away `please`, `could you tell me`, and the like; `can you drive` stays, for it asks whether."""
    for opening in sorted(english.OPENINGS, key=len, reverse=True):
        parts = opening.split()
        rest = words[len(parts) :]
        wish = parts[-1] != "you" or (rest and rest[0] in english.WISHES)
        if words[: len(parts)] == parts and len(rest) > 1 and wish:
            return _unwrapped(rest)
    return words


def _phrased(forms: Sequence[str]) -> list[str]:
    words = _unwrapped(list(forms))
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
    """What is asked for: the first word tells, or the first question word."""
    if not words:
        return ""
    if words[0] in english.AUXILIARY:
        return "whether"
    for word in words:
        if word in ("who", "whom", "whose", "when", "where", "why", "how"):
            return "who" if word.startswith("who") else word
        if word in ("what", "which") or (word[:1] == "#" and word not in ("#quoted", "#code")):
            return "what"
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
