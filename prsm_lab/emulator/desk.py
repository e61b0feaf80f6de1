"""One request from arrival to last byte: read it, decide its fate, answer at the model's pace."""

from __future__ import annotations

import asyncio
import json
import re
import zlib
from typing import TYPE_CHECKING, Any

import msgspec

from prsm_lab.emulator import faults, wires
from prsm_lab.emulator.faults import Rule
from prsm_lab.emulator.models import PROFILES, Mind, Profile, profile_of, tokens
from prsm_lab.emulator.wires import Answer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from prsm_lab.emulator.http import Asked, Connection
    from prsm_lab.emulator.log import Entry, Log

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
    """

    def __init__(
        self, mind: Mind, log: Log, *, profiles: Mapping[str, Profile], rules: Sequence[Rule], latency_scale: float,
        keys: frozenset[str] | None,
    ) -> None:  # fmt: skip
        self.mind, self.log, self.profiles = mind, log, profiles
        self.rules = list(rules)
        self.latency_scale = latency_scale
        self.keys = keys

    async def handle(self, connection: Connection, asked: Asked) -> None:
        """Answer one request."""
        path, forced = asked.path.partition("?")[0], None
        if match := _FAULT_PATH.fullmatch(path):
            forced, path = match[1], match[2]
        if path.startswith("/_"):
            self._control(connection, path, asked)
            return
        wire = _wire(path)
        body = _json(asked.body)
        entry = self.log.arrive(asked.method, path, asked.headers, body)
        entry.model, entry.prompt = _model(path, body), _prompt(body)
        left = _Leaving(self.log, entry)
        connection.on_close = left.gone
        try:
            if asked.method == "GET":
                self._list(connection, path)
            elif refusal := self._refusal(wire, asked, body):
                entry.status = refusal
                connection.reply(refusal, _ids(wire), _encode(faults.error_body(wire, refusal)))
            else:
                rule = Rule(forced) if forced else next((r for r in self.rules if r.matches(entry, self.mind)), None)
                entry.fault = rule and rule.fault
                await _Reply(self, connection, entry, wire, asked, rule).give()
            left.done = connection.open
        finally:
            connection.on_close = None
            left.close()

    def _refusal(self, wire: str, asked: Asked, body: Any) -> int | None:
        key = asked.headers.get("authorization", "").removeprefix("Bearer ") or asked.headers.get("x-api-key", "")
        if self.keys is not None and key not in self.keys:
            return 401
        if wire == "unknown":
            return 404
        if not isinstance(body, dict):
            return 400
        if wire == "anthropic":
            newest = asked.headers.get("anthropic-version", CLOSED_VERSION) >= CLOSED_VERSION
            if "max_tokens" not in body or (newest and body.keys() & {"temperature", "top_p", "top_k"}):
                return 400
        return None

    def _list(self, connection: Connection, path: str) -> None:
        models = [{"id": name, "object": "model", "created": 0, "owned_by": "simulated"} for name in PROFILES]
        _, _, wanted = path.partition("/models/")
        document: Any = {"object": "list", "data": models, "has_more": False}
        if wanted:
            document = {"id": wanted, "object": "model", "created": 0, "owned_by": "simulated"}
        connection.reply(200, {}, _encode(document))

    def _control(self, connection: Connection, path: str, asked: Asked) -> None:
        """For a test that drives an emulator in another process."""
        if path == "/_rules":
            self.rules[:] = [Rule(**fields) for fields in json.loads(asked.body)]
        elif path == "/_clear":
            self.log.clear()
        connection.reply(200, {}, _encode(self.log.to_json() if path == "/_log" else {"ok": True}))

    def answer(self, entry: Entry, body: dict[str, Any]) -> Answer:
        """Let the model speak."""
        prompt = _whole_prompt(body)
        profile = profile_of(entry.model, self.profiles)
        warm = (body.get("temperature") or 0) > 0
        salt = (body.get("seed"), len(self.log)) if warm and body.get("seed") is None else body.get("seed")
        answer = Answer(
            id=f"{entry.n:08x}", model=f"simulated/{entry.model}", text="", prompt_tokens=max(1, tokens(prompt))
        )
        tool, schema = _forced_tool(body), _schema(body)
        if tool is not None:
            answer.calls = [(f"call_{entry.n}", tool["name"], json.dumps(_example(tool.get("parameters") or tool.get("input_schema") or {})))]
            answer.finish = "tool_calls"
            return answer
        text = self.mind.answer(entry.model, prompt, profile, salt=salt)
        answer.text = json.dumps(_example(schema, text)) if schema is not None else text
        _stop(answer, body)
        return answer


class _Leaving:
    """Writes down how a request ended, once."""

    def __init__(self, log: Log, entry: Entry) -> None:
        self._log, self._entry, self.done, self._said = log, entry, False, False

    def gone(self) -> None:
        self.close()

    def close(self) -> None:
        if not self._said:
            self._said = True
            self._log.leave(self._entry, done=self.done)


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
        jitter = 0.6 + 0.8 * self._desk.mind.dice("pace", self._entry.model, self._entry.prompt).random()
        first = self._desk.latency_scale * jitter * profile.ttft_ms / 1000
        pause = self._desk.latency_scale * jitter / profile.tokens_per_s
        if self._live and self._fault != "json_instead":
            await self._stream(answer, first, pause)
        else:
            if first:
                await asyncio.sleep(first + pause * answer.completion_tokens)
            self._whole(answer)

    def _reply(self, status: int, body: bytes, *, headers: dict[str, str] | None = None, kind: str = "application/json") -> None:
        self._entry.status = status
        self._desk.log.progress(self._entry)
        self._connection.reply(status, {**_ids(self._wire), **(headers or {})}, body, kind=kind)

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
                self._reply(401, _encode({"error": {"message": f"Incorrect API key provided: {key}", "code": "invalid_api_key"}}))
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
        self._connection.begin(200, _ids(self._wire), kind="application/json")
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
        document = _spoiled(document, self._fault)
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
                self._connection.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99999\r\n\r\n" + raw)
                self._connection.close()
                return
        self._reply(200, raw, kind="text/plain" if self._fault == "wrong_type" else "application/json")

    async def _stream(self, answer: Answer, first: float, pause: float) -> None:
        if self._fault in ("surrogate", "not_utf8", "bad_utf8", "filtered"):
            answer.text = f"POISON {answer.text}"
        events = {
            "chat": lambda a: wires.chat_events(a, usage=bool((self._body.get("stream_options") or {}).get("include_usage"))),
            "responses": wires.response_events, "anthropic": wires.message_events, "textgen": wires.text_events,
        }[self._wire](answer)  # fmt: skip
        events = _broken(events, self._fault, self._wire, self._rule)
        if first:
            await asyncio.sleep(first)
        self._entry.status = 200
        self._connection.begin(200, _ids(self._wire))
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


# --------------------------------------------------------------------------------------------------- spoiling


def _spoiled(document: Any, fault: str) -> Any:
    """Damage a whole document without damaging its JSON."""
    first = document[0] if isinstance(document, list) else document
    choices = first.get("choices")
    match fault:
        case "no_usage":
            first.pop("usage", None)
        case "no_choices":
            for name in ("choices", "content", "output"):
                if name in first:
                    first[name] = []
        case "null_content" | "filtered" | "null_finish" if choices:
            if fault != "null_finish":
                choices[0]["message"]["content"] = None
            choices[0]["finish_reason"] = {"filtered": "content_filter", "null_finish": None}.get(fault, "stop")
        case "null_content" | "filtered" if "content" in first:
            first["content"] = []
            first["stop_reason"] = "refusal" if fault == "filtered" else "end_turn"
        case "length" if choices:
            choices[0]["finish_reason"] = "length"
        case "surrogate" | "not_utf8":
            return json.loads(json.dumps(document).replace("The answer", "POISON The answer").replace("In short", "POISON"))
    return document


def _broken(events: list[bytes], fault: str, wire: str, rule: Rule | None) -> list[bytes]:
    """Damage a stream's events."""
    keep = rule.pieces if rule else 2
    match fault:
        case "no_end":
            return events[: keep + 1]
        case "empty_stream":
            return []
        case "cut_line":
            return [*events[:keep], events[keep][: len(events[keep]) // 2]]
        case "no_done" if wire in ("chat", "anthropic"):
            return events[:-1]
        case "bad_json":
            return [*events[:keep], b'data: {"broken": \n\n', *events[keep:]]
        case "bad_utf8":
            return [event.replace(b"POISON", b"\xff\xfe") for event in events]
        case "surrogate":
            return [event.replace(b"POISON", b"\\ud83d") for event in events]
        case "error_event":
            body = faults.error_body(wire, 529 if wire == "anthropic" else 503)
            if wire == "responses":
                body = {"type": "error", "code": "server_error", "message": "boom"}
            return [*events[:keep], wires.sse(body, "error" if wire in ("anthropic", "responses") else None)]
        case "split":
            return [bytes([byte]) for byte in b"".join(events)]
        case "crlf":
            return [event.replace(b"\n", b"\r\n") for event in events]
        case "comments":
            return [part for event in events for part in (b": keep-alive\n\n", event)]
        case "twice":
            return [part for event in events for part in (event, event)]
        case "unknown_events":
            return [b'event: brand_new\ndata: {"type": "brand_new", "object": "new", "choices": []}\n\n', *events]
    return events


# --------------------------------------------------------------------------------------------- reading requests


def _wire(path: str) -> str:
    if path.endswith("/chat/completions"):
        return "chat"
    if path.endswith("/responses"):
        return "responses"
    if path.endswith("/messages"):
        return "anthropic"
    if "/models/" in path or path.endswith("/generate"):
        return "textgen"
    return "unknown"


def _json(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body) if body else None
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _model(path: str, body: Any) -> str:
    named = body.get("model") if isinstance(body, dict) else None
    return str(named) if named else path.partition("/models/")[2]


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return " ".join(str(part.get("text") or part.get("content") or "") for part in parts if isinstance(part, dict))


def _turns(body: Any) -> list[Any]:
    if not isinstance(body, dict):
        return []
    given = body.get("messages", body.get("input", body.get("inputs", [])))
    return [{"role": "user", "content": given}] if isinstance(given, str) else list(given or [])


def _prompt(body: Any) -> str:
    users = [turn for turn in _turns(body) if isinstance(turn, dict) and turn.get("role") == "user"]
    return _text(users[-1].get("content")) if users else ""


def _whole_prompt(body: dict[str, Any]) -> str:
    system = _text(body.get("system")) or str(body.get("instructions") or "")
    said = [_text(turn.get("content") or turn.get("output")) for turn in _turns(body) if isinstance(turn, dict)]
    return "\n".join(part for part in (system, *said) if part)


def _forced_tool(body: dict[str, Any]) -> dict[str, Any] | None:
    tools, choice = body.get("tools") or [], body.get("tool_choice")
    forced = choice in ("required", {"type": "any"}) or isinstance(choice, dict) and choice.get("type") not in ("auto", "none")
    if not tools or not forced:
        return None
    functions: list[dict[str, Any]] = [tool.get("function", tool) for tool in tools]
    named = choice.get("name") or (choice.get("function") or {}).get("name") if isinstance(choice, dict) else None
    return next((function for function in functions if function["name"] == named), functions[0])


def _schema(body: dict[str, Any]) -> dict[str, Any] | None:
    chat_format = (body.get("response_format") or {}).get("json_schema") or {}
    text_format = (body.get("text") or {}).get("format") or {}
    message_format = (body.get("output_config") or {}).get("format") or {}
    return chat_format.get("schema") or text_format.get("schema") or message_format.get("schema")


def _example(schema: dict[str, Any], text: str = "example") -> Any:
    """Some value that fits a schema."""
    if "enum" in schema:
        return schema["enum"][0]
    match schema.get("type"):
        case "object":
            return {name: _example(part, text) for name, part in schema.get("properties", {}).items()}
        case "array":
            return [_example(schema.get("items", {}), text)]
        case "integer" | "number":
            return 1
        case "boolean":
            return True
    return text


def _stop(answer: Answer, body: dict[str, Any]) -> None:
    """Cut at stop words, then at the token limit."""
    stops = body.get("stop") or body.get("stop_sequences") or []
    for stop in [stops] if isinstance(stops, str) else stops:
        answer.text = answer.text.partition(stop)[0]
    parameters = body.get("parameters") or {}
    limits = [body.get(name) for name in ("max_completion_tokens", "max_tokens", "max_output_tokens")]
    limit = next((n for n in (*limits, parameters.get("max_new_tokens")) if n is not None), None)
    if limit is not None and tokens(answer.text) > limit:
        answer.text, answer.finish = answer.text[: limit * 4], "length"


def _ids(wire: str) -> dict[str, str]:
    """Request ids and rate-limit headers in each provider's own words."""
    if wire == "anthropic":
        return {
            "request-id": "req_emulated", "anthropic-ratelimit-requests-limit": "4000",
            "anthropic-ratelimit-requests-remaining": "3999", "anthropic-ratelimit-requests-reset": "2026-11-23T05:00:00Z",
        }  # fmt: skip
    return {
        "x-request-id": "req_emulated", "x-ratelimit-limit-requests": "10000",
        "x-ratelimit-remaining-requests": "9999", "x-ratelimit-reset-requests": "6ms",
    }  # fmt: skip
