"""The portal: sync and async doors to one loop, and what an early end does to the work behind them."""

from __future__ import annotations

import asyncio
import os
import threading
import time

import pytest

from prsm_lab.engine import portal


async def answer() -> int:
    await asyncio.sleep(0)
    return 42


class Source:
    """An async iterator that says whether it was closed."""

    def __init__(self, items: int) -> None:
        self.items = items
        self.closed = threading.Event()
        self.given = 0

    async def __call__(self):
        try:
            while self.given < self.items:
                self.given += 1
                yield self.given
                await asyncio.sleep(0)
            if self.items == 1:
                await asyncio.Event().wait()
        finally:
            self.closed.set()


def test_a_sync_call_returns_what_the_coroutine_returns():
    """The plain case, twice over the same loop."""
    assert portal.call(answer()) == 42
    assert portal.call(answer()) == 42


async def test_a_sync_call_works_inside_a_running_loop():
    """A notebook cell runs inside the kernel's loop; the door must not need it."""
    assert portal.call(answer()) == 42


async def test_an_awaited_call_runs_on_the_portals_loop_not_on_the_callers():
    """Connections belong to one loop, whoever asks."""

    async def where():
        return asyncio.get_running_loop()

    assert await portal.arun(where()) is portal.loop()
    assert asyncio.get_running_loop() is not portal.loop()


def test_a_sync_door_called_from_inside_says_so_instead_of_waiting_for_itself():
    """That would be a deadlock."""

    async def inside() -> None:
        portal.call(answer())

    with pytest.raises(RuntimeError, match="async twin"):
        portal.call(inside())


def test_an_interrupt_while_waiting_cancels_the_work_and_waits_until_it_has_cleaned_up():
    """Ctrl-C in a cell must stop paying before the prompt is back."""
    cleaned = threading.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.set()

    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        portal.call(work(), tick=interrupt, every=0.01)

    assert cleaned.is_set()


async def test_cancelling_an_awaited_call_cancels_the_work():
    """The async door stops paying too."""
    began, cleaned = threading.Event(), threading.Event()

    async def work() -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.set()

    task = asyncio.create_task(portal.arun(work()))
    while not began.is_set():
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert cleaned.is_set()


def test_pieces_come_in_order_and_end():
    """The blocking iterator over an async one."""
    assert list(portal.Pieces(Source(3)())) == [1, 2, 3]


def test_closing_an_iterator_early_closes_its_source():
    """Leaving a `for` loop over a stream must close the connection behind it."""
    source = Source(1)
    pieces = portal.Pieces(source())
    assert next(pieces) == 1
    pieces.close()

    assert source.closed.is_set()
    assert list(pieces) == []


async def test_closing_an_async_iterator_early_closes_its_source():
    """The same across two loops."""
    source = Source(1)
    pieces = portal.AsyncPieces(source())
    assert await anext(pieces) == 1
    await pieces.aclose()

    assert source.closed.is_set()


def test_an_error_behind_an_iterator_reaches_the_caller_after_the_pieces_before_it():
    """Nothing that arrived is lost."""

    async def breaks():
        yield 1
        raise ValueError("broken")

    pieces = portal.Pieces(breaks())
    assert next(pieces) == 1
    with pytest.raises(ValueError, match="broken"):
        next(pieces)


def test_many_threads_share_one_loop():
    """Doors work from any thread."""
    got: list[int] = []
    threads = [threading.Thread(target=lambda: got.append(portal.call(answer()))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert got == [42] * 8


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_after_a_fork_the_child_starts_its_own_loop():
    """A forked child has no portal thread; waiting on the parent's would hang for ever."""
    portal.call(answer())
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, str(portal.call(answer())).encode())
        os._exit(0)
    os.close(writing)
    deadline = time.monotonic() + 10
    said = os.read(reading, 10)
    os.waitpid(child, 0)

    assert said == b"42"
    assert time.monotonic() < deadline
