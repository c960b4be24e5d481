"""What no ONNX network has: refused before anything is made of it, so that reading a file costs what its size allows.

Files come from anywhere. A few bytes can stand for a gigabyte or for ever: functions that call each other, windows of
2⁴⁰ pixels, weights that are not there. What is refused here is nonsense by ONNX's own definition, or beyond limits that
lie far above any network.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import onnx
from onnx import AttributeProto, TensorProto, helper

from nas.errors import InputError
from nas.graph.rows import Shape, elements

MAX_NODES = 100_000
"""Operators of a file, those of its subgraphs and functions included."""
MAX_EXPANDED = 20_000
"""Operators that the calls of functions stand for."""
MAX_ELEMENTS = 2**40
MAX_INPUT = 2**31
"""Numbers in one value, and in one input."""
_MAX_WINDOW = 2**20
_WINDOWS = {"kernel_shape": 1, "strides": 1, "dilations": 1, "pads": 0, "output_padding": 0}
"""Attribute of an operator with a window → the least that it may be."""
_GROUPED = ("Conv", "ConvTranspose", "QLinearConv", "ConvInteger", "DeformConv", "FusedConv")
_POOLS = ("MaxPool", "AveragePool", "LpPool")
_EQUATION = re.compile(rb"[A-Za-z., ]*(->[A-Za-z. ]*)?")
_EXTERNAL = 255
"""Characters that the name of an external file may have."""


def check_model(model: onnx.ModelProto, path: Path) -> None:
    """Raise `InputError` for a file of too many operators, functions that never end or become too many operators,
    inputs that are no tensors of a size, windows and groups that cannot be, and tensors without their bytes."""
    nodes = [*_nodes(model.graph.node), *(node for function in model.functions for node in _nodes(function.node))]
    if len(nodes) > MAX_NODES:
        raise InputError(f"{path} must have at most {MAX_NODES} operators, but has {len(nodes)}; export a part of it.")
    _check_calls(model, path)
    for value in model.graph.input:
        _check_input(value, path)
    for node in nodes:
        _check_node(node, path)
    for tensor in _tensors(model.graph, nodes):
        check_tensor(tensor, path)


def check_order(graph: onnx.GraphProto, path: Path) -> None:
    """Raise `InputError` where a value is used before it is defined, or defined twice: a network has no circles."""
    known = {"", *(value.name for value in graph.input), *(tensor.name for tensor in graph.initializer)}
    known.update(tensor.values.name for tensor in graph.sparse_initializer)
    for node in graph.node:
        for name in node.input:
            if name not in known:
                raise InputError(
                    f"{path} must define every value before its use, but {name!r} is not; export it again."
                )
        for name in node.output:
            if name and name in known:
                raise InputError(f"{path} must define every value once, but {name!r} comes twice; export it again.")
            known.add(name)
    for value in graph.output:
        if value.name not in known:
            raise InputError(f"{path} must define its outputs, but {value.name!r} is not; export it again.")


def check_shapes(shapes: Mapping[str, Shape], path: Path) -> None:
    """Raise `InputError` for a value of a negative size, or of more numbers than any machine holds."""
    for name, shape in shapes.items():
        if any(size < 0 for size in shape) or elements(shape) > MAX_ELEMENTS:
            raise InputError(
                f"{path} must have values of at most 2^40 numbers, but {name!r} is {'x'.join(map(str, shape))};"
                " export it for the sizes that it runs at."
            )


def check_tensor(tensor: onnx.TensorProto, path: Path) -> None:
    """Raise `InputError` for a tensor of a size or type that cannot be, or whose numbers are not all there."""
    if any(size < 0 for size in tensor.dims) or elements(tuple(tensor.dims)) > MAX_ELEMENTS:
        raise InputError(f"{path}: the weight {tensor.name!r} must have a size, but has {list(tensor.dims)}.")
    bits = _bits(tensor.data_type)
    if not bits:
        raise InputError(
            f"{path}: the weight {tensor.name!r} must have a type that ONNX has, but has {tensor.data_type}; export it"
            " again."
        )
    count = elements(tuple(tensor.dims))
    if tensor.data_location == TensorProto.EXTERNAL:
        _check_external(tensor, -(-count * bits // 8), path)
        return
    if tensor.data_type == TensorProto.STRING:
        held = len(tensor.string_data)
    elif tensor.HasField("raw_data"):
        held = len(tensor.raw_data) * 8 // bits
    else:
        held = _stored(tensor, bits)
    if held < count:
        raise InputError(
            f"{path}: the weight {tensor.name!r} must hold {count} values, but has {held}; it is cut off, or was"
            " taken out: export it again."
        )


def _nodes(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    """`nodes` and those of their subgraphs."""
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        yield node
        for graph in _graphs(node):
            waiting.extend(graph.node)


def _graphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    for attribute in node.attribute:
        if attribute.type == AttributeProto.GRAPH:
            yield attribute.g
        elif attribute.type == AttributeProto.GRAPHS:
            yield from attribute.graphs


def _tensors(graph: onnx.GraphProto, nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.TensorProto]:
    """All tensors of a file."""
    yield from graph.initializer
    for node in nodes:
        for attribute in node.attribute:
            if attribute.type == AttributeProto.TENSOR:
                yield attribute.t
            yield from attribute.tensors
        for inner in _graphs(node):
            yield from inner.initializer


def _check_calls(model: onnx.ModelProto, path: Path) -> None:
    """The operators that calls of functions become are counted, not made."""
    functions = {(f.domain, f.name): f for f in model.functions}
    if len(functions) < len(model.functions):
        raise InputError(f"{path} must define every function once, but one comes twice; export it again.")
    sizes: dict[tuple[str, str], int] = {}
    # Each open call: the function, its calls not yet counted. Deep chains of calls need no deep stack here.
    for key in functions:
        open_calls = [key]
        while open_calls:
            now = open_calls[-1]
            called = [(n.domain, n.op_type) for n in _nodes(functions[now].node)]
            unknown = next((k for k in called if k in functions and k not in sizes), None)
            if unknown is None:
                sizes[now] = sum(sizes.get(k, 1) for k in called)
                open_calls.pop()
            elif unknown in open_calls:
                raise InputError(
                    f"{path} must have functions that end, but {unknown[1]!r} calls itself; export it again."
                )
            else:
                open_calls.append(unknown)
    total = sum(sizes.get((n.domain, n.op_type), 0) for n in _nodes(model.graph.node))
    if total > MAX_EXPANDED:
        raise InputError(
            f"{path} must have functions that become at most {MAX_EXPANDED} operators, but they become {total:.3g};"
            " export it without functions."
        )


def _check_input(value: onnx.ValueInfoProto, path: Path) -> None:
    kind = value.type.WhichOneof("value")
    if kind not in (None, "tensor_type"):
        what = str(kind).removesuffix("_type").replace("_", " ")
        raise InputError(
            f"{path}: the input {value.name!r} must be a tensor, but is a {what}; export the part of the network that"
            " reads tensors."
        )
    dims = [d.dim_value for d in value.type.tensor_type.shape.dim if d.HasField("dim_value")]
    if elements(tuple(max(size, 1) for size in dims)) >= MAX_INPUT:
        raise InputError(
            f"{path}: the input {value.name!r} must have less than 2^31 numbers, but has {'x'.join(map(str, dims))};"
            " export it for the sizes that it runs at."
        )


def _check_node(node: onnx.NodeProto, path: Path) -> None:
    if node.op_type == "Einsum":
        _check_equation(node, path)
    if node.op_type not in (*_GROUPED, *_POOLS):
        return
    for attribute in node.attribute:
        values = list(attribute.ints) if attribute.type == AttributeProto.INTS else [attribute.i]
        if attribute.ref_attr_name:
            continue
        if attribute.name in _WINDOWS:
            least = _WINDOWS[attribute.name]
            if not all(least <= size < _MAX_WINDOW for size in values):
                raise InputError(
                    f"{path}: {attribute.name} of {node.op_type} ({node.name or node.output[:1]}) must be from {least}"
                    f" to 2^20, but got {values}; export it again."
                )
        elif attribute.name == "group" and not 1 <= attribute.i < 2**31:
            raise InputError(
                f"{path}: group of {node.op_type} ({node.name or node.output[:1]}) must be at least 1, but got"
                f" {attribute.i}; export it again."
            )


def _check_equation(node: onnx.NodeProto, path: Path) -> None:
    """ONNX's own inference never ends on other characters than these."""
    equation = next((attribute.s for attribute in node.attribute if attribute.name == "equation"), b"")
    if not _EQUATION.fullmatch(equation):
        raise InputError(
            f"{path}: the equation of Einsum ({node.name or node.output[:1]}) must be of letters, commas, '...' and"
            f" '->', but got {equation.decode(errors='replace')!r}; export it again."
        )


def _bits(data_type: int) -> int:
    """How many bits one number of a type takes in `raw_data`; 0 for types that ONNX has not."""
    if data_type == TensorProto.STRING:
        return 8
    try:
        name = TensorProto.DataType.Name(data_type)
        size = int(helper.tensor_dtype_to_np_dtype(data_type).itemsize) * 8
    except (KeyError, ValueError):
        return 0
    packed = next((n for n in (2, 4) if name in (f"INT{n}", f"UINT{n}", f"FLOAT{n}E2M1")), 0)
    return packed or size


def _stored(tensor: onnx.TensorProto, bits: int) -> int:
    """How many numbers the field of a tensor's type holds."""
    field = getattr(tensor, helper.tensor_dtype_to_field(tensor.data_type))
    if bits < 8:
        return len(field) * 8 // bits
    return len(field) // 2 if tensor.data_type in (TensorProto.COMPLEX64, TensorProto.COMPLEX128) else len(field)


def _check_external(tensor: onnx.TensorProto, needed: int, path: Path) -> None:
    """The bytes of a tensor must lie in a file beside the network's."""
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location = entries.get("location", "")
    numbers = {}
    for key in ("offset", "length"):
        text = entries.get(key, "") or "0"
        if not (text.isascii() and text.isdigit() and len(text) < 19):
            raise InputError(
                f"{path}: the {key} of the weights of {tensor.name!r} must be a whole number of at least 0, but got"
                f" {text!r}; export it again."
            )
        numbers[key] = int(text)
    if not location or "\0" in location or len(location) > _EXTERNAL:
        raise InputError(
            f"{path}: the weights of {tensor.name!r} must be in a file beside it, but its name is {location!r};"
            " export it again."
        )
    place = path.parent / location
    try:
        inside = place.resolve().is_relative_to(path.parent.resolve())
        size = place.stat().st_size if inside and place.is_file() else -1
    except (OSError, RuntimeError):  # a circle of links
        size = -1
    if size < numbers["offset"] + max(numbers["length"], needed):
        raise InputError(
            f"{path}: the weights of {tensor.name!r} must be in {location!r} beside it, but that file is missing or cut"
            " off; copy it along."
        )
