"""What a request to a share server shows at its door, and who may answer in its place: proxies have doors too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from prsm_lab import documents
from prsm_lab.errors import AuthenticationError, PRSMError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from prsm_lab.settings import Secret
    from prsm_lab.types import JSON, Request

_encode = msgspec.json.Encoder(enc_hook=str).encode

_LOGIN: Final = (301, 302, 303, 307, 308, 401, 403, 407)
"""How a proxy says that it does not know who asks: its login page, or a refusal."""


def greeting(key: Secret, proxy_token: Secret | None) -> dict[str, str]:
    """Return the headers that every request carries.

    The key goes in a header of its own too, for proxies use `Authorization` themselves; nothing is to come compressed,
    which would hold a stream's pieces back.
    """
    return {
        "Authorization": f"Bearer {(proxy_token or key).reveal()}",
        "X-API-Key": key.reveal(),
        "Content-Type": "application/json",
        "Accept-Encoding": "identity",
    }


def fault_of(url: str, told: object, status: int, headers: Mapping[str, str]) -> PRSMError:
    """Read an error answer, the share server's or that of a proxy before it."""
    if status in _LOGIN and not (isinstance(told, dict) and "error" in told):
        return AuthenticationError(
            f"Not the share server answered at {url}, but something in front of it (HTTP {status}). If that wants a "
            "login of its own, as JupyterHub does, set PRSM_PROXY_TOKEN to its token or pass proxy_token=.",
            details={"kind": "proxy", "parameter": "proxy_token"},
        )
    return documents.read_fault(told, status, headers)


def packed(requests: Sequence[Request]) -> JSON:
    """Questions of one run differ in their messages only: the rest is written once."""
    templates: list[JSON] = []
    places: dict[bytes, int] = {}
    lines = []
    for request in requests:
        body = documents.asked(request)
        messages, sample = body.pop("messages"), body["prsm"].pop("sample")
        key = _encode(body)
        if key not in places:
            places[key] = len(templates)
            templates.append(body)
        lines.append((places[key], messages, sample))
    return {"templates": templates, "requests": lines}
