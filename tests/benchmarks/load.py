"""What asks: one process of raw aiohttp that posts questions and says when the answers came.

    python load.py '{"url": …, "path": …, "keys": […], "kind": "ask" | "stream" | "hold", "n": …, "c": …, "tag": …,
                     "topic": …}'

It warms up, prints a line, waits for one on its input, and only then does what is measured: whoever started it reads
the server's clock in between. Times are `time.monotonic` seconds, comparable with the emulator's log.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time

import aiohttp

MODEL = "gpt-4.1-mini"
WARM = 40


class Load:
    """Posts so many questions, so many at once; the keys take turns, as colleagues do."""

    def __init__(self, plan, session):
        self.session = session
        self.address = plan["url"] + plan["path"]
        self.headers = [{"authorization": f"Bearer {key}"} for key in plan["keys"]]
        self.turns = itertools.cycle(self.headers)
        self.live = plan["kind"] != "ask"
        self.topic = plan.get("topic", "What is it")
        self.faults = {}

    def post(self, prompt):
        body = {"model": MODEL, "messages": [{"role": "user", "content": prompt}], "max_tokens": 512}
        return self.session.post(
            self.address, json={**body, "stream": True} if self.live else body, headers=next(self.turns)
        )

    async def many(self, n, c, tag, work):
        """Ask n questions, c at once; return what `work` said of each."""
        prompts, found = (f"{self.topic}? Number {tag}-{i}" for i in range(n)), []

        async def crew():
            for prompt in prompts:
                try:
                    found.append(await work(prompt))
                except (aiohttp.ClientError, TimeoutError, ValueError) as fault:
                    self.faults[str(fault)[:200]] = self.faults.get(str(fault)[:200], 0) + 1

        await asyncio.gather(*(crew() for _ in range(min(c, n))))
        return found

    async def ask(self, prompt):
        """Milliseconds of one whole answer."""
        began = time.perf_counter()
        async with self.post(prompt) as response:
            body = await response.read()
            checked(response, body)
        return (time.perf_counter() - began) * 1000

    async def stream(self, prompt):
        """When a stream's first word came, and how many events it had."""
        first, events = None, 0
        async with self.post(prompt) as response:
            if response.status != 200:
                checked(response, await response.read())
            async for line in response.content:
                if line.startswith(b"data: {"):
                    events += 1
                    if first is None and said(line):
                        first = time.monotonic()
        return {"prompt": prompt, "first": first, "events": events}


def checked(response, body):
    if response.status != 200:
        raise ValueError(f"{response.status}: {body[:150].decode(errors='replace')}")


def said(line):
    """Does an event carry a piece of the answer?"""
    choices = json.loads(line[6:]).get("choices") or [{}]
    return bool((choices[0].get("delta") or {}).get("content"))


async def held(load, n, seconds):
    """Open n streams and keep them; return how many spoke within so many seconds, and close them on the next line."""
    spoke, closing = [], asyncio.Event()

    async def one(prompt):
        async with load.post(prompt) as response:
            if response.status != 200:
                checked(response, await response.read())
            async for line in response.content:
                if line.startswith(b"data: {") and said(line):
                    spoke.append(prompt)
                    break
            await closing.wait()

    everyone = asyncio.ensure_future(load.many(n, n, "hold", one))
    until = time.monotonic() + seconds
    while len(spoke) + sum(load.faults.values()) < n and time.monotonic() < until:
        await asyncio.sleep(0.05)
    report({"spoke": len(spoke), "faults": load.faults})
    await told()
    everyone.cancel()
    await asyncio.gather(everyone, return_exceptions=True)


def report(value):
    print(json.dumps(value), flush=True)


async def told():
    await asyncio.to_thread(sys.stdin.readline)


async def main(plan):
    timeout = aiohttp.ClientTimeout(total=None, sock_read=120)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as session:
        load = Load(plan, session)
        if plan["kind"] == "hold":
            report({"ready": True})
            await told()
            await held(load, plan["n"], plan["seconds"])
            return
        work = load.stream if load.live else load.ask
        await load.many(max(2, min(WARM, plan["n"] // 4)), plan["c"], f"{plan['tag']}-warm", work)
        report({"ready": True})
        await told()
        began = time.perf_counter()
        found = await load.many(plan["n"], plan["c"], plan["tag"], work)
        report({"found": found, "wall": time.perf_counter() - began, "faults": load.faults})


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
