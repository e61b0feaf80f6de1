"""The state of the batch panel: a run that is started, watched, stopped and gone on with, without any notebook."""

from __future__ import annotations

import re

import pandas as pd
import pytest
from hostile import HOSTILE, harmless

import prsm_lab as lab
from prsm_lab import emulator, errors
from prsm_lab.emulator import Rule
from prsm_lab.panels import still

ROWS = pd.DataFrame({"q": [f"question {n}" for n in range(30)]})


@pytest.fixture(scope="module")
def emu():
    with emulator.start() as running:
        yield running


@pytest.fixture
def client(emu):
    emu.clear()
    with lab.Client(ledger=":memory:", providers=emu.providers(), max_retries=0) as made:
        yield made


def test_a_run_is_watched_to_its_end(client, emu):
    """The cell goes on at once; the frame is the one of `lab.batch`."""
    panel = lab.panels.batch(ROWS, "Say {q}", model="gpt-4", client=client)
    assert (panel.snapshot()["state"], panel.frame, len(emu.log)) == ("ready", None, 0)

    panel.start()
    frame = panel.result()
    shown = panel.snapshot()

    assert (shown["state"], shown["done"], shown["failed"], shown["left"]) == ("done", 30, 0, 0)
    assert shown["spent"] == pytest.approx(frame["cost"].sum(), rel=1e-12)
    assert len(shown["latencies"]) == 30
    assert 0 < shown["p50_ms"] <= shown["p95_ms"] <= max(shown["latencies"])
    pd.testing.assert_frame_equal(frame, lab.batch(ROWS, "Say {q}", model="gpt-4", client=client, progress=False))
    assert len(emu.log) == 30


def test_a_stopped_run_keeps_what_it_has_and_goes_on(client, emu):
    """Nothing is asked twice: the provider's log says so."""
    emu.add(Rule("hang", contains="question 29"))
    panel = lab.panels.batch(ROWS, "Say {q}", model="gpt-4", client=client, start=True)
    emu.log.wait_for(lambda log: len(log) == 30 and log.open_requests == 1)
    panel.stop()
    panel.wait(20)
    stopped = panel.snapshot()

    emu.log.wait_for(lambda log: any(entry.peer_closed for entry in log.entries))
    assert stopped["state"] == "stopped"
    assert panel.frame["response"].notna().sum() == stopped["done"]
    asked = len(emu.log)
    emu.clear()
    panel.start()
    panel.result()
    again = panel.snapshot()
    assert (again["state"], again["done"], asked) == ("done", 30, 30)
    assert stopped["done"] > 0
    assert len(emu.log) == 30 - stopped["done"] - again["reused"]  # some were in the ledger, and not counted yet
    assert again["spent"] + again["saved"] == pytest.approx(panel.frame["cost"].sum(), rel=1e-12)


def test_errors_are_counted_by_class(client, emu):
    """With what the first one says."""
    emu.add(Rule("400", contains="question 1"), Rule("500", contains="question 2"))
    panel = lab.panels.batch(ROWS, "Say {q}", model="gpt-4", client=client, start=True)
    frame = panel.result()
    shown = {one["code"]: one for one in panel.snapshot()["errors"]}

    counts = frame["error_code"].value_counts().to_dict()
    assert {code: one["n"] for code, one in shown.items()} == counts
    assert shown["invalid_request"]["message"] in frame["error"].dropna().tolist()


def test_rows_without_a_prompt_and_equal_rows_are_counted_as_rows(client, emu):
    """A missing value is no question; three equal rows are one question and three failures."""
    emu.add(Rule("400"))
    panel = lab.panels.batch([{"q": None}, {"q": "x"}, {"q": "x"}, {"q": "x"}], "{q}", model="gpt-4", client=client, start=True)  # fmt: skip
    panel.result()
    shown = panel.snapshot()

    assert sum(one["n"] for one in shown["errors"]) == shown["failed"] == 4
    assert len(emu.log) == 1


def test_the_same_call_is_the_same_panel_while_it_is_known(client, emu):
    """A cell that is run again attaches to the running job."""
    emu.add(Rule("hang"))
    ask = {"model": "gpt-4", "client": client}
    first = lab.panels.batch(ROWS, "Say {q}", **ask, start=True)
    again = lab.panels.batch(ROWS, "Say {q}", **ask)
    other = lab.panels.batch(ROWS, "Tell {q}", **ask)
    first.stop()
    first.wait(20)

    assert again is first
    assert other is not first


def test_several_models_are_compared(client):
    """With a grid, as `lab.compare` does."""
    panel = lab.panels.batch(
        ROWS.head(3), {"a": "Say {q}", "b": "Tell {q}"}, models=["gpt-4", "gpt-4o"], grid={"temperature": [0, 1]},
        client=client, start=True,
    )  # fmt: skip

    assert len(panel.result()) == 3 * 2 * 2 * 2
    assert "lab.compare(data" in panel.snapshot()["code"]


def test_a_run_that_cannot_be_run_says_why(client):
    """A model that is unknown ends it before its first question; the panel shows the remedy."""
    panel = lab.panels.batch(ROWS, "Say {q}", model="gpt-nonsense", client=client, start=True)
    panel.wait(20)

    assert panel.snapshot()["state"] == "failed"
    assert "gpt-nonsense" in panel.snapshot()["notice"]
    with pytest.raises(errors.NotFoundError):
        panel.result()


@pytest.mark.parametrize(
    ("options", "named"),
    [({}, "model"), ({"model": "gpt-4", "models": ["gpt-4"]}, "model"), ({"model": "gpt-4", "heat": 1}, "heat")],
)
def test_what_is_wrong_is_said_before_anything_is_asked(client, emu, options, named):
    """By name."""
    with pytest.raises(errors.InvalidRequestError) as caught:
        lab.panels.batch(ROWS, "Say {q}", client=client, **options)

    assert caught.value.details["parameter"] == named
    assert not emu.log.arrivals()


def test_a_frame_needs_a_start(client):
    """Said as what to do."""
    with pytest.raises(errors.InvalidRequestError, match=r"panel\.start"):
        lab.panels.batch(ROWS, "Say {q}", model="gpt-4", client=client).result()


@pytest.mark.filterwarnings("ignore:.*price:UserWarning")
def test_an_unknown_price_is_counted_apart(emu):
    """And is not a nought."""
    with lab.Client(ledger=":memory:", providers={"mine": {"base_url": f"{emu.url}/v1", "api_key": "k"}}) as client:
        panel = lab.panels.batch(ROWS.head(2), "Say {q}", model="mine/any", client=client, start=True)
        panel.result()

    assert (panel.snapshot()["spent"], panel.snapshot()["unpriced"]) == (None, 2)
    assert "– + 2 unpriced" in panel.html()


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_the_static_form_obeys_no_model(text):
    """Nor a row, nor an error."""
    with lab.Client(mock_mode=True, ledger=":memory:", mock_responses={"*": {"content": text}}) as client:
        panel = lab.panels.batch([text or "x"], "{text}", model="gpt-4", client=client, start=True).wait(20)
        harmless(panel.html())
        shown = panel.snapshot()["first"][0]["text"]
    assert not re.search("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", shown)


def test_an_error_of_a_provider_obeys_nobody_either(client, emu):
    """Some providers repeat the question in it."""
    emu.add(Rule("400", message="no \u202e<script>window.owned=1</script>\x1b[2J"))
    panel = lab.panels.batch(ROWS.head(1), "Say {q}", model="gpt-4", client=client, start=True).wait(20)
    shown = panel.snapshot()

    harmless(panel.html())
    assert "script" in shown["errors"][0]["message"]
    assert not {"\u202e", "\x1b"} & set(shown["errors"][0]["message"] + shown["first"][0]["text"])


def test_the_first_rows_are_shown_in_their_order(client, emu):
    """They stay where they are, whatever comes first; a failed one says why."""
    emu.add(Rule("slow", contains="question 0", seconds=0.2), Rule("400", contains="question 1", times=1))
    panel = lab.panels.batch(ROWS.head(8), "Say {q}", model="gpt-4", client=client, start=True)
    frame = panel.result()
    first = panel.snapshot()["first"]

    assert [row["row"] for row in first] == [0, 1, 2, 3, 4]
    assert [row["failed"] for row in first] == [False, True, False, False, False]
    assert first[2]["text"] == frame["response"][2]


def test_what_failed_is_asked_again(client, emu):
    """And nothing else; the figures go on from where they were."""
    emu.add(Rule("400", contains="question 1"))
    panel = lab.panels.batch(ROWS, "Say {q}", model="gpt-4", client=client, start=True).wait(20)
    before, asked = panel.snapshot(), len(emu.log)
    emu.clear()
    panel.start()
    frame = panel.result()
    after = panel.snapshot()

    assert (before["done"], before["failed"], asked) == (30, 11, 30)  # 1 and 10 to 19
    assert len(emu.log) == 11
    assert (after["done"], after["failed"], after["reused"], after["errors"]) == (30, 0, 0, [])
    assert after["spent"] == pytest.approx(frame["cost"].sum(), rel=1e-12)


def test_a_fresh_run_goes_on_without_paying_twice(client, emu):
    """`fresh` is about earlier runs, not about its own first half; once it is done, the call is a new one."""
    ask = {"model": "gpt-4", "client": client, "fresh": True}
    lab.batch(ROWS, "Say {q}", progress=False, **ask)
    emu.clear()
    emu.add(Rule("hang", contains="question 29"))
    panel = lab.panels.batch(ROWS, "Say {q}", **ask, start=True)
    emu.log.wait_for(lambda log: len(log) == 30 and log.open_requests == 1)
    panel.stop()
    panel.wait(20)
    done = panel.snapshot()["done"]
    emu.clear()
    panel.start()
    panel.result()

    assert len(emu.log) == 30 - done
    assert panel.snapshot()["reused"] == 0
    assert lab.panels.batch(ROWS, "Say {q}", **ask) is not panel


def test_the_same_questions_of_other_rows_are_another_panel(client):
    """Neither a run's name nor equal questions mix up frames."""
    ask = {"model": "gpt-4", "client": client}
    labelled = ROWS.assign(label=range(30))
    first = lab.panels.batch(ROWS, "Say {q}", run="mine", **ask)
    other = lab.panels.batch(ROWS.head(3), "Say {q}", run="mine", **ask, start=True)
    plain = lab.panels.batch(ROWS, "Say {q}", **ask)
    with_labels = lab.panels.batch(labelled, "Say {q}", **ask, start=True)
    prefixed = lab.panels.batch(ROWS, "Say {q}", prefix="x_", **ask)

    assert len(other.result()) == 3
    assert with_labels.result()["label"].tolist() == list(range(30))
    assert len({id(panel) for panel in (first, other, plain, with_labels, prefixed)}) == 5
    assert lab.panels.batch(labelled.copy(), "Say {q}", **ask) is with_labels


def test_one_run_runs_once_at_a_time(client, emu):
    """In another panel with other settings it would be paid for twice."""
    emu.add(Rule("hang"))
    ask = {"model": "gpt-4", "client": client}
    first = lab.panels.batch(ROWS, "Say {q}", **ask, start=True)
    other = lab.panels.batch(ROWS, "Say {q}", **ask, max_concurrency=2)
    other.obey("start", {})
    refused = other.snapshot()
    again = lab.panels.batch(ROWS, "Say {q}", **ask)
    first.stop()
    first.wait(20)
    emu.clear()
    other.start()

    assert (refused["state"], "already" in refused["notice"]) == ("ready", True)
    assert again is first
    assert len(other.result()) == 30


def test_a_function_is_a_prompt_and_the_cell_can_be_run_again(client, emu):
    """A new function that says the same is the same run."""
    emu.add(Rule("hang"))
    ask = {"model": "gpt-4", "client": client}
    first = lab.panels.batch(ROWS, lambda row: "Say " + row["q"], **ask, start=True)
    again = lab.panels.batch(ROWS, lambda row: "Say " + row["q"], **ask)
    first.stop()
    first.wait(20)

    assert again is first


def test_cells_below_may_change_their_rows_meanwhile(client):
    """The run has its own."""
    rows = ROWS.copy()
    panel = lab.panels.batch(rows, "Say {q}", model="gpt-4", client=client)
    rows["q"] = "something else"
    rows["more"] = 1
    panel.start()

    pd.testing.assert_frame_equal(panel.result()[["q"]], ROWS, check_dtype=False)
    assert "more" not in panel.frame


def test_the_first_error_is_raised_on_request_each_time_in_the_same_words(client, emu):
    """`on_error="raise"`, as in `lab.batch`."""
    emu.add(Rule("400", contains="question 7"))
    panel = lab.panels.batch(ROWS, "Say {q}", model="gpt-4", client=client, on_error="raise", start=True)
    said = []
    for _ in range(2):
        with pytest.raises(errors.InvalidRequestError) as caught:
            panel.result()
        said.append(caught.value.message)

    assert said[0] == said[1]
    assert said[0].startswith("Row 7 ")


def test_the_code_line_does_the_same(client):
    """With the system message and the options, without the client."""
    panel = lab.panels.batch(ROWS, "Say {q}", model="gpt-4", system="Be short.", temperature=0.0, client=client)

    assert panel.snapshot()["code"] == (
        "lab.batch(data, 'Say {q}', model='gpt-4', system='Be short.', temperature=0.0)"
    )


def test_the_time_is_that_of_the_run(client):
    """Not that since the panel was opened."""
    panel = lab.panels.batch(ROWS.head(2), "Say {q}", model="gpt-4", client=client)
    assert panel.snapshot()["took_ms"] is None

    panel.start()
    seconds = panel.result().attrs["prsm"]["totals"]["seconds"]
    assert panel.frame.attrs["prsm"]["totals"]["seconds"] == seconds > 0


def test_a_run_is_paused_and_retuned_by_its_page(client, emu):
    """As the page sends it; a figure that is none becomes the notice."""
    emu.add(Rule("hang"))
    panel = lab.panels.batch(ROWS, "Say {q}", model="gpt-4", client=client, max_concurrency=2, start=True)
    emu.log.wait_for(lambda log: log.open_requests == 2)
    panel.obey("retune", {"max_concurrency": 5})
    emu.log.wait_for(lambda log: log.open_requests == 5)
    panel.obey("pause", {})
    shown = panel.snapshot()
    panel.obey("retune", {"max_concurrency": 0})

    assert (shown["paused"], shown["max_concurrency"], shown["max_cost"]) == (True, 5, None)
    assert "max_concurrency" in panel.notice
    panel.obey("resume", {})
    assert not panel.snapshot()["paused"]
    panel.stop()
    panel.wait(10)


def test_a_cap_leaves_rows_unsent_and_a_higher_one_asks_them(client, emu):
    """They are no failures; the button asks the rest."""
    panel = lab.panels.batch(ROWS, "Say {q}", model="gpt-4.1-mini", max_tokens=30, client=client, max_cost=0.0003)
    panel.start()
    panel.result()
    capped = panel.snapshot()
    panel.obey("retune", {"max_cost": 1})
    panel.start()
    frame = panel.result()

    assert 0 < capped["not_sent"] < 30
    assert (capped["failed"], capped["spent"] <= 0.0003) == (0, True)
    assert f"{capped['not_sent']} not sent" in still.run(capped)
    assert frame["response"].notna().all()
    assert (panel.snapshot()["not_sent"], panel.snapshot()["max_cost"]) == (0, 1.0)
