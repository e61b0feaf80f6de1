"""The options of a question: what is accepted, what is refused, and what is said then."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prsm_lab import ask
from prsm_lab.errors import InvalidRequestError, PRSMError
from prsm_lab.types import CachePolicy, Strategy


def refused(**options: object) -> InvalidRequestError:
    with pytest.raises(InvalidRequestError) as caught:
        ask.question("gpt-4", **options)
    return caught.value


@pytest.mark.parametrize(
    ("options", "parameter", "says"),
    [
        ({"temperature": 2.5}, "temperature", "number from 0 to 2"),
        ({"temperature": float("nan")}, "temperature", "nan"),
        ({"temperature": "hot"}, "temperature", "'hot'"),
        ({"temperature": True}, "temperature", "number"),
        ({"top_p": 0}, "top_p", "number from 0 to 1"),
        ({"max_tokens": 0}, "max_tokens", "at least 1"),
        ({"max_tokens": 1.5}, "max_tokens", "integer"),
        ({"timeout": 0}, "timeout", "number"),
        ({"seed": "7"}, "seed", "integer"),
        ({"stop": [1]}, "stop", "list of strings"),
        ({"tools": [{"name": "x"}]}, "tools[0]", "function"),
        ({"tool_choice": "required"}, "tool_choice", "no tools"),
        ({"schema": "x"}, "schema", "object"),
        ({"on_unsupported": "ignore"}, "on_unsupported", "'refuse' or 'drop'"),
        ({"cache_config": {"key_strategy": "fuzzy"}}, "cache_config.key_strategy", "exact, normalized"),
        ({"cache_config": {"tll": 3}}, "cache_config.tll", "Did you mean 'cache_config.ttl'"),
        ({"cost_optimization": {"max_costs": 1}}, "cost_optimization.max_costs", "cost_optimization.max_cost"),
        ({"fallback_config": {"retry_attempts": -1}}, "fallback_config.retry_attempts", "at least 0"),
        ({"fallback_config": {"strategies": [{}]}}, "fallback_config.strategies[0]", "neither a provider nor a model"),
        ({"fallback_config": {"strategies": [{"provider": "openai", "timeout": -5}]}}, None, "timeout"),
    ],
)
def test_a_wrong_option_is_refused_naming_it_and_what_was_expected(options, parameter, says):
    """The parameter stands in the details, the expectation in the message."""
    error = refused(**options)

    assert says in str(error)
    assert parameter is None or error.details["parameter"] == parameter


def test_an_unknown_option_names_the_nearest_one():
    """A typo is not passed on to a provider."""
    assert "Did you mean 'temperature'" in str(refused(temprature=1))


def test_two_ways_to_name_fallbacks_contradict_each_other():
    """Neither silently wins."""
    error = refused(fallback_providers=["anthropic"], fallback_config={"strategies": [{"provider": "openai"}]})

    assert "contradict" in str(error)


def test_the_seeds_configurations_are_read_as_written():
    """Milliseconds become seconds; every field arrives."""
    request = ask.question(
        "gpt-4",
        fallback_config={
            "strategies": [
                {"provider": "openai", "timeout": 5000},
                {"provider": "anthropic", "timeout": 10000},
                {"provider": "huggingface", "model": "mixtral"},
            ],
            "retry_attempts": 3,
            "backoff_multiplier": 2.0,
        },
        cost_optimization={"enabled": True, "max_cost": 0.10, "prefer_cheaper": True, "quality_threshold": 0.8},
        cache_config={
            "enabled": True,
            "ttl": 3600,
            "key_strategy": "semantic_similarity",
            "similarity_threshold": 0.95,
        },
    )

    assert request.routing.fallback == (
        Strategy(provider="openai", timeout=5.0),
        Strategy(provider="anthropic", timeout=10.0),
        Strategy(provider="huggingface", model="mixtral"),
    )
    assert (request.routing.retry_attempts, request.routing.backoff_multiplier) == (3, 2.0)
    assert (request.routing.cost_optimization, request.routing.max_cost) == (True, 0.10)
    assert request.routing.quality_threshold == 0.8
    assert request.cache == CachePolicy(ttl=3600, key_strategy="semantic_similarity", similarity_threshold=0.95)


def test_the_clients_preferences_fill_what_the_call_leaves_open():
    """And an explicit option wins over them."""
    preferences = ask.routing({"primary": "openai", "fallback": ["anthropic"], "cost_optimization": True})

    assert ask.question("gpt-4", defaults=preferences).routing.fallback == (Strategy(provider="anthropic"),)
    assert ask.question("gpt-4", defaults=preferences).routing.cost_optimization is True
    assert ask.question("gpt-4", defaults=preferences, fallback_providers=[]).routing.fallback == ()
    assert ask.question("gpt-4", defaults=preferences, cost_optimization=False).routing.cost_optimization is False


def test_numpy_scalars_of_a_grid_are_numbers():
    """A grid or a frame gives numpy values; they must not be refused, nor reach JSON as they are."""
    options = ask.question("gpt-4", temperature=np.float32(0.5), max_tokens=np.int64(7)).options

    assert (type(options.temperature), type(options.max_tokens)) == (float, int)


@pytest.mark.parametrize(
    ("messages", "says"),
    [
        ([], "non-empty list"),
        (None, "Missing required parameter: messages"),
        ([{"role": "user"}], "messages[0].content"),
        ([{"role": "robot", "content": "x"}], "messages[0].role"),
        ([{"role": "user", "content": "  "}], "empty"),
        ([{"role": "system", "content": "x"}], "only system"),
        ([{"role": "user", "content": "x"}, {"role": "tool", "tool_call_id": "c", "content": "1"}], "no such call"),
        (
            [
                {"role": "user", "content": "x"},
                {"role": "assistant", "content": None, "tool_calls": [{"id": "c", "type": "function"}]},
                {"role": "user", "content": "y"},
            ],
            "have no answer yet",
        ),
        (["hi"], "object with role and content"),
    ],
)
def test_messages_that_no_provider_takes_are_refused_here(messages, says):
    """Empty, of unknown role, or out of order: the position is named and nothing is sent."""
    with pytest.raises(InvalidRequestError, match=None) as caught:
        ask.messages(messages)

    assert says in str(caught.value)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_whatever_is_given_as_messages_only_our_error_comes_out(junk):
    """No TypeError, no KeyError: the caller learns which parameter was wrong."""
    try:
        ask.messages(junk)
    except PRSMError as error:
        assert error.code == "invalid_request"


@given(
    st.dictionaries(
        st.sampled_from(sorted(ask.Ask.__annotations__)),
        st.none()
        | st.booleans()
        | st.integers()
        | st.text()
        | st.lists(st.text())
        | st.dictionaries(st.text(), st.text()),
    )
)
def test_whatever_is_given_as_options_only_our_error_comes_out(options):
    """The same for every option."""
    options.pop("provider", None)
    try:
        ask.question("gpt-4", **options)
    except PRSMError as error:
        assert error.code == "invalid_request"
