"""What can be asked of the share server, one entry an address: summary, parameters, body, answers, errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from prsm_lab.server import examples
from prsm_lab.server.inferences import MOST_LISTED
from prsm_lab.server.reports import GROUPS, METRICS
from prsm_lab.server.schemas import number, text, whole

if TYPE_CHECKING:
    from prsm_lab.types import JSON

JSON_TYPE: Final = "application/json"
EVENTS: Final = "text/event-stream"
LINES: Final = "application/x-ndjson"

Examples = dict[str, tuple[str, Any]]
"""Name → what it shows, and the document."""


class Content(NamedTuple):
    """One kind of body that an answer may have."""

    schema: str | None
    """Name of a component; None: text of no fixed shape. Of a stream: what one event or line tells."""
    example: Any = None
    media: str = JSON_TYPE


class Reply(NamedTuple):
    """One answer that is no error."""

    about: str
    contents: tuple[Content, ...]
    headers: tuple[str, ...] = ()


class Operation(NamedTuple):
    """One method of one address."""

    method: str
    path: str
    id: str
    summary: str
    replies: dict[int, Reply]
    about: str = ""
    scope: str | None = "read"
    """What the key must be allowed; `any`: any good key; None: no key is needed."""
    asks: bool = False
    """Is a model asked? Then limits, credits and providers may say no."""
    body: str | None = None
    also: str | None = None
    """Another kind of body: bytes, as a component's schema says; `body` is None where there is no other."""
    examples: Examples = {}  # noqa: RUF012 -- nobody writes to it
    query: JSON = {}  # noqa: RUF012 -- as above
    headers: tuple[str, ...] = ()
    errors: tuple[int, ...] = ()
    """Beyond those that the door, a body and a model bring along."""


class Group(NamedTuple):
    """Operations under one heading."""

    name: str
    about: str
    operations: tuple[Operation, ...]


def _one(schema: str, example: Any = None, about: str = "Done.", *, status: int = 200) -> dict[int, Reply]:
    return {status: Reply(about, (Content(schema, example),))}


_SPAN: Final[JSON] = {
    "timeframe": text(
        "`last_24_hours`, `last_7_days`, `last_30_days` or any such span, `all`, or `from/to` in ISO dates.",
        default="last_30_days",
        pattern=r"^(|all|last_[0-9]{1,5}_(hour|day|week)s?|[0-9T:.+\-]*/[0-9T:.+\-]*)$",
    ),
    "metrics": text(f"Only these, separated by commas: {', '.join(METRICS)}."),
    "group_by": text(f"Some of {', '.join(GROUPS)}, separated by commas."),
    "model": text("Only this model."),
    "provider": text("Only this provider."),
    "key": text("Only what this person's keys asked; another's needs the scope `admin`."),
    "since": number("Unix time; wins over `timeframe`."),
    "until": number("Unix time; wins over `timeframe`."),
}
_INFERENCES: Final = Group(
    "Inferences",
    "Ask models, whoever serves them; look up what was asked.",
    (
        Operation(
            "POST", "/v1/inference", "create_inference", "Ask a question", {
                200: Reply(
                    "The answer.", (Content("Inference", examples.INFERENCE),), ("Idempotent-Replayed",)
                ),
                202: Reply(
                    "With `background`: it will be answered.", (Content("Accepted", examples.ACCEPTED),), ("Location",)
                ),
            },
            "Who answers follows from the model's name, `provider`, and what the question says of fallbacks and costs.",
            scope="infer", asks=True, body="InferenceRequest", examples=examples.QUESTIONS,
            headers=("Idempotency-Key",), errors=(409,),
        ),
        Operation(
            "POST", "/v1/inference/stream", "stream_inference", "Ask, and read the answer while it is written", {
                200: Reply("The answer in pieces.", (Content("StreamEvent", examples.EVENTS, EVENTS),)),
            },
            "Server-sent events. A last event has usage, cost and latency, then comes `[DONE]`. While the provider is "
            "silent, comments keep the connection. Whoever closes the connection stops paying.",
            scope="infer", asks=True, body="InferenceRequest", examples={"seed": ("A story", examples.STREAM)},
        ),
        Operation(
            "POST", "/v1/inference/batch", "batch_inferences", "Ask many questions at once", {
                200: Reply("All results, in order; or, if `application/x-ndjson` is accepted, a line for each as it "
                           "comes.", (Content("Batch", examples.BATCHED), Content("BatchLine", examples.LINES, LINES))),
            },
            "One that fails does not lose the others: its error is its result.",
            scope="infer", body="BatchRequest", examples={"seed": ("Two providers", examples.BATCH)},
        ),
        Operation(
            "POST", "/v1/inference/check", "check_inference", "Check a question without asking it",
            _one("Checked", {"status": "ok"}, "It could be asked."),
            scope="infer", body="InferenceRequest", examples={"seed": ("A question", examples.QUESTION)},
            errors=(402, 404),
        ),
        Operation(
            "GET", "/v1/inference", "list_inferences", "List the latest inferences",
            _one("RecordList", {"object": "list", "data": [examples.RECORD | {"served_model": "gpt-3.5-turbo-0125"}]},
                 "Newest first: one's own, for an admin everybody's."),
            query={"limit": whole("How many.", minimum=1, maximum=MOST_LISTED, default=50)}, errors=(400,),
        ),
        Operation(
            "GET", "/v1/inference/{id}", "get_inference", "Look up one inference",
            _one("Record", examples.RECORD, "What is known of it."), errors=(404,),
        ),
    ),
)  # fmt: skip
_OPENAI: Final = Group(
    "OpenAI's clients",
    "Point the official SDKs at `/v1` with a key of this server: nothing else changes, whoever serves the model.",
    (
        Operation(
            "POST", "/v1/chat/completions", "create_chat_completion", "Ask as OpenAI's clients do", {
                200: Reply("The answer; with `stream`, in pieces.", (
                    Content("ChatCompletion", examples.COMPLETION),
                    Content("ChatCompletionEvent", examples.CHUNKS, EVENTS),
                )),
            },
            "Errors of this address have OpenAI's envelope.",
            scope="infer", asks=True, body="ChatCompletionRequest", examples={"plain": ("A question", examples.CHAT)},
        ),
        Operation(
            "GET", "/v1/models", "list_models", "List the models",
            _one("ModelList", {"object": "list", "data": [examples.CARD]}, "Those that this key may ask."),
        ),
        Operation(
            "GET", "/v1/models/{id}", "get_model", "Look up one model",
            _one("ModelCard", examples.CARD, "The model, also by an alias."), errors=(404,),
        ),
    ),
)  # fmt: skip
_HOSTING: Final = Group(
    "Models of one's own",
    "Weights that were uploaded are `local/<name>`, models of a registered server `<name>/<model>`: asked like all "
    "others. Weights run in a process without keys and network, and are in memory while they are asked.",
    (
        Operation(
            "POST", "/v1/models", "add_model", "Upload weights, or register a server", {
                201: Reply("It can be asked.", (Content("ModelCard", examples.HOSTED),)),
                202: Reply("It is announced: send its bytes by `PUT`.", (Content("ModelCard", examples.UPLOADING),)),
            },
            "A zip or tar of a Hugging Face folder (safetensors, tokenizer, settings; no pickles, no code), or a GGUF "
            "file. Announce it by name, size and checksum, then send it by `PUT`; or send the bytes at once, with "
            "`name` and `sha256` in the address. With `base_url`, a server that speaks Chat Completions is registered.",
            scope="admin", body="NewModel", also="ModelBytes", examples=examples.NEW_MODELS,
            query={"name": text("Of bytes that are sent at once."), "sha256": text("Of them, in hexadecimal.")},
            errors=(402, 404, 409, 503),
        ),
        Operation(
            "PUT", "/v1/models/{id}", "send_model", "Send bytes of announced weights", {
                201: Reply("All are here, and were found good: it can be asked.", (
                    Content("ModelCard", examples.HOSTED),
                )),
                202: Reply("More are to come.", (Content("ModelCard", examples.UPLOADING),)),
            },
            "An upload that broke off goes on at `received` bytes, which a new announcement tells, and a 409 too.",
            scope="admin", also="ModelBytes", query={"offset": text("Where these bytes begin.", default="0")},
            errors=(404, 409),
        ),
        Operation(
            "DELETE", "/v1/models/{id}", "delete_model", "Delete weights, or forget a server",
            _one("ModelDeleted", {"id": "local/tiny", "object": "model", "deleted": True}, "It is gone."),
            scope="admin", errors=(404, 409),
        ),
    ),
)  # fmt: skip
_REPORTS: Final = Group(
    "Usage and preferences",
    "What was used, what it cost, how fast it was; and how a key's questions are asked where they say nothing.",
    (
        Operation(
            "GET", "/v1/inference/analytics", "get_analytics", "Sum up usage",
            _one("Report", examples.REPORT, "The figures."), query=_SPAN, errors=(400,),
        ),
        Operation(
            "GET", "/v1/inference/performance", "get_performance", "Sum up success and speed",
            _one("Report", examples.REPORT, "The figures."), query=_SPAN, errors=(400,),
        ),
        Operation(
            "GET", "/v1/inference/providers", "get_preferences", "Read this key's preferences",
            _one("Preferences", examples.PREFERENCES, "Its own, else the server's."),
        ),
        Operation(
            "PUT", "/v1/inference/providers", "put_preferences", "Set this key's preferences",
            _one("Preferences", examples.PREFERENCES, "As they hold from now on."),
            scope="infer", body="PreferencesRequest", examples={"seed": ("All of them", examples.PREFERENCES)},
        ),
    ),
)  # fmt: skip
_KEYS: Final = Group(
    "Keys",
    "Who may ask, and how much. The key itself is in one answer only: the server keeps a digest of it.",
    (
        Operation(
            "GET", "/v1/keys/me", "get_my_key", "Read what this key may do",
            _one("Key", examples.KEY, "Tier, limits, what is left."), scope="any",
        ),
        Operation(
            "GET", "/v1/keys", "list_keys", "List all keys",
            _one("KeyList", {"object": "list", "data": [examples.KEY]}, "Newest first."), scope="admin",
        ),
        Operation(
            "POST", "/v1/keys", "create_key", "Make a key",
            _one("KeyShown", examples.KEY_SHOWN, "The key, this once.", status=201),
            scope="admin", body="NewKey", examples={"basic": ("For a week, at most five dollars", examples.NEW_KEY)},
            errors=(404,),
        ),
        Operation(
            "DELETE", "/v1/keys/{id}", "revoke_key", "End a key for good",
            _one("Key", examples.KEY | {"revoked": True}, "It ended; its open streams end within a second."),
            scope="admin", errors=(404,),
        ),
        Operation(
            "POST", "/v1/keys/{id}/rotate", "rotate_key", "Replace a key",
            _one("KeyShown", examples.KEY_SHOWN, "Its successor: same person, tier, scopes, what is left.", status=201),
            "The old key ends at once.", scope="admin", errors=(404,),
        ),
    ),
)  # fmt: skip
_RUNS: Final = Group(
    "Runs",
    "For the Python client's DataFrame functions: what a run asks is written down before it asks, so that it resumes "
    "from anywhere. Free to change.",
    (
        Operation(
            "POST", "/v1/runs", "begin_run", "Begin a run", _one("RunBegun", {"id": "run_1"}, "It is written down."),
            scope="infer", body="RunRequest", examples={"one": ("One question", examples.RUN)}, errors=(404,),
        ),
        Operation(
            "POST", "/v1/runs/recall", "recall_answers", "Find answers that were paid for",
            _one("Recalled", {"inferences": [None]}, "What is known, in the order of `requests`."),
            scope="infer", body="RecallRequest", examples={"one": ("One question", examples.RECALL)}, errors=(404,),
        ),
        Operation(
            "POST", "/v1/runs/receipts", "list_receipts", "Read what answers went through",
            _one("Receipts", {"records": []}, "What is known of this key's own, attempts and price lines included."),
            scope="read", body="ReceiptsRequest",
            examples={"one": ("One answer", {"ids": [examples.RECORD["id"]]})},
        ),
        Operation("GET", "/v1/runs", "list_runs", "List past runs", _one("Runs", {"runs": []}, "Newest first.")),
        Operation(
            "GET", "/v1/runs/{id}", "replay_run", "Read a run back",
            _one("Replay", {"run": {"id": "run_1"}, "records": [None]}, "The run and the state of each question."),
            errors=(404,),
        ),
    ),
)  # fmt: skip


def _open(path: str, id: str, summary: str, media: str, **more: Any) -> Operation:
    """An address that needs no key and answers with a page or a file."""
    replies = {200: Reply(f"{summary}.", (Content(None, None, media),))}
    return Operation("GET", path, id, summary, replies, scope=None, **more)


_SERVER: Final = Group(
    "Server",
    "Open to everybody who reaches it: no key is needed.",
    (
        Operation(
            "GET", "/healthz", "get_health", "Is it answering?", _one("Health", {"status": "ok"}, "It is."), scope=None
        ),
        Operation(
            "GET", "/openapi.json", "get_openapi", "This API as an OpenAPI document",
            _one("OpenAPI", about="The document."), scope=None,
        ),
        _open("/docs", "get_docs", "This API as a page", "text/html"),
        _open("/", "get_playground", "The playground", "text/html"),
        _open("/page/{name}", "get_page_file", "A file of the pages", "*/*", errors=(404,)),
    ),
)  # fmt: skip

SECTIONS: Final = (_INFERENCES, _OPENAI, _HOSTING, _REPORTS, _KEYS, _RUNS, _SERVER)
