"""In the loader: text to tokens and back, and the chat template, which is somebody else's program."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

MOST_PROMPT = 4 * 2**20
TEMPLATE_SECONDS = 2.0


class Refusal(Exception):
    """What is wrong with a question."""

    def __init__(self, message: str, code: str = "invalid_request_error", status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


class Words:
    """Text to tokens and back, and the chat template."""

    def __init__(self, folder: str, tokens: dict[str, Any]) -> None:
        from tokenizers import ByteLevelBPETokenizer, Tokenizer

        whole = os.path.join(folder, "tokenizer.json")  # noqa: PTH118
        if os.path.exists(whole):  # noqa: PTH110
            self._tokenizer = Tokenizer.from_file(whole)
        else:
            files = [os.path.join(folder, name) for name in ("vocab.json", "merges.txt")]  # noqa: PTH118
            self._tokenizer = ByteLevelBPETokenizer(*files)
        self._tokens = tokens
        self.end = self._id("eos_token")
        pad = self._id("pad_token")
        self.pad = pad if pad is not None else self.end or 0
        self._template = compiled(tokens["chat_template"]) if tokens.get("chat_template") else None
        if self._template is not None:  # a template that never ends shows before anybody waits for it
            rendered(self._template, [{"role": "user", "content": "hi"}], tokens)

    def _id(self, name: str) -> int | None:
        text = self._tokens.get(name)
        found: int | None = self._tokenizer.token_to_id(text) if text else None
        return found

    def decode(self, ids: list[int]) -> str:
        text: str = self._tokenizer.decode(ids, skip_special_tokens=True)
        return text

    def encoded(self, messages: list[dict[str, Any]]) -> list[int]:
        plain = [{**message, "content": flat(message.get("content"))} for message in messages]
        if self._template is not None:
            text = rendered(self._template, plain, self._tokens)
        elif self._tokens.get("turns_end"):
            text = "".join(f"{message['content']}{self._tokens.get('eos_token') or ''}" for message in plain)
        elif len(plain) == 1:
            text = plain[0]["content"]
        else:
            text = "".join(f"{message['content']}\n" for message in plain)
        if len(text) > MOST_PROMPT:
            raise Refusal("The prompt is too long", "context_length_exceeded")
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=self._template is None).ids
        if not ids:
            raise Refusal("The prompt is empty")
        return ids


def flat(content: Any) -> str:
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, dict)]
        if not all(isinstance(part, str) for part in parts):
            raise Refusal("This model reads text only")
        return "".join(str(part) for part in parts)
    return content if isinstance(content, str) else ""


# ------------------------------------------------------------------------------------------------ the template


def compiled(text: str) -> Any:
    """Compile a chat template in an immutable sandbox, in which nothing grows out of a small expression."""
    import jinja2
    from jinja2 import nodes
    from jinja2.ext import Extension
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Sandbox(ImmutableSandboxedEnvironment):  # type: ignore[misc]
        intercepted_binops = frozenset({"*", "**"})

        def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
            if operator == "**" or not all(isinstance(one, (int, float)) for one in (left, right)):
                raise jinja2.exceptions.SecurityError(f"{operator} of these is not allowed in a template")
            return super().call_binop(context, operator, left, right)

    class Generation(Extension):  # type: ignore[misc]
        """`{% generation %}` marks what a trainer looks at; here it is what is in it."""

        tags = {"generation"}  # noqa: RUF012 -- jinja2's way

        def parse(self, parser: Any) -> Any:
            next(parser.stream)
            body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            return nodes.Scope(body)

    def raise_exception(message: str) -> str:
        raise Refusal(f"The chat template says: {str(message)[:200]}")

    made = Sandbox(trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols", Generation])
    made.globals.clear()
    made.globals.update(
        range=jinja2.sandbox.safe_range, namespace=jinja2.utils.Namespace, dict=dict, raise_exception=raise_exception,
        strftime_now=lambda form: time.strftime(str(form)[:40]),
    )  # fmt: skip
    made.filters["tojson"] = lambda value, indent=None, **_: json.dumps(value, ensure_ascii=False, indent=indent)
    return made.from_string(text)


def rendered(template: Any, messages: list[dict[str, Any]], tokens: dict[str, Any]) -> str:
    """Render it; one that takes too long or grows too large is stopped.

    Its loops are Python, so a trace of its lines sees the time.
    """
    until = time.monotonic() + TEMPLATE_SECONDS

    def watch(*_: Any) -> Any:
        if time.monotonic() > until:
            raise Refusal(f"The chat template took more than {TEMPLATE_SECONDS:g} s")
        return watch

    names = {name: tokens.get(name) or "" for name in ("bos_token", "eos_token", "pad_token", "unk_token")}
    parts, size, before = [], 0, sys.gettrace()
    sys.settrace(watch)
    try:
        for part in template.generate(messages=messages, add_generation_prompt=True, tools=None, **names):
            parts.append(part)
            size += len(part)
            if size > MOST_PROMPT:
                raise Refusal("The chat template makes too long a prompt")
    except Refusal:
        raise
    except Exception as fault:  # noqa: BLE001 -- the edge: a template is somebody else's program
        raise Refusal(f"The chat template failed: {type(fault).__name__}: {str(fault)[:200]}") from None
    finally:
        sys.settrace(before)
    return "".join(parts)
