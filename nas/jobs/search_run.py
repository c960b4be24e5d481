"""`nas search` from names to files: load, search, export the answer, record the run."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.accuracy import PriorModel, load_accuracy
from nas.errors import InputError, NasError
from nas.evaluate import Limits
from nas.files import sha256
from nas.jobs.search import Published, SearchAnswer, search, strategy_for, with_zoo
from nas.latency import DeviceHome, LatencyModel, device_home, load_latency
from nas.latency.load import published_index
from nas.progress import OnProgress, Step, silent
from nas.runs import RunStore
from nas.space import Architecture, list_known, load_space, space_paths
from nas.space.narrow import narrow
from nas.space.search_space import SearchSpace
from nas.strategies import Reward
from nas.zoo.formats import check_formats

if TYPE_CHECKING:
    from nas.jobs.search_verify import Verification


SCHEMA = 2
"""The version of the document of a search."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchRequest:
    """What a user asks of `nas search`, by names; fields as the command's options."""

    target_ms: float
    device: str
    space: str = "mobile"
    settings: tuple[str, ...] = ()
    accuracy: str = "imagenet"
    strategy: str | None = None
    reward: str = "soft"
    w: float | None = None
    seed: int = 0
    max_params: int | None = None
    max_macs: int | None = None
    confidence: float | None = None
    max_novelty: float | None = 1.0
    max_interval: float | None = 1.3
    covered_only: bool = False
    simple: bool = False
    verify: bool = False
    formats: tuple[str, ...] = ("onnx",)

    def command(self) -> str:
        """The command line that repeats the search."""
        words = ["nas", "search", "--target-latency", f"{self.target_ms:.12g}ms"]
        for name in (
            "device", "space", "accuracy", "strategy", "reward", "w", "seed", "max_params", "max_macs", "confidence",
            "max_novelty",
        ):  # fmt: skip
            value = getattr(self, name)
            if value is not None:
                words += [f"--{name.replace('_', '-')}", str(value)]
        words += ["--max-interval", "none" if self.max_interval is None else f"{self.max_interval:g}"]
        for setting in self.settings:
            words += ["--set", setting]
        for name in ("covered_only", "simple", "verify"):
            if getattr(self, name):
                words.append(f"--{name.replace('_', '-')}")
        if self.formats != ("onnx",):
            words += ["--format", ",".join(self.formats)]
        return shlex.join(words)


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchOutcome:
    """A finished search: the answer with its files, and the run that holds it.

    `fault` is what kept the answer from being exported or recorded: an answer is not lost for that.
    """

    run: str
    seconds: float
    answer: SearchAnswer
    verification: Verification | None = None
    fault: NasError | None = None

    def as_json(self) -> dict[str, Any]:
        """The JSON of a search, as the contract has it."""
        verified = {"verification": self.verification.as_json()} if self.verification else {}
        return {"schema": SCHEMA, "run": self.run, **self.answer.as_json(), **verified, "seconds": self.seconds}


def run_search(request: SearchRequest, *, storage: str | None = None, progress: OnProgress = silent) -> SearchOutcome:
    """Search, export the answer to the zoo, and record the run in `storage` (a URL; by default the workspace's file).

    Everything that the request names is checked before anything is written; a database or a disk that takes no record
    is an error before the search begins.
    """
    space = load_space(request.space)
    if not isinstance(space, SearchSpace):
        raise InputError(f"a search by latency needs a space of networks, but {space.name} is a space of codes.")
    space, home = narrow(space, request.settings), device_home(request.device)
    strategy = strategy_for(space, request.strategy)
    check_formats(request.formats)
    if request.verify:  # what fits tables takes a second to import
        from nas.jobs.search_verify import check_reach, verified_search

        check_reach(home)
    latency, accuracy = load_latency(home), load_accuracy(request.accuracy)
    reward = Reward.parse(request.reward, request.w)
    limits = Limits(
        max_params=request.max_params,
        max_macs=request.max_macs,
        confidence=request.confidence,
        max_novelty=request.max_novelty,
        max_interval=request.max_interval,
    )
    inputs = _inputs(request, home, space, accuracy)
    began = time.perf_counter()
    outcome: SearchOutcome | None = None
    try:
        with RunStore(url=storage).start("search", command=request.command(), inputs=inputs, seed=request.seed) as run:
            published = _Published(home)

            def searched(model: LatencyModel) -> SearchAnswer:
                return search(
                    space,
                    latency=model,
                    accuracy=accuracy,
                    target_ms=request.target_ms,
                    reward=reward,
                    seed=request.seed,
                    strategy=strategy,
                    limits=limits,
                    published=published,
                    covered_only=request.covered_only,
                    simple=request.simple,
                    progress=progress,
                )

            verification = None
            if request.verify:
                answer, verification = verified_search(
                    home, latency, searched, progress=lambda doing: progress(Step(doing=doing))
                )
            else:
                answer = searched(latency)
            seconds = time.perf_counter() - began
            outcome = SearchOutcome(run=run.id, seconds=seconds, answer=answer, verification=verification)
            folder = _export(answer, run.id, request, progress)
            seconds = time.perf_counter() - began
            outcome = replace(outcome, answer=with_zoo(answer, str(folder)), seconds=seconds)
            run.add_artefact("zoo", folder)
            run.finish(outcome.as_json())
    except NasError as error:
        if outcome is None:
            raise
        return replace(outcome, fault=error)
    return outcome


def _export(answer: SearchAnswer, run: str, request: SearchRequest, progress: OnProgress) -> Path:
    from nas.zoo import export_architecture

    best = answer.best
    return export_architecture(
        best.architecture,
        name=best.name,
        latency=best.latency,
        accuracy=best.accuracy,
        device=answer.device,
        run=run,
        seed=request.seed,
        formats=request.formats,
        progress=progress,
    )


def _inputs(request: SearchRequest, home: DeviceHome, space: SearchSpace, accuracy: PriorModel) -> dict[str, Any]:
    """What the search reads, with checksums: the space, the device's files, the predictor's."""
    files = [path for path in sorted(home.folder.iterdir()) if path.is_file()]
    device = {path.name: sha256(path) for path in files}
    manifest: Mapping[str, Any] = accuracy.manifest
    return {
        "space": {"name": space.name, "sha256": sha256(space_paths().get(request.space, Path(request.space)))},
        "device": {"name": home.name, "sha256": device},
        "accuracy": {"name": accuracy.name, "sha256": dict(manifest["sha256"])},
    }


class _Published:
    """What others printed of known networks: top-1 from the seeds, latency from the device's published rows."""

    def __init__(self, home: DeviceHome) -> None:
        self._device = home.name
        self._index = published_index(home)
        self._known = {known.architecture.digest: known for known in list_known()}

    def __call__(self, network: Architecture) -> Published | None:
        known = self._known.get(network.digest)
        printed = known.published if known else {}
        rows = self._index.find(network.graph().operators())
        top1 = printed.get("top1")
        if top1 is None and not rows:
            return None
        sources = [str(printed["source"])] if top1 is not None else []
        latency_ms = None
        if rows:
            # The most precisely printed figure; of equally precise ones the median.
            finest = min(row.rounding_ms for row in rows)
            exact = sorted((row for row in rows if row.rounding_ms == finest), key=lambda row: row.latency_ms)
            chosen = exact[(len(exact) - 1) // 2]
            latency_ms = chosen.latency_ms
            sources.append(f"{chosen.source} ({self._device})")
        fraction = None if top1 is None else float(top1) / 100
        return Published(top1=fraction, latency_ms=latency_ms, source="; ".join(sources))
