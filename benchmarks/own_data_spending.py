"""Other ways of spending the epochs of a search on images, simulated on all that was trained: a part of own_data.

Trainings are too dear to repeat a search a hundred times, so searches are made of simulated ones. A Gaussian process on
what networks are made of, fitted to every training that has a file, says what is known of the accuracies of all others;
each *world* is one draw of it, a function that agrees with what was trained and is as unlike others elsewhere as the
process is unsure (pathwise conditioning, Wilson et al. 2020, arXiv:2002.09309). A simulated training is the world's
value and the noise of a seed. Every way has the same epochs in the same worlds.
"""

from __future__ import annotations

import math
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from tabulate import tabulate
from threadpoolctl import threadpool_limits

from nas.accuracy import load_accuracy
from nas.documents import parse_yaml
from nas.jobs.data_course import Course
from nas.jobs.data_space import kind_of
from nas.jobs.trials import domain_of
from nas.latency import LatencyModel
from nas.runs import Tables
from nas.space import Architecture
from nas.space.architecture import parse_architecture
from nas.space.search_space import SearchSpace
from nas.strategies import Goal
from nas.training.compare import rank_correlation
from nas.trials.askers import asker_named
from nas.trials.evaluations import Evaluations
from nas.trials.evaluators import Evaluator
from nas.trials.executors.in_process import InProcess
from nas.trials.loop import Loop, Settings
from nas.trials.question import Domain, Question
from nas.trials.records import Trial
from nas.trials.studies import Study

Floats = NDArray[np.float64]

WAVES = 1024
"""So many random Fourier features a drawn function has."""

FOLDS, FINALISTS, NOTHING = 10, 2, 0.15
TRIES, ALIKE = 4, 0.04
SAME_RUNGS = {"surrogate": "surrogate", "aging": "evolution", "tpe": "TPE", "random": "random"}
ALL_THE_WAY, PRUNED = "random, each trained fully", "TPE with its median pruner"


@dataclass(frozen=True, slots=True)
class Training:
    """A training that has ended: the validation accuracy (a fraction) of a network after so many epochs."""

    network: Architecture
    epochs: int
    accuracy: float


class World:
    """One function from networks and epochs to accuracies, and `noise`, the deviation of a seed's logit."""

    def __init__(self, function: Callable[[Floats], Floats], levels: Mapping[int, float], noise: float) -> None:
        self._function, self._levels, self.noise = function, levels, noise

    def accuracy(self, network: Architecture, epochs: int, seed: int | None = None) -> float:
        """The accuracy of a training, a fraction; without a seed its mean."""
        logit = self._levels[epochs] + float(self._function(_row(network, epochs)[None])[0])
        if seed is not None:
            chance = np.random.default_rng([int(network.digest, 16), epochs, seed])
            logit += self.noise * float(chance.standard_normal())
        return 1.0 / (1.0 + math.exp(-logit))


class Worlds:
    """What trainings say of all networks: a Gaussian process on the logits of accuracies, about the mean of each number
    of epochs. Its scales are those of the greatest likelihood."""

    def __init__(self, trainings: Sequence[Training]) -> None:
        self._trainings = trainings
        logits = np.array([math.log(one.accuracy / (1 - one.accuracy)) for one in trainings])
        epochs = np.array([one.epochs for one in trainings])
        self.levels = {int(e): float(logits[epochs == e].mean()) for e in np.unique(epochs)}
        self._rows = np.array([_row(one.network, one.epochs) for one in trainings])
        self._middle, self._spread = self._rows.mean(axis=0), np.maximum(self._rows.std(axis=0), 1e-9)
        self._values = logits - np.array([self.levels[int(e)] for e in epochs])
        self._rows = self._standard(self._rows)
        with warnings.catch_warnings():  # a scale at its limit: a column that says nothing
            warnings.simplefilter("ignore")
            found = GaussianProcessRegressor(_kernel(self._rows.shape[1]), random_state=0).fit(self._rows, self._values)
        self._kernel, self.noise = found.kernel_.k1, math.sqrt(found.kernel_.k2.noise_level)
        self.count = len(trainings)
        self._factor = self._conditioned(np.arange(self.count))

    def draw(self, seed: int) -> World:
        """One world that agrees with the trainings."""
        rng = np.random.default_rng(seed)
        scale, amplitude = self._kernel.k2.length_scale, math.sqrt(self._kernel.k1.constant_value)
        waves = rng.standard_normal((self._rows.shape[1], WAVES)) / np.asarray(scale)[:, None]
        phases, weights = rng.uniform(0, 2 * np.pi, WAVES), rng.standard_normal(WAVES)

        def before(rows: Floats) -> Floats:
            return np.asarray(amplitude * math.sqrt(2 / WAVES) * np.cos(rows @ waves + phases) @ weights)

        seen = before(self._rows) + self.noise * rng.standard_normal(len(self._rows))
        correction = cho_solve(self._factor, self._values - seen)

        def after(rows: Floats) -> Floats:
            rows = self._standard(rows)
            return np.asarray(before(rows) + self._kernel(rows, self._rows) @ correction)

        return World(after, self.levels, self.noise)

    def left_out(self, epochs: int) -> tuple[int, float, float]:
        """Networks with so many epochs, ten folds of them left out with all their trainings: how many, Spearman's
        correlation of what is predicted with what was found, and the error's deviation in points."""
        digests = list(dict.fromkeys(one.network.digest for one in self._trainings if one.epochs == epochs))
        fold = {digest: place % FOLDS for place, digest in enumerate(np.random.default_rng(0).permutation(digests))}
        of = np.array([fold.get(one.network.digest, -1) for one in self._trainings])
        found, true = [], []
        for left in range(FOLDS):
            known = np.flatnonzero(of != left)
            asked = np.flatnonzero((of == left) & np.array([one.epochs == epochs for one in self._trainings]))
            if len(asked):
                weights = cho_solve(self._conditioned(known), self._values[known])
                found += (self._kernel(self._rows[asked], self._rows[known]) @ weights).tolist()
                true += self._values[asked].tolist()
        ranked = rank_correlation(np.array(found), np.array(true), np.random.default_rng(0))
        level = 1 / (1 + math.exp(-self.levels[epochs]))
        off = 100 * level * (1 - level) * float(np.std(np.array(found) - np.array(true)))
        return len(digests), float("nan") if ranked is None else ranked.rho, off

    def _conditioned(self, at: NDArray[np.int64]) -> tuple[Floats, bool]:
        covariance = self._kernel(self._rows[at]) + (self.noise**2 + 1e-9) * np.eye(len(at))
        factor: tuple[Floats, bool] = cho_factor(covariance, lower=True)
        return factor

    def _standard(self, rows: Floats) -> Floats:
        return np.asarray((rows - self._middle) / self._spread)


def _kernel(columns: int) -> Any:
    return ConstantKernel(0.2, (1e-3, 1e2)) * RBF(np.full(columns, 3.0), (0.3, 1e3)) + WhiteKernel(0.01, (1e-5, 1.0))


def _row(network: Architecture, epochs: int) -> Floats:
    """What the process reads: sizes, the share of each kind of block, kernels, widths, activations; and the epochs."""
    body = [dict(layer.args) for layer in network.layers[1:-1]]
    kinds, count = Counter(layer.block for layer in network.layers[1:-1]), max(1, len(body))
    widths = [float(args["out"]) for args in body if "out" in args] or [8.0]
    maps = [float(np.prod(shape[1:])) for shape in network.layer_inputs()]
    row = [
        math.log(network.macs), math.log(network.params), math.log(count), float(np.mean(np.log(widths))),
        math.log(max(widths)), float(np.mean(np.log(maps))),
        *(kinds[kind] / count for kind in ("mbconv", "mobileone", "repvit", "repvgg", "shufflenetv2")),
        sum(args.get("act") == "hswish" for args in body) / count,
        float(np.mean([float(args.get("kernel", 3)) for args in body] or [3.0])),
        sum(bool(args.get("se")) for args in body) / count,
        math.log(epochs),
    ]  # fmt: skip
    return np.array(row)


def trainings_in(records: Sequence[Mapping[str, Any]]) -> list[Training]:
    """The trainings of records, without those that came to nothing (ten classes)."""
    return [
        Training(architecture_of(one), one["epochs"], one["validation"])
        for one in records
        if NOTHING < one["validation"] < 1.0
    ]


def architecture_of(record: Mapping[str, Any]) -> Architecture:
    """The network of the record of a training."""
    return parse_architecture(parse_yaml(record["architecture"], name=record["digest"]), record["digest"])


@dataclass(frozen=True, kw_only=True)
class Contest:
    """A space at a target, and how much each way may spend: as many epochs as the rungs of `trials` networks cost, and
    the full trainings of the finalists."""

    space: SearchSpace
    latency: LatencyModel
    target_ms: float
    trials: int
    course: Course

    @cached_property
    def domain(self) -> Domain:
        """The networks that may be tried."""
        return domain_of(self.space, self.latency, accuracy=load_accuracy("imagenet"))

    def question(self, seed: int, trials: int | None = None) -> Question:
        """What is asked."""
        goal = Goal(target_ms=self.target_ms)
        return Question(domain=self.domain, goal=goal, budget=trials or self.trials, seed=seed, noisy=True)

    def spending(self, epochs: int, asker: str, world: World, seed: int) -> tuple[float, int]:
        """As `in_rungs`, with as many trials as cost about so many epochs: who finds something better later sends more
        of its trials on."""
        trials, final = self.trials, FINALISTS * self.course.epochs
        for _ in range(TRIES):
            answer, spent = self.in_rungs(asker, world, seed, trials)
            if abs(spent / epochs - 1) < ALIKE:
                break
            trials = max(2, round(trials * (epochs - final) / max(1, spent - final)))
        return answer, spent

    def in_rungs(self, asker: str, world: World, seed: int, trials: int | None = None) -> tuple[float, int]:
        """The true accuracy of the answer of a search in rungs, and its epochs."""
        question = self.question(seed, trials)

        def trained(points: Sequence[Architecture], epochs: int, seed: int) -> list[float]:
            return [world.accuracy(point, epochs, seed) for point in points]

        evaluator = Evaluator(function=trained, name="world", key="world", reference=None, rungs=self.course.rungs)
        with tempfile.TemporaryDirectory() as folder:
            study = Study(
                Evaluations(Tables(f"sqlite:///{folder}/a.db")), "a", evaluator=evaluator.key, question={},
                rungs=evaluator.rungs,
            )  # fmt: skip
            ended = Loop(
                question, asker=asker_named(asker, question), evaluator=evaluator, study=study, executor=InProcess(),
                settings=Settings(checkpoints=Path(folder), kind_of=lambda code: kind_of(question.domain.point(code))),
            ).run()  # fmt: skip
        spent = sum(epochs for trial in ended for epochs, _ in trial.curve)
        finalists = [question.domain.point(codes) for codes in _best(ended)[:FINALISTS]]
        return self._final(finalists, world), spent + len(finalists) * self.course.epochs

    def all_the_way(self, world: World, seed: int, epochs: int) -> tuple[float, int]:
        """Random networks, each trained fully."""
        question = self.question(seed)
        count = max(1, epochs // self.course.epochs)
        asked = asker_named("random", question).ask([], count)
        networks = [question.domain.point(one.codes) for one in asked]
        return self._final(networks, world), count * self.course.epochs

    def pruned(self, world: World, seed: int, epochs: int) -> tuple[float, int]:
        """Optuna's TPE and median pruner: a training is read at the rungs, and goes on unless it is below the median
        there. An epoch is counted once; what misses the target costs nothing."""
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        question = self.question(seed)
        domain, steps = question.domain, (*self.course.rungs, self.course.epochs)
        study = optuna.create_study(
            direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed), pruner=optuna.pruners.MedianPruner()
        )
        ended: dict[str, tuple[float, Architecture]] = {}
        left = epochs
        while left >= steps[0]:
            trial = study.ask()
            genes = [trial.suggest_categorical(f"g{i}", list(range(n))) for i, n in enumerate(domain.cardinalities)]
            codes = domain.canonical(np.array([genes], dtype=np.int64))
            beyond = float(domain.latency_ms(codes)[0]) / self.target_ms - 1
            trial.set_constraint("latency", beyond)
            if beyond > 0:
                study.tell(trial, 0.0)
                continue
            network, before, value = domain.point(codes[0].tolist()), 0, 0.0
            for step in steps:
                if left < step - before:
                    break
                left, before, value = left - (step - before), step, world.accuracy(network, step, trial.number)
                trial.report(value, step)
                if step < steps[-1] and trial.should_prune():
                    break
            if before == steps[-1]:
                ended[network.digest] = (value, network)
                study.tell(trial, value)
            else:
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        answer = max(ended.values(), key=lambda one: one[0], default=None)
        return world.accuracy(network if answer is None else answer[1], self.course.epochs), epochs - left

    def _final(self, networks: Sequence[Architecture], world: World) -> float:
        """The true accuracy of the network whose full training is the best."""
        best = max(networks, key=lambda network: world.accuracy(network, self.course.epochs, 0))
        return world.accuracy(best, self.course.epochs)


def spending(worlds: Worlds, contest: Contest, count: int, told: Callable[[str], None]) -> dict[str, Any]:
    """The true accuracies of everyone's answers in so many worlds, and what is known of these."""
    names = [*(f"{name}, halving" for name in SAME_RUNGS.values()), ALL_THE_WAY, PRUNED]
    found: dict[str, list[float]] = {name: [] for name in names}
    spent: dict[str, list[int]] = {name: [] for name in names}
    with threadpool_limits(limits=1):
        for seed in range(count):
            world = worlds.draw(seed)
            _, all_epochs = own = contest.in_rungs("surrogate", world, seed)
            answers = {
                f"{name}, halving": own if asker == "surrogate" else contest.spending(all_epochs, asker, world, seed)
                for asker, name in SAME_RUNGS.items()
            }
            answers[ALL_THE_WAY] = contest.all_the_way(world, seed, all_epochs)
            answers[PRUNED] = contest.pruned(world, seed, all_epochs)
            for name, (accuracy, epochs) in answers.items():
                found[name].append(accuracy)
                spent[name].append(epochs)
            told(f"world {seed + 1} of {count}")
    levels = (*contest.course.rungs, contest.course.epochs)
    return {
        "target_ms": contest.target_ms, "trials": contest.trials, "rungs": list(contest.course.rungs),
        "epochs": contest.course.epochs, "trainings": worlds.count, "found": found, "noise": worlds.noise,
        "spent": {name: float(np.mean(own)) for name, own in spent.items()},
        "left_out": {epochs: worlds.left_out(epochs) for epochs in levels},
    }  # fmt: skip


def spending_text(found: Mapping[str, Any]) -> str:
    """The part of the report."""
    ours, *others = found["found"]
    own = 100 * np.array(found["found"][ours])

    def row(name: str) -> tuple[str, ...]:
        values = 100 * np.array(found["found"][name])
        more = own - values
        half = 1.645 * float(more.std(ddof=1)) / math.sqrt(len(more)) if len(more) > 1 else float("nan")
        better = "" if name == ours else f"{more.mean():+.2f} ± {half:.2f}"
        return name, f"{found['spent'][name]:.0f}", f"{values.mean():.2f}", better

    known = "; ".join(
        f"{count} networks after {epochs} epochs, Spearman {ranked:.2f}, error {off:.1f} points"
        for epochs, (count, ranked, off) in found["left_out"].items()
    )
    header = ("who asks", "epochs", "the answer's accuracy, %", "the surrogate's is better by, points, 90 %")
    return f"""## Other ways of spending the same epochs

Simulated: {len(own)} worlds drawn from a Gaussian process that was fitted to {found["trainings"]} trainings; rungs of
{found["rungs"]} and full trainings of {found["epochs"]} epochs, {found["target_ms"]:g} ms. The surrogate has
{found["trials"]} trials, the others as many as cost the same epochs.

{tabulate([row(name) for name in (ours, *others)], header, "pipe", disable_numparse=True)}

What is known of a network that is left out: {known}. So this says how the ways compare on accuracies like these, not
what they would have found on the images. The process reads other columns than the surrogate, which asks without what
networks say untrained here."""


def _best(trials: Sequence[Trial]) -> list[tuple[int, ...]]:
    """The points of trials, the best of the highest rung first."""
    worth: dict[tuple[int, ...], tuple[int, float]] = {}
    for trial in trials:
        if trial.accuracy is not None:
            worth[trial.codes] = max(worth.get(trial.codes, (0, 0.0)), (trial.epochs, trial.accuracy))
    return sorted(worth, key=lambda codes: worth[codes], reverse=True)
