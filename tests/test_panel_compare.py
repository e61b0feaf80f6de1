"""The state of the compare panel: rows side by side, blind votes that are kept, without any notebook."""

from __future__ import annotations

import pandas as pd
import pytest
from hostile import HOSTILE, harmless

import prsm_lab as lab
from prsm_lab import emulator, errors
from prsm_lab.emulator import Rule

MODELS = ["gpt-4", "gpt-4o", "claude-haiku-4-5"]
ROWS = pd.DataFrame({"q": [f"question {n}" for n in range(6)], "answer": [f"answer {n}" for n in range(6)]})


@pytest.fixture(scope="module")
def emu():
    with emulator.start() as running:
        yield running


@pytest.fixture
def client(emu, tmp_path):
    emu.clear()
    with lab.Client(ledger=tmp_path / "ledger.db", providers=emu.providers(), max_retries=0) as made:
        yield made


@pytest.fixture
def results(client):
    return lab.compare(ROWS, "{q}", models=MODELS, client=client, progress=False)


def test_a_row_is_laid_side_by_side(results, client):
    """Its inputs and reference above, each variant's answer with its figures below; pieces add up to the text."""
    panel = lab.panels.compare(lab.score(results, "contains", reference="answer"), client=client)
    panel.go(2)
    row = panel.snapshot()["row"]

    assert (row["row"], row["inputs"], row["reference"]) == (2, [["q", "question 2"]], "answer 2")
    mine = results[results["q"] == "question 2"]
    for answer, (_, found) in zip(row["answers"], mine.iterrows(), strict=True):
        assert answer["label"] == found["model"]
        assert "".join(text for _, text in answer["parts"]) == found["response"]
        assert (answer["cost"], answer["latency_ms"]) == (found["cost"], found["latency_ms"])
        assert [name for name, _ in answer["scores"]] == ["contains"]


def test_rows_are_walked_and_never_left(results, client):
    """Past an end is that end."""
    panel = lab.panels.compare(results, client=client)
    for by, at in ((1, 1), (10, 5), (-99, 0)):
        panel.step(by)
        assert panel.snapshot()["at"] == at


def test_filters_choose_and_order(client, emu):
    """Disagreements, errors, lowest score, most expensive."""
    emu.add(Rule("400", contains="question 3", model="gpt-4"))
    mocks = {"gpt-4": {"content": "same"}, "gpt-4o": {"content": "same"}}
    results = lab.compare(ROWS, "{q}", models=["gpt-4", "gpt-4o"], client=client, progress=False)
    panel = lab.panels.compare(results, client=client)
    panel.show("errors")
    assert (panel.snapshot()["n"], panel.snapshot()["row"]["row"]) == (1, 3)

    costs = results.groupby("q", sort=False)["cost"].sum().tolist()
    panel.show("most expensive")
    assert panel.snapshot()["row"]["row"] == max(range(6), key=lambda n: costs[n])

    scored = lab.score(results, lambda row: float(row["q"][-1]), reference="answer")
    panel = lab.panels.compare(scored, client=client)
    panel.show("lowest score")
    assert panel.snapshot()["row"]["row"] == 0

    with lab.Client(mock_mode=True, ledger=":memory:", mock_responses=mocks) as mocked:
        same = lab.compare(ROWS, "{q}", models=["gpt-4", "gpt-4o"], client=mocked, progress=False)
        panel = lab.panels.compare(same, client=mocked)
        panel.show("disagreements")
        assert (panel.snapshot()["n"], panel.snapshot()["row"]) == (0, None)


def test_names_are_hidden_until_the_vote_is_given(results, client):
    """Nor is it told who leads."""
    panel = lab.panels.compare(results, client=client)
    panel.vote_blind(True)
    shown = panel.snapshot()
    hidden = {**shown, "filters": None}

    assert shown["row"] is None
    assert not [model for model in MODELS if model in str(hidden)]
    panel.vote("a")
    after = panel.snapshot()
    assert {after["last"]["a"], after["last"]["b"]} < set(MODELS)
    assert after["standings"] == []
    assert after["pair"] != shown["pair"]


def test_votes_are_kept_and_found_again(results, client):
    """In the ledger, by the same results; verdicts and human scores as frames."""
    panel = lab.panels.compare(results, client=client, voter="ana")
    panel.vote_blind(True)
    for winner in ("a", "b", "tie", "both_bad"):
        panel.vote(winner)
    again = lab.panels.compare(lab.load(lab.runs(client=client)["run"].iloc[0], client=client), client=client)
    verdicts, scored = again.verdicts(), again.to_frame()

    pd.testing.assert_frame_equal(verdicts, panel.verdicts())
    assert verdicts["voter"].unique().tolist() == ["ana"]
    assert verdicts["winner"].iloc[0] == verdicts["a"].iloc[0]
    assert verdicts["winner"].iloc[1] == verdicts["b"].iloc[1]
    assert verdicts["winner"].tolist()[2:] == ["tie", "both_bad"]
    points: dict[tuple[int, str], list[float]] = {}
    for vote in verdicts.itertuples():
        for way in (vote.a, vote.b):
            points.setdefault((vote.row, way), []).append(
                {vote.winner: 1.0}.get(way, 0.5 if vote.winner == "tie" else 0.0)
            )
    for n, one in enumerate(scored.itertuples()):
        found = points.get((n // len(MODELS), one.model))
        assert one.human_score is pd.NA if found is None else one.human_score == sum(found) / len(found)


def test_a_vote_is_taken_back(results, client):
    """From the ledger too; the pair comes again."""
    panel = lab.panels.compare(results, client=client)
    panel.vote_blind(True)
    pair = panel.snapshot()["pair"]
    panel.vote("a")
    panel.undo()

    assert panel.snapshot()["pair"] == pair
    assert lab.panels.compare(results, client=client).verdicts().empty


def test_all_is_judged_at_the_end(client):
    """Answers that are equal are not asked about; then the standings are told."""
    mocks = {"gpt-4": {"content": "one"}, "gpt-4o": {"content": "One "}, "claude-3-opus": {"content": "two"}}
    with lab.Client(mock_mode=True, ledger=":memory:", mock_responses=mocks) as mocked:
        results = lab.compare(["x", "y"], "{text}", models=list(mocks), client=mocked, progress=False)
        panel = lab.panels.compare(results, client=mocked)
        panel.vote_blind(True)
        for _ in range(2):
            panel.vote("tie")
        shown = panel.snapshot()

    assert shown["pair"] is None
    assert {one["label"]: (one["share"], one["n"]) for one in shown["standings"]} == {"gpt-4": (0.5, 2), "claude-3-opus": (0.5, 2)}  # fmt: skip
    with pytest.raises(errors.InvalidRequestError, match="nothing to judge"):
        panel.vote("a")


@pytest.mark.parametrize(
    ("command", "given", "told"),
    [("vote", {"winner": "me"}, "both_bad"), ("show", {"only": "nice ones"}, "disagreements"), ("show", {"only": "lowest score"}, "lab.score"), ("vote", {"winner": "a"}, "nothing to judge")],
)  # fmt: skip
def test_a_wrong_click_is_a_notice(results, client, command, given, told):
    """With what there is."""
    panel = lab.panels.compare(results, client=client)
    panel.obey(command, given)

    assert told in panel.snapshot()["notice"]


def test_results_that_are_not_whole_are_refused(results, client):
    """An answer must never stand beside another row's question."""
    with pytest.raises(errors.InvalidRequestError, match="not whole"):
        lab.panels.compare(results.iloc[1:], client=client)
    with pytest.raises(errors.InvalidRequestError, match="No column 'truth'"):
        lab.panels.compare(results, reference="truth", client=client)


def test_a_long_answer_is_cut_until_more_is_asked_for():
    """A megabyte does not reach the page by itself."""
    with lab.Client(mock_mode=True, ledger=":memory:", mock_responses={"*": {"content": "word " * 200_000}}) as client:
        results = lab.compare(["x"], "{text}", models=["gpt-4", "gpt-4o"], client=client, progress=False)
        panel = lab.panels.compare(results, client=client)
        answer = panel.snapshot()["row"]["answers"][0]
        panel.whole()
        whole = panel.snapshot()["row"]["answers"][0]

    assert (answer["long"], len(answer["parts"][0][1])) == (True, 20_000)
    assert (whole["long"], sum(len(text) for _, text in whole["parts"])) == (False, 1_000_000)


@pytest.mark.filterwarnings("ignore:A share server")
def test_a_share_server_keeps_no_votes_and_the_panel_says_so(client):
    """They stay in the notebook."""
    with lab.serve(client) as share, lab.Client(share.new_key("ana", tier="Pro"), share.url) as ana:
        results = lab.compare(ROWS, "{q}", models=MODELS, client=ana, progress=False)
        panel = lab.panels.compare(results, client=ana)
        told = panel.snapshot()["notice"]
        panel.vote_blind(True)
        panel.vote("a")

    assert "share server keeps no votes" in told
    assert len(panel.verdicts()) == 1


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_the_static_form_obeys_no_model(text):
    """Nor a row, nor a reference."""
    with lab.Client(mock_mode=True, ledger=":memory:", mock_responses={"*": {"content": text}}) as client:
        rows = [{"q": text or "x", "answer": text}]
        results = lab.compare(rows, "{q}", models=["gpt-4", "gpt-4o"], client=client, progress=False)
        harmless(lab.panels.compare(results, client=client).html())
