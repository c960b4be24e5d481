"""Search spaces as text: their list, one space stage by stage, random points of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nas.report.page import PLAIN, Page
from nas.report.table import numeric, table, textual
from nas.space.resolution import resolution_text


def spaces_text(records: Sequence[Mapping[str, Any]], page: Page = PLAIN) -> str:
    """The records of `nas.jobs.space.space_records`, a line a space."""
    columns = [textual("space"), textual("of"), numeric("genes"), numeric("size"), textual("description", wrap=True)]
    rows = [(r["name"], r["kind"], r["genes"], size_text(r["size"]), r["description"]) for r in records]
    return table(columns, rows, page)


def space_text(record: Mapping[str, Any], page: Page = PLAIN) -> str:
    """A record of `nas.jobs.space.describe_space`: facts, then its choices."""
    facts = [f"{record['name']}  ({record['path']})"]
    if record["description"]:
        facts.append(record["description"])
    if record["kind"] == "codes":
        facts.append(f"{len(record['genes'])} genes, {size_text(record['size'])} points")
        rows = [(gene, _list(choices)) for gene, choices in record["genes"].items()]
        genes = table([textual("gene"), textual("choices", wrap=True)], rows, page)
        return "\n".join([*map(page.filled, facts), "", genes])
    facts += [
        (
            f"{len(record['genes'])} genes, {size_text(record['size'])} codes; {record['num_classes']} classes,"
            f" images of {record['in_channels']} channels"
        ),
        f"known networks among its points: {', '.join(record['known']) or 'none'}",
        "",
        f"resolution: {', '.join(map(resolution_text, record['resolution']))}",
        *_chains("stem", record["stems"]),
    ]
    parts = [page.filled(fact, hanging="  ") for fact in facts]
    heads = [page.filled(chain, hanging="  ") for chain in _chains("head", record["heads"])]
    return "\n".join([*parts, "", _stages(record["stages"], page), "", *heads])


def _stages(stages: Sequence[Mapping[str, Any]], page: Page) -> str:
    keys = ("name", "stride", "kind", "depth", "width", "act", "se", "kernel", "expansion", "free_blocks")
    chosen = (textual(name, wrap=True) for name in ("kind", "depth", "width", "act", "SE", "kernel", "expansion"))
    columns = [textual("stage"), numeric("stride"), *chosen, numeric("free blocks", 1)]
    rows = [[_list(stage[key]) if isinstance(stage[key], list) else stage[key] for key in keys] for stage in stages]
    return table(columns, rows, page)


def points_text(records: Sequence[Mapping[str, Any]], genes: Sequence[str], page: Page = PLAIN) -> str:
    """Records of `nas.jobs.space.sample_space`: of networks sizes and stages, of codes the choice of each gene."""
    if "architecture" not in records[0]:
        return table([textual(gene) for gene in genes], [list(r["genes"].values()) for r in records], page)
    columns = [
        textual("network"), numeric("px"), numeric("params M"), numeric("MACs M"),
        textual("stages: blocks of a kind @ width", wrap=True),
    ]  # fmt: skip
    rows = [
        (
            r["name"], resolution_text(r["resolution"]), f"{r['params'] / 1e6:.2f}", f"{r['macs'] / 1e6:.1f}",
            _stages_in_short(r["genes"]),
        )
        for r in records
    ]  # fmt: skip
    return table(columns, rows, page)


def _chains(name: str, chains: Sequence[Sequence[Mapping[str, Any]]]) -> list[str]:
    """One text a stem or head; its number is the gene's choice."""
    texts = []
    for i, chain in enumerate(chains):
        layers = (
            " ".join([layer["block"], *(f"{k}={v}" for k, v in layer.items() if k != "block")]) for layer in chain
        )
        texts.append(f"{name} {i}: {'; '.join(layers)}")
    return texts


def _stages_in_short(genes: Mapping[str, Any]) -> str:
    """The stages of a network in short ("2 mbconv@24, …"); absent ones as "-"."""
    texts = []
    for name in (gene.removesuffix(".depth") for gene in genes if gene.endswith(".depth")):
        depth = genes[f"{name}.depth"]
        texts.append(f"{depth} {genes[f'{name}.kind']}@{genes[f'{name}.width']}" if depth else "-")
    return ", ".join(texts)


def _list(values: Sequence[Any]) -> str:
    return ", ".join(f"{value:g}" if isinstance(value, float) else str(value) for value in values)


def size_text(size: str) -> str:
    """An exact count in short: 6,561 or 6.9e41."""
    return f"{int(size):,}" if len(size) <= 9 else f"{size[0]}.{size[1]}e{len(size) - 1}"
