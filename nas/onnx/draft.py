"""A graph on its way from an ONNX file: the nodes so far, and where each value is among them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nas.errors import InputError
from nas.graph.graph import Node
from nas.graph.ops import Input, Op
from nas.graph.rows import Shape, elements
from nas.onnx.file import OnnxNetwork, OnnxNode
from nas.onnx.layers import View, unbatched


class Draft:
    """The `nodes` made so far of a simplified network; `at` says which of them a value is, `readers` what reads it."""

    def __init__(self, network: OnnxNetwork, path: Path) -> None:
        self.network, self._path = network, path
        self.nodes: list[Node] = []
        self.at: dict[str, int] = {}
        self.readers: dict[str, list[OnnxNode]] = {}
        for node in network.nodes:
            for name in node.inputs:
                self.readers.setdefault(name, []).append(node)
        for name in network.inputs:
            shape = unbatched(network.shapes[name])
            self.at[name] = len(self.nodes)
            self.nodes.append(Node(Input(shape), (), shape, 0))

    def shape(self, name: str) -> Shape:
        """The shape of a value, its batch included."""
        return self.network.shapes[name]

    def operands(self, node: OnnxNode) -> list[str]:
        """The operands that are computed, not constant."""
        found = [name for name in node.inputs if name and name not in self.network.constants]
        for name in found:
            if name not in self.at:
                raise InputError(f"{self._path} must define every value before its use, but {name!r} is not.")
        return found

    def constant_shapes(self, node: OnnxNode) -> list[Shape]:
        """The shapes of the operands that are constant, where they are known."""
        constants, shapes = self.network.constants, self.network.shapes
        return [shapes[name] for name in node.inputs if name in constants and name in shapes]

    def constant_sizes(self, node: OnnxNode) -> list[int]:
        """How many numbers these hold."""
        return [elements(shape) for shape in self.constant_shapes(node)]

    def put(self, op: Op, operands: list[str], out: str, shape: Shape | None = None) -> None:
        """Append `op` on `operands`; its value is called `out`. Maps of one axis become maps where `op` needs them."""
        places = tuple(self.at[name] for name in operands)
        self.at[out] = self.append(op, places, unbatched(self.shape(out)) if shape is None else shape)

    def append(self, op: Op, places: tuple[int, ...], shape: Shape) -> int:
        """Append `op` on the values at `places`; where its own value is."""
        self.nodes.append(Node(op, places, shape, 0))
        return len(self.nodes) - 1

    def view(self, name: str, shape: Shape) -> None:
        """Let `name` have another shape from here on, where it has not that one already."""
        if self.nodes[self.at[name]].shape != shape:
            self.at[name] = self.append(View(), (self.at[name],), shape)

    def values(self, name: str) -> list[float] | None:
        """The numbers of a constant; None for what is computed."""
        constant = self.network.constants.get(name)
        return None if constant is None else [float(value) for value in np.asarray(constant).reshape(-1)]
