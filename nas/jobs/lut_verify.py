"""Proving a measured table: fresh networks of a space are predicted first, then timed, and the two compared."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from nas.errors import InputError
from nas.jobs.lut_build import measured_space
from nas.jobs.lut_bundle import read_bundled
from nas.latency import DeviceHome, load_latency
from nas.latency.level import at_table_speed
from nas.measure.check import Checked, TableCheck, check, usual_reference_ms
from nas.measure.level import keep_level
from nas.measure.plan import network_item
from nas.measure.stopwatch import open_stopwatch
from nas.measure.store import TimingStore
from nas.space import Architecture


def verify_table(
    home: DeviceHome,
    space_name: str,
    *,
    count: int = 60,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> TableCheck:
    """Draw `count` networks of the space that no batch has timed, predict them, then time each in fresh processes.

    Times and intervals are those of the table's speed; how fast the device was meanwhile is kept beside the table.

    Raises `InputError` for a device that is not measured here or has no table, a count below 1, a space whose networks
    were all timed, and where none of them can be timed.
    """
    if count < 1:
        raise InputError(f"the number of networks must be at least 1, but got {count}.")
    space, model = measured_space(space_name), at_table_speed(load_latency(home))
    with open_stopwatch(home) as watch:
        environment = watch.environment()
        done = _timed_before(home, environment)
        drawn: dict[str, Architecture] = {}
        rng = np.random.default_rng(seed)
        for _ in range(100):
            if len(drawn) >= count:
                break
            drawn |= {n.digest: n for n in space.sample(count, rng) if n.digest not in done}
        networks = list(drawn.values())[:count]
        if not networks:
            raise InputError(
                f"{space.name} must have networks that were not timed for the table, to be checked, but has none; name"
                " another --space."
            )
        predicted = [model.estimate(network) for network in networks]
        items = [network_item(network, "check", home.runtime) for network in networks]
        usual = usual_reference_ms(model)
        found, _ = check(watch, items, predicted, usual, progress=progress)
    checked = tuple(one for one in found if isinstance(one, Checked))
    faults = {
        item.name: one.text for item, one in zip(items, found, strict=True) if not isinstance(one, Checked)
    }  # fmt: skip
    if not checked:
        raise InputError(next(iter(faults.values())))
    speed = None if usual is None else float(np.mean([network.reference_ms for network in checked])) / usual
    keep_level(home, model, speed)
    return TableCheck(
        device=home.name,
        space=space.name,
        seed=seed,
        environment=environment,
        networks=checked,
        faults=faults,
        speed=speed,
    )


def verify_times(home: DeviceHome, path: Path) -> TableCheck:
    """Hold the table of a device that is out of reach against the times of a bundle (its CSV file, or its folder): of
    the networks that the table was not fitted to. Nothing is imported.

    Where the reference is timed in it, the times are brought to the table's speed by that. Raises `InputError` for bad
    times, and where all of its networks were imported before.
    """
    model = at_table_speed(load_latency(home))
    found = read_bundled(home, path)
    done = _timed_before(home, found.environment)
    rows = [row for row in found.times.rows if row.network.digest not in done]
    if not rows:
        raise InputError(
            f"{found.times.path} must have times of networks that the table was not fitted to, but all were imported;"
            f" write another bundle (`nas lut bundle --device {home.name} --out DIR`), and have that timed."
        )
    usual = usual_reference_ms(model)
    reference_ms = float(np.mean([row.latency_ms for row in found.times.reference] or [np.nan]))
    speed = reference_ms / usual if usual is not None and found.times.reference else None
    checked = []
    for row in rows:
        item = found.items[row.network.digest]
        measured_ms = row.latency_ms / (speed or 1.0)
        checked.append(
            Checked(
                name=item.name,
                digest=item.digest,
                macs=item.macs,
                predicted=model.estimate_segments(item.segments),
                measured_ms=measured_ms,
                processes_ms=(measured_ms,),
                clock_ms=row.latency_ms,
                reference_ms=reference_ms,
            )
        )
    return TableCheck(
        device=home.name,
        space=found.bundle.space,
        seed=found.bundle.seed,
        environment=found.environment,
        networks=tuple(checked),
        faults={},
        speed=speed,
    )


def _timed_before(home: DeviceHome, environment: dict[str, str]) -> set[str]:
    """The digests that batches have timed."""
    if not home.timings.exists():
        return set()
    with TimingStore(home.timings, environment) as store:
        return {timing.digest for timing in store.timings()}
