"""What a claim is worth that was chosen for being high: `python -m benchmarks.selection` writes selection.md.

The once-for-all networks and Accel-NASBench are judged where `NAS_DATA` (or ../shared/data) holds them; without them
the growth in use is kept.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tabulate import tabulate
from threadpoolctl import threadpool_limits

import nas
from benchmarks.environment import environment_text
from nas.accuracy.artifact import OPERATORS_FILE, ROWS_FILE
from nas.accuracy.contests import Contests, hold_contests, joined, leave_out, log_effective_number, splits
from nas.accuracy.features import network_features
from nas.accuracy.gaussian_process import Floats
from nas.accuracy.one_space import ACCEL_FILE, OFA_FILE, SpaceRows, read_accel, read_ofa
from nas.accuracy.prior import to_target
from nas.accuracy.published import PublishedRows, fit_prior, read_published_rows
from nas.accuracy.selection import SELECTION
from nas.accuracy.selection_fit import Judged, fit_selection, judge_nested, score
from nas.evaluate import Limits, Models, SpaceProblem
from nas.graph.operators import read_operator_lists
from nas.jobs.predictor import WITHOUT, predictor_folder
from nas.space import known_networks
from nas.space.search_space import Codes, SearchSpace
from nas.strategies import Evaluation, Evolution, SearchTask

PREDICTOR, SPACE = "imagenet", "mobile"
DEVICES = {"iphone12": (0.8, 1.5), "pixel3-cpu": (12.0, 30.0)}
"""Devices, and the targets in milliseconds whose searches are looked into."""
NEAR = 0.05
TABLE_NUMBERS = (2, 4, 8, 16, 32, 64, 128)
TABLE_DRAWS = 300
NOVELTIES = (1.0, 1.5, 2.0)
SAMPLES = (500, 2000)
REPORT = Path(__file__).with_name("selection.md")
_TEXT = """\
# What a claim is worth that was chosen for being high

{environment}

A search takes the network for which its model promises most, and with it the luckiest of the model's errors. Here it is
simulated where the truth is known. Families of published networks are left out, one by one and in random groups (a
quarter, a half of all), and the prior is fitted to the rest, hyper-parameters included. Among left-out networks the
winner is the one that lies highest above the frontier of the others at its modelled latency. Its rival is the known
network with the best mean at or under that latency. *Claimed*, *believed* (corrected) and *published* are winner minus
rival in points of top-1, at one recipe: 300 epochs, modern augmentation, no distillation; published figures are moved
there by the recipe terms of the model that has not seen the winner. *Window*: candidates within 5 % of one latency;
*all latencies*: 1 to 128 of all left-out networks, each at its own latency.

The correction is nested: for each family it is fitted to the contests that others win. Intervals in brackets are the
central 90 % of a bootstrap by family. *Excess* is believed minus published.

## Left-out families

{families}

## By the number of candidates, claims above the frontier

{numbers}

## By novelty, claims above the frontier

{novelties}

## Networks whose families are known

The same for single networks left out at random, a quarter at a time: the novelty of those lies about 1, as that of
answers does. The correction is not fitted to them. Their families' luck is known to the model, so errors are smaller
than they are for a new one.

{networks}

## Two spaces of many trained networks

The prior, fitted without the family {without}, picks the best of n networks of about equal MACs. *Claimed* and *true*
are what the winner has above the mean of those networks, on the scale −log(1 − accuracy). *Candidates* is the logarithm
of their effective number: of so many independent candidates the largest error is, in expectation, as large. The *lost
odds*, claimed/true − 1 over √novelty, are what the correction takes for level + growth · candidates.

{tables}

## How many candidates a search has

Codes that searches of `{space}` looked at within 5 % of their target, no farther from the data than a novelty: the
logarithm of their effective number, by a random part of them, and this divided by the novelty. Neighbours err together,
so tens of thousands within the trust region (novelty 1) offer the luck of ten or so; beyond it luck is plenty. The
number still rises with the part that is looked at, so more than what is seen here is in use.

{searches}

## The constants

{constants}

Level, spread and width are fitted to the left-out families, growth is the common slope of the two tables above.

## What follows

{conclusions}
"""

Row = tuple[str, ...]


def contests(published: PublishedRows, rng: np.random.Generator) -> Contests:
    """The contests of all folds on all devices."""
    lists = read_operator_lists(predictor_folder(PREDICTOR) / OPERATORS_FILE)
    names = np.unique(published.network)
    latency: dict[str, Floats] = {}
    for device in DEVICES:
        model = nas.load_latency(device)
        latency[device] = np.array([model.estimate(lists[str(name)]).mean_ms for name in names])
    parts = []
    for kind, out in splits(published, rng):
        fold = leave_out(published, out, kind)
        parts += [hold_contests(fold, latency[device], device, rng) for device in DEVICES]
    return joined(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRow:
    """The winners among `number` networks of a table: mean claims and truths above the typical network."""

    name: str
    number: int
    log_candidates: float
    novelty: float
    claimed: float
    true: float

    @property
    def lost_odds(self) -> float:
        """What level + growth · candidates stands for."""
        return (self.claimed / self.true - 1.0) / float(np.sqrt(self.novelty))


def table_rows(published: PublishedRows, spaces: Sequence[SpaceRows], rng: np.random.Generator) -> list[TableRow]:
    """The winners of both spaces, by the number of candidates."""
    prior = fit_prior(published.select(published.family != WITHOUT))
    posterior = prior.posterior()
    found = []
    for space in spaces:
        features = np.asarray(network_features(space.sums, space.resolution), dtype=np.float64)
        standard = prior.standardise(features)
        mean, truth = posterior.mean(posterior.basis(standard)), to_target(space.top1)
        novelty = prior.novelty.distance(space.sums, space.resolution)
        size = np.log(space.macs)
        for number in TABLE_NUMBERS:
            draws: list[tuple[float, float, float]] = []
            numbers: list[float] = []
            for _ in range(TABLE_DRAWS):
                near = np.flatnonzero(np.abs(size - rng.choice(size)) < NEAR)
                if len(near) < max(number, 30):
                    continue
                drawn = rng.choice(near, number, replace=False)
                won = drawn[np.argmax(mean[drawn])]
                draws.append((novelty[won], mean[won] - mean[near].mean(), truth[won] - truth[near].mean()))
                if len(numbers) < 20:
                    numbers.append(log_effective_number(posterior.covariance(standard[drawn]), rng))
            if len(draws) >= TABLE_DRAWS // 4:
                typical = np.mean(draws, axis=0).tolist()
                fields = dict(zip(("novelty", "claimed", "true"), typical, strict=True))
                found.append(TableRow(name=space.name, number=number, log_candidates=float(np.mean(numbers)), **fields))
    return found


def common_slope(rows: Sequence[TableRow]) -> float:
    """The growth of the lost odds with the candidates, one for all tables, whatever their levels."""
    over, under = 0.0, 0.0
    for name in dict.fromkeys(row.name for row in rows):
        x = np.array([row.log_candidates for row in rows if row.name == name])
        y = np.array([row.lost_odds for row in rows if row.name == name])
        over += float((x - x.mean()) @ (y - y.mean()))
        under += float((x - x.mean()) @ (x - x.mean()))
    return over / under


class _Watched:
    """A problem that remembers the codes near a target."""

    def __init__(self, problem: SpaceProblem, target_ms: float) -> None:
        self._problem, self._target_ms = problem, target_ms
        self.near: list[Codes] = []
        self.cardinalities, self.canonical = problem.cardinalities, problem.canonical

    def evaluate(self, codes: Codes) -> Evaluation:
        """As the problem."""
        found = self._problem.evaluate(codes)
        self.near.append(codes[np.abs(np.log(found.bounded_ms / self._target_ms)) <= NEAR])
        return found


def candidates_of_searches(rng: np.random.Generator) -> Iterator[Row]:
    """For each search: device, target, novelty, codes, logarithms of effective numbers, the last one by novelty."""
    accuracy, space = nas.load_accuracy(PREDICTOR), nas.load_space(SPACE)
    assert isinstance(space, SearchSpace)
    prior = accuracy.prior
    for device, targets in DEVICES.items():
        models = Models(nas.load_latency(device), accuracy, Limits(), known=known_networks())
        problem = SpaceProblem(space, models)
        for target in targets:
            watched = _Watched(problem, target)
            Evolution().search(watched, SearchTask(target_ms=target, rng=np.random.default_rng(0)))
            codes = np.unique(np.concatenate(watched.near), axis=0)
            codes = rng.permutation(codes)[: 20 * max(SAMPLES)]
            figures = problem.figures(codes)
            sums = np.asarray(figures.sums("accuracy"), dtype=np.float64)
            for limit in NOVELTIES:
                within = np.flatnonzero(figures.accuracy.novelty <= limit)
                standard = prior.standardise(network_features(sums[within], figures.resolution[within]))
                numbers = [
                    log_effective_number(prior.posterior().covariance(standard[:sample]), rng)
                    for sample in SAMPLES
                    if len(within) >= sample
                ]
                texts = [f"{number:.1f}" for number in numbers] + ["-"] * (len(SAMPLES) - len(numbers))
                last = f"{numbers[-1] / limit:.1f}" if numbers else "-"
                yield device, f"{target:g}", f"{limit:g}", f"{len(within)} of {len(codes)}", *texts, last


def scored(
    judged: Judged, all_contests: Contests, groups: Sequence[tuple[str, NDArray[np.bool_]]], rng: np.random.Generator
) -> str:
    """A table of scores."""
    lines = []
    for name, those in groups:
        if not those.any():
            continue
        part = score(judged, all_contests, those, rng)
        lines.append(
            (
                name,
                str(part.contests),
                str(part.families),
                f"{part.claimed:+.2f}",
                f"{part.believed:+.2f}",
                f"{part.published:+.2f}",
                "{:+.2f} [{:+.2f}, {:+.2f}]".format(*part.excess),
                "{:.1f} % [{:.0f}, {:.0f}]".format(*(100 * value for value in part.coverage)),
            )
        )
    return _table(
        lines, ("contests", "number", "families", "claimed", "believed", "published", "excess", "in 90 % interval")
    )


def family_groups(found: Contests, those: NDArray[np.bool_]) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """The contests of a mask by device, design and sign of the claim."""
    high = found.gain > 0
    for device in DEVICES:
        for window, design in ((True, "windows"), (False, "all latencies")):
            for above, side in ((True, "above the frontier"), (False, "below")):
                name = f"{device}, {design}, {side}"
                yield name, those & (found.device == device) & (found.window == window) & (high == above)
    yield "all windows", those & found.window
    yield "all windows, above the frontier", those & found.window & high
    yield "all", those
    yield "all, above the frontier", those & high


def conclusions(found: Contests, judged: Judged, families: NDArray[np.bool_], rng: np.random.Generator) -> str:
    """What the tables say, with their figures."""
    high = families & (found.gain > 0)
    both = score(judged, found, high, rng)
    windows = score(judged, found, high & found.window, rng)
    every = score(judged, found, families, rng)
    by_device = [score(judged, found, high & (found.device == device), rng) for device in DEVICES]
    worst = max(part.excess[0] for part in by_device)
    coverages = [100 * part.coverage[0] for part in (every, both, windows)]
    first = (
        f"* Left as they are, claims above the frontier exceed what was published by"
        f" {both.claimed - both.published:+.2f} points on average; corrected, by {both.excess[0]:+.2f}"
        f" [{both.excess[1]:+.2f}, {both.excess[2]:+.2f}] ({windows.excess[0]:+.2f} in windows), and by"
        f" {worst:+.2f} on the device where they do most."
    )
    second = (
        f"* The central 90 % intervals of differences hold {coverages[0]:.1f} % of all published ones,"
        f" {coverages[1]:.1f} % of those of claims above the frontier, {coverages[2]:.1f} % of these in windows."
    )
    third = "* The correction errs low: for networks of known families it believes less than was published."
    return "\n".join((first, second, third))


def _spaces() -> list[SpaceRows]:
    data = Path(os.environ.get("NAS_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
    readers: tuple[tuple[Path, Callable[[Path], SpaceRows]], ...] = ((OFA_FILE, read_ofa), (ACCEL_FILE, read_accel))
    return [read(data) for file, read in readers if (data / file).exists()]


def _table(lines: Sequence[Row], headers: Row) -> str:
    return str(tabulate(lines, headers, tablefmt="github", disable_numparse=True))


def main() -> None:
    """Simulate, fit, and write the report."""
    with threadpool_limits(limits=1, user_api="blas"):
        REPORT.write_text(report(), encoding="utf-8")


def report() -> str:
    """The report's text."""
    rng = np.random.default_rng(0)
    folder = predictor_folder(PREDICTOR)
    published = read_published_rows(folder / ROWS_FILE, folder / OPERATORS_FILE)
    tables = table_rows(published, _spaces(), rng)
    growth = common_slope(tables) if tables else SELECTION.growth
    found = contests(published, rng)
    families = found.kind != "networks"
    high = found.gain > 0
    chosen = fit_selection(found.select(families), growth=growth, candidates=SELECTION.candidates)
    judged = judge_nested(found, families, growth=growth)
    numbers = [(str(n), families & high & ~found.window & (found.number == n)) for n in np.unique(found.number)]
    ends = (0.0, 2.0, 3.0, 4.0, np.inf)
    novelties = [
        (f"{low:g} to {above:g}", families & high & (found.novelty > low) & (found.novelty <= above))
        for low, above in itertools.pairwise(ends)
    ]
    names: tuple[str, ...] = ("level", "growth", "spread", "width", "candidates")
    values: list[Any] = [(name, f"{getattr(chosen, name):.4g}", f"{getattr(SELECTION, name):g}") for name in names]
    return _TEXT.format(
        environment=environment_text("python -m benchmarks.selection"),
        families=scored(judged, found, list(family_groups(found, families)), rng),
        numbers=scored(judged, found, [group for group in numbers if group[1].any()], rng),
        novelties=scored(judged, found, novelties, rng),
        networks=scored(judged, found, [("above the frontier", ~families & high), ("all", ~families)], rng),
        without=WITHOUT,
        tables=_table(
            [
                (row.name, str(row.number), f"{row.log_candidates:.2f}", f"{row.novelty:.2f}", f"{row.claimed:.4f}",
                 f"{row.true:.4f}", f"{row.lost_odds:.3f}")
                for row in tables
            ],
            ("networks", "n", "candidates", "novelty", "claimed", "true", "lost odds"),
        ),
        space=SPACE,
        searches=_table(
            list(candidates_of_searches(rng)),
            ("device", "target ms", "novelty up to", "codes", *(f"of {n}" for n in SAMPLES), "last, by novelty"),
        ),
        constants=_table(values, ("constant", "found here", "in use")),
        conclusions=conclusions(found, judged, families, rng),
    )  # fmt: skip


if __name__ == "__main__":
    main()
