"""Who may answer a question, and its fingerprint; what all questions of a run share is found once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from prsm_lab.ledger import fingerprints

if TYPE_CHECKING:
    from collections.abc import Callable

    from prsm_lab.types import Request, Target

MOST: Final = 1_000
"""Kinds of questions that are remembered; a run has one for each way to ask."""


class Planned(NamedTuple):
    """A question's targets, the requested one first, and its fingerprint."""

    targets: tuple[Target, ...]
    key: bytes


class _Kind(NamedTuple):
    """What questions share that differ in their messages only."""

    parts: tuple[Any, ...]
    """The very objects that they share: as long as they are held here, no other object has their ids."""
    targets: tuple[Target, ...]
    key: Callable[[Request], bytes]


class Planning:
    """Plans of an engine. Those of a run's questions hold from its beginning on, whatever the catalogue says later.

    Args:
        candidates: Names who may answer a question.
    """

    def __init__(self, candidates: Callable[[Request], tuple[Target, ...]]) -> None:
        self._candidates = candidates
        self._kinds: dict[tuple[Any, ...], _Kind] = {}

    def begin(self, run: str) -> None:
        """Forget what was planned for a run: it begins."""
        self._kinds = {place: kind for place, kind in self._kinds.items() if place[0] != run}

    def learn(self, request: Request) -> Planned:
        """Plan a question of a run, and remember what the others of its kind will need.

        Raises:
            PRSMError: If nobody could answer it; see `plan.candidates`.
        """
        kind = self._known(request)
        if kind is None:
            targets = self._candidates(request)
            kind = _Kind(_parts(request), targets, fingerprints.alike(request, _places(targets)))
            if _is_text(request):
                if len(self._kinds) >= MOST:
                    self._kinds.clear()
                self._kinds[_place(request)] = kind
        return Planned(kind.targets, kind.key(request))

    def of(self, request: Request) -> Planned:
        """Plan a question.

        Raises:
            PRSMError: If nobody could answer it; see `plan.candidates`.
        """
        kind = self._known(request)
        if kind is not None:
            return Planned(kind.targets, kind.key(request))
        targets = self._candidates(request)
        return Planned(targets, fingerprints.fingerprint(request, _places(targets)))

    def _known(self, request: Request) -> _Kind | None:
        if request.run is None:
            return None
        kind = self._kinds.get(_place(request))
        return kind if kind is not None and _is_text(request) else None


def _parts(request: Request) -> tuple[Any, ...]:
    return request.options, request.routing, request.cache


def _place(request: Request) -> tuple[Any, ...]:
    return request.run, request.model, id(request.options), id(request.routing), id(request.cache)


def _places(targets: tuple[Target, ...]) -> list[str]:
    return sorted({target.origin for target in targets})


def _is_text(request: Request) -> bool:
    """Who may answer depends on the messages where they hold images."""
    return all(isinstance(message.get("content"), str) for message in request.messages)
