"""What a search answers: the record that is printed, kept and read again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from nas.evaluate import Limits
from nas.jobs.display import notebook_html
from nas.jobs.gain import Gain
from nas.jobs.network import Network
from nas.jobs.told import HISTORY_SCHEMA
from nas.strategies import Reward


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchAnswer:
    """What a search found; `target_ms` is None where only limits were given.

    `found_by` says where the answer comes from: "search", "shrinking", "filling", "simplifying", or "known" networks
    (and what a user named); `is_point` whether it is a point of the space: a network that was shrunk need be none.

    `before_shrinking` and `after_shrinking` are the best scores (`Figures.score`) of the strategy alone and of
    NetAdapt's networks (None where there are none); `front` is the Pareto front of latency and printed accuracy over
    the whole space and the known networks, `baselines` are these, both fastest first; `starts` are the networks that a
    user named to begin from; `also` the targets on further devices, by their names; `gain` is over the best known
    network that meets the target (None where none does). `simple` says that only networks of one kind of block and one
    activation were searched; `cost` what the score of the answer lies below the best one that was found, for being
    simpler (None: it has the best). `notes` say what a reader should know of the answer; `history` how the strategy's
    best answer grew (`nas.jobs.told.History`).
    """

    space: str
    space_size: int
    device: str
    target_ms: float | None
    reward: Reward
    seed: int
    limits: Limits
    evaluated: int
    exact: bool
    best: Network
    before_shrinking: float | None
    after_shrinking: float | None
    front: tuple[Network, ...]
    baselines: tuple[Network, ...]
    starts: tuple[Network, ...] = ()
    also: Mapping[str, float] = field(default_factory=dict)
    gain: Gain | None = None
    found_by: str = "search"
    is_point: bool = True
    simple: bool = False
    cost: float | None = None
    notes: tuple[str, ...] = ()
    history: tuple[tuple[int, float, float], ...] = ()

    @property
    def above_target_ms(self) -> float:
        """How far the answer lies above the target, in milliseconds: 0 unless a reward pays for it."""
        return 0.0 if self.target_ms is None else max(self.best.latency.mean_ms - self.target_ms, 0.0)

    @property
    def required_ms(self) -> float:
        """The target of a search that had one."""
        assert self.target_ms is not None
        return self.target_ms

    def _repr_html_(self) -> str:
        return notebook_html(self.as_json())

    def as_json(self) -> dict[str, Any]:
        """The search record of the contract, without `run` and `seconds`."""
        return {
            "space": self.space,
            "device": self.device,
            "target_ms": self.target_ms,
            "also": [{"device": device, "target_ms": target_ms} for device, target_ms in self.also.items()],
            "above_target_ms": self.above_target_ms,
            "reward": self.reward.as_json(),
            "seed": self.seed,
            "confidence": self.limits.confidence,
            "max_novelty": self.limits.max_novelty,
            "max_interval": self.limits.max_interval,
            "max_params": self.limits.max_params,
            "max_macs": self.limits.max_macs,
            "max_size_bytes": self.limits.max_size_bytes,
            "max_memory_bytes": self.limits.max_memory_bytes,
            "simple": self.simple,
            "simpler": None if self.cost is None else {"cost": self.cost},
            "evaluated": self.evaluated,
            "space_size": str(self.space_size),
            "exact": self.exact,
            "found_by": self.found_by,
            "is_point_of_space": self.is_point,
            "score_before_shrinking": self.before_shrinking,
            "score_after_shrinking": self.after_shrinking,
            "notes": list(self.notes),
            "history": {"schema": HISTORY_SCHEMA, "points": [list(step) for step in self.history]},
            "best": self.best.as_json(),
            "gain": self.gain.as_json() if self.gain else None,
            "front": [network.as_json() for network in self.front],
            "baselines": [network.as_json() for network in self.baselines],
            "starts": [network.as_json() for network in self.starts],
        }


def with_zoo(answer: SearchAnswer, folder: str) -> SearchAnswer:
    """The answer, its network exported to `folder`; the copies of it too."""
    best = answer.best
    return replace(
        answer,
        best=replace(best, zoo=folder),
        front=in_zoo(answer.front, best, folder),
        baselines=in_zoo(answer.baselines, best, folder),
    )


def in_zoo(networks: Iterable[Network], exported: Network, folder: str) -> tuple[Network, ...]:
    """`networks`, those that are the one that was `exported` with its `folder` of the zoo."""
    digest = exported.architecture.digest
    return tuple(replace(one, zoo=folder) if one.architecture.digest == digest else one for one in networks)
