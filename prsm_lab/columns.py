"""Result columns: their names, their order, their types; and how outcomes become a frame.

Every column has an explicit nullable type, so that an empty run, a failed run and a full run have the same schema.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from prsm_lab.errors import PRSMError

if TYPE_CHECKING:
    from collections.abc import Sequence

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

    columns: dict[str, list[Any]] = {name: [None] * len(outcomes) for name in NAMES}
    for position, outcome in enumerate(outcomes):
        if isinstance(outcome, PRSMError):
            _failed(columns, position, outcome)
        elif outcome is not None:
            _answered(columns, position, outcome)
    if asked is not None:
        columns["model"] = list(asked)
    made: dict[str, Any] = {name: pd.array(columns[name], dtype=cast("Any", kind)) for name, kind in TYPES.items()}
    return pd.DataFrame({name: made[name] for name in NAMES}, index=index, copy=False)


def _answered(columns: dict[str, list[Any]], position: int, inference: Inference) -> None:
    usage = inference.usage
    values = (
        inference.requested_model, inference.provider, inference.served_model, inference.content,
        inference.finish_reason, usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens,
        usage.reasoning_tokens, inference.cost.amount, inference.latency_ms, inference.ttft_ms, inference.cached,
        len(inference.attempts), None, None, inference.id,
    )  # fmt: skip
    for name, value in zip(NAMES, values, strict=True):
        columns[name][position] = value


def _failed(columns: dict[str, list[Any]], position: int, error: PRSMError) -> None:
    if error.answer is not None:  # it was paid for: what it said and cost stays with the row
        _answered(columns, position, error.answer)
    columns["provider"][position] = error.provider
    columns["attempts"][position] = len(error.attempts)
    columns["error"][position] = error.message
    columns["error_code"][position] = error.code
    columns["inference_id"][position] = error.inference_id
    columns["cached"][position] = False
