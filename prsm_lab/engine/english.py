"""Words of English questions, as `likeness` reads them: which say nothing, which say the same, which may not differ."""

from __future__ import annotations

from typing import Final


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _pairs(text: str) -> frozenset[tuple[str, str]]:
    found = (pair.split() for pair in text.split(";"))
    return frozenset((before, word) for before, word in found)


EMPTY: Final = _words(
    """
    a an the i you we they it me us them my your our their one ones
    am is are was were be been being do does did done doing have has had having will would shall
    of to in on at by for from with into onto as and or if whether that this these those there here it its so then
    what which who whom whose when where why how
    please hello hi hey thanks thank kindly just also really exactly actually
    can could may might should
    ever currently nowadays basically literally honestly somehow someone somebody anyone anybody properly correctly
    successfully effectively myself yourself itself themselves ourselves oneself because while #th
    """
)
"""Carry no meaning of their own that the rest of the question would not show; order and pairs are looked at apart."""

FUNCTION: Final = EMPTY - {"i", "a", "me", "on", "am", "an", "in", "do", "one", "so", "is"} | {"is", "in", "do"}
"""By these a text shows that it is English."""

AUXILIARY: Final = _words(
    "am is are was were do does did has have had will would can could may might should shall must"
)
"""With these a question of yes and no begins."""

LIGHT: Final = _words("a an the is are was were be been do does did has have had will would can could that")
"""Stand elsewhere in a question than in a statement, and nobody changes places by it."""

DIRECTED: Final = _words("from to into than by about minus before after against over")
"""Tell who is at which end."""

WISHES: Final = _words(
    """
    explain give write summarise summarize show list translate help tell describe suggest recommend create find make
    convert calculate compare name define compose draft rewrite
    """
)
"""After `can you` these are asked to be done."""

DIFFERENT: Final = _words(
    """
    #many #much #atleast #atmost #over #under #instead before after until since during against versus without
    not no never none neither nor cannot except unless
    about he she
    more less fewer most least over under above below all every each some any only both either always sometimes usually
    often rarely seldom many few several else other another same up down off out away again still already yet
    must like than beyond within between among per minus plus times divided both
    """
)
"""May neither be missing nor be added, though dictionaries of stop words have them."""

LOOSE: Final = _words("still already any each per between times by")
"""But these may."""

FILLERS: Final = _words(
    "person people place thing word country city number author team human scientist author mountain"
)
"""May be there or not right after `which` or `what`, where the question is the same without them."""

IMPLIED: Final = _pairs(
    """
    capital city; prime number; the novel; the book; the film; the equation; why happen; be located; is located;
    is possible; is allowed; is used; be allowed; i #safe; i #ok; i #allowed; i #legal; can #possible; human
    body; the acronym; the abbreviation; the word; the term; the phrase
    """
)
"""A first word after which the second may be there or not."""

COMMANDS: Final = _words("show list name give explain describe define calculate compute find solve what which")
"""With which a wish begins that `what is` says as well."""

AGENTS: Final = _words(
    "inventor discoverer founder designer architect director painter author owner winner composer singer"
)
"""Ask who."""

TOPICS: Final = _words(
    """
    python excel sql mysql git github bash linux javascript java pandas numpy windows mac macos ubuntu android iphone
    html css docker react word photoshop typescript php ruby rust kotlin swift matlab postgresql mongodb django
    """
)
"""In whose realm something is asked; where there is but one of them, it stands anywhere."""

SCOPED: Final = _words("not never no only all every some most without except")
"""What follows these must be the same."""

SMALL: Final = dict(
    pair.split()
    for pair in """
        zero 0, one 1, two 2, three 3, four 4, five 5, six 6, seven 7, eight 8, nine 9, ten 10, eleven 11, twelve 12,
        thirteen 13, fourteen 14, fifteen 15, sixteen 16, seventeen 17, eighteen 18, nineteen 19, twenty 20, thirty 30,
        forty 40, fifty 50, sixty 60, seventy 70, eighty 80, ninety 90, hundred 100, thousand 1000, million million,
        billion billion, dozen 12, half 1/2, first 1., second 2., third 3., fourth 4., fifth 5., sixth 6., seventh 7.,
        eighth 8., ninth 9., tenth 10., once 1x, twice 2x, thrice 3x, double double, triple triple, quarter 1/4
    """.strip()
    .replace("\n", ",")
    .replace(",,", ",")
    .split(",")
)

UNITS: Final = _words(
    """
    metre centimetre millimetre kilometre litre millilitre kilogram gram milligram mile foot inch pound ounce second_
    minute hour day week month year century dollar euro sterling yen percent point celsius fahrenheit kelvin mph kmh
    knot yard acre hectare pint gallon quart cup spoon ton tonne watt kilowatt volt am pm c f kb mb gb tb bit byte token
    word page degree square cubic b
    """
)
"""What a number counts; the pair of both must agree."""
