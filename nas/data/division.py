"""Which image is of which split: copies kept out of two, absent splits drawn by class and seed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nas.data.listing import SPLITS
from nas.data.words import few
from nas.errors import InputError

SHARES = {1: 0.1, 2: 0.2}
"""Split → its share of each class, where it is drawn from the training images; at least one image a class."""


def copies_in_training(groups: NDArray[np.int64], splits: NDArray[np.int8]) -> NDArray[np.bool_]:
    """Which images have a copy in a split that is held back more: those of `train` that are in `val` or `test` too, and
    those of `val` in `test`. `groups` has one number for all copies of an image; shapes (n,)."""
    most = np.zeros(groups.max(initial=-1) + 1, np.int8)
    np.maximum.at(most, groups, splits)
    found: NDArray[np.bool_] = splits < most[groups]
    return found


def divide(
    labels: NDArray[np.int64],
    splits: NDArray[np.int8],
    groups: NDArray[np.int64],
    contents: Sequence[str],
    classes: Sequence[str],
    seed: int,
) -> NDArray[np.int8]:
    """`splits` (positions in `SPLITS`) with those that are absent drawn from the training images, class by class.

    Copies (`groups`) stay together. What is drawn depends on the `contents` of the images (digests) and the seed, not
    on names or order. Raises `InputError` where a class has too few different images. Arrays have the shape (n,).
    """
    absent = [split for split in SHARES if not (splits == split).any()]
    first: dict[int, int] = {}
    keys: dict[int, str] = {}
    for i in np.flatnonzero(splits == 0).tolist():
        group = int(groups[i])
        first.setdefault(group, i)
        keys[group] = min(keys.get(group, contents[i]), contents[i])
    members: list[list[int]] = [[] for _ in classes]
    for group, i in first.items():
        members[int(labels[i])].append(group)
    _refuse_few(members, absent, classes)
    drawn = np.zeros(int(groups.max(initial=-1)) + 1, np.int8)
    for one in members:
        one.sort(key=lambda group: hashlib.blake2b(f"{seed} {keys[group]}".encode()).digest())
        start = 0
        for split in absent:
            count = max(1, round(SHARES[split] * len(one)))
            drawn[one[start : start + count]] = split
            start += count
    result: NDArray[np.int8] = np.where(splits == 0, drawn[groups], splits).astype(np.int8)
    return result


def _refuse_few(members: Sequence[Sequence[int]], absent: Sequence[int], classes: Sequence[str]) -> None:
    least = 1 + len(absent)
    short = [f"{classes[i]} ({len(one)})" for i, one in enumerate(members) if len(one) < least]
    if short and absent:
        where = ", ".join(SPLITS[split] for split in (0, *absent))
        raise InputError(
            f"each class must have at least {least} different images, one for each of {where}, but fewer are in"
            f" {few(short)}; add images, or leave the class out."
        )
    if short:
        raise InputError(
            f"each class must have an image to train on, that is not held back as well, but none is in {few(short)};"
            " add some, or leave the class out."
        )
