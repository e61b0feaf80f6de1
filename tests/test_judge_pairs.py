"""A model chooses between two answers: in both orders, of the same row, and with its changes of mind told."""

from __future__ import annotations

import json
import re

import pandas as pd
import pytest

import prsm_lab as lab
from prsm_lab import emulator, errors
from prsm_lab.frames.pairwise import TYPES

CAPITALS = {f"What is the capital of land {n}?": f"Town{n}" for n in range(12)}
GOOD, POOR, OTHER = "gpt-4.1-mini", "gpt-4.1-nano", "claude-3-haiku"
JUDGE = "gpt-4.1"
FENCE = re.compile(r"<<<(\w+) ([0-9a-f]{16})\n(.*?)\n\1 \2>>>", re.DOTALL)


def material(messages) -> dict[str, str]:
    """What stands between the fences of a judge's question."""
    return {name: text for name, _, text in FENCE.findall(messages[-1]["content"])}


@pytest.fixture(scope="module")
def emu():
    profiles = {GOOD: emulator.Profile(accuracy=1.0), POOR: emulator.Profile(accuracy=0.0)}
    with emulator.start(references=CAPITALS, profiles=profiles) as running:
        yield running


@pytest.fixture
def client(emu):
    emu.clear()
    with lab.Client(providers=emu.providers(), ledger=":memory:", max_retries=0) as made:
        yield made


@pytest.fixture
def judge():
    """`judge(decide)`: a client whose models say `good` and `poor`, and whose judge says what `decide` returns of the
    first and the second answer; `.seen` has what it was told."""
    made = []

    def client(decide):
        seen = []

        def verdict(messages):
            seen.append(messages)
            shown = material(messages)
            said = decide(shown["first_answer"], shown["second_answer"])
            return said if " " in said else json.dumps({"reason": f"{said}.", "winner": said})

        table = {JUDGE: {"content": verdict}, GOOD: {"content": "good"}, "*": {"content": "poor"}}
        made.append(lab.Client(mock_mode=True, mock_responses=table, ledger=":memory:", max_retries=0))
        made[-1].seen = seen
        return made[-1]

    yield client
    for one in made:
        one.close()


def asked(client, data=("One?", "Two?"), models=(GOOD, POOR), prompt="{text}", **options) -> pd.DataFrame:
    return lab.compare(list(data), prompt, models=list(models), client=client, progress=False, **options)


def judged(client, results, **options) -> pd.DataFrame:
    return lab.judge_pairs(results, **{"model": JUDGE, "client": client, "progress": False, **options})


def first(*_) -> str:
    return "first"


def good(one: str, two: str) -> str:
    return "first" if one == "good" else "second"


# ------------------------------------------------------------------------------------------------------- orders


@pytest.mark.parametrize(
    ("ab", "ba", "expected"),
    [
        ("first", "second", ("a", False, "a", "a")),
        ("second", "first", ("b", False, "b", "b")),
        ("tie", "tie", ("tie", False, "tie", "tie")),
        ("first", "first", ("tie", True, "a", "b")),
        ("second", "second", ("tie", True, "b", "a")),
        ("first", "tie", ("tie", True, "a", "tie")),
        ("tie", "first", ("tie", True, "tie", "b")),
    ],
)
def test_only_a_verdict_that_survives_the_other_order_counts(judge, ab, ba, expected):
    """Any change of mind is a tie, and told; each order's reason is kept."""
    client = judge(lambda one, _: ab if one == "good" else ba)
    found = judged(client, asked(client, ["One?"])).iloc[0]

    assert tuple(found[["winner", "flipped", "winner_ab", "winner_ba"]]) == expected
    assert (found["reason_ab"], found["reason_ba"]) == (f"{ab}.", f"{ba}.")


def test_both_orders_of_every_pair_are_asked(client, emu):
    """Over real SDKs: each answer stands first once; the question with them, the reference where it is named."""
    data = pd.DataFrame({"q": list(CAPITALS), "right": list(CAPITALS.values())})
    results = lab.compare(data, "{q}", models=[GOOD, POOR], client=client, progress=False)
    emu.clear()

    found = judged(client, results, reference="right")

    shown = [material(entry.body["messages"]) for entry in emu.log.entries]
    orders = {(one["question"], one["first_answer"], one["second_answer"]) for one in shown}
    assert len(emu.log) == len(orders) == 24
    assert {(q, two, one) for q, one, two in orders} == orders
    assert {(one["question"], one["reference"]) for one in shown} == set(CAPITALS.items())
    assert (found["winner"] == "a").mean() > 0.8
    assert found["cost"].sum() == pytest.approx(found.attrs["prsm"]["totals"]["spent_usd"])


def test_verdicts_are_a_frame_of_fixed_columns_that_goes_on(client):
    """To the leaderboard, the matrix of wins and the audit."""
    results = lab.compare(list(CAPITALS), "{text}", models=[GOOD, POOR, OTHER], client=client, progress=False)
    found = judged(client, results)
    line = found.iloc[0]
    answer = results.set_index("inference_id").loc[line["answer_b"]]

    assert {name: str(kind) for name, kind in found.dtypes.items()} == TYPES
    assert found["row"].tolist() == [n for n in range(12) for _ in range(3)]
    assert line[["a", "b", "model_a", "model_b", "judge"]].tolist() == [GOOD, POOR, GOOD, POOR, JUDGE]
    assert (answer["model"], len(answer["response"])) == (POOR, line["length_b"])
    assert client.inference.get(line["id_ba"]).model == JUDGE
    assert lab.leaderboard(found)["variant"].tolist()[::2] == [GOOD, POOR]
    assert lab.plot.wins(found).data[0].z[0][1] > 0.5
    assert "flip_rate" in set(lab.judge_audit(found)["metric"])
    assert found.attrs["prsm"]["simulated"]


def test_the_flip_rate_is_reported(judge, capsys):
    """Of the pairs that were judged in both orders; in the notes, and in a line at the end."""
    client = judge(lambda one, _: "first" if len(client.seen) < 3 else good(one, _))
    results = asked(client, ["One?", "Two?", "Three?"])
    results.iloc[-1, results.columns.get_loc("response")] = pd.NA

    found = judged(client, results, progress=True, max_concurrency=1)

    assert {key: found.attrs["prsm"][key] for key in ("judged", "flipped", "flip_rate")} == {
        "judged": 2, "flipped": 1, "flip_rate": 0.5,
    }  # fmt: skip
    said = "3 pairs: 2 judged in both orders, 1 of them flipped (flip rate 50.0%), 1 tie, 1 without a verdict\n"
    assert said in capsys.readouterr().out


def test_the_same_call_again_pays_nothing(client, emu):
    """Nor does the other way round: the same two questions of each pair."""
    results = lab.compare(list(CAPITALS), "{text}", models=[GOOD, POOR], client=client, progress=False)
    once = judged(client, results)
    emu.clear()

    pd.testing.assert_frame_equal(judged(client, results), once)
    turned = judged(client, results, a=POOR, b=GOOD)

    assert len(emu.log) == 0
    assert turned["winner_ba"].map({"a": "b", "b": "a"}).equals(once["winner_ab"].map({"a": "a", "b": "b"}))


async def test_the_async_twin_returns_the_same(client):
    """Within a running loop."""
    results = lab.compare(list(CAPITALS)[:3], "{text}", models=[GOOD, POOR], client=client, progress=False)
    found = await lab.ajudge_pairs(results, model=JUDGE, client=client, progress=False)

    pd.testing.assert_frame_equal(found, judged(client, results))


# -------------------------------------------------------------------------------------------------------- faults


def test_an_order_that_failed_leaves_no_winner(judge):
    """One order alone may be the order's doing; what the other said is kept."""
    client = judge(lambda one, _: "first" if one == "good" else "I like it.")
    found = judged(client, asked(client, ["One?"])).iloc[0]

    assert found[["winner", "flipped", "winner_ba"]].isna().all()
    assert found["winner_ab"] == "a"
    assert found["error"].startswith("ba: schema: ")
    assert "ab:" not in found["error"]


def test_both_faults_of_a_pair_are_told(judge):
    """By order."""
    client = judge(lambda *_: "I like both.")
    found = judged(client, asked(client, ["One?"]))

    assert re.fullmatch("ab: schema: .*; ba: schema: .*", found["error"].item())
    assert found.attrs["prsm"]["flip_rate"] is None
    with pytest.raises(errors.SchemaError, match=r"^Row 0 "):
        judged(client, asked(client, ["One?"]), on_error="raise")


def test_there_is_no_verdict_without_money(client):
    """Refused before it is sent."""
    results = lab.compare(list(CAPITALS)[:2], "{text}", models=[GOOD, POOR], client=client, progress=False)
    found = judged(client, results, max_cost=1e-9)

    assert found["winner"].isna().all()
    assert found["error"].str.fullmatch("ab: budget_exceeded: .*; ba: budget_exceeded: .*").all()
    assert found["cost"].isna().all()


def test_a_pair_with_a_failed_answer_is_not_judged(judge, capsys):
    """Its line is there and says whose it was; a failed request is no lost duel."""
    client = judge(good)
    results = asked(client)
    results.iloc[1, results.columns.get_loc("response")] = pd.NA

    found = judged(client, results, progress=True)

    assert found["winner"].tolist() == [pd.NA, "a"]
    assert found["error"].iloc[0] == "not judged: gpt-4.1-nano gave no answer in row 0"
    assert found["length_b"].tolist() == [pd.NA, 4]
    assert len(client.seen) == 2
    assert (
        "2 pairs: 1 judged in both orders, 0 of them flipped (flip rate 0.0%), 0 ties, 1 without a verdict"
        in capsys.readouterr().out
    )
    assert lab.leaderboard(found)["n"].tolist() == [1, 1]


def test_a_row_without_its_reference_is_not_judged(judge):
    """A judge that was promised the right answer must have it."""
    client = judge(good)
    results = asked(client, [{"text": "One?", "right": "good"}, {"text": "Two?", "right": None}])

    assert judged(client, results, reference="right")["error"].tolist() == [pd.NA, "not judged: column 'right' is empty in row 1"]  # fmt: skip


# --------------------------------------------------------------------------------------------------------- pairs


@pytest.mark.parametrize(
    ("a", "b", "pairs"),
    [
        (None, None, [(GOOD, POOR), (GOOD, OTHER), (POOR, OTHER)]),
        (POOR, None, [(POOR, GOOD), (POOR, OTHER)]),
        (None, POOR, [(GOOD, POOR), (OTHER, POOR)]),
        (OTHER, GOOD, [(OTHER, GOOD)]),
    ],
)
def test_who_meets_whom(judge, a, b, pairs):
    """Everybody, one against all others, or two."""
    client = judge(first)
    found = judged(client, asked(client, ["One?"], (GOOD, POOR, OTHER)), a=a, b=b)

    assert list(zip(found["a"], found["b"], strict=True)) == pairs


def test_only_answers_to_one_row_meet(judge):
    """By index, by a column, sample by sample; a row that lacks a variant has no pair of it."""
    client = judge(good)
    results = asked(client, [{"text": "One?", "id": "p"}, {"text": "Two?", "id": "q"}], samples=2)

    found = judged(client, results.iloc[1:].sample(frac=1, random_state=0), row="id")

    assert sorted(zip(found["row"], found["sample"], strict=True)) == [("p", 1), ("q", 0), ("q", 1)]
    assert (found["winner"] == "a").eq(found["a"] == GOOD).all()


def test_answers_to_different_prompts_are_judged_on_what_both_were_asked(judge):
    """Not by the words of one of them; where the prompts are the same, by these."""
    client = judge(first)
    data = [{"q": "Why?", "id": 7, "tone": "dry"}]
    results = asked(client, data, prompt={"plain": "{q} Think.", "brief": "{q} Be {tone}."})

    judged(client, results, a=f"{GOOD} · plain", b=f"{POOR} · plain")
    judged(client, results, a=f"{GOOD} · plain", b=f"{GOOD} · brief")

    assert [material(one)["question"] for one in client.seen] == ["Why? Think."] * 2 + ["q: Why?\ntone: dry"]


def test_a_rubric_says_what_is_better(judge):
    """In words, by criteria, or as for `judge`; without one, what is right."""
    client = judge(first)
    results = asked(client, ["One?"])
    for rubric in ("Shorter wins.", {"short": "Shorter wins."}, lab.Rubric("Shorter wins."), None):
        judged(client, results, rubric=rubric)

    told = [one[0]["content"] for one in client.seen[::2]]
    words = ["Rubric:\nShorter wins.\n", "Rubric:\n- short: Shorter wins.\n", "Rubric:\nWhich answer serves"]
    assert [word in text for word, text in zip(words, told, strict=True)] == [
        True
    ] * 3  # the third asked what the first did


def test_results_with_a_prefix_are_read_by_their_own_names(judge):
    """Their data has a column `model`."""
    client = judge(good)
    results = asked(client, [{"text": "One?", "model": "T"}], prefix="got_")

    assert judged(client, results)[["a", "winner"]].iloc[0].tolist() == [GOOD, "a"]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"a": "gpt-5"}, errors.NotFoundError, "No variant 'gpt-5'; there are 'gpt-4.1-mini', 'gpt-4.1-nano'"),
        ({"a": GOOD, "b": GOOD}, errors.InvalidRequestError, "A pair is of two variants"),
        ({"row": "nope"}, errors.NotFoundError, "nope"),
        ({"rubric": {}}, errors.InvalidRequestError, "rubric cannot be used"),
        ({"samples": 3}, errors.InvalidRequestError, "Unknown option 'samples'"),
        ({"background": True}, errors.InvalidRequestError, "background= does not go with judge_pairs"),
        ({"model": None}, errors.InvalidRequestError, "model"),
    ],
)
def test_what_cannot_be_asked_is_refused_before_anything_is(judge, options, error, message):
    """Which parameter, and what would do."""
    client = judge(first)

    with pytest.raises(error, match=re.escape(message)):
        judged(client, asked(client), **options)
    assert client.seen == []


def test_one_variant_and_rows_that_are_not_shared_have_no_pair(judge):
    """Said with the remedy."""
    client = judge(first)
    results = asked(client)

    with pytest.raises(errors.InvalidRequestError, match=r"there are not two: 'gpt-4\.1-mini'"):
        judged(client, results[results["model"] == GOOD])
    with pytest.raises(errors.InvalidRequestError, match="No input row was asked of two"):
        judged(client, results.iloc[[0, 3]], row="text")
