"""Keys of a share server: who may ask, how much, and for how long."""

from __future__ import annotations

from prsm_lab.types import shown
from prsm_lab.types.base import JSON, Value


class Limits(Value, frozen=True, kw_only=True):
    """What a person may ask; None: no limit."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrent: int | None = None


class Key(Value, frozen=True, kw_only=True):
    """A key as the ledger knows it: everything but the key itself."""

    id: str
    person: str
    """Whose it is; a person's keys share limits and history."""
    tier: str
    limits: Limits = Limits()
    scopes: tuple[str, ...] = ("infer", "read")
    models: tuple[str, ...] | None = None
    """The models that may answer, by the catalogue's names; None: all."""
    credits: float | None = None
    """USD that are left; None: not metered."""
    preferences: JSON | None = None
    """What its holder set with `configure_providers`; None: the server's own."""
    created: float = 0.0
    expires: float | None = None
    """Unix time, seconds."""
    revoked: float | None = None
    last_used: float | None = None

    def __repr__(self) -> str:
        left = None if self.credits is None else f"{shown.paid(self.credits)} left"
        revoked = None if self.revoked is None else "revoked"
        return shown.line("Key", self.hint, self.person, self.tier, left, revoked)

    @staticmethod
    def id_of(text: str) -> str:
        """Return a key's id, of the key itself, of its hint, or of its id.

        >>> Key.id_of("pk_0123456789ab_…")
        '0123456789ab'
        """
        parts = text.split("_")
        return parts[1] if parts[0] == "pk" and len(parts) > 1 else text

    @property
    def hint(self) -> str:
        """Enough to tell keys apart, nothing of the secret."""
        return f"pk_{self.id}_…"

    def is_good(self, now: float) -> bool:
        """Tell whether it is neither revoked nor expired."""
        return self.revoked is None and (self.expires is None or now < self.expires)

    def may(self, scope: str) -> bool:
        """Tell whether it has a scope; an admin has them all."""
        return scope in self.scopes or "admin" in self.scopes

    def to_dict(self) -> JSON:
        """Return what may be shown of it."""
        return {
            "id": self.id,
            "name": self.person,
            "hint": self.hint,
            "tier": self.tier,
            "scopes": list(self.scopes),
            "models": None if self.models is None else list(self.models),
            "credits": self.credits,
            "created": int(self.created),
            "expires": None if self.expires is None else int(self.expires),
            "revoked": self.revoked is not None,
            "last_used": None if self.last_used is None else int(self.last_used),
            "limits": {
                "requests_per_minute": self.limits.requests_per_minute,
                "tokens_per_minute": self.limits.tokens_per_minute,
                "concurrent": self.limits.concurrent,
            },
        }
