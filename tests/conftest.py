"""What every test shares: no network but loopback, no ledger but its own, no keys of this machine."""

from __future__ import annotations

import datetime
import ipaddress
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
from databases import database, postgres, redis_server, redis_url  # noqa: F401 -- fixtures for all
from jupyter import jupyter  # noqa: F401 -- one for all

from prsm_lab import catalog
from prsm_lab.catalog import prices

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

# A landing must not depend on luck: there the same examples are drawn every time; at a desk, new ones.
hypothesis.settings.register_profile("ci", derandomize=True, deadline=None)
hypothesis.settings.register_profile("desk", deadline=None)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "desk")

TODAY = datetime.date(2026, 11, 25)
"""Models retire; tests do not."""

_VARIABLES = (
    "OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "ANTHROPIC_API_KEY",
    "ANTHROPIC_BASE_URL", "ANTHROPIC_AUTH_TOKEN", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_BASE_URL",
    "PRSM_API_URL", "PRSM_API_KEY", "PRSM_PROXY_TOKEN",
)  # fmt: skip


@pytest.hookimpl(optionalhook=True)  # a test alone runs without xdist
def pytest_xdist_auto_num_workers() -> int:
    """Half of the suite's time is waiting, for pages, processes and limits: a core serves more than one worker."""
    return (os.cpu_count() or 1) * 3 // 2


@pytest.fixture(autouse=True)
def _own_world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    for name in _VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PRSM_LEDGER", str(tmp_path / "ledger.db"))
    monkeypatch.setenv("PRSM_HOSTED", str(tmp_path / "hosted"))
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    monkeypatch.setattr(catalog, "_today", lambda: TODAY)
    monkeypatch.setattr(prices, "_warned", {})  # every test is warned, whichever came before it
    yield
    import sys

    registry = sys.modules.get("prsm_lab.client.registry")
    for name in () if registry is None else registry.given():
        registry.drop(name)
    client = sys.modules.get("prsm_lab.client")
    if client is not None and client._default is not None:
        client._default.close()
        client._default = None


@pytest.fixture(autouse=True)
def _loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that reaches for the network fails at once instead of waiting for it."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: object) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and isinstance(address, tuple):
            host = str(address[0])
            if host != "localhost" and not ipaddress.ip_address(host.partition("%")[0]).is_loopback:
                raise AssertionError(f"a test reached for the network: {host}")
        connect(self, address)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", guarded)


def _frame(*rows: dict[str, Any]) -> pd.DataFrame:
    """Results without asking anybody; each row gives what differs."""
    import pandas as pd

    from prsm_lab import columns, errors
    from prsm_lab.types import Cost, Inference, Usage

    outcomes, extra = [], []
    for n, fields in enumerate(rows):
        row = dict(fields)
        extra.append({"answer": row.pop("answer", None), "q": row.pop("q", "?")})
        if "failed" in row:
            outcomes.append(errors.ProviderError(row["failed"]))
            continue
        cost, model = row.pop("cost", 0.001), row.pop("model", "gpt-4.1-mini")
        plain = {"id": f"inf_{n}", "requested_model": model, "model": model, "provider": "openai", "content": "x", "finish_reason": "stop",
                 "usage": Usage(prompt_tokens=10, completion_tokens=20), "cost": Cost(amount=cost), "latency_ms": 100.0, "served_model": model}  # fmt: skip
        outcomes.append(Inference(**{**plain, **row}))
    found = columns.results(outcomes, asked=[row.get("model", "gpt-4.1-mini") for row in rows])
    return pd.concat([pd.DataFrame(extra), found], axis=1)


@pytest.fixture
def frame() -> Callable[..., pd.DataFrame]:
    """`frame(row, row, …)`: a result frame; a row is a dict of what differs from a plain answer, or `failed=`."""
    return _frame
