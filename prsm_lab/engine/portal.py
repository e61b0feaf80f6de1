"""The one place where sync meets async: a daemon thread with one event loop, started at first use.

Notebook cells run inside the kernel's own loop, which starves while a cell runs; so every engine lives on this
loop instead. Sync doors wait for it (`call`, `iterate`), async doors of other loops await it (`arun`,
`aiterate`). Whatever ends a wait early, a Ctrl-C, a cancelled task, a closed iterator, cancels the work itself
and lets it close its connections: that is what stops paying. After a fork the child starts its own loop and lets go
of the parent's connections.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import threading
import weakref
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator

T = TypeVar("T")

DRAIN_SECONDS = 2.0
"""How long an interrupted wait lets the cancelled work close its connections before it gives the prompt back."""

_START = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None
_pid: int | None = None


def loop() -> asyncio.AbstractEventLoop:
    """Return the portal's running loop; start its thread if this process has none yet."""
    global _loop, _pid
    with _START:
        if _loop is None or _pid != os.getpid() or _loop.is_closed():
            started = asyncio.new_event_loop()
            threading.Thread(target=_serve, args=(started,), name="prsm-lab", daemon=True).start()
            _loop, _pid = started, os.getpid()
        return _loop


def _serve(serving: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(serving)
    serving.run_forever()


def _let_go_of_the_parents() -> None:
    """In a forked child, put nothing in the place of its copies of the loop's sockets.

    What the parent closes would stay open for its peers: a provider would go on writing, and billing, an answer that
    nobody waits for, and a server's port would stay taken. Files, not objects, are let go of: those that still hold
    their numbers must not close somebody else's.
    """
    global _START
    _START = threading.Lock()  # a thread that held it is not here to release it
    if _loop is not None:
        _loop.set_exception_handler(lambda *_: None)  # what is left open here is not left open
    selector = getattr(_loop, "_selector", None)
    watched = set(() if selector is None or selector.get_map() is None else selector.get_map())
    for transport in list(getattr(_loop, "_transports", {}).values()):
        sock = getattr(transport, "_sock", None)  # reading may be paused, then it is not watched
        if sock is not None and sock.fileno() >= 0:
            watched.add(sock.fileno())
    if watched:
        nothing = os.open(os.devnull, os.O_RDWR)
        for number in watched:
            os.dup2(nothing, number, inheritable=False)
        os.close(nothing)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go_of_the_parents)


def inside() -> bool:
    """Tell whether the caller already runs on the portal's loop."""
    try:
        return asyncio.get_running_loop() is _loop and _pid == os.getpid()
    except RuntimeError:
        return False


class Job(Generic[T]):
    """One coroutine for the portal's loop, seen from another thread; `start` sets it to work.

    Making and starting are apart, so that whoever waits can start it where an interrupt is caught already: a Ctrl-C
    between the two would else leave it at work with nobody to stop it.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, T]) -> None:
        self._finished = threading.Event()
        self._callbacks: list[Callable[[], None]] = []
        self._task: asyncio.Task[T] | None = None
        self._cancelled = False
        self._coroutine = coroutine
        self._started = False
        self._loop = loop()

    def start(self) -> Self:
        """Set it to work, and return it."""
        self._started = True
        self._loop.call_soon_threadsafe(self._begin)
        return self

    def _begin(self) -> None:
        self._task = self._loop.create_task(self._coroutine)
        self._task.add_done_callback(self._end)
        if self._cancelled:
            self._task.cancel()

    def _end(self, task: asyncio.Task[T]) -> None:
        if not task.cancelled():
            task.exception()  # seen here, so that asyncio does not report it again when nobody asks for the result
        self._finished.set()
        for callback in self._callbacks:
            callback()

    def cancel(self) -> None:
        """Cancel the coroutine; it goes on until it has cleaned up (see `wait`)."""
        self._cancelled = True
        self._loop.call_soon_threadsafe(self._stop)

    def _stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
        elif not self._started:
            self._coroutine.close()
            self._finished.set()

    def wait(self, seconds: float | None = None) -> bool:
        """Block until the coroutine has ended, at most so many seconds; tell whether it has."""
        return self._finished.wait(seconds)

    @property
    def ended(self) -> bool:
        """Has it ended? Takes no lock: a finalizer may ask, which may run while this very thread holds one."""
        return self._finished.is_set()

    def notify(self, callback: Callable[[], None]) -> None:
        """Call back on the portal's loop when the coroutine has ended, also if it already has."""

        def register() -> None:
            if self._finished.is_set():
                callback()
            else:
                self._callbacks.append(callback)

        self._loop.call_soon_threadsafe(register)

    def result(self) -> T:
        """Return or raise what the ended coroutine returned or raised."""
        assert self._task is not None
        return self._task.result()


def begin(coroutine: Coroutine[Any, Any, T]) -> Job[T]:
    """Set a coroutine to work and return at once."""
    return Job(coroutine).start()


def call(coroutine: Coroutine[Any, Any, T], *, tick: Callable[[], None] | None = None, every: float = 0.1) -> T:
    """Run a coroutine on the portal's loop and block until it ends.

    Args:
        coroutine: What to run.
        tick: Called in the calling thread every `every` seconds while waiting (a progress bar repaints here).
        every: Seconds between ticks.

    Raises:
        RuntimeError: If called from the portal's own loop, which would wait for itself.

    >>> async def answer(): return 42
    >>> call(answer())
    42
    """
    if inside():
        coroutine.close()
        raise RuntimeError("a sync door was called from inside the engine's own loop; await its async twin instead")
    job = Job(coroutine)
    try:
        job.start()
        while not job.wait(every):
            if tick:
                tick()
    finally:
        if not job.wait(0):
            job.cancel()
            job.wait(DRAIN_SECONDS)
    if tick:
        tick()
    return job.result()


def finish(coroutine: Coroutine[Any, Any, None], seconds: float) -> None:
    """Run a last coroutine from a finalizer, which may come anywhere: at most so long, and never waiting for itself."""
    if _loop is None or _pid != os.getpid() or _loop.is_closed():
        coroutine.close()  # nothing was ever connected here
        return
    job = begin(coroutine)
    if not inside():
        job.wait(seconds)


async def arun(coroutine: Coroutine[Any, Any, T], *, tick: Callable[[], None] | None = None, every: float = 0.1) -> T:
    """Run a coroutine on the portal's loop and await it from any other loop; cancelling cancels it."""
    if inside():
        return await coroutine
    job, ended, here = Job(coroutine), asyncio.Event(), asyncio.get_running_loop()
    try:
        job.start().notify(lambda: _wake(here, ended.set))
        with _interruptible(here):
            while not ended.is_set():
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(ended.wait(), every if tick else None)
                if tick:
                    tick()
    finally:
        if not job.wait(0):
            job.cancel()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(ended.wait(), DRAIN_SECONDS)
    return job.result()


async def joined(job: Job[T]) -> T:
    """Await the end of a job from any loop; cancelling ends the waiting, not the job."""
    ended, here = asyncio.Event(), asyncio.get_running_loop()
    job.notify(lambda: _wake(here, ended.set))
    with _interruptible(here):
        await ended.wait()
    return job.result()


def _wake(there: asyncio.AbstractEventLoop, callback: Callable[[], object]) -> None:
    """Call on another loop, which may have been closed meanwhile: then nobody waits any more."""
    with contextlib.suppress(RuntimeError):
        there.call_soon_threadsafe(callback)


WAKE_SECONDS = 0.1
_pulses: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Pulse] = weakref.WeakKeyDictionary()


class _Pulse:
    """Wakes a loop now and then while somebody waits on it: one timer, however many wait."""

    def __init__(self) -> None:
        self.waiting = 0
        self._timer: asyncio.TimerHandle | None = None

    def beat(self, here: asyncio.AbstractEventLoop) -> None:
        self._timer = here.call_later(WAKE_SECONDS, self.beat, here)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


@contextlib.contextmanager
def _interruptible(here: asyncio.AbstractEventLoop) -> Iterator[None]:
    """Let a Ctrl-C through to an `await` in a notebook cell.

    ipykernel's handler cancels the cell's task but does not wake its loop, which would sleep until the answer comes.
    """
    pulse = _pulses.setdefault(here, _Pulse())
    pulse.waiting += 1
    if pulse.waiting == 1:
        pulse.beat(here)
    try:
        yield
    finally:
        pulse.waiting -= 1
        if not pulse.waiting:
            pulse.stop()


_END = object()


async def _pump(items: AsyncIterator[Any], put: Callable[[object], None]) -> None:
    """Own an async iterator from first to last item: cancelling this task closes it, and its connection."""
    try:
        async for item in items:
            put(item)
    finally:
        close = getattr(items, "aclose", None)
        if close is not None:
            await close()


def _abandon(job: Job[None]) -> None:
    """Nobody holds the pieces any more: stop what makes them, and is paid for."""
    if _pid == os.getpid() and not job.ended:
        with contextlib.suppress(RuntimeError):  # the loop has ended, and the job with it
            job.cancel()


class Pieces(Generic[T]):
    """A blocking iterator over an async one on the portal's loop. Closing it cancels the work behind it."""

    def __init__(self, items: AsyncIterator[T]) -> None:
        self._queue = pieces = queue.SimpleQueue[Any]()
        self._ended = False
        self._job = Job(_pump(items, pieces.put))
        weakref.finalize(self, _abandon, self._job).atexit = False
        try:
            self._job.start().notify(lambda: pieces.put(_END))
        except BaseException:
            self._job.cancel()
            raise

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        try:
            item: Any = _END if self._ended else self._get()
        except BaseException:
            self.close()
            raise
        if item is _END:
            if not self._ended:
                self._ended = True
                self._job.result()
            raise StopIteration
        return item  # type: ignore[no-any-return]

    def _get(self) -> Any:
        while True:  # a timed wait, so that Ctrl-C gets through on every platform
            with contextlib.suppress(queue.Empty):
                return self._queue.get(timeout=0.1)

    def close(self) -> None:
        """Stop the work behind the iterator and wait until its connections are closed."""
        self._ended = True
        if not self._job.wait(0):
            self._job.cancel()
            self._job.wait(DRAIN_SECONDS)


class AsyncPieces(Generic[T]):
    """The same for callers on another loop."""

    def __init__(self, items: AsyncIterator[T]) -> None:
        self._here = asyncio.get_running_loop()
        self._queue: asyncio.Queue[Any] = asyncio.Queue()
        here, pieces = self._here, self._queue
        self._ended = False
        self._job = Job(_pump(items, lambda item: _wake(here, lambda: pieces.put_nowait(item))))
        weakref.finalize(self, _abandon, self._job).atexit = False
        self._job.start().notify(lambda: _wake(here, lambda: pieces.put_nowait(_END)))

    def __aiter__(self) -> AsyncIterator[T]:
        return self

    async def __anext__(self) -> T:
        if self._ended:
            raise StopAsyncIteration
        try:
            with _interruptible(self._here):
                item = await self._queue.get()
        except BaseException:
            self._stop()
            raise
        if item is _END:
            self._ended = True
            self._job.result()
            raise StopAsyncIteration
        return item  # type: ignore[no-any-return]

    def _stop(self) -> None:
        self._ended = True
        self._job.cancel()

    async def aclose(self) -> None:
        """Stop the work behind the iterator and wait until its connections are closed."""
        if self._job.wait(0):
            self._ended = True
            return
        ended = asyncio.Event()
        self._job.notify(lambda: _wake(self._here, ended.set))
        self._stop()
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(ended.wait(), DRAIN_SECONDS)
