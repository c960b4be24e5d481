"""The lookup tables of once-for-all's users, read as rows for our segments.

Such a table is YAML: a layer's text → `count`, `mean` and `std` of its timings in milliseconds. The texts are those
that once-for-all's `MBv3LatencyTable` asks for (github mit-han-lab/once-for-all, its latency_lookup_table.py); maps
are height x width x channels:

* `Conv`: the stem, 3x3 with hard swish;
* `expanded_conv`: an inverted residual. `expand` is its inner width, `hs` says hard swish (else ReLU), `se`
  squeeze-and-excitation to a quarter of the inner width (rounded to multiples of 8, hard-sigmoid gate), `idskip` the
  skip connection;
* `Conv_1`: the last 1x1 convolution, with hard swish;
* `AvgPool2D`, `Conv_2` (with hard swish), `Logits`: the head, one segment here, whose time is the sum of the three.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from nas.blocks.registry import Value
from nas.blocks.rounding import make_divisible
from nas.documents import check_keys, read_yaml
from nas.errors import InputError
from nas.graph.rows import Shape
from nas.space.architecture import build_layer, make_layer

_KEYS = ("count", "mean", "std")
_MAX_COUNT = 10**12 - 1
_MAX_STD = 10.0
"""Standard deviation over mean: timings that stray by more are no timings of one thing, or of another unit."""
_NORMAL_95 = 1.6449
"""The 95th percentile of the standard normal distribution: a central 90 % interval is this many deviations each way."""

_NUMBER = "([1-9][0-9]{0,4})"
_MAP = f"{_NUMBER}x{_NUMBER}x{_NUMBER}"
_PLAIN = re.compile(f"(Conv|Conv_1|Conv_2|AvgPool2D)-input:{_MAP}-output:{_MAP}")
_LOGITS = re.compile(f"(Logits)-input:{_MAP}-output:{_NUMBER}")
_INVERTED = re.compile(
    f"expanded_conv-input:{_MAP}-output:{_MAP}-expand:{_NUMBER}-kernel:{_NUMBER}-stride:{_NUMBER}"
    "-idskip:([01])-se:([01])-hs:([01])"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OfaRow:
    """A segment's timings: `count` of them, their mean and standard deviation; `names` are the file's own texts."""

    segment: str
    names: tuple[str, ...]
    count: int
    mean_ms: float
    std_ms: float

    def interval_ms(self) -> tuple[float, float]:
        """The central 90 % interval of one timing, symmetric in the logarithm: mean times exp(±1.645 std / mean).

        Not that of the mean: hundreds of timings make it narrow, but it speaks of the averages of one session alone.
        """
        spread = math.exp(_NORMAL_95 * self.std_ms / self.mean_ms)
        return self.mean_ms / spread, self.mean_ms * spread


@dataclass(frozen=True, slots=True, kw_only=True)
class OfaTable:
    """The rows of one file; `image_size` is the stem's input, None where the file has no stem or several sizes."""

    path: Path
    image_size: int | None
    rows: tuple[OfaRow, ...]


class _Timing(NamedTuple):
    """What the file says of the layer `name`; `num_timings` is its count."""

    name: str
    num_timings: int
    mean_ms: float
    std_ms: float


class _Part(NamedTuple):
    """A stem, a last convolution or a part of the head."""

    timing: _Timing
    input: Shape
    output: Shape


def read_ofa_table(path: Path) -> OfaTable:
    """The table in the YAML file at `path`.

    Raises `InputError` naming the file, the layer and the rule: for bad YAML, a file that is cut off, a text that is
    not one of the above, figures that are missing, unknown or no positive finite ms, a layer whose output is not what
    its input gives, a skip connection where our block has none or the reverse, and parts of a head without the others.
    """
    document = read_yaml(path)
    if not path.read_bytes().rstrip(b" ").endswith((b"\n", b"}")):
        raise InputError(f"{path}: the last row must end with a line break, but is cut off; get the whole file.")
    rows: list[OfaRow] = []
    parts: dict[str, list[_Part]] = {"Conv": [], "Conv_1": [], "AvgPool2D": [], "Conv_2": [], "Logits": []}
    for name, value in document.items():
        where = f"{path}: {name}"
        if inverted := _INVERTED.fullmatch(name):
            rows.append(_inverted(inverted, _timing(name, value, where), where))
        elif plain := _PLAIN.fullmatch(name) or _LOGITS.fullmatch(name):
            parts[plain[1]].append(_part(plain, _timing(name, value, where)))
        else:
            raise InputError(
                f"{where}: a row must be of the form expanded_conv-input:HxWxC-output:HxWxC-expand:N-kernel:N-stride:N"
                "-idskip:B-se:B-hs:B, or Conv, Conv_1, AvgPool2D, Conv_2 or Logits with -input:HxWxC-output:HxWxC"
                " (Logits: -output:N); take out what is no layer of MobileNetV3."
            )
    rows += [_convolution(part, path, kernel=3) for part in parts["Conv"]]
    rows += [_convolution(part, path, kernel=1) for part in parts["Conv_1"]]
    rows += _heads(parts, path)
    sizes = {part.input[1] for part in parts["Conv"]}
    return OfaTable(path=path, image_size=sizes.pop() if len(sizes) == 1 else None, rows=tuple(rows))


def _timing(name: str, value: object, where: str) -> _Timing:
    record = check_keys(value, _KEYS, where, required=_KEYS)
    count, mean, std = (record[key] for key in _KEYS)
    if type(count) is not int or not 1 <= count <= _MAX_COUNT:
        raise InputError(f"{where}: count must be a whole number of timings, at least 1, but got {count!r}.")
    if not _is_number(mean) or mean <= 0:
        raise InputError(f"{where}: mean must be a positive finite number of ms, but got {mean!r}.")
    if not _is_number(std) or not 0 <= std <= _MAX_STD * mean:
        raise InputError(
            f"{where}: std must be a number of ms from 0 to {_MAX_STD:g} times the mean ({mean}), but got {std!r}."
        )
    return _Timing(name, count, float(mean), float(std))


def _is_number(value: object) -> bool:
    return type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]


def _part(match: re.Match[str], timing: _Timing) -> _Part:
    numbers = [int(text) for text in match.groups()[1:]]
    output = _shape(numbers[3:]) if len(numbers) == 6 else (numbers[3],)
    return _Part(timing, _shape(numbers[:3]), output)


def _shape(numbers: Iterable[int]) -> Shape:
    """Height, width, channels as (channels, height, width)."""
    height, width, channels = numbers
    return channels, height, width


def _inverted(match: re.Match[str], timing: _Timing, where: str) -> OfaRow:
    numbers = [int(text) for text in match.groups()]
    before, after = _shape(numbers[:3]), _shape(numbers[3:6])
    hidden, kernel, stride, skip, se, hard_swish = numbers[6:]
    if skip != (stride == 1 and before[0] == after[0]):
        raise InputError(
            f"{where}: idskip must be 1 where stride is 1 and the widths agree, and 0 elsewhere, but got {skip};"
            " no block here is like that: take the row out."
        )
    args = {
        "out": after[0],
        "hidden": hidden,
        "kernel": kernel,
        "stride": stride,
        "act": "hswish" if hard_swish else "relu",
        "se": make_divisible(hidden // 4) if se else 0,
    }
    return _row([timing], _segment("mbconv", args, before, after, where))


def _convolution(part: _Part, path: Path, *, kernel: int) -> OfaRow:
    stride = 2 if part.output[1] < part.input[1] else 1
    args: dict[str, Value] = {"out": part.output[0], "kernel": kernel, "stride": stride, "act": "hswish"}
    return _row([part.timing], _segment("conv", args, part.input, part.output, f"{path}: {part.timing.name}"))


def _heads(parts: Mapping[str, list[_Part]], path: Path) -> list[OfaRow]:
    """A row for each chain of pooling, linear layer and classifier."""
    chains = [
        (pool, linear, classifier)
        for pool in parts["AvgPool2D"]
        for linear in parts["Conv_2"]
        for classifier in parts["Logits"]
        if pool.output == linear.input and linear.output == classifier.input
    ]
    chained = {part.timing.name for chain in chains for part in chain}
    for part in (*parts["AvgPool2D"], *parts["Conv_2"], *parts["Logits"]):
        if part.timing.name not in chained:
            raise InputError(
                f"{path}: {part.timing.name}: AvgPool2D, Conv_2 and Logits must follow one another in the same file,"
                " as the three are one segment here, but this one lacks neighbours of its width; add them, or take it"
                " out."
            )
    return [_head(chain, path) for chain in chains]


def _head(chain: tuple[_Part, _Part, _Part], path: Path) -> OfaRow:
    pool, linear, classifier = chain
    args: dict[str, Value] = {"hidden": linear.output[0], "act": "hswish"}
    where = f"{path}: {pool.timing.name}"
    segment = _segment("head", args, pool.input, classifier.output, where, num_classes=classifier.output[0])
    return _row([part.timing for part in chain], segment)


def _segment(
    block: str, args: Mapping[str, Value], before: Shape, after: Shape, where: str, *, num_classes: int = 1000
) -> str:
    """The key of the segment that `block` is on a map of shape `before`; its result must be of shape `after`."""
    try:
        found = build_layer(make_layer(block, args, where), before, num_classes)
    except ValueError as error:
        raise InputError(f"{where}: a layer must fit its input, but: {error}.") from error
    if found.output != after:
        raise InputError(f"{where}: output must be {_text(found.output)}, as the layer gives, but got {_text(after)}.")
    return found.segment.key


def _text(shape: Shape) -> str:
    """A shape as the files have it: channels last."""
    return "x".join(map(str, (*shape[1:], shape[0])))


def _row(timings: list[_Timing], segment: str) -> OfaRow:
    """One row of parts in sequence: deviations add up fully, as one phone's errors are common to its parts."""
    return OfaRow(
        segment=segment,
        names=tuple(timing.name for timing in timings),
        count=min(timing.num_timings for timing in timings),
        mean_ms=sum(timing.mean_ms for timing in timings),
        std_ms=sum(timing.std_ms for timing in timings),
    )
