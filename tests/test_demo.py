"""`prsm-lab` from a terminal: the demo without weights, and every command."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pandas as pd
import pytest

from prsm_lab import cli, emulator


def prsm_lab(*arguments: str, cwd, **environ: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PRSM_LEDGER": str(cwd / "ledger.db"), **environ}
    return subprocess.run(
        [sys.executable, "-c", "import sys; from prsm_lab.cli import main; sys.exit(main())", *arguments],
        cwd=cwd,
        env=env,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@pytest.mark.timeout(120)
def test_the_demo_goes_on_without_weights_and_reuses_everything_the_second_time(tmp_path):
    """No hub, no index: it says so, compares the simulated models and writes a report that fetches nothing."""
    offline = {"PRSM_MODELS": str(tmp_path / "none"), "HF_HUB_OFFLINE": "1", "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": ""}
    first = prsm_lab("demo", "--rows", "8", cwd=tmp_path, **offline)
    again = prsm_lab("demo", "--rows", "8", cwd=tmp_path, **offline)
    page = (tmp_path / "prsm-lab-demo.html").read_text()

    assert first.returncode == again.returncode == 0, first.stderr
    assert "No real model" in first.stdout
    assert "(simulated)" in first.stdout
    assert "32 of 32 answers were known" in again.stdout
    assert "simulated answers" in page
    markup = re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    assert not re.findall(r"""(?:src|href)\s*=\s*["']?(?:https?:)?//""", markup)


@pytest.fixture
def emu(monkeypatch):
    with emulator.start(references={"2+2?": "4"}) as running:
        for name, value in running.environ().items():
            monkeypatch.setenv(name, value)
        yield running


@pytest.fixture
def rows(tmp_path):
    path = tmp_path / "rows.csv"
    pd.DataFrame({"q": ["2+2?", "3+3?"]}).to_csv(path, index=False)
    return path


@pytest.mark.parametrize(
    ("ending", "read"),
    [("csv", pd.read_csv), ("jsonl", lambda p: pd.read_json(p, lines=True)), ("parquet", pd.read_parquet)],
)
def test_batch_writes_what_the_ending_says(emu, rows, tmp_path, capsys, ending, read):
    """One row a row."""
    out = tmp_path / f"out.{ending}"

    assert cli.main(["batch", str(rows), "--prompt", "{q}", "--model", "gpt-4.1-mini", "--out", str(out)]) == 0
    assert read(out)["response"].notna().tolist() == [True, True]


def test_compare_prints_rows_and_a_summary(emu, rows, capsys):
    """Rows go to standard output, the summary to standard error: a pipe gets data only."""
    assert (
        cli.main(["compare", str(rows), "--prompt", "{q}", "--model", "gpt-4.1-mini", "--model", "claude-haiku-4-5"])
        == 0
    )
    said = capsys.readouterr()

    assert "p95" in said.err
    assert "gpt-4.1-mini" in said.out


def test_a_failed_row_is_an_exit_code(emu, rows, capsys):
    """So that a script notices."""
    emu.add(emulator.Rule("400", contains="3+3"))

    assert cli.main(["batch", str(rows), "--prompt", "{q}", "--model", "gpt-4.1-mini"]) == 1


def test_past_runs_and_usage_and_the_ledger_can_be_looked_at(emu, rows, capsys, tmp_path, monkeypatch):
    """`runs`, `usage`, `ledger check | export | prune`."""
    monkeypatch.chdir(tmp_path)
    cli.main(["batch", str(rows), "--prompt", "{q}", "--model", "gpt-4.1-mini", "--run", "mine"])
    for command in (
        ["runs"],
        ["usage"],
        ["models", "--provider", "openai"],
        ["ledger", "check"],
        ["ledger", "export"],
        ["ledger", "prune", "--older-than-days", "0"],
    ):
        assert cli.main(command) == 0, command
    said = capsys.readouterr().out

    assert "mine" in said
    assert "total_requests       2" in said
    assert ": sound" in said
    assert json.loads((tmp_path / "ledger.jsonl").read_text().splitlines()[0])["record"]["status"] == "completed"
    assert "2 inferences deleted" in said


@pytest.mark.parametrize(
    "command",
    [
        ["batch", "nowhere.csv", "--prompt", "x", "--model", "gpt-4"],
        ["batch", "capitals", "--prompt", "{nothing}", "--model", "gpt-4"],
        ["compare", "capitals", "--prompt", "x", "--model", "gtp-4"],
    ],
)
def test_an_error_is_one_line_and_an_exit_code(command, capsys):
    """No traceback for what a person can mend."""
    assert cli.main(command) == 2
    said = capsys.readouterr().err

    assert "prsm-lab: " in said
    assert "Traceback" not in said
