"""How values show themselves: a repr that fits a line, and an HTML form worth a glance; a model's text obeys neither."""

from __future__ import annotations

import functools

import msgspec
import pandas as pd
import pytest
from hostile import HOSTILE, Read, harmless
from markdown_it import MarkdownIt
from plotly.offline import get_plotlyjs

import prsm_lab as lab
from prsm_lab import reporting
from prsm_lab.client.results import Batch, BatchItem
from prsm_lab.errors import ProviderError
from prsm_lab.types import (
    Attempt,
    Cost,
    Delta,
    Inference,
    Key,
    Model,
    PriceLine,
    Record,
    Report,
    Run,
    ToolCall,
    Usage,
    Vote,
)

LONG_NAME = "deepseek-ai/DeepSeek-V3-0324-with-a-name-that-somebody-made-up"


def values(text: str, name: str = LONG_NAME) -> list[object]:
    """One of each, of a model and a server that write this wherever they can."""
    answer = inference(content=text, model=name, served_model=text, reasoning=text)
    failed = ProviderError(text or "empty")
    group = {**msgspec.structs.asdict(Report(total_requests=3)), "model": text, "key": name}
    batch = Batch([BatchItem(text, answer, None), BatchItem(None, None, failed)])
    return [
        answer, batch, *batch, Report(total_requests=3, groups=(group,)),
        Record(id="inf_1", status="failed", model=text, provider=None, created=0.0, error={"code": text}),
        Run(id="run_1", name=text, questions=4, data=b"x" * 10_000),
        Model(name=text or "x", provider=name, id="x", aliases=(text,), source=text, price=PriceLine(input=1.0, output=2.0)),
        Key(id="0123456789ab", person=text, tier=name),
        inference(content=None, model=text, tool_calls=(ToolCall(id="1", name=text, arguments=text),)),
    ]  # fmt: skip


def inference(**fields) -> Inference:
    """An answer; `fields` say what is unusual."""
    usual = {
        "id": "inf_01a218a2b9bd87e3d8adc0f0e42980a7", "requested_model": "gpt-4", "model": "gpt-4",
        "provider": "openai", "content": "It is **bold**.", "finish_reason": "stop", "latency_ms": 812.4,
        "usage": Usage(prompt_tokens=5, completion_tokens=1200), "cost": Cost(amount=0.0123),
    }  # fmt: skip
    return Inference(**{**usual, **fields})


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_repr_is_one_line_that_no_terminal_obeys(text):
    """Of at most 100 characters."""
    for value in values(text):
        line = repr(value)
        assert len(line) <= 100, line
        assert line.isprintable()


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_the_html_of_a_value_obeys_no_model(text):
    """As everywhere."""
    for value in values(text, name=text or "x"):
        if hasattr(value, "_repr_html_"):
            harmless(value._repr_html_())


FENCES = "```\n<b>out</b>\n~~~\n````\n<b>out</b>"


@pytest.mark.parametrize("text", [*HOSTILE.values(), FENCES], ids=[*HOSTILE, "fences"])
def test_the_markdown_of_an_answer_is_inert(text):
    """Once rendered it is a line of names and figures, and a block of code, whatever the model and its name say."""
    made = inference(content=text, model=text, provider=text)._repr_markdown_()
    read = Read(MarkdownIt("commonmark").enable("table").render(made))

    assert read.tags <= {"p", "strong", "pre", "code"}
    assert {name for _, name, _ in read.attributes} <= {"class"}
    assert not {"\x1b", "\u202e", "\x00"} & set(made)


def test_a_repr_says_what_matters():
    """Which, who, how much, and the beginning."""
    answer = inference()
    with lab.Client(mock_mode=True, ledger=":memory:") as client:
        stream = client.inference.stream("gpt-4", "hi there")
        said = [repr(stream)]
        stream.result()
        said.append(repr(stream))
        with client.inference.stream("gpt-4", "hi there") as left:
            next(iter(left))
        said.append(repr(left))

    assert repr(answer) == "<Inference inf_01a218a2b9bd87e3d8adc0f0e42980a7 gpt-4 $0.012300 'It is **bold**.'>"
    assert "cost unknown" in repr(inference(cost=Cost()))
    assert said[0] == "<Stream open>"
    assert said[1].startswith("<Stream ended: gpt-4 $0.0")
    assert said[1].endswith("'[mock gpt-4] hi there'>")
    assert said[2] == "<Stream closed before its end>"
    assert repr(BatchItem("a", None, ProviderError("It broke."))) == "<failed provider_unavailable: It broke.>"
    assert repr(Report(total_requests=1, total_cost=0.5, unpriced_requests=2)) == (
        "<Report 1 request, $0.500000 + 2 unpriced, 0 groups>"
    )
    assert repr(Run(id="run_1", questions=4, answered=3, failed=1)) == (
        "<Run run_1 batch 3 of 4 answered, 1 failed, cost unknown>"
    )
    assert repr(Key(id="0123456789ab", person="ana", tier="research", credits=5.0)) == (
        "<Key pk_0123456789ab_… ana research $5.00 left>"
    )
    assert repr(Vote(id="vote_1", a="inf_1", b="inf_2", winner="b", voter="ana", seconds=2.25, created=0.0)) == (
        "<Vote vote_1 for inf_2 by ana in 2.2 s>"
    )
    assert (repr(client.inference), repr(client.models)) == (
        "<inference of <Client embedded>>",
        "<models of <Client embedded>>",
    )
    assert repr(Delta(text="piece")) == "Delta(text='piece')"


def test_a_model_shows_what_it_costs_and_when_it_ends():
    """In a line, and as a table with the source."""
    (model,) = [one for one in lab.Client(mock_mode=True, ledger=":memory:").models.list() if one.name == "gpt-4"]
    read = Read(model._repr_html_())

    assert repr(model).startswith("<Model gpt-4 openai · $30 in $60 out per 1M · 8,192 tokens")
    assert "retired 2026-10-23" in repr(model)
    assert model.source in read.text
    assert "table" in read.tags


def test_an_answer_shows_its_figures_and_its_markdown():
    """Bold is bold; the figures are in one line."""
    read = Read(inference()._repr_html_())

    assert read.text.splitlines()[0] == "gpt-4 · openai · $0.012300 · 812 ms · 1,200 tokensIt is bold."
    assert "<strong>bold</strong>" in inference()._repr_html_()


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"cost": Cost()}, "cost unknown"), ({"usage": Usage()}, "tokens unknown"), ({"cached": True}, "from the cache"),
        ({"finish_reason": "length"}, "cut off"), ({"finish_reason": "content_filter"}, "filter"),
        ({"requested_model": "gpt-5"}, "asked for gpt-5"), ({"served_model": "simulated/gpt-4"}, "simulated"),
        ({"attempts": (Attempt(provider="a", model="b", started=0.0),) * 2}, "2 attempts"), ({"content": None}, "no text"),
        ({"latency_ms": 12_345.0}, "12.3 s"), ({"reasoning": "Let me <see>."}, "Let me <see>."),
        ({"content": None, "tool_calls": (ToolCall(id="1", name="find", arguments='{"q": 1}'),)}, 'find({"q": 1})'),
    ],
)  # fmt: skip
def test_an_answer_says_what_is_unusual_of_it(fields, told):
    """And only then."""
    assert told in Read(inference(**fields)._repr_html_()).text
    assert told not in Read(inference()._repr_html_()).text


def test_a_model_that_was_asked_for_by_its_provider_is_not_unusual():
    """`openai/gpt-4` is `gpt-4`."""
    assert "asked for" not in inference(requested_model="openai/gpt-4")._repr_html_()


def test_a_batch_shows_its_cost_and_its_first_answers():
    """A row each, with what went wrong where an answer would be."""
    with lab.Client(mock_mode=True, ledger=":memory:") as client:
        asked = [{"model": "gpt-4", "messages": f"question {n}"} for n in range(23)]
        batch = client.inference.batch([*asked, {"model": "gpt-nonsense", "messages": "hi"}])
    read, few = Read(batch._repr_html_()), Read(Batch(batch[-2:])._repr_html_())

    assert repr(batch) == "<Batch of 24, 1 failed>"
    assert "24 requests · 1 failed · $0.0" in read.text
    assert "question 19" in read.text
    assert "question 20" not in read.text
    assert "The first 20 of 24." in read.text
    assert "[not_found] Unknown model 'gpt-nonsense'" in few.text
    assert Read(Batch()._repr_html_()).text.startswith("0 requests")


def test_a_report_shows_the_whole_and_a_line_per_group():
    """A dash where nothing is known, never a nought."""
    with lab.Client(mock_mode=True, ledger=":memory:") as client:
        client.inference.create("gpt-4", "hi")
        grouped = client.inference.analytics("last_24_hours", group_by="model")._repr_html_()
    empty = Read(Report()._repr_html_()).text

    assert ">all</td>" in grouped
    assert ">gpt-4</td>" in grouped
    assert "100.0%" in grouped
    assert "cost unknown" in empty
    assert "–" in empty


@functools.cache
def exported(text: str) -> tuple[Read, int]:
    """A report that says this wherever somebody else's words stand, and the scripts in it."""
    name = text[:200].encode("utf-8", "replace").decode()
    data = pd.DataFrame({"question": [text, "?"], "answer": [text, text]}, dtype=object)
    with lab.Client(mock_mode=True, ledger=":memory:", mock_responses={"gpt-4": {"content": text}}) as client:
        results = lab.compare(
            data, {name: "{question}", "b": "b {question}"}, models=["gpt-4"], client=client, progress=False
        )
    page = reporting.page(lab.score(results, "exact"), reporting.Words(title=text, lead=text, code=text))
    return Read(page.replace(get_plotlyjs(), "")), page.count("<script")  # 5 MB that are plotly's own


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_an_exported_report_obeys_no_model(text):
    """Answers, questions, references, names of prompts in tables and figures: no element and no attribute more."""
    (usual, scripts), (found, counted) = exported("plain words"), exported(text)

    assert found.tags <= usual.tags | {"br", "details", "summary"}  # lines, and what folds long answers
    assert counted == scripts
    assert {name for _, name, _ in found.attributes} <= {name for _, name, _ in usual.attributes}
    assert not {"\x1b", "\u202e", "\x00"} & set(found.text)
