"""A static-shape ONNX file as plain nodes: every shape known, every small constant computed.

Weights are never looked at, only their shapes: files with weights outside them are read without those, as long as they
are there. Nothing in a file is executed; constant arithmetic goes through ONNX's own reference operators.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError, EncodeError  # type: ignore[import-untyped]
from onnx import TensorProto, helper, inliner, numpy_helper, reference, shape_inference

from nas.errors import InputError
from nas.graph.rows import elements
from nas.onnx.budget import Budget
from nas.onnx.sane import check_model, check_order, check_shapes

MAX_BYTES = 2**31
_SMALL = 4096
"""Constants of up to so many elements are kept with their values; of larger ones, weights, the shape counts."""
_MAX_ROUNDS = 40
_REMEDY = "export it again with fixed input sizes and a batch of 1"


@dataclass(slots=True)
class OnnxNode:
    """One operator: type (with its domain in front where it is not ONNX's own), names of values, attributes."""

    kind: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class OnnxNetwork:
    """The nodes that the outputs need, in order; the shapes of all values; constants (None: values not kept)."""

    nodes: list[OnnxNode]
    shapes: dict[str, tuple[int, ...]]
    constants: dict[str, np.ndarray[Any, Any] | None]
    inputs: list[str]
    outputs: list[str]


def read_onnx_network(path: Path) -> OnnxNetwork:
    """The network in the file at `path`.

    Raises `InputError` naming the file for what is no ONNX file, is cut off, has weights missing, is larger than 2 GB,
    has inputs of unknown size or a batch other than 1, or values whose shapes cannot be inferred.
    """
    model = _load(path)
    check_model(model, path)
    _forget_weights(model)
    if model.functions:
        model = inliner.inline_local_functions(model)
    check_order(model.graph, path)
    graph = model.graph
    constants: dict[str, np.ndarray[Any, Any] | None] = {}
    for tensor in graph.initializer:
        constants[tensor.name] = _values(tensor)
    inputs = [value.name for value in graph.input if value.name not in constants]
    _check_inputs([value for value in graph.input if value.name in inputs], path)
    outputs = [value.name for value in graph.output]
    _keep(graph, _needed(graph.node, outputs))
    if not inputs or not outputs or not graph.node:
        raise InputError(
            f"{path} must be an ONNX network with an input, an output and operators, but lacks one of them."
        )
    shapes = _resolve(model, constants, path)
    check_shapes(shapes, path)
    nodes = [
        OnnxNode(_kind(node), list(node.input), list(node.output), _attributes(node))
        for node in graph.node
        if not all(name in constants for name in node.output)
    ]
    return OnnxNetwork(nodes=nodes, shapes=shapes, constants=constants, inputs=inputs, outputs=outputs)


def _load(path: Path) -> onnx.ModelProto:
    try:
        size = path.stat().st_size
        if size >= MAX_BYTES:
            raise InputError(
                f"{path} must be smaller than 2 GB, but has {size} bytes; export it with external weights."
            )
        model = onnx.load(str(path), load_external_data=False)
    except OSError as error:
        raise InputError(f"{path} must be a readable ONNX file, but: {error.strerror or error}.") from error
    except (DecodeError, ValueError) as error:
        raise InputError(f"{path} must be an ONNX file, but its content is none, or is cut off.") from error
    if not model.graph.node or not model.opset_import:
        raise InputError(f"{path} must be an ONNX file with a network, but holds none (or is cut off).")
    return model


def _forget_weights(model: onnx.ModelProto) -> None:
    """Large weights inside the file are not needed, only their shapes."""
    for tensor in model.graph.initializer:
        if elements(tuple(tensor.dims)) > _SMALL:
            for name in ("raw_data", "float_data", "int32_data", "int64_data", "double_data", "uint64_data"):
                tensor.ClearField(name)


def _values(tensor: onnx.TensorProto) -> np.ndarray[Any, Any] | None:
    if np.prod(tensor.dims, dtype=np.int64) > _SMALL or tensor.data_location == TensorProto.EXTERNAL:
        return None
    try:
        return numpy_helper.to_array(tensor)
    except (ValueError, TypeError):
        return None


def _check_inputs(inputs: Iterable[onnx.ValueInfoProto], path: Path) -> None:
    for value in inputs:
        dims = [
            d.dim_value if d.HasField("dim_value") else d.dim_param or "?" for d in value.type.tensor_type.shape.dim
        ]
        shown = "x".join(map(str, dims)) or "nothing"
        if not all(isinstance(size, int) and size > 0 for size in dims):
            raise InputError(f"{path}: the input {value.name!r} must have a fixed size, but has {shown}; {_REMEDY}.")
        if len(dims) == 4 and dims[0] != 1:
            raise InputError(f"{path}: the input {value.name!r} must be one image, but has {shown}; {_REMEDY}.")


def _needed(nodes: Iterable[onnx.NodeProto], outputs: list[str]) -> list[onnx.NodeProto]:
    """The nodes that the outputs depend on, in their order."""
    wanted, kept = set(outputs), []
    for node in reversed(list(nodes)):
        if wanted.intersection(node.output):
            wanted.update(name for name in node.input if name)
            wanted.update(_outer_names(node))
            kept.append(node)
    return kept[::-1]


def _keep(graph: onnx.GraphProto, nodes: list[onnx.NodeProto]) -> None:
    """Let `graph` have these of its nodes only."""
    if len(nodes) < len(graph.node):
        del graph.node[:]
        graph.node.extend(nodes)


def _outer_names(node: onnx.NodeProto) -> set[str]:
    """Names that the subgraphs of a node read."""
    return {
        name
        for attribute in node.attribute
        if attribute.type == onnx.AttributeProto.GRAPH
        for inner in attribute.g.node
        for name in (*inner.input, *_outer_names(inner))
    }


def _resolve(
    model: onnx.ModelProto, constants: dict[str, np.ndarray[Any, Any] | None], path: Path
) -> dict[str, tuple[int, ...]]:
    """Infer shapes and fold constants in turns, until every value has a shape; what is folded joins `constants`."""
    graph, budget = model.graph, Budget()
    for value in [*graph.value_info, *graph.output]:
        value.type.tensor_type.ClearField("shape")  # what an exporter wrote down may be symbolic; it is inferred anew
    del graph.value_info[:]
    for _ in range(_MAX_ROUNDS):
        shapes, types = _infer(model, path)
        folded = _fold(model, constants, shapes, budget)
        missing = [
            (node, name)
            for node in graph.node
            for name in node.output
            if name and name not in shapes and name not in constants
        ]
        if not missing:
            return shapes
        if not folded:
            _guess(model, missing, shapes, types, path)
    raise InputError(f"{path} must have values of fixed shape, but {missing[0][1]!r} has none; {_REMEDY}.")


def _infer(model: onnx.ModelProto, path: Path) -> tuple[dict[str, tuple[int, ...]], dict[str, int]]:
    try:
        graph = shape_inference.infer_shapes(model, data_prop=_propagates_little(model.graph)).graph
    except (shape_inference.InferenceError, EncodeError, DecodeError, ValueError) as error:
        raise InputError(f"{path} must be a valid ONNX network, but shape inference says: {error}.") from error
    shapes: dict[str, tuple[int, ...]] = {}
    types: dict[str, int] = {}
    for tensor in graph.initializer:
        shapes[tensor.name], types[tensor.name] = tuple(tensor.dims), tensor.data_type
    for value in [*graph.input, *graph.value_info, *graph.output]:
        kind = value.type.tensor_type
        types[value.name] = kind.elem_type
        if kind.HasField("shape") and all(d.HasField("dim_value") for d in kind.shape.dim):
            shapes[value.name] = tuple(d.dim_value for d in kind.shape.dim)
    return shapes, types


_CARRIED = ("Add", "Sub", "Mul", "Concat", "Gather", "Cast", "Slice", "Squeeze", "Unsqueeze", "Shape", "Size")
_MOST_CARRIED = 2**22


def _propagates_little(graph: onnx.GraphProto) -> bool:
    """Whether the values that ONNX carries along while it infers shapes are few: what is concatenated with itself
    doubles."""
    most = {tensor.name: min(elements(tuple(tensor.dims)), _SMALL) for tensor in graph.initializer}
    total = 0
    for node in graph.node:
        if node.op_type in _CARRIED:
            sizes = [most.get(name, 64) for name in node.input] or [1]
            made = sum(sizes) if node.op_type == "Concat" else max(sizes)
            total += made
            if total > _MOST_CARRIED:
                return False
            most.update(dict.fromkeys(node.output, made))
    return True


def _fold(
    model: onnx.ModelProto,
    constants: dict[str, np.ndarray[Any, Any] | None],
    shapes: dict[str, tuple[int, ...]],
    budget: Budget,
) -> bool:
    """Compute what depends on constants and known shapes alone; whether anything new was."""
    graph, found = model.graph, False
    for node in graph.node:
        if not node.output or all(name in constants for name in node.output if name):
            continue
        if node.op_type in ("Shape", "Size") and node.input[0] in shapes:
            made: list[Any] | None = [_shape_value(node, shapes[node.input[0]])]
        elif not all(name in constants for name in node.input if name) or _outer_names(node):
            continue
        else:
            made = _evaluate(node, model, constants, shapes, budget)
        for name, value in zip(node.output, made or [None] * len(node.output), strict=False):
            if value is None:
                if name in shapes:
                    constants[name] = None
                    found = True
                continue
            array = np.asarray(value)
            constants[name] = array
            shapes[name] = array.shape
            graph.initializer.append(numpy_helper.from_array(array, name))
            found = True
    done = {tensor.name for tensor in graph.initializer}
    _keep(graph, [node for node in graph.node if not (node.output and all(n in done for n in node.output if n))])
    return found


def _shape_value(node: onnx.NodeProto, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    if node.op_type == "Size":
        return np.array(np.prod(shape, dtype=np.int64), dtype=np.int64)
    given = {a.name: a.i for a in node.attribute}
    return np.array(shape[given.get("start", 0) : given.get("end", len(shape))], dtype=np.int64)


def _evaluate(
    node: onnx.NodeProto,
    model: onnx.ModelProto,
    constants: dict[str, np.ndarray[Any, Any] | None],
    shapes: dict[str, tuple[int, ...]],
    budget: Budget,
) -> list[Any] | None:
    """The values of a node of small constants, or None where they are too large, random or not to be computed."""
    names = [name for name in node.input if name]
    values = {name: constants[name] for name in names}
    large = any(np.prod(shapes.get(name, (0,)), dtype=np.float64) > _SMALL for name in node.output)
    operands = {name: value for name, value in values.items() if value is not None}
    known = len(operands) == len(values) and not large
    if not known or not budget.allows(node, [operands[name] for name in names], _SMALL):
        return None
    inputs = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
        for name, value in operands.items()
    ]
    outputs = [helper.make_empty_tensor_value_info(name) for name in node.output if name]
    made = helper.make_graph([node], "constant", inputs, outputs)
    try:
        evaluator = reference.ReferenceEvaluator(helper.make_model(made, opset_imports=model.opset_import))
        results = list(evaluator.run(None, operands))
    except Exception:  # noqa: BLE001  # ONNX's evaluator raises whatever NumPy does, and assertions of its own
        return None
    return None if any(np.size(value) > _SMALL for value in results) else results


def _guess(
    model: onnx.ModelProto,
    missing: list[tuple[onnx.NodeProto, str]],
    shapes: dict[str, tuple[int, ...]],
    types: dict[str, int],
    path: Path,
) -> None:
    """Give the first operator that ONNX cannot infer (one of another domain) the shape of its first known operand."""
    node, name = missing[0]
    known = [operand for operand in node.input if operand in shapes]
    if node.domain in ("", "ai.onnx") or not known:
        raise InputError(
            f"{path} must have values of fixed shape, but that of {name!r} ({node.op_type}) is not known; {_REMEDY}."
        )
    source = known[0]
    model.graph.value_info.append(
        helper.make_tensor_value_info(name, types.get(source, TensorProto.FLOAT), shapes[source])
    )


def _kind(node: onnx.NodeProto) -> str:
    return node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op_type}"


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    plain = (a for a in node.attribute if a.type != onnx.AttributeProto.GRAPH and not a.ref_attr_name)
    return {a.name: helper.get_attribute_value(a) for a in plain}
