"""Inheriting weights: from a trained network of the zoo, or from a checkpoint in the form of timm or torchvision."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from nas.errors import InputError
from nas.files import sha256
from nas.space import Architecture, load_architecture
from nas.zoo import find_entry, load, training_of
from nas.zoo.entry import MANIFEST, WEIGHTS

if TYPE_CHECKING:
    from nas.data import Prepared
    from nas.nets import GraphModule
    from nas.training.inherit import Inheritance

SUFFIXES = (".safetensors", ".pth", ".pt", ".bin", ".tar")
"""Of files that are read as checkpoints; all but the first by torch, which is asked for tensors alone."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Source:
    """Weights to inherit: `module` in training form. `name` is what a user calls it, `what` what it is, `digest` the
    SHA-256 of its file, `classes` those that it knows (None where the file does not say), `unused` the names of its
    tensors that have no place in a network of ours, `all_images_of` the data sets (`Prepared.contents`) whose
    validation images it has learned from."""

    name: str
    what: str
    digest: str
    module: GraphModule
    classes: tuple[str, ...] | None = None
    unused: tuple[str, ...] = ()
    all_images_of: tuple[str, ...] = ()


def is_checkpoint(reference: str | Path) -> bool:
    """Whether `reference` names a checkpoint of others, and no network of the zoo."""
    path = Path(reference)
    return path.suffix in SUFFIXES and not _is_ours(path)


def check_source(reference: str | Path) -> None:
    """Raises `InputError` where `reference` is no file that may be a checkpoint, and no trained network of the zoo."""
    if not is_checkpoint(reference):
        training_of(find_entry(_zoo_reference(reference)))
    elif not Path(reference).is_file():
        raise InputError(f"{reference} must be a readable checkpoint, but is not there.")


def open_source(reference: str | Path) -> Source:
    """The weights that `reference` names. Raises `InputError` for what is damaged, unknown or untrained."""
    if is_checkpoint(reference):
        from nas.training.inherit.checkpoint import known_checkpoint, read_tensors

        path = Path(reference)
        found = known_checkpoint(path, read_tensors(path))
        return Source(
            name=path.name,
            what=f"{found.architecture.name} in the form of {found.form}",
            digest=sha256(path),
            module=found.module,
            unused=found.unused,
        )
    entry = find_entry(_zoo_reference(reference))
    training = training_of(entry)
    model = load(_zoo_reference(reference))
    return Source(
        name=entry.name,
        what=model.architecture.name,
        digest=entry.manifest["files"][WEIGHTS]["sha256"],
        module=model.module,
        classes=tuple(training["classes"]),
        all_images_of=tuple(training.get("all_images_of", ())),
    )


def check_unseen(source: Source, contents: str) -> None:
    """Raises `InputError` where `source` has learned from the validation images of the data set with these `contents`:
    whatever begins with its weights knows their answers, and cannot be judged by them."""
    if contents in source.all_images_of:
        raise InputError(
            "networks that are judged by the validation images must not have learned from them, but the weights of"
            f" {source.name} were trained on all images of these data; begin with weights that were trained without"
            " --all-images."
        )


def inherit(
    child: str | Path | Architecture,
    parent_weights: str | Path | Source,
    *,
    num_classes: int | None = None,
    in_channels: int | None = None,
    seed: int = 0,
) -> Inheritance:
    """`child` (or the network of that name) with what it can take over of `parent_weights`, and an account of it.

    `parent_weights` is a trained network of the zoo, or a checkpoint in the form of timm or torchvision
    (`.safetensors`, or `.pth` of tensors alone, which is read without running anything in it). `num_classes` and
    `in_channels` replace the child's own. The result's `module` is in training form; new weights are drawn from `seed`.
    Raises `InputError` for a source that is damaged, of an unknown network or untrained, or that has nothing in common
    with `child`.
    """
    network = child if isinstance(child, Architecture) else load_architecture(child)
    source = parent_weights if isinstance(parent_weights, Source) else open_source(parent_weights)
    return inherit_from(source, network.adapted(num_classes=num_classes, in_channels=in_channels), seed=seed)


def inherit_from(source: Source, network: Architecture, *, data: Prepared | None = None, seed: int = 0) -> Inheritance:
    """As `inherit`, for training on `data`: some of its images tell which channels to keep, and where its classes are
    known to be others than the source's, the classifier starts anew whatever its size. Raises `InputError` where
    nothing is inherited."""
    from nas.training.inherit import inherit_weights, looked_at

    others = data is not None and source.classes is not None and tuple(data.classes) != source.classes
    images = None if data is None else looked_at(data.train)
    found = inherit_weights(network, source.module, images=images, new_classes=others, seed=seed)
    if not found.inherited:
        raise InputError(
            f"{network.name} must have weights in common with {source.name} to inherit them, but {source.what} has"
            " other blocks; name a source of its family."
        )
    return replace(found, parent=f"{source.name} ({source.what})", unused=(*found.unused, *source.unused))


def _is_ours(path: Path) -> bool:
    return path.name == WEIGHTS and (path.parent / MANIFEST).is_file()


def _zoo_reference(reference: str | Path) -> str | Path:
    """A folder of the zoo, where its weights are named."""
    path = Path(reference)
    return path.parent if _is_ours(path) else reference
