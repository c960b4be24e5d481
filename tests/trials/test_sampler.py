from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import optuna
import pytest
from optuna.samplers import BaseSampler
from optuna.testing.pytest_samplers import BasicSamplerTestCase, RelativeSamplerTestCase, SingleOnlySamplerTestCase
from optuna.trial import TrialState

import nas
from nas.space import CodeSpace, Point
from nas.trials.askers.uniform import Uniform
from nas.trials.records import Proposal, Trial
from tests.jobs.small import small_space, tiny_document


class _Sum:
    """The latency of a point: the sum of its genes, and one."""

    def latency_ms(self, points: Sequence[Point]) -> np.ndarray:
        return np.array([1.0 + sum(abs(value) for value in point.genes.values()) for point in points])


def _space(**genes: tuple[Any, ...]) -> CodeSpace:
    return CodeSpace(name="hand", description="", genes=genes, source="a test")


_SPACE = _space(a=(0, 1, 2, 3), b=(0, 1, 2, 3), c=(0, 1, 2, 3))


def _sampler(space: CodeSpace = _SPACE, **settings: Any) -> nas.SurrogateSampler:
    settings = {"latency": _Sum(), "target_ms": 6.0, "asker": "random", **settings}
    return nas.SurrogateSampler(space, **settings)


class TestBasic(BasicSamplerTestCase, SingleOnlySamplerTestCase):
    """Optuna's suite, where no parameter is a gene: all are drawn at random."""

    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        return _sampler


class TestRelative:
    """Optuna's suite, where its parameters are the genes. Its other tests want numerical parameters."""

    test_sample_relative_categorical = RelativeSamplerTestCase.test_sample_relative_categorical
    test_trial_relative_params = RelativeSamplerTestCase.test_trial_relative_params

    @pytest.fixture
    def sampler(self, request: pytest.FixtureRequest) -> Callable[[], BaseSampler]:
        if "relative_params" in request.node.name:
            return _sampler
        return lambda: _sampler(_space(x=(1, 10, 100), y=(-1, -10, -100)), target_ms=1000.0)


def _objective(trial: optuna.Trial) -> float:
    return float(sum(trial.suggest_categorical(name, _SPACE.genes[name]) for name in _SPACE.genes)) / 10


@pytest.mark.parametrize("asker", ["random", "surrogate"])
def test_every_point_under_the_target_once(asker: str) -> None:
    """Of 64 points those whose genes add up to five or less, counted by hand: 64 minus 1 + 3 + 6 + 10 (sums 9 to 6)."""
    study = optuna.create_study(direction="maximize", sampler=_sampler(asker=asker))
    study.optimize(_objective, n_trials=44)
    points = {tuple(trial.params.values()) for trial in study.trials}
    assert len(points) == 44
    assert all(sum(point) <= 5 for point in points)
    # And after all of them they come again.
    study.optimize(_objective, n_trials=3)
    assert {tuple(trial.params.values()) for trial in study.trials} == points


def test_the_same_trials_lead_to_the_same_suggestions() -> None:
    first = optuna.create_study(direction="maximize", sampler=_sampler(seed=3))
    first.optimize(_objective, n_trials=12)
    second = optuna.create_study(direction="maximize", sampler=_sampler(seed=3))
    second.optimize(_objective, n_trials=5)
    again = optuna.create_study(direction="maximize", sampler=_sampler(seed=3))
    again.add_trials(second.trials)
    again.optimize(_objective, n_trials=7)
    assert [trial.params for trial in again.trials] == [trial.params for trial in first.trials]


class _Watched(Uniform):
    """Remembers the trials that it was asked with."""

    asked: ClassVar[list[list[Trial]]] = []

    def ask(self, trials: Sequence[Trial], count: int) -> list[Proposal]:
        self.asked.append(list(trials))
        return super().ask(trials, count)


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_an_asker_sees_the_study_as_trials(direction: Literal["maximize", "minimize"]) -> None:
    study = optuna.create_study(direction=direction, sampler=_sampler(asker=_Watched))
    distributions = {name: optuna.distributions.CategoricalDistribution(list(v)) for name, v in _SPACE.genes.items()}
    made = optuna.trial.create_trial
    for codes, what in {
        (0, 1, 2): {"value": 0.25},
        (1, 1, 1): {"state": TrialState.PRUNED, "intermediate_values": {1: 0.125, 3: 0.375}},
        (2, 1, 0): {"state": TrialState.FAIL},
        (3, 0, 0): {"value": 0.5, "intermediate_values": {1: 0.25, 2: 0.4}},
    }.items():
        params = dict(zip(_SPACE.genes, codes, strict=True))
        study.add_trial(made(params=params, distributions=distributions, **what))  # type: ignore[arg-type]
    pending = study.ask()
    pending.suggest_categorical("a", _SPACE.genes["a"])
    study.ask().suggest_categorical("a", _SPACE.genes["a"])
    seen = _Watched.asked[-1]
    assert [trial.state for trial in seen] == ["done", "stopped", "failed", "done", "pending"]
    assert [trial.codes for trial in seen[:4]] == [(0, 1, 2), (1, 1, 1), (2, 1, 0), (3, 0, 0)]
    up = direction == "maximize"
    curves = [((0, 0.25),), ((1, 0.125), (3, 0.375)), (), ((1, 0.25), (2, 0.5)), ()]
    assert [trial.curve for trial in seen] == [
        tuple((step, value if up else 1 - value) for step, value in curve) for curve in curves
    ]
    assert [trial.latency_ms for trial in seen[:4]] == [4.0] * 4
    assert seen[4].codes[0] == pending.params["a"]


def test_what_is_fixed_from_outside_is_what_was_tried() -> None:
    study = optuna.create_study(direction="maximize", sampler=_sampler(asker=_Watched))
    study.enqueue_trial({"a": 3, "b": 1, "c": 1})
    study.enqueue_trial({"b": 2})
    study.optimize(_objective, n_trials=3)
    assert [trial.codes for trial in _Watched.asked[-1]] == [tuple(trial.params.values()) for trial in study.trials[:2]]
    assert study.trials[0].params == {"a": 3, "b": 1, "c": 1}
    assert study.trials[1].params["b"] == 2


def test_trials_that_ask_together_get_different_points() -> None:
    """Eight trials that are all made before the first of them asks."""
    study = optuna.create_study(direction="maximize", sampler=_sampler())
    trials = [study.ask() for _ in range(8)]
    points = {tuple(trial.suggest_categorical(n, v) for n, v in _SPACE.genes.items()) for trial in reversed(trials)}
    assert len(points) == 8


_WORKER = """
import sys, optuna, time
sys.path.insert(0, {root!r})
from tests.trials.test_sampler import _objective, _sampler
study = optuna.load_study(study_name="shared", storage={storage!r}, sampler=_sampler())
study.optimize(lambda trial: (_objective(trial), time.sleep(0.02))[0], n_trials=8)
"""


def test_processes_share_a_study(tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    study = optuna.create_study(study_name="shared", storage=storage, direction="maximize")
    root = str(Path(__file__).parents[2])
    script = _WORKER.format(root=root, storage=storage)
    workers = [subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE) for _ in range(2)]
    for worker in workers:
        _, errors = worker.communicate(timeout=120)
        assert worker.returncode == 0, errors.decode()
    points = [tuple(trial.params[name] for name in _SPACE.genes) for trial in study.trials]
    assert len(points) == len(set(points)) == 16


@pytest.mark.parametrize("asker", ["random", "surrogate"])
def test_a_target_that_no_point_meets_is_an_error(asker: str) -> None:
    study = optuna.create_study(direction="maximize", sampler=_sampler(target_ms=0.5, asker=asker))
    with pytest.raises(nas.NasError, match=r"none has at most 0\.5 ms"):
        study.optimize(_objective, n_trials=1)


def test_a_space_of_networks_has_the_published_prior(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its first suggestion is the prior's: of all points under the target none has a better mean."""
    monkeypatch.setenv("NAS_WORKSPACE", str(tmp_path))
    space, latency = small_space(**tiny_document()), nas.load_latency("iphone12")
    codes = np.stack(np.unravel_index(np.arange(space.size), space.cardinalities), axis=1)
    networks = [space.decode(code) for code in np.unique(space.canonical(codes), axis=0)]
    latency_ms = latency.latency_ms(networks)
    target_ms = float(np.median(latency_ms))
    study = optuna.create_study(
        direction="maximize", sampler=nas.SurrogateSampler(space, latency=latency, target_ms=target_ms)
    )
    trial = study.ask()
    genes = {name: trial.suggest_categorical(name, choices) for name, choices in space.genes.items()}
    code = [space.genes[name].index(value) for name, value in genes.items()]
    means = nas.load_accuracy("imagenet").predict([space.decode(code), *networks])
    assert means[0] == means[1:][latency_ms <= target_ms].max()
