"""`nas zoo`: exported networks."""

from __future__ import annotations

import json
from typing import Any

import click

from nas.cli.storage import storage_option
from nas.errors import NasError


@click.group()
def command() -> None:
    """Exported networks: their files, cards and checks, under runs/zoo (docs/zoo.md)."""


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def list_networks(as_json: bool) -> None:
    """List the exported networks."""
    from nas.zoo import entries

    records = [entry.as_json() for entry in entries()]
    if as_json:
        click.echo(json.dumps(records, indent=1))
        return
    from tabulate import tabulate

    from nas.space.resolution import resolution_text

    rows = [
        (
            r["name"], resolution_text(r["resolution"]), f"{r['params'] / 1e6:.2f}", f"{r['macs'] / 1e6:.1f}",
            _latency(r), _accuracy(r), ", ".join(r["formats"]),
        )
        for r in records
    ]  # fmt: skip
    headers = ("network", "px", "params M", "MACs M", "latency ms", "top-1 %", "formats")
    click.echo(tabulate(rows, headers, disable_numparse=True))


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
@click.option(
    "--format",
    "formats",
    default="onnx",
    show_default=True,
    metavar="F,F",
    help="The file formats: onnx, coreml, litert.",
)
@click.option("--name", metavar="NAME", help="The folder's name in the zoo.  [default: the network's]")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the random weights.")
@storage_option
@click.option("--json", "as_json", is_flag=True, help="One JSON document: the manifest.")
def export_network(
    reference: str, formats: str, name: str | None, seed: int, storage: str | None, as_json: bool
) -> None:
    """Export the answer of a run, a known network, or an architecture file, untrained, and check what was written."""
    from nas.jobs.export import export_to_zoo

    parts = [part.strip() for part in formats.split(",")]
    entry = export_to_zoo(reference, name=name, formats=parts, seed=seed, storage=storage)
    click.echo(json.dumps(entry.as_json(), indent=1) if as_json else str(entry.folder))


@command.command("verify")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def verify_networks(names: tuple[str, ...], as_json: bool) -> None:
    """Check the files of NAMEs (by default all) against their checksums, and their outputs against torch.

    Exits with 1 where a file is damaged or computes something else.
    """
    from nas.zoo import entries, verify

    records = []
    for name in names or [entry.name for entry in entries()]:
        try:
            records.append({"name": name, "ok": True, "checks": verify(name), "error": None})
        except NasError as error:
            if error.exit_code != 1:
                raise
            records.append({"name": name, "ok": False, "checks": {}, "error": str(error)})
    click.echo(json.dumps(records, indent=1) if as_json else _verified(records))
    failed = [str(record["name"]) for record in records if not record["ok"]]
    if failed:
        raise NasError(f"every exported network must be as it was exported, but {', '.join(failed)} failed; see above.")


def _verified(records: list[dict[str, Any]]) -> str:
    lines = []
    for record in records:
        checks = "; ".join(_checked(name, facts["max_relative_error"]) for name, facts in record["checks"].items())
        lines.append(f"{record['name']}: {'ok; ' + checks if record['ok'] else 'failed: ' + record['error']}")
    return "\n".join(lines)


def _checked(name: str, error: float | None) -> str:
    return f"{name}: read, but not run" if error is None else f"{name}: differs from torch by {error:.1e}"


def _latency(record: dict[str, Any]) -> str:
    latency = record["latency"]
    if latency is None:
        return "-"
    on = f" on {record['device']}" if record["device"] else ""
    return f"{latency['mean_ms']:.3f} [{latency['low_ms']:.3f}, {latency['high_ms']:.3f}] {latency['source']}{on}"


def _accuracy(record: dict[str, Any]) -> str:
    accuracy = record["accuracy"]
    if accuracy is None:
        return "-"
    mean, low, high = (f"{100 * accuracy[key]:.1f}" for key in ("mean", "low", "high"))
    return f"{mean} [{low}, {high}] {accuracy['source']}"
