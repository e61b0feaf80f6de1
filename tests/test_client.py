"""`Client` and `AsyncClient` against the emulator: answers, cache, fallbacks, optimisation, streams, mock mode."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

import prsm_lab as lab
from prsm_lab import catalog, emulator, errors
from prsm_lab.catalog import prices
from prsm_lab.engine import portal

pytestmark = pytest.mark.filterwarnings("ignore:No price is known")


@pytest.fixture(scope="module")
def emu():
    with emulator.start(references={"What is the capital of France?": "Paris", "x": "London"}) as running:
        yield running


@pytest.fixture
def client(emu):
    emu.clear()
    with lab.Client(providers=emu.providers(), ledger=":memory:") as made:
        yield made


def test_an_answer_says_who_gave_it_and_what_it_cost(client):
    """Checked against the price line by hand: gpt-4.1-mini is 0.40 and 1.60 USD a million."""
    answer = client.inference.create("gpt-4.1-mini", "What is the capital of France?")

    assert (answer.model, answer.provider, answer.served_model) == ("gpt-4.1-mini", "openai", "simulated/gpt-4.1-mini")
    assert answer.cost.amount == pytest.approx(
        (answer.usage.prompt_tokens * 0.4 + answer.usage.completion_tokens * 1.6) / 1e6
    )
    assert "Paris" in answer.content


WIRES = {
    "chat": "gpt-4.1-mini", "responses": "gpt-6-sol", "messages": "claude-haiku-4-5", "router": "mixtral",
    "text": "microsoft/DialoGPT-large",
}  # fmt: skip
TOOL = {
    "type": "function",
    "function": {"name": "find", "parameters": {"type": "object", "properties": {"q": {"type": "string"}}}},
}
CASES = {
    "plain": {},
    "cut": {"max_tokens": 3},
    "stopped": {"stop": ["the"]},
    "tools": {"tools": [TOOL], "tool_choice": "required"},
    "cached": {"cache_config": True},
    "fallback": {"fallback_config": {"strategies": [{"model": "gpt-4.1-mini"}], "retry_attempts": 0}},
    "dropping": {"temperature": 0.0, "seed": 4, "on_unsupported": "drop"},
    "failing": {"fallback_config": {"retry_attempts": 0}},
}
PASSING = ("id", "created", "completed", "latency_ms", "ttft_ms", "queued_ms", "attempts")
"""Fields of an inference that belong to the occasion, not to the answer."""


def outcome(client, live: bool, model: str, **options):
    """What came of a question, without what belongs to the occasion."""
    try:
        if live:
            with client.inference.stream(model, "What is the capital of France?", **options) as stream:
                text = "".join(piece.content for piece in stream)
            answer = stream.result()
            assert text == (answer.content or "")
        else:
            answer = client.inference.create(model, "What is the capital of France?", **options)
    except errors.PRSMError as error:
        knocks = [(a.provider, a.model, a.error_code) for a in error.attempts]
        return type(error), error.message, error.details, error.provider, knocks
    told = {name: getattr(answer, name) for name in answer.__struct_fields__ if name not in PASSING}
    told["tool_calls"] = [(call.name, call.arguments) for call in answer.tool_calls]  # their ids are the provider's
    return told, [(a.provider, a.model, a.error_code) for a in answer.attempts]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("wire", WIRES)
def test_create_and_stream_cannot_be_told_apart(client, emu, wire, case):
    """The law of the two doors: content, usage, cost, finish, tools, cache, fallbacks and errors alike."""
    model, options = WIRES[wire], CASES[case]
    if case == "fallback":
        emu.add(emulator.Rule("503", model=client.models.get(model).id))
    if case == "failing":
        emu.add(emulator.Rule("404"))
    if case == "cached":
        client.inference.create(model, "What is the capital of France?", **options)

    assert outcome(client, False, model, **options) == outcome(client, True, model, **options)


def test_only_a_stream_knows_the_time_to_its_first_piece(client):
    """Nobody saw the first piece of a whole answer."""
    whole = client.inference.create("gpt-4.1-mini", "hi")
    live = client.inference.stream("gpt-4.1-mini", "hi").result()

    assert whole.ttft_ms is None
    assert 0 < live.ttft_ms <= live.latency_ms


def test_an_answer_can_be_read_back_by_its_id(client):
    """And an unknown id is not found."""
    answer = client.inference.create("gpt-4.1-mini", "hi")

    assert client.inference.get(answer.id).inference == answer
    with pytest.raises(errors.NotFoundError):
        client.inference.get("inf_none")


def test_leaving_a_stream_stops_the_provider_at_once(client, emu):
    """The emulator sees the connection close within 0.25 s."""
    emu.add(emulator.Rule("stall", pieces=4))
    with client.inference.stream("gpt-4.1-mini", "hi") as stream:
        next(stream)
        left = time.monotonic()
    emu.log.wait_for(lambda log: log.open_requests == 0, 2)

    assert emu.log.entries[-1].peer_closed - left < 0.25
    with pytest.raises(errors.InvalidRequestError, match="closed before its end"):
        stream.result()


def test_closing_a_stream_by_hand_stops_the_provider_too(client, emu):
    """Without `with`; and a closed stream has no more pieces."""
    emu.add(emulator.Rule("stall", pieces=4))
    stream = client.inference.stream("gpt-4.1-mini", "hi")
    next(stream)
    left = time.monotonic()
    stream.close()
    emu.log.wait_for(lambda log: log.open_requests == 0, 2)

    assert emu.log.entries[-1].peer_closed - left < 0.25
    assert list(stream) == []


def test_a_streams_result_reads_what_was_not_read_and_stays(client):
    """After two pieces, after the end, and again."""
    stream = client.inference.stream("gpt-4.1-mini", "What is the capital of France?")
    next(stream), next(stream)

    assert "Paris" in stream.result().content
    assert stream.result() is stream.result()


def test_a_stream_that_was_left_is_a_cancelled_row_not_an_answer(client, emu):
    """Usage reports count it as failed, and a cache never serves it."""
    emu.add(emulator.Rule("stall", pieces=4, times=1))
    with client.inference.stream("gpt-4.1-mini", "hi", cache_config=True) as stream:
        next(stream)
    again = client.inference.create("gpt-4.1-mini", "hi", cache_config=True)

    assert (again.cached, len(emu.log.arrivals())) == (False, 2)


def test_a_batch_keeps_order_and_ids_and_a_failure_loses_no_other(client):
    """Seed: `inference.batch`."""
    found = client.inference.batch(
        [
            {"id": "a", "model": "gpt-4.1-mini", "messages": "one"},
            {"id": "b", "model": "no-such-model", "messages": "two"},
            {
                "id": "c",
                "model": "claude-haiku-4-5",
                "messages": [{"role": "user", "content": "three"}],
                "max_tokens": 5,
            },
        ]
    )
    frame = found.to_frame()

    assert [item.id for item in found] == ["a", "b", "c"]
    assert isinstance(found[1].error, errors.NotFoundError)
    assert frame["error_code"].fillna("ok").tolist() == ["ok", "not_found", "ok"]
    assert found[2].inference.finish_reason == "length"


def test_a_batch_takes_any_wrong_item_as_a_failed_one(client, emu):
    """No model, no messages, an option that does not exist, not even an object: each says what is wrong."""
    wrong = [
        {"messages": "hi"},
        {"model": "gpt-4.1-mini"},
        {"model": "gpt-4.1-mini", "messages": "hi", "temprature": 1},
        "hi",
    ]
    found = client.inference.batch([*wrong, {"model": "gpt-4.1-mini", "messages": "hi"}])

    assert [type(item.error) for item in found[:4]] == [errors.InvalidRequestError] * 4
    assert [item.error.details["parameter"] for item in found[:3]] == ["model", "messages", "temprature"]
    assert (found[4].error, len(emu.log.arrivals())) == (None, 1)


def test_a_failed_item_of_a_batch_keeps_its_attempts(client, emu):
    """Of the same class that `create` raises."""
    emu.add(emulator.Rule("401", contains="two"))
    one, two = client.inference.batch([{"model": "gpt-4.1-mini", "messages": word} for word in ("one", "two")])

    assert isinstance(two.error, errors.AuthenticationError)
    assert (one.inference.finish_reason, two.content, len(two.error.attempts)) == ("stop", None, 1)


@pytest.mark.parametrize(("parallel", "most"), [(False, 1), (3, 3), (True, 6)])
def test_a_batch_asks_so_many_at_a_time(client, emu, parallel, most):
    """Seed: `"parallel": true`."""
    emu.add(emulator.Rule("slow", seconds=0.3))
    client.inference.batch([{"model": "gpt-4.1-mini", "messages": f"{n}"} for n in range(6)], parallel=parallel)

    assert emu.log.max_open == most


def test_an_empty_batch_is_empty(client):
    """And asks nobody."""
    assert client.inference.batch([]) == []


# ---------------------------------------------------------------------------------------------------- cache


def test_a_cached_answer_costs_nothing_and_says_what_it_saved(client, emu):
    """One request arrives for two questions."""
    first, again = (
        client.inference.create("gpt-4.1-mini", "hi", cache_config={"enabled": True, "ttl": 3600}) for _ in range(2)
    )
    assert len(emu.log.arrivals()) == 1
    assert (again.cached, again.content, again.cost.amount) == (True, first.content, 0.0)
    assert again.cost.savings == first.cost.amount
    assert again.id != first.id


@pytest.mark.parametrize("change", [{"max_tokens": 9}, {"seed": 3}, {"temperature": 0.5}])
def test_another_setting_is_another_question(client, emu, change):
    """The cache never serves an answer that was asked otherwise."""
    client.inference.create("gpt-4.1-mini", "hi", cache_config=True)
    client.inference.create("gpt-4.1-mini", "hi", cache_config=True, **change)

    assert len(emu.log.arrivals()) == 2


def test_an_answer_older_than_its_time_to_live_is_asked_anew(client, emu):
    """ttl 0 is never fresh."""
    client.inference.create("gpt-4.1-mini", "hi", cache_config=True)
    client.inference.create("gpt-4.1-mini", "hi", cache_config={"ttl": 0})

    assert len(emu.log.arrivals()) == 2


def test_an_answer_expires_with_the_clock(client, emu, monkeypatch):
    """Served in the 3,599th second, asked anew in the 3,601st."""
    now, policy = time.time, {"enabled": True, "ttl": 3600}
    client.inference.create("gpt-4.1-mini", "hi", cache_config=policy)
    with monkeypatch.context() as later:
        later.setattr(time, "time", lambda: now() + 3599)
        assert client.inference.create("gpt-4.1-mini", "hi", cache_config=policy).cached
        later.setattr(time, "time", lambda: now() + 3601)
        assert not client.inference.create("gpt-4.1-mini", "hi", cache_config=policy).cached

    assert len(emu.log.arrivals()) == 2


def test_a_hit_does_not_make_an_answer_younger(client, emu, monkeypatch):
    """Its age is that of the question that was really asked."""
    now, policy = time.time, {"ttl": 3600}
    client.inference.create("gpt-4.1-mini", "hi", cache_config=policy)
    with monkeypatch.context() as later:
        for seconds in (3000, 6000):
            later.setattr(time, "time", lambda seconds=seconds: now() + seconds)
            client.inference.create("gpt-4.1-mini", "hi", cache_config=policy)

    assert len(emu.log.arrivals()) == 2


def test_a_failure_is_not_cached(client, emu):
    """The next one asks."""
    emu.add(emulator.Rule("400", times=1))
    with pytest.raises(errors.InvalidRequestError):
        client.inference.create("gpt-4.1-mini", "hi", cache_config=True)

    assert not client.inference.create("gpt-4.1-mini", "hi", cache_config=True).cached


def test_without_a_cache_every_question_is_asked(client, emu):
    """`enabled` false is no cache either."""
    client.inference.create("gpt-4.1-mini", "hi", cache_config=True)
    client.inference.create("gpt-4.1-mini", "hi")
    client.inference.create("gpt-4.1-mini", "hi", cache_config={"enabled": False})

    assert len(emu.log.arrivals()) == 3


def test_the_seeds_semantic_cache_serves_a_question_that_means_the_same(client, emu):
    """As the seed writes it; tests/test_cache.py has the rest."""
    policy = {"enabled": True, "ttl": 3600, "key_strategy": "semantic_similarity", "similarity_threshold": 0.95}
    asked = ("How many moons does Jupiter have?", "What is the number of moons of Jupiter?")
    found = [client.inference.create("gpt-4.1-mini", one, cache_config=policy) for one in asked]

    assert ([answer.cached for answer in found], len(emu.log.arrivals())) == ([False, True], 1)


def test_a_truncated_answer_is_never_served_from_the_cache(client, emu):
    """It would hide that the rest is missing."""
    for _ in range(2):
        client.inference.create("gpt-4.1-mini", "What is the capital of France?", max_tokens=2, cache_config=True)

    assert len(emu.log.arrivals()) == 2


def test_a_cached_stream_speaks_in_one_piece(client, emu):
    """And nobody is asked."""
    client.inference.create("gpt-4.1-mini", "hi", cache_config=True)
    with client.inference.stream("gpt-4.1-mini", "hi", cache_config=True) as stream:
        assert len(list(stream)) == 1

    assert stream.result().cached is True


# ----------------------------------------------------------------------------------------- fallback and routing


def test_a_fallback_answers_when_the_first_provider_is_down(client, emu):
    """The answer names its model; provider_cost is what the requested one would have cost."""
    emu.add(emulator.Rule("500", model="gpt-4.1-mini"))
    answer = client.inference.create(
        "gpt-4.1-mini", "hi", fallback_providers=["anthropic"], fallback_config={"retry_attempts": 0}
    )

    assert (answer.requested_model, answer.model, answer.provider) == ("gpt-4.1-mini", "claude-haiku-4-5", "anthropic")
    assert [attempt.error_code for attempt in answer.attempts] == ["provider_unavailable", None]
    listed = prices.cost(answer.usage, prices.line("gpt-4.1-mini"))
    assert answer.cost.provider_cost == listed
    assert answer.cost.savings == pytest.approx(listed - answer.cost.amount)


def test_a_strategys_time_limit_sends_the_question_on(client, emu):
    """The seed's `{"provider": "openai", "timeout": 5000}`, in milliseconds."""
    emu.add(emulator.Rule("hang", model="gpt-4"))
    began = time.monotonic()
    answer = client.inference.create(
        "gpt-4", "hi",
        fallback_config={"strategies": [{"provider": "openai", "timeout": 200}, {"provider": "huggingface", "model": "mixtral"}]},
    )  # fmt: skip

    assert (answer.provider, answer.model) == ("huggingface", "mistralai/Mixtral-8x7B-Instruct-v0.1")
    assert time.monotonic() - began < 2


def test_the_clients_preferences_hold_for_every_call(client, emu):
    """Seed: `configure_providers`."""
    client.inference.configure_providers({"primary": "openai", "fallback": ["anthropic", "huggingface"]})
    emu.add(emulator.Rule("401", model="gpt-*"))

    assert client.inference.create("gpt-4.1-mini", "hi").provider == "anthropic"


def test_cost_optimisation_asks_the_cheapest_that_is_good_enough(client):
    """Of the living models with a quality of at least the threshold, and never one below it."""
    answer = client.inference.create("gpt-4.1", "hi", cost_optimization={"quality_threshold": 0.8, "max_cost": 0.1})
    asked_anyway = client.inference.create("gpt-4.1", "hi", cost_optimization={"quality_threshold": 0.99})

    assert lab.quality.get(answer.model) >= 0.8
    assert answer.cost.amount < answer.cost.provider_cost
    assert asked_anyway.model == "gpt-4.1"


def test_nobody_cheaper_would_have_been_good_enough(client, emu):
    """The choice checked over the whole catalogue, by the price of the answer that came."""
    answer = client.inference.create("gpt-4.1", "hi", cost_optimization={"quality_threshold": 0.85})
    alive = [model for model in client.models.list() if (model.quality or 0) >= 0.85 and not catalog.is_retired(model)]
    costs = {model.name: prices.cost(answer.usage, prices.line(model.name, model.provider)) for model in alive}

    assert costs[answer.model] == min(cost for cost in costs.values() if cost is not None)
    assert [entry.model for entry in emu.log.arrivals()] == [answer.model]


@pytest.mark.parametrize("saving", [False, {"enabled": False}, {"prefer_cheaper": False}])
def test_cost_optimisation_that_is_off_asks_the_requested_model(client, saving):
    """Also where the client prefers cheaper ones."""
    client.inference.configure_providers({"cost_optimization": True})

    assert client.inference.create("gpt-4.1", "hi", cost_optimization=saving).model == "gpt-4.1"


def test_cost_optimisation_still_falls_back_to_the_named_providers(client, emu):
    """The seed's own request: cheaper peers and `fallback_providers` together, and OpenAI is down."""
    emu.add(emulator.Rule("503", model="gpt-*"))
    answer = client.inference.create(
        "gpt-4.1", "hi", cost_optimization=True, fallback_providers=["anthropic", "huggingface"],
        fallback_config={"retry_attempts": 0},
    )  # fmt: skip

    assert answer.provider == "anthropic"


def test_a_preference_that_does_not_exist_is_named_with_the_nearest(client):
    """A typing error must not be a silent default."""
    with pytest.raises(errors.InvalidRequestError, match="Did you mean 'fallback'"):
        client.inference.configure_providers({"fallbacks": ["anthropic"]})


def test_a_call_overrides_the_clients_preferences(client, emu):
    """An empty list is no fallback."""
    client.inference.configure_providers({"fallback": ["anthropic"]})
    emu.add(emulator.Rule("401", model="gpt-*"))
    with pytest.raises(errors.AuthenticationError):
        client.inference.create("gpt-4.1-mini", "hi", fallback_providers=[])


def test_when_every_target_fails_the_last_error_has_the_whole_trail(client, emu):
    """Who was asked, in which order, and what each said."""
    emu.add(emulator.Rule("503", model="gpt-*"), emulator.Rule("401", model="claude-*"))
    with pytest.raises(errors.AuthenticationError) as caught:
        client.inference.create(
            "gpt-4.1-mini", "hi", fallback_providers=["anthropic"], fallback_config={"retry_attempts": 0}
        )

    assert [(a.provider, a.error_code) for a in caught.value.attempts] == [
        ("openai", "provider_unavailable"), ("anthropic", "authentication"),
    ]  # fmt: skip


def test_a_cost_cap_that_nothing_fits_sends_nothing(client, emu):
    """The worst case of a request is its prompt and its whole max_tokens."""
    with pytest.raises(errors.BudgetExceededError, match="at most"):
        client.inference.create("gpt-4", "hi", max_tokens=1000, cost_optimization={"max_cost": 0.001})

    assert len(emu.log.arrivals()) == 0


def test_latency_optimisation_follows_what_was_measured(emu, monkeypatch):
    """The route that was faster in the ledger is asked first; this question does not explore."""
    monkeypatch.setattr("prsm_lab.engine.speeds.draw", lambda _: 0.5)
    paces = {"gpt-4.1": emulator.Profile(ttft_ms=150), "gpt-4.1-mini": emulator.Profile(ttft_ms=1)}
    with (
        emulator.start(profiles=paces, latency_scale=1.0) as slow,
        lab.Client(providers=slow.providers(), ledger=":memory:") as client,
    ):
        for model in paces:
            client.inference.create(model, "hi", max_tokens=1)
        answer = client.inference.create(
            "gpt-4.1", "hi", max_tokens=1, latency_optimization=True, quality_threshold=0.8
        )

    assert answer.model == "gpt-4.1-mini"


def test_analytics_and_performance_tell_what_happened(client, emu):
    """Seed's names."""
    client.inference.create("gpt-4.1-mini", "hi")
    emu.add(emulator.Rule("400"))
    with pytest.raises(errors.InvalidRequestError):
        client.inference.create("gpt-4.1-mini", "bad")
    report = client.inference.analytics("last_30_days", metrics=["requests", "tokens", "costs", "latency"])
    one = client.inference.performance("gpt-4.1-mini", metrics=["success_rate", "avg_latency", "p95_latency"])

    assert (report.total_requests, one.success_rate) == (2, 0.5)
    assert report.avg_latency_ms == one.avg_latency
    with pytest.raises(errors.InvalidRequestError, match="Did you mean"):
        client.inference.analytics(metrics=["request"])
    with pytest.raises(errors.InvalidRequestError, match="timeframe"):
        client.inference.analytics("last_week_or_so")


# ------------------------------------------------------------------------------------------ own models, threads, async


def test_a_python_function_is_a_model(emu):
    """Text, options and streams."""

    def parrot(prompt: str) -> str:
        return prompt.upper()

    async def pieces(messages, **options):
        for word in (options["model"], " says ", messages[-1]["content"]):
            yield word

    with lab.Client(providers={"bird": parrot, "tape": pieces}, ledger=":memory:") as client:
        assert client.inference.create("bird/grey", "hello").content == "HELLO"
        assert [p.content for p in client.inference.stream("tape/a", "hi")] == ["a", " says ", "hi"]


def test_an_openai_compatible_server_is_a_provider(emu):
    """Any name, its own URL, no key; the body is the conservative one."""
    emu.clear()
    with lab.Client(providers={"vllm": {"base_url": f"{emu.url}/v1"}}, ledger=":memory:") as client:
        answer = client.inference.create(
            "vllm/my-model",
            [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": "hi"}],
            max_tokens=7,
        )
    body = emu.log.entries[-1].body

    assert (answer.provider, answer.cost.amount) == ("vllm", None)
    assert (body["model"], body["max_tokens"], body["messages"][0]["role"]) == ("my-model", 7, "system")


def test_threads_share_a_client(client):
    """Doors work from anywhere."""
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append(client.inference.create("gpt-4.1-mini", "hi").provider))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == ["openai"] * 6


def test_the_catalogue_comes_with_prices_and_qualities(client):
    """None where nothing is known, and only there."""
    one, listed = client.models.get("gpt-4.1-mini"), {model.name: model for model in client.models.list()}

    assert listed["gpt-4.1-mini"] == one
    assert (one.price.input, one.price.output, one.quality) == (0.4, 1.6, 0.875)
    assert listed["microsoft/DialoGPT-large"].quality is None
    with pytest.raises(errors.NotFoundError, match=r"Did you mean gpt-4\.1"):
        client.models.get("gpt-4.1-mni")


async def test_the_blocking_client_works_inside_a_running_loop(client):
    """As in a notebook cell."""
    assert client.inference.create("gpt-4.1-mini", "hi").finish_reason == "stop"
    assert client.inference.stream("gpt-4.1-mini", "hi").result().finish_reason == "stop"


async def test_a_cancelled_await_stops_the_provider(emu):
    """`asyncio.wait_for` around a call is a deadline that does not go on paying."""
    emu.clear()
    emu.add(emulator.Rule("hang"))
    async with lab.AsyncClient(providers=emu.providers(), ledger=":memory:") as client:
        waiting = asyncio.create_task(client.inference.create("gpt-4.1-mini", "hi"))
        await asyncio.to_thread(emu.log.wait_for, lambda log: log.open_requests == 1)
        left = time.monotonic()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await asyncio.to_thread(emu.log.wait_for, lambda log: log.open_requests == 0, 2)

    assert emu.log.entries[-1].peer_closed - left < 0.25


async def test_the_async_client_does_all_of_it(emu):
    """On the caller's loop, against the engine's."""
    emu.clear()
    async with lab.AsyncClient(providers=emu.providers(), ledger=":memory:") as client:
        answer = await client.inference.create("gpt-4.1-mini", "What is the capital of France?")
        async with await client.inference.stream("gpt-4.1-mini", "What is the capital of France?") as stream:
            text = "".join([piece.content async for piece in stream])
        found = await client.inference.batch([{"model": "gpt-4.1-mini", "messages": "hi"}] * 3)

        assert text == answer.content == (await stream.result()).content
        assert len(found) == 3
        assert (await client.inference.get(answer.id)).status == "completed"
        assert (await client.inference.analytics()).total_requests == 5
        assert len(await client.models.list()) > 50


async def test_an_async_stream_that_is_left_stops_the_provider(emu):
    """Across two loops, still at once."""
    emu.clear()
    emu.add(emulator.Rule("stall", pieces=4))
    async with lab.AsyncClient(providers=emu.providers(), ledger=":memory:") as client:
        async with await client.inference.stream("gpt-4.1-mini", "hi") as stream:
            await anext(stream)
            left = time.monotonic()
        emu.log.wait_for(lambda log: log.open_requests == 0, 2)

    assert emu.log.entries[-1].peer_closed - left < 0.25


# -------------------------------------------------------------------------------------------------------- mock mode


def mock(**responses) -> lab.Client:
    return lab.Client(mock_mode=True, ledger=":memory:", mock_responses={"gpt-4": responses}, max_retries=0)


def test_mock_mode_answers_as_the_table_says():
    """Contents in turn, or made by a function; a model that is not listed says which mock it is."""
    with mock(content=["one", "two"]) as client:
        assert [client.inference.create("gpt-4", "x").content for _ in range(3)] == ["one", "two", "one"]
        assert client.inference.create("claude-3-opus", "x").content.startswith("[mock claude-3-opus]")
    with mock(content=lambda messages: messages[-1]["content"][::-1]) as client:
        assert client.inference.create("gpt-4", "abc").content == "cba"


def test_mock_mode_takes_its_time():
    """`latency_ms` is the answer's latency."""
    with mock(content="x", latency_ms=40) as client:
        assert 40 <= client.inference.create("gpt-4", "x").latency_ms < 400


@pytest.mark.parametrize(
    ("response", "cls"),
    [({"error": "rate_limit"}, errors.RateLimitError), ({"error": 401}, errors.AuthenticationError), ({"error": 503}, errors.ProviderError)],
)  # fmt: skip
def test_mock_mode_fails_as_the_table_says(response, cls):
    """By code or by status."""
    with mock(**response) as client, pytest.raises(cls):
        client.inference.create("gpt-4", "x")


def test_mock_mode_fails_so_many_times_and_breaks_streams():
    """To test what a program does then."""
    with mock(content="at last", error=503, fail_times=1) as client:
        with pytest.raises(errors.ProviderError):
            client.inference.create("gpt-4", "x")
        assert client.inference.create("gpt-4", "x").content == "at last"
    with mock(content="a b c d", break_after=2) as client:
        shown = []
        with pytest.raises(errors.ProviderError) as caught, client.inference.stream("gpt-4", "x") as stream:
            shown.extend(piece.content for piece in stream)  # keeps what came before the error
        assert "".join(shown) == "a b"
        assert client.inference.get(caught.value.inference_id).partial == "a b"


def test_a_mocked_throttle_says_how_long():
    """`retry_after`, as a provider would hint it."""
    with mock(error="rate_limit", retry_after=7) as client, pytest.raises(errors.RateLimitError) as caught:
        client.inference.create("gpt-4", "x", timeout=1)

    assert caught.value.retry_after == 7


def test_mock_mode_never_reaches_a_provider(emu, monkeypatch):
    """Not even with keys and URLs set."""
    emu.clear()
    for name, value in emu.environ().items():
        monkeypatch.setenv(name, value)
    with mock(content="x") as client:
        client.inference.create("claude-3-opus", "hi", fallback_providers=["openai"])

    assert len(emu.log) == 0


@pytest.mark.parametrize("call", [lambda prompt: next(iter(())), lambda prompt: (_ for _ in ()).throw(KeyError("x"))])
def test_a_function_that_fails_is_an_error_whatever_it_raises(call):
    """A StopIteration would else be waited for for ever."""
    with (
        lab.Client(ledger=":memory:", providers={"mine": call}, max_retries=0, timeout=10) as client,
        pytest.raises(errors.ProviderError, match="The function behind 'mine' raised"),
    ):
        client.inference.create("mine/x", "hi")


def test_a_builtin_that_does_not_say_what_it_takes_is_given_the_text():
    """Such as `str`."""
    with lab.Client(ledger=":memory:", providers={"echo": str}) as client:
        assert client.inference.create("echo/x", "hi").content == "hi"


@pytest.mark.parametrize("moment", ["start", "notify"])
def test_an_interrupt_in_the_moment_of_asking_stops_the_provider_too(client, emu, monkeypatch, moment):
    """The question is sent, and nobody waits for it yet: a Ctrl-C must not leave it to be paid."""
    emu.add(emulator.Rule("stall", pieces=3))
    real = getattr(portal.Job, moment)

    def struck(job, *given):
        real(job, *given)
        emu.log.wait_for(lambda log: log.open_requests == 1)
        raise KeyboardInterrupt

    with monkeypatch.context() as now:
        now.setattr(portal.Job, moment, struck)
        with pytest.raises(KeyboardInterrupt):
            client.inference.stream("gpt-4.1-mini", "hi")
        emu.log.wait_for(lambda log: log.open_requests == 0, 2)


def test_an_interrupt_in_the_moment_of_a_call_stops_the_provider_too(client, emu, monkeypatch):
    """The same for an answer that is waited for as a whole."""
    emu.add(emulator.Rule("hang"))
    real = portal.Job.start

    def struck(job):
        real(job)
        emu.log.wait_for(lambda log: log.open_requests == 1)
        raise KeyboardInterrupt

    with monkeypatch.context() as now:
        now.setattr(portal.Job, "start", struck)
        with pytest.raises(KeyboardInterrupt):
            client.inference.create("gpt-4.1-mini", "hi")
        emu.log.wait_for(lambda log: log.open_requests == 0, 2)


def test_a_stream_that_nobody_holds_stops_the_provider(client, emu):
    """An interrupt between two pieces leaves one behind; so does a cell that is run again."""
    emu.add(emulator.Rule("stall", pieces=3))
    stream = client.inference.stream("gpt-4.1-mini", "hi")
    next(stream)
    del stream
    emu.log.wait_for(lambda log: log.open_requests == 0, 2)
