"""Answers that fit a JSON schema: how a target is asked for one, and whether what came is one.

Three modes, the first that the target takes:

    schema   the provider's structured mode
    tool     a tool that must be called, whose arguments are the answer
    prompt   an instruction in the prompt; an answer that does not fit is asked for once more, with what is wrong

Every answer is checked here, whichever mode it came by: one that was cut short or withheld fits no mode's promise.
A server of one's own may ignore its structured mode without a word, so its answers are asked for once more as well.
"""

from __future__ import annotations

import json
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from prsm_lab import catalog
from prsm_lab.catalog import prices
from prsm_lab.errors import PRSMError, SchemaError
from prsm_lab.jsontext import extracted, problem
from prsm_lab.providers import fit
from prsm_lab.types import Delta, Reply, Usage

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from prsm_lab.engine.attempts import Answer, Attempts
    from prsm_lab.protocols import Provider
    from prsm_lab.types import JSON, Attempt, Message, PriceLine, Request, Target

Mode = Literal["schema", "tool", "prompt"]


# ------------------------------------------------------------------------------------------------- how to ask


def mode(request: Request, target: Target) -> Mode | None:
    """Return how a target is asked for a fitting answer; None where no schema is given.

    A schema whose root is no object goes into the prompt: neither structured modes nor tools take it.

    >>> from prsm_lab.types import Capabilities, Options, Request, Target
    >>> ask = Request(model="m", messages=(), options=Options(schema={"type": "object"}))
    >>> plain = Capabilities(schema=False)
    >>> mode(ask, Target(provider="p", model="m", name="m", capabilities=plain))
    'tool'
    """
    options, takes = request.options, target.capabilities
    if options.schema is None:
        return None
    if options.schema.get("type") != "object" or takes.wire == "text":
        return "prompt"
    if takes.schema:
        return "schema"
    thinks = bool((options.extra or {}).get("thinking"))
    return "tool" if takes.tools and takes.forced_tools and not options.tools and not thinks else "prompt"


def shaped(request: Request, how: Mode) -> Request:
    """Return the request as it is sent in a mode."""
    options = request.options
    if how == "schema":
        return request
    if how == "prompt":
        plain = msgspec.structs.replace(options, schema=None, schema_name=None)
        said = _with_instruction(request.messages, instruction(options.schema))
        return msgspec.structs.replace(request, options=plain, messages=said)
    name = fit.schema_name(options)
    function = {"name": name, "description": "Give the answer.", "parameters": options.schema}
    forced = msgspec.structs.replace(
        options, schema=None, schema_name=None, tools=({"type": "function", "function": function},),
        tool_choice={"type": "function", "function": {"name": name}}, parallel_tool_calls=None,
    )  # fmt: skip
    return msgspec.structs.replace(request, options=forced)


def instruction(schema: JSON | None) -> str:
    """Say in a prompt what the answer must be."""
    return (
        "Answer with one JSON document and nothing else: no explanation, no code fence. It must fit this JSON schema:\n"
        f"{json.dumps(schema, ensure_ascii=False)}"
    )


def _with_instruction(messages: tuple[Message, ...], text: str) -> tuple[Message, ...]:
    """It stands at the end of the question; where the last word is not the user's, in front of all."""
    last = messages[-1] if messages else {}
    content = last.get("content")
    if last.get("role") != "user":
        return ({"role": "system", "content": text}, *messages)
    if isinstance(content, (list, tuple)):
        return (*messages[:-1], {**last, "content": [*content, {"type": "text", "text": text}]})
    return (*messages[:-1], {**last, "content": f"{content}\n\n{text}"})


def send(window: Provider, request: Request, target: Target, *, live: bool) -> AsyncGenerator[Delta | Reply, None]:
    """Ask a window in the target's mode; what is said in a tool's arguments is heard as text."""
    how = mode(request, target)
    if how is None:
        return window.send(request, target, live=live)
    sent = shaped(request, how)
    if how != "tool":
        return window.send(sent, target, live=live)
    return _from_tool(window, sent, target, live=live)


async def _from_tool(
    window: Provider, request: Request, target: Target, *, live: bool
) -> AsyncGenerator[Delta | Reply, None]:
    fault: PRSMError | None = None
    try:
        async with aclosing(window.send(request, target, live=live)) as heard:
            async for item in heard:
                if isinstance(item, Reply):
                    yield _untooled(item)
                elif item.arguments or item.reasoning:
                    yield Delta(text=item.arguments, reasoning=item.reasoning)
    except PRSMError as known:
        fault = known
    if fault is not None:
        fault.partial = None if fault.partial is None else _untooled(fault.partial)
        raise fault


def _untooled(reply: Reply) -> Reply:
    """A reply whose text is what its call was given; one without a call is left as it is."""
    if not reply.tool_calls:
        return reply
    finish = "stop" if reply.finish_reason == "tool_calls" else reply.finish_reason
    return msgspec.structs.replace(reply, text=reply.tool_calls[0].arguments, finish_reason=finish, tool_calls=())


# ------------------------------------------------------------------------------------------- what has come


def misfit(request: Request, reply: Reply) -> str | None:
    """Say what keeps a reply from being the answer that was asked for; None if nothing does.

    A reply that calls the caller's tools is on its way to an answer, and none yet.
    """
    schema = request.options.schema
    if schema is None or reply.tool_calls:
        return None
    if reply.finish_reason == "length":
        return "it was cut off at its longest; raise max_tokens"
    if reply.finish_reason == "content_filter":
        return "the provider withheld it"
    return problem(schema, reply.text)


# ---------------------------------------------------------------------------------------------- ask and check


async def answers(
    attempts: Attempts, request: Request, targets: tuple[Target, ...], *, live: bool
) -> AsyncGenerator[Delta | Answer, None]:
    """Yield deltas when live, then one answer; see `Attempts.answer`.

    An answer that does not fit the schema was paid for like any other: it comes as well, with `fault` set.
    """
    first: Answer | None = None
    spoke = False
    async with aclosing(attempts.answer(request, targets, live=live)) as heard:
        async for item in heard:
            if isinstance(item, Delta):
                spoke = True
                yield item
            else:
                first = _read(request, item)
    assert first is not None
    wrong = misfit(request, first.reply)
    if wrong is None:
        yield first
    elif not _asks_again(request, first, spoke=spoke):
        yield _unfit(first, wrong)
    else:
        if spoke:
            yield Delta(restart=first.target.name)
        async with aclosing(_second(attempts, request, first, wrong, live=live)) as more:
            async for piece in more:
                yield piece


async def _second(
    attempts: Attempts, request: Request, first: Answer, wrong: str, *, live: bool
) -> AsyncGenerator[Delta | Answer, None]:
    """Ask once more, and answer with what both came to."""
    second: Answer | None = None
    fault: PRSMError | None = None
    try:
        async with aclosing(attempts.answer(again(request, first, wrong), (first.target,), live=live)) as heard:
            async for item in heard:
                if isinstance(item, Delta):
                    yield item
                else:
                    second = _read(request, item)
    except PRSMError as failed:
        fault = failed
    if second is None:
        trail = () if fault is None else fault.attempts
        yield _unfit(first, f"{wrong}; the model was asked once more, and {fault or 'nothing came'}", trail)
        return
    both = summed(first, second, wrong)
    still = misfit(request, both.reply)
    yield both if still is None else _unfit(both, still)


def _read(request: Request, answer: Answer) -> Answer:
    """Words around the document go; nothing else is changed."""
    reply = answer.reply
    if request.options.schema is None or not reply.text or reply.tool_calls:
        return answer
    return answer._replace(reply=msgspec.structs.replace(reply, text=extracted(reply.text)))


def _asks_again(request: Request, answer: Answer, *, spoke: bool) -> bool:
    """A second question is worth its price where nothing but the model's good will made the first answer fit."""
    alone = mode(request, answer.target) == "prompt" or answer.target.provider not in catalog.BUILT_IN
    shown = spoke and request.routing.mid_stream == "stop"  # what a reader has seen is not taken back unasked
    return alone and not shown and answer.reply.finish_reason == "stop"


def again(request: Request, answer: Answer, wrong: str) -> Request:
    """Return the second question: the first, its answer, and what is wrong with it; in what is left of its time."""
    text = f"That does not fit the schema: {wrong}. Give the whole answer again."
    if mode(request, answer.target) != "prompt":
        text = f"{text}\n\n{instruction(request.options.schema)}"
    said = ({"role": "assistant", "content": answer.reply.text or "(nothing)"}, {"role": "user", "content": text})
    left = None if request.timeout is None else max(0.001, request.timeout - answer.latency_ms / 1000)
    return msgspec.structs.replace(request, messages=(*request.messages, *said), timeout=left)


def summed(first: Answer, second: Answer, wrong: str) -> Answer:
    """Return the second answer with what both came to: usage is the sum, and the first one's time was waiting."""
    usage = both(first.reply.usage, second.reply.usage)
    return second._replace(
        reply=msgspec.structs.replace(second.reply, usage=usage),
        attempts=(*_marked(first.attempts, wrong), *second.attempts),
        queued_ms=first.queued_ms + first.latency_ms + second.queued_ms,
        parts=(first.reply.usage, second.reply.usage),
    )


def paid(answer: Answer, line: PriceLine | None) -> float | None:
    """Return what an answer cost in USD, each request at its own price: a step for long prompts holds for one, not for
    their sum. None where it is not known."""
    costs = [prices.cost(usage, line) for usage in answer.parts or (answer.reply.usage,)]
    known = [cost for cost in costs if cost is not None]
    return sum(known) if len(known) == len(costs) else None


def both(one: Usage, other: Usage) -> Usage:
    """Return two usages as one; what either does not say is unknown of both."""
    sums: dict[str, Any] = {}
    for name in Usage.__struct_fields__:
        here, there = getattr(one, name), getattr(other, name)
        if name == "tier":
            sums[name] = here if here == there else None
        elif name == "estimated":
            sums[name] = here or there
        else:
            sums[name] = None if here is None or there is None else here + there
    return Usage(**sums)


def _marked(attempts: tuple[Attempt, ...], wrong: str) -> tuple[Attempt, ...]:
    """The attempts; the one that answered says that it does not fit."""
    *before, last = attempts
    return (*before, msgspec.structs.replace(last, error_code=SchemaError.code, error=f"Does not fit: {wrong}"))


def _unfit(answer: Answer, wrong: str, more: tuple[Attempt, ...] = ()) -> Answer:
    """An answer that was paid for and is none."""
    target = answer.target
    fault = SchemaError(
        f"The answer of {target.name} ({target.provider}) does not fit the schema: {wrong}. Its text is kept.",
        provider=target.provider, details={"kind": "schema", "parameter": "schema"}, partial=answer.reply,
    )  # fmt: skip
    fault.attempts = (*_marked(answer.attempts, wrong), *more)
    return answer._replace(attempts=fault.attempts, fault=fault)
