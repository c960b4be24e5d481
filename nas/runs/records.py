"""What is known of a run, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

Status = Literal["running", "done", "failed", "interrupted"]
"""*interrupted*: stopped from outside (Ctrl-C, kill) before it ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Artefact:
    """A file or folder that a run wrote."""

    kind: str
    path: Path

    def as_json(self) -> dict[str, str]:
        """{"kind": ..., "path": ...}."""
        return {"kind": self.kind, "path": str(self.path)}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """One run: what was asked, where, with what (versions of software, digests of inputs), and how it ended.

    `command` repeats it; `seconds` is None until it ended, `error` the text of a failure.
    """

    id: str
    kind: str
    created: datetime
    host: str
    command: str
    seed: int | None
    versions: Mapping[str, str]
    inputs: Mapping[str, Any]
    status: Status
    seconds: float | None
    error: str | None
    artefacts: tuple[Artefact, ...]

    def as_json(self) -> dict[str, Any]:
        """The summary as one JSON document."""
        return {
            "run": self.id,
            "kind": self.kind,
            "created": self.created.isoformat(),
            "host": self.host,
            "command": self.command,
            "seed": self.seed,
            "status": self.status,
            "seconds": self.seconds,
            "error": self.error,
            "versions": dict(self.versions),
            "inputs": dict(self.inputs),
            "artefacts": [artefact.as_json() for artefact in self.artefacts],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord(RunSummary):
    """A run with its `result`, the JSON document that the command answered with."""

    result: Mapping[str, Any] | None

    def as_json(self) -> dict[str, Any]:
        """The record as one JSON document."""
        # Not super(): a class with slots is made anew, and is not the one that super() would look at.
        return {**RunSummary.as_json(self), "result": self.result}
