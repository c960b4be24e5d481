"""The program that works on a device that is reached over a connection: it keeps files, runs workers, and ends with
the connection, and its workers with it.

It is sent there as text, and needs Python 3.9 and the standard library. On stdin it reads frames: a line of JSON, then
as many bytes as its "size" says; an empty line says that the other end is alive. On stdout it greets, then answers
each frame with a line of JSON:

    {"ask": "open", "folder": ".cache/nas"}                     keep files there, alone
    {"ask": "describe", "packages": [...], "title": "LiteRT"}   what this machine is, with the runtime's version
    {"ask": "files", "names": [...]}                            remove all other files; say which of these lack
    {"ask": "put", "name": "…", "part": "", "size": 65536}      append the bytes to a file, or to one of a folder
    {"ask": "keep", "name": "…"}                                the file, or folder, is whole
    {"ask": "work", "worker": "…", "request": {...}}            run a worker (`nas.runners.worker`) on files

What the disk refuses is answered {"refused": text, "errno": number}, what is not installed {"lacking": package}.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, BinaryIO

GREETING = "nas-agent"
SILENCE_S = 60.0
"""The other end is taken to be gone when nothing was heard of it for so long."""
OURS = re.compile(r"[0-9a-f]{64}\.[a-z]+")
"""The names of files that an agent keeps; no others are touched."""
WORKER = ".worker"
"""The suffix of a folder that holds a worker, which stays."""
_BUSY = "another run of the program is timing there"
_GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
_CPU_INFO = Path("/proc/cpuinfo")
_MODEL = Path("/proc/device-tree/model")


def describe(packages: Sequence[str], title: str) -> dict[str, str]:
    """Chip, runtime, system, cores and governor of this machine.

    Raises `PackageNotFoundError` where none of `packages`, which hold the runtime, is installed.
    """
    found = {
        "chip": chip(),
        "runtime": f"{title}{_version(packages, title)}",
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "cores": str(cores()),
    }
    if _GOVERNOR.is_file():
        found["governor"] = _GOVERNOR.read_text("utf-8").strip()
    return found


def _version(packages: Sequence[str], title: str) -> str:
    """What follows the runtime's name: its version; that of Core ML is the system's."""
    for package in packages:
        try:
            own = version(package)
        except PackageNotFoundError:
            continue
        return f", macOS {platform.mac_ver()[0]}" if title == "Core ML" else f" {own}"
    raise PackageNotFoundError(packages[0])


def cores() -> int:
    """How many cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def chip() -> str:
    """The processor's name as the system has it."""
    if _CPU_INFO.is_file():
        for line in _CPU_INFO.read_text("utf-8", errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name" and value.strip():
                return value.strip()
    if _MODEL.is_file():  # boards with ARM processors
        return _MODEL.read_text("utf-8", errors="replace").strip("\0 \n")
    if sys.platform == "darwin":
        asked = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
        said = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
        return said or platform.machine()
    return platform.processor() or platform.machine()


class Agent:
    """Answers frames from `stdin` on `stdout`, until there are no more."""

    def __init__(self, stdin: BinaryIO, stdout: BinaryIO) -> None:
        self._stdin, self._stdout = stdin, stdout
        self._heard = time.monotonic()
        self._folder = Path()
        self._lock: BinaryIO | None = None
        self._worker: subprocess.Popen[bytes] | None = None

    def run(self) -> None:
        """Greet, and answer."""
        self._say({GREETING: 1, "python": platform.python_version()})
        threading.Thread(target=self._watch, daemon=True).start()
        for request, content in self._frames():
            if request["ask"] == "work":
                threading.Thread(target=self._answer, args=(request, content), daemon=True).start()
            else:
                self._answer(request, content)

    def end(self) -> None:
        """Leave at once, and no worker behind."""
        worker = self._worker
        if worker is not None and worker.poll() is None:
            os.killpg(worker.pid, signal.SIGKILL)
        os._exit(0)

    def _watch(self) -> None:
        while time.monotonic() - self._heard < SILENCE_S:
            time.sleep(1.0)
        self.end()

    def _frames(self) -> Iterator[tuple[dict[str, Any], bytes]]:
        while True:
            line = self._stdin.readline()
            self._heard = time.monotonic()
            if not line:
                return
            if not line.strip():
                continue
            request = json.loads(line)
            content = bytearray()
            while len(content) < request.get("size", 0):
                came = self._stdin.read1(request["size"] - len(content))  # type: ignore[attr-defined]
                self._heard = time.monotonic()
                if not came:
                    return
                content += came
            yield request, bytes(content)

    def _say(self, record: Mapping[str, Any]) -> None:
        self._stdout.write(json.dumps(record).encode() + b"\n")
        self._stdout.flush()

    def _answer(self, request: Mapping[str, Any], content: bytes) -> None:
        try:
            self._say(getattr(self, f"_do_{request['ask']}")(request, content))
        except PackageNotFoundError as error:
            self._say({"lacking": error.name})
        except OSError as error:
            self._say({"refused": f"{error.filename or self._folder}: {error.strerror}", "errno": error.errno})

    def _do_open(self, request: Mapping[str, Any], content: bytes) -> dict[str, Any]:
        import fcntl

        self._folder = Path(os.path.expanduser(request["folder"])).absolute()
        self._folder.mkdir(parents=True, exist_ok=True)
        self._lock = (self._folder / "lock").open("ab")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return {"busy": _BUSY}
        return {"folder": str(self._folder)}

    def _do_describe(self, request: Mapping[str, Any], content: bytes) -> dict[str, Any]:
        return {"environment": describe(request["packages"], request["title"])}

    def _do_files(self, request: Mapping[str, Any], content: bytes) -> dict[str, Any]:
        wanted = set(request["names"])
        for path in self._folder.iterdir():
            if OURS.fullmatch(path.name.removesuffix("-part")) and path.name not in wanted:
                _remove(path)
        return {"lacking": [name for name in request["names"] if not (self._folder / name).exists()]}

    def _do_put(self, request: Mapping[str, Any], content: bytes) -> dict[str, Any]:
        path = self._place(request["name"] + "-part", request["part"])
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            file.write(content)
        return {"put": len(content)}

    def _do_keep(self, request: Mapping[str, Any], content: bytes) -> dict[str, Any]:
        place = self._place(request["name"])
        os.replace(self._place(request["name"] + "-part"), place)
        return {"kept": str(place)}

    def _do_work(self, request: Mapping[str, Any], content: bytes) -> dict[str, Any]:
        asked = dict(request["request"])
        asked["files"] = [str(self._place(name)) for name in asked["files"]]
        self._worker = subprocess.Popen(
            [sys.executable, str(self._place(request["worker"], "worker.py"))],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        out, err = self._worker.communicate(json.dumps(asked).encode())
        return {
            "returncode": self._worker.returncode,
            "stdout": out.decode("utf-8", "replace"),
            "stderr": err.decode("utf-8", "replace")[-4000:],
        }

    def _place(self, name: str, part: str = "") -> Path:
        """A file of ours, or a part of a folder of ours."""
        assert OURS.fullmatch(name.removesuffix("-part")) and ".." not in part.split("/") and not part.startswith("/")
        return self._folder / name / part if part else self._folder / name


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def main() -> None:
    """Serve stdin and stdout. What a library prints goes to stderr."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    agent = Agent(sys.stdin.buffer, out)

    def ended(fault: threading.ExceptHookArgs) -> None:
        """A fault in a thread ends all, as one in the main thread does."""
        if fault.exc_value is not None:
            sys.__excepthook__(fault.exc_type, fault.exc_value, fault.exc_traceback)
        agent.end()

    threading.excepthook = ended
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, frame: agent.end())
    try:
        agent.run()
    except BrokenPipeError:
        pass
    finally:
        agent.end()


if __name__ == "__main__":
    main()
