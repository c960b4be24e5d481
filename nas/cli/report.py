"""`nas report`: a result as a page for people, one file that fetches nothing."""

from __future__ import annotations

import json
from pathlib import Path

import click

from nas.cli.names import known_device
from nas.cli.storage import storage_option

_FORMATS = ("html", "svg", "png")


def _formats(context: click.Context, parameter: click.Parameter, value: str) -> tuple[str, ...]:
    from nas.errors import InputError

    found = tuple(dict.fromkeys(part.strip() for part in value.split(",") if part.strip()))
    unknown = [name for name in found if name not in _FORMATS]
    if unknown or not found:
        raise InputError(f"--format must name html, svg or png, separated by commas, but got {value!r}.")
    return found


def _device(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    return None if value is None else known_device(context, parameter, value)


@click.command()
@click.argument("run", required=False)
@click.option("--device", callback=_device, metavar="NAME", help="The page of a device, in place of a run.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Where to write it.  [default: page.html in the run's folder]",
)
@click.option(
    "--format",
    "formats",
    default="html",
    callback=_formats,
    show_default=True,
    metavar="FORMATS",
    help="html; svg or png: each figure as a picture for a paper.",
)
@click.option("--open", "open_it", is_flag=True, help="Show it in the browser; over SSH say how to fetch it.")
@storage_option
@click.option("--json", "as_json", is_flag=True, help="One JSON document: the files that were written.")
def command(
    run: str | None,
    device: str | None,
    out: Path | None,
    formats: tuple[str, ...],
    open_it: bool,
    storage: str | None,
    as_json: bool,
) -> None:
    """Write the page of RUN (`nas runs list`, or a document that --json wrote) or of a device: one HTML file."""
    from nas.cli.opening import opened
    from nas.files import write_bytes
    from nas.jobs.page_document import device_document, named_document
    from nas.latency.home import device_home
    from nas.pages import html, page_of, write_pictures

    if (run is None) == (device is None):
        raise click.UsageError("a page is of a run or of a device: name one of them, RUN or --device NAME.")
    if device is not None:
        document, usual = device_document(device_home(device))
    else:
        document, usual = named_document(str(run), storage=storage)
    page, path = page_of(document), out or usual
    written = []
    if "html" in formats:
        write_bytes(path, html(page).encode())
        written.append(path)
    pictures = [name for name in formats if name != "html"]
    written += write_pictures(page, path.with_suffix(""), pictures) if pictures else []
    if as_json:
        click.echo(json.dumps({"files": [str(one) for one in written]}, indent=1))
    else:
        for one in written:
            click.echo(f"wrote {one}")
    if open_it and "html" in formats:
        opened(path)
