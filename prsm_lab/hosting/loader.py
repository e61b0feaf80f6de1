"""The loader: one model in a process of its own, asked over HTTP on loopback in Chat Completions' words.

Started by `child` with `python -I`: no key is in its environment, it can open no connection where the system lets it
give that up, its memory is capped, and it ends with its parent.
"""

from __future__ import annotations

import contextlib
import ctypes
import hmac
import json
import os
import queue
import select
import socket
import sys
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from prsm_lab.hosting.batching import Transformers
from prsm_lab.hosting.words import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MOST_BODY = 8 * 2**20
_NEWNET = 0x40000000
_NEWUSER = 0x10000000


# ------------------------------------------------------------------------------------------------- the process


def alone(memory: int) -> bool:
    """Give up the network and more than so much memory; tell whether the network is gone."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        return bool(libc.unshare(_NEWNET) == 0 or libc.unshare(_NEWUSER | _NEWNET) == 0)
    except (OSError, AttributeError):  # not on this system
        return False


def leave_with(parent: Any) -> None:
    """End when the parent closes its end of our stdin, however it dies."""

    def watch() -> None:
        while parent.read(4096):
            pass
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()


def main() -> None:
    said = json.loads(sys.stdin.buffer.readline())
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    listener = socket.socket(fileno=said["fd"])
    isolated = alone(said["memory"])
    leave_with(sys.stdin.buffer)
    try:
        kinds: dict[str, Callable[[dict[str, Any]], Any]] = {"transformers": Transformers, "gguf": Llama}
        model = kinds[said["kind"]](said)
    except BaseException as fault:  # the edge: whatever keeps a model from being loaded is told in one line
        answers.write(json.dumps({"error": f"{type(fault).__name__}: {str(fault)[:500]}"}) + "\n")
        raise
    answers.write(json.dumps({"ready": True, "isolated": isolated, "context": model.context}) + "\n")
    Desk(listener, model, said["token"], said["name"]).serve_forever()


# -------------------------------------------------------------------------------------------------------- GGUF


class Llama:
    """A GGUF file, by llama.cpp; its own template engine knows no Python."""

    def __init__(self, said: dict[str, Any]) -> None:
        import xllamacpp

        parameters = xllamacpp.CommonParams()
        parameters.model.path = said["path"]
        parameters.model_alias = {said["name"]}
        parameters.n_ctx = said["context"] * said["rows"]
        parameters.n_parallel = said["rows"]
        parameters.cpuparams.n_threads = said["threads"]
        parameters.verbosity = -1
        self._server = xllamacpp.Server(parameters)
        self.context = said["context"]

    def answer(self, body: dict[str, Any], left: Callable[[], bool]) -> Iterator[dict[str, Any]]:
        """Yield its chunks as they are."""
        chunks: queue.Queue[Any] = queue.Queue()
        gone = threading.Event()

        def hear(chunk: Any) -> bool:
            chunks.put(chunk)
            return gone.is_set()

        def ask() -> None:
            wanted = {**body, "stream": True, "stream_options": {"include_usage": True}}
            try:
                self._server.handle_chat_completions(wanted, hear)
            except (ValueError, RuntimeError, TypeError) as fault:
                chunks.put(fault)
            chunks.put(None)

        threading.Thread(target=ask, daemon=True).start()
        try:
            while True:
                try:
                    chunk = chunks.get(timeout=0.25)
                except queue.Empty:
                    if left():
                        return
                    continue
                if chunk is None:
                    return
                if isinstance(chunk, Exception):
                    raise Refusal(str(chunk)[:300])
                yield from said_by(chunk)
        finally:
            gone.set()


def said_by(chunk: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Read one of llama.cpp's chunks."""
    if "error" in chunk:
        raise Refusal(str(chunk["error"])[:300])
    for choice in chunk.get("choices") or ():
        delta = choice.get("delta") or {}
        if delta.get("content") or delta.get("tool_calls") or delta.get("reasoning_content"):
            yield {"delta": {k: delta[k] for k in ("content", "tool_calls", "reasoning_content") if delta.get(k)}}
        if choice.get("finish_reason"):
            yield {"finish": choice["finish_reason"]}
    if chunk.get("usage"):
        yield {"usage": {k: chunk["usage"].get(k) for k in ("prompt_tokens", "completion_tokens", "total_tokens")}}


# -------------------------------------------------------------------------------------------------------- HTTP


class Desk(ThreadingHTTPServer):
    """Who may ask, and what is asked."""

    daemon_threads = True

    def __init__(self, listener: socket.socket, model: Any, token: str, name: str) -> None:
        super().__init__(listener.getsockname(), Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.model = model
        self.bearer = f"Bearer {token}".encode()
        self.name = name


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    timeout = 60
    server: Desk

    def do_GET(self) -> None:
        self._answer(200, {"object": "list", "data": [{"id": self.server.name, "object": "model", "created": 0}]})

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length") or ""
        if not hmac.compare_digest((self.headers.get("Authorization") or "").encode(), self.server.bearer):
            self._refuse(Refusal("Not for you", "authentication_error", 401))
        elif not length.isdigit() or int(length) > MOST_BODY:
            self._refuse(Refusal("The body is too large", status=413))
        else:
            self._ask(self.rfile.read(int(length)))

    def _ask(self, raw: bytes) -> None:
        try:
            body = json.loads(raw)
            messages = body.get("messages") if isinstance(body, dict) else None
            if not isinstance(messages, list) or not all(isinstance(one, dict) for one in messages):
                raise Refusal("messages must be a list of messages")
            pieces = told(self.server.model.answer(body, self._left))
            if body.get("stream"):
                self._stream(pieces)
            else:
                self._answer(200, whole(list(pieces), self.server.name))
        except Refusal as refusal:
            self._answer(refusal.status, problem(refusal))
        except (ValueError, TypeError, RecursionError, OverflowError) as fault:
            self._answer(400, problem(Refusal(f"{type(fault).__name__}: {str(fault)[:200]}")))

    def _stream(self, pieces: Iterator[dict[str, Any]]) -> None:
        first = next(pieces, None)  # what is wrong with the question is said before a stream begins
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.close_connection = True
        self.end_headers()
        head = {"id": f"chatcmpl-{uuid.uuid4().hex}", "object": "chat.completion.chunk", "model": self.server.name}
        try:
            for piece in chain(first, pieces):
                self._event({**head, **piece})
            self.wfile.write(b"data: [DONE]\n\n")
        except Refusal as refusal:
            self._event(problem(refusal))
        except OSError:  # they left
            return

    def _event(self, document: dict[str, Any]) -> None:
        self.wfile.write(b"data: " + json.dumps(document).encode() + b"\n\n")
        self.wfile.flush()

    def _refuse(self, refusal: Refusal) -> None:
        self.close_connection = True  # what was sent is not read
        self._answer(refusal.status, problem(refusal))

    def _answer(self, status: int, document: dict[str, Any]) -> None:
        raw = json.dumps(document).encode()
        with contextlib.suppress(OSError):
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

    def _left(self) -> bool:
        """Has whoever asked hung up?"""
        try:
            ready = select.select([self.connection], [], [], 0)[0]
            return bool(ready) and not self.connection.recv(1, socket.MSG_PEEK)
        except OSError:
            return True

    def log_message(self, *_: Any) -> None:
        """Nothing is logged: prompts are nobody's business."""


def chain(first: dict[str, Any] | None, rest: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    if first is not None:
        yield first
        yield from rest


def told(items: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """A model's words as parts of Chat Completions' chunks."""
    for item in items:
        if "text" in item:
            yield choices({"content": item["text"]}, None)
        elif "delta" in item:
            yield choices(item["delta"], None)
        elif "finish" in item:
            yield choices({}, item["finish"])
        elif "usage" in item:
            yield {"choices": [], "usage": item["usage"]}
        else:
            used = {"prompt_tokens": item["prompt"], "completion_tokens": item["made"]}
            yield choices({}, item["end"])
            yield {"choices": [], "usage": {**used, "total_tokens": sum(used.values())}}


def choices(delta: dict[str, Any], finish: str | None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def whole(pieces: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """Chunks put together."""
    deltas = [choice["delta"] for piece in pieces for choice in piece["choices"]]
    ends = [choice["finish_reason"] for piece in pieces for choice in piece["choices"] if choice["finish_reason"]]
    message: dict[str, Any] = {"role": "assistant", "content": "".join(one.get("content") or "" for one in deltas)}
    usage = next((piece["usage"] for piece in pieces if "usage" in piece), None)
    return {
        "id": f"chatcmpl-{uuid.uuid4().hex}", "object": "chat.completion", "created": int(time.time()), "model": name,
        "choices": [{"index": 0, "message": message, "finish_reason": ends[-1] if ends else None}], "usage": usage,
    }  # fmt: skip


def problem(refusal: Refusal) -> dict[str, Any]:
    return {"error": {"message": str(refusal), "type": refusal.code, "code": refusal.code}}
