"""What the loader sees of a model's folder: weights and vocabulary as they are, settings as we wrote them, no more."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from prsm_lab.errors import InvalidRequestError
from prsm_lab.hosting import configs, headers

if TYPE_CHECKING:
    from pathlib import Path

_VOCABULARIES: Final = ("tokenizer.json", "vocab.json", "merges.txt")
_CONTEXTS: Final = ("max_position_embeddings", "n_positions", "max_seq_len", "n_ctx")


class Staged:
    """A folder that was looked at."""

    def __init__(self, weights: list[Path], size: int, context: int | None) -> None:
        self.weights = weights
        self.size = size
        """Bytes of all weights."""
        self.context = context


def check(folder: Path) -> Staged:
    """Check a model's folder: settings, tokenizer, template, the heads of its weights.

    Raises:
        InvalidRequestError: Naming the file and what is wrong with it.
    """
    return _staged(folder, None)


def stage(folder: Path, into: Path) -> Staged:
    """Check a model's folder and lay out what the loader may see of it in an empty one.

    Raises:
        InvalidRequestError: As `check`.
    """
    return _staged(folder, into)


def _staged(folder: Path, into: Path | None) -> Staged:
    _check_whole(folder)
    said = configs.read(folder / "config.json")
    config = configs.checked(said)
    settings = folder / "tokenizer_config.json"
    tokens = configs.tokenizer(configs.read(settings)) if settings.exists() else {}
    own = folder / "chat_template.jinja"
    if own.exists():
        if own.stat().st_size > 4 * configs.LONGEST_TEMPLATE:
            raise headers.refused(own.name, "it is too large", "template")
        tokens["chat_template"] = configs.template(own.read_text(encoding="utf-8", errors="replace"))
    if configs.talks(said):
        tokens["turns_end"] = True
    weights = sorted(folder.glob("*.safetensors"))
    for path in weights:
        headers.check_safetensors(path)
    index = folder / "model.safetensors.index.json"
    shards = _check_index(index, {path.name for path in weights}) if index.exists() else False
    if not shards and [path.name for path in weights] != ["model.safetensors"]:
        raise headers.refused(folder.name, "its weights are neither model.safetensors nor listed in an index")
    for name in _VOCABULARIES:
        if name.endswith(".json") and (folder / name).exists():
            configs.read(folder / name)
    if into is not None:
        _lay_out(folder, into, config, tokens, [*weights, *([index] if shards else [])])
    context = next((config[name] for name in _CONTEXTS if isinstance(config.get(name), int)), None)
    return Staged(weights, sum(path.stat().st_size for path in weights), context)


def _check_whole(folder: Path) -> None:
    if not (folder / "config.json").is_file():
        raise InvalidRequestError(
            f"{folder.name} is no folder of a model: it has no config.json.", details={"kind": "weights"}
        )
    if not any(folder.glob("*.safetensors")):
        pickled = next((path.name for path in folder.iterdir() if path.suffix in (".bin", ".pt", ".pth")), None)
        had = f" It has {pickled}, a pickle, which runs code when it is read." if pickled else ""
        raise InvalidRequestError(
            f"{folder.name} has no weights as safetensors.{had} Save them with "
            "model.save_pretrained(folder, safe_serialization=True).",
            details={"kind": "weights"},
        )
    has = {name for name in _VOCABULARIES if (folder / name).is_file()}
    if "tokenizer.json" not in has and not {"vocab.json", "merges.txt"} <= has:
        raise InvalidRequestError(
            f"{folder.name} has no tokenizer.json (nor vocab.json with merges.txt). Save it with "
            "AutoTokenizer.from_pretrained(…).save_pretrained(folder).",
            details={"kind": "weights"},
        )


def _check_index(index: Path, there: set[str]) -> bool:
    """Does it list exactly the files that are there? Names could lead elsewhere."""
    listed = configs.read(index).get("weight_map")
    if not isinstance(listed, dict) or not set(map(str, listed.values())) <= there:
        raise headers.refused(index.name, "it lists weights that are not there")
    return True


def _lay_out(folder: Path, into: Path, config: object, tokens: object, weights: list[Path]) -> None:
    (into / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (into / "tokens.json").write_text(json.dumps(tokens), encoding="utf-8")
    for path in [*weights, *(folder / name for name in _VOCABULARIES if (folder / name).is_file())]:
        (into / path.name).symlink_to(path.resolve())
