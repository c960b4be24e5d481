"""A graph on its way from an ONNX file: the nodes so far, and where each value is among them.

The graph holds one image: the leading axis of a batch (or of whatever is folded into one, such as the frames of a
video) becomes how many `times` a node runs.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from nas.errors import InputError
from nas.graph.graph import Node
from nas.graph.ops import Input, Op
from nas.graph.rows import Shape, elements
from nas.onnx.layers import Stored, View
from nas.onnx.network import FACTORS, SHIFTS, ComputedIn, OnnxNetwork, OnnxNode

_CONVOLUTIONS = ("Conv", "ConvTranspose")
_COUNTING = (np.int64, np.int32, np.bool_)
"""Types of numbers that are sizes, places and conditions."""


class Draft:
    """The `nodes` made so far of a simplified network of `batch` images; `at` says which of them a value is, `readers`
    what reads it, `macs` how many multiply-adds are computed in what."""

    def __init__(self, network: OnnxNetwork, path: Path, batch: int = 1) -> None:
        self.network, self._path, self._batch = network, path, batch
        self.nodes: list[Node] = []
        self.at: dict[str, int] = {}
        self.readers: dict[str, list[OnnxNode]] = {}
        self.macs: Counter[ComputedIn | None] = Counter()
        self.uncounted: list[str] = []
        self._times: list[int] = []
        self._counted: set[tuple[str, ...]] = set()
        self._node = OnnxNode("", [], [])
        for node in network.nodes:
            for name in node.inputs:
                self.readers.setdefault(name, []).append(node)
        for name in network.inputs:
            shape, times = self.split(name)
            self.at[name] = self.append(Input(shape), (), shape, times)

    def begin(self, node: OnnxNode) -> None:
        """From here on operators are those of `node`."""
        self._node = node

    def shape(self, name: str) -> Shape:
        """The shape of a value, its batch included."""
        if name not in self.network.shapes:
            raise InputError(f"{self._path} must define every value before its use, but {name!r} is not.")
        return self.network.shapes[name]

    def split(self, name: str) -> tuple[Shape, int]:
        """The shape of one image's part of a value, and how many of them it holds."""
        return self.part(self.shape(name))

    def part(self, shape: Shape) -> tuple[Shape, int]:
        """One image's part of a shape, and how many of them it holds."""
        if len(shape) > 1 and shape[0] in (1, self._batch):
            return shape[1:], shape[0]
        return shape or (1,), 1

    def one(self, name: str) -> Shape:
        """The shape of one image's part of a value."""
        return self.split(name)[0]

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

    def learned(self, name: str) -> int:
        """How many learned numbers a constant is; 0 for what is computed, and for integers that count or point."""
        if name not in self.network.constants or name not in self.network.shapes:
            return 0
        value = self.network.constants[name]
        return 0 if value is not None and value.dtype in _COUNTING else elements(self.network.shapes[name])

    def put(self, op: Op, operands: list[str], out: str, shape: Shape | None = None, times: int | None = None) -> None:
        """Append `op` on `operands`; its value is called `out`, and is `times` images of `shape`, by default as its
        name says."""
        own, often = self.split(out)
        often = often if times is None else times
        places = tuple(self._place(name, often) for name in operands)
        self.at[out] = self.append(op, places, own if shape is None else shape, often)

    def append(self, op: Op, places: tuple[int, ...], shape: Shape, times: int = 1) -> int:
        """Append `op` on the values at `places`; where its own value is."""
        inputs = tuple(self.nodes[i].shape for i in places)
        shared = self._shared(op.params(inputs))
        node = Node(op, places, shape, 0, times=times * self._node.repeats, shared=shared)
        self.nodes.append(node)
        self._times.append(times)
        self.macs[self._node.computed_in] += node.macs(inputs)
        return len(self.nodes) - 1

    def _shared(self, params: int) -> int:
        """How many of the `params` learned numbers of the operator of the moment one before it has, or none has."""
        if not params:
            return 0
        sizes = self._made_of()
        fresh = {key: size for key, size in sizes.items() if key not in self._counted}
        self._counted.update(sizes)
        is_computed = self._node.kind in _CONVOLUTIONS and self._node.inputs[1] not in self.network.constants
        if is_computed or len(fresh) < len(sizes):
            return max(params - sum(fresh.values()), 0)
        return 0

    def _made_of(self) -> dict[tuple[str, ...], int]:
        """The learned numbers of the operator of the moment by the constants that they are made of, and their sizes:
        with other factors folded into them, or as another sum of shifts, they are others."""
        node, origins = self._node, self.network.origins
        factors, shifts = (
            tuple(origins.get(name, name) for name in node.attributes.get(key, ())) for key in (FACTORS, SHIFTS)
        )
        found = {(origins.get(name, name), *factors): self.learned(name) for name in node.inputs if self.learned(name)}
        if shifts:
            found[("", *shifts, *factors)] = self.learned(node.attributes[SHIFTS][0])
        return found

    def view(self, name: str, shape: Shape, times: int | None = None) -> None:
        """Let `name` have another shape from here on, where it has not that one already."""
        place = self._at(name)
        often = self._times[place] if times is None else times
        if (self.nodes[place].shape, self._times[place]) != (shape, often):
            self.at[name] = self.append(View(), (place,), shape, often)

    def values(self, name: str) -> list[float] | None:
        """The numbers of a constant; None for what is computed."""
        constant = self.network.constants.get(name)
        try:
            return None if constant is None else [float(value) for value in np.asarray(constant).reshape(-1)]
        except (TypeError, ValueError):  # texts
            return None

    def uncount(self, kind: str) -> None:
        """Note that an operator may hold multiply-adds that nobody counted."""
        self.uncounted.append(kind)

    def _at(self, name: str) -> int:
        """Where a value is; a constant is put there when an operator needs it as data."""
        if name not in self.at:
            if name not in self.network.constants:
                raise InputError(f"{self._path} must define every value before its use, but {name!r} is not.")
            shape, times = self.split(name)
            self.at[name] = self.append(Stored(), (), shape, times)
        return self.at[name]

    def _place(self, name: str, times: int) -> int:
        """Where a value is as `times` images, where it can be seen so."""
        place = self._at(name)
        shape = self.network.shapes.get(name, ())
        if self._times[place] == times or (times > 1 and shape[:1] != (times,)):
            return place
        return self.append(View(), (place,), (shape[1:] if times > 1 else shape) or (1,), times)
