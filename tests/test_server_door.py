"""The share server's door: who comes in, from where, with how much; raw bytes over real sockets."""

from __future__ import annotations

import contextlib
import http.client
import json
import logging
import socket
import ssl
import subprocess
import sys
import textwrap
import time

import pytest
from calls import ASK, Caller

import prsm_lab as lab
from prsm_lab import emulator
from prsm_lab.server import app, guard, visit, wire


@pytest.fixture(scope="module")
def client():
    with lab.Client(mock_mode=True, ledger=":memory:", mock_responses={"*": {"content": "ok"}}) as made:
        yield made


@pytest.fixture
def share(client):
    with lab.serve(client) as serving:
        yield serving


@pytest.fixture
def key(share):
    return share.new_key("ana", tier="Enterprise", scopes=["infer", "read", "admin"])


@pytest.fixture
def ana(share, key):
    return Caller(share.url, key)


def exchange(ana: Caller, raw: bytes, *, finish: bool = False) -> bytes:
    """Send bytes as they are; return all that comes back until the server closes or falls silent."""
    received = b""
    with ana.socket() as line:
        line.settimeout(2)
        line.sendall(raw)
        if finish:
            line.shutdown(socket.SHUT_WR)
        try:
            while chunk := line.recv(65536):
                received += chunk
        except (TimeoutError, ConnectionResetError):
            pass
    return received


# --------------------------------------------------------------------------------------------------- the key


def test_every_route_but_the_open_ones_needs_a_key(share):
    """Generated from the server's own list."""
    stranger = Caller(share.url, None)
    for method, path, _ in app.ROUTES:
        answer = stranger(method, path.replace("{id}", "x").replace("{id:path}", "x"), {} if method in ("POST", "PUT") else None)  # fmt: skip
        assert (answer.status, answer.json["error"].get("code")) in ((401, "authentication"), (401, "authentication_error")), path  # fmt: skip
        assert "pk_" in answer.json["error"]["message"]


@pytest.mark.parametrize(
    "headers",
    [
        {}, {"Authorization": ""}, {"Authorization": "Bearer"}, {"Authorization": "Bearer pk_x"}, {"Authorization": "Basic cGs6cGs="},
        {"Authorization": "Bearer pk_000000000000_" + "A" * 43}, {"Authorization": "Bearer " + "x" * 5000},
        {"X-API-Key": "pk_\xe9"}, {"Authorization": "Bearer \xff\xfe"},
    ],
)  # fmt: skip
def test_a_wrong_key_is_401_whatever_is_wrong_with_it(share, headers):
    """One answer for all of them."""
    connection = http.client.HTTPConnection(Caller(share.url, None).host, timeout=10)
    connection.putrequest("GET", "/v1/models", skip_accept_encoding=True)
    for name, value in headers.items():
        connection.putheader(name, value.encode("latin-1"))
    connection.endheaders()
    answer = connection.getresponse()

    assert answer.status == 401
    assert json.loads(answer.read())["error"]["details"]["parameter"] == "Authorization"


def test_two_keys_are_none(share, key):
    """Nobody guesses which was meant."""
    raw = f"GET /v1/models HTTP/1.1\r\nHost: {Caller(share.url, None).host}\r\nAuthorization: Bearer {key}\r\nAuthorization: Bearer {key}\r\nConnection: close\r\n\r\n"  # fmt: skip

    assert exchange(Caller(share.url, None), raw.encode()).startswith(b"HTTP/1.1 401")


def test_x_api_key_wins_over_a_proxys_authorization(share, key):
    """jupyter-server-proxy writes Jupyter's token there."""
    assert Caller(share.url, None).get("/v1/models", Authorization="token jupyters", X_API_Key=key).status == 200


def test_only_a_digest_of_a_key_is_kept(tmp_path):
    """Neither the file nor a listing holds it."""
    path = tmp_path / "ledger.db"
    with lab.Client(mock_mode=True, ledger=path) as client, lab.serve(client) as share:
        key = share.new_key("ana")
        Caller(share.url, key).post("/v1/inference", ASK)
        assert Caller(share.url, share.new_key("root", scopes=["admin"])).get("/v1/keys").raw.count(b"secret") == 0
    everything = b"".join(file.read_bytes() for file in tmp_path.iterdir())

    assert key.encode() not in everything
    assert key.split("_", 2)[2].encode() not in everything


def test_expired_revoked_and_rotated_keys_end(share, monkeypatch):
    """At once; a rotated one hands on its tier and name."""
    short, gone, old = (share.new_key("eve", expires=span) for span in (3600, None, None))
    share.revoke(gone)
    new = share.rotate(old)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 3601)

    assert [Caller(share.url, k).get("/v1/keys/me").status for k in (short, gone, old, new)] == [401, 401, 401, 200]
    assert Caller(share.url, new).get("/v1/keys/me").json["name"] == "eve"


def test_guessing_is_stopped_at_ten_a_minute(share, key, monkeypatch):
    """Wrong keys only: a good one of that address comes in, for behind a proxy all have one."""
    guesser = Caller(share.url, "pk_000000000000_" + "A" * 43)
    statuses = [guesser.get("/v1/models").status for _ in range(12)]

    assert statuses == [401] * 10 + [429] * 2
    assert Caller(share.url, key).get("/v1/models").status == 200


def test_a_scope_opens_what_it_names(share):
    """Reading is not asking; making keys is for admins."""
    reader = Caller(share.url, share.new_key("r", scopes=["read"]))
    asker = Caller(share.url, share.new_key("a", scopes=["infer"]))

    assert [reader.get("/v1/inference").status, reader.post("/v1/inference", ASK).status] == [200, 401]
    assert [asker.post("/v1/inference", ASK).status, asker.get("/v1/inference").status] == [200, 401]
    assert reader.post("/v1/keys", {"name": "x", "scopes": ["admin"]}).status == 401


def test_an_admin_makes_lists_rotates_and_revokes_keys(ana):
    """The key itself is in one answer only."""
    made = ana.post("/v1/keys", {"name": "zoe", "tier": "Basic", "credits": 2.5, "models": ["gpt-4"], "expires": "7d"})
    zoe = Caller(ana.url, made.json["key"])
    assert made.status == 201
    assert (zoe.get("/v1/keys/me").json["credits"], zoe.post("/v1/inference", ASK).status) == (2.5, 200)
    rotated = ana.post(f"/v1/keys/{made.json['id']}/rotate", {}).json
    assert zoe.get("/v1/keys/me").status == 401
    assert Caller(ana.url, rotated["key"]).get("/v1/keys/me").json["models"] == ["gpt-4"]
    assert ana("DELETE", f"/v1/keys/{rotated['id']}").json["revoked"] is True
    assert not any("key" in one for one in ana.get("/v1/keys").json["data"])
    assert ana("DELETE", "/v1/keys/none").status == 404
    for wrong in ({}, {"name": "x", "tier": "Gold"}, {"name": "x", "credits": -1}, {"name": "x", "expires": "soon"}, {"name": "x", "models": ["no"]}, {"name": "x", "colour": 1}, {"name": "<b>"}):  # fmt: skip
        assert ana.post("/v1/keys", wrong).status in (400, 404), wrong


def test_a_key_for_some_models_reaches_no_other(share):
    """Neither by alias, fallback, batch strategy nor optimisation."""
    one = Caller(share.url, share.new_key("one", tier="Pro", models=["gpt-4"]))
    assert one.post("/v1/inference", ASK).status == 200
    assert one.post("/v1/inference", {**ASK, "model": "gpt-4o"}).status == 404
    assert one.post("/v1/inference", {**ASK, "fallback_providers": ["anthropic"]}).status == 404
    assert one.post("/v1/inference", {**ASK, "cost_optimization": True}).json["model"] == "gpt-4"
    batch = one.post("/v1/inference/batch", {"requests": [ASK], "fallback_strategy": "best_available"})
    assert batch.json["results"][0]["inference"]["model"] == "gpt-4"
    assert [card["id"] for card in one.get("/v1/models").json["data"]] == ["gpt-4"]


# ------------------------------------------------------------------------------------------- from where


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1", "127.0.0.1.evil.example:1", ""])
def test_another_hosts_name_is_refused(ana, host):
    """DNS rebinding: the browser believes it speaks to evil.example."""
    assert ana.get("/v1/models", Host=host).status == 421


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://localhost.evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"},
    ],
)  # fmt: skip
def test_another_sites_page_is_refused(ana, headers):
    """Before the key is even looked at; and no CORS header says otherwise."""
    answer = ana("POST", "/v1/inference", ASK, **{name.replace("-", "_"): value for name, value in headers.items()})

    assert answer.status == 403
    assert not any(name.startswith("access-control") for name in answer.headers)


def test_the_servers_own_page_may_ask(ana):
    """Same origin."""
    assert ana.post("/v1/inference", ASK, Origin=ana.url).status == 200


def test_a_listed_site_may_ask_and_only_that():
    """Exactly as it was listed."""
    with lab.Client(mock_mode=True, ledger=":memory:") as client, lab.serve(client, cors=["https://app.example"]) as share:  # fmt: skip
        ana = Caller(share.url, share.new_key("ana"))
        preflight = ana("OPTIONS", "/v1/inference", Origin="https://app.example", Authorization=None)
        assert (preflight.status, preflight.headers["access-control-allow-origin"]) == (204, "https://app.example")
        asked = "authorization, x-stainless-os, cookie"
        preflight = ana("OPTIONS", "/v1/chat/completions", Origin="https://app.example", Access_Control_Request_Headers=asked)  # fmt: skip
        allowed = preflight.headers["access-control-allow-headers"].split(", ")
        assert {"authorization", "x-stainless-os"} < set(allowed)
        assert "cookie" not in allowed
        answer = ana.post("/v1/inference", ASK, Origin="https://app.example")
        assert (answer.status, answer.headers["access-control-allow-origin"]) == (200, "https://app.example")
        assert ana.post("/v1/inference", ASK, Origin="https://app.example.evil.example").status == 403


def test_a_proxys_host_is_named_by_the_owner():
    """Behind a prefix too, as the proxy passes the whole path on."""
    with lab.Client(mock_mode=True, ledger=":memory:") as client, lab.serve(client, hosts=["hub.example.org"]) as share:
        ana = Caller(share.url, share.new_key("ana"))
        assert ana.post("/v1/inference", ASK, Host="hub.example.org", Origin="https://hub.example.org").status == 200


def test_x_forwarded_for_makes_nobody_another(share):
    """Ten wrong keys are ten wrong keys."""
    guesser = Caller(share.url, "pk_000000000000_" + "B" * 43)

    assert [guesser.get("/v1/models", X_Forwarded_For=f"10.0.0.{n}").status for n in range(11)][-1] == 429


def test_every_answer_is_dressed(ana):
    """No sniffing, no framing, no store, a policy, an id; good and bad alike."""
    for answer in (ana.get("/healthz"), ana.get("/v1/models"), ana.get("/none"), ana.post("/v1/inference", {})):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert answer.headers["x-request-id"].startswith("req_")
        assert "server" not in answer.headers


# ------------------------------------------------------------------------------------------------- how much


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"5", b"nul", b'{"a": 1e', b'{"model": "\xff\xfe"}', b"[" * 100_000, b'{"a":' * 100_000, b'{"a": NaN}',
        b'{"model": "\\ud800"', b"\x00", b'{"model": ' + b"9" * 5000 + b"}", b'"' + b"x" * 1000,
    ],
)  # fmt: skip
def test_what_is_no_json_object_is_400(ana, body):
    """Never 500."""
    answer = ana.post("/v1/inference", body)

    assert (answer.status, answer.error["code"]) == (400, "invalid_request")


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ('{"model": "gpt-4", "messages": [], "model": "gpt-4o"}', "model"),
        ('{"model": "gpt-4", "messages": [{"role": "user", "content": "a", "content": "b"}]}', "content"),
        ('{"model": "gpt-4", "mo\\u0064el": "gpt-4o"}', "model"),
        ("{" + ", ".join(f'"{n}": 0' for n in range(200_000)) + ', "7": 1}', "7"),
    ],
)
def test_a_name_that_is_said_twice_is_refused(ana, body, name):
    """Whoever checked the request on its way may have read the other value."""
    answer = ana.post("/v1/inference", body.encode())

    assert (answer.status, answer.error["details"]) == (400, {"parameter": name})
    assert f"'{name}' twice" in answer.error["message"]


@pytest.mark.parametrize("query", ["limit=%C2%B2", "&".join("a=1" for _ in range(60))])
def test_an_odd_query_is_400(ana, query):
    """A digit that is no number; more parameters than anybody means."""
    assert ana.get(f"/v1/inference?{query}").status == 400


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/jsonp", ""])  # fmt: skip
def test_forms_and_text_are_415(ana, kind):
    """What a foreign page can send without being asked."""
    assert ana.post("/v1/inference", ASK, Content_Type=kind).status == 415


def test_compressed_bodies_are_415(ana):
    """A small bomb would be a large body."""
    assert ana.post("/v1/inference", ASK, Content_Encoding="gzip").status == 415


def test_a_large_body_is_413_before_it_is_read(ana):
    """By its length, by its bytes, and when it has no honest length."""
    announced = exchange(ana, ana.head("POST", "/v1/inference").replace(b"Content-Length: 0", b"Content-Length: 300000000"))  # fmt: skip
    assert announced.startswith(b"HTTP/1.1 413")
    assert b"connection: close" in announced.lower()
    head = ana.head("POST", "/v1/inference").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    with ana.socket() as line:
        line.sendall(head)
        try:
            for _ in range(18):
                line.sendall(chunk)
        except OSError:
            pass  # it closed on us: so it read no more
        line.settimeout(5)
        with contextlib.suppress(ConnectionResetError):
            assert line.recv(65536).startswith(b"HTTP/1.1 413")


def test_twenty_megabytes_pass_where_the_owner_allows_them():
    """And a batch of a thousand prompts passes anyway."""
    big = {**ASK, "messages": [{"role": "user", "content": "x" * 20_000_000}]}
    with lab.Client(mock_mode=True, ledger=":memory:") as client, lab.serve(client, most_bytes=32 * 2**20) as share:
        assert Caller(share.url, share.new_key("ana", tier="Enterprise")).post("/v1/inference", big).status == 200


@pytest.mark.parametrize(
    "raw",
    [
        b"GET /v1/models\r\n\r\n", b"\x16\x03\x01\x02\x00", b"GET / HTTP/9.9\r\n\r\n", b"G\x00T / HTTP/1.1\r\n\r\n",
        b"POST /v1/inference HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /v1/inference HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"POST /v1/inference HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    ],
)  # fmt: skip
def test_what_is_no_http_is_400(ana, raw):
    """HTTP/0.9, TLS, smuggling."""
    assert exchange(ana, raw, finish=True)[9:12] in (b"400", b"421", b"505")


@pytest.mark.parametrize("method", ["TRACE", "PATCH", "DELETE", "CONNECT"])
def test_other_methods_are_405(ana, method):
    """With the seed's envelope."""
    answer = ana(method, "/v1/inference") if method != "CONNECT" else None

    assert answer is None or (answer.status, answer.error["code"]) == (405, "invalid_request")


def test_pipelined_requests_are_answered_in_order(ana):
    """One after the other."""
    body = json.dumps(ASK).encode()
    received = exchange(ana, ana.head("POST", "/v1/inference", body) + ana.head("GET", "/v1/keys/me"))

    assert received.count(b"HTTP/1.1 200") == 2
    assert received.index(b'"object":"inference"') < received.index(b'"name":"ana"')


def test_slow_headers_end_the_connection(ana, monkeypatch):
    """Others are served meanwhile."""
    monkeypatch.setattr(wire, "HEADER_SECONDS", 0.3)
    lines = [ana.socket() for _ in range(50)]
    for line in lines:
        line.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ")
    assert ana.get("/v1/keys/me").status == 200
    for line in lines:
        line.settimeout(5)
        assert line.recv(100).startswith(b"HTTP/1.1 408")
        line.close()


def test_headers_that_do_not_end_end_the_connection(ana):
    """At 32 kB."""
    raw = b"GET / HTTP/1.1\r\nHost: x\r\n" + b"".join(b"X-%d: %s\r\n" % (n, b"y" * 1000) for n in range(80))

    assert exchange(ana, raw).startswith(b"HTTP/1.1 431")


def test_a_slow_body_ends_its_request(ana, monkeypatch):
    """With a word why."""
    monkeypatch.setattr(visit, "BODY_SECONDS", 0.3)
    head = ana.head("POST", "/v1/inference").replace(b"Content-Length: 0", b"Content-Length: 100")
    received = exchange(ana, head + b'{"model"')

    assert received.startswith(b"HTTP/1.1 400")
    assert b"slow_body" in received


def test_a_client_that_reads_nothing_is_left(monkeypatch):
    """Its provider is stopped; what waits for it is bounded."""
    from prsm_lab.server import streams

    monkeypatch.setattr(streams, "WRITE_SECONDS", 0.5)
    with (
        lab.Client(mock_mode=True, ledger=":memory:", mock_responses={"*": {"content": "word " * 400_000}}) as client,
        lab.serve(client) as share,
    ):
        ana = Caller(share.url, share.new_key("ana", tier="Enterprise"))
        with ana.socket() as line:
            line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            line.sendall(ana.head("POST", "/v1/inference/stream", json.dumps(ASK).encode()))
            until = time.monotonic() + 20
            while (state := ana.get("/v1/inference").json["data"]) == [] or state[0]["status"] == "running":
                assert time.monotonic() < until
            assert state[0]["error"]["code"] == "cancelled"


def test_an_unforeseen_fault_shows_its_number_and_nothing_else(ana, monkeypatch, caplog):
    """The traceback is in the log, under that number."""
    monkeypatch.setattr(guard.keys, "holder", lambda accounts, given: 1 / 0)
    with caplog.at_level(logging.ERROR, "prsm_lab.server"):
        answer = ana.get("/v1/models")

    assert (answer.status, answer.error["code"]) == (500, "internal")
    assert b"division" not in answer.raw
    assert b"Traceback" not in answer.raw
    assert answer.headers["x-request-id"] in answer.error["message"]
    assert answer.headers["x-request-id"] in caplog.text


def test_the_log_holds_no_key_no_prompt_and_no_line_of_a_strangers_making(ana, key, caplog):
    """At DEBUG too."""
    with caplog.at_level(logging.DEBUG):
        ana.post("/v1/inference", {**ASK, "messages": [{"role": "user", "content": "canary prompt"}]})
        ana.get("/none%0aINFO%20forged%1b[31m")

    assert key not in caplog.text
    assert key.split("_", 2)[2] not in caplog.text
    assert "canary prompt" not in caplog.text
    assert "\nINFO forged" not in caplog.text
    assert "\x1b" not in caplog.text


def test_a_callers_words_enter_no_header(ana):
    """Neither of an error nor of an answer."""
    answer = ana.post("/v1/inference", {**ASK, "model": "x\r\nSet-Cookie: a=b"})

    assert answer.status in (400, 404)
    assert "set-cookie" not in answer.headers


# ------------------------------------------------------------------------------------------------------ TLS, ends


def test_tls_by_a_certificate(tmp_path):
    """The same server over https."""
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "cert.pem", "-days", "1",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"], cwd=tmp_path, capture_output=True, check=False,
    )  # fmt: skip
    if made.returncode:
        pytest.skip("openssl is not on this machine")
    with (
        lab.Client(mock_mode=True, ledger=":memory:") as client,
        lab.serve(client, certfile=str(tmp_path / "cert.pem"), keyfile=str(tmp_path / "key.pem")) as share,
    ):
        trust = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
        connection = http.client.HTTPSConnection(share.url.removeprefix("https://"), context=trust, timeout=10)
        connection.request("GET", "/healthz")
        assert (share.url[:5], connection.getresponse().status) == ("https", 200)


def test_a_program_that_ends_leaves_no_traceback_and_no_listener():
    """With a server that nobody stopped."""
    code = textwrap.dedent("""
        import prsm_lab as lab
        share = lab.serve(lab.Client(mock_mode=True, ledger=":memory:"))
        share.new_key("ana")
        print(share.url)
    """)
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60, check=False)  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "")
    with pytest.raises(OSError, match="refused"):
        Caller(done.stdout.strip(), None).get("/healthz")


def test_a_stream_of_the_emulator_through_the_server_is_not_buffered():
    """The first piece arrives while the provider still speaks."""
    with emulator.start(rules=[emulator.Rule("stall", pieces=3)]) as emu, lab.Client(ledger=":memory:", providers=emu.providers()) as client, lab.serve(client) as share:  # fmt: skip
        ana = Caller(share.url, share.new_key("ana"))
        with ana.socket() as line:
            line.sendall(ana.head("POST", "/v1/inference/stream", json.dumps(ASK).encode()))
            received = b""
            while b"inference.delta" not in received:
                received += line.recv(65536)
            assert emu.log.entries[0].done is None
