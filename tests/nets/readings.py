"""Second implementations: counts from an ONNX file and from torch's own counter; how far two outputs are apart."""

from __future__ import annotations

import math

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from nas.nets import GraphModule, onnx_model

Array = NDArray[np.float32]


def image(module: GraphModule, *, batch: int = 1, seed: int = 0) -> Tensor:
    """Normal noise in the shape that the network takes."""
    return torch.randn(batch, *module.definition.input_shape, generator=torch.Generator().manual_seed(seed))


def with_random_norms(module: GraphModule, seed: int = 0) -> GraphModule:
    """The module itself, in eval mode, after every batch norm got random statistics, scales and shifts."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
                assert part.running_mean is not None and part.running_var is not None
                part.running_mean.normal_(0.0, 0.2, generator=generator)
                part.running_var.uniform_(0.5, 1.5, generator=generator)
                part.weight.uniform_(0.5, 1.5, generator=generator)
                part.bias.normal_(0.0, 0.2, generator=generator)
    return module.eval()


def with_random_numbers(module: GraphModule) -> GraphModule:
    """The module itself, in eval mode, with no bias, scale or slope left at the number where they all start."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in (w for w in module.parameters() if w.dim() in (1, 3)):
            weight.add_(torch.randn(weight.shape, generator=generator), alpha=0.1)
    return with_random_norms(module)


def relative_error(ours: Tensor | Array, reference: Tensor | Array) -> float:
    """max|a - b| / max|b|."""
    a, b = np.asarray(ours), np.asarray(reference)
    assert a.shape == b.shape
    assert np.isfinite(b).all()
    return float(np.abs(a - b).max() / np.abs(b).max())


def torch_params(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def torch_macs(module: GraphModule) -> int:
    """Multiply-adds for one image as torch's dispatcher sees them: two FLOPs each."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module(image(module))
    return int(counter.get_total_flops()) // 2


def run_onnx(model: bytes, x: Tensor) -> Array:
    """The only output of a serialised model on `x`, by ONNX Runtime, in one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    (output,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    return np.asarray(output)


def onnx_params(model: onnx.ModelProto) -> int:
    """Numbers in the float initializers, without the running statistics of batch norms."""
    statistics = {name for node in model.graph.node if node.op_type == "BatchNormalization" for name in node.input[3:]}
    sizes = (
        math.prod(tensor.dims)
        for tensor in model.graph.initializer
        if tensor.data_type == onnx.TensorProto.FLOAT and tensor.name not in statistics
    )
    return int(sum(sizes))


def onnx_macs(model: onnx.ModelProto) -> int:
    """Multiply-adds of Conv, Gemm and MatMul for one image; the shapes in the model must have been inferred."""
    inferred = model.graph
    shapes: dict[str, list[int]] = {t.name: list(t.dims) for t in inferred.initializer}
    for value in [*inferred.input, *inferred.output, *inferred.value_info]:
        shapes[value.name] = [d.dim_value for d in value.type.tensor_type.shape.dim]
    batch = shapes[inferred.input[0].name][0]
    total = 0
    for node in inferred.node:
        if node.op_type == "Conv":
            total += math.prod(shapes[node.output[0]]) * math.prod(shapes[node.input[1]][1:])
        elif node.op_type in ("Gemm", "MatMul"):
            total += math.prod(shapes[node.output[0]]) * shapes[node.input[0]][-1]
    return int(total // batch)


def check_all_readings(module: GraphModule, *, batch: int = 1) -> None:
    """The graph, both forms in torch and the ONNX file agree in parameters, MACs and values.

    `module` is a fresh training form; its batch norms get random statistics.
    """
    graph = module.definition
    with_random_norms(module)
    fused = module.fuse()
    content = onnx_model(module, batch=batch).SerializeToString()
    onnx.checker.check_model(content)
    model = onnx.shape_inference.infer_shapes(content, check_type=True, strict_mode=True, data_prop=True)

    assert torch_params(module) == graph.training_params
    assert torch_params(fused) == onnx_params(model) == graph.params == sum(s.params for s in graph.segments)
    assert torch_macs(fused) == onnx_macs(model) == graph.macs == sum(s.macs for s in graph.segments)

    x = image(module, batch=batch)
    with torch.no_grad():
        expected = module(x)
        assert expected.shape == (batch, *graph.output_shape)
        assert relative_error(fused(x), expected) <= 1e-4
        assert relative_error(run_onnx(content, x), expected) <= 1e-4
        del fused, model, content
        module.double()
        exact = module(x.double())
        assert relative_error(module.fuse()(x.double()), exact) <= 1e-9
