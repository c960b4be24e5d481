"""Known families at another size: narrower or wider, with fewer strides, for small images and small latencies.

What a latency buys depends on where a network halves its maps as much as on its widths, so a family is judged by its
best placement. For images of 32 pixels the strides nearest to the image are the first to go, as in the networks that
are trained on CIFAR-10 (MobileNetV2's stem with stride 1 there, and the others).
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice, pairwise

from nas.blocks import BLOCKS
from nas.blocks.registry import MAX_WIDTH
from nas.errors import InputError
from nas.space.architecture import Architecture, Layer, make_layer
from nas.space.resolution import Resolution
from nas.space.seeds import families, instantiate

WIDTHS = tuple(2.0 ** (i / 4) for i in range(6, -25, -1))
"""Width multipliers from 2.83 down to a 64th, each a fifth or so less than the one before."""

BETWEEN = 3
"""So many multipliers more are tried between the narrowest that is too slow and the next, which meets the target: a
form that takes 0.8 of the target says little of what its family can do with all of it. So they are between narrower
ones where few meet it."""

PLACEMENTS = 2
"""So many placements of strides: all that the image allows, and one fewer."""

SMALLEST_MAP = 2
"""The last map is no smaller: what convolutions of 3×3 see of a single pixel is padding."""

NO_FAMILIES = ("repvit-path", "ofa-mobilenetv3")
"""Steps of a paper towards another family, and networks specialised out of another one."""

Latency = Callable[[Architecture], float]
"""A network to its milliseconds; an `InputError` where it has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """A network that meets a latency: `family` is where it is from, `width` its multiplier, `strides` how many of the
    strides of 2 stay, `rank` how many wider forms of this placement there are that meet it as well."""

    network: Architecture
    family: str
    width: float
    strides: int
    rank: int
    latency_ms: float


def placement(family: str, strides: int, resolution: Resolution) -> str:
    """A name for what forms share that differ in width alone."""
    return f"{family} s{strides} {resolution}"


def placement_of(form: Form) -> str:
    """That of a form."""
    return placement(form.family, form.strides, form.network.resolution)


def family_members() -> list[Architecture]:
    """One network of each known family: that of width and depth 1 with the fewest multiply-adds."""
    found = []
    for family in families().values():
        if family.name in NO_FAMILIES:
            continue
        plain = [
            name for name, entry in family.variants.items() if entry.get("width", 1.0) == entry.get("depth", 1.0) == 1.0
        ]
        members = [instantiate(family, name).architecture for name in plain or family.variants]
        found.append(min(members, key=lambda network: network.macs))
    return found


def scaled(network: Architecture, width: float, strides: int, resolution: Resolution) -> Architecture:
    """`network` with `width` times its channels, in multiples of 8 from 8 on, and its last `strides` strides of 2.

    Stems of several convolutions become these one by one, so that each may lose its stride. Raises `InputError` where
    that is no network.
    """
    layers = [_narrower(layer, width) for given in network.layers for layer in _one_by_one(given)]
    places = [i for i, layer in enumerate(layers) if dict(layer.args).get("stride") == 2]
    for place in places[: max(0, len(places) - strides)]:
        layers[place] = layers[place].with_args(stride=1)
    name = f"{network.name.partition('@')[0]}-x{width:.3g}-s{min(strides, len(places))}"
    made = replace(network, name=name, layers=tuple(layers), resolution=resolution, genes={})
    made.segments()
    return made


def fitted(
    network: Architecture,
    latency: Latency,
    target_ms: float,
    *,
    resolution: Resolution,
    widths: int,
    placements: int = PLACEMENTS,
    slower: Mapping[str, float] | None = None,
) -> list[Form]:
    """Forms of `network` at `resolution` that take at most `target_ms`: for each placement of strides the `widths`
    widest, widest first; the first in finer steps than `WIDTHS`. None where the narrowest is too slow, or
    nothing of it can be built there. `slower` are factors of `latency` by `placement`, 1 for others."""
    found: list[Form] = []
    for strides in _placements(network, resolution)[:placements]:
        factor = (slower or {}).get(placement(network.family, strides, resolution), 1.0)
        forms = _widest(network, latency, target_ms / factor, strides, resolution, widths)
        found += [
            Form(network=made, family=network.family, width=width, strides=strides, rank=rank, latency_ms=factor * ms)
            for rank, (made, width, ms) in enumerate(forms)
        ]
    return found


def forms(network: Architecture, resolution: Resolution, widths: Iterable[float]) -> Iterator[Architecture]:
    """`network` at `resolution` in `widths` and `PLACEMENTS` of its strides; without those that are no networks."""
    for strides in _placements(network, resolution)[:PLACEMENTS]:
        for width in widths:
            with contextlib.suppress(InputError):
                yield scaled(network, width, strides, resolution)


def _placements(network: Architecture, resolution: Resolution) -> list[int]:
    """How many strides of 2 may stay so that the last map is not too small, most first."""
    own = sum(dict(layer.args).get("stride") == 2 for given in network.layers for layer in _one_by_one(given))
    able = []
    for strides in range(own, -1, -1):
        try:
            last = scaled(network, 1.0, strides, resolution).layer_inputs()[-1]
        except InputError:
            continue
        if min(last[1:]) >= SMALLEST_MAP:
            able.append(strides)
    return able


def _widest(
    network: Architecture, latency: Latency, target_ms: float, strides: int, resolution: Resolution, widths: int
) -> list[tuple[Architecture, float, float]]:
    """The widest forms of one placement that meet the target; latency grows with the width, so by bisection."""

    def made_of(multipliers: Iterable[float]) -> list[tuple[Architecture, float]]:
        made: dict[str, tuple[Architecture, float]] = {}
        for width in multipliers:
            with contextlib.suppress(InputError):
                one = scaled(network, width, strides, resolution)
                made.setdefault(one.digest, (one, width))
        return list(made.values())

    known: dict[str, float] = {}

    def meets(form: tuple[Architecture, float]) -> bool:
        network, _ = form
        if network.digest not in known:
            try:
                known[network.digest] = latency(network)
            except InputError:  # the device has no figure for one of its operators
                known[network.digest] = math.inf
        return known[network.digest] <= target_ms

    def between(above: float, below: float) -> list[tuple[Architecture, float]]:
        return made_of(above * (below / above) ** (step / (BETWEEN + 1)) for step in range(1, BETWEEN + 1))

    forms = made_of(WIDTHS)
    low, high = 0, len(forms)
    while low < high:
        middle = (low + high) // 2
        if meets(forms[middle]):
            high = middle
        else:
            low = middle + 1
    found = forms[low:]
    if found and low > 0:
        widest = next(filter(meets, between(forms[low - 1][1], found[0][1])), None)
        if widest is not None and widest[0].digest != found[0][0].digest:
            found = [widest, *found]
    if len(found) < widths:
        limits = [width for _, width in forms[max(0, low - 1) :]]
        finer = [form for pair in pairwise(limits) for form in between(*pair)]
        every = {network.digest: (network, width) for network, width in [*found, *finer]}
        found = sorted(every.values(), key=lambda form: -form[1])
    return [(*one, known[one[0].digest]) for one in islice(filter(meets, found), widths)]


def _one_by_one(layer: Layer) -> list[Layer]:
    """A stem of several layers as these layers, any other layer as it is."""
    args = dict(layer.args)
    if layer.block == "repvit_stem":
        first = {"out": args["middle"], "stride": 2, "act": args["act"]}
        return [make_layer("conv", first), make_layer("conv", {"out": args["out"], "stride": 2, "act": "none"})]
    if layer.block == "shufflenet_stem":
        # Its second stride is a pooling, which small images do without.
        return [make_layer("conv", {"out": args["out"], "stride": 2, "act": args["act"]})]
    return [layer]


def _narrower(layer: Layer, width: float) -> Layer:
    """`layer` with `width` times each of its widths; those below 8 stay, such as 0 for an absent one."""
    changes = {
        key: max(8, 8 * round(int(value) * width / 8))
        for key, value in layer.args
        if _is_width(key, layer) and int(value) >= 8
    }
    return layer.with_args(**changes) if width != 1 else layer


def _is_width(key: str, layer: Layer) -> bool:
    """Whether a parameter is a number of channels: the limits of its annotation say so."""
    limits = BLOCKS.get(layer.block, "layer").parameters[key].limits
    return any(limit.words == f"at most {MAX_WIDTH}" for limit in limits)
