from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.data.division import copies_in_training, divide
from nas.errors import InputError


def numbers(count: int) -> tuple[str, ...]:
    return tuple(f"{i:032x}" for i in range(count))


def divided(labels: list[int], splits: list[int], groups: list[int], seed: int = 0) -> list[int]:
    found = divide(
        np.array(labels),
        np.array(splits, np.int8),
        np.array(groups),
        numbers(len(labels)),
        [str(i) for i in range(max(labels) + 1)],
        seed,
    )
    result: list[int] = found.tolist()
    return result


def test_a_tenth_and_a_fifth_of_each_class() -> None:
    labels = [0] * 40 + [1] * 20 + [2] * 3
    found = np.array(divided(labels, [0] * 63, list(range(63))))
    counts = [[int((found[np.array(labels) == c] == s).sum()) for s in range(3)] for c in range(3)]
    assert counts == [[28, 4, 8], [14, 2, 4], [1, 1, 1]]


def test_only_what_is_absent_is_drawn() -> None:
    labels, splits = [0, 1] * 20, [2] * 10 + [0] * 30
    found = divided(labels, splits, list(range(40)))
    assert found[:10] == [2] * 10
    assert found[10:].count(1) == 4 and found[10:].count(2) == 0  # of each class round(1.5) of 15
    given_both = [2] * 10 + [1] * 10 + [0] * 20
    assert divided(labels, given_both, list(range(40))) == given_both


def test_the_seed_draws() -> None:
    labels, splits, groups = [0, 1] * 50, [0] * 100, list(range(100))
    assert divided(labels, splits, groups, 1) == divided(labels, splits, groups, 1)
    assert divided(labels, splits, groups, 1) != divided(labels, splits, groups, 2)


def test_order_and_names_do_not_matter() -> None:
    labels, contents = np.array([0, 1] * 30), np.array(numbers(60))
    zero, order = np.zeros(60, np.int8), np.random.default_rng(3).permutation(60)
    plain = divide(labels, zero, np.arange(60), contents.tolist(), ["a", "b"], 0)
    mixed = divide(labels[order], zero, np.arange(60), contents[order].tolist(), ["a", "b"], 0)
    assert np.array_equal(mixed, plain[order])


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 30)), max_size=60), st.integers(0, 5))
def test_copies_stay_together_and_every_class_is_everywhere(extra: list[tuple[int, int]], seed: int) -> None:
    images = [(i % 3, 100 + i) for i in range(9)] + extra  # three of each class without copies
    labels, groups = [label for label, _ in images], np.unique([g for _, g in images], return_inverse=True)[1].tolist()
    found = divided(labels, [0] * len(images), groups, seed)
    assert all(len({s for s, g in zip(found, groups, strict=True) if g == group}) == 1 for group in set(groups))
    assert {(label, split) for label, split in zip(labels, found, strict=True)} >= {
        (c, s) for c in range(3) for s in range(3)
    }


def test_copies_stay_where_they_are_held_back_most() -> None:
    groups = np.array([0, 0, 0, 1, 1, 2, 2, 3])
    splits = np.array([0, 1, 2, 0, 1, 0, 0, 0], np.int8)
    assert copies_in_training(groups, splits).tolist() == [True, True, False, True, False, False, False, False]


@pytest.mark.parametrize(
    ("labels", "splits", "groups", "words"),
    [
        ([0, 0, 0, 1], [0] * 4, [0, 1, 2, 3], ["at least 3 different images", "train, val, test", "1 (1)"]),
        ([0, 0, 0, 1, 1, 1], [0] * 6, [0, 1, 2, 3, 3, 3], ["1 (1)"]),  # three copies of one image
        ([0, 0, 1, 0, 1], [0, 0, 0, 2, 2], [0, 1, 2, 3, 4], ["at least 2 different images", "train, val,", "1 (1)"]),
        ([0, 1, 0, 1], [0, 1, 2, 2], [0, 1, 2, 3], ["an image to train on", "1 (0)"]),
    ],
)
def test_too_few_images(labels: list[int], splits: list[int], groups: list[int], words: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        divided(labels, splits, groups)
    for word in words:
        assert word in str(caught.value)
