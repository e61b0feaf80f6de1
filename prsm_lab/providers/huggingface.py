"""Window to Hugging Face: the router for chat models, text generation for those that only continue text."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from prsm_lab.providers.compatible import Compatible
from prsm_lab.providers.textgen import TextGeneration

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

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

    async def send(self, request: Request, target: Target, *, live: bool) -> AsyncGenerator[Delta | Reply, None]:
        """Ask on the wire that the model speaks."""
        send = self._text.send if target.capabilities.wire == "text" else super().send
        stream: Any = send(request, target, live=live)
        async with aclosing(stream):
            async for item in stream:
                yield item

    async def aclose(self) -> None:
        """Close the connections of both."""
        await super().aclose()
        await self._text.aclose()
