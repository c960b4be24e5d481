"""What a modelled latency should be read with care for: parts of a network that published figures say little of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from nas.graph.operators import LAYOUTS, OperatorTable
from nas.graph.words import kinds_words
from nas.latency.published.blend import Costs
from nas.latency.published.cost_model import charged_alike
from nas.latency.published.rows import MAX_PIXELS

_SHARE = 0.03
_UNSEEN = "which no calibrating network has: a guess"
_GROUPS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "squeeze-and-excitation products": (("se_mul",), "whose cost is hardly identified"),
    "SiLU or hard swish": (("act:silu", "act:hswish"), "on which published figures disagree"),
    "attention": (("mm", "softmax"), "which is hardly identified"),
    "channel shuffles, splits and concatenations": (
        ("cat", *LAYOUTS, "resize"),
        "which some conversions move off an accelerator",
    ),
    "grouped convolutions": (("grp",), "whose cost is hardly identified"),
}  # fmt: skip


def warnings_of(table: OperatorTable, model: Costs, calibrating: Iterable[str]) -> tuple[str, ...]:
    """One sentence for each reason to doubt the latency that `model` gives the network with the operators `table`;
    `calibrating` are the kinds of operators that the networks had which it was fitted to."""
    cost = model.operator_ms(table)
    total = model.fixed_ms + cost.sum()
    known = {alike for kind in calibrating for alike in charged_alike(kind)}
    found, grouped = [], set[str]()
    for name, (kinds, doubt) in _GROUPS.items():
        grouped.update(kinds)
        share = float(cost[np.isin(table.kind, kinds)].sum() / total)
        if share >= _SHARE:
            found.append(f"{share:.0%} of the time is in {name}, {doubt if known.intersection(kinds) else _UNSEEN}")
    large = float(cost[(table.kind == "dw") & (table.kernel >= 5)].sum() / total)
    if large >= _SHARE:
        found.append(f"{large:.0%} of the time is in depthwise kernels of 5 and more, hardly identified against 3")
    unseen = sorted(set(table.kind.tolist()) - known - grouped)
    share = float(cost[np.isin(table.kind, unseen)].sum() / total)
    if share >= _SHARE or any(kind.startswith("other:") for kind in unseen):
        found.append(f"{share:.0%} of the time is in {kinds_words(unseen)}, {_UNSEEN}")
    if is_large(table):
        found.append(f"the input is larger than {MAX_PIXELS} px, where published figures and the model disagree more")
    return tuple(found)


def is_large(table: OperatorTable) -> bool:
    """Whether the network's input `is_large_side`, by its first operator."""
    sides = np.sqrt(table.out_height * table.out_width) * table.stride
    return len(table) > 0 and bool(is_large_side(sides[:1])[0])


def is_large_side(side: NDArray[np.integer | np.floating]) -> NDArray[np.bool_]:
    """Which inputs with these sides in pixels (the root of the area), shape (n,), are larger than `MAX_PIXELS`."""
    return np.asarray(side > MAX_PIXELS)
