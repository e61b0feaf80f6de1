"""Images and PDFs in prompts: by path, address, data URL or bytes; what each provider's wire makes of them."""

from __future__ import annotations

import base64
import os

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import prsm_lab as lab
from prsm_lab import emulator, errors
from prsm_lab.frames import media
from prsm_lab.types import Capabilities, Options, Request, Target

PNG = b"\x89PNG\r\n\x1a\n" + b"pixels"
PDF = b"%PDF-1.7 pages"
pytestmark = pytest.mark.filterwarnings("ignore:No price is known for .meta-llama")
CHAT, RESPONSES, CLAUDE, HF = (
    "gpt-4.1-mini",
    "gpt-6-sol",
    "claude-haiku-4-5",
    "meta-llama/Llama-4-Scout-17B-16E-Instruct",
)


def url(raw: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(raw).decode()}"


@pytest.fixture(scope="module")
def emu():
    with emulator.start() as running:
        yield running


@pytest.fixture
def client(emu):
    emu.clear()
    with lab.Client(providers=emu.providers(), ledger=":memory:", max_retries=0) as made:
        yield made


@pytest.fixture
def ask(client):
    """`lab.batch` with this test's client, silent."""
    return lambda data, prompt, **options: lab.batch(
        data, prompt, **{"model": CHAT, "client": client, "progress": False, **options}
    )


@pytest.fixture
def files(tmp_path):
    """A directory with one image and one document."""
    (tmp_path / "a.png").write_bytes(PNG)
    (tmp_path / "a.pdf").write_bytes(PDF)
    return tmp_path


def sent(emu, n: int = -1):
    """The parts of the last user message, as they reached the provider."""
    body = emu.log.entries[n].body
    return body.get("messages", body.get("input"))[-1]["content"]


# ----------------------------------------------------------------------------------------------------- what a cell holds


@pytest.mark.parametrize("how", ["path", "bytes", "bytearray", "data URL", "address", "Path"])
def test_an_image_comes_from_whatever_the_column_holds(ask, emu, files, how):
    """The text is a template, the image's source too."""
    value = {
        "path": str(files / "a.png"), "bytes": PNG, "bytearray": bytearray(PNG), "data URL": url(PNG, "image/png"),
        "address": "https://example.org/a.png", "Path": files / "a.png",
    }[how]  # fmt: skip
    found = ask([{"q": "this", "photo": value}], ["What is {q}?", lab.image("{photo}")])

    assert found["error"].isna().all()
    assert sent(emu) == [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": value if how == "address" else url(PNG, "image/png")}},
    ]


def test_a_source_may_be_part_of_a_path(ask, emu, files):
    """`"{folder}/{name}.png"`, in a chat message as well."""
    prompt = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": ["{name}?", lab.image("{folder}/{name}.png")]},
    ]
    ask([{"folder": str(files), "name": "a"}], prompt)

    assert [part["type"] for part in sent(emu)] == ["text", "image_url"]


@pytest.mark.parametrize("wrap", [lambda m: m, lambda m: [m], lambda m: [{"role": "user", "content": [m]}]])
def test_functions_and_infer_take_images_as_they_are(client, ask, emu, files, wrap):
    """Braces in their sources are no templates."""
    odd = files / "{a}.png"
    odd.write_bytes(PNG)
    ask([{"p": str(odd)}], lambda row: wrap(lab.image(row["p"])))
    if not isinstance(wrap(1), list) or not isinstance(wrap(1)[0], dict):
        lab.infer(wrap(lab.image(odd)), model=CHAT, client=client, progress=False)

    assert all(sent(emu, n)[0]["type"] == "image_url" for n in range(len(emu.log)))


def test_the_media_type_is_told_by_the_first_bytes(ask, emu):
    """Not by what a data URL or an ending says: the API compares."""
    ask([{"p": url(b"\xff\xd8\xff jpeg", "image/png")}], [lab.image("{p}")])

    assert sent(emu)[0]["image_url"]["url"].startswith("data:image/jpeg;")


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (PNG, "image/png"), (b"\xff\xd8\xff\xe0", "image/jpeg"), (b"GIF89a", "image/gif"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"), (PDF, "application/pdf"), (b"RIFF\0\0\0\0WAVE", None), (b"", None),
    ],
)  # fmt: skip
def test_what_is_known_by_its_bytes(raw, kind):
    """Everything else is not sent anywhere."""
    assert media.media_type(raw) == kind


# --------------------------------------------------------------------------------------------------------- failed rows


def test_a_file_that_is_not_there_fails_its_row_by_name_and_sends_nothing(ask, emu, files):
    """The other rows are asked; so they are when the run is loaded again."""
    missing = str(files / "none.png")
    found = ask([{"p": str(files / "a.png")}, {"p": missing}, {"p": None}], [lab.image("{p}")])

    assert len(emu.log) == 1
    assert found["error_code"].fillna("").tolist() == ["", "invalid_request", "invalid_request"]
    assert f"Row 1: there is no file {missing!r}" in found["error"].iloc[1]
    assert "'p'" in found["error"].iloc[2]


def test_a_file_that_is_no_image_is_not_sent(ask, emu, tmp_path):
    """A column of paths is no way to read this machine's files out."""
    secret = tmp_path / "id_rsa.png"
    secret.write_text("-----BEGIN KEY-----")
    found = ask([{"p": str(secret)}, {"p": str(tmp_path)}, {"p": "a\0b"}], [lab.image("{p}")])

    assert len(emu.log) == 0
    assert found["error"].str.startswith("Row ").all()
    assert "is not a PNG" in found["error"].iloc[0]
    assert "is no file" in found["error"].iloc[1]


@pytest.mark.skipif(os.name == "nt", reason="sparse files")
@pytest.mark.parametrize("how", ["path", "bytes"])
def test_what_is_too_large_says_how_large_it_is_and_may_be(ask, emu, tmp_path, how):
    """A file is not even read."""
    large = tmp_path / "large.png"
    with large.open("wb") as file:
        file.write(PNG)
        file.truncate(21 * 2**20)
    found = ask([{"p": str(large) if how == "path" else large.read_bytes()}], [lab.image("{p}")])

    assert "21.0 MiB" in found["error"].item()
    assert "20 MiB" in found["error"].item()
    assert len(emu.log) == 0


@given(st.one_of(st.binary(max_size=40), st.text(max_size=40)))
def test_whatever_a_cell_holds_it_is_a_part_or_a_failed_row(value):
    """Never another error."""
    for kind in ("image", "document"):
        try:
            made = media.part(media.Media(kind, "{p}"), value)
        except media.Unreadable as fault:
            assert str(fault)
        else:
            assert made["type"] in ("image_url", "file")


def test_a_column_that_is_not_there_is_refused_at_once(ask):
    """With the nearest name, as in any template."""
    with pytest.raises(errors.InvalidRequestError, match=r"Did you mean \{photo\}"):
        ask([{"photo": "x"}], [lab.image("{foto}")])


# --------------------------------------------------------------------------------------------------------------- wires


@pytest.mark.parametrize(
    ("model", "image", "document"),
    [
        (
            CHAT,
            {"type": "image_url", "image_url": {"url": url(PNG, "image/png")}},
            {"type": "file", "file": {"filename": "a.pdf", "file_data": url(PDF, "application/pdf")}},
        ),
        (
            RESPONSES,
            {"type": "input_image", "image_url": url(PNG, "image/png"), "detail": "auto"},
            {"type": "input_file", "filename": "a.pdf", "file_data": url(PDF, "application/pdf")},
        ),
        (
            CLAUDE,
            {
                "type": "image",
                "source": {"type": "base64", "media_type": "image/png", "data": base64.b64encode(PNG).decode()},
            },
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": base64.b64encode(PDF).decode()},
                "title": "a.pdf",
            },
        ),
    ],
)
def test_each_wire_has_its_own_shape(ask, emu, files, model, image, document):
    """Chat Completions, Responses, Messages."""
    row = [{"i": str(files / "a.png"), "d": str(files / "a.pdf")}]
    found = ask(row, [lab.image("{i}"), lab.document("{d}")], model=model)

    assert found["error"].isna().all()
    assert sent(emu) == [image, document]


@pytest.mark.parametrize(
    ("model", "part"),
    [
        (RESPONSES, {"type": "input_file", "file_url": "https://example.org/a.pdf"}),
        (CLAUDE, {"type": "document", "source": {"type": "url", "url": "https://example.org/a.pdf"}}),
    ],
)
def test_a_document_may_be_fetched_by_the_provider(ask, emu, model, part):
    """Where its API does that."""
    ask(["https://example.org/a.pdf"], [lab.document("{text}")], model=model)

    assert sent(emu) == [part]


@pytest.mark.parametrize(
    ("model", "prompt", "what"),
    [
        ("gpt-4", lab.image("{i}"), "images"),
        ("gpt-4", lab.document("{d}"), "documents"),
        (CHAT, lab.document("https://example.org/a.pdf"), "documents by their address"),
        (HF, lab.document("{d}"), "documents"),
        ("microsoft/DialoGPT-large", lab.image("{i}"), "images"),
        ("gpt-4", lab.document("{d}", name="x"), "documents"),
    ],
)
def test_who_cannot_read_it_refuses_by_name_whatever_may_be_dropped(ask, emu, files, model, prompt, what):
    """A part of the question is no option: it is never left out."""
    row = [{"i": str(files / "a.png"), "d": str(files / "a.pdf")}]
    found = ask(row, ["Read:", prompt], model=model, on_unsupported="drop")

    assert f"reads no {what}" in found["error"].item()
    assert model.rpartition("/")[2].split("-")[0].lower() in found["error"].item().lower()
    assert len(emu.log) == 0


def test_hugging_faces_chat_takes_images(ask, emu, files):
    """In OpenAI's shape."""
    found = ask([str(files / "a.png")], [lab.image("{text}")], model=HF)

    assert found["error"].isna().all()
    assert sent(emu)[0]["type"] == "image_url"


def test_a_document_that_is_not_the_users_is_refused_where_the_api_takes_none(ask, emu, files):
    """Anthropic reads those of user messages only."""
    prompt = [{"role": "system", "content": [lab.document("{text}")]}, {"role": "user", "content": "Sum it up."}]
    found = ask([str(files / "a.pdf")], prompt, model=CLAUDE)

    assert "user messages only" in found["error"].item()
    assert len(emu.log) == 0


def test_a_function_that_takes_a_text_only_refuses_an_image(files):
    """It would never see it; one that takes the messages gets it."""
    seen = []

    def look(messages):
        seen.append(messages[-1]["content"][1]["type"])
        return "a cat"

    lab.prices.set("plain/m", input=0, output=0)
    lab.prices.set("chat/m", input=0, output=0)
    with lab.Client(providers={"plain": lambda prompt: "blind", "chat": look}, ledger=":memory:") as client:
        ask = {"client": client, "progress": False}
        prompt = ["What?", lab.image("{text}")]
        refused = lab.batch([str(files / "a.png")], prompt, model="plain/m", **ask)
        found = lab.batch([str(files / "a.png")], prompt, model="chat/m", **ask)

    assert "reads no images" in refused["error"].item()
    assert (found["response"].item(), seen) == ("a cat", ["image_url"])


# ------------------------------------------------------------------------------------------------------------ runs


def test_ways_of_one_row_share_what_was_read_and_a_run_is_resumed(client, emu, files):
    """Bytes and path of one image are one question."""
    data = pd.DataFrame({"p": [str(files / "a.png"), PNG]})
    ask = {"models": [CHAT, CLAUDE], "client": client, "progress": False}
    first = lab.compare(data, [lab.image("{p}")], **ask)
    again = lab.compare(data, [lab.image("{p}")], **ask)

    assert len(emu.log) == 2
    assert again["response"].tolist() == first["response"].tolist()
    assert again.attrs["prsm"]["totals"]["reused"] == 4


def test_a_fallback_that_cannot_read_it_is_no_fallback(client, files):
    """It is refused before anything is asked."""
    with pytest.raises(errors.InvalidRequestError, match="cannot take images"):
        client.inference.create(
            CHAT,
            [{"role": "user", "content": [media.part(lab.image("{p}"), PNG)]}],
            fallback_config={"strategies": [{"model": "gpt-4"}]},
        )


def test_what_is_kept_of_a_request_is_not_changed_by_the_wire():
    """The neutral parts stay as they were given."""
    from prsm_lab.providers import messages

    part = media.part(media.document("x"), PDF)
    request = Request(model="m", messages=({"role": "user", "content": [part]},), options=Options())
    messages.to_wire(
        request, Target(provider="anthropic", model="m", name="m", capabilities=Capabilities()), live=False
    )

    assert request.messages[0]["content"][0] == {
        "type": "file",
        "file": {"filename": "document.pdf", "file_data": url(PDF, "application/pdf")},
    }
