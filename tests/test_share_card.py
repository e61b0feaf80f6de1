"""What a share server shows in a cell: address, hint of a key, a curl, and counts that change where they stand."""

from __future__ import annotations

import json
import re

import nbclient
import nbformat
import pytest

import prsm_lab as lab

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::RuntimeWarning", "ignore::UserWarning")

SERVE = """
import prsm_lab as lab
from prsm_lab.server import card
card.REFRESH_SECONDS = 0.02
client = lab.Client(mock_mode=True, ledger=":memory:")
share = lab.serve(client)
share
"""
ASK = """
key = share.new_key("ana")
with lab.Client(key, share.url) as ana:
    ana.inference.create("gpt-4", "hi")
print(key)
"""
UNTIL_SHOWN = """
import threading
from IPython import get_ipython
publisher, shown = get_ipython().display_pub, threading.Event()
publish = publisher.publish
def watched(data, *rest, **more):
    if more.get("update") and "<b>3</b> requests" in data.get("text/html", ""):
        shown.set()
    publish(data, *rest, **more)
publisher.publish = watched
with lab.Client(key, share.url) as ana:
    ana.keys.me()
assert shown.wait(20)
"""


def in_a_notebook(*cells: str):
    """Run cells in a fresh kernel and return the notebook as it would be saved."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    return nbclient.NotebookClient(notebook, timeout=60, kernel_name="python3").execute()


def test_the_counts_of_a_card_are_live():
    """Without another cell being run; and at the end it says that it has stopped."""
    notebook = in_a_notebook(SERVE, ASK, UNTIL_SHOWN, "share.stop()")
    (first,) = notebook.cells[0].outputs
    key = notebook.cells[1].outputs[0]["text"].strip()
    shown = first["data"]["text/html"]

    assert "<b>3</b> requests" in shown
    assert "stopped" in shown
    assert key[:16] in shown
    assert key not in json.dumps(first)


def test_a_card_outside_of_a_kernel_is_text(capsys):
    """IPython in a terminal prints it once, and never again."""
    with lab.Client(mock_mode=True, ledger=":memory:") as client, lab.serve(client) as share:
        share._ipython_display_()

    assert re.search(r"<Share http://127\.0\.0\.1:\d+>", capsys.readouterr().out)
