"""The networks that studies of a device compare."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from nas.blocks.activations import DYNAMIC_ACTIVATIONS
from nas.blocks.squeeze_excite import squeeze_excite
from nas.graph import Builder, Graph
from nas.graph.ops import ACTIVATIONS
from nas.space import Architecture, Layer, known_network, known_networks

RESOLUTION = 224
_STAGES = ((16, 1), (32, 6), (64, 8), (128, 10), (256, 5))
"""Width and depth of the stages of the 30-layer network; the first layer of each halves the map."""

THREADED = (
    "mobilenetv1-1.0", "mobilenetv2-1.0", "mobilenetv3-large-1.0", "mnasnet-a1", "efficientnet-lite0", "fbnet-c",
    "ghostnet-1.0", "shufflenetv2-1.0", "squeezenet-1.1", "mobileone-s1", "repvgg-a0", "repvit-m0.9", "mobilevit-xs",
    "mobilevitv2-1.0",
)  # fmt: skip
"""One network a family, for what changes with the number of threads."""

ATTENTIVE, RESOLUTIONS = "mobilevit-s", (128, 192, 256, 320, 384, 512)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One network of a study: `group` is what it is shown with, `base` the name of the one it is compared with."""

    name: str
    group: str
    graph: Graph
    base: str = ""

    @property
    def resolution(self) -> int:
        """Height of the image in pixels."""
        return self.graph.input_shape[1]


def plain_network(*, act: str = "relu", se: bool = False, skip: bool = False) -> Graph:
    """30 dense 3x3 convolutions, each with `act`, and a classifier, for 224 px.

    MobileOne (arXiv 2206.04040, section 3.2) compares activations and blocks on a 30-layer network, whose widths it
    does not print; those here are ours. `se` adds squeeze-and-excitation (reduction 16) before each activation, `skip`
    a connection around every layer that keeps width and size, also before its activation.
    """
    b = Builder((3, RESOLUTION, RESOLUTION), DYNAMIC_ACTIVATIONS)
    x = b.input
    for width, depth in _STAGES:
        for number in range(depth):
            b.layer += 1
            y = b.conv(x, width, 3, 1 if number else 2)
            if se:
                y = squeeze_excite(b, y, (width + 15) // 16, gate="sigmoid")
            if skip and number:
                y = b.sum(x, y)
            x = b.act(y, act)
    b.layer += 1
    b.linear(b.global_pool(x, flatten=True), 1000)
    return b.build()


def all_known() -> Iterator[Subject]:
    """Every known network."""
    for network in known_networks():
        yield Subject(name=network.name, group=network.family, graph=network.graph())


def activations() -> Iterator[Subject]:
    """The 30-layer network with each activation of the vocabulary."""
    for act in (*ACTIVATIONS, *DYNAMIC_ACTIVATIONS):
        group = "computed from the map" if act in DYNAMIC_ACTIVATIONS else "pointwise"
        yield Subject(name=act, group=group, graph=plain_network(act=act), base="relu")


def blocks() -> Iterator[Subject]:
    """The 30-layer network with squeeze-and-excitation, with skip connections, and with both."""
    for name, se, skip in (
        ("plain", False, False),
        ("se", True, False),
        ("skip", False, True),
        ("se-skip", True, True),
    ):
        yield Subject(name=name, group="30 layers", graph=plain_network(se=se, skip=skip), base="plain")


def threaded() -> Iterator[Subject]:
    """One network of each family."""
    for name in THREADED:
        network = known_network(name)
        yield Subject(name=name, group=network.family, graph=network.graph(), base=name)


def attentions() -> Iterator[Subject]:
    """MobileViT with its own attention and with separable self-attention, at several resolutions.

    MobileViTv2 (arXiv 2206.02680) makes the same exchange. Tokens grow with the square of the resolution.
    """
    network = known_network(ATTENTIVE)
    for resolution in RESOLUTIONS:
        own = network.at_resolution(resolution)
        base = f"own@{resolution}"
        yield Subject(name=base, group="its own attention", graph=own.graph(), base=base)
        graph = with_separable_attention(own).graph()
        yield Subject(name=f"separable@{resolution}", group="separable self-attention", graph=graph, base=base)


def with_separable_attention(network: Architecture) -> Architecture:
    """`network` with `mobilevit_separable` in place of every `mobilevit` block; all sizes stay."""
    return replace(network, name=f"{network.name}-separable", layers=tuple(map(_separable, network.layers)))


def _separable(layer: Layer) -> Layer:
    if layer.block != "mobilevit":
        return layer
    return Layer("mobilevit_separable", tuple(pair for pair in layer.args if pair[0] != "heads"))
