"""Templates: columns in, text out; values are data and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prsm_lab.errors import InvalidRequestError
from prsm_lab.frames import prompts
from prsm_lab.frames.prompts import MissingValue, Template, col, maker

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@given(TEXT, TEXT, TEXT)
def test_a_value_comes_through_untouched_whatever_is_in_it(before, value, after):
    """Braces, percent signs, dollars, code: single pass, prefix + value + suffix."""
    literal = (before.replace("{", "{{").replace("}", "}}"), after.replace("{", "{{").replace("}", "}}"))

    assert Template(f"{literal[0]}{{x}}{literal[1]}", ["x"]).fill({"x": value}) == before + value + after


@given(TEXT)
def test_a_template_either_fills_or_says_what_is_wrong(text):
    """No KeyError, no IndexError, no format codes run."""
    try:
        Template(text, ["x", "y"]).fill({"x": "1", "y": "2"})
    except InvalidRequestError as error:
        assert error.details["parameter"] == "prompt"


@pytest.mark.parametrize("hole", ["{row.__class__}", "{x[0]}", "{x!r}", "{x:>99999999}", "{}", "{0}"])
def test_a_hole_is_a_column_and_nothing_more(hole):
    """`str.format` would read attributes of objects, and fill memory."""
    with pytest.raises(InvalidRequestError):
        Template(hole, ["x"])


@pytest.mark.parametrize("text", ["{x", "x}", "{x}}", "{{x}"])
def test_a_single_brace_says_how_to_write_one(text):
    """Rather than guess."""
    with pytest.raises(InvalidRequestError, match=r"\{\{|\}\}"):
        Template(text, ["x"])


def test_columns_may_be_called_anything():
    """Numbers, blanks, dots."""
    assert Template("{0} {a b} {x.y}", [0, "a b", "x.y"]).fill({0: "zero", "a b": "two", "x.y": 3.5}) == "zero two 3.5"


def test_messages_are_templates_part_by_part():
    """Texts in them are filled; images and roles stay."""
    chat = [
        {"role": "system", "content": "You know {topic}."},
        {
            "role": "user",
            "content": [{"type": "text", "text": "{q}"}, {"type": "image_url", "image_url": {"url": "{q}"}}],
        },
    ]
    filled = maker(chat, ["q", "topic"])({"q": "why?", "topic": "maps"})

    assert filled[0]["content"] == "You know maps."
    assert filled[1]["content"] == [
        {"type": "text", "text": "why?"},
        {"type": "image_url", "image_url": {"url": "{q}"}},
    ]
    assert chat[0]["content"] == "You know {topic}."


def test_a_column_gives_texts_or_whole_chats():
    """And its braces are text."""
    make = maker(col("q"), ["q"])

    assert make({"q": "{not a hole}"}) == [{"role": "user", "content": "{not a hole}"}]
    assert make({"q": [{"role": "user", "content": "hi"}]}) == [{"role": "user", "content": "hi"}]
    with pytest.raises(InvalidRequestError, match="holds float"):
        make({"q": 1.5})


def test_a_function_sees_the_row():
    """It returns text or messages."""
    assert maker(lambda row: row["a"] * 2, ["a"])({"a": "x"}) == [{"role": "user", "content": "xx"}]
    with pytest.raises(MissingValue):
        maker(lambda row: None, ["a"])({"a": "x"})


def test_a_system_template_goes_in_front():
    """Filled from the same row."""
    assert maker("{q}", ["q", "who"], system="You are {who}.")({"q": "hi", "who": "brief"})[0] == {
        "role": "system",
        "content": "You are brief.",
    }


@pytest.mark.parametrize("prompt", [3, None, [], [1], {"a": 1}])
def test_what_is_no_prompt_is_refused(prompt):
    """With what a prompt may be."""
    with pytest.raises(InvalidRequestError, match="give a template"):
        prompts.maker(prompt, ["q"])
