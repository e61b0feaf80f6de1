"""`lab.cache`: the cache by meaning, looked into, measured, switched on, and taken along.

Exact hits need nothing but `cache_config=True`. A hit by meaning is asked for per call, or by a namespace that was
enabled here:

>>> import prsm_lab as lab
>>> client = lab.Client(mock_mode=True, ledger=":memory:")
>>> near = {"key_strategy": "semantic_similarity", "ttl": 3600}
>>> first = client.inference.create("gpt-4", "How many moons does Jupiter have?", cache_config=near)
>>> again = client.inference.create("gpt-4", "What is the number of moons of Jupiter?", cache_config=near)
>>> again.cached, again.similar.prompt, round(again.similar.similarity, 2)
(True, 'How many moons does Jupiter have?', 0.96)

Similarity alone serves wrong answers at any threshold, so a gate reads both questions first: numbers, units, dates,
negations, names, code and quoted texts must agree, and every word that carries meaning must have its match. It would
rather miss ten paraphrases than serve one wrong answer; a model that verifies (`"verify": "gpt-4o-mini"`) finds most of
those again, as it is asked where the gate only doubts.
"""

from __future__ import annotations

import dataclasses
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prsm_lab import checks, embedders
from prsm_lab.cache import within
from prsm_lab.cache.calibrating import Calibration, measure, read
from prsm_lab.client import default_client
from prsm_lab.engine import portal
from prsm_lab.engine.caches import calibration
from prsm_lab.errors import InvalidRequestError, NotFoundError
from prsm_lab.ledger import carrying

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd

    from prsm_lab.client import Client
    from prsm_lab.engine.embedded import Embedded
    from prsm_lab.engine.verifying import Verdict
    from prsm_lab.ledger.carrying import Carried

__all__ = [
    "Calibration",
    "calibrate",
    "clear",
    "disable",
    "embedder",
    "enable",
    "export",
    "hits",
    "report_bad",
    "restore",
    "stats",
]


def embedder(which: Any = "minilm", *, name: str | None = None, **place: str) -> str:
    """Name an embedder, for `cache_config={"embedder": …}`, and return the name.

    Args:
        which: `"minilm"` (all-MiniLM-L6-v2, in the extra `semantic`, works offline); `"openai/text-embedding-3-small"`,
            `"huggingface/<model>"` or another provider's model, which costs what it charges; the `Path` of a model2vec
            folder; a sentence-transformers model; or a function from a list of texts to an array of a row each.
        name: What to call it; default its own name.
        **place: `base_url` and `api_key` of a provider's model, where they are not in the environment.

    Raises:
        InvalidRequestError: If it is none of these.

    >>> embedder(lambda texts: [[len(text), 1.0] for text in texts], name="lengths")
    'lengths'
    """
    if isinstance(which, str) and which.count("/") and not embedders.known(which):
        from prsm_lab.providers.vectors import Remote

        provider, _, model = which.partition("/")
        return embedders.named(Remote(provider, model, **place), name)
    if isinstance(which, str):
        embedders.find(which)
    return embedders.named(which, name)


def calibrate(
    pairs: object = None, *, embedder: Any = "minilm", budget: float = 0.01, confidence: float = 0.95,
    same: Callable[[str, str], bool] | None = None, verify: str | None = None, keep: bool = False,
    client: Client | None = None,
) -> Calibration:  # fmt: skip
    """Measure how often a cache by meaning would serve your questions, and how often wrongly, by threshold.

    Args:
        pairs: Labelled pairs: a frame, file or dataset with `question`, `other` and `same`, or a list of
            `(question, other, same)`. None: this ledger's own questions, each with the nearest other one that was asked
            in the same way; two are the same if their answers are.
        embedder: As `embedder` takes it.
        budget: Most false hits that are wanted, of the pairs that must not share an answer.
        confidence: With which the recommended threshold keeps the budget.
        same: Do two answers say the same? Default: they are equal but for case, blanks and punctuation.
        verify: The model that shall verify hits; it is asked now about each pair that the gate lets pass or only
            doubts, which is paid for once, and the threshold is one with this verifier.
        keep: From now on a threshold below the recommended one is refused in this ledger, and so is any if there is
            none; else nothing is changed.
        client: Whose ledger; default the process's client.

    Returns:
        `threshold` is recommended, `table` has rates and intervals, `rejected` what the gate kept apart.

    Raises:
        InvalidRequestError: If there are no pairs, or a label is missing.
        PRSMError: If a pair cannot be verified.

    >>> calibrate([("How do I sort a list?", "How can I sort a list?", True)]).threshold is None
    True
    """
    checks.number(budget, "budget", low=0, high=1, open_low=True)
    checks.number(confidence, "confidence", low=0.5, high=0.999999)
    name = embedders.named(embedder)
    vectors = embedders.find(name)
    if pairs is None:
        from prsm_lab.cache.neighbours import neighbours

        engine = _engine(client)
        labelled = neighbours(portal.call(within.answered(engine)), vectors, same)
    else:
        labelled = read(pairs)
    if not labelled:
        raise InvalidRequestError("There are no pairs to measure on.", details={"parameter": "pairs"})
    said: list[Verdict] = []

    def verifies(asked: Sequence[tuple[str, str]]) -> list[bool]:
        said.extend(portal.call(within.verdicts(_engine(client).caches, asked, str(verify))))
        for verdict in said:
            if verdict.fault is not None:
                raise verdict.fault
        return [verdict.same for verdict in said]

    found = measure(
        labelled, vectors, name=name, budget=budget, confidence=confidence, verifies=verifies if verify else None
    )
    costs = [verdict.cost for verdict in said]
    paid = None if None in costs else math.fsum(cost for cost in costs if cost is not None)
    found = dataclasses.replace(found, verify=verify, cost=paid)
    if keep:
        kept = {"threshold": found.threshold, "budget": budget, "confidence": confidence, "pairs": found.pairs}
        portal.call(within.put(_engine(client).caches, calibration(name, verify), {**kept, "measured": time.time()}))
    return found


def enable(
    namespace: str, *, threshold: float | None = None, embedder: Any = "minilm", verify: str | None = None,
    cross_model: bool = False, shadow: bool = False, force: bool = False, client: Client | None = None,
) -> None:  # fmt: skip
    """Let calls with `cache_config={"namespace": namespace}` find answers by meaning, in every process of this ledger.

    Args:
        namespace: A name of one's own; answers are found within it only.
        threshold: Least cosine; default what was measured.
        embedder: As `embedder` takes it.
        verify: A cheap model that is asked whether both questions mean the same, before a hit is served; it also
            decides where the gate only doubts (a word without a match), which finds far more hits.
        cross_model: May another model's answer serve?
        shadow: Write down what would have been served, and serve nothing: `hits` shows it.
        force: Also below the measured threshold.
        client: Whose ledger; default the process's client.

    Raises:
        InvalidRequestError: If the threshold is lower than what was measured, or nothing was; `force` allows it.

    >>> import prsm_lab as lab
    >>> lab.cache.enable("faq", client=lab.Client(mock_mode=True, ledger=":memory:"))
    """
    if not checks.text(namespace, "namespace"):
        raise checks.wrong("namespace", "a name", namespace)
    caches = _engine(client).caches
    fields = {
        "similarity_threshold": checks.number(threshold, "threshold", low=0, high=1),
        "embedder": embedders.named(embedder), "verify": verify, "cross_model": cross_model, "shadow": shadow,
        "force": force,
    }  # fmt: skip
    portal.call(within.enabled(caches, namespace, fields))


def disable(namespace: str, *, client: Client | None = None) -> None:
    """Find nothing by meaning in a namespace any more; its entries stay until they are cleared.

    >>> import prsm_lab as lab
    >>> client = lab.Client(mock_mode=True, ledger=":memory:")
    >>> lab.cache.enable("faq", client=client)
    >>> lab.cache.disable("faq", client=client)
    """
    portal.call(within.put(_engine(client).caches, f"namespace {namespace}", None))


def stats(*, client: Client | None = None) -> pd.DataFrame:
    """Return a row for exact hits, and one for each embedder and namespace by meaning.

    Returns:
        `entries` that can be found; `served`; would-be hits of `shadow` mode; hits stopped by the `gate` or by
        `verification`; `reported` as bad; `saved_usd`, what the served answers had cost; the median and 95th percentile
        of `embed_ms` and `search_ms` of look-ups that found something near.

    >>> import prsm_lab as lab
    >>> lab.cache.stats(client=lab.Client(mock_mode=True, ledger=":memory:"))["strategy"].tolist()
    ['exact']
    """
    import pandas as pd

    counts, served, found = portal.call(within.counted(_engine(client).caches))
    nothing = (0, 0.0)
    lines = [within.summed("exact", None, None, None, served.get((None, None), nothing), [])]
    entries = {(name, space): n for name, space, n in counts}
    places = sorted({*entries, *((hit.embedder, hit.namespace) for hit in found)})
    for name, space in places:
        own = [hit for hit in found if (hit.embedder, hit.namespace) == (name, space)]
        there, paid = entries.get((name, space), 0), served.get((name, space), nothing)
        lines.append(within.summed("semantic_similarity", name, space, there, paid, own))
    return pd.DataFrame(lines).convert_dtypes()


def hits(limit: int = 100, *, client: Client | None = None) -> pd.DataFrame:
    """Return what was found by meaning, the latest first: both questions, how near, and what came of it.

    Args:
        limit: So many at most.
        client: Whose ledger; default the process's client.

    Returns:
        A row per question: `outcome` is `served`, `shadow`, `gate` (`reason`: what differs) or `verification`
        (`reason`: the inference that verified).

    >>> import prsm_lab as lab
    >>> len(lab.cache.hits(client=lab.Client(mock_mode=True, ledger=":memory:")))
    0
    """
    import pandas as pd

    from prsm_lab.ledger.lookalikes import Hit

    found = portal.call(within.latest(_engine(client).caches, limit))
    return pd.DataFrame(found, columns=list(Hit._fields)).convert_dtypes()


def report_bad(inference_id: str, *, client: Client | None = None) -> None:
    """Say that an answer from a cache was wrong: what it came from is not served again.

    Args:
        inference_id: The inference that got the wrong answer.
        client: Whose ledger; default the process's client.

    Raises:
        NotFoundError: If there is no such inference.
        InvalidRequestError: If its answer came from no cache.

    >>> import prsm_lab as lab
    >>> client = lab.Client(mock_mode=True, ledger=":memory:")
    >>> first, again = (client.inference.create("gpt-4", "hi", cache_config=True) for _ in range(2))
    >>> lab.cache.report_bad(again.id, client=client)
    >>> client.inference.create("gpt-4", "hi", cache_config=True).cached
    False
    """
    portal.call(within.reported(_engine(client), inference_id))


def clear(*, namespace: str | None = None, embedder: str | None = None, client: Client | None = None) -> int:
    """Serve nothing of what there is; answers stay in the ledger, and runs resume with them.

    Args:
        namespace: Only what is found by meaning in this one (`""`: without a name).
        embedder: Only what is found by this embedder's vectors.
        client: Whose ledger; default the process's client.

    Returns:
        How many entries and answers are not found any more.

    >>> import prsm_lab as lab
    >>> client = lab.Client(mock_mode=True, ledger=":memory:")
    >>> answer = client.inference.create("gpt-4", "hi", cache_config=True)
    >>> lab.cache.clear(client=client)
    1
    """
    return portal.call(within.cleared(_engine(client).caches, namespace, embedder))


def export(path: str | Path, *, client: Client | None = None) -> Carried:
    """Write this ledger's good answers, and the vectors by which they are found, to one file.

    Whoever reads it back by `restore` runs the same notebook at no cost and without a key: exact questions, the rows of
    unnamed and named runs, and hits by meaning. Questions and answers are in it in full; keys are not.

    Args:
        path: The file, `….jsonl.gz`; it is replaced.
        client: Whose ledger; default the process's client.

    Returns:
        How many answers and vectors it holds.

    >>> import prsm_lab as lab, tempfile
    >>> client = lab.Client(mock_mode=True, ledger=":memory:")
    >>> answer = client.inference.create("gpt-4", "hi")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     lab.cache.export(folder + "/cache.jsonl.gz", client=client)
    Carried(answers=1, vectors=0)
    """
    return portal.call(within.carried(carrying.export, _engine(client), Path(path)))


def restore(path: str | Path, *, client: Client | None = None) -> Carried:
    """Read a file of `export`: its answers are served as if they had been bought here (`import` is Python's own word).

    They count in no usage and no budget. Read only what comes from somebody you trust: its answers are believed.

    Args:
        path: The file.
        client: Whose ledger; default the process's client.

    Returns:
        How many answers and vectors were new.

    Raises:
        NotFoundError: If there is no such file.
        InvalidRequestError: If it is another kind of file, or damaged; then nothing was read.

    >>> import prsm_lab as lab, tempfile
    >>> mine, yours = (lab.Client(mock_mode=True, ledger=":memory:") for _ in range(2))
    >>> answer = mine.inference.create("gpt-4", "hi")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = lab.cache.export(folder + "/cache.jsonl.gz", client=mine)
    ...     _ = lab.cache.restore(folder + "/cache.jsonl.gz", client=yours)
    >>> yours.inference.create("gpt-4", "hi", cache_config=True).cached
    True
    """
    if not Path(path).is_file():
        raise NotFoundError(f"No file at {str(path)!r}.", details={"parameter": "path"})
    return portal.call(within.carried(carrying.restore, _engine(client), Path(path)))


def _engine(client: Client | None) -> Embedded:
    engine: Any = (client or default_client()).engine
    if not hasattr(engine, "caches"):
        raise InvalidRequestError(
            "This client asks a share server: its cache is the server's, and its owner looks into it there.",
            details={"parameter": "client"},
        )
    return engine  # type: ignore[no-any-return]
