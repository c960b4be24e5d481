"""Primitive operators: each knows its shape rule, parameters, MACs, lowering and canonical text.

Shapes leave out the batch: `(C, H, W)` is a feature map, `(C,)` a vector, any other tuple tokens whose last
axis is the channel axis. An operator describes both forms of a network: the training form (batch norm and
re-parameterisable branches alive) and the inference form (one convolution with a bias).
"""

from nas.graph.ops.moves import Concat, Rearrange, Resize, Shuffle, Slice
from nas.graph.ops.op import Input, Op
from nas.graph.ops.pointwise import ACTIVATIONS, Activation, Affine, Binary, LearnedScale
from nas.graph.ops.products import Branch, Conv, Linear, MatMul
from nas.graph.ops.reductions import GlobalPool, Norm, Pool, Reduce, Softmax

__all__ = [
    "ACTIVATIONS",
    "Activation",
    "Affine",
    "Binary",
    "Branch",
    "Concat",
    "Conv",
    "GlobalPool",
    "Input",
    "LearnedScale",
    "Linear",
    "MatMul",
    "Norm",
    "Op",
    "Pool",
    "Rearrange",
    "Reduce",
    "Resize",
    "Shuffle",
    "Slice",
    "Softmax",
]
