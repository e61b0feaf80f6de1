"""Servers and hosts that speak Chat Completions, by name: dated data of `presets.toml`, read at first use."""

from __future__ import annotations

import functools
import os
import tomllib
from importlib.resources import files
from typing import TYPE_CHECKING, Final, Literal

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["VARIABLES", "Preset", "Variables", "known", "preset", "usual"]


class Variables(msgspec.Struct, frozen=True):
    """The environment variables of a built-in provider, and where it is when they are unset."""

    keys: tuple[str, ...]
    url: str | None
    default_url: str | None


VARIABLES: Final[dict[str, Variables]] = {
    "openai": Variables(("OPENAI_API_KEY",), "OPENAI_BASE_URL", "https://api.openai.com/v1"),
    "anthropic": Variables(("ANTHROPIC_API_KEY",), "ANTHROPIC_BASE_URL", "https://api.anthropic.com"),
    "huggingface": Variables(("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"), "HF_BASE_URL", "https://router.huggingface.co/v1"),
}
"""The SDKs' own variables, and where they point when unset."""


class Preset(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is known of one server or host; the file's head explains the fields."""

    name: str
    title: str
    kind: Literal["own", "host"]
    key_variable: str
    source: str
    date: str
    base_url: str | None = None
    url_variable: str | None = None
    path: str = ""
    aliases: tuple[str, ...] = ()
    library: str | None = None
    facts: Literal["llamacpp", "ollama", "tgi", "lmstudio"] | None = None
    never: tuple[str, ...] = ()
    rename: dict[str, str] = {}
    schema: bool = True
    lists_models: bool = True
    notes: tuple[str, ...] = ()

    def url(self, *, environ: Mapping[str, str] | None = None) -> str | None:
        """Return where it usually is; None where only its owner knows."""
        if self.url_variable is None:
            return self.base_url
        found = (os.environ if environ is None else environ).get(self.url_variable)
        return found.rstrip("/").removesuffix(self.path) + self.path if found else self.base_url


@functools.cache
def known() -> Mapping[str, Preset]:
    """Return all presets by name."""
    data = tomllib.loads(files("prsm_lab").joinpath("presets.toml").read_text(encoding="utf-8"))
    date = data.pop("date")
    return {name: msgspec.convert({"name": name, "date": date, **one}, Preset) for name, one in data.items()}


def preset(name: str | None) -> Preset | None:
    """Return the preset of a name or an alias, whatever its case; None if there is none.

    >>> preset("llama.cpp").name, preset("mine")
    ('llamacpp', None)
    """
    wanted = (name or "").strip().casefold()
    return known().get(wanted) or next((one for one in known().values() if wanted in one.aliases), None)


def usual(name: str, *, environ: Mapping[str, str] | None = None) -> tuple[str | None, tuple[str, ...]]:
    """Return where a provider usually is, and the environment variables of its key."""
    if name in VARIABLES:
        one = VARIABLES[name]
        said = None if one.url is None else (os.environ if environ is None else environ).get(one.url)
        return said or one.default_url, one.keys
    found = preset(name)
    if found is not None:
        return found.url(environ=environ), (found.key_variable,)
    return None, (f"{name.upper()}_API_KEY",)
