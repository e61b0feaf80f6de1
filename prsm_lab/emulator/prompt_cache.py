"""Providers' prompt caches: long beginnings that were read before are cheaper.

OpenAI's works by itself, from 1,024 tokens on in steps of 128; Anthropic's keeps what a request marks with
`cache_control`, and charges for writing it.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Final

from prsm_lab.emulator import requests
from prsm_lab.emulator.models import tokens
from prsm_lab.emulator.wires import Served

LEAST: Final = 1024
STEP: Final = 128
KEPT: Final = 64
"""Beginnings that are remembered of each model."""


class PromptCache:
    """What an emulator's models have read lately."""

    def __init__(self) -> None:
        self._known: dict[str, deque[str]] = {}

    def served(self, wire: str, model: str, body: dict[str, Any]) -> Served:
        """Look a prompt up, before it is answered."""
        known = self._known.get(model, ())
        if wire == "anthropic":
            marked = _marked(body)
            size = tokens(marked)
            return Served() if size < LEAST else Served(read=size) if marked in known else Served(written=size)
        prompt = requests.whole_prompt(body)
        alike = max((_alike(prompt, one) for one in known), default=0)
        size = tokens(prompt[:alike]) // STEP * STEP
        return Served(read=size) if size >= LEAST else Served()

    def learn(self, wire: str, model: str, body: dict[str, Any]) -> None:
        """Remember a prompt that was answered."""
        prompt = _marked(body) if wire == "anthropic" else requests.whole_prompt(body)
        known = self._known.setdefault(model, deque(maxlen=KEPT))
        if tokens(prompt) >= LEAST and prompt not in known:
            known.append(prompt)


def _alike(one: str, other: str) -> int:
    """How many characters two texts begin with alike."""
    shorter = min(len(one), len(other))
    return next((n for n in range(shorter) if one[n] != other[n]), shorter)


def _marked(body: dict[str, Any]) -> str:
    """The text up to the last block that is marked."""
    blocks: list[Any] = []
    for content in (body.get("system"), *(turn.get("content") for turn in body.get("messages") or ())):
        blocks += content if isinstance(content, list) else [{"text": content}] if content else []
    last = max(
        (n for n, block in enumerate(blocks) if isinstance(block, dict) and "cache_control" in block), default=-1
    )
    return "\n".join(str(block.get("text", "")) for block in blocks[: last + 1] if isinstance(block, dict))
