"""Window to any server that speaks Chat Completions: vLLM, Ollama, llama.cpp, OpenRouter and the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from prsm_lab.errors import InvalidRequestError
from prsm_lab.providers import chat
from prsm_lab.providers.openai import OpenAI
from prsm_lab.providers.window import Call

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from prsm_lab.types import Delta, Reply, Request, Target


class Compatible(OpenAI):
    """A server of one's own: the conservative body that all of them know, and no key unless one is given."""

    dialect: ClassVar[chat.Dialect] = "compatible"
    needs_key = False
    _counts_streams = True

    def _call(self, request: Request, target: Target, *, live: bool) -> Call:
        body, dropped = chat.to_wire(request, target, live=live, dialect=self.dialect)
        if not self._counts_streams:
            body.pop("stream_options", None)
        return Call(chat.PATH, body, {}, dropped, chat.from_wire, chat.Fold)

    async def send(self, request: Request, target: Target, *, live: bool) -> AsyncIterator[Delta | Reply]:
        """Ask; a server that refuses `stream_options` is asked once more without, and remembered."""
        try:
            async for item in self._once(request, target, live=live):
                yield item
            return
        except InvalidRequestError as refusal:
            if not live or "stream_options" not in refusal.message or not self._counts_streams:
                raise
        self._counts_streams = False
        async for item in self._once(request, target, live=live):
            yield item

    async def _once(self, request: Request, target: Target, *, live: bool) -> AsyncIterator[Delta | Reply]:
        stream = super().send(request, target, live=live)
        try:
            async for item in stream:
                yield item
        finally:
            await stream.aclose()  # type: ignore[attr-defined]
