"""NetAdapt as its paper has it: what is cut is fine-tuned before it is judged, on images that are held out for that.

Yang et al., arXiv 1804.03230, section 3: each round makes every candidate, one for each width, just narrow enough for
the round's latency, keeps the channels that matter, fine-tunes it briefly, and goes on with the best; a long
fine-tuning at the end. The best is that of MobileNetV3 (arXiv 1905.02244, section 4.2): the change of accuracy over
that of latency.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from nas.accuracy import AccuracyEstimate, load_accuracy
from nas.data import Prepared
from nas.errors import InputError
from nas.evaluate import Aim, ChannelAdaptation, Limits, Models
from nas.jobs.adapt_rounds import Rounds, Tuning
from nas.jobs.adaptation import REWARD, Adaptation, Trained, name_answer, rounds_of, size_around
from nas.jobs.inherit import Source, check_unseen, inherit_from
from nas.jobs.network import Network, NetworkRecords, Published
from nas.jobs.search_answer import SearchAnswer
from nas.jobs.unmet import unmet_by_shrinking
from nas.latency import LatencyModel
from nas.nets import GraphModule
from nas.progress import OnProgress, Step, silent
from nas.space import Architecture
from nas.strategies import NetAdapt
from nas.training.heldout import HeldOut, held_out
from nas.training.inherit import Inheritance
from nas.training.loop import predictor
from nas.training.once import Ended, train_once
from nas.training.preprocessing import Normalize, preprocessing_for


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AdaptedWeights:
    """An adaptation with its weights: `module` in training form, `ended` the long fine-tuning that they come from,
    `held_out` what it said of the test images, `inheritance` what the start had of its source."""

    adaptation: Adaptation
    module: GraphModule
    ended: Ended
    held_out: HeldOut
    inheritance: Inheritance


def adapt_trained(
    network: Architecture,
    *,
    latency: LatencyModel,
    target_ms: float | None,
    data: Prepared,
    source: Source,
    tuning: Tuning,
    folder: Path,
    called: str = "",
    limits: Limits | None = None,
    divisor: int = 8,
    published: Callable[[Architecture], Published | None] = lambda network: None,
    stop: Callable[[], bool] = lambda: False,
    progress: OnProgress = silent,
) -> AdaptedWeights:
    """`network` with the weights of `source`, made narrower until it meets the target, and fine-tuned on `data`.

    Where some of the start's weights are not inherited (other classes, other blocks) it is trained on `data` first,
    for as many epochs as at the end. Accuracies of rounds are those on the validation images, which choose; the test
    images are looked at once, at the end. All trainings are kept in `folder`, each from the moment it ends: the same
    call again does none of them twice. `called` is what the data are called; `limits.max_novelty` is of no use where
    accuracy is measured. Raises `InputError` where there are no validation images, or `source` has learned from them,
    `TargetError` with the least that was reached where that is not enough, before anything is trained, and
    `StoppedError` where `stop` says so.
    """
    if not len(data.val):
        raise InputError("a candidate is judged by validation images, but the data have none; divide them otherwise.")
    check_unseen(source, data.contents)
    limits = replace(limits or Limits(), max_novelty=None, max_interval=None)
    aim = limits.aim(target_ms)
    # Nobody asks this accuracy model: it completes the figures of networks.
    models = Models(latency, load_accuracy("imagenet"), limits, known=(), usual=(), aim=aim.column)
    records = NetworkRecords(models=models, known=(), aim=aim, reward=REWARD, published=published)
    record = records.detailed([network])[0]  # says what has no latency, before anything is trained
    adaptation = ChannelAdaptation(models, divisor=divisor)
    _check_reach(network, adaptation, models, aim, tuning, progress)
    inheritance = inherit_from(source, network, data=data, seed=tuning.seed)
    begun = _begun(network, inheritance, data, tuning, source, folder, stop, progress)
    origin = f"{source.digest}, trained for {begun.epochs}" if begun.epochs else source.digest
    rounds = Rounds(
        network, adaptation, data, tuning, begun.module, begun.accuracy, folder,
        origin=origin, target=aim.at_most, stop=stop, progress=progress,
    )  # fmt: skip
    shrink = NetAdapt(
        moves=rounds.moves, standing=rounds.standing, score=rounds.score,
        beam=1, step=tuning.step, remember_all=False, persist=True,
        height=rounds.height,
    )  # fmt: skip
    result = shrink.shrink(rounds.start, target_ms=aim.at_most)
    if result.best is None:
        least = ChannelAdaptation.network(result.least.state.shrunk, network)
        raise unmet_by_shrinking(network, least, models, aim)
    path = result.best.path()
    way = [network, *(ChannelAdaptation.network(step.state.shrunk, network) for step in path[1:])]
    best = name_answer(way[-1], network, aim)
    ended = rounds.long(result.best.state)
    module = ended.module(best)
    progress(Step(doing="measuring on held-out images"))
    found = held_out(predictor(module.fuse(), _normalize(best)), data.test, len(data.classes))
    chosen = _measured(
        records.detailed([best])[0], found.interval, found.accuracy, tuning.recipe.name, called or data.digest
    )
    answer = SearchAnswer(
        space=network.name,
        space_size=size_around(network, divisor),
        device=latency.device.name,
        target_ms=aim.target_ms,
        reward=REWARD,
        seed=tuning.seed,
        limits=limits,
        found_by="known" if len(path) == 1 else "shrinking",
        is_point=False,
        evaluated=result.timed,
        exact=False,
        best=chosen,
        gain=None,
        before_shrinking=None,
        after_shrinking=result.best.score,
        front=(chosen,),
        baselines=(),
        notes=(f"{network.name} meets target and limits as it is.",) if len(path) == 1 else (),
    )
    accuracies = [step.score for step in path]
    low, high = begun.interval
    return AdaptedWeights(
        adaptation=Adaptation(
            answer=answer,
            start=_measured(record, (low, high), begun.accuracy, tuning.recipe.name, called or data.digest),
            start_accuracy=begun.accuracy,
            rounds=tuple(rounds_of([step.layer for step in path], way, accuracies, models.figures(way))),
            trained=Trained(
                data=called or data.digest,
                recipe=tuning.recipe.name,
                start_epochs=begun.epochs,
                short_epochs=tuning.short_epochs,
                epochs=tuning.epochs,
                candidates=tuple(rounds.candidates),
                validation=ended.accuracy,
                held_out=found.count,
                seconds=begun.seconds + rounds.seconds + ended.seconds,
                init=inheritance.as_json(),
            ),
        ),
        module=module,
        ended=ended,
        held_out=found,
        inheritance=inheritance,
    )


def _check_reach(
    network: Architecture,
    adaptation: ChannelAdaptation,
    models: Models,
    aim: Aim,
    tuning: Tuning,
    progress: OnProgress,
) -> None:
    """Raise `TargetError` where shrinking does not come down to the target whatever networks are worth."""
    progress(Step(doing="looking whether the target can be met"))
    shrink = NetAdapt(
        moves=adaptation.moves, standing=adaptation.standing, score=lambda states: np.zeros(len(states)),
        beam=1, step=tuning.step, remember_all=False, persist=True, height=adaptation.height,
    )  # fmt: skip
    with threadpool_limits(limits=1, user_api="blas"):
        result = shrink.shrink(adaptation.state(network), target_ms=aim.at_most)
        if result.best is None:
            least = ChannelAdaptation.network(result.least.state, network)
            raise unmet_by_shrinking(network, least, models, aim)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Begun:
    """The start as it is cut: its accuracy on the validation images with its interval, the epochs that it took."""

    module: GraphModule
    accuracy: float
    interval: tuple[float, float]
    epochs: int
    seconds: float


def _begun(
    network: Architecture,
    inheritance: Inheritance,
    data: Prepared,
    tuning: Tuning,
    source: Source,
    folder: Path,
    stop: Callable[[], bool],
    progress: OnProgress,
) -> _Begun:
    """The start, trained where some of its weights are new."""
    module, epochs, seconds = inheritance.module, 0, 0.0
    if inheritance.inherited < inheritance.total:
        ended = train_once(
            folder / f"start-{tuning.epochs}.safetensors",
            tuning.question([network.digest], data, source.digest, tuning.recipe, tuning.epochs),
            lambda: tuning.training(inheritance.module, data, tuning.recipe, tuning.epochs),
            weights=True,
            stop=stop,
            progress=lambda step: progress(replace(step, doing="training the start")),
        )
        module, epochs, seconds = ended.module(network), ended.epochs, ended.seconds
    found = held_out(predictor(module.to("cpu"), _normalize(network)), data.val, len(data.classes))
    return _Begun(module=module, accuracy=found.accuracy, interval=found.interval, epochs=epochs, seconds=seconds)


def _measured(record: Network, interval: tuple[float, float], accuracy: float, recipe: str, data: str) -> Network:
    """`record` with an accuracy that was measured on images of `data`."""
    low, high = interval
    estimate = AccuracyEstimate(mean=accuracy, low=low, high=high, recipe=recipe, source="measured", data=data)
    return replace(record, accuracy=estimate, reward=low, novelty=0.0)


def _normalize(network: Architecture) -> Normalize:
    return Normalize(preprocessing_for(network.in_channels))
