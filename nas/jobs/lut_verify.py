"""Proving a measured table: fresh networks of a space are predicted first, then timed, and the two compared."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nas.errors import InputError
from nas.jobs.lut_build import measured_space
from nas.latency import DeviceHome, load_latency
from nas.measure.check import Checked, TableCheck, check, usual_reference_ms
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

    Raises `InputError` for a device that is not measured here or has no table, a count below 1, a space whose networks
    were all timed, and where none of them can be timed.
    """
    if count < 1:
        raise InputError(f"the number of networks must be at least 1, but got {count}.")
    space, model = measured_space(space_name), load_latency(home)
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
    return TableCheck(
        device=home.name,
        space=space.name,
        seed=seed,
        environment=environment,
        networks=checked,
        faults=faults,
        speed=None if usual is None else float(np.mean([network.reference_ms for network in checked])) / usual,
    )


def _timed_before(home: DeviceHome, environment: dict[str, str]) -> set[str]:
    """The digests that batches have timed."""
    if not home.timings.exists():
        return set()
    with TimingStore(home.timings, environment) as store:
        return {timing.digest for timing in store.timings()}
