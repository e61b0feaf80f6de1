"""A worker's side: send what the driver asks, and tell what came of it. It keeps nothing and decides nothing."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from contextlib import aclosing
from typing import TYPE_CHECKING, Final

from prsm_lab.engine import certificates, link
from prsm_lab.engine.windows import broken
from prsm_lab.errors import InternalError, InvalidRequestError, PRSMError
from prsm_lab.types import Reply

if TYPE_CHECKING:
    from collections.abc import Mapping

    from prsm_lab.engine.fleet import Invitation
    from prsm_lab.protocols import Provider

CONNECT_SECONDS: Final = 15.0
SILENT_SECONDS: Final = 60.0
"""A driver that was silent for so long is gone: nobody would hear the answers."""


async def serve(invitation: Invitation, windows: Mapping[str, Provider], version: str) -> int:
    """Send a driver's questions until its run ends or it is gone.

    Args:
        invitation: Where it is.
        windows: What is asked through; left open.
        version: This package's.

    Returns:
        How many questions were answered.

    Raises:
        InvalidRequestError: If the driver does not take this worker, or cannot be reached.
    """
    context = None if invitation.certificate is None else certificates.worker_context(invitation.certificate)
    lacks = await _lacks(windows, invitation.needs)
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            line = link.Link(
                *await asyncio.open_connection(
                    invitation.host, invitation.port, ssl=context,
                    server_hostname=None if context is None else invitation.host,
                )
            )  # fmt: skip
    except (OSError, TimeoutError) as fault:
        if isinstance(fault, ConnectionRefusedError):
            return 0  # the run is over: this task was begun late, or again
        raise InvalidRequestError(
            f"The worker {_name()} cannot reach its driver at {invitation.host}:{invitation.port} ({fault}). Set "
            "PRSM_DRIVER_HOST there to an address of the driver that workers reach.",
            details={"parameter": "engine"},
        ) from fault
    line.post(link.Hello(invitation.token, version, _name(), lacks))
    try:
        return await _Errands(line, windows).run()
    finally:
        await line.aclose()


async def _lacks(windows: Mapping[str, Provider], needs: list[str]) -> dict[str, str]:
    """Get ready for the providers of the run; those that cannot be asked from here, with the reason."""
    lacks = {}
    for name in needs:
        try:
            await windows[name].ready()
        except PRSMError as fault:
            lacks[name] = fault.message
    return lacks


def _name() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


class _Errands:
    """The questions that the driver has given to this worker."""

    def __init__(self, line: link.Link, windows: Mapping[str, Provider]) -> None:
        self._line, self._windows = line, windows
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._answered = 0

    async def run(self) -> int:
        """Hear the driver to its end; whatever the end is, nothing is asked any longer."""
        try:
            while True:
                try:
                    async with asyncio.timeout(SILENT_SECONDS):
                        told = await self._line.receive()
                except (*link.LOST, TimeoutError):
                    return self._answered
                match told:
                    case link.Ask():
                        self._tasks[told.n] = asyncio.create_task(self._send(told))
                    case link.Drop():
                        self._cancel(told.n)
                    case link.Beat():
                        self._line.post(told)
                    case link.End():
                        return self._answered
                    case link.Refused():
                        raise InvalidRequestError(f"Refused: {told.reason}.", details={"kind": "worker_mismatch"})
        finally:
            tasks = list(self._tasks.values())
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _cancel(self, n: int) -> None:
        task = self._tasks.get(n)
        if task is not None:
            task.cancel()

    async def _send(self, question: link.Ask) -> None:
        try:
            self._line.post(await self._told(question))
        finally:
            del self._tasks[question.n]

    async def _told(self, question: link.Ask) -> link.Message:
        window = self._windows.get(question.target.provider)
        try:
            if window is None:
                raise InternalError(f"The worker has no provider {question.target.provider!r}.")
            await window.ready()
            began = time.monotonic()
            async with aclosing(window.send(question.request, question.target, live=False)) as heard:
                async for item in heard:
                    if isinstance(item, Reply):
                        self._answered += 1
                        return link.Answered(question.n, item, (time.monotonic() - began) * 1000)
            raise InternalError(f"Provider {question.target.provider!r} ended without a reply.")
        except PRSMError as fault:
            return link.failed(question.n, fault)
        except Exception as bug:  # noqa: BLE001 -- the edge to code of third parties, as in `attempts`
            return link.failed(question.n, broken(question.target, bug))
