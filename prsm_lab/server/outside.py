"""What the outside is told of a provider's fault: class, code, kind and who, in our words.

A provider's own text may hold an internal address, an account or a piece of somebody's prompt. It stays in the
owner's ledger, under the inference's id. Ours are the words of the door and the plan (they name no provider), and of
faults that nobody but this package words: time limits, broken streams, options that a model does not take.
"""

from __future__ import annotations

import copy
import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from prsm_lab import documents

if TYPE_CHECKING:
    from collections.abc import Mapping

    from prsm_lab.errors import PRSMError
    from prsm_lab.types import JSON, Attempt, Inference, Record

_OUR_KINDS: Final = frozenset({"deadline", "connect", "first token", "between tokens", "truncated", "schema"})
_OUR_DETAILS: Final = frozenset({"parameters", "expected_type"})
"""Only checks of this package say them."""
_KINDS: Final = {
    "connection": "{who} could not be reached.",
    "certificate": "{who} could not be reached safely.",
    "overloaded": "{who} is overloaded.",
    "stream": "{who} broke off in the middle of the answer.",
    "malformed": "{who} did not give a whole answer.",
    "context_length": "The question is longer than what the model at {who} can read. Shorten it, lower max_tokens, or "
    "name a fallback with a larger window.",
    "content_filter": "{who} refused the content of the question.",
    "too_large": "The question is too large for {who}.",
}
_CODES: Final = {
    "invalid_request": "{who} refused the request as it is.",
    "authentication": "{who} refused this server, not your key.",
    "insufficient_credits": "This server's account at {who} is empty. Name a fallback; waiting does not help.",
    "not_found": "{who} does not offer this model to this server.",
    "rate_limit": "{who} is asked too much at the moment. Wait, or name a fallback.",
    "internal": "This server's own way to {who} failed.",
    "timeout": "{who} did not answer in time.",
    "schema": "{who} gave an answer that does not fit the schema.",
}
_OTHERWISE: Final = "{who} failed."
_NAME: Final = re.compile(r"[\w.\[\] -]{1,80}")
_FIGURES: Final = frozenset({"not_sent", "position", "numbers"})


def error(fault: PRSMError) -> PRSMError:
    """Return the fault as it may leave the server; the one that was raised stays as it is."""
    attempts = tuple(map(_attempt, fault.attempts))
    if attempts == fault.attempts and _ours(fault.provider, fault.details):
        return fault
    told = copy.copy(fault)
    told.attempts = attempts
    told.answer = None if fault.answer is None else inference(fault.answer)
    if not _ours(fault.provider, fault.details):
        told.message = _message(fault.code, str(fault.provider), fault.details, fault.inference_id)
        told.details = _details(fault.details)
    return told


def document(fault: PRSMError, *, whole: bool) -> JSON:
    """Write a fault as the seed's envelope, fit to leave the server."""
    return documents.fault(error(fault), whole=whole)


def record(known: Record) -> Record:
    """Return what is known of an inference as it may leave the server."""
    said, answer = known.error, known.inference
    if said is not None and not _ours(known.provider, said.get("details") or {}):
        details = said.get("details") or {}
        message = _message(str(said.get("code")), str(known.provider), details, known.id)
        said = {**said, "message": message, "details": _details(details)}
    told = None if answer is None else inference(answer)
    return msgspec.structs.replace(known, error=said, inference=told, attempts=tuple(map(_attempt, known.attempts)))


def inference(answer: Inference) -> Inference:
    """Return an answer with what its failed attempts were told, in our words."""
    if len(answer.attempts) == 1 and answer.attempts[0].error is None:
        return answer
    return msgspec.structs.replace(answer, attempts=tuple(map(_attempt, answer.attempts)))


def _attempt(knock: Attempt) -> Attempt:
    if knock.error is None:
        return knock
    return msgspec.structs.replace(knock, error=_message(str(knock.error_code), knock.provider, {}, None))


def _ours(provider: str | None, details: Mapping[str, Any]) -> bool:
    return provider is None or details.get("kind") in _OUR_KINDS or not _OUR_DETAILS.isdisjoint(details)


def _message(code: str, provider: str, details: Mapping[str, Any], id: str | None) -> str:
    words = _KINDS.get(str(details.get("kind"))) or _CODES.get(code, _OTHERWISE)
    more = f" The server's owner finds more under {id}." if id else ""
    return words.format(who=provider) + more


def _details(details: Mapping[str, Any]) -> JSON:
    """Names, flags and figures; a text that is more than a name is the provider's."""
    names = {key: value for key, value in details.items() if key in ("kind", "parameter", "provider")}
    kept = {key: value for key, value in names.items() if isinstance(value, str) and _NAME.fullmatch(value)}
    return {**kept, **{key: value for key, value in details.items() if key in _FIGURES and _is_figure(value)}}


def _is_figure(value: object) -> bool:
    return all(isinstance(one, int) for one in (value if isinstance(value, (list, tuple)) else [value]))
