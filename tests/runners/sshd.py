"""An OpenSSH server of the tests' own on this machine, with keys and a client's configuration of its own."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from nas.latency.way import Ssh
from tests.extras import missing

ALIAS = "bench"
"""The server's name in the client's configuration."""


@dataclass(kw_only=True)
class Server:
    """A server that runs in `folder`, whose `config` is a client's configuration that knows it as `ALIAS`."""

    folder: Path
    port: int
    options: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = None

    @property
    def config(self) -> Path:
        """The configuration of a client that may log in, and knows the server's key."""
        return self.folder / "config"

    def way(self, **changes: object) -> Ssh:
        """The way there: this interpreter, and a folder of the tests' own."""
        own = {"host": ALIAS, "config": str(self.config), "python": sys.executable, "folder": str(self.folder / "far")}
        return Ssh(**{**own, **changes})  # type: ignore[arg-type]

    def start(self) -> None:
        """Listen."""
        program = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        assert program is not None
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(parents=True, exist_ok=True)
        log = self.folder / "log"
        self.process = subprocess.Popen(
            [program, "-D", "-f", str(self.folder / "sshd_config"), "-E", str(log), *self.options],
            stdin=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 60.0
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1.0):
                return
            assert self.process.poll() is None, log.read_text()
            time.sleep(0.02)
        raise AssertionError(f"sshd does not listen: {log.read_text()}")

    def stop(self) -> None:
        """Listen no more, and end all sessions at once, as if the machine had gone."""
        if self.process is not None:
            sessions = descendants(self.process.pid, "sshd")
            self.process.kill()
            self.process.wait()
            for number in sessions:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(number, signal.SIGKILL)
            self.process = None

    def end_sessions(self) -> None:
        """End the connections there are; new ones are welcome."""
        assert self.process is not None
        for number in descendants(self.process.pid, "sshd"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)

    def processes(self) -> list[str]:
        """The command lines of what runs there: agents of this folder, and workers in it."""
        found = []
        for place in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                words = (place / "cmdline").read_bytes().split(b"\0")
                line = b" ".join(words).decode("utf-8", "replace")
                ours = str(self.folder / "far") in line or "s.read(int(s.readline()))" in line
                if ours and words[0] != b"ssh":
                    found.append(f"{place.name}: {line}")
        return found


def descendants(number: int, name: str) -> list[int]:
    """The processes below process `number` that are called `name`."""
    found = []
    for thread in Path(f"/proc/{number}/task").glob("*"):
        with contextlib.suppress(OSError):
            for child in (thread / "children").read_text().split():
                if Path(f"/proc/{child}/comm").read_text().strip().startswith(name):
                    found += [int(child), *descendants(int(child), name)]
    return found


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def make_key(path: Path) -> str:
    """A new key at `path`; its public half."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    return path.with_suffix(".pub").read_text()


@contextlib.contextmanager
def running(folder: Path, *options: str) -> Iterator[Server]:
    """A server in `folder`, with more options of sshd."""
    missing("sshd", shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin") is None, "openssh-server")
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    host = make_key(folder / "host_key")
    (folder / "authorized_keys").write_text(make_key(folder / "key"))
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {host}")
    (folder / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host_key\n"
        f"AuthorizedKeysFile {folder}/authorized_keys\n"
        "PidFile none\nUsePAM no\nStrictModes no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
        "PermitRootLogin prohibit-password\n"
    )
    (folder / "config").write_text(
        f"Host {ALIAS}\n  HostName 127.0.0.1\n  Port {port}\n  User {getpass.getuser()}\n  IdentityFile {folder}/key\n"
        f"  IdentitiesOnly yes\n  UserKnownHostsFile {folder}/known_hosts\n  GlobalKnownHostsFile /dev/null\n"
    )
    server = Server(folder=folder, port=port, options=options)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server for the tests of a module."""
    with running(tmp_path_factory.mktemp("sshd")) as server:
        yield server
