"""Usage, preferences and the catalogue over HTTP."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from prsm_lab import ask, catalog, checks
from prsm_lab.engine import routers
from prsm_lab.engine.timeframe import GROUPS, groups, span
from prsm_lab.errors import InvalidRequestError
from prsm_lab.server import hosting, reading, replies
from prsm_lab.types import Query, Report

if TYPE_CHECKING:
    from starlette.responses import Response

    from prsm_lab.server.visit import Visit
    from prsm_lab.types import JSON, Key, Model, Routing

__all__ = ["GROUPS", "METRICS"]

METRICS: Final = {
    "requests": ("total_requests",),
    "tokens": ("total_tokens",),
    "costs": ("total_cost", "unpriced_requests"),
    "latency": ("avg_latency_ms", "p50_latency_ms", "p95_latency_ms", "p99_latency_ms"),
    "success_rate": ("success_rate",),
    "avg_latency": ("avg_latency",),
    "p95_latency": ("p95_latency",),
}
"""The seed's names of metrics, with the fields that they mean."""
MODELS_SINCE: Final = 1_700_000_000
"""OpenAI's model objects have a time of creation; the catalogue knows none, so all have this one."""


async def analytics(visit: Visit) -> Response:
    """`GET /v1/inference/analytics`."""
    return await _report(visit, ("timeframe", "metrics", "group_by"))


async def performance(visit: Visit) -> Response:
    """`GET /v1/inference/performance`."""
    return await _report(visit, ("timeframe", "metrics", "group_by", "model", "provider", "key"))


async def _report(visit: Visit, known: tuple[str, ...]) -> Response:
    visit.need("read")
    asked = visit.query()
    for name in asked:
        if name not in (*known, "since", "until", "model", "provider", "key"):
            raise checks.unknown_option(name, known)
    since, until = span(asked.get("timeframe", "last_30_days"))
    names = filter(None, asked.get("group_by", "").split(","))
    if asked.get("key", visit.key.person) != visit.key.person:
        visit.need("admin")
    query = Query(
        since=_time(asked, "since", since), until=_time(asked, "until", until), model=asked.get("model"),
        provider=asked.get("provider"), person=asked.get("key", visit.person), group_by=groups(names),
    )  # fmt: skip
    report = await visit.house.engine.usage(query)
    if visit.whole:
        return replies.document(report)
    return replies.document(_chosen(report, [name for name in asked.get("metrics", "").split(",") if name]))


def _chosen(report: Report, metrics: list[str]) -> JSON:
    fields: JSON = {
        **{name: getattr(report, name) for name in report.__struct_fields__},
        "avg_latency": report.avg_latency,
        "p95_latency": report.p95_latency,
    }
    if not metrics:
        return fields
    for metric in metrics:
        if metric not in METRICS and metric not in fields:
            raise checks.unknown_option(metric, {*METRICS, *fields})
    wanted = {name for metric in metrics for name in METRICS.get(metric, (metric,))}
    return {name: value for name, value in fields.items() if name in wanted or name == "groups"}


def _time(asked: dict[str, str], name: str, default: float | None) -> float | None:
    if name not in asked:
        return default
    try:
        given = float(asked[name])
    except ValueError:
        given = math.nan
    if not math.isfinite(given):
        raise InvalidRequestError(f"{name} must be a Unix time.", details={"parameter": name})
    return given


# ------------------------------------------------------------------------------------------------ preferences


async def get_providers(visit: Visit) -> Response:
    """`GET /v1/inference/providers`."""
    visit.need("read")
    return replies.document(_preferences(reading.preferences(visit.house, visit.key)))


async def put_providers(visit: Visit) -> Response:
    """`PUT /v1/inference/providers`: what this key's questions leave open is asked this way from now on."""
    visit.need("infer")
    body = await visit.body()
    routing = ask.routing(body)
    visit.house.accounts.prefer(visit.key.id, body)
    return replies.document(_preferences(routing))


def _preferences(routing: Routing) -> JSON:
    return {
        "primary": routing.primary,
        "fallback": [step.provider for step in routing.fallback],
        "cost_optimization": routing.cost_optimization,
        "latency_optimization": routing.latency_optimization,
        "quality_threshold": routing.quality_threshold,
    }


# --------------------------------------------------------------------------------------------------- models


async def models(visit: Visit) -> Response:
    """`GET /v1/models`: as OpenAI's clients expect it; whole, with prices and qualities."""
    visit.need("read")
    only = visit.key.models
    found = [model for model in await visit.house.engine.models() if only is None or model.name in only]
    if visit.whole:
        return replies.document({"models": found})
    names = [name for name in routers.known_here() if _may_route(visit, name)]
    return replies.document({"object": "list", "data": [*map(_card, found), *map(_router, names)]})


async def model(visit: Visit) -> Response:
    """`GET /v1/models/{id}`."""
    visit.need("read")
    id = visit.scope["path_params"]["id"]  # noqa: A001 -- the wire's word
    own = None if visit.whole else hosting.known(visit, id)
    if own is not None:
        return replies.document(own)
    if not visit.whole and id in routers.known_here() and _may_route(visit, id):
        return replies.document(_router(id))
    known = catalog.described(catalog.find(id))
    return replies.document(known if visit.whole else _card(known))


def _card(model: Model) -> JSON:
    return {"id": model.name, "object": "model", "created": MODELS_SINCE, "owned_by": model.provider}


def _router(name: str) -> JSON:
    return {"id": name, "object": "model", "created": MODELS_SINCE, "owned_by": "router"}


def _may_route(visit: Visit, name: str) -> bool:
    """May this key ask both models of a router?"""
    known, only = routers.of(name), visit.key.models
    return known is not None and (only is None or {known.rule.cheap, known.rule.strong} <= set(only))


# ------------------------------------------------------------------------------------------------------ keys


async def my_key(visit: Visit) -> Response:
    """`GET /v1/keys/me`."""
    return replies.document(_shown(visit, visit.house.accounts.key(visit.key.id)))


async def list_keys(visit: Visit) -> Response:
    """`GET /v1/keys`."""
    visit.need("admin")
    return replies.document({"object": "list", "data": [_shown(visit, key) for key in visit.house.accounts.all()]})


async def new_key(visit: Visit) -> Response:
    """`POST /v1/keys`: the only answer that ever holds a key."""
    from prsm_lab.server import keys

    visit.need("admin")
    body = await visit.body()
    known = ("name", "tier", "credits", "models", "expires", "scopes", "limits")
    for name in body:
        if name not in known:
            raise checks.unknown_option(name, known)
    if "name" not in body:
        raise InvalidRequestError(
            "Missing required parameter: name", details={"parameter": "name", "expected_type": "string"}
        )
    fields = {name: value for name, value in body.items() if name != "name" and value is not None}
    key = keys.make(visit.house.accounts, body["name"], **fields)
    return _shown_once(visit, key)


async def revoke_key(visit: Visit) -> Response:
    """`DELETE /v1/keys/{id}`."""
    visit.need("admin")
    return replies.document(_shown(visit, visit.house.accounts.revoke(visit.scope["path_params"]["id"])))


async def rotate_key(visit: Visit) -> Response:
    """`POST /v1/keys/{id}/rotate`."""
    from prsm_lab.server import keys

    visit.need("admin")
    return _shown_once(visit, keys.rotate(visit.house.accounts, visit.scope["path_params"]["id"]))


def _shown(visit: Visit, key: Key) -> Any:
    return key if visit.whole else key.to_dict()


def _shown_once(visit: Visit, key: str) -> Response:
    known = visit.house.accounts.key(key.split("_")[1])
    return replies.document({**known.to_dict(), "key": key}, 201)
