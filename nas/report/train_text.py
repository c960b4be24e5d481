"""A training as text for a terminal."""

from __future__ import annotations

from nas.jobs.training import TrainOutcome, TrainPlan
from nas.report.page import PLAIN, Page

_MINUTE = 60


def train_text(outcome: TrainOutcome, page: Page = PLAIN) -> str:
    """What the network is right on, how long it took, and where it is."""
    found = outcome.held_out
    low, high = found.interval
    lines = [
        page.strong(
            f"{outcome.architecture.name}: {100 * found.accuracy:.2f} % of {found.count:,} held-out images right"
        )
        + f" (90 % interval by their number {100 * low:.1f}–{100 * high:.1f})",
        f"{outcome.epochs} epochs by the recipe {outcome.recipe} on {outcome.data}: {duration_text(outcome.seconds)}",
        *([] if outcome.inheritance is None else [outcome.inheritance.as_text()]),
        f"Files: {outcome.zoo}",
        f"Run: {outcome.run} (`nas runs show {outcome.run}`)",
    ]
    return "\n\n".join(page.filled(line) for line in lines)


def plan_text(plan: TrainPlan, page: Page = PLAIN) -> str:
    """What would be trained, and how long it would take."""
    counts = ", ".join(f"{count:,} {name}" for name, count in plan.images.items())
    text = (
        f"{plan.name} by the recipe {plan.recipe} on {plan.data} ({plan.classes} classes; images: {counts}):"
        f" {plan.epochs} epochs, {plan.steps:,} steps of {plan.batch} images, about {duration_text(plan.seconds)}"
        f" ({plan.images_per_s:.0f} images/s)."
    )
    return page.filled(text)


def duration_text(seconds: float) -> str:
    """ "40 s", "12 min", "2.5 h"."""
    if seconds < 2 * _MINUTE:
        return f"{seconds:.0f} s"
    minutes = seconds / _MINUTE
    return f"{minutes:.0f} min" if minutes < 2 * _MINUTE else f"{minutes / _MINUTE:.1f} h"
