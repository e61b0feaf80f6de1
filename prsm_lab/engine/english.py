"""Words of English questions, as `likeness` reads them: which say nothing, which say the same, which may not differ."""

from __future__ import annotations

from typing import Final


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _phrases(text: str) -> dict[str, str]:
    """`what is said <- one way | another way`."""
    lines = (line.split("<-") for line in text.strip().splitlines())
    return {phrase.strip(): said.strip() for said, phrases in lines for phrase in phrases.split("|")}


def _groups(text: str) -> dict[str, str]:
    """Each word of a line stands for the line's first."""
    return {word: line.split()[0] for line in text.strip().splitlines() for word in line.split()}


EMPTY: Final = _words(
    """
    a an the i you we they it me us them my your our their one ones
    am is are was were be been being do does did done doing have has had having will would shall
    of to in on at by for from with into onto as and or if whether that this these those there here it its so then
    what which who whom whose when where why how
    please hello hi hey thanks thank kindly just also really exactly actually
    can could may might should
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

OPENINGS: Final = (
    "can you tell me", "could you tell me", "can you please", "could you please", "would you please", "do you know",
    "can you", "could you", "i would like to know", "i would like to", "i want to know", "i want to", "i need to know",
    "tell me", "tell me about", "let me know", "please", "show me how to",
)  # fmt: skip
"""How a wish is wrapped; at the beginning only."""

WISHES: Final = _words(
    """
    explain give write summarise summarize show list translate help tell describe suggest recommend create find make
    convert calculate compare name define compose draft rewrite
    """
)
"""After `can you` these are asked to be done."""

PHRASES: Final = _phrases(
    """
    why <- how come | for what reason | what is the reason | what is the reason that | what are the reasons
    why <- what makes | what causes | what caused
    when <- what time | at what time | in which year | in what year | what year | which year | on what date
    when <- what date | right time | when is the right time | what is the right time
    who <- which person | what person | which author | which writer | what author
    #many <- what number of | what is the number of | which number of | how many
    #much <- what amount of | which amount of | how much
    #height <- how high | how tall
    #weight <- how heavy
    #depth <- how deep
    #age <- how old
    #size <- how big | how large
    #speed <- how fast | top speed
    #distance <- how far
    #length <- how long
    #width <- how wide
    #often <- how often
    remove <- get rid of
    enable <- turn on | switch on
    disable <- turn off | switch off
    can <- is it possible to | am i allowed to | is it allowed to | are you able to | is it ok to | is it okay to
    check if <- tell if | tell whether | know if
    is <- count as
    synonym of <- another word for
    population of <- how many people live in | how many inhabitants are there in
    who write <- who is the author of | who was the author of
    #atleast <- at least | no less than
    #atmost <- at most | no more than
    #over <- more than
    #under <- less than | fewer than
    to <- in order to
    #instead <- instead of
    advantage disadvantage <- pros and cons
    setup <- set up
    check <- find out
    login <- log in | sign in
    mean <- stand for
    versus <- as opposed to
    a day <- per day | each day
    what mean <- what is the meaning of | what is the definition of | give me the definition of | what is meant by
    how <- what are the steps to | what are the steps for | what steps | what is the best way to
    how <- what is the right way to | what is the way to | what is a good way to | what is the process for
    how <- what is the procedure for | what is the command to | what do i have to do to | what do i need to do to
    how <- what must i do to | what should i do to | what can i do to | how do i go about
    how get from <- what is the way from
    how calculate <- what is the formula for
    must <- need to | needs to | have to | has to | had to
    #extinct <- die out
    best when <- best time
    when best <- what is the best time | when is the best time
    calculate <- work out
    """
)
"""Said in several words; the longest first. `#` marks what no text says by itself."""

SAME: Final = _groups(
    """
    he him his himself
    she her hers herself
    buy purchase
    large big huge biggest
    small little tiny
    fast quick rapid
    quickly rapidly
    begin start commence
    end finish
    show display
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
    child kid
    doctor physician
    gift present
    mistake error
    invoice bill
    answer reply response
    allow permit
    required necessary must need
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
    inch
    pound lb
    ounce oz
    second_ s sec secs seconds
    minute mins
    hour h hr hrs
    dollar usd $
    euro eur €
    sterling gbp £
    percent % percentage
    celsius centigrade °c
    fahrenheit °f
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
    usa america
    uk britain
    maximum max
    minimum min
    cheap inexpensive
    ill sick
    safe safely
    quit exit leave
    contact reach
    shut close
    replace substitute
    forbidden prohibited
    identical same
    rubbish garbage trash
    holiday vacation
    petrol gasoline
    cook recipe
    method technique
    total overall
    """
)
"""Words of a line say the same. `second_` is the unit; `second` is what follows the first."""

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

IMPLIED: Final = {("capital", "city"), ("prime", "number"), ("the", "novel"), ("the", "book"), ("the", "film"),
                  ("the", "equation"), ("why", "happen"), ("be", "located"), ("is", "located"), ("is", "possible"),
                  ("is", "allowed"), ("is", "used"), ("be", "allowed")}  # fmt: skip
"""A first word after which the second may be there or not."""

COMMANDS: Final = _words("show list name give explain describe define calculate compute find solve what which")
"""With which a wish begins that `what is` says as well."""

SCOPED: Final = _words("not never no only all every some most without except")
"""What follows these must be the same."""

IRREGULAR: Final = {
    form: word
    for line in """
        make made making; win won; write wrote written writing; speak spoken spoke; buy bought; sell sold
        go went gone; come came; fall fell fallen; rise rose; build built; begin began begun; pay paid; say said
        teach taught; take taken took taking; give gave given giving; know knew known; grow grew grown
        sink sank sunk; run ran; eat ate eaten; drink drank drunk; drive drove driven driving; fly flew flown
        forget forgot forgotten; get got gotten; hold held; keep kept; lose lost; mean meant; meet met; send sent
        show shown; sleep slept; spend spent; stand stood; swim swam; think thought; tell told; wear wore worn
        child children; man men; woman women; mouse mice; tooth teeth; goose geese; person people
        bacterium bacteria; bleed bled; beat beaten; choose chosen chose; break broken broke; die died dying dies
        lie lying lies; tie tying tied ties; use using used; differ differs differing differed; largest biggest
        occur occurs; highest tallest; fastest quickest; change changing changed; remove removing; delete deleting
        live living lived lives; leave leaving; cause caused causing; summarise summarising; match matches
        check checks; wolf wolves; leaf leaves
    """.replace("\n", ";").split(";")
    if line.strip()
    for word, *forms in [line.split()]
    for form in forms
}
"""Each form of an irregular word, and of some that a rule would cut wrongly."""

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
