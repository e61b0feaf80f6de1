"""The JavaScript SDK: its own tests, the seed's snippet, its types, and its calls against a real share server."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from node import NODE, needs_node, packages, player, run, staying, tsc  # noqa: F401 -- fixtures

import prsm_lab as lab
from prsm_lab import ask, emulator
from prsm_lab.emulator import Rule
from prsm_lab.server import reports
from prsm_lab.types import Key, Report, Routing

SDK = Path(__file__).parent.parent / "sdks" / "js"
SEED = (Path(__file__).parent / "golden" / "seed.md").read_text(encoding="utf-8")
DIGEST = "217ce41199ac104135766b6ef3369a20cc7849ef52224a240056df6fe7880acb"  # of the snippet
SAID = "Grüße, 你好 👩‍🚀"
ASK = "const ASK = { model: 'gpt-3.5-turbo', messages: [{ role: 'user', content: 'Hi' }] };\n"
USE = "import * as sdk from '@prsm/sdk';\nconst client = new sdk.PRSM();\n" + ASK

pytestmark = [needs_node, pytest.mark.timeout(180)]


def test_its_own_tests_pass():
    """`node --test`, over real sockets."""
    done = run(NODE, "--test", "--test-concurrency=4", "--test-reporter=tap", cwd=SDK)
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(re.findall(r"(?m)^# pass (\d+)", done.stdout)[0]) > 90  # they were found


def test_the_package_is_what_it_says():
    """No dependency, nothing to build, and every file that it names is there."""
    package = json.loads((SDK / "package.json").read_text(encoding="utf-8"))
    assert (package["name"], package["type"], package["license"]) == ("@prsm/sdk", "module", "MIT")
    assert not {"dependencies", "peerDependencies", "optionalDependencies", "devDependencies"} & set(package)
    assert all((SDK / path).is_file() for path in package["exports"]["."].values())
    assert all((SDK / path).exists() for path in package["files"])


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A user's project with the SDK installed."""
    (tmp_path / "node_modules" / "@prsm").mkdir(parents=True)
    (tmp_path / "node_modules" / "@prsm" / "sdk").symlink_to(SDK, target_is_directory=True)
    return tmp_path


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[str, str]]:
    """The address of a share server whose models are made up, and a key to it."""
    responses = {
        "*": {"content": SAID},
        "gpt-4": {"error": "rate_limit"},
        "gpt-4o": {"content": SAID, "break_after": 1},
    }
    with (
        lab.Client(mock_mode=True, ledger=":memory:", mock_responses=responses) as client,
        lab.serve(client) as share,
    ):
        yield share.url, share.new_key("ana", tier="Pro")


@pytest.fixture
def script(project: Path, player: Any, server: tuple[str, str]) -> Callable[..., Any]:  # noqa: F811
    """Run a script of a user against a server; what it leaves in `out`."""

    def play(source: str, server: tuple[str, str] = server) -> Any:
        return player.play(USE + source, where=project, PRSM_API_URL=server[0], PRSM_API_KEY=server[1])

    return play


def interface(name: str) -> set[str]:
    """The names of an interface's own fields."""
    types = (SDK / "index.d.ts").read_text(encoding="utf-8")
    (body,) = re.findall(rf"export interface {name} (?:extends \w+ )?{{\n(.*?)\n}}", types, re.DOTALL)
    return set(re.findall(r"(?m)^  (?:readonly )?(\w+)\??:", body))


# ------------------------------------------------------------------------------------------------- the seed


def snippet() -> str:
    """The seed's, byte for byte."""
    (found,) = re.findall(r"```javascript\n(.*?)```", SEED, re.DOTALL)
    assert hashlib.sha256(found.encode()).hexdigest() == DIGEST
    return found


def test_the_seeds_snippet_runs_as_written(project, server):
    """Its key is a placeholder: something in front of the server changes it for a real one, as a proxy may."""
    (project / "main.mjs").write_text(snippet(), encoding="utf-8")
    (project / "proxy.mjs").write_text(
        "const plain = fetch;\n"
        "globalThis.fetch = (url, { headers, ...rest }) => {\n"
        "  if (headers.Authorization !== 'Bearer your-api-key') throw new Error('another key was sent');\n"
        "  return plain(url, { ...rest, headers: { ...headers, Authorization: `Bearer ${process.env.REAL_KEY}` } });\n"
        "};\n",
        encoding="utf-8",
    )
    done = run(NODE, "--import", "./proxy.mjs", "main.mjs", cwd=project, PRSM_API_URL=server[0], REAL_KEY=server[1])
    assert (done.returncode, done.stdout, done.stderr) == (0, SAID, "")


def test_the_seeds_snippet_with_a_wrong_key_says_so(project, server):
    """The placeholder itself is refused by the server."""
    (project / "main.mjs").write_text(snippet(), encoding="utf-8")
    done = run(NODE, "main.mjs", cwd=project, PRSM_API_URL=server[0])
    assert done.returncode != 0
    assert "AuthenticationError" in done.stderr
    assert "your-api-key" not in re.sub(r"(?m)^.*main\.mjs.*$", "", done.stderr)


# --------------------------------------------------------------------------------------------------- the README


def test_the_readme_runs_as_written(project):
    """All its snippets, in order, on a server of their own; the page among them runs in test_sdk_js_browser.py."""
    code = re.findall(r"```javascript\n(.*?)```", (SDK / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    (project / "main.mjs").write_text("\n".join(code), encoding="utf-8")
    said = {"*": {"content": SAID}}
    with lab.Client(mock_mode=True, ledger=":memory:", mock_responses=said) as client, lab.serve(client) as share:
        key = share.new_key("ana", tier="Pro")
        done = run(NODE, "main.mjs", cwd=project, PRSM_API_URL=share.url, PRSM_API_KEY=key)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(code) == 5
    assert done.stdout.count(SAID) == 8  # one answer, one stream, three results twice
    assert re.search(r"(?m)^invalid_request 400 temperature req_\w+$", done.stdout)


# ---------------------------------------------------------------------------------------- the real share server


def test_create_and_get(script):
    """The answer with its numbers, and the server's record of it."""
    out = script("""
        const answer = await client.inference.create(ASK);
        const record = await client.inference.get(answer.id);
        Object.assign(out, { answer, record, contents: [answer.content, record.content] });
    """)
    assert out["contents"] == [SAID, SAID]
    assert set(out["answer"]) == interface("Inference") - {"content"}
    assert set(out["record"]) <= interface("InferenceRecord")
    assert out["answer"]["usage"]["total_tokens"] > 0
    assert out["answer"]["cost"]["amount"] > 0
    assert (out["record"]["id"], out["record"]["status"]) == (out["answer"]["id"], "completed")


def test_the_same_idempotency_key_is_paid_once(script):
    """And with another body it is a conflict, told at once."""
    out = script("""
        const options = { idempotencyKey: 'once' };
        const [first, second] = [await client.inference.create(ASK, options), await client.inference.create(ASK, options)];
        const error = await client.inference.create({ ...ASK, seed: 1 }, options).catch((caught) => caught);
        Object.assign(out, { ids: [first.id, second.id], error: [error.name, error.status, error.retryAfter] });
    """)
    assert out["ids"][0] == out["ids"][1]
    assert out["error"] == ["ConflictError", 409, None]


def test_in_the_background(script):
    """An id at once, the answer when it is there."""
    out = script("""
        const begun = await client.inference.create({ ...ASK, background: true });
        let record;
        do record = await client.inference.get(begun.id); while (record.status === 'running');
        Object.assign(out, { begun, content: record.content, before: begun.content });
    """)
    assert (out["begun"]["status"], out["before"], out["content"]) == ("running", "", SAID)


def test_a_stream(script):
    """Chunks in order, then the whole with its numbers."""
    out = script("""
        const stream = await client.inference.stream(ASK);
        out.chunks = [];
        for await (const chunk of stream) out.chunks.push(chunk.content);
        out.result = await stream.result();
    """)
    assert "".join(out["chunks"]) == SAID
    assert len(out["chunks"]) > 2
    result = out["result"]
    assert list(result) == [
        "id", "model", "provider", "content", "finish_reason", "usage", "cost", "latency_ms", "ttft_ms", "cached",
    ]  # fmt: skip
    assert (result["content"], result["model"], result["finish_reason"]) == (SAID, "gpt-3.5-turbo", "stop")
    assert result["latency_ms"] > 0
    assert result["cost"]["amount"] > 0


def test_keys_of_an_administrator(script):
    """Made for somebody, used, exchanged, ended; others may not."""
    with lab.Client(mock_mode=True, ledger=":memory:") as client, lab.serve(client) as share:
        out = script(
            """
            const told = (error) => [error.name, error.status];
            const made = await client.keys.create({ name: 'ben', tier: 'Basic', credits: 1.5, expires: '7d' });
            const ben = new sdk.PRSM({ apiKey: made.key });
            out.refused = await ben.keys.list().catch(told);
            out.me = await ben.keys.me();
            const next = await client.keys.rotate(made.id);
            out.other = next.key !== made.key;
            out.old = await ben.models.list().catch(told);
            out.revoked = (await client.keys.revoke(next.id)).revoked;
            out.names = (await client.keys.list()).map((key) => key.name);
            """,
            (share.url, share.new_key("root", scopes=["admin"])),
        )
    assert set(out["me"]) == interface("KeyInfo")
    assert (out["me"]["name"], out["me"]["tier"], out["me"]["credits"]) == ("ben", "Basic", 1.5)
    assert out["refused"] == out["old"] == ["AuthenticationError", 401]
    assert (out["revoked"], out["other"]) == (True, True)
    assert set(out["names"]) == {"root", "ben"}


def test_a_batch_whole_and_one_by_one(script):
    """One bad request spoils no other."""
    out = script("""
        const requests = [{ ...ASK, id: 'a' }, { ...ASK, id: 'bad', model: 'nope' }, { ...ASK, id: 'b' }];
        const seen = ({ id, status, content, error }) => [id, status, content, error?.name ?? null];
        const results = await client.inference.batch(requests, { parallel: 2, fallbackStrategy: 'none' });
        const streamed = client.inference.batchStream(requests);
        out.streamed = [];
        for await (const result of streamed) out.streamed.push([result.index, ...seen(result)]);
        Object.assign(out, { whole: results.map(seen), failed: [results.failed, streamed.summary.failed], cost: results.cost });
    """)
    whole = [["a", "completed", SAID, None], ["bad", "failed", "", "NotFoundError"], ["b", "completed", SAID, None]]
    assert out["whole"] == whole
    assert sorted(out["streamed"]) == [[n, *result] for n, result in enumerate(whole)]
    assert out["failed"] == [1, 1]
    assert out["cost"]["amount"] > 0


def test_models_reports_and_preferences(script):
    """The calls that answer from the books."""
    out = script("""
        await client.inference.create(ASK);
        const { inference, models } = client;
        const list = await models.list();
        Object.assign(out, {
          list, one: await models.get(list[0].id), slashed: (await models.get('some-one/a-model')).id,
          analytics: await inference.analytics({ timeframe: 'last_24_hours', groupBy: ['model', 'day'] }),
          performance: await inference.performance({ model: 'gpt-3.5-turbo', metrics: ['avg_latency', 'p95_latency'] }),
          set: await inference.configureProviders({ primary: 'openai', quality_threshold: 0.5 }),
        });
    """)
    assert "gpt-3.5-turbo" in [model["id"] for model in out["list"]]
    assert out["one"] == out["list"][0]
    assert out["slashed"] == "some-one/a-model"
    assert out["analytics"]["total_requests"] >= 1
    assert {"model", "day", "total_cost"} <= set(out["analytics"]["groups"][0])
    assert out["performance"]["avg_latency"] > 0
    assert (out["set"]["primary"], out["set"]["quality_threshold"]) == ("openai", 0.5)


def test_typed_errors(script):
    """Each of its class, with what the server said."""
    out = script("""
        const caught = async (promise) => {
          const { name, code, status, details, requestId, message } = await promise.then(() => ({}), (error) => error);
          return { name, code, status, details, requestId: Boolean(requestId), message };
        };
        const { inference } = client;
        const once = new sdk.PRSM({ maxRetries: 0 });
        out.key = await caught(new sdk.PRSM({ apiKey: 'pk_wrong' }).models.list());
        out.body = await caught(inference.create({ ...ASK, temperature: 'hot' }));
        out.name = await caught(inference.create({ ...ASK, surprise: 1 }));
        out.model = await caught(inference.stream({ ...ASK, model: 'nope' }));
        out.missing = await caught(inference.get('inf_nowhere'));
        out.limit = await caught(once.inference.create({ ...ASK, model: 'gpt-4' }));
    """)
    assert {name: [error["name"], error["status"]] for name, error in out.items()} == {
        "key": ["AuthenticationError", 401], "body": ["InvalidRequestError", 400], "name": ["InvalidRequestError", 400],
        "model": ["NotFoundError", 404], "missing": ["NotFoundError", 404], "limit": ["RateLimitError", 429],
    }  # fmt: skip
    assert all(error["requestId"] and error["message"] for error in out.values())
    assert out["body"]["details"]["parameter"] == "temperature"


def test_a_stream_that_breaks_is_a_typed_error_with_its_text(script):
    """The provider breaks off after the first piece."""
    out = script("""
        const stream = await client.inference.stream({ ...ASK, model: 'gpt-4o' });
        const { name, partial, status, details } = await stream.result().catch((error) => error);
        Object.assign(out, { name, partial, status, kind: details.kind });
    """)
    assert out == {"name": "ProviderError", "partial": "Grüße,", "status": None, "kind": "truncated"}


def test_a_lost_reply_is_not_paid_twice(script, emu):
    """The answer was on its way when the connection broke; asked again, the server gives it once more."""
    emu.clear()
    with lab.Client(ledger=":memory:", providers=emu.providers()) as client, lab.serve(client) as share:
        out = script(
            """
            out.asked = 0;
            const losing = async (...call) => {
              const response = await fetch(...call);
              if (out.asked++) return response;
              await response.arrayBuffer();
              throw new TypeError('fetch failed');
            };
            out.content = (await new sdk.PRSM({ fetch: losing }).inference.create(ASK)).content;
            out.booked = (await client.inference.analytics()).total_requests;
            """,
            (share.url, share.new_key("ana", tier="Pro")),
        )
    assert (out["asked"], out["booked"], len(emu.log)) == (2, 1, 1)
    assert out["content"]


def test_a_full_house_is_waited_out(script):
    """429 with `Retry-After` comes from the server's own limits: two at once is all that Free allows."""
    slow = {"*": {"content": SAID, "latency_ms": 300}}
    with lab.Client(mock_mode=True, mock_responses=slow, ledger=":memory:") as client, lab.serve(client) as share:
        out = script(
            """
            const asked = await Promise.all([1, 2, 3, 4].map((seed) => client.inference.create({ ...ASK, seed })));
            out.contents = asked.map((answer) => answer.content);
            """,
            (share.url, share.new_key("ben", tier="Free")),
        )
        counted = share.counts["requests"]
    assert out["contents"] == [SAID] * 4
    assert counted > 4


@pytest.fixture(scope="module")
def emu() -> Iterator[Any]:
    """Providers that hang as they are told."""
    with emulator.start() as running:
        yield running


LEAVING = {
    "break": ("stall", "for await (const chunk of await client.inference.stream(ASK)) if (chunk.content) break;"),
    "close": ("stall", "const stream = await client.inference.stream(ASK); stream.close();"),
    "abort in a stream": ("stall", """
        const controller = new AbortController();
        const stream = await client.inference.stream(ASK, { signal: controller.signal });
        try { for await (const chunk of stream) controller.abort('enough'); } catch (reason) { out.reason = reason; }
    """),
    "abort of create": ("hang", """
        const create = client.inference.create(ASK, { signal: AbortSignal.timeout(1500) });
        out.reason = await create.catch((reason) => reason.name);
    """),
    "timeout of create": ("hang", """
        out.reason = await client.inference.create(ASK, { timeout: 1500 }).catch((reason) => reason.name);
    """),
}  # fmt: skip


@pytest.mark.parametrize("way", LEAVING)
def test_leaving_stops_the_provider(way, emu, project):
    """What nobody reads is not paid: the provider's own connection closes while its model would still speak."""
    rule, source = LEAVING[way]
    emu.clear()
    source = "const out = {};\n" + USE + source + "\nconsole.log(JSON.stringify(out));"
    with lab.Client(ledger=":memory:", providers=emu.providers()) as client, lab.serve(client) as share:
        client.inference.create("gpt-4.1-mini", "Hi")  # a busy machine takes its time to load the provider's SDK
        emu.clear()
        emu.add(Rule(rule, pieces=2) if rule == "stall" else Rule(rule))
        key = share.new_key("ana", tier="Pro")
        with staying(source, cwd=project, PRSM_API_URL=share.url, PRSM_API_KEY=key) as user:
            out = json.loads(user.stdout.readline())
            emu.log.wait_for(lambda log: len(log) > 0 and log.entries[0].peer_closed is not None)
    assert emu.log.entries[0].done is None
    reasons = {"abort in a stream": "enough", "abort of create": "TimeoutError", "timeout of create": "TimeoutError"}
    assert out.get("reason") == reasons.get(way)


# --------------------------------------------------------------------------------------------------- the types

TYPED = """
import { PRSM, PRSMError, ProviderError, RateLimitError, TimeoutError } from '@prsm/sdk';
import type { BatchResult, Chunk, Inference, StreamResult } from '@prsm/sdk';

const client = new PRSM({ apiKey: 'k', baseURL: 'http://h', timeout: 1000, maxRetries: 0, fetch });
const ask = { model: 'm', messages: [{ role: 'user', content: 'Hi' }] };

export async function all(signal: AbortSignal): Promise<void> {
  const answer: Inference = await client.inference.create(ask, { signal, idempotencyKey: 'x', timeout: 5 });
  const text: string = answer.content;
  const amount: number | null = answer.cost.amount;
  const begun = await client.inference.create({ ...ask, background: true });
  const running: 'running' = begun.status;

  const stream = await client.inference.stream(ask, { signal });
  for await (const chunk of stream) {
    const one: Chunk = chunk;
    const piece: string = one.content;
  }
  const whole: StreamResult = await stream.result();
  stream.close();

  const results = await client.inference.batch([{ ...ask, id: 'a' }], { parallel: 3, fallbackStrategy: 'cheapest' });
  const failed: number | null = results.failed;
  for (const result of results) if (result.status === 'failed') throw result.error; else result.inference.usage;
  const streamed = client.inference.batchStream([ask]);
  for await (const result of streamed) { const seen: BatchResult = result; }
  const cost = streamed.summary?.cost;

  const record = await client.inference.get(answer.id);
  const groups = (await client.inference.analytics({ metrics: ['requests'], groupBy: ['model', 'day'] })).groups;
  const some: number | undefined = (await client.inference.analytics({ metrics: 'requests' })).total_requests;
  const every: number = (await client.inference.analytics()).total_requests;
  const p95: number | null = (await client.inference.performance({ model: 'm' })).p95_latency;
  await client.inference.configureProviders({ primary: 'openai', fallback: ['anthropic'] });
  const id: string = (await client.models.list())[0]!.id;
  await client.models.get(id);
  const fresh: string = (await client.keys.create({ name: 'ana', tier: 'Pro', scopes: ['infer'] })).key;
  const left: number | null = (await client.keys.me()).credits;

  try { await client.models.list(); } catch (error) {
    if (error instanceof RateLimitError) { const wait: number | null = error.retryAfter; }
    if (error instanceof ProviderError) { const provider: string | null = error.provider; }
    if (error instanceof PRSMError) { const saved = error.results?.map((result) => result?.content); }
    if (error instanceof PRSMError) { const facts: [string, string | null] = [error.code, error.requestId]; }
    if (error instanceof TimeoutError) { const partial: string | undefined = error.partial; }
  }
  // @ts-expect-error a model is required
  await client.inference.create({ messages: [] });
  // @ts-expect-error a misspelt name
  await client.inference.create({ ...ask, max_token: 5 });
  // @ts-expect-error an unknown strategy
  await client.inference.batch([ask], { fallbackStrategy: 'luck' });
  // @ts-expect-error keys are told once
  (await client.keys.list())[0]!.key;
  // @ts-expect-error it cannot be set
  answer.content = text;
  // @ts-expect-error keys do not show
  client.apiKey;
}
"""


@pytest.mark.parametrize("resolution", ["nodenext", "bundler"])
def test_the_types_say_what_a_user_may_write(project, tsc, resolution):  # noqa: F811
    """Strictly, in Node's and in a bundler's way to find them; what is wrong is refused."""
    (project / "package.json").write_text('{"type": "module"}', encoding="utf-8")
    (project / "main.ts").write_text(TYPED, encoding="utf-8")
    module = "nodenext" if resolution == "nodenext" else "esnext"
    done = run(
        tsc, "--strict", "--noEmit", "--target", "es2022", "--lib", "es2022,dom", "--module", module,
        "--moduleResolution", resolution, "--noUncheckedIndexedAccess", "--exactOptionalPropertyTypes", "main.ts",
        cwd=project,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_types_name_what_the_server_knows():
    """What it takes, and what it gives."""
    key = Key(id="k", person="ana", tier="Free").to_dict()
    assert interface("InferenceRequest") == {"model", "messages", *ask.Ask.__annotations__}
    assert interface("Figures") == {field.name for field in msgspec.structs.fields(Report)} - {"groups"}
    assert interface("KeyInfo") == set(key)
    assert interface("Limits") == set(key["limits"])
    assert interface("ProviderPreferences") == set(reports._preferences(Routing()))
