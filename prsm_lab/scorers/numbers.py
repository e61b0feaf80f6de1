r"""The number that an answer ends with.

What is read, and how it is decided where a text can be read in several ways:

    1,234.50  1 234.5  1_000  1'000  12,34,567     thousands separators, also LaTeX's `{,}`; the last group has three
                                                  digits: `12,5` is two numbers (`Numeric(decimal=",")` reads 12.5)
    1.234,5  1.234.567                             can only be the other convention, and is read so
    -5  −5  –5  -$5  negative 5                    signs; a dash between digits (`3–4`) is a range
    3-4  2024-01-05  GPT-4                         a hyphen may be a minus or not: either sign is right
    1e3  1.5×10^3  10^6  2·10⁻³                    powers of ten; no other sum is worked out
    1/2  2 1/2  ½  2½  \frac{1}{2}                 fractions; `12/25/2024` is none
    5%  5 percent  3 million  2.5k  3 dozen        either 5 or 0.05 is right, unless the reference has a unit of the
                                                  same kind, which must then agree
    12 km  room 12B  5 m²  $5  7.                  units and marks are passed over
    A4  H2O  Q3                                    digits after a letter belong to a name; read only if nothing else is
    \boxed{7}, in 3 steps                          what is boxed is the answer
    twelve  3:45  0x1F                             words, times and other bases are not read as what they are
"""

from __future__ import annotations

import functools
import math
import re
import unicodedata
from typing import Any, ClassVar, Final, Literal, NamedTuple

from prsm_lab import checks
from prsm_lab.scorers.scorer import Compared

TOLERANCE: Final = 1e-6
_BLANK: Final = " \N{NO-BREAK SPACE}\N{THIN SPACE}\N{NARROW NO-BREAK SPACE}"
_BOXED: Final = re.compile(r"\\f?boxed\s*\{((?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*)\}")
_SUPERSCRIPT: Final = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
_SCALES: Final = {
    "%": 0.01, "percent": 0.01, "per cent": 0.01, "dozen": 12.0, "hundred": 1e2, "thousand": 1e3, "k": 1e3,
    "million": 1e6, "m": 1e6, "mn": 1e6, "billion": 1e9, "b": 1e9, "bn": 1e9, "trillion": 1e12,
}  # fmt: skip


class Quantity(NamedTuple):
    """A number as it is written."""

    value: float
    scale: float = 1.0
    """What `%`, `million`, `k` … multiply it by."""
    dash: bool = False
    """Whether its minus may be a mere hyphen."""


@functools.cache
def _pattern(decimal: str) -> re.Pattern[str]:
    """What a number looks like, with this sign before its decimals."""
    point, comma = (r"\.", ",") if decimal == "." else (",", r"\.")
    grouped = rf"\d{{1,3}}(?P<gap>[{comma}{_BLANK}_'’]|\\,|\{{,\}})\d{{3}}(?:(?P=gap)\d{{3}}){{0,9}}(?!\d)"
    indian = rf"\d{{1,2}}(?:{comma}\d\d){{1,9}}{comma}\d{{3}}(?!\d)"
    other = (
        rf"\d{{1,3}}(?:{point}\d{{3}}){{1,9}}{comma}(?!\d{{3}}(?!\d))\d+"
        rf"|\d{{1,3}}(?:{point}\d{{3}}){{2,9}}(?!{point}?\d)"
    )
    power = r"10(?:(?:\^|\*\*)\{?(?P<%s>[-−+]?\d{1,4})\}?|(?P<%s>[⁻⁺]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+))"
    times = rf"\s?(?:[×x*·⋅]|\\times|\\cdot)\s?{power % ('tens', 'tenth')}"
    return re.compile(
        rf"(?=[-−–－+n$€£¥₹\d.,¼-¾⅐-⅞\\])"  # most signs begin no number
        rf"(?P<sign>[-−–－+]|\bnegative )?(?:[$€£¥₹]\s?)?(?:"
        rf"(?:(?P<w1>\d+)\s?)?\\[dt]?frac\s?\{{(?P<n1>\d+)\}}\s?\{{(?P<d1>0*[1-9]\d*)\}}"
        rf"|(?<![\d/⁄.,])(?:(?P<w2>\d+) )?(?P<n2>\d+)[/⁄](?P<d2>0*[1-9]\d*)(?![.,]?\d)"
        rf"|(?:(?P<w3>\d+)\s?)?(?P<vulgar>[¼-¾⅐-⅞])"
        rf"|(?<![\d.,]){power % ('power', 'powered')}"
        rf"|(?:(?P<other>{other})"
        rf"|(?P<plain>(?:{indian}|{grouped}|\d+)(?:{point}\d+)?|(?<![\w.,]){point}\d+)(?P<e>[eE][-+]?\d+)?)(?:{times})?"
        rf")(?:\s?(?P<percent>\\?%|(?i:per ?cent)\b)"
        rf"|[ -]?(?P<word>(?i:dozen|hundred|thousand|million|billion|trillion))s?\b|(?P<letter>[kKMB]|bn|mn)\b)?"
    )


def quantity(text: str, decimal: str = ".") -> Quantity | None:
    """Return the last number in a text as it is written, or of what is boxed in it; None if there is none.

    Args:
        text: What was said; the module says what is read.
        decimal: The sign before decimals, `.` or `,`.

    >>> quantity("12 apples, so 1,234.5 in all."), quantity("about 5%")
    (Quantity(value=1234.5, scale=1.0, dash=False), Quantity(value=5.0, scale=0.01, dash=False))
    """
    boxed = _BOXED.findall(text) if "boxed" in text else ()
    last = named = None
    for found in _pattern(decimal).finditer(boxed[-1] if boxed else text):
        before = found.string[found.start() - 1 : found.start()]
        if before.isascii() and before.isalpha() and found["sign"] is None:
            named = found
        else:
            last = found
    chosen = last or named
    if chosen is not None:
        return _read(chosen, decimal)
    return quantity(text.replace("boxed", ""), decimal) if boxed else None


def number(text: str) -> float | None:
    """Return the last number in a text as it is written, thousands separators understood; None if there is none.

    >>> number("12 apples, so 1,234.5 in all.")
    1234.5
    """
    found = quantity(text)
    return None if found is None else found.value


def _read(found: re.Match[str], decimal: str) -> Quantity:
    size = _size(found, decimal)
    before = found.string[found.start() - 1 : found.start()]
    sign, glued = found["sign"], before.isalnum() or before in (")", "]", "%")
    minus = sign is not None and sign != "+" and not (sign == "–" and glued)
    unit = found["percent"] or found["word"] or found["letter"]
    scale = 1.0 if unit is None else _SCALES[unit.removeprefix("\\").lower().replace("per cent", "percent")]
    return Quantity(-size if minus else size, scale, dash=minus and sign != "−" and before != "" and glued)


def _size(found: re.Match[str], decimal: str) -> float:
    """Without its sign."""
    for whole, top, bottom in (("w1", "n1", "d1"), ("w2", "n2", "d2")):
        if found[top] is not None:
            return float(found[whole] or 0) + float(found[top]) / float(found[bottom])
    if found["vulgar"] is not None:
        return float(found["w3"] or 0) + unicodedata.numeric(found["vulgar"])
    if (power := found["power"] or found["powered"]) is not None:
        return _ten(power)
    point, comma = (".", ",") if decimal == "." else (",", ".")
    if found["other"] is not None:
        size = float(found["other"].replace(point, "").replace(comma, "."))
    else:
        digits = re.sub(rf"[{comma}{_BLANK}_'’\\{{}}]", "", found["plain"]).replace(point, ".")
        size = float(digits + (found["e"] or ""))
    tens = found["tens"] or found["tenth"]
    return size if tens is None else size * _ten(tens)


def _ten(power: str) -> float:
    return float(f"1e{int(power.translate(_SUPERSCRIPT).replace('−', '-'))}")


class Numeric(Compared, frozen=True):
    """1 where the last number of the answer is the reference, within a tolerance; the module says what is read.

    Args:
        rel_tol: Share of the larger of the two that they may differ by.
        abs_tol: What they may differ by, however small they are.
        decimal: The sign before decimals in answers and in references that are text, `.` or `,`.

    Raises:
        InvalidRequestError: If a tolerance is negative, or `decimal` neither sign.

    >>> Numeric()("That makes $1,234.50 in all.", 1234.5), Numeric(rel_tol=0.01)("about 3.15", "3.14")
    (True, True)
    """

    name: ClassVar[str] = "numeric"
    rel_tol: float = TOLERANCE
    abs_tol: float = TOLERANCE
    decimal: Literal[".", ","] = "."

    def __post_init__(self) -> None:
        """Check the options."""
        for given, parameter in ((self.rel_tol, "rel_tol"), (self.abs_tol, "abs_tol")):
            if checks.number(given, parameter, low=0) is None:
                raise checks.wrong(parameter, "number", given, "it is None")
        if self.decimal not in (".", ","):
            raise checks.wrong("decimal", "'.' or ','", self.decimal)

    def one(self, response: str, reference: Any) -> bool:
        """Compare with one reference."""
        wanted = self._wanted(reference)
        got = quantity(response, self.decimal)
        if got is None:
            return False
        values = (got.value, -got.value) if got.dash else (got.value,)
        return any(self._agree(got._replace(value=value), wanted) for value in values)

    def _wanted(self, reference: Any) -> Quantity:
        if not isinstance(reference, str) and hasattr(reference, "__float__"):
            return Quantity(float(reference))
        wanted = quantity(str(reference), self.decimal)
        if wanted is None:
            raise ValueError(f"the reference {str(reference)[:100]!r} holds no number")
        return wanted

    def _agree(self, got: Quantity, wanted: Quantity) -> bool:
        """Units of one kind must agree; where only one side has a unit, it may be left out."""
        if self._close(got.value * got.scale, wanted.value * wanted.scale):
            return True
        return 1.0 in (got.scale, wanted.scale) and self._close(got.value, wanted.value)

    def _close(self, one: float, other: float) -> bool:
        return math.isclose(one, other, rel_tol=self.rel_tol, abs_tol=self.abs_tol)


def numeric(response: str, reference: Any) -> bool:
    """Is the last number of the answer the reference, within a millionth?

    Raises:
        ValueError: If the reference holds no number.

    >>> numeric("so 3 in all", "3.0")
    True
    """
    return Numeric().one(response, reference)
