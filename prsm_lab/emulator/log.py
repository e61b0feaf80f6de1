"""What arrived, when, and what became of it: read by tests instead of trusting our own words."""

from __future__ import annotations

import threading
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass
class Entry:
    """One request. Times are `time.monotonic` seconds of this machine, comparable across processes."""

    n: int
    method: str
    path: str
    headers: dict[str, str]
    body: Any
    arrived: float
    model: str = ""
    prompt: str = ""
    """Text of the last user message."""
    fault: str | None = None
    status: int | None = None
    first_byte: float | None = None
    done: float | None = None
    """When the last byte was handed to the socket; None: it never was."""
    peer_closed: float | None = None
    """When the client left before the answer's end."""
    pieces: int = 0
    """Pieces of a stream that were sent."""
    price: float = 1.0
    """Of the list price, what an answer costs: half of it in a batch, whose items have the method `BATCH`."""


@dataclass
class Log:
    """All requests of one emulator; safe to read from other threads."""

    entries: list[Entry] = field(default_factory=list)
    open_requests: int = 0
    max_open: int = 0
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def arrive(self, method: str, path: str, headers: dict[str, str], body: Any) -> Entry:
        """Write down a new request."""
        with self._changed:
            entry = Entry(len(self.entries), method, path, headers, body, time.monotonic())
            self.entries.append(entry)
            self.open_requests += 1
            self.max_open = max(self.max_open, self.open_requests)
            self._changed.notify_all()
        return entry

    def leave(self, entry: Entry, *, done: bool, broken: bool = False) -> None:
        """Write down a request's end; one that we broke ourselves was neither finished nor left by its client."""
        with self._changed:
            self.open_requests -= 1
            if done:
                entry.done = time.monotonic()
            elif not broken:
                entry.peer_closed = entry.peer_closed or time.monotonic()
            self._changed.notify_all()

    def progress(self, entry: Entry) -> None:
        """Write down a piece that was sent."""
        entry.pieces += 1
        if entry.first_byte is None:
            entry.first_byte = time.monotonic()
            with self._changed:
                self._changed.notify_all()

    def wait_for(self, predicate: Callable[[Log], Any], seconds: float = 10.0) -> None:
        """Block until the log satisfies a predicate.

        Raises:
            TimeoutError: If it does not in so many seconds.
        """
        deadline = time.monotonic() + seconds
        with self._changed:
            while not predicate(self):
                if time.monotonic() > deadline:
                    raise TimeoutError(f"the emulator's log did not get there in {seconds} s: {self.entries[-3:]}")
                self._changed.wait(0.01)  # pieces of a stream are counted without a wake-up: they are many

    def arrivals(self, contains: str = "") -> list[Entry]:
        """Return requests for answers (listings of models are left out) whose prompt contains a text."""
        with self._changed:
            return [entry for entry in self.entries if entry.method == "POST" and contains in entry.prompt]

    def answered(self, contains: str = "") -> list[Entry]:
        """Return what a model answered whole, live or in a batch: what is paid, at `Entry.price`."""
        with self._changed:
            whole = (e for e in self.entries if e.model and e.status == 200 and e.done is not None)
            return [entry for entry in whole if contains in entry.prompt and entry.method in ("POST", "BATCH")]

    def clear(self) -> None:
        """Forget what was."""
        with self._changed:
            self.entries.clear()
            self.max_open = self.open_requests

    def to_json(self) -> list[dict[str, Any]]:
        """Return the entries as plain objects; authorization is not among them."""
        with self._changed:
            hidden = ("authorization", "x-api-key")
            return [
                {**asdict(entry), "headers": {k: v for k, v in entry.headers.items() if k not in hidden}}
                for entry in self.entries
            ]

    def __iter__(self) -> Iterator[Entry]:
        return iter(list(self.entries))

    def __len__(self) -> int:
        return len(self.entries)
