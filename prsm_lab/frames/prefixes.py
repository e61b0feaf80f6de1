"""Pure: which questions of a run begin alike, so that a provider's prompt cache serves all but the first of them.

Providers keep the tokens of a long beginning (1,024 at least at OpenAI and at most of Anthropic's models) for some
minutes and charge a tenth to a half of the input price for reading them. The first question of each beginning is asked
alone; the others follow when it is answered, before the cache forgets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from prsm_lab.types import Request

LEAST: Final = 4 * 1024
"""Characters of a beginning that is worth it: 1,024 tokens, at four characters each."""
FEWEST: Final = 4
"""Questions of a beginning, on the average, below which waiting for the first costs more time than it saves."""


class Wave(NamedTuple):
    """Questions by their positions: the first ones of some beginnings, and then all that begin like them."""

    first: Sequence[int]
    then: Sequence[int]


def beginning(request: Request) -> str | None:
    """Return what a question begins with, up to `LEAST` characters; None: it is shorter.

    >>> from prsm_lab.types import Request
    >>> beginning(Request(model="m", messages=({"role": "user", "content": "short"},))) is None
    True
    """
    parts: list[str] = []
    size = 0
    for message in request.messages:
        content = message.get("content")
        text = content if isinstance(content, str) else repr(content)
        parts.append(f"{message.get('role')}\n{text}\n")
        size += len(text)
        if size >= LEAST:
            return "".join(parts)[:LEAST]
    return None


def waves(requests: Sequence[Request], *, most: int) -> list[Wave]:
    """Plan the order of a run's questions.

    Args:
        requests: The questions.
        most: Questions in flight: so many beginnings are warmed up at once.

    Returns:
        Waves that hold every position once. A run without long common beginnings is one wave, in its own order.
    """
    alike: dict[tuple[str, str | None, str], list[int]] = {}
    alone: list[int] = []
    for position, request in enumerate(requests):
        begin = beginning(request)
        if begin is None:
            alone.append(position)
        else:
            alike.setdefault((request.model, request.routing.provider, begin), []).append(position)
    shared = [positions for positions in alike.values() if len(positions) > 1]
    if not shared or sum(map(len, shared)) < FEWEST * len(shared):
        return [Wave([], range(len(requests)))]
    alone += [positions[0] for positions in alike.values() if len(positions) == 1]
    found = []
    for start in range(0, len(shared), max(1, most)):
        part = shared[start : start + max(1, most)]
        found.append(Wave([positions[0] for positions in part], sorted(n for one in part for n in one[1:])))
    if alone:
        found.append(Wave([], sorted(alone)))
    return found
