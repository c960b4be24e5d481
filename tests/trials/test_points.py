from __future__ import annotations

import json

import numpy as np
import pytest
import yaml

from nas.errors import InputError
from nas.space import load_space
from nas.space.architecture import parse_architecture
from nas.space.search_space import SearchSpace
from nas.trials.points import document_of, point_of, subject_of
from tests.trials.by_hand import SPACE


def test_a_network_travels_as_text_with_its_genes() -> None:
    space = load_space("mobile")
    assert isinstance(space, SearchSpace)
    for network in space.sample(3, np.random.default_rng(0)):
        again = point_of(json.loads(json.dumps(document_of(network))))
        assert again == network and again.genes == network.genes


def test_a_point_of_codes_travels_as_text() -> None:
    point = SPACE.decode([0, 1, 2, 3, 0])
    again = point_of(json.loads(json.dumps(document_of(point))))
    assert again == point and again.genes == point.genes


def test_the_table_has_networks_as_files_and_codes_as_genes() -> None:
    space = load_space("mobile")
    assert isinstance(space, SearchSpace)
    (network,) = space.sample(1, np.random.default_rng(0))
    assert parse_architecture(yaml.safe_load(subject_of(network)), "subject").digest == network.digest
    genes = {"layer0": 0, "layer1": 1, "layer2": 2, "layer3": 3, "layer4": 0}
    assert json.loads(subject_of(SPACE.decode([0, 1, 2, 3, 0]))) == {"genes": genes}


@pytest.mark.parametrize("use", [subject_of, document_of])
def test_what_is_no_point_is_refused(use: object) -> None:
    with pytest.raises(InputError, match="must be an Architecture or a Point of codes, but got tuple"):
        use((0, 1))  # type: ignore[operator]
