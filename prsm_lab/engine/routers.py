"""Routers: rules by which a question goes to a cheap or to a strong model, known in this process by their names.

A router's name (`router/…`) is a digest of its rule, so it stands for the same rule everywhere, and may be asked like
any model's name. Rules are plain data; how they are found is `frames.routing`'s matter.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import msgspec

from prsm_lab import catalog
from prsm_lab.engine import signals
from prsm_lab.errors import InvalidRequestError, NotFoundError
from prsm_lab.types import Value

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prsm_lab.types import Message

PREFIX: Final = catalog.ROUTER
Judge = Callable[[dict[str, Any]], Any]
"""A scorer of a cheap answer: of `{"prompt": …, "response": …}` a number, greater where it is to be trusted."""
PLACES: Final = 9
"""Digits of a signal: what is written in a file is what was tested."""
Signal = Literal["prompt", "logprob", "agreement", "length", "scorer"]


def rounded(signal: float) -> float:
    """Return a signal as it is compared."""
    return round(signal, PLACES)


class Rule(Value, frozen=True, kw_only=True):
    """When the cheap model's answer serves."""

    kind: Literal["predictive", "cascade"]
    """By the prompt, before anything is asked; or by the cheap model's answer, which is asked first."""
    cheap: str
    strong: str
    signal: Signal
    threshold: float | None
    """The cheap model serves where the signal is at least this; None: nowhere."""
    samples: int = 1
    """Answers of the cheap model that must agree."""
    weights: tuple[tuple[int, float], ...] = ()
    """Of the words of a prompt, by their places; see `signals.features`."""
    bias: float = 0.0
    scorer: str = ""
    """Name of the function that gave the signal."""

    @property
    def name(self) -> str:
        """The name that stands for this rule."""
        told = msgspec.json.encode(self, order="deterministic")
        return PREFIX + hashlib.blake2b(told, digest_size=6).hexdigest()

    @property
    def calls(self) -> int:
        """Most answers that one question may need."""
        return 1 if self.kind == "predictive" else self.samples + 1

    def serves(self, signal: float) -> bool:
        """Tell whether the cheap model serves at a signal; a signal that is not known trusts nobody."""
        return self.threshold is not None and rounded(signal) >= self.threshold  # NaN is not


def with_weights(rule: Rule, weights: dict[int, float], bias: float) -> Rule:
    """Return a rule with other weights."""
    return msgspec.structs.replace(rule, weights=tuple(sorted(weights.items())), bias=bias)


def with_threshold(rule: Rule, threshold: float | None) -> Rule:
    """Return a rule with another threshold."""
    return msgspec.structs.replace(rule, threshold=threshold)


class Known(NamedTuple):
    """A rule with the function that it needs."""

    rule: Rule
    judge: Judge | None
    weights: dict[int, float]
    share: tuple[float, int] | None = None
    """Of the questions, those that the cheap model answered, and of how many; None: nobody has tried."""


_known: dict[str, Known] = {}


def register(rule: Rule, judge: Judge | None = None, share: tuple[float, int] | None = None) -> str:
    """Make a rule known in this process.

    Args:
        rule: The rule.
        judge: Its scorer, where it has one.
        share: Of the questions, those that the cheap model answered, and of how many.

    Returns:
        Its name.

    Raises:
        InvalidRequestError: If the rule contradicts itself, or lacks its scorer.
    """
    if rule.samples < (2 if rule.signal == "agreement" else 1) or (rule.kind == "predictive") != (
        rule.signal == "prompt"
    ):
        raise InvalidRequestError(
            f"This is no rule: {rule.kind} by {rule.signal} of {rule.samples} answers.", details={"parameter": "signal"}
        )
    if rule.cheap.startswith(PREFIX) or rule.strong.startswith(PREFIX):
        raise InvalidRequestError("A router routes between models, not routers.", details={"parameter": "cheap"})
    if rule.signal == "scorer" and judge is None:
        raise InvalidRequestError(
            f"This router trusts the scorer {rule.scorer!r}, a function that no file holds: pass it as scorer=.",
            details={"parameter": "scorer"},
        )
    _known[rule.name] = Known(rule, judge, dict(rule.weights), share)
    return rule.name


def of(model: str) -> Known | None:
    """Return the router of a name; None for a model's.

    Raises:
        NotFoundError: If no such router is known here.
    """
    if not model.startswith(PREFIX):
        return None
    known = _known.get(model)
    if known is None:
        raise NotFoundError(
            f"No router {model!r} in this process: make it with lab.route, or read it with lab.load_router(path).",
            details={"parameter": "model"},
        )
    return known


def known_here() -> list[str]:
    """Return the names of the routers that are known in this process."""
    return sorted(_known)


def chosen(known: Known, messages: Iterable[Message]) -> str | None:
    """Return the model that a predictive router asks; None for a cascade, which only finds out by asking."""
    if known.rule.kind == "cascade":
        return None
    trusted = known.rule.serves(foretold(known, signals.prompt_text(messages)))
    return known.rule.cheap if trusted else known.rule.strong


def alone(known: Known, messages: Iterable[Message]) -> str:
    """Return the one model that is asked, where only one can be: in a provider's batch.

    Raises:
        InvalidRequestError: If the router is a cascade.
    """
    model = chosen(known, messages)
    if model is None:
        raise InvalidRequestError(
            "mode='provider_batch' asks one model a question, and a cascade looks at the cheap one's answer first: ask "
            "in real time, or make a predictive router (lab.route with signal='prompt').",
            details={"parameter": "mode"},
        )
    return model


def foretold(known: Known, text: str) -> float:
    """Return a predictive router's signal of a prompt."""
    return signals.predicted(text, known.weights, known.rule.bias)
