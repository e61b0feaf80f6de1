"""How fast places answer: measured, remembered, and tried again when that is long ago."""

from __future__ import annotations

import pytest

import prsm_lab as lab
from prsm_lab.engine import plan, speeds
from prsm_lab.ledger.usage import Speed, paces
from prsm_lab.types import Attempt, Request, Routing, Strategy

A, B = ("openai", "a"), ("openai", "b")


def knock(started: float, latency: float | None = 100.0, **more) -> Attempt:
    return Attempt(provider="openai", model="a", started=started, latency_ms=latency, **more)


def test_the_95th_percentile_counts_not_the_middle():
    """A place that is slow every tenth time is slow; live questions go by their first piece."""
    known = Speed(1.0, tuple([100.0] * 18 + [900.0] * 2), (5.0, 7.0))

    assert (known.figure(live=False), known.figure(live=True)) == (900.0, pytest.approx(6.9))
    assert Speed(1.0, (50.0,), ()).figure(live=True) == 50.0
    assert Speed(1.0, (), ()).figure(live=False) is None


def test_failures_say_when_a_place_was_asked_and_nothing_of_its_speed():
    """A fault that comes at once is no speed."""
    known = Speed(0.0, (), ()).then(knock(5.0, 1.0, error_code="timeout"), 3)
    assert known == Speed(5.0, (), ())
    for n in range(5):
        known = known.then(knock(10.0 + n, 100.0 + n, ttft_ms=float(n)), 3)

    assert known == Speed(14.0, (102.0, 103.0, 104.0), (2.0, 3.0, 4.0))


@pytest.mark.parametrize(
    ("last", "drawn", "explored"),
    [((0.0, 500.0), 0.01, A), ((500.0, 10.0), 0.01, B), ((0.0, 500.0), 0.06, None), ((990.0, 980.0), 0.01, None)],
)
def test_one_question_in_twenty_tries_the_place_that_was_not_asked_for_the_longest(last, drawn, explored):
    """At second 1,000, if that is more than ten minutes."""
    known = {A: Speed(last[0], (1.0,), ()), B: Speed(last[1], (1.0,), ())}

    assert speeds.stalest([A, B], known, 1000.0, drawn) == explored


def test_a_place_that_was_never_asked_is_the_oldest():
    """So a new model is tried at all."""
    assert speeds.stalest([A, B], {A: Speed(0.0, (1.0,), ())}, 1e9, 0.0) == B
    assert speeds.stalest([], {}, 1e9, 0.0) is None


def test_about_one_id_in_twenty_explores():
    """The same ids each time."""
    share = sum(speeds.draw(f"inf_{n}") < speeds.SHARE for n in range(4000)) / 4000

    assert share == pytest.approx(speeds.SHARE, abs=0.01)


ORIGINS = {"openai": "o"}


@pytest.mark.parametrize(("explore", "first"), [(None, "gpt-4.1-mini"), (("openai", "gpt-4o"), "gpt-4o")])
def test_the_explored_place_is_asked_first_and_the_fastest_next(explore, first):
    """If it fails, nothing is lost but time."""
    request = Request(
        model="gpt-4.1", messages=({"role": "user", "content": "hi"},),
        routing=Routing(latency_optimization=True, quality_threshold=0.8),
    )  # fmt: skip
    known = {("openai", "gpt-4.1-mini"): 90.0, ("openai", "gpt-4.1"): 400.0}
    facts = plan.Facts(lambda target: False, known, explore=explore)
    order = [target.name for target in plan.ordered(plan.candidates(request, ORIGINS), request, facts)]

    assert order[0] == first
    assert order.index("gpt-4.1-mini") < order.index("gpt-4.1")


def test_a_place_that_is_not_good_enough_is_not_explored():
    """A named fallback below the threshold stays behind."""
    request = Request(
        model="gpt-4.1", messages=({"role": "user", "content": "hi"},),
        routing=Routing(latency_optimization=True, quality_threshold=0.9, fallback=(Strategy(model="gpt-3.5-turbo"),)),
    )  # fmt: skip
    facts = plan.Facts(lambda target: False, {}, explore=("openai", "gpt-3.5-turbo"))
    order = [target.name for target in plan.ordered(plan.candidates(request, ORIGINS), request, facts)]

    assert order[0] == "gpt-4.1"


def test_the_ledger_remembers_speeds_and_first_pieces(tmp_path):
    """Another process knows them; this one knows its own answers at once."""
    path = tmp_path / "l.db"
    with lab.Client(mock_mode=True, ledger=path) as client:
        client.inference.create("gpt-4", "hi")
        with client.inference.stream("gpt-4", "ho") as stream:
            stream.result()
    with lab.Client(mock_mode=True, ledger=path) as other:
        known = paces(other.engine.ledger.connection, 0.0, 200)[("openai", "gpt-4")]
        speed = other.engine.choosing.speeds
        asked = other.inference.create("gpt-4o", "hi", latency_optimization=True, max_tokens=5)
        other.inference.create("gpt-4.1-mini", "hi")

    assert (len(known.latencies), len(known.firsts)) == (2, 1)
    assert asked.content is not None
    assert len(speed._known["openai", "gpt-4.1-mini"].latencies) == 1


def test_questions_that_explore_go_round_the_places_nobody_asked(monkeypatch):
    """Each time another one, all of them good enough; a question that does not explore goes to the fastest."""
    options = {"latency_optimization": True, "quality_threshold": 0.8, "max_tokens": 5}
    monkeypatch.setattr("prsm_lab.engine.speeds.draw", lambda _: 0.0)
    with lab.Client(mock_mode=True, ledger=":memory:") as client:
        explored = [client.inference.create("gpt-4o", f"{n}", **options).model for n in range(4)]
        monkeypatch.setattr("prsm_lab.engine.speeds.draw", lambda _: 0.9)
        known = client.engine.choosing.speeds._known
        fastest = min((place for place in known), key=lambda place: known[place].figure(live=False))
        settled = client.inference.create("gpt-4o", "x", **options)

    assert len(set(explored)) == 4
    assert all(lab.quality.get(model) >= 0.8 for model in explored)
    assert settled.attempts[0].model == fastest[1]
