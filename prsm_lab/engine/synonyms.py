"""Words that say the same in a question: `SAME` always, `NEAR` where all else agrees. No word has two meanings here."""

from __future__ import annotations

from typing import Final


def _groups(text: str) -> dict[str, str]:
    """Each word of a line, or up to a semicolon, stands for the first."""
    lines = text.replace(";", "\n").strip().splitlines()
    return {word: line.split()[0] for line in lines if line.strip() for word in line.split()}


def _pairs(text: str) -> frozenset[tuple[str, str]]:
    """The first word of each line, or up to a semicolon, with each that follows."""
    lines = (line.split() for line in text.replace(";", "\n").strip().splitlines() if line.strip())
    return frozenset((first, other) for first, *others in lines for other in others)


SAME: Final = _groups(
    """
    he him his himself; she her hers herself; buy purchase; large big huge biggest; small little tiny
    fast quick rapid speedy; quickly rapidly; begin start commence; end finish; show display; explain describe
    calculate compute calculation; remove delete erase deletion removal; fix repair; pick choose select
    build construct; make create; phone telephone cellphone smartphone; picture photo image pic photograph
    film movie; bike bicycle; package parcel; child kid; doctor physician; gift present; mistake error; invoice bill
    answer reply response respond; allow permit; required necessary must need require requirement; job occupation
    #height height; #weight weight weigh; #depth depth; #age age; #size size; #speed speed; #distance distance
    #length length lifespan duration; #width width; #often frequency; price cost; advantage benefit pro
    disadvantage drawback con downside; symptom sign; differ difference; difficult hard; easy simple
    mean meaning definition define; purpose use usage utilize; summarize summary; metre meter m
    centimetre centimeter cm; millimetre millimeter mm; kilometre kilometer km; litre liter l
    millilitre milliliter ml; kilogram kilo kg kilogramme; gram g gramme; milligram mg; mile mi; foot ft; inch
    pound lb; ounce oz; second_ s sec secs seconds; minute mins; hour h hr hrs; dollar usd $; euro eur €
    sterling gbp £; percent % percentage; celsius centigrade °c; fahrenheit °f; kmh km/h kph; write compose
    opposite antonym; invent inventor; discover discoverer; found founder; design designer architect
    direct director; paint painter; own owner; win winner; happen occur; located situated; ingredient component
    usa america; uk britain; maximum max; minimum min; cheap inexpensive; ill sick unwell; safe safely
    quit exit leave; contact reach; shut close; replace substitute replacement; forbidden prohibited banned
    identical same; rubbish garbage trash; holiday vacation; petrol gasoline; method technique; total overall
    improve enhance improvement; reduce decrease lessen reduction; repeat redo; obtain acquire; assist aid
    teach educate; relocate reposition; modify alter; unclog unblock; hire recruit; verify verification
    register registration enroll; refund reimburse reimbursement; hazard danger; dangerous hazardous unsafe
    expensive costly pricey; legal lawful legally; illegal unlawful illegally; intelligent smart clever; stupid dumb
    rich wealthy; scared afraid frightened; funny humorous amusing; essential crucial vital; enough sufficient
    extra additional; famous renowned; wrong incorrect; quiet silent; noisy loud; poisonous toxic; entire whole
    accurate precise; contagious infectious; odd strange weird; mom mother mommy mama; dad father daddy
    grandma grandmother granny; grandpa grandfather grandad granddad; coworker colleague workmate; lawyer attorney
    tenant renter; baby infant; couch sofa settee; bathroom restroom; tap faucet; sweater jumper pullover
    diaper nappy; eggplant aubergine; zucchini courgette; cilantro coriander; truck lorry; plane airplane
    motorcycle motorbike; tv television telly; fridge refrigerator; car automobile; luggage baggage
    math maths mathematics; university uni; cv résumé; website webpage; directory folder; postgresql postgres
    integer int; boolean bool; dictionary dict; repository repo; environment env; configuration config
    parameter param; variable var; computer pc; information info; temperature temp; approximately roughly
    influenza flu; medicine medication meds; paracetamol acetaminophen; vaccine vaccination; treat treatment
    problem issue; probability likelihood; guide tutorial walkthrough; lose loss; quote quotation
    translate translation; install installation; pay payment; cancel cancellation; develop development
    compare comparison; convert conversion; connect connection; vegetarian veggie; hamburger burger; marry marriage
    deliver delivery; attempt try; grow growth; arrive arrival; prefer preference; dispose discard; sleepy drowsy
    subscribe subscription; prevent prevention; multiply multiplication; subtract subtraction; divide division
    """
)
"""Words between semicolons say the same. `second_` is the unit; `second` is what follows the first."""

NEAR: Final = _pairs(
    """
    #works explain; #ok #safe #allowed; #allowed #legal; mean translate; find list; change replace; decline refuse
    recipe make cook bake prepare; cook prepare; make prepare produce generate build bake construct
    get obtain receive; find locate search; calculate find determine
    check validate test verify determine inspect confirm; change modify update edit switch adjust; edit modify
    stop prevent quit avoid cease; prevent avoid; cancel terminate end stop; fix mend solve resolve; solve resolve
    reduce lower cut; increase raise boost; improve boost; combine merge join; split divide separate
    connect link pair; install setup; uninstall remove; store keep shop; keep last; keep preserve; write draft make
    learn study; send ship mail post; help assist; start launch open; move relocate; get travel; go travel
    fire dismiss sack; quit resign stop; hire rent employ; allow let; copy duplicate
    understand comprehend; travel trip; trip journey; earn make; wait hold; share post; pain ache hurt
    tired exhausted fatigued; angry mad; fast quickly; healthy nutritious good; bad harmful unhealthy
    dangerous risky harmful; safe okay ok; broken damaged defective; common frequent; typical normal usual
    main primary principal chief; important essential; correct right; good best great; best top; similar alike
    legal allowed allow; illegal forbidden; phone mobile cell; car vehicle; person human; boss manager supervisor
    house home; apartment flat; job work profession; teacher instructor; student pupil; garden yard; lift elevator
    pavement sidewalk; petrol gas; autumn fall; exam test; cv resume; mean average; text message sms
    app application program; program software application; screen monitor display; internet web; website site page
    spreadsheet sheet worksheet; money cash; salary wage pay; fee charge; coupon voucher
    illness disease sickness; stomach belly tummy abdomen; pimple zit spot; country nation
    place location spot; street road; book novel; song track; insect bug; lawn grass; soil dirt; moon lunar
    sun solar; law legislation; amount quantity; kind type sort; way method approach; tip advice; reason cause
    example instance; part piece; rule regulation; problem trouble; result outcome; probability chance; total sum
    dinner supper; rubbish waste; dispose remove; cat feline; dog canine; tooth dental
    heart cardiac; old elderly; take bring; ask request; request order; need want; see view; view show; open view
    say tell; speak talk; throw toss; fall drop; hurt injure; injure harm; grow cultivate; employee worker
    employer company; company firm business; area region; sad unhappy; happy glad; iterate loop; loop traverse
    count tally; sort order; argument parameter; read load; load open; run execute; execute launch
    element item; exist present; print show; line row; row record; print output
    clear empty; wipe erase; wipe clean; heat warm; chill cool; mix blend; defrost thaw; remedy treat
    relieve ease soothe; alleviate relieve; ease reduce; trousers pants; sneakers trainers; candy sweets
    """
)
"""The first of each line and another say the same where no more than these differ; no two of the others need to."""

NEAR_NOT: Final = frozenset(
    {"hardly", "lately", "nearly", "barely", "shortly", "highly", "mostly", "largely", "fairly", "justly", "likely"}
)
"""Adverbs that say another thing than what they were made of."""
