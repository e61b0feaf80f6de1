"""What a server says of its models for nothing: lists of models and what stands beside them become capabilities. Pure,
but for `beside`, which asks.

Servers are not believed: a figure that is none, or larger than any model's, is left out.
"""

from __future__ import annotations

import contextlib
import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urlsplit

import msgspec

from prsm_lab.types import Capabilities, PriceLine

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from prsm_lab.settings import Access
    from prsm_lab.types import JSON

LARGEST_CONTEXT: Final = 10**9
LONGEST_ID: Final = 200
MOST_SHOWN: Final = 32
"""Models that Ollama is asked about one by one."""
SECONDS: Final = 5.0
MOST_BYTES: Final = 4 * 2**20
_CONTEXT: Final = (
    ("max_model_len",), ("context_length",), ("context_window",), ("max_context_length",), ("meta", "n_ctx"),
    ("meta", "n_ctx_train"), ("default_generation_settings", "n_ctx"), ("max_total_tokens",),
)  # fmt: skip
"""vLLM; OpenRouter, Together, Fireworks; Groq; Mistral, LM Studio; llama.cpp; TGI."""
_OTHER_KINDS: Final = frozenset(
    {"embedding", "embeddings", "image", "audio", "moderation", "rerank", "transcribe", "video"}
)


class Fact(NamedTuple):
    """What is known of one model."""

    id: str
    capabilities: Capabilities
    price: PriceLine | None = None


def of_model(entry: JSON, beside: JSON | None = None, *, schema: bool = True, source: str = "") -> Fact | None:
    """Read one entry of a list of models; None if it is no model to chat with, or no name.

    Args:
        entry: As the server lists it.
        beside: What the server says of it elsewhere.
        schema: Does the server know `json_schema` at all?
        source: Where a price was read.

    >>> of_model({"id": "qwen", "max_model_len": 32768}).capabilities.context
    32768
    """
    id, said = entry.get("id"), {**entry, **(beside or {})}  # noqa: A001 -- the wire's word
    if not isinstance(id, str) or not 0 < len(id) <= LONGEST_ID or not id.isprintable() or not _chats(said):
        return None
    known: JSON = {"context": _first(said, _CONTEXT), "schema": schema}
    known["max_output"] = _first(said, (("top_provider", "max_completion_tokens"), ("max_completion_tokens",)))
    _add_abilities(known, said)
    parameters = said.get("supported_parameters")
    if isinstance(parameters, list) and parameters:
        known["tools"] = "tools" in parameters
        known["schema"] = schema and "structured_outputs" in parameters
        known["seed"], known["stop"] = "seed" in parameters, "stop" in parameters
        known["sampling"] = "yes" if "temperature" in parameters else "no"
    capabilities = Capabilities(**{name: value for name, value in known.items() if value is not None})
    return Fact(id, capabilities, _price(said, source))


def _add_abilities(known: JSON, said: JSON) -> None:
    able = said.get("capabilities")
    if isinstance(able, dict):  # Mistral
        known["tools"], known["images"] = _flag(able.get("function_calling")), _flag(able.get("vision"))
    elif isinstance(able, list):  # Ollama, LM Studio
        known["tools"] = "tools" in able or "tool_use" in able
        known["images"] = "vision" in able
    modalities = _at(said, "architecture", "input_modalities")
    if isinstance(modalities, list):  # OpenRouter
        known["images"] = "image" in modalities
    for name, where in (("images", "supports_image_input"), ("tools", "supports_tools")):  # Fireworks
        if isinstance(said.get(where), bool):
            known[name] = said[where]
    if isinstance(vision := _at(said, "modalities", "vision"), bool):  # llama.cpp
        known["images"] = vision
    if said.get("type") in ("llm", "vlm"):  # LM Studio
        known["images"] = said["type"] == "vlm"


def _chats(said: JSON) -> bool:
    chats = said.get("supports_chat"), _at(said, "capabilities", "completion_chat")
    return said.get("type") not in _OTHER_KINDS and False not in chats


def _price(said: JSON, source: str) -> PriceLine | None:
    """OpenRouter's texts, USD a token; Together's numbers, USD a million, where 0 means that none is listed."""
    listed = said.get("pricing")
    if not isinstance(listed, dict):
        return None
    each = [_number(listed.get(name)) for name in ("prompt", "completion", "input_cache_read", "input_cache_write")]
    if each[0] is not None and each[1] is not None:
        first, second, read, written = (None if one is None else one * 1e6 for one in each)
        return PriceLine(input=first, output=second, cache_read=read, cache_write=written, source=source)
    per_million = [_number(listed.get(name)) for name in ("input", "output")]
    return PriceLine(input=per_million[0], output=per_million[1], source=source) if all(per_million) else None


def _number(value: object) -> float | None:
    """A price; OpenRouter says -1 where it depends."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) and found >= 0 else None


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _at(said: Any, *path: str) -> Any:
    for step in path:
        said = said.get(step) if isinstance(said, dict) else None
    return said


def _first(said: JSON, paths: Sequence[tuple[str, ...]]) -> int | None:
    found = (_at(said, *path) for path in paths)
    return next((n for n in found if isinstance(n, int) and not isinstance(n, bool) and 0 < n < LARGEST_CONTEXT), None)


# ------------------------------------------------------------------------------------------- what stands beside


async def beside(kind: str | None, access: Access, ids: Sequence[str]) -> dict[str, JSON]:
    """Ask a server's own addresses for more, by model; nothing is asked of a model, and silence is no fault.

    Args:
        kind: Which addresses it has (`presets.Preset.facts`).
        access: Where it is.
        ids: Its models.
    """
    if kind is None or not ids:
        return {}
    import httpx2

    root = f"{access.base_url.removesuffix('/v1')}/"
    headers = {} if access.key is None else {"Authorization": f"Bearer {access.key.reveal()}"}
    found: dict[str, JSON] = {}
    with contextlib.suppress(httpx2.HTTPError, httpx2.InvalidURL, OSError):
        async with httpx2.AsyncClient(base_url=root, headers=headers, timeout=SECONDS, trust_env=False) as http:
            if kind == "ollama":
                for id in ids[:MOST_SHOWN]:  # noqa: A001 -- the wire's word
                    found[id] = _of_ollama(_read(await http.post("api/show", json={"model": id})))
            elif kind == "lmstudio":
                listed = _read(await http.get("api/v0/models")).get("data")
                found = {str(one.get("id")): one for one in listed or () if isinstance(one, dict)}
            else:
                said = _read(await http.get({"llamacpp": "props", "tgi": "info"}[kind]))
                found = {model: {k: v for k, v in said.items() if k != "id"} for model in ids}
    return found


def _read(response: Any) -> JSON:
    if response.status_code != 200 or len(response.content) > MOST_BYTES:
        return {}
    try:
        found = msgspec.json.decode(response.content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _of_ollama(shown: JSON) -> JSON:
    """`model_info` names the architecture in its keys: `llama.context_length`."""
    info: Mapping[str, Any] = shown["model_info"] if isinstance(shown.get("model_info"), dict) else {}
    lengths = [value for name, value in info.items() if str(name).endswith(".context_length")]
    return {
        **({"context_length": lengths[0]} if lengths else {}),
        **({"capabilities": shown["capabilities"]} if isinstance(shown.get("capabilities"), list) else {}),
    }


def host(url: str) -> str:
    """Return an address' host, to be shown."""
    return urlsplit(url).netloc
