from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.documents import parse_yaml
from nas.errors import InputError
from nas.space import CodeSpace, Point
from nas.space.codes import parse_code_space

TEXT = """
schema: 1
name: my-codes
genes: {layer0: [0, 1, 2], layer1: [3, 5], optimizer: [sgd, adamw], nesterov: [true, false], rate: [0.1, 0.2, 0.5]}
"""


def _parse(text: str) -> CodeSpace:
    return parse_code_space(parse_yaml(text, name="codes.yaml"), "codes.yaml")


def test_a_space_of_codes() -> None:
    space = _parse(TEXT)
    assert space.name == "my-codes"
    assert space.size == 3 * 2 * 2 * 2 * 3
    assert space.cardinalities.tolist() == [3, 2, 2, 2, 3]
    assert space.decode([2, 1, 0, 1, 0]).genes == {
        "layer0": 2, "layer1": 5, "optimizer": "sgd", "nesterov": False, "rate": 0.1,
    }  # fmt: skip
    codes = space.sample_codes(4, np.random.default_rng(0))
    assert space.canonical(codes) is codes


@given(st.integers(0, 2**32 - 1))
def test_encoding_and_decoding_come_back(seed: int) -> None:
    space = _parse(TEXT)
    codes = space.sample_codes(3, np.random.default_rng(seed))
    points = space.sample(3, np.random.default_rng(seed))
    assert [space.encode(point).tolist() for point in points] == codes.tolist()


def test_equal_points_are_one_point() -> None:
    space = _parse(TEXT)
    assert len({space.decode([0, 0, 0, 0, 0]), space.decode([0, 0, 0, 0, 0]), space.decode([1, 0, 0, 0, 0])}) == 2


def test_a_point_of_another_space_is_refused() -> None:
    space = _parse(TEXT)
    with pytest.raises(InputError, match="a point of my-codes must have the genes layer0, layer1"):
        space.encode(Point(code=(0,), genes={"layer0": 0}))
    with pytest.raises(InputError, match="layer1 must be a choice of the space my-codes, but got 4"):
        space.encode(Point(code=(), genes={**space.decode([0] * 5).genes, "layer1": 4}))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("{layer0", "{}\nx: {layer0", "keys must be known, but got 'x'; allowed: schema, name, description, genes."),
        ("genes: {layer0: [0, 1, 2], ", "genes: {layer0: [], ", "genes: layer0 must be a list with at least one entry"),
        ("[0, 1, 2]", "3", "genes: layer0 must be a list with at least one entry, but got 3."),
        ("[0, 1, 2]", "[0, 1, 0]", "genes: layer0 must be a list of different choices, but got 0 twice."),
        ("[0, 1, 2]", "[0, [1]]", "genes: layer0 must hold numbers, texts or truth values, but got [1]."),
        ("[0, 1, 2]", "[0, null]", "genes: layer0 must hold numbers, texts or truth values, but got None."),
        ("schema: 1", "schema: 3", "schema must be 1, but got 3"),
        ("name: my-codes", "name: 3", "name must be a text, but got 3."),
    ],
)  # fmt: skip
def test_faults(old: str, new: str, words: str) -> None:
    with pytest.raises(InputError, match=f"^codes.yaml: {re.escape(words)}"):
        _parse(TEXT.replace(old, new))


def test_a_choice_that_is_no_finite_number_is_refused() -> None:
    with pytest.raises(InputError, match=r"^codes.yaml, line 4: a number must be finite, .* but got .nan"):
        _parse(TEXT.replace("[0, 1, 2]", "[0, .nan]"))


@pytest.mark.parametrize("genes", ["{}", "[]", "null", "3"])
def test_genes_must_be_there(genes: str) -> None:
    with pytest.raises(InputError, match="genes must be a mapping of 1 to 1000 genes to their choices, but got"):
        _parse(f"schema: 1\nname: x\ngenes: {genes}\n")
