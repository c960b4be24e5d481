"""`nas data`: a user's images."""

from __future__ import annotations

import json
from pathlib import Path

import click

from nas.cli.progress import progress
from nas.cli.terminal import page, wide_option


@click.group()
def command() -> None:
    """Your own images: what is in them before anything is trained (docs/your-data.md)."""


@command.command("show")
@click.argument("path", type=click.Path(path_type=Path))
@wide_option
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def show_data(path: Path, as_json: bool) -> None:
    """Read and check the data set PATH: a folder of classes, an .npz or a .csv file."""
    from nas.data import open_data

    with progress() as show:
        dataset = open_data(path, progress=show)
    record = dataset.as_json()
    if as_json:
        click.echo(json.dumps(record, indent=1, ensure_ascii=False))
        return
    from nas.report.data_text import data_text

    click.echo(data_text(record, page()))
