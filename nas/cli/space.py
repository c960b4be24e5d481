"""`nas space`: the search spaces, shipped and the user's own."""

from __future__ import annotations

import json
from pathlib import Path

import click

from nas.cli.terminal import page, wide_option


@click.group()
def command() -> None:
    """Search spaces: shipped, in the workspace, or any YAML file (docs/search-spaces.md)."""


@command.command("list")
@wide_option
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def list_spaces(as_json: bool) -> None:
    """List the search spaces: kind, number of genes, size."""
    from nas.jobs.space import space_records

    records = space_records()
    if as_json:
        click.echo(json.dumps(records, indent=1))
        return
    from nas.report.space_text import spaces_text

    click.echo(spaces_text(records, page()))


@command.command("show")
@click.argument("space")
@wide_option
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def show_space(space: str, as_json: bool) -> None:
    """Show SPACE (a name or a YAML file): genes and choices, size, and the known networks that are points of it."""
    from nas.jobs.space import describe_space
    from nas.space import load_space

    record = describe_space(load_space(space))
    if as_json:
        click.echo(json.dumps(record, indent=1))
        return
    from nas.report.space_text import space_text

    click.echo(space_text(record, page()))


@command.command("sample")
@click.argument("space")
@click.option("--n", "count", type=click.IntRange(1, 10_000), default=10, show_default=True, help="How many points.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="The same seed, the same points.")
@wide_option
@click.option("--json", "as_json", is_flag=True, help="One JSON document, with each network's architecture.")
def sample_points(space: str, count: int, seed: int, as_json: bool) -> None:
    """Draw random points of SPACE, each gene uniformly among its choices."""
    from nas.jobs.space import sample_space
    from nas.space import load_space

    found = load_space(space)
    records = sample_space(found, count, seed)
    if as_json:
        click.echo(json.dumps(records, indent=1))
        return
    from nas.report.space_text import points_text

    click.echo(points_text(records, list(found.genes), page()))


@command.command("from")
@click.argument("network")
@click.option("--widths", is_flag=True, help="Every stage may be a quarter wider or narrower.")
@click.option("--kernels", is_flag=True, help="Blocks choose among kernels of 3, 5 and 7.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Write the space there.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document: the record of the space, and its text.")
def from_network(network: str, widths: bool, kernels: bool, out: Path | None, as_json: bool) -> None:
    """Make a space around NETWORK: its stages, each a block deeper or shallower, expansion ratios one lower."""
    from nas.jobs.space import describe_space
    from nas.space import load_architecture
    from nas.space.around import space_around

    space, text = space_around(load_architecture(network), widths=widths, kernels=kernels)
    if out is not None:
        from nas.files import write_bytes

        write_bytes(out, text.encode())
    if as_json:
        click.echo(json.dumps({**describe_space(space), "file": out and str(out), "text": text}, indent=1))
    elif out is None:
        click.echo(text, nl=False)
    else:
        from nas.report.space_text import size_text

        click.echo(f"{space.name}: {len(space.genes)} genes, {size_text(str(space.size))} codes, in {out}")
