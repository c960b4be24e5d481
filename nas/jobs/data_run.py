"""`nas search --data`: from names to a trained network in the zoo, and the record of the run."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nas.accuracy import AccuracyEstimate, PriorModel, load_accuracy
from nas.data import open_data
from nas.errors import InputError, NasError
from nas.evaluate import Limits, Models
from nas.files import sha256
from nas.jobs.data_answer import DataAnswer, Finished
from nas.jobs.data_course import Course
from nas.jobs.data_full import images_for
from nas.jobs.data_plan import DataPlan, plan_of
from nas.jobs.data_search import DataQuestion, DataSearch, usual_recipe
from nas.jobs.data_space import default_space
from nas.jobs.lut_build import TableRequest, build_table
from nas.jobs.network import Network, NetworkRecords
from nas.jobs.search_answer import in_zoo
from nas.jobs.search_run import SCHEMA, PublishedFigures, model_inputs, option_words, recorded_request
from nas.jobs.train import zoo_name
from nas.jobs.trained import on_test_images
from nas.jobs.training import TRAINING_SCHEMA
from nas.jobs.trials import Where
from nas.jobs.trials_json import trial_json
from nas.latency import DeviceHome, LatencyModel, device_home, load_latency
from nas.latency.model import COEFFICIENTS_FILE, TABLE_FILE
from nas.measure.build import BuildProgress
from nas.progress import OnProgress, Step, silent
from nas.runs import RunHandle, RunStore, resume_words
from nas.space import load_space, space_paths
from nas.space.narrow import narrow
from nas.space.search_space import SearchSpace
from nas.strategies import Goal
from nas.training import load_recipe
from nas.training.heldout import wilson
from nas.trials.askers import check_asker
from nas.zoo.formats import check_formats

if TYPE_CHECKING:
    from nas.training.heldout import HeldOut

KIND = "search"
NO_LIMITS = Limits(max_novelty=None, max_interval=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataRequest:
    """What a user asks of `nas search --data`, by names; fields as the command's options, sizes in bytes, times in
    seconds."""

    device: str
    target_ms: float
    data: str
    space: str | None = None
    settings: tuple[str, ...] = ()
    accuracy: str = "imagenet"
    recipe: str | None = None
    epochs: int | None = None
    seeds: int = 3
    init: str | None = None
    asker: str = "surrogate"
    trials: int = 30
    baselines: int = 24
    budget: float | None = None
    build: float | None = None
    seed: int = 0
    max_params: int | None = None
    max_macs: int | None = None
    max_size: int | None = None
    max_memory: int | None = None
    confidence: float | None = None
    workers: int = 1
    ray: str | None = None
    cpus: float = 1.0
    gpus: float = 0.0
    time_limit: float | None = None
    formats: tuple[str, ...] = ("onnx",)

    def command(self) -> str:
        """The command line that repeats the search."""
        words = ["nas", "search", "--target-latency", f"{self.target_ms:.12g}ms"]
        words += option_words(
            self,
            "device", "data", "space", "accuracy", "recipe", "epochs", "seeds", "init", "asker", "trials", "baselines",
            "seed", "max_params", "max_macs", "max_size", "max_memory", "confidence", "workers", "ray",
            "cpus", "gpus",
        )  # fmt: skip
        times = (("--budget", self.budget), ("--build", self.build), ("--time-limit", self.time_limit))
        for option, seconds in times:
            words += [] if seconds is None else [option, f"{seconds:.12g}s"]
        for setting in self.settings:
            words += ["--set", setting]
        if self.formats != ("onnx",):
            words += ["--format", ",".join(self.formats)]
        return shlex.join(words)

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> DataRequest:
        """The request that a run recorded (`asdict`)."""
        return recorded_request(cls, document)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataOutcome:
    """A finished search: the answer, its networks' records, the record of its best training, and the run that holds it.
    `fault` is what kept the answer from being exported or recorded."""

    run: str
    seconds: float
    device: str
    answer: DataAnswer
    best: Network
    front: tuple[Network, ...]
    baselines: tuple[Network, ...]
    training: Mapping[str, Any]
    fault: NasError | None = None

    def as_json(self) -> dict[str, Any]:
        """The JSON of a search with accuracy that costs, as the contract has it, with what belongs to images."""
        answer = self.answer
        named = [
            {
                **trial_json(trial, answer.space),
                "name": answer.names.get(trial.digest, trial.digest),
                "part": part,
                "proxies": dict(answer.proxies.get(trial.digest, {})),
            }
            for part, trials in answer.trials.items()
            for trial in trials
        ]
        return {
            "schema": SCHEMA,
            "run": self.run,
            "study": answer.study,
            "space": answer.space,
            "device": self.device,
            "target_ms": answer.target_ms,
            "reward": answer.reward.as_json(),
            "seed": answer.seed,
            "asker": answer.asker,
            "data": {"images": dict(answer.images), "classes": list(answer.classes)},
            "recipe": answer.recipe,
            "rungs": list(answer.rungs),
            "epochs": answer.epochs,
            "evaluated": len(answer.trials["searched"]),
            "space_size": str(answer.space_size),
            "best": self.best.as_json(),
            "also": [],
            "gain": _gain(answer),
            "comparison": None if answer.comparison is None else answer.comparison.as_json(),
            "finalists": [one.as_json() for one in answer.finalists],
            "ranked": [one.as_json() for one in answer.ranked],
            "training": {"schema": TRAINING_SCHEMA, **self.training},
            "costs": {part: cost.as_json() for part, cost in answer.costs.items()},
            "notes": list(answer.notes),
            "front": [network.as_json() for network in self.front],
            "baselines": [network.as_json() for network in self.baselines],
            "trials": [{**trial, "number": number} for number, trial in enumerate(named)],
            "seconds": self.seconds,
        }


def run_data_search(
    request: DataRequest,
    *,
    before: Mapping[str, Any] | None = None,
    storage: str | None = None,
    progress: OnProgress = silent,
) -> DataOutcome:
    """Search on the images of `request.data`, export the trained answer to the zoo, and record the run in `storage`.

    Everything that the request names is checked before anything is trained. `before` are the inputs of a run whose
    search is gone on with: `InputError` where that was asked something else.
    """
    made = _make(request, storage, progress)
    inputs = {
        "study": made.search.study,
        "request": {**asdict(request), "data": str(Path(request.data).resolve())},
        "space": {"name": made.space.name, "sha256": sha256(space_paths().get(made.named, Path(made.named)))},
        "data": {"path": str(request.data), "digest": made.search.teaching.contents},
        **model_inputs(made.home, made.accuracy),
    }
    if before is not None and before["study"] != inputs["study"]:
        raise _another(before, inputs)
    began, outcome = time.perf_counter(), None
    try:
        with RunStore(url=storage).start(KIND, command=request.command(), inputs=inputs, seed=request.seed) as run:
            try:
                answer = made.search.answer()
            except KeyboardInterrupt as error:
                raise KeyboardInterrupt(_goes_on(made.search, run, storage)) from error
            records = _Records(request, made, answer)
            found, training = _training(request, made.search, answer)
            outcome = DataOutcome(
                run=run.id,
                seconds=time.perf_counter() - began,
                device=made.home.name,
                answer=answer,
                best=records.of(answer.best),
                front=tuple(records.of(one) for one in _front(answer)),
                baselines=tuple(records.of(one) for one in answer.finalists if one.finalist.part == "known"),
                training=training,
            )
            folder = _export(outcome, request, found, progress)
            best, zoo = outcome.best, str(folder)
            outcome = replace(
                outcome,
                best=replace(best, zoo=zoo),
                front=in_zoo(outcome.front, best, zoo),
                baselines=in_zoo(outcome.baselines, best, zoo),
                seconds=time.perf_counter() - began,
            )
            run.add_artefact("zoo", folder)
            run.finish(outcome.as_json())
    except NasError as error:
        if outcome is None:
            raise
        return replace(outcome, fault=error)
    return outcome


def plan_data_search(request: DataRequest, *, storage: str | None = None, progress: OnProgress = silent) -> DataPlan:
    """What `run_data_search` would do, and how long that would take: one network is trained for some steps, and nothing
    is written but decoded images."""
    return plan_of(_make(request, storage, progress).search, request.workers, progress)


def _another(before: Mapping[str, Any], inputs: Mapping[str, Any]) -> InputError:
    """The error that a run to go on with, whose inputs were `before`, was another search; it names what changed."""
    said = {"data": "the images", "space": "the space", "device": "the device's files", "accuracy": "the predictor"}
    checked = [{**one, "data": one["data"]["digest"]} for one in (before, inputs)]
    changed = [words for name, words in said.items() if checked[0][name] != checked[1][name]]
    return InputError(
        "a search that is gone on with must be asked what it was asked before, but since then"
        f" {' and '.join(changed) or 'nas, or whether the device is reached,'} changed; leave --resume out, and another"
        " search begins, with every training that there is."
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Made:
    """A search that is ready to begin, and what it reads."""

    named: str
    space: SearchSpace
    home: DeviceHome
    latency: LatencyModel
    accuracy: PriorModel
    limits: Limits
    goal: Goal
    search: DataSearch


def _make(request: DataRequest, storage: str | None, progress: OnProgress) -> _Made:
    check_asker(request.asker)
    check_formats(request.formats)
    recipe, home = load_recipe(request.recipe or usual_recipe(request.init)), device_home(request.device)
    dataset = open_data(request.data, progress=progress)
    named = request.space or default_space(dataset)
    space = load_space(named)
    if not isinstance(space, SearchSpace):
        raise InputError(f"networks are trained on images, but {space.name} is a space of codes; name another space.")
    space = narrow(space, request.settings)
    limits = replace(
        NO_LIMITS, max_params=request.max_params, max_macs=request.max_macs, max_size_bytes=request.max_size,
        max_memory_bytes=request.max_memory, confidence=request.confidence,
    )  # fmt: skip
    goal = Goal(target_ms=request.target_ms)
    latency, accuracy = _latency(home, named, request, progress), load_accuracy(request.accuracy)
    search = DataSearch(
        DataQuestion(
            space=space,
            dataset=dataset,
            goal=goal,
            course=Course(epochs=request.epochs or recipe.epochs, seeds=request.seeds),
            recipe=recipe,
            trials=request.trials,
            baselines=request.baselines,
            seed=request.seed,
            asker=request.asker,
            init=request.init,
            limits=limits,
        ),
        latency=latency,
        home=home,
        accuracy=accuracy,
        where=Where(
            workers=request.workers, ray=request.ray, cpus=request.cpus, gpus=request.gpus,
            time_limit=request.time_limit, storage=storage,
        ),
        budget_s=request.budget,
        progress=progress,
    )  # fmt: skip
    return _Made(
        named=named, space=space, home=home, latency=latency, accuracy=accuracy, limits=limits, goal=goal, search=search
    )  # fmt: skip


def _latency(home: DeviceHome, space: str, request: DataRequest, progress: OnProgress) -> LatencyModel:
    """The latency model of the device; where it has none it is built first, if that was asked for."""
    has_one = any((home.folder / name).exists() for name in (TABLE_FILE, COEFFICIENTS_FILE))
    if has_one or not home.device.is_timed:
        return load_latency(home)
    if request.build is None:
        raise InputError(
            f"{home.name} must have a table before latencies can be predicted, but has none; build it once, in ten"
            f" minutes: `nas lut build --device {home.name} --space {space} --budget 10m`; or add `--build 10m`, which"
            " does that first."
        )

    def told(state: BuildProgress) -> None:
        progress(Step(doing=f"building the table of {home.name}", done=state.spent_s, of=state.budget_s))

    build_table(TableRequest(home=home, space=space, budget_s=request.build), progress=told, fitting=progress)
    return load_latency(device_home(home.name))


class _Records:
    """Makes records of finalists: measured accuracy and latency in place of predicted ones."""

    def __init__(self, request: DataRequest, made: _Made, answer: DataAnswer) -> None:
        self._answer, self._data = answer, Path(request.data).name
        self._goal = made.goal
        self._predicted = NetworkRecords(
            models=Models(made.latency, made.accuracy, made.limits), known=[],
            aim=made.limits.aim(made.goal.target_ms), reward=made.goal.reward, published=PublishedFigures(made.home),
        )  # fmt: skip

    def of(self, one: Finished) -> Network:
        """The record of a finalist. What was not tested is judged on the validation images, and says so."""
        answer, latency = self._answer, one.finalist.latency
        test = one.accuracy
        validation = wilson(round(one.validation * answer.images["val"]), answer.images["val"])
        mean, low, high = (
            (one.validation, *validation) if test is None else (test.mean, test.low, test.high)
        )  # fmt: skip
        accuracy = AccuracyEstimate(
            mean=mean, low=low, high=high, recipe=f"{answer.recipe}, {answer.epochs} epochs", source="measured",
            data=f"{self._data}{', validation images' if test is None else ''}",
        )  # fmt: skip
        (predicted,) = self._predicted.detailed([one.finalist.network])
        reward = self._goal.reward.reward(np.array([mean]), np.array([latency.mean_ms]), self._goal.target_ms)
        return replace(predicted, latency=latency, accuracy=accuracy, reward=float(reward[0]))


def _front(answer: DataAnswer) -> list[Finished]:
    """The finalists that no other one beats in both latency and validation accuracy, fastest first."""
    ordered = sorted(answer.finalists, key=lambda one: (one.finalist.latency.mean_ms, -one.validation))
    kept: list[Finished] = []
    for one in ordered:
        if not kept or one.validation > kept[-1].validation:
            kept.append(one)
    return kept


def _gain(answer: DataAnswer) -> dict[str, Any] | None:
    """The answer minus the best known network: nothing where it is the answer itself."""
    comparison = answer.comparison
    if comparison is None:
        return None
    if answer.best is answer.known:
        return {"over": comparison.known, "mean": 0.0, "low": 0.0, "high": 0.0, "ms": 0.0, "told_apart": False}
    return {
        "over": comparison.known,
        **comparison.gain.as_json(),
        "ms": -comparison.faster_ms,
        "told_apart": comparison.told_apart,
    }


def _training(request: DataRequest, search: DataSearch, answer: DataAnswer) -> tuple[HeldOut, dict[str, Any]]:
    """What the answer's best training says of the test images, and the record of that training."""
    from nas.training.preprocessing import preprocessing_for

    network, seed, teaching = answer.best.architecture, answer.best.best_seed, search.teaching
    trained = answer.best.trained[seed]
    data = images_for(teaching, network)
    found = on_test_images(network, trained, data)
    return found, {
        "data": request.data,
        "data_digest": data.digest,
        "classes": list(data.classes),
        "images": len(data.train),
        "all_images_of": list(search.all_images_of),
        "held_out": found.count,
        "correct": found.correct,
        "confusion": found.confusion.tolist(),
        "preprocessing": preprocessing_for(network.in_channels).as_json(),
        "recipe": teaching.recipe_for(trained.inherited).as_json(),
        "epochs": answer.epochs,
        "seed": seed,
        "branches": None,
        "teacher": None,
        "init": None if request.init is None else {"parent": request.init, "share": trained.inherited},
        "history": [dict(one) for one in trained.history],
    }


def _export(outcome: DataOutcome, request: DataRequest, found: HeldOut, progress: OnProgress) -> Path:
    """Put the answer's best training into the zoo; its card has the test accuracy of that very training."""
    from nas.zoo import export_architecture

    answer, network = outcome.answer, outcome.best.architecture
    return export_architecture(
        network,
        name=zoo_name(network, request.data, outcome.training),
        latency=outcome.best.latency,
        accuracy={**found.as_json(), "recipe": answer.recipe, "data": request.data},
        device=outcome.device,
        run=outcome.run,
        seed=outcome.training["seed"],
        weights={key: value.cpu().contiguous() for key, value in answer.best.module.state_dict().items()},
        training=outcome.training,
        formats=request.formats,
        progress=progress,
    )


def _goes_on(search: DataSearch, run: RunHandle, storage: str | None) -> str:
    words = ["nas", "search", *resume_words(run.id, storage)]
    return f"interrupted; {search.kept_text()}; go on with: {shlex.join(words)}"
