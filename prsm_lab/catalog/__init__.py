"""What is known of models: names and aliases, providers, capabilities, retirement; prices and quality beside it.

All of it is dated data (`models.toml`, `quality.toml`), read at first use.
"""

from __future__ import annotations

import datetime
import difflib
import functools
import tomllib
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from prsm_lab.errors import NotFoundError
from prsm_lab.types import Capabilities, Model

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["all_models", "equivalent", "find", "frame", "is_retired", "register", "retirement_note"]

BUILT_IN: Final = ("openai", "anthropic", "huggingface", "local")
ROUTER: Final = "router/"
"""How names begin that are no model's: a router chooses between two."""


class _Book(NamedTuple):
    models: dict[str, Model]
    names: dict[str, str]
    """Every name, alias and wire id in lower case, to the catalogue's name."""
    classes: dict[str, str]
    stand_in: dict[str, dict[str, str]]


@functools.cache
def _book() -> _Book:
    data = tomllib.loads(files(__package__).joinpath("models.toml").read_text(encoding="utf-8"))
    models = {name: _model(name, fields, data["families"], data["date"]) for name, fields in data["models"].items()}
    names: dict[str, str] = {}
    for model in models.values():
        for alias in (model.name, model.id, *model.aliases):
            names.setdefault(alias.casefold(), model.name)
    classes = {name: fields["class"] for name, fields in data["models"].items()}
    return _Book(models, names, classes, data["stand_in"])


def _model(name: str, fields: dict[str, Any], families: dict[str, dict[str, Any]], date: str) -> Model:
    known = {**families[fields["family"]], **fields}
    capabilities = {key: known[key] for key in Capabilities.__struct_fields__ if key in known}
    return Model(
        name=name,
        provider=known["provider"],
        id=known.get("id", name),
        aliases=tuple(known.get("aliases", ())),
        capabilities=Capabilities(**capabilities),
        retired=known.get("retired"),
        successor=known.get("successor"),
        source=f"{known['source']}; catalogue of {date}",
    )


def all_models() -> tuple[Model, ...]:
    """Return every model of the catalogue."""
    return tuple(_book().models.values())


def find(name: str, provider: str | None = None) -> Model:
    """Return the model that a name means.

    Args:
        name: A name of the catalogue, an alias, a dated id, `provider/model`, or an id of the Hugging Face hub.
        provider: A provider that is not in the catalogue (an own server, a function): it takes any model name.

    Raises:
        NotFoundError: With the nearest names and how to connect a model of one's own.

    >>> find("claude-3-opus").id
    'claude-3-opus-20240229'
    >>> find("mixtral").provider
    'huggingface'
    >>> find("my-model", "vllm").name
    'vllm/my-model'
    """
    return _find(name, provider)


@functools.lru_cache(4096)
def _find(name: str, provider: str | None) -> Model:
    book = _book()
    if provider is not None and provider not in BUILT_IN:
        return _custom(provider, name.removeprefix(f"{provider}/"))
    known = book.names.get(name.casefold())
    if known is not None:
        return book.models[known]
    head, slash, rest = name.partition("/")
    if not slash:
        head, slash, rest = name.partition(":")
    if slash and rest:
        inner = book.names.get(rest.casefold())
        if inner is not None and book.models[inner].provider == head:
            return book.models[inner]
    if name.startswith("ft:"):
        return _fine_tuned(name, book)
    if slash and rest and "/" in name:
        return _slashed(name, head, rest)
    if provider == "huggingface":
        return _at_hub(name)
    raise _unknown(name, book)


def _slashed(name: str, head: str, rest: str) -> Model:
    """`provider/model` of a built-in provider, else an `organisation/model` of the Hugging Face hub."""
    if name.startswith(ROUTER):
        raise NotFoundError(
            f"{name!r} is a router and no model of the catalogue: name one of the models that it chooses between.",
            details={"parameter": "model"},
        )
    if head in ("openai", "anthropic"):
        raise _unknown(rest, _book())
    if head == "local":
        folder = "/" in rest and not rest.endswith(".gguf")  # transformers has no structured mode
        takes = Capabilities(images=False, tools=False, schema=not folder)
        return Model(name=name, provider="local", id=rest, capabilities=takes)
    return _at_hub(rest if head == "huggingface" else name)


def _custom(provider: str, id: str) -> Model:
    """Any model of a provider that the user connected: what it takes is not known, so nothing is refused."""
    return _registered.get(f"{provider}/{id}") or Model(name=f"{provider}/{id}", provider=provider, id=id)


def _at_hub(id: str) -> Model:
    """Any model of the hub: some read images, and which is not known here, so nothing is refused."""
    return _registered.get(id) or Model(name=id, provider="huggingface", id=id)


_registered: dict[str, Model] = {}
_replaced: dict[str, Model] = {}
"""What `models.toml` says of models that were registered anew."""
_ways: dict[str, str | None] = {}
"""By provider that was connected: whose ways it has (see `presets`)."""


def register(model: Model, *, preset: str | None = None) -> None:
    """Add a model of one's own, or replace what the catalogue says of one, for this process."""
    book = _book()
    if model.name in book.models and model.name not in _registered:
        _replaced[model.name] = book.models[model.name]
    _registered[model.name] = model
    _ways[model.provider] = preset
    book.models[model.name] = model
    for alias in (model.name, *model.aliases):
        book.names[alias.casefold()] = model.name
    _find.cache_clear()


def forget(provider: str, name: str | None = None) -> None:
    """Take the registered models of a provider out again, or one of them; those of `models.toml` stay as they are."""
    book = _book()
    gone = [one for one in _registered.values() if one.provider == provider and name in (None, one.name)]
    for model in gone:
        del _registered[model.name]
        del book.models[model.name]
        if model.name in _replaced:
            book.models[model.name] = _replaced.pop(model.name)
    left = {alias: to for alias, to in book.names.items() if to in book.models}
    book.names.clear()
    book.names.update(left)
    _find.cache_clear()


def is_registered(model: Model) -> bool:
    """Was it registered in this process?"""
    return model.name in _registered


def ways_of(provider: str) -> str | None:
    """Return whose ways a connected provider has (see `presets`)."""
    return _ways.get(provider)


def _fine_tuned(name: str, book: _Book) -> Model:
    """`ft:gpt-4o-mini-2024-07-18:org::id` takes what its base takes; price and quality are its own."""
    base = book.names.get(name.split(":")[1].casefold())
    if base is None:
        raise _unknown(name, book)
    return Model(name=name, provider=book.models[base].provider, id=name, capabilities=book.models[base].capabilities)


def _unknown(name: str, book: _Book) -> NotFoundError:
    near = difflib.get_close_matches(name.casefold(), list(book.names), n=3, cutoff=0.6)
    shown = list(dict.fromkeys(book.names[found] for found in near))
    hint = f" Did you mean {', '.join(shown)}?" if shown else ""
    return NotFoundError(
        f"Unknown model {name!r}.{hint} lab.models() lists what is known; for a model of your own, connect its "
        "server with Client(providers={'mine': {'base_url': …}}) and ask for 'mine/<model>', or pass provider=.",
        details={"parameter": "model", "nearest": shown},
    )


def equivalent(model: Model, provider: str) -> Model | None:
    """Return the model that stands in for this one at another provider, if the catalogue names one.

    >>> equivalent(find("gpt-3.5-turbo"), "anthropic").name
    'claude-haiku-4-5'
    """
    book = _book()
    name = book.stand_in.get(book.classes.get(model.name, "large"), {}).get(provider)
    return None if name is None else book.models[name]


def is_retired(model: Model, today: datetime.date | None = None) -> bool:
    """Tell whether a model's provider has shut it by a day (default today)."""
    return model.retired is not None and model.retired <= (today or _today()).isoformat()


def _today() -> datetime.date:
    return datetime.datetime.now(datetime.UTC).date()


def retirement_note(model: Model, today: datetime.date | None = None) -> str | None:
    """Say since when a model is gone and what came after it; None if it is not.

    >>> retirement_note(find("claude-2.1"))
    "'claude-2.1' was retired on 2025-07-21; its successor is 'claude-sonnet-5-5'."
    """
    if not is_retired(model, today):
        return None
    after = f"; its successor is {model.successor!r}" if model.successor else ""
    return f"{model.name!r} was retired on {model.retired}{after}."


def described(model: Model) -> Model:
    """Return a model with its price line and its quality of the moment filled in.

    >>> described(find("gpt-4")).quality
    0.864
    """
    from prsm_lab.catalog import prices, quality

    value, source = quality.lookup(model.name) or (None, None)
    return msgspec.structs.replace(model, price=prices.line(model), quality=value, quality_source=source)


def frame() -> pd.DataFrame:
    """Return the catalogue as a frame: one row a model, with prices, quality and where each was read."""
    import pandas as pd

    from prsm_lab.catalog import prices, quality

    rows = []
    for model in all_models():
        line, good, takes = prices.line(model), quality.lookup(model.name), model.capabilities
        rows.append({
            "model": model.name, "provider": model.provider, "id": model.id,
            "input": line and line.input, "output": line and line.output, "cached_input": line and line.cache_read,
            "price_source": line and line.source, "context": takes.context, "max_output": takes.max_output,
            "quality": good and good[0], "quality_source": good and good[1], "wire": takes.wire,
            "reasoning": takes.reasoning, "sampling": takes.sampling, "tools": takes.tools, "schema": takes.schema,
            "images": takes.images, "retired": model.retired, "successor": model.successor, "source": model.source,
        })  # fmt: skip
    types = {
        **dict.fromkeys(("model", "provider", "id", "price_source", "quality_source", "wire", "reasoning"), "string"),
        **dict.fromkeys(("sampling", "retired", "successor", "source"), "string"),
        **dict.fromkeys(("input", "output", "cached_input", "quality"), "Float64"),
        **dict.fromkeys(("context", "max_output"), "Int64"),
        **dict.fromkeys(("tools", "schema", "images"), "boolean"),
    }
    return pd.DataFrame(rows).astype(types)
