"""The network whose weights are inherited, as a rival: itself where it meets the target, else shrunk by NetAdapt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from threadpoolctl import threadpool_limits

from nas.accuracy import PriorModel
from nas.errors import InputError
from nas.evaluate import ChannelAdaptation, Limits, Models
from nas.latency import LatencyModel
from nas.space import Architecture
from nas.space.fitted import Form, placement
from nas.space.resolution import Resolution, height_width
from nas.space.search_space import SearchSpace


def parent_forms(
    parent: Architecture,
    latency: LatencyModel,
    accuracy: PriorModel,
    target_ms: float,
    *,
    space: SearchSpace,
    slower: Mapping[str, float] | None = None,
) -> list[Form]:
    """`parent` with the classes and channels of `space`, at each of its sizes, those nearest to its own first: as it is
    where it meets the target, else what NetAdapt makes of it; nothing where that does not meet it either. `slower` are
    factors of `latency` by `placement`, 1 for others.

    NetAdapt ranks by the published prior and keeps one network a round; which channels stay is settled when weights are
    inherited, and they are tuned in the rungs, as those of all other networks are.
    """
    found = []
    own = height_width(parent.resolution)
    for size in sorted(space.resolutions, key=lambda one: abs(height_width(one)[0] - own[0])):
        try:
            network = replace(
                parent.adapted(num_classes=space.num_classes, in_channels=space.in_channels), resolution=size, genes={}
            )
            form = _at(network, latency, accuracy, target_ms, size, slower or {})
        except InputError:  # blocks that do not take this size, or operators without a latency
            continue
        found += [] if form is None else [form]
    return found


def _at(
    network: Architecture,
    latency: LatencyModel,
    accuracy: PriorModel,
    target_ms: float,
    size: Resolution,
    slower: Mapping[str, float],
) -> Form | None:
    """The form of `network` that meets the target; None where NetAdapt finds none."""
    strides = sum(dict(layer.args).get("stride") == 2 for layer in network.layers)
    factor = slower.get(placement(network.family, strides, size), 1.0)
    limit_ms = target_ms / factor
    base, pixels = network.name.partition("@")[0], "x".join(map(str, dict.fromkeys(height_width(size))))
    name, latency_ms = f"{base}@{pixels}", float(latency.latency_ms([network])[0])
    if latency_ms > limit_ms:
        models = Models(latency, accuracy, Limits(max_novelty=None, max_interval=None), usual=())
        with threadpool_limits(limits=1, user_api="blas"):
            shrunk = ChannelAdaptation(models, beam=1, persist=True).shrink(network, target_ms=limit_ms).best
        if shrunk is None:
            return None
        network = ChannelAdaptation.network(shrunk.state, network)
        name, latency_ms = f"{name}-netadapt", float(latency.latency_ms([network])[0])
    return Form(
        network=network.named(name), family=network.family, width=1.0, strides=strides, rank=0,
        latency_ms=factor * latency_ms,
    )  # fmt: skip
