"""Parts of a small mixed space, and what is simplest in it, against plain enumeration."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

import nas
from nas.errors import InputError
from nas.evaluate import Limits, Models, Simplicity, SpaceProblem, search_uniform, simplicity
from nas.evaluate.part import SpacePart, Uniform
from nas.evaluate.simplify import Simplifier
from nas.space import known_networks
from nas.space.search_space import Codes, SearchSpace
from nas.strategies import Evaluation, Evolution, Exhaustive, RandomSearch, SearchTask, Strategy
from nas.strategies.evolution import Niche
from tests.jobs.small import small_space

TARGET_MS = 0.6
STEM = {"block": "conv", "out": [16], "stride": 2}


def mixed_space(stems: tuple[str, ...] = ("relu", "hswish")) -> SearchSpace:
    """Three stages, each of two kinds of block, two activations and two kernels; one with a width of 24."""
    own = {"stride": 2, "depth": [2], "kernel": [3, 5], "kinds": ["mbconv", "mobileone"], "act": ["relu", "hswish"],
           "expansion": [3], "free_blocks": 1}  # fmt: skip
    stages = [{**own, "width": [24, 32]}, {**own, "width": [96]}, {**own, "width": [320]}]
    return small_space(stages=stages, stems=[[{**STEM, "act": act}] for act in stems], resolution=[192])


@dataclass(frozen=True, slots=True, kw_only=True)
class Everything:
    """All canonical codes, what they are worth, and what they are made of."""

    codes: Codes
    worth: Evaluation
    counted: list[Simplicity]

    @property
    def uniform(self) -> NDArray[np.bool_]:
        return np.array([one.is_uniform for one in self.counted])


@pytest.fixture(scope="module")
def models() -> Models:
    return Models(
        nas.load_latency("iphone12"), nas.load_accuracy("imagenet"), Limits(max_novelty=None), known=known_networks()
    )


@pytest.fixture(scope="module")
def problem(models: Models) -> SpaceProblem:
    return SpaceProblem(mixed_space(), models, exact=True)


@pytest.fixture(scope="module")
def everything(problem: SpaceProblem) -> Everything:
    codes = np.array(list(itertools.product(*(range(n) for n in problem.cardinalities))))
    codes = np.unique(problem.canonical(codes), axis=0)
    counted = [simplicity(problem.space.decode(code)) for code in codes]
    return Everything(codes=codes, worth=problem.evaluate(codes), counted=counted)


def _rows(codes: Codes) -> set[tuple[int, ...]]:
    return {tuple(code) for code in codes.tolist()}


def test_a_part_has_the_networks_of_the_space_that_are_made_of_what_it_keeps(
    problem: SpaceProblem, everything: Everything
) -> None:
    kept = Uniform(families=frozenset(["nas.blocks.mobilenet"]), kernels=frozenset([3]))
    part = SpacePart(problem, kept.choices(problem.space))
    own = np.array(list(itertools.product(*(range(n) for n in part.cardinalities))))
    own = np.unique(part.canonical(own), axis=0)
    assert (part.canonical(own) == own).all()
    # The kinds stand in the order mbconv, mobileone, the kernels 3, 5; nothing else has a kernel that is not 3.
    genes = problem.space.columns
    chosen = [genes[f"stage{i}.{gene}"] for i in (1, 2, 3) for gene in ("kind", "kernel1")]
    expected = _rows(everything.codes[(everything.codes[:, chosen] == 0).all(axis=1)])
    assert _rows(part.whole(own)) == expected
    assert _rows(part.whole(part.inside(everything.codes))) == expected
    assert part.evaluate(own).score == pytest.approx(problem.evaluate(part.whole(own)).score)


@pytest.mark.parametrize(
    "strategy",
    [Exhaustive(), Evolution(evaluations=4000, population=32, offspring=128), RandomSearch(evaluations=4000)],
    ids=["exhaustive", "evolution", "random"],
)
def test_the_best_uniform_network_is_found(problem: SpaceProblem, everything: Everything, strategy: Strategy) -> None:
    assert 0 < everything.uniform.sum() < len(everything.codes) / 10
    good = everything.uniform & everything.worth.feasible(TARGET_MS)
    best = everything.worth.score[good].max()
    assert best < everything.worth.score[everything.worth.feasible(TARGET_MS)].max()
    evaluated: list[int] = []
    task = SearchTask(
        target_ms=TARGET_MS,
        rng=np.random.default_rng(0),
        initial=everything.codes[:100],
        progress=lambda state: evaluated.append(state.evaluated),
    )
    found = search_uniform(strategy, problem, task)
    assert found.best is not None
    assert found.best.score == pytest.approx(best)
    assert evaluated == sorted(evaluated)
    uniform = _rows(everything.codes[everything.uniform])
    for candidates in (found.top, found.apart, found.starts, found.front):
        assert {candidate.codes for candidate in candidates} <= uniform
    assert [c.score for c in found.top] == sorted((c.score for c in found.top), reverse=True)


def test_excluded_points_are_not_found_again(problem: SpaceProblem, everything: Everything) -> None:
    task = SearchTask(target_ms=TARGET_MS, rng=np.random.default_rng(0), exclude=everything.codes)
    found = search_uniform(Exhaustive(), problem, task)
    assert (found.best, found.evaluated) == (None, 0)


def test_a_space_without_uniform_networks_is_refused(models: Models) -> None:
    gelu = SpaceProblem(mixed_space(stems=("gelu",)), models)
    with pytest.raises(InputError, match="one kind of block and one activation, but small has none"):
        search_uniform(Exhaustive(), gelu, SearchTask(target_ms=TARGET_MS, rng=np.random.default_rng(0)))


@pytest.mark.parametrize("alike", [0.003, 0.02, 0.1])
def test_simpler_networks_are_as_simple_as_those_that_enumeration_finds(
    problem: SpaceProblem, everything: Everything, alike: float
) -> None:
    feasible, score = everything.worth.feasible(TARGET_MS), everything.worth.score
    floor = score[feasible].max() - alike
    near = np.flatnonzero(feasible & (score >= floor))
    first = max(near, key=lambda i: score[i])
    simplest = min(everything.counted[i] for i in near)
    assert simplest < everything.counted[first]
    simplifier = Simplifier(
        problem=problem, fitness=Niche(cap_ms=TARGET_MS).fitness, floor=floor, rng=np.random.default_rng(0)
    )
    reached = simplifier.simpler(everything.codes[[first]])
    assert min(simplicity(problem.space.decode(code)) for code in reached) == simplest
    worth = problem.evaluate(reached)
    assert (worth.score >= floor).all()
    assert worth.feasible(TARGET_MS).all()
