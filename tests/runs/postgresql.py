"""A PostgreSQL server of the tests' own, for as long as they need it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.extras import needs

_USER = "nas"


@contextmanager
def server() -> Iterator[str]:
    """The URL of an empty server, without a database's name; the calling test is skipped by name without PostgreSQL.

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

    try:
        run("initdb", "--username", _USER, "--auth", "trust", "--encoding", "UTF8", "--no-sync")
        options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off"
        run("pg_ctl", "start", "--wait", "--log", str(folder / "log"), "-o", options)
        try:
            yield f"postgresql+psycopg://{_USER}@/{{}}?host={folder}"
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
