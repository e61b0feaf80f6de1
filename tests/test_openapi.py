"""The OpenAPI document: true to the router, whole, and kept by a running server whatever it is sent."""

from __future__ import annotations

import html
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import hypothesis
import jsonschema
import pytest
import requests
import schemathesis
from calls import ASK, Caller
from schemathesis.checks import CHECKS

import prsm_lab as lab
from prsm_lab import ask, emulator, errors
from prsm_lab.server import app, docs, openapi
from prsm_lab.types import Routing

SEED = (Path(__file__).parent / "golden" / "seed.md").read_text(encoding="utf-8")
DOCUMENT = openapi.document()
OPERATIONS = {
    (method.upper(), path): operation for path, item in DOCUMENT["paths"].items() for method, operation in item.items()
}
CHAT = ("POST", "/v1/chat/completions")


@pytest.fixture(scope="module")
def share():
    with (
        emulator.start() as emu,
        lab.Client(ledger=":memory:", providers=emu.providers()) as client,
        lab.serve(client) as serving,
    ):
        yield serving


@pytest.fixture(scope="module")
def root(share):
    """An admin without limits."""
    return Caller(share.url, share.new_key("root", tier="Enterprise", scopes=("infer", "read", "admin")))


def fits(value, schema):
    """Raise if a value is not what a schema of the document says."""
    jsonschema.Draft202012Validator({**schema, "components": DOCUMENT["components"]}).validate(value)


def nested(value):
    """All objects of a JSON value."""
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from nested(inner)


def every(name):
    """All values under a name, anywhere in the document."""
    return [one[name] for one in nested(DOCUMENT) if name in one]


# ------------------------------------------------------------------------------------------------- the document


def test_it_lists_the_routers_addresses_and_no_others():
    """Method and path, both ways."""
    routed = {(method, re.sub(r":path}", "}", path)) for method, path, _ in app.ROUTES}
    routed |= {("GET", path) for path in app._OPEN}

    assert set(OPERATIONS) == routed


def test_a_server_sends_it_as_it_is(share):
    """To everybody, as JSON."""
    answer = Caller(share.url, None).get("/openapi.json")

    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json == json.loads(json.dumps(DOCUMENT))


def test_it_is_an_openapi_document_of_version_3_1():
    """By the standard's own schema; every reference leads somewhere, every schema is one, every name is used once."""
    schemathesis.openapi.from_dict(DOCUMENT).validate()
    for address in set(every("$ref")):
        place = DOCUMENT
        for step in address.removeprefix("#/").split("/"):
            place = place[step]
    for schema in DOCUMENT["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)
    ids = [operation["operationId"] for operation in OPERATIONS.values()]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("place", OPERATIONS, ids=" ".join)
def test_every_example_fits_its_schema(place):
    """Of bodies, of answers, and of each event and line of a stream."""
    operation = OPERATIONS[place]
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    for example in body.get("examples", {}).values():
        fits(example["value"], body["schema"])
    errors_of_all = DOCUMENT["components"]["responses"]
    for answer in operation["responses"].values():
        found = errors_of_all[answer["$ref"].rpartition("/")[2]] if "$ref" in answer else answer
        for media, content in found["content"].items():
            example = content.get("example")
            if media == "text/event-stream":
                for block in example.strip().split("\n\n"):
                    data = block.removeprefix("data: ")
                    fits({"data": data}, content["schema"])
                    if data != "[DONE]":
                        fits(json.loads(data), content["schema"]["properties"]["data"]["anyOf"][1]["contentSchema"])
            elif media == "application/x-ndjson":
                for line in example.strip().split("\n"):
                    fits(json.loads(line), content["schema"])
            elif example is not None:
                fits(example, content["schema"])


def test_the_seeds_documents_are_its_examples():
    """To the letter."""
    shown = [json.dumps(value, sort_keys=True) for value in every("value") + every("example")]

    for text in re.findall(r"```json\n(.*?)```", SEED, re.DOTALL):
        assert json.dumps(json.loads(text), sort_keys=True) in shown


def test_a_question_has_the_fields_that_ask_reads():
    """No option is forgotten, none invented; the same of preferences."""
    schemas = DOCUMENT["components"]["schemas"]
    mine = {"model", "messages", "stream", "background", "prsm"}

    assert set(schemas["InferenceRequest"]["properties"]) == {*ask.Ask.__annotations__, *mine}
    assert set(schemas["BatchQuestion"]["properties"]) == {*ask.Ask.__annotations__, *mine, "id"}
    assert set(schemas["PreferencesRequest"]["properties"]) <= set(Routing.__struct_fields__)


def test_a_chat_completion_has_the_fields_that_its_route_reads(root):
    """What is documented is taken; what is not is refused by name."""
    properties = DOCUMENT["components"]["schemas"]["ChatCompletionRequest"]["properties"]
    named = dict.fromkeys(properties) | ASK

    assert root.post(CHAT[1], named).status == 200
    assert root.post(CHAT[1], {**ASK, "audio": {}}).error["param"] == "audio"


def test_every_kind_of_error_is_in_it():
    """Each class that a server raises has a status there, its code is in the envelope's list."""
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.PRSMError)]
    kinds = [kind for kind in kinds if kind not in (errors.PRSMError, errors.CancelledError)]
    codes = DOCUMENT["components"]["schemas"]["Error"]["properties"]["error"]["properties"]["code"]["enum"]

    assert {kind.status for kind in kinds} <= set(openapi.FAULTS)
    assert {kind.code for kind in kinds} <= set(codes)


@pytest.mark.parametrize("place", OPERATIONS, ids=" ".join)
def test_it_says_which_key_an_address_needs(share, place):
    """And the server asks for it: a key that lacks the scope, and none, are answered 401."""
    method, path = place
    path = re.sub(r"{\w+}", "page.css", path)
    body = {} if "requestBody" in OPERATIONS[place] else None
    needed = OPERATIONS[place].get("security", DOCUMENT["security"])
    roles = needed[0]["bearer"] if needed else []
    others = {"infer", "read", "admin"} - set(roles) - ({"admin"} if roles else set())
    bare = Caller(share.url, None)(method, path, body)

    assert (bare.status == 401) == bool(needed)
    if roles:
        assert Caller(share.url, share.new_key("bob", scopes=sorted(others)))(method, path, body).status == 401


def test_limits_are_told_as_documented(root):
    """The names of the headers on an answer and on an error."""
    documented = set(OPERATIONS["GET", "/v1/models"]["responses"]["200"]["headers"])
    documented_of_errors = set(DOCUMENT["components"]["responses"]["NotFound"]["headers"])

    assert {name.lower() for name in documented} <= set(root.get("/v1/models").headers)
    assert {name.lower() for name in documented_of_errors} <= set(root.get("/v1/models/no-such-model").headers)


def test_a_method_that_an_address_lacks_is_answered_with_those_it_has(root):
    """As HTTP asks for; on open addresses too."""
    keyed, bare = root("PATCH", "/v1/inference/providers"), root("DELETE", "/healthz")

    assert (keyed.status, set(keyed.headers["allow"].split(", "))) == (405, {"GET", "HEAD", "PUT"})
    assert (bare.status, set(bare.headers["allow"].split(", "))) == (405, {"GET", "HEAD"})
    assert keyed.error["code"] == "invalid_request"


def test_a_server_that_nobody_asks_for_it_never_builds_it():
    """Importing and starting a server leaves it alone."""
    probe = (
        "import sys, prsm_lab as lab, prsm_lab.server; share = lab.serve(lab.Client(mock_mode=True, ledger=':memory:')); "
        "print(sorted({'prsm_lab.server.openapi', 'prsm_lab.server.docs'} & set(sys.modules))); share.stop()"
    )
    said = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True).stdout

    assert said.strip() == "[]"


# ----------------------------------------------------------------------------------------------------- the page


class Links(HTMLParser):
    """Addresses and ids of a page, and whether its elements close."""

    def __init__(self, text):
        super().__init__()
        self.addresses, self.ids, self.open = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.addresses += [given[name] for name in ("href", "src") if name in given]
        self.ids += [given["id"]] if "id" in given else []
        assert not any(name == "style" or name.startswith("on") for name in given)
        if tag not in ("meta", "link", "wbr", "path"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag != "path":
            assert self.open.pop() == tag


def test_the_page_is_whole_and_has_only_relative_addresses(share):
    """Every link of its contents leads somewhere, every file is there; it works behind any prefix."""
    answer = Caller(share.url, None).get("/docs")
    page = Links(answer.raw.decode())

    assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    assert {address[1:] for address in page.addresses if address.startswith("#")} <= set(page.ids)
    files = [address for address in page.addresses if not address.startswith(("#", "data:image/svg+xml,"))]
    assert not [address for address in files if re.match(r"/|\w+:", address)]
    assert {Caller(share.url, None).get(f"/{address.removeprefix('.')}").status for address in files} == {200}


@pytest.mark.parametrize("place", OPERATIONS, ids=" ".join)
def test_the_page_shows_every_address(place):
    """Summary, fields of the body, a command to copy with the key from the environment."""
    operation, text = OPERATIONS[place], docs.page()
    section = re.search(rf'<section id="{operation["operationId"]}".*?</section>', text, re.DOTALL)[0]

    assert html.escape(operation["summary"]) in section
    assert "$PRSM_API_URL/" in section
    assert ("Bearer $PRSM_API_KEY" in section) == (operation.get("security") != [])
    for media in operation.get("requestBody", {}).get("content", {}).values():
        schema = DOCUMENT["components"]["schemas"][media["schema"]["$ref"].rpartition("/")[2]]
        shown = {name for name, field in schema.get("properties", {}).items() if not field.get("x-internal")}
        assert shown <= set(re.findall(r"<th scope=\"row\"><code>([^<]*)", section))


CHROMIUM = "/usr/bin/chromium"


@pytest.fixture(scope="module")
def browser(share):
    """It starts after the server and ends before it."""
    playwright = pytest.importorskip("playwright.sync_api")
    if not Path(CHROMIUM).exists():
        pytest.skip(f"no browser at {CHROMIUM}")
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_browser_shows_it_without_complaint(share, browser, width, scheme):
    """Nothing is blocked, nothing is asked of another host, nothing is wider than the screen, also unfolded."""
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page, asked, faults = context.new_page(), [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda line: faults.append(line.text) if line.type in ("error", "warning") else None)
    page.on("pageerror", lambda fault: faults.append(str(fault)))
    page.goto(share.url + "/docs#create_inference")
    page.evaluate("document.querySelectorAll('main details').forEach((box) => { box.open = true; })")

    assert page.locator("#create_inference h3").is_visible()
    assert page.locator("nav a[aria-current]").get_attribute("href") == "#create_inference"
    assert page.locator("nav details").get_attribute("open") == ("" if width > 960 else None)
    assert page.locator("[data-address]").inner_text() == share.url
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert [url for url in asked if not url.startswith((share.url + "/", "data:"))] == []
    assert faults == []
    context.close()


def test_its_contents_are_reached_by_keyboard(share, browser):
    """Skip link, then the list; Enter leads to the address."""
    page = browser.new_page(viewport={"width": 390, "height": 800})
    page.goto(share.url + "/docs")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.locator("nav summary").focus()
    page.keyboard.press("Enter")
    page.locator("nav a[href='#errors']").focus()
    page.keyboard.press("Enter")
    page.wait_for_function("location.hash === '#errors' && !document.querySelector('nav details').open")
    page.close()


# -------------------------------------------------------------------------------- a running server against it


@pytest.mark.parametrize(
    ("status", "key", "body", "headers"),
    [
        (402, {"credits": 0.0}, {}, {}),
        (403, {}, {}, {"Origin": "https://elsewhere.example"}),
        (409, {}, {"max_tokens": 21}, {"Idempotency_Key": "once"}),
        (413, {}, {}, {"Content_Length": str(2**30)}),
        (415, {}, {}, {"Content_Type": "text/plain"}),
        (421, {}, {}, {"Host": "elsewhere.example"}),
        (429, {}, {"max_tokens": 50_000}, {}),
    ],
)
def test_an_error_of_rare_circumstances_is_documented(share, status, key, body, headers):
    """No money, a foreign page or host, a name used twice, too much of something, no JSON: as each is met."""
    caller = Caller(share.url, share.new_key(f"rare {status}", **key))
    caller.post("/v1/inference", ASK, Idempotency_Key="once")
    answer = caller.post("/v1/inference", {**ASK, **body}, **headers)
    documented = OPERATIONS["POST", "/v1/inference"]["responses"][str(status)]

    assert answer.status == status
    assert documented == {"$ref": f"#/components/responses/{openapi.FAULTS[status].name}"}
    fits(answer.json, {"$ref": "#/components/schemas/Error"})


def asked(**fields):
    return {**ASK, **fields}


def said(**fields):
    return {**ASK, "messages": [{"role": "user", "content": "hi", **fields}]}


KEY = {"name": "bob"}
WRONG = [
    ("/v1/inference", said(role={}), "messages[0].role"),
    ("/v1/inference", said(content=[7]), "messages[0].content[0]"),
    ("/v1/inference", said(role="assistant", tool_calls=7), "messages[0].tool_calls"),
    ("/v1/inference", said(role="assistant", tool_calls=[{"id": {}}]), "messages[0].tool_calls[0]"),
    ("/v1/inference", said(role="tool", tool_call_id=[]), "messages[0].tool_call_id"),
    ("/v1/inference", asked(fallback_config=False), "fallback_config"),
    ("/v1/inference", asked(cost_optimization={"enabled": "no"}), "cost_optimization.enabled"),
    ("/v1/inference", asked(cost_optimization={"enabled": False, "max_cost": "x"}), "cost_optimization.max_cost"),
    ("/v1/inference", asked(cache_config={"enabled": 0}), "cache_config.enabled"),
    ("/v1/inference", asked(provider=["openai"]), "provider"),
    ("/v1/inference", asked(logit_bias={"5": "much"}), "logit_bias.5"),
    ("/v1/inference", asked(temperature=10**400), "temperature"),
    ("/v1/inference", asked(timeout=10**400), "timeout"),
    ("/v1/inference", asked(max_tokens=2**63), "max_tokens"),
    ("/v1/inference", asked(tools=[{"type": "function", "function": {"name": "f", "parameters": 7}}]),
     "tools[0].function.parameters"),
    ("/v1/inference", asked(prsm={"primary": {}}), "prsm.primary"),
    ("/v1/keys", {**KEY, "tier": {}}, "tier"),
    ("/v1/keys", {**KEY, "credits": True}, "credits"),
    ("/v1/keys", {**KEY, "scopes": [{}]}, "scopes"),
    ("/v1/keys", {**KEY, "models": [{}]}, "models"),
    ("/v1/keys", {**KEY, "limits": [None]}, "limits"),
    ("/v1/keys", {**KEY, "tier": "Enterprise", "limits": {"concurrent": True}}, "limits.concurrent"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "body", "parameter"), WRONG, ids=[f"{path} {name}" for path, _, name in WRONG])
def test_a_wrong_value_is_refused_by_name(root, path, body, parameter):
    """Whatever its type: no value that JSON has is a surprise to the server."""
    answer = root.post(path, body)

    assert (answer.status, answer.error["details"]["parameter"]) == (400, parameter)


@pytest.mark.parametrize(
    ("fields", "parameter"),
    [
        ({"stream_options": {"include_usage": {}}}, "stream_options.include_usage"),
        ({"logprobs": "yes"}, "logprobs"),
        ({"top_logprobs": 21}, "top_logprobs"),
        ({"reasoning_effort": 3}, "reasoning_effort"),
        ({"max_completion_tokens": 5, "max_tokens": 0}, "max_tokens"),
        ({"response_format": {"type": "text", "json_schema": []}}, "response_format.json_schema"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"schema": 7}}},
            "response_format.json_schema.schema",
        ),
    ],
)
def test_a_wrong_value_is_refused_by_name_in_openais_words(root, fields, parameter):
    """On their route too."""
    answer = root.post(CHAT[1], {**ASK, **fields})

    assert (answer.status, answer.error["param"]) == (400, parameter)


def test_null_is_no_limit_on_openais_route(root):
    """`max_tokens` holds where its newer name is null."""
    answer = root.post(CHAT[1], {**ASK, "max_tokens": 2, "max_completion_tokens": None})

    assert answer.json["usage"]["completion_tokens"] <= 2


ONE_BY_ONE = "/v1/inference/batch"
"""What is wrong with one question of a batch is that one's result; the batch itself is answered."""
CHECKED = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance",
    "response_headers_conformance", "negative_data_rejection", "allow_header_conformance", "unsupported_method",
)  # fmt: skip
ASKING = "/v1/(inference|inference/stream|inference/batch|chat/completions|runs)$"


def sent(*, fuzzing):
    """Requests made from the document: edge by edge of each schema, or drawn at random."""
    settings = {
        "phases": {"examples": {"enabled": not fuzzing}, "coverage": {"enabled": not fuzzing}, "fuzzing": {"enabled": fuzzing}},
        "generation": {"with-security-parameters": False},  # else most requests end at the door
        "checks": {"not_a_server_error": {"expected-statuses": ["2xx", "4xx", 503]}},  # 503: not in so short a time
    }  # fmt: skip
    return schemathesis.openapi.from_dict(DOCUMENT, config=schemathesis.Config.from_dict(settings))


def check(case, root, connection, names=CHECKED):
    """Send one request; the key is good, so whatever is answered, the door is behind it."""
    headers = {"Authorization": f"Bearer {root.key}"}
    answer = case.call(base_url=root.url, headers=headers, session=connection)
    case.validate_response(answer, checks=CHECKS.get_by_names(names))
    assert answer.status_code not in (401, 403, 421)


@pytest.fixture(scope="module")
def connection():
    with requests.Session() as made:
        yield made


@sent(fuzzing=False).parametrize()
@hypothesis.settings(max_examples=1, derandomize=True, deadline=None, database=None)
def test_a_running_server_keeps_what_the_document_says(case, root, connection):
    """Every edge of every schema, inside and outside, and methods that are not there: no server error, no
    undocumented answer, nothing bad accepted."""
    check(case, root, connection, [n for n in CHECKED if n != "negative_data_rejection" or case.path != ONE_BY_ONE])


@sent(fuzzing=True).include(path_regex=ASKING, method="POST").parametrize()
@hypothesis.settings(max_examples=6, derandomize=True, deadline=None, database=None)
def test_questions_drawn_at_random_are_answered_as_documented(case, root, connection):
    """To a model that exists, so that options are tried and not only refused for its name."""
    for holder in [one for one in nested(case.body) if isinstance(one.get("model"), str)]:
        holder["model"] = "gpt-4"
    check(case, root, connection, [name for name in CHECKED if name != "negative_data_rejection"])
