"""The floor under a share server: Starlette on uvicorn that hands a request's bytes on and the answer's bytes back.

No key, no limit, no ledger, no parsing. Run as `PROVIDER=http://127.0.0.1:… uvicorn passthrough:app`.
"""

from __future__ import annotations

import os
from contextlib import asynccontextmanager

import aiohttp
from starlette.applications import Starlette
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

PROVIDER = os.environ["PROVIDER"]
HEADERS = {"authorization": "Bearer emulated", "content-type": "application/json"}


@asynccontextmanager
async def connected(app):
    """Hold one pool of connections for as long as the server runs."""
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(None)
    ) as session:
        app.state.session = session
        yield


async def forward(request):
    """Pass one request on."""
    session = request.app.state.session
    answer = await session.post(PROVIDER + request.url.path, data=await request.body(), headers=HEADERS)
    if answer.content_type == "text/event-stream":
        return StreamingResponse(_pieces(answer), answer.status, media_type="text/event-stream")
    async with answer:
        return Response(await answer.read(), answer.status, media_type=answer.content_type)


async def _pieces(answer):
    async with answer:
        async for piece in answer.content.iter_any():
            yield piece


app = Starlette(routes=[Route("/v1/chat/completions", forward, methods=["POST"])], lifespan=connected)
