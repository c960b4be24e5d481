"""Reading an exported network back, and checking it again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.errors import NasError
from nas.space import Architecture, read_architecture
from nas.zoo.entry import ARCHITECTURE, WEIGHTS, Entry, find_entry
from nas.zoo.formats import FORMATS
from nas.zoo.pixels import PIXEL_FORMATS, check_pixels, pixel_form

if TYPE_CHECKING:
    from nas.nets import GraphModule


@dataclass(frozen=True, slots=True, kw_only=True)
class ZooModel:
    """An exported network as it was read: its entry, its architecture, and the torch module in training form."""

    entry: Entry
    architecture: Architecture
    module: GraphModule


def load(reference: str | Path, *, root: Path | None = None) -> ZooModel:
    """The network called `reference` in the zoo (or in that folder), with its weights.

    Raises `InputError` for an unknown name, and `NasError` where a file is not the one that was exported.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load as read_weights

    from nas.nets import build, load_weights

    entry = find_entry(reference, root)
    entry.check_files()
    architecture = read_architecture(entry.folder / ARCHITECTURE)
    if architecture.digest != entry.manifest["digest"]:
        raise NasError(f"{entry.folder} must hold the network of its manifest, but holds {architecture.digest}.")
    module = build(architecture)
    path = entry.folder / WEIGHTS
    try:
        weights = read_weights(path.read_bytes())
    except (SafetensorError, ValueError, TypeError, KeyError, RuntimeError) as error:
        raise NasError(f"{path} must hold weights, but: {error}; export the network again.") from error
    if not all(bool(value.isfinite().all()) for value in weights.values()):
        raise NasError(f"{path} must hold finite weights, but some are not; export the network again.")
    load_weights(module, weights, where=str(path))
    return ZooModel(entry=entry, architecture=architecture, module=module)


def verify(reference: str | Path, *, root: Path | None = None) -> dict[str, Any]:
    """Check every file's checksum and compare the exported formats with torch again; the facts of the checks by format.

    Raises as `load` does, and `NasError` where a file does not compute what torch does.
    """
    model = load(reference, root=root)
    folder, manifest = model.entry.folder, model.entry.manifest
    for name in manifest.get("pixels") or ():
        check_pixels(name, model.module, folder / PIXEL_FORMATS[name].file, pixel_form(manifest["training"]))
    return {name: FORMATS[name].check(model.module, folder / FORMATS[name].file) for name in model.entry.formats}
