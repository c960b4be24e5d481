"""`nas search` from names to files: load, search, export the answer, record the run."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from nas.accuracy import PriorModel, load_accuracy
from nas.errors import InputError, NasError, TargetError
from nas.evaluate import Limits
from nas.files import sha256
from nas.jobs.network import Published
from nas.jobs.search import ALIKE, STARTS, strategy_for
from nas.jobs.search_answer import SearchAnswer, with_zoo
from nas.jobs.searches import Searches
from nas.latency import DeviceHome, LatencyModel, device_home, load_latency
from nas.latency.load import published_index
from nas.progress import OnProgress, Step, silent
from nas.resources import plain_name, runs_folder
from nas.runs import RunHandle, RunStore
from nas.space import Architecture, list_known, load_architecture, load_space, space_paths
from nas.space.narrow import narrow
from nas.space.search_space import SearchSpace
from nas.strategies import Reward
from nas.zoo.formats import check_formats

if TYPE_CHECKING:
    from nas.jobs.search_verify import Verification

Request = TypeVar("Request")


SCHEMA = 2
"""The version of the document of a search."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchRequest:
    """What a user asks of `nas search`, by names; fields as the command's options, sizes in bytes."""

    device: str
    target_ms: float | None = None
    targets_ms: tuple[float, ...] = ()
    also: tuple[tuple[str, float], ...] = ()
    space: str = "mobile"
    settings: tuple[str, ...] = ()
    start: tuple[str, ...] = ()
    accuracy: str = "imagenet"
    strategy: str | None = None
    reward: str = "hard"
    w: float | None = None
    seed: int = 0
    max_params: int | None = None
    max_macs: int | None = None
    max_size: int | None = None
    max_memory: int | None = None
    confidence: float | None = None
    max_novelty: float | None = 1.0
    max_interval: float | None = 1.3
    covered_only: bool = False
    no_shrink: bool = False
    simple: bool = False
    verify: bool = False
    now: bool = False
    formats: tuple[str, ...] = ("onnx",)

    def command(self) -> str:
        """The command line that repeats the search."""
        words = ["nas", "search"]
        if self.target_ms is not None:
            words += ["--target-latency", f"{self.target_ms:.12g}ms"]
        if self.targets_ms:
            words += ["--targets", ",".join(f"{target_ms:.12g}ms" for target_ms in self.targets_ms)]
        words += option_words(
            self,
            "device", "space", "accuracy", "strategy", "reward", "w", "seed", "max_params", "max_macs", "max_size",
            "max_memory", "confidence", "max_novelty",
        )  # fmt: skip
        words += ["--max-interval", "none" if self.max_interval is None else f"{self.max_interval:g}"]
        for setting in self.settings:
            words += ["--set", setting]
        for device, target_ms in self.also:
            words += ["--also", f"{device}:{target_ms:.12g}ms"]
        for reference in self.start:
            words += ["--start", reference]
        for name in ("covered_only", "no_shrink", "simple", "verify", "now"):
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


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetsOutcome:
    """A finished search for several targets: the answers with their files, and the seconds that each took. `fault` says
    which targets cannot be met, or what kept answers from being exported or recorded."""

    run: str
    seconds: float
    answers: tuple[SearchAnswer, ...]
    answer_seconds: tuple[float, ...]
    fault: NasError | None = None

    def as_json(self) -> dict[str, Any]:
        """The JSON of a search for several targets, as the contract has it."""
        answers = [
            {"schema": SCHEMA, "run": self.run, **answer.as_json(), "seconds": seconds}
            for answer, seconds in zip(self.answers, self.answer_seconds, strict=True)
        ]
        return {"schema": SCHEMA, "run": self.run, "answers": answers, "seconds": self.seconds}


def run_search(
    request: SearchRequest, *, storage: str | None = None, progress: OnProgress = silent
) -> SearchOutcome | TargetsOutcome:
    """Search, export the answer to the zoo, and record the run in `storage` (a URL; by default the workspace's file).

    Everything that the request names is checked before anything is written; a database or a disk that takes no record
    is an error before the search begins.
    """
    space = load_space(request.space)
    if not isinstance(space, SearchSpace):
        raise InputError(f"a search by latency needs a space of networks, but {space.name} is a space of codes.")
    space, home = narrow(space, request.settings), device_home(request.device)
    others = [(device_home(device), target_ms) for device, target_ms in request.also]
    strategy = strategy_for(space, request.strategy)
    check_formats(request.formats)
    if request.verify:  # what fits tables takes a second to import
        from nas.jobs.search_verify import check_reach, verified_search

        if request.target_ms is None:
            raise InputError("--verify holds an answer's time to a target, but there is none; add --target-latency.")
        check_reach(home)
        if request.now:
            raise InputError("--verify holds times to the table's speed, but came with --now; give one of the two.")
    latency, accuracy = load_latency(home), load_accuracy(request.accuracy)
    also = [(load_latency(other), target_ms) for other, target_ms in others]
    start_from = [load_architecture(reference) for reference in request.start]
    reward = Reward.parse(request.reward, request.w)
    limits = Limits(
        max_params=request.max_params,
        max_macs=request.max_macs,
        max_size_bytes=request.max_size,
        max_memory_bytes=request.max_memory,
        confidence=request.confidence,
        max_novelty=request.max_novelty,
        max_interval=request.max_interval,
    )
    if request.targets_ms and (request.target_ms is not None or request.verify):
        other = "--verify" if request.verify else "--target-latency"
        raise InputError(f"--targets asks for several answers, but came with {other}; give one of the two.")
    for target_ms in request.targets_ms or (request.target_ms,):
        limits.aim(target_ms)  # a question without one is refused before anything is written
    inputs = _inputs(request, [home, *(other for other, _ in others)], space, accuracy)
    began = time.perf_counter()
    outcome: SearchOutcome | TargetsOutcome | None = None
    notes: tuple[str, ...] = ()
    if request.now:
        from nas.jobs.device_check import model_now

        latency, now = model_now(home, progress=progress)
        notes = (
            f"Latencies are at the speed that {home.name} has now: {now.likely[0]:.3f} times as long as by its table.",
        )  # fmt: skip
    try:
        with RunStore(url=storage).start("search", command=request.command(), inputs=inputs, seed=request.seed) as run:
            published = PublishedFigures(home)

            def searches(model: LatencyModel) -> Searches:
                return Searches(
                    space,
                    latency=model,
                    accuracy=accuracy,
                    also=also,
                    reward=reward,
                    seed=request.seed,
                    strategy=strategy,
                    limits=limits,
                    published=published,
                    starts=0 if request.no_shrink else STARTS,
                    start_from=start_from,
                    covered_only=request.covered_only,
                    simple=request.simple,
                    alike=ALIKE,
                    progress=progress,
                    kept=runs_folder() / "compiled",
                )

            def searched(model: LatencyModel) -> SearchAnswer:
                found = searches(model).answer(request.target_ms)
                return replace(found, notes=(*found.notes, *notes))

            if request.targets_ms:
                outcome, fault = _several(request, searches(latency), run, notes, progress)
                if fault is not None:
                    raise fault
                run.finish(outcome.as_json())
                return outcome

            verification = None
            if request.verify:
                answer, verification = verified_search(
                    home, latency, searched, progress=lambda doing: progress(Step(doing=doing))
                )
            else:
                answer = searched(latency)
            seconds = time.perf_counter() - began
            outcome = SearchOutcome(run=run.id, seconds=seconds, answer=answer, verification=verification)
            folder = export_answer(answer, run.id, request.seed, formats=request.formats, progress=progress)
            seconds = time.perf_counter() - began
            outcome = replace(outcome, answer=with_zoo(answer, str(folder)), seconds=seconds)
            run.add_artefact("zoo", folder)
            run.finish(outcome.as_json())
    except NasError as error:
        if outcome is None:
            raise
        return replace(outcome, fault=NasError(f"{outcome.fault} {error}") if outcome.fault else error)
    return outcome


def _several(
    request: SearchRequest, searches: Searches, run: RunHandle, notes: tuple[str, ...], progress: OnProgress
) -> tuple[TargetsOutcome, NasError | None]:
    """The answers for all targets that can be met, exported; and what kept the first of them from that."""
    answers: list[SearchAnswer] = []
    unmet: list[str] = []
    took: list[float] = []
    fault: NasError | None = None
    began = time.perf_counter()
    for target_ms in request.targets_ms:
        start = time.perf_counter()
        try:
            answer = searches.answer(target_ms)
        except TargetError as error:
            unmet.append(str(error))
            continue
        answer = replace(answer, notes=(*answer.notes, *notes))
        try:
            folder = export_answer(answer, run.id, request.seed, formats=request.formats, progress=progress)
            run.add_artefact(f"zoo-{target_ms:g}ms", folder)
            answer = with_zoo(answer, str(folder))
        except NasError as error:
            fault = fault or error
        answers.append(answer)
        took.append(time.perf_counter() - start)
    if not answers:
        raise TargetError(" ".join(unmet))
    return TargetsOutcome(
        run=run.id,
        seconds=time.perf_counter() - began,
        answers=tuple(answers),
        answer_seconds=tuple(took),
        fault=TargetError(" ".join(unmet)) if unmet else None,
    ), fault


def option_words(request: object, *names: str) -> list[str]:
    """The options of a command line by which fields of a request are given, in this order; none for what is None."""
    words = []
    for name in names:
        value = getattr(request, name)
        if value is not None:
            value = f"{value}B" if name in ("max_size", "max_memory") else value
            words += [f"--{name.replace('_', '-')}", str(value)]
    return words


def recorded_request(kind: type[Request], document: Mapping[str, Any]) -> Request:
    """The request of a `kind` of record that a run holds (`asdict`, through JSON); what the record does not know is
    left out."""
    known = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    values = {
        key: tuple(value) if isinstance(value, list) else value for key, value in document.items() if key in known
    }
    return kind(**values)


def export_answer(answer: SearchAnswer, run: str, seed: int, *, formats: Sequence[str], progress: OnProgress) -> Path:
    """The folder of the zoo that the answer's network was exported to."""
    from nas.zoo import export_architecture

    best = answer.best
    return export_architecture(
        best.architecture,
        name=plain_name(best.name),
        latency=best.latency,
        accuracy=best.accuracy,
        device=answer.device,
        run=run,
        seed=seed,
        formats=formats,
        progress=progress,
    )


def _inputs(
    request: SearchRequest, homes: Sequence[DeviceHome], space: SearchSpace, accuracy: PriorModel
) -> dict[str, Any]:
    """What the search reads, with checksums: the space, the files of the first device and of further ones, the
    predictor's."""
    space_file = space_paths().get(request.space, Path(request.space))
    also = [device_inputs(home) for home in homes[1:]]
    return {
        "space": {"name": space.name, "sha256": sha256(space_file)},
        **model_inputs(homes[0], accuracy),
        **({"also": also} if also else {}),
    }


def device_inputs(home: DeviceHome) -> dict[str, Any]:
    """The files of a device, with checksums."""
    files = [path for path in sorted(home.folder.iterdir()) if path.is_file()]
    return {"name": home.name, "sha256": {path.name: sha256(path) for path in files}}


def model_inputs(home: DeviceHome, accuracy: PriorModel) -> dict[str, Any]:
    """The files of a device and of a predictor, with checksums."""
    manifest: Mapping[str, Any] = accuracy.manifest
    return {
        "device": device_inputs(home),
        "accuracy": {"name": accuracy.name, "sha256": dict(manifest["sha256"])},
    }


class PublishedFigures:
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
