"""A Python function as a model: `Client(providers={"mine": f})`, then ask for `mine/anything`.

`f(prompt)` takes the last user message's text; `f(messages=…)` or `f(messages, **options)` takes the whole chat. It
returns text, or yields pieces of it, sync or async. A sync function runs in a worker thread, so that it does not
stop the engine. `@lab.model("mine")` gives one a name of its own (`client.connecting`).
"""

from __future__ import annotations

import asyncio
import inspect
import math
from typing import TYPE_CHECKING, Any

from prsm_lab.errors import ProviderError, PRSMError
from prsm_lab.providers import faults, fit
from prsm_lab.types import Delta, Options, Reply, Usage

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator

    from prsm_lab.types import Message, Request, Target

_END = object()


class Function:
    """A window to one callable.

    Args:
        name: What the provider is called.
        call: The function.
        count: Counts the tokens of a text, as a number or a list; or something whose `encode` does. None: they are
            estimated.
    """

    def __init__(self, name: str, call: Callable[..., Any], *, count: Any = None) -> None:
        self.name = name
        self.origin = f"function:{name}:{getattr(call, '__qualname__', type(call).__name__)}"
        self._call = call
        self._count = getattr(count, "encode", count)
        takes = _parameters(call)
        self._named = {
            one.name for one in takes[1:] if one.kind in (one.KEYWORD_ONLY, one.POSITIONAL_OR_KEYWORD)
        } & {"model", *Options.__struct_fields__}  # fmt: skip
        self._takes_messages = bool(takes) and takes[0].name == "messages"
        self._takes_options = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in takes)

    async def ready(self) -> None:
        """Nothing is slow to load."""

    async def send(self, request: Request, target: Target, *, live: bool) -> AsyncGenerator[Delta | Reply, None]:
        """Call the function; pieces that it yields are deltas."""
        said: list[str] = []
        try:
            async for piece in self._pieces(request, target):
                said.append(piece)
                if live:
                    yield Delta(text=piece)
        except PRSMError:
            raise
        except Exception as fault:  # somebody else's function: whatever it raises is the provider's fault
            raise ProviderError(
                f"The function behind {self.name!r} raised {type(fault).__name__}: {faults.redacted(str(fault))}",
                provider=self.name, details={"kind": "function"}, verdict="next", max_retries=0,
                partial=Reply(text="".join(said)),
            ) from fault  # fmt: skip
        text, mended = faults.repaired("".join(said))
        usage = await asyncio.to_thread(self._usage, request, text)
        yield Reply(text=text, finish_reason="stop", served_model=target.model, usage=usage, repaired=mended)

    def _usage(self, request: Request, text: str) -> Usage:
        prompt = [_text(message) for message in request.messages]
        if self._count is None:
            from prsm_lab.catalog import tokens

            sizes = tokens.tokens(tokens.counts([*prompt, text]), tokens.UNKNOWN)
            return Usage(
                prompt_tokens=max(1, round(float(sizes[:-1].sum()))), completion_tokens=round(float(sizes[-1])),
                estimated=True,
            )  # fmt: skip
        try:
            found = [self._count(part) for part in (*prompt, text)]
            counted = [one if isinstance(one, int) else len(getattr(one, "ids", one)) for one in found]
        except Exception as fault:  # as in `send`
            raise ProviderError(
                f"The tokenizer of {self.name!r} raised {type(fault).__name__}: {faults.redacted(str(fault))}",
                provider=self.name, details={"kind": "function"}, verdict="next", max_retries=0,
                partial=Reply(text=text),
            ) from fault  # fmt: skip
        return Usage(prompt_tokens=sum(counted[:-1]), completion_tokens=counted[-1])

    async def _pieces(self, request: Request, target: Target) -> AsyncIterator[str]:
        result = await self._result(request, target)
        if hasattr(result, "__aiter__"):
            async for piece in result:
                yield str(piece)
        elif inspect.isgenerator(result):
            while (piece := await asyncio.to_thread(_next, result)) is not _END:
                yield str(piece)
        else:
            yield str(result)

    async def _result(self, request: Request, target: Target) -> Any:
        if not self._takes_messages and (fit.has_images(request) or fit.has_files(request)):
            what = "images" if fit.has_images(request) else "documents"
            raise faults.unreadable(self.name, target.name, f"{what} (name its first parameter `messages`)")
        first: Any = list(request.messages) if self._takes_messages else _last_text(request)
        options: dict[str, Any] = {}
        if self._takes_options or self._named:
            set_here = request.options
            options = {
                name: v for name in set_here.__struct_fields__ if (v := getattr(set_here, name)) not in (None, ())
            }
            options["model"] = target.model
        if not self._takes_options:
            options = {name: value for name, value in options.items() if name in self._named}
        if inspect.iscoroutinefunction(self._call):
            return await self._call(first, **options)
        if inspect.isasyncgenfunction(self._call) or inspect.isgeneratorfunction(self._call):
            return self._call(first, **options)
        result = await asyncio.to_thread(_called, self._call, first, options)
        return await result if inspect.isawaitable(result) else result

    async def aclose(self) -> None:
        """Nothing is open."""


def _parameters(call: Callable[..., Any]) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(call).parameters.values())
    except ValueError:  # a builtin that does not say: `str`
        return []


def _called(call: Callable[..., Any], first: Any, options: dict[str, Any]) -> Any:
    """A StopIteration cannot pass through a future: whoever waits for it would wait for ever."""
    try:
        return call(first, **options)
    except StopIteration as end:
        raise RuntimeError("StopIteration") from end


def _next(pieces: Iterator[Any]) -> Any:
    return next(pieces, _END)


def _last_text(request: Request) -> str:
    return _text(request.messages[-1])


def _text(message: Message) -> str:
    content = message.get("content")
    if isinstance(content, str):
        return content
    return " ".join(part.get("text", "") for part in content or () if isinstance(part, dict))


def judged(judge: Callable[[dict[str, Any]], Any], row: dict[str, Any]) -> float:
    """Ask a scorer of an answer; NaN where it raises or says no number: then the answer is not trusted.

    Args:
        judge: The scorer.
        row: `{"prompt": …, "response": …}`.
    """
    if not row["response"]:
        return math.nan
    try:
        return float(judge(row))
    except Exception:  # noqa: BLE001 -- somebody else's scorer: its fault costs a call of the strong model, not the row
        return math.nan
