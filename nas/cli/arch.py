"""`nas arch`: the known networks, and any architecture file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click


@click.group()
def command() -> None:
    """The known networks, and any architecture file or zoo folder."""


@command.command("list")
@click.option("--training", is_flag=True, help="Count the training form instead of the inference form.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def list_networks(training: bool, as_json: bool) -> None:
    """List the known networks: size, cost, published accuracy."""
    from nas.jobs.arch import known_records

    records = known_records(training=training)
    if as_json:
        click.echo(json.dumps(records, indent=1))
        return
    from tabulate import tabulate

    from nas.space.resolution import resolution_text

    rows = [
        (
            r["name"],
            resolution_text(r["resolution"]),
            r["params"] / 1e6,
            r["macs"] / 1e6,
            _number(r["published"]["top1"]),
            r["paper"],
        )
        for r in records
    ]
    headers = ("network", "px", "params M", "MACs M", "top-1 %", "paper")
    click.echo(tabulate(rows, headers, floatfmt=("", "", ".2f", ".1f", "", "")))


@command.command("show")
@click.argument("network")
@click.option("--training", is_flag=True, help="Count the training form instead of the inference form.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def show_network(network: str, training: bool, as_json: bool) -> None:
    """Show NETWORK (a known name, an architecture file, a zoo folder) layer by layer."""
    from nas.jobs.arch import describe_architecture
    from nas.space import load_architecture

    record = describe_architecture(load_architecture(network), training=training)
    click.echo(json.dumps(record, indent=1) if as_json else _text(record, training))


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


def _text(record: dict[str, Any], training: bool) -> str:
    from tabulate import tabulate

    from nas.space.resolution import resolution_text

    shown = ("input", "output", "params", "macs", "activations", "memory_bytes", "peak_memory_bytes", "block")
    rows = [
        (
            i, layer["block"], _dims(layer["output"]), layer["params"], layer["macs"] / 1e6,
            layer["activations"] / 1e6, layer["memory_bytes"] / 1e6, layer["peak_memory_bytes"] / 1e6,
            " ".join(f"{k}={v}" for k, v in layer.items() if k not in shown),
        )
        for i, layer in enumerate(record["layers"], start=1)
    ]  # fmt: skip
    headers = ("#", "block", "output", "params", "MACs M", "activations M", "memory MB", "alive MB", "parameters")
    table = tabulate(rows, headers, floatfmt=("", "", "", "", ".2f", ".3f", ".3f", ".3f", ""))
    published = record["published"]
    form = "training form" if training else "inference form"
    facts = [
        (
            f"{record['name']}  (family {record['family']}, {resolution_text(record['resolution'])} px,"
            f" digest {record['digest']})"
        ),
        f"images {' x '.join(map(str, record['input']))}, {record['num_classes']} classes",
        f"params {record['params']:,}, MACs {record['macs']:,} ({form})",
        f"activations {record['activations']:,}, memory traffic {record['memory_bytes']:,} bytes at 2 bytes a number",
        f"peak memory {record['peak_memory_bytes']:,} bytes of maps alive at once, at 2 bytes a number",
    ]
    if record["paper"]:
        facts.append(f"paper: {record['paper']}")
    if published["source"]:
        facts.append(
            f"published: top-1 {_number(published['top1'])} %, params {_number(published['params_M'])} M,"
            f" MACs {_number(published['macs_M'])} M ({published['source']})"
        )
    facts += [f"warning: {warning}" for warning in record["warnings"]]
    return "\n".join([*facts, "", table])


def _dims(shape: list[int]) -> str:
    return "x".join(map(str, shape))


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:g}"
