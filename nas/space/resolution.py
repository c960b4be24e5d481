"""Sizes of images: an integer for a square, (height, width) for any other rectangle."""

from __future__ import annotations

import math

Resolution = int | tuple[int, int]
"""The side of a square, or height and width that differ, in pixels."""

LARGEST = 4096
"""The longest side of an image, in pixels."""


def parse_resolution(value: object, *, low: int, high: int = LARGEST) -> Resolution | None:
    """The resolution that a document states, [height, width] or an integer; None where a side is not allowed."""
    height, width = value if isinstance(value, list | tuple) and len(value) == 2 else (value, value)
    if type(height) is not int or type(width) is not int:
        return None
    if not all(low <= size <= high for size in (height, width)):
        return None
    return canonical((height, width))


def canonical(resolution: Resolution) -> Resolution:
    """The one form of a resolution: a square is an integer."""
    height, width = height_width(resolution)
    return height if height == width else (height, width)


def height_width(resolution: Resolution) -> tuple[int, int]:
    """Height and width in pixels."""
    return (resolution, resolution) if isinstance(resolution, int) else resolution


def side_of(resolution: Resolution) -> float:
    """The side of the square of the same area, in pixels."""
    return math.sqrt(math.prod(height_width(resolution)))


def resolution_document(resolution: Resolution) -> int | list[int]:
    """As JSON and YAML have it: an integer, or [height, width]."""
    return resolution if isinstance(resolution, int) else list(resolution)


def resolution_text(document: int | list[int] | Resolution) -> str:
    """As people read it: 224, or 192x256 (height first)."""
    return str(document) if isinstance(document, int) else "x".join(map(str, document))
