"""Batches as OpenAI and Anthropic run them: sent off whole, answered over a while at half price, fetched as lines.

Nothing ticks: what has become of a batch by now is worked out when somebody asks. Items are answered one after the
other over `Pace.seconds`, each written to the log with half price. While a cancelled batch settles, items that were
being answered still are, and are paid, as at the real ones.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from prsm_lab.emulator import faults, requests, wires

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from prsm_lab.emulator.faults import Rule
    from prsm_lab.emulator.log import Entry, Log
    from prsm_lab.emulator.models import Mind
    from prsm_lab.emulator.wires import Answer

_encode = msgspec.json.Encoder().encode
Kind = Literal["openai", "anthropic"]
PRICE = 0.5
"""Of the list price, what an answer in a batch costs at both."""
_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_DOCUMENTS: dict[str, Callable[[Answer], Any]] = {
    "chat": wires.chat_document, "responses": wires.response_document, "anthropic": wires.message_document,
}  # fmt: skip


@dataclass(frozen=True)
class Pace:
    """How long batches take, and how large they may be."""

    seconds: float = 0.0
    """From its creation to its last answer."""
    settle: float = 0.0
    """From a cancel to its end; what is answered meanwhile is paid."""
    window: float = 86_400.0
    """After so many seconds what is not answered has expired."""
    most: int = 50_000
    """Requests in one batch."""


@dataclass
class Item:
    """One question of a batch."""

    custom_id: str
    url: str
    body: dict[str, Any]
    due: float = 0.0
    """When it is answered, on the monotonic clock; infinite: never."""
    outcome: Literal["waiting", "answered", "errored", "lost", "canceled", "expired"] = "waiting"
    status: int = 0
    document: Any = None


@dataclass
class Batch:
    """One batch. Times are monotonic, but for `created`."""

    id: str
    kind: Kind
    items: list[Item]
    began: float
    created: float
    pace: Pace
    endpoint: str = ""
    input_file: str = ""
    version: str = ""
    """Anthropic's API version: that of the request which created it."""
    metadata: dict[str, str] = field(default_factory=dict)
    refused: list[dict[str, Any]] = field(default_factory=list)
    """What is wrong with its file, where it was not taken."""
    cancelled: float | None = None

    @property
    def end(self) -> float:
        """When it has ended, whatever has become of its items."""
        last = max((item.due for item in self.items if item.due != float("inf")), default=self.began)
        ends = min(max(last, self.began + self.pace.seconds), self.began + self.pace.window)
        return ends if self.cancelled is None else min(ends, self.cancelled + self.pace.settle)

    def count(self, *outcomes: str) -> int:
        """Count the items that came to one of these."""
        return sum(item.outcome in outcomes for item in self.items)


class Batches:
    """All files and batches of one emulator.

    Args:
        mind: Draws what befalls an item.
        log: Where every answered item is written down.
        rules: Faults of items: `batch_error`, `batch_expire`, `batch_lost`, `batch_slow`.
        pace: How long batches take.
        answer: Lets a model speak.
        refusal: The status with which a body would be refused, or None.
    """

    def __init__(
        self, mind: Mind, log: Log, rules: Sequence[Rule], pace: Pace, *,
        answer: Callable[[Entry, dict[str, Any]], Answer], refusal: Callable[[str, str, dict[str, Any]], int | None],
    ) -> None:  # fmt: skip
        self.pace = pace
        self.files: dict[str, bytes] = {}
        self.batches: dict[str, Batch] = {}
        self._mind, self._log, self._rules = mind, log, rules
        self._answer, self._refusal = answer, refusal

    # ------------------------------------------------------------------------------------------------- made

    def upload(self, content: bytes) -> str:
        """Keep a file, and return its id."""
        name = f"file-{len(self.files):06x}"
        self.files[name] = content
        return name

    def create(self, kind: Kind, items: list[Item], **facts: Any) -> Batch:
        """Begin a batch; each item gets the moment at which it is answered."""
        now = time.monotonic()
        name = f"{'batch' if kind == 'openai' else 'msgbatch'}_{len(self.batches):06x}"
        batch = Batch(name, kind, items, now, time.time(), self.pace, **facts)
        for n, item in enumerate(items):
            item.due = now + self.pace.seconds * (n + 1) / len(items)
            rule = self._befalls(item, "batch_slow", "batch_expire")
            if rule is not None:
                item.due = float("inf") if rule.fault == "batch_expire" else now + rule.seconds
        self.batches[name] = batch
        return batch

    def _befalls(self, item: Item, *names: str) -> Rule | None:
        probe = self._probe(item)
        return next((rule for rule in self._rules if rule.fault in names and rule.matches(probe, self._mind)), None)

    def _probe(self, item: Item) -> Entry:
        from prsm_lab.emulator.log import Entry

        asked, said = requests.model(item.url, item.body), requests.prompt(item.body)
        return Entry(0, "BATCH", item.url, {}, item.body, 0.0, model=asked, prompt=said)

    def refusals(self, content: bytes, endpoint: str) -> tuple[list[Item], list[dict[str, Any]]]:
        """Read a file of OpenAI's; return its items, and what is wrong with it."""
        items, wrong, seen = [], [], set()
        for n, line in enumerate(content.splitlines(), 1):
            row = requests.json(line)
            if not isinstance(row, dict) or not isinstance(row.get("body"), dict):
                wrong.append({"code": "invalid_json_line", "line": n, "message": "This line is not parseable as JSON."})
                continue
            if row.get("url") != endpoint:
                wrong.append({"code": "mismatched_url", "line": n, "message": "The URL is not the batch's endpoint."})
            if row.get("custom_id") in seen:
                wrong.append({"code": "duplicate_custom_id", "line": n, "message": "The custom_id was used before."})
            seen.add(row.get("custom_id"))
            items.append(Item(str(row.get("custom_id")), str(row.get("url")), row["body"]))
        if len({item.body.get("model") for item in items}) > 1:
            wrong.append({"code": "mismatched_model", "line": None, "message": "A batch asks one model."})
        if len(items) > self.pace.most or not items:
            wrong.append({"code": "too_many_tasks", "line": None, "message": f"At most {self.pace.most} requests."})
        return items, [{"param": None, **error} for error in wrong]

    def unfit(self, body: Any) -> str | None:
        """Say what is wrong with Anthropic's list of requests."""
        rows = body.get("requests") if isinstance(body, dict) else None
        if not isinstance(rows, list) or not rows:
            return "requests: Field required"
        names = [row.get("custom_id") for row in rows]
        if not all(isinstance(name, str) and _ID.fullmatch(name) for name in names):
            return "requests.0.custom_id: String should match pattern '^[a-zA-Z0-9_-]{1,64}$'"
        if len(set(names)) != len(names):
            return "requests: custom_id must be unique"
        return f"requests: at most {self.pace.most}" if len(rows) > self.pace.most else None

    # -------------------------------------------------------------------------------------------- as time goes

    def advance(self, batch: Batch) -> bool:
        """Answer what is due by now; tell whether the batch has ended."""
        if batch.refused:
            return True
        now, end = time.monotonic(), batch.end
        for item in batch.items:
            if item.outcome == "waiting" and item.due <= min(now, end):
                self._resolve(batch, item)
        ended = now >= end
        if ended:
            for item in batch.items:
                if item.outcome == "waiting":
                    item.outcome = "expired" if batch.cancelled is None else "canceled"
        return ended

    def _resolve(self, batch: Batch, item: Item) -> None:
        wire = requests.wire(item.url)
        rule = self._befalls(item, "batch_error", "batch_lost")
        refusal = self._refusal(wire, batch.version, item.body)
        if rule is not None and rule.fault == "batch_lost":
            item.outcome = "lost"
        elif rule is not None or refusal is not None:
            item.status = refusal or int((rule and rule.code) or 500)
            item.outcome, item.document = "errored", faults.error_body(wire, item.status)
        else:
            item.outcome, item.status, item.document = "answered", 200, self._said(wire, item)

    def _said(self, wire: str, item: Item) -> Any:
        entry = self._log.arrive("BATCH", item.url, {}, item.body)
        entry.model, entry.prompt = requests.model(item.url, item.body), requests.prompt(item.body)
        entry.status, entry.price = 200, PRICE
        document = _DOCUMENTS[wire](self._answer(entry, item.body))
        if wire == "anthropic":
            document["usage"]["service_tier"] = "batch"
        self._log.leave(entry, done=True)
        return document

    def cancel(self, batch: Batch) -> bool:
        """Cancel; False: it had ended."""
        if self.advance(batch):
            return False
        batch.cancelled = batch.cancelled or time.monotonic()
        self.advance(batch)
        return True

    # ---------------------------------------------------------------------------------------------- as each says it

    def openai(self, batch: Batch) -> dict[str, Any]:
        """A batch as OpenAI shows it."""
        ended = self.advance(batch)
        status = self._openai_status(batch, ended=ended)
        output = batch.count("answered") if ended else 0
        wrong = batch.count("errored", "expired", "canceled") if ended else 0
        return {
            "id": batch.id, "object": "batch", "endpoint": batch.endpoint, "input_file_id": batch.input_file,
            "completion_window": "24h", "status": status, "created_at": int(batch.created),
            "expires_at": int(batch.created + batch.pace.window), "metadata": batch.metadata or None,
            "errors": {"object": "list", "data": batch.refused} if batch.refused else None,
            "output_file_id": f"{batch.id}-output" if output else None,
            "error_file_id": f"{batch.id}-error" if wrong else None,
            "request_counts": {
                "total": 0 if batch.refused else len(batch.items), "completed": batch.count("answered"),
                "failed": batch.count("errored"),
            },
        }  # fmt: skip

    def _openai_status(self, batch: Batch, *, ended: bool) -> str:
        if batch.refused:
            return "failed"
        if ended:
            if batch.cancelled is not None:
                return "cancelled"
            return "expired" if batch.count("expired") else "completed"
        if batch.cancelled is not None:
            return "cancelling"
        if batch.count("waiting") == 0:
            return "finalizing"
        fresh = time.monotonic() - batch.began < batch.pace.seconds / (2 * len(batch.items))
        return "validating" if fresh else "in_progress"

    def openai_lines(self, batch: Batch, *, wrong: bool) -> bytes:
        """The output file or the error file of an ended batch; its order is not that of the input."""
        rows = [
            self._openai_line(batch, item) for item in reversed(batch.items) if (item.outcome != "answered") is wrong
        ]
        return b"".join(_encode(row) + b"\n" for row in rows if row is not None)

    def _openai_line(self, batch: Batch, item: Item) -> dict[str, Any] | None:
        row: dict[str, Any] = {"id": f"{batch.id}_req", "custom_id": item.custom_id, "response": None, "error": None}
        if item.outcome in ("answered", "errored"):
            row["response"] = {"status_code": item.status, "request_id": "req_emulated", "body": item.document}
        elif item.outcome in ("expired", "canceled"):
            code = {"expired": "batch_expired", "canceled": "batch_cancelled"}[item.outcome]
            row["error"] = {"code": code, "message": "This request was not executed before the batch ended."}
        else:
            return None
        return row

    def anthropic(self, batch: Batch, base: str) -> dict[str, Any]:
        """A batch as Anthropic shows it: counts are of use only when it has ended."""
        ended = self.advance(batch)
        counts = dict.fromkeys(("succeeded", "errored", "canceled", "expired"), 0)
        if ended:
            counts = {
                "succeeded": batch.count("answered"), "errored": batch.count("errored"),
                "canceled": batch.count("canceled"), "expired": batch.count("expired"),
            }  # fmt: skip
        going = "in_progress" if batch.cancelled is None else "canceling"
        cancelled = None if batch.cancelled is None else batch.created + batch.cancelled - batch.began
        return {
            "id": batch.id, "type": "message_batch", "processing_status": "ended" if ended else going,
            "request_counts": {"processing": 0 if ended else len(batch.items), **counts},
            "created_at": _date(batch.created), "expires_at": _date(batch.created + batch.pace.window),
            "ended_at": _date(batch.created + batch.end - batch.began) if ended else None,
            "cancel_initiated_at": None if cancelled is None else _date(cancelled), "archived_at": None,
            "results_url": f"{base}/v1/messages/batches/{batch.id}/results" if ended else None,
        }  # fmt: skip

    def anthropic_lines(self, batch: Batch) -> bytes:
        """The results of an ended batch; their order is not that of the input."""
        found = []
        for item in reversed(batch.items):
            if item.outcome == "lost":
                continue
            result: dict[str, Any] = {"type": item.outcome}
            if item.outcome == "answered":
                result = {"type": "succeeded", "message": item.document}
            elif item.outcome == "errored":
                result["error"] = item.document
            found.append(_encode({"custom_id": item.custom_id, "result": result}) + b"\n")
        return b"".join(found)


def _date(when: float) -> str:
    return datetime.fromtimestamp(when, UTC).isoformat()
