"""What a comparison compares: models × prompts × option grid × samples, as plain values. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from prsm_lab import columns as result
from prsm_lab.errors import InvalidRequestError

if TYPE_CHECKING:
    from prsm_lab.frames.prompts import Prompt


class Variant(NamedTuple):
    """One way to ask."""

    model: str
    prompt_name: str | None
    prompt: Prompt
    options: dict[str, Any]
    sample: int


def variants(
    models: str | Sequence[str],
    prompt: Prompt | Mapping[str, Prompt],
    *,
    grid: Mapping[str, Sequence[Any]],
    samples: int,
) -> list[Variant]:
    """Return every combination, in the order models, prompts, grid, samples.

    Raises:
        InvalidRequestError: If there is no model, no prompt, or less than one sample.

    >>> [v.options for v in variants("m", "p", grid={"temperature": [0, 1]}, samples=1)]
    [{'temperature': 0}, {'temperature': 1}]
    """
    names = [models] if isinstance(models, str) else list(models)
    if not names or not all(isinstance(name, str) for name in names):
        raise InvalidRequestError(
            "models is empty or holds something that is no name.", details={"parameter": "models"}
        )
    if len(set(names)) < len(names):
        raise InvalidRequestError(
            "models names one model twice; use samples= to ask more than once.", details={"parameter": "models"}
        )
    if isinstance(samples, bool) or not isinstance(samples, int) or samples < 1:
        raise InvalidRequestError(f"samples={samples!r} is no number of at least 1.", details={"parameter": "samples"})
    prompts: list[tuple[str | None, Any]] = [(None, prompt)]
    if isinstance(prompt, Mapping):
        prompts = [(str(name), one) for name, one in prompt.items()]
        _check_prompt_names([str(name) for name in prompt])
    for key, values in grid.items():
        _check_values(key, values)
    keys = list(grid)
    combinations = [dict(zip(keys, values, strict=True)) for values in itertools.product(*grid.values())]
    return [
        Variant(model, name, one, options, sample)
        for model in names
        for name, one in prompts
        for options in combinations
        for sample in range(samples)
    ]


def _check_prompt_names(names: Sequence[str]) -> None:
    """They become cells of the result, which is laid out when all is paid for: what does not fit is refused before."""
    if not names:
        raise InvalidRequestError("prompt is an empty dict.", details={"parameter": "prompt"})
    if len(set(names)) < len(names):
        raise InvalidRequestError("prompt names two prompts alike.", details={"parameter": "prompt"})
    for name in names:
        if name.encode("utf-8", "replace").decode() != name:
            raise InvalidRequestError(
                f"The name {name!r} of a prompt holds half a character (a lone surrogate); rename it.",
                details={"parameter": "prompt"},
            )


def _check_values(key: str, values: object) -> None:
    if isinstance(values, (str, bytes, Mapping)) or not isinstance(values, Iterable) or not list(values):
        raise InvalidRequestError(
            f"grid[{key!r}] is {values!r}; give a list of at least one value.", details={"parameter": "grid"}
        )
    shown = [repr(value) for value in values]
    if len(set(shown)) < len(shown):
        raise InvalidRequestError(
            f"grid[{key!r}] holds one value twice; use samples= to ask more than once.", details={"parameter": "grid"}
        )


def _shown(value: Any) -> Any:
    """A value as a cell that can be grouped by: lists and types as their text."""
    if isinstance(value, type):
        return value.__name__
    return value if value is None or isinstance(value, (str, int, float)) else str(value)


def columns(ways: Sequence[Variant], rows: int) -> dict[str, list[Any]]:
    """Return the columns that tell variants apart beside the model, row by row of the data."""
    out: dict[str, list[Any]] = {}
    if any(way.prompt_name is not None for way in ways):
        out["prompt"] = [way.prompt_name for way in ways] * rows
    for key in ways[0].options:
        name = f"asked_{key}" if key in result.NAMES else key  # `provider` is who answered
        out[name] = [_shown(way.options[key]) for way in ways] * rows
    if any(way.sample for way in ways):
        out["sample"] = [way.sample for way in ways] * rows
    return out
