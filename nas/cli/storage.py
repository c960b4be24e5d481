"""The option of every command that records or reads runs."""

from __future__ import annotations

import click

storage_option = click.option(
    "--storage",
    envvar="NAS_STORAGE",
    show_envvar=True,
    metavar="URL",
    help="The database of runs, as SQLAlchemy writes it.  [default: runs/nas.db in the workspace]",
)
