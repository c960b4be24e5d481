"""`nas adapt` from names to files: load, shrink, export the answer, record the run."""

from __future__ import annotations

import hashlib
import json
import shlex
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.accuracy import load_accuracy
from nas.errors import InputError, NasError
from nas.evaluate import Limits
from nas.jobs.adapt import adapt
from nas.jobs.adaptation import Adaptation
from nas.jobs.inherit import Source, check_source, open_source
from nas.jobs.search_answer import with_zoo
from nas.jobs.search_run import SCHEMA, PublishedFigures, device_inputs, export_answer, model_inputs, option_words
from nas.jobs.train import prepared_images, zoo_name
from nas.latency import DeviceHome, LatencyModel, device_home, load_latency
from nas.progress import OnProgress, silent
from nas.resources import runs_folder
from nas.runs import RunHandle, RunStore
from nas.space import Architecture, load_architecture
from nas.training import load_recipe
from nas.zoo import export_architecture
from nas.zoo.formats import check_formats

if TYPE_CHECKING:
    from nas.data import Prepared
    from nas.jobs.adapt_rounds import Tuning
    from nas.jobs.adapt_trained import AdaptedWeights

FOLDER = "adaptations"
"""Where trainings of adaptations are kept, in the workspace's `runs/`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaptRequest:
    """What a user asks of `nas adapt`, by names; fields as the command's options, sizes in bytes."""

    network: str
    device: str
    target_ms: float | None = None
    accuracy: str = "imagenet"
    divisor: int = 8
    max_params: int | None = None
    max_macs: int | None = None
    max_size: int | None = None
    max_memory: int | None = None
    confidence: float | None = None
    max_novelty: float | None = 1.0
    formats: tuple[str, ...] = ("onnx",)
    init: str | None = None
    data: str | None = None
    recipe: str = "small"
    epochs: int | None = None
    short: float = 1.0
    step: float = 0.05
    seed: int = 0

    @property
    def limits(self) -> Limits:
        """What the answer must keep besides the latency."""
        return Limits(
            max_params=self.max_params,
            max_macs=self.max_macs,
            max_size_bytes=self.max_size,
            max_memory_bytes=self.max_memory,
            confidence=self.confidence,
            max_novelty=self.max_novelty,
        )

    def command(self) -> str:
        """The command line that repeats it."""
        words = ["nas", "adapt", self.network]
        if self.target_ms is not None:
            words += ["--target-latency", f"{self.target_ms:.12g}ms"]
        words += option_words(
            self, "device", "divisor", "max_params", "max_macs", "max_size", "max_memory", "confidence"
        )  # fmt: skip
        if self.data is None:
            words += option_words(self, "accuracy", "max_novelty")
        else:
            words += option_words(self, "init", "data", "recipe", "epochs", "short", "step", "seed")
        if self.formats != ("onnx",):
            words += ["--format", ",".join(self.formats)]
        return shlex.join(words)


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaptOutcome:
    """A finished adaptation with its files, and the run that holds it; `fault` as in `SearchOutcome`."""

    run: str
    seconds: float
    found: Adaptation
    fault: NasError | None = None

    def as_json(self) -> dict[str, Any]:
        """The JSON of an adaptation, as the contract has it."""
        return {"schema": SCHEMA, "run": self.run, **self.found.as_json(), "seconds": self.seconds}


def run_adapt(request: AdaptRequest, *, storage: str | None = None, progress: OnProgress = silent) -> AdaptOutcome:
    """Adapt, export the answer to the zoo, and record the run in `storage` (by default the workspace's file).

    With `data` the candidates are trained on them (`nas.jobs.adapt_trained`), and the answer is exported with its
    weights; what was trained before is read. Everything that the request names is checked before anything is written.
    """
    if (request.data is None) != (request.init is None):
        came = "--init alone" if request.data is None else "--data alone"
        raise InputError(
            f"an adaptation that trains needs images and weights to begin with, but got {came}; give both, or none of"
            " them to go by predicted accuracy."
        )
    limits = request.limits
    limits.aim(request.target_ms)
    check_formats(request.formats)
    network, home = load_architecture(request.network), device_home(request.device)
    latency = load_latency(home)
    if request.data is not None:
        return _run_on_data(request, network, home, latency, storage, progress)
    accuracy = load_accuracy(request.accuracy)
    inputs = {"network": {"name": network.name, "digest": network.digest}, **model_inputs(home, accuracy)}
    began = time.perf_counter()
    outcome: AdaptOutcome | None = None
    try:
        with RunStore(url=storage).start("adapt", command=request.command(), inputs=inputs, seed=0) as run:
            found = adapt(
                network,
                latency=latency,
                target_ms=request.target_ms,
                accuracy=accuracy,
                limits=limits,
                divisor=request.divisor,
                published=PublishedFigures(home),
                progress=progress,
            )
            outcome = AdaptOutcome(run=run.id, seconds=time.perf_counter() - began, found=found)
            folder = export_answer(found.answer, run.id, 0, formats=request.formats, progress=progress)
            found = replace(found, answer=with_zoo(found.answer, str(folder)))
            outcome = replace(outcome, found=found, seconds=time.perf_counter() - began)
            run.add_artefact("zoo", folder)
            run.finish(outcome.as_json())
    except NasError as error:
        if outcome is None:
            raise
        return replace(outcome, fault=error)
    return outcome


def _run_on_data(
    request: AdaptRequest,
    network: Architecture,
    home: DeviceHome,
    latency: LatencyModel,
    storage: str | None,
    progress: OnProgress,
) -> AdaptOutcome:
    """Adapt with trainings. They lie in a folder named after what they depend on, so the same request goes on."""
    from nas.jobs.adapt_rounds import Tuning
    from nas.jobs.adapt_trained import adapt_trained
    from nas.training.stopping import asked_to_stop

    assert request.data is not None and request.init is not None
    recipe = load_recipe(request.recipe)
    tuning = Tuning(
        recipe=recipe,
        epochs=recipe.epochs if request.epochs is None else request.epochs,
        short_epochs=request.short,
        step=request.step,
        seed=request.seed,
    )
    check_source(request.init)
    source = open_source(request.init)
    prepared, data = prepared_images(request.data, network, progress)
    network = network.adapted(num_classes=len(prepared.classes))
    began = time.perf_counter()
    outcome: AdaptOutcome | None = None
    inputs = {
        "network": {"name": network.name, "digest": network.digest},
        **device_inputs(home),
        "data": {"path": data, "digest": prepared.digest},
        "init": {"name": source.name, "digest": source.digest},
        "recipe": recipe.as_json(),
        "epochs": tuning.epochs,
        "short_epochs": tuning.short_epochs,
        "step": tuning.step,
    }
    try:
        with RunStore(url=storage).start("adapt", command=request.command(), inputs=inputs, seed=request.seed) as run:
            folder = runs_folder() / FOLDER / _key(network, prepared, source, tuning)
            run.add_artefact("trainings", folder)
            try:
                with asked_to_stop() as stop:
                    found = adapt_trained(
                        network,
                        latency=latency,
                        target_ms=request.target_ms,
                        data=prepared,
                        source=source,
                        tuning=tuning,
                        folder=folder,
                        called=data,
                        limits=request.limits,
                        divisor=request.divisor,
                        published=PublishedFigures(home),
                        stop=stop,
                        progress=progress,
                    )
            except KeyboardInterrupt as error:
                raise KeyboardInterrupt("interrupted; all trainings are kept; the same command goes on") from error
            outcome = AdaptOutcome(run=run.id, seconds=time.perf_counter() - began, found=found.adaptation)
            zoo = _export_trained(found, prepared, source, tuning, run, request.formats, progress)
            adaptation = found.adaptation
            adaptation = replace(adaptation, answer=with_zoo(adaptation.answer, str(zoo)))
            outcome = replace(outcome, found=adaptation, seconds=time.perf_counter() - began)
            run.add_artefact("zoo", zoo)
            run.finish(outcome.as_json())
    except NasError as error:
        if outcome is None:
            raise
        return replace(outcome, fault=error)
    return outcome


def _key(network: Architecture, prepared: Prepared, source: Source, tuning: Tuning) -> str:
    """What the trainings of an adaptation have in common, whatever its target and device."""
    question = {
        "network": network.digest,
        "data": prepared.digest,
        "source": source.digest,
        "recipe": tuning.recipe.as_json(),
        "short_epochs": tuning.short_epochs,
        "seed": tuning.seed,
    }
    return hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()[:16]


def _export_trained(
    found: AdaptedWeights,
    prepared: Prepared,
    source: Source,
    tuning: Tuning,
    run: RunHandle,
    formats: tuple[str, ...],
    progress: OnProgress,
) -> Path:
    """The folder of the answer in the zoo, with its weights."""
    from nas.training.preprocessing import preprocessing_for

    adaptation, best = found.adaptation, found.adaptation.best
    trained = adaptation.trained
    assert trained is not None
    cuts = [f"{one.layer} {one.before} to {one.after}" for one in adaptation.rounds]
    record = {
        "data": trained.data,
        "data_digest": prepared.digest,
        "classes": list(prepared.classes),
        "images": len(prepared.train),
        "all_images_of": list(source.all_images_of),
        "held_out": found.held_out.count,
        "correct": found.held_out.correct,
        "confusion": found.held_out.confusion.tolist(),
        "preprocessing": preprocessing_for(best.architecture.in_channels).as_json(),
        "recipe": tuning.recipe.as_json(),
        "epochs": tuning.epochs,
        "seed": tuning.seed,
        "branches": None,
        "teacher": None,
        "init": found.inheritance.as_json(),
        "adapted": {"from": adaptation.start.name, "cuts": cuts, "chain_epochs": trained.chain_epochs},
        "history": [dict(one) for one in found.ended.history],
    }
    return export_architecture(
        best.architecture,
        name=zoo_name(best.architecture, trained.data, record),
        latency=best.latency,
        accuracy=best.accuracy,
        device=adaptation.answer.device,
        run=run.id,
        seed=tuning.seed,
        weights={name: value.contiguous() for name, value in found.module.state_dict().items()},
        training=record,
        formats=formats,
        progress=progress,
    )
