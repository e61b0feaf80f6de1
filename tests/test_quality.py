"""Quality as one measured it: kept in the ledger, by task, with its interval; and what a threshold then means."""

from __future__ import annotations

import math
import sqlite3

import pandas as pd
import pytest
from scipy.stats import t as student

import prsm_lab as lab
from prsm_lab import errors
from prsm_lab.engine import plan, standards
from prsm_lab.ledger import migrations
from prsm_lab.types import Grade, Request, Routing, Strategy

ORIGINS = {"openai": "o", "anthropic": "a", "huggingface": "h", "local": "l"}


def grade(model: str, value: float, low: float | None, task: str = "sums", n: int = 50) -> Grade:
    return Grade(
        task=task, model=model, value=value, low=low, high=1.0, n=n, failed=0, score="score_exact", source="mine",
        simulated=False, created=0.0,
    )  # fmt: skip


def graded(*grades: Grade):
    return {(one.task, one.model): one for one in grades}


def peers(grades, **routing) -> set[str]:
    request = Request(
        model="gpt-4.1", messages=({"role": "user", "content": "hi"},),
        routing=Routing(cost_optimization=True, **routing),
    )  # fmt: skip
    return {target.name for target in plan.candidates(request, ORIGINS, grades)}


@pytest.fixture
def client(tmp_path):
    with lab.Client(mock_mode=True, ledger=tmp_path / "l.db") as made:
        yield made


# ------------------------------------------------------------------------------------ what a threshold means


@pytest.mark.parametrize(
    ("low", "task", "joins"),
    [(0.81, "sums", True), (0.79, "sums", False), (0.79, "prose", True), (0.79, None, True), (None, "sums", True)],
)
def test_a_threshold_is_held_against_the_lower_end_of_what_was_measured(low, task, joins):
    """`gpt-4o-mini` has a published 0.82. A measurement counts for its task only; one row has no interval."""
    grades = graded(grade("gpt-4o-mini", 0.9, low))

    assert ("gpt-4o-mini" in peers(grades, quality_threshold=0.8, task=task)) == joins


def test_a_model_that_nobody_published_anything_of_joins_when_it_is_measured():
    """It is what one's own rows are for."""
    name = "gpt-5-nano"
    assert standards.known(name, None, {}) is None
    assert name not in peers({}, quality_threshold=0.8, task="sums")
    assert name in peers(graded(grade(name, 0.95, 0.9)), quality_threshold=0.8, task="sums")


@pytest.mark.parametrize(("low", "joins"), [(0.86, True), (0.84, False)])
def test_without_a_threshold_the_measured_mean_of_the_requested_model_is_the_bar(low, joins):
    """And no published score reaches it: they are on another scale."""
    grades = graded(grade("gpt-4.1", 0.85, 0.8), grade("gpt-4o-mini", 0.9, low))
    found = peers(grades, task="sums")

    assert ("gpt-4o-mini" in found) == joins
    assert found <= {"gpt-4.1", "gpt-4o-mini"}


def test_a_fallback_that_was_measured_to_be_weak_stays_a_fallback():
    """However cheap it is, and however good its published score."""
    grades = graded(grade("gpt-4o-mini", 0.5, 0.4))
    request = Request(
        model="gpt-4.1", messages=({"role": "user", "content": "hi"},),
        routing=Routing(cost_optimization=True, quality_threshold=0.8, task="sums", fallback=(Strategy(model="gpt-4o-mini"),)),
    )  # fmt: skip
    facts = plan.Facts(lambda target: False, {}, grades)
    order = [t.name for t in plan.ordered(plan.candidates(request, ORIGINS, grades), request, facts)]

    assert order.index("gpt-4o-mini") > order.index("gpt-4.1")


# -------------------------------------------------------------------------------------------------- learning


def results(frame, scores: dict[str, list[float | None]], **more) -> pd.DataFrame:
    rows = [
        {"model": model, "served_model": model, "q": str(n), **more}
        for model, ones in scores.items()
        for n in range(len(ones))
    ]
    made = frame(*rows)
    return made.assign(score_exact=pd.array([one for ones in scores.values() for one in ones], dtype="Float64"))


def test_what_was_learnt_is_the_mean_with_its_interval(client, frame):
    """Wilson's for right and wrong, Student's for grades; statsmodels and scipy say the same."""
    from statsmodels.stats.proportion import proportion_confint

    share, grades, poor = [1.0] * 8 + [0.0] * 2, [0.5, 0.6, 0.9, 0.8], [0.0, 0.1, 0.0, 0.3]
    scores = {"gpt-4.1": share, "gpt-4o": grades, "gpt-4": poor, "gpt-4-turbo": [1 - one for one in poor]}
    learned = lab.quality.learn(results(frame, scores), task="sums", client=client)
    learned = learned[learned["task"] == "sums"].set_index("model")
    low, high = proportion_confint(8, 10, method="wilson")
    half = student.ppf(0.975, 3) * pd.Series(grades).std() / 2

    assert learned.loc["gpt-4.1", ["value", "low", "high", "n"]].tolist() == pytest.approx([0.8, low, high, 10])
    assert learned.loc["gpt-4o", ["value", "low", "high"]].tolist() == pytest.approx(
        [0.7, 0.7 - half, min(1, 0.7 + half)]
    )
    assert (learned.loc["gpt-4", "low"], learned.loc["gpt-4-turbo", "high"]) == (0.0, 1.0)
    assert learned["used"].all()


def test_a_database_of_several_servers_keeps_it_too(database, frame):
    """PostgreSQL: the same table, and the same columns of attempts."""
    with lab.Client(mock_mode=True, ledger=database) as first:
        for scores in ([0.0] * 5, [1.0] * 5):
            lab.quality.learn(results(frame, {"gpt-4.1": scores}), task="sums", client=first)
        with first.inference.stream("gpt-4", "hi") as stream:
            answer = stream.result()
    with lab.Client(mock_mode=True, ledger=database) as second:
        known = lab.quality.table("sums", client=second)
        fast = second.inference.create("gpt-4o", "hi", latency_optimization=True, max_tokens=5)
        knocks = second.engine.ledger.receipts([answer.id])[0].attempts

        assert known.loc[known["task"] == "sums", ["model", "value"]].values.tolist() == [["gpt-4.1", 1.0]]
        assert fast.content is not None
        assert knocks[0].ttft_ms is not None
        assert lab.quality.forget("sums", client=second) == 1


def test_it_survives_a_restart_and_guides_the_next_question(tmp_path, frame):
    """Another client of the same ledger knows it; the plan says so."""
    with lab.Client(mock_mode=True, ledger=tmp_path / "l.db") as first:
        lab.quality.learn(results(frame, {"gpt-4o-mini": [1.0] * 9 + [0.0]}), task="sums", client=first)
    with lab.Client(mock_mode=True, ledger=tmp_path / "l.db") as second:
        options = {"cost_optimization": {"quality_threshold": 0.7}, "max_tokens": 20, "client": second}
        plain, known = (lab.plan("gpt-4.1", "hi", **options, task=task) for task in (None, "sums"))
        answer = second.inference.create(
            "gpt-4.1", "hi", cost_optimization={"quality_threshold": 0.7}, task="sums", max_tokens=20
        )

    assert plain.loc[plain["model"] == "gpt-4o-mini", "place"].item() is not pd.NA
    line = known[known["model"] == "gpt-4o-mini"].iloc[0]
    assert line["place"] is pd.NA
    assert line["reason"] == "the lower end of its quality at 'sums' (10 rows) is 0.596, below 0.7 (quality_threshold)"
    assert answer.model != "gpt-4o-mini"


def test_rows_that_another_model_answered_or_nobody_are_in_no_mean(client, frame):
    """After a fallback an answer is not this model's; a failure is counted."""
    made = results(frame, {"gpt-4.1": [1.0, 0.0, 1.0, None]})
    made["served_model"] = pd.array(["gpt-4.1-2025-04-14", "claude-haiku-4-5", "gpt-4.1", None], dtype="string")
    made.loc[3, ["response", "error_code"]] = [pd.NA, "timeout"]
    learned = lab.quality.learn(made, task="sums", client=client)
    line = learned[learned["used"] & (learned["model"] == "gpt-4.1")].iloc[0]

    assert (line["value"], line["n"], line["failed"]) == (1.0, 2, 1)


def test_the_last_measurement_stands_and_can_be_forgotten(client, frame):
    """By task, by model, or all."""
    for scores in ([0.0] * 5, [1.0] * 5):
        for task in ("sums", "prose"):
            lab.quality.learn(results(frame, {"gpt-4.1": scores, "gpt-4o": scores}), task=task, client=client)
    found = lab.quality.table(client=client).dropna(subset="task")

    assert found["value"].tolist() == [1.0] * 4
    assert lab.quality.forget("sums", "gpt-4.1", client=client) == 1
    assert lab.quality.forget(model="gpt-4o", client=client) == 2
    assert lab.quality.forget(client=client) == 1


def test_the_table_says_what_is_used_and_why(client, frame):
    """A measurement before what was stated before what was published; with source and date."""
    lab.quality.learn(results(frame, {"gpt-4.1": [1.0] * 5}), task="sums", client=client, source="my sums")
    lab.quality.set("gpt-4o", 0.5, source="a guess")
    table = lab.quality.table("sums", client=client)
    lab.quality.reset()
    shown = {
        (line.model, line.source): (line.used, line.why)
        for line in table[table["model"].isin(["gpt-4.1", "gpt-4o", "gpt-4"])].itertuples()
    }
    published = {model: lab.quality.lookup(model)[1] for model in ("gpt-4", "gpt-4o", "gpt-4.1")}

    assert shown == {
        ("gpt-4.1", "my sums"): (True, "measured: for task='sums' its lower end counts"),
        ("gpt-4.1", published["gpt-4.1"]): (False, "measured at 'sums': the measurement counts"),
        ("gpt-4o", "a guess"): (True, "stated with lab.quality.set: nothing was measured at 'sums'"),
        ("gpt-4o", published["gpt-4o"]): (False, "lab.quality.set states another"),
        ("gpt-4", published["gpt-4"]): (True, "published, a prior only: nothing was measured at 'sums'"),
    }


def test_simulated_answers_are_called_so(client, frame):
    """In the source that the table shows."""
    made = results(frame, {"gpt-4.1": [1.0] * 5}).assign(served_model="simulated/gpt-4.1")
    learned = lab.quality.learn(made, task="sums", client=client)

    assert learned.loc[learned["task"] == "sums", "source"].item() == "5 rows of your own (simulated answers)"


@pytest.mark.parametrize(
    ("scores", "options", "says"),
    [
        ([3.0, 4.0], {}, "lies between 0 and 1; score_exact does not"),
        ([None, None], {}, "No row has a score_exact|No score"),
        ([1.0], {"task": "  "}, "task"),
        ([1.0], {"task": "x" * 101}, "1 to 100 characters"),
        ([1.0], {"score": "taste"}, "No score 'taste'"),
    ],
)
def test_what_measures_nothing_says_why(client, frame, scores, options, says):
    """Nothing is written then."""
    with pytest.raises(errors.PRSMError, match=says):
        lab.quality.learn(results(frame, {"gpt-4.1": scores}), **{"task": "sums", "client": client, **options})

    assert lab.quality.table(client=client)["task"].isna().all()


def test_one_row_is_shown_and_not_used(client, frame):
    """A grade of one row has no interval, so no lower end."""
    learned = lab.quality.learn(results(frame, {"gpt-4.1": [0.7]}), task="sums", client=client)
    lines = learned[learned["model"] == "gpt-4.1"]

    assert lines["used"].tolist() == [True, False]
    assert lines["why"].tolist()[1] == "one row has no interval"
    assert math.isnan(lines["low"].astype(float).tolist()[1])


def test_an_older_ledger_gets_the_table_and_keeps_its_rows(tmp_path):
    """The migration; attempts of before have no time to the first piece."""
    path = tmp_path / "l.db"
    with sqlite3.connect(path) as file:
        file.create_function("unhex_", 1, bytes.fromhex, deterministic=True)
        for step in range(migrations.STEPS.index("grades.sql")):
            migrations._step(file, step)
        file.execute(
            "INSERT INTO inference (id, question, status, owner, requested_model, request, created) "
            "VALUES ('inf_1', x'00', 'failed', 'me', 'gpt-4', '{}', 1.0)"
        )
        file.execute(
            "INSERT INTO attempt (inference_id, n, provider, model, started) VALUES ('inf_1', 0, 'o', 'm', 1.0)"
        )
    with lab.Client(mock_mode=True, ledger=path) as client:
        (old,) = client.engine.ledger.receipts(["inf_1"])

        assert lab.quality.table(client=client)["task"].isna().all()
        assert (old.attempts[0].provider, old.attempts[0].ttft_ms, old.attempts[0].member) == ("o", None, None)


def test_the_task_is_part_of_what_is_asked_only_where_it_is_named():
    """Digests of before stay as they are."""
    from prsm_lab.ledger import fingerprint

    plain = Request(model="gpt-4", messages=())
    named = Request(model="gpt-4", messages=(), routing=Routing(task="sums"))

    assert fingerprint(plain, ()) != fingerprint(named, ())
