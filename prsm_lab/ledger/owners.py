"""Which process wrote a row, and whether it still lives."""

from __future__ import annotations

import functools
import os
import time
from pathlib import Path
from typing import Final

ELSEWHERE_SECONDS: Final = 600.0
"""So long a row of another machine counts as alive: nobody here can look whether its process is."""


def this_process() -> str:
    """Return the mark of this process: the machine's start, its space of process ids, and its id there."""
    return f"{_place()}:{os.getpid()}"


def alive(owner: str, created: float) -> bool:
    """Tell whether the process of a mark still runs.

    Args:
        owner: Its mark.
        created: Unix time of the row that it wrote; decides for a process of another machine or container.
    """
    place, _, pid = owner.rpartition(":")
    if place != _place():
        return time.time() - created < ELSEWHERE_SECONDS
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # it lives, under another user
    return True


@functools.cache
def _place() -> str:
    """Tell where a process id means this process: on this start of this machine, in this container."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:
        import socket

        return socket.gethostname()
