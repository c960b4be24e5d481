from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import nas
from nas.errors import InputError
from nas.measure import plan
from nas.measure.plan import (
    FORM_WIDTHS,
    NUM_PROBES,
    NUM_REPEATS,
    REFERENCE_NETWORK,
    Item,
    further_items,
    generic_items,
    network_item,
    ordered,
    probe_item,
    small_sizes,
    space_items,
    space_keys,
)
from nas.measure.probes import probe_graph
from nas.measure.repeats import repeat_graph
from nas.runtimes import ONNX_RUNTIME, OWN
from nas.space import known_names, known_network, load_space
from nas.space.reading import parse_search_space
from nas.space.search_space import SearchSpace
from tests.jobs.small import small_space, tiny_document


def tiny_space() -> SearchSpace:
    return parse_search_space(tiny_document(), "tiny")


def keys(item: Item) -> list[str]:
    return [segment.key for segment in item.segments]


@pytest.fixture(autouse=True)
def _small_pools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "_POOL", 150)


def test_a_network_is_an_item_with_its_segments_and_its_graph() -> None:
    network = known_network("mobilenetv3-small-1.0")
    item = network_item(network, "known", OWN)
    assert (item.name, item.digest, item.role, item.macs) == (network.name, network.digest, "known", network.macs)
    assert keys(item) == [segment.key for segment in item.graph().segments]


def test_generic_items_are_the_known_networks_of_phones_the_probes_and_the_repeats() -> None:
    items = generic_items(ONNX_RUNTIME, 0)
    names = {item.name for item in items if item.role == "known"}
    assert names <= set(known_names())
    # The reference is timed in every batch; networks of more than a few 10⁹ multiply-adds are not for phones.
    assert {name for name in known_names() if known_network(name).macs <= 1.5e9} - names == {REFERENCE_NETWORK}
    probes = [item for item in items if item.role == "probe"]
    random = [item for item in probes if item.name.startswith("probe-")]
    assert NUM_PROBES * 0.8 < len(random) <= NUM_PROBES
    assert NUM_REPEATS * 0.8 < len(probes) - len(random) <= NUM_REPEATS
    assert len({item.digest for item in probes}) == len(probes)
    for probe in probes[::20]:
        assert keys(probe) == [segment.key for segment in ONNX_RUNTIME.in_context(probe.graph())]


def test_families_are_timed_at_sizes_that_no_known_network_has(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, sizes in (("tiny", (32, 64)), ("mobile-core", ())):
        space = load_space(name)
        assert isinstance(space, SearchSpace) and small_sizes(space) == sizes
    members = [known_network("mobilenetv1-0.25"), known_network("squeezenet-1.1")]
    monkeypatch.setattr(plan, "family_members", lambda: members)
    usual = {item.digest for item in generic_items(OWN, 0)}
    added = [item for item in generic_items(OWN, 0, (32, 64)) if item.digest not in usual]
    assert {item.role for item in added} == {"known"} and len({item.digest for item in added}) == len(added)
    assert {item.architecture.resolution for item in added if item.architecture} == {32, 64}
    for member in members:  # two placements of strides at each size; some widths are one network
        own = [item.architecture for item in added if item.name.startswith(f"{member.name}-x") and item.architecture]
        assert len({(network.resolution, network.name.rpartition("-s")[2]) for network in own}) == 2 * 2
        assert 2 * 2 * 2 <= len(own) <= 2 * 2 * len(FORM_WIDTHS)


@pytest.mark.parametrize("name", ["probe-7", "repeat-3", "probe-412"])
def test_a_probe_is_made_of_its_name(name: str) -> None:
    kind, number = name.split("-")
    graph = {"probe": probe_graph, "repeat": repeat_graph}[kind](int(number))
    item = probe_item(name, OWN)
    assert (item.name, item.architecture) == (name, None)
    assert keys(item) == [segment.key for segment in graph.segments]


@pytest.mark.parametrize("name", ["probe", "probe--1", "probe-1.5", "other-1", "probe-1\n"])
def test_no_other_name_is_a_probe(name: str) -> None:
    with pytest.raises(InputError, match="must be called probe-NUMBER or repeat-NUMBER"):
        probe_item(name, OWN)


def test_a_network_has_one_digest_on_all_devices_and_the_segments_of_each_runtime() -> None:
    plainly, blocked = generic_items(OWN, 0), generic_items(ONNX_RUNTIME, 0)
    assert [item.digest for item in plainly] == [item.digest for item in blocked]
    kinds = [{row[0] for item in items for s in item.segments for row in s.rows} for items in (plainly, blocked)]
    assert kinds[1] - kinds[0] == {"reorder"}


def test_the_seed_sets_the_order_of_generic_items_and_nothing_else() -> None:
    first, again, other = (generic_items(OWN, seed) for seed in (1, 1, 2))
    assert [item.name for item in first] == [item.name for item in again]
    assert [item.name for item in first] != [item.name for item in other]
    assert {item.digest for item in first} == {item.digest for item in other}


def test_the_networks_of_a_small_space_come_each_once_and_then_no_more() -> None:
    space = tiny_space()
    found = list(space_items(space, OWN, 0))
    assert len(found) == len({item.digest for item in found}) == space.size


def test_no_network_of_a_large_space_comes_twice_and_the_seed_sets_which() -> None:
    space = nas.load_space("mobile-core")
    assert isinstance(space, SearchSpace)
    found = list(itertools.islice(space_items(space, OWN, 0), 320))
    assert len({item.digest for item in found}) == 320
    again = list(itertools.islice(space_items(space, OWN, 0), 40))
    assert [item.digest for item in again] == [item.digest for item in found[:40]]
    other = list(itertools.islice(space_items(space, OWN, 1), 40))
    assert [item.digest for item in other] != [item.digest for item in found[:40]]
    assert keys(found[3]) == [segment.key for segment in found[3].graph().segments]


def test_the_first_networks_have_more_segments_among_them_than_random_ones() -> None:
    space = small_space()
    chosen = {key for item in itertools.islice(space_items(space, OWN, 0), 25) for key in keys(item)}
    counts = [
        len(
            {segment.key for network in space.sample(25, np.random.default_rng(seed)) for segment in network.segments()}
        )
        for seed in range(5)
    ]
    assert len(chosen) > max(counts)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """What the order of timing reads of a segment."""

    key: str
    macs: int


def _item(name: str, macs: int, *keys: str) -> Item:
    parts: Any = [_Part(key=key, macs=macs // len(keys)) for key in keys]
    return Item(name=name, digest=name, role="space", segments=parts, graph=known_network("fbnet-c").graph)


def test_of_networks_that_tell_as_much_the_cheaper_is_timed_first() -> None:
    # The median is 100: gains are 2 / (1 + 4), 2 / (1 + 1) and 1 / (1 + 0.5). Then b's parts have been seen once each.
    items = [_item("a", 400, "a1", "a2"), _item("b", 100, "b1", "b2"), _item("c", 50, "c1")]
    assert [item.name for item in plan._least_timed_first(items, {})] == ["b", "c", "a"]
    # By gain alone a, told first, would come first; here b's parts were seen before, 2 · ¼ / 2 = 0.25 under a's 0.4.
    assert [item.name for item in plan._least_timed_first(items, {"b1": 1, "b2": 1})] == ["c", "a", "b"]


def test_a_segment_seen_often_tells_less_than_one_seen_once() -> None:
    items = [_item("often", 100, "a"), _item("once", 100, "b"), _item("never", 100, "c")]
    seen = {"a": 3, "b": 1}
    assert [item.name for item in plan._least_timed_first(items, seen)] == ["never", "once", "often"]
    assert seen == {"a": 4, "b": 2, "c": 1}


def test_a_space_that_is_timed_whole_has_all_its_segments_timed() -> None:
    space = tiny_space()
    assert {key for item in space_items(space, OWN, 0) for key in keys(item)} == space_keys(space)


@pytest.mark.parametrize("name", ["mobile-core", "mobile"])
def test_the_segments_of_a_space_are_those_that_its_networks_may_have(name: str) -> None:
    space = nas.load_space(name)
    assert isinstance(space, SearchSpace)
    every = space_keys(space)
    sampled = {s.key for network in space.sample(60, np.random.default_rng(0)) for s in network.segments()}
    assert sampled <= every


def test_networks_of_the_space_take_turns_with_generic_ones_and_then_go_on() -> None:
    space = tiny_space()
    own, generic = list(space_items(space, OWN, 0)), generic_items(OWN, 0)[:3]
    found = list(ordered(generic, iter(own)))
    roles = [item.role for item in generic]
    assert [item.role for item in found[:5]] == [*roles[:2], "space", roles[2], "space"]
    assert [item.digest for item in found if item.role == "space"] == [item.digest for item in own]


def test_a_longer_budget_brings_further_probes_and_repeats() -> None:
    own, generic = list(space_items(tiny_space(), OWN, 0)), generic_items(OWN, 0)[:1]
    more = list(itertools.islice(further_items(OWN), 6))
    assert {item.role for item in more} == {"probe"}
    assert not {item.digest for item in more} & {item.digest for item in generic_items(OWN, 0)}
    found = list(itertools.islice(ordered(generic, iter(own), iter(more)), 5))
    assert [item.name for item in found] == [generic[0].name, own[0].name, more[0].name, own[1].name, more[1].name]


def test_where_the_space_ends_first_the_generic_ones_still_come() -> None:
    own, generic = list(space_items(tiny_space(), OWN, 0))[:2], generic_items(OWN, 0)[:5]
    assert [item.name for item in ordered(generic, iter(own)) if item.role != "space"] == [
        item.name for item in generic
    ]
