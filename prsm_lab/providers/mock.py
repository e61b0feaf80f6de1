"""A window without a provider: `Client(mock_mode=True, mock_responses={…})`.

`mock_responses` maps a model's name (or `"*"`) to what it does:

    content        text, a list of texts (taken in turn), or a function of the messages
    latency_ms     time before the answer
    error          a code of `prsm_lab.errors` (`"rate_limit"` …) or an HTTP status
    retry_after    seconds, with `rate_limit`
    fail_times     so many errors, then the answer
    break_after    the stream breaks after so many pieces
    finish_reason, tool_calls, usage   as in an answer; usage is else estimated at four characters a token

A model that is not listed says which mock it is.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from prsm_lab import errors
from prsm_lab.providers import faults
from prsm_lab.types import Delta, Reply, ToolCall, Usage

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from prsm_lab.types import Request, Target

_PIECES = re.compile(r"\s*\S+|\s+$")
_CLASSES: dict[str, type[errors.PRSMError]] = {
    cls.code: cls
    for cls in (
        errors.InvalidRequestError, errors.AuthenticationError, errors.InsufficientCreditsError,
        errors.NotFoundError, errors.RateLimitError, errors.InternalError, errors.ProviderError, errors.TimeoutError,
    )
}  # fmt: skip


class Mock:
    """Plays a provider from a table of responses.

    Args:
        name: The provider it stands for.
        responses: What each model does, as in the module's text.
    """

    def __init__(self, name: str, responses: Mapping[str, Mapping[str, Any]]) -> None:
        self.name = name
        self.origin = f"mock:{name}"
        self._responses = responses
        self._calls: Counter[str] = Counter()

    async def ready(self) -> None:
        """Nothing is slow to load."""

    async def send(self, request: Request, target: Target, *, live: bool) -> AsyncGenerator[Delta | Reply, None]:
        """Answer as the table says."""
        plan = self._plan(request, target)
        turn = self._calls[target.name]
        self._calls[target.name] += 1
        if plan.get("latency_ms"):
            await asyncio.sleep(plan["latency_ms"] / 1000)
        if "error" in plan and turn < plan.get("fail_times", turn + 1):
            raise self._error(plan)
        text, mended = faults.repaired(self._text(plan, request, target, turn))
        broken = plan.get("break_after")
        pieces = _PIECES.findall(text)
        if live:
            for piece in pieces if broken is None else pieces[:broken]:
                yield Delta(text=piece)
                await asyncio.sleep(0)
        if broken is not None:
            raise faults.truncated(self.name, partial=Reply(text="".join(pieces[:broken])))
        yield self._reply(plan, request, target, text, mended=mended)

    def _plan(self, request: Request, target: Target) -> Mapping[str, Any]:
        for name in (target.name, request.model, target.model, "*"):
            if name in self._responses:
                return self._responses[name]
        return {}

    def _error(self, plan: Mapping[str, Any]) -> errors.PRSMError:
        said = plan["error"]
        hint = {} if plan.get("retry_after") is None else {"retry-after": str(plan["retry_after"])}
        if isinstance(said, int):
            return faults.from_status(self.name, said, hint, {"error": {"message": "mocked error"}})
        facts: dict[str, Any] = {}
        if said in ("rate_limit", "provider_unavailable"):
            facts["retry_after"] = plan.get("retry_after")
        return _CLASSES[said](f"{self.name} answered with a mocked error.", provider=self.name, **facts)

    def _text(self, plan: Mapping[str, Any], request: Request, target: Target, turn: int) -> str:
        content = plan.get("content")
        if callable(content):
            return str(content(list(request.messages)))
        if isinstance(content, (list, tuple)):
            return str(content[turn % len(content)])
        if content is not None:
            return str(content)
        last = request.messages[-1].get("content") if request.messages else ""
        return f"[mock {target.name}] {str(last)[:80]}"

    def _reply(self, plan: Mapping[str, Any], request: Request, target: Target, text: str, *, mended: bool) -> Reply:
        prompt = sum(len(str(message.get("content") or "")) for message in request.messages)
        usage = Usage(**plan["usage"]) if "usage" in plan else Usage(
            prompt_tokens=-(-prompt // 4), completion_tokens=-(-len(text) // 4)
        )  # fmt: skip
        calls = tuple(ToolCall(**call) for call in plan.get("tool_calls", ()))
        return Reply(
            text=text,
            finish_reason=plan.get("finish_reason", "tool_calls" if calls else "stop"),
            usage=usage,
            served_model=f"mock/{target.model}",
            tool_calls=calls,
            repaired=mended,
        )

    async def aclose(self) -> None:
        """Nothing is open."""
