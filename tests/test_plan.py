"""Who may answer, in which order: pure, so tested on values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prsm_lab import catalog
from prsm_lab.engine import plan
from prsm_lab.errors import BudgetExceededError, InvalidRequestError, NotFoundError, PRSMError
from prsm_lab.types import Model, Options, Request, Routing, Strategy

ORIGINS = {"openai": "o", "anthropic": "a", "huggingface": "h", "local": "l", "mine": "m"}
QUIET = plan.Facts(is_open=lambda target: False, latency_ms={})


def ask(model: str, **routing: object) -> Request:
    options = routing.pop("options", Options())
    return Request(
        model=model, messages=({"role": "user", "content": "hi"},), options=options, routing=Routing(**routing)
    )


def names(request: Request) -> list[tuple[str, str]]:
    return [(target.provider, target.name) for target in plan.candidates(request, ORIGINS)]


def ordered(request: Request, facts: plan.Facts = QUIET) -> list[tuple[str, str]]:
    return [(t.provider, t.name) for t in plan.ordered(plan.candidates(request, ORIGINS), request, facts)]


def test_the_models_name_says_its_provider():
    """Names, aliases, prefixes, servers of one's own."""
    assert names(ask("gpt-4")) == [("openai", "gpt-4")]
    assert names(ask("mixtral")) == [("huggingface", "mistralai/Mixtral-8x7B-Instruct-v0.1")]
    assert names(ask("anthropic/claude-3-opus")) == [("anthropic", "claude-3-opus")]
    assert names(ask("mine/llama")) == [("mine", "mine/llama")]
    assert names(ask("llama", provider="mine")) == [("mine", "mine/llama")]


def test_a_named_provider_gets_its_comparable_model():
    """`provider=` wins over the name."""
    assert names(ask("gpt-3.5-turbo", provider="anthropic")) == [("anthropic", "claude-haiku-4-5")]


@pytest.fixture
def own_server():
    """An open model that the user serves as well."""
    model = Model(name="mine/llama", provider="mine", id="meta-llama/Llama-3.1-8B-Instruct")
    catalog.register(model)
    yield
    catalog._registered.clear()
    catalog._book.cache_clear()
    catalog._find.cache_clear()


@pytest.mark.parametrize(
    ("model", "routing", "asked"),
    [
        ("llama-3.1-8b", {"primary": "mine"}, "mine"),
        ("llama-3.1-8b", {"primary": "mine", "provider": "huggingface"}, "huggingface"),
        ("mine/llama", {"primary": "huggingface"}, "mine"),
        ("gpt-4.1", {"primary": "mine"}, "openai"),
        ("gpt-4.1", {"primary": "huggingface"}, "openai"),
        ("gpt-4.1", {"primary": "nobody"}, "openai"),
    ],
)
def test_the_primary_provider_is_asked_where_it_offers_the_very_model(own_server, model, routing, asked):
    """Never a merely comparable model, and never against what the call itself says."""
    assert names(ask(model, **routing))[0][0] == asked


def test_a_strategy_for_the_first_target_only_sets_its_time_limit():
    """The seed lists the requested provider as the first strategy."""
    request = ask(
        "gpt-4", fallback=(Strategy(provider="openai", timeout=5.0), Strategy(provider="anthropic", timeout=10.0))
    )
    targets = plan.candidates(request, ORIGINS)

    assert [(t.provider, t.timeout) for t in targets] == [("openai", 5.0), ("anthropic", 10.0)]


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        (ask("gpt-4", provider="acme"), "Unknown provider 'acme'"),
        (ask("gpt-4", fallback=(Strategy(provider="acme"),)), "Unknown provider 'acme'"),
        (
            ask(
                "gpt-4",
                fallback=(Strategy(model="microsoft/DialoGPT-large"),),
                options=Options(tools=({"type": "function"},)),
            ),
            "cannot take tools",
        ),
    ],
)
def test_what_cannot_be_planned_says_why(request_, says):
    """Before anything is sent."""
    with pytest.raises(InvalidRequestError, match=says):
        plan.candidates(request_, ORIGINS)


def test_an_unknown_model_names_the_nearest():
    """And how to connect one's own."""
    with pytest.raises(NotFoundError, match=r"Did you mean gpt-4.*Client\(providers="):
        plan.candidates(ask("gpt4"), ORIGINS)


def test_a_tripped_route_is_asked_last_but_is_not_removed():
    """The last way must still be tried."""
    request = ask("gpt-4", fallback=(Strategy(provider="anthropic"),))
    targets = plan.candidates(request, ORIGINS)
    ordered = plan.ordered(targets, request, plan.Facts(lambda t: t.provider == "openai", {}))

    assert [t.provider for t in ordered] == ["anthropic", "openai"]


def test_latency_orders_known_routes_before_unknown_ones():
    """Fastest first."""
    request = ask("gpt-4.1", latency_optimization=True, quality_threshold=0.8)
    targets = plan.candidates(request, ORIGINS)
    ordered = plan.ordered(
        targets, request, plan.Facts(lambda t: False, {("openai", "gpt-4.1-mini"): 90.0, ("openai", "gpt-4.1"): 400.0})
    )

    assert [t.name for t in ordered[:2]] == ["gpt-4.1-mini", "gpt-4.1"]


@pytest.mark.parametrize("optimised", ["cost_optimization", "latency_optimization"])
def test_optimisation_keeps_every_fallback_that_was_named(optimised):
    """The seed asks for both at once: when the cheap peers' provider is down, somebody else must answer."""
    steps = (Strategy(provider="anthropic"), Strategy(provider="huggingface", model="mixtral"))
    request = ask("gpt-4.1", fallback=steps, quality_threshold=0.8, **{optimised: True})
    order = ordered(request)

    assert {
        ("openai", "gpt-4.1"),
        ("anthropic", "claude-sonnet-4-6"),
        ("huggingface", "mistralai/Mixtral-8x7B-Instruct-v0.1"),
    } <= set(order)


def test_a_fallback_below_the_threshold_is_asked_after_the_requested_model_however_cheap():
    """A cheap weak model that was named for emergencies is not an optimisation."""
    request = ask("gpt-4.1", fallback=(Strategy(model="gpt-5-nano"),), cost_optimization=True, quality_threshold=0.9)
    order = [name for _, name in ordered(request)]

    assert plan.expected_cost(plan.candidates(request, ORIGINS)[1], request) < 0.001
    assert order.index("gpt-4.1") < order.index("gpt-5-nano")


def test_peers_that_were_never_measured_do_not_push_named_fallbacks_back():
    """Under latency optimisation an unknown figure says nothing."""
    request = ask("gpt-4.1", fallback=(Strategy(provider="anthropic"),), latency_optimization=True)

    assert [provider for provider, _ in ordered(request)][:2] == ["openai", "anthropic"]


def test_cost_optimisation_sorts_by_the_price_of_this_very_request():
    """Cheapest first, at most three peers before the requested model, which stays."""
    request = ask("gpt-4", cost_optimization=True, quality_threshold=0.8)
    targets = plan.ordered(plan.candidates(request, ORIGINS), request, QUIET)
    costs = [plan.expected_cost(target, request) for target in targets]

    assert costs == sorted(costs)
    assert [t.peer for t in targets] == [True] * plan.MOST_CHEAPER + [False]


def test_a_cost_cap_leaves_out_what_is_dearer_or_unpriced():
    """And says so when nothing is left."""
    capped = ask("gpt-4", options=Options(max_tokens=1000), max_cost=0.002, cost_optimization=True)
    with pytest.raises(BudgetExceededError, match="worst case"):
        ordered(ask("gpt-4", options=Options(max_tokens=1000), max_cost=0.001))

    assert len(ordered(capped)) > 0
    assert "gpt-4" not in [name for _, name in ordered(capped)]


def test_a_retired_model_is_never_a_peer():
    """It would cost a failed attempt each time."""
    request = ask("gpt-4", cost_optimization=True)

    assert not any(catalog.is_retired(catalog.find(t.name)) for t in plan.candidates(request, ORIGINS) if t.peer)


MODELS = st.sampled_from([model.name for model in catalog.all_models()])
STEPS = st.lists(
    st.builds(
        Strategy, provider=st.sampled_from(["openai", "anthropic", "huggingface", "mine"]), model=st.none() | MODELS
    ),
    max_size=4,
)


@given(MODELS, STEPS, st.booleans(), st.booleans(), st.none() | st.floats(0, 1))
def test_whatever_is_asked_the_requested_model_is_first_and_nobody_is_asked_twice(model, steps, cheap, fast, floor):
    """Or one of our errors says what is wrong; a plan is never empty, and ordering neither adds nor doubles."""
    request = ask(
        model, fallback=tuple(steps), cost_optimization=cheap, latency_optimization=fast, quality_threshold=floor
    )
    try:
        targets = plan.candidates(request, ORIGINS)
    except PRSMError:
        return
    ordered = plan.ordered(targets, request, QUIET)
    places = [(t.provider, t.model) for t in ordered]

    assert targets[0].name == model
    assert len(set(places)) == len(places) > 0
    assert set(places) <= {(t.provider, t.model) for t in targets}
    assert any(t.name == model for t in ordered)


LATENCIES = st.dictionaries(st.tuples(st.sampled_from(sorted(ORIGINS)), MODELS), st.floats(1, 1e5), max_size=6)


@given(MODELS, STEPS, st.booleans(), st.booleans(), st.none() | st.floats(0, 1), LATENCIES, st.data())
def test_a_tripped_breaker_moves_its_route_to_the_end_and_nothing_else(model, steps, cheap, fast, floor, known, data):
    """The order is that of a quiet moment with the open routes taken to the back, each part in its old order."""
    request = ask(
        model, fallback=tuple(steps), cost_optimization=cheap, latency_optimization=fast, quality_threshold=floor
    )
    try:
        targets = plan.candidates(request, ORIGINS)
    except PRSMError:
        return
    quiet = plan.ordered(targets, request, plan.Facts(lambda target: False, known))
    tripped = data.draw(st.sets(st.sampled_from(targets)))
    ordered = plan.ordered(targets, request, plan.Facts(tripped.__contains__, known))

    assert ordered == (*(t for t in quiet if t not in tripped), *(t for t in quiet if t in tripped))
    assert plan.ordered(targets, request, plan.Facts(lambda target: False, known)) == quiet, "pure"


@given(MODELS, STEPS, st.booleans(), st.booleans(), st.none() | st.floats(0, 1), LATENCIES)
def test_no_optimisation_loses_what_was_named(model, steps, cheap, fast, floor, known):
    """Named targets all stay; without optimisation they stay in the caller's order."""
    request = ask(
        model, fallback=tuple(steps), cost_optimization=cheap, latency_optimization=fast, quality_threshold=floor
    )
    try:
        targets = plan.candidates(request, ORIGINS)
    except PRSMError:
        return
    ordered = plan.ordered(targets, request, plan.Facts(lambda target: False, known))

    assert {t for t in targets if not t.peer} <= set(ordered)
    if not (cheap or fast):
        assert ordered == targets
