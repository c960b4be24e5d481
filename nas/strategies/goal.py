"""What a search is for: which points are answers, and which of two answers is the better one."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from nas.errors import InputError
from nas.strategies.problem import Evaluation, Standing
from nas.strategies.reward import Reward


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """A target in milliseconds and a reward: said once for strategies, NetAdapt and the choice of the answer.

    An answer keeps all other limits and lies at or under `limit_ms`: the target itself with the hard reward, above
    which nothing wins, and `Reward.reach` times it with the others, which pay for what is slower. Answers are ranked by
    `value`, the reward of their scores. `InputError` for a target that is not positive and finite.
    """

    target_ms: float
    reward: Reward = field(default_factory=Reward)

    def __post_init__(self) -> None:
        if not (math.isfinite(self.target_ms) and self.target_ms > 0):
            raise InputError(f"the target must be positive and finite, but got target_ms={self.target_ms}.")

    @property
    def limit_ms(self) -> float:
        """The greatest latency that an answer may have."""
        return self.reward.reach * self.target_ms

    def feasible(self, points: Standing) -> NDArray[np.bool_]:
        """Which points may be answers, shape (n,)."""
        return points.feasible(self.limit_ms)

    def value(self, points: Evaluation) -> NDArray[np.float64]:
        """What points are ranked by, shape (n,): higher is better; between answers alone it decides."""
        return self.reward.reward(points.score, points.bounded_ms, self.target_ms)
