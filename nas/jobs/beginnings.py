"""What a search knows before it begins: the known networks, and those that a user names."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nas.errors import InputError
from nas.space import Architecture, list_known, load_architecture
from nas.space.encode import encode
from nas.space.search_space import Codes, SearchSpace


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginnings:
    """The networks that a search begins from, for the classes and channels of its space.

    `known` are the known networks, `named` those that a user names; `inside` has the codes of those of both that are
    points of the space, at its first input size, by digest. `published` are the digests of networks of which others
    printed a top-1: nothing about these is novel.
    """

    known: tuple[Architecture, ...]
    named: tuple[Architecture, ...]
    inside: dict[str, Codes]
    published: frozenset[str]

    @classmethod
    def of(cls, space: SearchSpace, named: Sequence[Architecture | str] = ()) -> Beginnings:
        """Those of `space`; `named` are architectures, or what `load_architecture` takes."""

        def adapted(network: Architecture) -> Architecture:
            return network.adapted(num_classes=space.num_classes, in_channels=space.in_channels)

        listed = list_known()
        known = tuple(adapted(one.architecture) for one in listed)
        own = [adapted(one if isinstance(one, Architecture) else load_architecture(one)) for one in named]
        inside = {}
        for network in (*known, *own):
            with contextlib.suppress(InputError):
                inside[network.digest] = encode(space, network.at_resolution(space.resolutions[0]))
        return cls(
            known=known,
            named=tuple({network.digest: network for network in own}.values()),
            inside=inside,
            published=frozenset(
                network.digest
                for network, one in zip(known, listed, strict=True)
                if one.published.get("top1") is not None
            ),
        )

    @property
    def yardstick(self) -> list[Architecture]:
        """The known networks of published accuracy: what the claims of all others are measured against."""
        return [network for network in self.known if network.digest in self.published]

    def initial(self, space: SearchSpace) -> Codes | None:
        """The codes of all networks that are points of the space, at each of its resolutions; None where none is."""
        if not self.inside:
            return None
        sides = len(space.resolutions)
        found = np.repeat(np.stack(list(self.inside.values())), sides, axis=0)
        found[:, space.columns["resolution"]] = np.tile(np.arange(sides), len(self.inside))
        return found
