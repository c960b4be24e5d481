"""What is known of an architecture: the records behind `nas arch list` and `nas arch show`."""

from __future__ import annotations

from typing import Any

from nas.graph import Graph, OperatorTable
from nas.runtimes.neural_engine import leaves_neural_engine
from nas.space import Architecture, known_as, known_networks
from nas.space.architecture import layer_peak
from nas.space.resolution import resolution_document

_PUBLISHED = {"top1": None, "params_M": None, "macs_M": None, "source": ""}


def architecture_record(architecture: Architecture, *, training: bool = False) -> dict[str, Any]:
    """Name, family, resolution (or [height, width]), params, macs, and paper and published figures of a known network.

    `training` counts the parameters and MACs of the training form.
    """
    graph, known = architecture.graph(), known_as(architecture)
    return {
        "name": architecture.name,
        "family": architecture.family,
        "resolution": resolution_document(architecture.resolution),
        "params": graph.training_params if training else graph.params,
        "macs": graph.training_macs if training else graph.macs,
        "paper": known.paper if known else "",
        "published": {**_PUBLISHED, **(known.published if known else {})},
    }


def known_records(*, training: bool = False) -> list[dict[str, Any]]:
    """The record of every known network, family by family."""
    return [architecture_record(network, training=training) for network in known_networks()]


def describe_architecture(architecture: Architecture, *, training: bool = False) -> dict[str, Any]:
    """The record of an architecture, its totals, and its structure layer by layer.

    `activations` are the numbers that all operators of the inference form write for one image, `memory_bytes` what
    they read and write with two bytes a number, weights included and nothing kept on chip; `peak_memory_bytes` are the
    maps alive at once (`nas.graph.memory`), also with two bytes a number; `warnings` name operators
    that are reported to leave Apple's Neural Engine.
    """
    graph = architecture.graph()
    inputs = architecture.layer_inputs()
    outputs = (*inputs[1:], graph.output_shape)
    params, macs = _layer_counts(graph, len(architecture.layers), training)
    return {
        **architecture_record(architecture, training=training),
        "digest": architecture.digest,
        "input": list(architecture.input_shape),
        "num_classes": architecture.num_classes,
        **_traffic(graph.operators()),
        "peak_memory_bytes": 2 * architecture.peak_elements,
        "warnings": list(leaves_neural_engine(graph)),
        "layers": [
            {
                **layer.as_mapping(),
                "input": list(inputs[i]),
                "output": list(outputs[i]),
                "params": params[i],
                "macs": macs[i],
                **_traffic(graph.segments[i].operators),
                "peak_memory_bytes": 2 * layer_peak(layer, inputs[i], architecture.num_classes),
            }
            for i, layer in enumerate(architecture.layers)
        ],
    }


def _layer_counts(graph: Graph, num_layers: int, training: bool) -> tuple[list[int], list[int]]:
    params, macs = [0] * num_layers, [0] * num_layers
    for node in graph.nodes[1:]:
        shapes = graph.input_shapes(node)
        params[node.layer - 1] += node.op.training_params(shapes) if training else node.op.params(shapes)
        macs[node.layer - 1] += (node.op.training_macs if training else node.op.macs)(shapes, node.shape)
    return params, macs


def _traffic(operators: OperatorTable) -> dict[str, int]:
    written = operators.output_elements.sum()
    moved = operators.input_elements.sum() + written + operators.weight_elements.sum()
    return {"activations": int(written), "memory_bytes": 2 * int(moved)}
