"""One request from arrival to last byte: read it, decide its fate, answer at the model's pace."""

from __future__ import annotations

import asyncio
import json
import re
import zlib
from typing import TYPE_CHECKING, Any

import msgspec

from prsm_lab.emulator import batch_desk, faults, requests, spoiling, verdicts, wires
from prsm_lab.emulator.batches import Batches, Pace
from prsm_lab.emulator.faults import Rule
from prsm_lab.emulator.models import PROFILES, Mind, Profile, profile_of, tokens
from prsm_lab.emulator.wires import Answer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from prsm_lab.emulator.http import Asked, Connection
    from prsm_lab.emulator.log import Entry, Log
    from prsm_lab.emulator.prompt_cache import PromptCache

_encode = msgspec.json.Encoder().encode
_FAULT_PATH = re.compile(r"/f/([\w.-]+)(/.*)")
CLOSED_VERSION = "2026-10-21"
"""The API version of Anthropic that takes no sampling parameters."""


class Desk:
    """Answers requests on all wires.

    Args:
        mind: What the models know.
        log: Where requests are written down.
        profiles: Behaviours of one's own, by model.
        rules: Faults; the first that matches decides.
        latency_scale: 0: answer at once; 1: at the models' pace.
        keys: Keys that are accepted; None: any.
        batches: How long batches take.
        prompts: The models' prompt caches; None: they have none.
    """

    def __init__(
        self, mind: Mind, log: Log, *, profiles: Mapping[str, Profile], rules: Sequence[Rule], latency_scale: float,
        keys: frozenset[str] | None, batches: Pace | None = None, prompts: PromptCache | None = None,
    ) -> None:  # fmt: skip
        self.mind, self.log, self.profiles = mind, log, profiles
        self.rules = list(rules)
        self.latency_scale = latency_scale
        self.keys = keys
        self.prompts = prompts
        self.batches = Batches(mind, log, self.rules, batches or Pace(), answer=self.answer, refusal=self._unfit)

    async def handle(self, connection: Connection, asked: Asked) -> None:
        """Answer one request."""
        path, forced = asked.path.partition("?")[0], None
        if match := _FAULT_PATH.fullmatch(path):
            forced, path = match[1], match[2]
        if path.startswith("/_"):
            self._control(connection, path, asked)
            return
        if batch_desk.kind(path) is not None:
            self._batch(connection, path, asked)
            return
        wire = requests.wire(path)
        body = requests.json(asked.body)
        entry = self.log.arrive(asked.method, path, asked.headers, body)
        entry.model, entry.prompt = requests.model(path, body), requests.prompt(body)
        left = _Leaving(self.log, entry)
        connection.on_close = left.gone
        try:
            if asked.method == "GET":
                entry.status = self._list(connection, asked, path, forced)
            elif refusal := self._refusal(wire, asked, body):
                entry.status = refusal
                connection.reply(refusal, requests.ids(wire), _encode(faults.error_body(wire, refusal)))
            else:
                rule = Rule(forced) if forced else self._rule(entry)
                entry.fault = rule.fault if rule else None
                await _Reply(self, connection, entry, wire, asked, rule).give()
                if self.prompts is not None:
                    self.prompts.learn(wire, entry.model, body)
            left.done, left.broken = connection.open and not connection.broken, connection.broken
        finally:
            connection.on_close = None
            left.close()

    def _refusal(self, wire: str, asked: Asked, body: Any) -> int | None:
        if not self._admits(asked):
            return 401
        if wire == "unknown":
            return 404
        if not isinstance(body, dict):
            return 400
        return self._unfit(wire, asked.headers.get("anthropic-version", CLOSED_VERSION), body)

    def _unfit(self, wire: str, version: str, body: dict[str, Any]) -> int | None:
        """The status with which a body is refused for what is in it."""
        if wire != "anthropic":
            return None
        samples = body.keys() & {"temperature", "top_p", "top_k"}
        return 400 if "max_tokens" not in body or (version >= CLOSED_VERSION and samples) else None

    def _rule(self, entry: Entry) -> Rule | None:
        return next((r for r in self.rules if r.fault not in faults.BATCH and r.matches(entry, self.mind)), None)

    def _batch(self, connection: Connection, path: str, asked: Asked) -> None:
        """A batch route: what is asked about goes by the model `batches` in rules, so that one can mean it."""
        wire = "anthropic" if "anthropic-version" in asked.headers else "chat"
        entry = self.log.arrive(asked.method, path, asked.headers, None)
        entry.model = "batches"
        rule = self._rule(entry)
        entry.model, entry.fault = "", rule.fault if rule else None
        status, body, kind = 401, _encode(faults.error_body(wire, 401)), "application/json"
        if rule is not None and rule.fault.isdigit():
            status, body = int(rule.fault), _encode(faults.error_body(wire, int(rule.fault), rule))
        elif self._admits(asked) and (rule is None or rule.fault != "reset"):
            status, body, kind = batch_desk.answer(self.batches, asked, path)
        if rule is not None and rule.fault in ("reset", "lost_reply"):
            connection.reset()
        else:
            entry.status = status
            connection.reply(status, requests.ids(wire), body, kind=kind)
        self.log.leave(entry, done=not connection.broken, broken=connection.broken)

    def _admits(self, asked: Asked) -> bool:
        key = asked.headers.get("authorization", "").removeprefix("Bearer ") or asked.headers.get("x-api-key", "")
        return self.keys is None or key in self.keys

    def _list(self, connection: Connection, asked: Asked, path: str, forced: str | None) -> int:
        """List the models; of faults, a path may force a status."""
        status = 401 if not self._admits(asked) else int(forced) if forced and forced.isdigit() else 200
        if status != 200:
            wire = "anthropic" if "anthropic-version" in asked.headers else "chat"
            connection.reply(status, requests.ids(wire), _encode(faults.error_body(wire, status)))
            return status
        models = [{"id": name, "object": "model", "created": 0, "owned_by": "simulated"} for name in PROFILES]
        _, _, wanted = path.partition("/models/")
        document: Any = {"object": "list", "data": models, "has_more": False}
        if wanted:
            document = {"id": wanted, "object": "model", "created": 0, "owned_by": "simulated"}
        connection.reply(200, {}, _encode(document))
        return 200

    def _control(self, connection: Connection, path: str, asked: Asked) -> None:
        """For a test that drives an emulator in another process."""
        if path == "/_rules":
            self.rules[:] = [Rule(**fields) for fields in json.loads(asked.body)]
        elif path == "/_clear":
            self.log.clear()
        connection.reply(200, {}, _encode(self.log.to_json() if path == "/_log" else {"ok": True}))

    def answer(self, entry: Entry, body: dict[str, Any]) -> Answer:
        """Let the model speak."""
        prompt = requests.whole_prompt(body)
        profile = profile_of(entry.model, self.profiles)
        warm = (body.get("temperature") or 0) > 0
        salt = (body.get("seed"), len(self.log)) if warm and body.get("seed") is None else body.get("seed")
        answer = Answer(
            id=f"{entry.n:08x}", model=f"simulated/{entry.model}", text="", prompt_tokens=max(1, tokens(prompt)),
            alternatives=requests.alternatives(body),
        )  # fmt: skip
        if self.prompts is not None:
            answer.served = self.prompts.served(requests.wire(entry.path), entry.model, body)
        tool, schema = requests.forced_tool(body), requests.schema(body)
        form = schema if tool is None else tool.get("parameters") or tool.get("input_schema") or {}
        verdict = verdicts.verdict(self.mind, entry.model, prompt, form, profile, salt=salt)
        if tool is not None:
            given = requests.example(form or {}) if verdict is None else verdict
            answer.calls = [(f"call_{entry.n}", tool["name"], json.dumps(given))]
            answer.finish = "tool_calls"
            return answer
        text = self.mind.answer(entry.model, prompt, profile, salt=salt)
        if verdict is not None:
            text = json.dumps(verdict)
        elif schema is not None:
            text = json.dumps(requests.example(schema, text))
        answer.text = text
        requests.stop(answer, body)
        return answer


class _Leaving:
    """Writes down how a request ended, once."""

    def __init__(self, log: Log, entry: Entry) -> None:
        self._log, self._entry, self._said = log, entry, False
        self.done = self.broken = False

    def gone(self) -> None:
        self.close()

    def close(self) -> None:
        if not self._said:
            self._said = True
            self._log.leave(self._entry, done=self.done, broken=self.broken)


class _Reply:
    """One answer on its way, with the fault that befalls it."""

    def __init__(
        self, desk: Desk, connection: Connection, entry: Entry, wire: str, asked: Asked, rule: Rule | None
    ) -> None:
        self._desk, self._connection, self._entry, self._wire = desk, connection, entry, wire
        self._asked, self._rule = asked, rule
        self._fault = rule.fault if rule else ""
        self._body: dict[str, Any] = entry.body
        self._live = bool(self._body.get("stream"))

    async def give(self) -> None:
        """Answer, or fail as the rule says."""
        if self._fault.isdigit():
            self._error(int(self._fault))
            return
        if await self._before():
            return
        answer = self._desk.answer(self._entry, self._body)
        profile = profile_of(self._entry.model, self._desk.profiles)
        lot = self._desk.mind.dice("pace", self._entry.model, self._entry.prompt).random()
        jitter = 1 + profile.spread * (2 * lot - 1)
        first = self._desk.latency_scale * jitter * profile.ttft_ms / 1000
        pause = self._desk.latency_scale * jitter / profile.tokens_per_s
        if self._live and self._fault != "json_instead":
            await self._stream(answer, first, pause)
        else:
            if first:
                await asyncio.sleep(first + pause * answer.completion_tokens)
            self._whole(answer)

    def _reply(
        self, status: int, body: bytes, *, headers: dict[str, str] | None = None, kind: str = "application/json"
    ) -> None:
        self._entry.status = status
        self._desk.log.progress(self._entry)
        self._connection.reply(status, {**requests.ids(self._wire), **(headers or {})}, body, kind=kind)

    def _error(self, status: int) -> None:
        assert self._rule is not None
        headers = faults.hint_headers(self._rule)
        if status == 307:
            headers.setdefault("location", "http://127.0.0.1:9/v1/elsewhere")
        self._reply(status, _encode(faults.error_body(self._wire, status, self._rule)), headers=headers)

    async def _before(self) -> bool:
        """Faults that need no answer; tell whether that was all."""
        fault, rule = self._fault, self._rule
        match fault:
            case "slow":
                await asyncio.sleep(rule.seconds if rule else 1.0)
                return False
            case "hang":
                await asyncio.Event().wait()
            case "reset":
                self._connection.reset()
            case "close":
                self._connection.close()
            case "html":
                self._reply(200, b"<html><body>Sign in to the hotel's network</body></html>", kind="text/html")
            case "html_502":
                self._reply(502, b"<html><body><h1>502 Bad Gateway</h1></body></html>", kind="text/html")
            case "empty":
                self._reply(200, b"")
            case "error_object":
                self._reply(200, _encode(faults.error_body(self._wire, 503)))
            case "echo_key":
                key = self._asked.headers.get("authorization", "")
                self._reply(
                    401,
                    _encode({"error": {"message": f"Incorrect API key provided: {key}", "code": "invalid_api_key"}}),
                )
            case "huge":
                await self._huge((rule.megabytes if rule else 200) * 2**20)
            case "gzip_bomb":
                packed = zlib.compressobj(9, zlib.DEFLATED, 31)
                bomb = packed.compress(b" " * ((rule.megabytes if rule else 200) * 2**20)) + packed.flush()
                self._reply(200, bomb, headers={"content-encoding": "gzip"})
            case _:
                return False
        return True

    async def _huge(self, size: int) -> None:
        self._connection.begin(200, requests.ids(self._wire), kind="application/json")
        block = b" " * 2**20
        for _ in range(size // len(block)):
            if not self._connection.open:
                return
            await self._connection.chunk(block)
        self._connection.end()

    def _whole(self, answer: Answer) -> None:
        document: Any = {
            "chat": wires.chat_document, "responses": wires.response_document, "anthropic": wires.message_document,
            "textgen": wires.text_document,
        }[self._wire](answer)  # fmt: skip
        document = spoiling.spoiled(document, self._fault)
        raw = _encode(document)
        match self._fault:
            case "surrogate":
                raw = raw.replace(b"POISON", b"\\ud83d and \\u0000 nul")
            case "not_utf8":
                raw = raw.replace(b"POISON", b"\xff\xfe")
            case "cut_json":
                raw = raw[: len(raw) // 2]
            case "short_length":
                self._entry.status = 200
                self._connection.write(
                    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99999\r\n\r\n" + raw
                )
                self._connection.close()
                return
        self._reply(200, raw, kind="text/plain" if self._fault == "wrong_type" else "application/json")

    async def _stream(self, answer: Answer, first: float, pause: float) -> None:
        if self._fault in ("surrogate", "not_utf8", "bad_utf8", "filtered"):
            answer.text = f"POISON {answer.text}"
        counted = bool((self._body.get("stream_options") or {}).get("include_usage"))
        events = {
            "chat": lambda a: wires.chat_events(a, usage=counted),
            "responses": wires.response_events, "anthropic": wires.message_events, "textgen": wires.text_events,
        }[self._wire](answer)  # fmt: skip
        events = spoiling.broken(events, self._fault, self._wire, self._rule)
        if first:
            await asyncio.sleep(first)
        self._entry.status = 200
        self._connection.begin(200, requests.ids(self._wire))
        for n, event in enumerate(events):
            if not self._connection.open:
                return
            if await self._disturbed(n):
                return
            self._desk.log.progress(self._entry)
            await self._connection.chunk(event)
            if pause and n > 1:
                await asyncio.sleep(pause)
        self._connection.end()

    async def _disturbed(self, n: int) -> bool:
        """Faults of the connection in mid-stream; tell whether it ended there."""
        rule = self._rule
        if rule is None or n < rule.pieces:
            return False
        match self._fault:
            case "stall":
                await (asyncio.sleep(rule.seconds) if rule.seconds else asyncio.Event().wait())
            case "drip":
                await asyncio.sleep(rule.seconds or 0.05)
            case "mid_reset":
                self._connection.reset()
                return True
            case "mid_close":
                self._connection.close()
                return True
        return False
