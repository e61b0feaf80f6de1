"""Templates: columns in, text out; values are data and nothing else."""

from __future__ import annotations

import numpy as np
import pandas as pd
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


@given(st.lists(st.tuples(TEXT, st.sampled_from(["x", "y"])), max_size=4), TEXT, TEXT, TEXT)
def test_holes_are_filled_in_order_and_once(parts, tail, x, y):
    """A value that looks like a hole stays what it is; each hole has its own column's value."""
    row = {"x": "{y}" + x, "y": "{x}}{{" + y}

    def escaped(text):
        return text.replace("{", "{{").replace("}", "}}")

    template = "".join(f"{escaped(literal)}{{{hole}}}" for literal, hole in parts) + escaped(tail)

    assert Template(template, ["x", "y"]).fill(row) == "".join(literal + row[hole] for literal, hole in parts) + tail


@given(st.text("{}xy ", max_size=12))
def test_braces_agree_with_pythons_own_where_python_agrees(text):
    """What `str.format` makes of names and doubled braces, templates make too."""
    try:
        filled = Template(text, ["x", "y"]).fill({"x": "1", "y": "2"})
    except InvalidRequestError:
        return
    try:
        expected = text.format(x="1", y="2")
    except (ValueError, KeyError, IndexError):
        assert "{ " in text or " }" in text  # blanks around a name are allowed here
    else:
        assert filled == expected


class Trap:
    """An object that must only be written, never looked into."""

    secret = "leaked"

    def __str__(self):
        return "{x.secret}"


def test_a_values_attributes_are_out_of_reach():
    """Neither the template nor the value can name them."""
    assert Template("{x}", ["x"]).fill({"x": Trap()}) == "{x.secret}"
    with pytest.raises(InvalidRequestError, match=r"x\.secret"):
        Template("{x.secret}", ["x"])


@pytest.mark.parametrize(
    ("value", "written"),
    [(1, "1"), (1.5, "1.5"), (np.int64(3), "3"), (np.float64(0.5), "0.5"), (True, "True"), (pd.Timestamp("2026-01-02"), "2026-01-02 00:00:00"), ([1, "a"], "[1, 'a']"), (0, "0")],
)  # fmt: skip
def test_values_are_written_as_python_writes_them(value, written):
    """Numbers, times, lists; nought is a value."""
    assert Template("{x}", ["x"]).fill({"x": value}) == written


@pytest.mark.parametrize("value", [None, float("nan"), np.nan, pd.NA, pd.NaT])
def test_a_missing_value_names_its_column(value):
    """It is no word of the prompt."""
    with pytest.raises(MissingValue, match="column 'x' is empty"):
        Template("Say {x}", ["x"]).fill({"x": value})


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("{qestion}", r"'qestion'.*Did you mean \{question\}\? Its columns: question, answer\."),
        ("{zzz}", r"'zzz', which the data does not have\. Its columns"),
    ],
)
def test_a_column_that_is_not_there_lists_those_that_are(template, says):
    """With the nearest, where one is near; in templates, messages, system messages and `col` alike."""
    for make in (
        lambda: maker(template, ["question", "answer"]),
        lambda: maker([{"role": "user", "content": template}], ["question", "answer"]),
        lambda: maker("{question}", ["question", "answer"], system=template),
        lambda: maker(col(template.strip("{}")), ["question", "answer"]),
    ):
        with pytest.raises(InvalidRequestError, match=says):
            make()


@pytest.mark.parametrize("content", ["", "  \n", None])
def test_a_user_message_that_a_row_left_blank_is_a_missing_prompt(content):
    """From a template, a column or a function; an assistant's may be blank."""
    chat = [{"role": "assistant", "content": ""}, {"role": "user", "content": content}]
    for make, row in (
        (maker([{"role": "user", "content": "{x}"}], ["x"]), {"x": content}),
        (maker(col("chat"), ["chat"]), {"chat": chat}),
        (maker(lambda row: chat, []), {}),
    ):
        with pytest.raises(MissingValue, match="missing prompt"):
            make(row)


def test_parts_that_are_no_texts_are_no_blanks():
    """An image alone is a question."""
    chat = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,x"}}]}]

    assert maker(chat, [])({}) == chat
    assert maker(lambda row: chat, [])({}) == chat


def test_making_a_prompt_changes_no_row_and_no_template():
    """Messages are made anew for each row."""
    row = {"chat": [{"role": "user", "content": "hi"}]}
    made = maker(col("chat"), ["chat"])(row)
    made[0]["content"] = "changed"

    assert row == {"chat": [{"role": "user", "content": "hi"}]}
