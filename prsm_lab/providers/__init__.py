"""Windows to models: one file each, one method (`send`), two pure functions, one table of faults."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prsm_lab.protocols import Provider
    from prsm_lab.settings import Access

GROUP = "prsm_lab.providers"


def connect(access: Access, *, pool: int = 256) -> Provider:
    """Return the window to a provider; its SDK is loaded at the first question.

    Args:
        access: Where and with which key. A name that is not built in is looked for in the entry-point group
            `prsm_lab.providers`; else the server is taken to speak Chat Completions.
        pool: Most connections.
    """
    if access.provider == "openai":
        from prsm_lab.providers.openai import OpenAI

        return OpenAI(access, pool=pool)
    if access.provider == "anthropic":
        from prsm_lab.providers.anthropic import Anthropic

        return Anthropic(access, pool=pool)
    if access.provider == "huggingface":
        from prsm_lab.providers.huggingface import HuggingFace

        return HuggingFace(access, pool=pool)
    for found in entry_points(group=GROUP, name=access.provider):
        plugin: Provider = found.load()(access, pool=pool)
        return plugin
    from prsm_lab.providers.compatible import Compatible

    return Compatible(access, pool=pool)
