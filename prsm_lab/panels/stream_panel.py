"""Several models side by side, live: the state of `panels.stream`. `stream.js` shows it.

Each column is a conversation of its own: the same questions, and that model's own answers. Columns run on the
portal's loop; their methods may be called on any thread.
"""

from __future__ import annotations

import threading
import time
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, ClassVar, Final

from prsm_lab import ask, catalog, columns, render
from prsm_lab.engine import portal
from prsm_lab.errors import CancelledError, InvalidRequestError, PRSMError
from prsm_lab.panels import still
from prsm_lab.panels.panel import Panel
from prsm_lab.panels.stream_column import Column, Turn
from prsm_lab.types import Inference, Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd

    from prsm_lab.client import Client
    from prsm_lab.types import JSON, Model, Request

MOST_COLUMNS: Final = 8


class StreamPanel(Panel):
    """Ask several models at once and read their answers as they are written.

    Args:
        client: Who asks.
        models: Names of models, or `provider/model`.
        system: A system message for all of them.
        options: Options of `create`, such as `temperature` and `max_tokens`.
    """

    kind: ClassVar[str] = "stream"

    def __init__(self, client: Client, models: Sequence[str], *, system: str, options: Mapping[str, Any]) -> None:
        super().__init__()
        self._client = client
        self._lock = threading.RLock()
        self.system = system
        self.options = dict(options)
        self.columns: list[Column] = []
        self._choices = [_choice(model) for model in client.models.list()]
        self._told: list[Any] = []
        self.choose(models)

    # ------------------------------------------------------------------------------------------------ doing

    def choose(self, models: Sequence[str]) -> None:
        """Set the columns; a model that stays keeps its conversation.

        Raises:
            InvalidRequestError: If there are none, or too many.
            NotFoundError: If a model is unknown; it names the nearest.
        """
        names = list(dict.fromkeys(models))
        if not 1 <= len(names) <= MOST_COLUMNS:
            raise InvalidRequestError(
                f"Choose 1 to {MOST_COLUMNS} models, not {len(names)}.", details={"parameter": "models"}
            )
        found = [self._client.models.get(name) for name in names]
        with self._lock:
            kept = {column.model.name: column for column in self.columns}
            for name, column in kept.items():
                if name not in {model.name for model in found}:
                    self._stop(column)
            self.columns = [kept.get(model.name) or Column(model) for model in found]
        self.changed()

    def ask(self, prompt: str, *, system: str | None = None, **options: Any) -> None:
        """Ask all columns, and return at once.

        Args:
            prompt: The next question of the conversation.
            system: Replaces the panel's system message.
            **options: Replace the panel's options; None takes one away.

        Raises:
            InvalidRequestError: If the prompt is empty, an option is wrong, or answers are still being written.
        """
        if not prompt.strip():
            raise InvalidRequestError("Write a question first.", details={"parameter": "prompt"})
        with self._lock:
            if self.busy:
                raise InvalidRequestError("Answers are still being written: stop them, or wait.")
            system = self.system if system is None else system
            options = {name: value for name, value in {**self.options, **options}.items() if value is not None}
            asked = [(column, Turn(self._request(column, prompt, system, options), prompt)) for column in self.columns]
            self.system, self.options = system, options
            for column, turn in asked:
                column.turns.append(turn)
                self._start(column, turn)
        self.changed()

    def retry(self, column: int) -> None:
        """Ask a column's last question again, in the place of its answer."""
        with self._lock:
            place = self._column(column)
            if place.running or not place.turns:
                return
            last = place.turns.pop()
            turn = Turn(self._request(place, last.prompt, self.system, self.options), last.prompt)
            place.turns.append(turn)
            self._start(place, turn)
        self.changed()

    def stop(self, column: int | None = None) -> None:
        """Stop a column, or all: the provider stops at once, what it had said is kept and marked."""
        for place in self.columns if column is None else [self._column(column)]:
            self._stop(place)

    def pin(self, column: int) -> None:
        """Put a column first, or back."""
        with self._lock:
            place = self._column(column)
            place.pinned = not place.pinned
            self.columns.sort(key=lambda one: not one.pinned)
        self.changed()

    def forget(self) -> None:
        """Begin a new conversation in all columns."""
        self.stop()
        self.wait(2.0)
        with self._lock:
            for column in self.columns:
                column.turns = []
        self.changed()

    def wait(self, seconds: float | None = None) -> StreamPanel:
        """Block until all answers are written; an interrupt stops them."""
        until = None if seconds is None else time.monotonic() + seconds
        try:
            while self.busy and (until is None or time.monotonic() < until):
                next(column.job for column in self.columns if column.running and column.job).wait(0.1)
        except StopIteration:
            pass  # it ended between the two looks
        except KeyboardInterrupt:
            self.stop()
            raise
        if not self.busy:
            self.settle()
        return self

    # --------------------------------------------------------------------------------------------- knowing

    @property
    def busy(self) -> bool:
        """Are answers being written?"""
        return any(column.running for column in self.columns)

    @property
    def cost(self) -> float | None:
        """USD spent so far on answers of known price; None while there is none."""
        found = [
            turn.outcome.cost.amount
            for column in self.columns
            for turn in column.turns
            if isinstance(turn.outcome, Inference) and turn.outcome.cost.amount is not None
        ]
        return sum(found) if found else None

    def to_frame(self) -> pd.DataFrame:
        """Return a row per question and model: `turn`, `prompt`, the result columns, and `partial`, what a stopped or
        broken answer had said."""
        import pandas as pd

        asked = [(n, column, turn) for column in self.columns for n, turn in enumerate(column.turns)]
        asked.sort(key=lambda one: one[0])
        frame = columns.results(
            [turn.outcome for _, _, turn in asked], asked=[column.model.name for _, column, _ in asked]
        )
        partial = [None if isinstance(turn.outcome, Inference) else turn.text or None for _, _, turn in asked]
        return frame.assign(
            turn=pd.array([n for n, _, _ in asked], dtype="Int64"),
            prompt=pd.array([turn.prompt for _, _, turn in asked], dtype="string"),
            partial=pd.array(partial, dtype="string"),
        )[["turn", "prompt", *columns.NAMES, "partial"]]

    def code(self) -> str:
        """The line that asks the same without a panel."""
        options = "".join(f", {name}={value!r}" for name, value in self.options.items())
        system = f", system={self.system!r}" if self.system else ""
        names = [column.model.name for column in self.columns]
        prompt = next((column.turns[-1].prompt for column in self.columns if column.turns), "…")
        return f"lab.infer({render.line(prompt, longest=60)!r}, model={names!r}{system}{options})"

    # ----------------------------------------------------------------------------------------- for the view

    @property
    def commands(self) -> Mapping[str, Callable[..., None]]:
        """What the page may call."""
        return {
            "ask": self.ask, "stop": self.stop, "retry": self.retry, "pin": self.pin, "forget": self.forget,
            "choose": self.choose,
        }  # fmt: skip

    def snapshot(self) -> JSON:
        """All that is shown."""
        with self._lock:
            return {
                "columns": [self._shown(column) for column in self.columns], "system": self.system,
                "options": self.options, "busy": self.busy, "cost": self.cost, "choices": self._choices,
                "code": self.code(), "notice": self.notice,
            }  # fmt: skip

    def news(self) -> JSON | None:
        """New text of each column, and its figures; everything where more than text has changed.

        To be called on the portal's loop: pieces come in there, and none between the two looks at them.
        """
        with self._lock:
            shape = [
                (id(column), len(column.turns), column.turns and column.turns[-1].state) for column in self.columns
            ]
            if shape != self._told or self.notice or not self.busy:
                self._told = shape
                for column in self.columns:
                    for turn in column.turns[-1:]:
                        turn.sent = len(turn.pieces)
                return {"state": self.snapshot()}
            pieces = []
            for n, column in enumerate(self.columns):
                for turn in column.turns[-1:]:
                    text = "".join(turn.pieces[turn.sent :])
                    turn.sent = len(turn.pieces)
                    pieces.append([n, render.plain(text), turn.figures(column.model.price)])
            return {"pieces": pieces}

    def html(self) -> str:
        """The conversation as a table of columns."""
        return still.conversation(self)

    def __repr__(self) -> str:
        names = ", ".join(column.model.name for column in self.columns)
        return f"<StreamPanel {names}: {max((len(column.turns) for column in self.columns), default=0)} turns>"

    # ---------------------------------------------------------------------------------------------- helpers

    def _shown(self, column: Column) -> JSON:
        return {
            "model": column.model.name, "provider": column.model.provider, "price": _price(column.model),
            "pinned": column.pinned, "turns": [self._shown_turn(column, turn) for turn in column.turns],
        }  # fmt: skip

    def _shown_turn(self, column: Column, turn: Turn) -> JSON:
        outcome = turn.outcome
        failed = isinstance(outcome, PRSMError) and not isinstance(outcome, CancelledError)
        served = outcome.served_model if isinstance(outcome, Inference) else None
        return {
            "prompt": render.plain(turn.prompt), "state": turn.state, "text": render.plain(turn.text),
            "html": render.markdown(turn.text) if turn.state == "done" else None,
            "error": outcome.message if failed and isinstance(outcome, PRSMError) else None,
            "served": served if served != column.model.id else None, **turn.figures(column.model.price),
        }  # fmt: skip

    def _column(self, n: int) -> Column:
        if not 0 <= n < len(self.columns):
            raise InvalidRequestError(f"There is no column {n}.", details={"parameter": "column"})
        return self.columns[n]

    def _request(self, column: Column, prompt: str, system: str, options: Mapping[str, Any]) -> Request:
        template = self._client.question(column.model.name, **options)
        messages = [*column.history(), {"role": "user", "content": prompt}]
        return ask.conversation(template, messages, system=system or None)

    def _start(self, column: Column, turn: Turn) -> None:
        column.job = portal.begin(self._answer(turn))
        column.job.notify(self.changed)

    async def _answer(self, turn: Turn) -> None:
        try:
            async with aclosing(self._client.engine.stream(turn.request)) as pieces:
                async for piece in pieces:
                    if isinstance(piece, Inference):
                        turn.end(piece)
                    elif piece.restart is not None:
                        turn.restart()
                    else:
                        turn.feed(piece.text)
                    self.changed()
        except PRSMError as fault:
            turn.end(fault)
        finally:
            if turn.outcome is None:
                turn.end(CancelledError("Stopped here.", partial=Reply(text=turn.text)))

    def _stop(self, column: Column) -> None:
        if column.running and column.job is not None:
            column.job.cancel()


def _choice(model: Model) -> JSON:
    return {
        "name": model.name,
        "provider": model.provider,
        "price": _price(model),
        "retired": catalog.is_retired(model),
    }


def _price(model: Model) -> str:
    """USD per million tokens, in and out."""
    if model.price is None or model.price.input is None or model.price.output is None:
        return "price unknown"
    return f"${model.price.input:g} in, ${model.price.output:g} out per 1M"
