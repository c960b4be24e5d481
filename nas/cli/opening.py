"""Showing a file in the browser without waiting for one that does not come."""

from __future__ import annotations

import os
import platform
import shlex
import sys
import threading
import webbrowser
from pathlib import Path

from nas.cli.terminal import tell

_PATIENCE_S = 10.0


def opened(path: Path) -> None:
    """Show `path` in the browser; where there is none at hand, say how to see it. Never waits for long."""
    full = path.resolve()
    if os.environ.get("SSH_CONNECTION") or os.environ.get("SSH_TTY"):
        source = shlex.quote(f"{platform.node()}:{full}")
        tell("note", f"this is a session over SSH; fetch the page and open it there: scp {source} .")
        return
    if not _has_screen():
        tell("note", f"there is no screen here; open {full} in a browser.")
        return
    # Some browsers return when they are closed.
    browser = threading.Thread(target=webbrowser.open, args=(full.as_uri(),), daemon=True)
    browser.start()
    browser.join(_PATIENCE_S)


def _has_screen() -> bool:
    if sys.platform in ("darwin", "win32"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
