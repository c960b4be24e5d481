"""`nas predictor`: train and score the predictors of accuracy."""

from __future__ import annotations

import json
from pathlib import Path

import click

from nas.cli.progress import progress
from nas.cli.terminal import page, wide_option

_NAME = click.argument("name", metavar="NAME")
_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON document.")
_FOLDER = click.Path(path_type=Path, file_okay=False)


@click.group()
def command() -> None:
    """Predictors of accuracy: train and score them."""


@command.command()
@_NAME
@click.option("--out", type=_FOLDER, metavar="DIR", help="Where to write it.  [default: predictors/NAME]")
@_JSON
def train(name: str, out: Path | None, as_json: bool) -> None:
    """Fit a predictor to its published rows, score it, and write it with a manifest."""
    from nas.jobs.predictor import train_predictor

    with progress() as show:
        found = train_predictor(name, out, progress=show)
    record = {
        "predictor": name,
        "folder": str(found.folder),
        "sha256": found.sha256,
        "family_out": found.scores.as_json(),
    }
    if as_json:
        click.echo(json.dumps(record, indent=1))
        return
    from nas.report.accuracy_text import trained_text

    click.echo(trained_text(name, found, page()))


@command.command("eval")
@_NAME
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    envvar="NAS_DATA",
    metavar="DIR",
    help="A folder with accel_nasbench/ and ofa_mobilenetv3/, to score the predictor on these too.",
)
@click.option("--report", type=_FOLDER, metavar="DIR", help="Write accuracy.md and accuracy.png there.")
@wide_option
@_JSON
def evaluate(name: str, data: Path | None, report: Path | None, as_json: bool) -> None:
    """Score a predictor on families that it has not seen, beside one that knows only sizes."""
    from nas.jobs.predictor import evaluate_predictor

    with progress() as show:
        found = evaluate_predictor(name, data=data, progress=show)
    if report is not None:
        from nas.report.accuracy import write_report

        for path in write_report(found, report):
            click.echo(f"wrote {path}", err=True)
    record = found.as_json()
    if as_json:
        click.echo(json.dumps(record, indent=1))
        return
    from nas.report.accuracy_text import scores_text

    click.echo(scores_text(record, page()))
