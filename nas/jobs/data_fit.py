"""How much longer known families take than candidates, where a stopwatch can say so before they are trained.

A table knows the networks of its space better than known families, which it may predict half too slow or too fast. They
would be fitted too narrow or too wide then, and a comparison at the same latency be none.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nas.jobs.data_finals import Times
from nas.latency import LatencyModel
from nas.space import Architecture
from nas.space.fitted import Form, placement_of


def slower_placements(
    forms: Sequence[Form], candidates: Sequence[Architecture], times: Times, model: LatencyModel
) -> dict[str, float]:
    """By what factor each placement of a known family takes longer than `model` says, where candidates take what it
    says: its first form in `forms`, timed in one session with the `candidates`; above 1 where it is slower. Those that
    the device does not run are left out. Empty where nothing is measured."""
    first: dict[str, Form] = {}
    for form in forms:
        first.setdefault(placement_of(form), form)
    networks = [*candidates, *(form.network for form in first.values())]
    predicted = model.latency_ms(networks)
    found = times.of(networks)
    if not times.are_measured:
        return {}
    ratios = [None if one is None else one.mean_ms / ms for one, ms in zip(found, predicted.tolist(), strict=True)]
    usual = [ratio for ratio in ratios[: len(candidates)] if ratio is not None]
    if not usual:
        return {}
    level = float(np.median(usual))
    own = zip(first, ratios[len(candidates) :], strict=True)
    return {placement: round(ratio / level, 4) for placement, ratio in own if ratio is not None}
