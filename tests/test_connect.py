"""Servers of one's own by one line: what they list, what is known of them, what their hours cost."""

from __future__ import annotations

import http.server
import json
import threading

import pytest

import prsm_lab as lab
from prsm_lab import catalog, emulator, errors, presets, settings
from prsm_lab.catalog import prices
from prsm_lab.client import registry
from prsm_lab.engine.metering import Meter
from prsm_lab.providers import facts
from prsm_lab.types import Usage


@pytest.fixture(autouse=True)
def clean():
    """No connection outlives its test."""
    yield
    for name in registry.given():
        registry.drop(name)
    prices.reset()


class Server:
    """A server that lists what it is told to, and remembers what it was asked."""

    def __init__(self, pages):
        self.pages, self.asked, self.bodies = pages, [], []
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                server.asked.append((self.path, self.headers.get("Authorization")))
                self.answer(server.pages.get(self.path))

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                server.asked.append((self.path, self.headers.get("Authorization")))
                server.bodies.append(body)
                page = server.pages.get(self.path)
                self.answer(page(body) if callable(page) else page)

            def answer(self, page):
                status, page = (404, {}) if page is None else page if isinstance(page, tuple) else (200, page)
                raw = page if isinstance(page, bytes) else json.dumps(page).encode()
                self.send_response(status)
                self.send_header("Content-Type", "text/event-stream" if isinstance(page, bytes) else "application/json")
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.root = f"http://127.0.0.1:{self._server.server_port}"
        self.url = f"{self.root}/v1"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()


def listing(*entries):
    return {"object": "list", "data": [entry if isinstance(entry, dict) else {"id": entry} for entry in entries]}


ANSWER = {
    "model": "m", "choices": [{"message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 1},
}  # fmt: skip


# ---------------------------------------------------------------------------------------------------- presets


@pytest.mark.parametrize("one", presets.known().values(), ids=presets.known())
def test_every_preset_says_where_it_is_and_where_that_was_read(one):
    """Address or its variable, key variable, source, date; the price library knows the host."""
    from genai_prices import data_snapshot

    assert one.base_url or one.url_variable
    assert one.key_variable.endswith("_API_KEY")
    assert (len(one.source) > 10, one.date) == (True, "2026-11-27")
    assert (one.kind == "host") == (one.library is not None)
    assert one.library is None or one.library in {p.id for p in data_snapshot.get_snapshot().providers}


def test_the_servers_and_hosts_that_people_use_have_presets():
    """As the issue lists them."""
    wanted = [
        "vllm",
        "ollama",
        "llama.cpp",
        "lmstudio",
        "tgi",
        "together",
        "groq",
        "fireworks",
        "deepseek",
        "mistral",
        "openrouter",
        "azure",
    ]

    assert [presets.preset(name) is not None for name in wanted] == [True] * len(wanted)


@pytest.mark.parametrize(
    ("name", "environ", "url", "variable"),
    [
        ("groq", {}, "https://api.groq.com/openai/v1", "GROQ_API_KEY"),
        ("vllm", {}, "http://localhost:8000/v1", "VLLM_API_KEY"),
        ("azure", {"AZURE_OPENAI_ENDPOINT": "https://me.openai.azure.com/"}, "https://me.openai.azure.com/openai/v1", "AZURE_OPENAI_API_KEY"),
        ("azure", {"AZURE_OPENAI_ENDPOINT": "https://me.openai.azure.com/openai/v1"}, "https://me.openai.azure.com/openai/v1", "AZURE_OPENAI_API_KEY"),
    ],
)  # fmt: skip
def test_a_preset_names_address_and_key(name, environ, url, variable):
    """Also for `Client(providers={"groq": {}})`."""
    found = settings.access(name, environ={**environ, variable: "k1"})

    assert (found.base_url, found.key_source, found.preset) == (url, f"environment {variable}", name)


def test_a_hosts_key_is_not_sent_to_another_server_that_borrows_its_ways():
    """GROQ_API_KEY belongs to Groq; a server of another name has a variable of its own."""
    environ = {"GROQ_API_KEY": "k1"}
    elsewhere = settings.access("mine", base_url="https://mine.example/v1", preset="groq", environ=environ)
    there = settings.access("mine", preset="groq", environ=environ)

    assert (elsewhere.key, elsewhere.key_variable) == (None, "MINE_API_KEY")
    assert (there.base_url, there.key_source) == ("https://api.groq.com/openai/v1", "environment GROQ_API_KEY")


def test_azure_without_its_endpoint_says_what_is_missing():
    """Nobody else knows it."""
    with pytest.raises(errors.InvalidRequestError, match="base_url"):
        lab.connect("azure")


def test_a_host_without_a_key_is_not_asked():
    """Its answer would only say that; ours names the variable."""
    with pytest.raises(errors.AuthenticationError, match="GROQ_API_KEY"):
        lab.connect("groq")


# ------------------------------------------------------------------------------------------------ connecting


def test_a_connected_server_is_there_for_the_default_client_and_for_new_ones():
    """By one line; its models are those that it lists, with what it says of them."""
    pages = {"/v1/models": listing({"id": "qwen", "max_model_len": 4096}, "tiny"), "/v1/chat/completions": ANSWER}
    with Server(pages) as server:
        default = lab.default_client()
        there = lab.connect("vllm", server.url)
        with lab.Client(ledger=":memory:") as new:
            asked = [client.inference.create("vllm/qwen", "hi") for client in (default, new)]

    assert [one.name for one in there.models] == ["vllm/qwen", "vllm/tiny"]
    assert catalog.find("vllm/qwen").capabilities.context == 4096
    assert "vllm/tiny" in set(lab.models()["model"])
    assert [(one.content, one.provider, one.cost.amount) for one in asked] == [("hi", "vllm", 0.0)] * 2
    assert "your own server" in prices.line("vllm/qwen").source


def test_nothing_is_asked_of_a_model_when_it_is_connected():
    """Lists only; llama.cpp tells its window under /props."""
    pages = {"/v1/models": listing("m"), "/props": {"default_generation_settings": {"n_ctx": 512}, "modalities": {"vision": True}}}  # fmt: skip
    with Server(pages) as server:
        there = lab.connect("llama.cpp", server.url, "k1")

    assert server.asked == [("/v1/models", "Bearer k1"), ("/props", "Bearer k1")]
    assert (there.models[0].capabilities.context, there.models[0].capabilities.images) == (512, True)
    assert "k1" not in repr(there) + there._repr_html_() + repr(registry.given())


def test_a_closed_connection_is_gone_everywhere():
    """From the default client, from new ones, from the catalogue."""
    with Server({"/v1/models": listing("m")}) as server:
        default = lab.default_client()
        there = lab.connect("gpu", server.url)
        known = "gpu" in default.reach.names
        there.close()

    assert known
    assert "gpu" not in default.reach.names
    assert registry.given() == {}
    assert "gpu/m" not in {model.name for model in catalog.all_models()}


def test_connected_again_it_is_moved():
    """The old address is asked no more, its models are forgotten."""
    with Server({"/v1/models": listing("old")}) as one, Server({"/v1/models": listing("new")}) as two:
        lab.connect("gpu", one.url)
        lab.connect("gpu", two.url)

    assert [model.name for model in catalog.all_models() if model.provider == "gpu"] == ["gpu/new"]
    assert registry.given()["gpu"]["base_url"] == two.url


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("gpt-4", {"base_url": "http://localhost:1/v1"}, "something else already"),
        ("openai", {"base_url": "http://localhost:1/v1"}, "something else already"),
        ("a/b", {"base_url": "http://localhost:1/v1"}, "no name for a server"),
        ("mine", {}, "base_url"),
        ("mine", {"base_url": "http://localhost:1/v1", "preset": "vllmm"}, "Unknown preset"),
        ("mine", {"base_url": "http://localhost:1/v1", "gpu_hour": -1}, "no amount of USD"),
        ("mine", {"base_url": "ftp://x"}, "no http"),
    ],
)
def test_what_cannot_be_connected_is_said_before_anything_is_asked(name, options, said):
    """Names, addresses, presets, rates."""
    with pytest.raises(errors.InvalidRequestError, match=said):
        lab.connect(name, **options)
    assert registry.given() == {}


def test_a_server_that_does_not_answer_is_not_kept():
    """Typed error, nothing registered."""
    with Server({}) as server, pytest.raises(errors.NotFoundError, match="no list of models"):
        lab.connect("gpu", server.url)
    with pytest.raises(errors.ProviderError):
        lab.connect("gpu", server.url)

    assert registry.given() == {}


def test_a_process_that_asks_a_share_server_connects_there(monkeypatch):
    """Its own registry would be asked by nobody."""
    monkeypatch.setenv("PRSM_API_URL", "http://localhost:1")
    with pytest.raises(errors.InvalidRequestError, match="its owner connects"):
        lab.connect("vllm", "http://localhost:8000/v1")


def test_azures_list_is_no_list_of_deployments():
    """Names are given; nothing that is only a base model is offered."""
    with Server({"/v1/models": listing("gpt-4.1")}) as server:
        bare = lab.connect("azure", server.url, "k")
        named = lab.connect("azure", server.url, "k", models=["my-deployment"])

    assert bare.models == ()
    assert [model.id for model in named.models] == ["my-deployment"]


def test_what_a_model_refuses_is_found_by_asking_it_when_that_is_wanted():
    """Three questions of one token; a refusal of tools is remembered for all of its models."""

    def answer(body):
        if "tools" in body:
            return 400, {"error": {"message": "tools are not supported"}}
        chunk = {"model": "m", "choices": [{"index": 0, "delta": {"content": "hi"}, "finish_reason": "stop"}]}
        return b"data: " + json.dumps({**chunk, "usage": ANSWER["usage"]}).encode() + b"\n\ndata: [DONE]\n\n"

    with Server({"/v1/models": listing("m", "n"), "/v1/chat/completions": answer}) as server:
        there = lab.connect("gpu", server.url, probe="ask")

    assert [(one.capabilities.tools, one.capabilities.schema) for one in there.models] == [(False, True)] * 2
    assert [body["max_tokens"] for body in server.bodies] == [1, 1, 1]
    assert any("it counts tokens" in note for note in there.notes)


def test_a_server_that_does_not_answer_a_question_says_nothing_of_its_tokens():
    """Nor of tools: what is not known is not refused. A list that was not read took no time."""
    with Server({"/v1/models": listing("m"), "/v1/chat/completions": lambda body: (500, {})}) as server:
        there = lab.connect("gpu", server.url, probe="ask")
        unread = lab.connect("gpu", server.url, probe=False, models=["m"])

    assert any("whether it counts tokens is not known" in note for note in there.notes)
    assert there.models[0].capabilities.tools
    assert there.latency_ms > 0
    assert unread.latency_ms is None


# ----------------------------------------------------------------------------------------------------- ways


def wire(preset, **options):
    """The body that a server with these ways gets."""
    with Server({"/v1/models": listing("m"), "/v1/chat/completions": ANSWER}) as server:
        lab.connect("gpu", server.url, "k", preset=preset, gpu_hour=0)
        with lab.Client(ledger=":memory:") as client:
            client.inference.create("gpu/m", "hi", **options)
    return server.bodies[-1]


def test_a_seed_is_called_what_the_server_calls_it():
    """Mistral: `random_seed`."""
    body = wire("mistral", seed=7)

    assert (body.get("random_seed"), "seed" in body) == (7, False)


def test_azure_takes_the_newer_name_of_the_limit():
    """Its reasoning models refuse `max_tokens`."""
    assert wire("azure", max_tokens=5).get("max_completion_tokens") == 5


def test_what_a_server_does_not_know_is_refused_before_it_is_sent():
    """Groq answers 400 to logit_bias, after the question travelled."""
    with pytest.raises(errors.InvalidRequestError, match="logit_bias"):
        wire("groq", logit_bias={"5": 1})


@pytest.mark.parametrize(
    ("entry", "beside", "expected"),
    [
        ({"max_model_len": 8192}, None, {"context": 8192}),
        ({"context_window": 131072}, None, {"context": 131072}),
        ({"max_context_length": 32768, "capabilities": {"completion_chat": True, "function_calling": True, "vision": False}}, None,
         {"context": 32768, "tools": True, "images": False}),
        ({"context_length": 4096, "supported_parameters": ["tools", "temperature", "stop"], "architecture": {"input_modalities": ["text"]}}, None,
         {"context": 4096, "tools": True, "schema": False, "seed": False, "images": False}),
        ({}, {"capabilities": ["completion", "vision"], "context_length": 2048}, {"context": 2048, "images": True, "tools": False}),
        ({}, {"type": "vlm", "max_context_length": 77}, {"images": True, "context": 77}),
        ({"supports_tools": False, "supports_image_input": True}, None, {"tools": False, "images": True}),
        ({"max_model_len": "many"}, None, {"context": None}),
        ({"max_model_len": -5, "context_length": 10**12}, None, {"context": None}),
        ({"max_model_len": True}, None, {"context": None}),
    ],
)  # fmt: skip
def test_capabilities_are_read_from_what_each_kind_of_server_lists(entry, beside, expected):
    """vLLM, Groq, Mistral, OpenRouter, Ollama, LM Studio, Fireworks; lies are left out."""
    known = facts.of_model({"id": "m", **entry}, beside).capabilities

    assert {name: getattr(known, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("pricing", "line"),
    [
        ({"prompt": "0.0000005", "completion": "0.000002"}, (0.5, 2.0)),
        ({"prompt": "0", "completion": "0"}, (0.0, 0.0)),
        ({"prompt": "-1", "completion": "-1"}, None),
        ({"input": 0.18, "output": 0.2}, (0.18, 0.2)),
        ({"input": 0, "output": 0}, None),
        ({"prompt": "nan", "completion": "x"}, None),
        ("free", None),
    ],
)
def test_prices_are_read_where_they_are_told(pricing, line):
    """OpenRouter a token, Together a million; what is unknown is no 0."""
    found = facts.of_model({"id": "m", "pricing": pricing}).price

    assert (None if found is None else (found.input, found.output)) == line


@pytest.mark.parametrize(
    "entry", [{"type": "embedding"}, {"capabilities": {"completion_chat": False}}, {"supports_chat": False}, {"id": ""}, {"id": 7}, {"id": "a\n"}]
)  # fmt: skip
def test_what_does_not_chat_is_not_offered(entry):
    """Embedders, names that are none."""
    assert facts.of_model({"id": "m", **entry}) is None


# ------------------------------------------------------------------------------------------------------ hours


def metered(*events):
    """Shares of questions by name: events are (second, name), the first of a name enters it, the second leaves."""
    now = 0.0
    meter, inside, shares = Meter(lambda: now), {}, {}
    for now, name in events:  # noqa: B007 -- the meter's clock reads it
        if name in inside:
            context, seconds = inside.pop(name)
            shares[name] = seconds()
            context.__exit__(None, None, None)
        else:
            context = meter.running()
            inside[name] = context, context.__enter__()
    return shares


def test_a_question_alone_pays_all_of_its_time_and_those_together_pay_the_machines_once():
    """a: 0 to 10; b: 4 to 8 and c: 6 to 20 beside it. The machine was busy for 20 s, then idle, then for 5 s."""
    shares = metered((0, "a"), (4, "b"), (6, "c"), (8, "b"), (10, "a"), (20, "c"), (30, "d"), (35, "d"))

    assert shares == pytest.approx({"a": 4 + 1 + 2 / 3 + 1, "b": 1 + 2 / 3, "c": 2 / 3 + 1 + 10, "d": 5})
    assert sum(shares.values()) == pytest.approx(25)


def test_one_that_breaks_off_used_the_machine_while_it_was_there():
    """Its share is nobody's: b pays its own only, though a never said what it took."""
    now = 0.0
    meter = Meter(lambda: now)
    with meter.running() as seconds:
        with meter.running():
            now = 10.0
        now = 14.0
        paid = seconds()

    assert paid == 5 + 4


def test_hours_become_cost():
    """Latency x rate for a question alone, instead of tokens; the rate's source is kept."""
    with Server({"/v1/models": listing("m"), "/v1/chat/completions": ANSWER}) as server:
        lab.connect("vllm", server.url, gpu_hour=2.5)
        with lab.Client(ledger=":memory:") as client:
            answer = client.inference.create("vllm/m", "hi")
            record = client.inference.get(answer.id)

    assert answer.cost.amount == pytest.approx(2.5 * answer.latency_ms / 3.6e6, rel=0.2)
    assert answer.usage.completion_tokens == 1
    assert record.inference.cost.amount == answer.cost.amount
    assert "$2.5 an hour of vllm" in prices.line("vllm/m").source
    assert "$2.5 an hour of vllm" in repr(catalog.described(catalog.find("vllm/m")))


def test_a_rate_holds_for_one_model_or_for_a_provider_and_a_price_of_tokens_goes_before():
    """The nearest wins."""
    lab.prices.gpu_hour("vllm", 2.0)
    lab.prices.gpu_hour("vllm/big", 8.0)
    lab.prices.set("vllm/sold", input=1.0, output=1.0)

    assert ["$8 an hour" in prices.line("vllm/big").source, "$2 an hour" in prices.line("vllm/other").source] == [
        True,
        True,
    ]
    assert prices.line("vllm/sold").input == 1.0
    assert prices.cost(Usage(prompt_tokens=1, completion_tokens=1, charged=None), prices.line("vllm/big")) is None


def test_a_budget_holds_an_hours_worth_until_the_deadline():
    """What a question may cost is its deadline at the rate: none without one."""
    with emulator.start() as emu:
        lab.connect("vllm", f"{emu.url}/v1", gpu_hour=3600.0)
        with lab.Client(ledger=":memory:") as client:
            ask = {"model": "vllm/gpt-4", "messages": "hi", "timeout": 30}
            with pytest.raises(errors.BudgetExceededError):
                client.inference.create(**ask, cost_optimization={"enabled": True, "max_cost": 29})
            answered = client.inference.create(**ask, cost_optimization={"enabled": True, "max_cost": 31})

            client.budget(29.0, per="session")
            with pytest.raises(errors.BudgetExceededError):
                client.inference.create(**ask)
            client.budget(31.0, per="session")
            within = client.inference.create(**ask)

    assert answered.cost.amount < 30
    assert within.cost.amount < 30


@pytest.mark.parametrize("usd", [-1, float("nan"), float("inf"), True, "2"])
def test_a_rate_that_is_none_is_refused(usd):
    """By name."""
    with pytest.raises(errors.InvalidRequestError, match="no amount of USD per hour"):
        lab.prices.gpu_hour("vllm", usd)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("ft:gpt-4o-mini-2024-07-18:org::id", (0.3, 1.2)),
        ("ft:gpt-4.1-mini-2025-04-14:org::id", (0.8, 3.2)),
        ("ft:gpt-3.5-turbo-0125:org::id", (3.0, 6.0)),
        ("ft:gpt-4:org::id", None),
    ],
)
def test_a_fine_tune_has_the_price_line_of_its_bases_fine_tunes(name, line):
    """Never the base's own; its quality is not known."""
    found = prices.line(name)

    assert (None if found is None else (found.input, found.output)) == line
    assert lab.quality.get(name) is None
    assert catalog.find(name).capabilities == catalog.find(name.split(":")[1]).capabilities
