"""`%%infer` and `%prsm`, in IPython's own shell and in a real kernel."""

from __future__ import annotations

import os
import time

import jupyter_client
import nbclient
import nbformat
import pytest
from hostile import HOSTILE
from IPython.core.completer import provisionalcompleter
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

import prsm_lab as lab
from prsm_lab import emulator
from prsm_lab.emulator import Rule


@pytest.fixture(scope="module")
def emu():
    with emulator.start() as running:
        yield running


@pytest.fixture
def shell(emu, monkeypatch, tmp_path):
    """A shell of IPython with the magics, and a default client that asks the emulator."""
    emu.clear()
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    monkeypatch.setattr("prsm_lab.client._default", None)
    InteractiveShell.clear_instance()
    made = InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))
    made.run_line_magic("load_ext", "prsm_lab")
    with lab.Client(ledger=":memory:", providers=emu.providers()) as client:
        lab.use(client)
        yield made
    InteractiveShell.clear_instance()


def test_a_cell_is_asked_of_all_models_and_becomes_a_frame(shell, capsys, emu):
    """One row a model; in a terminal the answers are printed."""
    shell.run_cell_magic(
        "infer", "-m gpt-4.1-mini -m claude-haiku-4-5 --temperature 0 --max-tokens 40 -o df", "What is it?\n"
    )
    frame, said = shell.user_ns["df"], capsys.readouterr().out

    assert frame["model"].tolist() == ["gpt-4.1-mini", "claude-haiku-4-5"]
    assert frame["prompt"].tolist() == ["What is it?"] * 2
    for answer in frame["response"]:
        assert answer in said
    assert {entry.body.get("temperature") for entry in emu.log.arrivals()} == {0}


def test_variables_are_filled_in_and_code_is_left_alone(shell, emu):
    """Double braces are names; what a value holds is not filled again."""
    shell.user_ns.update(topic="rivers {{topic}}", n=3)
    shell.run_cell_magic(
        "infer", '-m gpt-4.1-mini --system "Say {{n}} words."', 'About {{ topic }}: f"{x}" {"a": {1: 2}} }}'
    )
    messages = emu.log.arrivals()[0].body["messages"]

    assert messages[0]["content"] == "Say 3 words."
    assert messages[1]["content"] == 'About rivers {{topic}}: f"{x}" {"a": {1: 2}} }}'


@pytest.mark.parametrize("inside", ["lab.errors", "f()", "x[0]", "__import__('os')", "a b", ""])
def test_only_names_are_looked_up(shell, emu, inside):
    """Nothing is evaluated, and nothing is asked."""
    with pytest.raises(UsageError, match="is no name of a variable"):
        shell.run_cell_magic("infer", "-m gpt-4.1-mini", f"Say {{{{{inside}}}}}")
    assert not emu.log.arrivals()


@pytest.mark.parametrize(
    "line",
    [
        """--system "Say 'hi' twice" -m gpt-4.1-mini -o df""", """--system="Say 'hi' twice" -m "gpt-4.1-mini" -o 'df'""",
        """--system 'Say '"'hi'"' twice' --model=gpt-4.1-mini --out=df""",
    ],
)  # fmt: skip
def test_quotes_are_read_as_in_a_shell(shell, emu, line):
    """Those around a value go, those inside it stay."""
    shell.run_cell_magic("infer", line, "What is it?")

    assert emu.log.arrivals()[0].body["messages"][0]["content"] == "Say 'hi' twice"
    assert len(shell.user_ns["df"]) == 1


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("", "Which model"), ("-m", "-m/--model: expected one argument"), ("-m gpt-4 --hot 1", "--hot"),
        ("-m gpt-4 --temprature 1", "Did you mean --temperature"), ("-m gpt-4 some words", "some words"),
        ("-m gpt-4 --temperature warm", "--temperature: 'warm' is no number"),
        ("-m gpt-4 --max-tokens 1.5", "--max-tokens: '1.5' is no whole number"), ("-m gpt-4 --seed x", "--seed: 'x' is no"),
        ("-m gpt-4 -o 2x", "'2x' cannot be the name of a variable"), ("-m gpt-4 -o class", "'class' cannot be"),
        ('-m gpt-4 --system "open', "quotation is not closed"), ("-h", "-h"),
    ],
)  # fmt: skip
def test_a_wrong_line_explains_itself(shell, emu, line, told):
    """What is wrong, what there is, how it is used; no traceback, no exit, nothing asked."""
    with pytest.raises(UsageError, match=told) as raised:
        shell.run_cell_magic("infer", line, "What is it?")

    assert "--max-tokens N" in str(raised.value)
    assert "For example: %%infer -m gpt-4.1-mini" in str(raised.value)
    assert not emu.log.arrivals()


@pytest.mark.parametrize(
    ("line", "cell", "told"),
    [
        ("-m gpt-nonsense", "What?", "gpt-nonsense"), ("-m gpt-4 --temperature 7", "What?", "temperature"),
        ("-m gpt-4 --max-tokens -3", "What?", "max_tokens"), ("-m gpt-4", " \n", "Which question"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_not_asked(shell, emu, line, cell, told):
    """A model that is not known, a value that no model takes, no question."""
    with pytest.raises(UsageError, match=told):
        shell.run_cell_magic("infer", line, cell)
    assert not emu.log.arrivals()


def test_a_variable_that_is_missing_is_named(shell):
    """With the remedy."""
    with pytest.raises(UsageError, match="no variable 'topic'"):
        shell.run_cell_magic("infer", "-m gpt-4.1-mini", "About {{topic}}")


def test_an_answer_that_failed_is_a_row_with_its_error(shell, emu, capsys):
    """And is printed where the answer would be."""
    emu.add(Rule("401"))
    shell.run_cell_magic("infer", "-m gpt-4.1-mini -o df", "What is it?")

    assert shell.user_ns["df"]["error_code"].tolist() == ["authentication"]
    assert "openai" in capsys.readouterr().out


def test_an_answer_that_breaks_keeps_what_was_said(shell, emu, capsys):
    """In the frame and in the terminal, with what went wrong below it."""
    emu.add(Rule("mid_close", pieces=3))
    shell.run_cell_magic("infer", "-m gpt-4.1-mini -o df", "What is it?")
    (row,), said = shell.user_ns["df"].to_dict("records"), capsys.readouterr().out

    assert row["partial"]
    assert row["partial"] in said
    assert f"[{row['error']}]" in said


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_terminal_obeys_no_model(shell, capsys, text):
    """What is printed is plain text."""
    with lab.Client(mock_mode=True, ledger=":memory:", mock_responses={"gpt-4": {"content": text}}) as client:
        lab.use(client)
        shell.run_cell_magic("infer", "-m gpt-4", "hi")
    said = capsys.readouterr().out

    assert said.startswith("gpt-4 (openai)\n")
    assert not {"\x1b", "\x07", "\x9b", "\u202e", "\x00"} & set(said)


def test_looking_around(shell):
    """Usage, models, runs: frames."""
    shell.run_cell_magic("infer", "-m gpt-4.1-mini", "What is it?")
    usage = shell.run_line_magic("prsm", "usage last_24_hours")
    models = shell.run_line_magic("prsm", "models haiku")

    assert usage[["model", "total_requests"]].values.tolist() == [["gpt-4.1-mini", 1]]
    assert models["model"].str.contains("haiku").all()
    assert len(models) > 1
    assert shell.run_line_magic("prsm", "runs").empty


@pytest.mark.parametrize("line", ["", "money", "usage last_7_days more", "usage yesterday", "runs more"])
def test_what_cannot_be_looked_up_says_what_can(shell, line):
    """In a line."""
    with pytest.raises(UsageError, match="last_7_days"):
        shell.run_line_magic("prsm", line)


@pytest.mark.filterwarnings("ignore:`Completer.complete`:PendingDeprecationWarning")
@pytest.mark.parametrize(
    ("typed", "offered", "not_offered"),
    [
        ("%%infer -m claude-hai", "claude-haiku-4-5", "gpt-4"), ("%%infer -m gpt-4 --temp", "--temperature", "gpt-4"),
        ("%%infer --model gpt-4.1-m", "gpt-4.1-mini", "claude-haiku-4-5"), ("%prsm us", "usage", "runs"),
        ("%prsm usage last_7", "last_7_days", "usage"),
    ],
)  # fmt: skip
def test_models_and_options_are_completed(shell, typed, offered, not_offered):
    """After `-m` and elsewhere."""
    with provisionalcompleter():
        _, found = shell.complete(None, typed, len(typed))

    assert offered in found
    assert not_offered not in found


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::RuntimeWarning", "ignore::UserWarning")
def test_in_a_notebook_the_cell_shows_a_panel(emu, monkeypatch):
    """It waits for the end, binds the frame, and what is saved reads well."""
    for name, value in {**emu.environ(), "PRSM_LEDGER": ":memory:"}.items():
        monkeypatch.setenv(name, value)
    cells = [
        "%load_ext prsm_lab\nword = 'Kenya'",
        "%%infer -m gpt-4.1-mini -o df\nThe capital of {{word}}?",
        "print(df.response[0])",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    done = nbclient.NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    widget, still = done.cells[1].outputs

    assert "application/vnd.jupyter.widget-view+json" in widget["data"]
    assert "The capital of Kenya?" in still["data"]["text/html"]
    assert done.cells[2].outputs[0]["text"].strip()[:20] in still["data"]["text/html"]


@pytest.fixture(scope="module")
def kernel(emu):
    """A kernel as a notebook has it, with the magics."""
    manager = jupyter_client.KernelManager(kernel_name="python3")
    manager.start_kernel(env={**os.environ, **emu.environ(), "PRSM_LEDGER": ":memory:"})
    client = manager.blocking_client()
    client.start_channels()
    client.wait_for_ready(timeout=60)
    client.manager = manager
    said(client, "%load_ext prsm_lab\nimport prsm_lab as lab")
    yield client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def said(kernel, cell: str) -> list[str]:
    """Run a cell; return what it printed and the texts of what it raised."""
    found: list[str] = []

    def hear(message):
        content = message["content"]
        found.extend(content["traceback"] if message["msg_type"] == "error" else [content.get("text", "")])

    kernel.execute_interactive(cell, output_hook=hear, timeout=30)
    return [text for text in found if text]


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::RuntimeWarning", "ignore::UserWarning")
def test_an_interrupt_stops_the_answers_and_keeps_what_was_said(kernel, emu):
    """The providers are left at once, the cell ends as an interrupted one does, and so do those behind it."""
    emu.clear()
    emu.add(Rule("stall", contains="stuck", pieces=5))
    sent = kernel.execute("%%infer -m gpt-4.1-mini -m claude-haiku-4-5 -o df\nstuck here")
    behind = kernel.execute("print('behind')")
    # all pieces are on their way, and for longer than any reading of them takes
    emu.log.wait_for(
        lambda log: [e.pieces == 5 and time.monotonic() - e.first_byte > 0.5 for e in log.entries] == [True] * 2, 20
    )
    kernel.manager.interrupt_kernel()
    emu.log.wait_for(lambda log: log.open_requests == 0, 5)
    replies = {}
    while not {sent, behind} <= set(replies):
        message = kernel.get_shell_msg(timeout=10)
        replies[message["parent_header"]["msg_id"]] = message["content"]

    assert (replies[sent]["status"], replies[sent]["ename"]) == ("error", "Interrupted")
    assert replies[behind]["status"] in ("aborted", "error")
    (text,) = said(kernel, "print(df.error_code.tolist(), (df.partial.str.len() > 0).tolist())")
    assert text.strip() == "['cancelled', 'cancelled'] [True, True]"


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::RuntimeWarning", "ignore::UserWarning")
def test_a_kernel_shows_the_explanation_alone(kernel):
    """No traceback."""
    (text,) = said(kernel, "%%infer -m gpt-4 --hot 1\nWhat?")

    assert text.startswith("UsageError: unrecognized arguments: --hot 1.\n  It knows -m MODEL")


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::RuntimeWarning", "ignore::UserWarning")
def test_a_kernel_completes_models_in_the_first_line_of_a_cell(kernel):
    """As JupyterLab asks it: the whole cell, and where the cursor stands."""
    typed = "%%infer -m gpt-4.1-mi"
    reply = kernel.complete(f"{typed}\nWhat is it?", len(typed), reply=True, timeout=10)["content"]

    assert set(reply["matches"]) == {"gpt-4.1-mini"}
    assert typed[reply["cursor_start"] : reply["cursor_end"]] == "gpt-4.1-mi"


def test_the_kernels_budget_is_set_shown_and_taken_away(shell):
    """It is the session's: other kernels have their own."""
    assert shell.run_line_magic("prsm", "budget") is None
    assert repr(shell.run_line_magic("prsm", "budget 2.00")) == "<Allowance $2.00 in this session: $0.00 spent>"
    assert shell.run_line_magic("prsm", "budget").left == 2.0
    assert shell.run_line_magic("prsm", "budget off") is None
    with pytest.raises(UsageError, match="no number"):
        shell.run_line_magic("prsm", "budget much")
