"""Server-sent events, however the network cuts them."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prsm_lab.providers.sse import Event, Splitter


def split(*reads: bytes) -> list[Event]:
    """All events of these reads."""
    splitter = Splitter()
    events = [event for read in reads for event in splitter.feed(read)]
    return events + splitter.close()


def pieces(whole: bytes, cuts: list[int]) -> list[bytes]:
    """The whole, cut somewhere."""
    edges = [0, *sorted(cut % (len(whole) + 1) for cut in cuts), len(whole)]
    return [whole[a:b] for a, b in pairwise(edges)]


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (b"data: 1\n\n", [(None, b"1")]),
        (b"data:1\n\n", [(None, b"1")]),
        (b"data:  1\n\n", [(None, b" 1")]),
        (b"data: 1\r\n\r\n", [(None, b"1")]),
        (b"event: e\r\ndata: 1\r\ndata: 2\r\n\r\n", [(b"e", b"1\n2")]),
        (b"data: 1\r\r", [(None, b"1")]),
        (b"data: 1\r\n\ndata: 2\r\r\n", [(None, b"1"), (None, b"2")]),
        (b"data: 1\ndata: 2\n\n", [(None, b"1\n2")]),
        (b"event: error\ndata: {}\n\ndata: 2\n\n", [(b"error", b"{}"), (None, b"2")]),
        (b": OPENROUTER PROCESSING\n\ndata: 1\n\n", [(None, b"1")]),
        (b"data: 1\n: in between\ndata: 2\n\n", [(None, b"1\n2")]),
        (b"retry: 3000\n\ndata: 1\n\n", [(None, b"1")]),
        (b"event: ping\n\ndata: 1\n\n", [(None, b"1")]),
        (b"id: 7\ndata: 1\n\nid: 8\n\n", [(None, b"1")]),
        (b"\xef\xbb\xbfdata: 1\n\n", [(None, b"1")]),
        (b"data: 1", [(None, b"1")]),
        (b"data: 1\n\nevent: end\ndata: 2\n", [(None, b"1"), (b"end", b"2")]),
        (b"data: 1\n\nda", [(None, b"1")]),
        ("data: a\u2028b\x0bc\x85\n\n".encode(), [(None, "a\u2028b\x0bc\x85".encode())]),
        (b"\n\n\n", []),
        (b"", []),
    ],
)
def test_each_form_that_the_standard_and_servers_know(stream, expected):
    """Line ends, comments, names, many data lines, a BOM, an end without a blank line."""
    assert split(stream) == [Event(*event) for event in expected]


PARTS = st.lists(
    st.sampled_from(
        [
            b"data: ", b"data:", b"data", b"event: e", b"event:", b": c", b"retry: 1", b"id: 1", b"\n", b"\r", b"\r\n",
            b"\n\n", b"\r\n\r\n", b"x", b"{}", "é😀".encode(), b"\xff", b"\xef\xbb\xbf", b" ",
        ]
    ),
    max_size=24,
)  # fmt: skip


@given(PARTS, st.lists(st.integers(0, 10_000), max_size=12))
def test_the_same_events_for_every_cut_of_the_bytes(parts, cuts):
    """Where the network cuts a stream says nothing about it."""
    whole = b"".join(parts)

    assert split(*pieces(whole, cuts)) == split(whole)


@given(PARTS)
def test_the_same_events_byte_by_byte(parts):
    """The finest cut of all, which falls into every CRLF and every character."""
    whole = b"".join(parts)

    assert split(*(whole[i : i + 1] for i in range(len(whole)))) == split(whole)


@given(st.lists(st.binary(min_size=1).filter(lambda d: not {10, 13} & set(d) and not d.startswith(b" ")), max_size=6))
def test_what_was_written_is_read(datas):
    """Encoding events and splitting them again gives them back."""
    whole = b"".join(b"data: " + data + b"\n\n" for data in datas)

    assert [event.data for event in split(whole)] == datas


def test_events_come_with_the_read_that_completes_them():
    """Nothing waits for the next read, a CR at the very end alone excepted."""
    splitter = Splitter()

    assert splitter.feed(b"data: 1\n") == []
    assert splitter.feed(b"\ndata: 2\r\n\r\n") == [Event(None, b"1"), Event(None, b"2")]


@pytest.mark.timeout(8)
def test_a_long_line_in_small_reads_costs_linear_time():
    """Eight megabytes without a line end in 64-byte reads are joined once, not a hundred thousand times."""
    splitter, whole = Splitter(), b"data: " + b"x" * 8_000_000
    for start in range(0, len(whole), 64):
        assert splitter.feed(whole[start : start + 64]) == []

    assert splitter.close() == [Event(None, b"x" * 8_000_000)]
