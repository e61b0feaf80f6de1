"""A remote engine's answer to whoever wants batches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prsm_lab.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from prsm_lab.engine.many import Deliver
    from prsm_lab.types import Request


class AtTheServer:
    """What an engine on the other side of a share server says to that."""

    url: str

    async def bulk(
        self, requests: Sequence[Request], deliver: Deliver, *,  # noqa: ARG002
        deadline: float | None, concurrency: int = 16,  # noqa: ARG002 -- the seam's signature
    ) -> None:  # fmt: skip
        """Refuse: a batch may take a day, and whoever waits for it must have the ledger that it is kept in."""
        raise InvalidRequestError(
            f"mode='provider_batch' is not asked through a share server ({self.url}): run it on the server's own "
            "machine, with its ledger, or leave mode out. Nothing was sent.",
            details={"parameter": "mode"},
        )
