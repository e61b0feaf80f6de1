"""The share server's OpenAPI document, put together once, when somebody asks for it."""

from __future__ import annotations

import re
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from prsm_lab.errors import (
    AuthenticationError,
    ConflictError,
    InsufficientCreditsError,
    InternalError,
    InvalidRequestError,
    NotFoundError,
    ProviderError,
    RateLimitError,
)
from prsm_lab.server.answers import ANSWERS
from prsm_lab.server.examples import ERROR
from prsm_lab.server.guard import HostError, OriginError
from prsm_lab.server.hosting import BYTES
from prsm_lab.server.openai import envelope
from prsm_lab.server.operations import EVENTS, JSON_TYPE, SECTIONS
from prsm_lab.server.schemas import BODIES, choice, named, ref, text, whole
from prsm_lab.server.visit import MediaTypeError, TooLargeError
from prsm_lab.types import Inference, Record, Run

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prsm_lab.errors import PRSMError
    from prsm_lab.server.operations import Content, Examples, Operation, Reply
    from prsm_lab.types import JSON

ABOUT: Final = """\
Ask language models through one address, whoever serves them.

**Keys.** Send yours as `Authorization: Bearer …`, or as `X-API-Key` behind a proxy that uses that header itself. What
it must be allowed (`infer`, `read`, `admin`) stands at each address; the server's owner makes keys and ends them.

**Errors.** One envelope for all: `error.code` for programs, `error.message` with the remedy, `error.details` with the
facts. Wait `Retry-After` seconds where it is given. A method that an address does not have is answered by 405.

**Limits.** Every answer to a key tells where its owner stands with this minute's requests (`X-RateLimit-…`). A body
is plain JSON, not compressed, that says no name twice."""

HEADERS: Final[JSON] = {
    "X-Request-Id": text("Names this request in the server's log."),
    "X-RateLimit-Limit": text("Requests a minute of this key's owner, or `unlimited`.", pattern="^([0-9]+|unlimited)$"),
    "X-RateLimit-Remaining": text("What is left of them, or `unlimited`.", pattern="^([0-9]+|unlimited)$"),
    "X-RateLimit-Reset": whole("Unix time at which one more is free.", minimum=0),
    "X-RateLimit-Retry-After": whole("Seconds to wait before the next request; 0: none.", minimum=0),
    "Retry-After": whole("Seconds after which it is worth another try.", minimum=1),
    "Idempotent-Replayed": text("The answer was given and paid for before.", enum=["true"]),
    "Location": text("Where the answer will be found."),
}
PARAMETERS: Final[JSON] = {
    "Idempotency-Key": text(
        "A name of your choice for this question: sent again with it, it is answered from memory and not paid twice.",
        pattern="^[!-~]{1,128}$",
    ),
    "inference": text("`id` of the inference.", minLength=1, examples=["inf_abc123"]),
    "model": text("Its name, or an alias; a slash in it may stay as it is.", minLength=1, examples=["gpt-4.1-mini"]),
    "run": text("`id` of the run.", minLength=1, examples=["run_1"]),
    "key": text("`id` of the key: the part between its underscores.", minLength=1, examples=["0a1b2c3d4e5f"]),
    "page": text("Name of the file.", minLength=1, examples=["page.css"]),
}


_FIRST: Final = ERROR["error"]


class Fault(NamedTuple):
    """One status of an error."""

    name: str
    about: str
    error: PRSMError
    """An example."""


_FAULTS: Final = (
    Fault("Invalid", "Something in it is wrong; `details` name the parameter.", InvalidRequestError(
        _FIRST["message"], details=_FIRST["details"],
    )),
    Fault("Unauthorized", "No good key, one that may not do this, or a provider refused this server.",
        AuthenticationError(
            "No good API key came with this request.",
            details={"parameter": "Authorization", "expected_type": "Bearer pk_…"},
        )),
    Fault("Unpaid", "The worst case is dearer than what is left of the key's credits.", InsufficientCreditsError(
        "This request may cost $0.0410 and $0.0200 of this key's credits are left unreserved.",
        details={"kind": "credits", "worst_case": 0.041, "left": 0.02},
    )),
    Fault("ForeignPage", "Another site's page asks, and the owner did not list that site.", OriginError(
        "Another site's page may not ask this server.", details={"kind": "origin"},
    )),
    Fault("NotFound", "There is no such thing, or this key may not see it.", NotFoundError(
        "No such inference.", details={"parameter": "inference_id"},
    )),
    Fault("Conflict", "The same Idempotency-Key stands for another question, or its answer is on the way.",
        ConflictError(
            "This Idempotency-Key was used for another request. Use a new one for each question.",
            details={"parameter": "Idempotency-Key"},
        )),
    Fault("TooLarge", "The body, or the question for its model, is too large.", TooLargeError(
        "The body is larger than 16 MB; send a batch in parts.", details={"kind": "too_large", "parameter": "body"},
    )),
    Fault("NotJSON", "The body is not plain `application/json`.", MediaTypeError(
        "Send the body as application/json, not compressed.", details={"kind": "media_type"},
    )),
    Fault("ForeignHost", "The `Host` header names another server: what a rebound DNS name looks like.", HostError(
        "This server does not answer for that host.", details={"kind": "host"},
    )),
    Fault("TooMany", "Too many requests or tokens a minute, or at once; too many wrong keys.", RateLimitError(
        "20 requests a minute are the limit of tier Free.", details={"kind": "requests", "limit": 20},
    )),
    Fault("Failed", "The server itself failed.", InternalError("The share server failed; its log tells more.")),
    Fault("Unavailable", "No provider answered, nor any fallback, or not in time.", ProviderError(
        "openai is overloaded.", details={"provider": "openai", "kind": "overloaded"},
    )),
)  # fmt: skip
FAULTS: Final = {fault.error.status: fault for fault in _FAULTS}
"""Every error that a documented address answers with, by status."""
_OF_DOOR: Final = (403, 421, 500)
_OF_KEY: Final = (401, 429)
_OF_BODY: Final = (400, 413, 415)
_OF_MODEL: Final = (402, 404, 503)
_COUNTED: Final = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", "X-RateLimit-Retry-After")
_CHAT: Final = "/v1/chat/completions"


@cache
def document() -> JSON:
    """Return the OpenAPI 3.1 document; it is the same for all and not to be changed."""
    return {
        "openapi": "3.1.1",
        "info": {"title": "prsm_lab share server", "version": version("prsm-lab"), "description": ABOUT},
        "servers": [{"url": ".", "description": "This server, also behind a proxy's prefix."}],
        "security": [{"bearer": []}, {"header": []}],
        "tags": [{"name": group.name, "description": group.about} for group in SECTIONS],
        "paths": _paths(),
        "components": {
            "schemas": {**BODIES, **ANSWERS, **_wholes()},
            "responses": {
                f"{family}{fault.name}": _fault(fault, family) for family in ("", "Chat") for fault in FAULTS.values()
            },
            "headers": {name: _described(schema) for name, schema in HEADERS.items()},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "pk_…"},
                "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
        },
    }


@cache
def encoded() -> bytes:
    """Return the document as JSON."""
    return msgspec.json.encode(document())


def statuses(operation: Operation) -> list[int]:
    """Return the errors that an operation may answer with."""
    found = {
        *_OF_DOOR,
        *operation.errors,
        *(_OF_KEY if operation.scope else ()),
        *(_OF_BODY if operation.body or operation.also else ()),
        *(_OF_MODEL if operation.asks else ()),
    }
    return sorted(found)


# --------------------------------------------------------------------------------------------------- operations


def _paths() -> JSON:
    paths: JSON = {}
    for group in SECTIONS:
        for operation in group.operations:
            paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, group.name)
    return paths


def _operation(operation: Operation, tag: str) -> JSON:
    made: JSON = {"operationId": operation.id, "tags": [tag], "summary": operation.summary}
    if operation.about:
        made["description"] = operation.about
    if parameters := [*_of_path(operation.path), *_of_query(operation), *_of_headers(operation)]:
        made["parameters"] = parameters
    bodies: JSON = {}
    if operation.body is not None:
        bodies[JSON_TYPE] = {"schema": ref(operation.body), "examples": _examples(operation.examples)}
    if operation.also is not None:
        bodies[BYTES] = {"schema": ref(operation.also)}
    if bodies:
        made["requestBody"] = {"required": True, "content": bodies}
    family = "Chat" if operation.path == _CHAT else ""
    made["responses"] = {
        **{
            str(status): _reply(reply, keyed=operation.scope is not None) for status, reply in operation.replies.items()
        },
        **{
            str(status): {"$ref": f"#/components/responses/{family}{FAULTS[status].name}"}
            for status in statuses(operation)
        },
    }
    roles = [] if operation.scope in (None, "any") else [operation.scope]
    if operation.scope is None:
        made["security"] = []
    elif roles:
        made["security"] = [{"bearer": roles}, {"header": roles}]
    return made


def _of_path(path: str) -> Iterable[JSON]:
    for name in re.findall(r"{(\w+)}", path):
        kind = path.split("/")[-2 if path.endswith("}") else -3].removesuffix("s")
        yield {"name": name, "in": "path", "required": True, **_described(PARAMETERS[kind])}


def _of_query(operation: Operation) -> Iterable[JSON]:
    for name, schema in operation.query.items():
        yield {"name": name, "in": "query", **_described(schema)}


def _of_headers(operation: Operation) -> Iterable[JSON]:
    for name in operation.headers:
        yield {"name": name, "in": "header", **_described(PARAMETERS[name])}


def _described(schema: JSON) -> JSON:
    """Parameters and headers carry the description themselves."""
    plain = {name: value for name, value in schema.items() if name != "description"}
    return {"description": schema.get("description", ""), "schema": plain}


def _examples(named: Examples) -> JSON:
    return {name: {"summary": summary, "value": value} for name, (summary, value) in named.items()}


# ------------------------------------------------------------------------------------------------------ answers


def _reply(reply: Reply, *, keyed: bool) -> JSON:
    names = ("X-Request-Id", *(_COUNTED if keyed else ()), *reply.headers)
    return {
        "description": reply.about,
        "headers": _headers(names),
        "content": {content.media: _content(content) for content in reply.contents},
    }


def _content(content: Content) -> JSON:
    """A stream's schema is that of one event or line: OpenAPI 3.1 has no word for a sequence."""
    schema = {"type": "string"} if content.schema is None else ref(content.schema)
    if content.media == EVENTS:
        told = {"type": "string", "contentMediaType": JSON_TYPE, "contentSchema": schema}
        data = {"anyOf": [{"const": "[DONE]"}, told]}
        schema = named({"event": choice(("message", "error")), "data": data}, "One event.", required=("data",))
    return {"schema": schema, **({} if content.example is None else {"example": content.example})}


def _fault(fault: Fault, family: str) -> JSON:
    status = fault.error.status
    schema, example = ("ChatCompletionError", envelope(fault.error)) if family else ("Error", fault.error.to_dict())
    names = ("X-Request-Id", *_COUNTED, *(("Retry-After",) if status in (409, 429, 503) else ()))
    return {
        "description": fault.about,
        "headers": _headers(names),
        "content": {JSON_TYPE: {"schema": ref(schema), "example": example}},
    }


def _headers(names: Iterable[str]) -> JSON:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _wholes() -> JSON:
    """Values with all their fields, as the Python client's runs exchange them."""
    _, found = msgspec.json.schema_components(
        (Inference, Record, Run), ref_template="#/components/schemas/Whole.{name}"
    )
    return {f"Whole.{name}": {**schema, "x-internal": True} for name, schema in found.items()}
