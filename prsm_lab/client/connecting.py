"""`lab.connect` and `@lab.model`: one line, and a server or a function of one's own is a model like any other."""

from __future__ import annotations

import asyncio
import datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

import prsm_lab.client as clients
from prsm_lab import catalog, presets, settings
from prsm_lab.catalog import hours
from prsm_lab.client import registry
from prsm_lab.engine import portal
from prsm_lab.errors import AuthenticationError, InvalidRequestError, PRSMError
from prsm_lab.render import line
from prsm_lab.types import Capabilities, Model, Options, PriceLine, Reply, Request, Target, Value, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeVar

    from prsm_lab.settings import Access, Secret
    from prsm_lab.types import JSON

    F = TypeVar("F", bound=Callable[..., Any])

__all__ = ["Connection", "connect", "disconnect", "model"]

MOST_MODELS: Final = 2000
_PROBE_SECONDS: Final = 60.0
_OWN: Final = PriceLine(
    input=0.0, output=0.0, source="your own server: tokens are free; lab.prices.gpu_hour gives its hours a price"
)
_WORD: Final = ({"role": "user", "content": "Say one word."},)
_TOOL: Final = {"type": "function", "function": {"name": "noop", "parameters": {"type": "object", "properties": {}}}}
_SCHEMA: Final = {
    "type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"], "additionalProperties": False,
}  # fmt: skip


class Connection(Value, frozen=True, kw_only=True):
    """A server that was connected, and what it offers."""

    name: str
    base_url: str
    preset: str | None
    models: tuple[Model, ...]
    """As they are asked for: `name/model`."""
    latency_ms: float | None
    """Of its list of models; None: it was not read."""
    notes: tuple[str, ...] = ()

    def close(self) -> None:
        """Take it away again, as `lab.disconnect`."""
        disconnect(self.name)

    def __repr__(self) -> str:
        return shown.line("Connection", self.name, self.base_url, shown.counted(len(self.models), "model"))

    def _repr_html_(self) -> str:
        rows = [
            (one.name, one.capabilities.context, one.capabilities.tools, one.capabilities.schema,
             one.capabilities.images, None if one.price is None else one.price.source)
            for one in self.models[:50]
        ]  # fmt: skip
        return shown.table(("model", "context", "tools", "schema", "images", "price"), rows)


def connect(
    name: str,
    base_url: str | None = None,
    api_key: str | Secret | None = None,
    *,
    preset: str | None = None,
    insecure: bool = False,
    gpu_hour: float | None = None,
    models: Sequence[str] | None = None,
    probe: bool | str = True,
) -> Connection:
    """Connect a server that speaks Chat Completions; its models are asked for as `name/model`, by all functions.

    The default client has it at once, new clients from their beginning, for as long as this process lives. Connected
    again under the same name, it is moved. Its list of models is read, with what it tells of context, tools, images
    and prices; no model is asked, unless `probe="ask"`.

    Args:
        name: A preset (`vllm`, `ollama`, `llama.cpp`, `lmstudio`, `tgi`, `together`, `groq`, `fireworks`, `deepseek`,
            `mistral`, `openrouter`, `azure`: it knows address, key variable and ways), or a name of your own.
        base_url: Where it is, mostly with /v1 at its end; default the preset's.
        api_key: Its key; default the preset's variable (`GROQ_API_KEY` …), else `NAME_API_KEY`, else the keyring.
        preset: Whose ways a server under a name of your own has.
        insecure: Let the key travel by plain http beyond this machine.
        gpu_hour: USD that an hour of its machine costs; see `lab.prices.gpu_hour`.
        models: Names of its models, where it has no list or a wrong one (Azure's deployments).
        probe: False: do not ask the server at all; `"ask"`: also ask its first model three times for one token, to see
            whether it takes tools and schemas and counts tokens, which hosts charge for.

    Returns:
        What it offers; `.close()` takes it away again.

    Raises:
        InvalidRequestError: If the name is taken, there is no address, or this process asks a share server.
        AuthenticationError: If the key is missing, refused, or would travel in the open.
        ProviderError: If the server does not answer.

    >>> from prsm_lab import emulator
    >>> with emulator.start() as emu:
    ...     there = connect("my_server", f"{emu.url}/v1")
    ...     there.models[0].provider
    'my_server'
    >>> there.close()
    """
    api_key = settings.sealed(api_key)
    if settings.share_server() is not None:
        raise InvalidRequestError(
            "This process asks a share server (PRSM_API_URL); its owner connects servers there, or with "
            "client.models.upload(url, name=…) and a key with the scope admin.",
            details={"parameter": "name"},
        )
    ways = presets.preset(preset or name)
    given: dict[str, Any] = {"base_url": base_url, "insecure": insecure, "preset": ways.name if ways else preset}
    if preset is not None and ways is None:
        raise InvalidRequestError(
            f"Unknown preset {preset!r}; there are {', '.join(presets.known())}.", details={"parameter": "preset"}
        )
    name = ways.name if ways is not None and preset is None else registry.check(name, "server")
    access = settings.access(name, api_key=api_key, **given)
    if ways is not None and ways.kind == "host" and access.key is None and base_url is None:
        raise AuthenticationError(
            f"No key for {ways.title}: set {ways.key_variable}, or pass api_key=. Nothing was sent.",
            details={"parameter": ways.key_variable, "kind": "missing_key"},
        )
    if gpu_hour is not None:
        hours.set_rate(name, gpu_hour, "set by lab.connect")
    return portal.call(joined(access, names=models, probe=probe))


async def joined(access: Access, *, names: Sequence[str] | None = None, probe: bool | str = True) -> Connection:
    """Look at a server, register its models and keep it for the process's clients; on the engine's loop."""
    connection = await looked(access, names=names, probe=probe)
    catalog.forget(access.provider)
    for one in connection.models:
        catalog.register(one, preset=access.preset)
    registry.keep(access.provider, {
        "api_key": access.key, "base_url": access.base_url, "insecure": access.insecure, "preset": access.preset,
    })  # fmt: skip
    default = clients._default  # noqa: SLF001 -- its own room
    if default is not None and default.reach is not None:
        await default.reach.put(access)
    return connection


def disconnect(name: str) -> None:
    """Take a connected server or a function of yours away: from the default client, and from those made later.

    Args:
        name: As it was connected, or given to `@lab.model`; nothing happens if there is none.

    >>> disconnect("nobody")
    """
    default = clients._default  # noqa: SLF001 -- its own room
    if registry.drop(name) and default is not None and default.reach is not None:
        default.outfit.own.pop(name, None)
        portal.call(default.reach.part(name))


async def looked(access: Access, *, names: Sequence[str] | None = None, probe: bool | str = True) -> Connection:
    """Ask a server what it offers, through a window of its own.

    Raises:
        PRSMError: What keeps it from answering.
    """
    from prsm_lab.providers import facts
    from prsm_lab.providers.compatible import Compatible

    ways = presets.preset(access.preset)
    window = Compatible(access)
    took: float | None = None
    entries: list[JSON] = []
    reads = probe is not False and (names is None or (ways is None or ways.lists_models))
    try:
        if reads:
            await window.ready()
            began = asyncio.get_running_loop().time()
            entries = (await window.offered())[:MOST_MODELS]
            took = (asyncio.get_running_loop().time() - began) * 1000
        if names is not None:
            listed = {entry.get("id"): entry for entry in entries}
            entries = [listed.get(one, {"id": one}) for one in names]
        elif ways is not None and not ways.lists_models:
            entries = []
        ids = [str(entry["id"]) for entry in entries]
        beside = await facts.beside(ways.facts if ways and reads else None, access, ids)
        today = datetime.datetime.now(datetime.UTC).date().isoformat()
        source = f"{facts.host(access.base_url)}, its list of models read {today}"
        found = [
            facts.of_model(entry, beside.get(str(entry["id"])), schema=ways is None or ways.schema, source=source)
            for entry in entries
        ]
        models = [_model(access, fact, ways, source) for fact in found if fact is not None]
        notes = [] if ways is None else [f"{ways.title} ({ways.source}, read {ways.date})", *ways.notes]
        if probe == "ask" and models:
            models, told = await _asked(window, models)
            notes += told
    finally:
        await window.aclose()
    return Connection(
        name=access.provider, base_url=access.base_url, preset=access.preset, models=tuple(models), latency_ms=took,
        notes=tuple(notes),
    )  # fmt: skip


def _model(access: Access, fact: Any, ways: presets.Preset | None, source: str) -> Model:
    own = _OWN if ways is not None and ways.kind == "own" else None
    return Model(
        name=f"{access.provider}/{fact.id}", provider=access.provider, id=fact.id, capabilities=fact.capabilities,
        price=fact.price or own, source=source,
    )  # fmt: skip


async def _asked(window: Any, models: list[Model]) -> tuple[list[Model], list[str]]:
    """Ask the first model for one token each way; what it refuses, none of the server's models is held to take."""
    first = models[0]
    plain = Options(max_tokens=1)
    counted, _ = await _tried(window, first, plain)
    tools, why_not = await _tried(window, first, msgspec.structs.replace(plain, tools=(_TOOL,)))
    schema, nor = await _tried(window, first, msgspec.structs.replace(plain, schema=_SCHEMA))
    notes = [f"{line(first.id)} was asked three times: {_counts(counted)}"]
    notes += [f"refuses {what}: {said[:120]}" for what, said in (("tools", why_not), ("schemas", nor)) if said]
    lacks = {"tools": tools is not None, "schema": schema is not None}

    def less(takes: Capabilities) -> Capabilities:
        return msgspec.structs.replace(takes, **{name: getattr(takes, name) and able for name, able in lacks.items()})

    return [msgspec.structs.replace(one, capabilities=less(one.capabilities)) for one in models], notes


def _counts(reply: Reply | None) -> str:
    if reply is None or reply.finish_reason is None:
        return "whether it counts tokens is not known, it did not answer"
    return "it counts tokens" if reply.usage.completion_tokens else "it does not count tokens"


async def _tried(window: Any, model: Model, options: Options) -> tuple[Reply | None, str]:
    """Return the reply; or None and what was said against the question."""
    request = Request(model=model.name, messages=_WORD, options=options)
    target = Target(provider=model.provider, model=model.id, name=model.name)
    reply = Reply()
    try:
        async with asyncio.timeout(_PROBE_SECONDS):
            async for item in window.send(request, target, live=True):
                reply = item if isinstance(item, Reply) else reply
    except InvalidRequestError as refused:
        return None, line(refused.message)
    except (PRSMError, TimeoutError):  # cut at one token, or out of breath: that says nothing of what it takes
        pass
    return reply, ""


# --------------------------------------------------------------------------------------------------- functions


def model(name: str, *, tokenizer: Callable[[str], Any] | None = None, context: int | None = None) -> Callable[[F], F]:
    """Make a function a model, for this process: `@lab.model("mine")`, then ask for `mine` anywhere.

    The function takes the last user message's text; or all messages, if its first parameter is called `messages`; and
    the options that it has parameters for (`temperature`, `max_tokens`, `**options` …). It returns text, or yields
    pieces of it, sync or async. Sync ones run in a worker thread, so that the engine does not stand still. Defined
    again (a cell that is run again), the new one answers from then on.

    Args:
        name: What it is asked for as.
        tokenizer: Counts the tokens of a text: returns a number, or a list of tokens (a tokenizer's `encode`). Without
            one they are estimated from the kinds of characters, and the usage says so (`usage.estimated`).
        context: Tokens of prompt and answer together, if there is a limit.

    Returns:
        A decorator; the function stays what it is.

    Raises:
        InvalidRequestError: If the name is none, or another model's.

    >>> import prsm_lab as lab
    >>> @lab.model("shouter")
    ... def shout(prompt: str) -> str:
    ...     return prompt.upper()
    >>> _ = lab.prices.gpu_hour("shouter", 0)
    >>> with lab.Client(ledger=":memory:") as client:
    ...     client.inference.create("shouter", "hello").content
    'HELLO'
    >>> lab.disconnect("shouter")
    """
    name = registry.check(name, "model")
    if tokenizer is not None and not callable(getattr(tokenizer, "encode", tokenizer)):
        raise InvalidRequestError("tokenizer must count the tokens of a text.", details={"parameter": "tokenizer"})

    def made(function: F) -> F:
        from prsm_lab.providers.function import Function

        if not callable(function):
            raise InvalidRequestError(f"{function!r:.80} is no function.", details={"parameter": "function"})
        window = Function(name, function, count=tokenizer)
        capabilities = Capabilities(tools=False, schema=False, context=context)
        where = f"{getattr(function, '__module__', '?')}.{getattr(function, '__qualname__', type(function).__name__)}"
        catalog.register(
            Model(name=name, provider=name, id=name, capabilities=capabilities, source=f"a function of yours: {where}")
        )
        registry.keep(name, window)
        default = clients._default  # noqa: SLF001 -- its own room
        if default is not None and default.reach is not None:
            portal.call(default.reach.own(name, window))
            default.outfit.own[name] = window
        return function

    return made
