"""A command that fails in each way that `nas.cli.main` has to answer for."""

from __future__ import annotations

import errno
import signal
import subprocess
import sys

import click

from nas.errors import InputError, TargetError


@click.command()
@click.argument("fault")
def command(fault: str) -> None:
    """Fail with FAULT."""
    if fault == "input":
        raise InputError("kernel must be odd,\n but got 4.")
    if fault == "target":
        raise TargetError("the fastest network takes 2 ms.")
    if fault == "click":
        raise click.ClickException("something")
    if fault == "full":
        raise OSError(errno.ENOSPC, "No space left on device", "runs/nas.db")
    if fault == "interrupt":
        signal.raise_signal(signal.SIGINT)
    if fault == "stop":
        # Whoever sees this line may send SIGTERM; the worker's number is the line.
        subprocess.run([sys.executable, "-c", "import os, time; print(os.getpid(), flush=True); time.sleep(600)"])
    if fault == "defect":
        raise AssertionError("ours")
    click.echo("line\n" * 100_000)
