"""The letters of an Einsum: which axes meet, and which are summed over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nas.graph.rows import Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Letters:
    """The size of each letter, the axes of an ellipsis among them ("...1" is its last), and those of the result."""

    sizes: dict[str, int]
    result: tuple[str, ...]

    @property
    def summed(self) -> set[str]:
        """What is summed over."""
        return set(self.sizes) - set(self.result)

    @property
    def shape(self) -> Shape:
        """The shape of the result."""
        return tuple(self.sizes[letter] for letter in self.result)


def letters_of(equation: str, shapes: Sequence[Shape]) -> Letters:
    """The letters of `equation` on operands of `shapes`. Raises `ValueError` where it does not fit them."""
    given, arrow, result = equation.replace(" ", "").partition("->")
    sizes: dict[str, int] = {}
    named: list[str] = []
    for text, shape in zip(given.split(","), shapes, strict=True):
        before, dots, after = text.partition("...")
        rest = len(shape) - len(before) - len(after)
        if rest < 0 or (not dots and rest):
            raise ValueError(f"{text!r} has not the axes of {shape}")
        axes = [*before, *(f"...{rest - i}" for i in range(rest)), *after]
        for axis, size in zip(axes, shape, strict=True):
            sizes[axis] = max(size, sizes.get(axis, 1))
        named += axes
    ellipsis = sorted((axis for axis in sizes if axis.startswith("...")), key=lambda axis: -int(axis[3:]))
    if not arrow:
        kept = [*ellipsis, *sorted(axis for axis in sizes if axis not in ellipsis and named.count(axis) == 1)]
    else:
        before, dots, after = result.partition("...")
        kept = [*before, *(ellipsis if dots else ()), *after]
    if any(axis not in sizes for axis in kept):
        raise ValueError(f"{result!r} names letters that no operand has")
    return Letters(sizes=sizes, result=tuple(kept))
