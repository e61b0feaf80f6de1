"""Window to weights on this machine: each local model is an OpenAI-style server in this process."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from prsm_lab import local
from prsm_lab.providers.compatible import Compatible
from prsm_lab.settings import Access

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from prsm_lab.types import Delta, Reply, Request, Target


class Weights:
    """Loads a model at its first question and talks to it like to any compatible server.

    >>> Weights().name
    'local'
    """

    name = "local"
    origin = "local"
    ceiling = local.PARALLEL
    """More in flight would only wait inside the server, and their wait would look like the model's latency."""

    def __init__(self) -> None:
        self._windows: dict[str, Compatible] = {}
        self._loading = asyncio.Lock()

    async def ready(self) -> None:
        """The weights are loaded by the first question that names them."""

    async def send(self, request: Request, target: Target, *, live: bool) -> AsyncGenerator[Delta | Reply, None]:
        """Answer with the weights called `target.model`."""
        window = await self._window(target.model)
        stream = window.send(request, target, live=live)
        try:
            async for item in stream:
                yield item
        finally:
            await stream.aclose()

    async def _window(self, model: str) -> Compatible:
        async with self._loading:  # the first question of a batch loads, the others wait for it
            if model not in self._windows:
                loaded = await asyncio.to_thread(local.load, model)
                self._windows[model] = Compatible(Access(provider=self.name, base_url=loaded.base_url))
            return self._windows[model]

    async def models(self) -> tuple[str, ...]:
        """Name the weights that can be asked by name; one's own GGUF file can be named by its path.

        Raises:
            ProviderError: If the extra that runs them is not installed.
        """
        local.needed()
        return tuple(local.models())

    async def aclose(self) -> None:
        """Close the connections; the servers end with the process."""
        for window in self._windows.values():
            await window.aclose()
