"""Random points under the limit: what every other asker has to beat."""

from __future__ import annotations

from collections.abc import Iterator

from nas.trials.askers.ground import Untried
from nas.trials.askers.model_free import ModelFree
from nas.trials.records import Proposal, Trial


class Uniform(ModelFree):
    """Asks for points drawn uniformly from those that meet the target."""

    name = "random"

    def _choose(self, trials: list[Trial], untried: Untried, count: int) -> Iterator[Proposal]:
        return iter(())
