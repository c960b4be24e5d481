"""How a table meets another day: networks of public libraries, timed later by a plain loop, and why that differs.

    nas lut build --device local --space mobile-core                    once, before (20 minutes)
    python -m benchmarks.outside_networks export FOLDER                 once: what outside_exports.py says it needs
    python -m benchmarks.another_day days FOLDER [--count 4] [--apart 30] [--networks 32] [--device local]
    python -m benchmarks.another_day report

A *day* is a set of fresh processes: a look at the device (`nas device check`), the plain loop (`plain_loop.py`) in
several, this program's own protocol, and the plain loop again. Predictions are made before anything of the day is
timed: without a look, and at the level that the look finds. What is done is kept under runs/another_day; a second start
goes on.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tabulate import tabulate

from benchmarks.environment import environment_text
from benchmarks.outside_exports import exports
from nas.files import write_bytes
from nas.jobs.device_check import model_now
from nas.latency import DeviceHome, LatencyModel, device_home, load_latency
from nas.measure.build import reference_item
from nas.measure.stopwatch import open_stopwatch
from nas.resources import runs_folder
from nas.runners.protocol import timed

ROUNDS, TOGETHER, PLAIN = 12, 11, 4
CLOCKS = ("wall_ms", "thread_ms")
STEPS = ("predicted", "look", "plain-1", "ours", "plain-2")
REPORT = Path(__file__).with_name("another_day.md")
_PLAIN = Path(__file__).with_name("plain_loop.py")
_TEXT = """\
# A table meets another day

{environment}

{networks} networks of public libraries (`outside_networks.py` exports them; the table knows none of them), on
{days} days, each a set of fresh processes: {times}. The table: {table}.
*Plain loop*: {rounds} rounds in which each network has one run that is warm and two that are timed, all in one process,
the mean of the fastest three quarters (`plain_loop.py`, which imports nothing of the program); {plain}
processes before the program's own protocol on that day, and as many behind it. What a single process says of a network
strays by {own} (deviation) from the mean over those of its day, what all networks share taken out; so a network's time
is that mean, while an interval, which is one of a measurement, is held against each process. By the *wall* clock, as
anybody would, and by the *thread*'s own, which a table is of. {load}

## Predicted against the plain loop

{errors}

*off together* is the median of measured over predicted, less 1; *without that* is what is left of the errors then.
`--now` looked at the device first, and brought the latencies to the level that is most likely after that look (*taken
as*): drawn towards 1 by what the look may be wrong by. Intervals are those of 90 %,
and hold this share of the times that single processes gave; on each day all networks share the machine's level, so the
days count, not the networks.

## The machine's level, or the protocol's

{parts}

Medians over the networks, less 1. *machine*: the program's own protocol over the prediction; *protocol*: the plain
loop by the thread's clock over the program's own protocol on the same day; *clock*: the plain loop by the wall clock
over itself by the thread's. Together they are what the plain loop is off. {verdict}

## What any look could tell

{halves}

The plain loop's processes before the program's own protocol, and those behind it, a minute later: their levels against
the table, and how many networks lie within ±5 % in one half where the predictions are brought to the level of the
other. That is a look at these very networks, by the very loop, of four processes: no look does better on such a machine
on such a day, but by luck.

## Network by network

{networks_table}

Means over the days, the smallest network first. *table*: the program's own protocol over the prediction, its median
over the networks taken out, so what the table does not know of the network. *protocol*: the plain loop by the thread's
clock over the program's own protocol. Both visit a network among others; in a loop of its own, without others, a
network of less than three milliseconds is faster than either, at 0.8 ms by a quarter (`visits.md`).
"""
Floats = NDArray[np.float64]


def _days(home: DeviceHome) -> list[Path]:
    place = runs_folder() / "another_day" / home.name
    return sorted(place.glob("day-*"), key=lambda path: int(path.name.removeprefix("day-")))


def _is_whole(day: Path) -> bool:
    return all((day / f"{step}.json").exists() for step in STEPS)


def run_day(home: DeviceHome, files: Sequence[Path]) -> None:
    """Do what is left of the last day, or a new one."""
    days = _days(home)
    fresh = not days or _is_whole(days[-1])
    day = runs_folder() / "another_day" / home.name / f"day-{len(days) + 1}" if fresh else days[-1]
    steps: dict[str, Callable[[], dict[str, Any]]] = {
        "predicted": lambda: _predicted(load_latency(home), files),
        "look": lambda: _look(home, files),
        "plain-1": lambda: _plain(files),
        "ours": lambda: _ours(home, files),
        "plain-2": lambda: _plain(files),
    }
    for name in STEPS:
        if not (day / f"{name}.json").exists():
            print(f"{day.name}: {name}", file=sys.stderr)
            now = datetime.now(UTC).isoformat(timespec="seconds")
            record = {"time": now, "load": os.getloadavg()[0], **steps[name]()}
            write_bytes(day / f"{name}.json", json.dumps(record, indent=1).encode())


def _predicted(model: LatencyModel, files: Sequence[Path]) -> dict[str, Any]:
    found = [model.estimate(path) for path in files]
    return {
        "networks": [path.stem for path in files],
        "level_sd": model.level_sd,
        **{key: [getattr(one, key) for one in found] for key in ("mean_ms", "low_ms", "high_ms")},
    }


def _look(home: DeviceHome, files: Sequence[Path]) -> dict[str, Any]:
    model, now = model_now(home)
    return {**_predicted(model, files), **now.as_json()}


def _plain(files: Sequence[Path]) -> dict[str, Any]:
    found: dict[str, list[list[float]]] = {clock: [] for clock in CLOCKS}
    for _ in range(PLAIN):
        done = subprocess.run(
            [sys.executable, str(_PLAIN), str(ROUNDS), *map(str, files)], capture_output=True, text=True, check=True
        )
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        for clock, processes in found.items():
            processes.append([_fastest(row[clock]) for row in rows])
    return found


def _fastest(runs: Sequence[float]) -> float:
    return float(np.mean(sorted(runs)[: math.ceil(0.75 * len(runs))]))


def _ours(home: DeviceHome, files: Sequence[Path]) -> dict[str, Any]:
    times: list[float] = []
    references = []
    with open_stopwatch(home) as watch:
        for start in range(0, len(files), TOGETHER):
            portion = files[start : start + TOGETHER]
            found = watch.beside(reference_item().graph, portion, rounds=ROUNDS, behind=True)
            times += [timed(result).typical_ms for result in found.results]
            references.append(found.reference_ms)
    return {"typical_ms": times, "reference_ms": references}


class Day:
    """What was found on a day, arrays over its networks."""

    def __init__(self, folder: Path) -> None:
        found = {step: json.loads((folder / f"{step}.json").read_text("utf-8")) for step in STEPS}
        self.time, self.look, self.networks = found["plain-1"]["time"], found["look"], found["predicted"]["networks"]

        def numbers(step: str, key: str) -> Floats:
            return np.array(found[step][key], dtype=np.float64)

        keys = ("mean_ms", "low_ms", "high_ms")
        self.load = float(found["ours"]["load"])
        self.predicted = {key: numbers("predicted", key) for key in keys}
        self.now = {key: numbers("look", key) for key in keys}
        self.ours = numbers("ours", "typical_ms")
        self.processes = {
            clock: np.concatenate([numbers(step, clock) for step in ("plain-1", "plain-2")]) for clock in CLOCKS
        }
        self.wall, self.thread = (np.exp(np.log(self.processes[clock]).mean(0)) for clock in CLOCKS)

    def own(self) -> float:
        """What a process says of a network strays by, all that the networks share taken out: a deviation, pooled."""
        logs = np.log(self.processes["thread_ms"])
        logs -= logs.mean(0)
        logs -= np.median(logs, axis=1, keepdims=True)
        return float(np.sqrt((logs**2).sum() / ((len(logs) - 1) * logs.shape[1])))

    def halves(self) -> list[float]:
        """The level of the plain loops before the program's own protocol and of those behind it, against the table, and
        the share of networks within ±5 % in either half at the level of the other."""
        logs = np.log(self.processes["thread_ms"]) - np.log(self.predicted["mean_ms"])
        halves = [half.mean(axis=0) for half in np.array_split(logs, 2)]
        levels = [float(np.median(half)) for half in halves]
        off = [np.abs(np.expm1(half - level)) for half, level in zip(halves, levels[::-1], strict=True)]
        return [*np.expm1(levels).tolist(), *(float((one <= 0.05).mean()) for one in off[::-1])]

    def parts(self) -> list[float]:
        """Medians over the networks: machine, protocol, clock, and all of it."""
        mean = self.predicted["mean_ms"]
        pairs = ((self.ours, mean), (self.thread, self.ours), (self.wall, self.thread), (self.wall, mean))
        return [float(np.median(above / below)) - 1.0 for above, below in pairs]


def _scores(predicted: dict[str, Floats], measured: Floats, processes: Floats) -> list[float]:
    errors = measured / predicted["mean_ms"] - 1.0
    level = float(np.median(errors))
    rest = np.abs((1.0 + errors) / (1.0 + level) - 1.0)
    inside = (predicted["low_ms"] <= processes) & (processes <= predicted["high_ms"])
    shares = [float((size <= limit).mean()) for size, limit in ((np.abs(errors), 0.05), (np.abs(errors), 0.1))]
    return [level, *shares, float((rest <= 0.05).mean()), float(inside.mean())]


def _percents(values: Sequence[float], signed: int = 0) -> list[str]:
    return [f"{100 * value:+.1f} %" if i < signed else f"{100 * value:.0f} %" for i, value in enumerate(values)]


def report(home: DeviceHome) -> str:
    """The report of all whole days."""
    days = [Day(folder) for folder in _days(home) if _is_whole(folder)]
    if not days:
        raise SystemExit("no day is done yet: python -m benchmarks.another_day days FOLDER")
    rows = []
    kinds: dict[str, Callable[[Day], dict[str, Floats]]] = {
        "without --now": lambda day: day.predicted, "with --now": lambda day: day.now
    }  # fmt: skip
    clocks: dict[str, Callable[[Day], Floats]] = {"wall": lambda day: day.wall, "thread": lambda day: day.thread}
    for (name, of), (clock, measured) in product(kinds.items(), clocks.items()):
        each = [_scores(of(day), measured(day), day.processes[f"{clock}_ms"]) for day in days]
        for number, (day, scores) in enumerate(zip(days, each, strict=True), start=1):
            low, high = day.look["level_interval"]
            level = ("", "")
            if name == "with --now":
                level = (f"{day.look['level']:.3f} [{low:.3f}, {high:.3f}]", f"{day.look['likely_level']:.3f}")
            rows.append((name, clock, number, *level, *_percents(scores, 1)))
        rows.append((name, clock, "all", "", "", *_percents(np.mean(each, axis=0).tolist(), 1)))
    headers = (
        "", "clock", "day", "level looked at", "taken as", "off together", "within ±5 %", "within ±10 %",
        "within ±5 % without that",
        "inside the interval",
    )  # fmt: skip
    parts = [day.parts() for day in days]
    table = [(str(number), *_percents(part, 4)) for number, part in enumerate(parts, start=1)]
    mean = np.mean(parts, axis=0)
    table.append(("mean", *_percents(mean.tolist(), 4)))
    halves = [(str(number), *_percents(day.halves(), 2)) for number, day in enumerate(days, start=1)]
    halves.append(("mean", *_percents(np.mean([day.halves() for day in days], axis=0).tolist(), 2)))
    model = load_latency(home)
    manifest = model.operators.manifest if model.operators else {}
    return _TEXT.format(
        environment=environment_text(f"python -m benchmarks.another_day days FOLDER --count {len(days)}"),
        networks=len(days[0].networks),
        days=len(days),
        times=", ".join(f"{day.time[:16]}Z" for day in days),
        table=f"{manifest.get('networks')} networks of {manifest.get('space')}, batches {_spread(manifest)} apart",
        rounds=ROUNDS,
        plain=PLAIN,
        own=f"{100 * np.mean([day.own() for day in days]):.1f} %",
        load=f"The machine's load was {min(day.load for day in days):.1f} to {max(day.load for day in days):.1f}.",
        errors=tabulate(rows, headers=headers, tablefmt="github"),
        parts=tabulate(table, headers=("day", "machine", "protocol", "clock", "the plain loop"), tablefmt="github"),
        verdict=_verdict(np.array(parts)),
        halves=tabulate(
            halves, ("day", "before", "behind", "before → behind", "behind → before"), "github", disable_numparse=True
        ),
        networks_table=_by_network(days),
    )


def _spread(manifest: Any) -> str:
    return f"{100 * manifest['batch_spread']:.1f} %" if "batch_spread" in manifest else "an unknown share"


def _by_network(days: Sequence[Day]) -> str:
    ms = np.exp(np.mean([np.log(day.thread) for day in days], axis=0))
    table = np.mean([np.log(day.ours / day.predicted["mean_ms"]) for day in days], axis=0)
    protocol = np.mean([np.log(day.thread / day.ours) for day in days], axis=0)
    table -= np.median(table)
    rows = [
        (days[0].networks[i], f"{ms[i]:.2f}", *_percents(np.expm1([table[i], protocol[i]]).tolist(), 2))
        for i in np.argsort(ms)
    ]
    return tabulate(rows, headers=("network", "ms", "table", "protocol"), tablefmt="github")


def _verdict(parts: Floats) -> str:
    """Which part is the greatest, on the average of its sizes, and how surely the protocol and the clock shift all."""
    sizes = np.abs(parts[:, :3]).mean(axis=0)
    names = ("the machine's level", "the protocol", "the clock")
    own = parts[:, 1] + parts[:, 2]
    error = f"{100 * own.std(ddof=1) / np.sqrt(len(own)):.1f} %" if len(own) > 1 else "unknown, of one day"
    return (
        f"The greatest part, on the average over the days, is {names[int(sizes.argmax())]} ({100 * sizes.max():.1f} %);"
        f" protocol and clock together shift the plain loop by {100 * own.mean():+.1f} % (standard error over days"
        f" {error})."
    )


def main() -> None:
    """Do what the arguments say."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.another_day")
    commands = parser.add_subparsers(dest="command", required=True)
    for command in ("day", "days", "report"):
        own = commands.add_parser(command)
        own.add_argument("--device", default="local")
        if command != "report":
            own.add_argument("folder", type=Path)
            own.add_argument("--networks", type=int, default=32)
    commands.choices["days"].add_argument("--count", type=int, default=4)
    commands.choices["days"].add_argument("--apart", type=float, default=30.0, help="seconds")
    said = parser.parse_args()
    home = device_home(said.device)
    if said.command == "day":
        files = [said.folder / f"{network.name}.onnx" for network in exports(said.folder)]
        run_day(home, [path for path in files if path.exists()][: said.networks])
    elif said.command == "days":
        while sum(map(_is_whole, _days(home))) < said.count:
            one = [sys.executable, "-m", "benchmarks.another_day", "day", str(said.folder)]
            subprocess.run([*one, "--device", said.device, "--networks", str(said.networks)], check=True)
            if sum(map(_is_whole, _days(home))) < said.count:
                time.sleep(said.apart)
    if said.command != "day":
        REPORT.write_text(report(home), encoding="utf-8")
        print(REPORT.read_text("utf-8"))


if __name__ == "__main__":
    main()
