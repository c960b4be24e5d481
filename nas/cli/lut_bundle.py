"""`nas lut bundle`, and what `nas lut import` does with what comes back: a table of a device that is not reached."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nas.cli.device_option import device_option
from nas.cli.names import known_formats, known_space
from nas.cli.progress import progress
from nas.cli.terminal import page, tell

if TYPE_CHECKING:
    from nas.latency import DeviceHome


def _formats(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[str, ...]:
    return known_formats(context, parameter, value) if value is not None else ()


@click.command()
@device_option
@click.option(
    "--space", default="mobile", callback=known_space, show_default=True, metavar="NAME", help="Whose segments to time."
)
@click.option(
    "--out", required=True, type=click.Path(path_type=Path, file_okay=False), metavar="DIR", help="Where it is written."
)
@click.option(
    "--format", "formats", callback=_formats, metavar="LIST",
    help="Of onnx, litert, coreml, with commas.  [default: what the device's runtime reads]",
)  # fmt: skip
@click.option(
    "--networks", type=click.IntRange(1), default=40, show_default=True, help="How many, the reference among them."
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Which networks are drawn.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def bundle(as_json: bool, **options: Any) -> None:
    """Write the networks to be timed where nothing here reaches, with a CSV file to fill in and instructions.

    `nas lut import DIR` makes the device's table of what comes back. Stopped and started again, it goes on.
    """
    from nas.cli.lut_build import tell_unread
    from nas.jobs.lut_bundle import BundleRequest, make_bundle

    request = BundleRequest(**options)
    if request.is_few:
        tell_unread(request.home)
    with progress() as show:
        found = make_bundle(request, progress=show)
    if as_json:
        click.echo(json.dumps(found.as_json(), indent=1, ensure_ascii=False))
        return
    from nas.report.bundle_text import bundle_text

    click.echo(bundle_text(found, page()))


def is_bundled(path: Path) -> bool:
    """Whether a file to import is of a bundle, or the folder of one."""
    from nas.measure.bundle import is_bundle

    return is_bundle(path)


def import_times(home: DeviceHome, files: Sequence[Path], as_json: bool) -> None:
    """Import the times of a bundle, and tell what came of it."""
    from nas.errors import InputError
    from nas.jobs.lut_bundle import import_bundle

    if len(files) > 1:
        raise InputError(f"the times of a bundle must be imported by themselves, but got {len(files)} files.")
    with progress() as show:
        found = import_bundle(home, files[0], progress=show)
    if as_json:
        click.echo(json.dumps(found.as_json(), indent=1, ensure_ascii=False))
        return
    from nas.report.bundle_text import imported_bundle_text, warnings

    click.echo(imported_bundle_text(found, page(), reached=home.device.is_timed))
    for text in warnings(found):
        tell("warning", text)
