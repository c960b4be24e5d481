"""Writes what commands print into a page: `python -m benchmarks.transcript README.md`.

A page marks the place with `<!-- transcript: nas … -->` and `<!-- /transcript -->`. The command is run in an empty
workspace, its stdout a terminal of 80 columns without colour; what it prints replaces what stands between the two.
"""

from __future__ import annotations

import contextlib
import os
import pty
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

_MARKED = re.compile(r"(<!-- transcript: (nas .+?) -->\n).*?(<!-- /transcript -->)", re.DOTALL)


def refreshed(page: str) -> str:
    """`page` with the output of each marked command between its marks."""
    return _MARKED.sub(lambda marks: f"{marks[1]}```text\n$ {marks[2]}\n{_output(marks[2])}```\n{marks[3]}", page)


def _output(command: str) -> str:
    with tempfile.TemporaryDirectory() as workspace:
        arguments = [sys.executable, "-P", "-m", "nas", *shlex.split(command)[1:]]
        environment = {**os.environ, "NAS_WORKSPACE": workspace, "COLUMNS": "80", "NO_COLOR": "1"}
        ours, theirs = pty.openpty()
        with subprocess.Popen(arguments, env=environment, stdout=theirs) as process:
            os.close(theirs)
            printed = _all(ours)
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, command)
        return printed.decode().replace("\r\n", "\n").replace(f"{os.path.realpath(workspace)}/", "")


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
