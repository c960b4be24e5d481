"""A run under way: a context that shows that it lives, and records how it ends."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from nas.errors import NasError

BEAT_SECONDS = 15.0
"""How often a run under way says that it lives."""

_LAST_BEAT_SECONDS = 1.0


class _Store(Protocol):
    """What a handle needs of `nas.runs.store.RunStore`."""

    folder: Path
    beat_seconds: float

    def beat(self, run_id: str) -> None: ...

    def add_artefact(self, run_id: str, kind: str, path: Path) -> None: ...

    def finish(self, run_id: str, result: Mapping[str, Any] | None = None) -> None: ...

    def fail(self, run_id: str, error: str) -> None: ...

    def interrupt(self, run_id: str) -> None: ...


class RunHandle:
    """A run under way. Leaving the context records how it ended: done, failed (with the error's text), interrupted.

    Inside the context a thread of its own renews the run's heartbeat. `finish` and `add_artefact` raise `NasError`
    where that cannot be written: a caller catches it to hand out the result all the same.
    """

    def __init__(self, store: _Store, run_id: str) -> None:
        self.id = run_id
        self._store = store
        self._ended = False
        self._left = threading.Event()
        self._beating = threading.Thread(target=self._beat, name=f"heartbeat of {run_id}", daemon=True)

    @property
    def folder(self) -> Path:
        """The folder for what this run writes, in the workspace's `runs/`; not made here."""
        return self._store.folder / self.id

    def add_artefact(self, kind: str, path: Path) -> None:
        """Record a file or folder that the run wrote."""
        self._store.add_artefact(self.id, kind, path)

    def finish(self, result: Mapping[str, Any]) -> None:
        """Record the result, a JSON document, and that the run is done."""
        self._ended = True
        self._store.finish(self.id, result)

    def __enter__(self) -> RunHandle:
        self._beating.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._left.set()
        # A beat under way may wait for the database; nothing is lost by not waiting for it.
        self._beating.join(_LAST_BEAT_SECONDS)
        if kind is None:
            if not self._ended:
                self._store.finish(self.id)
            return
        # What went wrong first is what the user must hear, even if it cannot be recorded.
        with contextlib.suppress(NasError):
            if issubclass(kind, Exception):
                self._store.fail(self.id, str(error) or kind.__name__)
            else:
                self._store.interrupt(self.id)

    def _beat(self) -> None:
        while not self._left.wait(self._store.beat_seconds):
            # A database that is away for a while costs a beat, not the run.
            with contextlib.suppress(NasError):
                self._store.beat(self.id)
