"""A new device on this machine from twenty measurements: writes benchmarks/few_here.md, in about eight minutes.

    python -m benchmarks.few_here FOLDER [BUDGET FRESH]

Everything that is timed is kept in FOLDER (a workspace): stopped and started again, it goes on. Nothing else should run
on the machine. `BUDGET` is for ONNX Runtime's table (240s), `FRESH` how many networks are predicted (60).
"""

from __future__ import annotations

import math
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray
from tabulate import tabulate
from threadpoolctl import threadpool_limits

from benchmarks.environment import environment_text
from nas.jobs.lut_build import TableRequest, build_table, measured_space
from nas.jobs.lut_few import helping_devices
from nas.latency import DeviceHome, device_home, load_latency
from nas.latency.operator_model import OperatorModel
from nas.latency.timed.regression import fit_networks
from nas.latency.transfer.networks import device_of, fit_networks_of
from nas.measure.build import build, look
from nas.measure.few import FEW, operators_of
from nas.measure.fit import Observation, Observations
from nas.measure.plan import network_item
from nas.measure.stopwatch import open_stopwatch
from nas.measure.store import REFERENCE, TimingStore
from nas.units import parse_duration_s

Floats = NDArray[np.float64]
REPORT = Path(__file__).with_name("few_here.md")
SPACE, SEED, BUDGET, FRESH = "mobile-core", 77, "240s", 60
TWO_THREADS = "two-threads"
DEVICES = ("local-litert", TWO_THREADS)
_TEXT = """\
# A new device on this machine

{environment}

`nas lut build --device local --space {space} --budget {budget}` times ONNX Runtime on one thread ({known} networks).
Then each device below is new: `nas lut build --networks {few} --space {space}` chooses {few} networks, the reference
among them, times them, and makes a model of them with the help of ONNX Runtime's costs and of the shipped devices'.
{fresh} fresh networks of `{space}` (seed {seed}) are timed afterwards, each once, beside the reference, which brings
them to the speed that the machine had for the model.

{table}

*This program* is what `nas lut predict` says; *the same {few}, alone* is the regression of full builds, without another
device; *any of the space* has {few} networks that were drawn, not chosen (of the fresh ones; the others are predicted);
*scaled* is ONNX Runtime's model times one number. *Inside* is the share within the 90 % interval, *half* half of that
interval in the median. Of LiteRT's networks {within:.0%} are within ±10 %.

{note}
The machine's load was {load:.1f} at the end.
"""
_TWO = """\
Two threads go by the wall clock: the thread's own, which leaves out what other programs took, there is for one thread
only. Where the second core had other work, their times tell of that.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """Networks that were timed, at the speed of the table: their observations, and milliseconds."""

    each: list[Observation]
    latency_ms: Floats


def add_two_threads() -> None:
    """The device of two threads, where it is not there yet."""
    device = replace(device_home("local").device, name=TWO_THREADS, chip="this machine", threads=2)
    place = device_home("local").own_folder.with_name(TWO_THREADS) / "device.yaml"
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(yaml.safe_dump({k: v for k, v in device.as_json().items() if v != ""}), encoding="utf-8")


def few(home: DeviceHome) -> DeviceHome:
    """The device's model from few networks."""
    request = TableRequest(home=home, space=SPACE, networks=FEW)
    build_table(request, progress=lambda state: print(home.name, state.networks, file=sys.stderr))
    return home.reread()


def timed(home: DeviceHome, usual: float | None) -> Timed:
    """What the store of a device holds, at the speed at which the reference takes `usual` ms (None: its own)."""
    with open_stopwatch(home) as watch, TimingStore(home.timings, watch.environment()) as store:
        found = Observations.of(store.timings())
    each = [one for one in found.each if one.role != REFERENCE]
    level = 1.0 if usual is None else found.usual / usual
    return Timed(each=each, latency_ms=np.array([one.latency_ms / (1.0 + one.slow) / level for one in each]))


def time_fresh(home: DeviceHome, count: int) -> Timed:
    """Fresh networks of the space, in a store of their own."""
    own = replace(home, timings=home.timings.with_name(f"{home.name}-fresh.db"))
    drawn = measured_space(SPACE).sample(count, np.random.default_rng(SEED))
    items = [network_item(network, "space", home.runtime) for network in drawn]
    with open_stopwatch(home) as watch, TimingStore(own.timings, watch.environment()) as store:
        if len(store.digests()) < count:
            build(
                watch, store, items, budget_s=math.inf, pace=look(watch),
                progress=lambda state: print(home.name, "fresh", state.networks, file=sys.stderr),
            )  # fmt: skip
    model = load_latency(home).operators
    assert model is not None
    return timed(own, float(model.manifest["reference_ms"]))


def scores(name: str, mean: Floats, half: Floats | None, true: Floats) -> tuple[str, ...]:
    """A row of the report."""
    errors = np.abs(mean / true - 1.0)
    level = float(np.exp(np.median(np.log(mean / true))))
    flat = np.abs(mean / level / true - 1.0)
    inside = "" if half is None else f"{(np.abs(np.log(true / mean)) <= half).mean():.0%}"
    return (
        name, f"{np.median(errors):.1%}", f"{(errors <= 0.05).mean():.0%}", f"{(errors <= 0.1).mean():.0%}",
        f"{level - 1.0:+.1%}", f"{(flat <= 0.05).mean():.0%}", inside, "" if half is None else f"{np.median(half):.1%}",
    )  # fmt: skip


def predicted(model: OperatorModel, each: list[Observation]) -> tuple[Floats, Floats]:
    """Milliseconds of networks, and half the widths of their log intervals."""
    costs = [model.costs(operators_of(one.segments)) for one in each]
    mean = np.array([model.fixed_ms + ms.sum() for ms, _ in costs])
    sums = np.stack([features.sum(axis=0) for _, features in costs])
    return mean, model.half_width(mean, sums, np.zeros(len(mean)))


def rows_of(home: DeviceHome, fresh: Timed) -> list[tuple[str, ...]]:
    """What each way of knowing the device says of the fresh networks."""
    own, others = timed(home, None), helping_devices(home)
    model = load_latency(home).operators
    assert model is not None
    rows = [scores("this program", *predicted(model, fresh.each), fresh.latency_ms)]
    with threadpool_limits(limits=1, user_api="blas"):
        alone = fit_networks([one.segments for one in own.each], own.latency_ms, np.arange(len(own.each)), {}).operators
        rows.append(scores(f"the same {FEW}, alone", *predicted(alone, fresh.each), fresh.latency_ms))
        if len(fresh.each) > FEW:
            some = fit_networks_of(
                others, [operators_of(one.segments) for one in fresh.each[: FEW - 1]], fresh.latency_ms[: FEW - 1]
            )
            rest = fresh.each[FEW - 1 :]
            rows.append(scores("any of the space", *predicted(some, rest), fresh.latency_ms[FEW - 1 :]))
    local = next(other for other in others if device_of(other) == "local")
    level = np.exp(np.log(own.latency_ms / predicted(local, own.each)[0]).mean())
    rows.append(scores("scaled", level * predicted(local, fresh.each)[0], None, fresh.latency_ms))
    return [(home.name, *row) for row in rows]


def main(folder: str, budget: str = BUDGET, fresh: str = str(FRESH)) -> None:
    """Time what is not timed yet, and write the report."""
    os.environ["NAS_WORKSPACE"] = str(Path(folder).resolve())
    add_two_threads()
    build_table(
        TableRequest(home=device_home("local"), space=SPACE, budget_s=parse_duration_s(budget, name="BUDGET")),
        progress=lambda state: print("local", state.networks, file=sys.stderr),
    )
    rows = []
    for name in DEVICES:
        home = few(device_home(name))
        rows += rows_of(home, time_fresh(home, int(fresh)))
        print(*rows[-4:], sep="\n", file=sys.stderr)
    headers = (
        "device",
        "by",
        "median",
        "within 5 %",
        "within 10 %",
        "level",
        "within 5 % without it",
        "inside",
        "half",
    )
    known = load_latency("local").operators
    assert known is not None
    REPORT.write_text(
        _TEXT.format(
            environment=environment_text(f"python -m benchmarks.few_here FOLDER {budget} {fresh}"),
            space=SPACE, budget=budget, known=known.manifest["networks"], few=FEW, fresh=fresh, seed=SEED,
            table=tabulate(rows, headers, tablefmt="github", disable_numparse=True),
            within=float(rows[0][4].rstrip("%")) / 100.0, note=_TWO, load=os.getloadavg()[0],
        ),
        encoding="utf-8",
    )  # fmt: skip


if __name__ == "__main__":
    main(*sys.argv[1:])
