"""The OpenAPI document as a page: nothing of another host's, nothing that needs a script to be read."""

from __future__ import annotations

import html
import json
import re
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from prsm_lab.server.examples import ERROR
from prsm_lab.server.openapi import ABOUT, FAULTS, document, statuses
from prsm_lab.server.operations import EVENTS, JSON_TYPE, LINES, SECTIONS

if TYPE_CHECKING:
    from prsm_lab.server.operations import Group, Operation
    from prsm_lab.types import JSON

_DEEPEST: Final = 5
"""Objects inside objects that are written out."""
_NAMES: Final = {"integer": "whole number", "array": "list", "boolean": "true or false"}
_JSON_PART: Final = re.compile(
    r'(?P<key>"(?:[^"\\]|\\.)*"(?=\s*:))|(?P<text>"(?:[^"\\]|\\.)*")|(?P<word>-?\b[\w.+-]+\b)'
)
_LIMITS: Final = {
    "minimum": "at least {}", "exclusiveMinimum": "more than {}", "maximum": "at most {}",
    "exclusiveMaximum": "less than {:,.0f}", "minItems": "at least {}", "maxItems": "at most {:,}",
    "maxLength": "at most {} characters",
}  # fmt: skip
_ICON: Final = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E"
    "%3Cpath d='M8 1 15 14H1z' fill='%231f5fd0'/%3E%3C/svg%3E"
)


@cache
def page() -> str:
    """Return the page's HTML; all its addresses are relative, so that it works behind any prefix."""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<meta name="robots" content="noindex">
<title>API · prsm_lab</title>
<link rel="icon" href="{_ICON}">
<link rel="stylesheet" href="page/page.css">
<link rel="stylesheet" href="page/docs.css">
<script type="module" src="page/docs.js"></script>
</head>
<body class="docs">
<a class="skip" href="#main">Skip to the page's content</a>
<header class="top">
  <h1 class="brand">
    <svg viewBox="0 0 16 16" width="18" height="18" aria-hidden="true" focusable="false"><path d="M8 1.5 15 14H1z" \
fill="currentColor"/></svg>
    <span>prsm_lab</span> <span class="note">API {_text(document()["info"]["version"])}</span>
  </h1>
  <p class="ways"><a href=".">Playground</a> <a href="openapi.json">openapi.json</a></p>
</header>
<div class="sheet-of-api">
<nav aria-label="Addresses"><details open><summary>Contents</summary>
<ul><li><a href="#begin">How to begin</a></li><li><a href="#errors">Errors</a></li></ul>
{"".join(map(_menu, SECTIONS))}</details></nav>
<main id="main" tabindex="-1">
{_begin()}{_errors()}{"".join(map(_group, SECTIONS))}</main>
</div>
</body>
</html>
"""


# ------------------------------------------------------------------------------------------------------- frame


def _menu(group: Group) -> str:
    lines = "".join(
        f'<li><a href="#{one.id}">{_method(one)}<span class="path">{_path(one.path)}</span></a></li>'
        for one in group.operations
    )
    return f"<h2>{_text(group.name)}</h2><ul>{lines}</ul>"


def _begin() -> str:
    setup = "export PRSM_API_URL=<span data-address>http://127.0.0.1:8000</span>\nexport PRSM_API_KEY=pk_…"
    others = (
        '# OpenAI\'s own clients, unchanged\nexport OPENAI_BASE_URL="$PRSM_API_URL/v1"\n'
        'export OPENAI_API_KEY="$PRSM_API_KEY"'
    )
    prose = "".join(f"<p>{_prose(part)}</p>" for part in ABOUT.split("\n\n"))
    return (
        f'<section id="begin" class="part"><div class="about"><h2>How to begin</h2>{prose}</div>'
        f'<div class="codes">{_code("In your shell", setup)}{_code("For OpenAI’s SDKs", _text(others))}</div></section>'
    )


def _errors() -> str:
    rows = "".join(
        f'<tr id="error-{status}"><th scope="row">{status}</th><td><code>{_text(fault.error.code)}</code></td>'
        f"<td>{_prose(fault.about)}</td></tr>"
        for status, fault in FAULTS.items()
    )
    table = (
        '<table class="errors"><thead><tr><th scope="col">Status</th><th scope="col">error.code</th>'
        f'<th scope="col">What it says</th></tr></thead><tbody>{rows}</tbody></table>'
    )
    more = (
        "<p>A code tells more than its status: 503 is also <code>timeout</code>, 402 <code>budget_exceeded</code>.</p>"
    )
    return (
        f'<section id="errors" class="part"><div class="about"><h2>Errors</h2>{table}{more}</div>'
        f'<div class="codes">{_code("The envelope", _coloured(ERROR))}</div></section>'
    )


def _group(group: Group) -> str:
    head = f'<header class="group"><h2>{_text(group.name)}</h2><p>{_prose(group.about)}</p></header>'
    return head + "".join(map(_operation, group.operations))


# --------------------------------------------------------------------------------------------------- operations


def _operation(one: Operation) -> str:
    said: JSON = document()["paths"][one.path][one.method.lower()]
    needs = {None: "no key", "any": "any key"}.get(one.scope, f"scope {one.scope}")
    about = f"<p>{_prose(one.about)}</p>" if one.about else ""
    return (
        f'<section id="{one.id}" class="part"><div class="about"><h3><a href="#{one.id}">{_text(one.summary)}</a></h3>'
        f'<p class="address">{_method(one)}<code>{_path(one.path)}</code><span class="tag">{needs}</span></p>'
        f"{about}{_parameters(said)}{_body(said)}{_answers(one, said)}</div>"
        f'<div class="codes">{_snippets(one, said)}</div></section>'
    )


def _parameters(said: JSON) -> str:
    made = ""
    for place, title in (("path", "In the address"), ("query", "In the query"), ("header", "Headers")):
        found = [one for one in said.get("parameters", ()) if one["in"] == place]
        if found:
            rows = "".join(
                _row(
                    one["name"],
                    {**one["schema"], "description": one["description"]},
                    1,
                    must=one.get("required", False),
                )
                for one in found
            )
            made += f"<h4>{title}</h4>{_table(rows)}"
    return made


def _body(said: JSON) -> str:
    if "requestBody" not in said:
        return ""
    made = ""
    for media, content in said["requestBody"]["content"].items():
        schema = _whole(content["schema"])
        kind = "" if media == JSON_TYPE else f"<code>{_text(media)}</code>: "
        about = f'<p class="note">{kind}{_prose(schema["description"])}</p>' if "description" in schema else ""
        made += f"{about}{_fields(schema, 1)}"
    return f"<h4>Body</h4>{made}"


def _answers(one: Operation, said: JSON) -> str:
    made = ""
    for status in one.replies:
        reply = said["responses"][str(status)]
        parts = "".join(_kind_of_answer(media, content) for media, content in reply["content"].items())
        made += f"<li><p><b>{status}</b> {_prose(reply['description'])}</p>{parts}</li>"
    chips = " ".join(
        f'<a class="tag" href="#error-{status}" title="{_text(FAULTS[status].about)}">{status}</a>'
        for status in statuses(one)
    )
    return f'<h4>Answers</h4><ul class="answers">{made}<li><p>Errors: {chips}</p></li></ul>'


def _kind_of_answer(media: str, content: JSON) -> str:
    schema = content["schema"]
    if media == EVENTS:
        schema = schema["properties"]["data"]["anyOf"][1]["contentSchema"]
    inner = _inside(schema, 1)
    about = {EVENTS: " · one event's data", LINES: " · one line"}.get(media, "")
    title = f"<code>{_text(media)}</code>{about}"
    return _folded(title, inner) if inner else f'<p class="note">{title}</p>'


def _snippets(one: Operation, said: JSON) -> str:
    """How to ask, and what comes back: the first of each open, the others folded."""
    bodies = list(one.examples.values())
    made = _code("curl", _text(_curl(one, said, bodies[0][1] if bodies else None)))
    made += "".join(_folded(_text(summary), _code("Body", _coloured(body))) for summary, body in bodies[1:])
    answers = [
        (f"{status} · {content.media}", content.example)
        for status, reply in one.replies.items()
        for content in reply.contents
        if content.example is not None
    ]
    for position, (title, example) in enumerate(answers):
        code = _code(title, _text(example) if isinstance(example, str) else _coloured(example))
        made += _folded(_text(title), code) if position else code
    return made


def _curl(one: Operation, said: JSON, body: Any) -> str:
    address = one.path
    for parameter in said.get("parameters", ()):
        if parameter["in"] == "path":
            address = address.replace(f"{{{parameter['name']}}}", parameter["schema"]["examples"][0])
    streams = one.replies.get(200) and one.replies[200].contents[0].media == EVENTS
    plain = one.method == "GET" or (one.method == "POST" and body is not None)
    flags = ("-N " if streams else "") + ("" if plain else f"-X {one.method} ")
    lines = [f'curl {flags}"$PRSM_API_URL{address}"']
    if one.scope is not None:
        lines.append('-H "Authorization: Bearer $PRSM_API_KEY"')
    if body is None and one.also is not None:
        lines += ['-H "Content-Type: application/octet-stream"', "--data-binary @model.zip"]
    if body is not None:
        lines.append('-H "Content-Type: application/json"')
        lines.append("-d '" + json.dumps(body, indent=2, ensure_ascii=False).replace("'", "'\\''") + "'")
    return " \\\n  ".join(lines)


# ------------------------------------------------------------------------------------------------------- fields


def _whole(schema: JSON) -> JSON:
    """The schema that is meant, references followed and parts of one object put together."""
    while "$ref" in schema:
        schema = document()["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if "allOf" in schema:
        parts = [_whole(part) for part in schema["allOf"]]
        return {"type": "object", "properties": {k: v for part in parts for k, v in part.get("properties", {}).items()}}
    return schema


def _fields(schema: JSON, depth: int) -> str:
    must = schema.get("required", ())
    rows = "".join(
        _row(name, part, depth, must=name in must)
        for name, part in schema.get("properties", {}).items()
        if not part.get("x-internal")
    )
    return _table(rows) if rows else ""


def _table(rows: str) -> str:
    return f'<table class="fields" aria-label="Names and meanings"><tbody>{rows}</tbody></table>'


def _row(name: str, schema: JSON, depth: int, *, must: bool) -> str:
    inner = _inside(schema, depth + 1)
    mark = '<span class="must">required</span>' if must else ""
    about = schema.get("description", "")
    parts = [
        f'<p class="kind">{_prose(" · ".join([_kind(schema), *_limits(schema)]))}</p>',
        f"<p>{_prose(about)}</p>" if about else "",
    ]
    more = f'<tr class="inner"><td colspan="2">{_folded("Its fields", inner)}</td></tr>' if inner else ""
    return f'<tr><th scope="row"><code>{_text(name)}</code>{mark}</th><td>{"".join(parts)}</td></tr>{more}'


def _inside(schema: JSON, depth: int) -> str:
    """Tables of the objects that a value is, holds, or may be."""
    whole = _whole(schema)
    if depth > _DEEPEST:
        return ""
    if "properties" in whole:
        return _fields(whole, depth)
    options = [*whole.get("anyOf", ()), *whole.get("oneOf", ())] or [
        one for one in (whole.get("items"), *whole.get("prefixItems", ())) if one
    ]
    return "".join(_inside(option, depth) for option in options)


def _kind(schema: JSON) -> str:
    """A value's type in words."""
    whole = _whole(schema)
    options = [_kind(one) for one in (*whole.get("anyOf", ()), *whole.get("oneOf", ()))]
    if not options and "enum" in whole:
        options = [f"`{json.dumps(one)}`" for one in whole["enum"]]
    if not options:
        kinds = whole.get("type", "anything")
        options = [_NAMES.get(kind, kind) for kind in ([kinds] if isinstance(kinds, str) else kinds)]
        if whole.get("items"):
            inner = _kind(whole["items"])
            options[0] = f"list of {inner}s" if inner.isalpha() else f"list of {inner}"
    return " or ".join(dict.fromkeys(options))


def _limits(schema: JSON) -> list[str]:
    """What else is asked of a value, in words."""
    whole = _whole(schema)
    if "minimum" in whole and "maximum" in whole:
        span = ["{minimum:,} to {maximum:,}".format(**whole)]
        whole = {name: value for name, value in whole.items() if name not in ("minimum", "maximum")}
    else:
        span = []
    return (
        span
        + [words.format(whole[name]) for name, words in _LIMITS.items() if name in whole]
        + ([f"default `{json.dumps(whole['default'])}`"] if "default" in whole else [])
    )


# --------------------------------------------------------------------------------------------------------- text


def _text(value: object) -> str:
    return html.escape(str(value))


def _prose(text: str) -> str:
    """Escape a text; what stands between backticks is code, between double stars bold."""
    return re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", re.sub(r"`([^`]+)`", r"<code>\1</code>", _text(text)))


def _method(one: Operation) -> str:
    return f'<span class="method {one.method.lower()}">{one.method}</span>'


def _path(path: str) -> str:
    """An address that may break after its slashes."""
    return _text(path).replace("/", "/<wbr>")


def _code(title: str, content: str) -> str:
    """A block of code; the content is HTML already."""
    head = f"<figcaption>{_text(title)}</figcaption>"
    return f'<figure class="code">{head}<pre><code>{content}</code></pre></figure>'


def _folded(title: str, content: str) -> str:
    """HTML that is shown when it is asked for; both are HTML already."""
    return f"<details><summary>{title}</summary>{content}</details>"


def _coloured(value: Any) -> str:
    """JSON as HTML, keys and values told apart."""
    text, made, done = json.dumps(value, indent=2, ensure_ascii=False), [], 0
    for part in _JSON_PART.finditer(text):
        made.append(f'{_text(text[done : part.start()])}<span class="json-{part.lastgroup}">{_text(part[0])}</span>')
        done = part.end()
    return "".join(made) + _text(text[done:])
