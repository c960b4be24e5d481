"""The command `nas`: finds a command's module when it is asked for, and turns every expected fault into one paragraph.

Exit codes: 0 done; 1 the work failed; 2 wrong usage or bad input; 130 interrupted (Ctrl-C); 143 stopped (SIGTERM).
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import importlib.util
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence

import click

from nas.cli.terminal import printable_streams, tell
from nas.errors import NasError, briefly
from nas.files import refused

MODULES = {
    "search": "nas.cli.search",
    "adapt": "nas.cli.adapt",
    "train": "nas.cli.train",
    "device": "nas.cli.device",
    "lut": "nas.cli.lut",
    "predictor": "nas.cli.predictor",
    "measure": "nas.cli.measure",
    "study": "nas.cli.study",
    "arch": "nas.cli.arch",
    "space": "nas.cli.space",
    "data": "nas.cli.data",
    "zoo": "nas.cli.zoo",
    "runs": "nas.cli.runs",
    "report": "nas.cli.report",
}
"""Command → the module whose `command` it is, in the order of the help page."""


class _LazyGroup(click.Group):
    """A group that imports the module of a command when that command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for name, module in MODULES.items() if importlib.util.find_spec(module)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        command: click.Command = importlib.import_module(MODULES[cmd_name]).command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.exceptions.NoSuchCommand as error:
            raise click.exceptions.NoSuchCommand(
                error.command_name, possibilities=self.list_commands(ctx), ctx=ctx
            ) from error


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="nas", message="%(prog)s %(version)s")
@click.option(
    "--workspace",
    envvar="NAS_WORKSPACE",
    type=click.Path(exists=True, file_okay=False),
    metavar="DIR",
    help="Your own search spaces, devices and predictors, and runs/.  [default: the current folder]",
)
def root(workspace: str | None) -> None:
    """Find the most accurate network for a device and a latency.

    Results go to stdout (--json gives one JSON document), progress to stderr.
    """
    if workspace:
        os.environ["NAS_WORKSPACE"] = workspace


@contextlib.contextmanager
def _stoppable() -> Iterator[list[int]]:
    """Inside the block SIGTERM unwinds what an interrupt does; the list, empty at first, then holds its number."""
    stops: list[int] = []

    def stop(number: int, frame: object) -> None:
        stops.append(number)
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield stops
        return
    former = signal.signal(signal.SIGTERM, stop)
    try:
        yield stops
    finally:
        signal.signal(signal.SIGTERM, former)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `nas` with `arguments` (by default the process's own) and return its exit code."""
    _open_streams()
    with printable_streams(), _stoppable() as stops:
        try:
            return _run(arguments)
        except (click.Abort, KeyboardInterrupt) as error:
            word, code = ("stopped", 143) if stops else ("interrupted", 130)
            # click raises an Abort of its own for a KeyboardInterrupt, which may say how to go on.
            told = str(error) or str(error.__cause__ or "")
            return _fault(told.replace("interrupted", word, 1) or f"{word}; what was finished is kept.", code)


def _run(arguments: Sequence[str] | None) -> int:
    """The exit code of a command; what a user or a disk can cause is printed."""
    try:
        code = root.main(arguments, prog_name="nas", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return error.exit_code
    except click.UsageError as error:
        remedy = f" See `{error.ctx.command_path} --help`." if error.ctx else ""
        return _fault(error.format_message() + remedy, error.exit_code)
    except click.ClickException as error:
        return _fault(error.format_message(), error.exit_code)
    except NasError as error:
        return _fault(str(error), error.exit_code)
    except BrokenPipeError:
        _silence_stdout()
        return 1
    except OSError as error:
        _silence_stdout()
        return _file_fault(error)


def _file_fault(error: OSError) -> int:
    """Print what a file that nothing expected to fail refused; returns the exit code."""
    place = error.filename or "what is written"
    if error.errno in (errno.ENAMETOOLONG, errno.ENOSPC, errno.EDQUOT):
        found = refused(place, error)
        return _fault(str(found), found.exit_code)
    came = f"{place}: {error.strerror or error}"
    return _fault(f"a file must be read or written, but {came}; check its path and permissions.", 1)


def _open_streams() -> None:
    """Give a closed stdin, stdout or stderr to nowhere, so that no file that is opened later takes its place."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115


def _fault(text: str, code: int) -> int:
    """Print `text` as one paragraph on stderr; returns `code`."""
    with contextlib.suppress(OSError):
        tell("error", " ".join(briefly(text).split()))
    return code


def _silence_stdout() -> None:
    """Send what is still buffered nowhere, so that the interpreter does not fail on it once more as it exits."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
