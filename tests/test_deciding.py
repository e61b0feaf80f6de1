"""`compare(…, until="decided")`: rows in random order until the difference is more than chance, and not one further."""

from __future__ import annotations

import hashlib

import pandas as pd
import pytest

import prsm_lab as lab
from prsm_lab import emulator, errors

GOOD, POOR = "gpt-4.1-mini", "gpt-4.1-nano"


def draw(text: str) -> float:
    """A number from 0 to 1 that a text always has."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6]) / 2**48


def answers(right: dict[str, float]) -> dict[str, dict[str, object]]:
    """Models that are right in these shares of the questions."""

    def speak(model: str, share: float):
        def content(messages):
            question = messages[-1]["content"]
            return "yes" if draw(f"{model} {question}") < share else "no"

        return {"content": content}

    return {model: speak(model, share) for model, share in right.items()}


def frame(rows: int) -> pd.DataFrame:
    return pd.DataFrame({"q": [f"question {n}" for n in range(rows)], "answer": "yes"}, index=range(1000, 1000 + rows))


def decide(client, rows: int = 400, models=(GOOD, POOR), **options):
    options = {"until": "decided", "score": "exact", "progress": False, "max_tokens": 20, **options}
    return lab.compare(frame(rows), "{q}", models=list(models), client=client, **options)


@pytest.fixture
def unequal():
    with lab.Client(mock_mode=True, ledger=":memory:", mock_responses=answers({GOOD: 0.9, POOR: 0.5})) as client:
        yield client


@pytest.fixture
def equal():
    with lab.Client(mock_mode=True, ledger=":memory:", mock_responses=answers({GOOD: 0.7, POOR: 0.7})) as client:
        yield client


def test_it_stops_where_the_difference_is_more_than_chance(unequal):
    """Rows and dollars that were not spent are told; what was asked is there as from any comparison, scored."""
    found = decide(unequal)
    notes = found.attrs["prsm"]["decided"]
    stand = notes["standings"][0]

    assert (notes["reason"], stand["variant"], stand["baseline"], stand["decided"]) == ("decided", POOR, GOOD, True)
    assert 20 < notes["rows_asked"] < 200
    assert notes["rows_asked"] + notes["rows_left"] == 400
    assert len(found) == 2 * notes["rows_asked"]
    assert stand["high"] < 0
    assert stand["low"] <= stand["difference"] <= stand["high"]
    assert notes["usd_not_spent"] == pytest.approx(found["cost"].sum() / notes["rows_asked"] * notes["rows_left"])


def test_the_difference_is_that_of_the_rows(unequal):
    """Independently, from the frame that came back."""
    found = decide(unequal)
    wide = found.pivot_table(index="q", columns="model", values="score_exact", aggfunc="mean")
    stand = found.attrs["prsm"]["decided"]["standings"][0]

    assert stand["difference"] == pytest.approx((wide[POOR] - wide[GOOD]).mean())
    assert stand["n"] == len(wide)


def test_rows_come_in_the_inputs_order_but_were_drawn_at_random(unequal):
    """Another seed draws others; the same seed the same."""
    one, same, other = (decide(unequal, order_seed=seed) for seed in (0, 0, 1))

    assert one.index.is_monotonic_increasing
    assert set(one.index) == set(same.index)
    assert set(one.index) != set(other.index)
    assert sorted(set(one.index)) != list(range(1000, 1000 + one.index.nunique()))
    assert one["model"].tolist()[:2] == [GOOD, POOR]


def test_where_there_is_no_difference_all_rows_are_asked_and_none_is_claimed(equal):
    """Not decided is an answer too."""
    found = decide(equal, rows=120)
    notes = found.attrs["prsm"]["decided"]

    assert (notes["reason"], notes["rows_left"], notes["standings"][0]["decided"]) == ("rows", 0, False)
    assert notes["standings"][0]["low"] < 0 < notes["standings"][0]["high"]


def test_the_cap_ends_it_and_holds_over_all_steps():
    """The budget is of the whole comparison, not of a step."""
    with emulator.start() as emu, lab.Client(providers=emu.providers(), ledger=":memory:", max_retries=0) as client:
        one = decide(client, rows=8, run="price")
        emu.clear()
        cap = 60 * one["cost"].mean()
        found = decide(client, max_cost=cap, score=lambda row: 1.0)
        notes = found.attrs["prsm"]["decided"]

        assert found["cost"].sum() <= cap
        assert notes["reason"] == "budget"
        assert 0 < notes["rows_asked"] < 60
        assert notes["rows_asked"] == found["response"].notna().groupby(found["q"]).all().sum()
        assert len(emu.log.arrivals()) == found["response"].notna().sum()


def test_the_same_call_again_pays_nothing(unequal):
    """Its steps are drawn by the seed, so that they are the same questions."""
    first = decide(unequal)
    again = decide(unequal)

    assert again.attrs["prsm"]["totals"]["asked"] == 0
    assert again.attrs["prsm"]["decided"]["rows_asked"] == first.attrs["prsm"]["decided"]["rows_asked"]
    assert again["response"].tolist() == first["response"].tolist()


def test_several_variants_are_told_from_the_first_together(unequal):
    """It goes on until each is; samples of a row count as their mean."""
    found = decide(unequal, models=(GOOD, POOR, "gpt-4o"), rows=200, samples=2)
    notes = found.attrs["prsm"]["decided"]

    assert [one["variant"] for one in notes["standings"]] == [POOR, "gpt-4o"]
    assert all(one["decided"] for one in notes["standings"])
    assert len(found) == 6 * notes["rows_asked"]


def test_a_failed_row_moves_nothing():
    """Its pair says nothing; the others do."""
    broken = {**answers({GOOD: 1.0}), POOR: {"content": "no", "error": "provider_unavailable", "fail_times": 5}}
    with lab.Client(mock_mode=True, ledger=":memory:", mock_responses=broken, max_retries=0) as client:
        found = decide(client, rows=60, max_concurrency=1)
        notes = found.attrs["prsm"]["decided"]

    assert found["response"].isna().sum() == 5
    assert notes["standings"][0]["n"] == notes["rows_asked"] - 5


async def test_the_async_twin_decides_the_same(unequal):
    """On whatever loop."""
    found = await lab.acompare(
        frame(400), "{q}", models=[GOOD, POOR], client=unequal, until="decided", score="exact", progress=False,
        max_tokens=20,
    )  # fmt: skip

    assert found.attrs["prsm"]["decided"] == {
        **decide(unequal).attrs["prsm"]["decided"], "usd_spent": found.attrs["prsm"]["decided"]["usd_spent"]
    }  # fmt: skip


def test_what_it_says_at_the_end(unequal, capsys):
    """One line: what is decided, after how many rows, and what was not spent."""
    found = decide(unequal, progress=True)
    said = capsys.readouterr().out.strip().splitlines()[-1]

    rows = found.attrs["prsm"]["decided"]["rows_asked"]
    assert said.startswith(f"decided after {rows} of 400 rows ({400 - rows} rows and about $")
    assert f"{POOR} is " in said
    assert f"points worse than {GOOD} (95 % at all rows: −" in said


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"score": None}, "needs score="),
        ({"until": "bored"}, "is not 'decided'"),
        ({"alpha": 2}, "alpha=2"),
        ({"background": True}, "background="),
        ({"output": "x.parquet"}, "output="),
        ({"mode": "provider_batch"}, "provider_batch"),
        ({"score": lambda row: 7}, "between 0 and 1"),
        ({"score": lambda row: {"a": 1, "b": 0}}, "needs one score"),
        ({"models": [GOOD]}, "only 'gpt-4.1-mini'"),
        ({"rows": 0}, "needs rows"),
    ],
)
def test_what_it_cannot_do_is_said(unequal, options, says):
    """Naming the option."""
    with pytest.raises(errors.InvalidRequestError, match=says):
        decide(unequal, **options)


@pytest.mark.parametrize("option", [{"until": "decided"}, {"score": "exact"}, {"order_seed": 1}])
def test_its_options_go_with_compare_alone(unequal, option):
    """A batch has nothing to be told from."""
    with pytest.raises(errors.InvalidRequestError, match=next(iter(option))):
        lab.batch(frame(2), "{q}", model=GOOD, client=unequal, **option)
