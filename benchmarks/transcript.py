"""Writes what commands print into pages: `python -m benchmarks.transcript README.md docs/your-data.md`.

A page marks a place with `<!-- transcript: nas … -->` and `<!-- /transcript -->`. The command is run in an empty
workspace, its stdout a terminal of 80 columns without colour; what it prints replaces what stands between the two.

A page that has `<!-- workspace: MODULE -->` gets one workspace for all its commands, which a module of benchmarks or
tests fills first (`python -m MODULE FOLDER`), and in which they run one after the other. RUN in a command is the last
run there. Two more marks show stderr as well: `<!-- refused: nas … -->` for a command that must end with 1 or 2, and
`<!-- interrupted: nas … -->` for a training that gets Ctrl-C after six epochs.
"""

from __future__ import annotations

import contextlib
import os
import pty
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

_MARKED = re.compile(r"(<!-- (transcript|refused|interrupted): (nas .+?) -->\n).*?(<!-- /\2 -->)", re.DOTALL)
_SHARED = re.compile(r"<!-- workspace: ((?:benchmarks|tests)\.[\w.]+) -->")
_CODES = {"transcript": (0,), "refused": (1, 2), "interrupted": (130,)}


def commands(page: str) -> list[str]:
    """The commands that `page` marks, in order."""
    return [marks[3] for marks in _MARKED.finditer(page)]


def refreshed(page: str) -> str:
    """`page` with the output of each marked command between its marks."""
    shared = _SHARED.search(page)
    with tempfile.TemporaryDirectory() as folder:
        if shared is not None:
            subprocess.run([sys.executable, "-m", shared[1], folder], check=True)
        return _MARKED.sub(lambda marks: _block(marks, Path(folder) if shared is not None else None), page)


def _block(marks: re.Match[str], shared: Path | None) -> str:
    kind, command = marks[2], marks[3]
    with contextlib.nullcontext(str(shared)) if shared is not None else tempfile.TemporaryDirectory() as workspace:
        called = command.replace("RUN", _last_run(shared)) if shared is not None else command
        printed = _output(called, kind, Path(workspace), inside=shared is not None)
    return f"{marks[1]}```text\n$ {called}\n{printed}```\n{marks[4]}"


def _output(command: str, kind: str, workspace: Path, *, inside: bool) -> str:
    """What `command` prints; `inside` says whether it runs in the workspace, whose files it names."""
    arguments = [sys.executable, "-P", "-m", "nas", *shlex.split(command)[1:]]
    environment = {**os.environ, "NAS_WORKSPACE": str(workspace), "COLUMNS": "80", "NO_COLOR": "1"}
    ours, theirs = pty.openpty()
    with tempfile.TemporaryFile("w+") as told:
        with subprocess.Popen(
            arguments, env=environment, stdout=theirs, stderr=told, cwd=workspace if inside else None
        ) as process:
            os.close(theirs)
            if kind == "interrupted":
                threading.Thread(target=_interrupt, args=(process, workspace), daemon=True).start()
            printed = _all(ours).decode().replace("\r\n", "\n")
        told.seek(0)
        errors = told.read()
    if process.returncode not in _CODES[kind]:
        raise subprocess.CalledProcessError(process.returncode, command, printed, errors)
    if kind != "transcript":
        printed = _said(_without(workspace, errors), interrupted=kind == "interrupted")
    return _without(workspace, printed)


def _interrupt(process: subprocess.Popen[bytes], workspace: Path) -> None:
    """Ctrl-C after six epochs: at the seventh checkpoint of a new run, since the first is of no step."""
    before = set(_checkpoints(workspace))
    seen: set[int] = set()
    while process.poll() is None and len(seen) < 7:
        for path in set(_checkpoints(workspace)) - before:
            with contextlib.suppress(FileNotFoundError):
                seen.add(path.stat().st_mtime_ns)
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)


def _checkpoints(workspace: Path) -> Iterator[Path]:
    return (workspace / "runs").glob("2*/checkpoint.safetensors")


def _without(workspace: Path, text: str) -> str:
    """`text` with the paths in the workspace as they are seen from it."""
    for place in (os.path.realpath(workspace), str(workspace)):
        text = text.replace(f"{place}/", "")
    return text


def _said(errors: str, *, interrupted: bool) -> str:
    """The error, on a page's lines; of what was interrupted the last word of progress before it, and where it was."""
    *progress, last = filter(None, errors.splitlines())
    before = [*progress[-1:], "^C"] if interrupted else []
    return "\n".join([*before, *textwrap.wrap(last, 80, break_long_words=False, break_on_hyphens=False)]) + "\n"


def _last_run(workspace: Path) -> str:
    return max((path.name for path in (workspace / "runs").glob("2*")), default="")


def _all(terminal: int) -> bytes:
    """What is written to a terminal until its last writer has closed it."""
    found = b""
    with contextlib.suppress(OSError), os.fdopen(terminal, "rb", buffering=0) as stream:  # EIO is Linux's end
        while part := stream.read(65536):
            found += part
    return found


if __name__ == "__main__":
    for name in sys.argv[1:]:
        path = Path(name)
        path.write_text(refreshed(path.read_text(encoding="utf-8")), encoding="utf-8")
