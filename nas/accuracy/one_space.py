"""Two published data sets of many networks of one space each, built with our blocks.

Accel-NASBench (MnasNet's space, short trainings) and sub-networks of the once-for-all MobileNetV3: the prior, which saw
neither, is asked to order them; and a model of one space alone is fitted to a hundred of them.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from nas.accuracy.features import OPERATOR_FEATURES, operator_features
from nas.accuracy.gaussian_process import Floats
from nas.blocks import Value
from nas.blocks.rounding import make_divisible
from nas.contents import read_content, text_of
from nas.errors import InputError
from nas.figures import entering
from nas.graph.rows import Shape
from nas.space.architecture import IMAGENET_CLASSES, Architecture, Layer, make_layer
from nas.space.compile.batch import LayerBatch, Place

ACCEL_FILE, OFA_FILE = Path("accel_nasbench", "accel_nasbench.csv"), Path("ofa_mobilenetv3", "top1.csv")
_RESOLUTION = 224
_MNASNET = ((16, 1), (24, 2), (40, 2), (80, 2), (112, 1), (192, 2), (320, 1))
"""Width and stride of MnasNet's stages."""
_OFA = ((24, 2, "relu", 0), (40, 2, "relu", 1), (80, 2, "hswish", 0), (112, 1, "hswish", 1), (160, 2, "hswish", 1))
"""Width, stride, activation and SE of once-for-all's stages (mit-han-lab/once-for-all, ofa_mbv3.py, width 1.0)."""
_DEEPEST = 4
"""Most blocks of a once-for-all stage: kernels and expansions are listed for all of them, absent ones included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceRows:
    """Networks of one space: `sums` (n, len(OPERATOR_FEATURES)), `codes` (n, genes) that describe a network, MACs and
    parameters as published, `top1` in percent (n,)."""

    name: str
    sums: Floats
    resolution: Floats
    codes: Floats
    macs: Floats
    params: Floats
    top1: Floats


def accel_network(row: Mapping[str, str]) -> Architecture:
    """The network of a row of Accel-NASBench (arXiv:2404.08005): e, k, l, se of each of seven stages."""
    layers: list[tuple[str, dict[str, Value]]] = [("conv", {"out": 32, "stride": 2, "act": "silu"})]
    width = 32
    for i, (out, stride) in enumerate(_MNASNET):
        expansion, kernel, depth = (int(row[f"block{i}_{gene}"]) for gene in "ekl")
        for j in range(depth):
            se = max(1, width // 4) if row[f"block{i}_se"] == "True" else 0
            args: dict[str, Value] = {
                "out": out,
                "hidden": width * expansion,
                "kernel": kernel,
                "stride": stride if j == 0 else 1,
            }
            layers.append(("mbconv", {**args, "act": "silu", "se": se, "se_gate": "sigmoid", "se_act": "silu"}))
            width = out
    return _network("accel-nasbench", [*layers, ("conv", {"out": 1280, "kernel": 1, "act": "silu"}), ("head", {})])


def ofa_network(row: Mapping[str, str]) -> Architecture:
    """The sub-network of a row of the once-for-all MobileNetV3 (arXiv:1908.09791): kernels and expansions by position,
    depths by stage."""
    kernels, expansions, depths = (json.loads(row[gene]) for gene in ("ks", "e", "d"))
    layers: list[tuple[str, dict[str, Value]]] = [
        ("conv", {"out": 16, "stride": 2, "act": "hswish"}),
        ("mbconv", {"out": 16, "hidden": 16, "act": "relu"}),
    ]
    width = 16
    for i, (out, stride, act, has_se) in enumerate(_OFA):
        for j in range(depths[i]):
            position = _DEEPEST * i + j
            hidden = make_divisible(width * expansions[position])
            args: dict[str, Value] = {
                "out": out,
                "hidden": hidden,
                "kernel": kernels[position],
                "stride": stride if j == 0 else 1,
            }
            layers.append(("mbconv", {**args, "act": act, "se": make_divisible(hidden // 4) if has_se else 0}))
            width = out
    tail: list[tuple[str, dict[str, Value]]] = [
        ("conv", {"out": 960, "kernel": 1, "act": "hswish"}),
        ("head", {"hidden": 1280, "act": "hswish"}),
    ]
    return _network("ofa-mobilenetv3", [*layers, *tail])


def read_accel(data: Path) -> SpaceRows:
    """The rows of Accel-NASBench below the folder `data`; raises `InputError` for a file that is not so."""
    columns = ("e", "k", "l", "se")

    def codes(row: Mapping[str, str]) -> Iterator[float]:
        yield from (float(row[f"block{i}_{gene}"] == "True" if gene == "se" else row[f"block{i}_{gene}"])
                    for i in range(len(_MNASNET)) for gene in columns)  # fmt: skip

    return _read("accel_nasbench", data / ACCEL_FILE, accel_network, codes, "val_top1")


def read_ofa(data: Path) -> SpaceRows:
    """The rows of the once-for-all MobileNetV3; as `read_accel`. Codes: depth, kernels and expansions of each stage,
    summed over the blocks that are there."""

    def codes(row: Mapping[str, str]) -> Iterator[float]:
        depths = json.loads(row["d"])
        for genes in ([1] * _DEEPEST * len(_OFA), json.loads(row["ks"]), json.loads(row["e"])):
            for i, depth in enumerate(depths):
                yield float(sum(genes[_DEEPEST * i : _DEEPEST * i + depth]))

    return _read("ofa_mobilenetv3", data / OFA_FILE, ofa_network, codes, "top1")


def _read(
    name: str,
    path: Path,
    network: Callable[[Mapping[str, str]], Architecture],
    codes: Callable[[Mapping[str, str]], Iterable[float]],
    accuracy: str,
) -> SpaceRows:
    text = text_of(read_content(path, "a CSV file"), path, "a CSV file")
    try:
        rows = list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
        if not rows:
            raise ValueError("it has no rows")
        networks = [network(row) for row in rows]
        numbers = np.array([[_number(row, key) for key in ("macs", "params", accuracy)] for row in rows])
        described = np.array([list(codes(row)) for row in rows])
    except (ArithmeticError, LookupError, RecursionError, TypeError, ValueError, csv.Error) as error:
        raise InputError(f"{path} must be the published data set {name}, but: {error}; get the whole file.") from error
    return SpaceRows(
        name=name,
        sums=np.array([_sums(one) for one in networks]).reshape(-1, len(OPERATOR_FEATURES)),
        resolution=np.full(len(rows), float(_RESOLUTION)),
        codes=described,
        macs=numbers[:, 0],
        params=numbers[:, 1],
        top1=numbers[:, 2],
    )


def _number(row: Mapping[str, str], key: str) -> float:
    value = entering(row[key])
    if not 0.0 <= value <= 1e15:
        raise ValueError(f"{key} must be a number of at least 0, but is {row[key]!r}")
    return value


def _network(name: str, layers: Iterable[tuple[str, Mapping[str, Value]]]) -> Architecture:
    made = tuple(_layer(block, tuple(args.items())) for block, args in layers)
    return Architecture(name=name, family=name, resolution=_RESOLUTION, layers=made)


@lru_cache(maxsize=100_000)
def _layer(block: str, args: tuple[tuple[str, Value], ...]) -> Layer:
    return make_layer(block, dict(args))


def _sums(network: Architecture) -> Floats:
    places = zip(network.layers, network.layer_inputs(), strict=True)
    return np.asarray(np.sum([_layer_sums(layer, shape) for layer, shape in places], axis=0))


@lru_cache(maxsize=100_000)
def _layer_sums(layer: Layer, shape: Shape) -> Floats:
    batch = LayerBatch.of_places([Place(layer, shape, IMAGENET_CLASSES)])
    return np.asarray(operator_features(batch.operators, _RESOLUTION, batch.classifier).sum(axis=0))


def fit_one_space(features: Floats, top1: Floats) -> Callable[[Floats], Floats]:
    """A model of the accuracy of networks of one space, from a few of them: features (n, D) → top-1, in its unit.

    A Gaussian process with a linear part and a squared-exponential one (scikit-learn, imported when used), which needs
    networks like those it was fitted to: far from them it follows its linear part.
    """
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, DotProduct, WhiteKernel

    centre, spread = features.mean(axis=0), features.std(axis=0)
    varies = spread > 1e-9 * np.maximum(np.abs(centre), 1.0)

    def standardise(values: Floats) -> Floats:
        return np.asarray((values - centre)[:, varies] / spread[varies])

    smooth = ConstantKernel(1.0) * RBF(2.0 * np.sqrt(max(varies.sum(), 1)), (1e-2, 1e4))
    linear = ConstantKernel(1.0) * DotProduct(1.0, "fixed")
    process = GaussianProcessRegressor(smooth + linear + WhiteKernel(0.01), normalize_y=True, random_state=0)
    with warnings.catch_warnings():
        # A part that the data do not need ends at its bound.
        warnings.simplefilter("ignore", ConvergenceWarning)
        process.fit(standardise(features), top1)

    def predict(values: Floats) -> Floats:
        return np.asarray(process.predict(standardise(values)), dtype=np.float64)

    return predict
