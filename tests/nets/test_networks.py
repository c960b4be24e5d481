from __future__ import annotations

import pytest

from nas.nets import build
from nas.space import known_names, known_network
from nas.space.seeds import families, instantiate
from tests.nets.readings import check_all_readings


@pytest.mark.parametrize("name", list(known_names()))
def test_all_readings_of_a_known_network_agree(name: str) -> None:
    check_all_readings(build(known_network(name).at_resolution(64)))


@pytest.mark.slow
@pytest.mark.parametrize("name", list(families()))
def test_all_readings_of_one_of_each_family_agree_at_full_size(name: str) -> None:
    family = families()[name]
    networks = [instantiate(family, variant).architecture for variant in family.variants]
    check_all_readings(build(min(networks, key=lambda network: network.params)))
