"""Real servers for tests: PostgreSQL and Redis as Debian has them, on free ports of this machine, gone afterwards."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

CANARY = "canary-Pass/w@rd-7c1f"
"""The servers' password: it must be found nowhere but in their addresses."""
START_SECONDS = 30


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _server(name: str) -> str | None:
    """Where Debian puts a PostgreSQL program, the newest version's."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[4]))
    return str(found[-1]) if found else shutil.which(name)


def _mortal(*command: str) -> list[str]:
    """A command that ends with the tests, however they end (a timeout kills the process that would stop it)."""
    return ["setpriv", "--pdeathsig", "QUIT", *command] if shutil.which("setpriv") else [*command]


def _wait(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise RuntimeError(f"{process.args!r:.80} did not start")


class Postgres:
    """A server that can be stopped and started again on the same data."""

    def __init__(self, folder: Path, user: dict[str, Any]) -> None:
        self.port, self._folder, self._user = free_port(), folder, user
        password = folder / "password"
        password.write_text(CANARY)
        if user:
            shutil.chown(folder, user["user"])
            shutil.chown(password, user["user"])
        self._run(
            _server("initdb"), "-D", folder / "data", "-U", "lab", "-A", "scram-sha-256", f"--pwfile={password}",
            "--no-sync", "-E", "UTF8", "--no-locale",
        )  # fmt: skip
        self.start()

    def _run(self, *command: Any) -> None:
        subprocess.run([*map(str, command)], check=True, stdout=subprocess.DEVNULL, cwd=self._folder, **self._user)

    def start(self) -> None:
        options = {"port": self.port, "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off"}
        self._process = subprocess.Popen(
            _mortal(
                str(_server("postgres")), "-D", str(self._folder / "data"), *(f"--{k}={v}" for k, v in options.items())
            ),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=self._folder, **self._user,
        )  # fmt: skip
        _wait(self.port, self._process)
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:  # it listens before it lets anybody in
            try:
                return self.ask("SELECT 1")
            except Exception:
                time.sleep(0.02)
        raise RuntimeError("PostgreSQL lets nobody in")

    def stop(self) -> None:
        """Throw everybody out and stop."""
        self._process.send_signal(2)
        self._process.wait(START_SECONDS)

    def url(self, database: str = "postgres", password: str = CANARY) -> str:
        return f"postgresql://lab:{quote(password, safe='')}@127.0.0.1:{self.port}/{database}"

    def ask(self, statement: str, database: str = "postgres") -> Any:
        import psycopg

        with psycopg.connect(self.url(database), autocommit=True) as line:
            found = line.execute(statement)
            return found.fetchall() if found.description else None

    @contextmanager
    def database(self) -> Iterator[str]:
        """The URL of an empty database."""
        name = f"lab_{secrets.token_hex(4)}"
        self.ask(f"CREATE DATABASE {name}")
        yield self.url(name)
        self.ask(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server."""
    pytest.importorskip("psycopg", reason='psycopg is missing: pip install "prsm-lab[server]"')
    if _server("initdb") is None:
        pytest.skip("PostgreSQL is missing: apt-get install postgresql")
    user: dict[str, Any] = {}
    if os.geteuid() == 0:  # it refuses to run as root
        try:
            found = pwd.getpwnam("postgres")
        except KeyError:
            pytest.skip("there is no user postgres to run PostgreSQL as")
        user = {"user": found.pw_name, "group": found.pw_gid, "extra_groups": []}
    folder = Path(tempfile.mkdtemp(prefix="prsm-postgres-"))
    server = Postgres(folder, user)
    yield server
    server.stop()
    shutil.rmtree(folder)


@pytest.fixture
def database(postgres: Postgres) -> Iterator[str]:
    """The URL of an empty PostgreSQL database, with a password in it."""
    with postgres.database() as url:
        yield url


class Redis:
    """A server that can be stopped and started again, empty."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"redis://:{quote(CANARY, safe='')}@127.0.0.1:{self.port}/0"
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(
            _mortal(
                "redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--requirepass", CANARY, "--save", "",
                "--appendonly", "no",
            ),
            stdout=subprocess.DEVNULL, cwd=tempfile.gettempdir(),
        )  # fmt: skip
        _wait(self.port, self._process)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(START_SECONDS)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Redis]:
    """A Redis server."""
    pytest.importorskip("redis", reason='redis is missing: pip install "prsm-lab[server]"')
    if shutil.which("redis-server") is None:
        pytest.skip("Redis is missing: apt-get install redis-server")
    server = Redis()
    yield server
    server.stop()


@pytest.fixture
def redis_url(redis_server: Redis) -> Iterator[str]:
    """The URL of an empty Redis database, with a password in it."""
    import redis

    with redis.Redis.from_url(redis_server.url) as line:
        line.flushall()
        yield redis_server.url
