"""Who may answer, in which order: pure, so tested on values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prsm_lab import catalog
from prsm_lab.engine import plan
from prsm_lab.errors import InvalidRequestError, NotFoundError, PRSMError
from prsm_lab.types import Options, Request, Routing, Strategy

ORIGINS = {"openai": "o", "anthropic": "a", "huggingface": "h", "local": "l", "mine": "m"}
QUIET = plan.Facts(is_open=lambda target: False, latency_ms={})


def ask(model: str, **routing: object) -> Request:
    options = routing.pop("options", Options())
    return Request(
        model=model, messages=({"role": "user", "content": "hi"},), options=options, routing=Routing(**routing)
    )


def names(request: Request) -> list[tuple[str, str]]:
    return [(target.provider, target.name) for target in plan.candidates(request, ORIGINS)]


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
        targets, request, plan.Facts(lambda t: False, {("openai", "gpt-4.1-nano"): 90.0, ("openai", "gpt-4.1"): 400.0})
    )

    assert [t.name for t in ordered[:2]] == ["gpt-4.1-nano", "gpt-4.1"]


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
