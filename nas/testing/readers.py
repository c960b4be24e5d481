"""Every reader of a file, each with a healthy example, and what reading a damaged one may do.

A reader gives the numbers that come of a file. For whatever is in the file it must end soon, with finite numbers or
with a `NasError` that is one paragraph.
"""

from __future__ import annotations

import io
import json
import math
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from nas.accuracy.artifact import ARRAYS_FILE, MANIFEST_FILE, prior_folder, read_prior, write_prior
from nas.accuracy.gaussian_process import Rows
from nas.accuracy.one_space import OFA_FILE, read_ofa
from nas.accuracy.prior import Prior
from nas.accuracy.published import ROW_COLUMNS, read_published_rows
from nas.documents import parse_yaml, read_yaml
from nas.errors import NasError
from nas.files import sha256
from nas.graph.operators import NUMERIC_COLUMNS, OperatorTable, read_operator_lists, write_operator_lists
from nas.jobs.network_times import read_network_times
from nas.latency.day import LEVELS_FILE, read_looks
from nas.latency.device import DEVICE_FILE, Device, read_device
from nas.latency.home import DeviceHome
from nas.latency.load import LISTS_FILE, NETWORKS_FILE, PLAN_FILE, published_index, resolve_segments
from nas.latency.model import COEFFICIENTS_FILE, TABLE_FILE, read_latency_model
from nas.latency.published.scores import read_plan
from nas.latency.table.operator_times import read_operator_times
from nas.latency.table.timings import read_timed_texts
from nas.latency.timed.operator_shapes import NUM_COORDINATES, NUM_TERMS
from nas.latency.timed.regressor import GroupResidual, OperatorRegressor
from nas.latency.transfer.networks import fit_networks_of
from nas.measure.bundle import Bundle, BundledFile, bundled, read_bundle, write_manifest
from nas.measure.bundle_times import read_times, timings_text
from nas.measure.plan import network_item, probe_item
from nas.measure.store import NewTiming, StoredSegment, TimingStore
from nas.onnx.reader import read_onnx
from nas.report.zoo_text import entries_text
from nas.resources import shipped_room
from nas.runners.timing import Summary, Timing
from nas.runs import RunStore
from nas.runtimes import OWN
from nas.space import known_network, load_architecture, load_space, parse_architecture
from nas.space.lowering import lower
from nas.space.seeds import instantiate, read_family
from nas.testing.data_readers import DATA_READERS
from nas.testing.fuzzing import Reader, write_anew
from nas.zoo.entry import CARD, entries_and_faults
from nas.zoo.formats import FORMATS

DEVICE = Device(
    name="mine", chip="c", runtime="r", compute_unit="CPU", precision="float32", protocol="p", date="2026", source="me"
)
ROWS: list[tuple[str | float, ...]] = [
    ("dense", 3, 2, 1, 3, 8, 16, 16, 3 * 9 * 8 * 256, 3072, 2048, 216),
    ("dw", 3, 1, 8, 8, 8, 16, 16, 9 * 8 * 256, 2048, 2048, 72),
    ("act:relu", 1, 1, 1, 0, 8, 16, 16, 0, 2048, 2048, 0),
    ("other:thing", 1, 1, 1, 0, 8, 16, 16, 0, 2048, 2048, 0),
    ("lin", 1, 1, 1, 8, 10, 1, 1, 80, 8, 10, 80),
]
OPERATORS = OperatorTable.from_rows(ROWS)
LAYERS = """\
schema: 1
name: small
resolution: 32
num_classes: 5
layers:
- {block: conv, out: 8, stride: 2}
- {block: mbconv, out: 8, hidden: 16, kernel: 3}
- {block: head}
"""


_SMALL = parse_architecture(parse_yaml(LAYERS, name="small"), "small")


def _text(name: str, text: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / name).write_text(text, encoding="utf-8")
        return folder / name

    return write


def _shipped(room: str, relative: str, name: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / name).write_bytes((shipped_room(room) / relative).read_bytes())
        return folder / name

    return write


def _device(folder: Path) -> Iterable[float]:
    return [read_device(folder / DEVICE_FILE).threads]


def _prediction(folder: Path) -> Iterable[float]:
    """What the latency model in the folder says of networks, of a segment and of a sum."""
    model = read_latency_model(DEVICE, folder, resolve=resolve_segments)
    found = [model.estimate(_SMALL), *([model.estimate(OPERATORS)] if model.operators else [])]
    return [value for one in found for value in (one.mean_ms, one.low_ms, one.high_ms, *one.shares.values())]


def _table(folder: Path) -> Path:
    segments = lower(_SMALL, OWN)
    lines = ["segment,mean_ms,low_ms,high_ms,count,source,date"]
    lines += [f'"{segment.key}",{0.5 + i},{0.4 + i},{0.7 + i},{i},measured,2026' for i, segment in enumerate(segments)]
    return _text(TABLE_FILE, "\n".join(lines) + "\n")(folder)


def _regressor() -> OperatorRegressor:
    rng = np.random.default_rng(0)
    residual = GroupResidual(
        centres=rng.normal(size=(3, NUM_COORDINATES)), weights=np.full(3, 0.1), certainty=0.1 * np.eye(3)
    )
    return OperatorRegressor(
        fixed_ms=0.05, groups=("dense", "lin"), roofline=rng.uniform(0.1, 2.0, (3, NUM_TERMS)),
        residuals={"dense": residual}, scale=0.2, length=1.5, floor=0.03, factor=1.5, manifest={"device": "mine"},
    )  # fmt: skip


def _regression(folder: Path) -> Path:
    return _text(COEFFICIENTS_FILE, _regressor().to_json())(folder)


def _transferred(folder: Path) -> Path:
    """A device of six networks, which another one helps."""
    tables = [OPERATORS, OPERATORS.select(slice(0, 2)), OPERATORS.select(slice(0, 3))]
    networks = [*tables, *(OperatorTable.concatenate([one, OPERATORS]) for one in tables)]
    latency_ms = np.array([2.0, 1.4, 1.5, 4.1, 3.3, 3.4])
    model = fit_networks_of([_regressor()], networks, latency_ms, manifest={"device": "mine"})
    return _text(COEFFICIENTS_FILE, model.to_json())(folder)


def _network_times(folder: Path) -> Path:
    return _text("times.csv", "network,latency_ms\nmobilenetv2-0.35@96,3.5\nmobilenetv1-0.25,4.25\n")(folder)


def _network_times_read(folder: Path) -> Iterable[float]:
    rows, _ = read_network_times(folder / "times.csv", DEVICE)
    return [value for row in rows for value in (row.latency_ms, row.rounding_ms)]


_COLUMNS = "network,family,resolution,head,scope,latency_ms,rounding_ms,protocol,source,date"


def _networks(folder: Path) -> Path:
    write_operator_lists(folder / LISTS_FILE, [("net-a", OPERATORS), ("net-b", OPERATORS)])
    rows = [
        f"net-{n},family,224,classifier,convolutional,{ms},0.1,paper,arXiv,2024" for n, ms in (("a", 1.5), ("b", 2.5))
    ]
    rows.append("mobilenetv2-0.6@192,family,192,classifier,convolutional,1.1,0.1,paper,arXiv,2024")
    return _text(NETWORKS_FILE, "\n".join([_COLUMNS, *rows]) + "\n")(folder)


def _published(folder: Path) -> Iterable[float]:
    home = DeviceHome(device=DEVICE, folder=folder, own_folder=folder, timings=folder / "t.db")
    return [row.latency_ms for row in published_index(home).find(OPERATORS)]


def _lists(folder: Path) -> Path:
    write_operator_lists(folder / LISTS_FILE, [("a", OPERATORS), ("b", OPERATORS)])
    return folder / LISTS_FILE


def _listed(folder: Path) -> Iterable[float]:
    tables = read_operator_lists(folder / LISTS_FILE).values()
    return [float(getattr(table, column).sum()) for table in tables for column in NUMERIC_COLUMNS]


def _plan(folder: Path) -> Iterable[float]:
    return [value for pair in (read_plan(folder / PLAN_FILE).priors or {}).values() for value in pair]


def _space(folder: Path) -> Iterable[float]:
    found = load_space(folder / "space.yaml")
    return [len(found.genes), math.log(max(int(str(found.size)), 1))]


def _architecture(folder: Path) -> Iterable[float]:
    found = load_architecture(folder / "architecture.yaml")
    return [found.params, found.macs]


def _family(folder: Path) -> Iterable[float]:
    family = read_family(folder / "family.yaml")
    return [instantiate(family, variant).architecture.params for variant in family.variants]


def _zoo(folder: Path) -> Path:
    own = folder / "net"
    own.mkdir(exist_ok=True)
    (own / CARD).write_text("# net\n", encoding="utf-8")
    manifest = {
        "schema": 1, "name": "net", "digest": "d", "untrained": False, "created": "2026-01-01T00:00:00", "nas": "1",
        "run": None, "seed": 0, "resolution": [32, 48], "in_channels": 3, "num_classes": 5, "params": 10,
        "training_params": 12, "macs": 100, "device": "iphone12",
        "latency": {"mean_ms": 1.0, "low_ms": 0.9, "high_ms": 1.2, "source": "modelled", "shares": {"modelled": 1.0}},
        "accuracy": {"mean": 0.7, "low": 0.6, "high": 0.8, "metric": "top1", "recipe": "r", "source": "predicted"},
        "published": None, "formats": [next(iter(FORMATS))], "checks": {},
        "files": {CARD: {"sha256": "0" * 64, "bytes": 3}},
    }  # fmt: skip
    (own / MANIFEST_FILE).write_text(json.dumps(manifest), encoding="utf-8")
    return own / MANIFEST_FILE


def _zoo_list(folder: Path) -> Iterable[float]:
    """The list of a zoo with the damaged folder in it."""
    found, faults = entries_and_faults(folder)
    records = [entry.as_json() for entry in found]
    text = entries_text(records)
    if faults:
        raise next(iter(faults.values()))
    figures = (record[key] for record in records for key in ("latency", "accuracy") if record.get(key))
    return [len(text), *(value for figure in figures for value in figure.values() if isinstance(value, float))]


_ENVIRONMENT = {"chip": "c", "runtime": "r 1", "threads": "1", "precision": "float32", "compute_unit": "CPU"}


def _timings(folder: Path) -> Path:
    path = folder / "timings.db"
    path.unlink(missing_ok=True)
    segments = [StoredSegment(key=f"s{i}", rows=tuple(ROWS[: i + 1])) for i in range(3)]
    runs = Timing(wall_ms=(1.5, 2.5), cpu_ms=(1.0, 2.0))
    with TimingStore(path, _ENVIRONMENT) as store:
        for kind, timing in (("a", runs), ("b", Summary(typical_ms=1.5, spread=0.1, count=3))):
            store.add_batch(
                [NewTiming(name=kind, digest=kind, role="space", segments=segments, timing=timing)], seconds=1.0
            )
    return path


def _timed(folder: Path) -> Iterable[float]:
    with TimingStore(folder / "timings.db", _ENVIRONMENT) as store:
        found = store.timings()
        return [store.seconds(), *(timing.latency_ms for timing in found)]


def _runs(folder: Path) -> Path:
    (folder / "nas.db").unlink(missing_ok=True)
    store = RunStore(folder)
    with store.start("search", command="nas search", inputs={"space": "x"}, seed=1) as run:
        run.add_artefact("zoo", folder / "zoo")
        run.finish({"best": {"latency": 1.5}})
    with closing(sqlite3.connect(folder / "nas.db")) as connection:
        connection.execute("VACUUM")
    return folder / "nas.db"


def _recorded(folder: Path) -> Iterable[float]:
    store = RunStore(folder)
    return [store.get(run.id).seconds or 0.0 for run in store.records()]


def _bundle() -> Bundle:
    items = [network_item(known_network("mobilenetv2-0.6@192"), "reference", OWN), probe_item("probe-3", OWN)]
    networks = []
    for number, item in enumerate(items):
        network = bundled(item, number, ("onnx",))
        files = {name: BundledFile(path=file.path, sha256=f"{number}") for name, file in network.files.items()}
        networks.append(replace(network, files=files))
    return Bundle(
        device="mine", environment=_ENVIRONMENT, space="small", seed=0, formats=("onnx",), wanted=2,
        networks=tuple(networks),
    )  # fmt: skip


def _bundle_manifest(folder: Path) -> Path:
    write_manifest(_BUNDLE, folder)
    return folder / MANIFEST_FILE


def _bundle_read(folder: Path) -> Iterable[float]:
    found = read_bundle(folder)
    return [found.seed, found.wanted, len(found.networks)]


def _filled(folder: Path) -> Path:
    lines = timings_text(_BUNDLE).splitlines()
    place = lines[0].split(",").index("latency_ms")
    rows = [lines[0]]
    for i, line in enumerate(lines[1:]):
        cells = line.split(",")
        cells[place] = f"{1.5 + i}"
        rows.append(",".join(cells))
    return _text("timings.csv", "\n".join(rows) + "\n")(folder)


def _filled_read(folder: Path) -> Iterable[float]:
    found = read_times(folder / "timings.csv", _BUNDLE)
    return [row.latency_ms for row in (*found.reference, *found.rows)]


def _prior(folder: Path) -> Path:
    """The shipped prior, of a dozen rows."""
    prior, manifest = read_prior(prior_folder("imagenet"))
    few = slice(0, 240, 20)
    rows = Rows(**{key: getattr(prior.rows, key)[few] for key in ("features", "recipe", "family", "network")})
    made = Prior(
        hyper=prior.hyper, rows=rows, targets=prior.targets[few], centre=prior.centre, spread=prior.spread,
        novelty=type(prior.novelty)(observed=prior.novelty.observed[:12]),
    )  # fmt: skip
    write_prior(folder, made, {key: value for key, value in manifest.items() if key not in ("format",)})
    return folder / ARRAYS_FILE


def _prior_read(folder: Path) -> Iterable[float]:
    """Read with a manifest that has the damaged file's checksum: whoever tampers with one changes both."""
    document = json.loads((folder / MANIFEST_FILE).read_text("utf-8"))
    document["sha256"][ARRAYS_FILE] = sha256(folder / ARRAYS_FILE)
    write_anew(folder / MANIFEST_FILE, json.dumps(document).encode())
    return _accuracies(folder)


def _accuracies(folder: Path) -> Iterable[float]:
    prior, _ = read_prior(folder)
    found = prior.predict_features(prior.centre[None, :])
    return [float(value) for values in found for value in values]


def _tampered(folder: Path) -> Path:
    """Arrays as JSON, which the reader packs: faults that keep every checksum and shape."""
    _prior(folder)
    with np.load(folder / ARRAYS_FILE) as arrays:
        document = {name: arrays[name].tolist() for name in arrays.files}
    return _text("arrays.json", json.dumps(document))(folder)


def _tampered_read(folder: Path) -> Iterable[float]:
    try:
        document = json.loads((folder / "arrays.json").read_bytes())
        arrays = {name: np.array(value) for name, value in document.items()}
        stream = io.BytesIO()
        np.savez(stream, **arrays)  # type: ignore[arg-type]
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise NasError("no arrays to read") from error
    write_anew(folder / ARRAYS_FILE, stream.getvalue())
    return _prior_read(folder)


def _prior_manifest(folder: Path) -> Path:
    _prior(folder)
    return folder / MANIFEST_FILE


_PUBLISHED = {
    "network": "a", "family": "f", "resolution": "224", "top1": "70.5", "epochs": "300", "distilled": "0",
    "recipe": "deit", "log_test_over_train_resolution": "0", "adversarial": "0", "source": "s", "variant": "v",
    "scored": "True",
}  # fmt: skip


def _rows(folder: Path) -> Path:
    _lists(folder)
    other = _PUBLISHED | {"network": "b", "top1": "71.5"}
    lines = [",".join(ROW_COLUMNS), *(",".join(row[c] for c in ROW_COLUMNS) for row in (_PUBLISHED, other))]
    return _text("rows.csv", "\n".join(lines) + "\n")(folder)


def _rows_read(folder: Path) -> Iterable[float]:
    found = read_published_rows(folder / "rows.csv", folder / LISTS_FILE)
    return [*found.top1.tolist(), *found.features.reshape(-1).tolist(), *found.shapes.reshape(-1).tolist()]


def _ofa(folder: Path) -> Path:
    (folder / OFA_FILE).parent.mkdir(exist_ok=True)
    row = f'"{[3] * 20}","{[4] * 20}","{[2] * 5}",224,4819200.0,265450224.0,75.5'
    return _text(str(OFA_FILE), f"ks,e,d,r,params,macs,top1\n{row}\n{row}\n")(folder)


def _ofa_read(folder: Path) -> Iterable[float]:
    found = read_ofa(folder)
    return [*found.top1.tolist(), *found.sums.reshape(-1).tolist(), *found.codes.reshape(-1).tolist()]


_TIMED = {"conv-input:32x32x3": {"mean": 0.5, "std": 0.1, "count": 3}, "logits": {"mean": 0.4, "std": 0.0, "count": 3}}


def _texts(name: str) -> Callable[[Path], Iterable[float]]:
    return lambda folder: [timed.timing().mean_ms for timed in read_timed_texts(folder / name)]


def _operator_times(folder: Path) -> Iterable[float]:
    return [one.mean_ms for one in read_operator_times(folder / "operators.txt").times]


def _onnx(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    weights = {
        "w": rng.normal(size=(8, 3, 3, 3)), "b": rng.normal(size=8), "v": rng.normal(size=(8, 1, 3, 3)),
        "m": rng.normal(size=(8, 5)), "half": np.array(0.5), "six": np.array(6.0), "three": np.array(3.0),
    }  # fmt: skip
    tensors = [numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in weights.items()]
    tensors.append(numpy_helper.from_array(np.array([1, -1]), "flat"))
    node = helper.make_node
    nodes = [
        node("Conv", ["x", "w", "b"], ["c"], pads=[1, 1, 1, 1], strides=[2, 2]),
        node("Add", ["c", "three"], ["c3"]), node("Clip", ["c3", "", "six"], ["c6"]), node("Mul", ["c", "c6"], ["h"]),
        node("Conv", ["h", "v"], ["d"], group=8, pads=[1, 1, 1, 1], kernel_shape=[3, 3]), node("Relu", ["d"], ["r"]),
        node("Add", ["r", "h"], ["s"]), node("MaxPool", ["s"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
        node("Concat", ["p", "p"], ["cc"], axis=1), node("Split", ["cc"], ["s0", "s1"], axis=1),
        node("Transpose", ["s0"], ["t"], perm=[0, 2, 3, 1]), node("Transpose", ["t"], ["tt"], perm=[0, 3, 1, 2]),
        node("Shape", ["s1"], ["shape"]), node("Reshape", ["s1", "shape"], ["same"]),
        node("Mul", ["tt", "same"], ["u"]),
        node("ReduceMean", ["u"], ["g"], axes=[2, 3]), node("Reshape", ["g", "flat"], ["f"]),
        node("Gemm", ["f", "m"], ["y"]), node("Softmax", ["y"], ["z"]),
    ]  # fmt: skip
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 16, 16])],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, [1, 5])], initializer=tensors,
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    onnx.save(model, str(folder / "net.onnx"))
    _shipped("latency_tables", f"iphone12/{COEFFICIENTS_FILE}", COEFFICIENTS_FILE)(folder)
    return folder / "net.onnx"


def _onnx_read(folder: Path) -> Iterable[float]:
    graph = read_onnx(folder / "net.onnx")
    found = read_latency_model(DEVICE, folder).estimate(graph)
    return [graph.macs, graph.params, found.mean_ms, found.low_ms, found.high_ms]


def _weights(folder: Path) -> Path:
    from nas.zoo import export_architecture

    return export_architecture(_SMALL, name="net", root=folder) / "model.safetensors"


def _weights_read(folder: Path) -> Iterable[float]:
    """Loaded with a manifest that has the damaged file's checksum."""
    from nas.zoo import load

    (path,) = folder.glob("net*/manifest.json")
    document = json.loads(path.read_text("utf-8"))
    weights = path.with_name("model.safetensors")
    document["files"][weights.name]["sha256"] = sha256(weights)
    write_anew(path, json.dumps(document).encode())
    return [float(value.double().sum()) for value in load(path.parent).module.state_dict().values()]


_BUNDLE = _bundle()
_OPERATOR_LINES = (
    "name\ttime\nconv2d,0,0,1,16,7,7,32,1,1,0,1,1\t0.5\nconv,0,1,1,16,7,7,32,3,1,1,1,1\t0.25\nrelu,1,16,7,7\t0.125\n"
)
READERS: tuple[Reader, ...] = (
    Reader(
        name="device", kind="text", read=_device,
        write=_shipped("latency_tables", f"iphone12/{DEVICE_FILE}", DEVICE_FILE),
    ),
    Reader(name="table", kind="text", write=_table, read=_prediction),
    Reader(
        name="coefficients", kind="json", read=_prediction,
        write=_shipped("latency_tables", f"iphone12/{COEFFICIENTS_FILE}", COEFFICIENTS_FILE),
    ),
    Reader(name="regression", kind="json", write=_regression, read=_prediction),
    Reader(
        name="looks", kind="text",
        write=_text(LEVELS_FILE, "time,level,reference_ms\n2026-01-02T03:04:05+00:00,1.05,2.5\n"),
        read=lambda folder: [look.level * look.reference_ms for look in read_looks(folder / LEVELS_FILE)],
    ),
    Reader(name="transferred", kind="json", write=_transferred, read=_prediction),
    Reader(name="networks", kind="text", write=_networks, read=_published),
    Reader(name="network times", kind="text", write=_network_times, read=_network_times_read),
    Reader(name="operator lists", kind="gzip", write=_lists, read=_listed),
    Reader(
        name="calibration", kind="text", read=_plan,
        write=_shipped("latency_tables", f"iphone12/{PLAN_FILE}", PLAN_FILE),
    ),
    Reader(name="space", kind="text", write=_shipped("search_spaces", "repvgg.yaml", "space.yaml"), read=_space),
    Reader(
        name="codes", kind="text", read=_space,
        write=_text("space.yaml", "schema: 1\nname: my-codes\ngenes: {a: [0, 1, 2], b: [0.5, x], c: [true]}\n"),
    ),
    Reader(name="architecture", kind="text", write=_text("architecture.yaml", LAYERS), read=_architecture),
    Reader(
        name="family", kind="text", read=_family,
        write=_shipped("search_spaces", "seeds/poolformer.yaml", "family.yaml"),
    ),
    Reader(name="zoo", kind="json", write=_zoo, read=_zoo_list),
    Reader(name="weights", kind="bytes", write=_weights, read=_weights_read),
    Reader(name="timings", kind="bytes", write=_timings, read=_timed),
    Reader(name="timings, texts", kind="text", write=_timings, read=_timed),
    Reader(name="runs", kind="text", write=_runs, read=_recorded),
    Reader(name="bundle", kind="json", write=_bundle_manifest, read=_bundle_read),
    Reader(name="bundle times", kind="text", write=_filled, read=_filled_read),
    Reader(name="prior", kind="bytes", write=_prior, read=_prior_read),
    Reader(name="prior, tampered", kind="json", write=_tampered, read=_tampered_read),
    Reader(name="prior manifest", kind="json", write=_prior_manifest, read=_accuracies),
    Reader(name="published rows", kind="text", write=_rows, read=_rows_read),
    Reader(name="once-for-all", kind="text", write=_ofa, read=_ofa_read),
    Reader(name="lookup table, JSON", kind="json", write=_text("t.json", json.dumps(_TIMED)), read=_texts("t.json")),
    Reader(
        name="lookup table, CSV", kind="text", read=_texts("t.csv"),
        write=_text("t.csv", "name,mean,std,count\nconv,0.5,0.1,3\nlogits,0.4,0.1,3\n"),
    ),
    Reader(name="operator times", kind="text", write=_text("operators.txt", _OPERATOR_LINES), read=_operator_times),
    Reader(
        name="YAML", kind="text", write=_text("a.yaml", "a: [1, 2.5, &b {c: d}]\ne: *b\nf: 'g'\n"),
        read=lambda folder: [len(read_yaml(folder / "a.yaml"))],
    ),
    Reader(name="ONNX", kind="onnx", write=_onnx, read=_onnx_read),
    Reader(name="ONNX, texts", kind="text", write=_onnx, read=_onnx_read),
    *DATA_READERS,
)  # fmt: skip
"""Every reader."""

NAMES: Mapping[str, Reader] = {reader.name: reader for reader in READERS}
