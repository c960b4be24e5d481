"""A phone of the tests' own: what a real adb client meets over TCP, with a folder of this machine as its disk.

It speaks adb's protocol as the platform's `protocol.txt` and `SYNC.TXT` have it: CNXN, AUTH, OPEN, OKAY, WRTE, CLSE;
the first version of the shell service; `sync:` for pushing. Commands run in this machine's shell, before whose own
programs come `getprop`, `dumpsys` and a benchmark program of the phone, which times networks with LiteRT's interpreter
and prints what `benchmark_model` of LiteRT prints.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from nas.latency.way import Adb
from tests.extras import missing
from tests.runners.sshd import free_port

_CNXN, _AUTH, _OPEN, _OKAY, _WRTE, _CLSE = (int.from_bytes(name, "little") for name in (
    b"CNXN", b"AUTH", b"OPEN", b"OKAY", b"WRTE", b"CLSE",
))  # fmt: skip
_VERSION, _MOST = 0x01000000, 4096
_TOKEN, _PUBLIC_KEY = 1, 3

BENCHMARK = """\
import sys, time
import numpy as np
from ai_edge_litert.interpreter import Interpreter

flags = dict(word[2:].split("=", 1) for word in sys.argv[1:])
print("INFO: STARTING!")
print("INFO: Log parameter values verbosely: [0]")
print(f"INFO: Graph: [{flags['graph']}]")
start = time.perf_counter()
try:
    model = Interpreter(model_path=flags["graph"], num_threads=int(flags.get("num_threads", 1)))
    model.allocate_tensors()
except (ValueError, RuntimeError) as error:
    print(f"ERROR: Failed to load model {flags['graph']}")
    print("ERROR: Benchmarking failed.")
    sys.exit(1)
init = (time.perf_counter() - start) * 1e6
for value in model.get_input_details():
    model.set_tensor(value["index"], np.ones(value["shape"], value["dtype"]))
print(f"INFO: Loaded model {flags['graph']}")
print("INFO: Created TensorFlow Lite XNNPACK delegate for CPU.")
print("INFO: The input model file size (MB): 0.1")
print(f"INFO: Initialized session in {init / 1e3:.6g}ms.")


def phase(runs, secs):
    print(f"INFO: Running benchmark for at least {runs} iterations and at least {secs} seconds but terminate if exceeding 150 seconds.")
    found = []
    for _ in range(runs):
        start = time.perf_counter()
        model.invoke()
        found.append(max(1, round((time.perf_counter() - start) * 1e6)))
    if len(set(found)) == 1:
        text = f"count={runs} curr={found[-1]}"
    else:
        text = f"count={runs} first={found[0]} curr={found[-1]} min={min(found)} max={max(found)} avg={np.mean(found):.6g} std={np.std(found):.0f}"
    order = sorted(found)
    print(f"INFO: {text} p5={order[0]} median={order[len(order) // 2]} p95={order[-1]}")
    print()
    return found


warm = phase(int(flags["warmup_runs"]), flags["warmup_min_secs"])
timed = phase(int(flags["num_runs"]), flags["min_secs"])
print(f"INFO: Inference timings in us: Init: {init:.0f}, First inference: {warm[0]}, Warmup (avg): {np.mean(warm):.6g}, Inference (avg): {np.mean(timed):.6g}")
print("INFO: Note: as the benchmark tool itself affects memory footprint, the following is only APPROXIMATE to the actual memory footprint of the model at runtime. Take the information at your discretion.")
print("INFO: Memory footprint delta from the start of the tool (MB): init=55.4961 overall=55.4961")
"""  # noqa: E501
_PROPERTIES = """\
[ro.build.version.release]: [13]
[ro.product.model]: [Bench 1]
[ro.soc.manufacturer]: [Numbers]
[ro.soc.model]: [N100]
"""
_BATTERY = """\
Current Battery Service state:
  AC powered: false
  USB powered: true
  level: 87
  temperature: {tenths}
"""


@dataclass(kw_only=True)
class Phone:
    """A phone that listens on `port`; `folder` is its disk."""

    folder: Path
    port: int
    allowed: bool = True
    commands: list[str] = field(default_factory=list)
    pushed: list[str] = field(default_factory=list)
    before_command: str = ""
    """The phone is unplugged as a command begins that has this in it."""
    _server: socket.socket | None = None
    _links: list[socket.socket] = field(default_factory=list)

    @property
    def serial(self) -> str:
        """What adb calls it."""
        return f"127.0.0.1:{self.port}"

    @property
    def program(self) -> Path:
        """The benchmark program on it."""
        return self.folder / "benchmark_model"

    def way(self, **changes: object) -> Adb:
        """The way there."""
        own = {"serial": self.serial, "program": str(self.program), "folder": str(self.folder / "nas")}
        return Adb(**{**own, **changes})  # type: ignore[arg-type]

    def prepare(self) -> None:
        """Put programs on it."""
        (self.folder / "bin").mkdir(parents=True)
        self.write_program(self.program, f"#!{sys.executable}\n{BENCHMARK}")
        (self.folder / "properties").write_text(_PROPERTIES)
        self.warm(310)
        self.write_program(self.folder / "bin" / "getprop", f"#!/bin/sh\ncat '{self.folder}/properties'\n")
        dumped = f"#!/bin/sh\ncat '{self.folder}/'$1\n"
        self.write_program(self.folder / "bin" / "dumpsys", dumped)
        (self.folder / "thermalservice").write_text("IsStatusOverride: false\nThermal Status: 0\n")
        (self.folder / "power").write_text("  mWakefulness=Awake\n")

    def write_program(self, place: Path, text: str) -> None:
        """A program on the phone."""
        place.write_text(text)
        place.chmod(0o755)

    def warm(self, tenths: int) -> None:
        """Make the battery so warm, in tenths of °C."""
        (self.folder / "battery").write_text(_BATTERY.format(tenths=tenths))

    def plug(self) -> None:
        """Listen."""
        assert self._server is None
        self._server = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, args=(self._server,), daemon=True).start()

    def unplug(self) -> None:
        """Be gone."""
        if self._server is not None:
            with contextlib.suppress(OSError):
                self._server.shutdown(socket.SHUT_RDWR)
            self._server.close()
            self._server = None
        for link in self._links:
            with contextlib.suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)
            link.close()
        self._links.clear()

    def _accept(self, server: socket.socket) -> None:
        while True:
            try:
                link, _ = server.accept()
            except OSError:
                return
            self._links.append(link)
            threading.Thread(target=_Host(self, link).serve, daemon=True).start()


class _Host:
    """One connection of an adb server."""

    def __init__(self, phone: Phone, link: socket.socket) -> None:
        self._phone, self._link = phone, link
        self._lock = threading.Lock()
        self._streams: dict[int, _Stream] = {}

    def serve(self) -> None:
        """Answer until the connection ends."""
        with contextlib.suppress(OSError, EOFError):
            while True:
                command, first, second, size, _, _ = struct.unpack("<6I", self._read(24))
                self._message(command, first, second, self._read(size))

    def _read(self, size: int) -> bytes:
        content = b""
        while len(content) < size:
            came = self._link.recv(size - len(content))
            if not came:
                raise EOFError
            content += came
        return content

    def send(self, command: int, first: int, second: int, content: bytes = b"") -> None:
        head = struct.pack("<6I", command, first, second, len(content), sum(content) & 0xFFFFFFFF, command ^ 0xFFFFFFFF)
        with self._lock:
            self._link.sendall(head + content)

    def _message(self, command: int, first: int, second: int, content: bytes) -> None:
        if command in (_CNXN, _AUTH):
            if self._phone.allowed:
                self.send(_CNXN, _VERSION, _MOST, b"device::ro.product.name=bench;ro.product.model=Bench;\0")
            elif first != _PUBLIC_KEY:  # ask for a signature, and take none
                self.send(_AUTH, _TOKEN, 0, bytes(20))
        elif command == _OPEN:
            stream = self._streams[first] = _Stream(self, first)
            self.send(_OKAY, stream.own, first)
            service = content.rstrip(b"\0").decode()
            run = stream.shell if service.startswith("shell:") else stream.sync
            threading.Thread(target=run, args=(self._phone, service), daemon=True).start()
        elif command == _OKAY and first in self._streams:
            self._streams[first].ready.release()
        elif command == _WRTE and first in self._streams:
            self._streams[first].take(content)
            self.send(_OKAY, self._streams[first].own, first)
        elif command == _CLSE and first in self._streams:
            self._streams.pop(first).take(b"")


class _Stream:
    """One service that a host has opened."""

    def __init__(self, host: _Host, theirs: int) -> None:
        self._host, self._theirs, self.own = host, theirs, theirs
        self.ready = threading.Semaphore(0)
        self._came, self._changed, self._ended = b"", threading.Condition(), False

    def take(self, content: bytes) -> None:
        with self._changed:
            self._came += content
            self._ended |= not content
            self._changed.notify()

    def write(self, content: bytes) -> None:
        for start in range(0, len(content), _MOST):
            self._host.send(_WRTE, self.own, self._theirs, content[start : start + _MOST])
            self.ready.acquire(timeout=60.0)

    def _read(self, size: int) -> bytes:
        with self._changed:
            self._changed.wait_for(lambda: len(self._came) >= size or self._ended, timeout=60.0)
            content, self._came = self._came[:size], self._came[size:]
        if len(content) < size:
            raise EOFError
        return content

    def shell(self, phone: Phone, service: str) -> None:
        """Run a command, and send what it prints."""
        command = service.removeprefix("shell:")
        phone.commands.append(command)
        if phone.before_command and phone.before_command in command:
            phone.before_command = ""
            phone.unplug()
            return
        path = f"{phone.folder}/bin:{os.environ['PATH']}"
        done = subprocess.run(
            ["/bin/sh", "-c", command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            env={**os.environ, "PATH": path}, check=False,
        )  # fmt: skip
        with contextlib.suppress(OSError):
            self.write(done.stdout.replace(b"\n", b"\r\n"))  # as through the terminal of older phones
            self._host.send(_CLSE, self.own, self._theirs)

    def sync(self, phone: Phone, service: str) -> None:
        """Take files."""
        with contextlib.suppress(OSError, EOFError):
            while True:
                name, size = struct.unpack("<4sI", self._read(8))
                if name == b"QUIT":
                    self._host.send(_CLSE, self.own, self._theirs)
                    return
                if name == b"STAT":
                    place = Path(self._read(size).decode())
                    mode = place.stat().st_mode if place.exists() else 0
                    self.write(struct.pack("<4s3I", b"STAT", mode, 0, 0))
                elif name == b"SEND":
                    self._receive(phone, Path(self._read(size).decode().rpartition(",")[0]))
                else:
                    self.write(struct.pack("<4sI", b"FAIL", 0))

    def _receive(self, phone: Phone, place: Path) -> None:
        content = b""
        while True:
            name, size = struct.unpack("<4sI", self._read(8))
            if name == b"DONE":
                break
            content += self._read(size)
        if (phone.folder / "full").exists():
            text = b"No space left on device"
            self.write(struct.pack("<4sI", b"FAIL", len(text)) + text)
            return
        place.write_bytes(content)
        phone.pushed.append(place.name)
        self.write(struct.pack("<4sI", b"OKAY", 0))


@contextlib.contextmanager
def adb_server(folder: Path) -> Iterator[None]:
    """An adb server of the tests' own, which knows no other phones than theirs."""
    missing("adb", shutil.which("adb") is None, "apt install adb")
    folder.mkdir(parents=True, exist_ok=True)
    own = {
        "ANDROID_ADB_SERVER_PORT": str(free_port()),
        "ADB_LOCAL_TRANSPORT_MAX_PORT": "5555",
        "HOME": str(folder),
        "ANDROID_USER_HOME": str(folder / ".android"),
        "TMPDIR": str(folder),
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in own.items():
            patch.setenv(name, value)
        patch.delenv("ANDROID_SERIAL", raising=False)
        try:
            yield
        finally:
            subprocess.run(["adb", "kill-server"], capture_output=True, check=False, timeout=30.0)


@contextlib.contextmanager
def plugged(folder: Path, *, allowed: bool = True) -> Iterator[Phone]:
    """A phone that adb is connected to."""
    phone = Phone(folder=folder, port=free_port(), allowed=allowed)
    phone.prepare()
    phone.plug()
    try:
        subprocess.run(["adb", "connect", phone.serial], capture_output=True, check=False, timeout=30.0)
        yield phone
    finally:
        subprocess.run(["adb", "disconnect", phone.serial], capture_output=True, check=False, timeout=30.0)
        phone.unplug()
