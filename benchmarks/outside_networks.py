"""Networks of public model libraries, predicted from their ONNX files, then measured: writes outside_networks.md.

    python -m benchmarks.outside_networks export FOLDER
    python -m benchmarks.outside_networks measure FOLDER [--device local|local-litert] [--limit N]

What the libraries' own code exported (`benchmarks/outside_exports.py` says what that needs) is predicted with
`nas lut predict`'s function, which reads the .onnx; that is stored before anything is timed. On local the .onnx is
timed, on local-litert the .tflite of the same network. Times are stored under runs/outside as they come; a second start
goes on, and starts afresh for a device whose table has changed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from benchmarks.environment import environment_text
from benchmarks.outside_exports import Exported, catalogue, export, exports
from nas.errors import NasError
from nas.files import write_bytes
from nas.latency import DeviceHome, Estimate, device_home, load_latency
from nas.latency.model import COEFFICIENTS_FILE, TABLE_FILE
from nas.measure.check import MOST_PROCESSES, ROUNDS, TOGETHER, time_repeatedly, usual_reference_ms
from nas.measure.plan import REFERENCE_NETWORK
from nas.measure.stopwatch import Stopwatch, open_stopwatch
from nas.resources import runs_folder

DEVICES = ("local", "local-litert")
REPORT = Path(__file__).with_name("outside_networks.md")
_INTRODUCTION = f"""\
# Networks of public model libraries

{{environment}}

Networks of {{releases}}, with random weights, exported to ONNX by torch.onnx (by its legacy exporter; a quarter by its
newer one, dynamo) from the libraries' own code. Each was predicted from its .onnx by the table that `nas lut build`
makes, which knows none of these files; then it was timed in 3 to {MOST_PROCESSES} fresh processes of {ROUNDS}
interleaved rounds, up to {TOGETHER} networks and, before and behind them, the reference network in each. The measured
time is the mean over the processes of the mean of the fastest three quarters of the runs by the thread's clock, in one
thread, each process brought to the usual speed of the machine when the table was built by its reference network's time,
as in `nas lut verify`; what the clock said is beside it. On local ONNX Runtime ran the .onnx itself; on local-litert
LiteRT ran the .tflite that litert-torch made of the same network. The error is predicted over measured, less 1; the
interval is the predicted one of 90 %. *MACs alone*: fixed + slope · MACs, fitted by least squares of relative errors to
the other networks of the same table, each network left out in its turn.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A network on one device: what was predicted, its time in ms at the table's speed and by the clock, or why it
    cannot run.

    Nothing predicted where the file could not be read: `refusal` says why.
    """

    network: Exported
    predicted: Estimate | None
    measured_ms: float | None = None
    clock_ms: float | None = None
    refusal: str = ""

    @property
    def is_whole(self) -> bool:
        """Whether it has been predicted and timed."""
        return self.predicted is not None and self.measured_ms is not None

    @property
    def error(self) -> float:
        """Predicted over measured, less 1."""
        assert self.predicted is not None and self.measured_ms is not None
        return self.predicted.mean_ms / self.measured_ms - 1.0

    @property
    def inside(self) -> bool:
        """Whether the measured time lies in the predicted interval."""
        assert self.predicted is not None and self.measured_ms is not None
        return self.predicted.low_ms <= self.measured_ms <= self.predicted.high_ms


class Results:
    """What is known of one device, a file a network, under runs/outside."""

    def __init__(self, home: DeviceHome) -> None:
        self.home, self._table = home, _table_digest(home)
        self._folder = runs_folder() / "outside" / home.name
        stamp = self._folder / "table.txt"
        if stamp.exists() and stamp.read_text("utf-8") != self._table:
            shutil.rmtree(self._folder)
        write_bytes(stamp, self._table.encode())

    def get(self, name: str) -> Result | None:
        """The result of the network called `name`, if any."""
        path = self._folder / f"{name}.json"
        if not path.exists():
            return None
        record = json.loads(path.read_text("utf-8"))
        predicted = record["predicted"]
        return Result(
            network=Exported(**record["network"]),
            predicted=None if predicted is None else Estimate(**predicted | {"warnings": tuple(predicted["warnings"])}),
            measured_ms=record["measured_ms"],
            clock_ms=record["clock_ms"],
            refusal=record["refusal"],
        )

    def put(self, result: Result) -> None:
        """Store `result`."""
        content = json.dumps(asdict(result), indent=1) + "\n"
        write_bytes(self._folder / f"{result.network.name}.json", content.encode())

    def add_reference(self, times_ms: Sequence[float]) -> None:
        """Store more times of the reference network, one a process."""
        write_bytes(self._folder / "reference.txt", " ".join(map(str, [*self.reference(), *times_ms])).encode())

    def reference(self) -> list[float]:
        """The times of the reference network, one a process."""
        path = self._folder / "reference.txt"
        return [float(word) for word in path.read_text("utf-8").split()] if path.exists() else []


def main() -> None:
    """Do what the arguments say."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.outside_networks")
    commands = parser.add_subparsers(dest="command", required=True)
    for command in ("export", "measure"):
        commands.add_parser(command).add_argument("folder", type=Path)
    measuring = commands.choices["measure"]
    measuring.add_argument("--device", choices=DEVICES, default=DEVICES[0])
    measuring.add_argument("--limit", type=int, default=len(catalogue()), help="of the networks, the first so many")
    arguments = parser.parse_args()
    if arguments.command == "export":
        export(arguments.folder)
    else:
        networks = list(exports(arguments.folder))[: arguments.limit]
        measure(device_home(arguments.device), networks, arguments.folder)
        REPORT.write_text(report(networks), encoding="utf-8")


def measure(home: DeviceHome, networks: Sequence[Exported], folder: Path) -> None:
    """Predict the networks that are not predicted yet, then time those that are not timed yet."""
    results = Results(home)
    with open_stopwatch(home) as watch:
        found = [network for network in networks if (folder / f"{network.name}{watch.runner.suffix}").exists()]
        _predict(found, results, folder)
        usual = usual_reference_ms(load_latency(home))
        for start in tqdm(range(0, len(found), TOGETHER), desc=home.name):
            known = [result for network in found[start : start + TOGETHER] if (result := results.get(network.name))]
            waiting = [result for result in known if not result.refusal and not result.is_whole]
            if waiting:
                _time(watch, waiting, results, folder, usual)


def _predict(networks: Sequence[Exported], results: Results, folder: Path) -> None:
    model = load_latency(results.home)
    for network in tqdm(networks, desc="predicted"):
        if results.get(network.name) is None:
            try:
                results.put(Result(network=network, predicted=model.estimate(folder / f"{network.name}.onnx")))
            except NasError as error:
                results.put(Result(network=network, predicted=None, refusal=str(error)))


def _time(watch: Stopwatch, waiting: Sequence[Result], results: Results, folder: Path, usual: float | None) -> None:
    """Time the networks of `waiting` together."""
    files = [folder / f"{result.network.name}{watch.runner.suffix}" for result in waiting]
    found = time_repeatedly(watch, files, usual)
    results.add_reference(found.reference_ms.tolist())
    for i, fault in found.faults.items():
        results.put(replace(waiting[i], refusal=fault.text))
    for column, i in enumerate(found.timed):
        clock_ms = float(np.median(found.clock_ms[:, column]))
        results.put(replace(waiting[i], measured_ms=float(found.mean_ms[column]), clock_ms=clock_ms))


def _table_digest(home: DeviceHome) -> str:
    """What tells one table of a device from another."""
    digest = hashlib.sha256()
    for name in (COEFFICIENTS_FILE, TABLE_FILE):
        path = home.folder / name
        digest.update(path.read_bytes() if path.exists() else b"none")
    return digest.hexdigest()


def macs_alone(macs: NDArray[np.float64], measured: NDArray[np.float64]) -> NDArray[np.float64]:
    """Times in ms by fixed + slope · MACs, fitted without each network in its turn by relative least squares."""
    columns = np.column_stack([np.ones(len(macs)), macs / 1e9])
    found = np.zeros(len(macs))
    for i in range(len(macs)):
        others = np.arange(len(macs)) != i
        weighted = columns[others] / measured[others, None]
        coefficients, *_ = np.linalg.lstsq(weighted, np.ones(len(weighted)), rcond=None)
        found[i] = columns[i] @ coefficients
    return found


def report(networks: Sequence[Exported]) -> str:
    """The report of all devices that have results."""
    releases = sorted({f"{network.library} {network.release}" for network in networks})
    command = f"python -m benchmarks.outside_networks measure FOLDER --device {'|'.join(DEVICES)}"
    parts = [_INTRODUCTION.format(environment=environment_text(command), releases=", ".join(releases))]
    for device in DEVICES:
        if (runs_folder() / "outside" / device).exists():
            results = Results(device_home(device))
            found = [result for network in networks if (result := results.get(network.name)) is not None]
            parts.extend(_device_parts(results, found))
    missing = _missing(networks)
    if missing:
        parts.append("## Not exported\n\n" + "\n".join(missing))
    return "\n\n".join(part.rstrip() for part in parts) + "\n"


def _device_parts(results: Results, found: Sequence[Result]) -> Iterator[str]:
    whole = [result for result in found if result.is_whole]
    yield f"## {results.home.name}"
    if len(whole) > 2:
        macs = np.array([result.network.macs for result in whole], dtype=np.float64)
        measured = np.array([result.measured_ms for result in whole], dtype=np.float64)
        alone = macs_alone(macs, measured) / measured - 1.0
        own = np.array([result.error for result in whole])
        inside = f"{np.mean([result.inside for result in whole]):.0%}"
        rows = [_scores("prediction", own, inside), _scores("MACs alone", alone, "")]
        header = ("", "networks", "within ±5 %", "within ±10 %", "median error", "worst", "inside the interval")
        yield _markdown(header, rows)
        reference = results.reference()
        model = load_latency(results.home)
        table = model.estimate(REFERENCE_NETWORK).mean_ms
        assert model.operators is not None
        timed = model.operators.manifest["roles"]
        yield (
            f"The table was built for {model.operators.manifest['space']} from"
            f" {', '.join(f'{count} timings of role {role}' for role, count in timed.items())}."
        )
        yield (
            f"{REFERENCE_NETWORK}, timed in each of the {len(reference)} processes: {min(reference):.3f} to"
            f" {max(reference):.3f} ms, median {np.median(reference):.3f} ms; the table says {table:.3f} ms."
        )
        names = (
            "network",
            "library",
            "px",
            "exporter",
            "10⁶ MACs",
            "predicted ms",
            "measured ms",
            "by the clock",
            "error",
            "MACs alone",
        )
        yield _markdown(names, [_row(result, error) for result, error in zip(whole, alone, strict=True)])
    refused = [f"* `{result.network.name}`: {result.refusal}" for result in found if result.refusal]
    if refused:
        yield "Refused:\n\n" + "\n".join(refused)
    waiting = sum(not result.is_whole and not result.refusal for result in found)
    if waiting:
        yield f"{waiting} more are not timed to the end yet; the command goes on with them."


def _scores(name: str, errors: NDArray[np.float64], inside: str) -> tuple[str, ...]:
    size = np.abs(errors)
    worst = errors[size.argmax()]
    shares = (f"{(size <= limit).mean():.1%}" for limit in (0.05, 0.1))
    return (name, str(len(errors)), *shares, f"{np.median(size):.1%}", f"{worst:+.0%}", inside)


def _row(result: Result, alone: float) -> tuple[str, ...]:
    network, predicted = result.network, result.predicted
    assert predicted is not None
    interval = f"{predicted.mean_ms:.3f} [{predicted.low_ms:.3f}, {predicted.high_ms:.3f}]"
    return (
        f"`{network.model}`", network.library, str(network.pixels), network.exporter, f"{network.macs / 1e6:.0f}",
        interval,
        f"{result.measured_ms:.3f}", f"{result.clock_ms:.3f}",
        f"{result.error:+.1%}{'' if result.inside else ' *'}", f"{alone:+.0%}",
    )  # fmt: skip


def _missing(networks: Sequence[Exported]) -> list[str]:
    """A line for each network without one of its files."""
    there = {network.name for network in networks}
    found = [f"* `{outside.name}`: no ONNX file" for outside in catalogue() if outside.name not in there]
    refused = [(network.name, network.litert) for network in networks if network.litert]
    libraries = "|".join({outside.library for outside in catalogue()})
    reasons = [(name, re.sub(rf"/\S*/(?=(?:{libraries})/)", "", reason)) for name, reason in refused]
    return found + [f"* `{name}`: litert-torch: {reason}" for name, reason in reasons]


def _markdown(header: Sequence[str], rows: Sequence[tuple[str, ...]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (tuple(header), ("---",) * len(header), *rows))


if __name__ == "__main__":
    main()
