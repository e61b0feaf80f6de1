"""The emulator's life: its own thread and loop in this process, or a process of its own."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from prsm_lab.emulator.desk import Desk
from prsm_lab.emulator.http import Connection
from prsm_lab.emulator.log import Log
from prsm_lab.emulator.models import Mind, Profile
from prsm_lab.emulator.prompt_cache import PromptCache

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from prsm_lab.emulator.batches import Pace
    from prsm_lab.emulator.faults import Rule


class Emulator:
    """A running emulator; a context manager that stops it."""

    def __init__(self, desk: Desk, seed: int) -> None:
        self.log: Log = desk.log
        """Every request, with its times and its end."""
        self.url = ""
        self._desk = desk
        self._seed = seed
        self._loop = asyncio.new_event_loop()
        self._server: asyncio.Server | None = None
        self._thread = threading.Thread(target=self._run, name="prsm-lab-emulator", daemon=True)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    def _open(self, port: int) -> None:
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._listen(port), self._loop).result()
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _listen(self, port: int) -> asyncio.Server:
        return await self._loop.create_server(lambda: Connection(self._desk.handle), "127.0.0.1", port, backlog=4096)

    def providers(self) -> dict[str, dict[str, str]]:
        """Return what `Client(providers=…)` takes to talk to this emulator instead of the real providers.

        The origin names the seed, not the port: a later emulator of the same seed gives the same answers, so a
        run against it finds them; and they never pass for real ones.
        """
        origin = {"api_key": "emulated", "origin": f"emulator:{self._seed}"}
        return {
            "openai": {"base_url": f"{self.url}/v1", **origin},
            "anthropic": {"base_url": self.url, **origin},
            "huggingface": {"base_url": f"{self.url}/v1", **origin},
        }

    def environ(self) -> dict[str, str]:
        """Return environment variables that point the official SDKs, and this package, at this emulator."""
        return {
            "OPENAI_BASE_URL": f"{self.url}/v1", "OPENAI_API_KEY": "emulated",
            "ANTHROPIC_BASE_URL": self.url, "ANTHROPIC_API_KEY": "emulated",
            "HF_BASE_URL": f"{self.url}/v1", "HF_TOKEN": "emulated",
        }  # fmt: skip

    def add(self, *rules: Rule) -> None:
        """Add faults."""
        self._desk.rules.extend(rules)

    def clear(self) -> None:
        """Forget rules and log."""
        self._desk.rules.clear()
        self.log.clear()

    def stop(self) -> None:
        """Close every connection and end the thread."""
        if self._loop.is_closed() or not self._thread.is_alive():
            return
        if self._server is not None:
            self._loop.call_soon_threadsafe(self._server.close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<Emulator {self.url} seed={self._seed}, {len(self.log)} requests>"


def start(
    *, port: int = 0, seed: int = 7, references: Mapping[str, Any] | None = None,
    profiles: Mapping[str, Profile] | None = None, rules: Sequence[Rule] = (), latency_scale: float = 0.0,
    keys: Sequence[str] | None = None, batches: Pace | None = None, prompt_cache: bool = False,
) -> Emulator:  # fmt: skip
    """Start an emulator on loopback; its answers are simulated and say so in their model's name.

    Args:
        port: 0 takes a free one.
        seed: Decides every answer.
        references: Question text to right answer: known questions are answered with each model's accuracy.
        profiles: Accuracy and pace of models, where the built-in ones do not serve.
        rules: Faults.
        latency_scale: 0 answers at once, 1 at the models' pace.
        keys: Keys that are accepted; None accepts any.
        batches: How long batches take; None: they are done at the first look.
        prompt_cache: Charge less for long beginnings that were read before.

    >>> with start(references={"What is 2 + 2?": "4"}) as emulator:
    ...     emulator.url.startswith("http://127.0.0.1:")
    True
    """
    desk = Desk(
        Mind(seed, references or {}), Log(), profiles=profiles or {}, rules=rules, latency_scale=latency_scale,
        keys=None if keys is None else frozenset(keys), batches=batches,
        prompts=PromptCache() if prompt_cache else None,
    )  # fmt: skip
    emulator = Emulator(desk, seed)
    emulator._open(port)  # noqa: SLF001 -- the factory of this class
    return emulator


def main(argv: Sequence[str] | None = None) -> int:
    """Run an emulator until it is interrupted (`prsm-lab emulate`); prints one JSON line with its address."""
    parser = argparse.ArgumentParser(
        prog="prsm-lab emulate", description="Speak the providers' wire formats on loopback."
    )
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--latency-scale", type=float, default=1.0, help="0 answers at once, 1 at the models' pace")
    parser.add_argument("--references", type=Path, help="JSON object: question text to right answer")
    parser.add_argument("--fixed-latency", type=float, help="seconds that every answer takes, for benchmarks")
    given = parser.parse_args(argv)
    references = json.loads(given.references.read_text()) if given.references else {}
    scale, profiles = given.latency_scale, _Same(given.fixed_latency) if given.fixed_latency else None
    ended = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: ended.set())
    with start(
        port=given.port,
        seed=given.seed,
        references=references,
        latency_scale=1.0 if profiles else scale,
        profiles=profiles,
    ) as emulator:
        print(json.dumps({"url": emulator.url, "environ": emulator.environ()}), flush=True)
        print("Simulated answers only. Ctrl-C ends it.", file=sys.stderr)
        ended.wait()
    return 0


class _Same(dict[str, Profile]):
    """One profile for every model."""

    def __init__(self, seconds: float) -> None:
        super().__init__({"": Profile(ttft_ms=seconds * 1000, tokens_per_s=1e9, spread=0)})

    def get(self, model: str, default: Any = None) -> Profile:  # noqa: ARG002
        return self[""]
