"""The render room: whatever a model writes is shown, and nothing of it is obeyed."""

from __future__ import annotations

import html
import re
import unicodedata

import pytest
from hostile import HOSTILE, Read, harmless
from hypothesis import given
from hypothesis import strategies as st

from prsm_lab import render

TEXT = (
    st.text() | st.sampled_from(sorted(HOSTILE.values())) | st.text("<>&\"'`[](){}!*_#|-\n\\ \tabjs:/\x1b\x00\u202e;")
)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_markdown_is_a_small_set_of_elements(text):
    """And the only attribute with a value of the model's is a link that somebody must click."""
    harmless(render.markdown(text))


@given(TEXT)
def test_markdown_is_a_small_set_of_elements_whatever_is_written(text):
    """Also for what nobody thought of."""
    harmless(render.markdown(text))


def test_markdown_is_formatted():
    """What it is for."""
    shown = render.markdown(
        "# Title\n\nA **bold** `code` [link](https://example.org)\n\n- one\n- two\n\n|a|b|\n|-|-|\n|1|2|"
    )

    for part in ("<h1>Title</h1>", "<strong>bold</strong>", "<code>code</code>", "<li>one</li>", "<td>1</td>"):
        assert part in shown
    assert 'href="https://example.org"' in shown


def test_a_very_long_answer_is_text():
    """Nested brackets cost a Markdown parser n²."""
    text = "[" * 200_000

    assert Read(render.markdown(text)).tags == {"div", "pre"}
    assert Read(render.markdown(text)).text == text


@given(TEXT)
def test_escaped_text_is_read_back_as_the_plain_text(text):
    """No element, no attribute, no entity comes out of it."""
    shown = render.escaped(text)

    assert html.unescape(shown) == render.plain(text)
    assert not set(shown) & set("<>\"'")


@given(TEXT)
def test_plain_text_commands_no_terminal(text):
    """No escape, no control character, nothing that reorders; once is as good as twice."""
    shown = render.plain(text)

    assert not [c for c in shown if unicodedata.category(c) in ("Cc", "Cs") and c not in "\n\t"]
    assert not re.search("[\u202a-\u202e\u2066-\u2069]", shown)
    assert render.plain(shown) == shown


def test_plain_text_keeps_what_people_write():
    """Every script, emoji with joiners, marks of direction that belong to a language."""
    for text in ("naïve Straße 中文 العربية עברית\u200f हिन्दी", "👩‍👩‍👧‍👦 🏴󠁧󠁢󠁥󠁮󠁧󠁿", "tab\tand\nline"):
        assert render.plain(text) == text


def test_terminal_sequences_leave_whole():
    """Colours, and links whose target nobody sees."""
    assert render.plain(HOSTILE["ansi"]) == "redlink 31m"


@pytest.mark.parametrize(("longest", "shown"), [(3, "ab…"), (6, "abcdef"), (1, "…")])
def test_long_text_is_cut_with_an_ellipsis(longest, shown):
    """At most so many characters, the ellipsis among them."""
    assert render.plain("abcdef", longest=longest) == shown


@given(TEXT, st.integers(1, 100))
def test_a_line_is_one_line(text, longest):
    """Of at most so many characters."""
    shown = render.line(text, longest=longest)

    assert len(shown.splitlines()) <= 1
    assert len(shown) <= longest
