"""Layers and networks as the segments that a runtime executes."""

from __future__ import annotations

from functools import lru_cache

from nas.graph import Segment
from nas.graph.rows import Shape
from nas.runtimes import OWN, Runtime
from nas.space.architecture import Architecture, Layer, build_layer, layer_graph


def lower_layer(layer: Layer, input_shape: Shape, num_classes: int, runtime: Runtime) -> Segment:
    """The segment of one layer on an input of `input_shape`, remembered; raises `ValueError` where it does not fit."""
    if runtime == OWN:
        return build_layer(layer, input_shape, num_classes).segment
    return _lowered(layer, input_shape, num_classes, runtime)


@lru_cache(maxsize=200_000)
def _lowered(layer: Layer, input_shape: Shape, num_classes: int, runtime: Runtime) -> Segment:
    return runtime.segments(layer_graph(layer, input_shape, num_classes))[0]


def lower(network: Architecture, runtime: Runtime) -> tuple[Segment, ...]:
    """One segment a layer, in order, each as if alone. Raises `InputError` where a layer does not fit its input."""
    places = zip(network.layers, network.layer_inputs(), strict=True)
    return tuple(lower_layer(layer, shape, network.num_classes, runtime) for layer, shape in places)
