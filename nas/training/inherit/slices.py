"""Which channel of a parent each channel of its descendant is.

Channels that go through the same weights form a group: the graph's own channel groups, told apart where a
concatenation, a shuffle, a split, groups or heads send them to different places. Of each group the channels that matter
most are kept, in their order.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from nas.training.inherit.channels import Channels, Ids, Place, signatures
from nas.training.inherit.importance import Order

Signature = frozenset[tuple[Place, int]]


@dataclass(slots=True)
class _Group:
    """The channels of one signature, in order."""

    signature: Signature
    members: list[int] = field(default_factory=list)
    chosen: list[tuple[frozenset[Place], list[int]]] = field(default_factory=list)
    """Parent's channels for the members, by the places for which they hold; 0 where there is none."""

    @property
    def places(self) -> frozenset[Place]:
        return frozenset(place for place, _ in self.signature)


class ChannelPairs:
    """The channels of a child beside those of its parent.

    `nodes` pairs the child's nodes with the parent's; what is `left_out` of the child's channels gets none. `losing`
    are the parent's groups that have not as many channels in the child.
    """

    def __init__(self, child: Channels, parent: Channels, nodes: Mapping[int, int], left_out: Iterable[int]) -> None:
        self._child, self._parent, self._nodes = child, parent, nodes
        all_ours, all_theirs = _groups(child, nodes), _groups(parent, {node: node for node in nodes.values()})
        self._theirs = _without(all_theirs, parent.image)
        self._ours = _without(all_ours, {*left_out, *child.image})
        counts = {group.signature: len(group.members) for group in all_ours}
        kept = _without(self._theirs, parent.output)
        self.losing = [group.members for group in kept if counts.get(group.signature) != len(group.members)]

    def kept(self, order: Order) -> dict[tuple[int, str], NDArray[np.int64]]:
        """(node of the child, side of its weight) → for each index of that side the parent's index, -1 for none, where
        of each group those channels are kept that come last in `order`."""
        ours = _without(self._ours, ())
        _assign(ours, self._theirs, order)
        member = {channel: (group, rank) for group in ours for rank, channel in enumerate(group.members)}
        found = {}
        for (node, side), ids in self._child.sides.items():
            if node in self._nodes and (self._nodes[node], side) in self._parent.sides:
                place = Place(self._nodes[node], side, self._child.groups.get(node, 1))
                found[node, side] = _indices(ids, place, member, self._parent)
        return found


def _groups(channels: Channels, nodes: Mapping[int, int]) -> list[_Group]:
    """The groups, by their first channel."""
    groups: dict[Signature, _Group] = {}
    for channel, signature in sorted(signatures(channels, nodes).items()):
        if signature:
            groups.setdefault(signature, _Group(signature)).members.append(channel)
    return list(groups.values())


def _without(groups: Iterable[_Group], excluded: Collection[int]) -> list[_Group]:
    """The groups of what is not `excluded`, by their first channel."""
    left = (_Group(group.signature, [one for one in group.members if one not in excluded]) for group in groups)
    return sorted((group for group in left if group.members), key=lambda group: group.members[0])


def _assign(ours: list[_Group], theirs: list[_Group], order: Order) -> None:
    """Choose parents for the members of each group: from the group of the same signature, or the ones most like it."""
    at_place: dict[Place, list[int]] = defaultdict(list)
    for number, group in enumerate(theirs):
        for place in group.places:
            at_place[place].append(number)
    exact = {group.signature: number for number, group in enumerate(theirs)}
    used: dict[int, set[Place]] = defaultdict(set)
    for group in sorted(ours, key=lambda one: one.signature not in exact):
        shared: dict[int, int] = defaultdict(int)
        for place in group.places:
            for number in at_place[place]:
                shared[number] += 1
        # The closest first: many places in common, few others.
        closest = sorted(
            shared, key=lambda n: (theirs[n].signature != group.signature, -shared[n], len(theirs[n].places), n)
        )
        open_places = set(group.places)
        makes = {place for place in group.places if place.side == "out"}
        while closest and open_places:
            covering = [n for n in closest if not open_places.isdisjoint(theirs[n].places)]
            if not covering:
                break
            first = theirs[covering[0]].places
            # More of its channels may come from other groups, if they are made by the same weights.
            makers = first & open_places & makes
            chosen, places = _drawn(
                group,
                [theirs[n] for n in covering if not makers or makers & theirs[n].places],
                used,
                order,
                open_places,
            )
            group.chosen.append((places, chosen))
            open_places -= places or first
            closest = covering[1:]


def _drawn(
    group: _Group,
    candidates: list[_Group],
    used: dict[int, set[Place]],
    order: Order,
    open_places: set[Place],
) -> tuple[list[int], frozenset[Place]]:
    """As many channels as the group has members, the most important of the first candidate and then of the next; none
    that another group has at one of its places. Also the places for which they hold."""
    chosen: list[int] = []
    places: set[Place] = set()
    for candidate in candidates:
        needed = len(group.members) - len(chosen)
        if not needed:
            break
        free = [channel for channel in candidate.members if used[channel].isdisjoint(group.places)]
        best = sorted(free, key=lambda channel: (-order[channel], channel))[:needed]
        chosen += sorted(best)
        if best:
            places |= candidate.places & open_places
        for channel in best:
            used[channel] |= candidate.places & open_places
    return chosen + [0] * (len(group.members) - len(chosen)), frozenset(places)


def _indices(ids: Ids, at: Place, member: Mapping[int, tuple[_Group, int]], parent: Channels) -> NDArray[np.int64]:
    """For each index of one side of a weight the parent's index. A channel that comes more than once there (the scales
    and shifts of a dynamic activation) is its parent as often."""
    where: dict[int, list[int]] = defaultdict(list)
    for index, channel in enumerate(parent.sides[at.node, at.side].tolist()):
        where[channel].append(index)
    seen: dict[int, int] = defaultdict(int)
    found = np.full(len(ids), -1, dtype=np.int64)
    size = len(ids) // at.groups
    for index, channel in enumerate(ids.tolist()):
        turn, seen[channel] = seen[channel], seen[channel] + 1
        if channel not in member:
            continue
        group, rank = member[channel]
        place = Place(at.node, at.side, at.groups, index // size)
        for places, chosen in group.chosen:
            if place in places:
                places_of = where.get(chosen[rank], [])
                if turn < len(places_of):
                    found[index] = places_of[turn]
                    break
    return found


def differing_heads(child: Channels, parent: Channels, nodes: Mapping[int, int]) -> set[int]:
    """The child's channels that meet in a product of more or fewer heads than in the parent."""
    return {
        channel
        for (node, side), ids in child.heads.items()
        if node in nodes and len(parent.heads.get((nodes[node], side), ids)) != len(ids)
        for channel in ids.ravel().tolist()
    }
