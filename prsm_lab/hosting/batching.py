"""In the loader: a causal model of transformers, whose waiting questions are answered together.

All rows of a batch take a step at once, who is done leaves, who has come meanwhile joins, for which the others' keys
and values are computed anew.
"""

from __future__ import annotations

import json
import os
import queue
import random
import threading
from typing import TYPE_CHECKING, Any

from prsm_lab.hosting.words import Refusal, Words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MOST_ROWS = 8
JOIN_EVERY = 8
"""Steps that a batch takes before newcomers join it: joining costs the others a look at all they said."""
MOST_TOKENS = 1024
"""Of an answer whose question names no limit."""
COLDEST = 1e-3
"""Temperatures below it take the likeliest token: scores divided by less overflow, which would end the whole batch."""


class Transformers:
    """A causal model of a staged folder, by transformers."""

    def __init__(self, said: dict[str, Any]) -> None:
        os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
        import torch
        from transformers import CONFIG_MAPPING, AutoModelForCausalLM

        torch.set_num_threads(said["threads"])
        folder = said["path"]
        with open(os.path.join(folder, "config.json"), encoding="utf-8") as file:  # noqa: PTH118, PTH123
            config = json.load(file)
        with open(os.path.join(folder, "tokens.json"), encoding="utf-8") as file:  # noqa: PTH118, PTH123
            tokens = json.load(file)
        made = CONFIG_MAPPING[config["model_type"]].from_dict(config)
        self._device = "cuda" if torch.cuda.is_available() and said.get("gpu", True) else "cpu"
        self._model, told = AutoModelForCausalLM.from_pretrained(
            folder, config=made, use_safetensors=True, local_files_only=True, trust_remote_code=False,
            dtype="auto" if self._device == "cuda" else torch.float32, output_loading_info=True,
        )  # fmt: skip
        if told["missing_keys"]:  # transformers would make them up
            raise ValueError(f"weights are missing: {', '.join(sorted(told['missing_keys'])[:3])} …")
        self._model = self._model.to(self._device).eval()
        self._torch = torch
        self._words = Words(folder, tokens)
        self.context = context_of(made, tokens)
        eos = getattr(made, "eos_token_id", None)
        ends = eos if isinstance(eos, list) else [eos]
        self._ends = {one for one in (*ends, self._words.end) if isinstance(one, int)}
        self._takes = takes(self._model.forward)
        self._waiting: queue.Queue[Row] = queue.Queue()
        threading.Thread(target=self._run, daemon=True).start()

    def answer(self, body: dict[str, Any], left: Callable[[], bool]) -> Iterator[dict[str, Any]]:
        """Yield texts, then how it ended and what it used."""
        unfit = [name for name in ("tools", "response_format", "logprobs", "n") if body.get(name) not in (None, 1, [])]
        if unfit:
            raise Refusal(f"{unfit[0]} is not supported by this model")
        ids = self._words.encoded(body["messages"])
        if len(ids) >= self.context:
            raise Refusal(
                f"This model's maximum context length is {self.context} tokens, but the messages have {len(ids)}",
                "context_length_exceeded",
            )
        row = Row(ids, body, self.context, self._words.decode, self._torch)
        self._waiting.put(row)
        yield from row.heard(left)

    def _run(self) -> None:
        while True:
            rows = [self._waiting.get()]
            try:
                self._batch(rows)
            except Exception as fault:  # noqa: BLE001 -- the edge: whatever a model raises, its loader goes on
                for row in rows:
                    row.broke(fault)

    def _batch(self, rows: list[Row]) -> None:
        torch, cache, mask, steps = self._torch, None, None, 0
        with torch.inference_mode():
            while rows:
                if len(rows) < MOST_ROWS and not self._waiting.empty() and (cache is None or steps >= JOIN_EVERY):
                    cache, steps = None, 0
                    while len(rows) < MOST_ROWS and not self._waiting.empty():
                        rows.append(self._waiting.get_nowait())
                if cache is None:
                    ids, mask = padded(torch, [row.ids for row in rows], self._words.pad, self._device)
                else:
                    assert mask is not None
                    ids = torch.tensor([[row.ids[-1]] for row in rows], device=self._device)
                    mask = torch.cat([mask, mask.new_ones((len(rows), 1))], dim=1)
                more: dict[str, Any] = {}
                if "position_ids" in self._takes:
                    more["position_ids"] = (mask.cumsum(1) - 1).clamp(min=0)[:, -ids.shape[1] :]
                if "logits_to_keep" in self._takes:
                    more["logits_to_keep"] = 1
                out = self._model(ids, attention_mask=mask, past_key_values=cache, use_cache=True, **more)
                cache, steps = out.past_key_values, steps + 1
                logits = out.logits[:, -1].float().cpu()
                for row, scores in zip(rows, logits, strict=True):
                    row.step(scores, self._ends)
                keep = [n for n, row in enumerate(rows) if not row.done]
                if len(keep) < len(rows):
                    rows[:] = [rows[n] for n in keep]
                    cache, mask = kept(torch, cache, mask, keep, self._device) if keep else (None, None)


def kept(torch: Any, cache: Any, mask: Any, keep: list[int], device: str) -> tuple[Any, Any]:
    """Take the rows that are done out of the cache; where it cannot be done, all is computed anew."""
    if not hasattr(cache, "batch_select_indices"):
        return None, None
    chosen = torch.tensor(keep, device=device)
    cache.batch_select_indices(chosen)
    return cache, mask[chosen]


def padded(torch: Any, rows: list[list[int]], pad: int, device: str) -> tuple[Any, Any]:
    """Rows of one length, filled up on the left, and which of it counts."""
    longest = max(map(len, rows))
    ids = torch.tensor([[pad] * (longest - len(row)) + row for row in rows], device=device)
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows], device=device)
    return ids, mask


def takes(forward: Any) -> set[str]:
    import inspect

    return set(inspect.signature(forward).parameters)


def context_of(config: Any, tokens: dict[str, Any]) -> int:
    """The most tokens of prompt and answer together."""
    names = ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length")
    known = [getattr(config, name, None) for name in names] + [tokens.get("model_max_length")]
    return min([one for one in known if isinstance(one, int) and one > 0], default=2048)


class Row:
    """One question's tokens, and what of its answer has been said."""

    def __init__(
        self, ids: list[int], body: dict[str, Any], context: int, decode: Callable[[list[int]], str], torch: Any
    ) -> None:
        self.ids = ids
        self.done = False
        self._prompt = len(ids)
        limit = body.get("max_tokens") or body.get("max_completion_tokens") or MOST_TOKENS
        self._limit = min(int(limit), context - len(ids))
        temperature = body.get("temperature")
        self._temperature = 1.0 if temperature is None else float(temperature)
        self._top_p = float(body.get("top_p") or 1.0)
        self._penalties = float(body.get("frequency_penalty") or 0.0), float(body.get("presence_penalty") or 0.0)
        self._bias = {int(token): float(add) for token, add in (body.get("logit_bias") or {}).items()}
        stop = body.get("stop") or []
        self._stops = [stop] if isinstance(stop, str) else list(stop)
        self._torch = torch
        self._lots = torch.Generator()
        seed = body.get("seed")
        self._lots.manual_seed((random.getrandbits(63) if seed is None else int(seed)) % 2**63)
        self._decode = decode
        self._said: queue.Queue[dict[str, Any]] = queue.Queue()
        self._text = ""
        self._shown = 0
        self._settled = self._fresh = self._prompt
        """Tokens before these are text already; those between are looked at again: a token may change its neighbour."""

    def step(self, scores: Any, ends: set[int]) -> None:
        """Choose the next token."""
        token = self._chosen(scores)
        if token in ends:
            self._end("stop")
            return
        self.ids.append(token)
        self._grow()
        found = min((at for stop in self._stops if (at := self._text.find(stop)) >= 0), default=-1)
        if found >= 0:
            self._text = self._text[:found]
            self._end("stop")
        elif len(self.ids) - self._prompt >= self._limit:
            self._end("length")
        else:
            self._show(len(self._text) - self._maybe_stop())

    def _chosen(self, scores: Any) -> int:
        torch = self._torch
        often, at_all = self._penalties
        if often or at_all:
            for token in self.ids[self._prompt :]:
                scores[token] -= often
            for token in set(self.ids[self._prompt :]):
                scores[token] -= at_all
        for token, add in self._bias.items():
            if 0 <= token < len(scores):
                scores[token] += add
        if self._temperature < COLDEST:
            return int(scores.argmax())
        likely = torch.softmax(scores / self._temperature, -1)
        if self._top_p < 1:
            ordered, places = likely.sort(descending=True)
            ordered[ordered.cumsum(0) - ordered >= self._top_p] = 0
            return int(places[torch.multinomial(ordered, 1, generator=self._lots)])
        return int(torch.multinomial(likely, 1, generator=self._lots))

    def _grow(self) -> None:
        """Text of the new token, unless a character is not whole yet."""
        before = self._decode(self.ids[self._settled : self._fresh])
        now = self._decode(self.ids[self._settled :])
        if len(now) > len(before) and not now.endswith("\ufffd"):
            self._text += now[len(before) :]
            self._settled, self._fresh = self._fresh, len(self.ids)

    def _maybe_stop(self) -> int:
        """Characters at the end that may begin a stop text."""
        return max((n for stop in self._stops for n in range(1, len(stop)) if self._text.endswith(stop[:n])), default=0)

    def _show(self, until: int) -> None:
        if until > self._shown:
            self._said.put({"text": self._text[self._shown : until]})
            self._shown = until

    def _end(self, why: str) -> None:
        if why == "length":  # what never became whole is said as it is
            before = self._decode(self.ids[self._settled : self._fresh])
            self._text += self._decode(self.ids[self._settled :])[len(before) :]
        self._show(len(self._text))
        self.done = True
        self._said.put({"end": why, "prompt": self._prompt, "made": len(self.ids) - self._prompt})

    def broke(self, fault: Exception) -> None:
        """Tell whoever waits that the model failed."""
        self.done = True
        self._said.put({"error": f"{type(fault).__name__}: {str(fault)[:300]}"})

    def heard(self, left: Callable[[], bool]) -> Iterator[dict[str, Any]]:
        """Yield what is said; who has left is not waited for."""
        while True:
            try:
                item = self._said.get(timeout=0.25)
            except queue.Empty:
                if left():
                    self.done = True
                    return
                continue
            if "error" in item:
                raise Refusal(item["error"], "server_error", 500)
            yield item
            if "end" in item:
                return
