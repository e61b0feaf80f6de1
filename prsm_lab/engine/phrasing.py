"""Pure: the ways in which English wraps and turns a question, brought to one; single words are `synonyms`' matter."""

from __future__ import annotations

import re
from typing import Final

Ways = dict[tuple[str, str], list[tuple[list[str], list[str]]]]


def _phrases(text: str) -> tuple[Ways, dict[str, list[str]]]:
    """`what is said <- one way | another way`, by the first two words, the longest first; those of one word apart."""
    several: Ways = {}
    lines = (line.split("<-") for line in text.strip().splitlines())
    found = [(way.split(), said.split()) for said, ways in lines for way in ways.split("|")]
    for way, said in sorted(found, key=lambda one: -len(one[0])):
        if len(way) > 1:
            several.setdefault((way[0], way[1]), []).append((way, said))
    return several, {way[0]: said for way, said in found if len(way) == 1}


_ASKED: Final = (
    r"(?:how|what|why|where|when|who|whose|which|is|are|was|were|can|could|should|do|does|did|will|would|may|must|am)"
)
_WISHES: Final = (
    "explain|give|write|summarise|summarize|show|list|translate|help|tell|describe|suggest|recommend|create|find|make|"
    "convert|calculate|compare|name|define|compose|draft|rewrite"
)
_WHOM: Final = r"(?: to)?(?: me| us)?(?: please)?"
_SOMEBODY: Final = r"(?:can|could|would|will) (?:you|someone|anyone|somebody|anybody)(?: please| kindly)?"
_GOOD: Final = (
    r"(?:good |best |right |correct |proper |easy |easiest |simple |simplest |recommended |effective |usual )"
)

OPENING: Final = re.compile(
    r"^(?:"
    r"(?:hi|hello|hey|hiya|good (?:morning|afternoon|evening))(?: there| all| everyone| guys| folks| team)?[,!.: -]+"
    r"|(?:just )?(?:a )?(?:quick|simple|stupid|dumb|random|small|general|another) question"
    r"(?: here| for you| about)?[,!.: -]+"
    r"|(?:so|ok|okay|well|um|hmm|sorry|excuse me|question|just curious|just wondering|curious|wondering)[,:.-]? "
    r"|(?:please|kindly),? "
    rf"|{_SOMEBODY} (?:tell|inform|remind|teach|advise){_WHOM}[,:]?(?: about)? "
    rf"|{_SOMEBODY} help(?: me| us)?(?: to| with)? |{_SOMEBODY} (?=(?:{_WISHES}) )|(?:can|could|would) you please "
    r"|(?:do|does|would) (?:you|someone|anyone|somebody|anybody)(?: here)?(?: happen to)? know[,:]? "
    r"|(?:i am |i was )(?:just )?(?:curious|wondering)(?: about)? "
    r"|(?:i )?(?:would like|want|need|would love|am trying|was trying|trying|am looking|looking|wish) to"
    r"(?: (?:know|find out|understand|learn|ask|figure out))?(?: about)?(?: (?:how|ways?) to)? "
    r"|(?:tell|let) (?:me|us)(?: know)?[,:]?(?: about)? "
    r"|(?:show|teach|help) (?:me|us)(?: how)?(?: to)? (?!(?:the|a|an|my|all)\b)"
    r"|i (?:do not|can not) (?:know|understand|figure out|get) (?=how|what|why|when|where|which|who)"
    r"|i have a question about |any idea (?=how|what|why|when|where|which|who|if)"
    rf"|(?:explain|describe|clarify){_WHOM} (?=how |why |when |where |who |what )"
    r"|(?:explain|describe|clarify)(?: to)? (?:me|us) (?=\w)"
    r")"
)
"""How a question is begun, which asks nothing itself; `explain` alone stays."""

CLOSING: Final = re.compile(
    r"[,.;:!?-]* ?\b(?:please|thanks(?: in advance| a lot| so much)?|thank you|cheers|explained|for me|any ideas"
    r"|any advice|any tips|(?:can|could) you help(?: me)?|help|do you know|does anyone know|i wonder|right now"
    r"|at the moment|these days|in detail)$"
)
"""How it ends."""

LAST: Final = frozenset(
    {
        "please",
        "thanks",
        "advance",
        "lot",
        "much",
        "you",
        "cheers",
        "explained",
        "me",
        "ideas",
        "advice",
        "tips",
        "help",
    }
    | {"know", "wonder", "now", "moment", "days", "detail"}
)
"""With one of these an end of that kind ends."""

ASIDE: Final = re.compile(
    rf"^(?!{_ASKED}\b|(?:explain|give|write|show|list|translate|name)\b)([^?]{{3,90}}?)(?:[,;!?.]+| -+) "
    rf"(?:and |but |so |then |also )?({_ASKED} .+)$"
)
"""What is told before the question."""

_ADVICE: Final = (
    r"(?:(?:what (?:should|can|do|must|could) i (?:have to |need to )?do|what to do)"
    r"(?: now| next| about (?:it|this|that))?|what now)"
)

_WAY: Final = (
    rf"\b(?:what (?:is|are) |is there |are there |find |know )?(?:the |a |an |some |any )?{_GOOD}*"
    r"(?:ways?|methods?|steps|tips|command|commands|query|code|script|instructions|procedure|process|tricks?)"
)

SAID: Final = tuple(
    (sign, re.compile(pattern), said)
    for sign, pattern, said in (
        ("us ", r"\bthe us\b|^us(?= \w)", "the usa"),
        ("the number ", r"\bthe number (?=\d)", ""),
        ("for", r"^what (?:is|are) (.+?)(?: used)? for$", r"what is the use of \1"),
        ("recipe", r"^(?:what is )?(?:a |the )?(?:good |best |easy |simple )*recipe for (.+)$", r"\1 recipe"),
        (",", r"^(in|on|at|for|with|under|from) ([^,?.]{1,40}), ?(.+)$", r"\3 \1 \2"),
        (": ", r"^([^\s,?.:#]+(?: [^\s,?.:#]+){0,2}): (.+)$", r"\2 \1"),
        (
            " how",
            (
                r"^(?:i (?:want|need|would like|am trying) to |i am looking to )?(.+?)[,.;] ?(?:but )?how "
                r"(?:do|can|should|would) i (?:do|go about|achieve|manage) (?:it|that|this)$"
            ),
            r"how do i \1",
        ),
        ("what ", rf"^(.+?)[,.;!?]* {_ADVICE}$", r"#advice \1"),
        ("what ", rf"^{_ADVICE} (?!to\b)(?:if |when |about |with |for |in case )?(.+)$", r"#advice \1"),
        (
            " ",
            r"^(?:convert |what is |what are |how much is )?([-+$€£]?\d[^?]*?) (?:to|into|in|as) ([^\W\d]+)$",
            r"how many \2 are \1",
        ),
        (
            "#quoted",
            (
                r"^(?:how (?:do|would|can|should) (?:you|i|we|one) (?:say|ask|write|translate)|what is|say) (#quoted)"
                r" (?:in|into|to) ([^\W\d]+)$"
            ),
            r"translate \1 into \2",
        ),
        (
            " in",
            r"^how (?:do|would|can|should) (?:you|i|we|one) (?:say|translate) (.+) (?:in|into|to) ([^\W\d]+)$",
            r"translate \1 into \2",
        ),
        ("the ", r"^(?:what is )?the ([^\W\d]+) (?:word|translation|term) (?:for|of) (.+)$", r"translate \2 into \1"),
        ("translate ", r"^translate (.+) to ([^\W\d]+)$", r"translate \1 into \2"),
        (
            " in ",
            (
                r"^(\w+(?: \w+)?) in (spanish|german|french|italian|portuguese|dutch|polish|russian|japanese|chinese"
                r"|korean|arabic|swedish|turkish|greek|latin|hindi)$"
            ),
            r"translate \1 into \2",
        ),
        ("differen", r"^(?:what (?:is|are) )?(?:the )?(?:main |key )?differences? between (.+)$", r"versus \1"),
        ("differ from", r"^how (?:do|does|did) (.+) differ from (.+)$", r"versus \1 and \2"),
        ("differ", r"^how (?:do|does|did) (.+) differ(| (?:in|for|on|when) .+)$", r"versus \1\2"),
        ("different", r"^how (?:is|are) (.+?) different (?:from|to|than) (.+)$", r"versus \1 and \2"),
        ("from ", r"^what (?:makes?|distinguishes|sets) (.+?) (?:different |apart )?from (.+)$", r"versus \1 and \2"),
        ("compare", r"^compare (.+)$", r"versus \1"),
        ("why ", r"^why (?:do|does|did) (.+?) (?:happen|occur)$", r"why \1"),
        ("possible", r"^is (.+) possible$", r"can \1"),
        ("cost", r"^how much (?:do|does|will|would) (?:it|this) cost to (.+)$", r"what is the price of \1"),
        (" why", r"^(?!why|how)(.+?),? why$", r"why \1"),
        ("get ", r"\bget (?!rid\b)((?:\w+ ){1,4})(?:out of|off|off of) (?=\w)", r"remove \1from "),
        ("where ", r"^where (is|are|was) (.+) (?:located|situated|found)$", r"where \1 \2"),
        ("cost", r"^how much (?:do|does|did|is|are|will) (.+?) cost$", r"what is the price of \1"),
        ("cost", r"^what (?:do|does|did|will) (.+?) cost$", r"what is the price of \1"),
        ("how much", r"^how much (?:is|are) (?!\d)(.+)$", r"what is the price of \1"),
        ("weigh", r"^what (?:do|does) (.+?) weigh$", r"how heavy is \1"),
        (
            "work",
            r"^how (?:(?:do|does|did) (?!(?:i|you|we|they)\b))?(?!(?:to|can|could|should|do|does|did)\b)(.+?) works?$",
            r"#works \1",
        ),
        ("e", r"^(?:explain|describe) (?!how\b|why\b|when\b|where\b|#quoted|what\b)(.+)$", r"explain \1"),
        ("definition", r"^(?:what is )?the definition of (.+)$|^definition of (.+)$", r"define \1\2"),
        ("definition", r"^(.+) definition$", r"define \1"),
        ("o", r"^(.+) (?:location|whereabouts)$", r"where is \1"),
        (" to ", rf"{_WAY} to\b", "how"),
        ("ing", rf"{_WAY} (?:for|on|of)(?: how to|(?= \w+ing\b))", "how"),
        (
            "",
            r"\b(?:over|above|larger than|bigger than|greater than|more than|exceeding|higher than) (?=[$€£]?\d)",
            "#over ",
        ),
        ("", r"\b(?:under|below|less than|fewer than|smaller than|lower than) (?=[$€£]?\d)", "#under "),
        ("", r"(\d)(?:st|nd|rd|th)\b", r"\1 #th"),
        ("", r"\b(turn|switch)(ed|ing|s)? ((?:\w+ ){1,4})(on|off)$", r"\1 \4 \3"),
    )
)
"""Ways of asking the same, brought to one; each is tried once, in this order, where its sign stands in the text."""

PHRASES, SINGLE = _phrases(
    """
    why <- how come | for what reason | what is the reason | what is the reason that | what are the reasons
    why <- what makes | what causes | what caused | what is the cause of | what are the causes of | reason for
    why <- reasons for
    when <- what time | at what time | in which year | in what year | what year | which year | on what date
    when <- what date | right time | when is the right time | what is the right time
    when <- on what day | what day
    when die <- date of death
    when born <- date of birth
    who <- which person | what person | which author | which writer | what author | name of the person who
    where <- in what place | in which place | at what place | what place | in which country | location of
    #many <- what number of | what is the number of | which number of | how many | the number of | number of
    #much <- what amount of | which amount of | how much | amount of
    #height <- how high | how tall
    #weight <- how heavy
    #depth <- how deep
    #age <- how old
    #size <- how big | how large
    #speed <- how fast | top speed
    #distance <- how far
    #length <- how long does it take to | how long do you | how long | what length of time
    #width <- how wide
    #often <- how often | how frequently | how regularly
    remove <- get rid of
    enable <- turn on | switch on | turning on
    disable <- turn off | switch off | turning off
    discard <- throw away | throw out
    increase <- go up | goes up | went up | going up
    reduce <- bring down | brings down | bringing down
    fall <- come down | came down | comes down | coming down | go down | goes down | went down | going down
    all <- every | all of
    <- keeps
    with <- using
    how <- how to
    give <- give me some | give us some
    show <- show me some
    what timezone <- what time zone
    timezone <- time zone
    bad <- gone bad
    what happens if <- what will happen if | what would happen if
    screenshot <- take a screenshot
    count <- count the number of
    heat <- heat up | warm up
    cool <- cool down | cool off
    clean <- clean up | clean out | clean off
    fill <- fill in | fill out | fill up
    wake <- wake up | waking up
    print <- print out
    repay <- pay off | pay back
    repaid <- paid off
    register <- sign up
    return <- send back | give back | bring back
    submit <- hand in | turn in
    search <- look for | searching for
    happen <- take place | takes place | took place
    accelerate <- speed up
    postpone <- put off
    tolerate <- put up with
    backup <- back up
    broken <- not working | does not work | do not work | stopped working | will not work | not work
    can <- are you able to | be able to | able to
    can #possible <- is it possible to | is it possible for
    can i #legal <- is it legal to | am i legally allowed to | is it lawful to
    can i #allowed <- am i allowed to | is it allowed to | am i permitted to | is it permitted to
    can i #allowed <- are you allowed to
    can i #ok <- is it ok to | is it okay to | is it alright to | is it all right to | is it fine to
    can i #ok <- is it acceptable to
    can i #ok <- is it ok if i | is it okay if i
    can i #safe <- is it safe to | can i safely
    should i <- is it a good idea to | ought i to | is it better to | is it best to | would it be better to
    check if <- tell if | tell whether | know if | see if
    is <- count as
    do <- do people | does someone | does somebody | does a person
    synonym of <- another word for
    population of <- how many people live in | how many inhabitants are there in | how many people are there in
    who write <- who is the author of | who was the author of | the author of | author of
    #atleast <- at least | no less than | a minimum of
    #atmost <- at most | no more than | a maximum of
    #over <- more than
    #under <- less than | fewer than
    to <- in order to
    substitute for <- use instead of | alternative to | alternatives to | replacement for | use in place of
    what substitute for <- what is a good substitute for | what can i substitute for | what can replace
    #instead <- instead of | in place of | rather than
    advantage disadvantage <- pros and cons
    setup <- set up | setting up
    check <- find out | figure out
    login <- log in | sign in | log on
    logout <- log out | sign out | log off
    mean <- stand for | refer to
    versus <- as opposed to | compared to | compared with
    a day <- per day | each day | every day | daily
    a week <- per week | each week | every week | weekly
    a month <- per month | each month | every month | monthly
    a year <- per year | each year | every year | yearly | annually
    a night <- per night | each night | every night | nightly
    an hour <- per hour | each hour | every hour | hourly
    what mean <- what is the meaning of | what is the definition of | give me the definition of | what is meant by
    how <- what are the steps to | what are the steps for | what steps | how to go about
    how <- what is the way to | what do i have to do to | what do i need to do to
    how <- what must i do to | what should i do to | what can i do to | how do i go about | what do i do to
    how get from <- what is the way from
    how calculate <- what is the formula for | formula for | equation for
    must <- need to | needs to | have to | has to | had to
    #extinct <- die out
    best when <- best time
    when best <- what is the best time | when is the best time
    calculate <- work out | working out
    phone <- cell phone | mobile phone | cell phones | mobile phones
    handluggage <- hand luggage | hand baggage | carry on luggage | carry on bag | carry on bags | cabin baggage
    cv <- curriculum vitae
    text <- text message | text messages
    scifi <- science fiction | sci fi
    regex <- regular expression | regular expressions
    database <- data base
    website <- web site
    usa <- united states of america | united states
    illegal <- against the law
    mortgage <- home loan
    airconditioner <- air conditioner | air conditioning
    the <- the current | the best known
    what are <- what are some | what are a few
    painkiller <- pain reliever | pain killer
    because <- due to | because of
    together <- at the same time
    everyone <- everybody | all people
    what good <- recommend a good | recommend some good | recommend me a good | suggest a good | suggest some good
    refund <- my money back | money back
    what good <- recommend | suggest | recommend some | suggest some | recommend me some | recommend a | suggest a
    """
)
"""Said in several words, by the first of them. `#` marks what no text says by itself."""
