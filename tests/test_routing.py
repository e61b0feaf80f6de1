"""Routers: which model is asked, what it all cost, and how a router is found, saved and read."""

from __future__ import annotations

import json
import math

import pandas as pd
import pytest

import prsm_lab as lab
from prsm_lab import ask, emulator, errors
from prsm_lab.engine import cascade, portal, routers, signals
from prsm_lab.engine.attempts import Answer
from prsm_lab.engine.routers import Rule
from prsm_lab.frames import routing
from prsm_lab.frames.router import Report
from prsm_lab.types import Reply, Request, Target, Usage

pytestmark = pytest.mark.filterwarnings("ignore:No price is known", "ignore:.*has a price but does not say")

CHEAP, STRONG = "gpt-4o-mini", "gpt-4.1"
SAID = {CHEAP: {"content": "four words of it"}, STRONG: {"content": "strong"}}
REPORT = Report(
    asked=0.95, confidence=0.9, rows=200, left_out=3, calibrated=100, held_out=60, needed=50, share=0.5, cheap=0.8,
    strong=0.9, kept=(0.97, 0.9, 1.0), saved=(0.4, 0.3, 0.5), curve={},
)  # fmt: skip


def rule(signal: str = "length", threshold: float | None = -5.0, **fields) -> Rule:
    kind = "predictive" if signal == "prompt" else "cascade"
    return Rule(kind=kind, cheap=CHEAP, strong=STRONG, signal=signal, threshold=threshold, **fields)


@pytest.fixture
def client():
    with lab.Client(mock_mode=True, ledger=":memory:", mock_responses=SAID) as made:
        yield made


def price(client, model: str, prompt: str = "hi") -> float:
    return client.inference.create(model, prompt).cost.amount


# ------------------------------------------------------------------------------------------ who is asked, and paid


@pytest.mark.parametrize(
    ("threshold", "answered", "paid"),
    [(-5.0, CHEAP, (CHEAP,)), (-3.0, STRONG, (CHEAP, STRONG)), (None, STRONG, (CHEAP, STRONG))],
)
def test_a_cascade_asks_the_strong_model_where_the_cheap_ones_answer_is_not_trusted(client, threshold, answered, paid):
    """One inference, with all attempts and the cost of both calls."""
    answer = client.inference.create(routers.register(rule(threshold=threshold)), "hi")

    assert (answer.model, [attempt.model for attempt in answer.attempts]) == (answered, list(paid))
    assert answer.cost.amount == pytest.approx(sum(price(client, model) for model in paid))
    assert answer.requested_model == rule(threshold=threshold).name


def test_what_a_cascade_saves_is_reckoned_against_the_strong_model_alone(client):
    """The wasted call of the cheap model is a loss, not hidden."""
    answer = client.inference.create(routers.register(rule(threshold=None)), "hi")

    assert answer.cost.savings == pytest.approx(-price(client, CHEAP))


def test_tokens_and_waiting_hold_both_calls(client):
    """The ledger's row is honest: the sum of what was used, and the first call was waiting."""
    both = client.inference.create(routers.register(rule(threshold=None)), "hi")
    cheap, strong = (client.inference.create(model, "hi") for model in (CHEAP, STRONG))
    report = client.inference.analytics("all")

    assert both.usage.total_tokens == cheap.usage.total_tokens + strong.usage.total_tokens
    assert both.queued_ms >= both.attempts[0].latency_ms
    assert report.total_cost == pytest.approx(2 * (cheap.cost.amount + strong.cost.amount))


@pytest.mark.parametrize(
    ("words", "trusted"), [(["Yes.", "yes", "no"], True), (["a", "b", "c"], False), (["yes", "", "yes"], True)]
)
def test_samples_that_agree_are_trusted_and_the_majoritys_answer_is_given(words, trusted):
    """All samples are paid for."""
    said = iter([*words, "strong"])
    with lab.Client(providers={"mine": lambda prompt: next(said)}, ledger=":memory:") as client:
        made = Rule(kind="cascade", cheap="mine/small", strong="mine/big", signal="agreement", samples=3, threshold=0.6)
        answer = client.inference.create(routers.register(made), "hi")

    assert answer.content == (words[0] if trusted else "strong")
    assert len(answer.attempts) == (3 if trusted else 4)


def test_a_scorer_that_raises_costs_a_call_not_the_row(client):
    """Its fault is no trust."""
    made = rule("scorer", 0.5, scorer="broken")
    answer = client.inference.create(routers.register(made, lambda row: 1 / 0), "hi")

    assert answer.content == "strong"


def test_a_scorer_sees_prompt_and_response(client):
    """And what it says is the signal."""
    seen = []
    client.inference.create(routers.register(rule("scorer", 0.5), lambda row: seen.append(row) or 1.0), "hi")

    assert seen == [{"prompt": "hi", "response": "four words of it"}]


def test_a_predictive_router_asks_one_model(client):
    """By the words of the prompt; the system's are the same for all."""
    hard = signals.features("hard")
    weights = tuple((place, -5.0) for place in hard if place != signals.BUCKETS)
    name = routers.register(rule("prompt", 0.5, weights=weights, bias=1.0))
    easy, hard = (client.inference.create(name, text) for text in ("easy", "hard"))

    assert [(one.model, len(one.attempts)) for one in (easy, hard)] == [(CHEAP, 1), (STRONG, 1)]


def test_a_cheap_model_that_fails_is_no_end():
    """The strong one answers; the failed attempt is written down."""
    with lab.Client(
        providers={"mine": lambda prompt, **given: "x", "bad": lambda p: 1 / 0}, ledger=":memory:"
    ) as client:
        made = Rule(kind="cascade", cheap="bad/small", strong="mine/big", signal="length", threshold=-5.0)
        found = client.inference.create(routers.register(made), "hi")

    assert (found.content, [attempt.error_code for attempt in found.attempts][-1]) == ("x", None)
    assert len(found.attempts) > 1


def test_a_strong_model_that_fails_after_the_cheap_one_was_paid_is_a_failure_with_its_cost():
    """What was paid is in the ledger, and the untrusted answer is not passed off."""
    prices = lab.prices
    prices.set("mine/small", input=1e6, output=1e6)
    with lab.Client(
        providers={"mine": lambda prompt: "x", "bad": lambda p: 1 / 0}, ledger=":memory:", max_retries=0
    ) as client:
        made = Rule(kind="cascade", cheap="mine/small", strong="bad/big", signal="length", threshold=None)
        with pytest.raises(errors.PRSMError) as caught:
            client.inference.create(routers.register(made), "hi")
        kept = client.inference.get(caught.value.inference_id)
    prices.reset()

    assert (kept.status, kept.inference.content, len(caught.value.attempts)) == ("failed", "x", 2)


async def test_the_strong_model_has_what_is_left_of_the_time():
    """One deadline for both."""
    asked = []

    async def ask(request, live):
        asked.append(request)
        target = Target(provider="p", model=request.model, name=request.model)
        yield Answer(Reply(text="x", finish_reason="stop"), target, (), 1.0, None, 0.0)

    known = routers.of(routers.register(rule(threshold=None)))
    request = Request(model="router", messages=(), timeout=10.0)
    async for _ in cascade.answers(known, request, ask, live=False):
        pass

    assert [one.model for one in asked] == [CHEAP, STRONG]
    assert asked[0].timeout == 10.0 > asked[1].timeout > 0


def test_a_streamed_cascade_shows_one_answer_only(client):
    """The cheap model's when it is trusted, else the strong one's; never both."""
    for threshold, shown in ((-5.0, "four words of it"), (None, "strong")):
        with client.inference.stream(routers.register(rule(threshold=threshold)), "hi") as stream:
            assert "".join(piece.content for piece in stream) == shown
            assert stream.result().content == shown


def test_a_router_answers_frames_like_a_model(client):
    """In `batch`, `compare` and `infer`; answers are reused, and are of this very rule."""
    one, other = (lab.Router(rule(threshold=at), REPORT) for at in (-5.0, None))
    data = pd.DataFrame({"q": ["a", "b"]})
    found = lab.compare(data, "{q}", models=[one, other, STRONG], client=client, progress=False)
    again = lab.batch(data, "{q}", model=one, client=client, progress=False)

    assert found["response"].tolist() == ["four words of it", "strong", "strong"] * 2
    assert found["attempts"].tolist() == [1, 2, 1] * 2
    assert again.attrs["prsm"]["totals"]["spent_usd"] == 0
    assert lab.infer("hi", model=one, client=client, progress=False)["model"].item() == str(one)
    assert lab.summarize(found)["other_model"].tolist() == [0, 0, 0]
    assert set(lab.load(found.attrs["prsm"]["run"], client=client)["model"]) == {str(one), str(other), STRONG}


def test_a_cap_holds_for_all_that_a_cascade_asks(client):
    """Each call's worst case is held before it is sent; a router's worst case is that of all its calls."""
    router = lab.Router(rule(threshold=None), REPORT)
    dear = lab.batch(["a"], "{text}", model=router, client=client, max_tokens=500, max_cost=0.004, progress=False)
    plan = lab.plan(router, "a", client=client, max_tokens=500)
    asked = ask.conversation(client.question(router, max_tokens=500), "a")

    assert dear["error_code"].tolist() == ["budget_exceeded"]
    assert plan["worst_cost"].max() > 0.004 - plan["worst_cost"].min()
    assert portal.call(client.engine.worst_case(asked)) >= plan["worst_cost"].sum()


@pytest.mark.parametrize(
    ("act", "says"),
    [
        (lambda c: c.inference.create("router/0123456789ab", "hi"), "No router 'router/0123456789ab' in this process"),
        (lambda c: routers.register(Rule(kind="cascade", cheap=CHEAP, strong="router/x", signal="length", threshold=0)), "not routers"),
        (lambda c: routers.register(rule("scorer", 0.5, scorer="mine")), "scorer 'mine', a function that no file holds"),
        (lambda c: routers.register(Rule(kind="predictive", cheap=CHEAP, strong=STRONG, signal="length", threshold=0)), "This is no rule"),
        (lambda c: routers.register(rule("agreement", 0.5)), "This is no rule"),
    ],
)  # fmt: skip
def test_what_is_no_router_says_why(client, act, says):
    """Before anything is sent."""
    with pytest.raises(errors.PRSMError, match=says):
        act(client)


def test_a_providers_batch_cannot_look_at_the_cheap_answer_first(client):
    """Nothing is sent; a predictive router can go there (tests/test_provider_batch.py)."""
    router = lab.Router(rule(), REPORT)
    found = lab.batch(["a"], "{text}", model=router, mode="provider_batch", client=client, progress=False)

    assert "a cascade looks at the cheap one's answer first" in found["error"].item()


def test_a_batchs_strategy_finds_the_comparable_models_of_the_strong_one(client):
    """A router has none itself."""
    from prsm_lab.engine import strategies

    request = Request(model=routers.register(rule()), messages=())
    made = strategies.applied(request, "best_available", (), lambda model: True)

    assert [step.provider for step in made.routing.fallback] == ["anthropic", "huggingface"]


# ------------------------------------------------------------------------------------------------- its signals


@pytest.mark.parametrize(
    ("texts", "share", "first"),
    [(["A b", "a  B.", "c"], 2 / 3, 0), (["c", "a", "a"], 2 / 3, 1), ([None, "a"], 0.5, 1), ([None, None], 0.0, 0)],
)
def test_agreement_is_the_share_of_the_most_frequent_answer(texts, share, first):
    """Case, marks and blanks apart."""
    assert signals.agreement(texts) == (share, first)


def test_a_prompt_is_what_is_asked_without_the_systems_words():
    """The same for all questions, they tell nothing; parts of text count, images do not."""
    chat = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "What is"}, {"type": "image_url", "image_url": {}}]},
        {"role": "assistant", "content": None},
        {"role": "user", "content": "this?"},
    ]

    assert signals.prompt_text(chat).split() == ["What", "is", "this?"]


@pytest.mark.parametrize("logprobs", [None, {}, {"content": None}, {"content": []}, {"content": [{"token": "x"}]}, "x"])
def test_an_answer_without_log_probabilities_has_no_sureness(logprobs):
    """What a provider sends is not trusted to have a shape."""
    assert math.isnan(signals.sureness(logprobs))


def test_an_unknown_signal_never_serves():
    """NaN, and nothing below the threshold; at it, yes."""
    assert [rule(threshold=0.5).serves(figure) for figure in (math.nan, 0.49, 0.5)] == [False, False, True]
    assert not rule(threshold=None).serves(1e9)
    assert rule(threshold=0.666666667).serves(2 / 3), "a file has fewer digits"


# --------------------------------------------------------------------------------- calibrated on one's own rows


class Adder:
    """A window to a model of sums: on hard ones the small model is wrong, talks, and is not sure."""

    origin = "here"

    def __init__(self, name: str, *, knows_hard: bool) -> None:
        self.name, self.knows_hard, self.calls = name, knows_hard, 0

    async def ready(self) -> None: ...

    async def send(self, request, target, *, live):
        self.calls += 1
        words = request.messages[-1]["content"].split()
        a, b = int(words[-3]), int(words[-1])
        sure = self.knows_hard or "easy" in words
        text = str(a + b) if sure else f"well it may be {a + b + 1 + request.sample}"
        tokens = {"content": [{"token": "x", "logprob": -0.01 if sure else -2.0}]}
        yield Reply(
            text=text, finish_reason="stop", served_model=target.model,
            usage=Usage(prompt_tokens=100, completion_tokens=10),
            logprobs=tokens if (request.options.extra or {}).get("logprobs") else None,
        )  # fmt: skip

    async def aclose(self) -> None: ...


SUMS = pd.DataFrame({
    "q": [f"A sum that is {'hard' if n % 5 < 2 else 'easy'} : {n} + {n % 7}" for n in range(500)],
    "answer": [n + n % 7 for n in range(500)],
})  # fmt: skip


@pytest.fixture(scope="module")
def adders():
    """Two models at a hundredth of each other's price, of which the small one can do three fifths of the sums."""
    small, big = Adder("small", knows_hard=False), Adder("big", knows_hard=True)
    lab.prices.set("small/m", input=0.1, output=0.4)
    lab.prices.set("big/m", input=10.0, output=40.0)
    with lab.Client(providers={"small": small, "big": big}, ledger=":memory:") as client:
        yield client, small, big
    lab.prices.reset()


def found(adders, data=SUMS, **options):
    given = {"cheap": "small/m", "strong": "big/m", "score": "numeric", "progress": False, **options}
    return lab.route(data, "{q}", client=adders[0], **given)


@pytest.fixture(scope="module")
def made(adders):
    """A predictive router."""
    return found(adders)


@pytest.mark.parametrize("signal", ["prompt", "logprob", "length", "agreement", lambda row: -len(row["response"])])
def test_every_signal_that_tells_hard_from_easy_keeps_all_quality_at_less_cost(adders, signal):
    """Three fifths go to the cheap model; each prediction is right, each call of a cascade is counted."""
    router = found(adders, signal=signal, samples=3)
    calls = {"prompt": 0.01 * router.report.share, "agreement": 0.03}.get(signal, 0.01)

    assert router.quality.mean == 1.0 if signal != "prompt" else router.quality.mean > 0.95
    assert router.report.share == pytest.approx(0.6, abs=0.12)
    assert router.saving.mean == pytest.approx(router.report.share - calls)
    assert router.saving.low <= router.saving.mean <= router.saving.high

    rows = pd.DataFrame({"q": ["A sum that is easy : 700 + 1", "A sum that is hard : 700 + 1"]})
    answers = lab.batch(rows, "{q}", model=router, client=adders[0], progress=False)
    assert answers["provider"].tolist() == ["small", "big"]
    assert answers["response"].tolist() == ["701", "701"]


def test_the_same_call_asks_nothing_anew(adders, made):
    """Answers are the run's own; an interrupted calibration resumes."""
    before = adders[1].calls, adders[2].calls

    assert found(adders) == made
    assert (adders[1].calls, adders[2].calls) == before


def test_too_few_rows_prove_nothing_and_say_how_many_it_takes(adders):
    """Everything goes to the strong model."""
    router = found(adders, SUMS.head(100))

    assert (router.rule.threshold, router.report.share, router.saving.mean) == (None, 0.0, 0.0)
    assert router.quality.mean == 1.0
    assert f"it takes at least {router.report.needed}" in repr(router)
    assert lab.infer("easy : 7 + 1", model=router, client=adders[0], progress=False)["provider"].item() == "big"


def test_rows_that_ask_the_same_are_one_and_rows_without_an_answer_of_the_strong_model_are_none(adders):
    """Both would make the proof stronger than the rows are."""
    doubled = pd.concat([SUMS.head(60), SUMS.head(60), pd.DataFrame({"q": [None], "answer": [1]})], ignore_index=True)

    report = found(adders, doubled, signal="length").report

    assert (report.rows, report.left_out) == (60, 61)


def test_a_cheap_model_that_fails_counts_as_wrong(adders):
    """It would have to be asked again of the strong one."""
    client = adders[0]
    frame = pd.DataFrame({"q": ["A sum that is easy : 1 + 1", "A sum that is easy : x + 2"], "answer": [2, 2]})
    cheap = lab.batch(frame, "{q}", model="small/m", client=client, progress=False)
    strong = cheap.assign(response="2", error_code=pd.NA, error=pd.NA, cost=0.5)
    asked = routing._Asked(cheap, strong, ["a", "b"], [], simulated=False)
    rows = routing._labelled(asked, routing._How("length", 1, None), "numeric", "answer").rows

    assert (rows.cheap.tolist(), rows.strong.tolist()) == ([1.0, 0.0], [1.0, 1.0])
    assert math.isnan(rows.signal[1])
    assert rows.cheap_cost[1] == 0.0


def test_one_cap_holds_for_both_models(adders):
    """What it cannot pay is not asked: the cheap model's answers leave money for two of the strong one's."""
    before = adders[2].calls
    with pytest.raises(errors.InvalidRequestError, match=r"Only .* rows have a score of both models"):
        found(adders, SUMS.assign(q=SUMS["q"] + " "), max_cost=0.01, max_tokens=20, fresh=True)

    assert 1 <= adders[2].calls - before <= 3


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"signal": "mood"}, "signal='mood' is none of prompt"),
        ({"signal": "agreement", "samples": 1}, "at least 2 answers"),
        ({"quality": 2}, "quality=2 is no share"),
        ({"confidence": 0}, "confidence=0 does not lie"),
        ({"score": lambda row: 3}, "scores between 0 and 1"),
        ({"score": lambda row: {"a": 1, "b": 0}}, "needs one score"),
        ({"on_error": "raise"}, "does not go with route"),
        ({"strong": ["a", "b"]}, "one name each"),
    ],
)
def test_what_cannot_be_routed_says_why(adders, options, says):
    """Naming the parameter."""
    with pytest.raises(errors.InvalidRequestError, match=says):
        found(adders, SUMS.head(60), **options)


def test_a_model_without_log_probabilities_cannot_be_trusted_by_them(client):
    """Said, instead of a router that never saves."""
    data = [{"q": f"{n}?", "answer": "strong"} for n in range(60)]
    with pytest.raises(errors.InvalidRequestError, match="gives no log probabilities"):
        lab.route(
            data, "{q}", cheap=CHEAP, strong=STRONG, score="exact", signal="logprob", client=client, progress=False
        )


# ----------------------------------------------------------------------------------------------- saved and read


def test_a_saved_router_is_the_same_router_in_another_process(adders, made, tmp_path, monkeypatch):
    """JSON, with all that is known of it."""
    router = made
    path = router.save(tmp_path / "router.json")
    monkeypatch.setattr(routers, "_known", {})
    read = lab.load_router(path)

    assert (read, read.rule, read.quality, read.saving) == (router, router.rule, router.quality, router.saving)
    assert read.curve.equals(router.curve)
    assert (
        lab.infer("A sum that is easy : 5 + 5", model=read, client=adders[0], progress=False)["response"].item() == "10"
    )


def altered(text: str) -> str:
    whole = json.loads(text)
    whole["rule"]["threshold"] = 0.0
    return json.dumps(whole)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (altered, "was altered"),
        (lambda text: text[:50], "holds no router"),
        (lambda text: text.replace("router 1", "router 2"), "holds no router"),
        (lambda text: text.replace('"format"', '"code": "import os", "format"'), "holds no router"),
        (lambda text: "", "holds no router"),
    ],
)
def test_a_file_that_is_no_router_is_refused(tmp_path, change, says):
    """A file from somebody else is data, and is checked."""
    path = lab.Router(rule(), REPORT).save(tmp_path / "router.json")
    path.write_text(change(path.read_text()))
    with pytest.raises(errors.InvalidRequestError, match=says):
        lab.load_router(path)


def test_a_router_with_a_scorer_is_read_with_its_scorer_only(tmp_path):
    """No file holds a function."""
    path = lab.Router(rule("scorer", 0.5, scorer="mine"), REPORT, len).save(tmp_path / "router.json")
    with pytest.raises(errors.InvalidRequestError, match="pass it as scorer="):
        lab.load_router(path)

    assert lab.load_router(path, scorer=len).rule.scorer == "mine"


def test_a_router_shows_what_it_does(made):
    """In words, as a table, and as a figure against a coin and an oracle."""
    router = made
    figure = router.plot()
    names = [trace.name for trace in figure.data]
    mark = figure.data[names.index("its threshold")]

    assert "to the cheap model" in router._repr_html_()
    assert f"{router.report.share:.0%} go to small/m" in repr(router)
    assert names == ["knowing both answers", "this router", "a coin", "its threshold"]
    assert mark.y[0] == pytest.approx(router.report.strong * router.quality.mean, abs=0.02)


def test_through_real_sockets_a_router_asks_one_emulated_model_or_two():
    """The SDKs, the wire, log probabilities asked for only where they are the signal."""
    data = [{"q": f"What is {n} times 3?", "answer": 3 * n} for n in range(80)]
    with (
        emulator.start(references={row["q"]: row["answer"] for row in data}) as running,
        lab.Client(providers=running.providers(), ledger=":memory:") as client,
    ):
        router = lab.route(
            data, "{q}", cheap=CHEAP, strong=STRONG, score="numeric", signal="logprob", quality=0.7, client=client,
            progress=False, max_tokens=60,
        )  # fmt: skip
        answer = client.inference.create(routers.register(rule("logprob", 2.0)), "What is 4 times 3?")
        bodies = [entry.body for entry in running.log.entries[-2:]]

    assert router.report.simulated
    assert router.saving.mean == pytest.approx(0.9, abs=0.1) or router.rule.threshold is None
    assert [attempt.model for attempt in answer.attempts] == [CHEAP, STRONG]
    assert [body.get("logprobs") for body in bodies] == [True, None]
