"""Server-sent events from bytes, however they are cut: a pure, incremental splitter.

What arrived in one read is split in one go; a line that is not whole waits for the next read. LF, CRLF and CR end
lines; comments, ids and retry times are skipped; a BOM is taken off.
"""

from __future__ import annotations

from typing import NamedTuple


class Event(NamedTuple):
    """One event: its name, if it has one, and its data lines joined by newlines."""

    name: bytes | None
    data: bytes


class Splitter:
    """Turns reads into events.

    >>> splitter = Splitter()
    >>> splitter.feed(b"data: 1")
    []
    >>> splitter.feed(b"\\n\\nevent: end\\ndata: 2\\n\\n")
    [Event(name=None, data=b'1'), Event(name=b'end', data=b'2')]
    """

    def __init__(self) -> None:
        self._rest: list[bytes] = []
        self._begun = False
        self._cr = False
        self._name: bytes | None = None
        self._data: list[bytes] = []

    def feed(self, read: bytes) -> list[Event]:
        """Take what one read brought and return the events that it completes."""
        if self._begun and b"\n" not in read and b"\r" not in read and not self._cr:
            self._rest.append(read)  # a long line in small reads is joined once, at its end
            return []
        buffer = b"".join((*self._rest, read))
        self._rest = []
        if not self._begun:
            if len(buffer) < 3 and b"\xef\xbb\xbf".startswith(buffer):
                self._rest = [buffer]
                return []
            self._begun, buffer = True, buffer.removeprefix(b"\xef\xbb\xbf")
        # A CR at the very end may be the first half of CRLF: it waits for the next read.
        held = b"\r" if buffer.endswith(b"\r") else b""
        if b"\r" in buffer:
            buffer = buffer[: len(buffer) - len(held)].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        whole, newline, rest = buffer.rpartition(b"\n")
        self._rest, self._cr = [rest + held], bool(held)
        return self._lines(whole.split(b"\n")) if newline else []

    def close(self) -> list[Event]:
        """Return the last event of a stream that ended without a blank line."""
        rest, self._rest = b"".join(self._rest).removesuffix(b"\r"), []
        return self._lines([rest, b""])

    def _lines(self, lines: list[bytes]) -> list[Event]:
        events = []
        for line in lines:
            if not line:
                if self._data:
                    events.append(Event(self._name, b"\n".join(self._data)))
                    self._data = []
                self._name = None
                continue
            field, _, value = line.partition(b":")
            if field == b"data":
                self._data.append(value.removeprefix(b" "))
            elif field == b"event":
                self._name = value.removeprefix(b" ")
        return events
