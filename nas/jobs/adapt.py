"""NetAdapt alone: one network, made narrower until it meets a latency or other limits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from threadpoolctl import threadpool_limits

from nas.accuracy import AccuracyModel, load_accuracy
from nas.errors import InputError
from nas.evaluate import ChannelAdaptation, Limits, Models, ShrunkNetwork
from nas.jobs.adaptation import REWARD, Adaptation, name_answer, rounds_of, size_around
from nas.jobs.front import FRONT_SIZE, spread
from nas.jobs.gain import gain_over_known
from nas.jobs.network import NetworkRecords, Published
from nas.jobs.search import NO_LIMITS
from nas.jobs.search_answer import SearchAnswer
from nas.jobs.unmet import unmet_by_shrinking
from nas.latency import LatencyModel
from nas.progress import OnProgress, Step, silent
from nas.space import Architecture, list_known
from nas.strategies import NetAdaptResult, pareto_front


def adapt(
    network: Architecture,
    *,
    latency: LatencyModel,
    target_ms: float | None = None,
    accuracy: AccuracyModel | None = None,
    limits: Limits = NO_LIMITS,
    divisor: int = 8,
    published: Callable[[Architecture], Published | None] = lambda network: None,
    progress: OnProgress = silent,
) -> Adaptation:
    """The narrower form of `network` with the best score that meets the target, by NetAdapt.

    Each round makes one width narrower, an expansion or a bottleneck width that residuals tie, to a multiple of
    `divisor`, and wins 1 % of the start's latency (less where no width has as much left); of the ways on, those go on
    that lose the least of the score for each millisecond. Without `target_ms` the first of the limits takes the place
    of the latency (`Limits.aim`). `accuracy` is by default the shipped model. A network that meets everything is its
    own answer; its latency may be known as little as it is (`Limits.max_interval` limits what a search chooses). Same
    arguments, same answer. Raises `TargetError` with the least that was reached where that is not enough.
    """
    if divisor < 1:
        raise InputError(f"divisor must be at least 1, but got {divisor}.")
    aim = limits.aim(target_ms)
    judge = load_accuracy("imagenet") if accuracy is None else accuracy
    # With several threads sums round differently, and the way would depend on the machine's number of cores.
    with threadpool_limits(limits=1, user_api="blas"):
        listed = list_known()
        known = [
            one.architecture.adapted(num_classes=network.num_classes, in_channels=network.in_channels) for one in listed
        ]
        # Claims are measured against networks of published accuracy, as in a search.
        yardstick = [other for other, one in zip(known, listed, strict=True) if one.published.get("top1") is not None]
        models = Models(latency, judge, limits, known=yardstick, usual=(), aim=aim.column)
        beside = models.covered(known)
        records = NetworkRecords(models=models, known=beside, aim=aim, reward=REWARD, published=published)
        start = records.detailed([network])[0]  # says what has no latency, before anything is shrunk
        adaptation = ChannelAdaptation(models, divisor=divisor, persist=True)

        def report(share: float) -> None:
            progress(Step(doing="shrinking", done=share, of=1.0))

        report(0.0)
        result = adaptation.shrink(network, target_ms=aim.at_most, progress=report)
        if result.best is None:
            least = ChannelAdaptation.network(result.least.state, network)
            raise unmet_by_shrinking(network, least, models, aim)
        path = result.best.path()
        best = name_answer(ChannelAdaptation.network(result.best.state, network), network, aim)
        front = _front(adaptation, result, network, best)
        not_known = best.digest not in {other.digest for other in beside}
        answer = SearchAnswer(
            space=network.name,
            space_size=size_around(network, divisor),
            device=latency.device.name,
            target_ms=aim.target_ms,
            reward=REWARD,
            seed=0,
            limits=replace(limits, max_interval=None),  # the start may be known as little as it is
            found_by="known" if len(path) == 1 else "shrinking",
            is_point=False,
            evaluated=result.timed,
            exact=False,
            best=records.detailed([best])[0],
            gain=gain_over_known(models, best, beside, at_most=aim.at_most),
            before_shrinking=None,
            after_shrinking=result.best.score,
            front=tuple(records(front)),
            baselines=tuple(
                sorted(records.beside(best, beside, chosen=not_known), key=lambda one: one.latency.mean_ms)
            ),
            notes=(f"{network.name} meets target and limits as it is.",) if len(path) == 1 else (),
        )
        way = [network, *(ChannelAdaptation.network(step.state, network) for step in path[1:])]
        figures = models.figures(way)
        accuracies = figures.believed.mean.tolist()
    return Adaptation(
        answer=answer,
        start=start,
        start_accuracy=accuracies[0],
        rounds=tuple(rounds_of([step.layer for step in path], way, accuracies, figures)),
    )


def _front(
    adaptation: ChannelAdaptation, result: NetAdaptResult[ShrunkNetwork], start: Architecture, best: Architecture
) -> list[Architecture]:
    """The Pareto front over all states that were kept and that keep the limits, the answer among them."""
    states = [result.start, *(one for kept in result.rounds for one in kept), *result.met]
    # What exceeds a limit keeps nothing else off the front.
    within = adaptation.standing([one.state for one in states]).within_limits
    states = [one for one, kept in zip(states, within, strict=True) if kept]
    places = pareto_front(np.array([one.bounded_ms for one in states]), np.array([one.score for one in states]))
    networks = [ChannelAdaptation.network(states[i].state, start) if states[i].parent else start for i in places]
    shown = {best.digest, *(network.digest for network in spread(networks, FRONT_SIZE))}
    return [best if network.digest == best.digest else network for network in networks if network.digest in shown]
