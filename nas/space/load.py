"""Architectures and search spaces by what a user calls them: a name, a file, or a folder."""

from __future__ import annotations

import re
from itertools import chain
from pathlib import Path

from nas import resources
from nas.documents import read_yaml
from nas.errors import InputError, unknown_name
from nas.onnx.content import other_file
from nas.space.architecture import Architecture, read_architecture
from nas.space.codes import CodeSpace, parse_code_space
from nas.space.reading import parse_search_space
from nas.space.search_space import SearchSpace
from nas.space.seeds import known_network, known_networks

ARCHITECTURE_FILE = "architecture.yaml"
SPACE_FILE = "space.yaml"
"""A copy of a space, beside what was made for it."""
_SUFFIXES = (".yaml", ".yml")


def load_architecture(reference: str | Path) -> Architecture:
    """The architecture that `reference` names.

    A path (with a separator, or ending in .yaml) is an architecture file or a folder with `architecture.yaml`; any
    other text is a known network first, then a file or folder in the current one. Raises `InputError` with the nearest
    known names, with what a file of another kind is, or with file, layer, rule and remedy for a bad file.
    """
    if _is_path(reference):
        return _read(Path(reference))
    try:
        return known_network(str(reference))
    except InputError:
        if not Path(reference).exists():
            raise
    return _read(Path(reference))


def network_called(name: str) -> Architecture:
    """The known network called `name`; of a digest the known or exported network that has it. Opens no other file.

    Raises `InputError` where there is none.
    """
    if not re.fullmatch("[0-9a-f]{16}", name):
        return known_network(name)
    exported = sorted((resources.runs_folder() / "zoo").glob(f"[!.]*/{ARCHITECTURE_FILE}"))
    for network in chain(known_networks(), map(_readable, exported)):
        if network is not None and network.digest == name:
            return network
    raise InputError(
        f"a digest must be that of a known network or of one in the zoo, but got {name!r}; export the network"
        " (`nas zoo export`)."
    )


def _readable(path: Path) -> Architecture | None:
    try:
        return read_architecture(path)
    except InputError:  # damaged: it hides no other
        return None


def load_space(reference: str | Path) -> SearchSpace | CodeSpace:
    """The search space that `reference` names: a path (with a separator, or ending in .yaml), or a name.

    Names are those of `space_paths`. Raises `InputError` with the nearest names for an unknown one, or with file,
    place, rule and remedy for a bad file.
    """
    path = space_path(reference)
    document = read_yaml(path)
    return parse_code_space(document, str(path)) if "genes" in document else parse_search_space(document, str(path))


def space_path(reference: str | Path) -> Path:
    """The file that `reference` (as for `load_space`) means. Raises `InputError` for an unknown name."""
    if _is_path(reference):
        return Path(reference)
    known = space_paths()
    if reference not in known:
        remedy = "`nas space list` shows all of them."
        raise unknown_name("search space", str(reference), known, remedy=remedy, or_file=True)
    return known[str(reference)]


def reference_of(space: SearchSpace | CodeSpace) -> str:
    """What `load_space` takes for a space that it read: its name, or its file where no space, or another, has that."""
    known, source = space_paths().get(space.name), Path(space.source)
    is_known = known is not None and (not source.is_file() or known.read_bytes() == source.read_bytes())
    return space.name if is_known else space.source


def space_paths() -> dict[str, Path]:
    """Name → file of every search space, the workspace's own before the shipped ones."""
    return resources.names("search_spaces", "*.yaml")


def _is_path(reference: str | Path) -> bool:
    text = str(reference)
    return isinstance(reference, Path) or "/" in text or "\\" in text or text.lower().endswith(_SUFFIXES)


def _read(path: Path) -> Architecture:
    if path.exists() and (error := other_file(path, "an architecture file or a zoo folder")) is not None:
        raise error
    if path.is_dir():
        inside = path / ARCHITECTURE_FILE
        if not inside.is_file():
            raise InputError(f"{path} must be an architecture file or a folder with {ARCHITECTURE_FILE}, but has none.")
        return read_architecture(inside)
    return read_architecture(path)
