"""Training a network on a user's images, and putting it into the zoo."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas import resources
from nas.data import Prepared, Split, open_data, prepare
from nas.errors import InputError, unknown_name
from nas.jobs.display import notebook_html
from nas.jobs.inherit import Source, check_source, inherit_from, open_source
from nas.progress import OnProgress, Step, silent
from nas.runs import RunStore, is_run_id
from nas.runs.handle import RunHandle
from nas.space import Architecture, load_architecture
from nas.space.resolution import height_width
from nas.training import Recipe, load_recipe
from nas.zoo import export_architecture, find_entry, load, training_of, zoo_folder
from nas.zoo.entry import read_entry
from nas.zoo.formats import check_formats

if TYPE_CHECKING:
    from torch import nn

    from nas.training.heldout import HeldOut
    from nas.training.inherit import Inheritance
    from nas.training.loop import Training

TRAINING_SCHEMA = 1
"""The version of the document of how a network was trained."""

DRY_STEPS, SCORED = 8, 250
"""How many steps, and how many images that are looked at, a dry run is timed by."""

_TRAINING = ("data_digest", "recipe", "epochs", "seed", "branches", "teacher", "init")
"""What tells one training of a network from another, in the record of a manifest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainRequest:
    """What a user asks of `nas train`; fields as the command's options."""

    network: str | Path | Architecture
    data: str | Path | Prepared
    recipe: str | Path | Recipe = "small"
    epochs: int | None = None
    init: str | Path | None = None
    teacher: str | None = None
    seed: int = 0
    branches: int | None = None
    formats: tuple[str, ...] = ("onnx",)
    pixels: bool = False
    resume: str | None = None

    def command(self) -> str:
        """The command line that repeats it, as far as what it names has a name."""
        named = self.network.name if isinstance(self.network, Architecture) else str(self.network)
        data = self.data.digest[:16] if isinstance(self.data, Prepared) else str(self.data)
        recipe = self.recipe.name if isinstance(self.recipe, Recipe) else str(self.recipe)
        words = ["nas", "train", named, "--data", data, "--recipe", recipe]
        for option in ("epochs", "init", "teacher", "branches"):
            if getattr(self, option) is not None:
                words += [f"--{option}", str(getattr(self, option))]
        words += ["--seed", str(self.seed)]
        if self.formats != ("onnx",):
            words += ["--format", ",".join(self.formats)]
        if self.pixels:
            words.append("--pixels")
        return shlex.join(words)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainOutcome:
    """A trained network: its accuracy on the held-out images, and its folder in the zoo; `training` is the record of
    the zoo: classes, confusion matrix, recipe, epoch by epoch."""

    run: str
    architecture: Architecture
    data: str
    recipe: str
    epochs: int
    held_out: HeldOut
    seconds: float
    images_per_s: float
    zoo: str
    training: Mapping[str, Any]
    inheritance: Inheritance | None = None

    @property
    def accuracy(self) -> float:
        """The share of the held-out images that it is right on, in [0, 1]."""
        return self.held_out.accuracy

    def _repr_html_(self) -> str:
        return notebook_html(self.as_json())

    def as_json(self) -> dict[str, Any]:
        """The JSON of `nas train`."""
        return {
            "run": self.run,
            "name": self.architecture.name,
            "digest": self.architecture.digest,
            "data": self.data,
            "recipe": self.recipe,
            "epochs": self.epochs,
            "accuracy": self.held_out.as_json(),
            "seconds": self.seconds,
            "images_per_s": self.images_per_s,
            "zoo": self.zoo,
            "init": None if self.inheritance is None else self.inheritance.as_json(),
            "training": {"schema": TRAINING_SCHEMA, **self.training},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainPlan:
    """What a training would do, and how long it would take by some steps that were timed."""

    name: str
    digest: str
    data: str
    recipe: str
    classes: int
    images: Mapping[str, int]
    epochs: int
    batch: int
    steps: int
    images_per_s: float
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """The JSON of `nas train --dry-run`."""
        return {name: getattr(self, name) for name in TrainPlan.__slots__}


def train(
    architecture: str | Path | Architecture,
    *,
    data: str | Path | Prepared,
    recipe: str | Path | Recipe = "small",
    epochs: int | None = None,
    init: str | Path | None = None,
    seed: int = 0,
    teacher: str | None = None,
    branches: int | None = None,
    formats: Sequence[str] = ("onnx",),
    pixels: bool = False,
    resume: str | None = None,
    storage: str | None = None,
    progress: OnProgress = silent,
) -> TrainOutcome:
    """Train `architecture` (or the network of that name) on `data` by `recipe`, measure it on the held-out images, and
    export it to the zoo.

    `data` is a folder, `.npz` or `.csv` file (docs/your-data.md), or prepared already; `init` is
    what weights are inherited from: a trained network of the zoo, or a checkpoint in the form of timm or torchvision
    (`nas.inherit`); `teacher` a trained network of
    the zoo with the same classes; with `pixels` each of the `formats` also has a file that takes pixels and says
    probabilities; `resume` is the run of the same training that was stopped. A checkpoint is kept in the
    run's folder after each epoch and every three minutes. Raises `InputError` for what does not fit before anything is
    trained, `NasError` where the loss diverges or the disk is full.
    """
    request = TrainRequest(
        network=architecture,
        data=data,
        recipe=recipe,
        epochs=epochs,
        init=init,
        teacher=teacher,
        seed=seed,
        branches=branches,
        formats=tuple(formats),
        pixels=pixels,
        resume=resume,
    )
    return run_train(request, storage=storage, progress=progress)


def run_train(request: TrainRequest, *, storage: str | None = None, progress: OnProgress = silent) -> TrainOutcome:
    """Train, measure, export and record the run in `storage` (by default the workspace's file); as `train`."""
    from nas.training.checkpoint import FILE, check_question, read_checkpoint, write_checkpoint
    from nas.training.stopping import asked_to_stop

    check_formats(request.formats)
    store = RunStore(url=storage)
    before = _checkpoint_of(store, request.resume, FILE)
    made = _make(request, progress)
    training, question = made.training, made.question
    if before is not None:
        checkpoint = read_checkpoint(before)
        check_question(before, checkpoint, question)
        training.restore(checkpoint)
    with store.start("train", command=request.command(), inputs=question, seed=request.seed) as run:
        path = run.folder / FILE
        write_checkpoint(path, training.state(question))
        run.add_artefact("checkpoint", path)
        with asked_to_stop() as stop:
            training.run(lambda one: write_checkpoint(path, one.state(question)), stop=stop, progress=progress)
        return _finished(made, request, run, progress)


def plan_training(request: TrainRequest, *, progress: OnProgress = silent) -> TrainPlan:
    """What `run_train` would do, and how long it would take: some steps are timed, and nothing is written but decoded
    images."""
    made = _make(request, progress)
    training, prepared = made.training, made.prepared
    each = training.time_steps(DRY_STEPS)
    part = _first(prepared.val, SCORED)
    began = time.perf_counter()
    training.score(part)
    looked = (time.perf_counter() - began) / max(1, len(part)) * len(prepared.val)
    counts = {"train": len(prepared.train), "val": len(prepared.val), "test": len(prepared.test)}
    return TrainPlan(
        name=made.architecture.name,
        digest=made.architecture.digest,
        data=made.data,
        recipe=training.recipe.name,
        classes=len(prepared.classes),
        images=counts,
        epochs=training.epochs,
        batch=training.batches.batch,
        steps=training.schedule.steps,
        images_per_s=training.batches.batch / each,
        seconds=training.schedule.steps * each + training.epochs * looked,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Made:
    """A training that is ready to begin. `question` is what tells it from others."""

    architecture: Architecture
    prepared: Prepared
    data: str
    training: Training
    question: dict[str, Any]
    inheritance: Inheritance | None


def _make(request: TrainRequest, progress: OnProgress) -> _Made:
    """Read everything that the request names, data last since they take longest, and build the network."""
    network = request.network if isinstance(request.network, Architecture) else load_architecture(request.network)
    recipe = request.recipe if isinstance(request.recipe, Recipe) else load_recipe(request.recipe)
    entry = None if request.teacher is None else find_entry(request.teacher)
    taught = None if entry is None else training_of(entry)
    source = _source(request)
    prepared, data = _prepared(request.data, network, progress)
    if taught is not None and taught["classes"] != list(prepared.classes):
        raise InputError(
            f"a teacher must know the classes of the data in their order, but {request.teacher} knows others; train one"
            " on these data."
        )
    network = network.adapted(num_classes=len(prepared.classes))

    import torch

    from nas.nets import build
    from nas.training.loop import Training

    teacher: nn.Module | None = None if request.teacher is None else load(request.teacher).module.fuse()
    classes = tuple(prepared.classes)
    inheritance = None if source is None else inherit_from(source, network, classes=classes, seed=request.seed)
    training = Training(
        build(network, seed=request.seed) if inheritance is None else inheritance.module,
        prepared,
        recipe,
        epochs=request.epochs,
        seed=request.seed,
        teacher=teacher,
        branches=request.branches,
        device="cuda" if torch.cuda.is_available() else "cpu",
    )
    question = {
        "network": {"name": network.name, "digest": network.digest},
        "data": {"path": data, "digest": prepared.digest},
        "recipe": recipe.as_json(),
        "epochs": training.epochs,
        "seed": request.seed,
        "branches": request.branches,
        "teacher": None
        if entry is None
        else {"name": entry.name, "digest": entry.manifest["files"]["model.safetensors"]},
        "init": None if source is None else {"name": source.name, "digest": source.digest},
    }
    return _Made(
        architecture=network,
        prepared=prepared,
        data=data,
        training=training,
        question=question,
        inheritance=inheritance,
    )


def _source(request: TrainRequest) -> Source | None:
    """The weights to begin with. Raises `InputError` also where some of them would be set aside again."""
    if request.init is None:
        return None
    if request.branches is not None:
        raise InputError(
            "a training that inherits weights begins with all branches, but got --branches"
            f" {request.branches} with --init; give one of the two."
        )
    check_source(request.init)
    return open_source(request.init)


def _prepared(data: str | Path | Prepared, network: Architecture, progress: OnProgress) -> tuple[Prepared, str]:
    """The images at the network's size, and what they are called."""
    if isinstance(data, Prepared):
        return data, data.digest[:16]
    size, channels = height_width(network.resolution), network.in_channels
    return prepare(open_data(data, progress=progress), size=size, channels=channels, progress=progress), str(data)


def _finished(made: _Made, request: TrainRequest, run: RunHandle, progress: OnProgress) -> TrainOutcome:
    """Measure the trained network on the held-out images, export it, and record the result."""
    from nas.training.heldout import held_out
    from nas.training.loop import predictor
    from nas.training.preprocessing import preprocessing_for

    training, prepared = made.training, made.prepared
    module = training.result()
    progress(Step(doing="measuring on held-out images"))
    fused = module.fuse()
    found = held_out(predictor(fused, training.normalize, training.device), prepared.test, len(prepared.classes))
    record = {
        "data": made.data,
        "data_digest": prepared.digest,
        "classes": list(prepared.classes),
        "images": len(prepared.train),
        "held_out": found.count,
        "correct": found.correct,
        "confusion": found.confusion.tolist(),
        "preprocessing": preprocessing_for(made.architecture.in_channels).as_json(),
        "recipe": training.recipe.as_json(),
        "epochs": training.epochs,
        "seed": request.seed,
        "branches": request.branches,
        "teacher": request.teacher,
        "init": None if made.inheritance is None else made.inheritance.as_json(),
        "history": [one.as_json() for one in training.history],
    }
    folder = export_architecture(
        made.architecture,
        name=_zoo_name(made, record),
        accuracy={**found.as_json(), "recipe": training.recipe.name, "data": made.data},
        run=run.id,
        seed=request.seed,
        weights={name: value.cpu().contiguous() for name, value in module.state_dict().items()},
        training=record,
        pixels=request.pixels,
        formats=request.formats,
        progress=progress,
    )
    outcome = TrainOutcome(
        run=run.id,
        architecture=made.architecture,
        data=made.data,
        recipe=training.recipe.name,
        epochs=training.epochs,
        held_out=found,
        seconds=training.seconds,
        images_per_s=training.images_per_s,
        zoo=str(folder),
        training=record,
        inheritance=made.inheritance,
    )
    run.add_artefact("zoo", folder)
    run.finish(outcome.as_json())
    return outcome


def _zoo_name(made: _Made, record: Mapping[str, Any]) -> str:
    """The network's name and that of its data; joined by a digest where another training has left a network there.

    So the same training replaces what it made before, and no other training is lost.
    """
    text = f"{made.architecture.name}-{Path(made.data).stem}"
    name = re.sub(r"[^A-Za-z0-9._@+-]+", "-", text).replace("..", ".").strip("-.") or "network"
    folder = zoo_folder() / name
    try:
        there = read_entry(folder).manifest.get("training") or {} if folder.exists() else record
    except InputError:
        there = {}
    if all(there.get(key) == record[key] for key in _TRAINING):
        return name
    content = json.dumps({key: record[key] for key in _TRAINING}, sort_keys=True)
    return f"{name}-{hashlib.sha256(content.encode()).hexdigest()[:8]}"


def _checkpoint_of(store: RunStore, run_id: str | None, file: str) -> Path | None:
    """The checkpoint that the run `run_id` left. Raises `InputError` where there is none."""
    if run_id is None:
        return None
    if not is_run_id(run_id):
        raise unknown_name("run", run_id, [one.id for one in store.records(kind="train")])
    store.get(run_id)
    path = resources.runs_folder() / run_id / file
    if not path.is_file():
        raise InputError(
            f"run {run_id} must have left a checkpoint to go on from, but {path} is not there; start anew."
        )
    return path


def _first(split: Split, count: int) -> Split:
    return Split(images=split.images[:count], labels=split.labels[:count], names=split.names[:count])
