from __future__ import annotations

import pytest

from nas.errors import InputError
from nas.space import Architecture, load_architecture
from nas.space.fitted import BETWEEN, NO_FAMILIES, WIDTHS, family_members, fitted, placement_of, scaled
from nas.space.seeds import families

MOBILENET = load_architecture("mobilenetv2-1.0").adapted(num_classes=10)


def strides(network: Architecture) -> int:
    """By how much the last map is smaller than the image."""
    return network.input_shape[1] // network.layer_inputs()[-1][1]


def macs(network: Architecture) -> float:
    return float(network.macs)


def test_the_strides_nearest_to_the_image_go_first() -> None:
    # Five strides of 2 in MobileNetV2: the stem and stages 2, 3, 4, 6.
    whole = scaled(MOBILENET, 1.0, 5, 224)
    assert whole.digest == MOBILENET.digest and strides(whole) == 32
    small = scaled(MOBILENET, 1.0, 3, 32)
    assert strides(small) == 8 and small.layers[0].arg("stride") == 1
    assert [dict(layer.args).get("stride") for layer in small.layers].count(2) == 3
    assert small.layer_inputs()[-1][1:] == (4, 4)


def test_widths_are_multiples_of_8_and_keep_their_proportions() -> None:
    half = scaled(MOBILENET, 0.5, 5, 224)
    # The stem's 32, and 96 channels that expand its 16 of the first block.
    assert half.layers[0].arg("out") == 16 and half.layers[1].arg("hidden") == 16 and half.layers[1].arg("out") == 8
    assert half.layers[2].arg("hidden") == 48
    assert all(int(v) % 8 == 0 for layer in half.layers for k, v in layer.args if k in ("out", "hidden"))
    assert half.name == "mobilenetv2-1.0-x0.5-s5"


def test_stems_of_several_convolutions_lose_their_strides_one_by_one() -> None:
    repvit = scaled(load_architecture("repvit-m0.9"), 1.0, 4, 32)
    assert [layer.block for layer in repvit.layers[:2]] == ["conv", "conv"]
    assert [layer.arg("stride") for layer in repvit.layers[:2]] == [1, 2] and strides(repvit) == 16
    own = load_architecture("repvit-m0.9")
    assert scaled(own, 1.0, 9, 224).params == own.params
    shuffle = scaled(load_architecture("shufflenetv2-1.0"), 1.0, 3, 32)
    assert shuffle.layers[0].block == "conv" and strides(shuffle) == 8


def test_the_widest_that_meet_the_target_by_enumeration() -> None:
    target = 5e6
    found = fitted(MOBILENET, macs, target, resolution=32, widths=2)
    for number in (4, 3):
        # A last map of 2 pixels allows four strides of 2 in 32 pixels, and one fewer is tried beside it.
        able = [width for width in WIDTHS if scaled(MOBILENET, width, number, 32).macs <= target]
        above = WIDTHS[WIDTHS.index(able[0]) - 1]
        finer = [above * (able[0] / above) ** (i / (BETWEEN + 1)) for i in range(BETWEEN + 1)]
        widest = max(n.macs for n in (scaled(MOBILENET, w, number, 32) for w in finer) if n.macs <= target)
        first, second = (form for form in found if form.strides == number)
        # Finer than by the widths alone: between these lies a form that makes more of the target.
        assert first.network.macs == widest > scaled(MOBILENET, able[0], number, 32).macs
        assert second.width == able[0]
    assert [form.rank for form in found] == [0, 1, 0, 1]
    assert all(form.latency_ms == form.network.macs <= target and form.family == "mobilenetv2" for form in found)
    assert found[1].network.macs < found[0].network.macs


def test_where_few_widths_meet_it_those_between_them_do() -> None:
    target = scaled(MOBILENET, 0.125, 4, 32).macs
    found = [form for form in fitted(MOBILENET, macs, target, resolution=32, widths=99) if form.strides == 4]
    steps = {network.digest for network in (scaled(MOBILENET, w, 4, 32) for w in WIDTHS) if network.macs <= target}
    made = [form.network.digest for form in found]
    assert len(made) == len(set(made)) > 2 * len(steps) and steps <= set(made)
    assert all(form.network.macs <= target for form in found)
    widths = [form.width for form in found]
    assert widths == sorted(widths, reverse=True) and max(form.network.macs for form in found) == target


def test_a_placement_that_is_slower_than_predicted_is_fitted_narrower() -> None:
    usual = fitted(MOBILENET, macs, 5e6, resolution=32, widths=2)
    (four, three) = (next(placement_of(form) for form in usual if form.strides == number) for number in (4, 3))
    assert four == "mobilenetv2 s4 32" != three
    found = fitted(MOBILENET, macs, 5e6, resolution=32, widths=2, slower={four: 2.0})
    half = [form.network.digest for form in fitted(MOBILENET, macs, 2.5e6, resolution=32, widths=2)]
    assert [form.network.digest for form in found if form.strides == 4] == half[:2]
    assert [form for form in found if form.strides == 3] == [form for form in usual if form.strides == 3]
    assert all(form.latency_ms == (2 if form.strides == 4 else 1) * form.network.macs <= 5e6 for form in found)


def test_what_cannot_meet_it_has_no_forms() -> None:
    assert fitted(MOBILENET, macs, 1e4, resolution=32, widths=2) == []

    def unknown(network: Architecture) -> float:
        raise InputError("no row")

    assert fitted(MOBILENET, unknown, 1e9, resolution=32, widths=1) == []


def test_there_is_one_member_of_each_family() -> None:
    members = family_members()
    assert {network.family for network in members} == {name for name in families() if name not in NO_FAMILIES}
    assert "mobilenetv1-1.0" in [network.name for network in members]


@pytest.mark.parametrize("member", family_members(), ids=lambda network: network.family)
def test_each_family_fits_small_images(member: Architecture) -> None:
    found = fitted(member.adapted(num_classes=10), macs, 2e7, resolution=32, widths=1)
    # ESPNetv2's trunk is one block that halves five times.
    assert bool(found) == (member.family != "espnetv2")
    assert all(min(form.network.layer_inputs()[-1][1:]) >= 2 and form.network.macs <= 2e7 for form in found)
