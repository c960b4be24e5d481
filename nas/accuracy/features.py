"""Architecture features of the accuracy models: functions of sums of per-operator contributions.

A network is described by the sums of `operator_features` over its operators and by its resolution, and by nothing
else. So a search space compiles to lookup arrays of such sums, and the features of a million candidates are a
few gathers and sums followed by `network_features`.

The operators are those of the network on ImageNet (`Architecture.on_imagenet`), whatever it is to classify.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nas.graph.classifier import classifier_rows
from nas.graph.operators import OperatorTable

STAGES = (2, 4, 8, 16, 32)
"""Output strides; an operator belongs to the nearest one (in octaves)."""

_CONVOLUTIONS = ("dense", "grp", "dw", "pw")
_SMOOTH = ("act:hswish", "act:silu", "act:gelu", "act:mish", "act:elu")
_PIECEWISE = ("act:relu", "act:relu6", "act:prelu", "act:leaky_relu")


def _by_stage(name: str) -> tuple[str, ...]:
    return tuple(f"{name}_{stride}" for stride in STAGES)


OPERATOR_FEATURES: tuple[str, ...] = (
    "macs",
    "macs_dw",
    "weights",
    "weights_se",
    "weights_classifier",
    "head_width",
    "activations",
    "smooth",
    "piecewise",
    "dw",
    "spatial",
    "kernel_5",
    "kernel_7",
    "log_kernel",
    "expand",
    "log_expand",
    "residual",
    "se",
    *_by_stage("depth"),
    *_by_stage("log_width"),
    *_by_stage("macs"),
)
"""Columns of `operator_features`: counts, MACs, weights, logarithms to base 2; none is negative."""


def operator_features(
    table: OperatorTable, resolution: float | NDArray[np.integer | np.floating], classifier: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """What each operator adds to the description of its network, shape (n, len(OPERATOR_FEATURES)).

    `resolution` is the input side in pixels, one or shape (n,). `classifier` (n,) says which operators give the logits
    (`nas.graph.classifier`): a convolution that does is no convolution here. The positions of an operator with weights
    are its MACs per weight, so that maps and tokens are treated alike; its stride is resolution / sqrt(positions).
    """
    kind = table.kind
    one = np.ones(len(table))
    conv = np.isin(kind, _CONVOLUTIONS) & ~classifier
    lin = kind == "lin"
    positions = np.where(conv, table.macs / np.maximum(table.weight_elements, 1.0), table.out_height * table.out_width)
    octave = np.rint(np.log2(resolution / np.sqrt(np.maximum(positions, 1.0))))
    stage = np.clip(octave, 1, len(STAGES)).astype(np.int64) - 1
    on_map = table.out_height * table.out_width > 1
    spatial = conv & (table.kernel > 1)
    dw = kind == "dw"
    expand = conv & (kind == "pw") & (table.out_channels > table.in_channels) & (table.in_channels > 0)
    ratio = np.where(expand, table.out_channels / np.maximum(table.in_channels, 1.0), 1.0)
    columns: dict[str, NDArray[np.float64]] = {
        "macs": table.macs,
        "macs_dw": table.macs * dw,
        "weights": table.weight_elements,
        "weights_se": table.weight_elements * (lin & ~classifier),
        "weights_classifier": table.weight_elements * classifier,
        "head_width": table.in_channels * classifier,
        "activations": table.output_elements * conv,
        "smooth": one * (np.isin(kind, _SMOOTH) & on_map),
        "piecewise": one * (np.isin(kind, _PIECEWISE) & on_map),
        "dw": one * dw,
        "spatial": one * spatial,
        "kernel_5": one * (spatial & (table.kernel > 4) & (table.kernel <= 6)),
        "kernel_7": one * (spatial & (table.kernel > 6)),
        "log_kernel": np.log2(np.maximum(table.kernel, 1.0)) * spatial,
        "expand": one * expand,
        "log_expand": np.log2(ratio),
        "residual": one * ((kind == "add") & on_map),
        "se": one * ((kind == "se_mul") & on_map),
    }
    per_stage = {
        "depth": one * conv,
        "log_width": np.log2(np.maximum(table.out_channels, 1.0)) * conv,
        "macs": table.macs * conv,
    }
    for name, values in per_stage.items():
        for index, stride in enumerate(STAGES):
            columns[f"{name}_{stride}"] = values * (stage == index)
    return np.stack([columns[name] for name in OPERATOR_FEATURES], axis=1).astype(np.float64)


def operator_sums(tables: Sequence[OperatorTable], resolutions: Sequence[float]) -> NDArray[np.float64]:
    """The sums of `operator_features` over whole networks of 1000 classes, shape (n, len(OPERATOR_FEATURES))."""
    sums = [operator_features(t, r, classifier_rows(t)).sum(axis=0) for t, r in zip(tables, resolutions, strict=True)]
    return np.array(sums).reshape(len(sums), len(OPERATOR_FEATURES))


FEATURE_GROUPS: tuple[tuple[str, ...], ...] = (
    ("log_macs",),
    ("log_weights",),
    ("log_resolution",),
    _by_stage("log_depth"),
    ("log_depth",),
    ("log_kernel",),
    ("log_expansion",),
    ("log_width",),
    ("growth",),
    _by_stage("share_macs"),
    ("se", "log_num_se", "share_weights_se"),
    ("share_weights_classifier", "log_head_width"),
    ("residual",),
    ("share_dw", "share_macs_dw"),
    ("share_smooth",),
)
"""Network features that describe one thing; the prior gives each group one length scale."""

NETWORK_FEATURES: tuple[str, ...] = tuple(name for group in FEATURE_GROUPS for name in group)
"""Columns of `network_features`."""


def feature_groups(num_features: int) -> NDArray[np.int64]:
    """The number of each network feature's group, shape (num_features,); a part of the features has no groups."""
    if num_features != len(NETWORK_FEATURES):
        return np.arange(num_features)
    return np.repeat(np.arange(len(FEATURE_GROUPS)), [len(group) for group in FEATURE_GROUPS])


_COLUMN = {name: i for i, name in enumerate(OPERATOR_FEATURES)}


def network_features(sums: NDArray[np.floating], resolution: NDArray[np.floating] | float) -> NDArray[np.floating]:
    """Logarithms, shares and means of `sums` (n, len(OPERATOR_FEATURES)), shape (n, len(NETWORK_FEATURES)).

    `resolution` is the input side in pixels, shape (n,) or one for all. Finite for every network, an empty one
    included; keeps the dtype of `sums`. *growth* is how much later in the network the logarithm of the width lies than
    the layers do, in stages; *se* and *residual* are per spatial convolution and per convolution.
    """

    def column(name: str) -> NDArray[np.floating]:
        return sums[:, _COLUMN[name]]

    def stages(name: str) -> NDArray[np.floating]:
        start = _COLUMN[f"{name}_{STAGES[0]}"]
        return sums[:, start : start + len(STAGES)]

    number = np.arange(len(STAGES), dtype=sums.dtype)
    depths, widths, macs = stages("depth"), stages("log_width"), stages("macs")
    depth = np.maximum(depths.sum(axis=1), 1)
    width = widths.sum(axis=1)
    spatial = np.maximum(column("spatial"), 1)
    weights = np.maximum(column("weights"), 1)
    values: dict[str, NDArray[np.floating]] = {
        "log_macs": np.log(np.maximum(column("macs"), 1)),
        "log_weights": np.log(weights),
        "log_resolution": np.broadcast_to(np.log(np.asarray(resolution, dtype=sums.dtype)), depth.shape),
        "log_depth": np.log(depth),
        "log_kernel": column("log_kernel") / spatial,
        "log_expansion": column("log_expand") / np.maximum(column("expand"), 1),
        "log_width": width / depth,
        "growth": (widths @ number) / np.maximum(width, 1) - (depths @ number) / depth,
        "se": column("se") / spatial,
        "log_num_se": np.log1p(column("se")),
        "share_weights_se": column("weights_se") / weights,
        "share_weights_classifier": column("weights_classifier") / weights,
        "log_head_width": np.log(column("head_width") + 16),
        "residual": column("residual") / depth,
        "share_dw": column("dw") / spatial,
        "share_macs_dw": column("macs_dw") / np.maximum(column("macs"), 1),
        "share_smooth": column("smooth") / (column("smooth") + column("piecewise") + 1),
    }
    total = np.maximum(macs.sum(axis=1), 1)
    for i, stride in enumerate(STAGES):
        values[f"log_depth_{stride}"] = np.log1p(depths[:, i])
        values[f"share_macs_{stride}"] = macs[:, i] / total
    found = np.empty((len(sums), len(NETWORK_FEATURES)), dtype=sums.dtype)
    for i, name in enumerate(NETWORK_FEATURES):
        found[:, i] = values[name]
    return found
