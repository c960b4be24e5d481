"""Networks of every kind that comes along, each with its multiply-adds counted by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import GraphProto, NodeProto, TensorProto, helper, numpy_helper

from nas.onnx.reader import read_onnx
from nas.runtimes import ONNX_RUNTIME

FLOAT, HALF, INT64, UINT8 = TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.INT64, TensorProto.UINT8
MS = "com.microsoft"
Shape = Sequence[int | str] | None


def op(kind: str, inputs: str, outputs: str, domain: str = "", **attributes: Any) -> NodeProto:
    """One operator; names are separated by spaces, "_" leaves one out."""
    read, made = ([name.replace("_", "") for name in text.split()] for text in (inputs, outputs))
    return helper.make_node(kind, read, made, domain=domain, **attributes)


def value(name: str, shape: Shape = None, kind: int = FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def f32(*shape: int) -> np.ndarray[Any, Any]:
    return np.zeros(shape, np.float32)


def u8(*shape: int) -> np.ndarray[Any, Any]:
    return np.zeros(shape, np.uint8)


def i64(*values: int) -> np.ndarray[Any, Any]:
    return np.array(values, np.int64)


def body(nodes: Sequence[NodeProto], inputs: Sequence[onnx.ValueInfoProto], outputs: str) -> GraphProto:
    return helper.make_graph(list(nodes), "body", list(inputs), [value(name) for name in outputs.split()])


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A network from `inputs` (x unless said otherwise) to `outputs`, and what is right of it."""

    nodes: Sequence[NodeProto]
    macs: int
    x: Shape = (1, 3, 8, 8)
    x_kind: int = FLOAT
    more_inputs: Sequence[onnx.ValueInfoProto] = ()
    constants: Mapping[str, Any] = field(default_factory=dict)
    outputs: str = "y"
    infos: Sequence[onnx.ValueInfoProto] = ()
    opset: int = 21
    ir: int = 10
    precision: str = "float32"
    weights: str = ""
    lower_bound: bool = False
    batch: int = 1
    shape: str = ""

    def save(self, path: Path) -> Path:
        tensors = [numpy_helper.from_array(np.asarray(array), name) for name, array in self.constants.items()]
        graph = helper.make_graph(
            list(self.nodes), "g", [value("x", self.x, self.x_kind), *self.more_inputs],
            [value(name) for name in self.outputs.split()], tensors, value_info=list(self.infos),
        )  # fmt: skip
        domains = {node.domain for node in self.nodes} - {""}
        imports = [helper.make_opsetid("", self.opset), *(helper.make_opsetid(name, 1) for name in domains)]
        model = helper.make_model(graph, opset_imports=imports)
        model.ir_version = self.ir
        path.write_bytes(model.SerializeToString())
        return path


W = f32(4, 3, 3, 3)
CONV = 4 * 3 * 9 * 36  # a 3x3 convolution from 3 to 4 channels, from 8x8 to 6x6
SAME: dict[str, Any] = {"pads": [1] * 4}
LOOP_IN = [value("i", (), INT64), value("c", (), TensorProto.BOOL), value("s", (1, 4))]
LOOP = body([op("Identity", "c", "again"), op("MatMul", "s m", "t")], LOOP_IN, "again t")
QKV = {"q": (1, 6, 16), "k": (1, 10, 16), "v": (1, 10, 24)}

KINDS: dict[str, Kind] = {
    # Inputs
    "two inputs": Kind(
        nodes=[op("Conv", "x w", "a"), op("Add", "a b", "y")], more_inputs=[value("b", (1, 4, 6, 6))],
        constants={"w": W}, macs=CONV,
    ),
    "an input that nobody reads": Kind(
        nodes=[op("Conv", "x w", "y")], more_inputs=[value("b", (7,))], constants={"w": W}, macs=CONV
    ),
    "an output that depends on no input": Kind(
        nodes=[op("Conv", "x w", "y"), op("RandomNormal", "", "z", shape=[1, 2]), op("Relu", "k", "o")],
        constants={"w": W, "k": f32(3)}, outputs="y z o", macs=CONV,
    ),
    "a random bias": Kind(
        nodes=[op("RandomNormal", "", "b", shape=[1, 4, 6, 6]), op("Conv", "x w", "a"), op("Add", "b a", "y")],
        constants={"w": W}, macs=CONV,
    ),
    "weights that are computed": Kind(
        nodes=[op("Transpose", "v", "w", perm=[3, 2, 0, 1]), op("Conv", "x w", "y")],
        constants={"v": f32(3, 3, 3, 4)}, macs=CONV,
    ),
    "a constant image": Kind(
        nodes=[op("Conv", "k x", "y")], x=(4, 3, 3, 3), constants={"k": f32(1, 3, 8, 8)}, macs=CONV
    ),
    "nodes in no order": Kind(nodes=[op("Relu", "a", "y"), op("Conv", "x w", "a")], constants={"w": W}, macs=CONV),
    # Batches
    "four images": Kind(nodes=[op("Conv", "x w", "y")], x=(4, 3, 8, 8), constants={"w": W}, macs=4 * CONV, batch=4),
    "four rows": Kind(nodes=[op("Gemm", "x w", "y")], x=(4, 10), constants={"w": f32(10, 5)}, macs=200, batch=4),
    "frames folded into the batch": Kind(
        nodes=[op("Reshape", "x to", "r"), op("Conv", "r w", "y")], x=(2, 5, 3, 8, 8),
        constants={"w": W, "to": i64(10, 3, 8, 8)}, macs=10 * CONV,
    ),
    "the mean of each of four maps": Kind(
        nodes=[op("Conv", "x w", "c"), op("ReduceMean", "c axes", "m", keepdims=0), op("Gemm", "m v", "y")],
        x=(4, 3, 8, 8), constants={"w": W, "axes": i64(2, 3), "v": f32(4, 5)}, macs=4 * (CONV + 20), batch=4,
    ),
    # Recurrent: steps x gates x state x (inputs + state)
    "LSTM both ways": Kind(
        nodes=[op("LSTM", "x w r", "y", hidden_size=8, direction="bidirectional")], x=(5, 1, 6),
        constants={"w": f32(2, 32, 6), "r": f32(2, 32, 8)}, macs=5 * 2 * 4 * 8 * (6 + 8),
    ),
    "GRU, batch in front": Kind(
        nodes=[op("GRU", "x w r", "y", hidden_size=8, layout=1)], x=(3, 5, 6), batch=3,
        constants={"w": f32(1, 24, 6), "r": f32(1, 24, 8)}, macs=3 * 5 * 3 * 8 * (6 + 8),
    ),
    "RNN, its last state alone": Kind(
        nodes=[op("RNN", "x w r", "_ y", hidden_size=8)], x=(5, 1, 6),
        constants={"w": f32(1, 8, 6), "r": f32(1, 8, 8)}, macs=5 * 8 * (6 + 8),
    ),
    "an LSTM of integers": Kind(
        nodes=[op("DynamicQuantizeLSTM", "x w r _ _ _ _ _ s z s z", "y", MS, hidden_size=8)], x=(5, 1, 6),
        constants={"w": u8(1, 6, 32), "r": u8(1, 8, 32), "s": f32(1), "z": u8(1)}, macs=5 * 4 * 8 * (6 + 8),
        precision="float32", weights="int8", infos=[value("y", (5, 1, 1, 8))],
    ),
    # Convolutions
    "a convolution of three axes": Kind(
        nodes=[op("Conv", "x w", "y")], x=(1, 3, 4, 8, 8), constants={"w": f32(4, 3, 3, 3, 3)},
        macs=4 * 3 * 27 * 2 * 36,
    ),
    "a transposed one of three axes": Kind(
        nodes=[op("ConvTranspose", "x w", "y", strides=[2, 2, 2])], x=(1, 3, 4, 4, 4),
        constants={"w": f32(3, 5, 2, 2, 2)}, macs=3 * 5 * 8 * 64,
    ),
    "a deformed one": Kind(
        nodes=[op("DeformConv", "x w o", "y")], more_inputs=[value("o", (1, 18, 6, 6))], constants={"w": W}, macs=CONV
    ),
    "a dynamic one": Kind(nodes=[op("Conv", "x w", "y")], more_inputs=[value("w", (4, 3, 3, 3))], macs=CONV),
    # Integers
    "QLinearConv": Kind(
        nodes=[op("QuantizeLinear", "x s z", "q"), op("QLinearConv", "q s z w s z s z b", "p"),
               op("DequantizeLinear", "p s z", "y")],
        constants={"w": u8(4, 3, 3, 3), "s": np.float32(1), "z": u8(), "b": np.zeros(4, np.int32)},
        macs=CONV, precision="int8",
    ),
    "ConvInteger": Kind(
        nodes=[op("DynamicQuantizeLinear", "x", "q s z"), op("ConvInteger", "q w z", "i"), op("Cast", "i", "f", to=1),
               op("Mul", "s t", "st"), op("Mul", "f st", "y")],
        constants={"w": u8(4, 3, 3, 3), "t": np.float32(1)}, macs=CONV, precision="int8",
    ),
    "QLinearMatMul": Kind(
        nodes=[op("QuantizeLinear", "x s z", "q"), op("QLinearMatMul", "q s z w s z s z", "y")], x=(1, 7, 10),
        constants={"w": u8(10, 5), "s": np.float32(1), "z": u8()}, macs=350, precision="int8",
    ),
    "MatMulInteger": Kind(
        nodes=[op("DynamicQuantizeLinear", "x", "q s z"), op("MatMulInteger", "q w z", "y")], x=(1, 7, 10),
        constants={"w": u8(10, 5)}, macs=350, precision="int8",
    ),
    "QGemm": Kind(
        nodes=[op("QuantizeLinear", "x s z", "q"), op("QGemm", "q s z w s z", "y", MS, transB=1)], x=(1, 10),
        constants={"w": u8(5, 10), "s": np.float32(1), "z": u8()}, macs=50, precision="int8",
    ),
    "DynamicQuantizeMatMul": Kind(
        nodes=[op("DynamicQuantizeMatMul", "x w s z b", "y", MS)], x=(1, 7, 10),
        constants={"w": u8(10, 5), "s": np.float32(1), "z": u8(), "b": f32(5)}, macs=350, weights="int8",
    ),
    "pairs around a convolution": Kind(
        nodes=[op("QuantizeLinear", "x s z", "q"), op("DequantizeLinear", "q s z", "d"),
               op("DequantizeLinear", "w s z", "v"), op("Conv", "d v", "c"), op("Relu", "c", "r"),
               op("QuantizeLinear", "r s z", "p"), op("DequantizeLinear", "p s z", "y")],
        constants={"w": u8(4, 3, 3, 3), "s": np.float32(1), "z": u8()}, macs=CONV, precision="int8",
    ),
    "weights alone in integers": Kind(
        nodes=[op("DequantizeLinear", "w s", "v"), op("Transpose", "v", "t"), op("MatMul", "x t", "y")], x=(1, 7, 10),
        constants={"w": np.zeros((5, 10), np.int8), "s": np.float32(1)}, macs=350, weights="int8",
    ),
    "weights of four bits": Kind(
        nodes=[op("MatMulNBits", "x w s", "y", MS, K=32, N=5, bits=4, block_size=16)], x=(1, 7, 32),
        constants={"w": u8(5, 2, 8), "s": f32(10)}, macs=7 * 32 * 5, weights="int4",
    ),
    "half precision between casts": Kind(
        nodes=[op("Cast", "x", "h", to=HALF), op("Conv", "h w", "c"), op("Cast", "c", "y", to=FLOAT)],
        constants={"w": W.astype(np.float16)}, macs=CONV, precision="float16",
    ),
    # Of ONNX Runtime
    "FusedConv": Kind(
        nodes=[op("FusedConv", "x w b r", "y", MS, activation="Relu")], more_inputs=[value("r", (1, 4, 6, 6))],
        constants={"w": W, "b": f32(4)}, macs=CONV,
    ),
    "FusedMatMul": Kind(
        nodes=[op("FusedMatMul", "x b", "y", MS, transA=1, transB=1)], x=(1, 10, 7),
        more_inputs=[value("b", (1, 5, 10))], macs=350,
    ),
    "FusedGemm": Kind(
        nodes=[op("FusedGemm", "x w b", "y", MS, activation="Relu")], x=(1, 10),
        constants={"w": f32(10, 5), "b": f32(5)}, macs=50,
    ),
    "a convolution of channels last": Kind(
        nodes=[op("NhwcFusedConv", "x w b", "y", MS)], x=(1, 8, 8, 3), constants={"w": W, "b": f32(4)}, macs=CONV
    ),
    "norms, and activations with a bias": Kind(
        nodes=[op("SkipLayerNormalization", "x x g b", "a", MS), op("BiasGelu", "a b", "c", MS),
               op("MatMul", "c w", "y")],
        x=(1, 7, 10), constants={"g": f32(10), "b": f32(10), "w": f32(10, 5)}, macs=350,
    ),
    "a convolution on blocks": Kind(
        nodes=[op("ReorderInput", "x", "b", MS + ".nchwc"), op("Conv", "b w v", "c", MS + ".nchwc", activation="Relu"),
               op("ReorderOutput", "c", "y", MS + ".nchwc", channels=16)],
        x=(1, 16, 8, 8), constants={"w": f32(16, 16, 3, 3), "v": f32(16)}, macs=16 * 16 * 9 * 36,
    ),
    # Attention: heads x queries x keys x (size of keys + size of values)
    "attention by heads": Kind(
        nodes=[op("Attention", "x k v", "y")], x=(1, 2, 6, 8),
        more_inputs=[value("k", (1, 2, 10, 8)), value("v", (1, 2, 10, 12))], macs=2 * 6 * 10 * (8 + 12), opset=23,
    ),
    "attention of three axes": Kind(
        nodes=[op("Attention", "x k v", "y", q_num_heads=2, kv_num_heads=2)], x=(1, 6, 16),
        more_inputs=[value("k", (1, 10, 16)), value("v", (1, 10, 24))], macs=2 * 6 * 10 * (8 + 12), opset=23,
    ),
    "attention with its weights": Kind(
        nodes=[op("Attention", "x w b", "y", MS, num_heads=2)], x=(1, 6, 16),
        constants={"w": f32(16, 48), "b": f32(48)}, macs=6 * 16 * 48 + 2 * 6 * 6 * (8 + 8),
    ),
    "attention of integers": Kind(
        nodes=[op("QuantizeLinear", "x s z", "q"), op("QAttention", "q w b s s _ z z", "y", MS, num_heads=2)],
        x=(1, 6, 16), constants={"w": u8(16, 48), "b": f32(48), "s": np.float32(1), "z": u8()},
        macs=6 * 16 * 48 + 2 * 6 * 6 * (8 + 8), precision="int8",
    ),
    "attention of several heads": Kind(
        nodes=[op("MultiHeadAttention", "x k v", "y", MS, num_heads=2)], x=QKV["q"],
        more_inputs=[value(name, QKV[name]) for name in "kv"], macs=2 * 6 * 10 * (8 + 12),
    ),
    "attention of grouped queries": Kind(
        nodes=[op("GroupQueryAttention", "x k v _ _ n t", "y", MS, num_heads=4, kv_num_heads=2)], x=(1, 6, 32),
        more_inputs=[value("k", (1, 6, 16)), value("v", (1, 6, 16)), value("n", (1,), TensorProto.INT32),
                     value("t", (1,), TensorProto.INT32)],
        macs=4 * 6 * 6 * (8 + 8),
    ),
    # Sums of products
    "an ellipsis": Kind(
        nodes=[op("Einsum", "x w", "y", equation="...c,cd->...d")], x=(1, 7, 10), constants={"w": f32(10, 5)}, macs=350
    ),
    "two batches in an ellipsis": Kind(
        nodes=[op("Einsum", "x b", "y", equation="...ij,...jk->...ik")], x=(1, 2, 7, 10),
        more_inputs=[value("b", (2, 10, 5))], macs=2 * 7 * 10 * 5,
    ),
    "no arrow": Kind(
        nodes=[op("Einsum", "x w", "y", equation="ij,jk")], x=(1, 10), constants={"w": f32(10, 5)}, macs=50
    ),
    "nothing summed": Kind(
        nodes=[op("Einsum", "x w", "y", equation="bnc,c->bnc")], x=(1, 7, 10), constants={"w": f32(10)}, macs=0
    ),
    # Branches and loops
    "the branch that a constant names": Kind(
        nodes=[op("If", "k", "y", then_branch=body([op("Conv", "x w", "a")], [], "a"),
                  else_branch=body([op("Conv", "x v", "b")], [], "b"))],
        constants={"k": np.bool_(True), "w": W, "v": f32(4, 3, 5, 5)}, macs=CONV,
    ),
    "the dearer of two branches": Kind(
        nodes=[op("ReduceSum", "x", "n", keepdims=0), op("Greater", "n zero", "k"),
               op("If", "k", "y", then_branch=body([op("Conv", "x v", "a", **SAME)], [], "a"),
                  else_branch=body([op("Conv", "x w", "b", **SAME)], [], "b"))],
        constants={"zero": np.float32(0), "w": W, "v": f32(4, 3, 1, 1)}, macs=4 * 3 * 9 * 64,
        infos=[value("y", (1, 4, 8, 8))],
    ),
    "a loop of seven trips": Kind(
        nodes=[op("Loop", "seven yes x", "y", body=LOOP)], x=(1, 4),
        constants={"seven": np.int64(7), "yes": np.bool_(True), "m": f32(4, 4)}, macs=7 * 16,
    ),
    "a loop in a loop": Kind(
        nodes=[op("Loop", "three yes x", "y", body=body(
            [op("Identity", "c", "again"), op("Loop", "seven c s", "t", body=body(
                [op("Identity", "d", "once"), op("MatMul", "u m", "v")],
                [value("j", (), INT64), value("d", (), TensorProto.BOOL), value("u", (1, 4))], "once v"))],
            LOOP_IN, "again t"))],
        x=(1, 4), constants={"seven": np.int64(7), "three": np.int64(3), "yes": np.bool_(True), "m": f32(4, 4)},
        macs=3 * 7 * 16,
    ),
    "a loop of unknown length": Kind(
        nodes=[op("Loop", "_ yes x", "y", body=body(
            [op("ReduceSum", "s", "n", keepdims=0), op("Greater", "n zero", "again"), op("MatMul", "s m", "t")],
            LOOP_IN, "again t"))],
        x=(1, 4), constants={"yes": np.bool_(True), "zero": np.float32(0), "m": f32(4, 4)}, macs=16, lower_bound=True,
    ),
    "a scan": Kind(
        nodes=[op("Scan", "h x", "e y", num_scan_inputs=1, body=body(
            [op("MatMul", "a m", "b"), op("Add", "b s", "t"), op("Identity", "t", "o")],
            [value("s", (4,)), value("a", (4,))], "t o"))],
        x=(6, 4), constants={"h": f32(4), "m": f32(4, 4)}, macs=6 * 16, outputs="e y",
    ),
    # What has none, or hides them
    "operators of others": Kind(
        nodes=[op("Mine", "x", "a", "my.ops"), op("Conv", "a w", "y")], constants={"w": W}, macs=CONV, lower_bound=True
    ),
    "boxes": Kind(
        nodes=[op("Conv", "x w", "c"), op("Reshape", "c b", "boxes"), op("Reshape", "c s", "scores"),
               op("NonMaxSuppression", "boxes scores most", "y")],
        constants={"w": W, "b": i64(1, 36, 4), "s": i64(1, 4, 36), "most": i64(10)}, macs=CONV,
    ),
    "what is not zero": Kind(
        nodes=[op("Conv", "x w", "c"), op("NonZero", "c", "n"), op("Cast", "n", "y", to=FLOAT)], constants={"w": W},
        macs=CONV,
    ),
    "a sequence": Kind(
        nodes=[op("Conv", "x w", "c"), op("SplitToSequence", "c", "q", axis=1), op("SequenceAt", "q one", "a"),
               op("Conv", "a v", "y")],
        constants={"w": W, "v": f32(2, 1, 1, 1), "one": np.int64(1)}, macs=CONV + 2 * 36,
    ),
    # Old files
    "a reshape of opset 1": Kind(
        nodes=[op("Conv", "x w", "c"), op("Reshape", "c", "r", shape=[0, -1]), op("Gemm", "r v b", "y", broadcast=1)],
        constants={"w": W, "v": f32(144, 5), "b": f32(5)}, macs=CONV + 720, opset=1, ir=3,
    ),
    "sums along an axis of opset 6": Kind(
        nodes=[op("Conv", "x w", "c"), op("Add", "c b", "d", axis=1, broadcast=1),
               op("BatchNormalization", "d b b b b", "e", is_test=1), op("Dropout", "e", "y mask", is_test=1)],
        constants={"w": W, "b": f32(4)}, macs=CONV, opset=6, ir=3,
    ),
    # Sizes that are given
    "a free batch": Kind(
        nodes=[op("Conv", "x w", "y")], x=("n", 3, 8, 8), constants={"w": W}, macs=2 * CONV, shape="2x3x8x8", batch=2
    ),
    "free sizes through shape arithmetic": Kind(
        nodes=[op("Conv", "x w", "c"), op("Shape", "c", "s"), op("Slice", "s zero two zero", "front"),
               op("Concat", "front rest", "to", axis=0), op("Reshape", "c to", "r"), op("MatMul", "r m", "y")],
        x=("n", 3, "h", "w"), constants={"w": W, "zero": i64(0), "two": i64(2), "rest": i64(-1), "m": f32(36, 5)},
        macs=CONV + 4 * 36 * 5, shape="x=1x3x8x8",
    ),
    "no shape at all": Kind(nodes=[op("Conv", "x w", "y")], x=None, constants={"w": W}, macs=CONV, shape="x=1x3x8x8"),
}  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
def test_a_network_is_read_as_what_it_is(name: str, tmp_path: Path) -> None:
    kind = KINDS[name]
    graph = read_onnx(kind.save(tmp_path / "m.onnx"), kind.shape or None)
    assert graph.macs == kind.macs
    assert graph.macs_are_a_lower_bound == kind.lower_bound
    assert (graph.precision, graph.reading.weights) == (kind.precision, kind.weights or kind.precision)
    assert graph.batch == kind.batch


@pytest.mark.parametrize("name", KINDS)
def test_segments_hold_every_operator_once(name: str, tmp_path: Path) -> None:
    kind = KINDS[name]
    graph = read_onnx(kind.save(tmp_path / "m.onnx"), kind.shape or None)
    for segments in (graph.segments, ONNX_RUNTIME.in_context(graph), ONNX_RUNTIME.segments(graph)):
        assert sum(segment.macs for segment in segments) == kind.macs
        assert sum(float(segment.operators.macs.sum()) for segment in segments) == kind.macs


def test_quantisation_leaves_the_operators_of_the_float_network(tmp_path: Path) -> None:
    graph = read_onnx(KINDS["pairs around a convolution"].save(tmp_path / "m.onnx"))
    assert graph.operators().kind.tolist() == ["dense", "act:relu"]


def test_a_batch_is_brought_to_another(tmp_path: Path) -> None:
    path = KINDS["four images"].save(tmp_path / "m.onnx")
    for batch in (1, 3, 8):
        graph = read_onnx(path, batch=batch)
        assert (graph.macs, graph.batch, graph.params) == (batch * CONV, batch, 4 * 3 * 9)


def test_a_batch_has_the_operators_of_one_image(tmp_path: Path) -> None:
    graph = read_onnx(KINDS["the mean of each of four maps"].save(tmp_path / "m.onnx"))
    assert graph.operators().kind.tolist() == ["dense", "gap", "lin"]


def test_what_onnx_runtime_padded_to_blocks_is_counted_without_the_padding(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    shapes = {"w": (20, 3, 3, 3), "d": (20, 1, 3, 3), "p": (36, 20, 1, 1)}
    constants = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    biases = {f"{name}b": np.ones(shape[0], np.float32) for name, shape in shapes.items()}
    kind = Kind(
        nodes=[op("Conv", "x w wb", "a"), op("Relu", "a", "r"), op("Conv", "r d db", "b", group=20),
               op("Conv", "b p pb", "y")],
        constants={**constants, **biases}, macs=20 * 3 * 9 * 36 + 20 * 9 * 16 + 36 * 20 * 16, opset=17, ir=8,
    )  # fmt: skip
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "saved.onnx")
    options.log_severity_level = 4
    path = kind.save(tmp_path / "m.onnx")
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    saved, plain = read_onnx(tmp_path / "saved.onnx"), read_onnx(path)
    assert (saved.macs, saved.params) == (plain.macs, plain.params) == (kind.macs, plain.params)
    assert saved.operators().kind.tolist() == plain.operators().kind.tolist()
