"""Window to Anthropic: Messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from prsm_lab.providers import messages, transport
from prsm_lab.providers.window import CONNECT_SECONDS, IDLE_SECONDS, Call, Window, ambient_headers_off

if TYPE_CHECKING:
    from prsm_lab.types import Request, Target


class Anthropic(Window):
    """Anthropic through its SDK.

    >>> from prsm_lab.settings import access
    >>> Anthropic(access("anthropic", api_key="sk-ant-1", environ={})).origin
    'https://api.anthropic.com'
    """

    listing: ClassVar[str] = "/v1/models?limit=1000"

    def _make_client(self) -> Any:
        import anthropic
        import httpx2

        key, timeout = self._access.key, httpx2.Timeout(IDLE_SECONDS, connect=CONNECT_SECONDS)
        own = (urlsplit(self._access.base_url).hostname or "").endswith("anthropic.com")
        off = (
            {} if own or key is None else ambient_headers_off("ANTHROPIC_CUSTOM_HEADERS", key.reveal(), anthropic.Omit)
        )
        return anthropic.AsyncAnthropic(
            api_key=key.reveal() if key else None,
            default_headers=off,
            base_url=self._access.base_url,
            max_retries=0,
            timeout=timeout,
            http_client=transport.client(anthropic, pool=self._pool, timeout=timeout),
        )

    def _call(self, request: Request, target: Target, *, live: bool) -> Call:
        body, headers, dropped = messages.to_wire(request, target, live=live)
        return Call(messages.PATH, body, headers, dropped, messages.from_wire, messages.Fold)

    def _sdk_faults(self) -> tuple[type[Exception], ...]:
        import anthropic

        return (anthropic.AnthropicError,)
