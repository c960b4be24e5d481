"""Exporting a network to the zoo: a folder with its files, card and manifest, which appears when all of it is there.

torch, ONNX Runtime and the store of runs are imported when they are used, so that looking at the zoo is quick.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from nas import resources
from nas.errors import InputError
from nas.files import sha256, write_bytes
from nas.progress import OnProgress, Step, silent
from nas.space import Architecture, known_as
from nas.space.resolution import resolution_document
from nas.zoo.card import card_text
from nas.zoo.entry import ARCHITECTURE, CARD, MANIFEST, SCHEMA, UNTRAINED, WEIGHTS, read_entry, zoo_folder
from nas.zoo.formats import FORMATS, check_formats
from nas.zoo.pixels import PIXEL_FORMATS, check_pixels, pixel_form
from nas.zoo.placing import one_at_a_time, put_in_place, work_folder

if TYPE_CHECKING:
    from torch import Tensor


class Figure(Protocol):
    """A figure with its interval and source, such as `nas.latency.Estimate` or `nas.accuracy.AccuracyEstimate`."""

    def as_json(self) -> Mapping[str, Any]:
        """The record of the contract."""
        ...


def export_architecture(
    architecture: Architecture,
    *,
    name: str,
    latency: Figure | Mapping[str, Any] | None = None,
    accuracy: Figure | Mapping[str, Any] | None = None,
    device: str | None = None,
    run: str | None = None,
    seed: int = 0,
    weights: Mapping[str, Tensor] | None = None,
    training: Mapping[str, Any] | None = None,
    pixels: bool = False,
    formats: Sequence[str] = ("onnx",),
    root: Path | None = None,
    progress: OnProgress = silent,
) -> Path:
    """Export a network to the folder `name` of the zoo (by default the workspace's); returns the folder.

    The weights are `weights` (a state dict of the training form), or random ones of `seed`: then the network is
    untrained, the folder's name ends with "-untrained", and the card says so. `latency` (on `device`) and `accuracy` go
    into card and manifest with their intervals and sources, as does the id of the `run` that found the network.
    `model.onnx` is always written, further `formats` beside it. `training` is what is recorded of how the weights came
    about (docs/zoo.md); its curves and confusion are drawn. With `pixels` each format also has a file that takes pixels
    and says probabilities, which needs `training`.

    A folder that holds the same network is replaced by the new one; where another network has the name, the digest
    joins it. Of several exports of one network at once the last one stays. `progress` is told of each file that is
    written and checked. Raises `InputError` for a bad name, formats that are unknown or lack their converter, and
    weights that do not fit, `NasError` where the zoo cannot be written to or a file does not compute what torch does;
    then nothing is left behind.
    """
    from nas.runs import installed_versions

    resources.check_name(name, what="the name of an exported network")
    check_formats(formats)
    formats = tuple(dict.fromkeys(("onnx", *formats)))
    root = root or zoo_folder()
    known = known_as(architecture)
    manifest: dict[str, Any] = {
        "schema": SCHEMA,
        "name": name.removesuffix(UNTRAINED),
        "digest": architecture.digest,
        "untrained": weights is None,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "nas": installed_versions().get("nas"),
        "run": run,
        "seed": seed,
        "resolution": resolution_document(architecture.resolution),
        "in_channels": architecture.in_channels,
        "num_classes": architecture.num_classes,
        "params": architecture.params,
        "training_params": architecture.training_params,
        "macs": architecture.macs,
        "device": device,
        "latency": _document(latency),
        "accuracy": _document(accuracy),
        "published": dict(known.published) or None if known else None,
        "formats": list(formats),
        "training": None if training is None else dict(training),
    }
    suffix = UNTRAINED if weights is None else ""
    with work_folder(root, name.removesuffix(UNTRAINED) + suffix) as folder:
        manifest["checks"] = _write_models(architecture, folder, weights, seed, formats, progress)
        if training is not None:
            from nas.zoo.pictures import write_pictures

            write_pictures(folder, training)
        if training is not None and pixels:
            manifest["pixels"] = _write_pixels(architecture, folder, training, formats, progress)
        with one_at_a_time(root):  # from the choice of the name, which the card says, to the folder of that name
            target = _place(root, name.removesuffix(UNTRAINED), suffix, architecture.digest)
            manifest["files"] = _facts(folder)
            paper = known.paper if known else ""
            write_bytes(folder / CARD, card_text(architecture, manifest, target.name, paper=paper).encode())
            manifest["files"] |= _facts(folder)
            write_bytes(folder / MANIFEST, (json.dumps(manifest, indent=1) + "\n").encode())
            put_in_place(folder, target)
    return target


def _write_models(
    architecture: Architecture,
    folder: Path,
    weights: Mapping[str, Tensor] | None,
    seed: int,
    formats: Sequence[str],
    progress: OnProgress,
) -> dict[str, Any]:
    """Write architecture, weights and every format; returns the facts of the checks by format."""
    steps = ["weights", *(f"{what} {name}" for name in formats for what in ("writing", "checking"))]

    def tell(done: int) -> None:
        progress(Step(doing="exporting the network", done=done, of=len(steps), note=steps[done]))

    tell(0)
    from safetensors.torch import save

    from nas.nets import build, load_weights

    module = build(architecture, seed=seed)
    if weights is not None:
        load_weights(module, weights, where="the weights")
    write_bytes(folder / ARCHITECTURE, architecture.to_yaml().encode())
    # One key, since the order of several is not kept: the same weights are the same bytes.
    label = json.dumps({"digest": architecture.digest, "untrained": weights is None})
    write_bytes(folder / WEIGHTS, save(dict(module.state_dict()), metadata={"nas": label}))
    checks = {}
    for number, name in enumerate(formats):
        path = folder / FORMATS[name].file
        tell(1 + 2 * number)
        FORMATS[name].write(module, path, weights is not None)
        tell(2 + 2 * number)
        checks[name] = FORMATS[name].check(module, path)
    return checks


def _write_pixels(
    architecture: Architecture,
    folder: Path,
    training: Mapping[str, Any],
    formats: Sequence[str],
    progress: OnProgress,
) -> dict[str, Any]:
    """Write the files that take pixels, of the weights in `folder`; the facts of their checks by format."""
    from safetensors.torch import load_file

    from nas.nets import build, load_weights

    module, form = build(architecture), pixel_form(training)
    load_weights(module, load_file(folder / WEIGHTS), where=WEIGHTS)
    checks = {}
    for number, name in enumerate(formats):
        progress(Step(doing="exporting files that take pixels", done=number, of=len(formats), note=name))
        path = folder / PIXEL_FORMATS[name].file
        PIXEL_FORMATS[name].write(module, path, form)
        checks[name] = check_pixels(name, module, path, form)
    return checks


def _place(root: Path, name: str, suffix: str, digest: str) -> Path:
    """The folder for a network: its name, joined by its digest where another network has that name."""
    folder = root / (name + suffix)
    if not folder.exists():
        return folder
    with suppress(InputError):  # what is damaged there is not known to be this network
        if read_entry(folder).manifest["digest"] == digest:
            return folder
    return root / f"{name}-{digest[:8]}{suffix}"


def _facts(folder: Path) -> dict[str, dict[str, Any]]:
    """Checksum and size of each file, by its path in the folder (some formats are folders themselves)."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): {"sha256": sha256(path), "bytes": path.stat().st_size} for path in files
    }


def _document(figure: Figure | Mapping[str, Any] | None) -> dict[str, Any] | None:
    if figure is None:
        return None
    return dict(figure if isinstance(figure, Mapping) else figure.as_json())
