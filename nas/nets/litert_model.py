"""A LiteRT file in the making: tensors and operators of one graph, as the flatbuffer schema of the format has them."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.graph.rows import Shape
from nas.nets.extras import require

RUNTIME = "ai_edge_litert"
EXTRA = "litert"
SIGNATURE = "serving_default"

_ALIGNMENT = 16
_OPTIONS = {
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "FULLY_CONNECTED": "FullyConnectedOptions",
    "AVERAGE_POOL_2D": "Pool2DOptions",
    "MAX_POOL_2D": "Pool2DOptions",
    "ADD": "AddOptions",
    "SUB": "SubOptions",
    "MUL": "MulOptions",
    "DIV": "DivOptions",
    "MEAN": "ReducerOptions",
    "SUM": "ReducerOptions",
    "REDUCE_MAX": "ReducerOptions",
    "CONCATENATION": "ConcatenationOptions",
    "SOFTMAX": "SoftmaxOptions",
    "BATCH_MATMUL": "BatchMatMulOptions",
    "RESIZE_BILINEAR": "ResizeBilinearOptions",
    "GELU": "GeluOptions",
    "LEAKY_RELU": "LeakyReluOptions",
}
_VERSIONS = {"TRANSPOSE": 4, "CONV_2D": 6, "DEPTHWISE_CONV_2D": 2, "FULLY_CONNECTED": 5, "SLICE": 5}
"""What the interpreter must know of an operator: five axes, groups, dilation, kept axes."""


class Model:
    """Collects the tensors and operators of a network in float32; values are known by the number of their tensor.

    A padded, moved or reshaped value, and a constant of integers, is written once however often it is asked for.
    Raises `InputError` where LiteRT is not installed.
    """

    def __init__(self) -> None:
        self._schema: ModuleType = require(f"{RUNTIME}.schema_py_generated", EXTRA)
        self._tensors: list[Any] = []
        self._buffers = [_Data(self._schema, None)]
        self._operators: list[Any] = []
        self._kinds: dict[str, int] = {}
        self._integers: dict[tuple[Shape, bytes], int] = {}
        self._moved: dict[tuple[object, ...], int] = {}
        self._reshaped_from: dict[int, int] = {}

    def shape(self, x: int) -> Shape:
        """The shape of a tensor, with the batch."""
        return tuple(self._tensors[x].shape)

    def input(self, shape: Shape) -> int:
        """Append the tensor of an input."""
        return self._tensor(shape, "FLOAT32", 0)

    def add(self, kind: str, inputs: Sequence[int], shape: Shape, *, dtype: str = "FLOAT32", **options: Any) -> int:
        """Append a builtin operator; returns the tensor of its value, which has `shape`.

        `options` are the fields of the operator's options; those that are enumerations by name.
        """
        schema = self._schema
        operator = schema.OperatorT()
        operator.opcodeIndex = self._kinds.setdefault(kind, len(self._kinds))
        operator.inputs = np.array(inputs, dtype=np.int32)
        out = self._tensor(shape, dtype, 0)
        operator.outputs = np.array([out], dtype=np.int32)
        if kind in _OPTIONS:
            fields = getattr(schema, f"{_OPTIONS[kind]}T")()
            for name, value in options.items():
                setattr(fields, name, self._number(name, value))
            operator.builtinOptions = fields
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, _OPTIONS[kind])
        self._operators.append(operator)
        return out

    def constant(self, array: NDArray[np.float32]) -> int:
        """Append a float32 constant."""
        return self._stored(np.asarray(array, dtype=np.float32), "FLOAT32")

    def number(self, value: float) -> int:
        """Append a float32 constant without axes."""
        return self.constant(np.array(value, dtype=np.float32))

    def integers(self, *values: int) -> int:
        """A vector of int32 constants."""
        return self._int32(np.array(values, dtype=np.int32))

    def transpose(self, x: int, order: Sequence[int]) -> int:
        """`x` with its axes in `order`."""
        key = ("TRANSPOSE", x, *order)
        if key not in self._moved:
            shape = self.shape(x)
            self._moved[key] = self.add("TRANSPOSE", [x, self.integers(*order)], tuple(shape[axis] for axis in order))
        return self._moved[key]

    def reshape(self, x: int, shape: Shape) -> int:
        """`x` with other axes; of what is itself reshaped, the origin is."""
        if shape == self.shape(x):
            return x
        source = self._reshaped_from.get(x, x)
        if shape == self.shape(source):
            return source
        key = ("RESHAPE", source, *shape)
        if key not in self._moved:
            found = self.add("RESHAPE", [source, self.integers(*shape)], shape)
            self._reshaped_from[found] = source
            self._moved[key] = found
        return self._moved[key]

    def pad(self, x: int, amounts: Sequence[tuple[int, int]], value: float | None = None) -> int:
        """`x` with `amounts` (before, after) of zeros, or of `value`, around each axis."""
        key = ("PAD", x, *amounts, value)
        if key not in self._moved:
            shape = tuple(size + sum(around) for size, around in zip(self.shape(x), amounts, strict=True))
            operands = [x, self._int32(np.array(amounts, dtype=np.int32))]
            if value is None:
                self._moved[key] = self.add("PAD", operands, shape)
            else:
                self._moved[key] = self.add("PADV2", [*operands, self.number(value)], shape)
        return self._moved[key]

    def content(self, *, inputs: dict[str, int], outputs: dict[str, int]) -> bytes:
        """The file, whose only signature has the tensors `inputs` and `outputs` by these names."""
        schema = self._schema
        for name, tensor in {**inputs, **outputs}.items():
            self._tensors[tensor].name = name
        graph = schema.SubGraphT()
        graph.name = "main"
        graph.tensors, graph.operators = self._tensors, self._needed(set(outputs.values()))
        graph.inputs, graph.outputs = list(inputs.values()), list(outputs.values())
        signature = schema.SignatureDefT()
        signature.signatureKey = SIGNATURE
        signature.inputs = [self._named(*item) for item in inputs.items()]
        signature.outputs = [self._named(*item) for item in outputs.items()]
        model = schema.ModelT()
        model.version = 3
        model.description = "nas"
        model.operatorCodes = [self._code(kind) for kind in self._kinds]
        model.subgraphs, model.buffers, model.signatureDefs = [graph], self._buffers, [signature]
        size = sum(buffer.size for buffer in self._buffers)
        builder = require("flatbuffers", EXTRA).Builder(size + 1024 * (len(self._tensors) + 16))
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def _needed(self, tensors: set[int]) -> list[Any]:
        """The operators on whose values `tensors` depend; a reshape whose value was reshaped again may be none."""
        found = []
        for operator in reversed(self._operators):
            if operator.outputs[0] in tensors:
                tensors.update(operator.inputs.tolist())
                found.append(operator)
        return found[::-1]

    def _tensor(self, shape: Shape, dtype: str, buffer: int) -> int:
        tensor = self._schema.TensorT()
        tensor.shape = list(shape)
        tensor.type = getattr(self._schema.TensorType, dtype)
        tensor.buffer = buffer
        tensor.name = f"value_{len(self._tensors)}"
        tensor.hasRank = True
        self._tensors.append(tensor)
        return len(self._tensors) - 1

    def _stored(self, array: NDArray[Any], dtype: str) -> int:
        self._buffers.append(_Data(self._schema, array))
        return self._tensor(array.shape, dtype, len(self._buffers) - 1)

    def _int32(self, array: NDArray[np.int32]) -> int:
        key = (array.shape, array.tobytes())
        if key not in self._integers:
            self._integers[key] = self._stored(array, "INT32")
        return self._integers[key]

    def _number(self, name: str, value: Any) -> Any:
        """A field of an operator's options, an enumeration's value for its name."""
        if name == "padding":
            return getattr(self._schema.Padding, value)
        return getattr(self._schema.ActivationFunctionType, value) if name == "fusedActivationFunction" else value

    def _code(self, kind: str) -> Any:
        code = self._schema.OperatorCodeT()
        code.builtinCode = getattr(self._schema.BuiltinOperator, kind)
        code.deprecatedBuiltinCode = min(
            code.builtinCode, self._schema.BuiltinOperator.PLACEHOLDER_FOR_GREATER_OP_CODES
        )
        code.version = _VERSIONS.get(kind, 1)
        return code

    def _named(self, name: str, tensor: int) -> Any:
        entry = self._schema.TensorMapT()
        entry.name, entry.tensorIndex = name, tensor
        return entry


class _Data:
    """A buffer of the file: the bytes of an array, aligned as the schema asks and copied once."""

    def __init__(self, schema: ModuleType, array: NDArray[Any] | None) -> None:
        self._schema = schema
        self._array = array
        self.size = 0 if array is None else array.nbytes + 2 * _ALIGNMENT

    def Pack(self, builder: Any) -> int:
        """Write the buffer, as the schema's own classes do by this name; returns its offset."""
        data = None
        if self._array is not None:
            content = np.ascontiguousarray(self._array).reshape(-1).view(np.uint8)
            builder.StartVector(1, content.size, _ALIGNMENT)
            builder.head -= content.size
            builder.Bytes[builder.head : builder.head + content.size] = content.data
            data = builder.EndVector()
        self._schema.BufferStart(builder)
        if data is not None:
            self._schema.BufferAddData(builder, data)
        return int(self._schema.BufferEnd(builder))
