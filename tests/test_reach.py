"""A living client's providers are given other keys and other places: what is asked then, and what is not."""

from __future__ import annotations

import asyncio
import http.server
import threading
import time

import keyring
import keyring.backend
import pytest

import prsm_lab as lab
from prsm_lab import emulator, errors, settings
from prsm_lab.emulator import Rule
from prsm_lab.engine import portal
from prsm_lab.settings import Secret

OLD, NEW = "sk-canary-old-Wq3rT7yU9iOp", "sk-canary-new-Za5sX8dC2fVg"


@pytest.fixture(scope="module")
def emu():
    with emulator.start() as running:
        yield running


@pytest.fixture
def client(emu):
    """One that reaches everybody with the old key."""
    emu.clear()
    access = {name: {**fields, "api_key": OLD} for name, fields in emu.providers().items()}
    with lab.Client(ledger=":memory:", providers=access, max_retries=0) as made:
        yield made


class InMemory(keyring.backend.KeyringBackend):
    """A keyring as a desktop has it."""

    priority = 1

    def __init__(self):
        super().__init__()
        self.kept = {}

    def get_password(self, service, username):
        return self.kept.get((service, username))

    def set_password(self, service, username, password):
        self.kept[service, username] = password

    def delete_password(self, service, username):
        if self.kept.pop((service, username), None) is None:
            raise keyring.errors.PasswordDeleteError("there is none")


@pytest.fixture
def ring():
    before, ring = keyring.get_keyring(), InMemory()
    keyring.set_keyring(ring)
    yield ring
    keyring.set_keyring(before)


def change(client, name, **how):
    how = {key: Secret(value) if key == "key" else value for key, value in how.items()}
    portal.call(client.reach.set(name, **how))


def sent(emu) -> list[str]:
    """The keys that arrived, with questions and with lists."""
    return [
        e.headers.get("authorization", e.headers.get("x-api-key", "")).removeprefix("Bearer ") for e in emu.log.entries
    ]


@pytest.mark.parametrize(
    ("name", "model"), [("openai", "gpt-4.1-mini"), ("anthropic", "claude-haiku-4-5"), ("huggingface", "mixtral")]
)
@pytest.mark.filterwarnings("ignore:No price is known")
def test_the_next_question_has_the_new_key(client, emu, name, model):
    """And only of that provider."""
    client.inference.create(model, "one")
    change(client, name, key=NEW)
    client.inference.create(model, "two")

    assert sent(emu) == [OLD, NEW]
    assert [n for n, access in client.reach.accesses.items() if access.key == Secret(NEW)] == [name]


def is_closed(window) -> bool:
    """Wait for the end of what asks through it, and for its closing."""
    until = time.monotonic() + 5
    while window._client is not None and time.monotonic() < until:
        portal.call(asyncio.sleep(0.01))
    return window._client is None


def test_what_is_being_answered_ends_as_it_began_and_then_the_old_window_closes(client, emu):
    """The stream goes on under the old key; its window's connections are closed after it, not before."""
    emu.add(Rule("drip", seconds=0.1))
    old = client.engine._windows["openai"]
    stream = client.inference.stream("gpt-4.1-mini", "tell me a long story about a lake")
    first = next(iter(stream))
    change(client, "openai", key=NEW)

    assert emu.log.entries[0].done is None
    assert old._client is not None
    assert first.content + "".join(piece.content for piece in stream) == stream.result().content
    assert is_closed(old)
    assert client.engine._windows["openai"] is not old
    assert sent(emu) == [OLD]


def test_an_idle_window_closes_at_once(client):
    """Its connections are given back."""
    client.inference.create("gpt-4.1-mini", "one")
    old = client.engine._windows["openai"]
    change(client, "openai", key=NEW)

    assert is_closed(old)


def test_a_refused_key_does_not_close_the_provider_for_the_next_one(emu):
    """In a run, a provider that refused the key is not asked again; the new key's provider is."""
    with emulator.start(keys=[NEW]) as strict:
        access = {"openai": {"base_url": f"{strict.url}/v1", "api_key": OLD}}
        with lab.Client(ledger=":memory:", providers=access, max_retries=0) as client:
            refused = lab.batch(["a", "b"], "{text}", model="gpt-4.1-mini", client=client, progress=False)
            change(client, "openai", key=NEW)
            answered = lab.batch(["a", "b"], "{text}", model="gpt-4.1-mini", client=client, progress=False)

    assert refused["response"].isna().all()
    assert answered["response"].notna().all()


def test_a_key_stays_at_its_host(client, emu, monkeypatch):
    """Another path keeps it; another host gets none; back home, the environment's own is found again."""
    monkeypatch.setenv("OPENAI_API_KEY", NEW)
    monkeypatch.setenv("OPENAI_BASE_URL", f"{emu.url}/home")
    change(client, "openai", base_url=f"{emu.url}/other/v1")
    assert client.reach.accesses["openai"].key == Secret(OLD)

    change(client, "openai", base_url="http://localhost:9/v1")
    assert (client.reach.accesses["openai"].key, client.reach.accesses["openai"].key_source) == (None, None)
    with pytest.raises(errors.AuthenticationError, match="No key"):
        client.inference.create("gpt-4.1-mini", "hi")
    assert len(emu.log) == 0

    change(client, "openai", base_url=f"{emu.url}/v1/")
    assert client.reach.accesses["openai"].key == Secret(NEW)
    assert client.reach.accesses["openai"].key_source == "environment OPENAI_API_KEY"


def running(client, emu):
    """A run of three rows, one after the other, of which the first is being answered."""
    emu.add(Rule("slow", seconds=0.4))
    rows = [f"tell me of lake {n}" for n in range(3)]
    panel = lab.panels.batch(rows, "{text}", model="gpt-4.1-mini", client=client, max_concurrency=1, start=True)
    emu.log.wait_for(lambda log: len(log.entries) == 1)
    return panel


def test_a_run_goes_on_under_the_new_key(client, emu):
    """The row that is being answered ends under the old one."""
    panel = running(client, emu)
    change(client, "openai", key=NEW)

    assert panel.result()["response"].notna().all()
    assert sent(emu) == [OLD, NEW, NEW]


def test_a_run_does_not_file_answers_of_a_new_place_as_the_old_places(client, emu):
    """Rows that wait when their provider moves fail and say so; nothing of them is sent."""
    with emulator.start() as elsewhere:
        panel = running(client, emu)
        change(client, "openai", key=NEW, base_url=f"{elsewhere.url}/v1")
        found = panel.result()

        assert found["response"].notna().tolist() == [True, False, False]
        assert found["error"].dropna().str.contains("was moved while this question waited").all()
        assert len(elsewhere.log) == 0
        assert client.inference.create("gpt-4.1-mini", "hi").content
        assert sent(elsewhere) == [NEW]


def test_a_server_is_added_asked_and_taken_away(client, emu):
    """Its models are `name/model`; another cannot take its name."""
    portal.call(client.reach.add("mine", f"{emu.url}/v1/"))
    with pytest.warns(UserWarning, match="price"):
        assert client.inference.create("mine/any", "hi").provider == "mine"
    assert sent(emu) == ["none"]
    for name in ("mine", "openai", "local"):
        with pytest.raises(errors.InvalidRequestError, match="already"):
            portal.call(client.reach.add(name, emu.url))

    portal.call(client.reach.remove("mine"))
    with pytest.raises(errors.InvalidRequestError, match="Unknown provider"):
        client.inference.create("any", "hi", provider="mine")
    with pytest.raises(errors.InvalidRequestError, match="not added here"):
        portal.call(client.reach.remove("openai"))


@pytest.mark.parametrize(
    "typed",
    [OLD, f"ftp://{OLD}/v1", f"https://user:{OLD}@host/v1", f"https://host/v1?key={OLD}", f"https://host/#{OLD}",
     f"https://host:{OLD}/v1", f"https://ho st/{OLD}", "https://", f"https:\\\\{OLD}", f"http://h/{OLD * 40}"],
    ids=list("abcdefghij"),
)  # fmt: skip
def test_an_address_that_is_none_is_refused_and_not_repeated(client, typed):
    """It may be a key in the wrong field; nothing changes."""
    before = client.reach.accesses["openai"]
    for doing in (client.reach.set("openai", base_url=typed), client.reach.add("mine", typed)):
        with pytest.raises(errors.InvalidRequestError, match="base URL") as refused:
            portal.call(doing)
        assert OLD not in refused.value.message

    assert client.reach.accesses["openai"] is before
    assert "mine" not in client.reach.names


@pytest.mark.parametrize("name", ["", "My Server", "a/b", OLD, "1st", "x" * 40, "a-b"], ids=list("abcdefg"))
def test_a_name_that_is_none_is_refused_and_not_repeated(client, emu, name):
    """It would not fit into `name/model`, or into the name of a variable."""
    with pytest.raises(errors.InvalidRequestError, match="small letters") as refused:
        portal.call(client.reach.add(name, emu.url))

    assert OLD not in refused.value.message


def test_a_key_is_kept_in_the_keyring_for_its_place(client, emu, ring, monkeypatch):
    """The next client finds it there, and at no other place; forgetting takes it out."""
    change(client, "openai", key=f" {NEW} ", keep=True)
    portal.call(client.reach.add("mine", "https://llm.example.org/v1", key=Secret(OLD), keep=True))

    assert sorted(ring.kept.values()) == sorted([NEW, OLD])
    assert {client.reach.accesses[name].key_source for name in ("openai", "mine")} == {"keyring"}
    assert settings.access("mine", base_url="https://llm.example.org/v2").key == Secret(OLD)
    assert settings.access("mine", base_url="https://evil.example.org/v1").key is None
    assert settings.access("openai").key is None  # it was kept for the emulator's place
    monkeypatch.setenv("OPENAI_BASE_URL", f"{emu.url}/v1")
    assert (settings.access("openai").key, settings.access("openai").key_source) == (Secret(NEW), "keyring")

    portal.call(client.reach.forget("openai"))
    assert list(ring.kept.values()) == [OLD]
    assert client.reach.accesses["openai"].key is None


def test_the_keyring_of_the_usual_place_is_the_providers_name_alone(ring):
    """So `keyring set prsm-lab openai` works, and the key goes to no other place."""
    ring.set_password("prsm-lab", "openai", NEW)

    assert settings.access("openai").key_source == "keyring"
    assert settings.access("openai", base_url="https://elsewhere.example.org/v1").key is None


def test_forgetting_shows_the_environments_key_again(emu, monkeypatch):
    """What the kernel was given goes; what it was started with stays."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", OLD)
    monkeypatch.setenv("ANTHROPIC_BASE_URL", emu.url)
    with lab.Client(ledger=":memory:") as client:
        change(client, "anthropic", key=NEW)
        assert client.reach.accesses["anthropic"].key_source == "argument"
        portal.call(client.reach.forget("anthropic"))

        assert client.reach.accesses["anthropic"].key == Secret(OLD)


def test_a_machine_without_keyring_says_so_and_the_key_is_set_nevertheless(client, monkeypatch):
    """A keyring that keeps nothing, and none installed."""
    with pytest.raises(errors.InvalidRequestError, match="for this kernel only") as refused:
        change(client, "openai", key=NEW, keep=True)
    assert NEW not in str(vars(refused.value))
    assert (client.reach.accesses["openai"].key, client.reach.accesses["openai"].key_source) == (
        Secret(NEW),
        "argument",
    )

    monkeypatch.setattr(settings, "find_spec", lambda _: None)
    with pytest.raises(errors.InvalidRequestError, match=r"pip install \"prsm-lab\[keyring\]\""):
        change(client, "openai", key=OLD, keep=True)
    assert client.reach.accesses["openai"].key == Secret(OLD)


@pytest.mark.parametrize("name", ["openai", "anthropic", "huggingface"])
def test_a_test_lists_the_models_through_the_sdk(client, emu, name):
    """With the key that is set; it costs nothing and asks no model."""
    found = portal.call(client.reach.test(name))

    assert "gpt-4" in found.models
    assert found.latency_ms > 0
    assert sent(emu) == [OLD]
    assert emu.log.arrivals() == []


@pytest.mark.parametrize(
    ("path", "kind", "says"),
    [("/f/401/v1", errors.AuthenticationError, "Check the key"), ("/f/404/v1", errors.NotFoundError, "want /v1"),
     ("/f/429/v1", errors.RateLimitError, "429"), ("/f/500/v1", errors.ProviderError, "500"),
     ("/f/402/v1", errors.InsufficientCreditsError, "Add credits")],
)  # fmt: skip
def test_a_test_tells_what_is_wrong(client, emu, path, kind, says):
    """As a question would be told."""
    change(client, "openai", base_url=emu.url + path)
    with pytest.raises(kind, match=says):
        portal.call(client.reach.test("openai"))


def test_a_test_of_nobody_and_of_what_lists_nothing(emu):
    """Nobody is there; there is no key; a function has no list. This machine: tests/test_panel_providers.py."""
    with lab.Client(
        ledger=":memory:", providers={"gone": {"base_url": "http://127.0.0.1:9/v1"}, "echo": lambda prompt: prompt}
    ) as client:
        with pytest.raises(errors.ProviderError, match="could not be reached"):
            portal.call(client.reach.test("gone"))
        with pytest.raises(errors.AuthenticationError, match="OPENAI_API_KEY"):
            portal.call(client.reach.test("openai"))
        with pytest.raises(errors.InvalidRequestError, match="no list"):
            portal.call(client.reach.test("echo"))


@pytest.mark.parametrize("status", [200, 401])
def test_a_server_that_echoes_the_key_does_not_get_it_shown(client, status):
    """In an error's text, or as the name of a model; what is not like a key at all is found too."""
    key = "plain.words"

    class Echo(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            said = self.headers["authorization"].removeprefix("Bearer ")
            body = f'{{"data": [{{"id": "{said}"}}], "error": {{"message": "no {said} here"}}}}'.encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_): ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        threading.Thread(target=server.serve_forever).start()
        change(client, "openai", key=key, base_url=f"http://127.0.0.1:{server.server_port}/v1")
        try:
            said = str(portal.call(client.reach.test("openai")))
        except errors.PRSMError as fault:
            said = f"{fault} {vars(fault)}"
        server.shutdown()

    assert "[redacted]" in said
    assert key not in said


@pytest.mark.parametrize(
    "body", [b"<html>", b"{}", b"[1]", b'{"data": 1}', b"\xff", b"[" * 100_000, b""], ids=list("abcdefg")
)
def test_what_is_no_list_is_said_to_be_none(client, body):
    """A wrong address often answers 200 with a page."""
    window = client.engine._windows["openai"]

    with pytest.raises(errors.ProviderError, match="no list of models"):
        window._listed(body)
    assert [one["id"] for one in window._listed(b'[{"id": "a"}, {"id": "b"}]')] == ["a", "b"]


def test_a_remote_and_a_mocked_client_have_nothing_to_be_changed(client):
    """The keys are at the server, or there are none."""
    with lab.Client(mock_mode=True, ledger=":memory:") as mocked:
        assert mocked.reach is None
    with lab.serve(client) as share, lab.Client(share.new_key("ana"), share.url) as ana:
        assert ana.reach is None
