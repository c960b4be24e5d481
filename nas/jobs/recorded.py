"""A command's work as a run that is recorded: what was asked, how it ended, its document."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from nas.jobs.search_run import device_inputs
from nas.latency import DeviceHome
from nas.runs import RunStore


class _HasDocument(Protocol):
    def as_json(self) -> dict[str, Any]: ...


_T = TypeVar("_T", bound=_HasDocument)


def recorded(
    kind: str, command: Sequence[str], home: DeviceHome, work: Callable[[], _T], *, storage: str | None = None
) -> tuple[str, _T]:
    """The run's id and what `work` on a device gives, whose document is the run's result; `command` are the words that
    repeat it. A database that takes no record is an error before the work begins."""
    inputs = {"device": device_inputs(home)}
    with RunStore(url=storage).start(kind, command=shlex.join(command), inputs=inputs) as run:
        found = work()
        run.finish(found.as_json())
    return run.id, found
