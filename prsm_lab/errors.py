"""What can go wrong, as one tree.

    PRSMError                      code                   status  verdict
    ├── InvalidRequestError        invalid_request        400     stop
    │   └── SchemaError            schema                 400     stop
    ├── AuthenticationError        authentication         401     next
    ├── InsufficientCreditsError   insufficient_credits   402     next
    │   └── BudgetExceededError    budget_exceeded        402     stop
    ├── NotFoundError              not_found              404     next
    ├── ConflictError              conflict               409     stop
    ├── RateLimitError             rate_limit             429     retry
    ├── InternalError              internal               500     stop
    ├── ProviderError              provider_unavailable   503     retry
    │   └── TimeoutError           timeout                503     retry
    └── CancelledError             cancelled              499     stop

The *verdict* says what `engine.attempts` may do before anything was shown to the user: `retry` the same
target, try the `next` one, or `stop`. The same class is raised whether the fault came from a provider, from
the embedded engine or from a share server.
"""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING, Any, ClassVar, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from prsm_lab.types import Attempt, Inference, Reply

__all__ = [
    "AuthenticationError",
    "BudgetExceededError",
    "CancelledError",
    "ConflictError",
    "InsufficientCreditsError",
    "InternalError",
    "InvalidRequestError",
    "NotFoundError",
    "PRSMError",
    "ProviderError",
    "RateLimitError",
    "SchemaError",
    "TimeoutError",
]

Verdict = Literal["retry", "next", "stop"]


class PRSMError(Exception):
    """Base of every error that `prsm_lab` raises on purpose.

    Args:
        message: What was wrong, where, and the remedy. Never contains a key.
        details: Machine-readable facts, as in the seed's error body (`parameter`, `expected_type`, `kind` …).
        request_id: The provider's or the share server's id of the failed request, where known.
        provider: The provider that failed, where one did.
        verdict: Overrides the class's verdict for this fault.
        max_retries: At most so many retries at the same target (None: as many as the policy allows);
            1 where the failed attempt may already have been paid.
        closes_route: Every further request with this provider and key would fail the same way (bad key, no
            credits): a batch stops asking it.
        partial: What had been received before the fault.
        retry_after: The provider's hint how long to wait, in seconds.
    """

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 500
    verdict: Verdict = "stop"

    def __init__(
        self,
        message: str,
        *,
        details: Mapping[str, Any] | None = None,
        request_id: str | None = None,
        provider: str | None = None,
        verdict: Verdict | None = None,
        max_retries: int | None = None,
        closes_route: bool = False,
        partial: Reply | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.details: dict[str, Any] = dict(details or {})
        self.request_id = request_id
        self.provider = provider
        self.max_retries = max_retries
        self.closes_route = closes_route
        self.partial = partial
        self.retry_after = retry_after
        self.attempts: tuple[Attempt, ...] = ()
        self.inference_id: str | None = None
        self.answer: Inference | None = None
        """What came and was paid for, where it does not fit the schema."""
        if verdict is not None:
            self.verdict = verdict

    def __str__(self) -> str:
        return self.message

    def __copy__(self) -> PRSMError:
        """Copy it with fields of its own: where Dask is imported (tblib), a plain copy would share them."""
        made = type(self).__new__(type(self), *self.args)
        made.__dict__.update(self.__dict__)
        return made

    def to_dict(self) -> dict[str, Any]:
        """Return the seed's error body.

        >>> InvalidRequestError("No model", details={"parameter": "model"}).to_dict()
        {'error': {'code': 'invalid_request', 'message': 'No model', 'details': {'parameter': 'model'}}}
        """
        return {"error": {"code": self.code, "message": self.message, "details": self.details}}


class InvalidRequestError(PRSMError):
    """The request itself is wrong: it would fail at every provider, so it is neither retried nor sent on.

    `details["kind"]` tells special cases apart: `context_length` (may go to a target with a larger window),
    `unsupported_parameter`, `content_filter`, `too_large`.
    """

    code = "invalid_request"
    status = 400


class SchemaError(InvalidRequestError):
    """The answer does not fit the schema that was asked for; `partial` keeps its text, `answer` what it cost."""

    code = "schema"


class AuthenticationError(PRSMError):
    """A key is missing, malformed, wrong, or has no right to the model."""

    code = "authentication"
    status = 401
    verdict: Verdict = "next"


class InsufficientCreditsError(PRSMError):
    """The account behind the key has no credits left. Not a throttle: waiting does not help."""

    code = "insufficient_credits"
    status = 402
    verdict: Verdict = "next"


class BudgetExceededError(InsufficientCreditsError):
    """Sending this request could exceed the cap that the caller set (`max_cost`); nothing was sent."""

    code = "budget_exceeded"
    verdict: Verdict = "stop"


class NotFoundError(PRSMError):
    """No such model (at this provider), inference, run or dataset."""

    code = "not_found"
    status = 404
    verdict: Verdict = "next"


class ConflictError(PRSMError):
    """An idempotency key that was used for another question, or whose question is still being answered."""

    code = "conflict"
    status = 409


class RateLimitError(PRSMError):
    """Too many requests or tokens; `retry_after` is the provider's hint in seconds, or None."""

    code = "rate_limit"
    status = 429
    verdict: Verdict = "retry"


class InternalError(PRSMError):
    """A fault of `prsm_lab` itself. Never retried, never sent to the next target."""

    code = "internal"
    status = 500


class ProviderError(PRSMError):
    """The provider did not give a whole answer: down, overloaded, unreachable, malformed or cut short.

    `details["kind"]` says which: `overloaded`, `server`, `connection`, `malformed`, `truncated`, `stream`.
    """

    code = "provider_unavailable"
    status = 503
    verdict: Verdict = "retry"


class TimeoutError(ProviderError, builtins.TimeoutError):  # noqa: A001 -- the public name
    """A deadline passed: connecting, waiting for the first token, between tokens, or the caller's own total."""

    code = "timeout"


class CancelledError(PRSMError):
    """The caller went away; never raised, only written to the ledger, so that a run knows what to ask again."""

    code = "cancelled"
    status = 499
