"""How good a model is held to be: a published prior, or what you measured.

>>> get("gpt-4")
0.864
"""

from __future__ import annotations

import functools
import tomllib
from importlib.resources import files

from prsm_lab import catalog
from prsm_lab.errors import InvalidRequestError, NotFoundError

__all__ = ["get", "lookup", "priors", "reset", "set"]

_own: dict[str, tuple[float, str]] = {}


@functools.cache
def _published() -> dict[str, tuple[float, str]]:
    data = tomllib.loads(files("prsm_lab.catalog").joinpath("quality.toml").read_text(encoding="utf-8"))
    return {name: (fields["value"], fields["source"]) for name, fields in data["mmlu"].items()}


def lookup(model: str) -> tuple[float, str] | None:
    """Return a model's quality in 0 to 1 and where it was read; None where nothing is known."""
    return _own.get(model) or _published().get(model)


def priors() -> list[tuple[str, float, str, bool]]:
    """Return name, value and source of everything that was published or set, and whether it was set."""
    found = [(name, value, source, True) for name, (value, source) in _own.items()]
    return found + [(name, value, source, False) for name, (value, source) in _published().items()]


def get(model: str) -> float | None:
    """Return a model's quality in 0 to 1; None where nothing is known."""
    found = lookup(model)
    return None if found is None else found[0]


def set(model: str, value: float, *, source: str = "set by the user") -> None:  # noqa: A001 -- lab.quality.set
    """Replace a model's quality by what you measured, for this process.

    Args:
        model: The model's name.
        value: 0 to 1.
        source: What it was measured on.

    Raises:
        InvalidRequestError: If the value is not in 0 to 1.
    """
    if not 0 <= value <= 1:
        raise InvalidRequestError(f"Quality {value!r} is not between 0 and 1.", details={"parameter": "value"})
    try:
        name = catalog.find(model).name
    except NotFoundError:
        name = model
    _own[name] = (float(value), source)


def reset() -> None:
    """Forget what was set."""
    _own.clear()
