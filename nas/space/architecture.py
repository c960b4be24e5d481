"""An architecture: explicit integers for every layer, and what they amount to."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from nas.blocks import BLOCKS, Value
from nas.blocks.activations import DYNAMIC_ACTIVATIONS
from nas.blocks.registry import MAX_WIDTH
from nas.documents import check_keys, read_yaml
from nas.errors import InputError
from nas.graph import Builder, Graph, Segment
from nas.graph.channels import Flow, channel_flow
from nas.graph.memory import peak_elements
from nas.graph.rows import Shape
from nas.space.resolution import (
    LARGEST,
    Resolution,
    canonical,
    height_width,
    parse_resolution,
    resolution_document,
    side_of,
)

SCHEMA = 1
IMAGENET_CLASSES, IMAGENET_CHANNELS = 1000, 3
"""What networks give and take on ImageNet, where accuracies are published."""

IN_CHANNELS = (1, 3, 4)
"""Channels of an image: grey, colour, colour with depth or opacity."""
_KEYS = ("schema", "name", "family", "resolution", "num_classes", "in_channels", "layers")


class Layer(NamedTuple):
    """One block with all its parameters, sorted by name: equal layers compare and hash equal."""

    block: str
    args: tuple[tuple[str, Value], ...]

    def arg(self, name: str) -> Value:
        """The parameter `name`."""
        return dict(self.args)[name]

    def with_args(self, **changes: Value) -> Layer:
        """This layer with some parameters changed; nothing is checked."""
        return Layer(self.block, tuple(sorted({**dict(self.args), **changes}.items())))

    def as_mapping(self) -> dict[str, Value]:
        """{"block": name, parameter: value, …}."""
        return {"block": self.block, **dict(self.args)}


def make_layer(block: str, args: Mapping[str, Value], where: str = "layer") -> Layer:
    """A checked layer, completed by the block's defaults. Raises `InputError` naming `where`."""
    return Layer(block, tuple(sorted(BLOCKS.get(block, where).check(args, where).items())))


class LayerResult(NamedTuple):
    """A layer built alone: its segment, the shape of its output, and how its channels relate to the input's."""

    segment: Segment
    output: Shape
    flow: Flow


@lru_cache(maxsize=200_000)
def build_layer(layer: Layer, input_shape: Shape, num_classes: int = 1000) -> LayerResult:
    """The segment of one layer on an input of `input_shape`; raises `ValueError` where it does not fit."""
    graph = layer_graph(layer, input_shape, num_classes)
    return LayerResult(graph.segments[0], graph.output_shape, channel_flow(graph.nodes))


@lru_cache(maxsize=200_000)
def layer_peak(layer: Layer, input_shape: Shape, num_classes: int = 1000) -> int:
    """The most numbers alive at once inside one layer (`nas.graph.memory`), its input among them."""
    return int(peak_elements(layer_graph(layer, input_shape, num_classes).nodes))


def layer_graph(layer: Layer, input_shape: Shape, num_classes: int = 1000) -> Graph:
    """The operators of one layer on an input of `input_shape`; raises `ValueError` where it does not fit."""
    builder = Builder(input_shape, DYNAMIC_ACTIVATIONS)
    builder.layer = 1
    _apply(builder, layer, num_classes)
    return builder.build()


def _apply(builder: Builder, layer: Layer, num_classes: int) -> None:
    """Add `layer` to the builder's last value."""
    block = BLOCKS.get(layer.block, "layer")
    args = dict(layer.args)
    if block.takes_classes:
        args["classes"] = num_classes
    if not builder.last.is_map:
        raise ValueError(f"a map must come in, but the layer before it gives a vector {builder.last.shape}")
    output = block.function(builder, builder.last, **args)
    if output != builder.last:
        raise ValueError(f"a block must return the value that it adds last, but {block.name} does not")


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """A network as data: an input size and a chain of layers, every width and kernel explicit.

    Identity is `digest`: what the network takes, its layers, and what it gives. `name` and `family` are labels; `genes`
    are the choices ({gene: value}) where the network is a point of a search space: they say nothing that the layers do
    not. What others published of a network is no part of it (`nas.space.seeds.KnownNetwork`). `resolution` is an
    integer, or (height, width) where they differ.
    """

    name: str
    family: str
    resolution: Resolution
    layers: tuple[Layer, ...]
    num_classes: int = IMAGENET_CLASSES
    in_channels: int = IMAGENET_CHANNELS
    genes: Mapping[str, Any] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "resolution", canonical(self.resolution))

    @property
    def input_shape(self) -> Shape:
        """(channels, height, width)."""
        return (self.in_channels, *height_width(self.resolution))

    @property
    def side(self) -> float:
        """The side of the square of the input's area, in pixels."""
        return side_of(self.resolution)

    @property
    def digest(self) -> str:
        """16 hexadecimal digits that two networks share only if they are the same network."""
        content = {
            "resolution": resolution_document(self.resolution),
            "num_classes": self.num_classes,
            "in_channels": self.in_channels,
            "layers": [layer.as_mapping() for layer in self.layers],
        }
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def params(self) -> int:
        """Learned numbers of the inference form, classifier included."""
        return sum(segment.params for segment in self.segments())

    @property
    def training_params(self) -> int:
        """Learned numbers of the training form."""
        return self.graph().training_params

    @property
    def macs(self) -> int:
        """Multiply-adds for one image."""
        return sum(segment.macs for segment in self.segments())

    @property
    def peak_elements(self) -> int:
        """The most numbers alive at once while it runs (`nas.graph.memory`): that of the layer that needs the most,
        since between two layers a single map is alive."""
        places = zip(self.layers, self.layer_inputs(), strict=True)
        return max(layer_peak(layer, shape, self.num_classes) for layer, shape in places)

    def graph(self) -> Graph:
        """The operators, with shapes. Raises `InputError` where a layer does not fit its input."""
        builder = Builder(self.input_shape, DYNAMIC_ACTIVATIONS)
        for number, layer in enumerate(self.layers, start=1):
            builder.layer = number
            try:
                _apply(builder, layer, self.num_classes)
            except ValueError as error:
                raise self._misfit(number, layer, error) from error
        return builder.build()

    def segments(self) -> tuple[Segment, ...]:
        """One segment a layer, in order (each built once and remembered)."""
        return tuple(result.segment for result in self._results())

    def layer_inputs(self) -> tuple[Shape, ...]:
        """The shape of each layer's input, in order."""
        return (self.input_shape, *(result.output for result in self._results()[:-1]))

    def _results(self) -> list[LayerResult]:
        results: list[LayerResult] = []
        shape = self.input_shape
        for number, layer in enumerate(self.layers, start=1):
            try:
                results.append(build_layer(layer, shape, self.num_classes))
            except ValueError as error:
                raise self._misfit(number, layer, error) from error
            shape = results[-1].output
        return results

    def _misfit(self, number: int, layer: Layer, error: ValueError) -> InputError:
        place = f"{self.name}: layer {number} ({layer.block})"
        return InputError(f"{place} must fit its input, but: {error}; change it or the layers before it.")

    def at_resolution(self, resolution: Resolution) -> Architecture:
        """The same layers on another input size."""
        return replace(self, resolution=resolution, genes={})

    def adapted(self, *, num_classes: int | None = None, in_channels: int | None = None) -> Architecture:
        """The same layers for another number of classes, or of channels of the image (None: its own).

        Raises `InputError` for a number of either that no network has.
        """
        classes = self.num_classes if num_classes is None else num_classes
        channels = self.in_channels if in_channels is None else in_channels
        if (classes, channels) == (self.num_classes, self.in_channels):
            return self
        check_ends(num_classes=classes, in_channels=channels, where=self.name)
        return replace(self, num_classes=classes, in_channels=channels, genes={})

    def on_imagenet(self) -> Architecture:
        """The same layers for 1000 classes and images of three channels."""
        return self.adapted(num_classes=IMAGENET_CLASSES, in_channels=IMAGENET_CHANNELS)

    def named(self, name: str) -> Architecture:
        """The same network under another name."""
        return replace(self, name=name)

    def as_mapping(self) -> dict[str, Any]:
        """The canonical document: what `architecture.yaml` holds."""
        return {
            "schema": SCHEMA,
            "name": self.name,
            "family": self.family,
            "resolution": resolution_document(self.resolution),
            "num_classes": self.num_classes,
            "in_channels": self.in_channels,
            "layers": [layer.as_mapping() for layer in self.layers],
        }

    def to_yaml(self) -> str:
        """The canonical document as text, one layer a line."""
        head = {key: value for key, value in self.as_mapping().items() if key != "layers"}
        lines = [yaml.safe_dump(head, sort_keys=False).rstrip(), "layers:"]
        for layer in self.layers:
            flow = yaml.safe_dump(layer.as_mapping(), sort_keys=False, default_flow_style=True, width=10_000)
            lines.append(f"- {flow.strip()}")
        return "\n".join(lines) + "\n"


def read_architecture(path: Path) -> Architecture:
    """The architecture in a YAML file. Raises `InputError` naming file, layer, rule and remedy."""
    return parse_architecture(read_yaml(path), str(path))


def parse_architecture(document: Mapping[str, Any], where: str) -> Architecture:
    """The architecture that a document states; `where` names its origin in errors."""
    check_keys(document, _KEYS, where, required=("schema", "name", "resolution", "layers"))
    if document["schema"] != SCHEMA:
        raise InputError(f"{where}: schema must be {SCHEMA}, but got {document['schema']!r}; convert the file.")
    layers = document["layers"]
    if not isinstance(layers, Sequence) or isinstance(layers, str) or not layers:
        raise InputError(f"{where}: layers must be a list with at least one layer, but got {layers!r}.")
    parsed = []
    for number, item in enumerate(layers, start=1):
        place = f"{where}: layer {number}"
        if not isinstance(item, Mapping) or "block" not in item:
            raise InputError(f"{place} must be a mapping with the key block, but got {item!r}.")
        parsed.append(make_layer(item["block"], {k: v for k, v in item.items() if k != "block"}, place))
    resolution = parse_resolution(document["resolution"], low=16)
    if resolution is None:
        raise InputError(
            f"{where}: resolution must be an integer from 16 to {LARGEST}, or [height, width] of such,"
            f" but got {document['resolution']!r}."
        )
    num_classes, in_channels = ends_of(document, where)
    architecture = Architecture(
        name=text_of(document, "name", where),
        family=text_of(document, "family", where, default="custom"),
        resolution=resolution,
        layers=tuple(parsed),
        num_classes=num_classes,
        in_channels=in_channels,
    )
    architecture.named(where).segments()  # a network that cannot be built is refused here, with file and layer
    return architecture


def ends_of(document: Mapping[str, Any], where: str) -> tuple[int, int]:
    """`num_classes` and `in_channels` of a document, checked; by default those of ImageNet."""
    num_classes = document.get("num_classes", IMAGENET_CLASSES)
    in_channels = document.get("in_channels", IMAGENET_CHANNELS)
    check_ends(num_classes=num_classes, in_channels=in_channels, where=where)
    return num_classes, in_channels


def check_ends(*, num_classes: int, in_channels: int, where: str) -> None:
    """Raises `InputError` naming `where` for a number of classes, or of channels of the image, that no network has."""
    integer_of({"num_classes": num_classes}, "num_classes", where, low=2, high=MAX_WIDTH)
    if type(in_channels) is not int or in_channels not in IN_CHANNELS:
        allowed = ", ".join(map(str, IN_CHANNELS))
        raise InputError(f"{where}: in_channels must be one of {allowed}, but got {in_channels!r}.")


def text_of(document: Mapping[str, Any], key: str, where: str, *, default: str | None = None) -> str:
    """A text from a document, checked."""
    value = document.get(key, default)
    if not isinstance(value, str) or not value:
        raise InputError(f"{where}: {key} must be a text, but got {value!r}.")
    return value


def integer_of(
    document: Mapping[str, Any], key: str, where: str, *, low: int, high: int, default: int | None = None
) -> int:
    """An integer from a document, checked against its limits."""
    value = document.get(key, default)
    if type(value) is not int or not low <= value <= high:
        raise InputError(f"{where}: {key} must be an integer from {low} to {high}, but got {value!r}.")
    return value
