"""What a question costs in CPU: `prsm_lab.batch` beside raw aiohttp, the official SDK and LiteLLM, in one run.

    python tests/benchmarks/run.py [--n 2000] [--rounds 2] [--latency-run] [--litellm PYTHON]

Every contender runs in a process of its own against one emulator process on loopback at zero latency (fresh processes:
no contender pays for another's imports or garbage). CPU is user + system of the contender's process over the timed
part, imports and warm-up left out. Quote the ratios: absolute figures move with the machine. LiteLLM pins an older
openai, so it runs in an environment of its own: `--litellm /path/to/its/python`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import textwrap
from pathlib import Path

HERE = Path(__file__).parent

COMMON = """
import asyncio, json, resource, sys, time
url, n, c = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
prompts = [f"Question number {i}: what is it?" for i in range(n)]
MODEL = "gpt-4.1-mini"
def cpu():
    r = resource.getrusage(resource.RUSAGE_SELF)
    return r.ru_utime + r.ru_stime
async def crew(ask, items, c):
    waiting = iter(items)
    async def work():
        for prompt in waiting:
            await ask(prompt)
    await asyncio.gather(*(work() for _ in range(c)))
async def timed(ask):
    await crew(ask, prompts[:100], c)
    before, began = cpu(), time.perf_counter()
    await crew(ask, prompts, c)
    said(cpu() - before, time.perf_counter() - began)
def said(used, wall):
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"cpu_us": used / n * 1e6, "per_s": n / wall, "wall": wall, "rss_mb": peak}))
"""

CONTENDERS = {
    "raw aiohttp": """
import aiohttp
async def main():
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=c)) as session:
        async def ask(prompt):
            body = {"model": MODEL, "messages": [{"role": "user", "content": prompt}]}
            async with session.post(url + "/v1/chat/completions", json=body, headers={"authorization": "Bearer x"}) as r:
                await r.json()
        await timed(ask)
asyncio.run(main())
""",
    "AsyncOpenAI, aiohttp transport": """
import httpx2, openai
async def main():
    http = openai.DefaultAioHttpClient(limits=httpx2.Limits(max_connections=c, max_keepalive_connections=c))
    async with openai.AsyncOpenAI(base_url=url + "/v1", api_key="x", max_retries=0, http_client=http) as client:
        async def ask(prompt):
            await client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": prompt}])
        await timed(ask)
asyncio.run(main())
""",
    "AsyncOpenAI as it comes": """
import openai
async def main():
    async with openai.AsyncOpenAI(base_url=url + "/v1", api_key="x", max_retries=0) as client:
        async def ask(prompt):
            await client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": prompt}])
        await timed(ask)
asyncio.run(main())
""",
    "prsm_lab.batch": """
import tempfile, prsm_lab as lab
with tempfile.TemporaryDirectory() as folder:
    client = lab.Client(providers={"openai": {"base_url": url + "/v1", "api_key": "x"}}, ledger=folder + "/ledger.db")
    lab.batch(prompts[:100], "warm {text}", model=MODEL, client=client, progress=False, max_concurrency=c)
    before, began = cpu(), time.perf_counter()
    frame = lab.batch(prompts, "{text}", model=MODEL, client=client, progress=False, max_concurrency=c)
    said(cpu() - before, time.perf_counter() - began)
    assert frame["response"].notna().all() and frame["cost"].notna().all()
    client.close()
""",
}

LITELLM = """
import litellm
litellm.suppress_debug_info = True
async def main():
    async def ask(prompt):
        await litellm.acompletion(model="openai/" + MODEL, messages=[{"role": "user", "content": prompt}], api_base=url + "/v1", api_key="x", num_retries=0)
    await timed(ask)
asyncio.run(main())
"""

STREAMS = {
    "raw aiohttp": """
import aiohttp
async def main():
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=c)) as session:
        async def ask(prompt):
            body = {"model": MODEL, "messages": [{"role": "user", "content": prompt}], "stream": True}
            async with session.post(url + "/v1/chat/completions", json=body, headers={"authorization": "Bearer x"}) as r:
                async for line in r.content:
                    if line.startswith(b"data: {"): json.loads(line[6:])
        await timed(ask)
asyncio.run(main())
""",
    "AsyncOpenAI as it comes": """
import openai
async def main():
    async with openai.AsyncOpenAI(base_url=url + "/v1", api_key="x", max_retries=0) as client:
        async def ask(prompt):
            async for _ in await client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": prompt}], stream=True): pass
        await timed(ask)
asyncio.run(main())
""",
    "prsm_lab stream": """
import prsm_lab as lab
from prsm_lab.engine import portal
client = lab.Client(providers={"openai": {"base_url": url + "/v1", "api_key": "x"}}, ledger=":memory:")
async def ask(prompt):
    request = client.question(MODEL)
    from prsm_lab.ask import conversation
    async for _ in client.engine.stream(conversation(request, prompt)): pass
portal.call(timed(ask))
client.close()
""",
}


def emulator(*arguments: str) -> tuple[subprocess.Popen[str], str]:
    """Start an emulator process; return it and its address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "prsm_lab.emulator", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    return process, json.loads(process.stdout.readline())["url"]


def measure(code: str, url: str, n: int, c: int, python: str = sys.executable) -> dict[str, float]:
    """Run one contender once."""
    done = subprocess.run(
        [python, "-c", COMMON + code, url, str(n), str(c)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return json.loads(done.stdout.splitlines()[-1])


def table(
    title: str, contenders: dict[str, str], url: str, n: int, c: int, rounds: int, pythons: dict[str, str]
) -> None:
    """Measure in turns, so that a busy moment hits all alike; print least CPU and its ratio to the first."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, code in contenders.items():
            found[name].append(measure(code, url, n, c, pythons.get(name, sys.executable)))
    floor = min(run["cpu_us"] for run in found[next(iter(contenders))])
    print(f"\n{title}\n\n| | CPU µs a request | × raw aiohttp | requests/s | RSS MB |\n|---|---|---|---|---|")
    for name, runs in found.items():
        least = min(run["cpu_us"] for run in runs)
        speed = statistics.median(run["per_s"] for run in runs)
        print(
            f"| {name} | {least:,.0f} | {least / floor:.2f} | {speed:,.0f} | {max(run['rss_mb'] for run in runs):.0f} |"
        )


def import_time() -> None:
    """Print what `import prsm_lab` costs over a bare interpreter."""
    probe = textwrap.dedent("""
        import sys, time; before, began = len(sys.modules), time.process_time()
        import prsm_lab
        print(round((time.process_time() - began) * 1000, 1), len(sys.modules) - before)
    """)
    runs = [
        subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True).stdout.split()
        for _ in range(5)
    ]
    print(f"\nimport prsm_lab: {min(float(ms) for ms, _ in runs)} ms CPU, {runs[0][1]} modules")


def main() -> None:
    """Run everything."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--n", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument(
        "--latency-run", action="store_true", help="5,000 prompts at 200 ms, 256 in flight, against the ideal"
    )
    parser.add_argument("--litellm", help="a Python with litellm and aiohttp installed")
    given = parser.parse_args()
    import_time()
    process, url = emulator("--latency-scale", "0")
    contenders = {**CONTENDERS, **({"litellm.acompletion": LITELLM} if given.litellm else {})}
    pythons = {"litellm.acompletion": given.litellm} if given.litellm else {}
    try:
        table(
            f"Batch, {given.n} prompts, 64 in flight, zero latency", contenders, url, given.n, 64, given.rounds, pythons
        )
        table(f"Streams, {given.n // 4} answers, 64 at once", STREAMS, url, given.n // 4, 64, given.rounds, {})
    finally:
        process.terminate()
    if given.latency_run:
        process, url = emulator("--fixed-latency", "0.2")
        try:
            ideal = -(-5000 // 256) * 0.2
            print(
                f"\n5,000 prompts at 200 ms, 256 in flight; ideal {ideal:.1f} s\n\n| | wall s | × ideal |\n|---|---|---|"
            )
            for name in ("raw aiohttp", "AsyncOpenAI, aiohttp transport", "AsyncOpenAI as it comes", "prsm_lab.batch"):
                wall = measure(CONTENDERS[name], url, 5000, 256)["wall"]
                print(f"| {name} | {wall:.2f} | {wall / ideal:.2f} |")
        finally:
            process.terminate()


if __name__ == "__main__":
    main()
