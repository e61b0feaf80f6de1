"""How near an answer is to its reference in meaning, as an embedder sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from prsm_lab import embeddings
from prsm_lab.scorers.scorer import Scorer, several, written

if TYPE_CHECKING:
    from collections.abc import Sequence


class EmbeddingSimilarity(Scorer, frozen=True):
    """The cosine between the embeddings of answer and reference, from -1 to 1; of several references, the nearest.

    It sees what a text is about, and hardly whether it is right: `not safe` is near `safe`, 12 near 13.

    Args:
        embedder: What `prsm_lab.embeddings.load` takes: `minilm`, the folder of a model2vec model, or a function from
            texts to an array of a row each.

    >>> import numpy as np
    >>> letters = lambda texts: np.array([[text.count("a"), text.count("b")] for text in texts])
    >>> round(EmbeddingSimilarity(letters)("aab", "ab"), 4)
    0.9487
    """

    name: ClassVar[str] = "embedding_similarity"
    embedder: Any = "minilm"

    def ready(self) -> None:
        """Load the embedder.

        Raises:
            InvalidRequestError: If it is none, or a package is missing.
            NotFoundError: If there is none of this name.
        """
        embeddings.load(self.embedder)

    def __call__(self, response: str, reference: Any = None) -> float:
        """Score one answer."""
        found = self.many([(response, reference)])[0]
        if isinstance(found, ValueError):
            raise found
        return found

    def many(self, pairs: Sequence[tuple[str, Any]]) -> list[float | ValueError]:
        """Score answers together; each text is embedded once.

        Args:
            pairs: Answers and their references.

        Returns:
            A score each, or why there is none: a reference is empty, a text has no direction (a vector of zeros).
        """
        rights = [_rights(reference) for _, reference in pairs]
        places: dict[str, int] = {}
        for (response, _), right in zip(pairs, rights, strict=True):
            for text in (response, *(right if isinstance(right, list) else ())):
                places.setdefault(text, len(places))
        vectors = embeddings.load(self.embedder)(list(places))
        found: list[float | ValueError] = []
        for (response, _), right in zip(pairs, rights, strict=True):
            if isinstance(right, ValueError):
                found.append(right)
                continue
            lost = [text for text in (response, *right) if not vectors[places[text]].any()]
            near = vectors[[places[text] for text in right]] @ vectors[places[response]]
            why = f"the embedder gives {lost[0][:60]!r} no direction (a vector of zeros)" if lost else ""
            found.append(ValueError(why) if lost else float(near.max()))
        return found


def _rights(reference: Any) -> list[str] | ValueError:
    try:
        return [written(right) for right in several(reference)]
    except ValueError as fault:
        return fault
