"""`nas runs`: what was run, and the command that repeats it."""

from __future__ import annotations

import json

import click

from nas.cli.storage import storage_option
from nas.cli.terminal import page, wide_option


@click.group()
def command() -> None:
    """The runs of the workspace: what was asked, with what, and what came of it."""


@command.command("list")
@click.option("--kind", metavar="KIND", help="Only runs of one kind, such as search.")
@storage_option
@wide_option
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def list_runs(kind: str | None, storage: str | None, as_json: bool) -> None:
    """List the runs, the newest first."""
    from nas.runs import RunStore

    records = [run.as_json() for run in RunStore(url=storage).records(kind=kind)]
    if as_json:
        click.echo(json.dumps(records, indent=1))
        return
    from nas.report.runs_text import runs_text

    click.echo(runs_text(records, page()))


@command.command("show")
@click.argument("run")
@storage_option
@click.option("--json", "as_json", is_flag=True, help="One JSON document, with the run's result.")
def show_run(run: str, storage: str | None, as_json: bool) -> None:
    """Show RUN: the command that repeats it, its inputs and versions, how it ended, what it wrote, its trials."""
    from nas.jobs.trials_json import trials_of_run
    from nas.runs import RunStore

    store = RunStore(url=storage)
    record = store.get(run).as_json()
    trials = trials_of_run(record, store)
    if as_json:
        click.echo(json.dumps({**record, "trials": trials} if trials else record, indent=1))
        return
    from nas.report.runs_text import run_text

    click.echo(run_text(record, page()))
    if trials:
        from nas.report.trials_text import trials_table

        click.echo("\n" + trials_table(trials, page()))
