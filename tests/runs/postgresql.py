"""A PostgreSQL server of the tests' own, for as long as they need it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from tests.extras import needs

_USER = "nas"


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A server that runs: `url` lacks a database's name, `run` calls one of its programs."""

    url: str
    run: Callable[..., None]
    options: tuple[str, ...]

    def database(self, name: str) -> str:
        """The URL of a new database."""
        engine = create_engine(self.url.format("postgres"), poolclass=NullPool, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        return self.url.format(name)

    def restart(self, mode: str, *, down_s: float) -> None:
        """Stop it (fast: connections are ended; immediate: as in a crash), and start it again after a while."""
        self.run("pg_ctl", "stop", "--wait", "--mode", mode)
        time.sleep(down_s)
        self.start()

    def start(self) -> None:
        """Start it."""
        self.run("pg_ctl", "start", "--wait", *self.options)


@contextmanager
def server() -> Iterator[str]:
    """The URL of an empty server, without a database's name; as `running`."""
    with running() as found:
        yield found.url


@contextmanager
def running() -> Iterator[Server]:
    """An empty server; the calling test is skipped by name without PostgreSQL.

    It listens at a socket in a folder of its own, not at a port. PostgreSQL does not run as root, so root starts it as
    the user that its package made.
    """
    needs("psycopg")
    programs = _programs()
    user = "postgres" if os.geteuid() == 0 else None
    # The path of a socket has at most 107 bytes, so it does not lie in pytest's folder.
    folder = Path(tempfile.mkdtemp(prefix="nas-"))
    if user:
        shutil.chown(folder, user)

    def run(name: str, *arguments: str) -> None:
        done = subprocess.run(
            [programs / name, "-D", folder / "data", *arguments],
            user=user, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

    options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off"
    found = Server(
        url=f"postgresql+psycopg://{_USER}@/{{}}?host={folder}",
        run=run,
        options=("--log", str(folder / "log"), "-o", options),
    )
    try:
        run("initdb", "--username", _USER, "--auth", "trust", "--encoding", "UTF8", "--no-sync")
        found.start()
        try:
            yield found
        finally:
            run("pg_ctl", "stop", "--wait", "--mode", "immediate")
    finally:
        shutil.rmtree(folder)


def _programs() -> Path:
    """The folder of PostgreSQL's programs, which Debian keeps off the path."""
    on_path = shutil.which("initdb")
    found = [Path(on_path).parent] if on_path else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if found:
        return found[-1]
    message = "needs PostgreSQL's server, which is not installed (.ci/run installs it)"
    if os.environ.get("NAS_REQUIRE_EXTRAS"):
        pytest.fail(message)
    pytest.skip(message)
