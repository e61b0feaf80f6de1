"""Other people's weights: what is refused before anything reads them. No torch is needed for that."""

from __future__ import annotations

import contextlib
import json
import pickle
import stat
import struct
import tarfile
import zipfile
from pathlib import Path

import pytest
from forged import gguf, model, string, tarred, template_of, weights, zipped
from hypothesis import given
from hypothesis import strategies as st
from tiny_model import TEMPLATE, config

from prsm_lab import errors
from prsm_lab.hosting import archives, configs, headers, staging

MOST = 10**8


def refused(call, *args, **options):
    """What is said of it."""
    with pytest.raises(errors.InvalidRequestError) as fault:
        call(*args, **options)
    return fault.value.message


class Canary:
    """Runs code when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


# ------------------------------------------------------------------------------------------------- safetensors


def test_weights_that_are_whole_are_taken(tmp_path):
    """And their numbers counted."""
    (tmp_path / "a.safetensors").write_bytes(weights({"a": ("F32", [2, 3]), "b": ("F16", [5])}))

    assert headers.check_safetensors(tmp_path / "a.safetensors") == 11


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (pickle.dumps({"a": [1.0] * 20}), "no safetensors file"),
        (b"PK\x03\x04" + bytes(100), "claims"),
        (b"\x80", "too short"),
        (weights(length=2**40), "claims 1,099,511,627,776 bytes"),
        (weights(length=2**63), "claims"),
        (weights(length=0), "claims"),
        (weights(raw=b"[1, 2]      "), "no table of tensors"),
        (weights(raw=b'{"a": nope }'), "no JSON"),
        (weights(raw=b"[" * 100_000), "no JSON"),
        (weights(raw=b'{"a":{},"a":{}}'), "a name stands twice"),
        (weights(raw=b'{"a":{"dtype":"F32","shape":[6],"data_offsets":[0,24],"more":1}}', data=bytes(24)), "not described"),
        (weights(raw=b'{"a":{"dtype":"OBJ","shape":[6],"data_offsets":[0,24]}}', data=bytes(24)), "unknown type"),
        (weights(raw=b'{"a":{"dtype":"F32","shape":[-6],"data_offsets":[0,24]}}', data=bytes(24)), "unknown type or shape"),
        (weights(raw=b'{"a":{"dtype":"F32","shape":[true],"data_offsets":[0,4]}}', data=bytes(4)), "unknown type or shape"),
        (weights(raw=b'{"a":{"dtype":"F32","shape":[7],"data_offsets":[0,24]}}', data=bytes(24)), "another size"),
        (weights(raw=b'{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}}', data=bytes(6)), "overlap"),
        (weights(raw=b'{"a":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}}', data=bytes(8)), "holes"),
        (weights(data=bytes(25)), "do not fill"),
        (weights(data=bytes(23)), "do not fill"),
        (weights(raw=b'{"__metadata__":{"a":5}}'), "metadata"),
        (weights(raw=b"{}"), "do not fill"),
    ],
)  # fmt: skip
def test_what_only_calls_itself_safetensors_is_refused(tmp_path, content, said):
    """A pickle, an archive, a header that lies about its length, tensors that overlap, leave holes, or are no tensors."""
    (tmp_path / "model.safetensors").write_bytes(content)

    assert said in refused(headers.check_safetensors, tmp_path / "model.safetensors")


@given(st.binary(max_size=300))
def test_no_bytes_break_the_reader_of_safetensors(tmp_path_factory, content):
    """It is weights, or it is refused."""
    path = tmp_path_factory.mktemp("w") / "a.safetensors"
    for raw in (content, weights(raw=content)):
        path.write_bytes(raw)
        with contextlib.suppress(errors.InvalidRequestError):
            headers.check_safetensors(path)


# -------------------------------------------------------------------------------------------------------- GGUF


def test_a_gguf_file_says_what_it_is(tmp_path):
    """Architecture, context, template; lists are passed over."""
    listed = string(b"tokens") + struct.pack("<IIQ", 9, 8, 2) + string(b"a") + string(b"bc")
    (tmp_path / "m.gguf").write_bytes(gguf(pairs=4, facts=listed + template_of("{{ messages }}")))

    assert headers.check_gguf(tmp_path / "m.gguf") == headers.Gguf("llama", 512, "{{ messages }}", 1)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"GGML" + bytes(40), "does not begin"),
        (gguf(version=1), "version 1"),
        (gguf(tensors=2**40), "claims"),
        (gguf(tensors=0), "claims"),
        (gguf(pairs=2**40), "claims"),
        (gguf()[:60], "ends in the middle"),
        (gguf(pairs=3, facts=string(b"x") + struct.pack("<I", 8) + struct.pack("<Q", 2**50)), "claims"),
        (gguf(pairs=3, facts=string(b"x") + struct.pack("<IIQ", 9, 0, 2**50)), "claims"),
        (gguf(pairs=3, facts=string(b"x") + struct.pack("<IIQ", 9, 9, 1)), "list of lists"),
        (gguf(pairs=3, facts=string(b"x") + struct.pack("<I", 77)), "unknown kind"),
        (gguf(pairs=3, facts=string(b"general.architecture") + struct.pack("<I", 8) + string(b"x")), "stands twice"),
        (gguf(dimensions=9), "9 dimensions"),
        (gguf(offset=4096), "beyond its end"),
    ],
)
def test_what_only_calls_itself_gguf_is_refused(tmp_path, content, said):
    """Another magic, sizes that lie, lists of lists, tensors beyond the end."""
    (tmp_path / "m.gguf").write_bytes(content)

    assert said in refused(headers.check_gguf, tmp_path / "m.gguf")


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader_of_gguf(tmp_path_factory, content):
    """It is a model, or it is refused."""
    path = tmp_path_factory.mktemp("g") / "m.gguf"
    for raw in (b"GGUF\x03\0\0\0" + content, gguf(pairs=3, facts=content)):
        path.write_bytes(raw)
        with contextlib.suppress(errors.InvalidRequestError):
            headers.check_gguf(path)


# ----------------------------------------------------------------------------------------------------- archives


def special(name: str, kind: bytes, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def zip_link(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


GOOD = [("config.json", b"{}"), ("model.safetensors", b"w" * 50), ("tokenizer.json", b"{}")]


@pytest.mark.parametrize("top", ["", "tiny/"], ids=["flat", "in one folder"])
@pytest.mark.parametrize("mode", ["zip", "w", "w:gz", "w:xz"])
def test_an_archive_of_a_folder_is_unpacked_flat(tmp_path, mode, top):
    """Zip and tar, with a folder around the files or without."""
    members = [(top + name, content) for name, content in GOOD]
    path = tmp_path / "m"
    archive = zipped(path, *members) if mode == "zip" else tarred(path, *members, mode=mode)
    into = tmp_path / "into"
    into.mkdir()
    archives.unpack(archive, into, most_bytes=MOST)

    assert {one.name: one.read_bytes() for one in into.iterdir()} == dict(GOOD)


PATHS = [
    "../config.json",
    "/etc/config.json",
    "a/../../config.json",
    "..\\config.json",
    "C:\\config.json",
    "tiny/\x00config.json",
    "\u202econfig.json",
    ".",
]


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_a_path_that_leads_out_of_the_archive_is_refused(tmp_path, kind, name):
    """And nothing is written, in or out."""
    if kind == "zip" and name in (".", "tiny/\x00config.json"):
        pytest.skip("zipfile itself cannot write that name")
    into = tmp_path / "deep" / "into"
    into.mkdir(parents=True)
    archive = (zipped if kind == "zip" else tarred)(tmp_path / "m", *GOOD, (name, b"evil"))
    said = refused(archives.unpack, archive, into, most_bytes=MOST)

    assert "leads out" in said or name.startswith("tiny/\x00")  # tarfile cuts that name itself
    assert [one for one in tmp_path.rglob("*") if one.is_file()] == [archive]


@pytest.mark.parametrize(
    "member",
    [
        special("config.json", tarfile.SYMTYPE, "/etc/passwd"), special("config.json", tarfile.LNKTYPE, "../x"), special("config.json", tarfile.CHRTYPE),
        special("config.json", tarfile.FIFOTYPE), special("folder", tarfile.SYMTYPE, "/tmp"), zip_link("config.json"),
    ],
    ids=["symlink", "hard link", "device", "fifo", "link to a folder", "zip link"],
)  # fmt: skip
def test_links_and_devices_are_refused(tmp_path, member):
    """In tars and zips."""
    into = tmp_path / "into"
    into.mkdir()
    make = zipped if isinstance(member, zipfile.ZipInfo) else tarred
    archive = make(tmp_path / "m", *GOOD[1:], (member, b"/etc/passwd"))

    assert "link or a device" in refused(archives.unpack, archive, into, most_bytes=MOST)
    assert list(into.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("pytorch_model.bin", "pickle"), ("model.pt", "pickle"), ("model.PTH", "pickle"), ("x.pkl", "pickle"), ("tf_model.h5", "pickle"),
        ("modeling_evil.py", "holds code"), ("evil.so", "holds code"), ("run.sh", "holds code"), ("adapter_config.json", "does not need it"),
        ("model.safetensors.py", "holds code"), ("a/b/c.json", "does not need it"), ("CONFIG.JSON", "does not need it"), ("model.safetensors ", "does not need it"),
    ],
)  # fmt: skip
def test_files_that_may_hold_code_are_refused_by_name(tmp_path, name, said):
    """Pickles, Python, libraries; and whatever nobody needs."""
    into = tmp_path / "into"
    into.mkdir()

    assert said in refused(archives.unpack, zipped(tmp_path / "m", *GOOD, (name, b"x")), into, most_bytes=MOST)
    assert list(into.iterdir()) == []


def test_many_small_files_are_a_bomb_too(tmp_path):
    """Each may grow as it likes, all together may not."""
    into = _made(tmp_path / "into")
    archive = zipped(tmp_path / "m", *[(f"m{n}.safetensors", bytes(2**20)) for n in range(40)])

    assert "unpacks to more" in refused(archives.unpack, archive, into, most_bytes=2**40)


@pytest.mark.parametrize("kind", ["zip", "w:gz"])
def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path, kind):
    """64 MB of zeros that take 64 kB."""
    zeros = bytes(64 * 2**20)
    archive = (
        zipped(tmp_path / "m", *GOOD[::2], ("model.safetensors", zeros)) if kind == "zip" else tarred(tmp_path / "m", *GOOD[::2], ("model.safetensors", zeros), mode=kind)
    )  # fmt: skip
    into = tmp_path / "into"
    into.mkdir()

    assert "-fold" in refused(archives.unpack, archive, into, most_bytes=2**40)
    assert list(into.iterdir()) == []


def test_a_zip_that_lies_about_a_size_is_caught_while_it_is_unpacked(tmp_path):
    """The head says 10 bytes, the stream holds 5,000."""
    archive = zipped(tmp_path / "m", ("config.json", b"{}"), ("model.safetensors", b"a" * 5000))
    raw = archive.read_bytes()
    archive.write_bytes(raw.replace(struct.pack("<L", 5000), struct.pack("<L", 10)))
    into = tmp_path / "into"
    into.mkdir()

    assert "model.safetensors is refused" in refused(archives.unpack, archive, into, most_bytes=MOST)


@pytest.mark.parametrize(
    ("members", "most", "said"),
    [
        ([("config.json", b"{}"), ("t/config.json", b"{}")], MOST, "does not need it"),
        ([("a/config.json", b"{}"), ("a/./config.json", b"{}")], MOST, "twice"),
        ([("config.json", b"a" * 300), ("tokenizer.json", b"b" * 300)], 500, "unpacks to more than 500 bytes"),
        ([], MOST, "empty"),
        ([(f"m{n}.safetensors", b"") for n in range(archives.MOST_FILES + 1)], MOST, "more than 2000 files"),
    ],
    ids=["two folders", "twice", "too large", "empty", "too many"],
)
def test_other_archives_that_no_model_is_in(tmp_path, members, most, said):
    """Each is named."""
    into = tmp_path / "into"
    into.mkdir()

    assert said in refused(archives.unpack, zipped(tmp_path / "m", *members), into, most_bytes=most)


@pytest.mark.parametrize("damage", [lambda raw: raw[: len(raw) // 2], lambda raw: b"no archive" * 9, lambda raw: b""])
@pytest.mark.parametrize("mode", ["zip", "w:gz", "w"])
def test_a_broken_archive_is_refused(tmp_path, mode, damage):
    """Cut, another file, nothing."""
    members = [("model.safetensors", bytes(range(256)) * 200)]
    archive = zipped(tmp_path / "m", *members) if mode == "zip" else tarred(tmp_path / "m", *members, mode=mode)
    archive.write_bytes(damage(archive.read_bytes()))
    into = tmp_path / "into"
    into.mkdir()

    assert "refused" in refused(archives.unpack, archive, into, most_bytes=MOST)


def test_the_same_folder_packs_to_the_same_bytes(tmp_path):
    """So that an upload that broke off can go on."""
    folder = model(tmp_path / "m")
    names = [path.name for path in folder.iterdir()]
    archives.pack(folder, tmp_path / "a.tar", names)
    (folder / "config.json").touch()
    archives.pack(folder, tmp_path / "b.tar", names[::-1])

    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()


# ----------------------------------------------------------------------------------------------------- settings


def test_a_folder_is_laid_out_without_anything_that_we_did_not_read(tmp_path):
    """The loader sees weights and vocabulary as links, settings as written by us."""
    folder = model(
        tmp_path / "m", modeling_evil__py="import os", pytorch_model__bin=pickle.dumps(1), generation_config__json="{}"
    )
    staged = staging.stage(folder, _made(tmp_path / "s"))
    seen = {path.name: path.is_symlink() for path in (tmp_path / "s").iterdir()}

    assert seen == {"config.json": False, "tokens.json": False, "model.safetensors": True, "tokenizer.json": True}
    assert json.loads((tmp_path / "s/tokens.json").read_text()) == {"eos_token": "<eos>", "chat_template": TEMPLATE}
    assert "_name_or_path" not in json.loads((tmp_path / "s/config.json").read_text())
    assert (staged.context, staged.size) == (64, len(weights()))


def _made(folder):
    folder.mkdir()
    return folder


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("auto_map", {"AutoModelForCausalLM": "modeling_evil.Evil"}), ("_attn_implementation_internal", "evil/kernel"), ("attn_implementation", "x"),
        ("trust_remote_code", True), ("quantization_config", {"quant_method": "x"}), ("custom_pipelines", {}), ("chat_template", "x"), ("base_model_name_or_path", "x"),
    ],
)  # fmt: skip
def test_a_field_that_may_load_code_is_refused_by_name(tmp_path, field, value):
    """So is every field that is not known."""
    folder = model(tmp_path / "m", config__json=json.dumps({**config(), field: value}))

    assert repr(field) in refused(staging.check, folder)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model_type": "evil"}, "model_type"), ({"model_type": ["gpt2"]}, "model_type"), ({"architectures": ["Evil"]}, "architectures"),
        ({"architectures": ["GPT2LMHeadModel", "Evil"]}, "architectures"), ({"activation_function": "os.system; rm"}, "not plain"),
        ({"activation_function": "a..b"}, "not plain"), ({"n_embd": 2**60}, "not plain"), ({"n_layer": {"a": 1}}, "not plain"),
        ({"attention_types": [[[[[1]]]]]}, "not plain"), ({"rope_scaling": {"type": {"a": {"b": {"c": {}}}}}}, "not plain"), ({"dtype": "object"}, "dtype"),
    ],
)  # fmt: skip
def test_a_value_that_is_not_plain_is_refused(changes, said):
    """Paths, huge numbers, tables where none belong, other classes."""
    assert said in refused(configs.checked, {**config(), **changes})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"config__json": None}, "no config.json"), ({"model__safetensors": None}, "no weights as safetensors"),
        ({"model__safetensors": None, "pytorch_model__bin": b"x"}, "pytorch_model.bin, a pickle"), ({"tokenizer__json": None}, "no tokenizer.json"),
        ({"config__json": "[]"}, "no JSON object"), ({"config__json": "{" * 9}, "no JSON"), ({"tokenizer__json": "no"}, "no JSON"),
        ({"model__safetensors": b"\x80\x04K\x01." * 9}, "no safetensors"), ({"tokenizer_config__json": json.dumps({"auto_map": {}})}, "'auto_map' names code"),
        ({"tokenizer_config__json": json.dumps({"eos_token": {"content": 5}})}, "no token"),
        ({"chat_template__jinja": "{{ ''.__class__ }}"}, "no chat needs"), ({"tokenizer_config__json": json.dumps({"chat_template": "{% include 'x' %}"})}, "no chat needs"),
        ({"model__safetensors__index__json": json.dumps({"weight_map": {"a": "../../etc/passwd"}})}, "not there"),
        ({"model__safetensors": None, "other.safetensors": weights()}, "neither model.safetensors"),
    ],
)  # fmt: skip
def test_a_folder_that_is_not_to_be_trusted_is_refused(tmp_path, changes, said):
    """Each file says why."""
    assert said in refused(staging.check, model(tmp_path / "m", **changes))


@pytest.mark.parametrize(
    "text",
    [
        "{{ cycler.__init__.__globals__.os.popen('id').read() }}", "{{ messages|attr('__class__') }}", "{{ ''['__class__'] }}", "{% import 'os' as os %}",
        "{% include '/etc/passwd' %}", "{% extends 'x' %}", "{{ self._TemplateReference__context }}", "{{ lipsum.__globals__ }}", "x" * (configs.LONGEST_TEMPLATE + 1),
    ],
)  # fmt: skip
def test_a_template_that_reaches_for_more_than_messages_is_refused(text):
    """Before anything renders it."""
    assert "chat template" in refused(configs.template, text)


def test_a_template_may_talk_of_anything():
    """Words that stand in its texts, or outside of its blocks, are harmless."""
    text = (
        "Do not import __self__!{{ 'please include it' }}{% for m in messages %}{{ m['content'] | trim }}{% endfor %}"
    )

    assert configs.template(text) == text


def test_of_several_templates_the_default_is_taken():
    """As transformers does."""
    named = [{"name": "tool_use", "template": "x"}, {"name": "default", "template": "y"}]

    assert configs.tokenizer({"chat_template": named})["chat_template"] == "y"


def test_a_pickle_in_an_archive_never_runs(tmp_path):
    """Under whichever name it comes."""
    touched = tmp_path / "canary"
    evil = pickle.dumps(Canary(touched))
    for name in ("pytorch_model.bin", "model.safetensors", "tokenizer.json", "config.json"):
        into = _made(tmp_path / f"into-{name}")
        archive = zipped(tmp_path / "m", *[(n, c) for n, c in GOOD if n != name], (name, evil))
        with pytest.raises(errors.InvalidRequestError):
            archives.unpack(archive, into, most_bytes=MOST)
            staging.check(into)

    assert not touched.exists()
