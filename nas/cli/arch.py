"""`nas arch`: the known networks, and any architecture file."""

from __future__ import annotations

import json
from pathlib import Path

import click

from nas.cli.terminal import page, wide_option


@click.group()
def command() -> None:
    """The known networks, and any architecture file or zoo folder."""


@command.command("list")
@click.option("--training", is_flag=True, help="Count the training form instead of the inference form.")
@wide_option
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def list_networks(training: bool, as_json: bool) -> None:
    """List the known networks: size, cost, published accuracy.

    Families in search_spaces/seeds/*.yaml of the workspace are known networks as well.
    """
    from nas.jobs.arch import known_records

    records = known_records(training=training)
    if as_json:
        click.echo(json.dumps(records, indent=1))
        return
    from nas.report.arch_text import known_text

    click.echo(known_text(records, page()))


@command.command("show")
@click.argument("network")
@click.option("--training", is_flag=True, help="Count the training form instead of the inference form.")
@wide_option
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def show_network(network: str, training: bool, as_json: bool) -> None:
    """Show NETWORK (a known name, an architecture file, a zoo folder) layer by layer."""
    from nas.jobs.arch import describe_architecture
    from nas.space import load_architecture

    record = describe_architecture(load_architecture(network), training=training)
    if as_json:
        click.echo(json.dumps(record, indent=1))
        return
    from nas.report.arch_text import network_text

    click.echo(network_text(record, training, page()))


@command.command("export")
@click.argument("network")
@click.option("--out", type=click.Path(path_type=Path), help="The file to write; standard output without it.")
def export_network(network: str, out: Path | None) -> None:
    """Write NETWORK as an architecture file, every width and kernel explicit.

    Where --out ends in .onnx it is an ONNX network in inference form with random weights, to be measured.
    """
    from nas.files import write_bytes
    from nas.space import load_architecture

    architecture = load_architecture(network)
    if out is None:
        click.echo(architecture.to_yaml(), nl=False)
        return
    if out.suffix == ".onnx":
        from nas.nets import export_onnx

        export_onnx(architecture, out)
    else:
        write_bytes(out, architecture.to_yaml().encode())
    click.echo(f"wrote {out}", err=True)
