"""Reports: one file that says what was found and how it was made, and in which nothing runs and nothing is fetched."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from hostile import HOSTILE
from markdown_it import MarkdownIt

import prsm_lab as lab
from prsm_lab import errors

MODELS = ["gpt-4.1-mini", "gpt-4.1-nano"]


@pytest.fixture
def results():
    answers = {"gpt-4.1-mini": {"content": "It is 4."}, "gpt-4.1-nano": {"content": ["It is 4.", "It is 5."]}}
    rows = [{"q": f"{n} + {4 - n}?", "answer": 4} for n in range(12)]
    with lab.Client(mock_mode=True, ledger=":memory:", mock_responses=answers) as client:
        found = lab.compare(
            rows, {"plain": "Add: {q}"}, models=MODELS, system="Be brief.", temperature=0, client=client, progress=False
        )
        yield lab.score(found, "numeric")


def test_a_report_says_what_was_found_and_how(results, tmp_path):
    """Summary, differences in words, figures, answers, and the manifest: prompts, options, prices, versions."""
    written = lab.report(results, tmp_path / "found.html", title="Which adds better?", lead="Twelve sums.")
    page = written.read_text("utf-8")
    sentence = lab.contrast(results)["verdict"].item()

    assert written == tmp_path / "found.html"
    for said in ("Which adds better?", "Twelve sums.", sentence, "Add: {q}", "Be brief.", "temperature=0", "It is 5."):
        assert said.replace("'", "&#x27;") in page or said in page
    assert re.search(r"gpt-4\.1-mini: \$0\.4 in, \$1\.6 out per million \(\w", page)
    assert results.attrs["prsm"]["run"] in page
    assert f"prsm-lab {lab.__version__}" in page
    assert page.count('class="figure"') == 5


def test_it_works_without_a_network(results, tmp_path):
    """Plotly's script is in it once; nothing is loaded from anywhere."""
    page = lab.report(results, tmp_path / "found.html").read_text("utf-8")
    outside = re.sub(r"<script.*?</script>", "", page, flags=re.S)

    assert len(re.findall(r"plotly\.js v\d", page)) == 1
    assert not re.search(r"<script[^>]+src=|<link|<img|@import|url\(", outside)
    assert "http" not in outside


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_whatever_a_model_wrote_is_text_in_markdown_too(text, tmp_path):
    """In a cell as in a heading; test_display looks at the page."""
    with lab.Client(mock_mode=True, ledger=":memory:", mock_responses={"*": {"content": text}}) as client:
        found = lab.compare([text], "{text}", models=MODELS, client=client, progress=False)
    written = lab.report(found, tmp_path / "found.md", title=text[:60]).read_text("utf-8")
    page = MarkdownIt("commonmark", {"html": True}).enable("table").render(written)

    assert not re.search(r"<(script|img|iframe|svg|object|style)[\s>/]", page, re.I)
    assert not re.search(r"<[^>]+\son\w+\s*=", page)


def test_markdown_is_for_pull_requests(results, tmp_path):
    """Tables that a code host renders, no figures, the same sentences."""
    text = lab.report(results, tmp_path / "found.md", title="Sums").read_text("utf-8")

    assert text.startswith("# Sums\n\n")
    assert "| model | prompt | rows | failed |" in text
    assert lab.contrast(results)["verdict"].item() in text
    assert "- **options**: temperature=0" in text
    assert "<div" not in text


def test_results_without_scores_or_with_one_variant_are_reported_too(tmp_path):
    """What cannot be said is left out."""
    with lab.Client(mock_mode=True, ledger=":memory:") as client:
        found = lab.batch(["a", "b"], "{text}", model="gpt-4", client=client, progress=False)
    page = lab.report(found, tmp_path / "found.html").read_text("utf-8")

    assert "<h2>Differences</h2>" not in page
    assert page.count('class="figure"') == 2


def test_why_nothing_could_be_compared_is_said(results, tmp_path):
    """Instead of an error or an empty place."""
    apart = results[(results["model"] == MODELS[0]) ^ (results.index >= 6)]
    page = lab.report(apart, tmp_path / "found.html").read_text("utf-8")

    assert "Which rows belong together cannot be told" in page


@pytest.mark.parametrize("name", ["found.pdf", "found"])
def test_another_kind_of_file_is_refused(results, tmp_path, name):
    """Before anything is written."""
    with pytest.raises(errors.InvalidRequestError, match=r"\.html or \.md"):
        lab.report(results, tmp_path / name)

    assert list(tmp_path.iterdir()) == []


def test_a_run_is_reported_from_a_terminal(tmp_path):
    """By its id, from the ledger: nothing is asked."""
    ledger = tmp_path / "ledger.db"
    with lab.Client(mock_mode=True, ledger=ledger, mock_responses={"*": {"content": "4"}}) as client:
        found = lab.compare([{"q": "2 + 2?", "answer": 4}], "{q}", models=MODELS, client=client, progress=False)
    run = found.attrs["prsm"]["run"]
    main = "import sys; from prsm_lab.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", main, "report", run, "--out", str(tmp_path / "r.md"), "--score", "exact"]
    done = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        timeout=50,
        env={"PRSM_LEDGER": str(ledger), "PATH": "/usr/bin"},
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(tmp_path / "r.md")
    assert "| model | rows | failed | exact |" in (tmp_path / "r.md").read_text("utf-8")
