"""The seed document is the contract: each of its Python snippets runs as written."""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import json
import re
import sys
import warnings
from pathlib import Path

import pytest

import prsm_lab
from prsm_lab import emulator

DOCUMENT = Path(__file__).parent / "golden" / "seed.md"
DIGEST = "2f3337863fa969ad00cc65c032674551150f6f1fa2b6def7585c939d1ddb0f5c"
SEED = DOCUMENT.read_text(encoding="utf-8")
SNIPPETS = re.findall(r"```python\n(.*?)```", SEED, re.DOTALL)
JSON = [json.loads(text) for text in re.findall(r"```json\n(.*?)```", SEED, re.DOTALL)]


def test_there_are_ten_snippets():
    """So that none is lost when the document is edited."""
    assert len(SNIPPETS) == 10


def test_the_document_is_the_seeds_byte_for_byte():
    """A formatter once rewrote its snippets; "as written" means as written."""
    assert hashlib.sha256(DOCUMENT.read_bytes()).hexdigest() == DIGEST


@pytest.fixture
def prsm(monkeypatch):
    """`import prsm` is `import prsm_lab`; the providers' own variables point at an emulator."""
    monkeypatch.setitem(sys.modules, "prsm", prsm_lab)
    with emulator.start() as running:
        for name, value in running.environ().items():
            monkeypatch.setenv(name, value)
        yield running


@pytest.mark.parametrize("snippet", SNIPPETS, ids=[f"snippet-{n}" for n in range(1, len(SNIPPETS) + 1)])
def test_a_snippet_runs_as_written(prsm, snippet, capsys):
    """With the names that the document presumes: client, messages, questions."""
    client = prsm_lab.Client()
    names: dict[str, object] = {
        "prsm": prsm_lab, "client": client, "messages": [{"role": "user", "content": "Explain quantum computing"}],
        "questions": ["Question 1", "Question 2"],
    }  # fmt: skip
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        exec(compile(snippet, "seed.md", "exec"), names)
    ours = [warning for warning in said if warning.category is UserWarning]  # not the garbage of other tests
    assert ours == []
    if inspect.iscoroutinefunction(names.get("async_inference")):
        assert isinstance(asyncio.run(names["async_inference"]()), str)
    if "response" in names:
        assert names["response"].content
    if "responses" in names:
        assert [item.error for item in names["responses"]] == [None, None]
    client.close()


def shape(value: object) -> object:
    """The keys of a document, all the way down; a list by its first item."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    return [shape(value[0])] if isinstance(value, list) and value else None


def test_an_answer_as_a_dict_is_the_seeds_document_to_the_letter(prsm):
    """Same keys, same nesting; usage and cost filled in."""
    with prsm_lab.Client() as client:
        answer = client.inference.create("gpt-3.5-turbo", "Explain quantum computing", max_tokens=150).to_dict()
    documents = {document["object"]: document for document in JSON if document.get("object")}

    assert shape(answer) == shape(documents["inference"])
    assert answer["id"].startswith("inf_")
    assert answer["usage"]["total_tokens"] == answer["usage"]["prompt_tokens"] + answer["usage"]["completion_tokens"]
    assert answer["cost"]["savings"] == pytest.approx(answer["cost"]["provider_cost"] - answer["cost"]["amount"])


def test_a_record_as_a_dict_is_the_seeds_document(prsm):
    """`GET /inference/{id}`."""
    (expected,) = [document for document in JSON if document.get("status") == "completed"]
    with prsm_lab.Client() as client:
        answer = client.inference.create("gpt-3.5-turbo", "Explain quantum computing")
        record = client.inference.get(answer.id).to_dict()

    assert shape(record) == shape(expected)
    assert record["result"]["content"] == answer.content


def test_an_error_as_a_dict_is_the_seeds_document():
    """`{"error": {"code", "message", "details": {"parameter", "expected_type"}}}`."""
    (expected,) = [document for document in JSON if "error" in document]
    with (
        prsm_lab.Client(mock_mode=True, ledger=":memory:") as client,
        pytest.raises(prsm_lab.errors.InvalidRequestError) as caught,
    ):
        client.inference.create("", "hi")

    error = caught.value.to_dict()
    assert shape(error) == shape(expected)
    assert error["error"]["details"] == {"parameter": "model", "expected_type": "string"}
