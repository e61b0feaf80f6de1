"""The share server behind the proxies that people have: Jupyter's own, with and without its prefix, and nginx.

Each is a real one on a real socket. The judge of streams is the provider's side: it is still silent when the first
event has arrived, and it sees when the client leaves.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pytest
from calls import ASK, HELLO, Caller
from databases import free_port

import prsm_lab as lab
from prsm_lab import emulator, errors
from prsm_lab.emulator import Rule

pytestmark = pytest.mark.timeout(120)

NGINX = """
location /lab/ {
    proxy_pass http://127.0.0.1:8899;      # no slash at its end: the path is passed on as it came
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host $http_host;      # what hosts= names
    proxy_read_timeout 900s;               # a long answer that is not streamed is silent until its end
    client_max_body_size 16m;
}
"""
"""The configuration that the README recommends. Streams need no line of their own: the server asks for no buffering."""

CHROMIUM = "/usr/bin/chromium"
TELL = {"model": "gpt-4", "messages": [{"role": "user", "content": "tell me"}], "max_tokens": 200}


class Front:
    """A proxy, and what it takes to get past it."""

    def __init__(self, port: int, prefix: str, token: str | None, process: subprocess.Popen[bytes]) -> None:
        self.host = f"127.0.0.1:{port}"
        self.url = f"http://{self.host}{prefix}"
        self.token = token
        self.process = process

    def caller(self, key: str) -> Caller:
        """Somebody with a key of ours and, where the proxy wants one, its own token in `Authorization`."""
        return Visitor(self, key)


class Visitor(Caller):
    """Asks through a proxy: the path goes under its prefix, the key into `X-API-Key`."""

    def __init__(self, front: Front, key: str) -> None:
        super().__init__(front.url, None)
        self.prefix = urlsplit(front.url).path
        self.own: dict[str, str | None] = {"X_API_Key": key}
        if front.token:
            self.own["Authorization"] = f"token {front.token}"

    def __call__(self, method, path, body=None, **headers):
        return super().__call__(method, self.prefix + path, body, **{**self.own, **headers})

    @contextmanager
    def stream(self, path: str, body: object) -> Iterator[http.client.HTTPResponse]:
        """An open stream; leaving the block leaves the server."""
        line = http.client.HTTPConnection(self.host, timeout=20)
        sent = {"Content-Type": "application/json", "Accept": "text/event-stream"}
        sent |= {name.replace("_", "-"): str(value) for name, value in self.own.items()}
        line.request("POST", self.prefix + path, json.dumps(body), sent)
        response = line.getresponse()
        try:
            yield response
        finally:
            response.close()
            line.close()


def listening(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until a server answers its door."""
    until = time.monotonic() + 40
    while process.poll() is None and time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise RuntimeError(f"{process.args!r:.80} did not start: {log.read_text()[-2000:]}")


@contextmanager
def running(command: list[str], port: int, log: Path, **options) -> Iterator[subprocess.Popen[bytes]]:
    """A server in a process of its own, for as long as the block lasts."""
    with log.open("wb") as written:
        process = subprocess.Popen(command, stdout=written, stderr=subprocess.STDOUT, **options)
    try:
        listening(port, process, log)
        yield process
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="module")
def jupyter(tmp_path_factory):
    """jupyter-server with its proxy, on a folder, a configuration and a token of its own: port and token."""
    pytest.importorskip("jupyter_server_proxy", reason="jupyter-server-proxy is missing: it is in the extra test")
    room = tmp_path_factory.mktemp("jupyter")
    port, token = free_port(), secrets.token_hex(16)
    places = {f"JUPYTER_{name}_DIR": str(room / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")}
    command = [
        sys.executable, "-m", "jupyter_server", f"--port={port}", "--ServerApp.port_retries=0", "--ip=127.0.0.1",
        "--allow-root", f"--ServerApp.root_dir={room}", "--ServerApp.terminals_enabled=False",
    ]  # fmt: skip
    environ = {**os.environ, **places, "JUPYTER_TOKEN": token}
    with running(command, port, room / "log", env=environ, cwd=room) as process:
        yield port, token, process


@contextmanager
def nginx(port: int, room: Path) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """nginx with the recommended configuration in front of a port; it compresses all that it can, streams too."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        pytest.skip("nginx is missing: apt-get install nginx-light")
    own = free_port()
    folders = "".join(f"{name}_temp_path {room}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))  # fmt: skip
    (room / "nginx.conf").write_text(f"""
        daemon off; pid {room}/pid; error_log stderr; worker_processes 1; {"user root;" if os.geteuid() == 0 else ""}
        events {{}}
        http {{
            access_log off; gzip on; gzip_proxied any; gzip_min_length 0; gzip_types *;
            {folders}
            server {{ listen 127.0.0.1:{own}; server_name lab.example.org;
            {NGINX.replace("8899", str(port))}
            }}
        }}""")
    command = [program, "-p", str(room), "-c", str(room / "nginx.conf"), "-e", "stderr"]
    with running(command, own, room / "log") as process:
        yield own, process


@pytest.fixture(scope="module")
def emu():
    with emulator.start() as started:
        yield started


@pytest.fixture(scope="module")
def client(emu):
    with lab.Client(ledger=":memory:", providers=emu.providers()) as made:
        yield made


KINDS = ("jupyter", "jupyter absolute", "nginx")


@pytest.fixture(scope="module", params=KINDS)
def place(request, client, tmp_path_factory):
    """A proxy and the share server behind it: how its owner starts it there."""
    port = free_port()
    if request.param == "nginx":
        with nginx(port, tmp_path_factory.mktemp("nginx")) as (own, process):
            hosts = [f"127.0.0.1:{own}", "lab.example.org"]
            with lab.serve(client, port=port, root_path="/lab/", hosts=hosts) as share:
                yield Front(own, "/lab", None, process), share
        return
    own, token, process = request.getfixturevalue("jupyter")
    prefix = f"/proxy/absolute/{port}" if "absolute" in request.param else f"/proxy/{port}"
    with lab.serve(client, port=port, root_path=prefix, hosts=[f"127.0.0.1:{own}"]) as share:
        yield Front(own, prefix, token, process), share


@pytest.fixture
def front(place, emu):
    emu.clear()
    yield place[0]
    emu.clear()


@pytest.fixture
def share(place):
    return place[1]


@pytest.fixture
def key(share):
    return share.new_key("ana", tier="Enterprise")


@pytest.fixture
def ana(front, key):
    return front.caller(key)


# ------------------------------------------------------------------------------------------------------ the page


def addresses(text: str, kind: str) -> list[str]:
    """What a page or a script of it loads."""
    if "javascript" in kind:
        return re.findall(r"\bfrom\s+\"([^\"]+)\"", text)
    found = re.findall(r"<(?:link|script|img)[^>]*?\s(?:href|src)=\"([^\"]+)\"", text)
    return [address for address in found if not address.startswith("data:")]


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_a_page_loads_with_all_its_files(ana, front, path):
    """Each address, resolved as a browser does it, leads back through the proxy's prefix to this server."""
    waiting, seen = [f"{ana.prefix}{path}"], set()
    while waiting:
        address = waiting.pop()
        assert address.startswith(f"{ana.prefix}/")
        if address in seen:
            continue
        seen.add(address)
        answer = ana.get(address.removeprefix(ana.prefix))
        assert answer.status == 200, address
        assert answer.headers["x-request-id"].startswith("req_")  # it is ours, not the proxy's
        found = addresses(answer.raw.decode(), answer.headers["content-type"])
        waiting += [urljoin(address, each) for each in found]
    assert path != "/" or {name.rpartition(".")[2] for name in seen} >= {"css", "js"}


def test_the_description_of_the_api_is_relative_too(ana):
    """A client that is made from it asks where it was loaded."""
    servers = ana.get("/openapi.json").json["servers"]

    assert not any(re.match(r"https?:|/", server["url"]) for server in servers)


def test_the_prefix_without_its_slash_leads_to_the_page(ana, front):
    """Where relative addresses lead right; whoever redirects, the proxy or the server."""
    if re.fullmatch(r"/proxy/\d+", ana.prefix):
        pytest.skip("jupyter-server-proxy takes /proxy/8899 for /proxy/8899/ and does not tell: open it with its slash")
    answer = ana.get("")
    there = urljoin(front.url, answer.headers["location"])

    assert answer.status in (301, 302, 307, 308)
    assert there == f"{front.url}/"


def test_the_servers_own_address_has_the_prefix_as_well(share, key):
    """Without the proxy, as the cell shows it: with the prefix it works, with a doubled slash or none at the end too."""
    direct = Caller(share.url, key)
    prefix = urlsplit(share.url).path

    assert prefix.startswith("/")
    assert not prefix.endswith("/")
    assert [direct.get(prefix + path).status for path in ("/v1/keys/me", "/", "/docs")] == [200] * 3
    slashless = direct.get(prefix)
    assert (slashless.status, urljoin(share.url, slashless.headers["location"])) == (308, f"{share.url}/")
    assert direct.get("/v1/keys/me").status == 200


@pytest.fixture(scope="module")
def browser():
    """One Chromium for all proxies."""
    playwright = pytest.importorskip("playwright.sync_api")
    if not Path(CHROMIUM).exists():
        pytest.skip(f"no browser at {CHROMIUM}")
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


def test_the_playground_works_in_a_browser(front, key, emu, browser):
    """Logged in at Jupyter as people are, by its token once and then by its cookie; words come as they are spoken.

    The key is in no `Authorization`: Jupyter would take it for a token of its own.
    """
    emu.add(Rule("stall", contains="tell me", pieces=4))
    context = browser.new_context()
    page, faults = context.new_page(), []
    page.set_default_timeout(15_000)
    page.on("console", lambda line: faults.append(line.text) if line.type == "error" else None)
    page.on("request", lambda sent: faults.append(sent.url) if "authorization" in sent.headers else None)
    page.goto(f"{front.url}/" + (f"?token={front.token}" if front.token else ""))
    page.fill("#key-field", key)
    page.click("#key-use")
    page.fill("#model-search", "gpt-4.1-mini")
    page.locator("#model-list .model").first.click()
    page.fill("#prompt", "tell me")
    page.click("#run")
    page.locator(".column .output", has_text=re.compile(r"\w")).wait_for()
    (entry,) = emu.log.arrivals("tell me")

    assert (entry.done, faults) == (None, [])
    context.close()


# ------------------------------------------------------------------------------------------------------ questions


def test_a_question_is_answered(ana):
    """With the key in `X-API-Key`, whatever the proxy needs `Authorization` for."""
    answer = ana.post("/v1/inference", ASK)

    assert (answer.status, answer.json["object"]) == (200, "inference")
    assert ana.get(f"/v1/inference/{answer.json['id']}").status == 200


def test_an_error_passes_as_it_is(ana, front):
    """Status, envelope and headers are ours."""
    wrong = ana.post("/v1/inference", {**ASK, "temperature": 9})
    stranger = ana.get("/v1/models", X_API_Key="pk_000000000000_" + "A" * 43)

    assert (wrong.status, wrong.error["code"], wrong.error["details"]["parameter"]) == (400, "invalid_request", "temperature")  # fmt: skip
    assert "x-ratelimit-remaining" in wrong.headers
    assert (stranger.status, stranger.error["code"]) == (401, "authentication")


def test_a_background_questions_location_leads_to_it(ana, front):
    """Through the proxy."""
    answer = ana.post("/v1/inference", {**ASK, "background": True})
    there = urlsplit(urljoin(front.url, answer.headers["location"]))

    assert answer.status == 202
    assert there.netloc == front.host
    assert ana.get(there.path.removeprefix(ana.prefix)).status == 200


def test_a_long_prompt_passes(ana):
    """Eight megabytes: under the cap of the server, over the usual one of nginx."""
    body = {**ASK, "messages": [{"role": "user", "content": "x" * 8 * 2**20}]}

    assert ana.post("/v1/inference/check", body).status == 200


# -------------------------------------------------------------------------------------------------------- streams


@pytest.mark.parametrize("path", ["/v1/inference/stream", "/v1/chat/completions"])
def test_events_arrive_while_the_provider_is_still_speaking(ana, emu, path):
    """The provider falls silent after its first words, fewer than fill anybody's buffer: they are here already."""
    emu.add(Rule("stall", contains="tell me", pieces=2))
    with ana.stream(path, {**TELL, "stream": True}) as response:
        first = response.readline()
        (entry,) = emu.log.arrivals("tell me")

        assert (response.status, first[:7]) == (200, b"data: {")
        assert response.headers["Content-Type"].startswith("text/event-stream")
        assert (entry.done, entry.peer_closed) == (None, None)


def test_a_whole_stream_passes_to_its_end(ana):
    """With usage and `[DONE]`."""
    with ana.stream("/v1/inference/stream", TELL) as response:
        text = response.read().decode()

    assert text.endswith("data: [DONE]\n\n")
    assert '"inference.completed"' in text


def test_a_client_that_leaves_stops_the_provider(ana, emu, front, request):
    """Where the proxy tells us: jupyter-server-proxy 4 goes on reading what nobody is there to get."""
    if front.token:
        request.applymarker(pytest.mark.xfail(reason="jupyter-server-proxy does not pass it on", strict=False))
    emu.add(Rule("stall", contains="tell me", pieces=4))
    with ana.stream("/v1/inference/stream", TELL) as response:
        response.readline()

    (entry,) = emu.log.arrivals("tell me")
    emu.log.wait_for(lambda _: entry.peer_closed, 1 if front.token else 5)


# ------------------------------------------------------------------------------------------- the clients of others


@pytest.fixture
def colleague(front, key):
    """The Python client, with a token for the proxy where that wants one."""
    with lab.Client(key, front.url, proxy_token=front.token) as made:
        yield made


def test_the_python_client_works_unchanged(colleague):
    """Questions, frames, history, usage."""
    assert colleague.inference.create("gpt-4", HELLO).served_model.startswith("simulated/")
    answers = lab.batch(["red", "blue"], "{text}", model="gpt-4", client=colleague, progress=False)
    assert answers["error"].isna().all()
    assert colleague.inference.analytics().total_requests >= 3


def test_the_python_client_sees_pieces_as_they_are_spoken(colleague, emu):
    """It asks for the stream in the words that Jupyter's proxy understands."""
    emu.add(Rule("stall", contains="tell me", pieces=4))
    with colleague.inference.stream("gpt-4", "tell me") as pieces:
        first = next(iter(pieces))
        (entry,) = emu.log.arrivals("tell me")

        assert first
        assert (entry.done, entry.peer_closed) == (None, None)


def test_openais_client_works_with_the_key_in_a_header(front, key, emu):
    """Its own key is the proxy's token there; a stream needs the words that Jupyter's proxy understands."""
    import openai

    emu.add(Rule("stall", contains="tell me", pieces=4))
    headers = {"X-API-Key": key}
    with openai.OpenAI(base_url=f"{front.url}/v1", api_key=front.token or key, default_headers=headers) as theirs:
        whole = theirs.chat.completions.create(model="gpt-4", messages=HELLO)
        with theirs.chat.completions.create(
            model="gpt-4", messages=TELL["messages"], stream=True, extra_headers={"Accept": "text/event-stream"}
        ) as pieces:
            next(pieces)
            (entry,) = emu.log.arrivals("tell me")

            assert entry.done is None
    assert whole.choices[0].message.content


# --------------------------------------------------------------------------------------------- what may be forgotten


def test_a_client_without_the_proxys_token_is_told_what_is_missing(jupyter, client):
    """Jupyter answers with its login page, not with an envelope of ours."""
    port, _, _ = jupyter
    with lab.serve(client) as share:
        url = f"http://127.0.0.1:{port}/proxy/{share.url.rpartition(':')[2]}"
        with lab.Client(share.new_key("ana"), url) as colleague, pytest.raises(errors.AuthenticationError, match="PRSM_PROXY_TOKEN"):  # fmt: skip
            colleague.inference.create("gpt-4", HELLO)


def test_the_proxys_token_may_come_from_the_environment(monkeypatch, jupyter, client):
    """As the address and the key do."""
    port, token, _ = jupyter
    with lab.serve(client, hosts=[f"127.0.0.1:{port}"]) as share:
        monkeypatch.setenv("PRSM_API_URL", f"http://127.0.0.1:{port}/proxy/{share.url.rpartition(':')[2]}")
        monkeypatch.setenv("PRSM_API_KEY", share.new_key("ana"))
        monkeypatch.setenv("PRSM_PROXY_TOKEN", token)
        with lab.Client() as colleague:
            assert colleague.inference.create("gpt-4", HELLO).finish_reason == "stop"


def test_a_host_that_was_not_named_reaches_the_colleague_as_such(jupyter, client):
    """The proxy lets them pass, the server does not: the message has the name that the owner is to add."""
    port, token, _ = jupyter
    with lab.serve(client) as share:
        url = f"http://127.0.0.1:{port}/proxy/{share.url.rpartition(':')[2]}"
        with lab.Client(share.new_key("ana"), url, proxy_token=token) as colleague, pytest.raises(errors.InvalidRequestError, match=f"127.0.0.1:{port}"):  # fmt: skip
            colleague.inference.create("gpt-4", HELLO)


def test_a_host_that_was_not_named_is_refused_by_its_name(ana, share):
    """So that the owner can copy it into `hosts`; and a page under that host is another site's."""
    host = Caller(share.url, None)
    answer = host.get("/healthz", Host="hub.example.org:8000")

    assert answer.status == 421
    assert "'hub.example.org:8000'" in answer.error["message"]
    assert "hosts=" in answer.error["message"]
    assert ana.post("/v1/inference", ASK, Origin="https://evil.example").status == 403


def test_the_page_under_the_proxys_host_may_ask(ana, front):
    """Its own origin is the proxy's."""
    assert ana.post("/v1/inference", ASK, Origin=f"http://{front.host}").status == 200


@pytest.mark.parametrize("hosts", [["https://hub.example.org"], ["hub.example.org/lab"], [""]])
def test_hosts_are_names_not_addresses(client, hosts):
    """A slip that would otherwise show as a refusal much later."""
    with pytest.raises(errors.InvalidRequestError, match="hosts names"):
        lab.serve(client, hosts=hosts)


def test_the_command_refuses_a_slip_before_it_serves():
    """Once, not by each of its workers again and again."""
    command = [sys.executable, "-m", "prsm_lab", "serve", "--port", "0", "--workers", "2", "--allow-host", "https://hub.example.org"]  # fmt: skip
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("prsm-lab: hosts names")
    assert len(ended.stderr.splitlines()) == 1


def test_the_readme_recommends_what_is_tried_here():
    """Word for word."""
    readme = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")

    assert all(block == NGINX.strip() for block in re.findall(r"```nginx\n(.*?)\n```", readme, re.DOTALL))


@pytest.mark.parametrize("prefix", ["/a b", "/lab?x", "https://hub.example.org/lab", "/lab\r\nX: y", "//lab//x"])
def test_a_prefix_is_a_path(client, prefix):
    """As above."""
    with pytest.raises(errors.InvalidRequestError, match="root_path"):
        lab.serve(client, root_path=prefix)
