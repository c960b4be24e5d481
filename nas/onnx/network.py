"""A network read from an ONNX file, as plain records: nodes, the shapes of all values, constants."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np


class ComputedIn(NamedTuple):
    """What a product is computed in: the precision of what is multiplied, and of its weights, such as "int8"."""

    values: str
    weights: str


@dataclass(slots=True)
class OnnxNode:
    """One operator: type (with its domain in front where it is not ONNX's own), names of values, attributes.

    `repeats`: how often it runs, in the body of a loop. `computed_in`: of operators that multiply.
    """

    kind: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, Any] = field(default_factory=dict)
    repeats: int = 1
    computed_in: ComputedIn | None = None


CHOICE = "If"
"""Kind of the node that stands for an If whose condition is not known: its attribute `branches` holds the nodes of
both, `results` the names that they end in."""
FACTORS, SHIFTS = "factors", "shifts"
"""Attributes of a node: the constants by which, in its inference form, its result is multiplied, and that are added."""
STATE = "LoopState"
"""Kind of the node that brings a value into the body of a loop, or out of it."""


@dataclass(slots=True)
class OnnxNetwork:
    """The nodes that the outputs need, in order; the shapes of all values; constants (None: values not kept).

    `origins` says of constants that are others in another form (turned, cast, restored from integers) which these are.
    `precision` is that of numbers of the first input. `uncounted` names what may hold multiply-adds that nobody
    counted; `notes` are sentences on what was taken for granted.
    """

    nodes: list[OnnxNode]
    shapes: dict[str, tuple[int, ...]]
    constants: dict[str, np.ndarray[Any, Any] | None]
    inputs: list[str]
    outputs: list[str]
    origins: dict[str, str] = field(default_factory=dict)
    precision: str = "float32"
    uncounted: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def prune(network: OnnxNetwork) -> None:
    """Leave out the nodes that no output depends on."""
    network.nodes = needed(network.nodes, set(network.outputs))


def needed(nodes: list[OnnxNode], wanted: set[str]) -> list[OnnxNode]:
    """The nodes that the values `wanted` depend on, in their order; `wanted` becomes all that is read."""
    kept = []
    for node in reversed(nodes):
        if wanted.intersection(node.outputs):
            wanted.update(name for name in node.inputs if name)
            if node.kind == CHOICE:
                for branch, results in zip(node.attributes["branches"], node.attributes["results"], strict=True):
                    wanted.update(results)
                    branch[:] = needed(branch, wanted)
            kept.append(node)
    return kept[::-1]
