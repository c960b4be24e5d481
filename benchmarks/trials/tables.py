"""Tables of networks whose accuracy and latency are known: a search buys rows."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from nas.space.codes import CodeSpace
from nas.strategies import Evaluation, Goal, Reward
from nas.strategies.problem import Codes
from nas.trials.domain import CodeDomain

Floats = NDArray[np.float64]
DATA = Path(os.environ.get("NAS_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data")

_STAGES = (2, 3, 3)


@dataclass(frozen=True, kw_only=True, eq=False)
class Table:
    """n networks, each once: `codes` (n, genes), `accuracy` (n,) as fractions, `latency_ms` (n,).

    `trainings` (n, k) are what single trainings gave, where there were several; `whole` says whether every code of
    `space` is one of the rows, by `canonical`; `stages` are the runs of genes that are a stage each, for the peer that
    is told of them.
    """

    name: str
    space: CodeSpace
    codes: Codes
    accuracy: Floats
    latency_ms: Floats
    goal: Goal
    trainings: Floats | None = None
    whole: bool = False
    canonical: Callable[[Codes], Codes] = field(default=lambda codes: codes)
    stages: tuple[int, ...] = ()

    @cached_property
    def number(self) -> dict[tuple[int, ...], int]:
        """The row of each code."""
        return {code: row for row, code in enumerate(map(tuple, self.codes.tolist()))}

    def rows(self, codes: Codes) -> NDArray[np.int64]:
        """The rows of codes, shape (n,); `KeyError` for one that has none."""
        return np.array([self.number[code] for code in map(tuple, self.canonical(codes).tolist())], dtype=np.int64)

    def codes_ms(self, codes: Codes) -> Floats:
        """Latencies of codes, as a domain asks for them."""
        return self.latency_ms[self.rows(codes)]

    @cached_property
    def domain(self) -> CodeDomain:
        """The table as an asker sees it."""
        return CodeDomain(self.space, self, canonical=self.canonical if self.whole else None)  # type: ignore[arg-type]

    @cached_property
    def feasible(self) -> NDArray[np.bool_]:
        """Which rows may be answers, shape (n,)."""
        return np.asarray(self.latency_ms <= self.goal.limit_ms)

    def value(self, accuracy: Floats, rows: NDArray[np.int64]) -> Floats:
        """The goal's value of rows with these accuracies, shape (n,)."""
        return self.goal.reward.reward(accuracy, self.latency_ms[rows], self.goal.target_ms)

    @cached_property
    def worth(self) -> Floats:
        """What each row is worth by its mean accuracy, shape (n,); minus infinity where it may be no answer."""
        return np.where(self.feasible, self.value(self.accuracy, np.arange(len(self.codes))), -np.inf)

    def rewarded(self, form: str) -> Table:
        """The same table under another reward."""
        return replace(self, goal=Goal(target_ms=self.goal.target_ms, reward=Reward.parse(form)))

    def half(self, seed: int) -> Table:
        """A random half of the rows; the target is the 40th percentile of their latencies."""
        rows = np.sort(np.random.default_rng([seed, 77]).permutation(len(self.codes))[: len(self.codes) // 2])
        latency_ms = self.latency_ms[rows]
        goal = Goal(target_ms=float(np.percentile(latency_ms, 40)), reward=self.goal.reward)
        return replace(
            self, codes=self.codes[rows], accuracy=self.accuracy[rows], latency_ms=latency_ms, goal=goal, whole=False
        )

    def evaluate(self, codes: Codes) -> Evaluation:
        """The table as a problem whose accuracies are known."""
        rows = self.rows(codes)
        return Evaluation(
            bounded_ms=self.latency_ms[rows],
            excess=np.zeros(len(rows)),
            accuracy=self.accuracy[rows],
            score=self.accuracy[rows],
        )


def macro() -> Table:
    """NAS-Bench-Macro, each of its 3,969 networks once: an identity behind the first layer of a stage may stand at any
    place, so those stand last."""
    folder = DATA / "nasbench_macro"
    record = json.loads((folder / "nas-bench-macro_cifar10.json").read_text(encoding="utf-8"))
    with (folder / "latency.csv").open(encoding="utf-8", newline="") as stream:
        latency = {row["arch"]: float(row["latency_ms"]) for row in csv.DictReader(stream)}
    keys = sorted(record)
    codes = np.array([[int(digit) for digit in key] for key in keys], dtype=np.int64)
    kept = np.flatnonzero((_identities_last(codes) == codes).all(axis=1))
    keys = [keys[i] for i in kept]
    return Table(
        name="NAS-Bench-Macro",
        space=_space("nasbench-macro", {f"layer{i}": (0, 1, 2) for i in range(8)}),
        codes=codes[kept],
        accuracy=np.array([record[key]["mean_acc"] for key in keys]) / 100.0,
        trainings=np.array([record[key]["test_acc"] for key in keys]) / 100.0,
        latency_ms=np.array([latency[key] for key in keys]),
        goal=Goal(target_ms=1.083),
        whole=True,
        canonical=_identities_last,
        stages=_STAGES,
    )


def _identities_last(codes: Codes) -> Codes:
    found = codes.copy()
    start = 0
    for layers in _STAGES:
        behind = found[:, start + 1 : start + layers]
        order = np.argsort(behind == 0, axis=1, kind="stable")
        found[:, start + 1 : start + layers] = np.take_along_axis(behind, order, axis=1)
        start += layers
    return found


def accel() -> Table:
    """Accel-NASBench: MnasNet-like networks on a ZCU102."""
    with (DATA / "accel_nasbench" / "accel_nasbench.csv").open(encoding="utf-8", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["latency_zcu102"]]
    names = [f"block{i}_{part}" for i in range(7) for part in ("e", "k", "l", "se")]
    columns = [[_value(row[name]) for row in rows] for name in names]
    genes = {name: tuple(sorted(set(column))) for name, column in zip(names, columns, strict=True)}
    codes = np.array([[genes[n].index(v) for v in c] for n, c in zip(names, columns, strict=True)], dtype=np.int64).T
    return _pool(
        "Accel-NASBench",
        _space("accel-nasbench", genes),
        codes,
        np.array([float(row["val_top1"]) for row in rows]) / 100.0,
        np.array([float(row["latency_zcu102"]) for row in rows]),
    )


def ofa() -> Table:
    """Sub-networks of once-for-all's MobileNetV3 whose accuracies are known, on a Galaxy Note10."""
    with (DATA / "ofa_mobilenetv3" / "top1.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    space = ofa_space()
    values = [json.loads(row["ks"]) + json.loads(row["e"]) + json.loads(row["d"]) for row in rows]
    codes = np.array(
        [[of.index(v) for of, v in zip(space.genes.values(), one, strict=True)] for one in values], dtype=np.int64
    )
    codes = ofa_canonical(codes)
    accuracy = np.array([float(row["top1"]) for row in rows]) / 100.0
    return _pool("once-for-all", space, codes, accuracy, Note10().codes_ms(codes))


def ofa_space() -> CodeSpace:
    """The codes of once-for-all's MobileNetV3: kernels and expansions of 20 blocks, depths of five stages."""
    genes: dict[str, tuple[Any, ...]] = {f"ks{i}": (3, 5, 7) for i in range(20)}
    genes |= {f"e{i}": (3, 4, 6) for i in range(20)} | {f"d{i}": (2, 3, 4) for i in range(5)}
    return _space("ofa-mobilenetv3", genes)


def ofa_canonical(codes: Codes) -> Codes:
    """The codes with the genes of absent blocks at 0."""
    found = codes.copy()
    absent = np.arange(20) % 4 >= np.repeat(codes[:, 40:] + 2, 4, axis=1)
    found[:, :20][absent] = 0
    found[:, 20:40][absent] = 0
    return found


class Note10:
    """Latencies of once-for-all's codes by the Galaxy Note10's block table (width 1.2, 224 pixels)."""

    _WIDTHS = (24, 32, 48, 96, 136, 192)
    _SIZES = (112, 56, 28, 14, 14, 7)
    _SE, _HSWISH = (0, 1, 0, 1, 1), (0, 0, 1, 1, 1)

    def __init__(self) -> None:
        text = (DATA / "note10" / "224_lookup_table.yaml").read_text(encoding="utf-8")
        table = {key.rstrip(":"): float(entry["mean"]) for key, entry in yaml.safe_load(text).items()}
        self._fixed = sum(ms for key, ms in table.items() if not key.startswith("expanded_conv"))
        self._fixed += next(ms for key, ms in table.items() if "-expand:24-" in key)
        # (stage, whether first in it, kernel, expansion) → ms
        self._blocks = np.zeros((5, 2, 3, 3))
        for stage in range(5):
            for first in (0, 1):
                for i, kernel in enumerate((3, 5, 7)):
                    for j, expansion in enumerate((3, 4, 6)):
                        self._blocks[stage, first, i, j] = table[self._key(stage, bool(first), kernel, expansion)]

    def _key(self, stage: int, first: bool, kernel: int, expansion: int) -> str:
        width, size = self._WIDTHS[stage + 1], self._SIZES[stage + 1]
        inputs, before = (self._WIDTHS[stage], self._SIZES[stage]) if first else (width, size)
        return (
            f"expanded_conv-input:{before}x{before}x{inputs}-output:{size}x{size}x{width}-expand:{inputs * expansion}"
            f"-kernel:{kernel}-stride:{before // size}-idskip:{int(not first)}"
            f"-se:{self._SE[stage]}-hs:{self._HSWISH[stage]}"
        )

    def codes_ms(self, codes: Codes) -> Floats:
        """Milliseconds, shape (n,)."""
        place = np.arange(20)
        first = (place % 4 == 0).astype(np.int64)
        each = self._blocks[place // 4, first, codes[:, :20], codes[:, 20:40]]
        present = place % 4 < np.repeat(codes[:, 40:] + 2, 4, axis=1)
        return np.asarray(self._fixed + (each * present).sum(axis=1))

    def latency_ms(self, points: Any) -> Floats:
        """The same of points."""
        return self.codes_ms(np.array([point.code for point in points], dtype=np.int64))


def _pool(name: str, space: CodeSpace, codes: Codes, accuracy: Floats, latency_ms: Floats) -> Table:
    """Rows of which those with equal codes are one, with the mean accuracy."""
    distinct, first, which = np.unique(codes, axis=0, return_index=True, return_inverse=True)
    mean = np.bincount(which, accuracy) / np.bincount(which)
    goal = Goal(target_ms=float(np.percentile(latency_ms, 40)))
    return Table(name=name, space=space, codes=distinct, accuracy=mean, latency_ms=latency_ms[first], goal=goal)


def _space(name: str, genes: dict[str, tuple[Any, ...]]) -> CodeSpace:
    return CodeSpace(name=name, description="", genes=genes, source="")


def _value(text: str) -> Any:
    return {"True": True, "False": False}.get(text) if text in ("True", "False") else int(text)
