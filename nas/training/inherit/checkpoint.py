"""Checkpoints of others: read without running anything in them, recognised, and brought into our form."""

from __future__ import annotations

import pickle
import struct
import warnings
import zipfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from nas.errors import InputError
from nas.nets import GraphModule, build
from nas.nets.layers import BranchSum, ConvNorm, NormLinear, make_layer
from nas.space import Architecture
from nas.space.architecture import IN_CHANNELS
from nas.space.seeds import list_known
from nas.training.inherit.forms import FORMS, Branches, Form, Part, Parts

_INSIDE = ("state_dict_ema", "model_ema", "state_dict", "model")
_OUR_EPSILON = 1e-5
_LEAVES = {"weight": ("weight", "scale")}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KnownCheckpoint:
    """A checkpoint as a network of ours: `module` in training form with its weights. `form` is the library's name;
    `unused` are the names of tensors that have no place in it."""

    architecture: Architecture
    module: GraphModule
    form: str
    unused: tuple[str, ...]


# What torch's reader of archives and pickles raises on bytes that are none, besides its own refusals.
_DAMAGED = (
    SafetensorError, pickle.UnpicklingError, zipfile.BadZipFile, struct.error, OSError, EOFError, RuntimeError,
    ValueError, LookupError, TypeError, AttributeError, AssertionError, OverflowError, MemoryError,
)  # fmt: skip


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors in a checkpoint by name. Nothing in the file is run.

    Raises `InputError` for a file that is absent, damaged, or no checkpoint, and for one with numbers that are none.
    """
    if not path.is_file():
        raise InputError(f"{path} must be a readable checkpoint, but is not there.")
    try:
        found = load_file(path) if path.suffix == ".safetensors" else _unwrapped(_load(path))
    except _DAMAGED as error:
        raise InputError(
            f"{path} must be a whole checkpoint of tensors alone, but {_short(error)}; download it again, or save its"
            " state dict as safetensors."
        ) from error
    for name, value in found.items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise InputError(
                f"{path} must hold finite weights, but {name} holds NaN or infinity; use another checkpoint."
            )
    return found


def known_checkpoint(path: Path, tensors: Mapping[str, Tensor]) -> KnownCheckpoint:
    """The known network whose weights `tensors` are, in the form of timm or torchvision. `path` names them in errors.

    Batch norms' variances are moved by the difference of the epsilons, so that the network computes the same. Raises
    `InputError` for another network, a missing weight, or one of another shape.
    """
    closest = _closest(tensors)
    if closest is None:
        raise InputError(f"{path} must be of a network that is mapped, but its names are of none: {mapped_text()}.")
    form, known, parts = closest
    where = f"{path} must hold the weights of {known.name} in the form of {form.library}"
    architecture = _with_its_ends(known, parts, tensors)
    module = build(architecture)
    reader = _Reader(tensors, where, form.epsilon - _OUR_EPSILON)
    flat = [part for layer in parts for part in layer]
    layers = [
        layer for position in range(len(module.definition.nodes)) if (layer := module.layer(position)) is not None
    ]
    with torch.no_grad():
        for layer, part in zip(layers, flat, strict=True):
            reader.fill(layer, part)
    unused = [name for name in tensors if name not in reader.used and not name.endswith("num_batches_tracked")]
    return KnownCheckpoint(architecture=architecture, module=module, form=form.library, unused=tuple(unused))


def mapped_text() -> str:
    """Which families are mapped, by library, for a message."""
    families: dict[str, list[str]] = {}
    for form in FORMS:
        families.setdefault(form.library, []).extend(form.families)
    return "; ".join(f"{library}'s {', '.join(sorted(names))}" for library, names in families.items())


def _load(path: Path) -> object:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of how the file was pickled
        return torch.load(path, map_location="cpu", weights_only=True)


def _unwrapped(document: object) -> dict[str, Tensor]:
    """The state dict in what torch read: itself, or under one of the names that trainings use."""
    for key in _INSIDE:
        if isinstance(document, Mapping) and isinstance(document.get(key), Mapping):
            document = document[key]
    if not isinstance(document, Mapping):
        raise ValueError(f"it holds a {type(document).__name__}")
    found = {str(name): value for name, value in document.items() if isinstance(value, Tensor)}
    if not found or len(found) < len(document):
        raise ValueError("it holds other things than tensors")
    return {name.removeprefix("module."): value for name, value in found.items()}


def _closest(tensors: Mapping[str, Tensor]) -> tuple[Form, Architecture, list[Parts]] | None:
    """The form and the known network that `tensors` fit best, and where its weights are; None where none fits half."""
    best: tuple[float, Form, Architecture, list[Parts]] | None = None
    for form in FORMS:
        if not form.sequence(tensors):
            continue
        for known in list_known():
            if known.family not in form.families:
                continue
            architecture = known.architecture
            inputs = [shape[0] for shape in architecture.layer_inputs()]
            parts = form.parts(list(zip(architecture.layers, inputs, strict=True)), tensors)
            share = 0.0 if parts is None else _fit(architecture, parts, tensors)
            if parts is not None and share > 0.5 and (best is None or share > best[0]):
                best = (share, form, architecture, parts)
    return None if best is None else best[1:]


def _fit(architecture: Architecture, parts: list[Parts], tensors: Mapping[str, Tensor]) -> float:
    """How far the weights in `tensors` are those of `architecture`: those of both, of one shape, among all."""
    flat = [part for layer in parts for part in layer]
    shapes = list(_weight_shapes(architecture))
    if len(shapes) != len(flat):
        return 0.0
    own = {_first_weight(part) for part in flat}
    found = [_tensor(tensors, _first_weight(part)) for part in flat]
    same = sum(
        value is not None and _squeezed(value.shape) == _squeezed(shape)
        for value, shape in zip(found, shapes, strict=True)
    )
    others = {name.rpartition(".")[0] for name, value in tensors.items() if value.ndim > 1} - own
    return same / (len(flat) + len(others - _inner_weights(flat)))


def _inner_weights(parts: list[Part | Branches]) -> set[str]:
    return {one.weight for part in parts if isinstance(part, Branches) for one in part.parts}


def _weight_shapes(architecture: Architecture) -> Iterator[tuple[int, ...]]:
    graph = architecture.graph()
    with torch.device("meta"):
        for node in graph.nodes[1:]:
            layer = make_layer(node.op, graph.input_shapes(node)[0])
            if layer is not None:
                yield tuple(_main_weight(layer).shape)


def _main_weight(layer: nn.Module) -> Tensor:
    if isinstance(layer, NormLinear):
        return layer.linear.weight
    return next(layer.parameters())


def _first_weight(part: Part | Branches) -> str:
    return part.parts[0].weight if isinstance(part, Branches) else part.weight


def _with_its_ends(known: Architecture, parts: list[Parts], tensors: Mapping[str, Tensor]) -> Architecture:
    """The network with the checkpoint's number of classes, and of channels of the image."""
    last, first = (_tensor(tensors, _first_weight(part)) for part in (parts[-1][-1], parts[0][0]))
    classes = None if last is None or last.shape[0] < 2 else int(last.shape[0])
    channels = None if first is None or first.ndim < 2 or first.shape[1] not in IN_CHANNELS else int(first.shape[1])
    return known.adapted(num_classes=classes, in_channels=channels)


def _tensor(tensors: Mapping[str, Tensor], name: str) -> Tensor | None:
    return next((tensors[key] for leaf in _LEAVES["weight"] if (key := f"{name}.{leaf}") in tensors), None)


def _squeezed(shape: Collection[int]) -> tuple[int, ...]:
    """A shape without sides of 1: a linear layer and a 1x1 convolution have the same."""
    return tuple(size for size in shape if size != 1)


class _Reader:
    """Fills layers from a checkpoint, and remembers what it used."""

    def __init__(self, tensors: Mapping[str, Tensor], where: str, epsilon: float) -> None:
        self._tensors, self._where, self._epsilon = tensors, where, epsilon
        self.used: set[str] = set()

    def fill(self, layer: nn.Module, part: Part | Branches) -> None:
        match layer, part:
            case BranchSum(), Branches():
                for branch, own in zip(layer.branches.values(), part.parts, strict=True):
                    self.fill(branch, own)
                if layer.norm is not None:
                    self._fill_norm(layer.norm, part.norm)
            case ConvNorm(), Part():
                if layer.conv is not None:
                    self._fill_all(layer.conv, part.weight)
                if layer.norm is not None:
                    self._fill_norm(layer.norm, part.norm)
            case NormLinear(), Part():
                self._fill_norm(layer.norm, part.norm)
                self._fill_all(layer.linear, part.weight)
            case _, Part():
                self._fill_all(layer, part.weight)

    def _fill_norm(self, norm: nn.BatchNorm1d | nn.BatchNorm2d, name: str) -> None:
        self._fill_all(norm, name)
        assert norm.running_var is not None
        norm.running_var += self._epsilon  # ours has another epsilon, and computes the same so

    def _fill_all(self, layer: nn.Module, name: str) -> None:
        for leaf, value in layer.state_dict(keep_vars=True).items():
            if leaf == "num_batches_tracked":
                continue
            keys = [f"{name}.{own}" for own in _LEAVES.get(leaf, (leaf,))]
            key = next((one for one in keys if one in self._tensors), None)
            if key is None:
                raise InputError(f"{self._where}, but {keys[0]} is missing; use a whole checkpoint.")
            found = self._tensors[key]
            if _squeezed(found.shape) != _squeezed(value.shape):
                shapes = f"{tuple(found.shape)} instead of {tuple(value.shape)}"
                raise InputError(f"{self._where}, but {key} has the shape {shapes}; it is of another network.")
            value.copy_(found.reshape(value.shape))
            self.used.add(key)


def _short(error: Exception) -> str:
    text = " ".join(str(error).split()).split(". ")[0]
    return text[:117] + "..." if len(text) > 120 else text or type(error).__name__
