"""`nas train`: a network trained on your own images."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import click

from nas.cli.answer_options import formats_option
from nas.cli.names import known_network, known_recipe, known_source, trained_network
from nas.cli.progress import progress
from nas.cli.run_page import write_run_page
from nas.cli.storage import storage_option
from nas.cli.terminal import page
from nas.progress import silent


@click.command()
@click.argument("network", callback=known_network)
@click.option("--data", required=True, metavar="PATH", help="Your images: a folder, an .npz or a .csv file.")
@click.option(
    "--recipe",
    callback=known_recipe,
    metavar="NAME|FILE",
    help="How it is trained.  [default: small; with --init fine-tune]",
)
@click.option(
    "--epochs", type=click.IntRange(1), metavar="N", help="How often it sees each image.  [default: the recipe's]"
)
@click.option(
    "--init", callback=known_source, metavar="SOURCE", help="Weights to inherit: of the zoo, or a checkpoint file."
)
@click.option("--teacher", callback=trained_network, metavar="ZOO", help="A trained network of the zoo to learn from.")
@click.option("--branches", type=click.IntRange(1), metavar="N", help="Re-parameterised layers begin with N branches.")
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Of weights, order and augmentation."
)
@click.option(
    "--all-images", is_flag=True, help="Train on the validation images too: at last, when nothing is left to choose."
)
@click.option("--resume", metavar="RUN", help="Go on with the same training where this run was stopped.")
@click.option("--dry-run", is_flag=True, help="Say how long it will take, and train nothing.")
@formats_option
@click.option("--pixels", is_flag=True, help="Also files that take pixels and say probabilities, for an app.")
@storage_option
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def command(as_json: bool, dry_run: bool, storage: str | None, **options: Any) -> None:
    """Train NETWORK on your images, measure it on those held out, and put it into the zoo (docs/training.md).

    NETWORK is a known name, an architecture file or a zoo folder.
    """
    from nas.jobs.train import plan_training, run_train
    from nas.jobs.training import TrainOutcome, TrainRequest
    from nas.training.processes import place_of_process

    request, speaks = TrainRequest(**options), place_of_process().is_first
    with progress() if speaks else contextlib.nullcontext(silent) as show:
        outcome = (
            plan_training(request, progress=show) if dry_run else run_train(request, storage=storage, progress=show)
        )
    if not speaks:
        return
    if as_json:
        click.echo(json.dumps(outcome.as_json(), indent=1))
    else:
        from nas.report.train_text import plan_text, train_text

        click.echo(train_text(outcome, page()) if isinstance(outcome, TrainOutcome) else plan_text(outcome, page()))
    if isinstance(outcome, TrainOutcome):
        write_run_page(outcome.run, storage, quiet=as_json)
