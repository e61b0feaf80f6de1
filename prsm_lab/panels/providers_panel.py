"""Keys, addresses and who is asked first: the state of `panels.providers`. `providers.js` shows it.

A key that is typed goes to the client's window and, on request, into the system's keyring; the panel keeps whether
there is one and where it came from, and nothing else of it. Changes and tests run on the portal's loop.
"""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, NamedTuple

from prsm_lab import catalog, render, settings
from prsm_lab.addresses import in_the_open
from prsm_lab.engine import portal
from prsm_lab.errors import InvalidRequestError, PRSMError
from prsm_lab.panels import still
from prsm_lab.panels.panel import Panel

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence

    from prsm_lab.client import AsyncClient, Client
    from prsm_lab.client.reach import Reach
    from prsm_lab.settings import Access, Secret
    from prsm_lab.types import JSON, Model

TITLES: Final = {
    "openai": "OpenAI", "anthropic": "Anthropic", "huggingface": "Hugging Face", "local": "This machine",
}  # fmt: skip
NEW: Final = "+"
"""Stands for the server that is being added, where a provider's name would stand."""
SHOWN: Final = 6
"""Models of a list that are named; the others are counted."""
_SOURCES: Final = {"argument": "this kernel", "keyring": "the keyring"}


class Work(NamedTuple):
    """What is done to a provider at the moment, or was done last."""

    job: portal.Job[None]
    what: Literal["test", "change"]


class ProvidersPanel(Panel):
    """See and set how a client reaches its providers, and in which order it asks them.

    Args:
        client: Whose providers. A share server's client shows that the keys are at the server; a mocked one, that none
            is needed.
    """

    kind: ClassVar[str] = "providers"

    def __init__(self, client: Client | AsyncClient) -> None:
        super().__init__()
        self._client = client
        self._lock = threading.RLock()
        self._work: dict[str, Work] = {}
        self._changes: dict[str, int] = {}
        self._faults: dict[str, str] = {}
        self._tests: dict[str, JSON] = {}
        self._models: list[JSON] | None = None
        self._known = list(catalog.BUILT_IN)
        self._reading = portal.begin(self._read())  # prices take half a second to load: the panel opens meanwhile
        self._reading.notify(self.changed)

    # ------------------------------------------------------------------------------------------------ doing

    def reach(
        self, provider: str, *, key: str | Secret | None = None, base_url: str | None = None, keep: bool = False
    ) -> None:
        """Give a provider another key or address, from the next question on; what is being answered ends as it was.

        Args:
            provider: Its name.
            key: Its key; None: the one it has, unless the address is at another host.
            base_url: Its address; None: the one it has.
            keep: Put the key into the system's keyring too, for other kernels.

        Raises:
            InvalidRequestError: If this client's providers are not its own, or the provider is at work.
        """
        key = settings.sealed(key)
        self._change(provider, self._own().set(provider, key=key, base_url=base_url, keep=keep))

    def add(self, name: str, base_url: str, *, key: str | Secret | None = None, keep: bool = False) -> None:
        """Connect a server that speaks Chat Completions; its models are asked for as `name/model`.

        Raises:
            InvalidRequestError: If this client's providers are not its own.
        """
        key = settings.sealed(key)
        self._change(NEW, self._own().add(name, base_url, key=key, keep=keep))

    def remove(self, provider: str) -> None:
        """Take away a server that was added here."""
        self._change(provider, self._removed(self._own(), provider))

    def forget(self, provider: str) -> None:
        """Forget a key that was given in this kernel or is in the keyring."""
        self._change(provider, self._own().forget(provider))

    def test(self, provider: str) -> None:
        """List a provider's models, which costs nothing; what comes of it is shown in its row."""
        self._begin(provider, self._listed(self._own(), provider), "test")

    def prefer(
        self, primary: str | None = None, fallback: Sequence[str] = (), *, cost_optimization: bool = False,
        latency_optimization: bool = False, quality_threshold: float | None = None,
    ) -> None:  # fmt: skip
        """Set who is asked, as `client.inference.configure_providers` does.

        Args:
            primary: Asked first where it has the very model; None: nobody is preferred.
            fallback: Who is asked after a failure, in order.
            cost_optimization: Ask cheaper models that are good enough before the one that was named.
            latency_optimization: Ask those first that answered fastest lately.
            quality_threshold: What is good enough, 0 to 1; None: as good as the model that was named.

        Raises:
            InvalidRequestError: If a provider is unknown, or the threshold out of range.
        """
        unknown = next((name for name in (primary, *fallback) if name is not None and name not in self._names()), None)
        if unknown is not None:
            raise InvalidRequestError(
                f"Unknown provider {unknown!r}; there are {', '.join(self._names())}.",
                details={"parameter": "provider"},
            )
        self._client.inference.configure_providers({
            "primary": primary, "fallback": list(dict.fromkeys(fallback)), "cost_optimization": cost_optimization,
            "latency_optimization": latency_optimization, "quality_threshold": quality_threshold,
        })  # fmt: skip
        self.changed()

    def wait(self, seconds: float = 30.0) -> ProvidersPanel:
        """Block until changes and tests have ended, at most so long."""
        until = time.monotonic() + seconds
        for job in (self._reading, *(work.job for work in list(self._work.values()))):
            job.wait(max(0.0, until - time.monotonic()))
        self.settle()
        return self

    # --------------------------------------------------------------------------------------------- knowing

    @property
    def busy(self) -> bool:
        """Is something being changed, tested or read?"""
        return not self._reading.wait(0) or any(not work.job.wait(0) for work in self._work.values())

    def preferences(self) -> JSON:
        """What was set of who is asked, as `configure_providers` takes it; what is as usual is left out."""
        routing = self._client.preferences
        found = {
            "primary": routing.primary, "fallback": [step.provider for step in routing.fallback if step.provider],
            "cost_optimization": routing.cost_optimization, "latency_optimization": routing.latency_optimization,
            "quality_threshold": routing.quality_threshold,
        }  # fmt: skip
        return {name: value for name, value in found.items() if value not in (None, [], False)}

    def code(self) -> str:
        """The lines that do the same without a panel; a key is never in them."""
        values = [f'"{name}": {_literal(value)}' for name, value in self.preferences().items()]
        lines = [f"client.inference.configure_providers({{{', '.join(values)}}})"]
        moved = {name: access for name, access in self._accesses().items() if _is_elsewhere(access)}
        if moved:
            given = ", ".join(
                f'"{name}": {{"base_url": {json.dumps(access.base_url)}}}' for name, access in moved.items()
            )
            keys = ", ".join(str(access.key_variable) for access in moved.values())
            lines.insert(0, f"client = lab.Client(providers={{{given}}})  # keys: {keys}")
        return "\n".join(lines)

    # ----------------------------------------------------------------------------------------- for the view

    @property
    def commands(self) -> Mapping[str, Callable[..., None]]:
        """What the page may call."""
        return {
            "reach": self.reach, "add": self.add, "remove": self.remove, "forget": self.forget, "test": self.test,
            "prefer": self.prefer,
        }  # fmt: skip

    def snapshot(self) -> JSON:
        """All that is shown."""
        with self._lock:
            preferences = {
                "primary": None, "fallback": [], "cost_optimization": False, "latency_optimization": False,
                "quality_threshold": None, **self.preferences(),
            }  # fmt: skip
            return {
                "rows": [self._row(name) for name in self._names()], "remark": self._remark(),
                "open": self._client.reach is not None, "preferences": preferences, "models": self._models,
                "new": {"changes": self._changes.get(NEW, 0), "fault": self._faults.get(NEW), "working": self._at(NEW)},
                "code": self.code(), "notice": self.notice,
            }  # fmt: skip

    def html(self) -> str:
        """The providers as a table, and what was set of who is asked."""
        state = self.snapshot()
        rows = [
            [render.escaped(row["title"]), render.escaped(_said(row)), render.escaped(row["url"] or "–"), _outcome(row)]
            for row in state["rows"]
        ]
        remark = f'<p style="{still.SOFT}">{render.escaped(state["remark"])}</p>' if state["remark"] else ""
        table = still.table(("provider", "key", "base URL", "last test"), rows)
        return table + remark + f"<pre><code>{render.escaped(state['code'])}</code></pre>"

    def __repr__(self) -> str:
        keys = sum(access.key is not None for access in self._accesses().values())
        return f"<ProvidersPanel {len(self._names())} providers, {keys} keys set>"

    # ---------------------------------------------------------------------------------------------- helpers

    def _own(self) -> Reach:
        if self._client.reach is None:
            raise InvalidRequestError(self._remark(), details={"parameter": "client"})
        return self._client.reach

    def _accesses(self) -> Mapping[str, Access]:
        return {} if self._client.reach is None else self._client.reach.accesses

    def _names(self) -> list[str]:
        """Those of the catalogue first, then one's own, this machine last."""
        names = self._known if self._client.reach is None else self._client.reach.names
        order = [*catalog.BUILT_IN, *names]
        return sorted((name for name in dict.fromkeys(order) if name in names), key=lambda name: name == "local")

    def _remark(self) -> str:
        if self._client.reach is not None:
            return ""
        if url := getattr(self._client.engine, "url", None):
            return f"The keys are at the share server {url}, whose owner sets them; who is asked first is yours to say."
        return "This client is in mock mode: it asks nobody and needs no key."

    def _row(self, name: str) -> JSON:
        access = self._accesses().get(name)
        key = access is not None and access.key is not None
        return {
            "name": name, "title": TITLES.get(name, name), "kind": self._kind(name, access), "set": key,
            "needed": name in settings.VARIABLES and self._client.reach is not None,
            "source": _source(access) if access is not None and key else None,
            "variable": None if access is None else access.key_variable,
            "url": None if access is None else access.base_url,
            "usual": name in settings.VARIABLES and access is not None and not _is_elsewhere(access),
            "warning": _warning(access), "simulated": access is not None and access.origin.startswith("emulator:"),
            "added": self._client.reach is not None and self._client.reach.added(name),
            "working": self._at(name), "changes": self._changes.get(name, 0), "fault": self._faults.get(name),
            "test": self._tests.get(name),
        }  # fmt: skip

    def _kind(self, name: str, access: Access | None) -> str:
        """`server` has an address, `local` weights, `own` is a function or a window; `away` is not this client's."""
        if self._client.reach is None:
            return "away"
        return "server" if access is not None else "local" if name == "local" else "own"

    def _at(self, name: str) -> str | None:
        """What is done to a provider at the moment."""
        work = self._work.get(name)
        return None if work is None or work.job.wait(0) else work.what

    def _change(self, name: str, doing: Coroutine[Any, Any, None]) -> None:
        self._begin(name, self._changed(name, doing), "change")

    def _begin(self, name: str, doing: Coroutine[Any, Any, None], what: Literal["test", "change"]) -> None:
        with self._lock:
            if (now := self._at(name)) == "change" or now == what:
                doing.close()
                raise InvalidRequestError("This is being changed or tested already: wait a moment.")
            if now:
                self._work[name].job.cancel()  # what it would find out is of no use any more
            self._faults.pop(name, None)
            self._tests.pop(name, None)
            self._work[name] = Work(portal.begin(doing), what)
            self._work[name].job.notify(self.changed)
        self.changed()

    async def _read(self) -> None:
        """Read the catalogue, a share server's if it is one's client."""
        try:
            models = await self._client.engine.models()
        except PRSMError as fault:
            self.notice = render.plain(fault.message)
            return
        self._models = sorted((_qualified(model) for model in models if _can_qualify(model)), key=_dearness)
        self._known = list(dict.fromkeys((*self._known, *(model.provider for model in models))))

    async def _changed(self, name: str, doing: Coroutine[Any, Any, None]) -> None:
        try:
            await doing
        except PRSMError as fault:
            self._faults[name] = render.plain(fault.message)
        self._changes[name] = self._changes.get(name, 0) + 1

    async def _removed(self, reach: Reach, provider: str) -> None:
        await reach.remove(provider)
        left = self.preferences()
        if left.get("primary") == provider:
            del left["primary"]
        left["fallback"] = [name for name in left.get("fallback", ()) if name != provider]
        self._client.inference.configure_providers(left)

    async def _listed(self, reach: Reach, provider: str) -> None:
        try:
            found = await reach.test(provider)
        except PRSMError as fault:
            said = {"ok": False, "code": fault.code, "message": render.plain(fault.message)}
        else:
            models = [render.line(model, longest=60) for model in found.models[:SHOWN]]
            said = {"ok": True, "n": len(found.models), "ms": found.latency_ms, "models": models}
        self._tests[provider] = said


def _source(access: Access) -> str:
    """Where a key comes from, by the name of the place."""
    kind, _, variable = str(access.key_source).partition(" ")
    return f"environment variable {variable}" if kind == "environment" else _SOURCES.get(kind, kind)


def _said(row: JSON) -> str:
    """What is known of a provider's key, in words."""
    if row["set"]:
        return f"set: {row['source']}"
    if row["kind"] == "server":
        return f"not set (looked for in {row['variable']}, then the keyring)" if row["needed"] else "none"
    return "at the server" if row["kind"] == "away" else "none needed"


def _outcome(row: JSON) -> str:
    test = row["test"]
    if test is None:
        return "–"
    if not test["ok"]:
        return render.escaped(f"{test['code']}: {test['message']}")
    return f"{test['n']:,} model{'' if test['n'] == 1 else 's'} in {test['ms']:,.0f} ms"


def _warning(access: Access | None) -> str | None:
    if access is None or access.key is None:
        return None
    return "http: the key travels unencrypted" if in_the_open(access.base_url) else None


def _is_elsewhere(access: Access) -> bool:
    """Is it not where the environment or the SDK would have it?"""
    return (settings.usual_url(access.provider) or "").rstrip("/") != access.base_url


def _literal(value: object) -> str:
    return repr(value) if isinstance(value, (bool, float, int)) else json.dumps(value)


# ------------------------------------------------------------------------------------------ models that qualify


def _can_qualify(model: Model) -> bool:
    """As `engine.plan` has it: a living model of known quality and price."""
    priced = model.price is not None and model.price.input is not None and model.price.output is not None
    return priced and model.quality is not None and not catalog.is_retired(model)


def _qualified(model: Model) -> JSON:
    assert model.price is not None
    return {
        "name": model.name, "provider": model.provider, "quality": model.quality, "source": model.quality_source,
        "input": model.price.input, "output": model.price.output,
    }  # fmt: skip


def _dearness(model: JSON) -> tuple[float, float]:
    return model["output"], model["input"]
