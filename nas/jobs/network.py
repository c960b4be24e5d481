"""Networks in answers: their figures, and what others printed of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from nas.accuracy import AccuracyEstimate
from nas.evaluate import Aim, Models, Simplicity
from nas.graph.memory import BYTES_PER_NUMBER
from nas.jobs.anatomy import Anatomy, anatomy
from nas.latency import Estimate
from nas.space import Architecture
from nas.strategies import Reward


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What others printed of a known network: ImageNet top-1 (a fraction) and latency on the device, with sources."""

    top1: float | None
    latency_ms: float | None
    source: str

    def as_json(self) -> dict[str, Any]:
        """The record of the contract."""
        return {"top1": self.top1, "latency_ms": self.latency_ms, "source": self.source}


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A network in an answer, with its figures.

    `size_bytes` are those of its parameters, `memory_bytes` those of the maps alive at once (`nas.graph.memory`), both
    at the device's precision (None where that is not known). `reward` is by the lower bound of accuracy; `novelty` the
    distance to networks of published accuracy; `indistinguishable` says of a known network that the accuracy model
    cannot tell it from the answer (the 90 % interval of their difference holds 0). `also` are its latencies on further
    devices, by their names. What an answer is made of, and nothing else, is counted (`simplicity`). Where the time goes
    (`anatomy`) is known of answers and of what stands beside them.
    """

    name: str
    architecture: Architecture
    params: int
    macs: int
    latency: Estimate
    accuracy: AccuracyEstimate
    reward: float
    novelty: float
    size_bytes: int | None = None
    memory_bytes: int | None = None
    also: Mapping[str, Estimate] = field(default_factory=dict)
    simplicity: Simplicity | None = None
    anatomy: Anatomy | None = None
    indistinguishable: bool = False
    published: Published | None = None
    zoo: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The record NETWORK of the contract."""
        return {
            "name": self.name,
            "digest": self.architecture.digest,
            "params": self.params,
            "macs": self.macs,
            "size_bytes": self.size_bytes,
            "peak_memory_bytes": self.memory_bytes,
            "latency": self.latency.as_json(),
            "also": {device: latency.as_json() for device, latency in self.also.items()},
            "accuracy": self.accuracy.as_json(),
            "published": self.published.as_json() if self.published else None,
            "reward": self.reward,
            "novelty": self.novelty,
            "simplicity": self.simplicity.as_json() if self.simplicity else None,
            "indistinguishable": self.indistinguishable,
            "architecture": self.architecture.as_mapping(),
            "anatomy": self.anatomy.as_json() if self.anatomy else None,
            "zoo": self.zoo,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkRecords:
    """Makes records of networks: figures of chosen ones are believed, those of the `known` are taken as they are."""

    models: Models
    known: Sequence[Architecture]
    aim: Aim
    reward: Reward
    published: Callable[[Architecture], Published | None]

    def __call__(self, networks: Sequence[Architecture]) -> list[Network]:
        """The records of `networks`, in order."""
        figures = self.models.figures(networks)
        known = {network.digest for network in self.known}
        accuracies = [
            as_it_is if network.digest in known else believed
            for network, as_it_is, believed in zip(
                networks, figures.accuracy.records(), figures.believed.records(), strict=True
            )
        ]
        low = np.array([accuracy.low for accuracy in accuracies])
        rewards = self.reward.reward(low, figures.standing.bounded_ms, self.aim.at_most)
        per_number = BYTES_PER_NUMBER.get(self.models.latency.device.precision)
        return [
            Network(
                name=network.name,
                architecture=network,
                params=int(figures.params[i]),
                macs=int(figures.macs[i]),
                size_bytes=per_number and per_number * int(figures.params[i]),
                memory_bytes=per_number and per_number * network.peak_elements,
                latency=self.models.latency.estimate(network),
                accuracy=accuracies[i],
                reward=float(rewards[i]),
                novelty=float(figures.accuracy.novelty[i]),
                also={one.device: one.latency.estimate(network) for one in self.models.also},
                published=self.published(network),
            )
            for i, network in enumerate(networks)
        ]

    def detailed(self, networks: Sequence[Architecture]) -> list[Network]:
        """The records of `networks`, in order, with their anatomies."""
        found = zip(self(networks), networks, strict=True)
        return [replace(record, anatomy=anatomy(network, self.models.latency)) for record, network in found]

    def beside(self, best: Architecture, networks: Sequence[Architecture], *, chosen: bool) -> list[Network]:
        """The records of `networks` that are put beside the answer `best`, which a search may have chosen."""
        if not networks:
            return []
        same = (~self.models.gains(best, networks, chosen=chosen).told_apart).tolist()
        return [replace(r, indistinguishable=s) for r, s in zip(self.detailed(networks), same, strict=True)]
