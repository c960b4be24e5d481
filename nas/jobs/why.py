"""Why an answer is not just at the target."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nas.evaluate import Figures
from nas.latency.published.cost_model import Floats
from nas.space import Architecture
from nas.strategies import Goal

NEAR_TARGET = 0.9
"""Below this part of the target an answer says why it is no slower."""


def against_target(
    goal: Goal,
    networks: Sequence[Architecture],
    first: int,
    figures: Figures,
    score: Floats,
    meets: NDArray[np.bool_],
) -> list[str]:
    """A note where the answer, `networks[first]`, is slower than the target or much faster; nothing otherwise.

    `score` (n,) is what the networks are ranked by, `meets` (n,) says which may be answers.
    """
    answer_ms, target_ms, form = figures.bounded_ms[first], goal.target_ms, goal.reward.form
    if answer_ms > target_ms:
        text = (
            f"The answer lies {100 * (answer_ms / target_ms - 1):.1f} % above the target ({answer_ms:.3f} ms): the"
            f" {form} reward pays for it"
        )
        others, where = meets & (figures.bounded_ms <= target_ms), "at or under the target"
    elif answer_ms < NEAR_TARGET * target_ms:
        text = f"The answer is below {NEAR_TARGET:g} of the target because nothing slower that was found ranks higher"
        if goal.limit_ms > target_ms:
            text = (
                f"The answer lies {100 * (1 - answer_ms / target_ms):.1f} % below the target: the {form} reward pays"
                " for being faster"
            )
        others, where = meets & (figures.bounded_ms >= NEAR_TARGET * target_ms), "of the others"
    else:
        return []
    if not others.any():
        return [f"{text}."]
    value = goal.reward.reward(score, figures.bounded_ms, target_ms)
    best = max(np.flatnonzero(others), key=lambda i: value[i])
    note = (
        f"{text}: {where} the best is {networks[best].name} ({figures.latency_ms[best]:.3f} ms), whose score is"
        f" {100 * score[best]:.1f} against {100 * score[first]:.1f}."
    )
    return [note]
