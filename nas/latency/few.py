"""A latency model for a space from few measurements on a new device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, overload

from nas.errors import InputError
from nas.latency.device import Device
from nas.latency.load import resolve_segments
from nas.latency.model import LatencyModel
from nas.latency.published.cost_model import Floats
from nas.latency.transfer.codes import Before, CodeLatency, Costs, Known, latencies
from nas.latency.transfer.networks import fit_networks_of
from nas.space.codes import CodeSpace, Point
from nas.space.search_space import SearchSpace

NEW = "new-device"


@overload
def fit_latency(
    space: CodeSpace,
    points: Sequence[Point],
    latency_ms: Sequence[float] | Floats,
    devices: Sequence[Known] = ...,
    *,
    costs: Costs | None = ...,
) -> CodeLatency: ...


@overload
def fit_latency(
    space: SearchSpace,
    points: Sequence[object],
    latency_ms: Sequence[float] | Floats,
    devices: Sequence[LatencyModel],
    *,
    device: Device | None = ...,
) -> LatencyModel: ...


def fit_latency(
    space: CodeSpace | SearchSpace,
    points: Sequence[Any],
    latency_ms: Sequence[float] | Floats,
    devices: Sequence[Any] = (),
    *,
    costs: Costs | None = None,
    device: Device | None = None,
) -> CodeLatency | LatencyModel:
    """A latency model of a new device, for the whole of `space`, from what it took for a few of its `points`, ms (n,).

    Of a space of codes: `devices` are others, each anything with `latency_ms(points)` or a pair (points, ms) of what
    was timed there; `costs` gives numbers of points, shape (n, k), that latency may grow with (multiply-adds, bytes, a
    count of operators). What is returned has `latency_ms(points)`, `predict(points)` with `.low` and `.high`, and
    `estimate(point)`.

    Of a space of networks: `points` are architectures, or whatever `nas.load_latency(...).estimate` takes; `devices`
    are the latency models of others, with operator costs; `device` says what the new one is (by default what the first
    of them is), of which its runtime matters. What is returned is a `LatencyModel` like theirs.

    The same arguments give the same model. Raises `InputError` for fewer than 3 points, latencies that are not
    positive, and points that are none of the space.
    """
    if isinstance(space, CodeSpace):
        if device is not None:
            raise InputError(f"device is of a space of networks, but {space.name} is a space of codes; leave it out.")
        return Before(space, devices, costs).fit(points, latency_ms)
    if costs is not None:
        raise InputError(f"costs are of a space of codes, but {space.name} is a space of networks; leave them out.")
    timed = latencies(latency_ms, len(points))
    without = [model.device.name for model in devices if model.operators is None]
    if without or not devices:
        raise InputError(
            "devices must be latency models with operator costs, at least one, but got"
            f" {', '.join(without) + ' without' if without else 'none'}; give devices=[nas.load_latency(NAME)]."
        )
    new = device or replace(devices[0].device, name=NEW, reach="", source="few measurements", notes="")
    empty = LatencyModel(device=new, rows={}, operators=None, resolve=resolve_segments)
    networks = [empty.operators_of(point) for point in points]
    operators = fit_networks_of([model.operators for model in devices], networks, timed)
    return replace(empty, operators=operators)
