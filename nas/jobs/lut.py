"""Latency tables as a user handles them: fit, verify, predict, describe."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from nas.errors import InputError
from nas.files import sha256, write_bytes
from nas.graph import Graph, OperatorTable, Segment
from nas.graph.graph import single
from nas.latency import Device, DeviceHome, Estimate, LatencyModel, load_latency
from nas.latency.device import DEVICE_FILE, ROOM, read_device
from nas.latency.load import LISTS_FILE, NETWORKS_FILE, PLAN_FILE, load_calibration, published_index, read_network
from nas.latency.model import COEFFICIENTS_FILE, TABLE_FILE
from nas.latency.printed import segment_rows
from nas.latency.published.calibrate import FEW, FOLDS, Calibrated
from nas.latency.published.predictor import OperatorPredictor, make_predictor
from nas.latency.published.rows import Calibration, PublishedRow
from nas.latency.published.scores import Verification, read_plan, verify
from nas.latency.published.validate import LeftOut, Progress, fit_and_judge
from nas.latency.table.coverage import coverage
from nas.latency.table.rows import read_table, table_text
from nas.onnx.sizes import InputShapes
from nas.resources import check_name, workspace
from nas.space import Architecture, known_names, known_network
from nas.space.load import load_space
from nas.space.search_space import SearchSpace

TABLE_SPACE, TABLE_SEGMENTS = "mobile", 3000
"""`table.csv` of a fitted device prints the segments of known networks, then of networks drawn from this space."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """What `fit_device` wrote: the predictor and the number of table rows, in `folder`; how networks left out were
    predicted, and whether all rows were of one family."""

    folder: Path
    predictor: OperatorPredictor
    calibrated: Calibrated
    left_out: LeftOut
    one_family: bool
    table_rows: int


def fit_device(home: DeviceHome, progress: Progress = lambda done, total: None) -> Fitted:
    """Fit the operator costs of a device to its `networks.csv`; write coefficients.json and table.csv.

    Rows of the table that no model printed stay as they are. The files go to the device's folder in the workspace,
    which gets copies of the inputs where the device is a shipped one. The same inputs give the same bytes on the same
    machine. Raises `NasError`, and writes nothing, where no model predicts networks that were left out.
    """
    source, folder = home.folder, home.own_folder
    data = load_calibration(home)
    with threadpool_limits(limits=1, user_api="blas"):
        found, left_out = fit_and_judge(data, progress)
    inputs = [name for name in (NETWORKS_FILE, LISTS_FILE, PLAN_FILE) if (source / name).exists()]
    manifest = _manifest(home.name, data, found, left_out, {name: sha256(source / name) for name in inputs})
    predictor = make_predictor(found, manifest)
    model = LatencyModel(device=home.device, rows={}, operators=predictor)
    printed = {row.segment: row for row in segment_rows(model, table_segments())}
    before = read_table(source / TABLE_FILE) if (source / TABLE_FILE).exists() else {}
    timed = {key: row for key, row in before.items() if row.source != "modelled"}
    rows = sorted((printed | timed).values(), key=lambda row: row.segment)
    if folder.resolve() != source.resolve():
        for name in (DEVICE_FILE, *inputs):
            if (source / name).exists():
                write_bytes(folder / name, (source / name).read_bytes())
    write_bytes(folder / COEFFICIENTS_FILE, predictor.to_json().encode())
    write_bytes(folder / TABLE_FILE, table_text(rows).encode())
    return Fitted(
        folder=folder,
        predictor=predictor,
        calibrated=found,
        left_out=left_out,
        one_family=len(set(data.family.tolist())) == 1,
        table_rows=len(rows),
    )


def _manifest(
    device: str, data: Calibration, found: Calibrated, left_out: LeftOut, checksums: dict[str, str]
) -> dict[str, Any]:
    few = data.by_kind and len(set(data.identity.tolist())) <= FEW
    groups = "one by one" if few else f"in {FOLDS} groups"
    return {
        "device": device,
        "date": max(row.date for row in data.rows),
        "model": found.name if data.by_kind or found.share == 0.0 else f"operator costs, own priors ({found.name})",
        "roofline_share": found.share,
        "left_out": left_out.as_json(),
        "form": list(found.form),
        "features": "operator columns of nas.graph.operators",
        "kinds": sorted({str(kind) for kind in data.workload.operators.kind}),
        "rows": len(data.rows),
        "networks": len(data.networks),
        "split": f"model and interval: networks left out {groups}; nested: `nas lut verify --device {device}`",
        "scores": {name: round(loss, 6) for name, loss in found.losses.items()},
        "score": "mean Student-t loss of log errors on left-out networks, by model; see docs/latency.md for the choice",
        "reference": "the average source",
        "source_offsets": {
            name: round(float(offset), 6) for name, offset in zip(data.sources, found.fit.offsets, strict=True)
        },
        "inputs_sha256": checksums,
        "versions": {"python": platform.python_version(), "numpy": np.__version__},
    }


def table_segments() -> list[Segment]:
    """Distinct segments: those of the known networks, then of networks drawn from `TABLE_SPACE` with seed 0."""
    space, rng = load_space(TABLE_SPACE), np.random.default_rng(0)
    if not isinstance(space, SearchSpace):
        raise InputError(f"the search space {TABLE_SPACE} must be one of networks, to print a table of their segments.")

    def networks() -> Iterator[Architecture]:
        yield from (known_network(name) for name in known_names())
        while True:
            yield from space.sample(64, rng)

    found: dict[str, Segment] = {}
    for segment in chain.from_iterable(network.graph().segments for network in networks()):
        found.setdefault(segment.key, segment)
        if len(found) == TABLE_SEGMENTS:
            break
    return list(found.values())


def verify_device(home: DeviceHome, progress: Progress) -> Verification:
    """The nested scores of a device's calibration; a minute or two of computing."""
    with threadpool_limits(limits=1, user_api="blas"):
        return verify(load_calibration(home), read_plan(home.folder / PLAN_FILE), progress)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What was predicted: multiply-adds of the whole batch (`uncounted`: the operators of which they are not known),
    learned numbers, what it computes in, images at once."""

    macs: int
    params: int
    precision: str
    batch: int
    uncounted: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The part of the document of `nas lut predict` that is about the network."""
        return {
            "macs": self.macs,
            "macs_are_a_lower_bound": bool(self.uncounted),
            "params": self.params,
            "precision": self.precision,
            "batch": self.batch,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """A network's latency, what it is of, what others published of it, its segments with the time of all images there,
    and what the model is made of, where other devices helped."""

    estimate: Estimate
    facts: Facts
    published: list[PublishedRow]
    segments: list[tuple[str, float]]
    model: str = ""


def predict(
    home: DeviceHome,
    network: str,
    *,
    input_shape: InputShapes | None = None,
    batch: int | None = None,
    model: LatencyModel | None = None,
) -> Prediction:
    """The latency of `network` (an ONNX file, a known name, an architecture file, a zoo folder) on a device.

    `input_shape` and `batch` are those of `nas.onnx.reader.read_onnx`; `model` is the device's own, unless another is
    given.
    """
    model = model or load_latency(home)
    found = read_network(network, input_shape=input_shape or None, batch=batch)
    graph = found if isinstance(found, Graph) else found.graph()
    one = single(graph)
    segments = model.segments(found if one is graph else one)
    costs = model.segment_costs([s.key for s in segments], [s.operators for s in segments])
    operators = OperatorTable.concatenate([segment.operators for segment in segments])
    often = graph.batch / one.batch
    return Prediction(
        estimate=model.estimate(found),
        facts=Facts(
            macs=graph.macs,
            params=graph.params,
            precision=graph.precision or home.device.precision,
            batch=graph.batch,
            uncounted=graph.reading.uncounted,
        ),
        published=published_index(home).find(operators) if graph.batch == 1 else [],
        segments=[(s.key, float(ms * often)) for s, ms in zip(segments, costs.mean_ms, strict=True)],
        model=_helped_words(model),
    )


def _helped_words(model: LatencyModel) -> str:
    """What latencies are made of that other devices helped with, "" of others."""
    manifest = model.operators.manifest if model.operators else {}
    return str(manifest["model"]) if "others" in manifest and "model" in manifest else ""


def add_device(file: Path) -> tuple[Device, Path]:
    """Check the device file and copy it to a folder of its name in the workspace; the device and where it is.

    Raises `InputError` for a bad file, and where the workspace has that device already.
    """
    device = read_device(file)
    check_name(device.name, what="device")
    place = workspace() / ROOM / device.name / DEVICE_FILE
    if place.exists():
        raise InputError(f"a device must be new, but {place} is there already; edit it, or remove it first.")
    write_bytes(place, file.read_bytes())
    return device, place


def fitted_model(home: DeviceHome) -> dict[str, Any]:
    """What the manifest of a fitted device says of its model and of its left-out errors; empty where there is none."""
    if not (home.folder / COEFFICIENTS_FILE).exists():
        return {}
    operators = load_latency(home).operators
    manifest = operators.manifest if operators else {}
    return {key: manifest[key] for key in ("model", "left_out") if key in manifest}


def describe(home: DeviceHome) -> dict[str, Any]:
    """The operator costs of a device with their meaning and manifest, its fixed time, and what stands behind the rows
    of its table, by source."""
    model = load_latency(home)
    fitted = model.operators.as_json() if model.operators else {"coefficients": {}, "meaning": {}, "manifest": {}}
    table = home.folder / TABLE_FILE
    rows = read_table(table) if table.exists() else {}
    kept = {key: fitted[key] for key in ("coefficients", "meaning", "manifest")}
    return {
        "device": home.name,
        "fixed_ms": model.fixed_ms,
        "rows": len(rows),
        "coverage": [part.as_json() for part in coverage(rows.values())],
        **kept,
    }
