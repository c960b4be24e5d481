"""A table from few networks: which of them are timed, and the model that they make with what other devices cost."""

from __future__ import annotations

import datetime
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nas.errors import InputError
from nas.files import write_bytes
from nas.graph.operators import OperatorTable
from nas.latency.day import BATCH_SPREAD, BATCHES, PROCESS_SPREAD, REFERENCE_MS, batch_spread, process_spread
from nas.latency.device import DEVICE_FILE
from nas.latency.home import DeviceHome
from nas.latency.model import COEFFICIENTS_FILE, TABLE_FILE, HasSegments, LatencyModel
from nas.latency.operator_model import OperatorModel
from nas.latency.printed import segment_rows
from nas.latency.table.rows import table_text
from nas.latency.transfer.networks import (
    LEAST_NETWORKS,
    LeftOut,
    TransferredOperators,
    device_of,
    fit_networks_of,
    leave_out,
    telling,
)
from nas.measure.fit import TIMINGS_SHA256, Observations, device_text, keep_space, scores_of, timings_digest
from nas.measure.plan import REFERENCE_NETWORK, Item, network_item
from nas.measure.store import REFERENCE, StoredTiming
from nas.runtimes import Runtime
from nas.space import known_networks
from nas.space.load import reference_of
from nas.space.search_space import SearchSpace

FEW = 20
"""Up to so many networks, the reference among them, are chosen to tell most with other devices' help."""
MOST_HELPED = 60
"""Timed networks beyond which a device is fitted alone, as after a full build, whatever was asked for."""
LEAST = LEAST_NETWORKS + 1
"""Networks that must be timed, the reference among them."""
_POOL = 240
_LARGEST_KNOWN = 1_000_000_000
"""Multiply-adds above which known networks are unlike those of a space, and take long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FewTable:
    """What came of few networks: the model, in `folder`; how each network is predicted from the others; rows that were
    printed; and the networks that could not be timed (name → reason)."""

    folder: Path
    operators: TransferredOperators
    left_out: LeftOut
    networks: int
    rows: int
    space: str
    space_reference: str
    faults: Mapping[str, str]

    def as_json(self) -> dict[str, Any]:
        """What was made, and how networks left out of the fit were predicted."""
        errors = {"with other devices' costs": self.left_out.ours, "one other device, scaled": self.left_out.scaled}
        return {
            "device": self.operators.manifest["device"],
            "folder": str(self.folder),
            "networks": self.networks,
            "rows": self.rows,
            "space": self.space,
            "model": self.operators.manifest["model"],
            "others": list(self.operators.names),
            "left_out": {name: scores_of(off) for name, off in errors.items()},
            "inside_interval_left_out": self.left_out.inside,
            "half_width": float(np.median(self.left_out.half_width)),
            "faults": dict(self.faults),
            "manifest": dict(self.operators.manifest),
        }


def is_helped(timings: Sequence[StoredTiming]) -> bool:
    """Whether so few networks are timed that other devices help."""
    return len({timing.digest for timing in timings}) <= MOST_HELPED


def few_items(
    space: SearchSpace, runtime: Runtime, others: Sequence[OperatorModel], count: int, seed: int = 0
) -> list[Item]:
    """`count` networks, two of `space` and a known one by turns, that tell most together of a new device whose others
    these are; the first of them are those of a smaller count. The reference is none of them: it is timed anyway."""
    drawn = space.sample(_POOL, np.random.default_rng(seed))
    found = {network.digest: network_item(network, "space", runtime) for network in drawn}
    known = (network for network in known_networks() if network.macs <= _LARGEST_KNOWN)
    found |= {network.digest: network_item(network, "known", runtime) for network in known}
    pool = [item for item in found.values() if item.name != REFERENCE_NETWORK]
    is_known = np.array([item.role == "known" for item in pool])
    turns = [is_known if place % 3 == 2 else ~is_known for place in range(count)]
    return [pool[i] for i in telling(others, [operators_of(item.segments) for item in pool], turns)]


def operators_of(segments: Sequence[HasSegments]) -> OperatorTable:
    """All operators of a network."""
    return OperatorTable.concatenate([segment.operators for segment in segments])


def fit_few(
    home: DeviceHome,
    space: SearchSpace,
    timings: Sequence[StoredTiming],
    environment: Mapping[str, str],
    others: Sequence[OperatorModel],
    *,
    faults: Mapping[str, str] | None = None,
) -> FewTable:
    """Fit the operator costs of a device to few `timings` and to what operators cost on `others`; write its files.

    Batches are brought to the usual speed by the reference in them. The same timings and others give the same bytes on
    the same machine and day. Raises `InputError` for fewer than `LEAST` networks.
    """
    found = Observations.of(timings)
    each = [one for one in found.each if one.role != REFERENCE]
    reference = next(one for one in found.each if one.role == REFERENCE)
    if len(each) + 1 < LEAST:
        raise InputError(
            f"{home.name} must have at least {LEAST} timed networks, the reference among them, but has"
            f" {len(each) + 1}; time more."
        )
    tables = [operators_of(one.segments) for one in (reference, *each)]
    latency_ms = np.array([found.usual, *(one.latency_ms / (1.0 + one.slow) for one in each)])
    left_out = leave_out(others, tables, latency_ms)
    names = list(map(device_of, others))
    today = datetime.date.today().isoformat()
    manifest = {
        "device": home.name,
        "date": today,
        "environment": dict(environment),
        "space": space.name,
        "networks": len(each),
        REFERENCE_MS: found.usual,
        BATCHES: len(found.slow),
        BATCH_SPREAD: batch_spread(found.slow),
        PROCESS_SPREAD: process_spread(found.slow),
        "model": model_words(len(tables), names, timed=True),
        "left_out": left_out.as_json(),
        "inside_interval_left_out": left_out.inside,
        "split": "networks left out one at a time",
        "others": names,
        "features": "operator columns of nas.graph.operators",
        TIMINGS_SHA256: timings_digest(timings),
        "versions": {"python": platform.python_version(), "numpy": np.__version__},
    }
    operators = fit_networks_of(others, tables, latency_ms, manifest=manifest)
    segments = {s.key: s for one in each for s in one.segments if s.operators.macs.sum() > 0.0}
    model = LatencyModel(device=home.device, rows={}, operators=operators)
    rows = segment_rows(model, list(segments.values()))
    told = {**environment, "latencies": str(manifest["model"])}
    keep_space(home, space)
    write_bytes(home.own_folder / DEVICE_FILE, device_text(home.device, told, today))
    write_bytes(home.own_folder / COEFFICIENTS_FILE, operators.to_json().encode())
    write_bytes(home.own_folder / TABLE_FILE, table_text(rows).encode())
    return FewTable(
        folder=home.own_folder,
        operators=operators,
        left_out=left_out,
        networks=len(each),
        rows=len(rows),
        space=space.name,
        space_reference=reference_of(space),
        faults=faults or {},
    )


def model_words(count: int, others: Sequence[str], *, timed: bool) -> str:
    """What such a model is made of, for people."""
    what = "measurements" if timed else "published or imported latencies"
    return f"modelled from {count} {what} of whole networks and the operator costs of {', '.join(others)}"
