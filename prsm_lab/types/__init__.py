"""Frozen values that every room speaks: what is asked, what comes back, what it cost.

Messages, tools and schemas stay plain JSON (OpenAI's shape): they are data that we carry, not behaviour.
Everything else is a `msgspec.Struct`: built in a fraction of a microsecond, encoded without a model.
Unknown is always None, never 0.
"""

from __future__ import annotations

from prsm_lab.types.answered import Attempt, Cost, Delta, Inference, Quota, Reply, Similar, ToolCall, Usage
from prsm_lab.types.asked import CachePolicy, Capabilities, Options, Request, Routing, Strategy, Target
from prsm_lab.types.base import JSON, FinishReason, Message, Value
from prsm_lab.types.judged import Vote, Winner
from prsm_lab.types.keyed import Key, Limits
from prsm_lab.types.known import Grade, Model, PriceLine, Query, Record, Report, Run
from prsm_lab.types.spent import Allowance

__all__ = [
    "JSON",
    "Allowance",
    "Attempt",
    "CachePolicy",
    "Capabilities",
    "Cost",
    "Delta",
    "FinishReason",
    "Grade",
    "Inference",
    "Key",
    "Limits",
    "Message",
    "Model",
    "Options",
    "PriceLine",
    "Query",
    "Quota",
    "Record",
    "Reply",
    "Report",
    "Request",
    "Routing",
    "Run",
    "Similar",
    "Strategy",
    "Target",
    "ToolCall",
    "Usage",
    "Value",
    "Vote",
    "Winner",
]
