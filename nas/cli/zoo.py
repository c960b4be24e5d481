"""`nas zoo`: exported networks."""

from __future__ import annotations

import json
from pathlib import Path

import click

from nas.cli.answer_options import formats_option
from nas.cli.progress import progress
from nas.cli.storage import storage_option
from nas.cli.terminal import page, tell, wide_option
from nas.errors import InputError, NasError


@click.group()
def command() -> None:
    """Exported networks: their files, cards and checks, under runs/zoo (docs/zoo.md)."""


@command.command("list")
@wide_option
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def list_networks(as_json: bool) -> None:
    """List the exported networks."""
    from nas.zoo.entry import entries_and_faults

    found, faults = entries_and_faults()
    records = [entry.as_json() for entry in found]
    for fault in faults.values():
        tell("warning", str(fault))
    if as_json:
        click.echo(json.dumps(records, indent=1))
        return
    from nas.report.zoo_text import entries_text

    click.echo(entries_text(records, page()))


@command.command("show")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="One JSON document: the manifest.")
def show_network(name: str, as_json: bool) -> None:
    """Show the card of NAME (a name of the zoo, or a folder)."""
    from nas.zoo import find_entry

    entry = find_entry(name)
    click.echo(json.dumps(entry.as_json(), indent=1) if as_json else entry.card(), nl=as_json)


@command.command("export")
@click.argument("reference", metavar="RUN|ARCHITECTURE")
@formats_option
@click.option("--name", metavar="NAME", help="The folder's name in the zoo.  [default: the network's]")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the random weights.")
@storage_option
@click.option("--json", "as_json", is_flag=True, help="One JSON document: the manifest.")
def export_network(
    reference: str, formats: tuple[str, ...], name: str | None, seed: int, storage: str | None, as_json: bool
) -> None:
    """Export the answer of a run, a known network, or an architecture file, untrained, and check what was written."""
    from nas.jobs.export import export_to_zoo

    with progress() as show:
        entry = export_to_zoo(reference, name=name, formats=formats, seed=seed, storage=storage, progress=show)
    click.echo(json.dumps(entry.as_json(), indent=1) if as_json else str(entry.folder))


@command.command("verify")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--data", metavar="PATH", help="The images that they were trained on: the files must be as accurate.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def verify_networks(names: tuple[str, ...], data: str | None, as_json: bool) -> None:
    """Check the files of NAMEs (by default all) against their checksums, and their outputs against torch.

    Exits with 1 where a file is damaged or computes something else.
    """
    from nas.jobs.export import verify_entries

    if data is not None and not names:
        raise InputError("--data must come with the NAME of what was trained on it, but no NAME came; give one.")
    with progress() as show:
        records = verify_entries(names, data=data, progress=show)
    if as_json:
        click.echo(json.dumps(records, indent=1))
    else:
        from nas.report.zoo_text import verified_text

        click.echo(verified_text(records, page()))
    failed = [str(record["name"]) for record in records if not record["ok"]]
    if failed:
        raise NasError(f"every exported network must be as it was exported, but {', '.join(failed)} failed; see above.")


@command.command("predict")
@click.argument("name")
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...", type=click.Path(path_type=Path))
@click.option("--top", type=click.IntRange(1), default=5, show_default=True, metavar="N", help="How many classes.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def predict_images(name: str, images: tuple[Path, ...], top: int, as_json: bool) -> None:
    """Say what the file of the trained network NAME takes each IMAGE for."""
    from nas.zoo import predict

    records = predict(name, images, top=top)
    if as_json:
        click.echo(json.dumps(records, indent=1))
        return
    from nas.report.zoo_text import predictions_text

    click.echo(predictions_text(records, page()))
