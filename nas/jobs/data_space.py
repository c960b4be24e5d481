"""What is tried for a user's images: a space at their size and with their classes, and the known networks beside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from nas.accuracy import PriorModel, load_accuracy
from nas.data import DataSet
from nas.errors import InputError
from nas.jobs.data_parents import parent_forms
from nas.latency import LatencyModel
from nas.progress import OnProgress, Step, silent
from nas.space import Architecture, space_paths
from nas.space.fitted import NO_FAMILIES, Form, family_members, fitted
from nas.space.resolution import Resolution, height_width
from nas.space.search_space import SearchSpace
from nas.space.seeds import families

TINY, MOBILE, SMALL = "tiny", "mobile", 96
"""The spaces for small images and for others; small ones have no more pixels a side, in the median."""

WIDTHS = 3
"""So many widths of each family and placement of strides are rivals at the most."""


def default_space(dataset: DataSet) -> str:
    """The space that is searched where none was named: `tiny` for small images, if there is one, else `mobile`."""
    is_small = float(np.median(dataset.sizes)) <= SMALL
    return TINY if is_small and TINY in space_paths() else MOBILE


def space_for(space: SearchSpace, dataset: DataSet) -> SearchSpace:
    """`space` with the classes and channels of the images, and without the sizes to which most of them would have to be
    enlarged; its smallest size stays."""
    heights, widths = np.median(dataset.sizes, axis=0)
    kept = [size for size in space.resolutions if _fits(size, heights, widths)]
    smallest = min(space.resolutions, key=lambda size: height_width(size)[0] * height_width(size)[1])
    return replace(
        space,
        num_classes=len(dataset.classes),
        in_channels=dataset.channels,
        resolutions=tuple(kept) or (smallest,),
    )


def kind_of(network: Architecture) -> str:
    """The block that most of a network's layers are, stem and classifier apart; of equals the first by name."""
    counted = Counter(layer.block for layer in network.layers[1:-1])
    return min(counted, key=lambda block: (-counted[block], block), default="none")


def rivals(
    latency: LatencyModel,
    target_ms: float,
    *,
    space: SearchSpace,
    count: int,
    parent: Architecture | None = None,
    accuracy: PriorModel | None = None,
    slower: Mapping[str, float] | None = None,
    progress: OnProgress = silent,
) -> list[Form]:
    """Up to `count` known networks that meet the target at the sizes of `space`, with its classes and channels.

    Each family has two placements of strides at each size, in up to three widths. All families are there once before
    one is twice: the widest form of one placement first, then of the other, then narrower ones. First come
    those of `parent`, whose weights are inherited: itself or what NetAdapt makes of it by `accuracy` (the shipped
    prior), then its widths. `slower` is what was measured of placements (`nas.jobs.data_fit`). Empty where none meets
    the target.
    """

    def predicted(network: Architecture) -> float:
        return float(latency.latency_ms([network])[0])

    members = [*([] if parent is None else [parent]), *family_members()]
    found: list[list[Form]] = []
    if parent is not None:
        progress(Step(doing="fitting known networks to the target", of=len(members), note=parent.name))
        prior = accuracy or load_accuracy("imagenet")
        found.append(parent_forms(parent, latency, prior, target_ms, space=space, slower=slower))
    for done, member in enumerate(members):
        progress(Step(doing="fitting known networks to the target", done=done, of=len(members), note=member.name))
        own: list[Form] = []
        for size in space.resolutions:
            try:
                network = member.adapted(num_classes=space.num_classes, in_channels=space.in_channels)
                own += fitted(network, predicted, target_ms, resolution=size, widths=WIDTHS, slower=slower)
            except InputError:  # a family whose blocks do not take these ends
                continue
        found.append(sorted(own, key=lambda form: (form.rank, -form.strides)))
    return _unlike(form for turn in range(max(map(len, found), default=0)) for form in _at(found, turn))[:count]


def tried_note(forms: Sequence[Form]) -> str | None:
    """How many families the known networks are of, and of how many no form meets the target; None without any."""
    if not forms:
        return None
    counts = Counter(form.family for form in forms)
    others = {name for name in families() if name not in NO_FAMILIES} - set(counts)
    text = f"Known networks that were tried: {len(forms)} of {len(counts)} families."
    # No family is twice in what `rivals` gives before each that meets the target is there once.
    if others and max(counts.values()) > 1:
        text += f" Of {len(others)} more families none meets the target at any width, as predicted."
    return text


def _at(found: Sequence[Sequence[Form]], turn: int) -> Iterable[Form]:
    return (own[turn] for own in found if turn < len(own))


def _unlike(forms: Iterable[Form]) -> list[Form]:
    """The first of each network."""
    kept: dict[str, Form] = {}
    for form in forms:
        kept.setdefault(form.network.digest, form)
    return list(kept.values())


def _fits(size: Resolution, height: float, width: float) -> bool:
    rows, columns = height_width(size)
    return rows <= height and columns <= width
