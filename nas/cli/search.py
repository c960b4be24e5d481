"""`nas search`: the most accurate network for a device and a latency."""

from __future__ import annotations

import json
from typing import Any

import click

from nas.cli.names import (
    known_accuracy,
    known_device,
    known_formats,
    known_reward,
    known_space,
    known_strategy,
)
from nas.cli.progress import progress
from nas.cli.storage import storage_option
from nas.cli.terminal import page, wide_option


def _latency(context: click.Context, parameter: click.Parameter, value: str) -> float:
    from nas.units import parse_latency_ms

    return parse_latency_ms(value, name="--target-latency")


def _interval(context: click.Context, parameter: click.Parameter, value: str) -> float | None:
    if value == "none":
        return None
    ratio: float = click.FloatRange(1.0)(value, parameter, context)
    return ratio


@click.command()
@click.option("--target-latency", "target_ms", required=True, callback=_latency, metavar="TIME", help="1ms, 800us, …")
@click.option("--device", required=True, callback=known_device, metavar="NAME", help="The device (`nas device list`).")
@click.option(
    "--space",
    default="mobile",
    callback=known_space,
    show_default=True,
    metavar="NAME",
    help="The search space, or its file.",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="GENE=CHOICES",
    help="Keep some choices of the space only: act=relu, stage3.kernel=3,5. Repeatable.",
)
@click.option(
    "--accuracy",
    default="imagenet",
    callback=known_accuracy,
    show_default=True,
    metavar="NAME",
    help="The accuracy predictor.",
)
@click.option(
    "--strategy",
    callback=known_strategy,
    metavar="NAME",
    help="evolution, exhaustive or random.  [default: by the space's size]",
)
@click.option(
    "--reward",
    default="soft",
    callback=known_reward,
    show_default=True,
    metavar="FORM",
    help="soft, hard or absolute.",
)
@click.option("--w", type=float, help="Exponent of the reward, or slope of the absolute one.  [default: the form's]")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Same seed, same answer.")
@click.option("--max-params", type=click.IntRange(1), metavar="N", help="At most N parameters.")
@click.option("--max-macs", type=click.IntRange(1), metavar="N", help="At most N multiply-adds.")
@click.option(
    "--confidence",
    type=click.FloatRange(0.5, 1.0, max_open=True),
    metavar="P",
    help="Keep the latency under the target with probability P (one-sided).  [default: its mean]",
)
@click.option(
    "--max-novelty",
    type=click.FloatRange(0.0, min_open=True),
    default=1.0,
    show_default=True,
    metavar="D",
    help="How far from networks of published accuracy an answer may lie; 1: as far as these from one another.",
)
@click.option(
    "--max-interval",
    callback=_interval,
    default="1.3",
    show_default=True,
    metavar="R",
    help="How wide the latency's interval may be, in the usual width for known networks; none: any.",
)
@click.option(
    "--covered-only",
    is_flag=True,
    help="A device with a table alone: leave out networks for which it lacks rows.",
)
@click.option("--simple", is_flag=True, help="One kind of block and one activation in the whole network.")
@click.option(
    "--verify",
    is_flag=True,
    help="Time the answer on the device; where the table was wrong, correct it and search again.",
)
@click.option(
    "--format",
    "formats",
    default="onnx",
    callback=known_formats,
    show_default=True,
    metavar="F,F",
    help="The file formats of the answer: onnx, coreml, litert.",
)
@storage_option
@wide_option
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def command(as_json: bool, storage: str | None, **options: Any) -> None:
    """Find the most accurate network of a space that meets a latency on a device.

    Exports it to runs/zoo and shows it beside the known networks. Exits with 1 where the target cannot be met.
    """
    with progress() as show:
        from nas.jobs.search_run import SearchRequest, run_search

        outcome = run_search(SearchRequest(**options), storage=storage, progress=show)
    if as_json:
        click.echo(json.dumps(outcome.as_json(), indent=1))
    else:
        from nas.report.search_text import search_text

        click.echo(search_text(outcome.answer, outcome.run, outcome.verification, page()))
    if outcome.fault is not None:
        raise outcome.fault
