"""README: its code runs as written, its commands exist, its picture is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import prsm_lab as lab
from prsm_lab import cli, emulator

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
CODE = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.fixture
def simulated(monkeypatch):
    """The SDKs' own variables point at an emulator, as a user's would at a gateway."""
    capitals = lab.datasets.load("capitals")
    with emulator.start(references=dict(zip(capitals.question, capitals.answer, strict=True))) as running:
        for name, value in running.environ().items():
            monkeypatch.setenv(name, value)
        yield running


def test_the_eight_lines_run_as_written(simulated, monkeypatch, capsys, tmp_path):
    """And then the two that put an emulator in front."""
    monkeypatch.chdir(tmp_path)  # a report is written
    monkeypatch.setattr("plotly.graph_objects.Figure.show", lambda self: None)
    names: dict[str, object] = {}
    for block in CODE:
        exec(compile(block, "README.md", "exec"), names)
    said = capsys.readouterr().out

    assert "simulated" in said
    assert names["scored"]["score_contains"].mean() > 0.5
    assert names["key"].startswith("pk_")
    names["share"].stop()
    names["emulator"].stop()


def test_every_command_that_is_named_exists():
    """`prsm-lab demo · batch · …`."""
    (line,) = re.findall(r"`prsm-lab (demo · [^`]*)`", README)
    help_text = cli._parser().format_help()

    assert all(f" {command.strip()} " in help_text.replace("\n", " ") for command in line.split("·"))


def test_every_function_that_is_named_exists():
    """`lab.…` in text and table."""
    for name in set(re.findall(r"`lab\.(\w+)", README)):
        assert hasattr(lab, name), name


def test_every_file_that_is_linked_exists():
    """Picture, schema, notebook, contributing."""
    for target in re.findall(r"\]\(([\w./]+)\)", README):
        assert (ROOT / target).exists(), target
