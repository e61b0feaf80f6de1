"""Window to OpenAI: Responses for models that reason, Chat Completions for the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from prsm_lab.providers import chat, responses
from prsm_lab.providers.window import CONNECT_SECONDS, IDLE_SECONDS, Call, Window

if TYPE_CHECKING:
    from prsm_lab.types import Request, Target


class OpenAI(Window):
    """OpenAI through its SDK.

    >>> from prsm_lab.settings import access
    >>> OpenAI(access("openai", api_key="sk-1", environ={})).origin
    'https://api.openai.com/v1'
    """

    dialect: ClassVar[chat.Dialect] = "openai"

    def _make_client(self) -> Any:
        import httpx2
        import openai

        key = self._access.key
        return openai.AsyncOpenAI(
            api_key=key.reveal() if key else "none",  # keyless servers get a dummy, never the environment's key
            base_url=self._access.base_url,
            organization=None,
            project=None,
            max_retries=0,
            timeout=httpx2.Timeout(IDLE_SECONDS, connect=CONNECT_SECONDS),
            http_client=openai.DefaultAioHttpClient(
                limits=httpx2.Limits(max_connections=self._pool, max_keepalive_connections=self._pool),
                follow_redirects=False,
                timeout=httpx2.Timeout(IDLE_SECONDS, connect=CONNECT_SECONDS),
            ),
        )

    def _call(self, request: Request, target: Target, *, live: bool) -> Call:
        if target.capabilities.wire == "responses":
            body, dropped = responses.to_wire(request, target, live=live)
            return Call(responses.PATH, body, {}, dropped, responses.from_wire, responses.Fold)
        body, dropped = chat.to_wire(request, target, live=live, dialect=self.dialect)
        return Call(chat.PATH, body, {}, dropped, chat.from_wire, chat.Fold)

    def _sdk_faults(self) -> tuple[type[Exception], ...]:
        import openai

        return (openai.OpenAIError,)
