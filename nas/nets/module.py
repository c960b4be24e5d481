"""Networks in torch: the graph of an architecture as a module, in training form and in inference form."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Literal, overload

import torch
from torch import Tensor, nn

from nas.graph import Graph, Node
from nas.graph.graph import feature_candidates
from nas.graph.ops import Activation, Binary, Conv, LearnedScale, Linear, Norm, Op, Pool, Resize
from nas.nets import functions
from nas.nets.fuse import fused_layer
from nas.nets.layers import SMALL, initialise, make_layer
from nas.space import Architecture

FEATURE_STRIDES = (4, 8, 16, 32)
_CONV_ROLES = {"dense": "conv", "grp": "grouped", "dw": "depthwise", "pw": "pointwise", "lin": "linear"}


class GraphModule(nn.Module):
    """The network that `graph` describes: images (N, C, H, W) → the graph's output with the batch in front.

    `layers` maps positions of the graph to the layers with weights; `layer_names` gives each layer of the architecture
    a name. A weight is called `layer03_mbconv.depthwise.conv.weight`: layer, role (numbered where it comes again), and
    its place in the training form. `architecture` is None for a graph that comes from none. The graph is kept as
    `definition`: torch takes an attribute `graph` for one of its own.
    """

    def __init__(
        self,
        graph: Graph,
        layers: Mapping[int, nn.Module],
        *,
        layer_names: Mapping[int, str] | None = None,
        architecture: Architecture | None = None,
    ) -> None:
        super().__init__()
        self.definition = graph
        self.architecture = architecture
        self._layer_names = dict(layer_names or {})
        self._places = _places(graph, layers, self._layer_names)
        self._done_after = _last_uses(graph)
        for position, layer in layers.items():
            owner, role = self._places[position]
            if owner not in self._modules:
                self.add_module(owner, nn.ModuleDict())
            getattr(self, owner)[role] = layer

    def layer(self, position: int) -> nn.Module | None:
        """The layer with the weights of the node at `position`; None where it has none."""
        place = self._places.get(position)
        if place is None:
            return None
        owner, role = place
        found: nn.Module = getattr(self, owner)[role]
        return found

    def forward(self, x: Tensor) -> Tensor:
        return self._values(x, (len(self.definition.nodes) - 1,))[0]

    def features(self, x: Tensor) -> list[Tensor]:
        """The maps at `feature_positions`, (N, C, H, W) each: what detection and segmentation heads read."""
        return self._values(x, tuple(self.feature_positions().values()))

    def feature_positions(self) -> dict[int, int]:
        """Stride (4, 8, 16, 32, as far as the network has them) → position of the last map of that stride.

        A map is the value between two layers; the head, whose value is a vector, has none.
        """
        strides = _strides(self.definition)
        found: dict[int, int] = {}
        for position in feature_candidates(self.definition):
            if strides[position] in FEATURE_STRIDES and len(self.definition.nodes[position].shape) == 3:
                found[strides[position]] = position
        return found

    def fuse(self) -> GraphModule:
        """The inference form, in eval mode: batch norms folded, branches merged. A new module that shares no weight."""
        layers = {i: fused_layer(self.definition.nodes[i].op, layer) for i in self._places if (layer := self.layer(i))}
        names, architecture = self._layer_names, self.architecture
        return GraphModule(self.definition, layers, layer_names=names, architecture=architecture).eval()

    def _values(self, x: Tensor, wanted: tuple[int, ...]) -> list[Tensor]:
        """The values at the positions `wanted` (ascending); every other value is dropped after its last use."""
        values = {0: x}
        for position, node in enumerate(self.definition.nodes[: wanted[-1] + 1]):
            if position:
                operands = [values[i] for i in node.inputs]
                layer = self.layer(position)
                values[position] = functions.apply(node.op, operands) if layer is None else layer(*operands)
            for i in self._done_after[position]:
                if i not in wanted:
                    del values[i]
        return [values[position] for position in wanted]


class Backbone(nn.Module):
    """A network without its classifier: images (N, C, H, W) → its maps at `strides`, finest first, (N, C, H, W) each.

    What detection and segmentation heads read (see `GraphModule.features`).
    """

    def __init__(self, network: GraphModule) -> None:
        super().__init__()
        self.network = network

    @property
    def strides(self) -> tuple[int, ...]:
        """How many pixels of the image a step on each map is: those of 4, 8, 16, 32 that the network has."""
        return tuple(self.network.feature_positions())

    @property
    def channels(self) -> tuple[int, ...]:
        """The channels of each map."""
        return tuple(self.network.definition.nodes[i].shape[0] for i in self.network.feature_positions().values())

    def forward(self, x: Tensor) -> list[Tensor]:
        return self.network.features(x)

    def fuse(self) -> Backbone:
        """The inference form, in eval mode; a new module that shares no weight."""
        return Backbone(self.network.fuse()).eval()


@overload
def build(
    architecture: Architecture,
    num_classes: int | None = None,
    in_channels: int | None = None,
    *,
    seed: int = 0,
    features_only: Literal[False] = False,
) -> GraphModule: ...
@overload
def build(
    architecture: Architecture,
    num_classes: int | None = None,
    in_channels: int | None = None,
    *,
    seed: int = 0,
    features_only: Literal[True],
) -> Backbone: ...
def build(
    architecture: Architecture,
    num_classes: int | None = None,
    in_channels: int | None = None,
    *,
    seed: int = 0,
    features_only: bool = False,
) -> GraphModule | Backbone:
    """`architecture` as a torch module in training form, with random weights drawn from `seed` alone.

    `num_classes` (from 2 up) and `in_channels` (1, 3 or 4) replace the architecture's; others raise `InputError`.
    `features_only` gives its maps instead of logits (`Backbone`). `.fuse()` of the result is the inference form.
    """
    architecture = architecture.adapted(num_classes=num_classes, in_channels=in_channels)
    names = {number: f"layer{number:02d}_{layer.block}" for number, layer in enumerate(architecture.layers, start=1)}
    module = build_graph(architecture.graph(), seed=seed, layer_names=names, architecture=architecture)
    return Backbone(module) if features_only else module


def build_graph(
    graph: Graph,
    *,
    seed: int = 0,
    layer_names: Mapping[int, str] | None = None,
    architecture: Architecture | None = None,
) -> GraphModule:
    """A graph as a torch module in training form, such as the segment of one block; weights as `build`'s."""
    layers = {}
    for position, node in enumerate(graph.nodes[1:], start=1):
        layer = make_layer(node.op, graph.input_shapes(node)[0])
        if layer is not None:
            layers[position] = layer
    module = GraphModule(graph, layers, layer_names=layer_names, architecture=architecture)
    generator = torch.Generator().manual_seed(seed)
    consumers: dict[int, list[Op]] = {}
    for node in graph.nodes:
        for i in node.inputs:
            consumers.setdefault(i, []).append(node.op)
    for position, layer in layers.items():
        source = graph.nodes[graph.nodes[position].inputs[0]].op
        initialise(layer, generator, gain=_gain(source, consumers.get(position, [])))
    return module


def set_statistics(module: nn.Module, image: tuple[int, ...], *, seed: int = 0) -> None:
    """Give the batch norms of `module` the statistics that two random images (C, H, W) have there; in eval mode."""
    norms = [part for part in module.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)]
    before = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        module.train()(torch.randn(2, *image, generator=generator))
    for norm, momentum in zip(norms, before, strict=True):
        norm.momentum = momentum
    module.eval()


def _gain(source: Op, consumers: list[Op]) -> float:
    """Variance of an output for an input of variance 1 that keeps values in range, whatever the statistics say.

    2 behind an activation, which halves the second moment (He et al., arXiv 1502.01852, equation 10). Small where the
    result is added to a skip connection, so that a deep sum stays in range (as Goyal et al., arXiv 1706.02677, section
    5.1, do through the norm), or opens a gate, so that the gate starts half open and is no switch.
    """
    gain = 2.0 if isinstance(source, Activation) else 1.0
    match consumers:
        case [Binary(function="add")] | [Activation(function="sigmoid" | "hsigmoid")]:
            return gain * SMALL
    return gain


def _places(graph: Graph, layers: Mapping[int, nn.Module], names: Mapping[int, str]) -> dict[int, tuple[str, str]]:
    """Position → (name of the layer, role in it) for every node with weights."""
    roles = {i: _role(graph, i) for i in sorted(layers)}
    totals = Counter((graph.nodes[i].layer, role) for i, role in roles.items())
    seen: Counter[tuple[int, str]] = Counter()
    places = {}
    for i, role in roles.items():
        number = graph.nodes[i].layer
        seen[number, role] += 1
        suffix = f"_{seen[number, role]}" if totals[number, role] > 1 else ""
        places[i] = (names.get(number, f"layer{number:02d}"), role + suffix)
    return places


def _role(graph: Graph, position: int) -> str:
    node = graph.nodes[position]
    match node.op:
        case Conv():
            (row,) = node.op.rows(graph.input_shapes(node), node.shape)
            return _CONV_ROLES[str(row[0])]
        case Linear():
            return "classifier" if position == len(graph.nodes) - 1 and len(node.shape) == 1 else "linear"
        case Activation():
            return node.op.function
        case LearnedScale():
            return "scale"
        case Norm():
            return "norm"
    return node.op.name


def _last_uses(graph: Graph) -> list[list[int]]:
    """For each position, the values that nobody reads after it."""
    last: dict[int, int] = {}
    for position, node in enumerate(graph.nodes):
        for i in node.inputs:
            last[i] = position
    done: list[list[int]] = [[] for _ in graph.nodes]
    for i, position in last.items():
        done[position].append(i)
    return done


def _strides(graph: Graph) -> list[int]:
    """How many pixels of the image one step on each map is (vectors and tokens keep the stride of their map)."""
    strides = [1]
    for node in graph.nodes[1:]:
        strides.append(max(strides[i] for i in node.inputs) * _stride(node, graph))
    return strides


def _stride(node: Node, graph: Graph) -> int:
    match node.op:
        case Conv(stride=(stride, _)) | Pool(stride=stride):
            return stride
        case Resize(height=height):
            # Resizing to a multiple of the patch and back is no down-sampling.
            return max(1, round(graph.input_shapes(node)[0][1] / height))
    return 1
