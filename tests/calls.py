"""A share server for tests: real sockets, a mocked or emulated provider behind it, and a plain HTTP client in front."""

from __future__ import annotations

import http.client
import http.server
import json
import socket
import threading
from typing import Any, Self
from urllib.parse import urlsplit

HELLO = [{"role": "user", "content": "hi"}]
ASK = {"model": "gpt-4", "messages": HELLO, "max_tokens": 20}


class Answer:
    """One HTTP answer."""

    def __init__(self, status: int, headers: dict[str, str], raw: bytes) -> None:
        self.status, self.headers, self.raw = status, headers, raw

    @property
    def json(self) -> Any:
        return json.loads(self.raw)

    @property
    def error(self) -> dict[str, Any]:
        return self.json["error"]

    @property
    def events(self) -> list[Any]:
        """The data of an event stream."""
        found = []
        for block in self.raw.decode().split("\n\n"):
            data = "\n".join(line[6:] for line in block.split("\n") if line.startswith("data: "))
            if data:
                found.append(data if data == "[DONE]" else json.loads(data))
        return found


class Between:
    """A proxy before a share server: it answers the first questions itself, then passes everything on.

    Args:
        url: The server behind it.
        faults: Status and body for each of the first `POST /v1/inference`.
    """

    def __init__(self, url: str, faults: list[tuple[int, bytes]]) -> None:
        self.keys: list[str] = []
        """The idempotency key of each `POST /v1/inference`."""
        behind = urlsplit(url).netloc
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.path == "/v1/inference":
                    proxy.keys.append(self.headers["Idempotency-Key"])
                if faults and self.path == "/v1/inference":
                    self.answer(*faults.pop(0))
                else:
                    self.pass_on(body)

            def do_GET(self) -> None:
                self.pass_on(None)

            def pass_on(self, body: bytes | None) -> None:
                connection = http.client.HTTPConnection(behind, timeout=30)
                connection.request(self.command, self.path, body, {**dict(self.headers), "Host": behind})
                response = connection.getresponse()
                self.answer(response.status, response.read())
                connection.close()

            def answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Caller:
    """Asks a server over HTTP, with no library of ours."""

    def __init__(self, url: str, key: str | None) -> None:
        self.url, self.key = url, key
        self.host = urlsplit(url).netloc

    def __call__(self, method: str, path: str, body: Any = None, **headers: str | None) -> Answer:
        connection = http.client.HTTPConnection(self.host, timeout=30)
        sent: dict[str, str] = {}
        if self.key:
            sent["Authorization"] = f"Bearer {self.key}"
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        if body is not None:
            sent["Content-Type"] = "application/json"
        for given, value in headers.items():
            name = given.replace("_", "-")
            sent = {k: v for k, v in sent.items() if k.lower() != name.lower()}
            if value is not None:
                sent[name] = value
        try:
            connection.request(method, path, body, sent)
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, found, response.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str | None) -> Answer:
        return self("GET", path, **headers)

    def post(self, path: str, body: Any, **headers: str | None) -> Answer:
        return self("POST", path, body, **headers)

    def socket(self) -> socket.socket:
        """A bare connection."""
        host, port = self.host.split(":")
        return socket.create_connection((host, int(port)), timeout=30)

    def head(self, method: str, path: str, body: bytes = b"", *more: str) -> bytes:
        """A request as bytes, to be sent by hand."""
        lines = [
            f"{method} {path} HTTP/1.1", f"Host: {self.host}", f"Authorization: Bearer {self.key}",
            "Content-Type: application/json", f"Content-Length: {len(body)}", *more,
        ]  # fmt: skip
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
