"""What was found when a data set was read: what its user should know before anything is trained on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.data.words import few

IMBALANCED = 3.0
"""From this ratio of the largest class to the smallest on, there is a warning."""
_LISTED = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """A file that is left out, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """Counts of images, unless it says otherwise.

    `counts` has a row for each class and a column for train, val and test; `drawn` are the splits that were not given.
    `sizes` are (height, width, number of images), the smallest area first. `notes` count what was done to pixels
    (`nas.data.image.NOTES`). `copies_left_out` have a copy in a split that is held back more; `copies` are further
    copies of an image inside its split; `contradictions` name images that have copies in another class.
    """

    counts: tuple[tuple[int, int, int], ...]
    drawn: tuple[str, ...]
    sizes: tuple[tuple[int, int, int], ...]
    channels: Mapping[int, int]
    formats: Mapping[str, int]
    notes: Mapping[str, int]
    unreadable: tuple[Unreadable, ...]
    others: tuple[str, ...]
    copies_left_out: tuple[str, ...]
    copies: int
    contradictions: tuple[str, ...]

    @property
    def images(self) -> int:
        """The images that can be trained on or held back."""
        return sum(map(sum, self.counts))

    @property
    def imbalance(self) -> float:
        """The training images of the largest class over those of the smallest."""
        train = [row[0] for row in self.counts]
        return max(train) / min(train)

    @property
    def median_size(self) -> tuple[int, int]:
        """Height and width of the image in the middle, by area."""
        at = (sum(count for _, _, count in self.sizes) - 1) // 2
        for height, width, count in self.sizes:
            if at < count:
                return height, width
            at -= count
        raise ValueError("there must be an image")

    def warnings(self, classes: Sequence[str]) -> list[str]:
        """What should be looked at, a sentence each; `classes` are the names of the rows."""
        found = []
        if self.imbalance >= IMBALANCED:
            train = [row[0] for row in self.counts]
            most, least = int(np.argmax(train)), int(np.argmin(train))
            found.append(
                f"the classes are uneven: {classes[most]} has {self.imbalance:.3g} times the training images of"
                f" {classes[least]}"
            )
        for split, name in ((1, "val"), (2, "test")):
            without = [classes[i] for i, row in enumerate(self.counts) if not row[split]]
            if without:
                found.append(f"{name} has no image of {few(without)}")
        if self.unreadable:
            first = [f"{one.name} {one.reason}" for one in self.unreadable]
            found.append(f"left out, as they cannot be read: {few(first)}")
        if self.copies_left_out:
            found.append(f"left out, as copies are held back for val or test: {few(self.copies_left_out)}")
        if self.contradictions:
            found.append(f"the same image stands in two classes: {few(self.contradictions)}")
        return found

    def as_json(self, classes: Sequence[str]) -> dict[str, Any]:
        """The record that `nas data show --json` prints, of all but where the data are."""
        totals = [sum(column) for column in zip(*self.counts, strict=True)]
        (low, high), (middle_height, middle_width) = (self.sizes[0], self.sizes[-1]), self.median_size
        return {
            "images": self.images,
            "classes": [
                {"name": name, "train": train, "val": val, "test": test}
                for name, (train, val, test) in zip(classes, self.counts, strict=True)
            ],
            "splits": {
                name: {"images": total, "drawn": name in self.drawn}
                for name, total in zip(("train", "val", "test"), totals, strict=True)
            },
            "imbalance": self.imbalance,
            "sizes": {
                "smallest": list(low[:2]),
                "median": [middle_height, middle_width],
                "largest": list(high[:2]),
                "different": len(self.sizes),
            },
            "channels": {str(count): images for count, images in self.channels.items()},
            "formats": dict(self.formats),
            "notes": dict(self.notes),
            "unreadable": _listed([{"name": one.name, "reason": one.reason} for one in self.unreadable]),
            "other_files": _listed(self.others),
            "copies_left_out": _listed(self.copies_left_out),
            "copies": self.copies,
            "contradictions": _listed(self.contradictions),
            "warnings": self.warnings(classes),
        }


def _listed(names: Sequence[Any]) -> dict[str, Any]:
    return {"count": len(names), "first": list(names[:_LISTED])}


def size_counts(sizes: NDArray[np.int64]) -> tuple[tuple[int, int, int], ...]:
    """Heights and widths of shape (n, 2) as the `sizes` of `Findings`."""
    counts = Counter(map(tuple, sizes.tolist()))
    return tuple((h, w, counts[h, w]) for h, w in sorted(counts, key=lambda size: (size[0] * size[1], size)))
