"""OpenAI's own JavaScript SDK against the share server, unmodified; every answer and chunk is one of its types."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from node import NODE, PACKAGES, needs_node, packages, player, run, staying, tsc  # noqa: F401 -- fixtures

import prsm_lab as lab
from prsm_lab import emulator
from prsm_lab.emulator import Rule

USE = """
import OpenAI from 'openai';
const client = new OpenAI(); // OPENAI_API_KEY and OPENAI_BASE_URL
const { completions } = client.chat;
const HELLO = [{ role: 'user', content: 'hi' }];
const ASK = { model: 'gpt-4', messages: HELLO };
const TOOL = { type: 'function', function: { name: 'weather',
  parameters: { type: 'object', properties: { city: { type: 'string' } } } } };
const SCHEMA = { type: 'object', properties: { a: { type: 'string' } }, required: ['a'], additionalProperties: false };
"""
MODELS = ("gpt-4", "gpt-6-sol", "claude-haiku-4-5", "mixtral")

pytestmark = [needs_node, pytest.mark.timeout(180), pytest.mark.filterwarnings("ignore:.*price:UserWarning")]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, packages: Path) -> Path:  # noqa: F811
    """A user's project with the SDK installed; skips where it needs another Node."""
    place = tmp_path_factory.mktemp("project")
    (place / "node_modules").symlink_to(packages, target_is_directory=True)
    done = run(NODE, "--input-type=module", "--eval", "import 'openai'", cwd=place)
    if done.returncode:
        pytest.skip(f"{PACKAGES[0]} does not load in this Node: {done.stderr.strip()[-300:]}")
    return place


@pytest.fixture(scope="module")
def emu() -> Iterator[Any]:
    with emulator.start() as running:
        yield running


@pytest.fixture(scope="module")
def share(emu: Any) -> Iterator[Any]:
    """A server that asks each provider once, so that what is retried is retried by the SDK."""
    with (
        lab.Client(ledger=":memory:", providers=emu.providers(), max_retries=0) as client,
        lab.serve(client) as share,
    ):
        yield share


@pytest.fixture(scope="module")
def key(share: Any) -> str:
    return str(share.new_key("ana", tier="Enterprise"))


@pytest.fixture
def script(project: Path, player: Any, share: Any, key: str, emu: Any) -> Callable[..., Any]:  # noqa: F811
    """Run a script of a user against the server; what it leaves in `out`."""
    emu.clear()

    def play(source: str, key: str = key) -> Any:
        return player.play(USE + source, where=project, OPENAI_API_KEY=key, OPENAI_BASE_URL=f"{share.url}/v1")

    return play


def test_an_answer(script):
    """With its options, and with several choices."""
    out = script("""
        out.answer = await completions.create({ ...ASK, temperature: 0, seed: 1, stop: ['\\n'], max_tokens: 30, user: 'u' });
        out.several = await completions.create({ ...ASK, n: 3 });
    """)
    answer = out["answer"]
    assert (answer["object"], answer["choices"][0]["finish_reason"]) == ("chat.completion", "stop")
    assert answer["choices"][0]["message"]["content"]
    assert answer["usage"]["total_tokens"] == answer["usage"]["prompt_tokens"] + answer["usage"]["completion_tokens"]
    assert [choice["index"] for choice in out["several"]["choices"]] == [0, 1, 2]


@pytest.mark.parametrize("usage", [True, False], ids=["usage", "no usage"])
def test_a_stream(script, usage):
    """Role first, text in pieces, a finish reason, usage last and only where it was asked for."""
    chunks = script(f"""
        out.chunks = [];
        const stream = await completions.create({{ ...ASK, stream: true, stream_options: {{ include_usage: {json.dumps(usage)} }} }});
        for await (const chunk of stream) out.chunks.push(chunk);
    """)["chunks"]
    spoken = [chunk["choices"][0] for chunk in chunks if chunk["choices"]]

    assert spoken[0]["delta"]["role"] == "assistant"
    assert len([piece for piece in spoken if piece["delta"].get("content")]) > 1
    assert spoken[-1]["finish_reason"] == "stop"
    assert [chunk["usage"]["total_tokens"] > 0 for chunk in chunks if "usage" in chunk] == [True] * usage
    assert "usage" not in chunks[0]
    assert len({chunk["id"] for chunk in chunks}) == 1


def test_the_sdk_puts_a_stream_together(script):
    """Its own helper gathers text, tool calls and usage from the chunks."""
    out = script("""
        const usage = { stream_options: { include_usage: true } };
        out.text = await completions.stream({ ...ASK, ...usage }).finalChatCompletion();
        out.whole = await completions.create(ASK);
        out.call = await completions.stream({ ...ASK, model: 'gpt-4o', tools: [TOOL], tool_choice: 'required' }).finalMessage();
    """)
    assert out["text"]["choices"][0]["message"]["content"] == out["whole"]["choices"][0]["message"]["content"]
    assert out["text"]["usage"]["total_tokens"] > 0
    (call,) = out["call"]["tool_calls"]
    assert call["function"]["name"] == "weather"
    assert isinstance(json.loads(call["function"]["arguments"]), dict)


def test_tools_go_there_and_back(script):
    """A call, its arguments, and the answer to it."""
    out = script("""
        const ask = { model: 'gpt-4o', tools: [TOOL] };
        out.answer = await completions.create({ ...ask, messages: HELLO, tool_choice: 'required' });
        const { message } = out.answer.choices[0];
        const result = { role: 'tool', tool_call_id: message.tool_calls[0].id, content: 'sun' };
        out.again = await completions.create({ ...ask, messages: [...HELLO, message, result] });
    """)
    (choice,) = out["answer"]["choices"]
    assert (choice["finish_reason"], choice["message"]["tool_calls"][0]["function"]["name"]) == (
        "tool_calls",
        "weather",
    )
    assert out["again"]["choices"][0]["message"]["content"]


def test_a_schema_reaches_the_provider_and_is_parsed(script, emu):
    """As structured output, under its own name."""
    out = script("""
        const form = { type: 'json_schema', json_schema: { name: 'mine', schema: SCHEMA, strict: true } };
        const answer = await completions.parse({ ...ASK, model: 'gpt-4o', response_format: form });
        out.parsed = answer.choices[0].message.parsed;
    """)
    sent = emu.log.entries[-1].body["response_format"]["json_schema"]
    assert (sent["name"], sent["strict"], sent["schema"]["required"]) == ("mine", True, ["a"])
    assert isinstance(out["parsed"]["a"], str)


def test_models(script):
    """The list, page by page as the SDK reads it, and one of them; an id may hold a slash."""
    out = script("""
        out.list = [];
        for await (const model of client.models.list()) out.list.push(model);
        out.one = await client.models.retrieve('gpt-4');
        out.slashed = (await client.models.retrieve('some-one/a-model')).id;
    """)
    assert out["one"] in out["list"]
    assert out["slashed"] == "some-one/a-model"


CAUGHT = """
    const caught = async (promise) => {
      const error = await promise.then(() => ({}), (error) => error);
      const kinds = Object.keys(OpenAI).filter((name) => name.endsWith('Error') && error.constructor === OpenAI[name]);
      return { kinds, status: error.status, code: error.code, param: error.param, type: error.type, id: error.requestID };
    };
    const once = new OpenAI({ maxRetries: 0, timeout: 20_000 });
"""


def test_errors_of_the_server_are_the_sdks_own(script):
    """With status, code, parameter and the id of the request."""
    out = script(
        CAUGHT
        + """
        const wrong = new OpenAI({ apiKey: 'sk-wrong', maxRetries: 0 });
        out.key = await caught(wrong.models.list());
        out.chat = await caught(wrong.chat.completions.create(ASK));
        out.value = await caught(once.chat.completions.create({ ...ASK, temperature: 'hot' }));
        out.name = await caught(once.chat.completions.create({ ...ASK, api_base: 'http://evil' }));
        out.model = await caught(once.chat.completions.create({ ...ASK, model: 'nope', stream: true }));
        """
    )
    assert {name: (*error["kinds"], error["status"]) for name, error in out.items()} == {
        "key": ("AuthenticationError", 401), "chat": ("AuthenticationError", 401), "value": ("BadRequestError", 400),
        "name": ("BadRequestError", 400), "model": ("NotFoundError", 404),
    }  # fmt: skip
    assert all(error["id"].startswith("req_") for error in out.values())
    assert (out["value"]["param"], out["value"]["type"]) == ("temperature", "invalid_request_error")
    assert (out["name"]["param"], out["chat"]["type"]) == ("api_base", "authentication_error")


def test_errors_of_the_provider_are_the_sdks_own(script, emu):
    """Passed on in OpenAI's words; the server asks for a retry only where one may help."""
    kinds = {
        "401": "AuthenticationError", "400": "BadRequestError", "404": "NotFoundError", "429": "RateLimitError",
        "500": "InternalServerError",
    }  # fmt: skip
    for status in kinds:
        emu.add(Rule(status, contains=f"say {status}"))
    out = script(
        CAUGHT
        + f"""
        for (const status of {json.dumps(list(kinds))}) {{
          const messages = [{{ role: 'user', content: `say ${{status}}` }}];
          out[status] = await caught(once.chat.completions.create({{ ...ASK, messages }}));
        }}
        """
    )
    assert {status: error["kinds"] for status, error in out.items()} == {s: [kind] for s, kind in kinds.items()}
    assert all(error["code"] for error in out.values())


@pytest.mark.parametrize(("status", "live"), [("503", False), ("429", True)], ids=["whole", "stream"])
def test_the_sdk_retries_what_failed_for_a_moment(script, emu, status, live):
    """A fault of the provider, told so that the SDK asks again."""
    emu.add(Rule(status, retry_after="0.1", times=1))
    out = script(f"""
        const answer = await completions.create({{ ...ASK, stream: {json.dumps(live)} }});
        out.content = answer.choices?.[0].message.content ?? '';
        if ({json.dumps(live)}) for await (const chunk of answer) out.content += chunk.choices[0].delta.content ?? '';
    """)
    assert out["content"]
    assert len(emu.log) == 2


def test_the_sdk_waits_where_the_house_is_full(script, share, emu):
    """429 with `Retry-After` of the server's own limits: two at once is all that Free allows."""
    emu.add(Rule("slow", seconds=0.5))
    before = share.counts["requests"]
    out = script(
        """
        const patient = new OpenAI({ maxRetries: 5 });
        const ask = (seed) => patient.chat.completions.create({ ...ASK, seed });
        out.answers = (await Promise.all([1, 2, 3, 4].map(ask))).map((answer) => answer.choices.length);
        """,
        key=share.new_key("ben", tier="Free"),
    )
    assert out["answers"] == [1, 1, 1, 1]
    assert share.counts["requests"] > before + 4


def test_a_fault_in_a_stream_is_an_error(script, emu):
    """Not a short answer."""
    emu.add(Rule("mid_reset", pieces=4))
    out = script("""
        out.text = '';
        try {
          for await (const chunk of await completions.create({ ...ASK, stream: true })) out.text += chunk.choices[0].delta.content ?? '';
        } catch (error) {
          out.error = error instanceof OpenAI.APIError;
        }
    """)
    assert out["error"] is True
    assert out["text"]


@pytest.mark.parametrize("leave", ["break;", "stream.controller.abort();"], ids=["break", "abort"])
def test_leaving_a_stream_stops_the_provider(project, share, key, emu, leave):
    """What nobody reads is not paid."""
    emu.clear()
    emu.add(Rule("stall", pieces=2))
    source = f"""
        const stream = await completions.create({{ ...ASK, stream: true }});
        for await (const chunk of stream) if (chunk.choices[0].delta.content) {leave}
        console.log('left');
    """
    with staying(USE + source, cwd=project, OPENAI_API_KEY=key, OPENAI_BASE_URL=f"{share.url}/v1") as user:
        assert user.stdout.readline() == "left\n"
        emu.log.wait_for(lambda log: len(log) > 0 and log.entries[0].peer_closed is not None)
    assert emu.log.entries[0].done is None


def test_whoever_answers_it_is_openais_type(script, project, tsc):  # noqa: F811
    """The compiler finds no field missing, none too many, and none of another type, for each provider behind."""
    out = script(f"""
        Object.assign(out, {{ answers: [], chunks: [], models: (await client.models.list()).data }});
        for (const model of {json.dumps(MODELS)}) {{
          const ask = {{ model, messages: HELLO, max_completion_tokens: 50 }};
          out.answers.push(await completions.create(ask), await completions.create({{ ...ask, tools: [TOOL] }}));
          for (const more of [{{ stream_options: {{ include_usage: true }} }}, {{ tools: [TOOL] }}]) {{
            for await (const chunk of await completions.create({{ ...ask, ...more, stream: true }})) out.chunks.push(chunk);
          }}
        }}
    """)
    types = {"answers": "Chat.ChatCompletion", "chunks": "Chat.ChatCompletionChunk", "models": "Model"}
    for name, kind in types.items():
        typed = f"import type OpenAI from 'openai';\nexport const {name}: OpenAI.{kind}[] = {json.dumps(out[name])};\n"
        (project / f"{name}.ts").write_text(typed, encoding="utf-8")
    done = run(
        tsc, "--strict", "--noEmit", "--skipLibCheck", "--target", "es2022", "--module", "nodenext",
        "--exactOptionalPropertyTypes", *(f"{name}.ts" for name in types), cwd=project,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "")
    assert len(out["answers"]) == 2 * len(MODELS)
