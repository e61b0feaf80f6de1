"""Window to OpenAI: Responses for models that reason, Chat Completions for the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final
from urllib.parse import urlsplit

from prsm_lab.providers import chat, fit, responses, transport
from prsm_lab.providers.window import CONNECT_SECONDS, WHOLE_SECONDS, Call, Window, ambient_headers_off

if TYPE_CHECKING:
    from prsm_lab.types import Request, Target

KEYLESS: Final = "none"
"""What a server without keys gets: the SDK insists on one."""


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
        timeout = httpx2.Timeout(WHOLE_SECONDS, connect=CONNECT_SECONDS)
        client = openai.AsyncOpenAI(
            api_key=key.reveal() if key else KEYLESS,  # never the environment's key
            base_url=self._access.base_url,
            max_retries=0,
            timeout=timeout,
            default_headers=self._ambient_headers_off(),
            http_client=transport.client(openai, pool=self._pool, timeout=timeout),
        )
        if not self._is_openai_itself():
            client.organization = client.project = None  # None as an argument would mean the environment's
        return client

    def _is_openai_itself(self) -> bool:
        return (urlsplit(self._access.base_url).hostname or "").endswith("openai.com")

    def _ambient_headers_off(self) -> dict[str, Any]:
        import openai

        key = self._access.key.reveal() if self._access.key else KEYLESS
        return {} if self._is_openai_itself() else ambient_headers_off("OPENAI_CUSTOM_HEADERS", key, openai.Omit)

    def _call(self, request: Request, target: Target, *, live: bool) -> Call:
        if target.capabilities.wire == "responses" and not wants_chat(request, target):
            body, dropped = responses.to_wire(request, target, live=live)
            return Call(responses.PATH, body, {}, dropped, responses.from_wire, responses.Fold)
        body, dropped = chat.to_wire(request, target, live=live, dialect=self.dialect)
        return Call(chat.PATH, body, {}, dropped, chat.from_wire, chat.Fold)

    def _sdk_faults(self) -> tuple[type[Exception], ...]:
        import openai

        return (openai.OpenAIError,)


def wants_chat(request: Request, target: Target) -> bool:
    """Does the request use what only Chat Completions has a place for, and the model takes there?

    Not with tools while the model reasons: newer ones refuse that pair on chat.
    """
    options, takes = request.options, target.capabilities
    samples = fit.samples(options, takes)
    only_there = {
        "stop": bool(options.stop) and takes.stop,
        "seed": options.seed is not None and takes.seed,
        "penalties": samples and (options.frequency_penalty, options.presence_penalty) != (None, None),
        "logit_bias": samples and options.logit_bias is not None,
    }
    reasons = takes.reasoning != "none" and fit.effort_of(options) not in (None, "none")
    return any(only_there.values()) and not (options.tools and reasons)
