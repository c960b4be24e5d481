"""What a reader should know of an answer, and why it is not just at the target."""

from __future__ import annotations

import numpy as np

from nas.evaluate import Limits
from nas.jobs.ranking import Ranking
from nas.space.architecture import IMAGENET_CHANNELS, IMAGENET_CLASSES
from nas.strategies import Goal

NEAR_TARGET = 0.9
"""Below this part of the target an answer says why it is no slower."""


def about_answer(
    ranking: Ranking, first: int, *, space: str, limits: Limits, lifted: float | None, is_known: bool
) -> list[str]:
    """Notes on the answer, `ranking.networks[first]`; `lifted` is the limit on intervals that nothing kept, if any."""
    best, figures = ranking.networks[first], ranking.figures
    notes = []
    if first >= ranking.num_own:
        what = "known network" if is_known else "network to begin from,"
        why = "the search found none better" if first == ranking.best else "it is the simplest of the best"
        notes.append(f"The answer is the {what} {best.name}: {why} in {space}.")
    novelty = figures.accuracy.novelty[first]
    if first < ranking.num_own and limits.max_novelty is not None and novelty > 1.05 * limits.max_novelty:
        notes.append(
            f"Nothing better near the networks of published accuracy meets the target: the answer lies {novelty:.1f}"
            " times as far from them as they lie from one another; believe its accuracy less than its interval says."
        )
    if lifted is not None and figures.interval_ratio[first] > lifted:
        notes.append(
            f"Nothing that meets the target has a latency that is known as well as --max-interval {lifted:g} asks: the"
            f" answer's interval is {figures.interval_ratio[first]:.1f} times as wide as is usual for known networks"
            " of its latency."
        )
    if best.on_imagenet() is not best:
        notes.append(
            f"Accuracies are those of the same layers on ImageNet ({IMAGENET_CLASSES} classes, {IMAGENET_CHANNELS}"
            f" channels); on {best.num_classes} classes of other images they will differ."
        )
    return notes


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
