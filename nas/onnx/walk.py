"""One walk over the nodes of an ONNX model, in their order: every shape inferred, every small constant computed.

Nodes become those of ONNX's own operators where they are like one (`nas.onnx.alike`). The body of a loop is walked
once, and its nodes say how often they run; of an If the branch that its condition names, or both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto

from nas.errors import InputError
from nas.graph.rows import Shape
from nas.onnx.alike import in_standard_form
from nas.onnx.blocks import real_weights
from nas.onnx.budget import Budget
from nas.onnx.constants import SMALL, Array, evaluate, kept, number
from nas.onnx.network import CHOICE, STATE, ComputedIn, OnnxNode
from nas.onnx.order import in_order, names_read
from nas.onnx.precision import MOVING, precision_name
from nas.onnx.shapes import attributes, element_type, fixed_shape, qualified, result_types, tensor_type

MAX_TRIPS = 2**20
"""A loop of more trips is one whose number of trips nobody knows (torch writes 2⁶³ - 1 for them)."""
_MAX_DEPTH = 16
_OPAQUE = ("Random", "Bernoulli", "Multinomial")
_BY_FIRST: Mapping[str, int] = {"CastLike": 1, "EyeLike": 0}
"""How many of their operands some operators read the values of."""
_DATA_SIZED = ("NonZero", "NonMaxSuppression", "Unique", "Compress")
_PRODUCTS: Mapping[str, int] = {
    "Conv": 1, "ConvTranspose": 1, "Gemm": 1, "MatMul": 1, "DeformConv": 1, "Einsum": 1, "LSTM": 1, "GRU": 1, "RNN": 1,
    "Attention": 1, "com.microsoft.Attention": 1, "com.microsoft.QAttention": 1,
    "com.microsoft.MultiHeadAttention": 1, "com.microsoft.GroupQueryAttention": 1,
    "com.microsoft.MatMulNBits": 1, "com.microsoft.MatMulBnb4": 1,
}  # fmt: skip
"""What multiplies, and which of its operands the weights are."""
_ANOTHER_FORM = (
    "Identity", "Cast", "CastLike", "Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "DequantizeLinear",
)  # fmt: skip
"""What leaves a constant the one that it was, all of it."""
_PACKED_BITS = ("com.microsoft.MatMulNBits", "com.microsoft.MatMulBnb4")


class Walk:
    """What is known of the values of `model` so far; `nodes` are those that are left to compute.

    `inputs` are the types of the network's inputs, by their names; `types` those of all values; `constants` the values
    of constants (None where they are not kept); `origins` those that are others in another form. Errors name the file
    at `path`.
    """

    def __init__(self, model: onnx.ModelProto, inputs: Mapping[str, onnx.TypeProto], path: Path) -> None:
        self.types: dict[str, onnx.TypeProto] = dict(inputs)
        self.constants: dict[str, Array | None] = {}
        self.origins: dict[str, str] = {}
        self.uncounted: list[str] = []
        self.notes: list[str] = []
        self._opsets, self._budget = list(model.opset_import), Budget()
        self._path = path
        self._declared: dict[str, onnx.TypeProto] = {}
        self._stored_as: dict[str, str] = {}
        self._depth = 0
        self._trips = 1
        self._count = 0
        self._read = names_read(model.graph)
        self.nodes, _ = self._graph(model.graph, {})

    def shapes(self) -> dict[str, Shape]:
        """The shapes of all values."""
        found = {name: fixed_shape(kind) for name, kind in self.types.items()}
        return {name: shape for name, shape in found.items() if shape is not None}

    def _graph(self, graph: onnx.GraphProto, scope: Mapping[str, str]) -> tuple[list[OnnxNode], list[str]]:
        """The nodes of `graph`, and what its outputs are called; `scope` has the names of what lies around it."""
        inner = self._depth > 0
        self._count += 1
        names = dict(scope)
        local = {name for node in graph.node for name in node.output if name} if inner else set()
        names.update({name: f"{name}@{self._count}" for name in local})
        for tensor in graph.initializer:
            name = names[tensor.name] = f"{tensor.name}@{self._count}" if inner else tensor.name
            self._hold(name, tensor)
        for sparse in graph.sparse_initializer:
            names[sparse.values.name] = sparse.values.name
            self._constant(sparse.values.name, None, sparse.values.data_type, tuple(sparse.dims))
        for value in (*graph.value_info, *graph.output):
            self._declared[names.get(value.name, value.name)] = value.type
        outputs = [names.get(value.name, value.name) for value in graph.output]
        if inner:
            self._read.update(outputs, *([names.get(name, name) for name in node.input] for node in graph.node))
        found: list[OnnxNode] = []
        for node in in_order(graph.node, self._path):
            if inner:
                copy = onnx.NodeProto()
                copy.CopyFrom(node)
                copy.input[:] = [names.get(name, name) for name in node.input]
                copy.output[:] = [names.get(name, name) for name in node.output]
                node = copy
            found += self._step(node, names)
        return found, outputs

    def _step(self, node: onnx.NodeProto, names: Mapping[str, str]) -> list[OnnxNode]:
        if node.domain in ("", "ai.onnx") and node.op_type in ("If", "Loop", "Scan"):
            if self._depth >= _MAX_DEPTH:
                raise InputError(f"{self._path} must not nest loops and branches deeper than {_MAX_DEPTH}, but does.")
            self._depth += 1
            try:
                return {"If": self._if, "Loop": self._loop, "Scan": self._scan}[node.op_type](node, names)
            finally:
                self._depth -= 1
        real = real_weights(node, self.types, self.constants)
        forms = in_standard_form(node)
        if real is not None:
            self._unpad(forms[0], real)
        return [made for form in forms for made in self._settle(form)]

    def _unpad(self, convolution: onnx.NodeProto, real: Shape) -> None:
        """Let a convolution have weights of the shape `real`, and as many groups as they have."""
        padded = self.types[convolution.input[1]]
        for attribute in convolution.attribute:
            if attribute.name == "group" and attribute.i > 1 and real[1] == 1:
                attribute.i = real[0]
        source = convolution.input[1]
        name = convolution.input[1] = f"{source}@{convolution.output[0]}"
        self.origins[name] = self.origins.get(source, source)
        self._constant(name, None, element_type(padded), real)

    def _settle(self, node: onnx.NodeProto) -> list[OnnxNode]:
        """A node of plain operands: computed where they are constant, else to be done at run time."""
        outputs = [name for name in node.output if name]
        if node.op_type == "Constant":
            return self._literal(node)
        types = result_types(node, self.types, self.constants, self._declared, self._opsets)
        shapes = {name: fixed_shape(types.get(name)) for name in outputs}
        own = node.domain in ("", "ai.onnx")
        self._remember_stored(node)
        if (
            own
            and node.op_type in ("Shape", "Size")
            and (source := fixed_shape(self.types.get(node.input[0]))) is not None
        ):
            self._constant(outputs[0], _shape_value(node, source))
            return []
        # Of some operands only the type, or the shape, is read.
        operands = node.input[: _BY_FIRST.get(node.op_type)] if own else node.input
        constant = all(name in self.constants for name in operands if name)
        if own and constant and not node.op_type.startswith(_OPAQUE):
            if node.op_type in _ANOTHER_FORM:
                self.origins[outputs[0]] = self.origins.get(node.input[0], node.input[0])
            small = all(shape is not None and number(shape) <= SMALL for shape in shapes.values())
            values = self._computed(node) if small or node.op_type == "NonZero" else None
            if values is not None:
                for name, value in zip(outputs, values, strict=False):
                    self._constant(name, value)
                return []
            if all(shape is not None for shape in shapes.values()):
                for name, shape in shapes.items():
                    self._constant(name, None, element_type(types[name]), shape or ())
                return []
        self._need(node, shapes)
        self.types.update({name: types[name] for name in outputs if name in types})
        if node.op_type in _DATA_SIZED:
            self.notes.append(f"how much {node.op_type} finds depends on the data; it is taken to find the most")
        return [self._made(node)]

    def _made(self, node: onnx.NodeProto) -> OnnxNode:
        kind = qualified(node)
        made = OnnxNode(kind, list(node.input), list(node.output), attributes(node), self._trips)
        if kind in _PRODUCTS:
            values = self._precision(node.input[0]) if node.input else None
            place = _PRODUCTS[kind]
            weights = self._precision(node.input[place]) if place < len(node.input) else None
            if kind in _PACKED_BITS:
                weights = f"int{made.attributes.get('bits', 4)}"
            made.computed_in = ComputedIn(values or "float32", weights or values or "float32")
        return made

    def _precision(self, name: str) -> str | None:
        return self._stored_as.get(name) or precision_name(element_type(self.types.get(name)))

    def _remember_stored(self, node: onnx.NodeProto) -> None:
        """Numbers that are restored from integers are those integers, to whatever multiplies them."""
        if not node.input or not node.output:
            return
        if node.op_type == "DequantizeLinear":
            stored = precision_name(element_type(self.types.get(node.input[0])))
        else:
            stored = self._stored_as.get(node.input[0]) if node.op_type in MOVING else None
        if stored is not None:
            self._stored_as.update(dict.fromkeys(node.output, stored))

    def _computed(self, node: onnx.NodeProto) -> list[Array] | None:
        if node.op_type in _BY_FIRST:
            return (
                [first] if node.op_type == "CastLike" and (first := self.constants[node.input[0]]) is not None else None
            )
        values = {name: self.constants[name] for name in node.input if name}
        operands = {name: value for name, value in values.items() if value is not None}
        return evaluate(node, operands, self._opsets, self._budget) if len(operands) == len(values) else None

    def _need(self, node: onnx.NodeProto, shapes: Mapping[str, Shape | None]) -> None:
        """Every result that is read must have a shape."""
        for name, shape in shapes.items():
            if shape is None and name in self._read:
                raise InputError(
                    f"{self._path} must have values of sizes that are known before it runs, but that of {name!r}, made"
                    f" by {qualified(node)}, depends on the data or is not known to ONNX; cut the network off before it"
                    " (`onnx.utils.extract_model`), or save it with the shapes of its values."
                )

    def _literal(self, node: onnx.NodeProto) -> list[OnnxNode]:
        """A constant that stands in a node."""
        for attribute in node.attribute:
            if attribute.name == "value":
                self._hold(node.output[0], attribute.t)
                return []
            if attribute.name == "sparse_value":
                values = attribute.sparse_tensor
                self._constant(node.output[0], None, values.values.data_type, tuple(values.dims))
                return []
        made = evaluate(node, {}, self._opsets, self._budget)
        self._constant(node.output[0], made[0] if made else None)
        return []

    def _hold(self, name: str, tensor: onnx.TensorProto) -> None:
        self._constant(name, kept(tensor), tensor.data_type, tuple(tensor.dims))

    def _constant(self, name: str, value: Array | None, kind: int = TensorProto.FLOAT, shape: Shape = ()) -> None:
        """Let `name` be a constant: its value, or its type and shape alone."""
        if value is not None:
            shape = value.shape
            try:
                kind = onnx.helper.np_dtype_to_tensor_dtype(value.dtype)
            except (KeyError, ValueError):
                kind = TensorProto.STRING
        self.constants[name] = value
        self.types[name] = tensor_type(kind, shape)

    # Branches and loops

    def _if(self, node: onnx.NodeProto, names: Mapping[str, str]) -> list[OnnxNode]:
        branches = [_subgraph(node, key) for key in ("then_branch", "else_branch")]
        condition = self.constants.get(node.input[0])
        if condition is not None and condition.size == 1:
            nodes, results = self._graph(branches[0 if condition.reshape(-1)[0] else 1], names)
            return nodes + self._passed(results, node.output)
        both = [self._graph(branch, names) for branch in branches]
        for i, name in enumerate(node.output):
            kinds = [self.types.get(results[i]) for _, results in both if i < len(results)]
            known = [(shape, kind) for kind in kinds if kind and (shape := fixed_shape(kind)) is not None]
            if not known:
                self._need(node, {name: None})
                continue
            self.types[name] = max(known, key=lambda pair: number(pair[0]))[1]
        found = OnnxNode(CHOICE, [node.input[0]], list(node.output), repeats=self._trips)
        found.attributes = {"branches": [nodes for nodes, _ in both], "results": [results for _, results in both]}
        return [found]

    def _loop(self, node: onnx.NodeProto, names: Mapping[str, str]) -> list[OnnxNode]:
        body = _subgraph(node, "body")
        carried, outer = list(node.input[2:]), [value.name for value in body.input]
        most = self.constants.get(node.input[0]) if node.input[0] else None
        trips = int(most.reshape(-1)[0]) if most is not None and most.size == 1 else None
        starts = self.constants.get(node.input[1]) if len(node.input) > 1 and node.input[1] else np.True_
        if (trips is not None and trips <= 0) or (starts is not None and not np.any(starts)):
            return self._passed(carried, node.output[: len(carried)])
        types = [tensor_type(TensorProto.INT64, ()), tensor_type(TensorProto.BOOL, ())]
        types += [self.types.get(name) or onnx.TypeProto() for name in carried]
        entered, inner = self._enter(outer, ["", "", *carried], types, names)
        if trips is None or trips > MAX_TRIPS:
            trips = None
            self._uncount("Loop", "a Loop runs as often as its data says; one trip is counted")
        nodes, results = self._body(body, inner, trips)
        if trips is not None and results and not _is_true(self.constants.get(results[0], np.False_)):
            self.notes.append(f"a Loop of at most {trips} trips is taken to make them all")
        states = results[1 : 1 + len(carried)]
        left = self._leave(node, carried, states, results[1 + len(carried) :], trips, 0)
        return entered + nodes + left

    def _scan(self, node: onnx.NodeProto, names: Mapping[str, str]) -> list[OnnxNode]:
        body, given = _subgraph(node, "body"), attributes(node)
        count = int(given.get("num_scan_inputs", 0))
        carried, scanned = list(node.input[: len(node.input) - count]), list(node.input[len(node.input) - count :])
        axes = [int(axis) for axis in given.get("scan_input_axes", [0] * count)]
        types = [self.types.get(name) or onnx.TypeProto() for name in carried]
        trips = 1
        for name, axis in zip(scanned, axes, strict=False):
            shape = fixed_shape(self.types.get(name)) or ()
            if not -len(shape) <= axis < len(shape):
                raise InputError(f"{self._path} must scan along an axis of {name!r}, but names axis {axis}.")
            trips = shape[axis]
            rest = [n for i, n in enumerate(shape) if i != axis % len(shape)]
            types.append(tensor_type(element_type(self.types.get(name)), rest))
        entered, inner = self._enter([value.name for value in body.input], [*carried, *scanned], types, names)
        nodes, results = self._body(body, inner, min(trips, MAX_TRIPS))
        outer_axes = given.get("scan_output_axes", [0])
        left = self._leave(
            node,
            carried,
            results[: len(carried)],
            results[len(carried) :],
            trips,
            int(outer_axes[0] if outer_axes else 0),
        )
        return entered + nodes + left

    def _body(
        self, body: onnx.GraphProto, names: Mapping[str, str], trips: int | None
    ) -> tuple[list[OnnxNode], list[str]]:
        """The nodes of a body, each as often as it runs."""
        before = self._trips
        self._trips = before * (trips or 1)
        try:
            return self._graph(body, names)
        finally:
            self._trips = before

    def _enter(
        self, inner: list[str], outer: list[str], types: list[onnx.TypeProto], names: Mapping[str, str]
    ) -> tuple[list[OnnxNode], dict[str, str]]:
        """Nodes that bring values into a body, where no constant stays one, and the names there."""
        scope, nodes = dict(names), []
        for name, source, kind in zip(inner, outer, types, strict=False):
            self._count += 1
            own = scope[name] = f"{name}@{self._count}"
            self.types[own] = kind
            nodes.append(OnnxNode(STATE, [source] if source else [], [own], repeats=self._trips))
        return nodes, scope

    def _leave(
        self,
        node: onnx.NodeProto,
        initial: list[str],
        states: list[str],
        stacked: list[str],
        trips: int | None,
        axis: int,
    ) -> list[OnnxNode]:
        """Nodes that bring results out of a body: what a state is after all trips, what each trip made, stacked."""
        found = []
        for i, (result, name) in enumerate(zip([*states, *stacked], node.output, strict=False)):
            if not name:
                continue
            kind, shape = self.types.get(result), fixed_shape(self.types.get(result))
            if shape is not None and i >= len(states):
                place = axis % (len(shape) + 1)
                shape = (*shape[:place], trips, *shape[place:]) if trips is not None else None
            elif shape is not None:
                start = fixed_shape(self.types.get(initial[i]))
                grows = start is not None and len(start) == len(shape) and start != shape
                if start is not None and grows:
                    steps = zip(start, shape, strict=True)
                    shape = tuple(max(a + (b - a) * trips, 0) for a, b in steps) if trips is not None else None
            if shape is None:
                shape, kind = fixed_shape(self._declared.get(name)), self._declared.get(name) or kind
            if shape is None and trips is None and (own := fixed_shape(self.types.get(result))) is not None:
                shape = own if i < len(states) else (1, *own)
            self._need(node, {name: shape})
            if shape is not None:
                self.types[name] = tensor_type(element_type(kind), shape)
                found.append(OnnxNode(STATE, [result], [name], repeats=self._trips))
        return found

    def _passed(self, sources: list[str], names: Iterable[str]) -> list[OnnxNode]:
        """`sources` under other names."""
        pairs = [(source, name) for source, name in zip(sources, names, strict=False) if name]
        return [
            made for pair in pairs for made in self._settle(onnx.helper.make_node("Identity", [pair[0]], [pair[1]]))
        ]

    def _uncount(self, kind: str, note: str) -> None:
        self.uncounted.append(kind)
        self.notes.append(note)


def _is_true(value: Array | np.bool_ | None) -> bool:
    return value is not None and bool(np.all(value))


def _subgraph(node: onnx.NodeProto, key: str) -> onnx.GraphProto:
    """The graph that an attribute holds; an empty one where there is none."""
    return next((a.g for a in node.attribute if a.name == key), onnx.GraphProto())


def _shape_value(node: onnx.NodeProto, shape: Shape) -> Array:
    if node.op_type == "Size":
        return np.array(int(min(number(shape), 2.0**62)), dtype=np.int64)
    given = {a.name: a.i for a in node.attribute}
    return np.array(shape[given.get("start", 0) : given.get("end", len(shape))], dtype=np.int64)
