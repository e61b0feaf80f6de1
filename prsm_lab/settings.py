"""Arguments, environment and keyring become one frozen `Settings`; keys become `Secret`s.

Order for every key and URL: argument, then environment, then keyring. Nothing is read before a client is made.
"""

from __future__ import annotations

import contextlib
import os
import re
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

from prsm_lab import presets
from prsm_lab.addresses import address, place
from prsm_lab.errors import AuthenticationError, InvalidRequestError
from prsm_lab.presets import VARIABLES
from prsm_lab.types import Value

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "VARIABLES", "Access", "Secret", "Settings", "access", "address", "keep", "kept", "limits_address", "place",
    "sealed", "sealed_address", "secret", "settings", "share_server", "unkeep", "usual_url",
]  # fmt: skip


_MARKS: Final = {"sk-ant-": "anthropic", "hf_": "huggingface"}
"""How keys begin that are one provider's alone."""
KEYRING_SERVICE: Final = "prsm-lab"


class Secret:
    """A key that shows itself only to `reveal()`: not in repr, str, format, pickles or tracebacks.

    >>> Secret("sk-very-secret")
    Secret(set)
    >>> f"{Secret('sk-very-secret')}"
    'Secret(set)'
    """

    __slots__ = ("__value",)

    def __init__(self, value: str) -> None:
        self.__value = value

    def reveal(self) -> str:
        """Return the key, for the one place that sends it."""
        return self.__value

    def __repr__(self) -> str:
        return "Secret(set)"

    def __format__(self, spec: str) -> str:
        return "Secret(set)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not pickled: keys travel by name, never in data")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self.__value == other.__value

    def __hash__(self) -> int:
        return hash(self.__value)


class Access(Value, frozen=True, kw_only=True):
    """How to reach one provider."""

    provider: str
    base_url: str
    key: Secret | None = None
    key_source: str | None = None
    """Where the key came from: `argument`, `environment OPENAI_API_KEY`, `keyring`."""
    origin: str = ""
    """Identity of the place in fingerprints; the base URL unless the caller names it (the emulator does)."""
    key_variable: str | None = None
    """The environment variable that a missing key would be looked for in."""
    insecure: bool = False
    """The key may travel in the open: somebody said so."""
    preset: str | None = None
    """Whose ways it has (see `presets`)."""
    weight: float = 1.0
    """How many questions it takes, relative to the other keys and endpoints of its provider."""
    members: tuple[Access, ...] = ()
    """All keys and endpoints of the provider, where it has several; the fields above are the first one's."""


class Settings(Value, frozen=True, kw_only=True):
    """Everything a client is configured by."""

    api_url: str | None = None
    """A share server: set, the client is a remote one."""
    api_key: Secret | None = None
    proxy_token: Secret | None = None
    """What a proxy in front of the share server asks for: the token of Jupyter or JupyterHub."""
    ledger: Path | Secret | None = None
    """File of the ledger, or the URL of a PostgreSQL database, which may hold a password; None: in memory."""
    providers: dict[str, Access] = {}


_WRAPPING = re.compile(r"""^(?:bearer\s+)?(['"]?)(.*?)\1$""", re.IGNORECASE | re.DOTALL)


def sealed(value: str | Secret | None) -> Secret | None:
    """Wrap a key as it was given, so that no frame on the way to its check holds it in the open.

    IPython's verbose tracebacks print every frame's locals; rebind the argument to the result at once.
    """
    return Secret(value) if isinstance(value, str) else value


def secret(given: str | Secret, *, name: str) -> Secret:
    """Clean a pasted key and wrap it; refuse what no HTTP header can carry.

    A key with a newline inside would be printed whole by the HTTP library's own error, so it is refused here,
    before any request, by a message that holds its length and nothing else.

    Args:
        given: The key as pasted; blanks, quotes and `Bearer ` around it are removed.
        name: The parameter or variable it came from, for the message.

    Raises:
        AuthenticationError: If it is empty, or has blanks, control or non-ASCII characters inside.

    >>> secret(" 'sk-1' ", name="api_key").reveal()
    'sk-1'
    """
    given = Secret(given) if isinstance(given, str) else given
    cleaned, fault = _cleaned(given)
    if fault:
        raise AuthenticationError(
            f"The key in {name} {fault} ({len(given.reveal())} characters were given). "
            "Paste it again as one unbroken line; nothing was sent.",
            details={"parameter": name},
        )
    return cleaned


def _cleaned(given: Secret) -> tuple[Secret, str | None]:
    raw = given.reveal().strip()
    match = _WRAPPING.match(raw)
    text = (match.group(2) if match else raw).strip()
    if not text:
        return given, "is empty"
    if "\n" in text or "\r" in text:
        return given, "contains a line break"
    if any(c.isspace() for c in text):
        return given, "contains blanks"
    if not text.isascii() or not text.isprintable():
        return given, "contains characters that are not plain ASCII"
    return Secret(text), None


def access(
    provider: str,
    *,
    api_key: str | Secret | None = None,
    base_url: str | None = None,
    origin: str | None = None,
    insecure: bool = False,
    preset: str | None = None,
    environ: Mapping[str, str] | None = None,
) -> Access:
    """Resolve key and base URL of one provider: argument, environment, keyring.

    Args:
        provider: Its name.
        api_key: Its key.
        base_url: Where it is.
        origin: Identity of the place in fingerprints, where it is not the URL.
        insecure: Let the key travel by plain HTTP beyond this machine.
        preset: Whose ways it has (`vllm`, `groq` …), where its name does not say.
        environ: Stands in for `os.environ` in tests.

    >>> access("openai", api_key="sk-1", environ={}).key_source
    'argument'
    """
    api_key = sealed(api_key)
    ways = presets.preset(preset or provider)
    usual, variables = presets.usual(provider, environ=environ)
    if ways is not None and provider not in VARIABLES and ways.name != provider:
        usual, theirs = presets.usual(ways.name, environ=environ)
        at_home = base_url is None or place(base_url) == place(usual or "")
        variables = (*variables, *theirs) if at_home else variables  # a host's key goes to no server of another name
    url = base_url or usual
    if not url:
        raise InvalidRequestError(
            f"Provider {provider!r} needs a base_url, e.g. providers={{{provider!r}: {{'base_url': "
            "'http://localhost:8000/v1'}}.",
            details={"parameter": "base_url"},
        )
    url = address(url, provider)
    key, source = _key(provider, url, api_key, variables, environ)
    _check_owner(provider, url, key)
    return Access(
        provider=provider, base_url=url, key=key, key_source=source, origin=origin or url, key_variable=variables[0],
        insecure=insecure, preset=ways.name if ways else None,
    )  # fmt: skip


def _check_owner(provider: str, url: str, key: Secret | None) -> None:
    """Warn of a key that would be shown to the wrong house."""
    known = VARIABLES.get(provider)
    if key is None or known is None or place(url) != place(known.default_url or ""):
        return
    for mark, owner in _MARKS.items():
        if owner != provider and key.reveal().startswith(mark):
            warnings.warn(
                f"The key of {provider} begins with {mark!r}, as {owner}'s do: it would be sent to {place(url)}.",
                stacklevel=4,
            )


def usual_url(provider: str, *, environ: Mapping[str, str] | None = None) -> str | None:
    """Return where a provider is unless somebody says otherwise: by the environment, then by its SDK or preset."""
    return presets.usual(provider, environ=environ)[0]


def settings(
    *,
    api_key: str | Secret | None = None,
    base_url: str | None = None,
    proxy_token: str | Secret | None = None,
    ledger: str | Path | Secret | None = None,
    providers: Mapping[str, Mapping[str, Any]] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """Resolve everything a client needs to know, once.

    Args:
        api_key: Key of a share server.
        base_url: Address of a share server; makes the client a remote one.
        proxy_token: Token for a proxy in front of the share server; default `PRSM_PROXY_TOKEN`.
        ledger: File of the ledger, `":memory:"`, or `postgresql://user:password@host/database`; default
            `PRSM_LEDGER`, then the platform's data folder.
        providers: `{name: {"api_key": …, "base_url": …, "insecure": …}}`; the three built-in ones are always there.
        environ: Stands in for `os.environ` in tests.
    """
    url = base_url or _variable("PRSM_API_URL", environ)
    own_key = sealed(api_key or _variable("PRSM_API_KEY", environ))
    token = sealed(proxy_token or _variable("PRSM_PROXY_TOKEN", environ))
    given = dict(providers or {})
    names = [*VARIABLES, *(name for name in given if name not in VARIABLES)]
    return Settings(
        api_url=url.rstrip("/") if url else None,
        api_key=secret(own_key, name="api_key" if api_key else "PRSM_API_KEY") if own_key else None,
        proxy_token=secret(token, name="proxy_token" if proxy_token else "PRSM_PROXY_TOKEN") if token else None,
        ledger=_ledger(sealed_address(ledger), environ),
        providers={name: access(name, environ=environ, **given.get(name, {})) for name in names},
    )


def share_server() -> str | None:
    """Return the address of the share server that this process asks, if the environment names one."""
    return _variable("PRSM_API_URL", None) or None


def _variable(name: str, environ: Mapping[str, str] | None) -> str | None:
    """Read one variable; no frame of ours holds the whole environment, which a verbose traceback would print."""
    return (os.environ if environ is None else environ).get(name)


def sealed_address(given: str | Path | Secret | None) -> Path | Secret | None:
    """Wrap a URL, which may hold a password, and make a path of the name of a file.

    >>> sealed_address("postgresql://ana:secret@db.example.org/lab")
    Secret(set)
    """
    if isinstance(given, str):
        return Secret(given) if "://" in given else Path(given)
    return given


def limits_address(given: str | Secret | None, *, environ: Mapping[str, str] | None = None) -> Secret | None:
    """Return the URL of the Redis that keeps a share server's rate limits: argument, then `PRSM_LIMITS`."""
    return sealed(given or _variable("PRSM_LIMITS", environ) or None)


def _ledger(given: Path | Secret | None, environ: Mapping[str, str] | None) -> Path | Secret | None:
    chosen = given or sealed_address(_variable("PRSM_LEDGER", environ) or None)
    if isinstance(chosen, Path):
        return None if str(chosen) == ":memory:" else chosen.expanduser()
    if chosen is not None:
        if not chosen.reveal().startswith(("postgresql://", "postgres://")):
            raise InvalidRequestError(
                "ledger must be a file, ':memory:', or postgresql://user:password@host/database, not another kind of "
                "URL.",
                details={"parameter": "ledger"},
            )
        return chosen
    import platformdirs

    return Path(platformdirs.user_data_dir("prsm-lab", appauthor=False)) / "ledger.db"


def _key(
    provider: str, url: str, argument: Secret | None, variables: tuple[str, ...], environ: Mapping[str, str] | None
) -> tuple[Secret | None, str | None]:
    if argument is not None:
        return secret(argument, name=f"api_key of provider {provider!r}"), "argument"
    for variable in variables:
        found = sealed(_variable(variable, environ))
        if found is not None and found.reveal():
            return secret(found, name=variable), f"environment {variable}"
    stored = kept(provider, url) if environ is None else None
    return (None, None) if stored is None else (stored, "keyring")


# --------------------------------------------------------------------------------------------------- the keyring


def keep(provider: str, url: str, key: Secret) -> None:
    """Put a key into the system's keyring, for one provider at one place.

    Raises:
        InvalidRequestError: If there is no keyring, or it keeps nothing.
    """
    _needs_keyring("The key is set for this kernel only")
    import keyring
    import keyring.errors

    entry, problem = _entry(provider, url), None
    try:
        keyring.set_password(KEYRING_SERVICE, entry, key.reveal())
        if keyring.get_password(KEYRING_SERVICE, entry) != key.reveal():
            problem = "it keeps nothing"
    except keyring.errors.KeyringError as fault:
        problem = type(fault).__name__  # its text may hold the key
    if problem is not None:
        raise InvalidRequestError(
            f"This machine's keyring did not take the key ({problem}). It is set for this kernel only; to have it next "
            "time, set it in the environment that Jupyter is started from.",
            details={"parameter": "keep"},
        )


def unkeep(provider: str, url: str) -> None:
    """Take a key out of the keyring again, if it is there."""
    _needs_keyring("Nothing was taken out")
    import keyring
    import keyring.errors

    for entry in _entries(provider, url):
        with contextlib.suppress(keyring.errors.KeyringError):
            keyring.delete_password(KEYRING_SERVICE, entry)


def _needs_keyring(otherwise: str) -> None:
    """Check that the extra is installed.

    Raises:
        InvalidRequestError: If it is not; it says what is the case `otherwise`.
    """
    if find_spec("keyring") is None:
        raise InvalidRequestError(
            f'{otherwise}: the keyring needs an extra, pip install "prsm-lab[keyring]".',
            details={"parameter": "keep"},
        )


def kept(provider: str, url: str) -> Secret | None:
    """Return the key that the system's keyring has for a provider at a place."""
    stored = sealed(_from_keyring(provider, url))
    return secret(stored, name=f"keyring entry {KEYRING_SERVICE}/{provider}") if stored else None


def _entry(provider: str, url: str) -> str:
    """The entry's name: a built-in provider's at its usual place, else with the place: it is sent nowhere else."""
    known = VARIABLES.get(provider)
    usual = known is not None and known.default_url is not None and place(known.default_url) == place(url)
    return provider if usual else f"{provider} at {place(url)}"


def _entries(provider: str, url: str) -> tuple[str, ...]:
    """Where a key may be: a server of one's own may have been entered by its name alone."""
    entry = _entry(provider, url)
    return (entry,) if provider in VARIABLES else (entry, provider)


def _from_keyring(provider: str, url: str) -> str | None:
    """Ask the system's keyring, if the extra is installed and there is one: headless machines have none."""
    if find_spec("keyring") is None:
        return None
    import keyring
    import keyring.errors

    try:
        found = (keyring.get_password(KEYRING_SERVICE, entry) for entry in _entries(provider, url))
        return next((stored for stored in found if stored), None)
    except keyring.errors.KeyringError:
        return None
