"""The types and shapes that a node's results have: by ONNX's own rules, by ours, by what the file says of them.

Ours are for operators whose first version has no rule, for those of ONNX Runtime, for results whose size depends on the
data (at most so large), and for sequences, which have the shape of their elements.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import onnx
from onnx import defs, helper, numpy_helper, shape_inference

from nas.graph.rows import Shape
from nas.onnx.constants import SMALL, Array
from nas.onnx.rules import AT_MOST, RULES

Types = Mapping[str, onnx.TypeProto]
"""Value → its type; a tensor's holds its shape, a sequence's that of its elements."""


def tensor_type(kind: int, shape: Sequence[int] | None) -> onnx.TypeProto:
    """The type of a tensor."""
    return helper.make_tensor_type_proto(kind, shape)


def fixed_shape(kind: onnx.TypeProto | None) -> Shape | None:
    """The shape of a tensor, or of the elements of a sequence, where all of it is known."""
    tensor = _tensor(kind)
    if tensor is None or not tensor.HasField("shape"):
        return None
    dims = tensor.shape.dim
    known = all(d.HasField("dim_value") and d.dim_value >= 0 for d in dims)
    return tuple(d.dim_value for d in dims) if known else None


def element_type(kind: onnx.TypeProto | None) -> int:
    """The type of a tensor's numbers (`onnx.TensorProto`); 0 where it is not known."""
    tensor = _tensor(kind)
    return tensor.elem_type if tensor is not None else 0


def _tensor(kind: onnx.TypeProto | None) -> onnx.TypeProto.Tensor | None:
    if kind is None:
        return None
    if kind.HasField("sequence_type"):
        kind = kind.sequence_type.elem_type
    return kind.tensor_type if kind.HasField("tensor_type") else None


def result_types(
    node: onnx.NodeProto,
    types: Types,
    constants: Mapping[str, Array | None],
    declared: Types,
    opsets: Sequence[onnx.OperatorSetIdProto],
) -> dict[str, onnx.TypeProto]:
    """Result → its type, for those results of `node` whose shape is known from its operands, or at least at most."""
    found = _by_onnx(node, types, constants, opsets)
    if all(fixed_shape(found.get(name)) is not None for name in node.output if name):
        return found
    operands = [fixed_shape(types.get(name)) if name else None for name in node.input]
    values = [constants.get(name) for name in node.input]
    kinds = [element_type(types.get(name)) for name in node.input if name]
    own: Sequence[Shape | None] = ()
    rule = RULES.get(qualified(node))
    if rule is not None:
        try:
            own = rule(operands, attributes(node), values)
        except (TypeError, ValueError, IndexError, KeyError, ZeroDivisionError):
            own = ()  # an operand that is missing, or of another rank than the operator has
    for i, name in enumerate(node.output):
        if not name or fixed_shape(found.get(name)) is not None:
            continue
        shape = own[i] if i < len(own) else None
        shape = shape if shape is not None else fixed_shape(declared.get(name))
        shape = shape if shape is not None else _at_most(node, found.get(name), operands)
        if shape is None and node.domain not in ("", "ai.onnx"):
            shape = next((known for known in operands if known is not None), None)
        if shape is not None:
            kind = element_type(found.get(name)) or element_type(declared.get(name)) or next(iter(kinds), 1)
            found[name] = tensor_type(kind, shape)
    return found


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """The attributes of a node, but for graphs and references to those of a function."""
    graphs = (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS)
    plain = (a for a in node.attribute if a.type not in graphs and not a.ref_attr_name)
    found = {}
    for attribute in plain:
        try:
            found[attribute.name] = helper.get_attribute_value(attribute)
        except ValueError:  # a type that this version of ONNX does not know
            continue
    return found


def qualified(node: onnx.NodeProto) -> str:
    """The operator's type, with its domain in front where it is not ONNX's own."""
    return node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op_type}"


def _by_onnx(
    node: onnx.NodeProto,
    types: Types,
    constants: Mapping[str, Array | None],
    opsets: Sequence[onnx.OperatorSetIdProto],
) -> dict[str, onnx.TypeProto]:
    """What the rule of the operator's own version says, or of the first later one that has a rule."""
    if node.domain not in ("", "ai.onnx"):
        return {}
    version = next((o.version for o in opsets if o.domain in ("", "ai.onnx")), 1)
    schema = _schema(node.op_type, version)
    if schema is None:
        return {}
    known = {name: types.get(name) or onnx.TypeProto() for name in node.input if name}
    values = {name: value for name in node.input if (value := constants.get(name)) is not None and value.size <= SMALL}
    given = {a.name: a.i for a in node.attribute if a.name in ("channels_last", "transA", "transB")}
    if given.get("channels_last"):
        known[node.input[0]] = _turned(known[node.input[0]], -1, 1)
    if node.op_type == "MatMul":
        for name, key in zip(node.input, ("transA", "transB"), strict=False):
            if given.get(key):
                known[name] = _turned(known[name], -1, -2)
    plain = onnx.NodeProto()
    plain.CopyFrom(node)
    plain.domain = ""
    del plain.attribute[:]
    plain.attribute.extend(a for a in node.attribute if a.name in schema.attributes)
    # The checker, the inference, protobuf and the conversion of arrays each raise errors of their own.
    try:
        data = {name: numpy_helper.from_array(value, name) for name, value in values.items()}
    except Exception:  # noqa: BLE001
        data = {}
    found: dict[str, onnx.TypeProto] = {}
    try:
        imports = [helper.make_opsetid("", version)]
        found = shape_inference.infer_node_outputs(schema, plain, known, data, opset_imports=imports)
    except Exception:  # noqa: BLE001
        try:
            found = _unchecked(plain, known, data, version)
        except Exception:  # noqa: BLE001
            return {}
    if given.get("channels_last"):
        found = {name: _turned(kind, 1, -1) for name, kind in found.items()}
    return found


@lru_cache(maxsize=4096)
def _schema(kind: str, version: int) -> defs.OpSchema | None:
    """The operator as of a version of ONNX; where that one has no rule of shapes, as of the next that has."""
    try:
        found = defs.get_schema(kind, version, "")
        if not found.has_type_and_shape_inference_function:
            later = defs.get_schema(kind, "")
            return later if later.has_type_and_shape_inference_function else None
    except (defs.SchemaError, ValueError, TypeError):
        return None
    return found


def _unchecked(
    node: onnx.NodeProto, known: Types, data: Mapping[str, onnx.TensorProto], version: int
) -> dict[str, onnx.TypeProto]:
    """What the rule says where types are not those of the operator (integers, as in its like): a rule of shapes is none
    of types."""
    inputs = []
    for name, kind in known.items():
        value = onnx.ValueInfoProto()
        value.name = name
        value.type.CopyFrom(kind)
        inputs.append(value)
    outputs = [helper.make_empty_tensor_value_info(name) for name in node.output if name]
    graph = helper.make_graph([node], "one", inputs, outputs, initializer=list(data.values()))
    made = shape_inference.infer_shapes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", version)]))
    return {value.name: value.type for value in (*made.graph.value_info, *made.graph.output)}


def _turned(kind: onnx.TypeProto, source: int, target: int) -> onnx.TypeProto:
    """The type with one axis moved from `source` to `target`."""
    shape = fixed_shape(kind)
    if shape is None or len(shape) < 2:
        return kind
    axes = list(shape)
    axes.insert(target % len(shape), axes.pop(source))
    return tensor_type(element_type(kind), axes)


def _at_most(node: onnx.NodeProto, found: onnx.TypeProto | None, operands: Sequence[Shape | None]) -> Shape | None:
    """The largest shape of a result whose size depends on the data, where its operator never enlarges its operand."""
    tensor = _tensor(found)
    if node.op_type not in AT_MOST or not operands or operands[0] is None or tensor is None:
        return None
    if not tensor.HasField("shape") or len(tensor.shape.dim) != len(operands[0]):
        return None
    sizes = zip(tensor.shape.dim, operands[0], strict=True)
    return tuple(d.dim_value if d.HasField("dim_value") else size for d, size in sizes)
