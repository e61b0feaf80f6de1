"""Models of one's own: kept by a store, sent to a share server in parts, asked like any other, deleted."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
from calls import Caller
from forged import gguf, model, template_of, weights, zipped

import prsm_lab as lab
from prsm_lab import catalog, emulator, errors, local
from prsm_lab.hosting import archives, words
from prsm_lab.hosting.child import Child, environment
from prsm_lab.hosting.store import Hosted, Store, Upload
from prsm_lab.providers import weights as window
from prsm_lab.types import Options, Reply, Request, Target

BYTES = {"Content_Type": "application/octet-stream"}


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def packed(tmp_path) -> bytes:
    """A zip of a folder that is good, with weights that mean nothing."""
    folder = model(tmp_path / "good")
    return zipped(tmp_path / "good.zip", *[(path.name, path.read_bytes()) for path in folder.iterdir()]).read_bytes()


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "hosted", most_bytes=10**7)


def keep(store, name, content, *, step=10**9):
    """Announce and send."""
    found = store.begin(name, len(content), digest(content))
    while isinstance(found, Upload):
        with store.writing(name, found.received) as part:
            part.write(content[found.received : found.received + step])
        found = store.finish(name)
    return found


# ------------------------------------------------------------------------------------------------------ the store


def test_an_upload_in_parts_becomes_a_model(store, packed):
    """Its name appears with everything behind it; what was on its way is gone."""
    made = keep(store, "tiny", packed, step=1000)

    assert (made.kind, made.architecture, made.context, made.sha256) == ("transformers", "gpt2", 64, digest(packed))
    assert store.all() == [made]
    assert (store.path(made) / "model.safetensors").read_bytes() == weights()
    assert list((store.path(made).parent.parent / ".uploads").iterdir()) == []


def test_a_gguf_file_is_kept_as_it_is(store):
    """And says its architecture."""
    made = keep(store, "llama", gguf())

    assert (made.kind, made.architecture, made.context) == ("gguf", "llama", 512)
    assert store.path(made).read_bytes() == gguf()


def test_what_broke_off_goes_on_where_it_ended(tmp_path, store, packed):
    """In another process too; at another place it is refused, and told where."""
    store.begin("tiny", len(packed), digest(packed))
    with store.writing("tiny", 0) as part:
        part.write(packed[:700])
    other = Store(tmp_path / "hosted", most_bytes=10**7)
    known = other.begin("tiny", len(packed), digest(packed))
    with pytest.raises(errors.ConflictError) as wrong, other.writing("tiny", 0):
        pass

    assert (known.received, wrong.value.details["received"]) == (700, 700)
    assert isinstance(keep(other, "tiny", packed), Hosted)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\x80\x04K\x01." * 30, "pickle"), (b"no archive at all" * 30, "no whole zip"), (b"GGUF" + bytes(100), "version 0"),
        (gguf(pairs=3, facts=template_of("{{ ''.__class__ }}")), "no chat needs"),
    ],
)  # fmt: skip
def test_what_is_not_to_be_trusted_is_thrown_away(tmp_path, store, content, said):
    """Whole, and the name is free again."""
    with pytest.raises(errors.InvalidRequestError, match=said):
        keep(store, "evil", content)

    assert [path for path in (tmp_path / "hosted").rglob("*") if path.is_file()] == []
    assert keep(store, "evil", gguf()).kind == "gguf"


def test_bytes_with_another_checksum_are_thrown_away(store, packed):
    """They are not what was announced."""
    store.begin("tiny", len(packed), digest(b"other"))
    with store.writing("tiny", 0) as part:
        part.write(packed)
    with pytest.raises(errors.InvalidRequestError, match="checksum"):
        store.finish("tiny")

    assert (store.upload("tiny"), store.find("tiny")) == (None, None)


def test_more_bytes_than_announced_are_not_written(store):
    """Whoever announces little cannot fill the disk."""
    store.begin("tiny", 10, digest(b"x"))
    with pytest.raises(errors.InvalidRequestError, match="More bytes"), store.writing("tiny", 0) as part:
        part.write(bytes(11))

    assert store.upload("tiny").received == 0


def test_two_cannot_write_one_upload(store):
    """The second is told to wait."""
    store.begin("tiny", 10, digest(b"x"))
    with store.writing("tiny", 0), pytest.raises(errors.ConflictError, match="just now"), store.writing("tiny", 0):
        pass


def test_a_name_that_has_other_bytes_is_not_overwritten(store, packed):
    """The same bytes are there already; others need another name, or a deletion."""
    made = keep(store, "tiny", packed)

    assert store.begin("tiny", len(packed), digest(packed)) == made
    with pytest.raises(errors.ConflictError):
        store.begin("tiny", 5, digest(b"other"))
    store.delete("tiny")
    assert isinstance(store.begin("tiny", 5, digest(b"other")), Upload)


@pytest.mark.parametrize("name", ["../x", "a/b", "", "A", ".hidden", "a" * 65, "a..b", 5, "x\n"])
def test_a_name_that_could_be_a_path_is_none(store, name):
    """Nowhere."""
    for call in (lambda: store.begin(name, 1, digest(b"")), lambda: store.delete(name)):
        with pytest.raises(errors.InvalidRequestError, match="no name for a model"):
            call()
    assert isinstance(name, int) or store.find(name) is None


@pytest.mark.parametrize(("size", "sha", "said"), [(0, "0" * 64, "size"), (10**8, "0" * 64, "size"), (True, "0" * 64, "size"), (5, "xyz", "sha256"), (5, "A" * 64, "sha256")])  # fmt: skip
def test_sizes_and_checksums_that_are_none(store, size, sha, said):
    """Too large is one of them."""
    with pytest.raises(errors.InvalidRequestError, match=said):
        store.begin("tiny", size, sha)


def test_a_full_disk_is_said_before_anything_is_sent(store, monkeypatch):
    """Twice the size is needed: packed and unpacked."""
    monkeypatch.setattr(archives.shutil, "disk_usage", lambda _: type("U", (), {"total": 100, "free": 24})())

    assert isinstance(store.begin("a", 9, digest(b"")), Upload)
    with pytest.raises(errors.InvalidRequestError, match="no room"):
        store.begin("b", 10, digest(b""))


def test_an_upload_that_nobody_goes_on_with_is_swept_away(store, monkeypatch):
    """After a week."""
    store.begin("old", 10, digest(b"x"))
    monkeypatch.setattr("prsm_lab.hosting.store.KEPT_SECONDS", -1.0)
    store.begin("new", 10, digest(b"y"))

    assert store.upload("old") is None


def test_what_a_check_left_that_was_killed_is_swept_away(store, tmp_path):
    """After a day: until then another process may be at work in it."""
    store.begin("old", 10, digest(b"x"))
    folder = next(tmp_path.rglob(".uploads")).parent
    for name, hours in ((".checking-dead", 25), (".checking-alive", 1), (".gone-dead", 25)):
        (folder / name / "files").mkdir(parents=True)
        os.utime(folder / name, (time.time() - hours * 3600,) * 2)
    store.begin("new", 10, digest(b"y"))

    assert sorted(path.name for path in folder.glob(".*-*")) == [".checking-alive"]


# ---------------------------------------------------------------------------------------------------- the server


@pytest.fixture(scope="module")
def emu():
    with emulator.start() as running:
        yield running


@pytest.fixture(scope="module")
def share(emu):
    with (
        lab.Client(ledger=":memory:", providers=emu.providers()) as client,
        lab.serve(client, most_model_bytes=10**7) as serving,
    ):
        yield serving


@pytest.fixture
def root(share):
    return Caller(share.url, share.new_key("root", tier="Enterprise", scopes=("infer", "read", "admin")))


@pytest.fixture
def bob(share):
    return Caller(share.url, share.new_key("bob", tier="Pro"))


def announced(content, name="tiny"):
    return {"name": name, "size": len(content), "sha256": digest(content)}


def test_a_model_is_announced_sent_shown_and_deleted(root, packed):
    """Two parts; the card says how far it is; afterwards nothing is left."""
    begun = root.post("/v1/models", announced(packed))
    half = root("PUT", "/v1/models/local/tiny?offset=0", packed[:500], **BYTES)
    shown = root.get("/v1/models/local/tiny")
    done = root("PUT", "/v1/models/local/tiny?offset=500", packed[500:], **BYTES)
    ready = root.get("/v1/models/local/tiny")
    listed = [one["id"] for one in root.get("/v1/models").json["data"]]
    gone = root("DELETE", "/v1/models/local/tiny")

    assert [begun.status, half.status, done.status, gone.status] == [202, 202, 201, 200]
    assert (shown.json["hosted"]["status"], shown.json["hosted"]["received"]) == ("uploading", 500)
    assert {"status": "ready", "architecture": "gpt2", "loaded": False}.items() <= ready.json["hosted"].items()
    assert "local/tiny" in listed
    assert gone.json == {"id": "local/tiny", "object": "model", "deleted": True}
    assert root("DELETE", "/v1/models/local/tiny").status == 404
    assert "local/tiny" not in [one["id"] for one in root.get("/v1/models").json["data"]]


def test_a_model_is_sent_at_once(root, packed):
    """One request: `curl --data-binary`."""
    answer = root.post(f"/v1/models?name=once&sha256={digest(packed)}", packed, **BYTES)

    assert (answer.status, answer.json["id"], answer.json["hosted"]["status"]) == (201, "local/once", "ready")


def test_a_connection_that_breaks_off_loses_nothing(root, packed):
    """The server keeps what came, and says so."""
    root.post("/v1/models", announced(packed, "cut"))
    with root.socket() as connection:
        connection.sendall(
            root.head("PUT", "/v1/models/local/cut", b"", "Content-Type: application/octet-stream").replace(
                b"Content-Length: 0", b"Content-Length: 900"
            )
        )
        connection.sendall(packed[:300])
        connection.shutdown(socket.SHUT_WR)
        connection.recv(100)
    answer = root("PUT", "/v1/models/local/cut?offset=0", packed, **BYTES)

    assert (answer.status, answer.error["details"].get("received")) == (409, 300)
    assert root("PUT", "/v1/models/local/cut?offset=300", packed[300:], **BYTES).status == 201


@pytest.mark.parametrize(("method", "path"), [("POST", "/v1/models"), ("PUT", "/v1/models/local/x"), ("DELETE", "/v1/models/local/x")])  # fmt: skip
def test_only_an_admin_hosts(bob, method, path):
    """Whatever is sent."""
    assert bob(method, path, {"name": "x"}).status == 401


@pytest.mark.parametrize(
    ("body", "status", "parameter"),
    [
        ({"size": 5, "sha256": "0" * 64}, 400, "name"), ({"name": "x", "sha256": "0" * 64}, 400, "size"), ({"name": "x", "size": 5}, 400, "sha256"),
        ({"name": "../x", "size": 5, "sha256": "0" * 64}, 400, "name"), ({"name": "x", "size": 10**8, "sha256": "0" * 64}, 413, "size"),
        ({"name": "x", "size": "5", "sha256": "0" * 64}, 400, "size"), ({"name": "x", "path": "/etc"}, 400, "path"),
        ({"name": "x", "base_url": "http://localhost:1/v1", "size": 5}, 400, "base_url"), ({"name": "x", "base_url": "file:///etc/passwd"}, 400, "base_url"),
        ({"name": "x", "base_url": "http://169.254.169.254/latest"}, 400, "base_url"), ({"name": "x", "base_url": "http://0.0.0.0/v1"}, 400, "base_url"),
        ({"name": "x", "base_url": "http://[fe80::1]/v1"}, 400, "base_url"), ({"name": "x", "base_url": "http://[::ffff:169.254.169.254]/v1"}, 400, "base_url"),
        ({"name": "openai", "base_url": "http://localhost:1/v1"}, 400, "name"), ({"name": "gpt-4", "base_url": "http://localhost:1/v1"}, 400, "name"),
        ({"name": "x", "base_url": "http://localhost:1/v1", "preset": "y"}, 400, "preset"), ({"name": "x", "base_url": "http://localhost:1/v1", "insecure": 1}, 400, "insecure"),
    ],
)  # fmt: skip
def test_a_wrong_announcement_is_refused_by_name(root, body, status, parameter):
    """Addresses that only clouds talk to among themselves are no servers of models."""
    answer = root.post("/v1/models", body)

    assert (answer.status, answer.error["details"]["parameter"]) == (status, parameter)


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/v1/models/local/nobody", BYTES, 404), ("/v1/models/gpt-4", BYTES, 404), ("/v1/models/local/..%2fx", BYTES, 404), ("/v1/models/local/a%00b", BYTES, 404),
        ("/v1/models/local/nobody?offset=-1", BYTES, 400), ("/v1/models/local/nobody?offset=x", BYTES, 400), ("/v1/models/local/nobody", {"Content_Type": "application/json"}, 415),
        ("/v1/models/local/nobody", {**BYTES, "Content_Encoding": "gzip"}, 415),
    ],
)  # fmt: skip
def test_bytes_for_nothing_are_refused(root, path, headers, status):
    """Unknown names, paths, offsets that are none, bodies of another kind."""
    assert root("PUT", path, b"x", **headers).status == status


def test_more_bytes_than_announced_end_the_connection(root):
    """413, as every body that is too large."""
    root.post("/v1/models", announced(b"x" * 10, "much"))

    assert root("PUT", "/v1/models/local/much", b"x" * 11, **BYTES).status == 413
    assert root("DELETE", "/v1/models/local/much").status == 200


def test_a_hostile_archive_is_refused_at_the_server_too(root, tmp_path):
    """400, with the file's name; nothing of it is left."""
    evil = zipped(tmp_path / "e.zip", ("config.json", b"{}"), ("../../evil.py", b"import os")).read_bytes()
    answer = root.post(f"/v1/models?name=evil&sha256={digest(evil)}", evil, **BYTES)

    assert (answer.status, answer.error["details"]["kind"]) == (400, "archive")
    assert root.get("/v1/models/local/evil").json.get("hosted") is None


def test_an_archive_that_unpacks_to_more_than_the_servers_cap_is_refused(root, tmp_path, share, monkeypatch):
    """As one that is larger itself."""
    monkeypatch.setattr(share._house, "most_model_bytes", 1500)
    folder = model(tmp_path / "m", README__md="words " * 2000)
    content = zipped(tmp_path / "m.zip", *[(path.name, path.read_bytes()) for path in folder.iterdir()]).read_bytes()
    answer = root.post(f"/v1/models?name=wide&sha256={digest(content)}", content, **BYTES)

    assert len(content) <= 1500
    assert (answer.status, "unpacks to more than 1,500" in answer.error["message"]) == (400, True)


@pytest.mark.filterwarnings("ignore:No price")
def test_a_server_is_registered_asked_and_forgotten(share, root, bob, emu):
    """Its models are everybody's; its key is in no answer, and none of this machine's goes there."""
    answer = root.post("/v1/models", {"name": "gpu", "base_url": f"{emu.url}/v1", "api_key": "k-secret-1"})
    asked = bob.post(
        "/v1/inference", {"model": "gpu/gpt-4", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 5}
    )
    shown = root.get("/v1/models/gpu")
    listed = [one["id"] for one in bob.get("/v1/models").json["data"]]
    gone = root("DELETE", "/v1/models/gpu")

    assert (answer.status, asked.status, asked.json["provider"], gone.status) == (201, 200, "gpu", 200)
    assert "gpu/gpt-4" in answer.json["hosted"]["models"]
    assert "gpu/gpt-4" in listed
    assert b"k-secret" not in answer.raw + shown.raw
    assert root.get("/v1/models/gpu").status == 404
    assert "gpu" not in share._house.reach.names
    assert "gpu/gpt-4" not in {one.name for one in catalog.all_models()}


def test_no_key_of_the_servers_machine_goes_to_an_address_that_came_over_the_network(share, root, emu, monkeypatch):
    """Only the one that came with it."""
    monkeypatch.setenv("THIEF_API_KEY", "sk-mine")
    monkeypatch.setenv("GROQ_API_KEY", "sk-mine")
    for name, preset in (("thief", None), ("other", "groq")):
        assert root.post("/v1/models", {"name": name, "base_url": f"{emu.url}/v1", "preset": preset}).status == 201
        assert share._house.reach.accesses[name].key is None
        root("DELETE", f"/v1/models/{name}")


def test_a_key_names_models_and_never_paths_of_the_servers_disk(root, bob, tmp_path):
    """Else anybody could look for weights there."""
    (tmp_path / "m.gguf").write_bytes(gguf())
    for place in (f"local/{tmp_path}/m.gguf", f"local/{tmp_path}", "local/../x"):
        answer = bob.post("/v1/inference", {"model": place, "messages": [{"role": "user", "content": "hi"}]})
        assert answer.status == 404


def test_the_client_uploads_a_folder_in_parts(root, share, tmp_path, monkeypatch):
    """What a model does not need stays at home; a lost connection goes on; the same again sends nothing."""
    from prsm_lab.engine import remote_models

    monkeypatch.setattr(remote_models, "PART", 700)
    folder = model(tmp_path / "My Model", notes__txt="mine", optimizer__pt=b"x" * 100)
    sent = []
    with lab.Client(root.key, share.url) as client:
        once, lost = client.engine.hosting._send, []

        async def flaky(*args):
            sent.append(args[1])
            if len(sent) == 2:
                lost.append(args)
                raise errors.ProviderError("lost", details={"kind": "connection"})
            return await once(*args)

        client.engine.hosting._send = flaky
        made = client.models.upload(folder)
        parts = len(sent)
        again = client.models.upload(folder, "my-model")
        client.models.delete("my-model")

    assert (made.name, made.provider, made.capabilities.context) == ("local/my-model", "local", 64)
    assert parts > 3
    assert (again.name, len(sent)) == ("local/my-model", parts)


def test_a_client_of_its_own_hosts_here(tmp_path):
    """Without a server: the same checks, the same names; a mocked client's catalogue shows it."""
    with lab.Client(ledger=":memory:", mock_mode=True) as client:
        made = client.models.upload(model(tmp_path / "tiny"))
        listed = client.models.get("local/tiny")
        client.models.delete("local/tiny")
        with pytest.raises(errors.NotFoundError):
            client.models.delete("local/tiny")
        with pytest.raises(errors.InvalidRequestError, match="pickle"):
            client.models.upload(model(tmp_path / "evil", model__safetensors=None, pytorch_model__bin=b"x"))

    assert made.name == listed.name == "local/tiny"
    assert local.store().all() == []


def test_a_client_registers_a_server_by_its_address(share, root, emu):
    """At the share server, and in its own process."""
    with lab.Client(root.key, share.url) as remote, lab.Client(ledger=":memory:") as own:
        for client in (remote, own):
            names = [one.name for one in client.models.register("there", f"{emu.url}/v1", api_key="k")]
            client.models.delete("there")
            assert "there/gpt-4" in names


# ------------------------------------------------------------------------------------------- the loader's sandbox


def test_the_loader_gets_no_keys():
    """Of the environment, what a program needs to run."""
    ours = {
        "PATH": "/bin",
        "OPENAI_API_KEY": "sk-1",
        "AWS_SECRET": "x",
        "HOME": "/home/ana",
        "PYTHONPATH": "/evil",
        "LD_PRELOAD": "x",
    }

    assert environment(ours, "/room") == {"PATH": "/bin", "HOME": "/room", "TMPDIR": "/room", "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}  # fmt: skip


def rendered(text, messages=({"role": "user", "content": "hi"},), **tokens):
    pytest.importorskip("jinja2")
    return words.rendered(words.compiled(text), list(messages), tokens)


def test_a_template_lays_out_a_conversation():
    """With its tokens, `generation` blocks, `tojson`, `strftime_now`, loop controls."""
    text = "{{ bos_token }}{% for m in messages %}{% generation %}[{{ m.role }}] {{ m.content | tojson }}{% endgeneration %}{% break %}{% endfor %}{{ strftime_now('%%') }}"

    assert rendered(text, bos_token="<s>") == '<s>[user] "hi"%'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", "took more than"),
        ("{{ 'a' * 100000000 }}", "failed: SecurityError"), ("{{ 9 ** 999999999 }}", "failed: SecurityError"), ("{{ range(10000000) }}", "failed: OverflowError"),
        ("{% for a in range(9999) %}{{ 'aaaaaaaaaa' }}{% endfor %}", "too long a prompt"), ("{{ raise_exception('no system message') }}", "no system message"),
        ("{{ messages.append(5) }}", "failed: SecurityError"), ("{{ ''.__class__.__mro__ }}", "failed: SecurityError"), ("{{ nothing.at.all }}", "failed: UndefinedError"),
    ],
)  # fmt: skip
def test_a_template_that_burns_time_memory_or_trust_is_stopped(monkeypatch, text, said):
    """In time, and said to be the template's fault."""
    monkeypatch.setattr(words, "TEMPLATE_SECONDS", 0.05)
    monkeypatch.setattr(words, "MOST_PROMPT", 50_000)
    with pytest.raises(words.Refusal, match=said):
        rendered(text)
    assert sys.gettrace() is None or "pytest" not in repr(sys.gettrace())


# ------------------------------------------------------------------------------------------ who is in memory


class Loaded:
    """Stands in for what `local.load` returns: where questions go."""

    def __init__(self, url, *, at_once=8):
        self.base_url, self.key, self.running, self.at_once = f"{url}/v1", None, True, at_once


@pytest.fixture
def hosts(monkeypatch, emu):
    """Models `a`, `b`, `c` that need 100 bytes of memory each; what is loaded and unloaded is written down."""
    log = []

    def load(name):
        log.append(f"+{name}")
        return Loaded(emu.url)

    monkeypatch.setattr(local, "load", load)
    monkeypatch.setattr(local, "unload", lambda name: log.append(f"-{name}"))
    monkeypatch.setattr(local, "needs", lambda name: 100 if name in "abc" else 0)
    monkeypatch.setattr(Store, "find", lambda self, name: name in "abc" or None)
    return log


async def ask(served, name, *, live=False):
    request = Request(
        model=f"local/{name}", messages=({"role": "user", "content": "hi"},), options=Options(max_tokens=5)
    )
    stream = served.send(request, Target(provider="local", model=name, name=f"local/{name}"), live=live)
    return [item async for item in stream][-1]


async def test_the_one_that_rested_longest_makes_room(hosts):
    """Two fit; c takes a's place, who was asked before b."""
    served = window.Weights(memory=250)
    for name in ("a", "b", "b", "a", "b", "c", "a"):
        assert isinstance(await ask(served, name), Reply)
    await served.aclose()

    assert hosts == ["+a", "+b", "-a", "+c", "-b", "+a", "-c", "-a"]


async def test_one_that_is_being_asked_is_not_thrown_out(hosts):
    """The next one is told to come later."""
    served = window.Weights(memory=150)
    request = Request(model="local/a", messages=({"role": "user", "content": "hi"},))
    stream = served.send(request, Target(provider="local", model="a", name="local/a"), live=True)
    await anext(stream)
    with pytest.raises(errors.ProviderError, match="are being asked") as full:
        await ask(served, "b")
    await stream.aclose()
    await ask(served, "b")
    await served.aclose()

    assert full.value.retry_after
    assert hosts == ["+a", "-a", "+b", "-b"]


async def test_one_that_nobody_asks_leaves(hosts):
    """After its idle time; the next question loads it again."""
    import asyncio

    served = window.Weights(idle=0.0)
    await ask(served, "a")
    while "-a" not in hosts:
        await asyncio.sleep(0.001)
    await ask(served, "a")
    await served.aclose()

    assert hosts[:3] == ["+a", "-a", "+a"]


async def test_one_that_died_is_loaded_again(hosts):
    """The system may have ended a process that took too much."""
    served = window.Weights()
    await ask(served, "a")
    served._served["a"].model.running = False
    await ask(served, "a")
    await served.aclose()

    assert hosts == ["+a", "+a", "-a"]


# ----------------------------------------------------------------------------- a real model, trained here


@pytest.fixture(scope="module")
def tiny():
    """A causal model that is trained in seconds, once per machine and version of its maker."""
    missing = [name for name in ("torch", "transformers") if find_spec(name) is None]
    if missing:
        pytest.skip(f"{' and '.join(missing)} not installed: pip install torch==2.13.0 transformers")
    maker = Path(__file__).with_name("tiny_model.py")
    folder = Path(tempfile.gettempdir()) / "prsm-lab-test-models" / f"tiny-{digest(maker.read_bytes())[:12]}"
    if not (folder / "config.json").exists():
        subprocess.run([sys.executable, str(maker), str(folder)], check=True, capture_output=True)
    return folder


ASK = {"max_tokens": 20, "temperature": 0}
SAID = {
    "capital of france?": "paris.",
    "capital of spain?": "madrid.",
    "capital of italy?": "rome.",
    "capital of peru?": "lima.",
}


@pytest.mark.timeout(180)
def test_a_folder_is_uploaded_compared_streamed_and_deleted(tiny, tmp_path, monkeypatch):
    """End to end, over a share server: a hosted model is a model like every other, until it is gone; no key is where
    it runs, and, where the system allows that, no network."""
    monkeypatch.setenv("SOME_API_KEY", "sk-never-there")
    with (
        emulator.start() as emu, lab.Client(ledger=":memory:", providers=emu.providers()) as client, lab.serve(client) as share,
        lab.Client(share.new_key("root", tier="Enterprise", scopes=("infer", "read", "admin")), share.url) as root,
        lab.Client(share.new_key("bob", tier="Enterprise"), share.url) as bob,
    ):  # fmt: skip
        made = root.models.upload(tiny, "capitals")
        before = local.is_loaded("capitals")
        both = lab.compare(
            list(SAID), "{text}", models=["local/capitals", "gpt-4.1-mini"], client=bob, progress=False, **ASK
        )
        own = both[both["model"] == "local/capitals"]
        loaded = next(one for one in local._loaded.values() if one.name == "capitals")
        with bob.inference.stream("local/capitals", "capital of egypt?", **ASK) as stream:
            live = [piece.content for piece in stream]
            whole = stream.result()
        stopped = bob.inference.create("local/capitals", "capital of spain?", stop=["drid"], **ASK)
        warm = [
            bob.inference.create(
                "local/capitals", "capital of ", max_tokens=12, temperature=2.0, seed=s, cache_config={"enabled": False}
            ).content
            for s in (1, 1, 2, 3)
        ]
        with pytest.raises(errors.InvalidRequestError, match="longer than what the model"):
            bob.inference.create("local/capitals", "x" * 200, **ASK)
        used = root.inference.performance(group_by="model").to_frame().set_index("model")
        process, child = loaded.server._process, loaded.server
        seen = Path(f"/proc/{child.pid}/environ").read_bytes() if sys.platform == "linux" else b""
        apart = (
            sys.platform == "linux"
            and Path(f"/proc/{child.pid}/ns/net").readlink() != Path("/proc/self/ns/net").readlink()
        )
        root.models.delete("capitals")
        with pytest.raises(errors.NotFoundError):
            bob.inference.create("local/capitals", "capital of peru?", **ASK)

    assert (made.name, before, child.isolated) == ("local/capitals", False, apart)
    assert b"sk-never" not in seen
    assert own["response"].tolist() == list(SAID.values())
    assert (own["cost"].tolist(), own["provider"].unique().tolist(), own["served_model"].unique().tolist()) == (
        [0.0] * 4,
        ["local"],
        ["capitals"],
    )
    assert own["completion_tokens"].tolist() == [len(answer) for answer in SAID.values()]
    assert ("".join(live), whole.content, len(live)) == ("cairo.", "cairo.", 6)
    assert (stopped.content, stopped.finish_reason) == ("ma", "stop")
    assert warm[0] == warm[1]
    assert len(set(warm)) > 1
    assert used.loc["local/capitals", "total_requests"] >= 10
    assert process.poll() is not None
    assert not Path(child._room).exists()


@pytest.mark.timeout(180)
def test_the_gguf_of_the_demo_is_hosted_in_a_process_of_its_own(monkeypatch):
    """llama.cpp reads somebody else's file where no key is."""
    if find_spec("xllamacpp") is None:
        pytest.skip('the extra "local" is not installed in this environment')
    monkeypatch.setenv("PRSM_MODELS", str(Path(tempfile.gettempdir()) / "prsm-lab-test-models"))
    try:
        path = local.fetch("smollm2-135m")
    except errors.ProviderError as fault:
        pytest.skip(f"the weights cannot be had here: {fault}")
    with lab.Client(ledger=":memory:") as client:
        made = client.models.upload(path, "smol")
        answer = client.inference.create("local/smol", "What is the capital of France?", max_tokens=8, temperature=0)
        with client.inference.stream(
            "local/smol", "What is the capital of France?", max_tokens=8, temperature=0
        ) as stream:
            live = "".join(piece.content for piece in stream)
        apart = next(one for one in local._loaded.values() if one.name == "smol").server
        client.models.delete("smol")

    assert (made.name, answer.content == live, answer.usage.completion_tokens) == ("local/smol", True, 8)
    assert isinstance(apart, Child)
    assert not apart.running


def test_a_model_that_takes_too_much_memory_is_refused_with_the_remedy(tiny):
    """The cap holds for all that the loader does; here it is too low to even begin."""
    with pytest.raises(errors.ProviderError, match=r"more memory than it may have, pass memory="):
        local.load(tiny, name="large", memory=60 * 2**20)


def test_without_the_extra_the_error_names_it(tmp_path, monkeypatch):
    """`pip install "prsm-lab[transformers]"`."""
    monkeypatch.setattr(local, "find_spec", lambda name: None)
    with pytest.raises(errors.ProviderError, match=r'pip install "prsm-lab\[transformers\]"'):
        local.load(model(tmp_path / "m"))


def test_a_model_of_the_hub_cannot_be_had_offline(monkeypatch):
    """It is said which place was asked."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)  # first: it is read when that is imported
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(errors.NotFoundError, match="hub did not give them"):
        local.load("somebody/some-model")


class Characters:
    """A tokenizer of one token a character, as `tokenizers` has them."""

    def encode(self, text, *, add_special_tokens):
        return type("Encoding", (), {"ids": [ord(sign) for sign in text]})()


@pytest.mark.parametrize(
    ("tokens", "messages", "text"),
    [
        ({"turns_end": True, "eos_token": "|"}, ["hi", "hello", "bye"], "hi|hello|bye|"),
        ({}, ["The capital of France is"], "The capital of France is"),
        ({}, ["hi", "hello"], "hi\nhello\n"),
        ({}, [[{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]], "ab"),
    ],
    ids=["as DialoGPT", "one text is continued", "lines", "parts"],
)
def test_a_model_without_a_template_continues_text(tokens, messages, text):
    """DialoGPT's turns end with its end-of-text token, which its settings show."""
    made = object.__new__(words.Words)
    made._tokenizer, made._template, made._tokens = Characters(), None, tokens

    assert "".join(map(chr, made.encoded([{"role": "user", "content": one} for one in messages]))) == text


def test_what_registered_models_replaced_comes_back():
    """A model that is known and was loaded under its name is still known when it is unloaded."""
    from prsm_lab.types import Model

    known = catalog.find("local/smollm2-135m")
    catalog.register(Model(name="local/smollm2-135m", provider="local", id="other"))
    replaced = catalog.find("local/smollm2-135m").id
    catalog.forget("local", "local/smollm2-135m")

    assert (replaced, catalog.find("local/smollm2-135m")) == ("other", known)


def test_an_answer_ends_at_the_first_of_its_stops():
    """Also where one token holds several; what may become a stop is not shown before."""
    torch = pytest.importorskip("torch", reason="torch is not installed: pip install torch==2.13.0")
    from prsm_lab.hosting import batching

    texts = {1: "one ", 2: "two;STO", 3: "P. three END"}
    body = {"stop": ["END", "STOP", "three"], "temperature": 0, "max_tokens": 9}
    row = batching.Row([0], body, 64, lambda ids: "".join(texts.get(one, "") for one in ids), torch)
    for token in (1, 2, 3):
        row.step(torch.nn.functional.one_hot(torch.tensor(token), 9).float(), set())

    assert [item.get("text") for item in row.heard(lambda: False)] == ["one ", "two;", None]


@pytest.mark.parametrize("temperature", [1e-300, 1e-9, 1e-4])
def test_a_temperature_next_to_nought_takes_the_likeliest(temperature):
    """Scores divided by it would be infinite, and every question of the batch would fail."""
    torch = pytest.importorskip("torch", reason="torch is not installed: pip install torch==2.13.0")
    from prsm_lab.hosting import batching

    row = batching.Row([0], {"temperature": temperature, "max_tokens": 3}, 64, str, torch)
    row.step(torch.tensor([5.0, 40.0, 39.0]), set())

    assert row.ids == [0, 1]


def test_questions_are_answered_together():
    """Rows that are ready share a step; a newcomer joins, who is done leaves: the order of events of a batch, with a
    model that counts."""
    torch = pytest.importorskip("torch", reason="torch is not installed: pip install torch==2.13.0")
    from prsm_lab.hosting import batching

    sizes = []

    class Counting:
        """The next token is the last one plus one."""

        def forward(self, input_ids, attention_mask=None, past_key_values=None, position_ids=None):
            raise NotImplementedError

        def __call__(self, ids, *, attention_mask, past_key_values, use_cache, position_ids):
            sizes.append(tuple(ids.shape))
            logits = torch.full((*ids.shape, 100), -1e9)
            logits.scatter_(2, (ids + 1).clamp(max=99).unsqueeze(2), 0.0)
            return type("Out", (), {"logits": logits, "past_key_values": object()})()

    made = object.__new__(batching.Transformers)
    made._torch, made._model, made._device, made._ends = torch, Counting(), "cpu", {50}
    made._takes = batching.takes(Counting().forward)
    made._words = type("W", (), {"pad": 0})()
    made._waiting = batching.queue.Queue()

    def row(ids, limit):
        return batching.Row(
            ids, {"max_tokens": limit, "temperature": 0}, 64, lambda ids: "".join(chr(64 + i % 26) for i in ids), torch
        )

    short, long, ending, late = row([1, 2], 2), row([10], 30), row([47], 30), row([60], 3)
    made._waiting.put(short)
    made._waiting.put(ending)
    first = [long]
    thread = threading.Thread(target=made._batch, args=(first,))
    original = long.step

    def step(scores, ends):
        if len(long.ids) == 5:
            made._waiting.put(late)
        original(scores, ends)

    long.step = step
    thread.start()
    thread.join(30)
    heard = {
        name: list(one.heard(lambda: False))
        for name, one in {"short": short, "long": long, "ending": ending, "late": late}.items()
    }

    assert short.ids == [1, 2, 3, 4]
    assert long.ids == list(range(10, 41))
    assert ending.ids == [47, 48, 49]
    assert late.ids == [60, 61, 62, 63]
    assert [heard[name][-1]["end"] for name in heard] == ["length", "length", "stop", "length"]
    assert heard["ending"][-1] == {"end": "stop", "prompt": 1, "made": 2}
    assert sizes[0] == (3, 2)
    assert max(rows for rows, _ in sizes) == 3
    assert len(sizes) < 2 + 30 + 2 + 3
