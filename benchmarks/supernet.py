"""Is a super-network worth its time? An experiment with a kill criterion. Writes supernet.md.

    python -m benchmarks.supernet [--networks 30] [--epochs 24] [--device local] [--target 0.15ms]
    python -m benchmarks.supernet --quick

The networks are those of `benchmarks.own_data ranking`, in its store of trainings; what is not trained there yet is.
All networks share their weights along channel groups: of each tensor a network has the slice that it would inherit from
the largest network of its kinds of block, first channels first. A step trains four of them on one batch by the sandwich
rule (Yu et al., arXiv 1903.05134): the largest and the smallest form of a drawn network, the network itself, and
another one; gradients add up, and all but the largest learn from the largest one's logits, in place. Before a network
is judged its batch norms are taken anew. It has as much CPU time as the two-epoch rung of all networks takes, its own
judging included.

It stays only if it ranks the networks better than that rung does, told apart in pairs. The training keeps a checkpoint
each minute in runs/benchmarks, so it may be stopped and started again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from benchmarks.environment import environment_text
from benchmarks.own_data import asked, bench_of
from benchmarks.own_data_band import Band, over_short, trained_band
from nas.files import write_bytes
from nas.jobs.data_full import images_for
from nas.nets import GraphModule, build
from nas.space import Architecture
from nas.space.encode import encode
from nas.space.search_space import SearchSpace
from nas.training.batches import generator
from nas.training.branches import use_branches
from nas.training.checkpoint import Checkpoint, check_question, read_checkpoint, write_checkpoint
from nas.training.compare import rank_correlation
from nas.training.heldout import held_out
from nas.training.inherit import inherit_weights
from nas.training.loop import Training, predictor
from nas.training.optimizers import make_optimizer, optimizer_tensors, restore_optimizer, set_rates

REPORT = Path(__file__).with_suffix(".md")
SIZES = ("depth", "width", "kernel", "expansion")
"""Genes that say how large a network is; its other genes say what it is made of."""

FIRST_ID = 2**12
"""Where a weight's number is told by its value; initial values lie far below."""

NORM_IMAGES = 1000
CHECKPOINT_S, TIMED = 60.0, 3


class _FirstChannels:
    """What `inherit_weights` draws importances from: all alike, so the first channels are kept."""

    def random(self, count: int) -> NDArray[np.float64]:
        return np.zeros(count)


_TEXT = """\
# A super-network, and whether it is worth its time

{environment}

{networks} networks of one band of latencies share weights. The rung of {short} epochs takes {rung_s:.0f} s of CPU for
all of them. The super-network was trained for {trained_s:.0f} s ({epochs} epochs, four networks a step) and judged in
{judged_s:.0f} s; working out its slices took {prepared_s:.0f} s, which are not counted.

Against the accuracy after all epochs the rung ranks with Spearman {spearman_short:.2f}, the super-network with
{spearman:.2f}: {told}. Intervals are central 90 %.

**{verdict}**
"""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class View:
    """A network in the super-network: `module` without weights of its own; for each of its weights the shared tensor
    and the places there, or None where it is the whole of a tensor that nobody shares."""

    module: GraphModule
    places: Mapping[str, tuple[str, Tensor | None]]


class Shared(nn.Module):
    """The shared weights, and views of them."""

    def __init__(self) -> None:
        super().__init__()
        self.bank = nn.ParameterDict()
        self._views: dict[str, View] = {}

    def view(self, network: Architecture, largest: Architecture) -> View:
        """The view of `network`, whose weights are slices of those of `largest`."""
        if network.digest not in self._views:
            self._views[network.digest] = self._made(network, largest)
        return self._views[network.digest]

    def weights(self, view: View) -> dict[str, Tensor]:
        """The weights of a view, by which gradients reach the shared ones."""
        found = {}
        for name, (key, places) in view.places.items():
            tensor = self.bank[key]
            found[name] = tensor if places is None else tensor.flatten()[places]
        return found

    def _made(self, network: Architecture, largest: Architecture) -> View:
        parent = build(largest, seed=0)
        keys, starts, at = [], [], FIRST_ID
        numbered = build(largest, seed=0)
        for (name, weight), (_, number) in zip(parent.named_parameters(), numbered.named_parameters(), strict=True):
            keys.append(self._kept(f"{name} {tuple(weight.shape)}", weight))
            starts.append(at)
            number.data = torch.arange(at, at + weight.numel(), dtype=torch.float32).view(weight.shape)
            at += weight.numel()
        assert at < 2**24  # numbers are whole in float32
        draw = cast(np.random.Generator, _FirstChannels())
        child = inherit_weights(network, numbered, draw=draw).module
        places: dict[str, tuple[str, Tensor | None]] = {}
        for name, told in child.named_parameters():
            ids = told.detach().long()
            place = int(np.searchsorted(starts, int(ids.min()), side="right")) - 1
            if place >= 0 and int(ids.max()) < starts[place] + self.bank[keys[place]].numel():
                places[name] = (keys[place], ids - starts[place])
            else:  # what the largest one has not, or not all of
                places[name] = (self._kept(f"{network.digest} {name}", build(network).get_parameter(name)), None)
        use_branches(child, 1)
        return View(module=child.train(), places=places)

    def _kept(self, name: str, weight: Tensor) -> str:
        key = name.replace(".", "/")
        if key not in self.bank:
            self.bank[key] = nn.Parameter(weight.detach().clone())
        return key


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sandwich:
    """A network with the largest and the smallest of its kinds of block."""

    network: Architecture
    largest: Architecture
    smallest: Architecture


def sandwiches(space: SearchSpace, networks: Sequence[Architecture]) -> list[Sandwich]:
    """Of each network; sizes are the largest and the smallest that any of the networks has at a place."""
    codes = np.array([encode(space, network) for network in networks])
    columns = [place for gene, place in space.columns.items() if gene.rpartition(".")[2].startswith(SIZES)]
    found = []
    for network, code in zip(networks, codes, strict=True):
        ends = []
        for extreme in (codes.max(axis=0), codes.min(axis=0)):
            own = code.copy()
            own[columns] = extreme[columns]
            ends.append(space.decode(space.canonical(own[None])[0]))
        found.append(Sandwich(network=network, largest=ends[0], smallest=ends[1]))
    return found


class Super:
    """The training of the super-network of a band, and what it says of its networks."""

    def __init__(self, band: Band, kept: Path, seed: int = 0) -> None:
        self._band, self._kept, self._seed = band, kept, seed
        self._all = sandwiches(band.space, band.networks)
        self._shared = Shared()
        began = time.process_time()
        for one in self._all:
            for network in (one.largest, one.smallest, one.network):
                self._shared.view(network, one.largest)
        self.prepared_s = time.process_time() - began
        self._steps = 0
        self.cpu_s = 0.0

    def rung_s(self) -> float:
        """The CPU seconds of the shortest rung of all networks: some steps of each are timed."""
        total = 0.0
        for network in self._band.networks:
            training = self._training(network, self._band.rungs[0])
            step_s = training.time_steps(TIMED, clock=time.process_time)
            began = time.process_time()
            training.score(training.data.val)
            epoch_s = step_s * training.batches.steps_per_epoch + time.process_time() - began
            total += self._band.rungs[0] * epoch_s
        return total

    def train(self, budget_s: float) -> int:
        """Train within `budget_s` CPU seconds, as whole epochs, from the last checkpoint; how many epochs."""
        plain = self._training(self._band.networks[0], 1)
        began = time.process_time()
        for step in range(TIMED):
            self._step(plain, step, None)
        step_s = (time.process_time() - began) / TIMED
        epochs = max(1, int(budget_s / (step_s * plain.batches.steps_per_epoch)))
        training = self._training(self._band.networks[0], epochs)
        head = nn.ParameterDict()
        optimizer = make_optimizer(head, self._shared, training.recipe)
        question = {"networks": [one.network.digest for one in self._all], "seed": self._seed}
        if self._kept.exists():
            epochs = self._restore(optimizer, question)
            training = self._training(self._band.networks[0], epochs)
        kept = time.monotonic()
        while self._steps < training.schedule.steps:
            began = time.process_time()
            self._step(training, self._steps, optimizer)
            self.cpu_s += time.process_time() - began
            self._steps += 1
            if time.monotonic() - kept > CHECKPOINT_S or self._steps == training.schedule.steps:
                self._keep(optimizer, question, epochs)
                kept = time.monotonic()
                print(f"step {self._steps} of {training.schedule.steps}", flush=True)
        return epochs

    def accuracies(self) -> tuple[NDArray[np.float64], float]:
        """The validation accuracy of each network with its slices, (networks,), and the CPU seconds of that."""
        began, found = time.process_time(), []
        for one in self._all:
            view = self._shared.view(one.network, one.largest)
            with torch.no_grad():
                for name, weight in self._shared.weights(view).items():
                    view.module.get_parameter(name).copy_(weight)
            training = self._training(one.network, 1, view.module)
            training.reestimate_norms(view.module, NORM_IMAGES)
            predict = predictor(view.module, training.normalize)
            found.append(held_out(predict, training.data.val, len(training.data.classes)).accuracy)
            view.module.train()
        return np.array(found), time.process_time() - began

    def _step(self, training: Training, step: int, optimizer: torch.optim.Optimizer | None) -> None:
        """One batch for four networks; without an optimiser it is timed alone."""
        rng = generator(self._seed, step, 7)
        first, second = (self._all[int(place)] for place in rng.integers(len(self._all), size=2))
        epoch, within = divmod(step, training.batches.steps_per_epoch)
        _, batch = training.feed.batch(epoch, within)
        self._shared.zero_grad(set_to_none=True)
        logits = self._logits(first.largest, first.largest, batch.values)
        training.loss(logits, batch).backward()  # type: ignore[no-untyped-call]
        taught = functional.softmax(logits.detach(), dim=1)
        for network, largest in (
            (first.smallest, first.largest), (first.network, first.largest), (second.network, second.largest),
        ):  # fmt: skip
            functional.cross_entropy(self._logits(network, largest, batch.values), taught).backward()  # type: ignore[no-untyped-call]
        if optimizer is not None:
            schedule = training.schedule
            set_rates(optimizer, lr=schedule.lr(step), weight_decay=schedule.weight_decay(step))
            if training.recipe.clip is not None:
                nn.utils.clip_grad_norm_(self._shared.parameters(), training.recipe.clip)
            optimizer.step()

    def _logits(self, network: Architecture, largest: Architecture, values: Tensor) -> Tensor:
        view = self._shared.view(network, largest)
        found: Tensor = functional_call(view.module, self._shared.weights(view), (values,))
        return found

    def _training(self, network: Architecture, epochs: int, module: GraphModule | None = None) -> Training:
        """What gives batches, loss and schedule."""
        data = images_for(self._band.teaching, network)
        own = build(network) if module is None else module
        return Training(own, data, self._band.teaching.recipe, epochs=epochs, seed=self._seed, branches=1)

    def _keep(self, optimizer: torch.optim.Optimizer, question: Mapping[str, Any], epochs: int) -> None:
        tensors = {f"bank.{key}": value for key, value in self._shared.bank.items()}
        tensors |= {f"optimizer.{name}": value for name, value in optimizer_tensors(optimizer).items()}
        document = {"steps": self._steps, "cpu_s": self.cpu_s, "epochs": epochs}
        write_checkpoint(self._kept, Checkpoint(question=dict(question), document=document, tensors=tensors))

    def _restore(self, optimizer: torch.optim.Optimizer, question: Mapping[str, Any]) -> int:
        found = read_checkpoint(self._kept)
        check_question(self._kept, found, question)
        with torch.no_grad():
            for key, value in self._shared.bank.items():
                value.copy_(found.tensors[f"bank.{key}"])
        restore_optimizer(optimizer, dict(_below("optimizer.", found.tensors)))
        self._steps, self.cpu_s = int(found.document["steps"]), float(found.document["cpu_s"])
        return int(found.document["epochs"])


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    return ((name.removeprefix(prefix), value) for name, value in tensors.items() if name.startswith(prefix))


def report(found: Mapping[str, Any]) -> str:
    """The report."""
    over = found["over_short"]
    told = (
        "nothing can be said of so few"
        if over is None
        else (f"{over['difference']:+.2f} [{over['low']:+.2f}, {over['high']:+.2f}] more than the rung, in pairs")
    )
    stays = over is not None and over["low"] > 0
    verdict = "It stays." if stays else "It goes: it does not rank better than the short rung, told apart."
    return _TEXT.format(
        environment=environment_text("python -m benchmarks.supernet"), told=told, verdict=verdict, **found
    )  # fmt: skip


def main() -> None:
    """Train what is missing, then compare."""
    torch.set_num_threads(1)
    bench = bench_of(asked(__doc__).parse_args())
    band = trained_band(bench)
    experiment = Super(band, bench.folder / "supernet.safetensors")
    rung_s = experiment.rung_s()
    _, judging_s = experiment.accuracies()  # what judging costs is known before, and taken off
    epochs = experiment.train(max(0.1 * rung_s, rung_s - judging_s))
    accuracy, judged_s = experiment.accuracies()
    correlations = [rank_correlation(one, band.full, np.random.default_rng(0)) for one in (accuracy, band.short)]
    found = {
        "networks": len(band.networks), "short": band.rungs[0], "rung_s": rung_s, "trained_s": experiment.cpu_s,
        "judged_s": judged_s, "prepared_s": experiment.prepared_s, "epochs": epochs,
        "accuracy": accuracy.tolist(), "over_short": over_short(accuracy, band),
        "spearman": correlations[0].rho if correlations[0] else float("nan"),
        "spearman_short": correlations[1].rho if correlations[1] else float("nan"),
    }  # fmt: skip
    write_bytes(bench.folder / "supernet.json", json.dumps(found, indent=1).encode())
    text = report(found)
    if bench.folder.name == "own_data":
        REPORT.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
