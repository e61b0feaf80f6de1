"""The base of all values, and plain JSON."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec

JSON: TypeAlias = dict[str, Any]
"""A JSON object as `json.loads` gives it."""

Message: TypeAlias = dict[str, Any]
"""One chat message in OpenAI's shape: `role`, `content` (text or parts), `tool_calls`, `tool_call_id`."""

FinishReason = Literal["stop", "length", "tool_calls", "content_filter"]


class Value(msgspec.Struct, frozen=True, kw_only=True, repr_omit_defaults=True):
    """Base of all values: immutable, compared by content, named fields only; a repr shows what is set.

    Those that are made by the thousand and hold texts, numbers and JSON only have `gc=False`: no cycle can go through
    them, so the collector need not look.
    """
