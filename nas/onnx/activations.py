"""Activations written as several pointwise operators, recognised by what they compute.

A cluster of pointwise operators between one value and another is a function of one number. It is evaluated on probes
and compared with the known activations, so that every way of writing one is recognised: x·sigmoid(x), x·relu6(x+3)/6,
GELU by erf or by tanh, x·tanh(softplus(x)).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
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


_KNOWN: Mapping[str, _Floats] = {
    "relu": np.maximum(_PROBES, 0.0),
    "relu6": np.clip(_PROBES, 0.0, 6.0),
    "hswish": _PROBES * np.clip(_PROBES + 3.0, 0.0, 6.0) / 6.0,
    "hsigmoid": np.clip(_PROBES / 6.0 + 0.5, 0.0, 1.0),
    "silu": _PROBES * _sigmoid(_PROBES),
    "gelu": _PROBES * 0.5 * (1.0 + _erf(_PROBES / math.sqrt(2.0))),
    "sigmoid": _sigmoid(_PROBES),
    "tanh": np.tanh(_PROBES),
    "mish": _PROBES * np.tanh(_softplus(_PROBES)),
    "leaky_relu": np.where(_PROBES > 0.0, _PROBES, 0.01 * _PROBES),
}
"""One function a name; GELU by tanh differs from GELU by less than the tolerance."""


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


def recognise_activations(network: OnnxNetwork) -> None:
    """Replace pointwise nodes, alone and in clusters, by `ACTIVATION` nodes where they compute a known function."""
    search = _Search(network)
    gone: set[int] = set()
    for node in reversed(network.nodes):
        if id(node) not in gone and search.may_join(node):
            found = search.match(node, gone)
            if found is not None:
                source, function, cluster = found
                gone.update(id(inner) for inner in cluster if inner is not node)
                node.kind, node.inputs, node.attributes = ACTIVATION, [source], {"function": function}
    network.nodes = [node for node in network.nodes if id(node) not in gone]
    for node in network.nodes:
        is_power = node.kind == "Pow" and node.inputs[1] in network.constants
        if node.kind in _ALONE or is_power:
            function = "pow" if is_power else _ALONE[node.kind]
            node.kind, node.inputs, node.attributes = ACTIVATION, node.inputs[:1], {"function": function}


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

    def match(self, last: OnnxNode, gone: set[int]) -> tuple[str, str, list[OnnxNode]] | None:
        """(source, function, nodes) of the largest cluster that ends in `last` and computes a known activation."""
        best = None
        cluster = [last]
        while (sources := self._sources(cluster)) is not None:
            if len(sources) == 1 and self._closed(cluster, last):
                source = next(iter(sources))
                function = self._function(cluster, last, source)
                if function is not None:
                    best = source, function, list(cluster)
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

    def _function(self, cluster: list[OnnxNode], last: OnnxNode, source: str) -> str | None:
        values: dict[str, Any] = {source: _PROBES}
        with np.errstate(all="ignore"):
            for node in sorted(cluster, key=lambda node: self._position[id(node)]):
                operands = [self._operand(name, i, values) for i, name in enumerate(node.inputs)]
                try:
                    values[node.outputs[0]] = _POINTWISE[node.kind](node, *operands)
                except TypeError:  # a node with more or fewer operands than its kind has
                    return None
        result = values[last.outputs[0]]
        near = (f for f, known in _KNOWN.items() if np.allclose(result, known, rtol=_TOLERANCE, atol=_TOLERANCE))
        return next(near, None)

    def _operand(self, name: str, place: int, values: Mapping[str, Any]) -> Any:
        if not name:  # only the limits of Clip may be left out
            return np.array(-np.inf if place == 1 else np.inf)
        if name in values:
            return values[name]
        return np.asarray(self._network.constants[name], dtype=np.float64).reshape(())
