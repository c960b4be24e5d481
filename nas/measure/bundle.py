"""A bundle: networks that are to be timed where the program does not reach, as a folder that goes there and comes back.

The folder holds a file of each network in each format, `timings.csv` to be filled in (`nas.measure.bundle_times`),
`README.md` (`nas.measure.bundle_page`), the space that the table is for, and `manifest.json`. The manifest says what
the networks are, so that what comes back is understood without the files, the space or the machine that wrote it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from nas.contents import read_json
from nas.documents import check_keys
from nas.errors import InputError
from nas.files import sha256, write_bytes
from nas.latency.device import Device
from nas.measure.plan import Item, network_item, probe_item
from nas.measure.store import REFERENCE
from nas.runtimes import Runtime
from nas.space.architecture import parse_architecture

MANIFEST_FILE, TIMINGS_FILE, PAGE_FILE = "manifest.json", "timings.csv", "README.md"
SCHEMA = 1
SUFFIXES = {"onnx": ".onnx", "litert": ".tflite", "coreml": ".mlpackage"}
"""The formats that a bundle may hold, and how the names of their files end."""
_MADE_ANEW = "Manifest.json"
"""In a `*.mlpackage`: identifiers that differ whenever it is written."""
_T = TypeVar("_T")
_KEYS = ("schema", "device", "environment", "space", "seed", "formats", "wanted", "networks", "left_out")


@dataclass(frozen=True, slots=True, kw_only=True)
class BundledFile:
    """A network's file in one format: its path in the folder, with `/`, and its checksum (`checksum`)."""

    path: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BundledNetwork:
    """A network of a bundle: what `Item` says of it, its architecture as a document (None for a probe), and its file in
    each format."""

    name: str
    digest: str
    role: str
    architecture: Mapping[str, Any] | None
    files: Mapping[str, BundledFile]

    def item(self, runtime: Runtime, where: str) -> Item:
        """The network as it is timed on a device of this runtime.

        Raises `InputError`, which begins with `where`, where this program makes another network of it.
        """
        if self.architecture is None:
            found = probe_item(self.name, runtime)
        else:
            found = network_item(parse_architecture(self.architecture, f"{where}: {self.name}"), self.role, runtime)
        if found.digest != self.digest:
            raise InputError(
                f"{where}: {self.name} must be the network {self.digest}, but is {found.digest} in this version of the"
                " program; import it with the version that wrote it, or write the bundle anew."
            )
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """What a folder is for: the device with its conditions, the space by name, which networks are drawn (`seed`), the
    formats, how many networks are `wanted`, those that are there (the reference first), and those that a format could
    not hold (name → reason)."""

    device: str
    environment: Mapping[str, str]
    space: str
    seed: int
    formats: tuple[str, ...]
    wanted: int
    networks: tuple[BundledNetwork, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_whole(self) -> bool:
        """Whether all networks are there."""
        return len(self.networks) >= self.wanted

    @property
    def reference(self) -> BundledNetwork:
        """The network that is timed first and last."""
        return self.networks[0]

    @property
    def identity(self) -> str:
        """A digest of which networks these are, and for what: the same for a bundle that is written again elsewhere."""
        said = (self.device, self.space, str(self.seed), *(network.digest for network in self.networks))
        return hashlib.sha256("\n".join(said).encode()).hexdigest()[:16]

    def with_network(self, network: BundledNetwork) -> Bundle:
        """The bundle with one network more, or with this one in the place of that which has its digest."""
        known = any(own.digest == network.digest for own in self.networks)
        others = (network if own.digest == network.digest else own for own in self.networks)
        return replace(self, networks=(*others, *[network] * (not known)))

    def as_json(self) -> dict[str, Any]:
        """What `manifest.json` holds."""
        networks = [
            {
                "name": network.name,
                "digest": network.digest,
                "role": network.role,
                "files": {name: {"path": file.path, "sha256": file.sha256} for name, file in network.files.items()},
                "architecture": network.architecture,
            }
            for network in self.networks
        ]
        return {
            "schema": SCHEMA,
            "device": self.device,
            "environment": dict(self.environment),
            "space": self.space,
            "seed": self.seed,
            "formats": list(self.formats),
            "wanted": self.wanted,
            "networks": networks,
            "left_out": dict(self.left_out),
        }


def is_bundle(path: Path) -> bool:
    """Whether `path` is the folder of a bundle, its `timings.csv`, or a CSV file with the columns of one."""
    if path.is_dir():
        return (path / MANIFEST_FILE).is_file()
    if path.name == TIMINGS_FILE and (path.parent / MANIFEST_FILE).is_file():
        return True
    if path.suffix.lower() != ".csv" or not path.is_file():
        return False
    with path.open("rb") as file:
        header = file.readline(1000)
    return b"network" in header and b"sha256" in header


def timings_path(path: Path) -> Path:
    """The CSV file that a user means by `path`, which may be the folder."""
    return path / TIMINGS_FILE if path.is_dir() else path


def write_manifest(bundle: Bundle, folder: Path) -> None:
    """Write `manifest.json`, whole or not at all."""
    text = json.dumps(bundle.as_json(), indent=1, ensure_ascii=False) + "\n"
    write_bytes(folder / MANIFEST_FILE, text.encode())


def read_bundle(folder: Path) -> Bundle:
    """The bundle in `folder`. Raises `InputError` naming the file and the place for a manifest that is none."""
    path = folder / MANIFEST_FILE
    if not path.exists():
        raise InputError(
            f"{path} must be there beside {TIMINGS_FILE} to tell what was timed, but is not; bring {TIMINGS_FILE} back"
            " to the folder of its bundle."
        )
    document = read_json(path, "valid JSON", remedy="get the whole file")
    record = check_keys(document, _KEYS, str(path), required=_KEYS)
    if record["schema"] != SCHEMA:
        raise InputError(
            f"{path}: schema must be {SCHEMA}, but got {record['schema']!r}; use the version of the program that wrote"
            " it, or write the bundle anew."
        )
    formats = tuple(_typed(record, "formats", list, str(path)))
    if not formats or not all(isinstance(name, str) and name in SUFFIXES for name in formats):
        raise InputError(f"{path}: formats must be of {', '.join(SUFFIXES)}, but got {list(formats)!r}.")
    networks = tuple(_network(network, formats, str(path)) for network in _typed(record, "networks", list, str(path)))
    if len({network.digest for network in networks}) < len(networks):
        raise InputError(f"{path}: a network must be listed once, but one comes again; write the bundle anew.")
    if networks and networks[0].role != REFERENCE:
        raise InputError(f"{path}: the first network must be the reference; write the bundle anew.")
    return Bundle(
        device=_typed(record, "device", str, str(path)),
        environment=_typed(record, "environment", dict, str(path)),
        space=_typed(record, "space", str, str(path)),
        seed=_typed(record, "seed", int, str(path)),
        formats=formats,
        wanted=_typed(record, "wanted", int, str(path)),
        networks=networks,
        left_out=_typed(record, "left_out", dict, str(path)),
    )


def _network(document: object, formats: tuple[str, ...], where: str) -> BundledNetwork:
    keys = ("name", "digest", "role", "files", "architecture")
    record = check_keys(document, keys, f"{where}: networks", required=keys)
    place = f"{where}: {record['name']}"
    files: dict[str, BundledFile] = {}
    listed = check_keys(_typed(record, "files", dict, place), formats, f"{place}: files", required=formats)
    for name, file in listed.items():
        own = check_keys(file, ("path", "sha256"), f"{place}: {name}", required=("path", "sha256"))
        relative = _typed(own, "path", str, f"{place}: {name}")
        if not re.fullmatch(rf"{name}/[^/\\]+{re.escape(SUFFIXES[name])}", relative):
            raise InputError(
                f"{place}: {name}: path must be {name}/NAME{SUFFIXES[name]}, but got {relative!r}; write the bundle"
                " anew."
            )
        files[name] = BundledFile(path=relative, sha256=_typed(own, "sha256", str, f"{place}: {name}"))
    if record["architecture"] is not None:
        _typed(record, "architecture", dict, place)
    return BundledNetwork(
        name=_typed(record, "name", str, where),
        digest=_typed(record, "digest", str, place),
        role=_typed(record, "role", str, place),
        architecture=record["architecture"],
        files=files,
    )


def _typed(record: Mapping[str, Any], key: str, kind: type[_T], where: str) -> _T:
    value = record[key]
    if type(value) is not kind:
        raise InputError(
            f"{where}: {key} must be of the type {kind.__name__}, but got {value!r}; write the bundle anew."
        )
    return value


def checksum(path: Path) -> str:
    """The SHA-256 of a file; of a folder (a `*.mlpackage`) that of its files' names and checksums, without the
    identifiers that differ whenever it is written."""
    if path.is_file():
        return sha256(path)
    files = sorted(file for file in path.rglob("*") if file.is_file() and file.name != _MADE_ANEW)
    lines = (f"{sha256(file)}  {file.relative_to(path).as_posix()}\n" for file in files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def default_format(device: Device) -> str:
    """The format that the device's runtime reads: ONNX where it is none of the others."""
    runtime = device.runtime.lower()
    if runtime.startswith("core ml"):
        return "coreml"
    return "litert" if runtime.startswith(("litert", "tensorflow lite", "tflite")) else "onnx"


def bundled(item: Item, number: int, formats: tuple[str, ...]) -> BundledNetwork:
    """An item as a network of a bundle, the `number`-th: its files have their places and no checksums yet."""
    stem = f"{number:03d}-{re.sub(r'[^A-Za-z0-9._@-]', '_', item.name)}"
    return BundledNetwork(
        name=item.name,
        digest=item.digest,
        role=item.role,
        architecture=item.architecture.as_mapping() if item.architecture else None,
        files={name: BundledFile(path=f"{name}/{stem}{SUFFIXES[name]}", sha256="") for name in formats},
    )
