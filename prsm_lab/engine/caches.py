"""May an earlier answer serve? The very question's, else, where it is asked for, one whose question means the same.

exact → (vector → nearest of the same scope → still good → gate → verification) → served, and written down

Where no model verifies, the gate must find no difference. Where one does, it is asked about what the gate lets pass,
else about the nearest that the gate only doubts: once for a look-up.
"""

from __future__ import annotations

import asyncio
import time
import warnings
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from prsm_lab import embedders
from prsm_lab.engine import likeness
from prsm_lab.engine.concluding import served_again
from prsm_lab.engine.shelves import Shelves, packed
from prsm_lab.engine.verifying import Verifier
from prsm_lab.errors import InvalidRequestError
from prsm_lab.ledger import fingerprints
from prsm_lab.ledger.lookalikes import Entry, Hit, Lookalikes
from prsm_lab.types import Inference, Request, Similar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from prsm_lab.embeddings import Embedder
    from prsm_lab.engine.shelves import Shelf
    from prsm_lab.engine.verifying import Ask
    from prsm_lab.ledger import Ledger
    from prsm_lab.types import CachePolicy, Target

MEASURED: Final = {"minilm": 0.80}
"""Least cosine by embedder, with the gate, as tests/test_lookalikes.py measures it on four sets of pairs."""
MOST_NEAR: Final = 5
"""So many of the nearest are looked at, the nearest first."""
PASSED, DOUBTED, APART = range(3)
SETTINGS_SECONDS: Final = 1.0
"""After that it is looked up again whether another process has set something."""


class Look(NamedTuple):
    """What was looked up for a question by meaning, to be kept with its answer."""

    policy: CachePolicy
    scopes: fingerprints.Scopes
    embedder: str
    vector: Any
    threshold: float
    embed_ms: float


class Caches:
    """The caches of an engine; to be used on its loop.

    Args:
        ledger: Where answers are.
        ask: Gives what asks a verifying question, as long as the engine lives.
    """

    def __init__(self, ledger: Ledger, ask: Callable[[], Ask | None]) -> None:
        self._ledger = ledger
        self.verifier = Verifier(ask)
        self.book = Lookalikes(ledger)
        self.shelves = Shelves(self.book)
        self._settings: dict[str, Any] = {}
        self._read = 0.0
        self._warned: set[str] = set()

    # ---------------------------------------------------------------------------------------------- settings

    def settings(self) -> dict[str, Any]:
        """Return what `lab.cache` has set in this ledger."""
        if time.monotonic() - self._read > SETTINGS_SECONDS:
            self._settings, self._read = self.book.settings(), time.monotonic()
        return self._settings

    def set(self, name: str, value: Any) -> None:
        """Set something, for every process with this ledger."""
        self.book.set(name, value)
        self._read = 0.0

    def policy(self, request: Request) -> CachePolicy | None:
        """Return how to look for a question by meaning; None: not at all.

        Raises:
            InvalidRequestError: If its threshold is lower than what was measured, or nothing was; if its namespace is
                not enabled; if no embedder has its name.
        """
        policy = request.cache
        if policy is None or not policy.enabled:
            return None
        if policy.key_strategy != "semantic_similarity":
            if not policy.namespace:
                return None
            policy = self._enabled(policy)
        if policy.verify is not None and request.person is not None:
            raise _refused("verify is not offered on a share server: its owner would pay for it.", "verify")
        if not embedders.known(policy.embedder):
            embedders.find(policy.embedder)
        least = self.threshold(policy.embedder, policy.verify)
        asked = least if policy.similarity_threshold is None else policy.similarity_threshold
        if not policy.force and not policy.shadow and (least is None or asked is None or asked < least):
            raise _refused(self._below(policy.embedder, policy.verify, least, asked), "similarity_threshold")
        return msgspec.structs.replace(policy, similarity_threshold=1.0 if asked is None else asked)

    def threshold(self, embedder: str, verify: str | None = None) -> float | None:
        """Return the least threshold that was measured for an embedder; None: none is good enough, or none was."""
        calibrated = self._calibrated(embedder, verify)
        return MEASURED.get(embedder) if calibrated is None else calibrated["threshold"]

    def _calibrated(self, embedder: str, verify: str | None) -> dict[str, Any] | None:
        """The calibration with this very verifier, else the one of the gate alone, which it can only better."""
        names = [calibration(embedder, verify), calibration(embedder, None)]
        return next((found for name in names if (found := self.settings().get(name)) is not None), None)

    def _below(self, embedder: str, verify: str | None, least: float | None, asked: float | None) -> str:
        calibrated = self._calibrated(embedder, verify)
        if least is None:
            why = (
                f"No threshold was measured for the embedder {embedder!r}"
                if calibrated is None
                else f"In the calibration of {embedder!r} on {calibrated['pairs']} pairs no threshold kept false hits "
                f"at most {calibrated['budget']:.1%}"
            )
            return f'{why}: lab.cache.calibrate(pairs, embedder={embedder!r}) measures one. "force": True uses it.'
        return (
            f"similarity_threshold={asked:g} is below {least:g}, from which false hits were measured to be rare with "
            f'{embedder!r}. Raise it, measure your own rows by lab.cache.calibrate(…), or say "force": True.'
        )

    def _enabled(self, policy: CachePolicy) -> CachePolicy:
        stored = self.settings().get(f"namespace {policy.namespace}")
        if not stored:
            raise _refused(
                f"The namespace {policy.namespace!r} is not enabled in this ledger: lab.cache.enable("
                f'{policy.namespace!r}) does that, or say "key_strategy": "semantic_similarity".',
                "namespace",
            )
        return msgspec.structs.replace(
            policy, key_strategy="semantic_similarity", **{**stored, "force": stored["force"] or policy.force}
        )

    # ----------------------------------------------------------------------------------------------- look-ups

    def exact(self, request: Request, key: bytes, now: float) -> Inference | None:
        """Return an earlier answer to the very question."""
        if request.cache is None or not request.cache.enabled:
            return None
        return self._ledger.find([key], since=_since(request.cache, now), person=request.answerer).get(key)

    async def earlier(
        self, request: Request, targets: Sequence[Target], key: bytes, id: str, created: float
    ) -> tuple[Inference | None, Look | None]:
        """Return the answer that serves a question, if one does, with its row queued; else what to keep of it.

        Args:
            request: The question.
            targets: Who may answer.
            key: Its fingerprint.
            id: Its inference's.
            created: When it was asked.

        Raises:
            InvalidRequestError: See `policy`.
        """
        policy = self.policy(request)
        found = self.exact(request, key, created)
        if found is not None:
            return self._served(found, request, key, id, created), None
        look = None if policy is None else await self._look(request, policy, targets)
        if look is None:
            return None, None
        near = await self._near(look, request, id, created)
        if near is None:
            return None, look
        return self._served(near, request, key, id, created), None

    def _served(self, hit: Inference, request: Request, key: bytes, id: str, created: float) -> Inference:
        answer = served_again(hit, id, created)
        self._ledger.start(id, request, key, scope=request.scope, created=created)
        self._ledger.finish(answer, source=hit.id)
        return answer

    async def _look(self, request: Request, policy: CachePolicy, targets: Sequence[Target]) -> Look | None:
        scopes = fingerprints.scopes(request, sorted({target.origin for target in targets}), policy.namespace)
        if scopes is None or len(scopes.text) > likeness.MOST_LETTERS:
            return None
        began = time.perf_counter()
        try:
            embedder, vector = await asyncio.to_thread(_embedded, policy.embedder, scopes.text)
        except InvalidRequestError:
            raise
        except Exception as fault:  # noqa: BLE001 -- a function used as an embedder: the model is asked
            self._warn(f"The embedder {policy.embedder!r} failed ({type(fault).__name__}): the model is asked.")
            return None
        spent = (time.perf_counter() - began) * 1000
        name = embedders.key(policy.embedder, embedder)
        scopes = scopes.of(name)
        return Look(policy, scopes, name, vector, policy.similarity_threshold or 0.0, spent)

    async def _near(self, look: Look, request: Request, id: str, created: float) -> Inference | None:
        """Return the nearest answer that the gate lets pass, and write down what came of it."""
        policy, scopes, began = look.policy, look.scopes, time.perf_counter()
        key = scopes.wide if policy.cross_model else scopes.scope
        shelf = await self.shelves.of(key, wide=policy.cross_model, width=len(look.vector))
        began = time.perf_counter() if shelf.reading is None else began
        near = shelf.search(look.vector, look.threshold, MOST_NEAR)
        spent = (time.perf_counter() - began) * 1000
        found: list[tuple[Hit, Inference]] = []
        for similarity, one, asked in self._there(shelf, near):
            source = self.book.answer(one, person=request.answerer, since=_since(policy, created))
            if source is None:
                continue
            differs = likeness.differ(scopes.text, asked)
            hit = Hit(
                id, one, scopes.text, asked, similarity, look.threshold, look.embedder, policy.namespace, "served",
                differs, look.embed_ms, spent, request.person, created,
            )  # fmt: skip
            found.append((hit, source))
            if differs is None:
                break
        if not found:
            return None
        hit, source = min(found, key=lambda pair: _rank(pair[0], policy))  # of equals the nearest, which is first
        hit = await self._judged(hit, policy)
        self.book.note(hit)
        match = Similar(id=hit.matched_id, prompt=hit.matched, similarity=hit.similarity, embedder=look.embedder)
        return msgspec.structs.replace(source, similar=match) if hit.outcome == "served" else None

    def _there(self, shelf: Shelf, near: list[tuple[float, str]]) -> Iterator[tuple[float, str, str]]:
        """Those that nobody has evicted, with what they asked."""
        asked = self.book.asked([one for _, one in near]) if near else {}
        for similarity, one in near:
            if one in asked:
                yield similarity, one, asked[one]
            else:
                shelf.drop(one)

    async def _judged(self, hit: Hit, policy: CachePolicy) -> Hit:
        if _rank(hit, policy) == APART:
            return hit._replace(outcome="gate")
        if policy.verify is not None:
            verdict = await self.verifier.verdict(hit.matched, hit.asked, policy.verify)
            hit = hit._replace(reason=verdict.by)
            if not verdict.same:
                return hit._replace(outcome="verification")
        return hit._replace(outcome="shadow") if policy.shadow else hit

    def keep(self, look: Look | None, inference: Inference) -> None:
        """Queue a new answer's entry, so that it is found by meaning."""
        if look is None or inference.finish_reason in ("length", "content_filter", None):
            return
        scopes = look.scopes
        self.book.add(
            Entry(
                inference.id, look.embedder, look.policy.namespace, scopes.scope, scopes.wide, scopes.text,
                packed(look.vector),
            )
        )  # fmt: skip

    def _warn(self, message: str) -> None:
        if message not in self._warned:
            self._warned.add(message)
            warnings.warn(message, stacklevel=2)


def calibration(embedder: str, verify: str | None) -> str:
    """Return the name of the setting that holds what was measured."""
    return f"calibration {embedder}" if verify is None else f"calibration {embedder} verified by {verify}"


def _rank(hit: Hit, policy: CachePolicy) -> int:
    """What the gate found, and who may say otherwise."""
    if hit.reason is None:
        return PASSED
    return DOUBTED if policy.verify is not None and hit.reason in likeness.DOUBTS else APART


def _since(policy: CachePolicy, now: float) -> float | None:
    return None if policy.ttl is None else now - policy.ttl


def _embedded(name: str, text: str) -> tuple[Embedder, Any]:
    embedder = embedders.find(name)
    return embedder, embedder([text])[0]


def _refused(message: str, parameter: str) -> InvalidRequestError:
    return InvalidRequestError(message, details={"parameter": f"cache_config.{parameter}", "not_sent": True})
