"""Addresses of providers: which are any, what belongs together, where a key would travel in the open."""

from __future__ import annotations

import functools
import ipaddress
from urllib.parse import urlsplit

from prsm_lab.errors import InvalidRequestError


def address(url: str, provider: str) -> str:
    """Check a provider's base URL and return it without a slash at its end.

    Raises:
        InvalidRequestError: If it is no http(s) address, or holds a password.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidRequestError(
            f"base_url {url!r} of provider {provider!r} is no http(s) address.", details={"parameter": "base_url"}
        )
    if parts.username or parts.password:
        raise InvalidRequestError(
            f"base_url of provider {provider!r} carries a user name or password; pass api_key instead.",
            details={"parameter": "base_url"},
        )
    return url.rstrip("/")


def place(url: str) -> str:
    """Return the place that a key belongs to: scheme, host and port of an address."""
    parts = urlsplit(url)
    try:
        port: object = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        port = "none"  # out of range: no key belongs there, and asking says what is wrong
    return f"{parts.scheme}://{(parts.hostname or '').lower()}:{port}"


def loopback(host: str) -> bool:
    """Is it this machine, which no network is between?

    >>> loopback("127.0.0.1"), loopback("localhost"), loopback("10.0.0.7")
    (True, True, False)
    """
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@functools.lru_cache(maxsize=256)  # asked of each request
def in_the_open(url: str) -> bool:
    """Could others read what is sent there?

    >>> in_the_open("http://10.0.0.7:8000/v1"), in_the_open("https://10.0.0.7/v1"), in_the_open("http://localhost:1/v1")
    (True, False, False)
    """
    parts = urlsplit(url)
    return parts.scheme == "http" and not loopback((parts.hostname or "").lower())
