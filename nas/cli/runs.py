"""`nas runs`: what was run, and the command that repeats it."""

from __future__ import annotations

import json
from typing import Any

import click

from nas.cli.storage import storage_option


@click.group()
def command() -> None:
    """The runs of the workspace: what was asked, with what, and what came of it."""


@command.command("list")
@click.option("--kind", metavar="KIND", help="Only runs of one kind, such as search.")
@storage_option
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def list_runs(kind: str | None, storage: str | None, as_json: bool) -> None:
    """List the runs, the newest first."""
    from nas.runs import RunStore

    records = [run.as_json() for run in RunStore(url=storage).records(kind=kind)]
    if as_json:
        click.echo(json.dumps(records, indent=1))
        return
    from tabulate import tabulate

    rows = [(r["run"], r["kind"], r["status"], _seconds(r["seconds"]), r["command"]) for r in records]
    click.echo(tabulate(rows, ("run", "kind", "status", "seconds", "command"), disable_numparse=True))


@command.command("show")
@click.argument("run")
@storage_option
@click.option("--json", "as_json", is_flag=True, help="One JSON document, with the run's result.")
def show_run(run: str, storage: str | None, as_json: bool) -> None:
    """Show RUN: the command that repeats it, its inputs and versions, how it ended, what it wrote."""
    from nas.runs import RunStore

    record = RunStore(url=storage).get(run).as_json()
    click.echo(json.dumps(record, indent=1) if as_json else _text(record))


def _text(record: dict[str, Any]) -> str:
    lines = [
        f"run       {record['run']}  ({record['kind']}, {record['status']})",
        f"created   {record['created']} on {record['host']}",
        f"seconds   {_seconds(record['seconds'])}",
        f"seed      {'-' if record['seed'] is None else record['seed']}",
        f"repeat    {record['command']}",
    ]
    if record["error"]:
        lines.append(f"error     {record['error']}")
    lines += [f"input     {name}: {_inline(value)}" for name, value in record["inputs"].items()]
    lines += [f"version   {name} {value}" for name, value in record["versions"].items()]
    lines += [f"wrote     {artefact['kind']}: {artefact['path']}" for artefact in record["artefacts"]]
    best = (record["result"] or {}).get("best")
    if isinstance(best, dict) and "name" in best:
        lines.append(f"answer    {best['name']}{_figures(best)}")
    return "\n".join(lines)


def _figures(best: dict[str, Any]) -> str:
    """Latency and accuracy of an answer, with their intervals and sources, where it has them."""
    texts = []
    if "latency" in best:
        found = best["latency"]
        texts.append(f"{found['mean_ms']:.3f} ms [{found['low_ms']:.3f}, {found['high_ms']:.3f}] {found['source']}")
    if "accuracy" in best:
        found = best["accuracy"]
        mean, low, high = (f"{100 * found[key]:.1f}" for key in ("mean", "low", "high"))
        texts.append(f"{found['metric']} {mean} % [{low}, {high}] {found['source']}")
    return "".join(f"; {text}" for text in texts)


def _inline(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
