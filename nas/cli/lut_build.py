"""`nas lut plan` and `nas lut build`: a table from a stopwatch."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from nas.cli.device_option import device_option
from nas.cli.names import known_space
from nas.cli.progress import progress
from nas.cli.run_page import write_run_page
from nas.cli.storage import storage_option
from nas.cli.terminal import page
from nas.progress import Step

if TYPE_CHECKING:
    from nas.measure.build import BuildProgress


def _budget(context: click.Context, parameter: click.Parameter, value: str) -> float:
    from nas.units import parse_duration_s

    return parse_duration_s(value, name="--budget")


def _request(function: Callable[..., None]) -> Callable[..., None]:
    """The options that a plan and a build share."""
    options = (
        device_option,
        click.option(
            "--space", default="mobile", callback=known_space, show_default=True, metavar="NAME",
            help="Whose segments to time.",
        ),
        click.option(
            "--budget", "budget_s", default="20m", show_default=True, callback=_budget, metavar="TIME",
            help="For all of it, earlier starts included: 90s, 20m, 1h.",
        ),
        click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Which networks are drawn."),
        click.option("--restart", is_flag=True, help="Forget what was timed before."),
        click.option("--json", "as_json", is_flag=True, help="One JSON document."),
    )  # fmt: skip
    for option in reversed(options):
        function = option(function)
    return function


@click.command()
@_request
def plan(as_json: bool, **options: Any) -> None:
    """Say what a build would time and how long it takes; stores nothing."""
    from nas.jobs.lut_build import TableRequest, plan_table

    with progress() as show:
        found = plan_table(TableRequest(**options), progress=show)
    if as_json:
        click.echo(json.dumps(found.as_json(), indent=1))
        return
    from nas.report.lut_text import plan_text

    click.echo(plan_text(found, page()))


@click.command()
@_request
@storage_option
def build(as_json: bool, storage: str | None, **options: Any) -> None:
    """Time whole networks, then write the device's table.csv and coefficients.json.

    Whatever was timed is kept: stopped at any moment and started again, it goes on.
    """
    from nas.jobs.lut_build import TableRequest, build_table, check_build
    from nas.jobs.recorded import recorded

    request = TableRequest(**options)
    check_build(request)
    words = ["nas", "lut", "build", "--device", request.home.name, "--space", request.space]
    words += ["--budget", f"{request.budget_s:g}s", "--seed", str(request.seed)]
    with progress() as show:
        run, found = recorded(
            "build",
            words,
            request.home,
            lambda: build_table(request, progress=lambda state: show(_step(state)), fitting=show),
            storage=storage,
        )
    if as_json:
        click.echo(json.dumps(found.as_json(), indent=1))
    else:
        from nas.report.lut_text import built_text

        click.echo(built_text(found, page()))
    write_run_page(run, storage, quiet=as_json)


def _step(state: BuildProgress) -> Step:
    """How much of the budget is spent, and on what."""
    note = f"{state.networks} networks, reference {state.reference_ms:.2f} ms"
    return Step(doing="timing", done=state.spent_s, of=state.budget_s, note=note)
