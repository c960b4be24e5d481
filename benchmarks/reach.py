"""Whether a device that is reached by ssh, or by a bundle, is timed as one that is here.

    python -m benchmarks.reach ssh [NETWORKS TURNS]    writes benchmarks/reach_ssh.md
    python -m benchmarks.reach bundle                  writes benchmarks/reach_bundle.md

By ssh: this machine is timed as `local` and through a real OpenSSH server on loopback, by turns. By a bundle: its
networks are timed by a plain script (that of its own page) and imported, and the same networks are timed by a build.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
from tabulate import tabulate

from benchmarks.environment import environment_text
from nas.jobs.device_new import NewDevice, new_device
from nas.jobs.lut_build import measured_space
from nas.jobs.lut_bundle import BundleRequest, import_bundle, make_bundle
from nas.jobs.lut_verify import verify_table
from nas.latency import device_home, load_latency
from nas.measure.build import Pace, build, reference_item
from nas.measure.bundle import Bundle, read_bundle
from nas.measure.fit import fit_table
from nas.measure.stopwatch import Stopwatch, open_stopwatch
from nas.measure.store import TimingStore
from nas.nets.untrained import write_untrained
from nas.runners.engines import ONNX_RUNTIME
from nas.runners.local import LocalRunner
from nas.runners.protocol import Runner
from nas.runners.ssh import SshRunner
from tests.runners.sshd import Server, running

SPACE, SEED, ROUNDS, BUNDLED, CHECKED = "mobile-core", 23, 12, 30, 12
_TABLES = {"by-wall": ("the bundle", "perf_counter"), "by-thread": ("the bundle, thread's clock", "thread_time")}
"""A device → what its table is called, and the clock of the bundle's script."""
_SSH = """\
# A device that is reached by ssh

{environment}

{networks} networks of `{space}` (seed {seed}) and the reference, timed in {turns} turns: in each one process here, then
one through an OpenSSH server on loopback (in every second turn the other way round). A network's time in a process is
brought to the usual speed by the reference beside it. The table holds how far apart two processes find a network, over
all pairs of processes: of both here, of both there, of one here and one there. {load}

{ssh}

A network's time through ssh over its time here, less 1: {bias:+.2f} % (the mean of {networks} networks, each over
{turns} processes each way; its standard error is {error:.2f} %).
"""
_BUNDLE = """\
# A device that is timed with a bundle

{environment}

{bundled} networks of a bundle, timed once each by the script of its page in one process, in the order of `timings.csv`,
the reference first and last, and imported: by the wall clock, as the script is written, and in another process by the
thread's clock in its place; and the same networks timed by the program itself in batches. All tables are held against
the same {checked} fresh networks, timed afterwards.

{bundle}

The script takes the median of 50 runs, the build the mean of the fastest three quarters of its runs by the thread's
clock. The wall clock tells of whatever else the machine does. The *level* is what all times of a table are off together
(the median error), and is taken out of the last columns. {load}
"""


def _in_turns(server: Server, folder: Path, count: int, turns: int) -> tuple[str, float, float]:
    """The table of differences, and how much longer networks take through ssh, with its standard error (percent)."""
    space = measured_space(SPACE)
    drawn = space.sample(count, np.random.default_rng(SEED))
    networks = [write_untrained(one.graph(), folder / f"{i}.onnx") for i, one in enumerate(drawn)]
    reference = write_untrained(reference_item().graph(), folder / "reference.onnx")
    ways: dict[str, Callable[[], Runner]] = {
        "here": lambda: LocalRunner(ONNX_RUNTIME),
        "ssh": lambda: SshRunner(ONNX_RUNTIME, server.way()),
    }
    logs: dict[str, list[np.ndarray]] = {name: [] for name in ways}
    for turn in range(turns):
        for name in sorted(ways, reverse=bool(turn % 2)):
            with Stopwatch(device_home("local"), ways[name]()) as watch:
                found = watch.beside(reference, networks, rounds=ROUNDS, behind=True)
            times = [result.typical_ms for result in found.results]  # type: ignore[union-attr]
            logs[name].append(np.log(np.array(times) / found.reference_ms))
        print(f"turn {turn + 1} of {turns}", file=sys.stderr)
    pairs = {
        "here and here": list(combinations(logs["here"], 2)),
        "ssh and ssh": list(combinations(logs["ssh"], 2)),
        "here and ssh": [(a, b) for a in logs["here"] for b in logs["ssh"]],
    }
    rows = []
    for name, both in pairs.items():
        apart = np.abs(np.expm1(np.concatenate([a - b for a, b in both])))
        rows.append((name, len(both), *(f"{100 * x:.2f} %" for x in (np.median(apart), np.quantile(apart, 0.9)))))
    between = np.mean(logs["ssh"], axis=0) - np.mean(logs["here"], axis=0)
    error = float(np.std(between, ddof=1) / np.sqrt(len(between)))
    table = tabulate(rows, headers=["processes", "pairs", "median difference", "p90"], tablefmt="github")
    return table, 100 * float(np.expm1(between.mean())), 100 * error


def _timed_by_script(folder: Path, clock: str) -> None:
    program = (folder / "README.md").read_text("utf-8").partition("```python\n")[2].partition("```")[0]
    program = program.replace("time.perf_counter()", f"time.{clock}()")
    subprocess.run([sys.executable, "-c", program], cwd=folder, check=True, stdout=subprocess.DEVNULL)


def _direct(bundle: Bundle) -> None:
    """Time the networks of the bundle as a build does, and fit the table of the device `direct`."""
    home = device_home("direct")
    items = [network.item(home.runtime, "bundle") for network in bundle.networks[1:]]
    with open_stopwatch(home) as watch:
        environment = watch.environment()
        with TimingStore(home.timings, environment) as store:
            build(watch, store, items, budget_s=3600.0, pace=Pace(ms_a_mac=1e-7), progress=lambda state: None)
            timings = store.timings()
    fit_table(home, measured_space(SPACE), timings, environment)


def _bundled(name: str, workspace: Path, clock: str) -> Path:
    """The folder of a bundle for a new device, timed by its script with a clock, and imported."""
    _, place = new_device(NewDevice(name=name, reach="bundle"))
    found = LocalRunner(ONNX_RUNTIME).environment()
    text = place.read_text("utf-8").replace("chip: unknown until it is measured", f"chip: {found['chip']}")
    place.write_text(text.replace("runtime: ONNX Runtime\n", f"runtime: {found['runtime']}\n"), encoding="utf-8")
    folder = workspace / f"{name}-networks"
    make_bundle(BundleRequest(home=device_home(name), out=folder, space=SPACE, networks=BUNDLED, seed=SEED))
    _timed_by_script(folder, clock)
    import_bundle(device_home(name), folder)
    print(f"{name}: imported", file=sys.stderr)
    return folder


def _bundles(workspace: Path) -> str:
    new_device(NewDevice(name="direct", reach="local"))
    for name, (_, clock) in _TABLES.items():
        folder = _bundled(name, workspace, clock)
    _direct(read_bundle(folder))
    print("build done", file=sys.stderr)
    direct = device_home("direct")
    rows = []
    checked = verify_table(direct, SPACE, count=CHECKED, seed=SEED + 1)
    by_name = {one.digest: one.measured_ms for one in checked.networks}
    networks = {n.digest: n for n in measured_space(SPACE).sample(400, np.random.default_rng(SEED + 1))}
    for name, title in {"direct": "a build", **{name: title for name, (title, _) in _TABLES.items()}}.items():
        predicted = load_latency(device_home(name)).latency_ms([networks[digest] for digest in by_name])
        errors = predicted / np.array(list(by_name.values())) - 1.0
        level = float(np.median(errors))
        apart = np.abs((1.0 + errors) / (1.0 + level) - 1.0)
        rows.append(
            (
                title, BUNDLED, f"{100 * np.median(np.abs(errors)):.1f} %",
                f"{100 * level:+.1f} %", f"{100 * np.median(apart):.1f} %", f"{100 * np.quantile(apart, 0.9):.1f} %",
            )
        )  # fmt: skip
    headers = ["table of", "networks", "median error", "level", "median error without it", "p90 without it"]
    return tabulate(rows, headers=headers, tablefmt="github")


def _load(before: float) -> str:
    """What else the machine did, as its load tells it; one of it is the measurement's own in the end."""
    return f"The machine's load was {before:.1f} at the beginning and {os.getloadavg()[0]:.1f} at the end."


def main(arguments: list[str]) -> None:
    """Measure by the way that is named, and write its report."""
    way, numbers = arguments[0], [int(argument) for argument in arguments[1:]]
    before = os.getloadavg()[0]
    said = {"environment": environment_text(" ".join(["python -m benchmarks.reach", *arguments])), "space": SPACE}
    with tempfile.TemporaryDirectory(prefix="nas-") as place:
        os.environ["NAS_WORKSPACE"] = place
        if way == "ssh":
            networks, turns = numbers or (8, 6)
            with running(Path(place) / "sshd") as server:
                ssh, bias, error = _in_turns(server, Path(place), networks, turns)
            text = _SSH.format(
                **said,
                load=_load(before),
                networks=networks,
                seed=SEED,
                turns=turns,
                ssh=ssh,
                bias=bias,
                error=error,
            )
        else:
            bundle = _bundles(Path(place))
            text = _BUNDLE.format(**said, load=_load(before), bundled=BUNDLED, checked=CHECKED, bundle=bundle)
    Path(__file__).with_name(f"reach_{way}.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main(sys.argv[1:])
