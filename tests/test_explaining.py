"""`lab.plan`: who would be asked, at what price, and why others would not; and that what it says is what happens."""

from __future__ import annotations

import pandas as pd
import pytest

import prsm_lab as lab
from prsm_lab import catalog, emulator, errors
from prsm_lab.catalog import prices

pytestmark = pytest.mark.filterwarnings("ignore:No price is known")
CHEAP = {"cost_optimization": {"enabled": True, "quality_threshold": 0.8}, "max_tokens": 100}


@pytest.fixture(scope="module")
def emu():
    with emulator.start(references={"hi": "ho"}) as running:
        yield running


@pytest.fixture
def client(emu):
    emu.clear()
    with lab.Client(providers=emu.providers(), ledger=":memory:", max_retries=0) as made:
        yield made


def reasons(found: pd.DataFrame) -> dict[str, str]:
    return dict(zip(found["model"], found["reason"], strict=True))


def test_nothing_is_called(client, emu):
    """No request, no row in the ledger."""
    lab.plan("gpt-4.1", "hi", client=client, **CHEAP)

    assert len(emu.log.arrivals()) == 0
    assert client.inference.analytics("all").total_requests == 0


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"fallback_providers": ["anthropic", "huggingface"]},
        {"cost_optimization": True},
        {"cost_optimization": {"enabled": True, "max_cost": 0.10, "prefer_cheaper": True, "quality_threshold": 0.8}},
        {"cost_optimization": {"enabled": True, "prefer_cheaper": False}},
        {"cost_optimization": {"enabled": False, "quality_threshold": 0.8}},
        {"latency_optimization": True, "quality_threshold": 0.85},
        {"fallback_config": {"strategies": [{"provider": "openai", "timeout": 5000}, {"provider": "anthropic", "timeout": 10000},
                                            {"provider": "huggingface", "model": "mixtral"}],
                             "retry_attempts": 0, "backoff_multiplier": 2.0}},
    ],
)  # fmt: skip
def test_whom_it_names_are_asked_in_its_order(client, emu, options, monkeypatch):
    """Every form of the seed: all providers are down, so that every target is knocked at."""
    monkeypatch.setattr("prsm_lab.engine.speeds.draw", lambda _: 0.5)
    emu.add(emulator.Rule("503"))
    options = {**options, "max_tokens": 100}
    planned = lab.plan("gpt-3.5-turbo", "hi", client=client, **options).dropna(subset="place")
    with pytest.raises(errors.ProviderError) as caught:
        client.inference.create("gpt-3.5-turbo", "hi", **options)

    ids = {model.name: model.id for model in catalog.all_models()}
    assert [attempt.model for attempt in caught.value.attempts] == [ids[name] for name in planned["model"]]
    assert planned["place"].tolist() == list(range(1, len(planned) + 1))


def test_the_seeds_cost_optimisation_answers_cheaper_and_good_enough(client):
    """`savings` is the difference to the requested model's list price."""
    answer = client.inference.create(
        "gpt-4.1", "hi",
        cost_optimization={"enabled": True, "max_cost": 0.10, "prefer_cheaper": True, "quality_threshold": 0.8},
    )  # fmt: skip

    assert lab.quality.get(answer.model) >= 0.8
    assert answer.cost.savings > 0


def test_a_strategys_timeout_is_in_milliseconds_and_the_next_one_answers(client, emu):
    """The first target hangs; after 150 ms the second is asked."""
    emu.add(emulator.Rule("hang", model="gpt-*"))
    strategies = [{"provider": "openai", "timeout": 150}, {"provider": "anthropic", "timeout": 10000}]
    answer = client.inference.create("gpt-4.1", "hi", fallback_config={"strategies": strategies})
    planned = lab.plan("gpt-4.1", "hi", client=client, fallback_config={"strategies": strategies})

    assert (answer.provider, [one.error_code for one in answer.attempts]) == ("anthropic", ["timeout", None])
    assert 140 <= answer.attempts[0].latency_ms < 5000
    assert planned["timeout_ms"].tolist() == [150.0, 10000.0]


def test_retries_and_their_growth_are_those_of_the_call(client, emu, monkeypatch):
    """`retry_attempts` after the first attempt; waits grow by `backoff_multiplier`."""
    waits: list[float] = []

    async def nap(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr("prsm_lab.engine.seats.nap", nap)
    monkeypatch.setattr("prsm_lab.engine.attempts.random.random", lambda: 1.0)
    emu.add(emulator.Rule("503", times=3))
    answer = client.inference.create(
        "gpt-4.1", "hi", fallback_config={"retry_attempts": 3, "backoff_multiplier": 3.0}, timeout=60
    )

    assert (len(answer.attempts), waits) == (4, [0.5, 1.5, 4.5])


def test_a_batchs_strategy_is_for_questions_that_say_nothing_of_their_own(client, emu):
    """OpenAI is down: `best_available` answers elsewhere, a question of its own mind does not, and `none` fails."""
    emu.add(emulator.Rule("503", model="gpt-*"))
    asked = [
        {"model": "gpt-4.1", "messages": "hi", "max_tokens": 20},
        {"model": "gpt-4.1", "messages": "ho", "max_tokens": 20, "fallback_providers": ["huggingface"]},
    ]
    best, none = (client.inference.batch(asked, fallback_strategy=name) for name in ("best_available", "none"))
    emu.clear()
    mine = {**asked[0], "quality_threshold": 0.8}
    mixed = [mine, {**mine, "cost_optimization": False}]
    cheap = client.inference.batch(mixed, fallback_strategy="cheapest")

    assert [item.inference.provider for item in best] == ["anthropic", "huggingface"]
    assert [item.error is None for item in none] == [False, True]
    assert (cheap[0].inference.cost.savings > 0, cheap[1].inference.model) == (True, "gpt-4.1")
    with pytest.raises(errors.InvalidRequestError, match="one of best_available, cheapest, fastest, none"):
        client.inference.batch(asked, fallback_strategy="best")


# ------------------------------------------------------------------------------------------------- what it says


def test_every_model_that_is_left_out_has_its_reason(client):
    """Each of the catalogue's, once."""
    found = lab.plan("gpt-4.1", "hi", client=client, **CHEAP)
    said = reasons(found)

    assert found["reason"].notna().all()
    assert not found.duplicated(["provider", "model"]).any()
    assert said["gpt-4.1"] == "requested"
    assert said["mistralai/Mixtral-8x7B-Instruct-v0.1"] == "its quality is 0.706, below 0.8 (quality_threshold)"
    assert "nothing is known of its quality" in said["gpt-5-nano"]
    assert "retired" in said["claude-3-sonnet"]
    assert "3 cheaper ones come before it" in " ".join(said.values())
    assert found.loc[found["role"] == "peer", "reason"].str.contains("good enough").all()


@pytest.mark.parametrize(
    ("options", "model", "says"),
    [
        ({"cost_optimization": {"max_cost": 0.0001}}, "gpt-4.1", "its worst case may pass max_cost, $0.0001"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}], "cost_optimization": {"quality_threshold": 0.0}},
         "microsoft/DialoGPT-large", "nothing is known of its quality"),
        ({"cost_optimization": {"quality_threshold": 0.6}}, "mistralai/Mixtral-8x7B-Instruct-v0.1", "its price is not known"),
    ],
)  # fmt: skip
def test_the_reason_names_what_keeps_a_model_out(client, options, model, says):
    """Price, quality, capability."""
    found = lab.plan("gpt-4.1", "hi", client=client, max_tokens=1000, **options)
    line = found[found["model"] == model].iloc[0]

    assert line["place"] is pd.NA
    assert says in line["reason"]


def test_it_says_when_nothing_says_what_is_good_enough(client):
    """A requested model of unknown quality, and no threshold."""
    found = lab.plan("gpt-5-nano", "hi", client=client, cost_optimization=True, max_tokens=10)

    assert found["place"].notna().sum() == 1
    assert found["reason"].iloc[1].startswith("nothing says what is good enough: gpt-5-nano has no known quality")


def test_a_tripped_route_is_named_last(client, emu):
    """With why."""
    emu.add(emulator.Rule("503", model="gpt-*"))
    for _ in range(5):
        with pytest.raises(errors.ProviderError):
            client.inference.create("gpt-4.1", "hi")
    found = lab.plan("gpt-4.1", "hi", client=client, fallback_providers=["anthropic"])

    assert found["provider"].tolist() == ["anthropic", "openai"]
    assert "failed again and again" in found["reason"].iloc[1]


def test_prices_are_those_of_the_plan_and_unknown_ones_are_na(client):
    """Worst: a token a byte, and all of `max_tokens`."""
    found = lab.plan(
        "gpt-4.1", "hi", client=client, max_tokens=1000, fallback_config={"strategies": [{"model": "mixtral"}]}
    )
    line = prices.line("gpt-4.1")

    assert found["expected_cost"].iloc[0] == pytest.approx(prices.worst_case(5, 500, line))
    assert found["worst_cost"].iloc[0] >= prices.worst_case(2, 1000, line)
    assert found["expected_cost"].isna().tolist() == [False, True]


def test_a_router_is_explained_too(client):
    """Which model its rule chooses, or asks first."""
    from prsm_lab.engine.routers import Rule, register

    models = {"cheap": "gpt-4o-mini", "strong": "gpt-4.1"}
    by_prompt = register(Rule(kind="predictive", signal="prompt", threshold=0.5, bias=-1.0, **models))
    by_answer = register(Rule(kind="cascade", signal="length", threshold=-5.0, **models))
    first, second = (lab.plan(name, "hi", client=client, max_tokens=20) for name in (by_prompt, by_answer))

    assert first[["place", "model"]].fillna(0).values.tolist() == [[1, "gpt-4.1"], [0, "gpt-4o-mini"]]
    assert second[["place", "model"]].values.tolist() == [[1, "gpt-4o-mini"], [2, "gpt-4.1"]]
    assert first["reason"].tolist()[0] == "the router foretells 0.269, below 0.5"


def test_a_request_is_planned_whole(client):
    """As a client builds it."""
    from prsm_lab import ask

    asked = ask.conversation(client.question("gpt-4.1", max_tokens=10), "hi")

    assert lab.plan(asked, client=client).equals(lab.plan("gpt-4.1", "hi", client=client, max_tokens=10))


@pytest.mark.parametrize(
    ("model", "options", "says"),
    [("gpt4", {}, "Did you mean"), ("gpt-4", {"provider": "acme"}, "Unknown provider"), ("gpt-4", {"tempo": 1}, "Unknown option")],
)  # fmt: skip
def test_what_cannot_be_planned_says_why(client, model, options, says):
    """As `create` would."""
    with pytest.raises(errors.PRSMError, match=says):
        lab.plan(model, "hi", client=client, **options)


def test_a_share_servers_client_cannot_look_into_its_plans():
    """Nor measure qualities there, nor use a router of this process."""
    with lab.Client(api_key="k", base_url="http://127.0.0.1:9") as remote:
        acts = (
            lambda: lab.plan("gpt-4", "hi", client=remote),
            lambda: lab.quality.table(client=remote),
            lambda: lab.route(["a"], "{text}", cheap="gpt-4o", strong="gpt-4", score="exact", client=remote),
        )
        for act in acts:
            with pytest.raises(errors.InvalidRequestError, match="share server"):
                act()
