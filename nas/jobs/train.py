"""Training a network on a user's images, and putting it into the zoo."""

from __future__ import annotations

import hashlib
import json
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas import resources
from nas.data import Prepared, Split, open_data, prepare
from nas.errors import InputError, unknown_name
from nas.jobs.inherit import Source, check_source, inherit_from, open_source
from nas.jobs.training import TrainOutcome, TrainPlan, TrainRequest
from nas.progress import OnProgress, Step, silent
from nas.runs import RunStore, is_run_id, resume_words
from nas.runs.handle import RunHandle
from nas.space import Architecture, load_architecture
from nas.space.resolution import height_width
from nas.training import Recipe, load_recipe
from nas.training.processes import place_of_process
from nas.zoo import export_architecture, find_entry, load, training_of, zoo_folder
from nas.zoo.entry import read_entry
from nas.zoo.formats import check_formats

if TYPE_CHECKING:
    from torch import nn

    from nas.nets import GraphModule
    from nas.training.group import Group
    from nas.training.heldout import HeldOut
    from nas.training.inherit import Inheritance
    from nas.training.loop import Training

DRY_STEPS, SCORED = 8, 250
"""How many steps, and how many images that are looked at, a dry run is timed by."""

_TRAINING = ("data_digest", "images", "recipe", "epochs", "seed", "branches", "teacher", "init")
"""What tells one training of a network from another, in the record of a manifest."""


def train(
    architecture: str | Path | Architecture,
    *,
    data: str | Path | Prepared,
    recipe: str | Path | Recipe | None = None,
    epochs: int | None = None,
    init: str | Path | None = None,
    seed: int = 0,
    teacher: str | None = None,
    branches: int | None = None,
    all_images: bool = False,
    formats: Sequence[str] = ("onnx",),
    pixels: bool = False,
    resume: str | None = None,
    storage: str | None = None,
    progress: OnProgress = silent,
) -> TrainOutcome:
    """Train `architecture` (or the network of that name) on `data` by `recipe`, measure it on the held-out images, and
    export it to the zoo.

    Without a `recipe` it is `small`, and with `init` `fine-tune`. `data` is a folder, `.npz` or `.csv` file
    (docs/your-data.md), or prepared already; `init` is what weights are inherited from: a trained network of the zoo,
    or a checkpoint in the form of timm or torchvision (`nas.inherit`); `teacher` a trained network of the zoo with the
    same classes; with `all_images` the validation images are trained on as well; with `pixels` each of the `formats`
    also has a file that takes pixels and says probabilities; `resume` is the run of the same training that was stopped.
    A checkpoint is kept in the run's folder after each epoch and every three minutes. Raises `InputError` for what does
    not fit before anything is trained, `NasError` where the loss diverges or the disk is full.

    Where `torchrun` has started several processes they train one network together, and all get the outcome.
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
        all_images=all_images,
        formats=tuple(formats),
        pixels=pixels,
        resume=resume,
    )
    return run_train(request, storage=storage, progress=progress)


def run_train(request: TrainRequest, *, storage: str | None = None, progress: OnProgress = silent) -> TrainOutcome:
    """Train, measure, export and record the run in `storage` (by default the workspace's file); as `train`.

    Of several processes the first alone writes and tells `progress`.
    """
    from nas.training.checkpoint import FILE, write_checkpoint
    from nas.training.group import joined

    store = RunStore(url=storage)
    place = place_of_process()
    progress = progress if place.is_first else silent
    with joined(place) as group:
        made = group.in_turn(lambda: _make_or_resume(request, store, group, progress))
        training, question = made.training, made.question
        if not group.is_first:
            _train_to_the_end(training, lambda one: None, silent)
            _, found = _measured(made)
            return _outcome(made, found, run=group.text(), zoo=group.text())
        with store.start("train", command=_command(request, group.size), inputs=question, seed=request.seed) as run:
            path = run.folder / FILE
            write_checkpoint(path, training.state(question))
            run.add_artefact("checkpoint", path)
            try:
                _train_to_the_end(training, lambda one: write_checkpoint(path, one.state(question)), progress)
                outcome = _finished(made, request, run, progress)
            except KeyboardInterrupt as error:
                raise KeyboardInterrupt(_goes_on(request, run, storage, group.size)) from error
            group.text(outcome.run)
            group.text(outcome.zoo)
            return outcome


def plan_training(request: TrainRequest, *, progress: OnProgress = silent) -> TrainPlan:
    """What `run_train` would do, and how long it would take: some steps are timed, and nothing is written but decoded
    images."""
    from nas.training.group import joined

    with joined(place_of_process()) as group:
        made = group.in_turn(lambda: _make(request, group, progress))
        return _timed(made)


def _timed(made: _Made) -> TrainPlan:
    training, prepared = made.training, made.prepared
    each = training.time_steps(DRY_STEPS)
    part = _first(prepared.val, SCORED)
    began = time.perf_counter()
    if len(part):
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
    """A training that is ready to begin. `question` is what tells it from others, `source` what it inherits from."""

    architecture: Architecture
    prepared: Prepared
    data: str
    training: Training
    question: dict[str, Any]
    source: Source | None
    inheritance: Inheritance | None

    @property
    def all_images_of(self) -> set[str]:
        """The data sets whose validation images it learns from, or what it inherits from has (`check_unseen`)."""
        before = () if self.source is None else self.source.all_images_of
        own = () if len(self.prepared.val) or not self.prepared.contents else (self.prepared.contents,)
        return {*before, *own}


def _make_or_resume(request: TrainRequest, store: RunStore, group: Group, progress: OnProgress) -> _Made:
    """A training at its beginning, or where the run that the request names was stopped."""
    from nas.training.checkpoint import FILE, check_question, read_checkpoint

    check_formats(request.formats)
    before = _checkpoint_of(store, request.resume, FILE)
    made = _make(request, group, progress)
    if before is not None:
        checkpoint = read_checkpoint(before)
        check_question(before, replace(checkpoint, question=_unnamed(checkpoint.question)), _unnamed(made.question))
        made.training.restore(checkpoint)
    return made


def _unnamed(question: Mapping[str, Any]) -> dict[str, Any]:
    """`question` without the names of what has a digest: under another path the same images are the same."""
    return {
        key: value["digest"] if isinstance(value, Mapping) and "digest" in value else value
        for key, value in question.items()
    }


def _make(request: TrainRequest, group: Group, progress: OnProgress) -> _Made:
    """Read everything that the request names, data last since they take longest, and build the network."""
    network = request.network if isinstance(request.network, Architecture) else load_architecture(request.network)
    asked = request.recipe_or_default
    recipe = asked if isinstance(asked, Recipe) else load_recipe(asked)
    entry = None if request.teacher is None else find_entry(request.teacher)
    taught = None if entry is None else training_of(entry)
    source = _source(request)
    prepared, data = prepared_images(
        request.data, network, progress, validation=not request.all_images, shared=group.size > 1
    )
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
    inheritance = None if source is None else inherit_from(source, network, data=prepared, seed=request.seed)
    training = Training(
        build(network, seed=request.seed) if inheritance is None else inheritance.module,
        prepared,
        recipe,
        epochs=request.epochs,
        seed=request.seed,
        teacher=teacher,
        branches=request.branches,
        device="cuda" if torch.cuda.is_available() else "cpu",
        group=group,
    )
    question = {
        "network": {"name": network.name, "digest": network.digest},
        "data": {"path": data, "digest": prepared.digest},
        "recipe": recipe.as_json(),
        "epochs": training.epochs,
        "seed": request.seed,
        "branches": request.branches,
        "images": len(prepared.train),
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
        source=source,
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


def prepared_images(
    data: str | Path | Prepared,
    network: Architecture,
    progress: OnProgress,
    *,
    validation: bool = True,
    shared: bool = False,
) -> tuple[Prepared, str]:
    """The images at the network's size, and what they are called; without `validation` all of them train that are not
    held out; `shared` as in `prepare`."""
    if isinstance(data, Prepared):
        if len(data.val) and not validation:
            raise ValueError("images that are prepared have their splits; prepare them with validation=False")
        return data, data.digest[:16]
    size, channels = height_width(network.resolution), network.in_channels
    opened = open_data(data, progress=progress)
    prepared = prepare(
        opened, size=size, channels=channels, validation=validation, shared=shared, progress=progress
    )  # fmt: skip
    return prepared, str(data)


def _train_to_the_end(training: Training, keep: Callable[[Training], None], progress: OnProgress) -> None:
    from nas.training.group import LostProcessError
    from nas.training.loop import StoppedError
    from nas.training.stopping import asked_to_stop

    with asked_to_stop() as stop:
        try:
            training.run(keep, stop=stop, progress=progress)
        except LostProcessError:
            if not stop():
                raise
            # All were asked, and one that had not begun yet ended at once.
            raise StoppedError from None


def _measured(made: _Made) -> tuple[GraphModule, HeldOut]:
    """The trained network in training form, and what its inference form says of the held-out images."""
    module = made.training.result()
    return module, made.training.score(made.prepared.test, module.fuse())


def _finished(made: _Made, request: TrainRequest, run: RunHandle, progress: OnProgress) -> TrainOutcome:
    """Measure the trained network on the held-out images, export it, and record the result."""
    from nas.training.preprocessing import preprocessing_for

    training, prepared = made.training, made.prepared
    progress(Step(doing="measuring on held-out images"))
    module, found = _measured(made)
    record = {
        "data": made.data,
        "data_digest": prepared.digest,
        "classes": list(prepared.classes),
        "images": len(prepared.train),
        "all_images_of": sorted(made.all_images_of),
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
        name=zoo_name(made.architecture, made.data, record),
        accuracy={**found.as_json(), "recipe": training.recipe.name, "data": made.data},
        run=run.id,
        seed=request.seed,
        weights={name: value.cpu().contiguous() for name, value in module.state_dict().items()},
        training=record,
        pixels=request.pixels,
        formats=request.formats,
        progress=progress,
    )
    outcome = _outcome(made, found, run=run.id, zoo=str(folder), record=record)
    run.add_artefact("zoo", folder)
    run.finish(outcome.as_json())
    return outcome


def _outcome(
    made: _Made, found: HeldOut, *, run: str, zoo: str, record: Mapping[str, Any] | None = None
) -> TrainOutcome:
    training = made.training
    return TrainOutcome(
        run=run,
        architecture=made.architecture,
        data=made.data,
        recipe=training.recipe.name,
        epochs=training.epochs,
        held_out=found,
        seconds=training.seconds,
        images_per_s=training.images_per_s,
        zoo=zoo,
        training=record,
        inheritance=made.inheritance,
    )


def _command(request: TrainRequest, processes: int) -> str:
    """The command line that repeats it."""
    started = f"torchrun --standalone --nproc-per-node {processes} -m " if processes > 1 else ""
    return started + request.command()


def _goes_on(request: TrainRequest, run: RunHandle, storage: str | None, processes: int) -> str:
    """What is said of a training that was interrupted."""
    kept = "interrupted; a checkpoint is kept; "
    if not request.is_named:
        return f"{kept}the same call with resume={run.id!r} goes on"
    return f"{kept}go on with: {_command(request, processes)} {shlex.join(resume_words(run.id, storage))}"


def zoo_name(network: Architecture, data: str, record: Mapping[str, Any]) -> str:
    """The network's name and that of its data; joined by a digest where another training has left a network there.

    So the same training, by its `record`, replaces what it made before, and no other training is lost.
    """
    name = resources.plain_name(f"{network.name}-{Path(data).stem}")
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
