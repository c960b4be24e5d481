"""The runner for machines that are reached by ssh: files go there once, an agent runs the same worker as here."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from nas.errors import InputError, NasError
from nas.files import sha256
from nas.latency.way import Ssh
from nas.runners.agent import WORKER as WORKER_SUFFIX
from nas.runners.engines import Engine
from nas.runners.local import WORKER
from nas.runners.protocol import Abilities, TimingJob, TimingSession
from nas.runners.ssh_link import SshLink
from nas.runners.work import Finished, do_job

_CHUNK = 256 * 1024
"""Bytes that are under way at a time: on a slow link, too, signs of life get through."""


class SshRunner:
    """Times networks on another machine (see `nas.runners.protocol.Runner`).

    Entered, it keeps one connection; otherwise each call has its own. Networks lie there, by their digest, until the
    next job needs others, and go when the connection is closed; after one that broke, those that are there are not
    sent again.
    """

    def __init__(self, engine: Engine, way: Ssh) -> None:
        self.engine, self.way = engine, way
        self._entered = 0
        self._link: SshLink | None = None

    def __enter__(self) -> Self:
        self._entered += 1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._entered -= 1
        if not self._entered and self._link is not None:
            link, self._link = self._link, None
            _leave(link, tidy=error is None)

    @property
    def suffix(self) -> str:
        """ ".onnx", ".tflite" or ".mlpackage"."""
        return self.engine.suffix

    @property
    def abilities(self) -> Abilities:
        """Those of the runtime."""
        return self.engine.abilities

    def environment(self) -> Mapping[str, str]:
        """Chip, runtime, system, cores and governor of the machine there.

        Raises `InputError` where the runtime is not installed there, or too old for the files that are written here.
        """
        with self._agent() as link:
            return self._environment(link)

    def time(self, job: TimingJob) -> TimingSession:
        """Do the job in one fresh process there (see `nas.runners.protocol.Runner.time`)."""
        self.abilities.require(
            threads=job.threads, precision=job.precision, compute_unit=job.compute_unit, where=self.engine.title
        )
        with self._agent() as link:
            environment = self._environment(link)
            names = {path: f"{_digest(path)}{path.suffix}" for path in job.files if path.exists()}
            worker = _send(link, names)

            def work(request: Mapping[str, Any], files: Sequence[Path]) -> Finished:
                asked = {**request, "files": [names[path] for path in files]}
                return Finished(**link.ask({"ask": "work", "worker": worker, "request": asked}))

            return do_job(job, self.engine, environment, work)

    @contextmanager
    def _agent(self) -> Iterator[SshLink]:
        """An agent; after a fault of any kind it is ended, and the next call begins another."""
        link, self._link = self._link or SshLink(self.way), None
        try:
            yield link
        except BaseException:
            link.close()
            raise
        if self._entered:
            self._link = link
        else:
            _leave(link, tidy=True)

    def _environment(self, link: SshLink) -> dict[str, str]:
        engine, way = self.engine, self.way
        found = link.ask({"ask": "describe", "packages": list(engine.packages), "title": engine.title})
        if "lacking" in found:
            raise InputError(
                f"{engine.title} must be installed on {way.host} to be timed there, but its {way.python} has no"
                f" {engine.packages[0]}; install it there (`{way.python} -m pip install {engine.packages[0]}`), or name"
                " the Python that has it: python in device.yaml."
            )
        environment: dict[str, str] = found["environment"]
        if engine.is_too_old(environment["runtime"]):
            raise InputError(
                f"{engine.title} on {way.host} must be {'.'.join(map(str, engine.least))} or newer, to read the files"
                f" that are written here, but is {environment['runtime']}; install a newer one there."
            )
        return environment


def _send(link: SshLink, names: Mapping[Path, str]) -> str:
    """Send the files that lack there, under their names, and the worker, whose name it returns."""
    worker = f"{sha256(WORKER)}{WORKER_SUFFIX}"
    lacking = set(link.ask({"ask": "files", "names": [worker, *dict.fromkeys(names.values())]})["lacking"])
    waiting = {worker: WORKER, **{name: path for path, name in names.items()}}
    for name, path in waiting.items():
        if name not in lacking:
            continue
        parts = {"worker.py": path} if name == worker else _parts(path)
        for part, file in parts.items():
            _put(link, name, part, file)
        link.ask({"ask": "keep", "name": name})
    return worker


def _put(link: SshLink, name: str, part: str, file: Path) -> None:
    with file.open("rb") as stream:
        content = stream.read(_CHUNK)
        while True:
            link.ask({"ask": "put", "name": name, "part": part}, content)
            content = stream.read(_CHUNK)
            if not content:
                return


def _parts(path: Path) -> dict[str, Path]:
    """The files of a folder (a `*.mlpackage`) by their places in it; a file is itself its only part."""
    if not path.is_dir():
        return {"": path}
    files = sorted(file for file in path.rglob("*") if file.is_file())
    return {file.relative_to(path).as_posix(): file for file in files}


def _digest(path: Path) -> str:
    if not path.is_dir():
        return sha256(path)
    said = "".join(f"{sha256(file)}  {part}\n" for part, file in _parts(path).items())
    return hashlib.sha256(said.encode()).hexdigest()


def _leave(link: SshLink, *, tidy: bool) -> None:
    """Close the connection; `tidy`: the networks there go, where it still stands."""
    if tidy:
        with suppress(NasError):  # then they go when the next connection begins
            link.ask({"ask": "files", "names": [f"{sha256(WORKER)}{WORKER_SUFFIX}"]})
    link.close()
