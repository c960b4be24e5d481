"""Why an answer is not just at the target."""

from __future__ import annotations

import numpy as np

from nas.jobs.ranking import Ranking
from nas.strategies import Goal

NEAR_TARGET = 0.9
"""Below this part of the target an answer says why it is no slower."""


def against_target(goal: Goal, ranking: Ranking, first: int) -> list[str]:
    """A note where the answer, `ranking.networks[first]`, is slower than the target or much faster; else nothing."""
    bounded_ms, value = ranking.figures.bounded_ms, ranking.value
    answer_ms, target_ms, form = bounded_ms[first], goal.target_ms, goal.reward.form
    if answer_ms > target_ms:
        text = (
            f"The answer lies {100 * (answer_ms / target_ms - 1):.1f} % above the target ({answer_ms:.3f} ms): the"
            f" {form} reward pays for it"
        )
        return [f"{text}."]
    if answer_ms >= NEAR_TARGET * target_ms:
        return []
    slower = np.flatnonzero(ranking.meets & (bounded_ms >= NEAR_TARGET * target_ms))
    if goal.limit_ms > target_ms:
        below = 100 * (1 - answer_ms / target_ms)
        return [f"The answer lies {below:.1f} % below the target: the {form} reward pays for being faster."]
    text = f"The answer is below {NEAR_TARGET:g} of the target because"
    if len(slower) and value[slower].max() > value[first]:
        return [f"{text} it is simpler than what ranks higher, by less than can be told apart."]
    return [f"{text} nothing slower that was found ranks higher."]
