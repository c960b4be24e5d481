"""Spaces around networks: they hold the network, and what may vary is what was asked for."""

from __future__ import annotations

import pytest

from nas.documents import parse_yaml
from nas.errors import InputError
from nas.space import known_names, known_network
from nas.space.around import space_around
from nas.space.encode import encode
from nas.space.reading import parse_search_space

NOT_OF_STAGES = ("espnetv2", "shufflenet", "squeezenet", "squeezenext")


@pytest.mark.parametrize("name", [name for name in known_names() if not name.startswith(NOT_OF_STAGES)])
def test_the_network_is_a_point_of_the_space_around_it(name: str) -> None:
    network = known_network(name)
    space, text = space_around(network)
    again = parse_search_space(parse_yaml(text, name="text"), "text")
    assert again.decode(encode(again, network)).digest == network.digest
    assert space.size > 1


@pytest.mark.parametrize("name", [name for name in known_names() if name.startswith(NOT_OF_STAGES)])
def test_a_network_of_another_build_is_refused_with_the_reason(name: str) -> None:
    with pytest.raises(InputError, match=f"but {name} is none: .+ Write a space by hand"):
        space_around(known_network(name))


def test_what_varies_is_what_was_asked_for() -> None:
    network = known_network("mobilenetv2-1.0")
    plain, wide = space_around(network)[0], space_around(network, widths=True, kernels=True)[0]
    third = plain.stages[2]  # three blocks of 32 channels, six times expanded
    assert (third.depth, third.width, third.kernel, third.expansion) == ((2, 3, 4), (32,), (3,), (5.0, 6.0))
    assert (wide.stages[2].width, wide.stages[2].kernel) == ((24, 32, 40), (3, 5, 7))


def test_other_classes_and_images_stay() -> None:
    network = known_network("mobilenetv2-1.0").adapted(num_classes=7, in_channels=1)
    assert (space_around(network)[0].num_classes, space_around(network)[0].in_channels) == (7, 1)
