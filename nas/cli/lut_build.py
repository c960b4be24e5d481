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
from nas.cli.terminal import page, tell
from nas.progress import Step

if TYPE_CHECKING:
    from nas.jobs.lut_build import TableRequest
    from nas.latency import DeviceHome
    from nas.measure.build import BuildProgress


_BUDGET = "20m"


def _budget(context: click.Context, parameter: click.Parameter, value: str | None) -> float | None:
    from nas.units import parse_duration_s

    return None if value is None else parse_duration_s(value, name="--budget")


def _table_request(budget_s: float | None, networks: int | None, **options: Any) -> TableRequest:
    """What is asked, by a budget or by a number of networks."""
    from nas.jobs.lut_build import TableRequest
    from nas.units import parse_duration_s

    if budget_s is not None and networks is not None:
        raise click.UsageError("--budget and --networks must not both be given: time for so long, or so many.")
    budget = parse_duration_s(_BUDGET, name="--budget") if budget_s is None else budget_s
    return TableRequest(budget_s=budget, networks=networks, **options)


def _request(function: Callable[..., None]) -> Callable[..., None]:
    """The options that a plan and a build share."""
    options = (
        device_option,
        click.option(
            "--space", default="mobile", callback=known_space, show_default=True, metavar="NAME",
            help="Whose segments to time.",
        ),
        click.option(
            "--budget", "budget_s", callback=_budget, metavar="TIME",
            help=f"For all of it, earlier starts included: 90s, 20m, 1h.  [default: {_BUDGET}]",
        ),
        click.option(
            "--networks", type=click.IntRange(1), metavar="N",
            help="In place of --budget: so many, the reference among them. Up to 20 are those that tell most together,"
            " and other devices' costs help to make a model of them.",
        ),
        click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Which networks are drawn."),
        click.option("--restart", is_flag=True, help="Forget what was timed before."),
        click.option("--json", "as_json", is_flag=True, help="One JSON document."),
    )  # fmt: skip
    for option in reversed(options):
        function = option(function)
    return function


def tell_unread(home: DeviceHome) -> None:
    """Warn of the devices whose help is asked for, and whose files are bad."""
    from nas.jobs.lut_few import unread_devices

    for name, reason in unread_devices(home).items():
        tell("warning", f"{name} does not help: {reason}")


@click.command()
@_request
def plan(as_json: bool, **options: Any) -> None:
    """Say what a build would time and how long it takes; stores nothing."""
    from nas.jobs.lut_build import plan_table

    request = _table_request(**options)
    if request.is_few:
        tell_unread(request.home)
    with progress() as show:
        found = plan_table(request, progress=show)
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

    Whatever was timed is kept: stopped at any moment and started again, it goes on. With --networks 20 a model is made
    of twenty networks and of what operators cost on the other devices.
    """
    from nas.jobs.lut_build import build_table, check_build
    from nas.jobs.recorded import recorded

    request = _table_request(**options)
    check_build(request)
    if request.is_few:
        tell_unread(request.home)
    words = ["nas", "lut", "build", "--device", request.home.name, "--space", request.space]
    size = ["--budget", f"{request.budget_s:g}s"] if request.networks is None else ["--networks", f"{request.networks}"]
    words += [*size, "--seed", str(request.seed)]
    with progress() as show:
        run, found = recorded(
            "build",
            words,
            request.home,
            lambda: build_table(request, progress=lambda state: show(_step(state, request.networks)), fitting=show),
            storage=storage,
        )
    if as_json:
        click.echo(json.dumps(found.as_json(), indent=1))
    else:
        from nas.report.few_text import any_built_text

        click.echo(any_built_text(found, page()))
    write_run_page(run, storage, quiet=as_json)


def _step(state: BuildProgress, networks: int | None) -> Step:
    """How much of the budget is spent, or how many of the networks are timed, and on what."""
    note = f"{state.networks} networks, reference {state.reference_ms:.2f} ms"
    if networks is not None:
        return Step(doing="timing", done=state.networks + 1, of=networks, note=note)
    return Step(doing="timing", done=state.spent_s, of=state.budget_s, note=note)
