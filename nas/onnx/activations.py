"""Activations written as several pointwise operators, recognised by what they compute.

A cluster of pointwise operators between one value and another is a function of one number. It is evaluated on probes
and compared with the known activations, so that every way of writing one is recognised: x·sigmoid(x), x·relu6(x+3)/6,
GELU by erf or by tanh, x·tanh(softplus(x)).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.onnx.network import OnnxNetwork, OnnxNode

ACTIVATION = "Activation"
"""Kind of the node that stands for a recognised activation; its attribute `function` names it."""

_Floats = NDArray[np.float64]
_PROBES: _Floats = np.concatenate((np.linspace(-9.0, 9.0, 73), [-0.1, 0.1]))
_TOLERANCE = 2e-3
_MAX_CLUSTER = 14


def _erf(x: _Floats) -> _Floats:
    return np.array([math.erf(value) for value in x.ravel()]).reshape(x.shape)


def _sigmoid(x: _Floats) -> _Floats:
    return 1.0 / (1.0 + np.exp(-x))


def _softplus(x: _Floats) -> _Floats:
    return np.logaddexp(0.0, x)


_GELU = _PROBES * 0.5 * (1.0 + _erf(_PROBES / math.sqrt(2.0)))
_HSWISH = _PROBES * np.clip(_PROBES + 3.0, 0.0, 6.0) / 6.0
_HSIGMOID = np.clip(_PROBES / 6.0 + 0.5, 0.0, 1.0)
_KNOWN: Sequence[tuple[str, float, _Floats]] = (
    ("relu", 1.0, np.maximum(_PROBES, 0.0)),
    ("relu6", 1.0, np.clip(_PROBES, 0.0, 6.0)),
    ("hswish", 1.0, _HSWISH),
    ("hswish", 6.0, _HSWISH),
    ("hsigmoid", 1.0, _HSIGMOID),
    ("hsigmoid", 6.0, _HSIGMOID),
    ("silu", 1.0, _PROBES * _sigmoid(_PROBES)),
    ("silu", 1.0, _PROBES * _sigmoid(1.702 * _PROBES)),  # an approximation of GELU, computed as SiLU is
    ("gelu", 1.0, _GELU),
    ("gelu", 2.0, _GELU),
    ("sigmoid", 1.0, _sigmoid(_PROBES)),
    ("tanh", 1.0, np.tanh(_PROBES)),
    ("mish", 1.0, _PROBES * np.tanh(_softplus(_PROBES))),
    ("leaky_relu", 1.0, np.where(_PROBES > 0.0, _PROBES, 0.01 * _PROBES)),
)
"""Name, factor, function: a factor is what simplifiers move into the weights behind. GELU by tanh differs from GELU by
less than the tolerance."""

_ONE_KERNEL: Mapping[str, Sequence[frozenset[str]]] = {
    "gelu": (frozenset(("Erf", "Div")), frozenset(("Tanh", "Pow"))),
    "silu": (frozenset(("Sigmoid", "Mul")),),
    "hswish": (frozenset(("HardSigmoid", "Mul")),),
}
"""What a cluster must hold for ONNX Runtime to join it into one operator, by the graphs that version 1.31 writes."""


def _attribute(node: OnnxNode, name: str, default: float) -> float:
    return float(node.attributes.get(name, default))


def _clip(node: OnnxNode, x: _Floats, *limits: _Floats) -> _Floats:
    low = limits[0] if limits else _attribute(node, "min", -np.inf)
    high = limits[1] if len(limits) > 1 else _attribute(node, "max", np.inf)
    return np.clip(x, low, high)


_POINTWISE: Mapping[str, Callable[..., _Floats]] = {
    "Add": lambda _, x, y: x + y,
    "Sub": lambda _, x, y: x - y,
    "Mul": lambda _, x, y: x * y,
    "Div": lambda _, x, y: x / y,
    "Pow": lambda _, x, y: np.power(x, y),
    "Min": lambda _, *x: np.minimum.reduce(np.broadcast_arrays(*x)),
    "Max": lambda _, *x: np.maximum.reduce(np.broadcast_arrays(*x)),
    "Neg": lambda _, x: -x,
    "Exp": lambda _, x: np.exp(x),
    "Sqrt": lambda _, x: np.sqrt(x),
    "Reciprocal": lambda _, x: 1.0 / x,
    "Erf": lambda _, x: _erf(x),
    "Tanh": lambda _, x: np.tanh(x),
    "Sigmoid": lambda _, x: _sigmoid(x),
    "Softplus": lambda _, x: _softplus(x),
    "Relu": lambda _, x: np.maximum(x, 0.0),
    "Clip": _clip,
    "LeakyRelu": lambda n, x: np.where(x > 0.0, x, _attribute(n, "alpha", 0.01) * x),
    "HardSigmoid": lambda n, x: np.clip(_attribute(n, "alpha", 0.2) * x + _attribute(n, "beta", 0.5), 0.0, 1.0),
    "HardSwish": lambda _, x: x * np.clip(x / 6.0 + 0.5, 0.0, 1.0),
    "Mish": lambda _, x: x * np.tanh(_softplus(x)),
    "Gelu": lambda _, x: x * 0.5 * (1.0 + _erf(x / math.sqrt(2.0))),
    "Swish": lambda n, x: x * _sigmoid(_attribute(n, "alpha", 1.0) * x),
}
_ALONE = {
    "PRelu": "prelu", "LeakyRelu": "leaky_relu", "HardSigmoid": "hsigmoid", "Swish": "silu",
    **{name: name.lower() for name in (
        "Clip", "Elu", "Selu", "Celu", "Softsign", "Softplus", "ThresholdedRelu", "Mish", "Erf", "Exp", "Log", "Sqrt",
        "Abs", "Neg", "Reciprocal", "Sin", "Cos", "Round", "Floor", "Ceil", "Sign",
    )},
}  # fmt: skip
"""Functions by themselves that are not one of `_KNOWN`."""
_SUMS_AND_PRODUCTS = {
    "Add": "add", "Sub": "add", "Max": "add", "Min": "add", "Mul": "mul", "Div": "mul", "Pow": "mul", "Clip": "scale",
}  # fmt: skip


def recognise_activations(network: OnnxNetwork) -> None:
    """Replace pointwise nodes, alone and in clusters, by `ACTIVATION` nodes where they compute a known function."""
    search = _Search(network)
    gone: set[int] = set()
    for node in reversed(network.nodes):
        if id(node) not in gone and search.may_join(node):
            found = search.match(node, gone)
            if found is not None:
                gone.update(id(inner) for inner in found.nodes if inner is not node)
                parts = () if found.is_one_kernel else tuple(search.part(inner) for inner in found.nodes)
                node.attributes = {"function": found.function, "parts": parts}
                node.kind, node.inputs = ACTIVATION, [found.source]
    network.nodes = [node for node in network.nodes if id(node) not in gone]
    for node in network.nodes:
        is_power = node.kind == "Pow" and node.inputs[1] in network.constants
        if node.kind in _ALONE or is_power:
            function = "pow" if is_power else _ALONE[node.kind]
            operands = node.inputs if function == "prelu" else node.inputs[:1]  # with the slopes
            node.kind, node.inputs, node.attributes = ACTIVATION, operands, {"function": function, "parts": ()}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """Nodes that compute `factor` times a known function of `source`, in their order."""

    source: str
    function: str
    factor: float
    nodes: list[OnnxNode]

    @property
    def is_one_kernel(self) -> bool:
        """Whether runtimes compute it at once: one node, or nodes of a form that ONNX Runtime joins."""
        kinds = {node.kind for node in self.nodes}
        joined = any(form <= kinds for form in _ONE_KERNEL.get(self.function, ()))
        return len(self.nodes) == 1 or (joined and self.factor == 1.0)


class _Search:
    """Looks for clusters in a network."""

    def __init__(self, network: OnnxNetwork) -> None:
        self._network = network
        self._producer = {name: node for node in network.nodes for name in node.outputs}
        self._position = {id(node): i for i, node in enumerate(network.nodes)}
        self._readers: dict[str, list[OnnxNode | None]] = {name: [None] for name in network.outputs}
        for node in network.nodes:
            for name in node.inputs:
                self._readers.setdefault(name, []).append(node)

    def may_join(self, node: OnnxNode) -> bool:
        """Whether a node can be part of a cluster."""
        return node.kind in _POINTWISE and len(node.outputs) == 1

    def part(self, node: OnnxNode) -> str:
        """The kind of operator (`nas.graph.operators`) that a node is by itself."""
        computed = [name for name in node.inputs if name and name not in self._network.constants]
        if len(node.inputs) == 1 or node.kind not in _SUMS_AND_PRODUCTS:
            return f"act:{_ALONE.get(node.kind, node.kind.lower())}"
        return _SUMS_AND_PRODUCTS[node.kind] if len(computed) > 1 else "scale"

    def match(self, last: OnnxNode, gone: set[int]) -> _Found | None:
        """The largest cluster that ends in `last` and computes a known activation."""
        best = None
        cluster = [last]
        while (sources := self._sources(cluster)) is not None:
            if len(sources) == 1 and self._closed(cluster, last):
                source = next(iter(sources))
                known = self._function(cluster, last, source)
                if known is not None:
                    function, factor = known
                    nodes = sorted(cluster, key=lambda node: self._position[id(node)])
                    best = _Found(source=source, function=function, factor=factor, nodes=nodes)
            before = [self._producer[name] for name in sources if name in self._producer]
            before = [node for node in before if self.may_join(node) and id(node) not in gone]
            if not before or len(cluster) == _MAX_CLUSTER:
                break
            # The latest first: a value is then reached on all its ways before its own operands are.
            cluster.append(max(before, key=lambda node: self._position[id(node)]))
        return best

    def _sources(self, cluster: list[OnnxNode]) -> set[str] | None:
        """The values that a cluster reads from outside; None where it reads a constant that is no single number."""
        made = {node.outputs[0] for node in cluster}
        found: set[str] = set()
        for name in (name for node in cluster for name in node.inputs if name):
            if name in self._network.constants:
                value = self._network.constants[name]
                if value is None or value.size != 1:
                    return None
            elif name not in made:
                found.add(name)
        return found

    def _closed(self, cluster: list[OnnxNode], last: OnnxNode) -> bool:
        """Whether nothing outside reads a value inside, but the last one."""
        inside = {id(node) for node in cluster}
        readers = (r for node in cluster if node is not last for r in self._readers.get(node.outputs[0], []))
        return all(reader is not None and id(reader) in inside for reader in readers)

    def _function(self, cluster: list[OnnxNode], last: OnnxNode, source: str) -> tuple[str, float] | None:
        values: dict[str, Any] = {source: _PROBES}
        with np.errstate(all="ignore"):
            for node in sorted(cluster, key=lambda node: self._position[id(node)]):
                operands = [self._operand(name, i, values) for i, name in enumerate(node.inputs)]
                try:
                    values[node.outputs[0]] = _POINTWISE[node.kind](node, *operands)
                except TypeError:  # a node with more or fewer operands than its kind has
                    return None
        result = values[last.outputs[0]]
        if np.shape(result) != _PROBES.shape:
            return None
        near = (
            (name, factor)
            for name, factor, known in _KNOWN
            if np.allclose(result / factor, known, rtol=_TOLERANCE, atol=_TOLERANCE)
        )
        return next(near, None)

    def _operand(self, name: str, place: int, values: Mapping[str, Any]) -> Any:
        if not name:  # only the limits of Clip may be left out
            return np.array(-np.inf if place == 1 else np.inf)
        if name in values:
            return values[name]
        return np.asarray(self._network.constants[name], dtype=np.float64).reshape(())
