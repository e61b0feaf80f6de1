"""The seed's `cache_config`: what may be served again, and where an answer must be the asked model's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prsm_lab import checks, embedders
from prsm_lab.errors import InvalidRequestError
from prsm_lab.types import CachePolicy

if TYPE_CHECKING:
    from collections.abc import Mapping


def policy(config: bool | Mapping[str, Any] | None) -> CachePolicy | None:
    """Read the seed's `cache_config`; None: no cache.

    Raises:
        InvalidRequestError: If a setting is unknown, or out of its bounds.

    >>> policy({"enabled": True, "ttl": 3600}).ttl, policy(False)
    (3600.0, None)
    """
    if config is None or isinstance(config, bool):
        return CachePolicy() if config else None
    for name in checks.mapping(config, "cache_config"):
        if name not in (allowed := CachePolicy.__struct_fields__):
            raise checks.unknown_option(f"cache_config.{name}", [f"cache_config.{known}" for known in allowed])
    strategy = config.get("key_strategy", "exact")
    if strategy not in (known := ("exact", "normalized", "semantic_similarity")):
        raise checks.wrong("cache_config.key_strategy", "one of " + ", ".join(known), strategy)
    threshold = checks.number(config.get("similarity_threshold"), "cache_config.similarity_threshold", low=0, high=1)
    made = CachePolicy(
        ttl=checks.number(config.get("ttl"), "cache_config.ttl", low=0),
        key_strategy=strategy,
        similarity_threshold=threshold,
        embedder=embedders.named(config.get("embedder", "minilm")),
        namespace=checks.text(config.get("namespace"), "cache_config.namespace") or "",
        verify=checks.text(config.get("verify"), "cache_config.verify"),
        **{
            name: checks.flag(config.get(name, False), f"cache_config.{name}")
            for name in ("cross_model", "shadow", "force")
        },
    )
    return made if checks.flag(config.get("enabled", True), "cache_config.enabled") else None


def own(given: CachePolicy | None, temperature: Any = None, *, of: str | None = None) -> CachePolicy | None:
    """Refuse to find answers by meaning where each should be the asked model's own.

    Args:
        given: The cache's.
        temperature: Of the question: above 0 its answers are meant to vary.
        of: What takes answers for the model's own: `compare`, `judge`.

    Raises:
        InvalidRequestError: If it is asked for, and not forced.
    """
    by_meaning = given is not None and (given.key_strategy == "semantic_similarity" or given.namespace)
    why = f"{of} takes each answer for the asked model's own to the very question" if of else None
    if why is None and isinstance(temperature, (int, float)) and temperature > 0:
        why = f"at temperature {temperature:g} answers are meant to vary"
    if given is None or not by_meaning or given.force or why is None:
        return given
    raise InvalidRequestError(
        f"A cache by meaning serves answers to other questions, and {why}. Leave it out there (exact and normalized "
        'hits stay), or say "force": True.',
        details={"parameter": "cache_config.key_strategy"},
    )
