"""What a task of joblib runs on a worker: make the client's windows there, and serve its driver."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

import prsm_lab
from prsm_lab.client import compose
from prsm_lab.engine import outpost, portal
from prsm_lab.engine.fleet import Invitation

if TYPE_CHECKING:
    from prsm_lab.protocols import Provider


def work(invitation: bytes, own: dict[str, Any], mocked: compose.MockResponses | None) -> int:
    """Serve a driver until its run ends; see `engine.outpost.serve`.

    Args:
        invitation: An `Invitation`, as JSON.
        own: The client's functions and own windows.
        mocked: Responses of a client in mock mode.
    """
    told = msgspec.json.decode(invitation, type=Invitation)
    windows = compose.elsewhere(compose.Outfit(told.places, own, mocked))
    return portal.call(_served(told, windows))


async def _served(invitation: Invitation, windows: dict[str, Provider]) -> int:
    try:
        return await outpost.serve(invitation, windows, prsm_lab.__version__)
    finally:
        for window in windows.values():
            await window.aclose()
