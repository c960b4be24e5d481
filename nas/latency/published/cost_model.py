"""What an operator costs on a device: a non-negative roofline for each kind, additive over operators.

    t(operator) = max(compute, traffic, weights) + activation + overhead            (milliseconds)

* compute: multiply-adds over the peak rate of the operator's kind;
* traffic: bytes of the maps read and written, at on-chip bandwidth, spilling smoothly to memory bandwidth as the
  larger map outgrows a buffer: the spilled share is 1 / (1 + (buffer / bytes)^sharpness);
* weights: bytes of weights at memory bandwidth; those of linear layers at a bandwidth of their own;
* activation: milliseconds an element, by function. ReLU, GELU and their like fuse into the operator before them and
  move no map; SiLU, hard swish and the unusual ones also pay passes over their map;
* overhead: a constant an operator, and a larger one where a map is multiplied by values computed from it.

A network costs a fixed time plus the sum of its operators (for the form: Williams et al., "Roofline", CACM 2009).
Everything is a sum over operators, so a search space compiles to lookup tables; so are the derivatives by the
logarithms of the coefficients, from which the width of an interval comes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas.graph.operators import LAYOUTS, OperatorTable

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
BYTES_AN_ELEMENT = 2.0
"""Half precision, which the Neural Engine computes in."""
_CHUNK = 16384


@dataclass(frozen=True, slots=True, kw_only=True)
class Coefficient:
    """A coefficient's meaning, the centre of its prior, the prior's standard deviation in logarithms, the value
    that takes a refinement out of the model (None: the coefficient is always there), and the power of a device's pace
    that it goes with (1: a time, -1: a rate; 0: neither, or the fixed time, which has a scale of its own)."""

    meaning: str
    prior: float
    log_sd: float
    neutral: float | None = None
    pace: int = 0


COEFFICIENTS: Mapping[str, Coefficient] = {
    "fixed": Coefficient(meaning="ms a network", prior=0.4, log_sd=1.0),
    "rate": Coefficient(meaning="multiply-adds a ms, dense", prior=5.5e9, log_sd=0.3, pace=-1),
    "rate_depthwise": Coefficient(meaning="multiply-adds a ms, depthwise 3x3", prior=1.0e9, log_sd=1.0, pace=-1),
    "onchip": Coefficient(meaning="bytes a ms, maps that fit", prior=3e8, log_sd=1.0, pace=-1),
    "memory": Coefficient(meaning="bytes a ms, weights and maps that spill", prior=36e6, log_sd=0.3, pace=-1),
    "memory_linear": Coefficient(meaning="bytes a ms, weights of linear layers", prior=25e6, log_sd=0.7, pace=-1),
    "buffer": Coefficient(meaning="bytes at which half a map spills", prior=2e6, log_sd=1.0),
    "sharpness": Coefficient(meaning="exponent of the spill", prior=2.0, log_sd=0.5, neutral=1.0),
    "overhead": Coefficient(meaning="ms an operator", prior=1e-4, log_sd=1.5, pace=1),
    "broadcast": Coefficient(
        meaning="ms a product of a map and values computed from it", prior=1e-3, log_sd=1.5, pace=1
    ),
    "simple_activation": Coefficient(meaning="ms an element, ReLU and its like", prior=1e-9, log_sd=1.5, pace=1),
    "gelu": Coefficient(meaning="ms an element, GELU", prior=5e-9, log_sd=1.0, pace=1),
    "silu": Coefficient(meaning="ms an element, SiLU", prior=1e-8, log_sd=1.5, pace=1),
    "silu_passes": Coefficient(meaning="traffic of SiLU against elementwise", prior=1.0, log_sd=0.7, neutral=1e-9),
    "hswish": Coefficient(meaning="hard swish against SiLU", prior=1.0, log_sd=0.5),
    "other_activation": Coefficient(meaning="other functions against SiLU", prior=1.0, log_sd=0.7),
    "gate": Coefficient(meaning="ms an element, sigmoid", prior=3e-8, log_sd=1.5, pace=1),
    "elementwise": Coefficient(meaning="traffic of sums and products of maps", prior=1.0, log_sd=0.5, neutral=1.0),
    "depthwise_maps": Coefficient(meaning="traffic of depthwise convolutions", prior=1.0, log_sd=0.3, neutral=1.0),
    "depthwise_large": Coefficient(meaning="multiply-adds, kernels of 5 and more against 3", prior=1.0, log_sd=0.3),
    "grouped": Coefficient(meaning="grouped against dense multiply-adds", prior=4.0, log_sd=0.7),
    "rearrange": Coefficient(meaning="traffic of cat, layout, resize", prior=1.0, log_sd=0.5),
    "normalise": Coefficient(meaning="traffic of norm, softmax", prior=3.0, log_sd=0.7),
    "attention": Coefficient(meaning="matrix products of maps against dense multiply-adds", prior=2.0, log_sd=0.7),
    "unknown": Coefficient(meaning="traffic of an operator outside the vocabulary", prior=3.0, log_sd=1.0),
}
NAMES: tuple[str, ...] = tuple(COEFFICIENTS)
REFINEMENTS: tuple[str, ...] = tuple(name for name, c in COEFFICIENTS.items() if c.neutral is not None)
_ONE, _NOTHING = len(NAMES), len(NAMES) + 1
_AT = {name: position for position, name in enumerate(NAMES)} | {"": _ONE, "-": _NOTHING}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Role:
    """How a kind is charged, as names of coefficients; "" is the constant 1 and "-" the constant 0.

    `rate` and `work` divide and multiply the multiply-adds, `maps` multiplies the traffic; `element` and `passes` are
    the cost of an activation (an element, and in passes over its map), `function` multiplies both.
    """

    rate: str = "rate"
    work: str = ""
    maps: str = ""
    weights: str = "memory"
    element: str = "-"
    passes: str = "-"
    function: str = ""
    overhead: str = "overhead"


def _fused(element: str, overhead: str = "-") -> _Role:
    return _Role(maps="-", element=element, overhead=overhead)


def _unfused(function: str = "") -> _Role:
    return _Role(maps="-", element="silu", passes="silu_passes", function=function, overhead="-")


_LARGE_DEPTHWISE, _ANY_ACTIVATION, _ANYTHING = "dw:large", "act:", "other:"
_ROLES: Mapping[str, _Role] = {
    **dict.fromkeys(("dense", "pw", "gap", "pool", "avgpool", "avgpool:ceil"), _Role()),
    **dict.fromkeys(("add", "mul", "scale"), _Role(maps="elementwise")),
    **dict.fromkeys(("act:relu", "act:relu6", "act:prelu", "act:leaky_relu"), _fused("simple_activation")),
    **dict.fromkeys(("act:sigmoid", "act:hsigmoid"), _fused("gate", overhead="overhead")),
    **dict.fromkeys(("cat", *LAYOUTS, "resize"), _Role(maps="rearrange")),
    **dict.fromkeys(("norm", "norm:layer", "norm:group", "norm:batch", "softmax"), _Role(maps="normalise")),
    **dict.fromkeys(("slice", "slice:whole", "reorder"), _Role(maps="-", overhead="-")),
    "grp": _Role(work="grouped"),
    "dw": _Role(rate="rate_depthwise", maps="depthwise_maps"),
    _LARGE_DEPTHWISE: _Role(rate="rate_depthwise", work="depthwise_large", maps="depthwise_maps"),
    "lin": _Role(weights="memory_linear"),
    "mm": _Role(work="attention"),
    "se_mul": _Role(overhead="broadcast"),
    "act:gelu": _fused("gelu"),
    "act:silu": _unfused(),
    "act:hswish": _unfused("hswish"),
    _ANY_ACTIVATION: _unfused("other_activation"),
    _ANYTHING: _Role(maps="unknown"),
}
_KINDS = np.array(sorted(_ROLES))
_CODE = {kind: position for position, kind in enumerate(_KINDS)}


def _column(attribute: str) -> Ints:
    return np.array([_AT[getattr(_ROLES[kind], attribute)] for kind in _KINDS])


_RATE, _WORK, _MAPS, _WEIGHTS = _column("rate"), _column("work"), _column("maps"), _column("weights")
_ELEMENT, _PASSES, _FUNCTION, _OVERHEAD = (
    _column("element"),
    _column("passes"),
    _column("function"),
    _column("overhead"),
)


def charged_alike(kind: str) -> tuple[str, ...]:
    """The kinds that are charged as `kind` is, with the same coefficients."""
    stand_in = _ANY_ACTIVATION if kind.startswith("act:") else _ANYTHING
    role = _ROLES.get(kind, _ROLES[stand_in])
    return tuple(other for other, same in _ROLES.items() if same == role)


def role_codes(table: OperatorTable) -> Ints:
    """The role of each operator, shape (n,): its kind, or what stands for kinds without a role of their own."""
    kinds = table.kind
    at = np.minimum(np.searchsorted(_KINDS, kinds), len(_KINDS) - 1)
    unknown = np.flatnonzero(_KINDS[at] != kinds)
    at[unknown] = np.where(np.char.startswith(kinds[unknown], "act:"), _CODE[_ANY_ACTIVATION], _CODE[_ANYTHING])
    at[(at == _CODE["dw"]) & (table.kernel >= 5)] = _CODE[_LARGE_DEPTHWISE]
    return at


@dataclass(frozen=True, slots=True, kw_only=True)
class CostModel:
    """The roofline with its coefficients: `values`, shape (len(NAMES),), positive, in `NAMES`' order."""

    values: Floats

    @property
    def names(self) -> tuple[str, ...]:
        """The coefficients, in the order of `values` and of the columns of `gradient_ms`."""
        return NAMES

    @property
    def fixed_ms(self) -> float:
        """The time of a network without operators."""
        return float(self.values[_AT["fixed"]])

    @property
    def fixed_gradient(self) -> Floats:
        """Derivatives of `fixed_ms` by the coefficients' logarithms, shape (len(NAMES),)."""
        gradient = np.zeros(len(NAMES))
        gradient[_AT["fixed"]] = self.fixed_ms
        return gradient

    def value(self, name: str) -> float:
        """The coefficient `name`."""
        return float(self.values[_AT[name]])

    def operator_ms(self, table: OperatorTable) -> Floats:
        """Milliseconds of each operator, shape (n,), all positive."""
        return np.concatenate([self._terms(part).total for part in _chunks(table)] or [np.zeros(0)])

    def gradient_ms(self, table: OperatorTable) -> Floats:
        """Derivatives of `operator_ms` by the coefficients' logarithms, shape (n, len(NAMES)).

        The column of `fixed` is 0: it belongs to the network.
        """
        return self.with_gradient(table)[1]

    def with_gradient(self, table: OperatorTable) -> tuple[Floats, Floats]:
        """`operator_ms` and `gradient_ms`, for little more than one of them."""
        parts = [self._with_gradient(part) for part in _chunks(table)] or [(np.zeros(0), np.zeros((0, len(NAMES))))]
        return np.concatenate([ms for ms, _ in parts]), np.concatenate([gradient for _, gradient in parts])

    def _with_gradient(self, table: OperatorTable) -> tuple[Floats, Floats]:
        terms = self._terms(table)
        role, roof, largest = terms.role, terms.roof, terms.largest
        compute, traffic, weights = (np.where(largest == i, roof, 0.0) for i in range(3))
        passed = terms.activation * terms.passes_share
        gradient = np.zeros((len(table), len(NAMES) + 2))
        rows = np.arange(len(table))

        def add(column: Ints, values: Floats) -> None:
            gradient[rows, column[role]] += values

        add(_RATE, -compute)
        add(_WORK, compute)
        add(_MAPS, traffic)
        add(_WEIGHTS, -weights)
        add(_ELEMENT, terms.activation - passed)
        add(_PASSES, passed)
        add(_FUNCTION, terms.activation)
        add(_OVERHEAD, terms.overhead)
        moved = traffic + passed
        gradient[:, _AT["onchip"]] -= moved * terms.onchip_share
        gradient[:, _AT["memory"]] -= moved * (1.0 - terms.onchip_share)
        gradient[:, _AT["buffer"]] -= moved * terms.spill_slope * self.value("sharpness")
        gradient[:, _AT["sharpness"]] += moved * terms.spill_slope * self.value("sharpness") * terms.log_excess
        gradient[:, _AT["fixed"]] = 0.0
        return terms.total, gradient[:, : len(NAMES)]

    def _terms(self, table: OperatorTable) -> _Terms:
        values = np.append(self.values, (1.0, 0.0))
        role = role_codes(table)
        largest_map = BYTES_AN_ELEMENT * np.maximum(table.input_elements, table.output_elements)
        log_excess = np.log(np.maximum(largest_map, 1.0) / values[_AT["buffer"]])
        spilled = 1.0 / (1.0 + np.exp(-values[_AT["sharpness"]] * log_excess))
        onchip, memory = (1.0 - spilled) / values[_AT["onchip"]], spilled / values[_AT["memory"]]
        one_pass = BYTES_AN_ELEMENT * (table.input_elements + table.output_elements) * (onchip + memory)
        candidates = np.stack((
            table.macs * values[_WORK[role]] / values[_RATE[role]],
            one_pass * values[_MAPS[role]],
            BYTES_AN_ELEMENT * table.weight_elements / values[_WEIGHTS[role]],
        ))  # fmt: skip
        largest = candidates.argmax(axis=0)
        roof = candidates.max(axis=0)
        passes = one_pass * values[_PASSES[role]]
        elements = table.output_elements * values[_ELEMENT[role]]
        activation = (elements + passes) * values[_FUNCTION[role]]
        overhead = values[_OVERHEAD[role]]
        return _Terms(
            role=role,
            largest=largest,
            roof=roof,
            activation=activation,
            passes_share=passes / np.maximum(elements + passes, 1e-300),
            overhead=overhead,
            onchip_share=onchip / (onchip + memory),
            # The spilled share s changes by s(1 - s) with its logit.
            spill_slope=(memory * (1.0 - spilled) - onchip * spilled) / (onchip + memory),
            log_excess=log_excess,
            total=roof + activation + overhead,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Terms:
    """The terms of `CostModel` for n operators; all of shape (n,)."""

    role: Ints
    largest: Ints
    roof: Floats
    activation: Floats
    passes_share: Floats
    overhead: Floats
    onchip_share: Floats
    spill_slope: Floats
    log_excess: Floats
    total: Floats


def _chunks(table: OperatorTable) -> Iterator[OperatorTable]:
    """Parts of `table` small enough to stay in a processor's cache."""
    for start in range(0, len(table), _CHUNK):
        yield table.select(slice(start, start + _CHUNK))
