"""The loop: forward, loss, backward, step, in plain torch, on one device a process.

Images are channels last, which is 1.2 to 2 times as fast on processors. Everything random is a function of (seed,
epoch, step), so the state is weights, the optimiser's memory, and two counters.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.hooks import RemovableHandle

from nas.data.prepared import Prepared, Split
from nas.errors import InputError, NasError
from nas.nets import GraphModule
from nas.progress import OnProgress, Step, silent
from nas.training.augment import Batch
from nas.training.batches import Batches, generator
from nas.training.branches import use_all_branches, use_branches
from nas.training.checkpoint import Checkpoint, check_finite
from nas.training.feed import TORCH_DRAWS, Feed
from nas.training.group import ALONE, Group
from nas.training.heldout import HeldOut, Predict, held_out
from nas.training.losses import Loss, class_weights
from nas.training.memory import keep_freed_memory
from nas.training.optimizers import averaged, make_optimizer, optimizer_tensors, restore_optimizer, set_rates
from nas.training.preprocessing import Normalize, preprocessing_for
from nas.training.recipe import Recipe
from nas.training.schedule import Schedule

CHECK_EVERY = 20
"""Steps between two looks at the loss: on a GPU each of them waits for it."""

ALL_BRANCHES_FROM = 0.75
"""The share of the epochs after which a training that began with few branches goes on with all."""

_BEGINS, _DIVERGED = 100.0, 4.0
"""How many times the loss of guessing, and one more, the mean loss of an epoch may be: the first, any other."""


class StoppedError(KeyboardInterrupt):
    """The training was asked to stop, and kept a checkpoint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """A finished epoch: mean loss, last learning rate, accuracy on the validation images (None without any)."""

    number: int
    loss: float
    lr: float
    accuracy: float | None

    def as_json(self) -> dict[str, Any]:
        """{"number", "loss", "lr", "accuracy"}."""
        return {"number": self.number, "loss": self.loss, "lr": self.lr, "accuracy": self.accuracy}


class Training:
    """The training of `module` (in training form, of an architecture) on `data` by `recipe` for `epochs`.

    `teacher` gives logits for the same images and classes. `branches` lets re-parameterised layers begin with so many
    branches. Each process of `group` takes its part of every batch. Its batch norms see that part, as in the trainings
    that the recipes are of; their running statistics are the mean over all processes. Raises `InputError` for data
    whose images or classes are not the network's, and for a batch that is too small for its processes.
    """

    def __init__(
        self,
        module: GraphModule,
        data: Prepared,
        recipe: Recipe,
        *,
        epochs: int | None = None,
        seed: int = 0,
        teacher: nn.Module | None = None,
        branches: int | None = None,
        device: str = "cpu",
        group: Group = ALONE,
    ) -> None:
        _check_fit(module, data, recipe)
        self.recipe, self.data, self.seed, self.group = recipe, data, seed, group
        self.epochs = recipe.epochs if epochs is None else epochs
        self.device = torch.device(device)
        if self.device.type == "cpu":
            keep_freed_memory()
        self.module = module.to(self.device)
        _channels_last(self.module).eval()
        height, width = module.definition.input_shape[1:]
        self.batches = Batches(data.train, recipe.augment, size=(height, width), batch=recipe.batch, seed=seed)
        if self.batches.batch < 2 * group.size:
            raise InputError(
                f"each process must have two images of every batch or more, but {group.size} share"
                f" {self.batches.batch}; start fewer."
            )
        if self.batches.batch < recipe.batch:
            self.recipe = recipe = recipe.at_batch(self.batches.batch)
        self.schedule = Schedule(recipe=recipe, epochs=self.epochs, steps_per_epoch=self.batches.steps_per_epoch)
        weights = class_weights(data.train.labels, len(data.classes)).to(self.device) if recipe.balanced else None
        self.loss = Loss(recipe, weights)
        self.teacher = None if teacher is None else _channels_last(teacher.eval().to(self.device))
        self._branches = branches
        if branches is not None:
            use_branches(self.module, branches)
        *layers, head = self.module.children()
        self._frozen = nn.ModuleList(layers if recipe.backbone == 0 else ())
        self._frozen.requires_grad_(False)
        self.optimizer = make_optimizer(head, nn.ModuleList(layers), recipe)
        self.average = None if recipe.ema is None else averaged(self.module, recipe.ema)
        self._dropout = _dropout_before(head, recipe.dropout) if recipe.dropout else None
        self.normalize = Normalize(preprocessing_for(module.definition.input_shape[0]))
        self.feed = Feed(
            self.module,
            self.batches,
            self.schedule,
            self.normalize,
            seed=seed,
            device=self.device,
            part=group.part(self.batches.batch),
        )
        self.epoch, self.step, self.parts = 0, 0, 1
        self.history: list[Epoch] = []
        self.seconds = 0.0
        self._loss_sum = torch.zeros((), dtype=torch.float64, device=self.device)

    @property
    def steps_done(self) -> int:
        """All steps so far."""
        return self.epoch * self.batches.steps_per_epoch + self.step

    @property
    def is_done(self) -> bool:
        """Whether every epoch is finished."""
        return self.epoch >= self.epochs

    @property
    def images_per_s(self) -> float:
        """Training images a second so far; nan before the first step."""
        return self.steps_done * self.batches.batch / self.seconds if self.seconds else math.nan

    def train_step(self) -> None:
        """One step of the optimiser. Where memory does not suffice the batch is divided, and goes on in parts."""
        self._prepare()
        lr, decay = self.schedule.lr(self.steps_done), self.schedule.weight_decay(self.steps_done)
        set_rates(self.optimizer, lr=lr, weight_decay=decay)
        # What torch draws is for each image, so others for the images of another process.
        own = (self.group.place.rank,) if self.group.place.rank else ()
        with _drawing_from(generator(self.seed, self.epoch, self.step, TORCH_DRAWS, *own), self.device):
            form, batch = self.feed.batch(self.epoch, self.step)
            loss = self._backward_in_parts(form, batch)
        if self.group.size > 1:
            self._add_up(loss)
        if self.recipe.clip is not None:
            nn.utils.clip_grad_norm_(self.module.parameters(), self.recipe.clip)
        self.optimizer.step()
        if self.average is not None:
            self.average.update_parameters(self.module)
        self._loss_sum += loss
        self.step += 1
        if self.step % CHECK_EVERY == 0 or self.step == self.batches.steps_per_epoch:
            self._check_loss()

    def time_steps(self, count: int, clock: Callable[[], float] = time.perf_counter) -> float:
        """The seconds of a step: the mean of `count`, after one that is not counted. The training is of no use then."""
        began = clock()
        for number in range(count + 1):
            self.train_step()
            self.step %= self.batches.steps_per_epoch
            if number == 0:
                began = clock()
        return (clock() - began) / count

    def run(
        self,
        keep: Callable[[Training], None],
        *,
        every_s: float = 180.0,
        stop: Callable[[], bool] = lambda: False,
        progress: OnProgress = silent,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Train to the end. `keep` is called after every epoch, every `every_s` seconds of `clock`, and when `stop`
        says so, which then raises `StoppedError`. What holds no numbers is never kept.

        Raises `NasError` where the loss is no number or has grown beyond all bounds.
        """
        kept = began = clock()
        while not self.is_done:
            self.train_step()
            now = clock()
            self.seconds += now - began
            began = now
            ended = self.step == self.batches.steps_per_epoch
            if ended:
                self._end_epoch()
            due, asked = self.group.any(now - kept >= every_s, stop())
            if ended or due or asked:
                self._check_loss()
                keep(self)
                kept = clock()
                if self.group.any(stop())[0]:
                    raise StoppedError
            self._tell(progress)
            began = clock()

    def result(self) -> GraphModule:
        """The trained network: the average of the weights where there is one, else the last ones; in training form.

        With `norm_images` the statistics of its batch norms are those of so many training images, unaugmented.
        """
        if self._dropout is not None:
            self._dropout.remove()
        self.module.requires_grad_(True)
        module = self.module
        if self.average is not None:
            average = self.average.module
            assert isinstance(average, GraphModule)
            module = average
        if self.recipe.norm_images:
            self.reestimate_norms(module, self.recipe.norm_images)
        return module

    def reestimate_norms(self, module: GraphModule, images: int) -> None:
        """Give the batch norms of `module` the mean statistics of the first `images` of a drawn order of the training
        images, in batches (arXiv 1803.05407, section 3.2)."""
        order = generator(self.seed, self.epochs).permutation(len(self.data.train))[:images]
        chunks = np.array_split(order, max(1, len(order) // self.batches.batch))
        torch.optim.swa_utils.update_bn([self.feed.plain(chunk) for chunk in chunks], module)

    def score(self, split: Split, module: nn.Module | None = None) -> HeldOut:
        """How `module` does on `split`; by default the network as `result` would give it, but for norms taken anew."""
        if module is None:
            module = self.module if self.average is None else self.average.module
        part = self.group.part(len(split))
        own = split if self.group.size == 1 else _part(split, part)
        found = held_out(predictor(module, self.normalize, self.device), own, len(self.data.classes))
        if self.group.size == 1:
            return found
        said = np.zeros(len(split), np.int64)
        said[part] = found.said
        return replace(found, labels=split.labels.astype(np.int64), said=self.group.total(said))

    def state(self, question: dict[str, Any]) -> Checkpoint:
        """Everything that the next step depends on. Raises `NasError` where a weight is no number."""
        tensors = {f"model.{name}": value for name, value in self.module.state_dict().items()}
        if self.average is not None:
            tensors |= {f"average.{name}": value for name, value in self.average.state_dict().items()}
        tensors |= {f"optimizer.{name}": value for name, value in optimizer_tensors(self.optimizer).items()}
        tensors["loss_sum"] = self._loss_sum
        bad = check_finite(tensors)
        if bad is not None:
            raise self._diverged(f"{bad} is no number")
        document = {
            "epoch": self.epoch, "step": self.step, "parts": self.parts, "seconds": self.seconds,
            "history": [one.as_json() for one in self.history],
        }  # fmt: skip
        return Checkpoint(question=question, document=document, tensors=tensors)

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go on from `checkpoint`, of the same training. Raises `InputError` where it does not fit the network."""
        groups: dict[str, dict[str, Tensor]] = {"model": {}, "average": {}, "optimizer": {}, "loss_sum": {}}
        try:
            for name, value in checkpoint.tensors.items():
                group, _, rest = name.partition(".")
                groups[group][rest] = value
            self.module.load_state_dict(groups["model"])
            if self.average is not None:
                self.average.load_state_dict(groups["average"])
            restore_optimizer(self.optimizer, groups["optimizer"])
            self._loss_sum.copy_(groups["loss_sum"][""])
            document = checkpoint.document
            self.epoch, self.step, self.parts = (int(document[key]) for key in ("epoch", "step", "parts"))
            self.seconds = float(document["seconds"])
            self.history = [Epoch(**one) for one in document["history"]]
            self._wake_branches()  # no step may be left that would
        except (KeyError, TypeError, ValueError, RuntimeError, IndexError) as error:
            reason = " ".join(str(error).split())
            raise InputError(f"a checkpoint must fit its network, but: {reason}; start the training anew.") from error

    def _backward_in_parts(self, form: GraphModule, batch: Batch) -> Tensor:
        """Gradients of the batch's mean loss, which is returned, in as many parts as memory asks for."""
        while True:
            self.optimizer.zero_grad(set_to_none=True)
            total = torch.zeros((), dtype=torch.float64, device=self.device)
            try:
                for part in batch.parts(self.parts):
                    loss = self._loss(form, part)
                    share = len(part.labels) / self.batches.batch
                    torch.autograd.backward(loss * share if share < 1 else loss)
                    total += loss.detach() * share
                return total
            except (MemoryError, RuntimeError) as error:
                if not _is_out_of_memory(error) or len(batch.labels) < 4 * self.parts:
                    raise
                self.parts *= 2

    def _add_up(self, loss: Tensor) -> None:
        """Let gradients and `loss` be those of all processes, and running statistics their mean."""
        norms = [
            one for one in self.module.modules() if isinstance(one, nn.BatchNorm1d | nn.BatchNorm2d) and one.training
        ]
        statistics = [one for norm in norms for one in (norm.running_mean, norm.running_var) if one is not None]
        gradients = [one.grad for one in self.module.parameters() if one.grad is not None]
        self.group.add_up([loss, *gradients], statistics)

    def _loss(self, form: GraphModule, batch: Batch) -> Tensor:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            logits = form(batch.values)
        return self.loss(logits.float(), batch, self._taught(batch))

    def _taught(self, batch: Batch) -> Tensor | None:
        if self.teacher is None:
            return None
        values = batch.values
        if isinstance(self.teacher, GraphModule) and values.shape[2:] != self.teacher.definition.input_shape[1:]:
            size = self.teacher.definition.input_shape[1:]
            values = functional.interpolate(values, size, mode="bilinear", antialias=True)
        with torch.no_grad():
            taught: Tensor = self.teacher(values)
        return taught

    def _prepare(self) -> None:
        """Put the network in the mode of the present step."""
        if not self.module.training:
            self.module.train()
            self._frozen.eval()
        self._wake_branches()

    def _wake_branches(self) -> None:
        """Go on with all branches once the epochs with few of them are over."""
        if self._branches is not None and self.epoch >= ALL_BRANCHES_FROM * self.epochs:
            use_all_branches(self.module)
            if self.average is not None:
                use_all_branches(self.average)
            self._branches = None

    def _end_epoch(self) -> None:
        accuracy = self.score(self.data.val).accuracy if len(self.data.val) else None
        loss = self._loss_sum.item() / self.batches.steps_per_epoch
        lr = self.schedule.lr(self.steps_done - 1)
        self.history.append(Epoch(number=self.epoch + 1, loss=loss, lr=lr, accuracy=accuracy))
        self.epoch, self.step = self.epoch + 1, 0
        self._loss_sum.zero_()

    def _check_loss(self) -> None:
        mean = self._loss_sum.item() / max(1, self.step)
        if not math.isfinite(mean):
            raise self._diverged("it is no number")
        if mean > (_DIVERGED if self.epoch else _BEGINS) * (1 + math.log(len(self.data.classes))):
            raise self._diverged(f"its mean is {mean:.3g} in epoch {self.epoch + 1}")

    def _diverged(self, came: str) -> NasError:
        return NasError(
            f"the loss must fall, or stay near that of guessing, but {came} at step {self.steps_done} with a learning"
            f" rate of {self.schedule.lr(max(0, self.steps_done - 1)):.3g}; lower the recipe's learning rate."
        )

    def _tell(self, progress: OnProgress) -> None:
        notes = [f"epoch {min(self.epoch + 1, self.epochs)} of {self.epochs}"]
        if self.history:
            last = self.history[-1]
            notes.append(f"loss {last.loss:.3f}")
            if last.accuracy is not None:
                notes.append(f"held out {100 * last.accuracy:.1f} %")
        notes.append(f"{self.images_per_s:.0f} images/s")
        progress(Step(doing="training", done=self.steps_done, of=self.schedule.steps, note=", ".join(notes)))


def predictor(module: nn.Module, normalize: Normalize, device: torch.device | str = "cpu") -> Predict:
    """The classes that `module` gives pixels; it is put in eval mode."""
    module.eval()

    def predict(pixels: NDArray[np.uint8]) -> NDArray[np.int64]:
        with torch.inference_mode():
            found: NDArray[np.int64] = module(normalize(torch.from_numpy(pixels).to(device))).argmax(1).cpu().numpy()
        return found

    return predict


def _channels_last(module: nn.Module) -> nn.Module:
    """`module` itself, its kernels channels last in memory."""
    return nn.Module.to(module, memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def _dropout_before(head: nn.Module, rate: float) -> RemovableHandle:
    """Dropout of what the last layer with weights takes, while it trains."""
    classifier = [part for part in head.modules() if isinstance(part, nn.Conv2d | nn.Linear)][-1]

    def drop(layer: nn.Module, values: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(functional.dropout(one, rate, layer.training) for one in values)

    return classifier.register_forward_pre_hook(drop)


@contextlib.contextmanager
def _drawing_from(rng: np.random.Generator, device: torch.device) -> Iterator[None]:
    """Let torch's generators draw from a seed of `rng` inside the block; afterwards they are where they were."""
    seed, devices = int(rng.integers(2**63)), [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        # What torch.manual_seed does, without asking every kind of device that there might be.
        torch.default_generator.manual_seed(seed)
        if devices:
            torch.cuda.manual_seed(seed)
        yield


def _check_fit(module: GraphModule, data: Prepared, recipe: Recipe) -> None:
    channels, height, width = module.definition.input_shape
    for name, split in (("training", data.train), ("validation", data.val), ("test", data.test)):
        got = split.images.shape[1:]
        larger = name == "training" and got[0] >= height and got[1] >= width
        if len(split) and (got[2] != channels or not (larger or got[:2] == (height, width))):
            raise InputError(
                f"the {name} images must have the network's size {height}x{width}x{channels}, but have"
                f" {'x'.join(map(str, got))}; prepare the data for it."
            )
    if len(data.train) < 2:
        raise InputError(f"there must be two training images or more, but there are {len(data.train)}; add some.")
    if channels != 3 and recipe.augment.randaugment is not None:
        raise InputError(
            f"RandAugment changes colours, so images must have 3 channels, but have {channels}; leave it out of the"
            " recipe."
        )
    if module.definition.output_shape != (len(data.classes),):
        raise InputError(
            f"the network must have the {len(data.classes)} classes of the data, but has"
            f" {module.definition.output_shape[0]}; build it with num_classes."
        )


def _part(split: Split, places: slice) -> Split:
    return Split(images=split.images[places], labels=split.labels[places], names=split.names[places])


def _is_out_of_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "allocate memory" in str(error)
