"""`nas study`: small experiments on what the latency of a device depends on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nas.cli.device_option import device_option
from nas.cli.progress import progress
from nas.cli.run_page import write_run_page
from nas.cli.storage import storage_option
from nas.cli.terminal import page, tell, wide_option

if TYPE_CHECKING:
    from nas.latency import DeviceHome


@click.group()
def command() -> None:
    """What the latency of a device depends on: measured where it is reached, predicted elsewhere."""


def _study_options(function: Callable[..., None]) -> Callable[..., None]:
    """The options of every study."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="One JSON document."),
        click.option(
            "--report", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
            help="Write STUDY-NAME.md and STUDY-NAME.png there.",
        ),
        click.option(
            "--rounds", type=click.IntRange(1, 100_000), help="Rounds of two runs.  [default: the study's own]"
        ),
        device_option,
        storage_option,
        wide_option,
    ):  # fmt: skip
        function = option(function)
    return function


@command.command()
@_study_options
def correlation(**options: Any) -> None:
    """Rank correlation of latency with MACs and with parameters, over all known networks."""
    _run("correlation", **options)


@command.command()
@_study_options
def activations(**options: Any) -> None:
    """The same 30-layer network with each activation."""
    _run("activations", **options)


@command.command()
@_study_options
def blocks(**options: Any) -> None:
    """The same 30-layer network with squeeze-and-excitation and skip connections."""
    _run("blocks", **options)


@command.command()
@_study_options
def threads(**options: Any) -> None:
    """Known networks with 1, 2, … threads, as many as the machine has cores."""
    _run("threads", **options)


@command.command()
@_study_options
def attention(**options: Any) -> None:
    """MobileViT with its own attention and with separable self-attention, by resolution."""
    _run("attention", **options)


def _run(
    kind: str, *, home: DeviceHome, rounds: int | None, report: Path | None, storage: str | None, as_json: bool
) -> None:
    from nas.jobs.recorded import recorded
    from nas.jobs.study import check_study, study
    from nas.report.study import study_text, write_report

    words = ["nas", "study", kind, "--device", home.name, *([] if rounds is None else ["--rounds", str(rounds)])]
    check_study(kind, home, rounds)
    with progress() as show:
        run, found = recorded(
            "study", words, home, lambda: study(kind, home, rounds=rounds, progress=show), storage=storage
        )
    if report is not None:
        for path in write_report(found, report):
            click.echo(f"wrote {path}", err=True)
    click.echo(json.dumps(found.as_json(), indent=1, ensure_ascii=False) if as_json else study_text(found, page()))
    for text in found.warnings:
        tell("warning", text)
    write_run_page(run, storage, quiet=as_json)
