"""What all rooms of the server share: the engine, the accounts, the rules of the house."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prsm_lab.ledger.accounts import Accounts
    from prsm_lab.protocols import Engine
    from prsm_lab.server.admission import Admission
    from prsm_lab.types import Routing


@dataclass
class House:
    """One server's means."""

    engine: Engine
    accounts: Accounts
    admission: Admission
    preferences: Routing
    """What a key that set none of its own is asked by."""
    timeout: float
    """Total deadline of a question that names none, seconds."""
    hosts: frozenset[str]
    """Values of `Host` that mean this server."""
    origins: frozenset[str] = frozenset()
    """Other sites whose pages may ask (CORS); none by default."""
    root_path: str = ""
    most_bytes: int = 16 * 2**20
    """Of a request's body."""
    reach: Any = None
    """How the client's providers are reached, where they can be changed."""
    most_model_bytes: int = 16 * 2**30
    """Of a model that is uploaded."""
    share_cache: bool = False
    """An answer to one key may serve another from the cache."""
    registered: dict[str, Any] = field(default_factory=dict)
    """Servers that were registered by their address, with what they offer."""
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the server stops: streams end with a word."""
    jobs: dict[str, asyncio.Task[Any]] = field(default_factory=dict)
    """Background questions by inference id."""
    counts: dict[str, int] = field(default_factory=lambda: {"requests": 0, "streams": 0, "open": 0})
    """For the cell that started the server."""
