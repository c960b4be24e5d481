"""The page that every recorded run ends with."""

from __future__ import annotations

import click

from nas.cli.terminal import tell
from nas.errors import NasError


def write_run_page(run: str, storage: str | None, *, quiet: bool) -> None:
    """Write the page of a run into its folder, and say where unless `quiet`; a page that cannot be written costs a
    warning, for the result is there."""
    from nas.files import write_bytes
    from nas.jobs.page_document import page_path, run_document
    from nas.pages import html, page_of
    from nas.runs import RunStore

    path = page_path(run)
    try:
        write_bytes(path, html(page_of(run_document(run, storage=storage))).encode())
        RunStore(url=storage).add_artefact(run, "page", path)
    except NasError as error:
        tell("warning", f"there is no page: {error}")
        return
    if not quiet:
        click.echo(f"\nPage: {path}")
