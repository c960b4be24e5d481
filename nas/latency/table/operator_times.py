"""PaddleSlim's tables of operators: what single operators took, each by itself.

The first line is `device,engine,date`; each further one an operator with its parameters, a tab, and milliseconds
(github PaddlePaddle/PaddleSlim, docs on its table of hardware latency). No such row is a segment, whose operators run
one behind the other: the rows tell what operators cost (`nas.latency.timed.alone`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nas.errors import InputError
from nas.figures import entering
from nas.graph import Builder, Segment, Tensor
from nas.latency.table.lookup import Refused
from nas.latency.table.rows import read_text, require_whole, shortened

_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "conv": (
        "flag_bias", "flag_relu", "n", "c_in", "h_in", "w_in", "c_out", "groups", "kernel", "padding", "stride",
        "dilation",
    ),
    "pooling": ("flag_global", "n", "c_in", "h_in", "w_in", "kernel", "padding", "stride", "ceil_mode", "pool_type"),
    "map": ("n", "c_in", "h_in", "w_in"),
}  # fmt: skip
_MAY_BE_0 = ("flag_bias", "flag_relu", "flag_global", "padding", "ceil_mode")
_SHAPES = {
    **dict.fromkeys(("conv", "conv2d", "depthwise_conv2d"), "conv"),
    **dict.fromkeys(("pooling", "pool2d"), "pooling"),
}
_ACTS = {
    "relu": "relu", "relu6": "relu6", "hard_swish": "hswish", "hard_sigmoid": "hsigmoid", "sigmoid": "sigmoid",
    "swish": "silu", "prelu": "prelu", "leaky_relu": "leaky_relu", "tanh": "tanh", "gelu": "gelu",
}  # fmt: skip
_SUMS = {
    **dict.fromkeys(("eltwise", "elementwise_add", "eltwise_add"), "add"),
    **dict.fromkeys(("elementwise_mul", "eltwise_mul"), "mul"),
}
_ROW = re.compile(r"[a-z]\w*(,[^,\t]*){4,12}\t[^\t]*")
"""An operator with its parameters, and behind a tab what it took."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorTime:
    """An operator (perhaps with its activation) and its milliseconds."""

    segment: Segment
    mean_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorTimes:
    """The operators of one file, and those that were refused; `header` is its first line: device, engine, date."""

    path: Path
    header: str
    times: tuple[OperatorTime, ...]
    refused: tuple[Refused, ...]


def is_operator_table(path: Path) -> bool:
    """Whether the file at `path` is a table of operators, by its second line; a file that is no text is none."""
    try:
        lines = read_text(path, "text").splitlines()[:2]
    except InputError:
        return False
    return len(lines) == 2 and _ROW.fullmatch(lines[1]) is not None


def read_operator_times(path: Path) -> OperatorTimes:
    """The operators in the file at `path`.

    An operator that no network here has is refused by itself. Raises `InputError` naming file and line for what is no
    such row, is cut off, and for times that are no positive finite ms.
    """
    text = read_text(path, "text")
    header, *lines = text.splitlines() or [""]
    require_whole(text, path)
    times, refused = [], []
    for number, line in enumerate(lines, start=2):
        where = f"{path}, row {number}"
        if _ROW.fullmatch(line) is None:
            raise InputError(
                f"{where}: a row must be an operator with its parameters, a tab, and ms, but got"
                f" {shortened(line, 60)!r}."
            )
        name, _, amount = line.partition("\t")
        mean_ms = _milliseconds(amount, where)
        kind, *parameters = name.split(",")
        try:
            times.append(OperatorTime(segment=_segment(kind, parameters), mean_ms=mean_ms))
        except ValueError as error:
            refused.append(Refused(name=name, reason=str(error)))
    return OperatorTimes(path=path, header=header, times=tuple(times), refused=tuple(refused))


def _milliseconds(text: str, where: str) -> float:
    value = entering(text)
    if not value > 0.0:
        raise InputError(f"{where}: the time must be a positive finite number of ms, but got {text!r}.")
    return value


def _segment(kind: str, parameters: Sequence[str]) -> Segment:
    """The operator as a network of its own. Raises `ValueError` for one that no network here has."""
    if kind not in (*_SHAPES, *_ACTS, *_SUMS):
        raise ValueError(f"an operator must be one of {', '.join((*_SHAPES, *_ACTS, *_SUMS))}")
    columns = _COLUMNS[_SHAPES.get(kind, "map")]
    if len(parameters) != len(columns) or not all(re.fullmatch("[0-9]{1,6}", text) for text in parameters):
        raise ValueError(f"its parameters must be the whole numbers {','.join(columns)}")
    own = dict(zip(columns, map(int, parameters), strict=True))
    needed = columns if own.get("flag_global") != 1 else _COLUMNS["map"]
    none = [key for key in needed if own[key] < 1 and key not in _MAY_BE_0]
    if none:
        raise ValueError(f"{none[0]} must be at least 1, but got {own[none[0]]}")
    if own["n"] != 1:
        raise ValueError(f"networks here take one image, but n is {own['n']}")
    builder = Builder((own["c_in"], own["h_in"], own["w_in"]))
    builder.layer = 1
    _MAKERS[_SHAPES.get(kind, "sum" if kind in _SUMS else "act")](builder, builder.input, kind, own)
    return builder.build().segments[0]


def _convolution(b: Builder, x: Tensor, kind: str, own: Mapping[str, int]) -> None:
    padding = (own["padding"],) * 4
    act = "relu" if own["flag_relu"] else "none"
    b.conv(
        x, own["c_out"], own["kernel"], own["stride"], groups=own["groups"], act=act, dilation=own["dilation"],
        padding=padding,
    )  # fmt: skip


def _pooling(b: Builder, x: Tensor, kind: str, own: Mapping[str, int]) -> None:
    if own["flag_global"]:
        b.global_pool(x)
        return
    function: Literal["max", "avg"] = "max" if own["pool_type"] == 1 else "avg"
    ceil, counts = own["ceil_mode"] == 1, own["pool_type"] != 3
    b.pool(x, function, own["kernel"], own["stride"], padding=own["padding"], ceil=ceil, count_pad=counts)


def _activation(b: Builder, x: Tensor, kind: str, own: Mapping[str, int]) -> None:
    b.act(x, _ACTS[kind])


def _sum(b: Builder, x: Tensor, kind: str, own: Mapping[str, int]) -> None:
    if _SUMS[kind] == "add":
        b.sum(x, x)
    else:
        b.product(x, x)


_MAKERS: Mapping[str, Callable[[Builder, Tensor, str, Mapping[str, int]], None]] = {
    "conv": _convolution, "pooling": _pooling, "act": _activation, "sum": _sum,
}  # fmt: skip
