"""The builder: what a block is written with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Literal, NamedTuple

from nas.graph.graph import Graph, Node
from nas.graph.ops import (
    Activation,
    Affine,
    Binary,
    Branch,
    Concat,
    Conv,
    GlobalPool,
    Input,
    LearnedScale,
    Linear,
    MatMul,
    Norm,
    Op,
    Pool,
    Rearrange,
    Reduce,
    Resize,
    Shuffle,
    Slice,
    Softmax,
)
from nas.graph.rows import Shape


class Tensor(NamedTuple):
    """A value of the graph under construction: its node and its shape (without the batch)."""

    node: int
    shape: Shape

    @property
    def channels(self) -> int:
        """Channels of a map or of a vector."""
        return self.shape[0]

    @property
    def is_map(self) -> bool:
        """Whether the value is a map (channels, height, width)."""
        return len(self.shape) == 3


Subgraph = Callable[["Builder", Tensor], Tensor]
"""Several operators that go by one name."""
_NO_SUBGRAPHS: Mapping[str, Subgraph] = MappingProxyType({})


class Builder:
    """Adds primitive operators to a graph, one node a call; every method returns the new value.

    `layer` numbers the layer under construction: operators of one layer form one segment. `subgraphs` are activations
    that are no pointwise function of a map: what `act` calls by their names.
    """

    def __init__(self, input_shape: Shape, subgraphs: Mapping[str, Subgraph] = _NO_SUBGRAPHS) -> None:
        self._nodes = [Node(Input(input_shape), (), input_shape, 0)]
        self._subgraphs = subgraphs
        self.layer = 0

    @property
    def input(self) -> Tensor:
        """The image, or the input of a segment."""
        return Tensor(0, self._nodes[0].shape)

    @property
    def last(self) -> Tensor:
        """The value added last."""
        return Tensor(len(self._nodes) - 1, self._nodes[-1].shape)

    def add(self, op: Op, *inputs: Tensor) -> Tensor:
        """Append `op`; raises `ValueError` where the operands do not fit."""
        shape = op.infer(tuple(t.shape for t in inputs))
        self._nodes.append(Node(op, tuple(t.node for t in inputs), shape, self.layer))
        return Tensor(len(self._nodes) - 1, shape)

    def mark_feature(self, x: Tensor) -> None:
        """Say that `x`, a map inside a layer, is one that a backbone may hand out."""
        self._nodes[x.node] = self._nodes[x.node]._replace(feature=True)

    def build(self) -> Graph:
        """The finished graph."""
        return Graph(tuple(self._nodes))

    def conv(
        self,
        x: Tensor,
        out: int,
        kernel: int | tuple[int, int] = 1,
        stride: int = 1,
        *,
        groups: int = 1,
        act: str = "none",
        norm: bool = True,
        bias: bool = False,
        dilation: int = 1,
        padding: tuple[int, int, int, int] | None = None,
        branches: tuple[Branch, ...] = (),
        sum_norm: bool = False,
    ) -> Tensor:
        """A convolution to `out` channels, padded to keep the size (at stride 1), with batch norm and activation.

        `branches` and `sum_norm` make it re-parameterisable, see `nas.graph.ops.Conv`.
        """
        kh, kw = (kernel, kernel) if isinstance(kernel, int) else kernel
        if padding is None:
            if kh % 2 == 0 or kw % 2 == 0:
                raise ValueError(f"kernel must be odd where no padding is given, but got kernel={kernel}")
            top, left = dilation * (kh - 1) // 2, dilation * (kw - 1) // 2
            padding = (top, left, top, left)
        op = Conv(
            out, (kh, kw), (stride, stride), padding, (dilation, dilation), groups, bias,
            norm and not branches, branches, sum_norm,
        )  # fmt: skip
        return self.act(self.add(op, x), act)

    def depthwise(
        self,
        x: Tensor,
        kernel: int,
        stride: int = 1,
        *,
        act: str = "none",
        norm: bool = True,
        bias: bool = False,
        dilation: int = 1,
        branches: tuple[Branch, ...] = (),
        sum_norm: bool = False,
    ) -> Tensor:
        """A depthwise convolution (one group a channel)."""
        return self.conv(
            x, x.channels, kernel, stride, groups=x.channels, act=act, norm=norm, bias=bias, dilation=dilation,
            branches=branches, sum_norm=sum_norm,
        )  # fmt: skip

    def linear(self, x: Tensor, out: int, *, bias: bool = True, pre_norm: bool = False) -> Tensor:
        """A linear layer over the last axis."""
        return self.add(Linear(out, bias, pre_norm), x)

    def act(self, x: Tensor, function: str) -> Tensor:
        """A pointwise activation, or one of `subgraphs` on a map; "none" adds nothing."""
        if function == "none":
            return x
        subgraph = self._subgraphs.get(function)
        if subgraph is None:
            return self.add(Activation(function), x)
        if not x.is_map:
            raise ValueError(f"{function} needs a map of channels, height and width, but got {x.shape}")
        return subgraph(self, x)

    def global_pool(self, x: Tensor, *, flatten: bool = False) -> Tensor:
        """Global average pooling to (C, 1, 1), or to (C,)."""
        return self.add(GlobalPool(flatten), x)

    def pool(
        self, x: Tensor, function: Literal["max", "avg"], kernel: int, stride: int, *, padding: int = 0,
        ceil: bool = False, count_pad: bool = True,
    ) -> Tensor:  # fmt: skip
        """Max or average pooling."""
        return self.add(Pool(function, kernel, stride, padding, ceil, count_pad), x)

    def sum(self, x: Tensor, y: Tensor) -> Tensor:
        """x + y."""
        return self.add(Binary("add"), x, y)

    def difference(self, x: Tensor, y: Tensor) -> Tensor:
        """x - y."""
        return self.add(Binary("sub"), x, y)

    def product(self, x: Tensor, y: Tensor) -> Tensor:
        """x · y, broadcasting axes of size 1."""
        return self.add(Binary("mul"), x, y)

    def maximum(self, x: Tensor, y: Tensor) -> Tensor:
        """The larger of x and y, elementwise."""
        return self.add(Binary("max"), x, y)

    def affine(self, x: Tensor, factor: float, shift: float = 0.0) -> Tensor:
        """x · factor + shift."""
        return self.add(Affine(factor, shift), x)

    def learned_scale(self, x: Tensor, start: float = 1.0) -> Tensor:
        """x times one learned number a channel (layer scale)."""
        return self.add(LearnedScale(start), x)

    def concat(self, parts: Sequence[Tensor]) -> Tensor:
        """Concatenation along the channels."""
        return self.add(Concat(), *parts)

    def slice(self, x: Tensor, start: int, stop: int) -> Tensor:
        """The channels start to stop of a map."""
        return self.add(Slice(start, stop), x)

    def shuffle(self, x: Tensor, groups: int) -> Tensor:
        """Channel shuffle."""
        return self.add(Shuffle(groups), x)

    def rearrange(self, x: Tensor, split: Shape, order: tuple[int, ...], merge: Shape) -> Tensor:
        """Reshape to `split`, transpose by `order`, reshape to `merge`."""
        return self.add(Rearrange(split, order, merge), x)

    def matmul(self, x: Tensor, y: Tensor, *, transpose: bool = False) -> Tensor:
        """x @ y over the last two axes, or x @ yᵀ."""
        return self.add(MatMul(transpose), x, y)

    def softmax(self, x: Tensor) -> Tensor:
        """Softmax over the last axis."""
        return self.add(Softmax(), x)

    def norm(self, x: Tensor, function: Literal["layer", "group", "batch"]) -> Tensor:
        """A normalisation that stays at inference."""
        return self.add(Norm(function), x)

    def reduce(self, x: Tensor, function: Literal["sum", "mean", "max"], axis: int) -> Tensor:
        """Sum, mean or maximum over one axis, which stays with size 1."""
        return self.add(Reduce(function, axis), x)

    def resize(self, x: Tensor, height: int, width: int, *, align_corners: bool = False) -> Tensor:
        """Bilinear resizing."""
        return self.add(Resize(height, width, align_corners), x)
