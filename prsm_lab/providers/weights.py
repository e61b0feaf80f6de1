"""Window to weights on this machine: each local model is an OpenAI-style server, in this process or one of its own.

Models that were uploaded are loaded by the first question that names them, and leave when nobody has asked them for a
while, or when another needs the memory.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import aclosing
from typing import TYPE_CHECKING, Final

import msgspec

from prsm_lab import local
from prsm_lab.errors import NotFoundError, ProviderError
from prsm_lab.providers.compatible import Compatible
from prsm_lab.settings import Access
from prsm_lab.types import Reply

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from prsm_lab.types import Delta, Request, Target

IDLE_SECONDS: Final = 600.0
"""After which an uploaded model that nobody asks is unloaded."""


_asking: Final[Counter[str]] = Counter()
"""Questions by model, of all windows of this process: they share what is loaded."""


class _Served:
    """A model that is loaded."""

    def __init__(self, name: str, model: local.LocalModel, provider: str) -> None:
        self.name = name
        self.model = model
        self.window = Compatible(Access(provider=provider, base_url=model.base_url, key=model.key, origin="local"))
        self.gate = asyncio.Semaphore(model.at_once)
        self.timer: asyncio.TimerHandle | None = None
        self.last = 0.0
        self.hosted = local.store().find(name) is not None


class Weights:
    """Loads a model at its first question and talks to it like to any compatible server.

    Args:
        idle: Seconds after which an uploaded model that nobody asks is unloaded.
        memory: Most bytes that uploaded models may take together; default three fifths of this machine's.

    >>> Weights().name
    'local'
    """

    name = "local"
    origin = "local"
    ceiling = local.BATCHED
    """More in flight would only wait inside the server, and their wait would look like the model's latency."""

    def __init__(self, *, idle: float = IDLE_SECONDS, memory: int | None = None) -> None:
        self._served: dict[str, _Served] = {}
        self._loading = asyncio.Lock()
        self._idle = idle
        self._memory = memory
        self._leaving: set[asyncio.Task[None]] = set()

    async def ready(self) -> None:
        """The weights are loaded by the first question that names them."""

    async def send(self, request: Request, target: Target, *, live: bool) -> AsyncGenerator[Delta | Reply, None]:
        """Answer with the weights called `target.model`."""
        if request.person is not None and not await asyncio.to_thread(local.known, target.model):
            raise NotFoundError(
                f"No weights called {target.model[:80]!r} are on this server.",
                provider=self.name, details={"parameter": "model"},
            )  # fmt: skip
        model = target.model
        served = await self._ready_to_ask(model)
        _asking[model] += 1
        try:
            async with served.gate:  # who waits here for llama.cpp's two seats does not make the model slow
                began = time.monotonic()
                async with aclosing(served.window.send(request, target, live=live)) as stream:
                    async for item in stream:
                        if isinstance(item, Reply):
                            took = (time.monotonic() - began) * 1000
                            item = msgspec.structs.replace(item, took_ms=took)  # noqa: PLW2901
                        yield item
        finally:
            _asking[model] -= 1
            self._rest(served)

    async def _ready_to_ask(self, model: str) -> _Served:
        async with self._loading:  # the first question of a batch loads, the others wait for it
            served = self._served.get(model)
            if served is not None and not served.model.running:
                await self._leave(served)
                served = None
            if served is None:
                await self._make_room(model)
                loaded = await asyncio.to_thread(local.load, model)
                served = self._served[model] = _Served(model, loaded, self.name)
            if served.timer is not None:
                served.timer.cancel()
                served.timer = None
            return served

    async def _make_room(self, model: str) -> None:
        """Unload the uploaded models that rested longest, until the next one fits."""
        wanted = await asyncio.to_thread(local.needs, model)
        most = local.budget() if self._memory is None else self._memory
        while wanted:
            there = [one for one in self._served.values() if one.hosted]
            taken = sum([await asyncio.to_thread(local.needs, one.name) for one in there])
            if taken + wanted <= most:
                return
            idle = sorted((one for one in there if not _asking[one.name]), key=lambda one: one.last)
            if not idle:
                raise ProviderError(
                    f"{model!r} needs about {wanted // 2**20:,} MB, and uploaded models may take {most // 2**20:,} MB "
                    "together; the others are being asked. Try again later.",
                    provider=self.name, details={"kind": "memory"}, verdict="next", retry_after=5.0,
                )  # fmt: skip
            await self._leave(idle[0], unload=True)

    def _rest(self, served: _Served) -> None:
        """Nobody asks it: let it go after a while."""
        served.last = time.monotonic()
        if served.hosted and not _asking[served.name] and self._served.get(served.name) is served:
            loop = asyncio.get_running_loop()
            served.timer = loop.call_later(self._idle, self._let_go, served)

    def _let_go(self, served: _Served) -> None:
        if not _asking[served.name] and self._served.get(served.name) is served:
            task = asyncio.get_running_loop().create_task(self._leave(served, unload=True))
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)

    async def _leave(self, served: _Served, *, unload: bool = False) -> None:
        self._served.pop(served.name, None)
        if served.timer is not None:
            served.timer.cancel()
        await served.window.aclose()
        if unload and not _asking[served.name]:
            await asyncio.to_thread(local.unload, served.name)

    async def models(self) -> tuple[str, ...]:
        """Name the weights that can be asked by name; one's own GGUF file can be named by its path.

        Raises:
            ProviderError: If the extra that runs them is not installed.
        """
        local.needed()
        return (*local.models(), *(one.name for one in await asyncio.to_thread(local.store().all)))

    async def aclose(self) -> None:
        """Close the connections; what this window loaded of uploaded models ends, the rest with the process."""
        for served in list(self._served.values()):
            await self._leave(served, unload=served.hosted)
