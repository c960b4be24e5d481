"""A new device from few measurements, on the task sets of the NASFLAT paper: writes benchmarks/few_measurements.md.

    python -m benchmarks.few_measurements

Some minutes on one core. Reads `fbnet_latency/latency.csv.gz` of the data folder (`NAS_DATA`, or ../shared/data).
"""

from __future__ import annotations

import csv
import gzip
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr
from tabulate import tabulate
from threadpoolctl import threadpool_limits

from benchmarks.environment import environment_text
from nas.latency.transfer.codes import Before, CodeLatency
from nas.space.codes import CodeSpace, Point
from tests.shared_data import shared_data

Floats = NDArray[np.float64]
REPORT = Path(__file__).with_name("few_measurements.md")
COUNTS, SEEDS, MAIN = (3, 5, 10, 20, 40, 100), range(5), 20
POOL = 1000
CEILING = 4000
TARGETS = (0.1, 0.3, 0.5, 0.7, 0.9)
LAYERS, CHOICES = 22, 9
EXACT = ("eyeriss", "fpga", "raspi4", "pixel3")
"""Sums of a table of blocks: what a linear model predicts of them is no evidence."""
_PASCAL_AND_TURING = (
    "1080ti_1 1080ti_32 1080ti_64 2080ti_1 2080ti_32 2080ti_64 titan_rtx_1 titan_rtx_32 titan_rtx_64 titanx_1 titanx_32"
    " titanx_64 titanxp_1 titanxp_32 titanxp_64"
)
TASKS: Mapping[str, tuple[str, str]] = {
    "F1": (
        "eyeriss fpga raspi4 samsung_a50 samsung_s7",
        "2080ti_1 essential_ph_1 silver_4114 titan_rtx_1 titan_rtx_32",
    ),
    "F2": ("1080ti_1 1080ti_32 2080ti_32 titan_rtx_1 titanxp_1", "essential_ph_1 gold_6226 gold_6240 pixel3 raspi4"),
    "F3": ("1080ti_1 1080ti_32 2080ti_1 titan_rtx_1 titan_rtx_32", "essential_ph_1 pixel2 pixel3 raspi4 samsung_s7"),
    "F4": (
        "1080ti_1 pixel2 essential_ph_1",
        "1080ti_64 2080ti_1 eyeriss gold_6226 gold_6240 raspi4 samsung_s7 silver_4210r titan_rtx_1 titan_rtx_32",
    ),
    "FA": (
        "gold_6226 essential_ph_1 samsung_s7 pixel2",
        _PASCAL_AND_TURING,
    ),
}
PUBLISHED = {"F1": (0.37, 0.58), "F2": (0.79, 0.81), "F3": (0.54, 0.87), "F4": (0.41, 0.81), "FA": (0.80, 0.73)}
_TEXT = """\
# A new device from few measurements

{environment}

5,000 networks of FBNet's space (22 layers, nine choices each) on 27 devices (HELP, MIT). A device of a task is new: of
1,000 networks drawn with a seed, those that tell most (D-optimal, by what is known before) are its measurements; all
others of the 5,000 are predicted by `nas.fit_latency`, which has the task's other devices and, as costs, MACs of
pointwise and of depthwise convolutions, elements moved, weights, and counts of operators. Amplitudes are learnt from
the task's other devices and the measurements. Means over {seeds} draws, seeds 0 to {last}; others were used in making
it.

## Rank correlation with {main} measurements

{main_table}

Spearman, averaged over a task's devices. HELP's and NASFLAT's figures are as the NASFLAT paper prints them. *Ceiling*
is an additive fit to {ceiling:,} measurements. {exact} are exact sums of a table of blocks, so what is said of them is
no evidence of a predictor: *others* leaves them out. On FA HELP's published figure is {help_fa}.

## By the number of measurements

Rank correlation, then mean of |predicted / timed - 1|, of all devices of a task.

{counts_table}

## By device, {main} measurements

Mean and median errors, of which the last column is the least there can be for a sum over layers (fit to {ceiling:,}
measurements); *inside* is the share of networks in their 90 % interval, *width* its mean, high - low over the latency.

{device_table}

Inside, pooled over all devices that are no exact sums, by the number of measurements: {pooled}. Intervals of one model
are nested by construction: one deviation for each network, times a quantile.

## Answers that were searched

What a search does to a model: of all networks that it lets pass at a target, the one with the most multiply-adds is the
answer (no accuracies are known of these). Targets are five quantiles of the device's latencies. Passing is a mean of at
most the target, or the upper end of the 90 % interval of at most 1.05 times the target. *Met*: the answer's true
latency is at most 1.05 times the target; *used* is its latency over the target, on average.
A target that no network passes has no answer, and does not count.

{search_table}

Over all devices of all tasks that are no exact sums: {met}. Where timings stray by 10 to 16 % themselves (Essential,
S7, Pixel 2: integers of milliseconds, with drift), a mean that meets a target is a coin's toss for the timing that is
called true here; the upper end is what holds.
"""


@dataclass(frozen=True, kw_only=True)
class Fbnet:
    """The space, its timed networks and their latencies by device."""

    codes: NDArray[np.int64]
    latency_ms: Mapping[str, Floats]

    @cached_property
    def space(self) -> CodeSpace:
        """22 layers, nine choices each."""
        genes = {f"layer{i}": tuple(range(CHOICES)) for i in range(LAYERS)}
        return CodeSpace(name="fbnet", description="", genes=genes, source="latency.csv.gz")

    @cached_property
    def points(self) -> list[Point]:
        """The timed networks."""
        return [self.space.decode(code) for code in self.codes]

    @cached_property
    def costs(self) -> Floats:
        """What a choice costs in each layer, shape (layers, choices, 8)."""
        return block_costs()

    def costs_of(self, points: Sequence[Point]) -> Floats:
        """Costs of whole networks, shape (n, 8)."""
        codes = np.array([point.code for point in points])
        return np.asarray(self.costs[np.arange(LAYERS), codes].sum(axis=1))


def block_costs() -> Floats:
    """Multiply-adds pointwise and depthwise, elements moved, weights, operators, whether there is a block, whether it
    is grouped, whether it adds its input; of FBNet's blocks at 32 pixels (CIFAR), shape (layers, choices, 8)."""
    widths = [16, *[24] * 4, *[32] * 4, *[64] * 4, *[112] * 4, *[184] * 4, 352]
    strides = {5: 2, 9: 2, 17: 2}
    blocks = [(3, 1, 1), (3, 1, 2), (3, 3, 1), (3, 6, 1), (5, 1, 1), (5, 1, 2), (5, 3, 1), (5, 6, 1)]
    found = np.zeros((LAYERS, CHOICES, 8))
    read, side = 16, 32
    for layer, made in enumerate(widths):
        stride = strides.get(layer, 1)
        after = side // stride
        adds = float(read == made and stride == 1)
        for choice, (kernel, expansion, groups) in enumerate(blocks):
            inner = read * expansion
            pointwise = (side**2 * read * inner + after**2 * inner * made) / groups
            moved = side**2 * (read + 2 * inner) + after**2 * (2 * inner + made)
            weights = (read * inner + inner * made) / groups + kernel**2 * inner
            depthwise = after**2 * inner * kernel**2
            found[layer, choice] = (pointwise, depthwise, moved, weights, 3, 1, groups > 1, adds)
        if not adds:  # a skip that changes the shape is a convolution
            pointwise = after**2 * read * made
            found[layer, CHOICES - 1, :5] = (pointwise, 0, side**2 * read + after**2 * made, read * made, 1)
        read, side = made, after
    return found


def read() -> Fbnet:
    """The data."""
    with gzip.open(shared_data("fbnet_latency/latency.csv.gz"), "rt", encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    latency = {n[4:]: np.array([float(row[n]) for row in rows]) for n in rows[0] if n.startswith("lat_")}
    return Fbnet(codes=np.array([[int(v) for v in row["arch"].split("_")] for row in rows]), latency_ms=latency)


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Of one device in one draw, on the networks that were not measured."""

    rank: float
    mean: float
    median: float
    inside: float
    width: float
    met: tuple[float, float]
    used: tuple[float, float]


def score(data: Fbnet, model: CodeLatency, device: str, fitted: NDArray[np.int64]) -> Score:
    """The score of a model on the networks other than the fitted."""
    others = np.setdiff1d(np.arange(len(data.codes)), fitted)
    found, true = model.predict_codes(data.codes[others]), data.latency_ms[device][others]
    mean = np.asarray(found)
    error = np.abs(mean / true - 1.0)
    macs = data.costs[np.arange(LAYERS), data.codes[others], :2].sum(axis=(1, 2))
    outcomes: tuple[list[float], list[float]] = [], []
    for target in np.quantile(data.latency_ms[device], TARGETS):
        for outcome, passing in zip(outcomes, (mean <= target, found.high <= 1.05 * target), strict=True):
            if passing.any():
                outcome.append(float(true[passing][macs[passing].argmax()] / target))
    return Score(
        rank=float(spearmanr(mean, true).statistic),
        mean=float(error.mean()),
        median=float(np.median(error)),
        inside=float(((found.low <= true) & (true <= found.high)).mean()),
        width=float(((found.high - found.low) / true).mean()),
        met=tuple(float(np.mean(np.array(o) <= 1.05)) if o else np.nan for o in outcomes),  # type: ignore[arg-type]
        used=tuple(float(np.mean(o)) if o else np.nan for o in outcomes),  # type: ignore[arg-type]
    )


def ceiling(data: Fbnet, device: str) -> tuple[float, float]:
    """Rank correlation and mean error of an additive fit to `CEILING` networks, on the others."""
    hot = np.zeros((len(data.codes), LAYERS * CHOICES))
    np.put_along_axis(hot, data.codes + CHOICES * np.arange(LAYERS), 1.0, axis=1)
    true = data.latency_ms[device]
    fitted, others = hot[:CEILING], hot[CEILING:]
    solved = np.linalg.solve(fitted.T @ fitted + 0.1 * np.eye(hot.shape[1]), fitted.T @ true[:CEILING])
    found = others @ solved
    return float(spearmanr(found, true[CEILING:]).statistic), float(np.abs(found / true[CEILING:] - 1.0).mean())


Scores = Mapping[tuple[str, str, int], list[Score]]


def scores_of(data: Fbnet) -> Scores:
    """The scores of all tasks, devices and counts, a list of draws each."""
    found: dict[tuple[str, str, int], list[Score]] = defaultdict(list)
    for task, (new, others) in TASKS.items():
        timed = [(data.points, data.latency_ms[name]) for name in others.split()]
        before = Before(data.space, timed, data.costs_of)
        for seed in SEEDS:
            pool = np.random.default_rng(seed).permutation(len(data.codes))[:POOL]
            order = pool[before.choose([data.points[i] for i in pool], max(COUNTS))]
            for count in COUNTS:
                fitted = order[:count]
                chosen = [data.points[i] for i in fitted]
                for device in new.split():
                    model = before.fit(chosen, data.latency_ms[device][fitted])
                    found[task, device, count].append(score(data, model, device, fitted))
            print(task, seed, file=sys.stderr)
    return found


def _mean(scores: Scores, task: str, count: int, name: str, *, real: bool = False) -> float:
    devices = [d for d in TASKS[task][0].split() if not (real and d in EXACT)]
    return float(np.mean([getattr(s, name) for d in devices for s in scores[task, d, count]]))


def report(scores: Scores, ceilings: Mapping[str, tuple[float, float]]) -> str:
    """The text."""
    main, counts, devices, search = [], [], [], []
    for task, (new, _) in TASKS.items():
        names = new.split()
        real = [d for d in names if d not in EXACT]
        main.append((
            task, *(f"{v:.2f}" for v in PUBLISHED[task]), f"{_mean(scores, task, MAIN, 'rank'):.3f}",
            f"{np.mean([ceilings[d][0] for d in names]):.3f}", f"{_mean(scores, task, MAIN, 'rank', real=True):.3f}",
            f"{np.mean([ceilings[d][0] for d in real]):.3f}",
        ))  # fmt: skip
        ranks = [f"{_mean(scores, task, n, 'rank'):.3f} / {_mean(scores, task, n, 'mean'):.1%}" for n in COUNTS]
        counts.append((task, *ranks))
        for device in names:
            draws = scores[task, device, MAIN]
            label = f"{device} (exact sum)" if device in EXACT else device
            devices.append((
                task, label, f"{np.mean([s.rank for s in draws]):.3f}", f"{np.mean([s.mean for s in draws]):.1%}",
                f"{np.mean([s.median for s in draws]):.1%}", f"{np.mean([s.inside for s in draws]):.0%}",
                f"{np.mean([s.width for s in draws]):.0%}", f"{ceilings[device][1]:.1%}",
            ))  # fmt: skip
            search.append((task, label, *_search(draws)))
    real_draws = {n: [s for (_, d, k), ss in scores.items() if k == n and d not in EXACT for s in ss] for n in COUNTS}
    pooled = [f"{np.mean([s.inside for s in draws]):.1%} of {n}" for n, draws in real_draws.items()]
    met = _search(real_draws[MAIN])
    return _TEXT.format(
        environment=environment_text("python -m benchmarks.few_measurements"),
        seeds=len(SEEDS), last=SEEDS[-1], main=MAIN, ceiling=CEILING, exact=", ".join(EXACT),
        help_fa=PUBLISHED["FA"][0],
        main_table=_table(main, ("task", "HELP", "NASFLAT", "ours", "ceiling", "ours, others", "ceiling, others")),
        counts_table=_table(counts, ("task", *(str(n) for n in COUNTS))),
        device_table=_table(devices, ("task", "device", "Spearman", "mean", "median", "inside", "width", "least")),
        search_table=_table(search, ("task", "device", "met, by mean", "used", "met, by upper end", "used")),
        pooled=", ".join(pooled),
        met=f"{met[0]} met by the mean, {met[2]} by the upper end, which uses {met[3]} of the target",
    )  # fmt: skip


def _table(rows: Sequence[Sequence[str]], headers: Sequence[str]) -> str:
    return tabulate(rows, headers, tablefmt="github", disable_numparse=True)


def _search(draws: Sequence[Score]) -> tuple[str, str, str, str]:
    met = np.nanmean([s.met for s in draws], axis=0)
    used = np.nanmean([s.used for s in draws], axis=0)
    return f"{met[0]:.0%}", f"{used[0]:.2f}", f"{met[1]:.0%}", f"{used[1]:.2f}"


def main() -> None:
    """Fit, score, write the report."""
    data = read()
    with threadpool_limits(limits=1, user_api="blas"):
        ceilings = {device: ceiling(data, device) for new, _ in TASKS.values() for device in new.split()}
        REPORT.write_text(report(scores_of(data), ceilings), encoding="utf-8")


if __name__ == "__main__":
    main()
