"""What to tell where a target on a further device, or any at all, cannot be met."""

from __future__ import annotations

import numpy as np

from nas.errors import TargetError
from nas.evaluate import Models, SpaceProblem, fastest_on
from nas.latency import Estimate
from nas.space import Architecture
from nas.space.search_space import SearchSpace


def uncovered_everywhere(space: SearchSpace, models: Models, nearest: Architecture) -> TargetError | None:
    """The error where not even `nearest`, which lacks the fewest rows, has a latency on every device; else None."""
    if models.covered([nearest]):
        return None
    devices = " and of ".join(latency.device.name for latency, _ in models.tables)
    return TargetError(
        f"a network of the space {space.name} must have a row in the table of {devices} for each of its layers, but"
        " none was found; import more rows."
    )


def unmet_elsewhere(space: SearchSpace, models: Models, nearest: Architecture) -> TargetError | None:
    """The error of the first further device on which `space` has no network that is fast enough, with its fastest one.

    `nearest` is the network that exceeds limits least: only devices where it is too slow are looked at. None where each
    of them has a network of its own that meets its target.
    """
    suspects = np.flatnonzero(models.figures([nearest]).also_beyond[0] > 0.0)
    if not len(suspects):
        return None
    problem = SpaceProblem(space, models)
    for i in suspects:
        one = models.also[i]
        fastest = fastest_on(problem, int(i), seed=0)
        if fastest.bounded_ms > one.target_ms:
            network = space.decode(fastest.codes)
            return TargetError(
                f"a network of the space {space.name} must take at most {one.target_ms:g} ms on {one.device}, but the"
                f" fastest one found there, {network.name}, takes {interval_text(one.latency.estimate(network))}; raise"
                " that target or take a space with smaller networks."
            )
    return None


def interval_text(latency: Estimate) -> str:
    """A latency with its interval and source, for a sentence."""
    return f"{latency.mean_ms:.3g} ms [{latency.low_ms:.3g}, {latency.high_ms:.3g}] ({latency.source})"


def latencies_text(models: Models, network: Architecture) -> str:
    """The latency of a network, and those on further devices."""
    elsewhere = [f"{interval_text(one.latency.estimate(network))} on {one.device}" for one in models.also]
    return " and ".join([interval_text(models.latency.estimate(network)), *elsewhere])
