"""A run over the workers of an engine that is there already: Dask, Ray, or whatever joblib knows.

joblib starts one task per worker, which serves this process until the run ends (`client.worker`). Answers come back one
by one and are in the ledger before the next question is sent: joblib's own results, all or nothing, carry none.
"""

from __future__ import annotations

import asyncio
import difflib
import ipaddress
import os
import socket
import sys
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

import prsm_lab
from prsm_lab.client import compose
from prsm_lab.client.worker import work
from prsm_lab.engine.fleet import AWAY, Fleet
from prsm_lab.errors import InvalidRequestError, ProviderError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from prsm_lab.client import Client
    from prsm_lab.client.compose import Outfit
    from prsm_lab.engine.fleet import Invitation
    from prsm_lab.types import Request

JOIN_SECONDS: Final = 120.0
"""The longest that a run goes on without any worker."""
LAUNCHES: Final = 3
"""Times in a row that joblib may lose its workers without one answer in between."""
LEAVE_SECONDS: Final = 10.0
_HERE: Final = ("local", "threading", "sequential")
"""Nothing to be spread over: this process asks as many at once as all its threads could."""
_REMEDY: Final = {
    "dask": 'pip install "prsm-lab[dask]", then dask.distributed.Client(…) connects to a cluster or starts one',
    "ray": 'pip install "prsm-lab[ray]", then ray.init(…) connects to a cluster or starts one',
}


class Cluster(NamedTuple):
    """Where a run's questions are sent from."""

    name: str
    backend: Any
    """joblib's."""
    workers: int


def chosen(name: str | None) -> Cluster | None:
    """Return the engine that a call names, or that `joblib.parallel_config` has set in this thread.

    Args:
        name: `local`, `dask`, `ray`, or another backend of joblib; None: what is in force.

    Returns:
        None where this process asks itself.

    Raises:
        InvalidRequestError: If there is no such engine, or it is not running.

    >>> chosen(None) is None, chosen("local") is None
    (True, True)
    """
    if name in _HERE or (name is None and "joblib" not in sys.modules):
        return None
    if name is not None and not isinstance(name, str):
        raise _refused(f"engine={name!r} is no name; give 'local', 'dask', 'ray' or another backend of joblib.")
    from joblib import parallel

    if name is None:
        return _of("joblib", *parallel.get_active_backend())
    try:
        if name == "ray":
            _register_ray()
        with parallel.parallel_config(backend=name):
            backend, jobs = parallel.get_active_backend()
    except (ValueError, ImportError, KeyError) as fault:
        raise _unknown(name, fault, sorted({*parallel.BACKENDS, *parallel.EXTERNAL_BACKENDS, "ray"})) from fault
    return _of(name, backend, -1 if jobs is None else jobs)


def _of(name: str, backend: Any, jobs: int | None) -> Cluster | None:
    if jobs is None and type(backend).__name__ == "LokyBackend":
        return None  # joblib's default, which nobody asked for
    if getattr(backend, "uses_threads", False) or getattr(backend, "supports_sharedmem", False):
        return None
    workers = int(backend.effective_n_jobs(-1 if jobs is None else jobs))
    return Cluster(name, backend, workers) if workers > 1 or name != "joblib" else None


def _register_ray() -> None:
    import ray
    from ray.util.joblib import register_ray

    if not ray.is_initialized():
        raise ValueError("it was not started")
    register_ray()


def _unknown(name: str, fault: Exception, known: list[str]) -> InvalidRequestError:
    if name in _REMEDY:
        return _refused(f"engine={name!r} is not there ({str(fault).splitlines()[0]}): {_REMEDY[name]}.")
    near = difflib.get_close_matches(name, known, 1)
    meant = f" Did you mean {near[0]!r}?" if near else ""
    return _refused(f"There is no engine {name!r}; joblib knows {', '.join(known)}.{meant}")


def _refused(message: str) -> InvalidRequestError:
    return InvalidRequestError(message, details={"parameter": "engine"})


# ------------------------------------------------------------------------------------------------------- a run


async def over(
    engine: Cluster, client: Client, templates: Iterable[Request], *, most: int, ask: Callable[[], Awaitable[None]]
) -> dict[str, Any]:
    """Ask a run's questions through an engine's workers.

    Args:
        engine: Where they are.
        client: Whose providers are asked; it must be embedded.
        templates: Questions of each kind that the run has.
        most: Workers that are of use: questions in flight.
        ask: Asks them, on this loop.

    Returns:
        What there is to tell: `engine`, `workers` that joined, workers `lost`.

    Raises:
        InvalidRequestError: If no worker can do it: other versions, code that cannot travel.
        ProviderError: If the workers are gone for good; what was answered is kept.
    """
    choosing = getattr(client.engine, "choosing", None)
    if choosing is None:
        raise _refused("engine= spreads what this process asks; a share server asks itself. Leave it out.")
    needs = sorted({target.provider for one in templates for target in choosing.candidates(one)})
    places = client.outfit.places
    if client.reach is not None:
        places = compose.places(client.reach.accesses)
    async with Fleet.opened(prsm_lab.__version__, _host(engine), places=places, needs=needs) as (fleet, invitation):
        here = AWAY.set(fleet)
        asking = asyncio.ensure_future(ask())  # its tasks inherit who sends
        AWAY.reset(here)
        hands = asyncio.ensure_future(_keep(engine, fleet, invitation, client.outfit, min(most, engine.workers)))
        watch = asyncio.ensure_future(_watch(fleet))
        try:
            await asyncio.wait({asking, hands, watch}, return_when=asyncio.FIRST_COMPLETED)
            if not asking.done():
                for gone in (hands, watch):
                    if gone.done():
                        gone.result()
            await asking
        finally:
            asking.cancel()
            watch.cancel()
            await asyncio.gather(asking, watch, return_exceptions=True)
            await fleet.dismiss()
            await asyncio.wait({hands}, timeout=LEAVE_SECONDS)
            hands.cancel()
    return {"engine": engine.name, "workers": fleet.joined, "lost": fleet.lost}


async def _keep(engine: Cluster, fleet: Fleet, invitation: Invitation, outfit: Outfit, workers: int) -> None:
    """Keep joblib's tasks running for as long as the run does; it ends them all when one worker dies (loky, Ray)."""
    futile = 0
    while True:
        before = fleet.answered
        try:
            await asyncio.to_thread(_launch, engine, msgspec.json.encode(invitation), outfit, workers)
        except Exception as fault:  # noqa: BLE001 -- the edge to joblib's backends: each has faults of its own
            if fleet.ended:
                return
            futile = 1 if fleet.answered > before else futile + 1
            if futile == LAUNCHES or _hopeless(fault):
                raise _gone(fault, fleet) from None
        else:
            if not fleet.ended:
                raise _gone(None, fleet)
            return


def _launch(engine: Cluster, invitation: bytes, outfit: Outfit, workers: int) -> None:
    from joblib import Parallel, delayed

    call = delayed(work)
    parallel = Parallel(n_jobs=workers, backend=engine.backend, batch_size=1, pre_dispatch="all")
    parallel(call(invitation, outfit.own, outfit.mocked) for _ in range(workers))


def _hopeless(fault: Exception) -> bool:
    """Would it be the same again?"""
    return isinstance(fault, (InvalidRequestError, TypeError, AttributeError, ImportError)) or "pickl" in str(fault)


def _gone(fault: Exception | None, fleet: Fleet) -> InvalidRequestError | ProviderError:
    if fleet.refusals:
        return InvalidRequestError(
            f"A worker is not of this version: {fleet.refusals[0]}. Install the same on both sides; nothing was sent.",
            details={"parameter": "engine", "kind": "worker_mismatch"},
        )
    if isinstance(fault, InvalidRequestError):
        return fault
    if isinstance(fault, ImportError):
        return _refused(f"The workers cannot import what they need ({fault}): install prsm_lab there too.")
    why = "they ended" if fault is None else f"{type(fault).__name__}: {str(fault)[:300]}"
    if fault is not None and _hopeless(fault):
        return _refused(f"What the client holds cannot travel to the workers: {why}.")
    return ProviderError(
        f"The engine's workers are gone ({why}). What was answered is kept: the same call asks the rest.",
        details={"kind": "workers"}, verdict="stop",
    )  # fmt: skip


async def _watch(fleet: Fleet) -> None:
    """Do not wait for ever where nobody comes."""
    while True:
        try:
            async with asyncio.timeout(JOIN_SECONDS):
                await fleet.manned.wait()
        except TimeoutError:
            raise ProviderError(
                f"No worker has joined for {JOIN_SECONDS:.0f} s: they are busy with other tasks, or cannot reach this "
                "process (PRSM_DRIVER_HOST names an address that they reach). The same call asks what is missing.",
                details={"kind": "workers"}, verdict="stop",
            ) from None  # fmt: skip
        await fleet.deserted.wait()


def _host(engine: Cluster) -> str:
    """The address of this machine that the workers reach: the loopback where they are here too."""
    named = os.environ.get("PRSM_DRIVER_HOST")
    if named:
        try:
            return str(ipaddress.ip_address(named))
        except ValueError:
            raise _refused(f"PRSM_DRIVER_HOST={named!r} is no IP address of this machine.") from None
    scheduler = getattr(getattr(engine.backend, "client", None), "scheduler", None)
    if scheduler is not None:  # Dask's
        return _towards(str(scheduler.address).rpartition("//")[2].rpartition(":")[0].strip("[]"))
    if "ray" in sys.modules and engine.name in ("ray", "joblib") and "ray" in type(engine.backend).__module__:
        import ray

        nodes = {str(node["NodeManagerAddress"]) for node in ray.nodes() if node["Alive"]}
        return "127.0.0.1" if len(nodes) == 1 else _towards(next(iter(nodes)))
    return "127.0.0.1"


def _towards(host: str) -> str:
    """This machine's address on the way to another one; no packet is sent."""
    if not host or host.startswith("127.") or host in ("localhost", "::1"):
        return "127.0.0.1"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((host, 9))
        return str(probe.getsockname()[0])
