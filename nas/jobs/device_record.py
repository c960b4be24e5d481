"""What a device's latencies rest on, as one document: compared figures, errors on what was left out, what it covers."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median
from typing import Any

from nas.errors import InputError, NasError, UnknownOperatorError, briefly
from nas.jobs.lut import describe
from nas.jobs.lut_build import timed_environment
from nas.latency import DeviceHome, LatencyModel, load_latency
from nas.latency.load import NETWORKS_FILE, load_calibration
from nas.latency.model import COEFFICIENTS_FILE, TABLE_FILE
from nas.measure.store import REFERENCE, StoredTiming, TimingStore
from nas.space import list_known

SCHEMA = 1
"""The version of the document of a device."""


def device_record(home: DeviceHome) -> dict[str, Any]:
    """The device; `compared`: what its model says of networks that were published or measured there, and these figures;
    `left_out`: errors on networks left out of the fit; `coverage`: its rows by source; `networks`: the known networks
    with their latencies, or why they have none; `notes`: what could not be read.

    A device that has neither a table nor costs yet has its facts alone.
    """
    record: dict[str, Any] = {"schema": SCHEMA, "device": home.device.as_json(), "notes": []}
    if not any((home.folder / name).exists() for name in (TABLE_FILE, COEFFICIENTS_FILE)):
        return record
    model, about = load_latency(home), describe(home)
    manifest: Mapping[str, Any] = about["manifest"]
    try:
        compared = _measured(home, model) or _published(home, model)
    except NasError as error:  # another program holds the timings, or they are of other conditions than its file says
        compared = []
        record["notes"].append(str(error))
    return {
        **record,
        "fixed_ms": about["fixed_ms"],
        "rows": about["rows"],
        "coverage": about["coverage"],
        "left_out": manifest.get("left_out") or manifest.get("scores") or {},
        "compared": compared,
        "networks": [_known(model, network.architecture) for network in list_known()],
    }


def _known(model: LatencyModel, network: Any) -> dict[str, Any]:
    record = {"name": network.name, "params": network.params, "macs": network.macs}
    try:
        return {**record, "latency": model.estimate(network).as_json(), "fault": None}
    except UnknownOperatorError as error:
        return {**record, "latency": None, "fault": briefly(str(error))}


def _published(home: DeviceHome, model: LatencyModel) -> list[dict[str, Any]]:
    """The published rows that the device was calibrated by; those without an operator that the model knows are left
    out."""
    if not (home.folder / NETWORKS_FILE).exists():
        return []
    try:
        data = load_calibration(home)
    except InputError:  # too few rows to calibrate by
        return []
    found = []
    for row in data.rows:
        predicted = model.estimate(data.tables[row.network])
        record = {"name": row.network, "ms": row.latency_ms, "source": row.source, "predicted": predicted.as_json()}
        found.append(record)
    return found


def _measured(home: DeviceHome, model: LatencyModel) -> list[dict[str, Any]]:
    """The networks that were timed on the device, each with the median of its times."""
    if not home.timings.exists():
        return []
    with TimingStore(home.timings, timed_environment(home)) as store:
        timings = [one for one in store.timings() if one.role != REFERENCE]
    by_digest: dict[str, list[StoredTiming]] = {}
    for timing in timings:
        by_digest.setdefault(timing.digest, []).append(timing)
    return [
        {
            "name": own[0].name,
            "ms": median(timing.latency_ms for timing in own),
            "source": "measured",
            "predicted": model.estimate_segments(own[0].segments).as_json(),
        }
        for own in by_digest.values()
    ]
