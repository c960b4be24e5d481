"""What is timed to build a table: whole networks, so chosen that their segments are those that will be asked for."""

from __future__ import annotations

import hashlib
import itertools
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from nas.errors import InputError
from nas.graph import Graph, Segment
from nas.measure.probes import probe_graph
from nas.measure.repeats import repeat_graph
from nas.runtimes import ONNX_RUNTIME, Runtime
from nas.space import Architecture, known_networks
from nas.space.compile.batch import LayerBatch
from nas.space.compile.compiled import Compiled, CompiledSpace
from nas.space.fitted import family_members, forms
from nas.space.lowering import lower
from nas.space.resolution import Resolution, height_width
from nas.space.search_space import SearchSpace

NUM_PROBES, NUM_REPEATS = 400, 480
REFERENCE_NETWORK = "mobilenetv3-large-1.0"
_POOL = 3000
_LARGEST_MACS = 3_000_000_000
"""Networks above this take too long for what they tell about phones."""
FORM_WIDTHS = (1.0, 0.5, 0.25, 0.125, 0.0625)
"""The widths of known families that are timed at sizes that no known network has."""
_SMALL = 128
"""Known networks have more pixels a side."""
_PROBES = {"probe": probe_graph, "repeat": repeat_graph}
_PROBE = re.compile(rf"({'|'.join(_PROBES)})-([0-9]{{1,6}})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A network to be timed: `role` is known, probe or space; `graph` builds it, `segments` are as the device's runtime
    executes it, `architecture` is None for a probe, which its name alone describes."""

    name: str
    digest: str
    role: str
    segments: Sequence[Segment]
    graph: Callable[[], Graph]
    architecture: Architecture | None = None

    @property
    def macs(self) -> int:
        """Multiply-adds of one image."""
        return sum(segment.macs for segment in self.segments)


def network_item(network: Architecture, role: str, runtime: Runtime) -> Item:
    """An architecture as an item for a device of this runtime."""
    return Item(
        name=network.name,
        digest=network.digest,
        role=role,
        segments=lower(network, runtime),
        graph=network.graph,
        architecture=network,
    )


def small_sizes(space: SearchSpace) -> tuple[Resolution, ...]:
    """The smallest and the largest size of `space` among those that no known network has: below 128 pixels."""
    small = [size for size in space.resolutions if min(height_width(size)) < _SMALL]
    small.sort(key=lambda size: math.prod(height_width(size)))
    return tuple(dict.fromkeys([*small[:1], *small[-1:]]))


def generic_items(runtime: Runtime, seed: int = 0, sizes: Sequence[Resolution] = ()) -> list[Item]:
    """The known networks without the reference, their families in several widths at each of `sizes`, and probes and
    repeats for operators that these lack; in an order that is mixed by `seed`."""
    others = [network for network in known_networks() if network.name != REFERENCE_NETWORK]
    found = [network_item(network, "known", runtime) for network in others if network.macs <= _LARGEST_MACS]
    narrowed = [one for member in family_members() for size in sizes for one in forms(member, size, FORM_WIDTHS)]
    found += {one.digest: network_item(one, "known", runtime) for one in narrowed}.values()
    probes = [probe_item(f"probe-{number}", runtime) for number in range(NUM_PROBES)]
    found += [probe for probe in probes if probe.macs <= _LARGEST_MACS]
    repeats = [probe_item(f"repeat-{number}", runtime) for number in range(NUM_REPEATS)]
    found += {repeat.digest: repeat for repeat in repeats}.values()
    order = np.random.default_rng(seed).permutation(len(found))
    return [found[i] for i in order]


def further_items(runtime: Runtime) -> Iterator[Item]:
    """Probes and repeats by turns without end, none of which is among `generic_items`."""
    for number in itertools.count():
        probe = probe_item(f"probe-{NUM_PROBES + number}", runtime)
        if probe.macs <= _LARGEST_MACS:
            yield probe
        yield probe_item(f"repeat-{NUM_REPEATS + number}", runtime)


def probe_item(name: str, runtime: Runtime) -> Item:
    """The probe or repeat called `name` ("probe-7"), its segments as this very network needs them.

    Its digest does not depend on the device: any runtime's keys would tell graphs apart, and these are the ones that
    stores know. Raises `InputError` for another name.
    """
    match = _PROBE.fullmatch(name)
    if match is None:
        raise InputError(f"a probe must be called probe-NUMBER or repeat-NUMBER, but got {name!r}.")
    graph = _PROBES[match[1]](int(match[2]))
    keys = "\n".join(segment.key for segment in ONNX_RUNTIME.in_context(graph))
    digest = hashlib.sha256(keys.encode()).hexdigest()[:16]
    return Item(name=name, digest=digest, role="probe", segments=runtime.in_context(graph), graph=lambda: graph)


def space_items(space: SearchSpace, runtime: Runtime, seed: int = 0) -> Iterator[Item]:
    """Networks of `space` without end, none twice: from a pool of random ones always that whose segments were timed
    least, by multiply-adds; then from a new pool."""
    rng = np.random.default_rng(seed)
    seen: dict[str, int] = {}
    taken: set[str] = set()
    while True:
        pool = {network.digest: network for network in _pool(space, rng) if network.digest not in taken}
        if not pool:
            return
        items = [network_item(network, "space", runtime) for network in pool.values()]
        yield from _least_timed_first(items, seen)
        taken.update(pool)


def _pool(space: SearchSpace, rng: np.random.Generator) -> list[Architecture]:
    return list(space.sample(_POOL, rng))


def _least_timed_first(items: Sequence[Item], seen: dict[str, int]) -> Iterator[Item]:
    """The items in the order in which they tell most; `seen` counts in how many networks each segment came."""
    keys = [sorted({segment.key for segment in item.segments}) for item in items]
    number = {key: i for i, key in enumerate(dict.fromkeys(itertools.chain.from_iterable(keys)))}
    owner = np.repeat(np.arange(len(items)), [len(own) for own in keys])
    column = np.array([number[key] for own in keys for key in own])
    uses = csr_matrix((np.ones(len(owner)), (owner, column)), shape=(len(items), len(number)))
    counts = np.array([seen.get(key, 0) for key in number], dtype=np.float64)
    macs = np.array([item.macs for item in items], dtype=np.float64)
    cost = 1.0 + macs / np.median(macs)
    left = np.ones(len(items), dtype=np.bool_)
    while left.any():
        gain = np.where(left, (uses @ (1.0 + counts) ** -2.0) / cost, -1.0)
        best = int(gain.argmax())
        left[best] = False
        columns = uses.indices[uses.indptr[best] : uses.indptr[best + 1]]
        counts[columns] += 1.0
        for key in keys[best]:
            seen[key] = seen.get(key, 0) + 1
        yield items[best]


def ordered(generic: Sequence[Item], own: Iterator[Item], further: Iterable[Item] = ()) -> Iterator[Item]:
    """The order of timing: two generic networks and one of the space by turns, then one of each."""
    for number, item in enumerate(generic):
        yield item
        yield from itertools.islice(own, number % 2)
    for item in further:
        yield from itertools.islice(own, 1)
        yield item
    yield from own


def space_keys(space: SearchSpace, progress: Compiled = lambda done, of: None) -> set[str]:
    """The keys of all segments that networks of `space` may have, each as if alone: no runtime changes these.

    `progress` is told of the layers that are looked at.
    """
    found: set[str] = set()

    def collect(batch: LayerBatch, sides: NDArray[np.float64]) -> NDArray[np.float64]:
        found.update(batch.keys or ())
        return np.zeros((len(batch.params), 0))

    CompiledSpace(space, collect, names=(), keys=True, progress=progress)
    return found
