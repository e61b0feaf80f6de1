"""Result columns: their names, their order, their types; and how outcomes become a frame.

Every column has an explicit nullable type, so that an empty run, a failed run and a full run have the same schema.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from prsm_lab.errors import PRSMError

if TYPE_CHECKING:
    import pandas as pd

    from prsm_lab.types import Inference

TYPES: Final[dict[str, str]] = {
    "model": "string", "provider": "string", "served_model": "string", "response": "string",
    "finish_reason": "string", "prompt_tokens": "Int64", "completion_tokens": "Int64", "cached_tokens": "Int64",
    "reasoning_tokens": "Int64", "cost": "float64", "latency_ms": "Float64", "ttft_ms": "Float64",
    "cached": "boolean", "attempts": "Int64", "error": "string", "error_code": "string", "inference_id": "string",
}  # fmt: skip
"""Name to pandas type, in the order of the frame; `cost` is a plain float: NaN where the price is unknown."""

NAMES: Final = tuple(TYPES)

Outcome = "Inference | PRSMError | None"

_TEXTS: Final = ("model", "provider", "served_model", "response", "finish_reason", "inference_id")
_NUMBERS: Final = (
    "prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens", "cost", "latency_ms", "ttft_ms",
    "attempts",
)  # fmt: skip
_UNKNOWN: Final = float("nan")


class Outcomes(Sequence["Inference | PRSMError | None"]):
    """What came of a run's questions, as columns: some 200 bytes a row and its text, where an `Inference` takes 2 KB.

    Read back, an answer has what the columns hold, and its tool calls; its attempts, reasoning and times stay in the
    ledger. One thread writes, others may read: a row that is there is whole.

    Args:
        rows: How many questions there are; none has an outcome yet.
    """

    def __init__(self, rows: int) -> None:
        self._texts: dict[str, list[Any]] = {name: [None] * rows for name in _TEXTS}
        self._numbers = {name: array("d", [_UNKNOWN]) * rows for name in _NUMBERS}
        self._cached = bytearray(rows)
        self._whole: dict[int, Inference] = {}
        self._names: dict[str, str] = {}
        self.failed: dict[int, PRSMError] = {}
        """The errors, by row."""

    @classmethod
    def of(cls, outcomes: Sequence[Inference | PRSMError | None]) -> Outcomes:
        """Gather what is there already."""
        made = cls(len(outcomes))
        for position, outcome in enumerate(outcomes):
            if outcome is not None:
                made.put(position, outcome)
        return made

    def put(self, position: int, outcome: Inference | PRSMError) -> None:
        """Set a row's outcome."""
        if isinstance(outcome, PRSMError):
            if outcome.answer is not None:  # it was paid for: what it said and cost stays with the row
                self._write(position, outcome.answer)
            self.failed[position] = outcome
            return
        self._write(position, outcome)
        self._texts["inference_id"][position] = outcome.id  # last: it says that the row is there
        self.failed.pop(position, None)

    def _write(self, position: int, answer: Inference) -> None:
        texts, usage = self._texts, answer.usage
        texts["model"][position] = self._name(answer.requested_model)
        texts["provider"][position] = self._name(answer.provider)
        texts["served_model"][position] = self._name(answer.served_model)
        texts["finish_reason"][position] = self._name(answer.finish_reason)
        texts["response"][position] = answer.content
        figures = (
            usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens, usage.reasoning_tokens,
            answer.cost.amount, answer.latency_ms, answer.ttft_ms, len(answer.attempts),
        )  # fmt: skip
        for column, value in zip(self._numbers.values(), figures, strict=True):
            column[position] = _UNKNOWN if value is None else value
        self._cached[position] = answer.cached
        if answer.tool_calls or answer.dropped:
            self._whole[position] = answer

    def forget(self, position: int) -> None:
        """Take an error away: the row is asked again."""
        self.failed.pop(position, None)

    def is_open(self, position: int) -> bool:
        """Tell whether a row has no outcome."""
        return self._texts["inference_id"][position] is None and position not in self.failed

    def __len__(self) -> int:
        return len(self._cached)

    def __getitem__(self, position: Any) -> Any:
        if isinstance(position, slice):
            return [self[n] for n in range(*position.indices(len(self)))]
        if position in self.failed:
            return self.failed[position]
        if self._texts["inference_id"][position] is None:  # a position beyond the end is an IndexError here
            return None
        return self._whole.get(position) or self._answer(position)

    def _name(self, name: str | None) -> str | None:
        """One object for equal names: a ledger's rows bring each their own."""
        return None if name is None else self._names.setdefault(name, name)

    def _answer(self, position: int) -> Inference:
        from prsm_lab.types import Cost, Inference, Usage

        text = {name: values[position] for name, values in self._texts.items()}
        figure = {name: values[position] for name, values in self._numbers.items()}
        known: dict[str, Any] = {name: None if math.isnan(value) else value for name, value in figure.items()}
        tokens: dict[str, Any] = {name: known[name] and int(known[name]) for name in _NUMBERS[:4]}
        return Inference(
            id=text["inference_id"], requested_model=text["model"], model=text["model"], provider=text["provider"],
            content=text["response"], finish_reason=text["finish_reason"], usage=Usage(**tokens),
            cost=Cost(amount=known["cost"]), latency_ms=known["latency_ms"], ttft_ms=known["ttft_ms"],
            cached=bool(self._cached[position]), served_model=text["served_model"],
        )  # fmt: skip

    def columns(self) -> dict[str, Any]:
        """Return the result columns as they are at this moment: texts as lists, figures as arrays in which NaN is
        unknown."""
        import numpy as np
        import pandas as pd

        failed, ids = dict(self.failed), list(self._texts["inference_id"])
        there = np.fromiter((one is not None for one in ids), bool, len(ids))
        there[[position for position, error in failed.items() if error.answer is not None]] = True
        flags = there.tolist()
        made: dict[str, Any] = {
            name: [value if flag else None for value, flag in zip(values, flags, strict=True)]
            for name, values in self._texts.items()
        }
        made |= {
            name: np.where(there, np.frombuffer(numbers, "d") if flags else there, np.nan)
            for name, numbers in self._numbers.items()
        }
        made |= {name: [None] * len(ids) for name in ("error", "error_code")}
        for position, error in failed.items():
            made["provider"][position], made["inference_id"][position] = error.provider, error.inference_id
            made["error"][position], made["error_code"][position] = error.message, error.code
            made["attempts"][position] = len(error.attempts)
        cached = np.array(memoryview(self._cached), dtype=bool)
        cached[list(failed)], there[list(failed)] = False, True
        made["cached"] = pd.arrays.BooleanArray(cached, ~there)
        return made


def results(
    outcomes: Sequence[Inference | PRSMError | None], *, asked: Sequence[str] | None = None, index: Any = None
) -> pd.DataFrame:
    """Return one row per outcome with the result columns.

    Args:
        outcomes: An answer, an error, or None for a question that was not asked.
        asked: The variant of each row, where it is not what the inference itself says.
        index: The frame's index.
    """
    import pandas as pd

    found = (outcomes if isinstance(outcomes, Outcomes) else Outcomes.of(outcomes)).columns()
    if asked is not None:
        found["model"] = list(asked)
    made = {name: _typed(found.pop(name), kind) for name, kind in TYPES.items()}
    return pd.DataFrame(made, index=index, copy=False)


def _typed(values: Any, kind: str) -> Any:
    """A column of its type; unknown figures are NaN in `values`, and NA where the type has one."""
    import numpy as np
    import pandas as pd

    if kind == "string":
        return pd.array(values, dtype="string")
    if kind == "Int64":
        unknown = np.isnan(values)
        return pd.arrays.IntegerArray(np.where(unknown, 0, values).astype("int64"), unknown)
    if kind == "Float64":
        return pd.arrays.FloatingArray(values, np.isnan(values))
    return values
