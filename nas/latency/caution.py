"""What a file says of itself that the device's figures were not taken with: it widens the interval, and is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from nas.graph.graph import Reading
from nas.latency.device import Device
from nas.latency.estimate import Estimate

_BITS = {"float64": 64, "float32": 32, "float16": 16, "bfloat16": 16, "int16": 16, "int8": 8, "float8": 8, "int4": 4}
_ROUNDED = {("float32", "float16")}
"""(of the file, of the device): what the device's converter makes of every file, and was timed so."""
_BATCH_FACTOR = 1.35
"""What an image of a batch strays by from one alone, either way: of 4 and of 8 images under ONNX Runtime each took 0.76
to 1.04 of one alone (eight known networks, one thread)."""


def cautious(estimate: Estimate, reading: Reading, device: Device, remarks: Sequence[str] = ()) -> Estimate:
    """`estimate` with the interval that what is said of a network leaves; reasons, `remarks` join its warnings.

    Another precision may be as much faster as its numbers are smaller, or as much slower where the processor has no
    code for it: the ratio of the sizes, both ways.
    """
    factor, reasons = 1.0, [*remarks, *reading.notes]
    own, weights = reading.precision, reading.weights
    if own and own != device.precision and (own, device.precision) not in _ROUNDED:
        ratio = _ratio(own, device.precision)
        factor *= ratio
        reasons.append(
            f"the file computes in {own}, {device.name} was timed in {device.precision}: either end of the interval is"
            f" moved by a factor of {ratio:g}; time the file itself (`nas measure`), or predict the"
            f" {device.precision} one"
        )
    elif own and weights != own:
        ratio = _ratio(weights, own)
        factor *= ratio
        reasons.append(
            f"the weights are stored in {weights} and computed with in {own}, for which nothing was timed: either end"
            f" of the interval is moved by a factor of {ratio:g}"
        )
    if reading.batch > 1:
        factor *= _BATCH_FACTOR
        reasons.append(
            f"the latency is of {reading.batch} images at once, but single ones were timed: either end of the interval"
            f" is moved by a factor of {_BATCH_FACTOR:g}"
        )
    if reading.uncounted:
        names = ", ".join(reading.uncounted[:6]) + (", ..." if len(reading.uncounted) > 6 else "")
        reasons.append(f"multiply-adds in {names} are not counted, so they and the latency are a lower bound")
    return replace(
        estimate,
        low_ms=estimate.low_ms / factor,
        high_ms=estimate.high_ms * factor,
        warnings=(*estimate.warnings, *reasons),
    )


def _ratio(a: str, b: str) -> float:
    """How many times as large the numbers of one precision are; twice for what is not known."""
    if a not in _BITS or b not in _BITS:
        return 2.0
    return max(_BITS[a], _BITS[b]) / min(_BITS[a], _BITS[b]) if _BITS[a] != _BITS[b] else 2.0
