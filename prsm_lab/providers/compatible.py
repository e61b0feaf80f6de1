"""Window to any server that speaks Chat Completions: vLLM, Ollama, llama.cpp, OpenRouter and the rest."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, ClassVar

from prsm_lab import presets
from prsm_lab.errors import InvalidRequestError
from prsm_lab.providers import chat
from prsm_lab.providers.openai import OpenAI
from prsm_lab.providers.window import Call

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from prsm_lab.settings import Access
    from prsm_lab.types import Delta, Reply, Request, Target


class Compatible(OpenAI):
    """A server of one's own: the conservative body that all of them know, and no key unless one is given."""

    dialect: ClassVar[chat.Dialect] = "compatible"
    needs_key = False
    _counts_streams = True

    def __init__(self, access: Access, *, pool: int = 256) -> None:
        super().__init__(access, pool=pool)
        ways = presets.preset(access.preset)
        self._unknown = () if ways is None else ways.never
        self._rename = {} if ways is None else ways.rename

    def _call(self, request: Request, target: Target, *, live: bool) -> Call:
        body, dropped = chat.to_wire(request, target, live=live, dialect=self.dialect, unknown=self._unknown)
        body = {self._rename.get(name, name): value for name, value in body.items()}
        if not self._counts_streams:
            body.pop("stream_options", None)
        return Call(chat.PATH, body, {}, dropped, chat.from_wire, chat.Fold)

    async def send(self, request: Request, target: Target, *, live: bool) -> AsyncGenerator[Delta | Reply, None]:
        """Ask; a server that refuses `stream_options` is asked once more without, and remembered."""
        refused = False
        try:
            async with aclosing(self._once(request, target, live=live)) as stream:
                async for item in stream:
                    yield item
        except InvalidRequestError as refusal:
            refused = live and self._counts_streams and "stream_options" in refusal.message
            if not refused:
                raise
        if refused:
            self._counts_streams = False
            async with aclosing(self._once(request, target, live=live)) as stream:
                async for item in stream:
                    yield item

    def _once(self, request: Request, target: Target, *, live: bool) -> AsyncGenerator[Delta | Reply, None]:
        return super().send(request, target, live=live)
