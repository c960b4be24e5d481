"""Options of a search whose accuracies cost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from nas.cli.limits import quantity
from nas.cli.names import known_recipe, known_source

_F = TypeVar("_F", bound=Callable[..., Any])


def _seconds(text: str, *, name: str) -> float:
    from nas.units import parse_duration_s

    return parse_duration_s(text, name=name)


_OPTIONS = (
    click.option(
        "--evaluate",
        metavar="MODULE:FUNCTION",
        help="A function from a list of networks to accuracies (fractions): they cost, so few are tried.",
    ),
    click.option(
        "--data", metavar="PATH", help="Your images: networks are trained on them, and the answer comes trained."
    ),
    click.option(
        "--trials", type=click.IntRange(1), metavar="N", help="So many networks are tried.  [default: 30]"
    ),
    click.option(
        "--recipe",
        callback=known_recipe,
        metavar="NAME|FILE",
        help="How networks are trained (--data).  [default: small; with --init fine-tune]",
    ),
    click.option(
        "--epochs", type=click.IntRange(1), metavar="N", help="Of full trainings (--data).  [default: the recipe's]"
    ),
    click.option(
        "--seeds", type=click.IntRange(1), default=3, show_default=True, metavar="N",
        help="So many full trainings each of the two networks that are compared (--data).",
    ),
    click.option(
        "--init", callback=known_source, metavar="SOURCE", help="Weights that networks begin with (--data)."
    ),
    click.option(
        "--baselines", type=click.IntRange(0), default=24, show_default=True, metavar="N",
        help="So many known networks are trained in the same way (--data).",
    ),
    click.option(
        "--budget", callback=quantity(_seconds), metavar="TIME", help="All of it ends within that time: 3h (--data)."
    ),
    click.option(
        "--build", callback=quantity(_seconds), metavar="TIME",
        help="Where the device has no table, build it first, in that time: 10m (--data).",
    ),
    click.option("--dry-run", is_flag=True, help="Train one network for seconds, and say how long all takes (--data)."),
    click.option(
        "--asker", default="surrogate", show_default=True, metavar="NAME", help="Who chooses what is tried next."
    ),
    click.option("--noiseless", is_flag=True, help="The same network has the same accuracy: none is tried twice."),
    click.option(
        "--workers", type=click.IntRange(1), default=1, show_default=True, metavar="N", help="So many trials at once."
    ),
    click.option("--ray", metavar="ADDRESS", help="The Ray cluster that trials run on; local: of this machine."),
    click.option(
        "--cpus",
        type=click.FloatRange(0.0),
        default=1.0,
        show_default=True,
        metavar="N",
        help="Cores a trial (--ray).",
    ),
    click.option(
        "--gpus",
        type=click.FloatRange(0.0),
        default=0.0,
        show_default=True,
        metavar="N",
        help="GPUs a trial (--ray).",
    ),
    click.option(
        "--time-limit", callback=quantity(_seconds), metavar="TIME", help="A trial that takes longer fails: 2h."
    ),
    click.option(
        "--resume", metavar="RUN", help="Go on with a search with --evaluate or --data that was interrupted or killed."
    ),
)  # fmt: skip


TRIALS_ONLY = ("trials", "asker", "noiseless", "workers", "ray", "cpus", "gpus", "time_limit")
"""What a search without --evaluate and --data does not have."""

DATA_ONLY = ("data", "recipe", "epochs", "seeds", "init", "baselines", "budget", "build", "dry_run")
"""What a search without --data does not have."""


def trials_options(function: _F) -> _F:
    """The options by which accuracies cost."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function
