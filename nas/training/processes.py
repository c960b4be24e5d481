"""Which of several processes this is, where `torchrun` has started them to train one network together."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Process `rank` of `size` in all, `local` on its machine; each counted from 0."""

    rank: int = 0
    size: int = 1
    local: int = 0

    @property
    def is_first(self) -> bool:
        """Whether it is the one that writes and speaks."""
        return self.rank == 0


def place_of_process(environment: Mapping[str, str] = os.environ) -> Place:
    """What torchrun says in the `environment`; alone where it did not start this process."""
    if "TORCHELASTIC_RUN_ID" not in environment:
        return Place()
    rank, size, local = (int(environment[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"))
    return Place(rank=rank, size=size, local=local)
