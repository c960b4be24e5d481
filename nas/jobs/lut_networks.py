"""Whole networks that somebody timed, as a CSV file: a device's latencies with the help of other devices' costs.

The rows join the device's `networks.csv`; `devices` in its `calibration.yaml` are those that help. What is made of both
by `nas lut import` is made again by `nas lut fit`.
"""

from __future__ import annotations

import hashlib
import math
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from nas.errors import InputError
from nas.files import write_bytes
from nas.graph.operators import OperatorTable, packed_operator_lists, read_operator_lists
from nas.jobs.lut import table_segments
from nas.jobs.lut_few import helping_devices
from nas.jobs.network_times import networks_text, operators_of_network, read_network_times
from nas.latency import DeviceHome, LatencyModel, device_home, load_latency
from nas.latency.device import DEVICE_FILE
from nas.latency.load import LISTS_FILE, NETWORKS_FILE, PLAN_FILE, network_of_row
from nas.latency.model import COEFFICIENTS_FILE, TABLE_FILE, read_latency_model
from nas.latency.operator_model import OperatorModel
from nas.latency.printed import segment_rows
from nas.latency.published.calibrate import ONE_FAMILY
from nas.latency.published.cost_model import Floats
from nas.latency.published.rows import PublishedRow, read_published
from nas.latency.published.scores import read_plan
from nas.latency.table.rows import read_table, table_text
from nas.latency.transfer.networks import (
    LEAST_NETWORKS,
    LeftOut,
    TransferredOperators,
    device_of,
    fit_networks_of,
    leave_out,
)
from nas.measure.believable import work
from nas.measure.few import model_words
from nas.measure.fit import TIMINGS_SHA256

_MOST_UNSURE = 100.0
"""How many times longer or shorter than a model says its own networks may take, in the median: one that is less sure
knows nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FromNetworks:
    """What `networks.csv` made of a device: the model, in `folder`; how each network is predicted from the others (None
    of fewer than four); how many rows are new, and how many it has now."""

    folder: Path
    operators: TransferredOperators
    left_out: LeftOut | None
    added: int
    rows: int

    def as_json(self) -> dict[str, Any]:
        """The record of an import, or of a fit."""
        return {
            "device": self.operators.manifest["device"],
            "folder": str(self.folder),
            "form": NETWORKS_FILE,
            "added": self.added,
            "rows": self.rows,
            "model": self.operators.manifest["model"],
            "others": list(self.operators.names),
            "left_out": self.left_out.as_json() if self.left_out else {},
            "manifest": dict(self.operators.manifest),
        }


def helped_by(home: DeviceHome) -> tuple[str, ...]:
    """The devices that help this one, as its `calibration.yaml` says; none where its rows are calibrated alone."""
    return read_plan(home.folder / PLAN_FILE).devices


def import_networks(home: DeviceHome, path: Path) -> FromNetworks:
    """Take the latencies in the CSV file at `path` into a device's `networks.csv`, and fit its costs to all of these.

    The columns `network` (a known name, or an architecture or ONNX file, from the CSV's folder) and `latency_ms` must
    be there; the others of `networks.csv` may. A network that is there already gets the new latency. Raises
    `InputError` for a bad file, fewer than three networks in all, latencies that tell nothing of other networks, and a
    device whose latencies come from elsewhere; nothing is changed then.
    """
    _check_unmeasured(home)
    new, lists = read_network_times(path, home.device)
    before = read_published(home.folder / NETWORKS_FILE) if (home.folder / NETWORKS_FILE).exists() else []
    replaced = {(row.network, row.protocol) for row in new}
    rows = [*(row for row in before if (row.network, row.protocol) not in replaced), *new]
    if len({row.network for row in rows}) < LEAST_NETWORKS:
        raise InputError(f"{path}: a device needs at least {LEAST_NETWORKS} networks, but has {len(rows)}; time more.")
    kept = _lists_of(home) | lists
    devices = helped_by(home) or tuple(map(device_of, helping_devices(home)))
    others, tables = _others(devices), _tables(home, rows, kept)
    files = {NETWORKS_FILE: networks_text(rows).encode()}
    if kept:
        files[LISTS_FILE] = packed_operator_lists(sorted(kept.items()))
    files[PLAN_FILE] = yaml.safe_dump({"devices": list(devices)}, sort_keys=False).encode()
    return _fit(home, rows, tables, others, files, added=len(new))


def fit_from_networks(home: DeviceHome) -> FromNetworks:
    """Fit the costs of a device to its `networks.csv` with the help that its `calibration.yaml` names; write
    coefficients.json and table.csv to the workspace's folder of it, copies of the inputs beside them.

    Raises `InputError` for bad files, fewer than three networks, latencies that tell nothing of other networks, and a
    device that helps and has no costs.
    """
    rows = _published_rows(home)
    tables, others = _tables(home, rows, _lists_of(home)), _others(helped_by(home))
    places = [home.folder / name for name in (NETWORKS_FILE, LISTS_FILE, PLAN_FILE)]
    files = {place.name: place.read_bytes() for place in places if place.exists()}
    return _fit(home, rows, tables, others, files, added=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOutNetworks:
    """The rows of a device with the help of others, each predicted without its network and without its family (None
    where all are of one)."""

    rows: Sequence[PublishedRow]
    by_network: LeftOut
    by_family: LeftOut | None

    def as_json(self) -> dict[str, Any]:
        """Errors, the share inside the intervals, and each network."""
        printed = [row.latency_ms for row in self.rows]
        return {
            "rows": {"calibrating": len(self.rows), "networks": len({row.network for row in self.rows})},
            "network_out": self.by_network.as_json(),
            "family_out": self.by_family.as_json() if self.by_family else None,
            "intervals": {
                "coverage": self.by_network.inside,
                "median_half_width": float(np.median(self.by_network.half_width)),
            },
            "networks": [
                {"network": row.network, "published_ms": ms, "predicted_ms": float(ms * np.exp(error))}
                for row, ms, error in zip(self.rows, printed, self.by_network.ours, strict=True)
            ],
        }


def verify_from_networks(home: DeviceHome) -> LeftOutNetworks:
    """Predict each network of a device with the help of others from the rest, and each family from the others."""
    rows = _published_rows(home)
    tables, others, latency_ms = _tables(home, rows, _lists_of(home)), _others(helped_by(home)), _latencies(rows)
    least = _least(rows)
    families = _numbers([row.family for row in rows])
    by_family = leave_out(others, tables, latency_ms, group=families) if len(set(families.tolist())) > 1 else None
    networks = _numbers([row.network for row in rows])
    by_network = leave_out(others, tables, latency_ms, group=networks, least=least)
    return LeftOutNetworks(rows=rows, by_network=by_network, by_family=by_family)


def _fit(
    home: DeviceHome,
    rows: Sequence[PublishedRow],
    tables: Sequence[OperatorTable],
    others: Sequence[OperatorModel],
    files: Mapping[str, bytes],
    *,
    added: int,
) -> FromNetworks:
    """The fit to `rows`; `files` are what it is made of, by name, which are written with what comes of it."""
    folder, latency_ms, least = home.own_folder, _latencies(rows), _least(rows)
    networks = _numbers([row.network for row in rows])
    few = len(set(networks.tolist())) <= LEAST_NETWORKS
    left_out = None if few else leave_out(others, tables, latency_ms, group=networks, least=least)
    names = list(map(device_of, others))
    manifest = {
        "device": home.name,
        "date": max(row.date for row in rows),
        "model": model_words(len(rows), names, timed=False),
        "left_out": left_out.as_json() if left_out else {},
        "inside_interval_left_out": left_out.inside if left_out else None,
        "rows": len(rows),
        "networks": len({row.network for row in rows}),
        "families": len({row.family for row in rows}),
        "others": names,
        "split": "networks left out one at a time",
        "features": "operator columns of nas.graph.operators",
        "inputs_sha256": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
        "versions": {"python": platform.python_version(), "numpy": np.__version__},
    }
    operators = fit_networks_of(others, tables, latency_ms, source="modelled", least=least, manifest=manifest)
    _require_told(operators, rows, tables)
    model = LatencyModel(device=home.device, rows={}, operators=operators)
    before = read_table(home.folder / TABLE_FILE) if (home.folder / TABLE_FILE).exists() else {}
    timed = {key: row for key, row in before.items() if row.source != "modelled"}
    printed = {row.segment: row for row in segment_rows(model, table_segments())}
    table = table_text(sorted((printed | timed).values(), key=lambda row: row.segment))
    for name, content in files.items():
        if not (folder / name).exists() or (folder / name).read_bytes() != content:
            write_bytes(folder / name, content)
    write_bytes(folder / COEFFICIENTS_FILE, operators.to_json().encode())
    write_bytes(folder / TABLE_FILE, table.encode())
    write_bytes(folder / DEVICE_FILE, (home.folder / DEVICE_FILE).read_bytes())
    return FromNetworks(folder=folder, operators=operators, left_out=left_out, added=added, rows=len(rows))


def _require_told(
    operators: TransferredOperators, rows: Sequence[PublishedRow], tables: Sequence[OperatorTable]
) -> None:
    """Raises `InputError`, naming the latency that is farthest off the others, where these tell nothing of others."""
    costs = [operators.costs(table) for table in tables]
    mean_ms = operators.fixed_ms + np.array([ms.sum() for ms, _ in costs])
    doubts = np.stack([doubts.sum(axis=0) for _, doubts in costs])
    half = float(np.median(operators.half_width(mean_ms, doubts, np.zeros(len(tables)))))
    if half <= math.log(_MOST_UNSURE):
        return
    pace = _latencies(rows) / [work(float(table.macs.sum())) for table in tables]
    off = pace / np.median(pace)
    odd = int(np.abs(np.log(off)).argmax())
    raise InputError(
        f"{NETWORKS_FILE}: latencies must tell what other networks take, but by these a network may take over"
        f" {_MOST_UNSURE:g} times as long as is thought; the oddest is {rows[odd].network}: {rows[odd].latency_ms:g} ms"
        f" is {off[odd]:.3g} times what the others say of a network of its size; correct it, or leave it out."
    )


def _others(devices: Sequence[str]) -> list[OperatorModel]:
    """The operator costs of the devices that help."""
    found = []
    for name in devices:
        model = load_latency(device_home(name)).operators
        if model is None or isinstance(model, TransferredOperators):
            raise InputError(
                f"{PLAN_FILE}: devices must have operator costs of their own, but {name} has"
                f" {'none' if model is None else 'those of other devices'}; name others."
            )
        found.append(model)
    return found


def _check_unmeasured(home: DeviceHome) -> None:
    """Raises `InputError` where the costs of a device come of timings here, or of published rows without help."""
    if not (home.folder / COEFFICIENTS_FILE).exists():
        return
    model = read_latency_model(home.device, home.folder).operators
    if not isinstance(model, TransferredOperators) or TIMINGS_SHA256 in model.manifest:
        raise InputError(
            f"{home.name} must have no latencies but those of imported networks, but its own are fitted to other"
            " figures; add a device of another name (`nas device add FILE`)."
        )


def _published_rows(home: DeviceHome) -> list[PublishedRow]:
    rows = read_published(home.folder / NETWORKS_FILE)
    if len({row.network for row in rows}) < LEAST_NETWORKS:
        raise InputError(
            f"{home.folder / NETWORKS_FILE} must hold at least {LEAST_NETWORKS} networks, but has {len(rows)}; add"
            " some."
        )
    return rows


def _tables(home: DeviceHome, rows: Sequence[PublishedRow], lists: Mapping[str, OperatorTable]) -> list[OperatorTable]:
    """The operators of each row's network: from the lists, else of what its name says, as the device's runtime has
    them."""
    found = {
        name: lists.get(name) or operators_of_network(home.device, network_of_row(home.folder, name))
        for name in dict.fromkeys(row.network for row in rows)
    }
    return [found[row.network] for row in rows]


def _lists_of(home: DeviceHome) -> dict[str, OperatorTable]:
    return dict(read_operator_lists(home.folder / LISTS_FILE)) if (home.folder / LISTS_FILE).exists() else {}


def _least(rows: Sequence[PublishedRow]) -> float:
    """Half of the narrowest interval: rows of one family do not tell what others stray by."""
    return ONE_FAMILY if len({row.family for row in rows}) == 1 else 0.0


def _latencies(rows: Sequence[PublishedRow]) -> Floats:
    return np.array([row.latency_ms for row in rows])


def _numbers(texts: Sequence[str]) -> NDArray[np.int64]:
    order = {text: i for i, text in enumerate(dict.fromkeys(texts))}
    return np.array([order[text] for text in texts])
