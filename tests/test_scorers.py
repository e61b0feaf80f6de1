"""Scorers one by one: what each reads out of an answer, against tables, published figures and the packages' own."""

from __future__ import annotations

import collections
import json
import pickle
import re
import string
from typing import ClassVar

import numpy as np
import pytest
import sacrebleu
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, field_validator

import prsm_lab as lab
from prsm_lab import errors, scorers
from prsm_lab.jsontext import document
from prsm_lab.scorers.choices import chosen
from prsm_lab.scorers.numbers import number, quantity
from prsm_lab.scorers.overlap import common_subsequence, rouge_l, token_f1
from prsm_lab.scorers.texts import contains, exact

TEXT = st.text(max_size=40)

# ---------------------------------------------------------------------------------------------------- numeric

NUMERIC = [
    # plain
    ("42", 42, True), ("The answer is 42.", 42, True), ("42.0", 42, True), ("41", 42, False), ("", 42, False), ("no idea", 42, False),
    ("#### 72", 72, True), ("**42**", 42, True), ("`42`", 42, True), ("x = 42", 42, True), ("=42\n", 42, True), ("3 + 4 = 7", 7, True), ("7 because 3 + 4", 7, False),
    ("She sold 48/2 = 24 clips in May. 48+24 = 72 in all.\n#### 72", 72, True), ("12 apples … so 3 dozen", 3, True), ("12 apples … so 3 dozen", 36, True),
    ("３６", 36, True), ("٤٢", 42, True), ("答案是42个", 42, True), ("1e3", 1000, True), ("6.02E23", 6.02e23, True), ("3.", 3, True), (".5", 0.5, True), ("-.25", -0.25, True),
    # separators
    ("$1,234.50", 1234.5, True), ("1,234,567", 1234567, True), ("1 000", 1000, True), ("1 000 000", 1_000_000, True), ("1 234,50", 50, True), ("1_000", 1000, True),
    ("1'000", 1000, True), ("1’000.5", 1000.5, True), ("12,34,567", 1234567, True), ("12,5", 5, True), ("12,5", 12.5, False), ("1.234,5", 1234.5, True), ("1.234.567", 1234567, True),
    ("1,2345", 2345, True), ("1.234,567", 567, True), ("18\\,000", 18000, True), ("\\boxed{18{,}000.5}", 18000.5, True), ("10, 20, 300", 300, True), ("192.168.100.200", 192168100, False), ("in 2024 100 people", 100, True),
    # signs
    ("-5", -5, True), ("−5", -5, True), ("–5", -5, True), ("－5", -5, True), ("+5", 5, True), ("-5", 5, False), ("−5", 5, False), ("-$5", -5, True), ("$-5", -5, True), ("−€1,000", -1000, True),
    ("negative 5 degrees", -5, True), ("from 3 to -7", -7, True), ("between 3 and 4", 4, True), ("3-4", 4, True), ("3–4", 4, True), ("3–4", -4, False), ("10-5", -5, True), ("GPT-4", 4, True),
    ("2024-01-05", 5, True), ("(5)", 5, True), ("x-5", 5, True), ("5 - 3 = 2", 2, True),
    # fractions and powers
    ("1/2", 0.5, True), ("2 1/2", 2.5, True), ("½", 0.5, True), ("2½ cups", 2.5, True), ("\\frac{1}{2}", 0.5, True), ("-\\dfrac{3}{4}", -0.75, True), ("1⁄4", 0.25, True), ("7/0", 0, True), ("1/25.5", 25.5, True), ("1/2/4", 4, True),
    ("12/25/2024", 2024, True), ("8/10", 0.8, True), ("1.5/3", 3, True), ("1.5×10^3", 1500, True), ("2 x 10^{-3}", 0.002, True), ("2·10⁻³", 0.002, True), ("3 \\times 10^8 m/s", 3e8, True), ("10^6", 1e6, True), ("10**3", 1000, True), ("x^2", 2, True),
    # units, and what multiplies
    ("5%", 5, True), ("5%", 0.05, True), ("5 percent", "5%", True), ("0.05", "5%", True), ("5", "5%", True), ("500%", "5%", False), ("5%", "500%", False), ("5\\%", 5, True), ("50", 0.05, False),
    ("3 million", 3_000_000, True), ("3 million", 3, True), ("3 million", "3 thousand", False), ("$2.5k", 2500, True), ("1.2M users", 1_200_000, True), ("2 hundred", 200, True), ("room 12B", 12, True),
    ("12 km", 12, True), ("5 m²", 5, True), ("25 °C", 25, True), ("€ 5,000", 5000, True), ("5kg", 5, True), ("300K", 300, True), ("5 miles", 5, True), ("60 km/h", 60, True),
    # names and marks
    ("H2O", 2, True), ("it costs 7 with plan B2", 7, True), ("Answer (see Q3): 9", 9, True), ("\\boxed{7}", 7, True), ("\\boxed{7}, in 3 steps", 7, True), ("\\boxed{\\frac{3}{4}} of 8", 0.75, True),
    ("\\boxed{x} so 9", 9, True), ("\\boxed{1} or \\boxed{2}", 2, True), ("12 (twelve)", 12, True), ("The answer is 12. I am 95% sure.", 12, False),
]  # fmt: skip


@pytest.mark.parametrize(("answer", "reference", "right"), NUMERIC)
def test_numeric_reads_the_last_number_as_a_person_would(answer, reference, right):
    """What can be read in two ways is decided in the module's docstring."""
    assert scorers.Numeric()(answer, reference) is right


@pytest.mark.parametrize(
    ("answer", "reference", "right"),
    [("12,5", 12.5, True), ("1.234,50", 1234.5, True), ("1.234", 1234, True), ("1,234", 1.234, True), ("1,234.5", 1234.5, True), ("1 234,5", "1.234,5", True)],
)  # fmt: skip
def test_a_decimal_comma_is_read_where_it_is_asked_for(answer, reference, right):
    """`decimal=","` swaps the two signs; what can only be the other convention is still read so."""
    assert scorers.Numeric(decimal=",")(answer, reference) is right


@pytest.mark.parametrize(
    ("options", "answer", "right"),
    [({}, "3.1400001", True), ({}, "3.141", False), ({"rel_tol": 0.01}, "3.15", True), ({"rel_tol": 0.01}, "3.2", False), ({"rel_tol": 0, "abs_tol": 0.5}, "3.6", True), ({"rel_tol": 0, "abs_tol": 0}, "3.14", True)],
)  # fmt: skip
def test_tolerances_are_relative_or_absolute(options, answer, right):
    """The larger of the two counts."""
    assert scorers.Numeric(**options)(answer, 3.14) is right


def test_a_number_is_told_as_it_is_written():
    """Its unit and a doubtful minus stand beside it."""
    assert quantity("so 5%") == (5.0, 0.01, False)
    assert quantity("3-4") == (-4.0, 1.0, True)
    assert (number("3 million"), quantity("none")) == (3.0, None)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-(10**9), max_value=10**9))
def test_a_number_with_separators_is_read_back(value):
    """English and Swiss ones."""
    assert number(f"It costs {value:,} in all.") == pytest.approx(float(value))
    assert number(f"{value:,}".replace(",", "'")) == pytest.approx(float(value))


# ----------------------------------------------------------------------------------------------------- choice

CHOICE = [
    ("B", "B"), ("b", "B"), ("b)", "B"), ("(B)", "B"), ("[B]", "B"), ("B.", "B"), ("**C**", "C"), ("`D`", "D"), ("Ｂ", "B"), ("✅ B", "B"), ("Option C", "C"), ("option c", "C"), ("Answer: (d)", "D"),
    ("B. Paris", "B"), ("b. Paris", "B"), ("B) Paris, because A lies in Spain and C in Italy", "B"), ("B: Paris\nA is Madrid", "B"), ("A because B and C are cities in Spain", "A"), ("A) Rome\nB) Paris", None),
    ("\\boxed{C}", "C"), ("\\boxed{\\text{D}}", "D"), ("A, B: no. $\\boxed{\\textbf{(E)}}$", "E"),
    ("The answer is (B).", "B"), ("The correct answer is option B: Paris.", "B"), ("The best option here is 'D'", "D"), ("Answer - B", "B"), ("Answer:\n\nC", "C"), ("Final answer: **(A)**", "A"), ("Correct answer: B", "B"),
    ("answer is b", "B"), ("The answer to this question is D.", "D"), ("A good question. The answer: D", "D"), ("Answer is A.\nExplanation: B is a city", "A"), ("It must be E", "E"), ("I would choose (a)", "A"),
    ("I choose B over A.", "B"), ("I'd go with D rather than C.", "D"), ("C is the right answer, since B is false.", "C"), ("A is correct.", "A"), ("(A) is tempting, but (C) is correct", "C"), ("which is option B.", "B"),
    ("I think A is wrong, so B", "B"), ("Answer: A, not B", "A"), ("The answer isn't A but C", "C"), ("It's not A. It's not B. So C.", "C"), ("Neither A nor B; C remains.", "C"), ("B and C are wrong. A fits.", "A"), ("I don't think it's A; B", "B"),
    ("A, B and C are incorrect; hence D", "D"), ("It can't be A, B can't be right either, C is out. D!", "D"), ("A: wrong. B: wrong. C: correct.", "C"), ("D is not wrong; D", "D"), ("The answer is A. Wait, the answer is B.", "B"), ("Therefore, the choice is C, as B is incorrect and A cannot be.", "C"),
    ("A or B", None), ("The answer is A or B.", None), ("The answer is A and B", None), ("Both A and C seem fine", None), ("None", None), ("", None), ("All of the above", None), ("The answer is F", None),
    ("A cat sat.", None), ("It is a cat", None), ("U.S.A. won", None), ("A-level", None), ("B's turn", None), ("Vitamin C", "C"), ("I am unsure.", None), ("DEAD", None),
]  # fmt: skip


@pytest.mark.parametrize(("answer", "letter"), CHOICE)
def test_a_letter_is_found_in_free_text(answer, letter):
    """One that is chosen, not one that is refused, and none where several are left."""
    assert chosen(answer) == letter


@pytest.mark.parametrize("reference", ["B", "b", "(B)", "B) Paris", " B. "])
def test_a_reference_may_be_a_label(reference):
    """With or without what it stands for."""
    assert scorers.Choice()("The answer is B", reference) is True
    assert scorers.Choice()("The answer is C", reference) is False


@pytest.mark.parametrize("reference", ["Paris", "F", 2, "BC"])
def test_a_reference_that_is_no_letter_is_refused(reference):
    """An index is not taken for a letter: some count from 0, some from 1."""
    with pytest.raises(ValueError, match="none of the letters A, B"):
        scorers.Choice()("B", reference)


def test_other_letters_are_asked_for():
    """`I` is then a letter, where it is no pronoun."""
    ten = scorers.Choice(letters="ABCDEFGHIJ")

    assert (ten("The answer is I.", "I"), ten("I think it is J", "J"), scorers.Choice("AB")("C", "A")) == (
        True,
        True,
        False,
    )


@given(TEXT, st.sampled_from("ABCDE"))
def test_what_is_boxed_is_chosen_whatever_stands_before_it(text, letter):
    """Models write much."""
    assert chosen(f"{text.replace('boxed', '')} \\boxed{{{letter}}}") == letter


# ------------------------------------------------------------------------------------------ any answer ends

HOSTILE = [
    "-", " ", "\n", "A, ", "answer is ", "answer to a b c ", " is not A", "not ", "A or ", "\\boxed{", "{", "[", "```\n", "9", "1.111", "1,11", "1 111 ", "1/", "10^", "½",
    "\ue000A\ue001", "=> ", "is clearly ", "option option ", "\\frac{1}{", "negative ",
]  # fmt: skip


@pytest.mark.parametrize("piece", HOSTILE)
def test_no_answer_holds_up_a_scorer(piece):
    """Patterns over what a model wrote take time in proportion to it."""
    text = f"The answer is {piece * (20_000 // len(piece))}x"
    for read in (chosen, quantity, document):
        read(text)
    assert contains(text, "no such words") is False


# ----------------------------------------------------------------------------------------------------- texts


def test_a_pattern_is_an_option_or_each_rows_reference():
    """Only the latter needs a reference."""
    year = scorers.Regex(r"\b(19|20)\d\d\b")

    assert (year("In 1989."), year("In 89."), year.compares) == (True, False, False)
    assert (scorers.Regex()("abc", "^b"), scorers.Regex()("abc", ["^b", "c$"]), scorers.Regex().compares) == (
        False,
        True,
        True,
    )
    assert (
        scorers.Regex()("a.c", "abc"),
        scorers.Regex()("xabcx", "abc"),
        scorers.Regex(full=True)("xabcx", "abc"),
    ) == (False, True, False)
    assert (scorers.Regex(r"\d+", full=True)(" 12\n"), scorers.Regex(r"\d+", full=True)("12 km")) == (True, False)


def test_a_pattern_that_is_none_is_refused_where_it_stands():
    """An option at once, a reference in its row."""
    with pytest.raises(errors.InvalidRequestError, match=r"pattern.*\(ab"):
        scorers.Regex("(ab")
    with pytest.raises(ValueError, match="no regular expression"):
        scorers.Regex()("abc", "(ab")


@pytest.mark.parametrize("full", [False, True])
def test_a_pattern_that_would_not_end_is_stopped(full):
    """Python's own `re` would go on for years."""
    with pytest.raises(ValueError, match=r"did not come to an end within 0\.05 s"):
        scorers.Regex(r"(a|aa)+$", full=full, seconds=0.05)("a" * 60 + "b")


def test_length_counts_characters_or_words():
    """Of the answer alone."""
    assert (scorers.Length()("naïve café"), scorers.Length("words")(" two  words\n"), scorers.Length()("")) == (
        10,
        2,
        0,
    )


@pytest.mark.parametrize(
    ("scorer", "answer", "found"),
    [
        (scorers.Exact(), "Paname", 1.0), (scorers.Contains(), "It is Paris.", 1.0), (scorers.Numeric(), "7", 0.0), (scorers.F1(), "Paris it is", 0.5), (scorers.RougeL(), "Paname", 1.0),
        (scorers.Bleu(), "Paname", 100.0), (scorers.Chrf(), "Paname", 100.0),
    ],
)  # fmt: skip
def test_of_several_right_answers_the_best_counts(scorer, answer, found):
    """A list, a tuple or an array, as parquet gives it."""
    for several in (
        ["Paris 5", "Paris", "Paname"],
        ("Paris 5", "Paris", "Paname"),
        np.array(["Paris 5", "Paris", "Paname"]),
    ):
        rights = [5, 6] if isinstance(scorer, scorers.Numeric) else several
        assert scorer(answer, rights) == pytest.approx(found)


@pytest.mark.parametrize(
    "kind", [scorers.Exact, scorers.Numeric, scorers.Choice, scorers.F1, scorers.RougeL, scorers.Chrf, scorers.Regex]
)
@pytest.mark.parametrize("reference", [None, [], [None]])
def test_nothing_to_compare_with_is_no_score(kind, reference):
    """Never silently 0."""
    with pytest.raises(ValueError, match="the reference is"):
        kind()("x", reference)


# --------------------------------------------------------------------------------------------------- overlap

ROUGE = [  # by Google's rouge_score 0.1.2, without stemmer; the third and fourth are Lin's own (2004, section 3.1)
    ("the cat sat on the mat", "a cat was on the mat", 0.6666666666666666), ("Paris, France", "Paris", 0.6666666666666666),
    ("police kill the gunman", "police killed the gunman", 0.75), ("the gunman kill police", "police killed the gunman", 0.5),
    ("", "something", 0), ("It's 3.5 € — O'Neil's", "its 3,5 euros O Neil s", 0.7142857142857143), ("A B C D E F", "F E D C B A", 0.16666666666666666),
    ("the the the the", "the cat the dog the", 0.6666666666666665), ("x1 y2 z3 " * 10, "z3 x1 y2 " * 8, 0.888888888888889), ("Ünïcode çafé", "unicode cafe", 0.0),
    ("answer: 42", "42", 0.6666666666666666), ("one two three four five six seven eight nine ten", "ten nine one two eight three seven four six five", 0.5),
]  # fmt: skip


@pytest.mark.parametrize(("answer", "reference", "figure"), ROUGE)
def test_rouge_l_is_what_rouge_score_computes(answer, reference, figure):
    """Figures of its version 0.1.2."""
    assert rouge_l(answer, reference) == pytest.approx(figure, abs=1e-12)


def test_a_reference_in_another_script_has_no_rouge():
    """0 would say that nothing agrees."""
    with pytest.raises(ValueError, match="no token that ROUGE counts"):
        scorers.RougeL()("東京", "東京")


@given(st.lists(st.sampled_from("abcd"), max_size=30), st.lists(st.sampled_from("abcd"), max_size=30))
def test_the_longest_common_subsequence_is_that_of_the_textbook(one, other):
    """Bits against the table of all prefixes."""
    table = [[0] * (len(other) + 1) for _ in range(len(one) + 1)]
    for i, left in enumerate(one):
        for j, right in enumerate(other):
            table[i + 1][j + 1] = table[i][j] + 1 if left == right else max(table[i][j + 1], table[i + 1][j])

    assert common_subsequence(one, other) == table[-1][-1]


def squad(said: str, right: str) -> float:
    """SQuAD 2.0's evaluation script, `compute_f1`, as published."""

    def tokens(text):
        text = "".join(sign for sign in text.lower() if sign not in set(string.punctuation))
        return re.sub(r"\b(a|an|the)\b", " ", text).split()

    gold, pred = tokens(right), tokens(said)
    same = sum((collections.Counter(gold) & collections.Counter(pred)).values())
    if len(gold) == 0 or len(pred) == 0:
        return float(gold == pred)
    if same == 0:
        return 0.0
    precision, recall = same / len(pred), same / len(gold)
    return (2 * precision * recall) / (precision + recall)


@given(st.text("aben the.,-'é", max_size=25), st.text("aben the.,-'é", max_size=25))
def test_f1_is_what_squads_script_computes(said, right):
    """Marks are taken out, not made blanks: `U.S.` is one token; a token counts as often as both sides have it."""
    assert token_f1(said, right) == pytest.approx(squad(said, right))
    assert token_f1(f"{said} b b n", "b b") == pytest.approx(squad(f"{said} b b n", "b b"))


@given(TEXT, TEXT)
def test_bleu_and_chrf_are_sacrebleus_own(said, right):
    """To the last digit."""
    assert scorers.Bleu()(said, right) == sacrebleu.sentence_bleu(said, [right]).score
    assert scorers.Chrf()(said, right) == sacrebleu.sentence_chrf(said, [right]).score


def test_options_of_bleu_and_chrf_reach_sacrebleu():
    """And several references count together."""
    said, rights = "The Cat sat there", ["the cat sat here", "a cat sits there"]

    assert scorers.Bleu(lowercase=True)(said, rights) == sacrebleu.sentence_bleu(said, rights, lowercase=True).score
    assert scorers.Bleu(tokenize="char")(said, rights) == sacrebleu.sentence_bleu(said, rights, tokenize="char").score
    assert scorers.Chrf(word_order=2)(said, rights) == sacrebleu.sentence_chrf(said, rights, word_order=2).score


# ---------------------------------------------------------------------------------------------------- fields


@pytest.mark.parametrize(
    ("answer", "valid", "strictly"),
    [
        ('{"a": 1}', True, True), (" [1, 2]\n", True, True), ("7", True, True), ("```json\n[1]\n```", True, False), ('Here: {"a": 1}. Bye', True, False), ("As shown in [1], yes", False, False),
        ("```\n7\n```", False, False), ('{"a": 1} it is', True, False), ("7 apples", False, False), ('{"a": NaN}', False, False), ('{"a": 1', False, False), ("{'a': 1}", False, False), ("", False, False), ("yes", False, False), ("[" * 50_000, False, False),
    ],
)  # fmt: skip
def test_a_json_document_is_recognised(answer, valid, strictly):
    """Amid words or in a fence it counts, unless it must stand alone."""
    assert (scorers.JsonValid()(answer), scorers.JsonValid(strict=True)(answer)) == (valid, strictly)


RIGHT = {"name": "Ann Lee", "age": 3, "tags": ["x", "y"], "at": {"city": "Rome", "zip": None}}


@pytest.mark.parametrize(
    ("answer", "share"),
    [
        (json.dumps(RIGHT), 1.0), ("```json\n" + json.dumps(RIGHT) + "\n```", 1.0), ('{"name": "ann lee.", "age": 3.0}', 2 / 6), ('{"age": "3"}', 0.0), ('{"age": true}', 0.0), ('{"tags": ["y", "x"]}', 0.0),
        ('{"tags": ["x"]}', 1 / 6), ('{"at": {"city": "Rome", "zip": null}}', 2 / 6), ('{"at": {"city": "Rome", "zip": ""}}', 1 / 6), ("no document", 0.0), ("[]", 0.0), ('{"other": 1}', 0.0),
    ],
)  # fmt: skip
def test_json_match_is_the_share_of_fields_that_agree(answer, share):
    """Of those that the reference has, counted where they hold no others."""
    assert scorers.JsonMatch()(answer, RIGHT) == pytest.approx(share)
    assert scorers.JsonMatch()(answer, json.dumps(RIGHT)) == pytest.approx(share)


def test_json_match_tells_fields_apart_and_may_count_what_is_too_much():
    """Parts are columns of their own."""
    said, right = '{"a": 1, "b": {"c": 2}, "d": 0}', {"a": 1, "b": {"c": 3}}

    assert scorers.JsonMatch(parts=True)(said, right) == {"share": 0.5, "a": True, "b.c": False}
    assert scorers.JsonMatch(extra=True)(said, right) == pytest.approx(1 / 3)
    assert scorers.JsonMatch(parts=True)('{"a": 1, "b": false}', {"a": True, "b": False}) == {
        "share": 0.5,
        "a": False,
        "b": True,
    }


@pytest.mark.parametrize(
    ("reference", "says"), [("{}", "no fields"), ("{", "no JSON document"), (None, "empty"), ([], "no fields")]
)
def test_a_reference_without_fields_is_refused(reference, says):
    """There is no share of nothing."""
    with pytest.raises(ValueError, match=says):
        scorers.JsonMatch()("{}", reference)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda s: st.lists(s, min_size=1, max_size=3) | st.dictionaries(st.text(max_size=3), s, min_size=1, max_size=3),
        max_leaves=8,
    )
)
def test_a_document_matches_itself(value):
    """Whatever is in it."""
    assert scorers.JsonMatch(extra=True)(json.dumps([value]), [value]) == 1.0


class Order(BaseModel):
    """What an answer must be."""

    item: str
    number: int

    @field_validator("number")
    @classmethod
    def _some(cls, value: int) -> int:
        if value < 1:
            raise ValueError("none ordered")
        return value


@pytest.mark.parametrize(
    ("answer", "fits"),
    [('{"item": "pen", "number": 2}', True), ('Sure:\n```json\n{"item": "pen", "number": 2}\n```', True), ('{"item": "pen", "number": 0}', False), ('{"item": "pen"}', False), ("a pen", False), ('{"item": "pen", "number": "2"}', True)],
)  # fmt: skip
def test_a_pydantic_model_validates_as_pydantic_does(answer, fits):
    """Its own validators run."""
    assert scorers.Schema(Order)(answer) is fits
    assert repr(scorers.Schema(Order)) == "Schema(Order)"


def test_a_json_schema_is_an_option_or_each_rows_reference():
    """`"2"` is no integer there."""
    whole = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}

    assert (scorers.Schema(whole)('{"n": 2}'), scorers.Schema(whole)('{"n": "2"}')) == (True, False)
    assert (
        scorers.Schema()('{"n": 2}', json.dumps(whole)),
        scorers.Schema()("{}", whole),
        scorers.Schema().compares,
    ) == (True, False, True)
    with pytest.raises(ValueError, match="no JSON document"):
        scorers.Schema()("{}", "whole")
    with pytest.raises(errors.InvalidRequestError, match="reference"):
        scorers.Schema()("{}", "[]")


# --------------------------------------------------------------------------------------------------- objects


def test_objects_show_the_options_that_were_set_and_travel():
    """Two with the same options are the same."""
    given = scorers.Numeric(rel_tol=0.01)

    assert repr(given) == "Numeric(rel_tol=0.01)"
    assert (repr(scorers.Choice()), repr(scorers.Regex(r"\d")), repr(scorers.Schema())) == (
        "Choice()",
        r"Regex(pattern='\\d')",
        "Schema()",
    )
    assert pickle.loads(pickle.dumps(given)) == given
    with pytest.raises(AttributeError):
        given.rel_tol = 1


@pytest.mark.parametrize("name", scorers.names())
def test_every_name_stands_for_an_object_of_it(name):
    """With default options."""
    assert scorers.named(name).name == name
    assert scorers.named(name) == type(scorers.named(name))()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: scorers.Numeric(rel_tol=-1), "rel_tol"), (lambda: scorers.Numeric(abs_tol=None), "abs_tol"), (lambda: scorers.Numeric(decimal=";"), "decimal"), (lambda: scorers.Choice("A"), "letters"), (lambda: scorers.Choice("ABA"), "letters"), (lambda: scorers.Choice("abc"), "letters"),
        (lambda: scorers.Regex(3), "pattern"), (lambda: scorers.Regex("a", seconds=0), "seconds"), (lambda: scorers.Regex("a", full=1), "full"), (lambda: scorers.Length("lines"), "unit"), (lambda: scorers.Bleu(tokenize="x"), "tokenize"), (lambda: scorers.Bleu(1), "lowercase"), (lambda: scorers.Chrf(-1), "word_order"),
        (lambda: scorers.Schema("x"), "schema"), (lambda: scorers.Schema({"type": "objekt"}), "schema"), (lambda: scorers.JsonMatch(parts=1), "parts"), (lambda: scorers.JsonValid(1), "strict"), (lambda: scorers.named("exactly"), "did you mean 'exact'"),
    ],
)  # fmt: skip
def test_options_that_are_none_are_refused_by_name(make, says):
    """Before anything is scored."""
    with pytest.raises(errors.InvalidRequestError, match=says):
        make()


def test_a_scorer_of_ones_own_is_a_subclass():
    """Its fields are options."""

    class Polite(scorers.Scorer, frozen=True):
        name: ClassVar[str] = "polite"
        word: str = "please"

        def __call__(self, response, reference=None):
            return self.word in response

    assert (Polite("pray")("pray tell"), repr(Polite("pray"))) == (True, "Polite(word='pray')")
    with pytest.raises(NotImplementedError, match="Rude has no __call__"):
        type("Rude", (scorers.Scorer,), {}, frozen=True)()("x")


@given(TEXT, TEXT)
def test_a_text_that_is_the_same_meets_every_scorer_at_its_best(said, right):
    """And no text breaks one that compares texts."""
    for kind in (scorers.Exact, scorers.F1):
        assert kind()(said, said) == 1.0
        assert 0 <= kind()(said, right) <= 1
    assert exact(said, right) == exact(right, said)


def test_lab_has_them():
    """`lab.scorers` needs nothing else."""
    assert lab.scorers.F1()("a b c", "b c d") == pytest.approx(0.8)
