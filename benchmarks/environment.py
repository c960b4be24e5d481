"""Where and with what a report was made."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from nas.runs import installed_versions


def environment_text(command: str) -> str:
    """One paragraph: date, commit, machine, versions, and the command that makes the report again."""
    versions = installed_versions()
    listed = ", ".join(f"{name} {version}" for name, version in versions.items() if name not in ("platform", "nas"))
    return (
        f"Made by `{command}` on {datetime.now(UTC):%Y-%m-%d}, commit {_commit()}, {_processor()}"
        f" ({os.cpu_count()} cores), {listed}."
    )


def write_parts(report: Path, text: str, parts: Mapping[str, Callable[[Path], str]], command: str) -> None:
    """Run the parts that the command line names behind FOLDER (all without), keep the lines of each in FOLDER, and
    write `report`: `text` with those of all that were ever run there, by name, and the `environment`."""
    folder = Path(sys.argv[1]).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[2:] or parts:
        (folder / f"{name}.md").write_text(parts[name](folder), encoding="utf-8")
    kept = {name: folder / f"{name}.md" for name in parts}
    texts = {name: path.read_text("utf-8") if path.exists() else "(not run)" for name, path in kept.items()}
    report.write_text(text.format(environment=environment_text(command), **texts), encoding="utf-8")


def _commit() -> str:
    found = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return found.stdout.strip() or "unknown"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
