"""`prsm-lab batch | compare | estimate | retry | runs | usage`, as a shell runs them: data on one pipe, words on another."""

from __future__ import annotations

import io
import json
import os
import pty
import signal
import subprocess
import sys
import termios
import time

import pandas as pd
import pytest
from hostile import HOSTILE

from prsm_lab import cli, console, emulator
from prsm_lab.emulator import Rule

MODEL = "gpt-4.1-mini"
GRACE = 0.2
"""Seconds that an answer has to arrive and be kept."""
COMMAND = [sys.executable, "-c", "import sys; from prsm_lab.cli import main; sys.exit(main())"]
ASK = ["--prompt", "{q}", "--model", MODEL, "--max-tokens", "20"]


@pytest.fixture(scope="module")
def emu():
    with emulator.start(latency_scale=0.02) as running:
        yield running


@pytest.fixture
def shell(emu, tmp_path, monkeypatch, capfd):
    """Run a command in a folder with 30 rows and a ledger of its own: here, or in a process of its own."""
    emu.clear()
    pd.DataFrame({"q": [f"Number {n}?" for n in range(30)]}).to_csv(tmp_path / "rows.csv", index=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("prsm_lab.client._default", None)
    for name, value in {**emu.environ(), "PRSM_LEDGER": str(tmp_path / "ledger.db"), "COLUMNS": "80"}.items():
        monkeypatch.setenv(name, value)

    def run(*arguments: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
        if given is not None:
            return subprocess.run(
                [*COMMAND, *arguments], capture_output=True, text=True, timeout=50, input=given, check=False
            )
        capfd.readouterr()
        try:
            code = cli.main(arguments)
        except SystemExit as end:  # argparse's own
            code = int(end.code or 0)
        said = capfd.readouterr()
        return subprocess.CompletedProcess(arguments, code, said.out, said.err)

    run.folder = tmp_path
    return run


def test_a_pipe_gets_data_and_the_words_go_elsewhere(shell, emu):
    """No bar where nobody watches; the last line says what came of it; the second time nothing is asked."""
    first = shell("batch", "rows.csv", *ASK, given="")
    again = shell("batch", "rows.csv", *ASK, "--out", "-", given="")

    assert (first.returncode, again.returncode) == (0, 0)
    assert pd.read_csv(io.StringIO(first.stdout))["response"].notna().sum() == 30
    assert first.stderr.startswith("30 of 30 rows, 0 reused, 0 failed · $0.00")
    assert first.stderr.count("\n") == 1
    assert [json.loads(line)["q"] for line in again.stdout.splitlines()] == [f"Number {n}?" for n in range(30)]
    assert "30 reused" in again.stderr
    assert len(emu.log.arrivals()) == 30


@pytest.mark.parametrize(
    ("ending", "read"), [("csv", pd.read_csv), ("parquet", pd.read_parquet), ("jsonl", pd.read_json)]
)
def test_a_file_is_what_its_ending_says(shell, ending, read):
    """And nothing half is left beside it."""
    done = shell("batch", "rows.csv", *ASK, "--limit", "3", "--out", f"out.{ending}")
    found = read(shell.folder / f"out.{ending}", **({"lines": True} if ending == "jsonl" else {}))

    assert (done.returncode, done.stdout) == (0, "")
    assert f"3 rows in out.{ending}" in done.stderr
    assert list(found["q"]) == ["Number 0?", "Number 1?", "Number 2?"]
    assert [path.name for path in shell.folder.glob(".out*")] == []


@pytest.mark.parametrize("given", ["one\ntwo\n", '{"text": "one"}\n{"text": "two"}\n'])
def test_standard_input_is_lines_or_json_lines(shell, emu, given):
    """`-` stands for it."""
    done = shell("batch", "-", "--prompt", "Say {text}", "--model", MODEL, given=given)

    assert done.returncode == 0
    assert sorted(entry.prompt for entry in emu.log.arrivals()) == ["Say one", "Say two"]


def test_a_comparison_sums_up_beside_its_data(shell, emu):
    """Two models, two prompts by name, one from a file; a grid."""
    (shell.folder / "long.txt").write_text("Tell me: {q}")
    done = shell(
        "compare", "rows.csv", "--limit", "2", "--prompt", "short={q}", "--prompt", "long=@long.txt", "--model", MODEL,
        "--model", "claude-haiku-4-5", "--grid", "max_tokens=10,20",
    )  # fmt: skip
    rows = pd.read_csv(io.StringIO(done.stdout))

    assert (len(rows), set(rows["prompt"]), set(rows["max_tokens"])) == (16, {"short", "long"}, {10, 20})
    assert "Tell me: Number 1?" in {entry.prompt for entry in emu.log.arrivals()}
    assert done.stderr.count("claude-haiku-4-5") == 4
    assert max(map(len, done.stderr.splitlines())) <= 80


def test_an_estimate_is_said_in_words_and_asks_nothing(shell, emu):
    """With the range, what it can never pass, and where the figures come from."""
    done = shell("estimate", "rows.csv", *ASK)

    assert done.returncode == 0
    assert "30\n" in done.stdout
    assert "never above $0.0" in done.stdout
    assert "  from        " in done.stdout
    assert len(emu.log.arrivals()) == 0


def test_ctrl_c_keeps_what_was_answered_and_the_same_command_goes_on(shell, emu):
    """It says so; the provider's streams are closed."""
    emu.add(Rule("hang", contains="Number 2"))
    command = [*COMMAND, "batch", "rows.csv", *ASK, "--max-concurrency", "4", "--out", "out.csv"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    emu.log.wait_for(lambda log: log.open_requests == 4 and log.arrivals("Number 2"), 30)
    interrupt = time.monotonic()
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=30)[1]
    emu.log.wait_for(lambda log: log.open_requests == 0, 5)
    answered = {entry.prompt for entry in emu.log.arrivals() if entry.done and entry.done < interrupt - GRACE}
    emu.clear()
    again = shell("batch", "rows.csv", *ASK, "--out", "out.csv")

    assert process.returncode == 130
    assert "interrupted; what was answered is kept" in said
    assert "Traceback" not in said
    assert again.returncode == 0
    assert answered.isdisjoint(entry.prompt for entry in emu.log.arrivals())


def test_failed_rows_are_an_exit_code_and_can_be_asked_again(shell, emu):
    """By the run's name."""
    emu.add(Rule("400", contains="Number 7?", times=1))
    first = shell("batch", "rows.csv", *ASK, "--run", "mine", "--out", "out.csv")
    again = shell("retry", "mine", "--errors", "invalid_request")

    assert (first.returncode, again.returncode) == (1, 0)
    assert "1 failed" in first.stderr
    assert pd.read_csv(io.StringIO(again.stdout))["response"].notna().all()


def test_a_cap_holds_and_the_words_say_what_was_not_sent(shell):
    """The exit code too."""
    done = shell("batch", "rows.csv", *ASK, "--max-cost", "0.0003", "--out", "out.csv")

    assert done.returncode == 1
    assert "not sent" in done.stderr
    assert pd.read_csv(shell.folder / "out.csv")["cost"].sum() <= 0.0003


def test_data_with_a_column_of_the_results_name_goes_with_a_prefix(tmp_path, capsys):
    """`--prefix` keeps the two apart, in the file and in the summary."""
    (tmp_path / "data.csv").write_text("model,q\nT,2 + 2\n")
    asked = [
        "compare",
        str(tmp_path / "data.csv"),
        "--prompt",
        "{q}",
        "--model",
        "gpt-4",
        "--model",
        "gpt-4o",
        "--emulate",
    ]

    assert cli.main(asked) == 2
    assert "prefix" in capsys.readouterr().err
    assert cli.main([*asked, "--prefix", "r_", "--out", str(tmp_path / "out.csv")]) == 0

    found = pd.read_csv(tmp_path / "out.csv")
    assert found["model"].tolist() == ["T", "T"]
    assert found["r_model"].tolist() == ["gpt-4", "gpt-4o"]
    assert "gpt-4o " in capsys.readouterr().err


@pytest.mark.parametrize("days", ["0", "-3", "some", "1000000"])
def test_usage_of_no_days_is_refused(days, capsys):
    """A table of nothing would look like an empty ledger."""
    with pytest.raises(SystemExit) as ended:
        cli.main(["usage", f"--days={days}"])

    assert ended.value.code == 2
    assert "give 1 or more" in capsys.readouterr().err


def test_past_runs_and_usage_are_tables_or_json(shell):
    """As a person or a program wants them."""
    shell("batch", "rows.csv", *ASK, "--run", "mine", "--out", "out.csv")
    runs, usage = shell("runs"), shell("usage", "--by", "model")

    assert "mine  batch" in runs.stdout
    assert "30 / 30" in runs.stdout
    assert "100.0%" in usage.stdout
    assert json.loads(shell("runs", "--json").stdout)[0]["name"] == "mine"
    assert json.loads(shell("usage", "--json").stdout)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["batch", "nowhere.csv", *ASK], "No file at"),
        (["batch", "rows.csv", "--prompt", "{nothing}", "--model", MODEL], "Its columns: q"),
        (["batch", "rows.csv", *ASK, "--out", "out.xlsx"], "ends in none of"),
        (["batch", "rows.csv", *ASK, "--model", "gpt-4"], "compare for several"),
        (["batch", "rows.csv", "--prompt", "@gone.txt", "--model", MODEL], "gone.txt"),
        (["batch", "rows.csv", *ASK, "--max-cost", "-1"], "max_cost"),
        (["batch", "rows.csv", *ASK, "--colour", "red"], "unrecognized arguments: --colour red"),
        (["compare", "rows.csv", *ASK, "--grid", "temperature"], "--grid temperature=0,0.7"),
        (["retry", "nothing"], "No run 'nothing'"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(shell, arguments, says):
    """Exit code 2, no traceback; what can be seen before is seen before anything is asked."""
    done = shell(*arguments)

    assert done.returncode == 2, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--out", "out.xlsx"], "ends in none of"),
        (["--out", "gone/out.csv"], "no folder 'gone'"),
        (["--limit", "-1"], "no number of rows"),
    ],
)
def test_what_is_wrong_with_the_way_out_is_said_before_it_is_paid_for(shell, emu, arguments, says):
    """Nothing reaches a provider."""
    done = shell("batch", "rows.csv", *ASK, *arguments)

    assert (done.returncode, len(emu.log.arrivals())) == (2, 0)
    assert says in done.stderr


def test_one_prompt_may_have_a_name_and_two_may_not_have_the_same(shell, emu):
    """A name is not part of what is asked, and no prompt is lost without a word."""
    one = shell("compare", "rows.csv", "--limit", "1", "--prompt", "short={q}", "--model", MODEL)
    asked = [entry.prompt for entry in emu.log.arrivals()]
    two = shell("compare", "rows.csv", "--prompt", "a={q}", "--prompt", "a=Tell {q}", "--model", MODEL)

    assert (one.returncode, asked) == (0, ["Number 0?"])
    assert (two.returncode, len(emu.log.arrivals())) == (2, 1)
    assert "Two prompts are called 'a'" in two.stderr


def test_a_line_of_standard_input_ends_where_json_lines_end(shell, emu):
    """Not at U+2028, which JSON allows in a text; a broken line is named."""
    good = shell("batch", "-", "--prompt", "{text}", "--model", MODEL, given='{"text": "a\u2028b"}\n')
    bad = shell("batch", "-", "--prompt", "{text}", "--model", MODEL, given='{"text": "a"}\n{"text":\n')

    assert (good.returncode, [entry.prompt for entry in emu.log.arrivals()]) == (0, ["a\u2028b"])
    assert (bad.returncode, "Line 2 of standard input" in bad.stderr) == (2, True)


def test_a_reader_that_has_enough_is_no_error(shell):
    """`prsm-lab batch … | head -1`."""
    pd.DataFrame({"q": [f"{n} {'x' * 4000}" for n in range(60)]}).to_csv(shell.folder / "long.csv", index=False)
    process = subprocess.Popen(
        [*COMMAND, "batch", "long.csv", *ASK], stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    process.stdout.readline()
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()

    assert process.wait(30) == 141
    assert said.count("\n") == 1
    assert "Broken pipe" not in said


def test_the_last_words_say_why_rows_failed_and_that_answers_are_simulated(shell, emu):
    """Where the rows went to a file, it need not be opened for that."""
    emu.add(Rule("400", contains="Number 1?"))
    done = shell("batch", "rows.csv", *ASK, "--limit", "2", "--out", "out.csv")

    assert done.returncode == 1
    assert "1 x invalid_request: " in done.stderr
    assert " · simulated\n" in done.stderr


def test_on_a_terminal_a_person_sees_a_bar_and_a_table(shell):
    """Of the width of the terminal; standard output is one too."""
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (24, 80))
    process = subprocess.Popen(
        [*COMMAND, "batch", "rows.csv", *ASK, "--limit", "5"], stdin=slave,
        stdout=slave, stderr=slave,
    )  # fmt: skip
    os.close(slave)
    said = b""
    while True:
        try:
            more = os.read(master, 65536)
        except OSError:  # the terminal is closed with its last process
            break
        if not more:
            break
        said += more
    os.close(master)
    lines = said.decode().replace("\r\n", "\n").splitlines()

    assert process.wait(10) == 0
    assert "0/5 [" in said.decode()
    assert "q          model         answer" in lines
    assert max(len(line) for line in lines if "─" in line or "gpt" in line) <= 80


def test_it_can_be_tried_without_a_key(shell, emu):
    """Simulated, and said so."""
    done = shell("batch", "rows.csv", *ASK, "--limit", "2", "--emulate")

    assert "simulated/gpt-4.1-mini" in done.stdout
    assert len(emu.log.arrivals()) == 0


def test_the_emulators_own_options_reach_it(shell):
    """`prsm-lab emulate --port …`."""
    assert "--latency-scale" in shell("emulate", "--help-all").stderr + shell("emulate", "--nothing").stderr


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_table_obeys_no_model(text):
    """No escape sequence, no line of its own."""
    drawn = console.table(("model", "answer"), [("m", text)])

    assert "\x1b" not in drawn
    assert len(drawn.split("\n")) == 3
