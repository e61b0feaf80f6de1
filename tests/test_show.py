"""`lab.show`: a frame as a table that is read; whatever a model wrote in it is text, with and without styles."""

from __future__ import annotations

import re
import time

import pandas as pd
import pytest
from hostile import HOSTILE, Read, harmless
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

import prsm_lab as lab
from prsm_lab import errors
from prsm_lab.frames import cells, marking, tables
from prsm_lab.frames.cells import Cell


@pytest.fixture
def scored(frame):
    """Two rows, two models; the second model is wrong once, and simulated."""
    said = ["the red house", "the blue house", "a tree", "a tree"]
    rows = [
        {"model": "gpt-4" if n % 2 == 0 else "gpt-4o", "content": text, "answer": text if n != 1 else "the red house",
         "served_model": "gpt-4" if n % 2 == 0 else "simulated/gpt-4o", "q": "What is it?", "latency_ms": 812.4}
        for n, text in enumerate(said)
    ]  # fmt: skip
    return lab.score(frame(*rows).set_axis([7, 7, 8, 8]), "exact")


def rendered(shown) -> str:
    """The Markdown as a code host renders it."""
    return MarkdownIt("commonmark").enable("table").render(shown.markdown())


def cell(markup: str, n: int) -> str:
    """The nth cell of a table."""
    return re.findall(r"<td[^>]*>(.*?)</td>", markup, re.DOTALL)[n]


# ------------------------------------------------------------------------------------------------------- results


def test_results_show_what_is_read_and_write_figures(scored):
    """Input, variant, answer, score, cost and latency; the rest when asked for."""
    shown = lab.show(scored)
    text = Read(shown.html()).text

    assert shown.table.headings == ("row", "answer", "q", "model", "response", "score_exact", "cost", "latency_ms")
    assert "$0.0010" in text
    assert "812 ms" in text
    assert lab.show(scored, ["model", "prompt_tokens"]).table.headings == ("row", "model", "prompt_tokens")


def test_words_that_the_first_variant_does_not_have_are_bold(scored):
    """Bold survives where a host strips styles; equal answers have no mark."""
    html = lab.show(scored, ["response"]).html()

    assert "<b" not in cell(html, 1)
    assert re.sub(r' style="[^"]*"', "", cell(html, 3)) == "the <b>blue</b> house"
    assert "<b" not in cell(html, 5)
    assert "the **blue** house" in lab.show(scored, ["response"]).markdown()


def test_rows_that_do_not_belong_together_are_not_compared(scored):
    """Sorted apart, the row above answers another question."""
    assert "<b" not in lab.show(scored.iloc[[0, 3, 2, 1]]).html()
    assert "<b" not in lab.show(scored.iloc[[1, 0, 2, 3]]).html()


def test_a_failed_row_says_why(frame):
    """In the place of its answer."""
    html = lab.show(frame({"failed": "It is <b>down</b>."}), ["response"]).html()

    assert "[It is &lt;b&gt;down&lt;/b&gt;.]" in html


def test_what_is_left_out_and_what_is_simulated_is_said(scored):
    """Below the table."""
    shown = lab.show(scored, rows=1)

    assert shown.table.notes == ("1 of 4 rows; the other 3 with rows=4.", "Simulated answers: gpt-4o.")
    assert repr(shown) == f"<Shown 1 of 4 rows × {scored.shape[1]} columns>"
    assert "1 of 4 rows" in shown.html()


def test_scores_have_the_colour_of_their_worth(scored):
    """Of the whole frame, not of the rows that are seen; each is also written."""
    shown = lab.show(scored, ["score_exact"])

    assert [row[1].tone for row in shown.table.rows] == [1.0, -1.0, 1.0, 1.0]
    assert [row[1].text for row in shown.table.rows] == ["1", "0", "1", "1"]
    assert shown.html().count(tables.BAD) == 1


# -------------------------------------------------------------------------------------------------- side by side


def test_side_by_side_lays_several_columns_out(scored):
    """The first has the variant's name; the frame stays a plain one."""
    wide = lab.side_by_side(scored, ["response", "score_exact"])

    assert wide.columns.tolist() == ["answer", "q", "gpt-4", "gpt-4 · score_exact", "gpt-4o", "gpt-4o · score_exact"]
    assert type(wide) is pd.DataFrame
    assert wide["gpt-4o · score_exact"].tolist() == [0.0, 1.0]
    assert lab.side_by_side(scored)["gpt-4o"].tolist() == ["the blue house", "a tree"]
    with pytest.raises(errors.InvalidRequestError, match="names no column"):
        lab.side_by_side(scored, [])


def test_scores_stand_below_their_answers(scored):
    """And the variants' names say who is simulated."""
    shown = lab.show(lab.side_by_side(scored, ["response", "score_exact"]))

    assert shown.table.headings == ("row", "answer", "q", "gpt-4", "gpt-4o (simulated)")
    assert [row[4].badges for row in shown.table.rows] == [(("exact 0", -1.0),), (("exact 1", 1.0),)]
    assert re.sub(r' style="[^"]*"', "", cell(shown.html(), 4)) == (
        "the <b>blue</b> house<div><span>exact 0</span> </div>"
    )


def test_a_part_of_the_columns_and_of_the_rows_is_shown_too(scored):
    """A variant may be dropped, or the first one."""
    wide = lab.side_by_side(scored, ["response", "score_exact"])

    assert lab.show(wide[["gpt-4o"]]).table.headings == ("row", "gpt-4o (simulated)")
    assert lab.show(wide.iloc[1:]).table.rows[0][0].text == "8"
    assert lab.show(wide, ["gpt-4", "gpt-4o"]).table.rows[0][2].pieces[1] == (True, " blue")
    assert lab.show(wide[["gpt-4o · score_exact"]]).table.rows[0][1].text == "0"


def test_any_columns_of_text_may_be_compared():
    """`against` names the first."""
    made = pd.DataFrame({"old": ["one two"], "new": ["one three"]})

    assert lab.show(made, against="old").table.rows[0][1].pieces == ((False, "one"), (True, " three"))
    assert not lab.show(made).table.rows[0][1].pieces
    with pytest.raises(errors.NotFoundError, match="'older'"):
        lab.show(made, against="older")


# ------------------------------------------------------------------------------------------------------- figures


def test_a_summary_writes_shares_money_and_times(scored):
    """In the units that a person reads."""
    shown = lab.show(lab.summarize(scored))
    line = dict(zip(shown.table.headings, (one.text for one in shown.table.rows[0]), strict=True))

    assert (line["model"], line["success_rate"], line["score_exact"]) == ("gpt-4", "100%", "100%")
    assert (line["cost_per_1k"], line["latency_p50_ms"], line["cached"]) == ("$1.00", "812 ms", "0%")
    assert line["ttft_p50_ms"] == "–"
    assert shown.table.notes == ("Simulated answers are among these.",)


def test_a_contrast_writes_points_and_colours_what_is_shown():
    """Differences of shares are points; of other scores they are what they are."""
    made = pd.DataFrame(
        {"variant": ["b", "b"], "score": ["score_exact", "score_length"], "mean": [0.9, 31.0], "baseline_mean": [0.8, 30.0],
         "difference": [0.1, 1.0], "low": [0.04, -1.0], "high": [0.16, 3.0], "p_holm": [0.0004, 0.4],
         "cost_difference_per_1k": [-0.25, None]}
    )  # fmt: skip
    first, second = lab.show(made).table.rows

    assert [one.text for one in first[2:]] == ["90%", "80%", "+10.0 pt", "+4.0 pt", "+16.0 pt", "<0.001", "−$0.25"]
    assert [one.text for one in second[2:]] == ["31", "30", "+1", "−1", "+3", "0.400", "–"]
    assert (first[4].tone, second[4].tone) == (1.0, None)


@given(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.integers()), st.datetimes())
)
def test_any_value_is_shown(value):
    """Frames hold anything; what is not known is a dash."""
    shown = lab.show(pd.DataFrame({"a": [value], "score_b": [value], "c_ms": [value], "cost": [value]}, dtype=object))

    harmless(shown.html())
    assert value is not None or shown.table.rows[0][0].text == "–"


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True) | st.integers(-10, 10), max_size=5))
def test_any_number_is_shown_in_any_column(values):
    """Infinite ones too."""
    made = pd.DataFrame({name: pd.Series(values, dtype=float) for name in ("score_a", "x_ms", "cost", "p_value", "mean", "difference", "n")})  # fmt: skip

    harmless(lab.show(made).html())


@pytest.mark.parametrize(
    "made",
    [
        pd.DataFrame(), pd.DataFrame({"a": []}), pd.DataFrame(index=[1, 2]), pd.DataFrame([[1, 2]], columns=["a", "a"]),
        pd.DataFrame({("a", "b"): [1]}), pd.DataFrame({1: ["x"]}, index=pd.MultiIndex.from_tuples([("i", 1)])),
    ],
    ids=["nothing", "no rows", "no columns", "twice a name", "levels", "numbers"],
)  # fmt: skip
def test_odd_frames_are_shown(made):
    """No exception for what pandas allows."""
    shown = lab.show(made)

    harmless(shown.html())
    assert shown.markdown()


def test_what_cannot_be_shown_is_refused_with_the_reason(scored):
    """A wrong column, a negative number, no frame."""
    with pytest.raises(errors.NotFoundError, match="'scores'"):
        lab.show(scored, ["scores"])
    with pytest.raises(errors.InvalidRequestError, match="rows=-1"):
        lab.show(scored, rows=-1)
    with pytest.raises(errors.InvalidRequestError, match="list"):
        lab.show([1])


def test_a_frame_is_not_changed(scored):
    """It is only looked at."""
    before = scored.copy(deep=True)
    lab.show(scored).html()

    pd.testing.assert_frame_equal(scored, before)


# ---------------------------------------------------------------------------------------------------- long texts


def test_a_long_answer_is_folded_and_nothing_of_it_is_lost():
    """Its beginning is always seen, and how much more there is."""
    text = "word " * 200 + "end"
    html = lab.show(pd.DataFrame({"a": [text]})).html()
    read = Read(html)

    assert {"details", "summary"} <= read.tags
    assert re.sub(r" … [\d,]+ more characters", "", read.text).replace("\n", "") == "a" + text
    assert "…" in lab.show(pd.DataFrame({"a": [text]})).markdown()


def test_a_text_of_megabytes_does_not_fill_the_page():
    """It says what is not there."""
    html = lab.show(pd.DataFrame({"a": ["x" * 3_000_000]})).html()

    assert len(html) < 2 * tables.LONGEST
    assert "more characters are not in this table" in html


@given(st.text("ab &<\n", max_size=900), st.text("ab &<\n", max_size=900))
def test_marks_and_folds_keep_the_text(text, base):
    """Whatever is marked and wherever it is cut."""
    shown = lab.show(pd.DataFrame({"x": [base], "y": [text]}), against="x")
    (_, said), *_ = shown.table.rows
    html = cell(tables.html(tables.Table(("y",), (False,), ((said,),), ())), 0)

    told = re.sub(r" … [\d,]+ more characters", "", Read(html.replace("<br>", "\n")).text)
    assert told == text


def test_comparing_is_bounded():
    """Long answers of few words, over and over, once took difflib a minute each: the table comes, and says what it left."""
    texts = [" ".join(f"w{(n * (k + 1)) % 2}" for n in range(199)) for k in range(100)]
    made = pd.DataFrame({"x": texts[::-1], "y": texts})
    began = time.process_time()
    shown = lab.show(made, against="x", rows=100)

    assert time.process_time() - began < 20
    assert 0 < sum(bool(row[1].pieces) for row in shown.table.rows) < 100
    assert "are not marked" in shown.table.notes[0]


@pytest.mark.parametrize("n", [199, 201, 1_400])
@pytest.mark.parametrize("k", [2, 3, 100])
def test_a_text_made_to_be_slow_is_compared_in_time(n, k):
    """Cubic time is not spent; the effort bounds what is."""
    text, base = (" ".join(f"w{i * step % k}" for i in range(n)) for step in (1, 2))
    began = time.process_time()
    pieces = marking.marked(text, base)

    assert time.process_time() - began < 3
    assert "".join(piece for _, piece in pieces) == text
    assert marking.effort(text, base) <= n**3


# ------------------------------------------------------------------------------------------------------- hostile


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_the_html_obeys_no_model(frame, text):
    """In an answer, a question, a name, a heading, an index and an error; with marks and folds."""
    text = text.encode("utf-8", "replace").decode()  # Arrow's strings hold no lone surrogate
    made = frame({"content": text, "q": text, "model": text or "x"}, {"content": "x " + text, "q": text, "model": "b"})
    made = lab.score(made.set_axis([text, text]), {f"s{text}": lambda row: 1})
    plain = pd.DataFrame({text: [text, "x"], "b": ["x", text]}, index=[text, "y"])
    for shown in (lab.show(made), lab.show(lab.side_by_side(made)), lab.show(plain, against=text)):
        harmless(shown.html())
        assert not {"\x1b", "\u202e", "\x00"} & set(shown.html())
        assert "mathjax_ignore" in shown.html()


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_the_markdown_obeys_no_model(text):
    """It renders as one table, of text, bold words and breaks of lines."""
    text = text.encode("utf-8", "replace").decode()  # Arrow's strings hold no lone surrogate
    shown = lab.show(pd.DataFrame({text: ["x", text], "b": [text, "x"]}), against=text)
    read = Read(rendered(shown))

    assert read.tags <= {"table", "thead", "tbody", "tr", "th", "td", "strong", "p", "br"}
    assert {name for _, name, _ in read.attributes} <= {"style"}
    assert rendered(shown).count("<tr>") == 3
    assert not {"\x1b", "\u202e", "\x00"} & set(shown.markdown())


def test_a_notebook_is_offered_every_form(scored):
    """Whoever shows it takes the richest that it knows; none of them needs a kernel, a script or a stylesheet."""
    shown = lab.show(scored)
    bundle = shown._repr_mimebundle_(include=None, exclude=None)

    assert bundle == {"text/html": shown.html(), "text/markdown": shown.markdown(), "text/plain": repr(shown)}
    assert (shown._repr_html_(), shown._repr_markdown_()) == (shown.html(), shown.markdown())
    assert not re.search(r"<(script|style|link)|url\(|https?://", shown.html())


def test_a_bare_table_still_reads(scored):
    """A code host strips styles: what is bold, folded and written stays."""
    bare = re.sub(r' (style|class)="[^"]*"', "", lab.show(scored).html())

    assert "the <b>blue</b> house" in bare
    assert Read(bare).text == Read(lab.show(scored).html()).text


def test_tones_are_seen_and_bounded():
    """Of scores on any scale."""
    assert cells.tones(pd.Series([0.0, 0.5, 1.0])) == [-1.0, 0.0, 1.0]
    assert cells.tones(pd.Series([3, 3])) == [None, None]
    assert cells.tones(pd.Series([1.0, float("inf"), 5.0])) == [0.0, None, 1.0]
    assert "rgba" in tables.html(tables.Table(("a",), (True,), ((Cell("1", tone=0.5),),), ()))


def test_the_ends_of_a_figures_interval_have_the_figures_sign():
    """An audit's; those of a difference always say on which side they lie."""
    audit = pd.DataFrame({"metric": ["kappa"], "value": [-0.25], "low": [-0.5], "high": [0.125]})
    apart = pd.DataFrame({"difference": [-0.25], "low": [-0.5], "high": [0.125]})

    assert re.findall(r">([−+]?0\.\d+)<", lab.show(audit)._repr_html_()) == ["−0.25", "−0.5", "0.125"]
    assert re.findall(r">([−+]?0\.\d+)<", lab.show(apart)._repr_html_()) == ["−0.25", "−0.5", "+0.125"]
