"""`nas search --evaluate`: from names to a search whose accuracies cost, its record, and the answer's files."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from nas.accuracy import AccuracyEstimate, load_accuracy
from nas.errors import InputError, NasError
from nas.evaluate import Limits, Models
from nas.files import sha256
from nas.jobs.network import Network, NetworkRecords
from nas.jobs.search_answer import in_zoo
from nas.jobs.search_run import SCHEMA, PublishedFigures, model_inputs, option_words, recorded_request
from nas.jobs.trials import Asking, Where, domain_of
from nas.jobs.trials_answer import TrialsAnswer, Tried
from nas.jobs.trials_json import trial_json
from nas.latency import device_home, load_latency
from nas.progress import OnProgress, silent
from nas.resources import plain_name
from nas.runs import RunHandle, RunStore, resume_words
from nas.space import load_space, space_paths
from nas.space.narrow import narrow
from nas.space.search_space import SearchSpace
from nas.strategies import Goal, Reward
from nas.trials.askers import check_asker
from nas.trials.evaluators import read_evaluator
from nas.trials.question import Question
from nas.zoo.formats import check_formats

KIND = "search"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialsRequest:
    """What a user asks of `nas search --evaluate`, by names; fields as the command's options, sizes in bytes, the time
    limit in seconds."""

    device: str
    target_ms: float
    evaluate: str
    space: str = "mobile"
    settings: tuple[str, ...] = ()
    accuracy: str = "imagenet"
    asker: str = "surrogate"
    trials: int = 30
    noiseless: bool = False
    reward: str = "hard"
    w: float | None = None
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
            "device", "evaluate", "space", "accuracy", "asker", "trials", "reward", "w", "seed", "max_params",
            "max_macs", "max_size", "max_memory", "confidence", "workers", "ray", "cpus", "gpus",
        )  # fmt: skip
        if self.time_limit is not None:
            words += ["--time-limit", f"{self.time_limit:.12g}s"]
        for setting in self.settings:
            words += ["--set", setting]
        if self.noiseless:
            words.append("--noiseless")
        if self.formats != ("onnx",):
            words += ["--format", ",".join(self.formats)]
        return shlex.join(words)

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> TrialsRequest:
        """The request that a run recorded (`asdict`)."""
        return recorded_request(cls, document)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialsOutcome:
    """A finished search: the answer, its networks' records, and the run that holds it. `fault` is what kept the answer
    from being exported or recorded."""

    run: str
    seconds: float
    device: str
    answer: TrialsAnswer
    best: Network
    front: tuple[Network, ...]
    fault: NasError | None = None

    def as_json(self) -> dict[str, Any]:
        """The JSON of a search with accuracy that costs, as the contract has it."""
        answer = self.answer
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
            "evaluator": answer.evaluator,
            "budget": answer.budget,
            "evaluated": len(answer.trials),
            "failed": answer.failed,
            "reused": answer.reused,
            "how_sure": answer.how_sure,
            "space_size": str(answer.space_size),
            "best": self.best.as_json(),
            "also": [],
            "gain": None,
            "front": [network.as_json() for network in self.front],
            "baselines": [],
            "trials": [trial_json(trial, answer.space) for trial in answer.trials],
            "seconds": self.seconds,
        }


def run_trials(
    request: TrialsRequest, *, study: str | None = None, storage: str | None = None, progress: OnProgress = silent
) -> TrialsOutcome:
    """Search, export the answer to the zoo, and record the run in `storage`, beside its trials.

    Everything that the request names is checked before a trial begins. `study` is the search to go on with, by default
    the one that was asked the same.
    """
    check_asker(request.asker)
    evaluator = read_evaluator(request.evaluate)
    space, home = load_space(request.space), device_home(request.device)
    if not isinstance(space, SearchSpace):
        raise InputError(
            f"a device has latencies of networks, but {space.name} is a space of codes; search it from Python, with a"
            " latency of its own."
        )
    space = narrow(space, request.settings)
    check_formats(request.formats)
    where = Where(
        workers=request.workers, ray=request.ray, cpus=request.cpus, gpus=request.gpus, time_limit=request.time_limit,
        storage=storage,
    )  # fmt: skip
    latency, accuracy = load_latency(home), load_accuracy(request.accuracy)
    # What is predicted of accuracies counts for nothing here, so nor does how far that reaches.
    limits = Limits(
        max_params=request.max_params, max_macs=request.max_macs, max_size_bytes=request.max_size,
        max_memory_bytes=request.max_memory, confidence=request.confidence, max_novelty=None, max_interval=None,
    )  # fmt: skip
    goal = Goal(target_ms=request.target_ms, reward=Reward.parse(request.reward, request.w))
    question = Question(
        domain=domain_of(space, latency, accuracy=accuracy, limits=limits, progress=progress),
        goal=goal,
        budget=request.trials,
        seed=request.seed,
        noisy=not request.noiseless,
    )
    asking = Asking(
        question, space=space, evaluator=evaluator, asker=request.asker, study=study, where=where, progress=progress
    )
    space_file = space_paths().get(request.space, Path(request.space))
    inputs = {
        "study": asking.study,
        "request": {**asdict(request), "evaluate": _absolute(request.evaluate)},
        "space": {"name": space.name, "sha256": sha256(space_file)},
        **model_inputs(home, accuracy),
    }
    began, outcome = time.perf_counter(), None
    try:
        with RunStore(url=storage).start(KIND, command=request.command(), inputs=inputs, seed=request.seed) as run:
            try:
                answer = asking.answer()
            except KeyboardInterrupt as error:
                raise KeyboardInterrupt(_goes_on(asking, run, storage)) from error
            records = _Records(Models(latency, accuracy, limits), goal, limits, PublishedFigures(home))
            best = records.of(answer.best)
            outcome = TrialsOutcome(
                run=run.id,
                seconds=time.perf_counter() - began,
                device=home.name,
                answer=answer,
                best=best,
                front=tuple(records.of(one) for one in answer.front),
            )
            folder = str(_export(outcome, request, progress))
            outcome = replace(
                outcome,
                best=replace(best, zoo=folder),
                front=in_zoo(outcome.front, best, folder),
                seconds=time.perf_counter() - began,
            )
            run.add_artefact("zoo", Path(folder))
            run.finish(outcome.as_json())
    except NasError as error:
        if outcome is None:
            raise
        return replace(outcome, fault=error)
    return outcome


class _Records:
    """Makes records of networks that were tried: predicted figures, with the measured accuracy."""

    def __init__(self, models: Models, goal: Goal, limits: Limits, published: PublishedFigures) -> None:
        self._goal = goal
        self._predicted = NetworkRecords(
            models=models, known=[], aim=limits.aim(goal.target_ms), reward=goal.reward, published=published
        )  # fmt: skip

    def of(self, tried: Tried) -> Network:
        """The record of one network."""
        assert tried.architecture is not None
        accuracy = AccuracyEstimate(
            mean=tried.accuracy, low=tried.low, high=tried.high, recipe="the evaluator's", source="measured", data=""
        )
        (predicted,) = self._predicted.detailed([tried.architecture])
        return replace(predicted, accuracy=accuracy, reward=tried.reward)


def _export(outcome: TrialsOutcome, request: TrialsRequest, progress: OnProgress) -> Path:
    from nas.zoo import export_architecture

    best = outcome.best
    return export_architecture(
        best.architecture, name=plain_name(best.name), latency=best.latency, accuracy=best.accuracy,
        device=outcome.device, run=outcome.run, seed=request.seed, formats=request.formats, progress=progress,
    )  # fmt: skip


def _absolute(evaluate: str) -> str:
    """A reference that is the same from any folder: that of a file."""
    module, _, name = evaluate.rpartition(":")
    return f"{Path(module).resolve()}:{name}" if module.endswith(".py") else evaluate


def _goes_on(asking: Asking, run: RunHandle, storage: str | None) -> str:
    words = ["nas", "search", *resume_words(run.id, storage)]
    return f"interrupted; {asking.kept_text()}; go on with: {shlex.join(words)}"
