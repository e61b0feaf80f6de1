"""The path of a question to a router: which model is asked, and what all that was asked came to."""

from __future__ import annotations

import asyncio
import math
import time
from contextlib import aclosing
from typing import TYPE_CHECKING

import msgspec

from prsm_lab.engine import routers, signals, structured
from prsm_lab.errors import PRSMError
from prsm_lab.providers import function
from prsm_lab.types import Delta

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from prsm_lab.engine.attempts import Answer
    from prsm_lab.engine.routers import Known
    from prsm_lab.types import Attempt, Request

    Ask = Callable[[Request, bool], AsyncGenerator["Delta | Answer", None]]
    """Asks a model, live or not."""


async def answers(known: Known, request: Request, ask: Ask, *, live: bool) -> AsyncGenerator[Delta | Answer, None]:
    """Yield deltas when live, then one answer, as `structured.answers` does.

    A cascade's answer holds everything that was asked for it: attempts, tokens, time and cost. Where the strong model
    fails after the cheap one was paid, the cheap answer comes with `fault` set: it was paid for and is none.
    """
    rule = known.rule
    chosen = routers.chosen(known, request.messages)
    if chosen is not None:
        async with aclosing(ask(_to(request, chosen), live)) as heard:
            async for item in heard:
                yield item
        return
    began = time.monotonic()
    first, trail = await _cheap(known, request, ask)
    if first is not None and first.fault is None and rule.serves(await _signal(known, request, first)):
        if live and first.best.reply.text:
            yield Delta(text=first.best.reply.text)
        yield first.best
        return
    left = None if request.timeout is None else max(0.001, request.timeout - (time.monotonic() - began))
    strong = msgspec.structs.replace(_to(request, rule.strong), timeout=left)
    try:
        async with aclosing(ask(strong, live)) as heard:
            async for item in heard:
                yield item if isinstance(item, Delta) else _after(item, first, trail)
    except PRSMError as fault:
        fault.attempts = (*trail, *fault.attempts)
        if first is None:
            raise
        failed = first.best._replace(attempts=fault.attempts, fault=fault)
    else:
        return
    yield failed


class _First:
    """The cheap model's answers: the one that would serve, which holds what all of them cost."""

    def __init__(self, found: list[Answer]) -> None:
        self.found = found
        self.agreed, place = signals.agreement([answer.reply.text for answer in found])
        chosen = found[place]
        others = [answer for n, answer in enumerate(found) if n != place]
        self.best = _with(chosen, others, tuple(attempt for answer in found for attempt in answer.attempts))
        self.fault = chosen.fault


async def _cheap(known: Known, request: Request, ask: Ask) -> tuple[_First | None, tuple[Attempt, ...]]:
    """The cheap model's answers and all attempts; None where it did not answer: then the strong one must."""
    found: list[Answer] = []
    trail: list[Attempt] = []
    question = _to(request, known.rule.cheap)
    if known.rule.signal == "logprob":
        extra = {**(question.options.extra or {}), "logprobs": True}
        question = msgspec.structs.replace(question, options=msgspec.structs.replace(question.options, extra=extra))
    for n in range(known.rule.samples):
        one = msgspec.structs.replace(question, sample=request.sample * known.rule.samples + n)
        try:
            async with aclosing(ask(one, False)) as heard:
                async for item in heard:
                    if not isinstance(item, Delta):
                        found.append(item)
                        trail += item.attempts
        except PRSMError as fault:
            if fault.verdict == "stop":
                raise
            trail += fault.attempts
            break
    whole = len(found) == known.rule.samples
    first = _First(found) if found else None
    if first is not None and not whole:
        first.agreed = math.nan
        first.best = first.best._replace(attempts=tuple(trail))
    return first, tuple(trail)


async def _signal(known: Known, request: Request, first: _First) -> float:
    reply = first.best.reply
    if known.rule.signal == "agreement" or math.isnan(first.agreed):
        return first.agreed
    if known.rule.signal == "logprob":
        return signals.sureness(reply.logprobs)
    if known.rule.signal == "length":
        return signals.brevity(reply.text)
    assert known.judge is not None
    row = {"prompt": signals.prompt_text(request.messages), "response": reply.text}
    return await asyncio.to_thread(function.judged, known.judge, row)


def _to(request: Request, model: str) -> Request:
    return msgspec.structs.replace(request, model=model)


def _after(answer: Answer, first: _First | None, trail: tuple[Attempt, ...]) -> Answer:
    """The strong model's answer with what came before it."""
    if first is None:
        return answer._replace(attempts=(*trail, *answer.attempts))
    return _with(answer, first.found, (*trail, *answer.attempts))


def _with(answer: Answer, others: list[Answer], attempts: tuple[Attempt, ...]) -> Answer:
    """An answer with what others cost that were asked for it, and how long they took."""
    if not others:
        return answer._replace(attempts=attempts)
    usage = answer.reply.usage
    for other in others:
        usage = structured.both(usage, other.reply.usage)
    return answer._replace(
        reply=msgspec.structs.replace(answer.reply, usage=usage),
        attempts=attempts,
        parts=answer.parts or (answer.reply.usage,),
        beside=tuple((one.target, part) for one in others for part in one.parts or (one.reply.usage,)),
        queued_ms=answer.queued_ms + sum(one.queued_ms + one.latency_ms for one in others),
    )
