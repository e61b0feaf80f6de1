"""Hugging Face text generation, for models that continue text instead of answering a chat (DialoGPT, base models).

No router serves these: the model's own endpoint is asked, at `{base_url without /v1}/models/{id}` or where
`extra={"endpoint": …}` of the client's access points. Turns become lines, because such models know no roles:

    user text ⏎ assistant text ⏎ user text ⏎
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from prsm_lab.errors import AuthenticationError, PRSMError
from prsm_lab.providers import faults, fit
from prsm_lab.types import Delta, FinishReason, Reply, Usage

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from prsm_lab.settings import Access
    from prsm_lab.types import JSON, Request, Target

IDLE_SECONDS: Final = 60.0
DEFAULT_NEW_TOKENS: Final = 256
NEVER: Final = frozenset({"tools", "logit_bias", "presence_penalty", "schema", "logprobs", "images", "documents"})
FINISH: Final[dict[str, FinishReason]] = {"eos_token": "stop", "stop_sequence": "stop", "length": "length"}


def to_wire(request: Request, target: Target) -> tuple[str, JSON, tuple[str, ...]]:
    """Return the prompt text, the parameters of `text_generation`, and what was left out on request."""
    options, dropped = fit.fitted(request, target, never=NEVER)
    prompt = "".join(f"{_plain(message.get('content'))}\n" for message in request.messages)
    parameters: JSON = {"max_new_tokens": options.max_tokens or DEFAULT_NEW_TOKENS, "return_full_text": False}
    if options.temperature is not None:
        if options.temperature > 0:
            parameters.update(temperature=options.temperature, do_sample=True)
        else:
            parameters["do_sample"] = False
    for ours, theirs in (("top_p", "top_p"), ("seed", "seed"), ("frequency_penalty", "frequency_penalty")):
        if (value := getattr(options, ours)) is not None:
            parameters[theirs] = value
    if options.stop:
        parameters["stop"] = list(options.stop)
    return prompt, fit.with_extra(parameters, options.extra), dropped


def _plain(content: Any) -> str:
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content or ())


def from_wire(answer: Any, *, provider: str, prompt: str = "") -> Reply:
    """Read `[{"generated_text": …}]`, or the object of `details=True`."""
    first = answer[0] if isinstance(answer, list) and answer else answer
    text = first.get("generated_text") if isinstance(first, dict) else getattr(first, "generated_text", None)
    if not isinstance(text, str):
        raise faults.malformed(provider, "it holds no generated_text")
    details = first.get("details") if isinstance(first, dict) else getattr(first, "details", None)
    text, mended = faults.repaired(text.removeprefix(prompt))
    return Reply(text=text, finish_reason=_finish(details), usage=_usage(details), repaired=mended)


def _field(details: Any, name: str) -> Any:
    return details.get(name) if isinstance(details, dict) else getattr(details, name, None)


def _finish(details: Any) -> FinishReason | None:
    return None if details is None else FINISH.get(str(_field(details, "finish_reason")))


def _usage(details: Any) -> Usage:
    if details is None:
        return Usage()
    prefill = _field(details, "prefill")  # whole answers list the prompt's tokens, streams count them
    prompt = len(prefill) if prefill else _field(details, "input_length")
    return Usage(prompt_tokens=prompt, completion_tokens=_field(details, "generated_tokens"))


class TextGeneration:
    """The endpoint of one text model, through `huggingface_hub`.

    Args:
        access: Where and with which key.
    """

    def __init__(self, access: Access) -> None:
        self.name = access.provider
        self.origin = access.origin or access.base_url
        self._access = access

    def _client(self, target: Target) -> Any:
        import huggingface_hub

        key = self._access.key
        if key is None:
            raise AuthenticationError(
                f"No key for {self.name}: set {self._access.key_variable}. Nothing was sent.",
                provider=self.name, details={"kind": "missing_key", "not_sent": True}, closes_route=True,
            )  # fmt: skip
        endpoint = f"{self._access.base_url.removesuffix('/v1')}/models/{target.model}"
        return huggingface_hub.AsyncInferenceClient(model=endpoint, token=key.reveal(), timeout=IDLE_SECONDS)

    async def send(self, request: Request, target: Target, *, live: bool) -> AsyncGenerator[Delta | Reply, None]:
        """Continue the conversation's text."""
        prompt, parameters, dropped = to_wire(request, target)
        client = self._client(target)
        fault: PRSMError | None = None
        said: list[str] = []
        try:
            if live:
                reply: Reply | None = None
                seen = -1
                async for piece in await client.text_generation(prompt, details=True, stream=True, **parameters):
                    if piece.token is None or (piece.index is not None and piece.index <= seen):
                        continue  # an event of a kind we do not know, or one that came before
                    seen = seen if piece.index is None else piece.index
                    if not piece.token.special:
                        said.append(faults.repaired(piece.token.text)[0])
                        yield Delta(text=said[-1])
                    if piece.generated_text is not None:
                        reply = from_wire(piece, provider=self.name, prompt=prompt)
                if reply is None:
                    raise faults.truncated(self.name, partial=Reply(text="".join(said)))
            else:
                answer = await client.text_generation(prompt, details=True, **parameters)
                reply = from_wire(answer, provider=self.name, prompt=prompt)
            yield msgspec.structs.replace(reply, served_model=self._served(target), dropped=dropped)
        except PRSMError as known:
            fault = known
        except _foreign() as foreign:
            fault = self._translated(foreign, Reply(text="".join(said)) if said else None)
        finally:
            await client.close()
        if fault is not None:
            fault.provider = fault.provider or self.name
            raise fault

    def _served(self, target: Target) -> str:
        """This wire names no model; an emulator's answer must still not pass for a real one's."""
        return f"simulated/{target.model}" if self.origin.startswith("emulator:") else target.model

    def _translated(self, foreign: BaseException, partial: Reply | None) -> PRSMError:
        names = {cls.__name__ for cls in type(foreign).__mro__}
        response = getattr(foreign, "response", None)
        if response is not None:
            said = getattr(foreign, "server_message", None) or str(response.reason_phrase)
            return faults.from_status(
                self.name, response.status_code, response.headers, {"error": said}, partial=partial
            )
        if "TextGenerationError" in names:
            return faults.from_object(self.name, str(foreign), partial=partial)
        if isinstance(foreign, TimeoutError) or "TimeoutException" in names:
            return faults.timed_out(self.name, "first token" if partial is None else "between tokens", partial=partial)
        if isinstance(foreign, ValueError):
            return faults.malformed(self.name, "its body cannot be read", partial=partial)
        return faults.connection(self.name, foreign, origin=self._access.base_url, partial=partial)

    async def aclose(self) -> None:
        """Nothing stays open: each question has its own client, because theirs keeps no pool worth having."""


def _foreign() -> tuple[type[BaseException], ...]:
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError, TextGenerationError

    return (HfHubHTTPError, TextGenerationError, httpx2.HTTPError, httpx2.StreamError, OSError, ValueError)
