"""What the zoo holds: one folder an exported network, known by its manifest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from nas import resources
from nas.contents import read_content, read_json, text_of
from nas.errors import InputError, NasError, unknown_name
from nas.figures import entering
from nas.files import sha256
from nas.space.resolution import parse_resolution
from nas.zoo.formats import FORMATS

MANIFEST = "manifest.json"
ARCHITECTURE = "architecture.yaml"
WEIGHTS = "model.safetensors"
CARD = "README.md"
SCHEMA = 1
UNTRAINED = "-untrained"
"""What the name of a folder ends with until its network is trained."""

_KEYS = {
    "schema": int, "name": str, "digest": str, "untrained": bool, "created": str, "seed": int,
    "num_classes": int, "params": int, "macs": int, "formats": list, "files": dict,
}  # fmt: skip

_FIGURES = {"latency": ("mean_ms", "low_ms", "high_ms"), "accuracy": ("mean", "low", "high")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One exported network: its folder and the document of its manifest (docs/zoo.md)."""

    folder: Path
    manifest: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.name

    @property
    def formats(self) -> tuple[str, ...]:
        """The formats it was exported to."""
        return tuple(self.manifest["formats"])

    def as_json(self) -> dict[str, Any]:
        """The manifest, with the folder's path as `path`."""
        return {**self.manifest, "name": self.name, "path": str(self.folder)}

    def card(self) -> str:
        """The text of the model card. Raises `NasError` where it cannot be read."""
        path, form, remedy = self.folder / CARD, "a readable card", "export it again"
        try:
            return text_of(read_content(path, form, remedy=remedy), path, form, remedy=remedy)
        except InputError as error:
            raise NasError(str(error)) from error

    def check_files(self) -> None:
        """Raises `NasError` for the first file that is absent or is not the one that was exported."""
        for name, facts in self.manifest["files"].items():
            path = self.folder / name
            if not path.is_file():
                raise NasError(f"{path} must be there as its manifest says, but is missing; export the network again.")
            if sha256(path) != facts["sha256"]:
                raise NasError(
                    f"{path} must have the checksum of its manifest, but was changed or damaged;"
                    " export the network again."
                )


def zoo_folder() -> Path:
    """The zoo of the workspace: `runs/zoo` (not made here)."""
    return resources.runs_folder() / "zoo"


def entries(root: Path | None = None) -> list[Entry]:
    """Every network in the zoo (by default the workspace's) whose manifest can be read, by name."""
    return entries_and_faults(root)[0]


def entries_and_faults(root: Path | None = None) -> tuple[list[Entry], dict[str, NasError]]:
    """The same, and folder → why it is not among them: one that is damaged hides no other."""
    found: list[Entry] = []
    faults: dict[str, NasError] = {}
    for path in sorted((root or zoo_folder()).glob(f"[!.]*/{MANIFEST}")):
        try:
            found.append(read_entry(path.parent))
        except NasError as error:
            faults[path.parent.name] = error
    return found, faults


def find_entry(reference: str | Path, root: Path | None = None) -> Entry:
    """The network called `reference` in the zoo, or in the folder `reference`.

    Raises `InputError` with the nearest names for one that is not there.
    """
    root = root or zoo_folder()
    for folder in (root / reference, Path(reference)):
        if (folder / MANIFEST).is_file():
            return read_entry(folder)
    known = [path.parent.name for path in root.glob(f"[!.]*/{MANIFEST}")]
    raise unknown_name("network of the zoo", str(reference), known, remedy="`nas zoo list` shows all of them.")


def read_entry(folder: Path) -> Entry:
    """The network exported to `folder`. Raises `InputError` for a manifest that is unreadable or lacks something."""
    path = folder / MANIFEST
    document = read_json(path, "the manifest of an exported network", remedy="export the network again")
    if not isinstance(document, dict):
        raise InputError(f"{path} must be the manifest of an exported network, but holds no mapping.")
    for key, kind in _KEYS.items():
        if type(document.get(key)) is not kind:
            raise InputError(f"{path}: {key} must be {kind.__name__}, but got {document.get(key)!r}; export it again.")
    if parse_resolution(document.get("resolution"), low=1) is None:
        raise InputError(
            f"{path}: resolution must be int or [height, width], but got {document.get('resolution')!r};"
            " export it again."
        )
    if document["schema"] != SCHEMA:
        raise InputError(f"{path}: schema must be {SCHEMA}, but got {document['schema']}; export the network again.")
    _check_figures(document, path)
    unknown = [name for name in document["formats"] if not isinstance(name, str) or name not in FORMATS]
    if unknown:
        raise unknown_name(f"{path}: a format", str(unknown[0]), FORMATS)
    for name, facts in document["files"].items():
        if not _is_inside(name) or not isinstance(facts, dict) or not isinstance(facts.get("sha256"), str):
            raise InputError(f"{path}: files must name files of the folder with their sha256, but got {name!r}.")
    return Entry(folder=folder, manifest=document)


def _check_figures(document: Mapping[str, Any], path: Path) -> None:
    """Raises `InputError` for figures that are no records, and texts that are none."""
    for key, numbers in _FIGURES.items():
        record = document.get(key)
        if record is None:
            continue
        sound = isinstance(record, dict) and isinstance(record.get("source"), str)
        if not sound or any(entering(record.get(number)) != record.get(number) for number in numbers):
            raise InputError(f"{path}: {key} must be a record with a source, but got {record!r}; export it again.")
    for key in ("device", "run"):
        if not isinstance(document.get(key, ""), str | None):
            raise InputError(f"{path}: {key} must be a text, but got {document[key]!r}; export it again.")
    for key in (*_FIGURES, "device", "run"):
        if key not in document:
            raise InputError(f"{path}: the key {key!r} must be given, but is missing; export the network again.")
    if any(not 0 <= document[key] < 10**15 for key in ("params", "macs", "num_classes")):
        raise InputError(f"{path}: params, macs and num_classes must be counts, but are not; export it again.")


def _is_inside(name: str) -> bool:
    """Whether `name` is the plain path of something in a folder."""
    path = PurePosixPath(name)
    return path.as_posix() == name != "." and not path.is_absolute() and ".." not in path.parts
