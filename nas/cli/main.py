"""The command `nas`: finds a command's module when it is asked for, and turns every expected fault into one paragraph.

Exit codes: 0 done; 1 the work failed; 2 wrong usage or bad input; 130 interrupted.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import sys
from collections.abc import Sequence

import click

from nas.cli.terminal import tell
from nas.errors import NasError

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


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `nas` with `arguments` (by default the process's own) and return its exit code."""
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
    except (click.Abort, KeyboardInterrupt):
        return _fault("interrupted; what was finished is kept.", 130)
    except BrokenPipeError:
        _silence_stdout()
        return 1
    except OSError as error:
        _silence_stdout()
        place = f"{error.filename}: " if error.filename else ""
        came = f"{place}{error.strerror or error}"
        return _fault(f"a file must be read or written, but {came}; check its path, permissions and free space.", 1)


def _fault(text: str, code: int) -> int:
    """Print `text` as one paragraph on stderr; returns `code`."""
    with contextlib.suppress(OSError):
        tell("error", " ".join(text.split()))
    return code


def _silence_stdout() -> None:
    """Send what is still buffered nowhere, so that the interpreter does not fail on it once more as it exits."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
