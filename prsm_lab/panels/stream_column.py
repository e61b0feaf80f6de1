"""A column of the stream panel: one model, its conversation, and the figures of each answer."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, Literal

from prsm_lab.engine.plan import prompt_tokens
from prsm_lab.errors import CancelledError, PRSMError
from prsm_lab.types import Inference

if TYPE_CHECKING:
    from prsm_lab.engine import portal
    from prsm_lab.types import JSON, Model, Request

State = Literal["waiting", "streaming", "done", "stopped", "failed"]
CHARACTERS_A_TOKEN: Final = 4
"""For the counts while an answer is written; those of the end are the provider's."""


class Turn:
    """One question to one model, and what came of it."""

    def __init__(self, request: Request, prompt: str) -> None:
        self.request = request
        self.prompt = prompt
        self.pieces: list[str] = []
        self.length = 0
        """Characters so far."""
        self.sent = 0
        """Pieces that the page has."""
        self.state: State = "waiting"
        self.outcome: Inference | PRSMError | None = None
        self.began = time.monotonic()
        self.first: float | None = None
        self.ended: float | None = None

    @property
    def text(self) -> str:
        """What was said so far."""
        whole = self.outcome.content if isinstance(self.outcome, Inference) else None
        return "".join(self.pieces) if whole is None else whole

    def feed(self, text: str) -> None:
        """Take a piece."""
        if self.first is None and text:
            self.first = time.monotonic()
            self.state = "streaming"
        self.pieces.append(text)
        self.length += len(text)

    def restart(self) -> None:
        """What was said is void: another model goes on."""
        self.pieces, self.length, self.sent = [], 0, 0

    def end(self, outcome: Inference | PRSMError) -> None:
        """Keep what came of it."""
        self.ended = time.monotonic()
        self.outcome = outcome
        stopped = isinstance(outcome, CancelledError)
        self.state = "done" if isinstance(outcome, Inference) else "stopped" if stopped else "failed"

    def figures(self, price: Any) -> JSON:
        """Times, tokens and money: the provider's own at the end, an estimate from the text before."""
        found = self.outcome if isinstance(self.outcome, Inference) else None
        until = time.monotonic() if self.ended is None else self.ended
        tokens = found.usage.completion_tokens if found else self.length / CHARACTERS_A_TOKEN
        ttft = found.ttft_ms if found else None if self.first is None else (self.first - self.began) * 1000
        writing = None if self.first is None else max(until - self.first, 1e-3)
        return {
            "ttft_ms": ttft,
            "latency_ms": found.latency_ms if found else (until - self.began) * 1000,
            "tokens": tokens,
            "per_s": None if not tokens or writing is None else tokens / writing,
            "cost": found.cost.amount if found else self._cost_so_far(price, tokens or 0),
            "estimated": found is None,
        }

    def _cost_so_far(self, price: Any, tokens: float) -> float | None:
        if price is None or price.input is None or price.output is None:
            return None
        return float((prompt_tokens(self.request) * price.input + tokens * price.output) / 1e6)


class Column:
    """One model and its conversation."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.turns: list[Turn] = []
        self.pinned = False
        self.job: portal.Job[None] | None = None

    @property
    def running(self) -> bool:
        """Is it being answered?"""
        return self.job is not None and not self.job.wait(0)

    def history(self) -> list[JSON]:
        """The conversation so far: whole answers only."""
        return [
            message
            for turn in self.turns
            if isinstance(turn.outcome, Inference)
            for message in (
                {"role": "user", "content": turn.prompt},
                {"role": "assistant", "content": turn.outcome.content or ""},
            )
        ]
