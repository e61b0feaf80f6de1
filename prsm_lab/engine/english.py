"""Words of English questions, as `likeness` reads them: which say nothing, which say the same, which may not differ."""

from __future__ import annotations

from typing import Final


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _groups(text: str) -> dict[str, str]:
    """Each word of a line stands for the line's first."""
    return {word: line.split()[0] for line in text.strip().splitlines() for word in line.split()}


EMPTY: Final = _words(
    """
    a an the i you we they he she it me us them my your our their one ones
    am is are was were be been being do does did done doing have has had having will would shall
    of to in on at by for from with into onto as about and or if whether that this these those there here it its so then
    what which who whom whose when where why how
    please hello hi hey thanks thank kindly just also really exactly actually
    can could may might should
    """
)
"""Carry no meaning of their own that the rest of the question would not show; order and pairs are looked at apart."""

FUNCTION: Final = EMPTY - {"i", "a", "me", "on", "am", "an", "in", "do", "one", "so", "is"} | {"is", "in", "do"}
"""By these a text shows that it is English."""

OPENINGS: Final = tuple(
    """
    can you tell me|could you tell me|can you please|could you please|would you please|do you know|can you|could you
    i would like to know|i would like to|i want to know|i want to|i need to know|tell me|let me know|please|show me how to
    """.strip().replace("\n", "|").split("|")
)  # fmt: skip
"""How a wish is wrapped; at the beginning only."""

PHRASES: Final = {
    "how come": "why", "what time": "when", "at what time": "when", "in which year": "when", "in what year": "when",
    "what year": "when", "which year": "when", "on what date": "when", "what date": "when", "for what reason": "why",
    "what is the reason": "why", "what is the reason that": "why", "what are the reasons": "why",
    "which person": "who", "what person": "who", "what number of": "#many", "what is the number of": "#many",
    "which number of": "#many", "what amount of": "#much", "which amount of": "#much",
    "how high": "#height", "how tall": "#height", "how heavy": "#weight",
    "how deep": "#depth", "how old": "#age", "how big": "#size", "how large": "#size", "how fast": "#speed",
    "how far": "#distance", "how long": "#length", "how wide": "#width", "how often": "#often",
    "get rid of": "remove", "turn on": "enable", "switch on": "enable", "turn off": "disable", "switch off": "disable",
    "is it possible to": "can", "am i allowed to": "can", "is it allowed to": "can", "are you able to": "can",
    "what makes": "why", "what causes": "why", "what caused": "why", "is it ok to": "can", "is it okay to": "can",
    "tell if": "check if", "tell whether": "check if", "know if": "check if", "count as": "is",
    "another word for": "synonym of", "how many people live in": "population of", "how many": "#many",
    "how many inhabitants are there in": "population of", "how much": "#much", "who is the author of": "who write",
    "who was the author of": "who write", "which author": "who", "which writer": "who", "what author": "who",
    "at least": "#atleast", "at most": "#atmost", "no more than": "#atmost", "no less than": "#atleast",
    "more than": "#over", "less than": "#under", "fewer than": "#under", "in order to": "to", "instead of": "#instead",
    "pros and cons": "advantage disadvantage", "set up": "setup", "find out": "check", "log in": "login",
    "sign in": "login", "stand for": "mean", "as opposed to": "versus", "per day": "a day", "each day": "a day",
    "what is the meaning of": "what mean", "what is the definition of": "what mean", "give me the definition of": "what mean",
    "what is meant by": "what mean", "what are the steps to": "how", "what are the steps for": "how", "what steps": "how",
    "what is the best way to": "how", "what is the right way to": "how", "what is the way to": "how",
    "what is the way from": "how get from", "what is a good way to": "how", "what is the process for": "how",
    "what is the procedure for": "how", "what is the command to": "how", "what do i have to do to": "how",
    "what do i need to do to": "how", "what must i do to": "how", "what should i do to": "how", "what can i do to": "how",
    "what is the formula for": "how calculate", "need to": "must", "needs to": "must", "have to": "must",
    "has to": "must", "had to": "must", "die out": "#extinct", "top speed": "#speed", "right time": "when",
    "best time": "best when", "what is the best time": "when best", "when is the best time": "when best",
    "when is the right time": "when", "what is the right time": "when", "how do i go about": "how", "work out": "calculate",
}  # fmt: skip
"""Said in several words; the longest first. `#` marks what no text says by itself."""

SAME: Final = _groups(
    """
    buy purchase
    large big huge biggest
    small little tiny
    fast quick rapid
    quickly rapidly
    begin start commence
    end finish
    show display list name give
    explain describe
    calculate compute
    remove delete erase
    fix repair
    pick choose select
    build construct
    phone telephone
    picture photo image
    film movie
    bike bicycle
    package parcel
    car
    child kid
    doctor physician
    gift present
    mistake error
    invoice bill
    answer reply response
    allow permit
    required necessary must need
    money cash
    job occupation
    #height height
    #weight weight weigh
    #depth depth
    #age age
    #size size
    #speed speed
    #distance distance
    #length length lifespan
    #width width
    price cost
    advantage benefit pro
    disadvantage drawback con
    symptom sign
    difference differ
    difficult hard
    easy simple
    mean meaning definition define
    purpose use
    autumn fall_
    colour color
    favourite favorite
    summarise summarize summary summarised
    organise organize
    metre meter m
    centimetre centimeter cm
    millimetre millimeter mm
    kilometre kilometer km
    litre liter l
    millilitre milliliter ml
    kilogram kilo kg kilogramme
    gram g gramme
    milligram mg
    mile mi
    foot feet ft
    inch in_
    pound lb
    ounce oz
    second_ s sec secs
    minute min mins
    hour h hr hrs
    dollar usd $
    euro eur €
    sterling gbp £
    percent % percentage
    celsius centigrade °c
    fahrenheit °f
    mph
    kmh km/h kph
    write compose
    opposite antonym
    invent inventor
    discover discoverer
    found founder
    design designer architect
    direct director
    paint painter
    own owner
    win winner
    happen occur
    located situated
    ingredient component
    parent
    usa us america
    uk britain
    maximum max
    minimum min_
    cheap inexpensive
    happy glad
    ill sick
    safe safely
    quit exit leave
    contact reach
    customer_support customer_service
    shut close
    opening open
    spouse
    replace substitute
    forbidden prohibited
    identical same
    rubbish garbage trash
    holiday vacation
    flat_ apartment
    petrol gasoline
    lift_ elevator
    cook recipe
    current present_
    method technique
    total overall
    text message
    """
)
"""Words of a line say the same; those before which a word must stand are told apart by an underscore."""

DIFFERENT: Final = _words(
    """
    #many #much
        before after until since during against versus without not no never none neither nor cannot except unless
    more less fewer most least over under above below all every each some any only both either always sometimes usually
    often rarely seldom many few several else other another same up down off out away again still already yet
    must like than beyond within between among per minus plus times divided both
    #atleast #atmost #over #under #instead
    """
)
"""May neither be missing nor be added, though dictionaries of stop words have them."""

LOOSE: Final = _words("up out still again already any each per between times both")
"""But these may."""

FILLERS: Final = _words("person people place thing word country city number author team human scientist author mountain")
"""May be there or not right after `which` or `what`, where the question is the same without them."""

IMPLIED: Final = {("capital", "city"), ("prime", "number"), ("the", "novel"), ("the", "book"), ("the", "film"),
                  ("the", "equation"), ("why", "happen"), ("be", "located"), ("is", "located"), ("is", "possible"),
                  ("is", "allowed"), ("is", "used"), ("be", "allowed")}  # fmt: skip
"""A first word after which the second may be there or not."""

COMMANDS: Final = _words("show list name give explain describe define calculate compute find solve what which")
"""With which a wish begins that `what is` says as well."""

SCOPED: Final = _words("not never no only all every some most without except must")
"""What follows these must be the same."""

IRREGULAR: Final = {
    "made": "make", "won": "win", "wrote": "write", "written": "write", "spoken": "speak", "spoke": "speak",
    "bought": "buy", "sold": "sell", "went": "go", "gone": "go", "came": "come", "fell": "fall", "fallen": "fall",
    "rose": "rise", "built": "build", "began": "begin", "begun": "begin", "found_": "find", "left_": "leave",
    "paid": "pay", "said": "say", "taught": "teach", "taken": "take", "took": "take", "gave": "give", "given": "give",
    "knew": "know", "known": "know", "grew": "grow", "grown": "grow", "sank": "sink", "sunk": "sink", "ran": "run",
    "ate": "eat", "eaten": "eat", "drank": "drink", "drunk": "drink", "drove": "drive", "driven": "drive",
    "flew": "fly", "flown": "fly", "forgot": "forget", "forgotten": "forget", "got": "get", "gotten": "get",
    "held": "hold", "kept": "keep", "lost": "lose", "meant": "mean", "met": "meet", "sent": "send", "shown": "show",
    "slept": "sleep", "spent": "spend", "stood": "stand", "swam": "swim", "thought": "think", "told": "tell",
    "wore": "wear", "worn": "wear", "children": "child", "men": "man", "women": "woman", "mice": "mouse",
    "teeth": "tooth", "geese": "goose", "people": "person", "bacteria": "bacterium", "better": "better", "bled": "bleed",
    "beaten": "beat", "chosen": "choose", "chose": "choose", "broken": "break", "broke": "break", "died": "die",
    "dying": "die", "lying": "lie", "tying": "tie", "tied": "tie", "using": "use", "used": "use", "lies": "lie",
    "dies": "die", "ties": "tie", "differs": "differ", "differing": "differ", "biggest": "largest", "occurs": "occur",
    "tallest": "highest", "quickest": "fastest", "writing": "write", "making": "make", "taking": "take",
    "giving": "give", "changing": "change", "changed": "change", "removing": "remove", "deleting": "delete",
    "driving": "drive", "living": "live", "lived": "live", "leaving": "leave", "caused": "cause", "causing": "cause",
    "located": "located", "summarising": "summarise", "matches": "match", "checks": "check", "wolves": "wolf",
    "lives": "live", "leaves": "leaf", "differed": "differ",
}  # fmt: skip

COMMUTE: Final = _words("difference #distance and or between versus vs plus sum average common")
"""Where these say what is asked, the order of two names means nothing."""

SMALL: Final = {
    word: str(n)
    for n, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
        "eighteen nineteen twenty".split()
    )
} | {"thirty": "30", "forty": "40", "fifty": "50", "sixty": "60", "seventy": "70", "eighty": "80", "ninety": "90",
     "hundred": "100", "thousand": "1000", "million": "million", "billion": "billion", "dozen": "12", "half": "1/2",
     "first": "1.", "second": "2.", "third": "3.", "fourth": "4.", "fifth": "5.", "sixth": "6.", "seventh": "7.",
     "eighth": "8.", "ninth": "9.", "tenth": "10.", "once": "1x", "twice": "2x", "thrice": "3x", "double": "double",
     "triple": "triple", "quarter": "1/4"}  # fmt: skip

UNITS: Final = _words(
    """
    metre centimetre millimetre kilometre litre millilitre kilogram gram milligram mile foot inch pound ounce second_
    minute hour day week month year century dollar euro sterling yen percent point celsius fahrenheit kelvin mph kmh knot yard
    acre hectare pint gallon quart cup spoon ton tonne watt kilowatt volt am pm c f kb mb gb tb bit byte token word page
    degree square cubic b
    """
)
"""What a number counts; the pair of both must agree."""
