"""A thousand streams over one share server: all held at once, in bounded memory, none at another's expense (S19)."""

from __future__ import annotations

import asyncio
import json
import os
import re
import resource
import socket
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from typing import Any

import psutil
import pytest
from calls import ASK, Caller

from prsm_lab import emulator
from prsm_lab.emulator import Rule

pytestmark = pytest.mark.timeout(120)

FILES_A_STREAM = 2
"""In this process, which is client and provider; the server's own two are in its process."""
SPARE_FILES = 200
MOST_MB = 300
LONG = "Recite the long text"
WORDS = 150_000
"""30 MB as events: more than the kernel's buffers between provider, server and client hold."""
MOST_READ_AHEAD_MB = 40
STILL_SECONDS = 0.5


@pytest.fixture(scope="module")
def count():
    """How many streams this machine's file limit allows, at most a thousand."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(hard, max(soft, 4096))
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    yield min(1000, (wanted - SPARE_FILES) // FILES_A_STREAM)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture(scope="module")
def provider():
    with emulator.start(references={LONG: " ".join(f"word{n}" for n in range(WORDS))}) as running:
        yield running


@pytest.fixture(scope="module")
def server(provider, count, tmp_path_factory):
    """`prsm-lab serve` in a process of its own, so that its memory is nobody else's."""
    ledger = tmp_path_factory.mktemp("ledger") / "ledger.db"
    command = [
        sys.executable, "-m", "prsm_lab", "serve", "--port", "0", "--ledger", str(ledger), "--new-key", "ana",
        "--tier", "Enterprise",
    ]  # fmt: skip
    environ = {**os.environ, **provider.environ()}
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        greeting = _until("PRSM_API_KEY", process.stdout)
        url, key = re.search(r"http://[\d.]+:\d+", greeting)[0], re.search(r"PRSM_API_KEY=(\S+)", greeting)[1]
        ana = Caller(url, key)
        assert ana.post("/v1/inference", ASK).status == 200  # the provider's SDK is loaded by the first question
        yield process, ana
        process.terminate()


def _until(word, lines) -> str:
    """Read up to the line that begins so; to the end where none does."""
    read = []
    for line in lines:
        read.append(line)
        if line.startswith(word):
            break
    return "".join(read)


@pytest.fixture
def memory(server):
    """The server's resident megabytes, when asked."""
    process, _ = server
    return lambda: psutil.Process(process.pid).memory_info().rss / 2**20


@pytest.fixture
def ana(server, provider):
    provider.clear()
    _, caller = server
    return caller


class Stream:
    """One client's open stream, read by hand."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._received = b""

    async def spoken(self) -> None:
        """Read until the first word."""
        while b'"content":' not in self._received:
            self._received += await self._more()

    async def events(self) -> list[Any]:
        """Read to the end of the answer."""
        while not self._received.endswith(b"0\r\n\r\n"):
            self._received += await self._more()
        found = re.findall(rb"data: (.*)\n", self._received)
        return [one.decode() if one == b"[DONE]" else json.loads(one) for one in found]

    async def _more(self) -> bytes:
        more = await self._reader.read(65536)
        assert more, f"the stream was cut after {self._received[-300:]!r}"
        return more

    def leave(self) -> None:
        self._writer.transport.abort()


@asynccontextmanager
async def streams(ana: Caller, prompts: list[str]):
    """Open one stream for each prompt; whatever is open at the end is left."""
    host, port = ana.host.split(":")

    async def one(prompt: str) -> Stream:
        body = {"model": "gpt-4.1-mini", "messages": [{"role": "user", "content": prompt}], "stream": True}
        reader, writer = await asyncio.open_connection(host, int(port), limit=4096)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        writer.write(ana.head("POST", "/v1/chat/completions", json.dumps(body).encode()))
        return Stream(reader, writer)

    opened = await asyncio.gather(*map(one, prompts))
    try:
        yield opened
    finally:
        for stream in opened:
            stream.leave()


def held(provider) -> Rule:
    """Let every stream pause between its pieces until `seconds` is made small."""
    rule = Rule("drip", seconds=3.0)
    provider.add(rule)
    return rule


def text(events: list[Any]) -> str:
    return "".join(event["choices"][0]["delta"].get("content", "") for event in events[:-1])


async def seen(provider, predicate) -> None:
    """Wait until the provider's log satisfies a predicate, without standing in the clients' way."""
    await asyncio.to_thread(provider.log.wait_for, predicate, 30.0)


class StandingStill:
    """Has the first stream's provider said nothing for a while?"""

    def __init__(self) -> None:
        self._said, self._since = -1, 0.0

    def __call__(self, log) -> bool:
        if log.entries[0].pieces != self._said:
            self._said, self._since = log.entries[0].pieces, time.monotonic()
        return time.monotonic() - self._since > STILL_SECONDS


async def test_a_thousand_streams_are_held_at_once_and_each_ends_clean(ana, provider, memory, count):
    """All reach the provider, none waits for another; the server stays small and answers others meanwhile."""
    rule = held(provider)
    async with streams(ana, [f"question {n}" for n in range(count)]) as opened:
        await asyncio.gather(*(stream.spoken() for stream in opened))
        open_at_provider, used = provider.log.open_requests, memory()
        others = await asyncio.to_thread(ana.get, "/v1/keys/me")
        rule.seconds = 0.001
        ended = await asyncio.gather(*(stream.events() for stream in opened))

    assert open_at_provider == count
    assert used < MOST_MB
    assert others.status == 200
    assert [events[-1] for events in ended] == ["[DONE]"] * count
    assert [events[-2]["choices"][0]["finish_reason"] for events in ended] == ["stop"] * count
    assert all(text(events).endswith("(simulated answer)") for events in ended)
    assert [entry for entry in provider.log if entry.done is None] == []


async def test_a_client_that_reads_nothing_holds_nobody_up_and_is_not_read_ahead_for(ana, provider, memory):
    """Its provider is paused, so what waits for it is bounded; the others' answers come whole."""
    before = memory()
    async with streams(ana, [f"{LONG}, and slowly"]) as (slow,):
        await slow.spoken()
        async with streams(ana, [f"question {n}" for n in range(50)]) as others:
            ended = await asyncio.gather(*(stream.events() for stream in others))
        await seen(provider, StandingStill())
        said, used = provider.log.entries[0].pieces, memory() - before
    await seen(provider, lambda log: log.open_requests == 0)

    assert [events[-1] for events in ended] == ["[DONE]"] * 50
    assert said < WORDS
    assert used < MOST_READ_AHEAD_MB
    assert provider.log.entries[0].peer_closed is not None


async def test_clients_that_leave_stop_their_own_streams_and_no_others(ana, provider, count):
    """The provider stops paying for those who left at once; those who stayed hear the end."""
    rule = held(provider)
    half = min(100, count // 2)
    async with streams(ana, [f"leaving {n}" for n in range(half)]) as leaving, streams(ana, [f"staying {n}" for n in range(half)]) as staying:  # fmt: skip
        await asyncio.gather(*(stream.spoken() for stream in (*leaving, *staying)))
        for stream in leaving:
            stream.leave()
        await seen(provider, lambda log: log.open_requests == half)
        rule.seconds = 0.001
        ended = await asyncio.gather(*(stream.events() for stream in staying))

    assert [events[-1] for events in ended] == ["[DONE]"] * half
    assert all(entry.peer_closed and entry.done is None for entry in provider.log.arrivals("leaving"))
    assert all(entry.done and entry.peer_closed is None for entry in provider.log.arrivals("staying"))
