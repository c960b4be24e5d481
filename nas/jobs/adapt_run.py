"""`nas adapt` from names to files: load, shrink, export the answer, record the run."""

from __future__ import annotations

import shlex
import time
from dataclasses import dataclass, replace
from typing import Any

from nas.accuracy import load_accuracy
from nas.errors import NasError
from nas.evaluate import Limits
from nas.jobs.adapt import Adaptation, adapt
from nas.jobs.search_answer import with_zoo
from nas.jobs.search_run import SCHEMA, PublishedFigures, export_answer, model_inputs, option_words
from nas.latency import device_home, load_latency
from nas.progress import OnProgress, silent
from nas.runs import RunStore
from nas.space import load_architecture
from nas.zoo.formats import check_formats


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
            self,
            "device", "accuracy", "divisor", "max_params", "max_macs", "max_size", "max_memory", "confidence",
            "max_novelty",
        )  # fmt: skip
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

    Everything that the request names is checked before anything is written.
    """
    limits = request.limits
    limits.aim(request.target_ms)
    check_formats(request.formats)
    network, home = load_architecture(request.network), device_home(request.device)
    latency, accuracy = load_latency(home), load_accuracy(request.accuracy)
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
