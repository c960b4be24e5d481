from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nas.space.compile.lookup import Lookup, affine


@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=4).flatmap(
        lambda shape: arrays(np.int64, tuple(shape), elements=st.integers(-3, 3))
    ),
    st.integers(0, 2**32 - 1),
)
def test_a_lookup_is_the_entry_at_the_genes(values: np.ndarray, seed: int) -> None:
    rng = np.random.default_rng(seed)
    names = [f"g{axis}" for axis in range(values.ndim)]
    columns = {name: rng.integers(0, size, 20).astype(np.int32) for name, size in zip(names, values.shape, strict=True)}
    assert Lookup(names, values).of(columns).tolist() == values[tuple(columns.values())].tolist()


def test_a_gene_that_makes_no_difference_is_not_looked_at() -> None:
    values = np.broadcast_to(np.arange(3).reshape(3, 1), (3, 5))
    assert Lookup(["a", "b"], values).of({"a": np.array([2, 0], dtype=np.int32)}).tolist() == [2, 0]


def test_axes_and_genes_must_agree() -> None:
    with pytest.raises(ValueError, match=r"values must have one axis a gene, but got \(2, 3\) for \['a'\]"):
        Lookup(["a"], np.zeros((2, 3), dtype=np.int64))


def test_affine() -> None:
    assert affine(100, (10, 0, 1), (2, 2, 3)).tolist() == [
        [[100, 101, 102], [100, 101, 102]], [[110, 111, 112], [110, 111, 112]],
    ]  # fmt: skip
