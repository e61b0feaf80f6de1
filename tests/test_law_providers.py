"""What every provider owes at the seam: one suite, all windows.

Deltas when live, then exactly one reply; the same text whole and live; nothing but our errors; a closed iterator is a
closed connection.
"""

from __future__ import annotations

import asyncio

import pytest

from prsm_lab import catalog, emulator, errors
from prsm_lab.protocols import Provider
from prsm_lab.providers import connect
from prsm_lab.providers.function import Function
from prsm_lab.providers.mock import Mock
from prsm_lab.settings import access
from prsm_lab.types import Delta, Options, Reply, Request, Target

QUESTION = "What is the capital of France?"


@pytest.fixture(scope="module")
def emu():
    with emulator.start(references={QUESTION: "Paris"}) as running:
        yield running


async def spoken(prompt: str):
    for word in ("You", " said ", prompt):
        yield word
    if prompt == "wait":
        await asyncio.Event().wait()


WINDOWS = {
    "openai-chat": ("openai", "gpt-4.1-mini"), "openai-responses": ("openai", "gpt-6-sol"), "anthropic": ("anthropic", "claude-haiku-4-5"),
    "huggingface-chat": ("huggingface", "mixtral"), "huggingface-text": ("huggingface", "microsoft/DialoGPT-large"),
    "compatible": ("mine", "any"), "function": ("bird", "grey"), "mock": ("openai", "gpt-4"),
}  # fmt: skip
OVER_SOCKETS = [name for name in WINDOWS if name not in ("function", "mock")]


class Bench:
    """One window with a target of its own."""

    def __init__(self, emu, name: str) -> None:
        provider, model = WINDOWS[name]
        self.emu, self.provider = emu, self._window(emu, name, provider)
        known = catalog.find(model, provider if provider in ("mine", "bird") else None)
        self.target = Target(provider=provider, model=known.id, name=known.name, capabilities=known.capabilities)

    @staticmethod
    def _window(emu, name: str, provider: str) -> Provider:
        if name == "function":
            return Function("bird", spoken)
        if name == "mock":
            return Mock("openai", {"*": {"content": "a mocked answer of words"}})
        fields = emu.providers().get(provider, {"base_url": f"{emu.url}/v1"})
        return connect(access(provider, environ={}, **fields))

    async def ask(self, *, live: bool, text: str = QUESTION) -> list[Delta | Reply]:
        await self.provider.ready()
        request = Request(
            model=self.target.name, messages=({"role": "user", "content": text},), options=Options(max_tokens=60)
        )
        return [item async for item in self.provider.send(request, self.target, live=live)]


@pytest.fixture(params=WINDOWS)
async def bench(emu, request):
    emu.clear()
    made = Bench(emu, request.param)
    yield made
    await made.provider.aclose()


def test_the_seam_is_kept():
    """Every window is a Provider."""
    assert isinstance(Mock("x", {}), Provider)
    assert isinstance(Function("x", spoken), Provider)


async def test_a_whole_answer_is_exactly_one_reply(bench):
    """No deltas when nobody asked for pieces."""
    (reply,) = await bench.ask(live=False)

    assert isinstance(reply, Reply)
    assert reply.finish_reason == "stop"
    assert reply.text


async def test_a_live_answer_is_deltas_and_then_exactly_one_reply_with_their_text(bench):
    """And the same text as whole."""
    *deltas, reply = await bench.ask(live=True)
    (whole,) = await bench.ask(live=False)

    assert all(isinstance(delta, Delta) for delta in deltas)
    assert len(deltas) > 1
    assert "".join(delta.text for delta in deltas) == reply.text == whole.text
    assert reply.usage == whole.usage


async def test_whatever_the_prompt_only_our_errors_come_out(bench):
    """Lone surrogates, NUL, a megabyte."""
    for text in ("\ud83d", "\x00", "x" * 100_000, "{}[]%s"):
        try:
            await bench.ask(live=False, text=text)
        except errors.PRSMError as error:
            assert error.message


async def test_one_window_carries_many_questions_at_once(bench):
    """No answer goes to another's question."""
    answers = await asyncio.gather(*(bench.ask(live=n % 2 == 0, text=f"number {n} please") for n in range(20)))

    assert all(isinstance(items[-1], Reply) for items in answers)


@pytest.mark.parametrize("name", OVER_SOCKETS)
@pytest.mark.parametrize("way", ["close", "cancel"])
async def test_whoever_leaves_a_stream_closes_the_connection(emu, name, way):
    """By closing the iterator, or by being cancelled while it waits."""
    emu.clear()
    emu.add(emulator.Rule("stall", pieces=5))
    bench = Bench(emu, name)
    await bench.provider.ready()
    request = Request(
        model=bench.target.name, messages=({"role": "user", "content": QUESTION},), options=Options(max_tokens=60)
    )
    stream = bench.provider.send(request, bench.target, live=True)
    await anext(stream)
    if way == "close":
        await stream.aclose()
    else:
        listening = asyncio.Event()
        task = asyncio.ensure_future(_exhaust(stream, listening))
        await listening.wait()
        await asyncio.to_thread(emu.log.wait_for, lambda log: log.entries[-1].pieces == 5, 2)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await asyncio.to_thread(emu.log.wait_for, lambda log: log.open_requests == 0, 2)

    assert emu.log.entries[-1].peer_closed is not None
    await bench.provider.aclose()


async def _exhaust(stream, listening: asyncio.Event) -> None:
    listening.set()
    async for _ in stream:
        pass


@pytest.mark.parametrize("name", [n for n in OVER_SOCKETS if n != "compatible"])
async def test_a_missing_key_is_said_before_any_request(emu, name):
    """And the variable is named."""
    emu.clear()
    bench = Bench(emu, name)
    keyless = connect(access(WINDOWS[name][0], base_url=emu.url, environ={}))
    bench.provider = keyless
    with pytest.raises(errors.AuthenticationError, match="No key for"):
        await bench.ask(live=False)

    assert len(emu.log) == 0
    await keyless.aclose()


@pytest.mark.parametrize("name", OVER_SOCKETS)
async def test_a_window_may_be_used_again_after_it_was_closed(emu, name):
    """It connects anew."""
    emu.clear()
    bench = Bench(emu, name)
    for _ in range(2):
        assert (await bench.ask(live=False))[-1].text
        await bench.provider.aclose()


def test_a_plugin_is_found_by_its_entry_point(monkeypatch):
    """Group `prsm_lab.providers`: a third party's window is made with its access and the pool's size."""

    class Found:
        def load(self):
            return lambda given, *, pool: (given.provider, pool)

    monkeypatch.setattr(
        "prsm_lab.providers.entry_points",
        lambda *, group, name: [Found()] if (group, name) == ("prsm_lab.providers", "acme") else [],
    )

    assert connect(access("acme", base_url="http://127.0.0.1:9", environ={}), pool=7) == ("acme", 7)
