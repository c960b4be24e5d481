"""The account of an inheritance: what a descendant took over, and what starts anew and why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nas.nets import GraphModule

NO_LAYER = "the parent has no such layer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Anew:
    """Weights of the descendant that start anew: a layer's name (a prefix in the state dict), how many numbers of how
    many, and why."""

    name: str
    numbers: int
    of: int
    reason: str

    def as_text(self) -> str:
        """Its name, how much of it, and why."""
        part = "" if self.numbers == self.of else f"{100 * self.numbers / self.of:.0f} % of "
        return f"{part}{self.name} ({self.reason})"

    def as_json(self) -> dict[str, object]:
        """{"name", "numbers", "of", "reason"}."""
        return {"name": self.name, "numbers": self.numbers, "of": self.of, "reason": self.reason}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Inheritance:
    """A descendant with its inherited weights: `module` is its training form, `parent` says whose they are. `inherited`
    of its `total` learned numbers are the parent's; `anew` are the others, by layer. `unused` names what of the parent
    has no place in it: layers, and tensors of its checkpoint."""

    module: GraphModule
    parent: str
    inherited: int
    total: int
    anew: tuple[Anew, ...]
    unused: tuple[str, ...]

    @property
    def share(self) -> float:
        """The share of the learned numbers that are inherited, in [0, 1]."""
        return self.inherited / self.total

    def as_json(self) -> dict[str, object]:
        """Everything but the weights."""
        return {
            "parent": self.parent,
            "inherited": self.inherited,
            "total": self.total,
            "share": self.share,
            "anew": [one.as_json() for one in self.anew],
            "unused": list(self.unused),
        }

    def as_text(self) -> str:
        """The account in a paragraph."""
        text = f"{100 * self.share:.1f} % of the weights are inherited from {self.parent}."
        if self.anew:
            text += f" Anew: {'; '.join(one.as_text() for one in self.anew)}."
        if self.unused:
            text += f" Not used of it: {', '.join(self.unused)}."
        return text


def joined(entries: Iterable[Anew]) -> tuple[Anew, ...]:
    """The same account with one entry for each layer that the parent lacks as a whole."""
    found: list[Anew] = []
    for (layer, reason), group in groupby(entries, key=lambda one: (one.name.partition(".")[0], one.reason)):
        own = list(group)
        if reason == NO_LAYER:
            numbers, of = sum(one.numbers for one in own), sum(one.of for one in own)
            own = [Anew(name=layer, numbers=numbers, of=of, reason=reason)]
        found += own
    return tuple(found)
