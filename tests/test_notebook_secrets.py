"""A notebook that is saved after a failing call, with IPython's verbose tracebacks on, holds no key."""

from __future__ import annotations

import os

import nbclient
import nbformat
import pytest

from prsm_lab import emulator

CANARY = "sk-canary-Nb5tY8rQ1wE4uI7oPzXc"
CELLS = [
    "%xmode Verbose\nimport os, prsm_lab as lab",
    "client = lab.Client(ledger=':memory:', max_retries=0)\nclient",
    "client.inference.create('gpt-4.1-mini', 'hi')",
    "list(client.inference.stream('claude-haiku-4-5', 'hi'))",
    "lab.batch(['hi'], '{text}', model='mixtral', client=client, on_error='raise')",
    "os.environ['OPENAI_API_KEY'] += chr(10) + 'x'\nlab.Client(ledger=':memory:')",
    "try:\n    client.inference.create('gpt-4.1-mini', 'hi')\nexcept lab.errors.PRSMError as e:\n    print(repr(e), vars(e), e.__context__, e.__cause__)",
]


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_a_saved_notebook_holds_no_key(monkeypatch, tmp_path):
    """Every output of every failing cell, as it stands in the file."""
    cells = [nbformat.v4.new_code_cell(source) for source in CELLS]
    notebook = nbformat.v4.new_notebook(cells=cells)
    with emulator.start(rules=[emulator.Rule("echo_key")]) as emu:
        for name, value in emu.environ().items():
            monkeypatch.setenv(name, value if name.endswith("URL") else CANARY)
        nbclient.NotebookClient(notebook, timeout=60, kernel_name="python3", allow_errors=True).execute(
            env=dict(os.environ)
        )
    nbformat.write(notebook, tmp_path / "n.ipynb")
    saved = (tmp_path / "n.ipynb").read_text()

    assert saved.count("AuthenticationError") >= 4
    assert CANARY not in saved
    assert CANARY[-10:] not in saved
