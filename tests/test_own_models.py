"""`@lab.model("mine")`: a function is a model like any other, for the default client and for new ones."""

from __future__ import annotations

import asyncio
import threading

import pytest

import prsm_lab as lab
from prsm_lab import catalog, errors
from prsm_lab.client import registry
from prsm_lab.engine import portal

pytestmark = pytest.mark.filterwarnings("ignore:No price is known")


@pytest.fixture(autouse=True)
def clean():
    yield
    for name in registry.given():
        registry.drop(name)


def ask(prompt="two words", model="mine", **options):
    with lab.Client(ledger=":memory:") as client:
        return client.inference.create(model, prompt, **options)


def whole(prompt: str) -> str:
    return f"{prompt}!"


def pieces(prompt: str):
    yield from (prompt, "!")


async def awaited(prompt: str) -> str:
    await asyncio.sleep(0)
    return f"{prompt}!"


async def streamed(prompt: str):
    for piece in (prompt, "!"):
        yield piece


@pytest.mark.parametrize("function", [whole, pieces, awaited, streamed], ids=lambda one: one.__name__)
def test_every_kind_of_function_answers_and_streams(function):
    """Text, generator, coroutine, async generator; the function itself stays what it is."""
    assert lab.model("mine")(function) is function
    with lab.Client(ledger=":memory:") as client:
        answer = client.inference.create("mine", "hi")
        with client.inference.stream("mine", "hi") as stream:
            said = [piece.content for piece in stream]

    assert (answer.content, answer.provider, answer.model) == ("hi!", "mine", "mine")
    assert "".join(said) == "hi!"
    assert len(said) == (2 if function in (pieces, streamed) else 1)


def test_the_default_client_has_it_at_once_and_frames_ask_it():
    """A cell that defines it, a cell that compares it."""
    lab.default_client()
    lab.model("mine")(whole)
    lab.model("other")(lambda prompt: prompt[::-1])
    found = lab.compare(["ab", "cd"], "{text}", models=["mine", "other"], progress=False)

    assert found["response"].tolist() == ["ab!", "ba", "cd!", "dc"]
    assert {"mine", "other"} <= set(lab.models()["model"])


def test_a_cell_that_is_run_again_replaces_it():
    """In the default client too, and for questions that were asked before."""
    lab.model("mine")(whole)
    first = lab.infer("hi", model="mine", progress=False)
    lab.model("mine")(str.upper)
    again = lab.infer("hi", model="mine", progress=False)

    assert [first["response"][0], again["response"][0]] == ["hi!", "HI"]


def test_it_runs_off_the_engines_loop():
    """A sync function and a sync generator in worker threads: others are answered meanwhile."""
    threads = []

    @lab.model("mine")
    def slow(prompt):
        threads.append(threading.current_thread())
        yield prompt
        threads.append(threading.current_thread())

    ask()
    loop = portal.call(_here())

    assert len(threads) == 2
    assert loop not in threads


async def _here():
    return threading.current_thread()


def test_tokens_are_estimated_and_the_usage_says_so():
    """Nobody counted: an estimate that passes for a count would be a lie."""
    lab.model("mine")(whole)
    used = ask("The quick brown fox jumps over the lazy dog.").usage

    assert used.estimated is True
    assert 7 <= used.prompt_tokens <= 14
    assert 7 <= used.completion_tokens <= 15


class Encoder:
    """As `tokenizers.Tokenizer`: an encoding has `ids`."""

    def encode(self, text):
        return type("Encoding", (), {"ids": text.split()})()


@pytest.mark.parametrize("tokenizer", [lambda text: len(text.split()), str.split, Encoder()], ids=["number", "list", "encode"])  # fmt: skip
def test_a_tokenizer_counts(tokenizer):
    """All messages, and the answer."""
    lab.model("mine", tokenizer=tokenizer)(whole)
    used = ask([{"role": "system", "content": "be brief"}, {"role": "user", "content": "one two three"}]).usage

    assert (used.prompt_tokens, used.completion_tokens, used.estimated) == (5, 3, None)


def test_its_cost_is_unknown_until_somebody_says_it():
    """NA, never 0; then by tokens, or by the hour."""
    lab.model("mine", tokenizer=str.split)(whole)
    unknown = ask().cost.amount
    lab.prices.set("mine", input=1e6, output=0)
    by_tokens = ask("a b c").cost.amount
    lab.prices.reset()
    lab.prices.gpu_hour("mine", 3600.0)
    by_hours = ask()
    lab.prices.reset()

    assert (unknown, by_tokens) == (None, 3.0)
    assert by_hours.cost.amount == pytest.approx(by_hours.latency_ms / 1000, rel=0.5)


def test_it_gets_the_options_that_it_has_parameters_for():
    """By name, or all."""
    heard = []

    @lab.model("some")
    def some(prompt, temperature=None, *, max_tokens=None, unrelated="kept"):
        heard.append((temperature, max_tokens, unrelated))
        return "ok"

    @lab.model("all")
    def everything(messages, **options):
        heard.append((len(messages), options["seed"], options["model"]))
        return "ok"

    ask(model="some", temperature=0.5, max_tokens=9, seed=1)
    ask(model="all", seed=3)

    assert heard == [(0.5, 9, "kept"), (1, 3, "all")]


def test_a_schema_is_asked_for_in_the_prompt():
    """A function has no structured mode; what it answers is checked as any model's."""
    heard = []

    @lab.model("mine")
    def speak(messages):
        heard.append(str(messages))
        return '{"n": 5}'

    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    answer = ask(schema=schema)

    assert answer.structured == "prompt"
    assert "integer" in heard[0]


@pytest.mark.parametrize(("name", "said"), [("gpt-4", "something else"), ("local", "something else"), ("a/b", "no name"), ("", "no name"), (7, "no name")])  # fmt: skip
def test_a_name_that_is_taken_or_none_is_refused(name, said):
    """A function must not pass for GPT-4."""
    with pytest.raises(errors.InvalidRequestError, match=said):
        lab.model(name)


def test_what_is_no_function_is_refused():
    """Nothing is kept of it."""
    with pytest.raises(errors.InvalidRequestError, match="is no function"):
        lab.model("mine")("text")
    with pytest.raises(errors.InvalidRequestError, match="tokenizer"):
        lab.model("mine", tokenizer=5)

    assert registry.given() == {}


@pytest.mark.parametrize("fault", [ValueError("sk-secretsecretsecret"), StopIteration()])
def test_what_it_raises_is_the_models_fault(fault):
    """Typed, without what may be a key."""

    @lab.model("mine")
    def broken(prompt):
        raise fault

    with pytest.raises(errors.ProviderError, match="The function behind 'mine' raised") as raised:
        ask()
    assert "sk-secret" not in raised.value.message


def test_a_tokenizer_that_fails_loses_no_answer_silently():
    """The error keeps the text."""
    lab.model("mine", tokenizer=lambda text: 1 / 0)(whole)
    with pytest.raises(errors.ProviderError, match="The tokenizer of 'mine'") as raised:
        ask()

    assert raised.value.partial.text == "two words!"


def test_a_client_that_was_given_another_under_the_name_keeps_its_own():
    """Nearer wins."""
    lab.model("mine")(whole)
    with lab.Client(ledger=":memory:", providers={"mine": lambda prompt: "own"}) as client:
        assert client.inference.create("mine", "hi").content == "own"


def test_a_model_that_was_taken_away_is_unknown():
    """To the default client too."""
    lab.default_client()
    lab.model("mine")(whole)
    lab.disconnect("mine")

    with pytest.raises(errors.NotFoundError, match="Unknown model 'mine'"):
        ask()
    assert "mine" not in lab.default_client().reach.names


def test_a_mocked_client_mocks_it_too():
    """No function runs in mock mode."""
    lab.model("mine")(lambda prompt: 1 / 0)
    with lab.Client(ledger=":memory:", mock_mode=True) as client:
        assert client.inference.create("mine", "hi").content.startswith("[mock mine]")
    assert catalog.find("mine").provider == "mine"
