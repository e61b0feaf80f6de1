"""Window to Hugging Face: the router for chat models, text generation for those that only continue text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prsm_lab.providers.compatible import Compatible
from prsm_lab.providers.textgen import TextGeneration

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from prsm_lab.settings import Access
    from prsm_lab.types import Delta, Reply, Request, Target


class HuggingFace(Compatible):
    """The router speaks Chat Completions, so chat goes through the OpenAI SDK: typed errors, headers, no cap at 100.

    >>> from prsm_lab.settings import access
    >>> HuggingFace(access("huggingface", api_key="hf_1", environ={})).name
    'huggingface'
    """

    needs_key = True

    def __init__(self, access: Access, *, pool: int = 256) -> None:
        super().__init__(access, pool=pool)
        self._text = TextGeneration(access)

    async def send(self, request: Request, target: Target, *, live: bool) -> AsyncIterator[Delta | Reply]:
        """Ask on the wire that the model speaks."""
        speaks_chat = target.capabilities.wire != "text"
        stream = (super() if speaks_chat else self._text).send(request, target, live=live)
        try:
            async for item in stream:
                yield item
        finally:
            await stream.aclose()  # type: ignore[attr-defined]

    async def aclose(self) -> None:
        """Close the connections of both."""
        await super().aclose()
        await self._text.aclose()
