"""The gate of the cache by meaning: what it keeps apart, and the report on the labelled set of look-alikes."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

import prsm_lab as lab
from prsm_lab import embeddings
from prsm_lab.cache.calibrating import measure, read
from prsm_lab.engine import spelling, synonyms
from prsm_lab.engine.caches import MEASURED
from prsm_lab.engine.likeness import MOST_LETTERS, differ
from prsm_lab.engine.reading import MOST_WORDS

pytestmark = pytest.mark.timeout(240)  # three thousand questions are embedded
SENTENCES = st.lists(
    st.sampled_from(
        ["what", "is", "the", "capital", "of", "France", "not", "3", "km", "from", "Paris", "to", "Rome", "'a", "b'", "`x`", "before", "after", "who", "wrote", "it", "don't", "?", ",", ".", "😀", "²", "١", "ß"]
    ), max_size=12,
).map(" ".join)  # fmt: skip


TRAPS = [
    ("order", "milk chocolate recipe", "How do I make chocolate milk?"),
    ("order", "guide dog training", "How do I write a dog guide for training?"),
    ("order", "How do I fix a house boat?", "repair my boat house"),
    ("order", "Where is the bus station?", "station bus"),
    ("antonym", "How do I enable two-factor authentication?", "How do I disable two-factor authentication?"),
    ("antonym", "How do I turn on subtitles?", "How do I turn off subtitles?"),
    ("antonym", "Ways to increase my metabolism", "Ways to reduce my metabolism"),
    ("antonym", "Can I bring down the price?", "Can I bring up the price?"),
    ("antonym", "how to sign in to my account", "how to sign out of my account"),
    ("antonym", "Is it safe to thaw meat twice?", "Is it unsafe to thaw meat twice?"),
    ("antonym", "What is the best hotel in Rome?", "What is the worst hotel in Rome?"),
    ("antonym", "advantages of solar panels", "disadvantages of solar panels"),
    ("antonym", "legal steroids", "illegal steroids"),
    ("antonym", "How do I install Docker?", "How do I uninstall Docker?"),
    ("verb", "How do I boil potatoes?", "How do I bake potatoes?"),
    ("verb", "How do I delete my account?", "How do I deactivate my account?"),
    ("verb", "How do I delete an email?", "How do I archive an email?"),
    ("verb", "Can I lend a library book?", "Can I borrow a library book?"),
    ("verb", "How do I rent a car?", "How do I buy a car?"),
    ("verb", "how to freeze bread", "how to thaw bread"),
    ("verb", "How do I wash a silk shirt?", "How do I iron a silk shirt?"),
    ("verb", "How do I merge two branches in git?", "How do I rebase two branches in git?"),
    ("verb", "How do I plan a trip?", "How do I plane a trip?"),
    ("verb", "How do I care for a horse?", "How do I car for a horse?"),
    ("task", "What is a VPN?", "How does a VPN work?"),
    ("task", "What is a resume?", "How do I write a resume?"),
    ("task", "Can I cancel my flight?", "How can I cancel my flight?"),
    ("task", "why do cats purr", "when do cats purr"),
    ("task", "Who founded Rome?", "When was Rome founded?"),
    ("task", "Why did the Titanic sink?", "titanic sink location"),
    ("task", "What is life?", "What is the meaning of life?"),
    ("task", "Is it legal to record a call?", "Is it possible to record a call?"),
    ("task", "Is it legal to eat raw milk cheese?", "Is it safe to eat raw milk cheese?"),
    ("task", "Should I take vitamin D?", "Can I take vitamin D?"),
    ("task", "write a poem about love", "explain a poem about love"),
    ("task", "What is a recipe for bread?", "What is the history of bread?"),
    ("spelling", "What is a desert?", "What is a dessert?"),
    ("spelling", "What does affect mean?", "What does effect mean?"),
    ("spelling", "capital of austria", "capital of australia"),
    ("spelling", "Is methanol toxic?", "Is ethanol toxic?"),
    ("spelling", "what causes hypertension", "what causes hypotension"),
    ("spelling", "Correct the typo: I recieve mail", "Correct the typo: I receive mail"),
    ("spelling", "How do you spell colour?", "How do you spell color?"),
    ("spelling", "What are glasses made of?", "What is glass made of?"),
    ("spelling", "What is the news today?", "What is the new today?"),
    ("spelling", "where can i buy a mouse", "where can i buy a moose"),
    ("spelling", "How much do clothes weigh?", "How much does cloth weigh?"),
    ("spelling", "stationary shop in Leeds", "stationery shop in Leeds"),
    ("order", "convert usd to eur", "convert eur to usd"),
    ("order", "flights london to paris", "flights paris to london"),
    ("order", "milk chocolate recipe", "chocolate milk recipe"),
    ("order", "how to build a house boat", "how to build a boat house"),
    ("order", "mysql to postgres migration", "postgres to mysql migration"),
    ("order", "dog bites man", "man bites dog"),
    ("order", "Why do spiders eat flies?", "why flies eat spiders"),
    ("order", "python to java conversion", "java to python conversion"),
    ("order", "Is a tomato a fruit?", "Is a fruit a tomato?"),
    ("scope", "How do I delete a file in Linux?", "How do I delete all files in Linux?"),
    ("scope", "how do i block someone on instagram", "how do i block everyone on instagram"),
    ("scope", "How many days a week should I exercise?", "How long should I exercise a week?"),
    ("scope", "sort a list in python", "sort a list in java"),
    ("scope", "Best laptops for students", "Best laptops"),
    ("scope", "dosage of ibuprofen for adults", "dosage of ibuprofen for infants"),
    ("scope", "What can vegetarians eat?", "What can't vegetarians eat?"),
    ("scope", "What is good cholesterol?", "What is cholesterol?"),
    ("number", "Is Windows 10 better?", "Is Windows 11 better?"),
    ("number", "Who was the 2nd king of Norway?", "Who was the 3rd king of Norway?"),
    ("number", "list files over 10 MB", "list files over 10 GB"),
    ("number", "list files over 10 MB", "list files under 10 MB"),
    ("number", "What is 7 - 2?", "What is 2 - 7?"),
    ("number", "What happened on the 4th of May?", "What happened on the 14th of May?"),
    ("number", "10 km to miles", "10 miles to km"),
    ("number", "5 feet in cm", "5 feet in m"),
    ("number", "What happened in the second world war?", "What happened in the first world war?"),
    ("name", "What is the president of France's name?", "What is the president of Germany's name?"),
    ("name", "population of peru", "population of chile"),
    ("name", "How does the WHERE clause work?", "How does the HAVING clause work?"),
    ("name", "What is AND in logic?", "What is OR in logic?"),
    ("name", "Who is the king of Spain?", "king of sweden"),
    ("name", "When was Louis XIV born?", "When was Louis XV born?"),
    ("name", "Who wrote Emma?", "Who wrote Persuasion?"),
    ("name", "How do I use parseInt?", "How do I use parseFloat?"),
    ("name", "Does my iPhone have NFC?", "Does my iPad have NFC?"),
    ("negation", "Which birds can fly?", "which birds cant fly"),
    ("negation", "why does my printer work", "why does my printer not work"),
    ("negation", "Can I board w/o id", "Can I board w/ id"),
    ("negation", "foods without sugar", "foods with sugar"),
    ("negation", "What should I not say in an interview?", "What should I say in an interview?"),
    ("negation", "How do I stop smoking?", "How do I not stop smoking?"),
    ("time", "What to eat before running", "What to eat after running"),
    ("time", "Who was the president of the US?", "Who is the president of the US?"),
    ("time", "Will it rain in Oslo today?", "Did it rain in Oslo today?"),
    ("time", "shops open on sunday", "shops open on saturday"),
    ("time", "What do I do now?", "What did I do then?"),
    ("unit", "How tall is it in feet?", "How tall is it in metres?"),
    ("unit", "How many grams of sugar a day?", "How many grams of sugar a week?"),
    ("unit", "how many minutes is the film", "how many hours is the film"),
    ("person", "How do I deal with my mother?", "How do I deal with my father?"),
    ("person", "Can my landlord sue me?", "Can my tenant sue me?"),
    ("person", "gifts for a boss", "gifts for a coworker"),
    ("mention", "What does huge mean?", "What does large mean?"),
    ("mention", "Translate big into German", "Translate large into German"),
    ("mention", "What is a synonym for quick?", "What is a synonym for rapid?"),
    ("mention", "how do you say purchase in french", "how do you say buy in french"),
    ("scope", "name the planets", "How many planets are there?"),
    ("scope", "How do I do a push up?", "How do I do a pull up?"),
    ("scope", "How do I get my name on the list?", "How do I get my name off the list?"),
    ("task", "What is a pull request?", "How do I open a pull request?"),
    ("order", "Can a landlord evict a tenant?", "Can a tenant evict a landlord?"),
    ("order", "What does React do better than Vue?", "What does Vue do better than React?"),
    ("verb", "How do I copy a file?", "How do I move a file?"),
    ("verb", "how to save money", "how to earn money"),
    ("verb", "What does the court allow?", "What does the court ban?"),
    ("verb", "How do I push a branch in git?", "How do I pull a branch in git?"),
    ("verb", "How long can I keep chicken in the fridge?", "How long can I keep chicken in the freezer?"),
]
"""What a rule of English, taken too far, would let through."""

SAID_OTHERWISE = [
    ("please tell me, why is the sky blue", "Why is the sky blue?"),
    ("Which oven is best for baking bread?", "Which oven is best to bake bread?"),
    ("How do I shave a beard?", "how to go about shaving a beard"),
    ("python reverse string", "How do I reverse a string in Python?"),
    ("felony vs misdemeanor", "What's the difference between a felony and a misdemeanor?"),
    ("metformin side effects", "What are the side effects of metformin?"),
    ("How do felonies and misdemeanors differ?", "felonies vs misdemeanors"),
    ("banana bread recipe", "How do I make banana bread?"),
    ("How can I lower my cholesterol?", "ways to reduce cholesterol"),
    ("Best way to clean a cast iron pan", "how do i clean a cast iron pan"),
    ("Hi! Could somebody explain how vaccines work?", "How do vaccines work?"),
    ("What is the easiest way to peel garlic?", "How do I peel garlic?"),
    ("I want to change my email address. How do I do that?", "How do I change my email address?"),
    ("how to write a cover letter", "tips for writing a cover letter"),
    ("Does anyone know how to remove ink from leather?", "How do I get rid of ink from leather?"),
    ("whats the capital of mongolia", "What is the capital of Mongolia?"),
    ("how do i turn off autocorrect on my phone", "How do I disable autocorrect on my mobile phone?"),
    ("Is it safe to eat raw eggs?", "can i eat raw eggs"),
    ("What's the tallest mountain in Africa?", "tallest mountain africa"),
    ("definition of osmosis", "What does osmosis mean?"),
    ("explain osmosis", "How does osmosis work?"),
    ("How many calories are in an avocado?", "number of calories in an avocado"),
    ("Who is the CEO of Tesla?", "tesla ceo"),
    ("how long does it take to boil an egg", "How long do you boil an egg?"),
    ("What is the colour of copper sulphate?", "what color is copper sulphate"),
    ("Please explain the offside rule in football.", "explain the offside rule in football"),
    ("What should I do if my dog eats chocolate?", "My dog ate chocolate, what should I do?"),
    ("How do I merge two dictionaries in Python?", "python combine two dicts"),
    ("How do I sign up for a library card?", "How can I register for a library card?"),
    ("symptoms of iron deficiency", "What are the signs of iron deficiency?"),
    ("What causes hiccups?", "why do hiccups happen"),
    ("My sink is clogged, how do I fix it?", "How do I fix a clogged sink?"),
    ("How often should I change my toothbrush?", "How frequently should I replace my toothbrush?"),
    ("I'm trying to lose belly fat. How do I do it?", "how to lose stomach fat"),
    ("How do I learn Spanish quickly?", "fast ways to learn Spanish"),
    ("Can you recommend a good book about Rome?", "What is a good book about Rome?"),
    ("What do I need to renew my passport?", "what is required to renew a passport"),
    ("How much does it cost to ship a parcel to Canada?", "What's the cost of shipping a package to Canada?"),
    ("list of prime ministers of India", "Name the prime ministers of India"),
    ("excel remove blank rows", "How can I delete blank rows in Excel?"),
    ("Who invented the light bulb?", "inventor of the light bulb"),
    ("Write a poem about autumn.", "Can you write me a poem about fall?"),
    ("How do I set up a VPN on Windows?", "windows vpn setup"),
    ("quick question: how do i unsubscribe from the newsletter", "How do I unsubscribe from your newsletter?"),
    ("I need to cancel my gym membership", "How do I cancel my gym membership?"),
    ("What is the meaning of life?", "meaning of life"),
    ("When is Diwali this year?", "what day is Diwali this year"),
    ("How do I stop my cat from scratching the sofa?", "stop cat scratching couch"),
    ("Am I allowed to bring food on the plane?", "Can I take food on a plane?"),
    ("How is cheese made?", "how do they make cheese"),
    ("Is there a way to recover deleted photos?", "How do I recover deleted pictures?"),
    ("Convert 20 miles to km", "20 miles in kilometres"),
    ("Tell me about the French Revolution", "what was the French Revolution?"),
    ("Who was the author of Dracula?", "Who wrote Dracula?"),
    ("What year did the Titanic sink?", "When did the Titanic sink?"),
    ("How do I travel from Oslo to Bergen?", "What's the best way to get from Oslo to Bergen?"),
    ("pros and cons of remote work", "What are the advantages and disadvantages of remote work?"),
    ("How do you pronounce quinoa?", "How is quinoa pronounced?"),
    ("Good names for a black cat?", "What are some good names for a black cat?"),
    ("What are some tips for a job interview?", "job interview tips"),
    ("What vaccinations do I need for Kenya?", "which vaccines are required for Kenya"),
    ("difference between jam and jelly", "jam vs. jelly"),
    ("How can I get a refund?", "how do i get my money back"),
    ("Where is the Louvre located?", "Where's the Louvre?"),
    ("How high is Mount Fuji?", "height of mt fuji"),
    ("Why is my wifi so slow?", "What makes my wi-fi so slow?"),
    ("how to screenshot on mac", "How do I take a screenshot on a Mac?"),
    ("What foods are high in iron?", "foods high in iron"),
    ("What is the best way to learn guitar?", "How should I learn guitar?"),
    ("how do i get wine out of a shirt", "How do I remove wine from a shirt?"),
    ("Is it ok to drink coffee while pregnant?", "Can I drink coffee while pregnant?"),
    ("Could you please tell me how photosynthesis works?", "How does photosynthesis work?"),
    ("How big is the Pacific Ocean?", "What is the size of the Pacific Ocean?"),
    ("How do I create a new branch in git?", "git create new branch"),
    ("How do I make a new git branch?", "git create new branch"),
    ("What's the population of Norway?", "How many people live in Norway?"),
    ("Give me some ideas for a birthday party", "What are some ideas for a birthday party?"),
    ("What is the plural of cactus?", "plural of cactus"),
    ("Who is the current king of England?", "Who is the king of England?"),
    ("Why does my knee hurt when I run?", "My knee hurts when I run, why?"),
    ("How do I change the oil in my car?", "how to change car oil"),
    ("What does the acronym NASA stand for?", "What does NASA stand for?"),
    ("Summarise the plot of Hamlet", "Can you summarize the plot of Hamlet for me?"),
    ("javascript remove element from array", "How do I delete an element from an array in JavaScript?"),
    ("How do I check if a string is empty in Java?", "java check if string is empty"),
    ("what's the recipe for pancakes", "pancake recipe"),
    ("How long does milk last in the fridge?", "How long can milk be kept in the fridge?"),
    ("Is climate change real?", "climate change - is it real?"),
    ("Can I use my phone on a plane?", "Am I allowed to use my phone on an airplane?"),
    ("How do you get to Mars?", "how to get to mars"),
    ("Which is the longest river in Europe?", "What's the longest river in Europe?"),
    ("In Excel, how do I freeze the top row?", "excel freeze top row"),
    ("How do I treat a sunburn?", "sunburn treatment"),
    ("How do I appeal a parking ticket?", "What's the process for appealing a parking ticket?"),
    ("What is needed to adopt a dog?", "What do I need to adopt a dog?"),
    ("What time zone is Denver in?", "time zone of Denver"),
    ("who is the author of 1984", "Who wrote 1984?"),
    ('translate "good night" to French', 'How do you say "good night" in French?'),
    ("How do I write a resignation letter?", "how do you write a letter of resignation"),
    ("What is an RNA virus?", "whats an RNA virus"),
    ("I'd like to know how taxes work in Spain.", "How do taxes work in Spain?"),
    ("What is the fastest land animal?", "fastest animal on land"),
    ("How do I know if an egg is bad?", "How can I tell if an egg has gone bad?"),
    ("What are the best places to visit in Peru?", "best places to visit in peru"),
    ("Where can I watch the Olympics?", "where to watch the olympics"),
    ("how to become a pilot", "What do I need to do to become a pilot?"),
    ("What's a healthy breakfast?", "What is a nutritious breakfast?"),
    ("Can you explain the theory of relativity?", "Explain the theory of relativity."),
    ("Explain relativity like I'm five", "explain relativity like i am 5"),
    ("docker list containers", "How do I list containers in Docker?"),
    ("What happens if I don't pay my taxes?", "What will happen if I do not pay taxes?"),
    ("How do I reset my router?", "Steps to reset a router"),
    ("How do I improve my credit score?", "How can I boost my credit score?"),
    ("can you freeze cooked rice", "Is it possible to freeze cooked rice?"),
    ("Cheapest way to get from London to Paris", "What is the cheapest way to travel from London to Paris?"),
    ('how to fix "index out of range" error in python', "How do I fix index out of range error in Python?"),
]


PARTS = ["own, seen", "own, unseen", "others, b", "others, c", "others, d", "others, e"]
"""The gate's author's pairs, of which a third was kept back; and those of four authors who knew neither gate nor pairs."""


@pytest.fixture(scope="module")
def pairs():
    """All labelled pairs, by part."""
    own, others = lab.datasets.load("lookalikes"), lab.datasets.load("lookalikes_others")
    own["part"], others["part"] = "own, " + own["split"], "others, " + others["author"]
    return {name: read(part) for frame in (own, others) for name, part in frame.groupby("part")}


@pytest.fixture(scope="module")
def report(pairs):
    """Each part at the default threshold: by the gate alone, with a verifier that knows all labels, and what it is asked."""
    embedder, found = once(embeddings.load()), {}

    def measured(part, verifies=None):
        made = measure(part, embedder, name="minilm", budget=0.01, confidence=0.95, verifies=verifies)
        return made.table.set_index("threshold").loc[MEASURED["minilm"]]

    for name, part in pairs.items():
        judge = Judge(part)
        found[name] = (measured(part), measured(part, judge), judge.asked)
    return found


class Judge:
    """A verifier that knows the labels of its pairs, and remembers those that it was asked for."""

    def __init__(self, part):
        self.labels, self.asked = {(one, other): same for one, other, same in part}, []

    def __call__(self, pairs):
        said = [self.labels[pair] for pair in pairs]
        self.asked += said
        return said


def once(embedder):
    """An embedder that makes each vector once."""
    known = {}

    def vectors(texts):
        new = [text for text in texts if text not in known]
        known.update(zip(new, embedder(new) if new else (), strict=True))
        return np.array([known[text] for text in texts])

    return vectors


@pytest.mark.parametrize("part", PARTS)
def test_at_the_default_settings_at_most_one_look_alike_in_a_hundred_is_served(report, part):
    """And what part of the paraphrases is: printed, for it is what the safety costs."""
    row, whole, asked = report[part]
    print(
        f"\n{part}: false hits {row['false_hits']:.0f} ({row['false_hit_rate']:.2%}, at most {row['false_high']:.2%} with "
        f"95 % confidence; without the gate {row['without_gate']:.0f}), recall {row['hit_rate']:.1%} "
        f"({row['hit_low']:.1%} to {row['hit_high']:.1%}); with a verifier that never errs {whole['hit_rate']:.1%}, "
        f"which is asked about {len(asked)} pairs, {asked.count(False)} of them traps"
    )
    assert row["false_hit_rate"] <= 0.01


def test_of_all_authors_together_the_upper_end_is_low_too(report, pairs):
    """Clopper and Pearson's, by scipy."""
    false = sum(int(alone["false_hits"]) for alone, _, _ in report.values())
    traps = sum(not same for part in pairs.values() for _, _, same in part)
    high = scipy.stats.binomtest(false, traps).proportion_ci(0.90, method="exact").high
    print(f"\nall: {false} of {traps} traps are served, at most {high:.2%} with 95 % confidence")

    assert high <= 0.01


@pytest.mark.parametrize("part", PARTS)
def test_a_verifier_finds_most_of_what_the_gate_alone_misses(report, pairs, part):
    """One that knows the labels: real ones find less. What the gate is sure of it is not asked about."""
    alone, whole, asked = report[part]

    assert whole["hit_rate"] >= 0.5
    assert whole["hits"] > alone["hits"]
    assert whole["false_hits"] == 0
    assert asked.count(False) < 0.65 * sum(not same for _, _, same in pairs[part])


def test_similarity_alone_serves_more_wrong_answers_than_right_ones(report):
    """Which is why there is a gate."""
    assert sum(alone["without_gate"] for alone, _, _ in report.values()) > 400


@pytest.mark.parametrize(("what", "one", "other"), [
    ("number", "Name 15 rivers", "Name 50 rivers"),
    ("number", "Who came second?", "Who came third?"),
    ("number", "Is Python 3.1 out?", "Is Python 3.10 out?"),
    ("number", "What is -5 plus 8?", "What is 5 plus 8?"),
    ("number", "Explain chapter II", "Explain chapter III"),
    ("number", "How far is 5 km?", "How far is 5 miles?"),
    ("number", "Is it at 3 pm?", "Is it at 3 am?"),
    ("number", "What was decided on 03/04/2024?", "What was decided on 04/03/2024?"),
    ("number", "I have 3 apples and 5 pears, how many pieces?", "I have 5 apples and 3 pears, how many pieces?"),
    ("word", "Is the shop open today?", "Is the shop open tomorrow?"),
    ("name", "What is the capital of France?", "What is the capital of Finland?"),
    ("added name", "Is Rome in Italy?", "Is Rome in Italy near Naples?"),
    ("spelling", "Fix the typo: teh cat", "Fix the typo: the cat"),
    ("name", "Who directed Alien?", "Who directed Aliens?"),
    ("negation", "Can I go with a passport?", "Can I go without a passport?"),
    ("negation", "Which birds fly?", "Which birds don't fly?"),
    ("negation", "Which birds have never flown?", "Which birds have not flown?"),
    ("degree", "What should I eat before a race?", "What should I eat after a race?"),
    ("degree", "Are all swans white?", "Are most swans white?"),
    ("degree", "How do I turn the lamp down?", "How do I turn the lamp off?"),
    ("degree", "Which books are by Orwell?", "Which books are about Orwell?"),
    ("degree", "How old is he?", "How old is she?"),
    ("quoted text", "What does 'affect' mean?", "What does 'effect' mean?"),
    ("quoted text", "Who said “I came”?", "Who said “I went”?"),
    ("quoted text", "What does `a == b` do?", "What does `a === b` do?"),
    ("code", "How do I use os.path.join?", "How do I use os.path.split?"),
    ("code", "Is C++ old?", "Is C# old?"),
    ("code", "What does ls -l show?", "What does ls -a show?"),
    ("symbol", "What does 😀 mean?", "What does 😢 mean?"),
    ("kind", "Can I delete my account?", "How can I delete my account?"),
    ("kind", "What do bees make?", "How do bees make?"),
    ("kind", "When was it sold?", "Where was it sold?"),
    ("tense", "Who won the cup?", "Who will win the cup?"),
    ("tense", "Is the water cold?", "Was the water cold?"),
    ("modal", "Should I take aspirin?", "Can I take aspirin?"),
    ("modal", "Do cats eat fish?", "Can cats eat fish?"),
    ("word", "What are good laptops?", "What are good laptops for gaming?"),
    ("word", "How do I boil an egg?", "How do I poach an egg?"),
    ("word", "Which city borders it?", "Which country borders it?"),
    ("order", "Can my neighbour report me?", "Can I report my neighbour?"),
    ("order", "How can my boss report me?", "How can I report my boss?"),
    ("order", "She muted me, can I see her posts?", "I muted her, can she see my posts?"),
    ("degree", "What do you eat soup with?", "What do you eat with soup?"),
    ("order", "Why did they charge me?", "Why did I charge them?"),
    ("degree", "Is it safe to drive with snow?", "Is it safe to drive in snow?"),
    ("word", "Has the parcel shipped?", "Has the parcel been delivered?"),
    ("word", "Should I rent a car?", "Should I lease a car?"),
    ("order", "Why do dogs chase cats?", "Why do cats chase dogs?"),
    ("order", "Who was beaten by Brazil?", "Who beat Brazil?"),
    ("order", "Who did Anna call?", "Who called Anna?"),
    ("order", "Who called Anna?", "Whom did Anna call?"),
    ("order", "Is love war?", "Is war love?"),
    ("order", "Is there a train to Paris?", "Is there a train from Paris?"),
    ("order", "Show orders that were only paid", "Only show orders that were paid"),
    ("order", "Was Rome beaten by Carthage in battle?", "Did Rome beat Carthage in battle?"),
    ("language", "Quelle ville compte davantage?", "Quelle ville compte davantage"),
    ("length", "why " * (MOST_WORDS + 1), "Why " * (MOST_WORDS + 1)),
    ("length", "y" * (MOST_LETTERS + 1), "Y" * (MOST_LETTERS + 1)),
])  # fmt: skip
def test_what_keeps_two_questions_apart_is_named(what, one, other):
    """Whichever comes first."""
    assert (differ(one, other), differ(other, one)) == (what, what)


@pytest.mark.parametrize(("one", "other"), [
    ("what is the capital of france", "What's the capital of France?"),
    ("Capital of Kenya?", "Please tell me what the capital of Kenya is"),
    ("Who invented the telephone?", "The telephone was invented by whom?"),
    ("How tall is K2?", "What is the height of K2?"),
    ("Convert 5 km to miles.", "How many miles are 5 kilometres?"),
    ("How do you say 'cheese' in Italian?", "Translate 'cheese' into Italian."),
    ("What does 'cheese' mean?", "Define 'cheese'"),
    ("In pandas, how do I drop duplicate rows?", "How do I drop duplicate rows in pandas?"),
    ("Which country won the cup in 2014?", "Who won the cup in 2014?"),
    ("How do cats and dogs differ?", "What is the difference between dogs and cats?"),
    ("How much does a bike cost?", "What's the price of a bicycle?"),
    ("How do bees make honey?", "How is honey made by bees?"),
    ("My parcel hasn't come, why?", "My package has not come, why?"),
    ("Is 3 plus 4 odd?", "Is 4 plus 3 odd?"),
])  # fmt: skip
def test_the_same_in_other_words_passes(one, other):
    """Whichever comes first."""
    assert (differ(one, other), differ(other, one)) == (None, None)


@pytest.mark.parametrize(("kind", "one", "other"), TRAPS)
def test_no_rule_of_english_goes_too_far(kind, one, other):
    """Whichever comes first, and the same difference."""
    assert differ(one, other) is not None, kind
    assert differ(one, other) == differ(other, one)


@pytest.mark.parametrize(("one", "other"), SAID_OTHERWISE)
def test_what_other_people_ask_in_their_own_words_passes(one, other):
    """Terse, polite, British or American."""
    assert (differ(one, other), differ(other, one)) == (None, None)


def test_a_name_in_place_of_another_is_told_from_one_that_was_added():
    """The second may be a question that says more of the same."""
    assert differ("What is the capital of France?", "What is the capital of Germany?") == "name"
    assert differ("capital of france", "What is the capital of Germany?") == "name"
    assert differ("What is the capital of Congo?", "What is the capital of Congo in Africa?") == "added name"


def test_no_word_has_two_meanings():
    """A second line with the same word would silently win."""
    lines = [set(group) for group in _grouped(synonyms.SAME)]
    assert sum(map(len, lines)) == len(set().union(*lines))
    assert not [word for word in synonyms.SAME if synonyms.SAME.get(synonyms.SAME[word]) != synonyms.SAME[word]]
    assert not [word for word, whole in spelling.SHORT.items() if word == whole]


def _grouped(table):
    groups = {}
    for word, said in table.items():
        groups.setdefault(said, []).append(word)
    return groups.values()


@given(SENTENCES, SENTENCES)
def test_any_two_texts_are_compared_the_same_way_round(one, other):
    """No text breaks it, and each agrees with itself."""
    assert (differ(one, other) is None) == (differ(other, one) is None)
    assert differ(one, one) is None


@given(st.text(max_size=80), st.text(max_size=80))
def test_whatever_people_write_is_read(one, other):
    """Any characters at all."""
    assert (differ(one, other) is None) == (differ(other, one) is None)
