"""The prompts of an estimate: rows become questions, equal ones one, and each gets its tokens."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from prsm_lab.ask import messages
from prsm_lab.catalog import tokens
from prsm_lab.engine.plan import MOST_IMAGE_TOKENS
from prsm_lab.frames import media, prompts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from prsm_lab.catalog.tokens import Counts, Tokenizer
    from prsm_lab.types import Message

EXACT: Final = 3_000_000
"""Characters that a tokenizer at hand counts whole (about 0.3 s); of more texts it counts a sample."""
SAMPLE: Final = 2_000
FRAME_ERROR: Final = 0.02
"""Of an exact count: what stands around the messages is the provider's own business."""
FRAME_BYTES: Final = 16
"""At most so many tokens stand around one message, where a cost is bounded from above (as in `engine.plan`)."""


class Questions(NamedTuple):
    """The distinct questions of one prompt over all rows."""

    messages: list[tuple[Message, ...]]
    texts: list[str]
    """The distinct texts in them."""
    places: Any
    """For each text of each question, in order: its place in `texts`."""
    begins: Any
    """For each question: where in `places` its texts begin."""
    counted: Counts
    """`catalog.tokens.counts` of each question."""
    frames: Any
    """Tokens around each question's messages."""
    most: Any
    """Tokens that each question has at most: one for each byte."""
    opaque: bool
    """There are images or documents among them, whose tokens are not counted."""

    def __len__(self) -> int:
        return len(self.messages)


class Sized(NamedTuple):
    """Prompt tokens of each question, and how good they are."""

    each: Counts
    error: float | None
    """Relative error of their sum; None: not known."""
    source: str


def questions(make: prompts.Maker, rows: Sequence[dict[Any, Any]], *, dedup: bool) -> Questions:
    """Make a prompt's questions; rows that lack what it needs have none.

    Args:
        make: From a row to its messages.
        rows: The data.
        dedup: Equal questions are one.
    """
    asked: list[tuple[Message, ...]] = []
    seen: set[Any] = set()
    for row in rows:
        try:
            made = messages(make(row))
        except (prompts.MissingValue, media.Unreadable):
            continue
        if dedup:
            key = _identity(made)
            if key in seen:
                continue
            seen.add(key)
        asked.append(made)
    return counted(asked)


def _identity(asked: tuple[Message, ...]) -> Any:
    if all(isinstance(message["content"], str) and len(message) == 2 for message in asked):
        return tuple((message["role"], message["content"]) for message in asked)
    return repr(asked)


def counted(asked: list[tuple[Message, ...]]) -> Questions:
    """Count what questions are made of; equal texts once."""
    known: dict[str, int] = {}
    places: list[int] = []
    begins: list[int] = []
    frames: list[int] = []
    opaque = np.zeros(len(asked))
    for n, question in enumerate(asked):
        begins.append(len(places))
        frames.append(len(question) * tokens.PER_MESSAGE + tokens.PER_QUESTION)
        for message in question:
            text, other = _text(message)
            opaque[n] += other
            places.append(known.setdefault(text, len(known)))
    texts = list(known)
    where = np.array(places, np.int64)
    sizes = np.array([len(text.encode("utf-8", "surrogatepass")) for text in texts], float)
    most = _summed(sizes[where], begins) + _summed(np.full(len(where), float(FRAME_BYTES)), begins)
    counted = _summed(tokens.counts(texts)[where], begins)
    most += opaque * MOST_IMAGE_TOKENS
    return Questions(asked, texts, where, begins, counted, np.array(frames, float), most, bool(opaque.any()))


def _text(message: Message) -> tuple[str, int]:
    """A message's text, tool calls written out; and how many images and documents are in it."""
    content, other = message.get("content"), 0
    parts = [content] if isinstance(content, str) else []
    for part in content if isinstance(content, (list, tuple)) else ():
        if part.get("type") == "text":
            parts.append(str(part.get("text") or ""))
        else:
            other += 1
    if message.get("tool_calls"):
        parts.append(repr(message["tool_calls"]))
    return "\n".join(parts), other


def _summed(figures: Any, begins: Sequence[int]) -> Any:
    """Sums over each question's texts; a question has at least one."""
    return np.add.reduceat(figures, begins, axis=0) if len(begins) else figures[:0]


def sized(asked: Questions, known: Tokenizer, beside: str) -> Sized:
    """Return the prompt tokens of questions.

    Args:
        asked: The questions.
        known: The model's tokenizer.
        beside: What is sent with each of them: tools and schema, as text.
    """
    extra = tokens.counts([beside])
    each = tokens.tokens(asked.counted, known) + asked.frames + float(tokens.tokens(extra, known)[0])
    error: float | None = tokens.error(asked.counted + extra, known)
    source = known.source
    count = tokens.exact(known)
    if count is not None and len(asked):
        each, error, source = _exactly(asked, known, each, float(sum(count([beside] if beside else []))), count)
    if asked.opaque:
        return Sized(each, None, f"{source}, images and documents not counted")
    return Sized(each, error, source)


def _exactly(
    asked: Questions, known: Tokenizer, each: Counts, beside: float, count: Any
) -> tuple[Counts, float | None, str]:
    """Let the tokenizer itself count all texts, or correct the estimate by a sample of them."""
    if sum(map(len, asked.texts)) <= EXACT:
        theirs = np.array(count(asked.texts), float)
        each = _summed(theirs[asked.places], asked.begins) + asked.frames + beside
        return each, FRAME_ERROR, f"counted by tiktoken ({known.name})"
    drawn = random.Random(0).sample(asked.texts, min(SAMPLE, len(asked.texts)))
    ours = tokens.tokens(tokens.counts(drawn), known)
    factor = sum(count(drawn)) / max(float(ours.sum()), 1.0)
    each = (each - asked.frames) * factor + asked.frames
    return each, 2 * FRAME_ERROR, f"characters by kind, corrected by tiktoken on {len(drawn):,} of the texts"
