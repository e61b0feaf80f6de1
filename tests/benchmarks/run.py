"""What a question costs in CPU: `prsm_lab.batch` beside raw aiohttp, the official SDK and LiteLLM, in one run.

    python tests/benchmarks/run.py [--n 2000] [--rounds 2] [--latency-run] [--litellm PYTHON] [--plot FILE.png]

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
import tempfile
import textwrap
from pathlib import Path
from typing import Any

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
    about: str, contenders: dict[str, str], url: str, n: int, c: int, rounds: int, pythons: dict[str, str]
) -> list[dict[str, object]]:
    """Measure in turns, so that a busy moment hits all alike; keep the least CPU of each, and its ratio to the first."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, code in contenders.items():
            found[name].append(measure(code, url, n, c, pythons.get(name, sys.executable)))
    least = {name: min(run["cpu_us"] for run in runs) for name, runs in found.items()}
    floor = least[next(iter(contenders))]
    return [
        {
            "about": about, "who": name, "cpu_us": round(least[name]), "x_raw_aiohttp": round(least[name] / floor, 2),
            "per_s": round(statistics.median(run["per_s"] for run in runs)),
            "rss_mb": round(max(run["rss_mb"] for run in runs)),
        }
        for name, runs in found.items()
    ]  # fmt: skip


def waits(names: list[str], n: int = 5000, c: int = 256, seconds: float = 0.2) -> list[dict[str, object]]:
    """Measure the wall time where every answer takes so long, against the least that it can be."""
    process, url = emulator("--fixed-latency", str(seconds))
    ideal = -(-n // c) * seconds
    try:
        walls = {name: measure(CONTENDERS[name], url, n, c)["wall"] for name in names}
    finally:
        process.terminate()
    about = f"{n:,} prompts at {seconds * 1000:.0f} ms, {c} in flight"
    return [
        {"about": about, "who": name, "wall_s": round(wall, 2), "x_ideal": round(wall / ideal, 2)}
        for name, wall in walls.items()
    ]


def draw(found: Any, path: Path) -> None:
    """Draw CPU a request as a picture: by plotly, and the system's chromium."""
    import plotly.graph_objects as go

    from prsm_lab.plot import look

    panes = list(found["about"].unique())
    figure = go.Figure()
    for n, about in enumerate(panes):
        part = found[found["about"] == about].sort_values("cpu_us", ascending=False)
        figure.add_bar(
            y=part["who"], x=part["cpu_us"], orientation="h", xaxis=f"x{n + 1}", yaxis=f"y{n + 1}", cliponaxis=False,
            marker_color=[look.COLOURS[0] if "prsm_lab" in who else "#b9bfc9" for who in part["who"]],
            text=[f"{us:,.0f} µs · {ratio:.1f}×" for us, ratio in zip(part["cpu_us"], part["x_raw_aiohttp"], strict=True)],
            textposition="outside",
        )  # fmt: skip
    line = 1 / (len(found) + 1.6 * len(panes))  # a pane has a line for each bar, and room for its heading
    top = 1.0
    for n, about in enumerate(panes):
        bars = int((found["about"] == about).sum())
        figure.update_layout({
            f"xaxis{n + 1}": {"visible": False, "anchor": f"y{n + 1}", "domain": [0, 0.86]},
            f"yaxis{n + 1}": {"domain": [top - line * (bars + 1), top - line], "anchor": f"x{n + 1}", "showline": False,
                              "ticksuffix": "  "},
        })  # fmt: skip
        figure.add_annotation(
            text=f"<b>{about}</b>", x=0, y=top - line / 2, xref="paper", yref="paper", showarrow=False, xanchor="left", yanchor="middle",
            font={"size": 15, "color": look.DARK},
        )  # fmt: skip
        top -= line * (bars + 1.6)
    figure.update_layout(
        template=look.template(), paper_bgcolor="white", plot_bgcolor="white", width=900, height=120 + 44 * len(found),
        margin={"l": 30, "r": 30, "t": 56, "b": 20}, bargap=0.35,
        title={"text": "CPU a request, and how many times raw aiohttp's", "x": 0.01, "font": {"size": 18}},
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.html"
        figure.write_html(page, config={"displayModeBar": False})
        subprocess.run(
            ["chromium", "--headless", "--no-sandbox", "--hide-scrollbars", "--virtual-time-budget=5000",
             f"--window-size={figure.layout.width + 16},{figure.layout.height + 16}", f"--screenshot={path}",
             page.as_uri()],
            check=True, capture_output=True,
        )  # fmt: skip


def imported() -> list[dict[str, object]]:
    """Measure what `import prsm_lab` costs over a bare interpreter."""
    probe = textwrap.dedent("""
        import sys, time; before, began = len(sys.modules), time.process_time()
        import prsm_lab
        print(round((time.process_time() - began) * 1000, 1), len(sys.modules) - before)
    """)
    runs = [
        subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True).stdout.split()
        for _ in range(5)
    ]
    return [{"who": "import prsm_lab", "cpu_ms": min(float(ms) for ms, _ in runs), "modules": runs[0][1]}]


def main() -> None:
    """Run everything; print frames, and draw them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--n", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument(
        "--latency-run", action="store_true", help="5,000 prompts at 200 ms, 256 in flight, against the ideal"
    )
    parser.add_argument("--litellm", help="a Python with litellm and aiohttp installed")
    parser.add_argument("--plot", type=Path, help="where to draw the figures, as a PNG")
    given = parser.parse_args()
    contenders = {**CONTENDERS, **({"litellm.acompletion": LITELLM} if given.litellm else {})}
    pythons = {"litellm.acompletion": given.litellm} if given.litellm else {}
    began = imported()
    process, url = emulator("--latency-scale", "0")
    try:
        batch, streams = f"{given.n:,} prompts, 64 in flight", f"{given.n // 4:,} streams, 64 at once"
        cpu = table(batch, contenders, url, given.n, 64, given.rounds, pythons)
        cpu += table(streams, STREAMS, url, given.n // 4, 64, given.rounds, {})
    finally:
        process.terminate()
    walls = waits(list(CONTENDERS)) if given.latency_run else []

    import pandas as pd  # a child's peak of memory begins with its parent's

    for rows in filter(None, (began, cpu, walls)):
        print(pd.DataFrame(rows).to_string(index=False), end="\n\n")
    if given.plot:
        draw(pd.DataFrame(cpu), given.plot)


if __name__ == "__main__":
    main()
