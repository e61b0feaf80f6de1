"""The rules of the house that a machine can check."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import prsm_lab

ROOT = Path(prsm_lab.__file__).parent
MODULES = sorted(path for path in ROOT.rglob("*.py") if "_datasets" not in path.parts)
NAMES = [str(path.relative_to(ROOT)) for path in MODULES]

TREES = {path: ast.parse(path.read_text()) for path in MODULES}
"""Parsed once, before any test starts a thread: CPython 3.11's parser counts its depth for all threads together."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(path: Path) -> Iterator[Function]:
    for node in ast.walk(TREES[path]):
        if isinstance(node, Function):
            yield node


def body_lines(function: Function) -> int:
    """Lines of code, the docstring left out: explaining is not length."""
    first = function.body[0]
    start = function.lineno
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        start = first.end_lineno or start
    return (function.end_lineno or start) - start


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_no_module_is_longer_than_400_lines(path):
    """A longer one is two rooms."""
    assert len(path.read_text().splitlines()) <= 400


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_every_function_can_be_seen_whole(path):
    """At most 60 lines and 8 parameters that can be given by position."""
    too_long = [f.name for f in functions(path) if body_lines(f) > 60]
    too_wide = [f.name for f in functions(path) if len(f.args.posonlyargs) + len(f.args.args) > 8]

    assert (too_long, too_wide) == ([], [])


def test_the_public_surface_is_what_all_says():
    """Every name in `__all__` exists and has a docstring; nothing else is public."""
    for name in prsm_lab.__all__:
        assert getattr(prsm_lab, name).__doc__, name
    public = {name for name in vars(prsm_lab) if not name.startswith("_")} - {
        "annotations",
        "TYPE_CHECKING",
        "Any",
        "import_module",
    }

    rooms = {path.stem if path.stem != "__init__" else path.parent.name for path in MODULES}
    assert public - set(prsm_lab.__all__) - rooms == set()


@pytest.mark.parametrize("name", ["compare", "prices", "quality", "errors", "plot", "Client", "datasets"])
def test_every_public_name_can_be_the_first_that_is_used(name):
    """Lazy loading must not depend on what was loaded before."""
    subprocess.run([sys.executable, "-c", f"import prsm_lab; prsm_lab.{name}"], check=True)


def test_importing_the_package_pulls_in_nothing_heavy():
    """At most 0.1 s of CPU and 350 modules; no pandas, no SDK, no thread, no socket."""
    probe = (
        "import sys, time, threading; before = len(sys.modules); began = time.process_time(); import prsm_lab; "
        "heavy = {'pandas','numpy','openai','anthropic','huggingface_hub','plotly','ipywidgets','aiohttp','httpx2',"
        "'genai_prices','sqlite3','asyncio'} & set(sys.modules); "
        "print(len(sys.modules) - before, threading.active_count(), sorted(heavy), time.process_time() - began < 0.1)"
    )
    said = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True).stdout

    modules, threads, heavy, quick = said.split(maxsplit=2)[0], said.split()[1], "[]" in said, "True" in said
    assert (int(modules) < 350, int(threads), heavy, quick) == (True, 1, True, True)


ALLOWED = {
    "threading": {
        "engine/portal.py",
        "emulator/server.py",
        "emulator/log.py",
        "ledger/store.py",
        "local.py",
        "embeddings.py",
        "hosting/",
        "panels/",
    },
    "sqlite3": {"ledger/"},
    "psycopg": {"ledger/"},
    "nh3": {"render.py"},
    "markdown_it": {"render.py"},
    "redis": {"ledger/"},
    "openai": {"providers/"},
    "anthropic": {"providers/"},
    "huggingface_hub": {"providers/", "local.py"},
    "plotly": {"plot/", "report.py"},
}


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_every_resource_has_one_room(path):
    """Threads in the portal, SQL in the ledger, an SDK's name in its provider."""
    name = str(path.relative_to(ROOT))
    imported = {
        alias.name.partition(".")[0]
        for node in ast.walk(TREES[path])
        if isinstance(node, ast.Import)
        for alias in node.names
    } | {(node.module or "").partition(".")[0] for node in ast.walk(TREES[path]) if isinstance(node, ast.ImportFrom)}
    for module in imported & set(ALLOWED):
        assert any(name.startswith(room) for room in ALLOWED[module]), f"{name} imports {module}"


BROAD = {
    "engine/attempts.py", "engine/outpost.py", "server/guard.py", "providers/function.py", "frames/outcomes.py",
    "frames/distribute.py", "panels/panel.py", "engine/caches.py", "hosting/batching.py", "hosting/words.py",
}  # fmt: skip
"""The edges: plugins, here and on a worker, functions used as models, scorers or embedders, the server's door, joblib's
backends, what is clicked in a panel, and in the loader of weights a model and its chat template."""


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_no_fault_is_swallowed(path):
    """`except Exception` only at the edges; a bare one nowhere; `except BaseException` only to raise again."""
    for node in ast.walk(TREES[path]):
        if not isinstance(node, ast.ExceptHandler):
            continue
        caught = {n.id for n in ast.walk(node.type) if isinstance(n, ast.Name)} if node.type else {"everything"}
        if "BaseException" in caught:
            assert any(isinstance(inner, ast.Raise) and inner.exc is None for inner in ast.walk(node))
        elif caught & {"Exception", "everything"}:
            assert str(path.relative_to(ROOT)) in BROAD


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_no_sql_is_built_from_strings(path):
    """Values are bound; an f-string, `%` or `+` in `execute` is an injection waiting (CVE-2026-42208)."""
    for node in ast.walk(TREES[path]):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in ("execute", "executemany", "executescript")
        ):
            assert not node.args or not isinstance(node.args[0], ast.JoinedStr | ast.BinOp)


def test_nothing_is_pickled_or_evaluated():
    """Cache, ledger and answers are data, never code."""
    for path in MODULES:
        for node in ast.walk(TREES[path]):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = {alias.name for alias in node.names} | {getattr(node, "module", "") or ""}
                assert not names & {"pickle", "marshal", "shelve", "yaml"}, path
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in ("eval", "exec"), path
