"""The state of the stream panel: several models asked at once, without any notebook."""

from __future__ import annotations

import json

import pytest
from hostile import HOSTILE, harmless

import prsm_lab as lab
from prsm_lab import emulator, errors
from prsm_lab.emulator import Rule
from prsm_lab.engine import portal
from prsm_lab.panels.stream_panel import StreamPanel

MODELS = ["gpt-4.1-mini", "claude-haiku-4-5"]


@pytest.fixture(scope="module")
def emu():
    with emulator.start() as running:
        yield running


@pytest.fixture
def client(emu):
    emu.clear()
    with lab.Client(ledger=":memory:", providers=emu.providers()) as made:
        yield made


@pytest.fixture
def panel(client) -> StreamPanel:
    return lab.panels.stream(MODELS, client=client, max_tokens=50)


def last(panel: StreamPanel, column: int) -> dict:
    """What the page shows of a column's last answer."""
    return panel.snapshot()["columns"][column]["turns"][-1]


def test_all_columns_are_asked_and_shown(panel, client):
    """With the provider's own figures at the end, as the ledger has them."""
    panel.ask("What is it?")
    panel.wait(20)
    shown = panel.snapshot()

    assert not shown["busy"]
    for n, model in enumerate(MODELS):
        turn = last(panel, n)
        known = client.inference.get(panel.columns[n].turns[0].outcome.id).inference
        assert shown["columns"][n]["model"] == model
        assert (turn["state"], turn["text"], turn["estimated"]) == ("done", known.content, False)
        assert (turn["tokens"], turn["cost"]) == (known.usage.completion_tokens, known.cost.amount)
        assert turn["ttft_ms"] > 0
        assert "<p>" in turn["html"]
    assert shown["cost"] == sum(last(panel, n)["cost"] for n in (0, 1))


def test_what_is_new_adds_up_to_the_whole(client, emu):
    """Text that the page appends is the text of the answer, whenever the page looks."""
    emu.add(Rule("slow", seconds=0.005))
    panel = lab.panels.stream(MODELS, client=client)
    panel.ask("Tell me much about it.")
    texts = ["", ""]

    async def look():  # on the loop that answers come in, as a board does
        return panel.news()

    while panel.busy:
        patch = portal.call(look())
        for n, text, _ in patch.get("pieces", ()):
            texts[n] += text
        for n, column in enumerate(patch.get("state", {}).get("columns", ())):
            texts[n] = column["turns"][-1]["text"]
    final = panel.news()["state"]

    assert [column["turns"][-1]["text"] for column in final["columns"]] == [
        panel.columns[n].turns[0].text for n in (0, 1)
    ]
    for n, text in enumerate(texts):
        assert panel.columns[n].turns[0].text.startswith(text)
    json.dumps(final)


def test_figures_while_an_answer_is_written_are_estimates_and_say_so(panel, emu):
    """Tokens and cost grow with the text; they are marked."""
    emu.add(Rule("stall", pieces=4))
    panel.ask("What is it?")
    emu.log.wait_for(lambda log: len(log.entries) == 2 and all(entry.pieces >= 4 for entry in log.entries))
    until_shown(panel)
    turn = last(panel, 0)
    panel.stop()
    panel.wait(10)

    assert (turn["state"], turn["estimated"]) == ("streaming", True)
    assert turn["tokens"] == len(turn["text"]) / 4
    assert turn["cost"] > 0


def until_shown(panel: StreamPanel) -> None:
    """Wait until every column has some text."""
    while not all(column.turns[-1].pieces for column in panel.columns):
        panel.columns[0].job.wait(0.01)


def test_a_stopped_column_stops_paying_and_keeps_what_was_said(panel, emu):
    """The other goes on; the provider sees the connection close."""
    emu.add(Rule("stall", model="claude-haiku-4-5", pieces=4))
    panel.ask("What is it?")
    until_shown(panel)
    panel.stop(1)
    panel.wait(20)
    said = last(panel, 1)

    emu.log.wait_for(lambda log: any(entry.peer_closed is not None for entry in log.entries))
    assert (last(panel, 0)["state"], said["state"]) == ("done", "stopped")
    assert said["text"]
    frame = panel.to_frame()
    assert frame["error_code"].tolist()[1] == "cancelled"
    assert frame["response"].isna().tolist() == [False, True]
    assert frame["partial"].tolist()[1] == said["text"]


def test_a_stopped_column_is_asked_again_in_its_place(panel, emu):
    """One turn, not two."""
    emu.add(Rule("hang", model="gpt-4.1-mini", times=1))
    panel.ask("What is it?")
    emu.log.wait_for(lambda log: len(log.entries) == 2)
    panel.stop()
    panel.wait(10)
    panel.retry(0)
    panel.wait(20)

    assert [last(panel, n)["state"] for n in (0,)] == ["done"]
    assert len(panel.columns[0].turns) == 1


def test_each_column_has_a_conversation_of_its_own(panel, emu):
    """The second question goes with that model's own first answer; a failed one is left out."""
    emu.add(Rule("400", model="claude-haiku-4-5", times=1))
    panel.ask("First?", system="Be brief.")
    panel.wait(20)
    panel.ask("Second?")
    panel.wait(20)
    ours = panel.columns[0].turns[1].request.messages
    theirs = panel.columns[1].turns[1].request.messages

    assert [m["role"] for m in ours] == ["system", "user", "assistant", "user"]
    assert ours[2]["content"] == panel.columns[0].turns[0].text
    assert [m["content"] for m in theirs] == ["Be brief.", "Second?"]
    frame = panel.to_frame()
    assert frame["turn"].tolist() == [0, 0, 1, 1]
    assert frame["prompt"].tolist() == ["First?", "First?", "Second?", "Second?"]


def test_a_fault_is_shown_with_its_remedy(panel, emu):
    """In its column; nothing of it is lost."""
    emu.add(Rule("401", model="gpt-4.1-mini"))
    panel.ask("What is it?")
    panel.wait(20)
    turn = last(panel, 0)

    assert turn["state"] == "failed"
    assert turn["error"] == panel.columns[0].turns[0].outcome.message
    assert turn["html"] is None


def test_models_can_be_changed_and_keep_their_conversation(panel):
    """One that is pinned comes first."""
    panel.ask("What is it?")
    panel.wait(20)
    panel.choose(["claude-haiku-4-5", "gpt-4o"])
    panel.pin(1)
    shown = panel.snapshot()["columns"]

    assert [column["model"] for column in shown] == ["gpt-4o", "claude-haiku-4-5"]
    assert [len(column["turns"]) for column in shown] == [0, 1]


@pytest.mark.parametrize(
    ("command", "given", "told"),
    [
        ("ask", {"prompt": "  "}, "Write a question"), ("choose", {"models": []}, "Choose 1 to 8"),
        ("choose", {"models": ["gpt-nonsense"]}, "gpt-nonsense"), ("retry", {"column": 7}, "no column 7"),
        ("ask", {"prompt": "x", "temperature": 9}, "temperature"), ("ask", {"prompt": "x", "nonsense": 1}, "nonsense"),
        ("ask", "no object", "prompt"),
    ],
)  # fmt: skip
def test_a_wrong_click_is_a_notice(panel, command, given, told):
    """Never a traceback in the kernel's log; the next good one clears it."""
    panel.obey(command, given)
    assert told in panel.snapshot()["notice"]
    assert (panel.options, panel.busy) == ({"max_tokens": 50}, False)

    panel.obey("pin", {"column": 0})
    assert panel.snapshot()["notice"] == ""


def test_what_the_page_may_not_call_does_nothing(panel):
    """Commands are a short list."""
    for command in ("__init__", "to_frame", "_client", None, 7):
        panel.obey(command, {})

    assert panel.snapshot()["notice"] == ""


def test_questions_wait_for_answers(panel, emu):
    """A second question while answers are written is refused; nothing is asked twice."""
    emu.add(Rule("hang"))
    panel.ask("What is it?")
    with pytest.raises(errors.InvalidRequestError, match="still being written"):
        panel.ask("And now?")
    panel.forget()

    assert [column.turns for column in panel.columns] == [[], []]


def test_the_line_of_code_asks_the_same(panel, client, emu):
    """It runs, and asks the same questions."""
    panel.ask("What is it?", system="Be brief.", temperature=0)
    panel.wait(20)
    emu.clear()
    frame = eval(panel.code().replace(")", ", client=client)"), {"lab": lab, "client": client})

    assert frame["model"].tolist() == MODELS
    assert frame["cost"].tolist() == panel.to_frame()["cost"].tolist()


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_the_static_form_obeys_no_model(text):
    """What a saved notebook keeps."""
    with lab.Client(mock_mode=True, ledger=":memory:", mock_responses={"*": {"content": text or " "}}) as client:
        panel = lab.panels.stream(["gpt-4"], client=client, prompt=text[:200] or "x").wait(20)
        harmless(panel.html())


def test_a_panel_is_one_line_of_text(panel):
    """In a terminal."""
    assert repr(panel) == "<StreamPanel gpt-4.1-mini, claude-haiku-4-5: 0 turns>"
