"""A part of a compiled space: some choices of its genes, searched without compiling anything again."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from nas.evaluate.problem import SpaceProblem
from nas.evaluate.simplicity import REGULAR, activations, families, kernels, named_activations
from nas.space.architecture import Architecture, Layer
from nas.space.narrow import fixed_activations
from nas.space.search_space import Codes, SearchSpace
from nas.space.template import Kind
from nas.strategies import Candidate, Evaluation, SearchResult

Property = Literal["families", "activations", "kernels"]
"""What the networks of a part may be limited in, widths apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Uniform:
    """What the networks of a part may be made of; None: of whatever the space has."""

    families: frozenset[str] | None = None
    activations: frozenset[str] | None = None
    kernels: frozenset[int] | None = None
    regular: bool = False

    def but(self, name: Property, values: frozenset[Any]) -> Uniform:
        """The same, but of one property only these values."""
        changed: dict[str, Any] = {name: values}
        return replace(self, **changed)

    @classmethod
    def of(cls, network: Architecture) -> Uniform:
        """What a network is made of, its widths apart."""
        return cls(
            families=families(layer.block for layer in network.layers),
            activations=activations(network),
            kernels=kernels(network),
        )

    def choices(self, space: SearchSpace) -> dict[str, list[int]]:
        """Gene → the places of the choices that are left, for all genes; without any where nothing is."""
        kept = {gene: list(range(len(values))) for gene, values in space.genes.items()}
        kept["stem"] = [i for i in kept["stem"] if self._has(space.stems[i]) and self._is_regular(space.stem_widths[i])]
        kept["head"] = [i for i in kept["head"] if self._has(space.heads[i])]
        for stage in space.stages:
            kinds = [space.kinds[name] for name in stage.kinds]
            left = {
                "kind": [i for i, kind in enumerate(kinds) if self._has_kind(kind)],
                "act": [i for i, act in enumerate(stage.act) if _among([act], self.activations)],
                "width": [i for i, width in enumerate(stage.width) if self._is_regular(width)],
            }
            kernels = [i for i, kernel in enumerate(stage.kernel) if _among([kernel], self.kernels)]
            left |= {f"kernel{block}": kernels for block in range(1, stage.num_free + 1)}
            kept |= {f"{stage.name}.{gene}": places for gene, places in left.items()}
        return kept

    def _has(self, layers: Sequence[Layer]) -> bool:
        acts = {act for layer in layers for act in named_activations(layer) or ()}
        return _among(families(layer.block for layer in layers), self.families) and _among(acts, self.activations)

    def _has_kind(self, kind: Kind) -> bool:
        blocks = [template.block for template in (kind.block, kind.transition) if template is not None]
        acts = {act for act in fixed_activations(kind) if act != "none"}
        return _among(families(blocks), self.families) and _among(acts, self.activations)

    def _is_regular(self, width: int) -> bool:
        return not self.regular or width % REGULAR == 0


def _among(values: Collection[object], allowed: Collection[object] | None) -> bool:
    return allowed is None or set(values) <= set(allowed)


class SpacePart:
    """A part of a compiled space as a strategy sees it; its codes are positions among the choices that are left.

    `choices` maps every gene to the places that are left, at least one; SE patterns are not to be left out (equal ones
    stand for one another).
    """

    def __init__(self, problem: SpaceProblem, choices: Mapping[str, Sequence[int]]) -> None:
        self._problem = problem
        sizes = problem.cardinalities
        self._left = np.zeros((len(sizes), max(map(len, choices.values()))), dtype=np.int64)
        self._nearest = np.zeros((len(sizes), int(sizes.max())), dtype=np.int64)
        for column, gene in enumerate(problem.space.genes):
            left = np.array(choices[gene])
            self._left[column, : len(left)] = left
            self._nearest[column, : sizes[column]] = np.abs(np.arange(sizes[column])[:, None] - left).argmin(axis=1)
        self._cardinalities = np.array([len(choices[gene]) for gene in problem.space.genes], dtype=np.int64)
        self._columns = np.arange(len(sizes))

    @property
    def cardinalities(self) -> NDArray[np.int64]:
        """Number of choices of each gene."""
        return self._cardinalities

    def whole(self, codes: Codes) -> Codes:
        """The canonical codes of the whole space."""
        return self._problem.canonical(self._left[self._columns, codes])

    def nearest(self, codes: Codes) -> Codes:
        """For codes of the whole space those of the part with the nearest choices: their own where they lie in it."""
        return np.asarray(self._nearest[self._columns, codes])

    def canonical(self, codes: Codes) -> Codes:
        """Canonical codes."""
        return self.nearest(self.whole(codes))

    def evaluate(self, codes: Codes) -> Evaluation:
        """What each code is worth."""
        return self._problem.evaluate(self.whole(codes))

    def inside(self, codes: Codes) -> Codes:
        """Those of canonical codes of the whole space that lie in the part, as codes of the part."""
        own = self.nearest(codes)
        return np.asarray(own[(self.whole(own) == codes).all(axis=1)])

    def result(self, found: SearchResult) -> SearchResult:
        """What was found in the part, with codes of the whole space."""

        def whole(candidates: Sequence[Candidate]) -> tuple[Candidate, ...]:
            if not candidates:
                return ()
            codes = self.whole(np.array([candidate.codes for candidate in candidates]))
            return tuple(replace(c, codes=tuple(code)) for c, code in zip(candidates, codes.tolist(), strict=True))

        top, fastest = whole(found.top), whole([found.fastest] if found.fastest else [])
        return replace(
            found,
            best=top[0] if top else None,
            fastest=fastest[0] if fastest else None,
            top=top,
            apart=whole(found.apart),
            starts=whole(found.starts),
            front=whole(found.front),
        )
