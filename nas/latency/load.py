"""A device's latency model, and what stands behind it, from the files of its home."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext, suppress
from functools import partial
from pathlib import Path

from nas.errors import InputError
from nas.graph import Graph, OperatorTable
from nas.graph.graph import single
from nas.graph.operators import read_operator_lists
from nas.latency.home import DeviceHome, device_home
from nas.latency.model import HasSegments, LatencyModel, read_latency_model
from nas.latency.published.rows import MAX_PIXELS, Calibration, PublishedIndex, calibration, read_published
from nas.latency.published.scores import read_plan
from nas.onnx.content import ONNX, kind_of_file
from nas.onnx.sizes import OPTION, InputShapes, checked_batch
from nas.resources import check_name
from nas.runtimes import OWN, Runtime
from nas.space import Architecture, known_names, load_architecture
from nas.space.load import network_called
from nas.space.lowering import lower

NETWORKS_FILE, LISTS_FILE, PLAN_FILE = "networks.csv", "operators.csv.gz", "calibration.yaml"
_MIN_NETWORKS = 5


def load_latency(device: str | DeviceHome) -> LatencyModel:
    """The latency model of `device`; it takes architectures, graphs, operator tables, known names, architecture files,
    zoo folders and paths of ONNX files.

    Raises `InputError` for an unknown device, bad files, or a device with neither rows nor coefficients.
    """
    home = device_home(device) if isinstance(device, str) else device
    return read_latency_model(home.device, home.folder, resolve=resolve_segments)


def resolve_segments(item: object, runtime: Runtime) -> Sequence[HasSegments] | Graph:
    """An architecture, or a network given by name or by path: its segments as `runtime` executes them, or the graph of
    an ONNX file."""
    found = item if isinstance(item, Architecture) else read_network(item)
    return found if isinstance(found, Graph) else lower(found, runtime)


def read_network(
    reference: object, *, input_shape: InputShapes | None = None, batch: int | None = None
) -> Architecture | Graph:
    """What `reference` names: an architecture, or the graph of an ONNX file, told by its content.

    `input_shape` and `batch` are those of `nas.onnx.reader.read_onnx`; an architecture becomes a graph of that batch.
    Raises `InputError` for what is neither, and for sizes of an architecture, which has its own.
    """
    if not isinstance(reference, str | Path):
        raise InputError(
            f"a network must be a name, a path, an architecture or a graph, but got {type(reference).__name__}."
        )
    if is_onnx(reference):
        from nas.onnx.reader import read_onnx

        return read_onnx(reference, input_shape, batch=batch)
    network = load_architecture(reference)
    if input_shape:
        raise InputError(
            f"{OPTION} must come with an ONNX file, but {reference} is an architecture of {network.resolution} pixels;"
            " name another resolution as NAME@224."
        )
    return network if batch in (None, 1) else network.graph().batched(checked_batch(batch or 1))


def is_onnx(reference: str | Path) -> bool:
    """Whether `reference` is an ONNX file; a known network's name is none, whatever lies in the current folder."""
    return kind_of_file(reference) == ONNX and (isinstance(reference, Path) or reference not in set(known_names()))


def published_index(home: DeviceHome) -> PublishedIndex:
    """What others published of whole networks on a device, to be looked up by operators."""
    folder = home.folder
    if not (folder / NETWORKS_FILE).exists():
        return PublishedIndex([], {})
    rows, lists = read_published(folder / NETWORKS_FILE), dict(_lists(folder))
    for row in rows:
        if row.network not in lists:
            # Only convolutional networks calibrate: of others a name alone will do, by which nothing is found.
            with nullcontext() if row.convolutional else suppress(InputError):
                lists[row.network] = _operators(folder, row.network)
    return PublishedIndex(rows, lists)


def load_calibration(home: DeviceHome) -> Calibration:
    """The rows that calibrate a device, with operators. Raises `InputError` for a device without such rows."""
    folder = home.folder
    if not (folder / NETWORKS_FILE).exists():
        raise InputError(
            f"{home.name} must have {NETWORKS_FILE} to be fitted or verified, but {folder} holds none."
        )  # fmt: skip
    rows, priors = read_published(folder / NETWORKS_FILE), read_plan(folder / PLAN_FILE).priors
    data = calibration(rows, _lists(folder), partial(_operators, folder), priors)
    found = len(set(data.identity[data.scored].tolist()))
    if found < _MIN_NETWORKS:
        raise InputError(
            f"{folder / NETWORKS_FILE} must hold at least {_MIN_NETWORKS} different convolutional networks of at most"
            f" {MAX_PIXELS} px to fit costs and intervals, but has {found}; add rows (a dozen, of several"
            " families)."
        )
    return data


def _lists(folder: Path) -> dict[str, OperatorTable]:
    return read_operator_lists(folder / LISTS_FILE) if (folder / LISTS_FILE).exists() else {}


def _operators(folder: Path, name: str) -> OperatorTable:
    """The operators of a network of networks.csv that has no list, of a batch those of all images."""
    found = network_of_row(folder, name)
    if isinstance(found, Architecture):
        return OperatorTable.concatenate([segment.operators for segment in lower(found, OWN)])
    one = single(found)
    return OperatorTable.concatenate([one.operators()] * (found.batch // one.batch))


def network_of_row(folder: Path, name: str) -> Architecture | Graph:
    """A network of the networks.csv in `folder` that has no list: a known name, a digest, or an ONNX file beside it.

    Raises `InputError` for what is none of them: a row of a table opens no file outside the table's folder.
    """
    table, path = folder / NETWORKS_FILE, folder / name
    is_file = name.endswith(".onnx")
    if is_file and ("\0" in name or not path.resolve().is_relative_to(folder.resolve())):
        raise InputError(
            f"{table}: a network must be an ONNX file in its folder, but {name!r} is elsewhere; copy it there."
        )
    if not is_file:
        check_name(name, what=f"a network of {table}")
    try:
        return read_network(path) if is_file else network_called(name)
    except InputError as error:
        raise InputError(f"{table}: {error}") from error
