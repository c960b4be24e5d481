"""The runner for Android phones: the runtime's own benchmark program there, called through adb.

The programs tell no runs, only a mean of some. So a visit to a file is one call, in a process of its own, of a few runs
after a few that do not count, and what stands for the visit's run is their mean: rounds are interleaved as elsewhere.
Each batch begins cool.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from nas.errors import InputError, NasError
from nas.files import sha256
from nas.latency.device import Device
from nas.latency.home import DeviceHome
from nas.latency.way import Adb
from nas.runners.adb_client import AdbClient
from nas.runners.benchmark_output import PROGRAMS, Program, Told
from nas.runners.protocol import RUNS_A_VISIT, WARM_UP, Abilities, FileFault, TimingJob, TimingSession
from nas.runners.timing import Timing

RUNS = 5
"""Runs of a call that count; the mean over them stands for one."""
_CALL_S = 0.3
"""About what a call takes beside its runs: the client, the program's start, and loading the network."""
_COOL_S, _LOOK_S = 900.0, 10.0
"""How long a phone is given to cool down, and how often it is looked at."""
_THROTTLED = 2
"""Android's thermal status from which on it slows down noticeably (moderate)."""
_NOT_RUN_S = 600.0
_OURS = re.compile(r"[0-9a-f]{64}\.(tflite|onnx)(-part)?")


def find_program(home: DeviceHome) -> Program:
    """The benchmark program of the device's runtime. Raises `InputError` for a runtime that has none here."""
    for program in PROGRAMS:
        if home.device.runtime == program.title or home.device.runtime.startswith(
            (f"{program.title} ", f"{program.title},")
        ):
            return program
    raise InputError(
        f"{home.file}: runtime must be one whose benchmark program is known"
        f" ({', '.join(program.title for program in PROGRAMS)}) for reach: adb, but got {home.device.runtime!r}."
    )


def open_adb(device: Device, program: Program) -> AdbRunner:
    """The runner for a phone. Raises `InputError` where its unit needs a delegate that no option names."""
    assert isinstance(device.way, Adb)
    if device.compute_unit in _UNITS[1:] and not device.way.options:
        raise InputError(
            f"{device.name}: compute_unit {device.compute_unit} must come with the options of {program.name} that"
            ' choose it, such as options: ["--use_gpu=true"], but there are none.'
        )
    return AdbRunner(program, device.way)


_UNITS = ("CPU", "GPU", "NPU")


class AdbRunner:
    """Times networks on a phone (see `nas.runners.protocol.Runner`); what chooses another unit than the CPU is in the
    program's options."""

    abilities = Abilities(
        precisions=("float32", "float16"),
        compute_units=_UNITS,
        max_threads=64,
        runs_a_round=RUNS_A_VISIT * (WARM_UP + RUNS),
        beside_a_round_s=RUNS_A_VISIT * _CALL_S,
    )

    def __init__(self, program: Program, way: Adb) -> None:
        self.program, self.way = program, way
        self._client = AdbClient(way.serial)
        self._entered = 0

    def __enter__(self) -> Self:
        self._entered += 1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._entered -= 1
        if not self._entered and error is None:
            with suppress(NasError):
                self._forget(set())

    @property
    def suffix(self) -> str:
        """ ".tflite" or ".onnx"."""
        return self.program.suffix

    def environment(self) -> Mapping[str, str]:
        """Chip, runtime (the program by its digest, as it tells no version), system, cores and governors.

        Raises `InputError` where the program is not there.
        """
        properties = dict(self._properties())
        maker = properties.get("ro.soc.manufacturer", "")
        chip = f"{maker} {properties.get('ro.soc.model', '')}".strip() or properties.get("ro.board.platform", "")
        model = properties.get("ro.product.model", "a phone")
        found = {
            "chip": chip or properties.get("ro.hardware", "") or model,
            "runtime": f"{self.program.title}, {self.program.name} {self._digest()[:12]}",
            "system": f"Android {properties.get('ro.build.version.release', '?')}, {model}",
            "cores": str(_count(" ".join(self._client.lines(["cat", "/sys/devices/system/cpu/present"])))),
        }
        shown = "cat /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"
        governors = self._client.lines(["sh", "-c", shown])
        if governors:
            found["governor"] = ", ".join(sorted(set(governors)))
        return found

    def time(self, job: TimingJob) -> TimingSession:
        """Do the job, each visit in a process of its own; the session's environment says how warm the phone was, and
        whether its screen was on.

        Raises as `nas.runners.protocol.Runner.time` does, and `NasError` where the phone does not cool down.
        """
        self.abilities.require(
            threads=job.threads, precision=job.precision, compute_unit=job.compute_unit, where=self.program.title
        )
        if job.input_shapes:
            raise InputError(
                f"{self.program.name} must be given files of fixed sizes, but got {dict(job.input_shapes)}."
            )
        environment, began = self.environment(), time.monotonic()
        state = self._state(cool=job.cool)
        cooled_s = time.monotonic() - began if job.cool else 0.0
        with self._files(job) as names:
            found = self._rounds(job, names)
        return TimingSession(environment={**environment, **state}, results=tuple(found), cooled_s=cooled_s)

    def _rounds(self, job: TimingJob, names: Mapping[Path, str]) -> list[Timing | FileFault]:
        """What came of each file of the job; how long it took to load, and its first run, are those of its first
        visit."""
        runs: list[list[Told]] = [[] for _ in job.files]
        faults: dict[int, FileFault] = {
            i: FileFault(path=path, text=f"a network to time must be a file, but {path} is none; export it first.")
            for i, path in enumerate(job.files)
            if path not in names
        }
        for _ in range(job.rounds * RUNS_A_VISIT):
            for i, path in enumerate(job.files):
                if i in faults:
                    continue
                found = self._visit(path, names[path], job)
                if isinstance(found, FileFault):
                    faults[i] = found
                else:
                    runs[i].append(found)
        return [faults.get(i) or _timing(own) for i, own in enumerate(runs)]

    def _visit(self, path: Path, name: str, job: TimingJob) -> Told | FileFault:
        """What one call tells, or why the program did not end well."""
        arguments = self.program.arguments(self._place(name), job.threads, job.warm_up, RUNS)
        said = self._client.shell([self.way.program, *arguments, *self.way.options], timeout_s=_NOT_RUN_S)
        if not said.status:
            return self.program.read(said.text, RUNS)
        lines = [line.strip() for line in said.text.splitlines() if line.strip()] or ["it said nothing"]
        reason = next((line for line in lines if line.startswith("ERROR")), lines[-1])
        return FileFault(
            path=path,
            text=(
                f"{path} must be a whole network that {self.program.name} runs on the phone, but it ended with"
                f" {said.status}: {reason[:300]}; export it again, or leave it out."
            ),
        )

    @contextmanager
    def _files(self, job: TimingJob) -> Iterator[dict[Path, str]]:
        """The job's files on the phone, by name; those that are there are not sent again, others are removed."""
        names = {path: f"{sha256(path)}{path.suffix}" for path in job.files if path.is_file()}
        self._client.shell(["mkdir", "-p", self.way.folder])
        there = self._forget(set(names.values()))
        for path, name in names.items():
            if name not in there:
                self._client.push(path, self._place(f"{name}-part"))
                moved = self._client.shell(["mv", self._place(f"{name}-part"), self._place(name)])
                if moved.status:
                    raise NasError(
                        f"the phone must keep {self._place(name)}, but: {moved.text.strip()}; see its folder."
                    )
                there.add(name)
        yield names
        if not self._entered:
            self._forget(set())

    def _forget(self, wanted: set[str]) -> set[str]:
        """Remove our files on the phone but those `wanted`; which of these are there."""
        there = {name for name in self._client.lines(["ls", self.way.folder]) if _OURS.fullmatch(name)}
        away = sorted(there - wanted)
        if away:
            self._client.shell(["rm", "-f", *map(self._place, away)])
        return there & wanted

    def _state(self, *, cool: bool) -> dict[str, str]:
        """The phone's state, once it is cool, or at once where it need not be."""
        until = time.monotonic() + _COOL_S
        while True:
            battery = dict(self._pairs(["dumpsys", "battery"], ":"))
            celsius = _whole(battery.get("temperature")) / 10.0
            status = _whole(dict(self._pairs(["dumpsys", "thermalservice"], ":")).get("Thermal Status"))
            if not cool or (celsius <= self.way.cool_celsius and status < _THROTTLED):
                break
            if time.monotonic() > until:
                raise NasError(
                    f"the phone must cool down to {self.way.cool_celsius:g} °C before a batch, but is at {celsius:g} °C"
                    f" (thermal status {status}) after {_COOL_S / 60:.0f} minutes; put it in the"
                    " cool, or raise cool_celsius."
                )
            time.sleep(_LOOK_S)
        awake = [value for key, value in self._pairs(["dumpsys", "power"], "=") if key == "mWakefulness"]
        powered = any(battery.get(f"{source} powered") == "true" for source in ("AC", "USB", "Wireless"))
        return {
            "battery": f"{battery.get('level', '?')} %, {celsius:g} °C, {'charging' if powered else 'not charging'}",
            "thermal": f"status {status}",
            "screen": "on" if awake == ["Awake"] else "off" if awake else "unknown",
        }

    def _pairs(self, words: list[str], sign: str) -> Iterator[tuple[str, str]]:
        for line in self._client.lines(words):
            key, found, value = line.partition(sign)
            if found:
                yield key.strip(), value.strip()

    def _properties(self) -> Iterator[tuple[str, str]]:
        for line in self._client.lines(["getprop"]):
            found = re.fullmatch(r"\[(.+?)\]: \[(.*)\]", line)
            if found:
                yield found[1], found[2]

    def _digest(self) -> str:
        """The checksum of the program. Raises `InputError` where there is none that can be run."""
        program = self.way.program
        said = self._client.shell(["sha256sum", program])
        runs = self._client.shell(["test", "-x", program])
        digest = said.text.split()[0] if not said.status and said.text.split() else ""
        if not re.fullmatch(r"[0-9a-f]{64}", digest) or runs.status:
            reason = said.text.strip() if said.status else "it cannot be run"
            raise InputError(
                f"program must be {self.program.title}'s {self.program.name} on the phone, but: {reason}; put it there"
                f" (`adb push {self.program.name} {program}`), and let it run (`adb shell chmod +x {program}`)."
            )
        return digest

    def _place(self, name: str) -> str:
        return f"{self.way.folder.rstrip('/')}/{name}"


def _timing(visits: Sequence[Told]) -> Timing:
    first = visits[0]
    return Timing(
        wall_ms=tuple(visit.mean_ms for visit in visits), load_ms=first.load_ms, first_ms=first.first_ms
    )  # fmt: skip


def _whole(text: str | None) -> int:
    """A number that a phone tells; 0 from one that does not."""
    return int(text) if text is not None and text.isdecimal() else 0


def _count(listed: str) -> int:
    """How many cores a list such as "0-3,6" has; 1 for none."""
    ranges = [part.partition("-") for part in listed.split(",") if part.strip()]
    return sum(int(last or first) - int(first) + 1 for first, _, last in ranges) or 1
