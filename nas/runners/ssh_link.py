"""An agent (`nas.runners.agent`) on another machine, at the far end of the user's own OpenSSH client.

The client is started from a list of arguments, so no shell of this machine reads any of it; what the shell there reads
is one command, quoted in `_command`. Everything else travels as data over the one connection.
"""

from __future__ import annotations

import contextlib
import json
import shlex
import subprocess
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from nas.errors import InputError, NasError, UnreachableError
from nas.files import is_full
from nas.latency.way import Ssh
from nas.runners import agent

_BEAT_S = agent.SILENCE_S / 6
_MOST_NOISE = 1000
"""Lines that a login may print before the agent speaks."""
_LEAST_PYTHON = (3, 9)
_BEGIN = (
    f"import sys; sys.version_info >= {_LEAST_PYTHON} or sys.exit('it is Python ' + sys.version.split()[0]);"
    " sys.path[:] = [p for p in sys.path if p]; s = sys.stdin.buffer; exec(s.read(int(s.readline())))"
)
"""What Python there is told: to run the agent, whose text comes over the connection; nothing of the folder that a
login begins in is imported."""
_FIRM = (
    "-T", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", "ForwardAgent=no", "-o", "ForwardX11=no",
    "-o", "ClearAllForwardings=yes", "-o", "RemoteCommand=none", "-o", "LogLevel=ERROR",
)  # fmt: skip
"""Before the user's own options, so that these hold: nobody is asked, no unknown host is trusted, nothing is passed on,
and what goes wrong is told."""
_USUAL = ("-o", "ConnectTimeout=15", "-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=3")


def ssh_arguments(way: Ssh) -> list[str]:
    """The command that starts the client, word by word, with the agent at its far end."""
    own: list[str] = []
    for flag, value in (("-F", _own_path(way.config)), ("-i", _own_path(way.identity)), ("-J", way.jump)):
        own += [flag, value] if value else []
    if way.port:
        own += ["-p", str(way.port)]
    return ["ssh", *_FIRM, *own, *_USUAL, "--", way.host, _command(way.python)]


def _own_path(text: str) -> str:
    return str(Path(text).expanduser()) if text else ""


def _command(python: str) -> str:
    """What the shell there is given. A login begins in the home folder, which "~/" stands for."""
    own = f"./{python[2:]}" if python.startswith("~/") else python
    return f"exec {shlex.join([own, '-c', _BEGIN])}"


class SshLink:
    """An agent that is there, and answers; `close` ends it, and so does whatever ends this process.

    Raises `UnreachableError` where the machine is not there now, or busy; `InputError` where it does not let us in, is
    not known by its key, or has no Python; `NasError` where its disk is full.
    """

    def __init__(self, way: Ssh) -> None:
        self._way, self._greeted = way, False
        self._lock, self._closed = threading.Lock(), threading.Event()
        # A file, since a client that stays behind for others (ControlPersist) would hold a pipe open.
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        try:
            self._process = subprocess.Popen(
                ssh_arguments(way), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors
            )
        except FileNotFoundError as error:
            self._errors.close()
            raise InputError(
                "ssh must be installed here for reach: ssh, but is not; install OpenSSH's client."
            ) from error
        try:
            self._greet()
        except BaseException:
            self.close()
            raise

    def _greet(self) -> None:
        text = Path(agent.__file__).read_bytes()
        self._write(b"%d\n" % len(text) + text)
        for _ in range(_MOST_NOISE):
            line = self._read()
            with contextlib.suppress(ValueError):
                said = json.loads(line)
                if isinstance(said, dict) and agent.GREETING in said:
                    break
        else:
            raise InputError(
                f"{self._way.host} must start Python without printing for ever, but does not; see `ssh"
                f" {self._way.host} true`."
            )
        self._greeted = True
        threading.Thread(target=self._beat, daemon=True).start()
        if "busy" in (found := self.ask({"ask": "open", "folder": self._way.folder})):
            raise UnreachableError(
                f"{self._way.host} must be free, but {found['busy']} (in {self._way.folder}); wait for it, or give this"
                " device another folder."
            )

    def ask(self, request: Mapping[str, Any], content: bytes = b"") -> dict[str, Any]:
        """What the agent answers to a frame. What its disk refuses is raised."""
        frame = {**request, "size": len(content)} if content else request
        self._write(json.dumps(frame).encode() + b"\n" + content)
        answer: dict[str, Any] = json.loads(self._read())
        if "refused" in answer:
            raise _refused(self._way.host, answer["refused"], answer["errno"])
        return answer

    def close(self) -> None:
        """End the agent; nothing is asked of it any more."""
        self._closed.set()
        with contextlib.suppress(OSError):
            self._stdin.close()
        try:
            self._process.wait(5.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._stdout.close()
        self._errors.close()

    @property
    def _stdin(self) -> IO[bytes]:
        assert self._process.stdin is not None
        return self._process.stdin

    @property
    def _stdout(self) -> IO[bytes]:
        assert self._process.stdout is not None
        return self._process.stdout

    def _write(self, content: bytes) -> None:
        try:
            with self._lock:
                self._stdin.write(content)
                self._stdin.flush()
        except OSError as error:
            raise self._ended() from error

    def _read(self) -> bytes:
        line = self._stdout.readline()
        if not line.endswith(b"\n"):
            raise self._ended()
        return line

    def _beat(self) -> None:
        """Tell the agent now and then that this side is alive."""
        while not self._closed.wait(_BEAT_S):
            with contextlib.suppress(OSError, ValueError), self._lock:
                self._stdin.write(b"\n")
                self._stdin.flush()

    def _ended(self) -> NasError:
        """Why the client ended."""
        with contextlib.suppress(OSError):
            self._stdin.close()
        try:
            code = self._process.wait(5.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        self._errors.seek(0)
        return _fault(self._way, code, self._errors.read().decode("utf-8", "replace"), greeted=self._greeted)


def _refused(host: str, text: str, number: int) -> NasError:
    if is_full(number):
        return NasError(f"the disk of {host} must have room, but: {text}; free some there, or name another folder.")
    return NasError(f"{host} must let files be written, but: {text}; name another folder in device.yaml.")


def _fault(way: Ssh, code: int, errors: str, *, greeted: bool) -> NasError:
    """What the client's exit status and its words come to."""
    host = way.host
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    last = lines[-1] if lines else f"ssh ended with {code}"
    by_hand = f"`{shlex.join(['ssh', *_by_hand(way), host])}`"
    if code == 255 and "HOST IDENTIFICATION HAS CHANGED" in errors:
        return InputError(
            f"the key of {host} must be the one that is known here, but it has another: something else may answer in"
            f" its place. Where it was set up anew, forget the old key (`ssh-keygen -R {host}`), and log in by hand:"
            f" {by_hand}."
        )
    if code == 255 and ("Host key verification failed" in errors or "host key is known for" in errors):
        return InputError(
            f"the key of {host} must be known here, but it is not, and is never taken unseen; log in once by hand"
            f" ({by_hand}), compare the fingerprint, and say yes."
        )
    if code == 255 and "Permission denied" in errors:
        return InputError(
            f"{host} must let this user in without a question, but: {last}; put a key there (`ssh-copy-id {host}`), or"
            f" load yours (`ssh-add`), until {by_hand} asks nothing."
        )
    if code in (126, 127):
        return InputError(f"python must be an interpreter on {host}, but {way.python!r} is none: {last}; name another.")
    if not greeted and code not in (255, 0) and code > 0:
        return InputError(
            f"python must be Python {'.'.join(map(str, _LEAST_PYTHON))} or newer on {host}, but {way.python!r} ended"
            f" with {code}: {last}; name another."
        )
    if "Traceback" in errors:
        return NasError(f"the agent on {host} must go on, but ended with {code}: {last}.")
    return UnreachableError(
        f"{host} must be there, but: {last}; see that it is on and on the network ({by_hand} must work), and try again."
    )


def _by_hand(way: Ssh) -> list[str]:
    return [word for word in ssh_arguments(way)[1:-3] if word not in (*_FIRM, *_USUAL)]
