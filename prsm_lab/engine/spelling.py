"""Pure: how English words are spelled and inflected: British and American, shortened, mistyped, in their many forms."""

from __future__ import annotations

import functools
import re
from typing import Final


def _lines(text: str) -> dict[str, str]:
    """`word other other; word other`: each other stands for its word; `_` is a space."""
    found = (entry.split() for entry in text.replace("\n", ";").split(";") if entry.strip())
    return {form.replace("_", " "): word.replace("_", " ") for word, *forms in found for form in forms}


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


SHORT: Final = _lines("""
    what_is whats wats; how_is hows; where_is wheres; who_is whos; when_is whens; that_is thats; there_is theres
    do_not dont; does_not doesnt; did_not didnt; can_not cant cannot; will_not wont; is_not isnt aint; are_not arent
    was_not wasnt; were_not werent; could_not couldnt; should_not shouldnt; would_not wouldnt; has_not hasnt
    have_not havent; i_am im; i_have ive; you_are youre; they_are theyre; you u; your ur; with w/; without w/o
    versus vs vs. v.; please pls plz; thanks thx ty; because cuz coz; want_to wanna; going_to gonna; have_to gotta
    mount mt mt.; doctor dr dr.; approximately approx approx.; saint st.; and &; before b4; through thru
    until till til; email e-mail emails e-mails; wifi wi-fi; online on-line; percent per-cent; scifi sci-fi
    tshirt t-shirt; checkin check-in; regex regexp; kubernetes k8s; javascript js; typescript ts; database db
    operating_system os
""")
"""Words as people shorten them in writing, each with what it is short for; looked up whole, before anything else."""

_TYPED: Final = _lines("""
    receive recieve recive; definitely definately definitly; separate seperate; occur ocurr; occurred occured
    address adress; calendar calender; which wich; the teh; because becuase becasue; beginning begining
    believe beleive; business buisness busness; difference diffrence differance; different diffrent
    environment enviroment; government goverment; grammar grammer; height heigth hieght; immediately immediatly
    language langauge languge; library libary; maintenance maintainance; necessary neccessary necesary
    neighbor nieghbor; occasion occassion; password pasword passwrod; people poeple; possible posible
    probably probly; pronunciation pronounciation; python pyhton phyton; recommend reccomend recomend
    restaurant restaraunt resturant; rhythm rythm; schedule shedule; successful succesful sucessful
    temperature temprature temperture; tomorrow tommorow tommorrow; until untill; weird wierd; writing writting
    would woud; with wiht; how hwo; what waht wat; does deos; your yuor; capital captial; symptom symtom
    symptoms symtoms; diabetes diabetis; pressure presure; function fucntion funtion; install instal; vacuum vaccum
    embarrass embarass; knowledge knowlege; license lisence; mortgage morgage; medicine medecine
    exercise excercise exersize; interest intrest; account acount; computer computor; delete delet
""")
"""Words as they are often mistyped; none of the wrong forms is a word."""

_BRITISH: Final = _lines("""
    gray grey; mold mould; plow plough; tire tyre; check cheque; program programme; aluminum aluminium
    pajamas pyjamas; skeptic sceptic; cozy cosy; license licence; defense defence; offense offence
    practice practise; curb kerb; mustache moustache; donut doughnut; yogurt yoghurt; omelet omelette; aging ageing
    judgment judgement; mom mum; inquiry enquiry; airplane aeroplane; center centre; theater theatre; fiber fibre
    caliber calibre; odor odour; jewelry jewellery; fulfill fulfil; enroll enrol; skillful skilful; anemia anaemia
    estrogen oestrogen; fetus foetus; diarrhea diarrhoea; pediatric paediatric; pediatrician paediatrician
    orthopedic orthopaedic; leukemia leukaemia; encyclopedia encyclopaedia; gynecologist gynaecologist
    maneuver manoeuvre; catalog catalogue; dialog dialogue; analog analogue; analyze analyse; paralyze paralyse
    draft draught; molt moult; smolder smoulder; artifact artefact; while whilst; among amongst; learned learnt
    burned burnt; dreamed dreamt; spelled spelt; spoiled spoilt; toward towards
""")
"""British spellings that no rule tells."""

_IRREGULAR: Final = _lines("""
    make made making; win won; write wrote written writing; speak spoken spoke; buy bought; sell sold; go went gone
    come came; fall fell fallen; rise rose risen; build built; begin began begun; pay paid; say said; teach taught
    take taken took taking; give gave given giving; know knew known; grow grew grown; sink sank sunk; run ran
    eat ate eaten; drink drank drunk; drive drove driven driving; fly flew flown; forget forgot forgotten
    get got gotten; hold held; keep kept; lose lost; mean meant; meet met; send sent; show shown; sleep slept
    spend spent; stand stood; swim swam swum; think thought; tell told; wear wore worn; child children; man men
    woman women; mouse mice; tooth teeth; goose geese; person people persons; bacterium bacteria; bleed bled
    beat beaten; choose chosen chose; break broke; die died dying dies; lie lying lies; tie tying tied ties
    use using used; differ differs differing differed; largest biggest; occur occurs; highest tallest
    fastest quickest; change changing changed; remove removing; delete deleting; live living lived lives
    leave leaving; cause caused causing; match matches; sing sang sung; throw threw thrown; check checks
    wolf wolves; leaf leaves; knife knives; wife wives; shelf shelves; loaf loaves; steal stole stolen; catch caught
    bring brought; feel felt; hide hid hidden; hear heard; draw drew drawn; see saw seen; shrink shrank shrunk
    ring rang rung; wake woke woken; freeze froze frozen; feed fed; lend lent; stick stuck; hang hung; sit sat
    shoot shot; bite bitten; blow blew blown; ride rode ridden; sew sewn; deal dealt; dig dug; index indices
    analysis analyses; crisis crises; foot feet; bus buses; lens lenses; cactus cacti; cache caches; ache aches
    axis axes; potato potatoes; tomato tomatoes; hero heroes; vertex vertices; matrix matrices
""")
"""Each form of an irregular word, and of some that a rule would cut wrongly."""

_KEPT: Final = _words("""
    glasses goods customs news shorts clothes pants spirits arms odds savings always paste series species
    physics mathematics maths politics economics during something anything nothing everything string spring
    ceiling evening morning wedding interesting boring red bed need feed speed seed weed bleed breed hundred
    sacred embed jeans christmas pandas windows kubernetes postgres chess gas bus bias texas kansas paris herpes
    diabetes
""")
"""Look like a form of another word and are not."""

_SILENT: Final = re.compile(r"[^aeiou]*[aeiou][^aeiouwxy]")
"""What is left of `baking`, and of no word that would double its last letter."""

_VOWEL: Final = re.compile(r"[aeiouy]")

_RULES: Final = tuple(
    (re.compile(pattern), said)
    for pattern, said in (
        (r"(?<=\w{3})is(e[ds]?|ing|ers?|ations?)$", r"iz\1"),
        (r"(?<=[a-z]{3})our(s|ed|ing|ful|ite|ites|able|hood|hoods|less)?$", r"or\1"),
        (r"^(?!enr)([a-z]*[aeiou][a-z]*[eo])ll(ed|ing|ers?)$", r"\1l\2"),
    )
)


def spelled(word: str) -> str:
    """Return the one spelling of a word that has several.

    >>> [spelled(word) for word in ("colours", "organise", "travelling", "mould", "hour")]
    ['colors', 'organize', 'traveling', 'mold', 'hour']
    """
    word = _TYPED.get(word, word)
    if word in _BRITISH:
        return _BRITISH[word]
    if word[-1:] == "s" and word[:-1] in _BRITISH:
        return _BRITISH[word[:-1]] + "s"
    if len(word) > 5:
        for pattern, said in _RULES:
            word = pattern.sub(said, word)
    return word


@functools.lru_cache(maxsize=8192)
def stem(word: str) -> str:
    """Return what the forms of a word share.

    >>> {stem("bake"), stem("bakes"), stem("baked"), stem("baking")}, stem("cars") == stem("caring")
    ({'bake'}, False)
    """
    word = spelled(word)
    word = _IRREGULAR.get(word, word)
    if word in _KEPT:
        return word
    if word.endswith("ies") and len(word) >= 5:
        return word[:-3] + "y"
    if word.endswith(("ches", "shes", "sses", "xes")):
        return word[:-2]
    if word.endswith("s") and not word.endswith(("ss", "us", "is")) and len(word) > 3:
        word = word[:-1]
        word = _IRREGULAR.get(word, word)
    if word not in _KEPT:
        for ending, least in (("ing", 5), ("ied", 5), ("ed", 4)):
            if word.endswith(ending) and len(word) >= least and _VOWEL.search(word[: -len(ending)]):
                return _cut(word[: -len(ending)] + ("y" if ending == "ied" else ""))
    return _bare(word)


def _cut(left: str) -> str:
    doubled = len(left) > 3 and left[-1] == left[-2]
    if doubled and left[-1] not in "lsfz":
        return left[:-1]
    return _bare(left + "e" if not doubled and _SILENT.fullmatch(left) else left)


def _bare(word: str) -> str:
    """Without an `e` at the end that other forms lose."""
    if word.endswith("ie") and len(word) > 4:
        return word[:-2] + "y"
    if len(word) > 4 and word.endswith("e") and not _SILENT.fullmatch(word[:-1]):
        return word[:-1]
    return word
