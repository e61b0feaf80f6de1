"""Vectors from a provider: OpenAI's embeddings, or a server that speaks like it; Hugging Face's feature extraction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from prsm_lab.errors import AuthenticationError, ProviderError
from prsm_lab.settings import access

if TYPE_CHECKING:
    from collections.abc import Sequence

    from prsm_lab.settings import Access

SECONDS: Final = 20.0
AT_ONCE: Final = 256
"""Texts of one request."""


class Remote:
    """An embedder at a provider. What it charges for vectors is in no ledger.

    Args:
        provider: Its name; `huggingface` is asked on its own wire, all others on OpenAI's.
        model: The embedding model's id.
        base_url: Where it is, where that is not the usual place.
        api_key: Its key, where that is not in the environment or keyring.

    >>> Remote("openai", "text-embedding-3-small", api_key="sk-1").name
    'openai/text-embedding-3-small'
    """

    def __init__(
        self, provider: str, model: str, *, base_url: str | None = None, api_key: str | None = None
    ) -> None:  # fmt: skip
        self._place: Access = access(provider, base_url=base_url, api_key=api_key)
        self._model = model
        self.name, self.version = f"{provider}/{model}", ""

    def __repr__(self) -> str:
        return f"<Remote {self.name} at {self._place.base_url}>"

    def __call__(self, texts: Sequence[str]) -> list[list[float]]:
        """Return a vector for each text.

        Raises:
            AuthenticationError: If there is no key, or it is refused.
            ProviderError: If the provider cannot be reached, or gives no vectors.
        """
        made: list[list[float]] = []
        for start in range(0, len(texts), AT_ONCE):
            made += self._asked(list(texts[start : start + AT_ONCE]))
        return made

    def _asked(self, texts: list[str]) -> list[list[float]]:
        url, body = self._wire(texts)
        said = self._post(url, body)
        try:
            if isinstance(said, dict):
                return [line["embedding"] for line in sorted(said["data"], key=lambda line: line["index"])]
            return [list(map(float, line)) for line in said]
        except (KeyError, TypeError, ValueError):
            raise self._fault("gave no vectors") from None

    def _wire(self, texts: list[str]) -> tuple[str, Any]:
        base = self._place.base_url.rstrip("/")
        if self._place.provider == "huggingface":
            root = base.removesuffix("/v1")
            return f"{root}/hf-inference/models/{self._model}/pipeline/feature-extraction", {"inputs": texts}
        return f"{base}/embeddings", {"model": self._model, "input": texts, "encoding_format": "float"}

    def _post(self, url: str, body: Any) -> Any:
        import httpx2

        key = self._place.key
        headers = {"Authorization": f"Bearer {key.reveal()}"} if key else {}
        try:
            said = httpx2.post(url, json=body, headers=headers, timeout=SECONDS, follow_redirects=False)
        except httpx2.HTTPError as fault:
            raise self._fault(f"could not be reached ({type(fault).__name__})") from None
        if said.status_code in (401, 403):
            where = self._place.key_variable
            raise AuthenticationError(
                f"{self._place.provider} refused the key for embeddings, or there is none: set {where}.",
                provider=self._place.provider,
            )
        if said.status_code != 200:
            raise self._fault(f"answered HTTP {said.status_code}")
        try:
            return said.json()
        except ValueError:
            raise self._fault("gave no JSON") from None

    def _fault(self, why: str) -> ProviderError:
        return ProviderError(f"The embeddings of {self.name} failed: it {why}.", provider=self._place.provider)
