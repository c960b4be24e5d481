"""`nas adapt`: one network, made narrower until it meets a latency."""

from __future__ import annotations

import json
from typing import Any

import click

from nas.cli.answer_options import accuracy_option, formats_option
from nas.cli.given import given_options
from nas.cli.limits import target_and_limits
from nas.cli.names import known_device, known_network, known_recipe, known_source
from nas.cli.progress import progress
from nas.cli.run_page import write_run_page
from nas.cli.storage import storage_option
from nas.cli.terminal import page, wide_option

_TRAINED_ONLY = ("recipe", "epochs", "short", "step", "seed")
"""What an adaptation without --data does not have."""

_PREDICTED_ONLY = ("accuracy", "max_novelty")
"""What an adaptation with --data does not have."""


@click.command()
@click.argument("network", callback=known_network)
@target_and_limits
@click.option("--device", required=True, callback=known_device, metavar="NAME", help="The device (`nas device list`).")
@accuracy_option
@click.option(
    "--divisor", type=click.IntRange(1), default=8, show_default=True, metavar="N", help="Widths are multiples of N."
)
@click.option(
    "--init", callback=known_source, metavar="SOURCE", help="Weights to begin with: of the zoo, or a checkpoint file."
)
@click.option("--data", metavar="PATH", help="Your images: candidates are fine-tuned on them, and the answer trained.")
@click.option(
    "--recipe",
    default="small",
    callback=known_recipe,
    show_default=True,
    metavar="NAME|FILE",
    help="How it is trained.",
)
@click.option(
    "--epochs", type=click.IntRange(1), metavar="N", help="Of the fine-tuning at the end.  [default: the recipe's]"
)
@click.option(
    "--short",
    type=click.FloatRange(0, min_open=True),
    default=1.0,
    show_default=True,
    metavar="N",
    help="Epochs for each candidate; below 1 a share of the images.",
)
@click.option(
    "--step",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.05,
    show_default=True,
    metavar="SHARE",
    help="What a round with training wins, of the latency at first.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of order and augmentation.")
@formats_option
@storage_option
@wide_option
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def command(as_json: bool, storage: str | None, **options: Any) -> None:
    """Make NETWORK narrower, layer by layer, until it meets a latency on a device, or limits alone (NetAdapt).

    NETWORK is a known name, an architecture file or a zoo folder. Exits with 1 where the target cannot be met, and
    tells what was reached. With --data and --init accuracy is not predicted but measured: each round keeps the channels
    that the layers behind them would miss, fine-tunes every candidate, and goes on with the best; the same command goes
    on where it was stopped.
    """
    if options["data"] is None and options["init"] is None and (given := given_options(_TRAINED_ONLY)):
        raise click.UsageError(f"{given[0]} says how networks are trained on --data, but there is none; add it.")
    if options["data"] is not None and (given := given_options(_PREDICTED_ONLY)):
        raise click.UsageError(
            f"{given[0]} belongs to predicted accuracy, but came with --data, which measures it; leave one out."
        )
    with progress() as show:
        from nas.jobs.adapt_run import AdaptRequest, run_adapt

        outcome = run_adapt(AdaptRequest(**options), storage=storage, progress=show)
    if as_json:
        click.echo(json.dumps(outcome.as_json(), indent=1))
    else:
        from nas.report.adapt_text import adapt_text

        click.echo(adapt_text(outcome.found, outcome.run, page()))
    if outcome.fault is not None:
        raise outcome.fault
    write_run_page(outcome.run, storage, quiet=as_json)
