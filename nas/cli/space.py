"""`nas space`: the search spaces, shipped and the user's own."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click


@click.group()
def command() -> None:
    """Search spaces: shipped, in the workspace, or any YAML file (docs/search-spaces.md)."""


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def list_spaces(as_json: bool) -> None:
    """List the search spaces: kind, number of genes, size."""
    from nas.jobs.space import space_records

    records = space_records()
    if as_json:
        click.echo(json.dumps(records, indent=1))
        return
    from tabulate import tabulate

    rows = [(r["name"], r["kind"], r["genes"], _size(r["size"]), r["description"]) for r in records]
    headers = ("space", "of", "genes", "size", "description")
    click.echo(tabulate(rows, headers, disable_numparse=True, maxcolwidths=[None] * 4 + [72]))


@command.command("show")
@click.argument("space")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def show_space(space: str, as_json: bool) -> None:
    """Show SPACE (a name or a YAML file): genes and choices, size, and the known networks that are points of it."""
    from nas.jobs.space import describe_space
    from nas.space import load_space

    record = describe_space(load_space(space))
    click.echo(json.dumps(record, indent=1) if as_json else _text(record))


@command.command("sample")
@click.argument("space")
@click.option("--n", "count", type=click.IntRange(1, 10_000), default=10, show_default=True, help="How many points.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="The same seed, the same points.")
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
    from tabulate import tabulate

    from nas.space.resolution import resolution_text

    if "architecture" not in records[0]:
        click.echo(tabulate([list(r["genes"].values()) for r in records], list(found.genes)))
        return
    rows = [
        (r["name"], resolution_text(r["resolution"]), r["params"] / 1e6, r["macs"] / 1e6, _stages(r["genes"]))
        for r in records
    ]
    headers = ("network", "px", "params M", "MACs M", "stages: blocks of a kind @ width")
    click.echo(tabulate(rows, headers, floatfmt=("", "", ".2f", ".1f", "")))


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
        click.echo(f"{space.name}: {len(space.genes)} genes, {_size(str(space.size))} codes, in {out}")


def _text(record: Mapping[str, Any]) -> str:
    from tabulate import tabulate

    from nas.space.resolution import resolution_text

    facts = [f"{record['name']}  ({record['path']})"]
    if record["description"]:
        facts.append(record["description"])
    if record["kind"] == "codes":
        facts.append(f"{len(record['genes'])} genes, {_size(record['size'])} points")
        rows: list[Sequence[Any]] = [(gene, _list(choices)) for gene, choices in record["genes"].items()]
        return "\n".join([*facts, "", tabulate(rows, ("gene", "choices"), disable_numparse=True)])
    facts += [
        (
            f"{len(record['genes'])} genes, {_size(record['size'])} codes; {record['num_classes']} classes,"
            f" images of {record['in_channels']} channels"
        ),
        f"known networks among its points: {', '.join(record['known']) or 'none'}",
        "",
        f"resolution: {', '.join(map(resolution_text, record['resolution']))}",
        *_chains("stem", record["stems"]),
        "",
        _stage_table(record["stages"]),
        "",
        *_chains("head", record["heads"]),
    ]
    return "\n".join(facts)


def _stage_table(stages: Sequence[Mapping[str, Any]]) -> str:
    from tabulate import tabulate

    columns = ("name", "stride", "kind", "depth", "width", "act", "se", "kernel", "expansion", "free_blocks")
    rows = [[_list(stage[key]) if isinstance(stage[key], list) else stage[key] for key in columns] for stage in stages]
    headers = ("stage", "stride", "kind", "depth", "width", "act", "SE", "kernel", "expansion", "free blocks")
    return tabulate(rows, headers, disable_numparse=True, maxcolwidths=[None, None, *[14] * 7, 6])


def _chains(name: str, chains: Sequence[Sequence[Mapping[str, Any]]]) -> list[str]:
    """One line a stem or head; its number is the gene's choice."""
    texts = []
    for i, chain in enumerate(chains):
        layers = (
            " ".join([layer["block"], *(f"{k}={v}" for k, v in layer.items() if k != "block")]) for layer in chain
        )
        texts.append(f"{name} {i}: {'; '.join(layers)}")
    return texts


def _stages(genes: Mapping[str, Any]) -> str:
    """The stages of a network in short ("2 mbconv@24, …"); absent ones as "-"."""
    texts = []
    for name in (gene.removesuffix(".depth") for gene in genes if gene.endswith(".depth")):
        depth = genes[f"{name}.depth"]
        texts.append(f"{depth} {genes[f'{name}.kind']}@{genes[f'{name}.width']}" if depth else "-")
    return ", ".join(texts)


def _list(values: Sequence[Any]) -> str:
    return ", ".join(f"{value:g}" if isinstance(value, float) else str(value) for value in values)


def _size(size: str) -> str:
    """An exact count in short: 6,561 or 6.9e41."""
    return f"{int(size):,}" if len(size) <= 9 else f"{size[0]}.{size[1]}e{len(size) - 1}"
