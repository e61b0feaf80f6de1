"""What stands behind `client.models.upload`, `register` and `delete`: this machine's store, or a share server's."""

from __future__ import annotations

import asyncio
import hashlib
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from prsm_lab import catalog, local, settings
from prsm_lab.client import connecting, registry
from prsm_lab.engine.remote import Remote
from prsm_lab.errors import InvalidRequestError, NotFoundError
from prsm_lab.hosting import archives, staging
from prsm_lab.hosting.store import Hosted, check_name

if TYPE_CHECKING:
    from prsm_lab.protocols import Engine
    from prsm_lab.types import Model

PART: Final = 2**22


async def upload(engine: Engine, source: str | Path, name: str | None) -> Model:
    """Host a model's folder, archive or GGUF file."""
    path = Path(source).expanduser()  # noqa: ASYNC240 -- one look
    if not path.exists():
        raise NotFoundError(f"Nothing is at {str(source)!r}.", details={"parameter": "path"})
    called = check_name(_called(path) if name is None else name)
    with tempfile.TemporaryDirectory(prefix="prsm-lab-") as room:
        if path.is_dir():
            path = await asyncio.to_thread(_packed, path, Path(room) / "model.tar")
        if isinstance(engine, Remote):
            return await engine.model(await engine.hosting.upload(path, called))
        hosted = await asyncio.to_thread(_kept, path, called)
    local.register(hosted)
    return await engine.model(f"local/{called}")


async def register(engine: Engine, reach: Any, name: str, base_url: str, **more: Any) -> tuple[Model, ...]:
    """Ask a server by its address from now on; its models are `name/model`."""
    key = settings.sealed(more.pop("api_key", None))
    if isinstance(engine, Remote):
        given = None if key is None else settings.secret(key, name="api_key").reveal()
        names = await engine.hosting.register(name, base_url, api_key=given, **more)
        return tuple([await engine.model(one) for one in names])
    name = registry.check(name, "server")
    if reach is None:
        raise InvalidRequestError("A mocked client asks no server.", details={"parameter": "base_url"})
    more["insecure"] = bool(more.get("insecure"))
    access = await asyncio.to_thread(settings.access, name, api_key=key, base_url=base_url, **more)
    connection = await connecting.looked(access)
    catalog.forget(name)
    for model in connection.models:
        catalog.register(model, preset=access.preset)
    await reach.put(access)
    return connection.models


async def delete(engine: Engine, reach: Any, name: str) -> None:
    """Delete an uploaded model, by its name with or without `local/`; or forget a server."""
    if isinstance(engine, Remote):
        known = name.startswith("local/") or not re.fullmatch(r"[a-z0-9][a-z0-9._\-]*", name)
        try:
            await engine.hosting.delete(name)
        except NotFoundError:
            if known:
                raise
            await engine.hosting.delete(f"local/{name}")
        return
    called = name.removeprefix("local/")
    if reach is not None and called in reach.names and reach.added(called):
        catalog.forget(called)
        await reach.part(called)
        return
    await asyncio.to_thread(local.unload, called)
    await asyncio.to_thread(local.store().delete, called)
    catalog.forget("local", f"local/{called}")


def _called(path: Path) -> str:
    """A name out of a path: `Tiny GPT2.tar.gz` is `tiny-gpt2`."""
    last = path.name if path.is_dir() else re.sub(r"(\.(zip|tar|tgz|gz|bz2|xz|gguf))+$", "", path.name, flags=re.I)
    return re.sub(r"[^a-z0-9._\-]+", "-", last.casefold()).strip("-._")[:64]


def _packed(folder: Path, out: Path) -> Path:
    """Check a folder here, before it travels, and pack what a model needs of it."""
    staging.check(folder)
    names = []
    for path in sorted(folder.iterdir()):
        try:
            names.append(archives.check_name(path.name))
        except InvalidRequestError:  # optimizer states, notebooks: they stay here
            continue
    archives.pack(folder, out, names)
    return out


def _kept(path: Path, name: str) -> Hosted:
    store = local.store()
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        found: Any = store.begin(name, path.stat().st_size, digest)
        if isinstance(found, Hosted):
            return found
        with store.writing(name, found.received) as part:
            file.seek(found.received)
            while content := file.read(PART):
                part.write(content)
    made = store.finish(name)
    assert isinstance(made, Hosted)
    return made
